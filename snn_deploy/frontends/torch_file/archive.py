"""Archives of torch: which kind a file is, and the records of a zip archive, each checked.

torch stores its records without compression, so that they are views of the file. An archive that
was packed again, with deflate, is read too, up to a bound.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from snn_deploy.errors import FileDamagedError
from snn_deploy.frontends.torch_file.storages import damaged
from snn_deploy.ir.sizes import allowed, higher

MOST_RECORDS: Final = 200_000
LONGEST_NAME: Final = 1000

SMALL_UNPACKED: Final = 2**26
UNPACKS_TO: Final = 2
"""What deflate packed may have SMALL_UNPACKED bytes, and this many times those of the file."""

LONGEST_EXTRA: Final = 2**10
"""Bytes of what a directory says about a record besides the usual."""

LOCAL_START: Final = b"PK\x03\x04"
LOCAL: Final = struct.Struct("<26xHH")
"""Before a record: lengths of its name and of what follows that."""

ENTRY_START: Final = b"PK\x01\x02"
ENTRY: Final = struct.Struct("<8xHH4xLLLHHH8xL")
"""Of the directory: flags, method, checksum, size packed and unpacked, lengths of name, extras
and comment, place."""

END_START: Final = b"PK\x05\x06"
END: Final = struct.Struct("<10xHLLH")
"""Entries, bytes and place of the directory, length of a comment."""

LONGEST_COMMENT: Final = 2**16

LOCATOR_START: Final = b"PK\x06\x07"
LOCATOR: Final = struct.Struct("<8xQ4x")
WIDE_END_START: Final = b"PK\x06\x06"
WIDE_END: Final = struct.Struct("<32xQQQ")
"""The same as the end, with room for large archives; the locator says where."""

WIDE: Final = 0xFFFFFFFF
"""In an entry: the number is among the extras, as one of 64 bits."""

WIDE_EXTRA: Final = 1
STORED, DEFLATED = 0, 8
"""Methods of packing."""

ENCRYPTED: Final = 1
"""Flag of a record."""

LEGACY_MAGIC: Final = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The number that torch's older format starts with, as a pickle ends with it."""

LEGACY_START: Final = 32
"""Bytes within which it stands: what precedes it depends on the pickle's protocol."""

TAR_MAGIC: Final = (257, b"ustar")


class ArchiveKind(Enum):
    """What wrote a file, by its first bytes and the names of its records."""

    TORCH = "a file of torch.save"
    LEGACY = "a file of torch.save before torch 1.6"
    TAR = "a file of torch.save before torch 0.2"
    SCRIPT = "a TorchScript archive"
    EXPORTED = "an archive of torch.export"
    PACKAGE = "an archive of torch.package"
    SAFETENSORS = "a safetensors file"
    PICKLE = "a plain pickle"
    NUMPY = "an archive of numpy"
    UNKNOWN = "neither of torch nor a safetensors file"


def archive_kind(content: bytes) -> ArchiveKind:
    """Return what wrote a file. Only names are read; nothing says that the file is sound."""
    if content.startswith((LOCAL_START, b"PK\x05\x06")):
        return _zip_kind(content)
    if content.startswith(b"\x80"):
        is_legacy = LEGACY_MAGIC in content[:LEGACY_START]
        return ArchiveKind.LEGACY if is_legacy else ArchiveKind.PICKLE
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") <= len(content) - 8:
        return ArchiveKind.SAFETENSORS
    if content[TAR_MAGIC[0] :].startswith(TAR_MAGIC[1]):
        return ArchiveKind.TAR
    return ArchiveKind.UNKNOWN


def _zip_kind(content: bytes) -> ArchiveKind:
    try:
        names = {entry.name for entry in _directory(content, "")}
    except FileDamagedError:
        return ArchiveKind.TORCH  # reading it says what is wrong
    inner = {name.partition("/")[2] for name in names}
    signs = {
        ArchiveKind.EXPORTED: not inner.isdisjoint({"models/model.json", "archive_format"})
        or "serialized_exported_program.json" in names,
        ArchiveKind.PACKAGE: ".data/extern_modules" in inner,
        ArchiveKind.SCRIPT: "constants.pkl" in inner
        or any(name.startswith("code/") for name in inner),
        ArchiveKind.TORCH: "data.pkl" in inner,
        ArchiveKind.NUMPY: bool(names) and all(name.endswith(".npy") for name in names),
        ArchiveKind.UNKNOWN: True,
    }
    return next(kind for kind, found in signs.items() if found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What the directory of an archive says about a record."""

    name: str
    flags: int
    method: int
    checksum: int
    packed: int
    """Bytes in the file."""

    size: int
    """Bytes once unpacked."""

    place: int
    """Where its header starts."""


def _directory(content: bytes, where: str) -> list[_Entry]:
    """Return the directory of an archive.

    Raises:
        FileDamagedError: it is none, or has too many records.
    """
    try:
        count, size, place = _directory_place(content)
        if count > allowed(MOST_RECORDS):
            raise FileDamagedError(
                f"an archive of {count} records; at most {allowed(MOST_RECORDS)} are read",
                where=where,
                fix=higher(count, MOST_RECORDS),
            )
        return list(_entries(content, count, place, place + size))
    except (struct.error, ValueError) as error:
        raise damaged("a zip archive that is truncated or damaged", where) from error


def _directory_place(content: bytes) -> tuple[int, int, int]:
    """Return entries, bytes and place of the directory.

    Raises:
        ValueError: there is none.
        struct.error: the end is cut off.
    """
    end = content.rfind(END_START, max(0, len(content) - END.size - LONGEST_COMMENT))
    count, size, place, comment = END.unpack_from(content, _found(end))
    locator = end - LOCATOR.size
    if locator >= 0 and content.startswith(LOCATOR_START, locator):
        (wide,) = LOCATOR.unpack_from(content, locator)
        _found(wide if content.startswith(WIDE_END_START, wide) else -1)
        count, size, place = WIDE_END.unpack_from(content, wide)
    _found(-1 if end + END.size + comment != len(content) or place + size > end else 0)
    return count, size, place


def _found(place: int) -> int:
    if place < 0:
        raise ValueError("not where it belongs")
    return place


def _entries(content: bytes, count: int, place: int, end: int) -> Iterator[_Entry]:
    """Yield `count` entries, which are the bytes from `place` to `end`.

    Raises:
        ValueError: they are not.
        struct.error: an entry is cut off.
    """
    for _ in range(count):
        _found(place if content.startswith(ENTRY_START, place) else -1)
        fields = ENTRY.unpack_from(content, place)
        flags, method, checksum, packed, size, named, extras, comment, header = fields
        name_at = place + ENTRY.size
        extra_at = name_at + named
        place = extra_at + extras + comment
        _found(-1 if place > end or extras > LONGEST_EXTRA else 0)
        wide = _wide(content[extra_at : extra_at + extras])
        size, packed, header = (next(wide) if n == WIDE else n for n in (size, packed, header))
        yield _Entry(
            name=str(content[name_at:extra_at], "utf-8"),
            flags=flags,
            method=method,
            checksum=checksum,
            packed=packed,
            size=size,
            place=header,
        )
    _found(place - end)


def _wide(extras: bytes) -> Iterator[int]:
    """Yield the numbers of 64 bits among the extras of an entry.

    Raises:
        ValueError: there are no more.
    """
    place = 0
    while place + 4 <= len(extras):
        kind, size = struct.unpack_from("<HH", extras, place)
        if kind == WIDE_EXTRA:
            yield from struct.unpack_from(f"<{size // 8}Q", extras, place + 4)
        place += 4 + size
    raise ValueError("a number that is missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """Where the bytes of a record lie."""

    start: int
    entry: _Entry


@final
class Archive:
    """The records of a zip archive that torch wrote, by their names in its folder."""

    __slots__ = ("_content", "_records", "where")

    def __init__(self, content: bytes, where: str) -> None:
        """Check the directory of an archive.

        Raises:
            FileDamagedError: names that lead elsewhere or occur twice, records that overlap,
                are encrypted, or would unpack to far more than the file.
        """
        self.where = where
        self._content = memoryview(content)
        self._records: dict[str, _Record] = {}
        folder = ""
        for entry in _directory(content, where):
            outer, _, name = _checked_name(entry.name, where).partition("/")
            folder = folder or outer
            if outer != folder:
                raise damaged("an archive of more than one folder", where)
            if name.endswith("/") or not name:
                continue
            if name in self._records:
                raise damaged(f"two records of the name {name}", where)
            self._records[name] = self._located(entry, name)
        self._check_room()

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def read(self, name: str) -> memoryview:
        """Return the bytes of a record.

        Raises:
            FileDamagedError: there is no such record, or its checksum is another.
        """
        where = f"{self.where}: {name}"
        record = self._records.get(name)
        if record is None:
            raise damaged("a record that is missing", where)
        entry = record.entry
        content = self._content[record.start : record.start + entry.packed]
        if entry.method == DEFLATED:
            content = _unpacked(content, entry.size, where)
        if zlib.crc32(content) != entry.checksum:
            raise FileDamagedError(
                "a record whose checksum does not fit its bytes",
                where=where,
                fix="copy or download the file again; where it was saved after "
                "torch.serialization.set_crc32_options(False), save it again without",
            )
        return content

    def _located(self, entry: _Entry, name: str) -> _Record:
        where = f"{self.where}: {name}"
        if entry.flags & ENCRYPTED or entry.method not in (STORED, DEFLATED):
            raise damaged("a record that is encrypted, or packed in a way torch never does", where)
        header = bytes(self._content[entry.place : entry.place + LOCAL.size])
        if len(header) < LOCAL.size or not header.startswith(LOCAL_START):
            raise damaged("a record that is not where the directory says", where)
        start = entry.place + LOCAL.size + sum(LOCAL.unpack(header))
        if start + entry.packed > len(self._content):
            raise damaged("a record that reaches beyond the end of the file", where)
        if entry.method == STORED and entry.size != entry.packed:
            raise damaged("a record with two sizes", where)
        return _Record(start=start, entry=entry)

    def _check_room(self) -> None:
        """Refuse records that share bytes, and those that would unpack to far too much."""
        end = 0
        for record in sorted(self._records.values(), key=lambda record: record.start):
            if record.start < end:
                raise damaged("records that overlap", self.where)
            end = record.start + record.entry.packed
        entries = [record.entry for record in self._records.values()]
        unpacked = sum(entry.size for entry in entries if entry.method == DEFLATED)
        limit = SMALL_UNPACKED + UNPACKS_TO * len(self._content)
        if unpacked > allowed(limit):
            raise FileDamagedError(
                f"an archive of {len(self._content)} bytes that unpacks to {unpacked}",
                where=self.where,
                fix="torch.save packs nothing: save it again and do not compress it. Or "
                f"{higher(unpacked, limit)}",
            )


def _checked_name(name: str, where: str) -> str:
    """Return the name of a record, if it is one within a folder."""
    parts = name.removesuffix("/").split("/")
    is_path = any(part in ("", ".", "..") for part in parts) or "\\" in name or ":" in name
    if is_path or len(name) > LONGEST_NAME or not name.isprintable():
        raise damaged(f"a record whose name is no name in a folder: {name[:80]!r}", where)
    return name


def _unpacked(content: memoryview, size: int, where: str) -> memoryview:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        made = unpacker.decompress(content, size + 1)
    except zlib.error as error:
        raise damaged("a packed record that is damaged", where) from error
    if len(made) != size:
        raise damaged("a packed record that is not as long as it says", where)
    return memoryview(made)
