"""Files of `torch.save` and of safetensors as data, without torch.

Promises: nothing that a file names is imported or called, there is no switch to allow it, and the
work that a file can cause is bounded. A class of a file becomes a `Reference`, an object a `Stub`
with its attributes, which readers of layers take like a live module.

`reading.py` is the way in; `archive.py` reads zip archives, `saved.py` the two formats of
torch.save, `safetensors.py` the third; `machine.py` runs the pickle, `calls.py` lists the calls
that mean data, `stub.py` has the records, `storages.py` the numbers, `tree.py` a last look at it
all. A call more that means data is a row in `calls.py`; an opcode more is a decision (design note
0005).
"""

from snn_deploy.frontends.torch_file.archive import Archive
from snn_deploy.frontends.torch_file.reading import StateDict, TorchFile, read_torch_file
from snn_deploy.frontends.torch_file.storages import numbers, view
from snn_deploy.frontends.torch_file.stub import Reference, Stub, full_name, set_state

__all__ = [
    "Archive",
    "Reference",
    "StateDict",
    "Stub",
    "TorchFile",
    "full_name",
    "numbers",
    "read_torch_file",
    "set_state",
    "view",
]
