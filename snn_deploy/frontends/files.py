"""Model files: of what kind one is, and what each kind is read into."""

from enum import Enum
from pathlib import Path

from snn_deploy.errors import FileDamagedError, FileMissingError

HDF5 = b"\x89HDF\r\n\x1a\n"
"""What every HDF5 file starts with."""

LARGEST_FILE = 2**32
"""Bytes of any model file; each reader has its own, smaller bound."""


class FileKind(Enum):
    """What reads a file."""

    NIR = "NIR"
    NET = "lava-dl"
    TORCH = "torch"
    """A file of torch.save or of safetensors."""

    EXPORTED = "torch.export"
    ONNX = "ONNX"


_SUFFIXES = {
    ".nir": FileKind.NIR,
    ".net": FileKind.NET,
    ".pt2": FileKind.EXPORTED,
    ".onnx": FileKind.ONNX,
}


def kind_of(content: bytes, name: str) -> FileKind:
    """Return who reads a file, by its name or else by how it starts."""
    named = _SUFFIXES.get(Path(name).suffix.lower())
    if named is not None:
        return named
    return FileKind.NIR if content.startswith(HDF5) else FileKind.TORCH


def read_bytes(path: Path) -> bytes:
    """Return what a model file holds.

    Raises:
        FileMissingError: it is not there, is a folder, or may not be read.
        FileDamagedError: it is too large to be a model.
    """
    try:
        if not path.is_file():
            what = "it is a folder" if path.is_dir() else "there is no such file"
            raise FileMissingError(f"cannot read the model: {what}", where=str(path))
        if path.stat().st_size > LARGEST_FILE:
            raise FileDamagedError(
                f"the file has {path.stat().st_size} bytes; at most {LARGEST_FILE} are read",
                where=path.name,
            )
        return path.read_bytes()
    except OSError as error:
        raise FileMissingError(
            f"cannot read the model: {error.strerror}", where=str(path)
        ) from error
