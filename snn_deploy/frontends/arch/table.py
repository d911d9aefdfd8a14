"""Tables of an architecture file, whose entries are taken one by one: none is passed over."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

import numpy as np

from snn_deploy.errors import FileDamagedError
from snn_deploy.ir.words import meant

WIDEST_INTEGER = 64
"""Bits of a whole number of the file; TOML promises no more."""

Member = TypeVar("Member", bound=Enum)


@dataclass(slots=True)
class Table:
    """A table of the file; what is left once all were taken means nothing."""

    entries: dict[str, Any]
    where: str
    known: list[str] = field(default_factory=list)

    def take(self, key: str, kinds: type | tuple[type, ...], default: Any) -> Any:
        """Return an entry of one of `kinds`, or the default.

        Raises:
            FileDamagedError: it is of another kind; as in all methods.
        """
        self.known.append(key)
        value = self.entries.pop(key, default)
        if value is default:
            return default
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in _all(kinds)):
            names = " or ".join(kind.__name__ for kind in _all(kinds))
            raise FileDamagedError(f"{key} = {value!r:.60} is no {names}", where=self.where)
        return value

    def word(self, key: str, kind: type[Member]) -> Member | None:
        """Return the member of an enum that an entry names; None: it is not there.

        Raises:
            FileDamagedError: it names none.
        """
        value = self.take(key, str, None)
        words = {member.value: member for member in kind}
        if value is None:
            return None
        if value not in words:
            raise FileDamagedError(
                f"{key} = {value!r:.60}", where=self.where, fix=f"one of {', '.join(words)}"
            )
        return words[value]

    def numbers(self, key: str, default: Any = None) -> np.ndarray:
        """Return a finite number, or nested lists of them, in float64.

        Raises:
            FileDamagedError: it is none.
        """
        value = self.take(key, (int, float, list), default)
        try:
            array = np.array(value, np.float64)
        except (TypeError, ValueError, OverflowError):
            array = np.array(math.nan)
        if not np.all(np.isfinite(array)):
            raise FileDamagedError(f"{key} = {value!r:.60} is no number", where=self.where)
        return array

    def numbers_if_any(self, key: str) -> np.ndarray | None:
        """Return the numbers of an entry; None: it is not there."""
        present = key in self.entries
        numbers = self.numbers(key, 0.0)
        return numbers if present else None

    def wholes(self, key: str, default: Any) -> tuple[int, ...]:
        """Return positive whole numbers.

        Raises:
            FileDamagedError: it is no list of them.
        """
        value = self.take(key, list, default)
        if value is default:
            return default
        if not value or not all(type(v) is int and v > 0 for v in value):
            raise FileDamagedError(
                f"{key} = {value!r:.60} is no list of positive whole numbers", where=self.where
            )
        return tuple(value)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return names; None: the entry is not there.

        Raises:
            FileDamagedError: it is no list of texts.
        """
        value = self.take(key, list, None)
        if value is not None and not all(isinstance(v, str) for v in value):
            raise FileDamagedError(f"{key} = {value!r:.60} is no list of names", where=self.where)
        return None if value is None else tuple(value)

    def refuse(self, keys: Iterable[str], because: str) -> None:
        """Refuse entries that another one makes meaningless.

        Raises:
            FileDamagedError: one is there.
        """
        for key in keys:
            if key in self.entries:
                raise FileDamagedError(
                    f"{key} means nothing {because}", where=self.where, fix="leave it out"
                )

    def finish(self) -> None:
        """Refuse what nobody has taken.

        Raises:
            FileDamagedError: with the first such entry, and the nearest known one.
        """
        for key in self.entries:
            raise FileDamagedError(
                f"an architecture has no entry {key!r:.60}",
                where=self.where,
                fix=meant(key, self.known, "" if self.known else "it has none"),
            )


def escaped(text: str) -> str:
    """Return text as a string of TOML has it, without quotes, fit to be shown on a terminal."""
    return "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)


def quoted(text: str) -> str:
    """Return text as a string of TOML."""
    return f'"{escaped(text)}"'


def check_integers(document: Any, where: str) -> None:
    """Refuse whole numbers that are too large to be numbers of a network.

    Raises:
        FileDamagedError: there is one.
    """
    rest = [document]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list):
            rest += value
        elif isinstance(value, int) and value.bit_length() >= WIDEST_INTEGER:
            raise FileDamagedError(
                f"a whole number of {value.bit_length()} bits; TOML has {WIDEST_INTEGER}",
                where=where,
            )


def _all(kinds: type | tuple[type, ...]) -> tuple[type, ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)
