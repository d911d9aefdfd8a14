"""The two formats of torch.save: a zip archive, and before torch 1.6 a row of pickles."""

from typing import Any, Final, final

from snn_deploy.errors import FileDamagedError
from snn_deploy.frontends.torch_file.archive import Archive
from snn_deploy.frontends.torch_file.calls import Budget
from snn_deploy.frontends.torch_file.machine import Machine
from snn_deploy.frontends.torch_file.storages import STORAGES, Storage, damaged, item_size
from snn_deploy.frontends.torch_file.stub import Reference

LARGEST_PICKLE: Final = 2**26
"""Bytes of what torch pickles beside the numbers of tensors."""

LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL: Final = 1001

COUNT_SIZE: Final = 8
"""Bytes of the number of values that precede a storage of the older format."""

SAVE_STATE: Final = "save the state dict: torch.save(model.state_dict(), 'model.pt')"


def read_zipped(content: bytes, where: str) -> Any:
    """Return the root object of a zip archive.

    Raises:
        FileDamagedError: truncated, damaged or hostile.
        UnknownNodeError: numbers of a type that we do not read.
    """
    archive = Archive(content, where)
    pickled = archive.read("data.pkl")
    if len(pickled) > LARGEST_PICKLE:
        raise FileDamagedError(
            f"the pickle has {len(pickled)} bytes; at most {LARGEST_PICKLE} are read",
            where=f"{where}: data.pkl",
            fix=SAVE_STATE,
        )
    big_endian = _is_big_endian(archive)
    storages: dict[str, Storage] = {}

    def storage_of(identifier: Any, place: str) -> tuple[str, Storage]:
        kind, key, size, _ = _storage_id(identifier, place)
        if key not in storages:
            record = archive.read(f"data/{key}")
            if len(record) != size * item_size(kind or BYTE, place):
                raise damaged(f"a storage of {len(record)} bytes has not {size} values", place)
            storages[key] = Storage(record, big_endian=big_endian)
        return kind, storages[key]

    budget = Budget(f"{where}: data.pkl", len(content))
    machine = Machine(pickled, 0, budget, storage_of)
    root = machine.run()
    if machine.place != len(pickled):
        raise damaged("a pickle with something behind its end", budget.where)
    return root


def _is_big_endian(archive: Archive) -> bool:
    if "byteorder" not in archive:
        return False
    order = bytes(archive.read("byteorder"))
    if order not in (b"little", b"big"):
        raise damaged("an order of bytes that is none", f"{archive.where}: byteorder")
    return order == b"big"


BYTE: Final = "uint8"
"""How the values are counted of a storage whose type only its tensors say."""


def _storage_id(identifier: Any, place: str) -> tuple[str, str, int, Any]:
    """Return type, key, number of values and part of ("storage", class, key, device, ...).

    The type is empty where only the tensors of a storage say it; the part is one of a larger
    storage, and only in the older format.
    """
    match identifier:
        case (str("storage"), Reference() as stored, str() as key, str(), int() as size, *rest):
            if size >= 0 and len(rest) <= 1:
                name = stored.__name__
                kind = "" if name == "UntypedStorage" else STORAGES.get(name, name)
                return kind, key, size, rest[0] if rest else None
    raise damaged("a reference to what is no storage", place)


def read_legacy(content: bytes, where: str) -> Any:
    """Return the root object of a file of the older format.

    It is a row of pickles, and then the storages: their types are known only once the tensors
    were read. So these are read twice, the first time without numbers.

    Raises:
        FileDamagedError: truncated, damaged or hostile.
        UnknownNodeError: numbers of a type that we do not read.
    """
    view = memoryview(content)
    budget = Budget(where, len(content))
    storages = _LegacyStorages(where)
    machine = Machine(view, 0, budget, storages.of)
    magic, protocol, _ = machine.run(), machine.run(), machine.run()
    if not (_is(magic, LEGACY_MAGIC) and _is(protocol, LEGACY_PROTOCOL)):
        raise damaged("the older format of torch.save, but not its protocol", where)
    start = machine.place
    machine.run()
    keys = machine.run()
    storages.read(view, machine.place, keys)
    return Machine(view, start, budget, storages.of).run()


def _is(value: Any, number: int) -> bool:
    return type(value) is int and value == number


@final
class _LegacyStorages:
    """The storages of the older format: without numbers until `read`."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._wanted: dict[str, tuple[str, int]] = {}
        self._content: dict[str, memoryview] = {}
        self._storages: dict[tuple[str, str], Storage] = {}

    def of(self, identifier: Any, place: str) -> Any:
        """Return type and storage, or the class that is stored with its source text."""
        match identifier:
            case (str("module"), Reference() as named, _, _):
                return named
        kind, key, size, part = _storage_id(identifier, place)
        if self._wanted.setdefault(key, (kind, size)) != (kind, size):
            raise damaged("a storage of two types or sizes", place)
        name, content = "", self._content.get(key)
        match part:
            case None:
                pass
            case (str() as name, int() as first, int() as values) if first >= 0 and values >= 0:
                width = item_size(kind or BYTE, place)
                content = content and content[first * width : (first + values) * width]
            case _:
                raise damaged("a part of a storage that is none", place)
        if (key, name) not in self._storages:
            self._storages[key, name] = Storage(content)
        return kind, self._storages[key, name]

    def read(self, view: memoryview, place: int, keys: Any) -> None:
        """Find the bytes of all storages that were asked for, in the order of `keys`.

        Raises:
            FileDamagedError: these are others, or do not fill the file from `place` to its end.
        """
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise damaged("a list of storages that is none", self._where)
        if sorted(self._wanted) != sorted(keys):
            raise damaged("storages that are not those of the tensors", self._where)
        for key in keys:
            kind, size = self._wanted[key]
            start = place + COUNT_SIZE
            end = start + size * item_size(kind or BYTE, self._where)
            if end > len(view) or int.from_bytes(view[place:start], "little") != size:
                raise damaged("a storage that is cut off, or has another size", self._where)
            self._content[key] = view[start:end]
            place = end
        if place != len(view):
            raise damaged("something behind the last storage", self._where)
        self._storages.clear()
