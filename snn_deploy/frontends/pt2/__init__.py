"""`.pt2` archives of `torch.export`, read as layers of an ANN.

Promises: an archive is read without torch and without running anything, and an operation or option
that is not known is refused by name.

`file.py` reads the archive into operations and arrays, `reading.py` turns them into layers one by
one. A new operation is an entry in `ops.py` (it computes) or `layout.py` (it only moves values);
`call.py` is what both are given, `shared.py` watches operations in place. Formulas that ONNX has
too belong in the builder of `frontends/ann`.
"""

from snn_deploy.frontends.pt2.reading import read_pt2

__all__ = ["read_pt2"]
