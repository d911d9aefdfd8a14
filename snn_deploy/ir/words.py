"""Numbers in sentences, and names that come near to a wrong one."""

import difflib
from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """Return `number` with its noun, such as `1 step` and `2 steps`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


LIKENESS = 0.7
"""Least share of letters, in order, that a wrong name has in common with one it may stand for."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the name in `known` that `word` is most like; empty: it is like none."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=LIKENESS)), "")


def meant(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the way out for a wrong name: the nearest of `known`, or `otherwise`, or all."""
    names = list(known)
    near = nearest(word, names)
    return f"is {near!r} meant?" if near else otherwise or f"known are {', '.join(names)}"
