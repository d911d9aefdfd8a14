"""What a data set is to those who run it: a number of samples, of which any part can be read."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from snn_deploy.deploy.data import LARGEST_ARRAY, Data, checked
from snn_deploy.deploy.datasets.binning import Binning
from snn_deploy.errors import DataError
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.sizes import allowed, higher
from snn_deploy.ir.trace import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An input that data are wanted for."""

    name: str
    shape: Shape | None = None
    """Of one step; None: whatever the data have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which data are wanted, and how: small, so that another process can be told."""

    path: Path
    inputs: tuple[Entry, ...]
    labels: Path | None = None
    """A file of labels, beside data that hold none."""

    binning: Binning = field(default_factory=Binning)
    dt: float | None = None
    """Seconds of a step, where they are known: data that say another length are refused."""

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs' names."""
        return tuple(entry.name for entry in self.inputs)

    def anywhere(self) -> "Request":
        """Return the same for a process that works in another folder."""
        labels = None if self.labels is None else self.labels.resolve()
        return replace(self, path=self.path.resolve(), labels=labels)


@runtime_checkable
class Source(Protocol):
    """A data set of which parts can be read."""

    @property
    def where(self) -> str:
        """File or folder; empty for arrays in memory."""

    @property
    def samples(self) -> int:
        """Number of samples."""

    @property
    def labelled(self) -> bool:
        """Whether samples come with labels."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label, where the data have names for them."""

    @property
    def request(self) -> Request | None:
        """What another process opens to read parts itself; None: only this process can."""

    def read(self, start: int, stop: int) -> Data:
        """Return the samples `start` to `stop`, numbered as in the whole.

        Raises:
            DataError: they cannot be used.
        """

    def digest(self) -> str:
        """Return what tells these data from others, in hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Samples that are in memory."""

    data: Data

    where: str = ""
    classes: tuple[str, ...] = ()
    request: None = None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.data.samples

    @property
    def labelled(self) -> bool:
        """Whether samples come with labels."""
        return self.data.label is not None

    def read(self, start: int, stop: int) -> Data:
        """Return the samples `start` to `stop`."""
        return self.data.part(start, stop)

    def digest(self) -> str:
        """Return the SHA-256 of all arrays."""
        arrays = [(a.name, a.values) for a in self.data.arrays]
        if self.data.label is not None:
            arrays.append(("label", self.data.label))
        return digest_of_arrays([*arrays, ("number", self.data.number)])


@dataclass(frozen=True, slots=True, kw_only=True)
class WithLabels:
    """A data set whose labels lie in a file of their own."""

    source: Source
    label: np.ndarray
    request: Request | None

    @property
    def where(self) -> str:
        """File or folder of the samples."""
        return self.source.where

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.source.samples

    @property
    def labelled(self) -> bool:
        """Whether samples come with labels."""
        return True

    @property
    def classes(self) -> tuple[str, ...]:
        """None: names belong to the labels that these replace."""
        return ()

    def read(self, start: int, stop: int) -> Data:
        """Return the samples `start` to `stop`."""
        return replace(self.source.read(start, stop), label=self.label[start:stop])

    def digest(self) -> str:
        """Return the SHA-256 of samples and labels."""
        labels = digest_of_arrays([("label", self.label)])
        return hashlib.sha256(f"{self.source.digest()} {labels}".encode()).hexdigest()


def digest_of_arrays(arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return the SHA-256 of named arrays: names, types, shapes and values."""
    found = hashlib.sha256()
    for name, array in arrays:
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def digest_of_files(files: Iterable[tuple[str, Path]]) -> str:
    """Return the SHA-256 of files by name: names and contents.

    Raises:
        DataError: one cannot be read.
    """
    found = hashlib.sha256()
    for name, path in files:
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as problem:
            raise unreadable(problem, path) from problem
        found.update(f"{name}\n{content}\n".encode())
    return found.hexdigest()


def unreadable(problem: OSError, path: Path) -> DataError:
    """Return the error for a file that the system does not let us read."""
    return DataError(f"it cannot be read: {problem.strerror or problem}", where=str(path))


def check_size(rows: int, row_bytes: int, where: str) -> None:
    """Refuse to read more at once than `LARGEST_ARRAY`.

    Raises:
        DataError: it is more.
    """
    most = allowed(LARGEST_ARRAY)
    if rows * row_bytes > most:
        raise DataError(
            f"{rows} samples of {row_bytes:,} bytes are more than the {most:,} bytes "
            "that are read at once",
            where=where,
            fix="fewer samples: --samples N, or --block N where the command has it. Or "
            f"{higher(rows * row_bytes, LARGEST_ARRAY)}",
        )


def numbered(
    arrays: Mapping[str, np.ndarray], *, start: int, label: np.ndarray | None, where: str
) -> Data:
    """Return a part of a data set that begins at sample `start`, checked.

    Args:
        arrays: By input, [sample, ...].
        start: Number of the first sample.
        label: Of all samples, if there are any.
        where: File, for complaints.

    Raises:
        DataError: an array cannot be used.
    """
    values = tuple(
        Values(name=name, values=checked(array, name, where)) for name, array in arrays.items()
    )
    samples = len(values[0].values)
    return Data(
        arrays=values,
        label=None if label is None else label[start : start + samples],
        number=np.arange(start, start + samples),
    )
