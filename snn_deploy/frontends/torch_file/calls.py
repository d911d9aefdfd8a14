"""What the calls that a pickle asks for give: containers, bytes, arrays; a record of any other.

Nothing is called that the file names. The few names below that mean data are understood here, by
their text; their arguments are checked before anything is made of them.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from snn_deploy.frontends.torch_file.storages import Storage, damaged, frozen_view, sizes, view
from snn_deploy.frontends.torch_file.stub import Reference, Stub, arguments, raw_state

LARGEST_KEY: Final = 16
"""Members of a tuple that is a key."""

TUPLE_KEY: Final = 1000
"""Steps that such a key costs."""

MOST_STEPS: Final = 1_000_000
"""Opcodes that a file may have, and elements that they may copy; a tensor takes about 40."""

SMALL_CONTENT: Final = 2**26
VIEWS_PER_BYTE: Final = 4
"""The tensors of a file may have SMALL_CONTENT bytes and this many times those of the file: they
can share a storage, or repeat a number along an axis, but someone will copy them."""

ARRAY: Final = "numpy.ndarray"
DTYPE: Final = "numpy.dtype"

SIMPLE_DTYPE: Final = re.compile(r"[biufcSU][0-9]{1,4}")
"""Numbers and texts of fixed width; others, such as objects, stay records."""

LAST_CHARACTER: Final = 0x10FFFF
SURROGATE_BITS: Final = 11
SURROGATES: Final = 0xD800 >> SURROGATE_BITS
"""Codes of halves of characters, which no text has on its own."""

SCALARS: Final = (str, bytes, int, float, bool, type(None))

LARGEST_INDEX: Final = 2**63
"""Of a key that is an integer. Python hashes larger ones so that many can be made to collide."""


class Budget:
    """What one file may still make us do and hold, and where in it we are."""

    __slots__ = ("_bytes", "_steps", "name", "place")

    def __init__(self, name: str, content: int) -> None:
        self.name = name
        """What the pickle is called in errors."""

        self.place = 0
        """The byte of it that is followed."""

        self._steps = MOST_STEPS
        self._bytes = SMALL_CONTENT + VIEWS_PER_BYTE * content

    @property
    def where(self) -> str:
        """The place for errors."""
        return f"{self.name}, byte {self.place}"

    def work(self, steps: int = 1) -> None:
        """Spend steps: opcodes, and elements that are copied.

        Raises:
            FileDamagedError: there are no more.
        """
        self._steps -= steps
        if self._steps < 0:
            raise damaged("the pickle has more to do than any network needs", self.where)

    def hold(self, content: int) -> None:
        """Spend bytes of an array or a text that is copied.

        Raises:
            FileDamagedError: there are no more.
        """
        self._bytes -= content
        if self._bytes < 0:
            raise damaged("the tensors are many times larger than the file", self.where)


def checked_key(key: Any, budget: Budget) -> Any:
    """Return a key of a dict or a member of a set, if it can be hashed in no time.

    Raises:
        FileDamagedError: it cannot.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) > LARGEST_KEY:
        raise damaged(f"a key that is a tuple of {len(parts)}", budget.where)
    for part in parts:
        if isinstance(part, int) and abs(part) >= LARGEST_INDEX:
            raise damaged("a key that is too large an integer", budget.where)
        if not isinstance(part, (*SCALARS, Reference, Stub)):
            raise damaged(f"a key that is a {type(part).__name__}", budget.where)
    if parts is key:  # tuples can be made whose hashes collide: let there be few
        budget.work(TUPLE_KEY)
    return key


def call(name: str, args: tuple[Any, ...], budget: Budget) -> Any:
    """Return what calling `name` with `args` gives, where that is data; else the record of it.

    Raises:
        FileDamagedError: arguments that it never has.
        UnknownNodeError: numbers of a type that we do not read.
    """
    known = CALLS.get(name)
    made = None if known is None else known(args, budget)
    return Stub(name, args) if made is None else made


def _ordered_dict(args: tuple[Any, ...], budget: Budget) -> Any:
    match args:
        case ():
            return {}
        case (list() | tuple() as pairs,):
            return _dict_of(pairs, budget)
        case (dict() as items,):
            budget.work(len(items))
            return dict(items)
    return None


def _dict_of(pairs: list[Any] | tuple[Any, ...], budget: Budget) -> Any:
    made = {}
    budget.work(len(pairs))
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return None
        made[checked_key(pair[0], budget)] = pair[1]
    return made


def _default_dict(args: tuple[Any, ...], budget: Budget) -> Any:
    return _ordered_dict(args[1:], budget)


def _collection(kind: Callable[[Any], Any]) -> Callable[[tuple[Any, ...], Budget], Any]:
    """Return what makes a list, tuple or deque of another collection."""

    def make(args: tuple[Any, ...], budget: Budget) -> Any:
        members = args[0] if args else ()
        if not isinstance(members, list | tuple | set | frozenset | dict):
            return None
        budget.work(len(members))
        return kind(members)

    return make


def _set(kind: Callable[[Any], Any]) -> Callable[[tuple[Any, ...], Budget], Any]:
    """Return what makes a set of a list."""

    def make(args: tuple[Any, ...], budget: Budget) -> Any:
        members = args[0] if args else ()
        if not isinstance(members, list | tuple):
            return None
        budget.work(len(members))
        return kind(checked_key(member, budget) for member in members)

    return make


def _bytes(kind: Callable[[bytes], Any]) -> Callable[[tuple[Any, ...], Budget], Any]:
    """Return what makes bytes of bytes, or of a text as old protocols store them."""

    def make(args: tuple[Any, ...], budget: Budget) -> Any:
        match args:
            case ():
                return kind(b"")
            case (bytes() | bytearray() as content,):
                budget.hold(len(content))
                return kind(bytes(content))
            case (str() as text, str("latin1" | "latin-1")):
                budget.hold(len(text))
                try:
                    return kind(text.encode("latin-1"))
                except UnicodeEncodeError as error:
                    raise damaged("bytes that are none", budget.where) from error
        return None

    return make


def _complex(args: tuple[Any, ...], budget: Budget) -> Any:
    match args:
        case (int() | float() as real, int() | float() as imaginary):
            return complex(float(real), float(imaginary))
    return None


def _getattr(args: tuple[Any, ...], budget: Budget) -> Any:
    """Return the reference to a method: of a class, or bound to an object of one."""
    match args:
        case (Reference() as owner, str() as name):
            return checked_reference(owner.member(name), budget.where)
        case (Stub() as owner, str() as name):
            module, _, kind = owner.type_name.rpartition(".")
            return checked_reference(Reference(module, kind).member(name), budget.where)
    return None


LONGEST_NAME: Final = 500
"""Characters of the full name of a class or function."""


def checked_reference(reference: Reference, where: str) -> Reference:
    """Return a reference whose name can be one.

    Raises:
        FileDamagedError: it cannot: too long, or not printable.
    """
    name = reference.type_name
    if len(name) > LONGEST_NAME or not name.isprintable() or " " in name:
        raise damaged("a class or function whose name is none", where)
    return reference


def _tensor(args: tuple[Any, ...], budget: Budget) -> Any:
    """Return a tensor: (storage, offset, size, stride, ...)."""
    match args:
        case ((str() as kind, Storage() as storage), *layout) if kind:
            return _view(storage, kind, layout, budget)
    raise damaged("a tensor without a storage", budget.where)


def _tensor_of_kind(args: tuple[Any, ...], budget: Budget) -> Any:
    """Return a tensor whose storage is bytes: (..., requires_grad, hooks, dtype)."""
    match args:
        case ((_, Storage() as storage), *layout, _, _, Reference() as dtype) if len(layout) == 3:
            return _view(storage, dtype.type_name.removeprefix("torch."), layout, budget)
    raise damaged("a tensor without a storage", budget.where)


def _view(storage: Storage, kind: str, layout: list[Any], budget: Budget) -> np.ndarray:
    """Return a tensor by the offset, size and stride that `layout` starts with."""
    if len(layout) < 3:
        raise damaged("a tensor without offset, size or stride", budget.where)
    offset, size, stride = layout[:3]
    made = view(storage.numbers(kind, budget.where), offset, size, stride, budget.where)
    budget.hold(made.nbytes)
    return made


def _parameter(args: tuple[Any, ...], budget: Budget) -> Any:
    """Return the tensor of a parameter: (tensor, requires_grad, ...)."""
    match args:
        case (np.ndarray() | Stub() as tensor, *_):
            return tensor
    return None


def _tensor_of_type(args: tuple[Any, ...], budget: Budget) -> Any:
    """Return a tensor that has attributes of its own: (how, class, arguments, state)."""
    match args:
        case (Reference() as how, Reference(), tuple() as arguments_, *_) if how.type_name in (
            "torch._utils._rebuild_tensor_v2",
            "torch._utils._rebuild_tensor_v3",
        ):
            return call(how.type_name, arguments_, budget)
    return None


def _scalar(args: tuple[Any, ...], budget: Budget) -> Any:
    """Return a number of numpy: (dtype, bytes)."""
    match args:
        case (Stub() as stored, bytes() as content):
            made = _array(content, stored, (1,), "C", budget)
            return None if made is None else made[0]
    return None


def _from_buffer(args: tuple[Any, ...], budget: Budget) -> Any:
    """Return an array of numpy: (bytes, dtype, shape, order)."""
    match args:
        case (bytes() | bytearray() as content, Stub() as stored, shape, str("C" | "F") as order):
            return _array(content, stored, shape, order, budget)
    return None


def _empty_array(args: tuple[Any, ...], _budget: Budget) -> Any:
    """Return the record of an array that gets its shape and numbers later, as its state."""
    return Stub(ARRAY, args)


def array_of_state(state: Any, budget: Budget) -> np.ndarray | None:
    """Return the array that numpy means by (version, shape, dtype, is_fortran, bytes).

    None: its members are no numbers and no texts.

    Raises:
        FileDamagedError: a shape that is none, or not that many bytes.
    """
    match state:
        case (int(), shape, Stub() as stored, bool() as fortran, bytes() | bytearray() as content):
            return _array(content, stored, shape, "F" if fortran else "C", budget)
    return None


def _array(
    content: bytes | bytearray, stored: Stub, shape: Any, order: Any, budget: Budget
) -> np.ndarray | None:
    kind = _dtype(stored)
    if kind is None:
        return None
    shape = sizes(shape, budget.where)
    if math.prod(shape) * kind.itemsize != len(content) or kind.itemsize == 0:
        raise damaged(f"an array of shape {shape} in {len(content)} bytes", budget.where)
    budget.hold(len(content))
    values = np.frombuffer(bytes(content), kind)
    if not kind.isnative:
        values = values.astype(kind.newbyteorder("="))
    if not _is_sound(values):
        raise damaged("truth values or characters that are none", budget.where)
    return frozen_view(values.reshape(shape, order=order))


def _is_sound(values: np.ndarray) -> bool:
    """Return whether truth values are 0 or 1, and characters are some of Unicode's."""
    if values.dtype.kind == "b":
        return bool(values.view(np.uint8).max(initial=0) <= 1)
    if values.dtype.kind == "U":
        code = values.view(np.uint32)
        return not ((code > LAST_CHARACTER) | ((code >> SURROGATE_BITS) == SURROGATES)).any()
    return True


def _dtype(stored: Stub) -> np.dtype[Any] | None:
    """Return the dtype that a record stands for: ("f4", align, copy), (version, order, ...)."""
    args, state = arguments(stored), raw_state(stored)
    if stored.type_name != DTYPE or not args or not isinstance(args[0], str):
        return None
    if SIMPLE_DTYPE.fullmatch(args[0]) is None:
        return None
    try:
        kind = np.dtype(args[0])
    except TypeError:
        return None
    match state:
        case (int(), str("<"), *_):
            return kind.newbyteorder("<")
        case (int(), str(">"), *_):
            return kind.newbyteorder(">")
    return kind


Make = Callable[[tuple[Any, ...], Budget], Any]
"""Makes the data of a call, or None where the arguments are none that it is understood with."""

_PYTHON: Final[dict[str, Make]] = {
    "list": _collection(list),
    "tuple": _collection(tuple),
    "dict": _ordered_dict,
    "set": _set(set),
    "frozenset": _set(frozenset),
    "bytes": _bytes(bytes),
    "bytearray": _bytes(bytearray),
    "complex": _complex,
    "getattr": _getattr,
}

_NUMPY: Final[dict[str, Make]] = {
    "multiarray._reconstruct": _empty_array,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}

CALLS: Final[dict[str, Make]] = {
    **{f"builtins.{name}": _PYTHON[name] for name in _PYTHON},
    **{f"{home}.{name}": _NUMPY[name] for home in ("numpy.core", "numpy._core") for name in _NUMPY},
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _ordered_dict,
    "collections.defaultdict": _default_dict,
    "collections.deque": _collection(list),
    "torch.Size": _collection(tuple),
    "_codecs.encode": _bytes(bytes),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_kind,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.nn.parameter.Buffer": _parameter,
    "torch._tensor._rebuild_from_type_v2": _tensor_of_type,
}
"""What is understood, by its full name. Everything else becomes a record."""
