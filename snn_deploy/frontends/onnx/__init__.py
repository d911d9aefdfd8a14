"""ONNX models, read as layers of an ANN.

Promises: nothing is run, nothing outside of the file is opened, and an operation or option that is
not known is refused by name. The package `onnx` is imported when a file is read and not before;
`optimise.py`, when asked for, imports onnxscript too.

`file.py` reads operations and arrays, `fold.py` computes what depends on constants only,
`reading.py` turns the rest into layers one by one. A new operation is an entry in `ops.py` (it
computes), `layout.py` (it only moves values) or `quantised.py`; `call.py` is what they are given.
Formulas that `.pt2` has too belong in the builder of `frontends/ann`.
"""

from snn_deploy.frontends.onnx.reading import read_onnx

__all__ = ["read_onnx"]
