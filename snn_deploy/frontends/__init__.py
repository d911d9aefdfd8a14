"""From a trained network, whatever wrote it, to a real-valued `Network` and its NIR file.

`load.py` is the way in. A model is read into `layers.py`: a file of operations by `onnx/` or
`pt2/`, a state dict by `torch_file/` and `arch/`, a module by `modules/` or, where its joints are
code, by `capture/`; what its layers mean says the file or room named after their framework.
`convert/` makes spiking what has no neurons. `to_nir/` turns layers into NIR, `nir/` NIR into the
`Network`, and `strict/` says what plain NIR would say of it. `lava_dl/` reads integer programs.

A package is a room: its docstring says what it promises and what to touch for what, and nobody
imports from behind it.
"""

from snn_deploy.frontends.dynamics import Choice, Dynamics, Firing, Origin, Overrides, ResetRule
from snn_deploy.frontends.load import load
from snn_deploy.frontends.nir import Annotation, Dialect, Imported, write_nir

__all__ = [
    "Annotation",
    "Choice",
    "Dialect",
    "Dynamics",
    "Firing",
    "Imported",
    "Origin",
    "Overrides",
    "ResetRule",
    "load",
    "write_nir",
]
