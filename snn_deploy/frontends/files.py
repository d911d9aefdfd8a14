"""Model files: of what kind one is, and what each kind is read into."""

from enum import Enum
from itertools import islice
from pathlib import Path

from snn_deploy.errors import FileDamagedError, FileMissingError
from snn_deploy.ir.paths import MOST_NAMES, is_file, is_folder, meant_beside
from snn_deploy.ir.sizes import allowed, higher

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

_ENDINGS = {*_SUFFIXES, ".pt", ".pth", ".safetensors"}
"""Of the names of model files."""


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
        if not is_file(path):
            raise _not_there(path)
        size = path.stat().st_size
        if size > allowed(LARGEST_FILE):
            raise FileDamagedError(
                f"the file has {size} bytes; at most {allowed(LARGEST_FILE)} are read",
                where=path.name,
                fix=higher(size, LARGEST_FILE),
            )
        return path.read_bytes()
    except OSError as error:
        raise FileMissingError(
            f"cannot read the model: {error.strerror}", where=str(path)
        ) from error


def _not_there(path: Path) -> FileMissingError:
    """Return the error for a path that is no file: where it was looked for, and what is there."""
    if is_folder(path):
        there = [name for name in _files(path) if Path(name).suffix.lower() in _ENDINGS]
        return FileMissingError(
            "a model is a file, and this is a folder",
            where=str(path),
            fix=f"such as {str(path / there[0])!r}" if there else "give the path of a file",
        )
    folder = path.absolute().parent
    if not is_folder(folder):
        return FileMissingError(
            f"there is no such model file: there is no folder {str(folder)!r}",
            where=str(path),
            fix="give the path of a file",
        )
    return FileMissingError(
        f"there is no such model file in {str(folder)!r}",
        where=str(path),
        fix=meant_beside(path, "give the path of a file"),
    )


def _files(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return sorted(entry.name for entry in islice(folder.iterdir(), MOST_NAMES) if entry.is_file())
