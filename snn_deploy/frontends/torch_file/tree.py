"""What a pickle made, before anyone walks through it: neither endless nor enormous.

A pickle of a few hundred bytes can hold itself, or a list of two lists of two lists, and so on,
that no one ever gets through.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import numpy as np

from snn_deploy.frontends.torch_file.storages import damaged
from snn_deploy.frontends.torch_file.stub import Stub, arguments, attributes, entries, raw_state

DEEPEST: Final = 100
"""Containers within containers, or modules within modules."""

MOST_VALUES: Final = 4_000_000
"""Values that one meets on a walk, each as often as one comes by."""

WAITS: Final = (0, 0)
CONTAINERS: Final = (dict, list, tuple, set, frozenset, Stub)

MODULES: Final = "_modules"
TENSORS: Final = ("_parameters", "_buffers")


def check_tree(root: Any, where: str) -> None:
    """Check all values that can be reached from `root`.

    Objects may refer to each other in circles, as long as they are not each other's child
    modules; containers may not.

    Raises:
        FileDamagedError: circles, or too deep, or too much; or a module whose children are no
            modules.
    """
    values = _Walk(_members, "values", where)
    values.check([root])
    stubs = values.take_stubs()
    for stub in stubs:  # grows as further ones are met
        values.check(_parts(stub))
        stubs += values.take_stubs()
    members = 0
    for stub in stubs:
        members += _checked_module(stub, where)
        if members > MOST_VALUES:
            raise damaged(f"more than {MOST_VALUES} members of modules", where)
    _Walk(_children, "modules", where).check(stubs)


def _members(value: Any) -> Collection[Any]:
    """Return what a container holds; keys are scalars, or tuples of them."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple | set | frozenset) else ()


def _children(stub: Any) -> Collection[Any]:
    members = attributes(stub).get(MODULES) or {}
    return [child for child in members.values() if child is not None]


def _parts(stub: Stub) -> list[Any]:
    parts = [attributes(stub), arguments(stub), raw_state(stub), entries(stub)]
    return [part for part in parts if isinstance(part, CONTAINERS) and part]


def _checked_module(stub: Stub, where: str) -> int:
    """Return how many parameters, buffers and children an object has, which must be such."""
    plain, found = attributes(stub), 0
    for home in (MODULES, *TENSORS):
        members = plain.get(home)
        if members is None:
            continue
        kinds = (Stub,) if home == MODULES else (Stub, np.ndarray)
        if not isinstance(members, dict) or not all(
            isinstance(name, str) and (member is None or isinstance(member, kinds))
            for name, member in members.items()
        ):
            raise damaged(f"a {stub.type_name} whose {home} are none", where)
        found += len(members)
    return found


class _Walk:
    """Goes through all values below some, each once; parents wait on a stack of its own."""

    def __init__(self, members: Callable[[Any], Collection[Any]], noun: str, where: str) -> None:
        self._members = members
        self._noun = noun
        self._where = where
        self._known: dict[int, tuple[int, int]] = {}
        """Depth and size of a value, by identity; WAITS while its members are looked at."""

        self._stubs: list[Stub] = []

    def take_stubs(self) -> list[Stub]:
        """Return the objects that were met since the last time."""
        stubs, self._stubs = self._stubs, []
        return stubs

    def check(self, roots: list[Any]) -> None:
        """Check all below `roots`.

        Raises:
            FileDamagedError: something holds itself, or is too deep or too large.
        """
        stack = list(roots)
        while stack:
            value = stack[-1]
            known = self._known.get(id(value))
            if known is None:
                self._known[id(value)] = WAITS
                stack += self._new_below(value)
                continue
            stack.pop()
            if known == WAITS:
                self._known[id(value)] = self._measured(value)

    def _below(self, value: Any) -> Iterator[Any]:
        """Yield the members of a value that can have members."""
        for member in self._members(value):
            if isinstance(member, CONTAINERS):
                yield member

    def _new_below(self, value: Any) -> list[Any]:
        if isinstance(value, Stub):
            self._stubs.append(value)
        new = []
        for member in self._below(value):
            known = self._known.get(id(member))
            if known == WAITS:
                raise damaged(f"{self._noun} that hold themselves", self._where)
            if known is None:
                new.append(member)
        return new

    def _measured(self, value: Any) -> tuple[int, int]:
        depth, size = 1, 1 + len(self._members(value))
        for member in self._below(value):
            deep, large = self._known[id(member)]
            depth, size = max(depth, deep + 1), size + large
        if depth > DEEPEST:
            raise damaged(f"{self._noun} more than {DEEPEST} deep in each other", self._where)
        if size > MOST_VALUES:
            raise damaged(f"more than {MOST_VALUES} {self._noun} to go through", self._where)
        return depth, size
