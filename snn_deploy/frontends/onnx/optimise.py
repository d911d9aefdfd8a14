"""onnxscript's optimiser, for models whose exporter left operations around every layer."""

from typing import Any

from snn_deploy.errors import FileDamagedError, OptionError
from snn_deploy.frontends.onnx.file import EXPORT_AGAIN, read_file

INSTALL = "pip install 'snn-deploy[onnx]' onnxscript"


def optimised(content: bytes, where: str) -> bytes:
    """Return a model with its constants folded and what it does not need left out.

    Raises:
        OptionError: onnxscript is not installed.
        FileDamagedError: the model is damaged.
        ModelError: as `file.read_file`, which checks it first.
    """
    try:
        import onnx  # noqa: PLC0415  an extra, needed only here
        from onnxscript import optimizer  # noqa: PLC0415  the same
    except ImportError as error:
        raise OptionError("onnxscript is not here", fix=INSTALL) from error
    read_file(content, where)
    try:
        model: Any = optimizer.optimize(onnx.load_model_from_string(content))
        return bytes(model.SerializeToString())
    except Exception as error:  # whatever the optimiser meets in a strange model
        raise FileDamagedError(
            "onnxscript cannot optimise the model", where=where, fix=EXPORT_AGAIN
        ) from error
