"""HDF5 read as untrusted input: from memory, plain links only, within limits.

A file is read into memory whole, so that nothing it names outside of itself can be opened. Links
other than plain ones, data kept elsewhere, unknown filters, foreign types and anything larger
than the limits below are refused before they are read.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from snn_deploy.errors import FileDamagedError
from snn_deploy.frontends.hdf5.guard import is_safe
from snn_deploy.ir.room import UNPACKS_TO, check_short
from snn_deploy.ir.sizes import allowed, higher

LARGEST_FILE = 2**31
"""Bytes of a file that is read."""

LARGEST_CONTENT = 2**32
"""Bytes of all arrays of a file, once unpacked."""

SMALL_CONTENT = 2**24
"""Bytes of arrays that any file may have."""

MOST_MEMBERS = 100_000
"""Members of one group."""

KNOWN_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""HDF5's own filters (deflate, shuffle, checksum, szip, nbit, scaleoffset) and lzf; another one
would make the library load a plug-in."""

TEXT_REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("object", "<u4")])
"""What a dataset of texts of variable length holds for each: where the text lies."""


@dataclass(slots=True, kw_only=True)
class Hdf5File:
    """One file in memory; keeps account of what was read from it."""

    where: str
    """What to call the file in errors."""

    image: bytes
    """Its bytes."""

    kind: str
    """What such files are called, such as `NIR files`."""

    writer: str
    """What writes them, such as `nir.write`."""

    content: int = 0
    """Bytes of the arrays that were asked for so far."""

    @contextmanager
    def opened(self) -> Iterator[h5py.File]:
        """Open the file for reading, in memory.

        Raises:
            FileDamagedError: not HDF5, truncated, too large, or not to be trusted.
        """
        if len(self.image) > allowed(LARGEST_FILE):
            raise FileDamagedError(
                f"the file has {len(self.image)} bytes; at most {allowed(LARGEST_FILE)} are read",
                where=self.where,
                fix=higher(len(self.image), LARGEST_FILE),
            )
        if not is_safe(self.image):
            raise self.damaged(self.where)
        with self.guarded(self.where):
            access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
            access.set_fapl_core(backing_store=False)
            access.set_file_image(self.image)
            name = no_file().encode()
            file = h5py.File(h5py.h5f.open(name, h5py.h5f.ACC_RDONLY, fapl=access))
        try:
            yield file
        finally:
            file.close()

    @contextmanager
    def guarded(self, where: str) -> Iterator[None]:
        """Turn what the HDF5 library raises on a damaged file into one error."""
        try:
            yield
        except (
            OSError,
            RuntimeError,
            KeyError,
            ValueError,
            TypeError,
            OverflowError,
            NotImplementedError,
            MemoryError,
        ) as error:
            check_short(error, len(self.image))
            raise self.damaged(where) from error

    def damaged(self, where: str) -> FileDamagedError:
        """Return the error for a file that is no HDF5 file, or no longer one."""
        return FileDamagedError(
            "the file is not HDF5, or it is truncated or damaged",
            where=where,
            fix=f"copy or download it again; {self.kind} are written by {self.writer}",
        )

    def child(self, group: h5py.Group, name: str, where: str) -> Any:
        """Return a member of a group, which must be a plain link to something in the file.

        None: there is none.

        Raises:
            FileDamagedError: the link leads elsewhere, or to no group and no values.
        """
        with self.guarded(where):
            link = group.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise FileDamagedError(
                f"{name!r} is a link that leads elsewhere, which {self.kind} never have",
                where=where,
            )
        with self.guarded(where):
            member = group[name]
        if not isinstance(member, h5py.Group | h5py.Dataset):
            raise FileDamagedError(f"{name!r} is neither a group nor values", where=where)
        return member

    def names(self, group: h5py.Group, where: str) -> list[str]:
        """Return the names of the members of a group.

        Raises:
            FileDamagedError: there are too many, one is no text, or the group is damaged.
        """
        with self.guarded(where):
            if len(group) > allowed(MOST_MEMBERS):
                raise FileDamagedError(
                    f"a group of {len(group)} members; at most {allowed(MOST_MEMBERS)} are read",
                    where=where,
                    fix=higher(len(group), MOST_MEMBERS),
                )
            names = list(group)
        if not all(isinstance(name, str) for name in names):  # h5py leaves other bytes as they are
            raise FileDamagedError("a name that is not UTF-8", where=where)
        return names

    def value(self, dataset: h5py.Dataset, where: str) -> np.ndarray | str:
        """Return a dataset as an array of numbers or as a text.

        Raises:
            FileDamagedError: neither, kept elsewhere, too large, or damaged.
        """
        self.check_storage(dataset, where)
        if h5py.check_string_dtype(dataset.dtype) is not None:
            return self._text(dataset, where)
        if dataset.dtype.kind not in "iufb":
            raise FileDamagedError(f"{dataset.dtype} is no type of number", where=where)
        with self.guarded(where):
            return np.asarray(dataset[()])

    def _text(self, dataset: h5py.Dataset, where: str) -> str:
        if dataset.shape not in ((), (1,)):
            raise FileDamagedError(f"text of shape {dataset.shape}", where=where)
        with self.guarded(where):
            value = dataset[()]
        return as_text(value if dataset.shape == () else value[0], where)

    def check_storage(self, dataset: h5py.Dataset, where: str) -> None:
        """Refuse a dataset that is kept elsewhere, needs a plug-in, or is too large.

        Raises:
            FileDamagedError: with what it is.
        """
        with self.guarded(where):
            if dataset.shape is None:
                raise FileDamagedError("an empty dataset without a shape", where=where)
            elsewhere = dataset.external is not None or dataset.is_virtual
            plist = dataset.id.get_create_plist()
            filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
            chunk = np.prod(dataset.chunks or (0,), dtype=object)
            size = int(max(np.prod(dataset.shape, dtype=object), chunk)) * dataset.dtype.itemsize
            text = h5py.check_string_dtype(dataset.dtype)
            offset = dataset.id.get_offset()
        if text is not None and text.length is None and offset is not None and dataset.size:
            self._check_lengths(offset, dataset.size, where)
        if elsewhere:
            raise FileDamagedError("its values are kept in another file", where=where)
        if not filters <= KNOWN_FILTERS:
            raise FileDamagedError(
                f"HDF5 filter {min(filters - KNOWN_FILTERS)} is not a standard one", where=where
            )
        self.content += size
        limit = min(LARGEST_CONTENT, max(SMALL_CONTENT, UNPACKS_TO * len(self.image)))
        if self.content > allowed(limit):
            raise FileDamagedError(
                f"its arrays take more than {allowed(limit)} bytes",
                where=where,
                fix=higher(self.content, limit),
            )

    def _check_lengths(self, offset: int, count: int, where: str) -> None:
        """Refuse texts longer than the file: the library would make room for them first."""
        end = offset + count * TEXT_REFERENCE.itemsize
        if end > len(self.image):
            raise self.damaged(where)
        references = np.frombuffer(self.image, TEXT_REFERENCE, count, offset)
        if references["length"].max(initial=0) > len(self.image):
            raise self.damaged(where)


def as_text(value: Any, where: str) -> str:
    """Return what HDF5 stored as text.

    Raises:
        FileDamagedError: it is not UTF-8.
    """
    try:
        return value if isinstance(value, str) else bytes(value).decode("utf-8")
    except (UnicodeDecodeError, TypeError) as error:
        raise FileDamagedError("text that is not UTF-8", where=where) from error


def no_file() -> str:
    """Return a name that no file has: libhdf5 looks for one even where it works in memory."""
    return f"{uuid.uuid4()}.h5"
