"""What stands for the objects of a pickle: records with their names and attributes, no code.

Readers of layers look at attributes only, so that they read a `Stub` as they read a live module.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, final

HOMES: Final = ("_parameters", "_buffers", "_modules", "_memories")
"""Where a module keeps what it answers for besides its plain attributes; the last one is
SpikingJelly's, for the states of its neurons."""


@final
class Reference:
    """A class or function that the file names. It was not imported, and cannot be called."""

    __slots__ = ("_module", "_qualified", "type_name")

    def __init__(self, module: str, qualified: str) -> None:
        self._module = module
        self._qualified = qualified
        self.type_name = f"{module}.{qualified}"
        """Module and name, such as `sinabs.activation.spike_generation.MultiSpike`."""

    @property
    def __name__(self) -> str:
        """The name without what is around it, as of a live class or function."""
        return self._qualified.rpartition(".")[2]

    def member(self, name: str) -> "Reference":
        """Return the reference to a method or another member of this class."""
        return Reference(self._module, f"{self._qualified}.{name}")

    def __repr__(self) -> str:
        return f"<reference to {self.type_name}>"


@final
class Stub:
    """An object of the file: the name of its class, what built it, and its attributes.

    An attribute is looked for among the plain ones, then among parameters, buffers and child
    modules, as torch does; `args` are what its class was called with, where no attribute of
    that name is there. Names such as `__array_interface__`, with which an object tells Python
    or numpy how to treat it, are never answered from a file.
    """

    __slots__ = ("_stub_args", "_stub_entries", "_stub_state", "type_name")

    def __init__(self, type_name: str, args: tuple[Any, ...] = ()) -> None:
        self.type_name = type_name
        """Module and name of the class, such as `snntorch._neurons.leaky.Leaky`."""

        self._stub_args = args
        self._stub_state: Any = None
        self._stub_entries: list[Any] | dict[Any, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if not (name.startswith("__") and name.endswith("__")):
            plain = attributes(self)
            if name in plain:
                return plain[name]
            for home in HOMES:
                members = plain.get(home)
                if isinstance(members, dict) and name in members:
                    return members[name]
            if name == "args":
                return self._stub_args
        short = self.type_name.rpartition(".")[2]
        raise AttributeError(f"{short!r} object of the file has no attribute {name!r}")

    def named_children(self) -> Iterator[tuple[str, "Stub"]]:
        """Yield the child modules in their order with their names, each of them once."""
        members = attributes(self).get("_modules")
        seen = set()
        for name, child in members.items() if isinstance(members, dict) else ():
            if isinstance(child, Stub) and id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def __repr__(self) -> str:
        return f"<record of a {self.type_name}>"


def attributes(stub: Stub) -> Mapping[str, Any]:
    """Return the plain attributes of an object, as `vars` does of a live one."""
    state = stub._stub_state
    return state if isinstance(state, dict) else {}


def raw_state(stub: Stub) -> Any:
    """Return what an object was given as its state; None: nothing, or attributes."""
    state = stub._stub_state
    return None if isinstance(state, dict) else state


def entries(stub: Stub) -> list[Any] | dict[Any, Any] | None:
    """Return what an object holds whose class is a kind of list, set or dict; None: nothing."""
    return stub._stub_entries


def arguments(stub: Stub) -> tuple[Any, ...]:
    """Return what the class of an object was called with, whatever its attributes."""
    return stub._stub_args


def set_state(stub: Stub, state: Any) -> None:
    """Give an object its state: attributes, which add up, or anything else, as it is.

    Attributes may come in two parts, those of `__dict__` and those of `__slots__`.
    """
    parts = state if _is_split(state) else (state,)
    if not all(part is None or _is_attributes(part) for part in parts):
        stub._stub_state = state
        return
    if not isinstance(stub._stub_state, dict):
        stub._stub_state = {}
    for part in parts:
        stub._stub_state.update(part or {})


def _is_split(state: Any) -> bool:
    return (
        isinstance(state, tuple)
        and len(state) == 2
        and all(part is None or isinstance(part, dict) for part in state)
    )


def _is_attributes(state: Any) -> bool:
    return isinstance(state, dict) and all(isinstance(name, str) for name in state)


def add_elements(stub: Stub, elements: list[Any]) -> bool:
    """Add what is appended to an object; return whether it is no dict already."""
    if stub._stub_entries is None:
        stub._stub_entries = []
    if not isinstance(stub._stub_entries, list):
        return False
    stub._stub_entries += elements
    return True


def add_items(stub: Stub, items: list[tuple[Any, Any]]) -> bool:
    """Add what is stored in an object under keys; return whether it is no list already."""
    if stub._stub_entries is None:
        stub._stub_entries = {}
    if not isinstance(stub._stub_entries, dict):
        return False
    stub._stub_entries.update(items)
    return True


def full_name(named: object) -> str:
    """Return module and name of a class or function, the same for a live one and a reference."""
    if isinstance(named, Reference):
        return named.type_name
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', '')}"
