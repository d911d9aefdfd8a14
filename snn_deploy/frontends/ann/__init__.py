"""Networks without neurons: what they compute, and the layers that files of operations make.

Promises: a value is what the model's own framework gives; shapes are known everywhere, and what
operations on constants can make is bounded.

`evaluation.py` computes layers, sample by sample; `builder.py` makes layers of tensor operations
for the readers of ONNX and `.pt2`, with `windows.py` for kernels and their zeros and `folding.py`
for factors and shifts. A new layer of `layers.py` needs its values in `evaluation.py`; a formula
that both kinds of files have belongs in the builder.
"""

from snn_deploy.frontends.ann.builder import Builder, Tensor
from snn_deploy.frontends.ann.evaluation import (
    check_is_ann,
    entering,
    evaluate,
    is_ann,
    layer_output,
    shapes_of,
)
from snn_deploy.frontends.ann.windows import Margins

__all__ = [
    "Builder",
    "Margins",
    "Tensor",
    "check_is_ann",
    "entering",
    "evaluate",
    "is_ann",
    "layer_output",
    "shapes_of",
]
