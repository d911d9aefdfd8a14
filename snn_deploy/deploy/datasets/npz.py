"""NPZ files, read by slices: a part of a member needs neither the rest nor memory for it."""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from snn_deploy.deploy.data import Data, check_label, check_shapes, keys_of
from snn_deploy.deploy.datasets.source import (
    Request,
    check_size,
    digest_of_files,
    numbered,
    unreadable,
)
from snn_deploy.errors import DataError
from snn_deploy.ir.room import check_short

SIGNATURE = b"PK"
LOCAL_HEADER = struct.Struct("<4s22xHH")
"""Of a member in a ZIP file: its signature, lengths of its name and of its extra field
(APPNOTE.TXT 6.3.10, section 4.3.7)."""

CHUNK = 1 << 22
"""Bytes read at a time where a member is only checked."""

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, ValueError, OSError, EOFError),
    *(MemoryError, RuntimeError),  # a shape beyond memory; encryption or compression unknown
    *(tokenize.TokenError, SyntaxError),  # a header that is no Python literal
)
"""What zipfile and numpy raise for an array file whose bytes were changed."""


@dataclass(slots=True, kw_only=True)
class Member:
    """One array of an NPZ file."""

    path: Path
    entry: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    header: int
    """Bytes before the values."""

    stream: IO[bytes] | None = None
    """Where reading a compressed member has come to; going back begins anew."""

    whole: np.ndarray | None = None
    """Of an array in Fortran order, no part of which lies together."""

    @property
    def row_bytes(self) -> int:
        """Bytes of one sample."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    @property
    def sliced(self) -> bool:
        """Whether any part can be read without what is before it."""
        return self.entry.compress_type == zipfile.ZIP_STORED and not self.fortran

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the rows `start` to `stop`."""
        check_size(stop - start, self.row_bytes, f"{self.path}: {self.entry.filename}")
        if self.fortran:
            if self.whole is None:
                check_size(self.shape[0], self.row_bytes, str(self.path))
                flat = self._values(0, self.shape[0])
                self.whole = flat.reshape(self.shape[::-1]).T
            return self.whole[start:stop]
        return self._values(start, stop).reshape(stop - start, *self.shape[1:])

    def _values(self, start: int, stop: int) -> np.ndarray:
        wanted = (stop - start) * self.row_bytes
        place = self.header + start * self.row_bytes
        if self.sliced:
            with self.path.open("rb") as file:
                file.seek(self.entry.header_offset)
                signature, name, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
                if signature != b"PK\x03\x04":
                    raise ValueError("a member does not begin where the directory says")
                file.seek(name + extra + place, 1)
                raw = file.read(wanted)
        else:
            if self.stream is None:
                self.stream = zipfile.ZipFile(self.path).open(self.entry)  # noqa: SIM115 - read on
            self.stream.seek(place)
            raw = self.stream.read(wanted)
        if len(raw) != wanted:
            raise ValueError(f"{self.entry.filename} ends before its time")
        return np.frombuffer(raw, self.dtype)


@dataclass(kw_only=True)
class NpzSource:
    """The samples of an NPZ file: `input`, or an array for each input; perhaps `label` and `dt`."""

    asked: Request
    members: dict[str, Member] = field(default_factory=dict)
    keys: dict[str, str] = field(init=False)
    """The member that each input is read from."""

    label: np.ndarray | None = field(init=False)
    """All labels."""

    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        with _complaints(self.asked.path), zipfile.ZipFile(self.asked.path) as archive:
            for entry in archive.infolist():
                member = _member(archive, entry, self.asked.path)
                self.members[entry.filename.removesuffix(".npy")] = member
        self.keys = keys_of(self.asked.names, self.members, self.where)
        check_shapes({n: self.members[key].shape for n, key in self.keys.items()}, self.where)
        with _complaints(self.asked.path):
            self.label = self._label()

    @property
    def where(self) -> str:
        """The file."""
        return str(self.asked.path)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.members[next(iter(self.keys.values()))].shape[0]

    def _label(self) -> np.ndarray | None:
        member = self.members.get("label")
        if member is None:
            return None
        check_label(member.dtype, member.shape, self.samples, self.where)
        return member.read(0, self.samples).astype(np.int64)

    @property
    def labelled(self) -> bool:
        """Whether samples come with labels."""
        return self.label is not None

    @property
    def dt(self) -> float | None:
        """Seconds of a step, where the file says it."""
        member = self.members.get("dt")
        if member is None or member.shape != () or member.dtype.kind not in "fiu":
            return None
        with _complaints(self.asked.path), zipfile.ZipFile(self.asked.path) as archive:
            raw = archive.read(member.entry)[member.header :]
        return float(np.frombuffer(raw, member.dtype)[0])

    @property
    def request(self) -> Request | None:
        """What another process opens: nothing where it would have to unpack all before its part."""
        sliced = all(self.members[key].sliced for key in self.keys.values())
        return self.asked if sliced else None

    def read(self, start: int, stop: int) -> Data:
        """Return the samples `start` to `stop`.

        Raises:
            DataError: they are damaged, no numbers or not finite.
        """
        with _complaints(self.asked.path):
            arrays = {n: self.members[key].read(start, stop) for n, key in self.keys.items()}
        return numbered(arrays, start=start, label=self.label, where=self.where)

    def verify(self) -> None:
        """Read everything once and compare it with the checksums of the file.

        Raises:
            DataError: the file is damaged.
        """
        keys = {*self.keys.values(), "label"} & set(self.members)
        with _complaints(self.asked.path), zipfile.ZipFile(self.asked.path) as archive:
            for key in sorted(keys):
                with archive.open(self.members[key].entry) as stream:
                    while stream.read(CHUNK):
                        pass

    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        return digest_of_files([(self.asked.path.name, self.asked.path)])


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Member:
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"{entry.filename} is an array of version {version}")
        header = stream.tell()
    if dtype.hasobject:
        raise ValueError(f"{entry.filename} holds objects")
    values = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if min(shape, default=0) < 0 or header + values != entry.file_size:
        raise ValueError(f"{entry.filename} has {entry.file_size} bytes, not {header + values}")
    fortran = fortran and len(shape) > 1
    return Member(path=path, entry=entry, shape=shape, dtype=dtype, fortran=fortran, header=header)


@contextmanager
def _complaints(path: Path) -> Iterator[None]:
    """What zipfile and numpy raise for a damaged file becomes an error with a number."""
    try:
        yield
    except _DAMAGED as problem:
        if isinstance(problem, OSError) and problem.errno is not None:
            raise unreadable(problem, path) from problem
        check_short(problem, path.stat().st_size)
        raise DataError(
            f"not an NPZ file of plain arrays: {problem}",
            where=str(path),
            fix="np.savez(FILE, input=array); recordings of events end in .bin, .aedat4 or .raw",
        ) from problem
