"""A machine for pickles that makes data only: it knows each opcode that it follows, refuses the
rest, and neither imports nor calls what a pickle names.

Protocols 2 to 5. Python's own machines are not used: the one in C makes room for as large a memo
as a file asks for, and both hand names and calls to Python before anyone can say no.
"""

import struct
from collections.abc import Callable
from typing import Any, Final, final

from snn_deploy.frontends.torch_file.calls import (
    ARRAY,
    Budget,
    array_of_state,
    call,
    checked_key,
    checked_reference,
)
from snn_deploy.frontends.torch_file.storages import damaged
from snn_deploy.frontends.torch_file.stub import Reference, Stub, add_elements, add_items, set_state

NEWEST_PROTOCOL: Final = 5

LONGEST_INTEGER: Final = 1024
"""Bytes."""

LONGEST_LINE: Final = 500
"""Bytes of a module's or class's name in the old form."""

RENAMED: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Modules by their names in Python 2, which protocol 2 writes."""

STOP: Final = ord(".")

_U2, _U4, _U8, _I4, _F8 = (struct.Struct(form) for form in ("<H", "<I", "<Q", "<i", ">d"))


@final
class Machine:
    """Runs one pickle after another of a file."""

    __slots__ = ("_acts", "_budget", "_content", "_marks", "_memo", "_persistent", "_place",
                 "_stack", "_unbuilt")  # fmt: skip

    def __init__(
        self,
        content: memoryview,
        place: int,
        budget: Budget,
        persistent: Callable[[Any, str], Any],
    ) -> None:
        """Stand at byte `place` of `content`.

        Args:
            content: The file, or what it has as a pickle.
            place: Where the first pickle starts.
            budget: What it may make us do.
            persistent: Returns what an identifier of a thing outside the pickle stands for;
                raises what is wrong with it, at the given place.
        """
        self._content = content
        self._place = place
        self._budget = budget
        self._persistent = persistent
        self._acts = {ord(opcode): act.__get__(self) for opcode, act in OPCODES.items()}
        self._clear()

    @property
    def place(self) -> int:
        """The byte behind the last pickle that was run."""
        return self._place

    def run(self) -> Any:
        """Return what the next pickle makes.

        Raises:
            FileDamagedError: it is none, is damaged, asks for what is no data, or for too much.
            UnknownNodeError: numbers of a type that we do not read.
        """
        self._clear()
        acts, budget = self._acts, self._budget
        while True:
            budget.place = self._place
            opcode = self._take(1)[0]
            if opcode == STOP:
                break
            act = acts.get(opcode)
            if act is None:
                raise damaged(f"pickle opcode 0x{opcode:02x} makes no data", budget.where)
            budget.work()
            act()
        value = self._pop()
        if self._stack or self._marks:
            raise damaged("a pickle that ends too early", budget.where)
        return value

    def _clear(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._unbuilt: dict[int, list[int]] = {}
        """Where in the memo arrays are that have no numbers yet, by identity."""

    def _wrong(self, what: str) -> Exception:
        return damaged(what, self._budget.where)

    # Reading

    def _take(self, size: int) -> memoryview:
        start, end = self._place, self._place + size
        if end > len(self._content):
            raise self._wrong("a pickle that is cut off")
        self._place = end
        return self._content[start:end]

    def _whole(self, form: struct.Struct) -> int:
        return int(form.unpack(self._take(form.size))[0])

    def _line(self) -> str:
        start = self._place
        line = bytes(self._content[start : start + LONGEST_LINE])
        end = line.find(b"\n")
        if end < 0:
            raise self._wrong("a name without an end")
        self._place = start + end + 1
        return self._text_of(line[:end])

    def _text_of(self, content: bytes | memoryview) -> str:
        try:
            return str(content, "utf-8")
        except UnicodeDecodeError as error:
            raise self._wrong("a text that is not UTF-8") from error

    # The stack and the memo

    def _pop(self) -> Any:
        if not self._stack:
            raise self._wrong("a pickle that takes more than it made")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise self._wrong("a pickle that takes more than it made")
        return self._stack[-1]

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _since_mark(self) -> list[Any]:
        if not self._marks:
            raise self._wrong("a pickle that ends what it did not begin")
        members = self._stack
        self._stack = self._marks.pop()
        return members

    def _put(self, index: int) -> None:
        value = self._memo[index] = self._top()
        if isinstance(value, Stub) and value.type_name == ARRAY:
            self._unbuilt.setdefault(id(value), []).append(index)

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise self._wrong("a pickle that recalls what it did not store")
        self._push(self._memo[index])

    # Opcodes, in the order of the table below

    def _proto(self) -> None:
        if self._take(1)[0] > NEWEST_PROTOCOL:
            raise self._wrong("a pickle of a newer protocol")

    def _frame(self) -> None:
        if self._whole(_U8) > len(self._content) - self._place:
            raise self._wrong("a pickle that is cut off")

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> None:
        self._since_mark()

    def _long(self, size: int) -> None:
        if size > LONGEST_INTEGER:
            raise self._wrong("an integer of thousands of digits")
        self._push(int.from_bytes(self._take(size), "little", signed=True))

    def _text(self, size: int) -> None:
        self._push(self._text_of(self._take(size)))

    def _bytes(self, size: int) -> None:
        self._push(bytes(self._take(size)))

    def _tuple(self, size: int) -> None:
        if len(self._stack) < size:
            raise self._wrong("a pickle that takes more than it made")
        members = tuple(self._stack[-size:])
        del self._stack[-size:]
        self._push(members)

    def _frozenset(self) -> None:
        self._push(frozenset(checked_key(each, self._budget) for each in self._since_mark()))

    def _add_elements(self, elements: list[Any]) -> None:
        target = self._top()
        if isinstance(target, list):
            target += elements
        elif not isinstance(target, Stub) or not add_elements(target, elements):
            raise self._wrong(f"elements for a {type(target).__name__}")

    def _append(self) -> None:
        element = self._pop()
        self._add_elements([element])

    def _add_members(self) -> None:
        members = [checked_key(each, self._budget) for each in self._since_mark()]
        target = self._top()
        if isinstance(target, set):
            target.update(members)
        elif not isinstance(target, Stub) or not add_elements(target, members):
            raise self._wrong(f"members for a {type(target).__name__}")

    def _set_items(self, flat: list[Any]) -> None:
        if len(flat) % 2:
            raise self._wrong("a key without a value")
        items = [(checked_key(flat[i], self._budget), flat[i + 1]) for i in range(0, len(flat), 2)]
        target = self._top()
        if isinstance(target, dict):
            target.update(items)
        elif not isinstance(target, Stub) or not add_items(target, items):
            raise self._wrong(f"items for a {type(target).__name__}")

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _refer(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise self._wrong("a class or function whose name is no text")
        reference = Reference(RENAMED.get(module, module), name)
        self._push(checked_reference(reference, self._budget.where))

    def _global(self) -> None:
        module = self._line()
        self._refer(module, self._line())

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._refer(module, name)

    def _call(self, args: Any, named: Any) -> None:
        if not isinstance(named, Reference) or not isinstance(args, tuple):
            raise self._wrong("a call of what is no class or function")
        self._push(call(named.type_name, args, self._budget))

    def _reduce(self) -> None:
        args = self._pop()
        self._call(args, self._pop())

    def _new_keywords(self) -> None:
        keywords, args = self._pop(), self._pop()
        if not isinstance(keywords, dict) or not isinstance(args, tuple):
            raise self._wrong("arguments that are none")
        self._budget.work(len(args))
        self._call((*args, keywords) if keywords else args, self._pop())

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        match target:
            case Stub(type_name=name) if name == ARRAY:
                self._fill(target, state)
            case Stub():
                parts = state if isinstance(state, tuple) else (state,)
                self._budget.work(sum(len(part) for part in parts if isinstance(part, dict)))
                set_state(target, state)
            case dict() | list() | set():  # an attribute of a container, as a state dict's versions
                pass
            case _:
                raise self._wrong(f"a state for a {type(target).__name__}")

    def _fill(self, target: Stub, state: Any) -> None:
        """Put the array in place of its record, also in the memo."""
        made = array_of_state(state, self._budget)
        if made is None:
            set_state(target, state)
            return
        self._stack[-1] = made
        for index in self._unbuilt.pop(id(target), ()):
            self._memo[index] = made

    def _persistent_id(self) -> None:
        self._push(self._persistent(self._pop(), self._budget.where))


OPCODES: Final[dict[str, Callable[[Machine], None]]] = {
    "\x80": Machine._proto,
    "\x95": Machine._frame,
    "(": Machine._mark,
    "0": lambda m: (m._pop(), None)[1],
    "1": Machine._pop_mark,
    "N": lambda m: m._push(None),
    "\x88": lambda m: m._push(True),
    "\x89": lambda m: m._push(False),
    "J": lambda m: m._push(m._whole(_I4)),
    "K": lambda m: m._push(m._take(1)[0]),
    "M": lambda m: m._push(m._whole(_U2)),
    "\x8a": lambda m: m._long(m._take(1)[0]),
    "\x8b": lambda m: m._long(m._whole(_U4)),
    "G": lambda m: m._push(_F8.unpack(m._take(8))[0]),
    "X": lambda m: m._text(m._whole(_U4)),
    "\x8c": lambda m: m._text(m._take(1)[0]),
    "\x8d": lambda m: m._text(m._whole(_U8)),
    "T": lambda m: m._text(m._whole(_U4)),  # texts of Python 2
    "U": lambda m: m._text(m._take(1)[0]),
    "B": lambda m: m._bytes(m._whole(_U4)),
    "C": lambda m: m._bytes(m._take(1)[0]),
    "\x8e": lambda m: m._bytes(m._whole(_U8)),
    "\x96": lambda m: m._push(bytearray(m._take(m._whole(_U8)))),
    ")": lambda m: m._push(()),
    "\x85": lambda m: m._tuple(1),
    "\x86": lambda m: m._tuple(2),
    "\x87": lambda m: m._tuple(3),
    "t": lambda m: m._push(tuple(m._since_mark())),
    "]": lambda m: m._push([]),
    "a": Machine._append,
    "e": lambda m: m._add_elements(m._since_mark()),
    "\x8f": lambda m: m._push(set()),
    "\x90": Machine._add_members,
    "\x91": Machine._frozenset,
    "}": lambda m: m._push({}),
    "s": Machine._set_item,
    "u": lambda m: m._set_items(m._since_mark()),
    "q": lambda m: m._put(m._take(1)[0]),
    "r": lambda m: m._put(m._whole(_U4)),
    "\x94": lambda m: m._put(len(m._memo)),
    "h": lambda m: m._get(m._take(1)[0]),
    "j": lambda m: m._get(m._whole(_U4)),
    "c": Machine._global,
    "\x93": Machine._stack_global,
    "R": Machine._reduce,
    "\x81": Machine._reduce,  # an object made by its class: the same record
    "\x92": Machine._new_keywords,
    "b": Machine._build,
    "Q": Machine._persistent_id,
}
"""What is followed. Not here: INST and OBJ of protocol 0, extension codes, buffers outside the
file, and texts and numbers in the decimal form of protocol 0."""
