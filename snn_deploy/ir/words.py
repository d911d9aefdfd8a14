"""Numbers in sentences, names that come near to a wrong one, and texts that are safe to print."""

import difflib
import unicodedata
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


UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Categories of characters that are not to be seen, or that turn round what follows them."""

LAYOUT = {"\n"}
"""Of these, what our own texts are laid out with."""


def unseen(character: str) -> bool:
    """Return whether a character steers what shows it, such as a terminal, or hides in it."""
    return unicodedata.category(character) in UNSEEN


def visible(text: str) -> str:
    """Return a text of several lines with what would steer a terminal replaced.

    Names in it come from files that anybody wrote.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unseen(c) and c not in LAYOUT else c for c in text
    )


def escaped(json: str) -> str:
    """Return a JSON document with the same written as JSON's escapes: it means what it meant."""
    if json.isascii() and "\x7f" not in json:
        return json
    return "".join(_escape(c) if unseen(c) and c not in LAYOUT else c for c in json)


def _escape(character: str) -> str:
    code = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{code[i]:02x}{code[i + 1]:02x}" for i in range(0, len(code), 2))
