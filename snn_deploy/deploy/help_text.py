"""Docstrings as the help of a command: paragraphs in one line each, which a terminal wraps."""

from collections.abc import Iterator


def unwrapped(docstring: str) -> str:
    """Return a docstring whose sentences go on where the source has broken them.

    Examples, which begin with a prompt, and the names of sections stay lines of their own; so does
    each argument.

    Args:
        docstring: In Google style, as `inspect.cleandoc` gives it.
    """
    return "\n".join(_lines(docstring))


def _lines(docstring: str) -> Iterator[str]:
    held = ""
    for line in docstring.splitlines():
        if held and _goes_on(held, line):
            held = f"{held} {line.strip()}"
            continue
        if held:
            yield held
        held = line
        if not line.strip():
            yield ""
            held = ""
    if held:
        yield held


def _goes_on(held: str, line: str) -> bool:
    """Return whether a line is part of the sentence before it."""
    text = line.strip()
    if not text or text.startswith("$ ") or held.startswith("$ "):
        return False
    depth = len(line) - len(line.lstrip())
    before = len(held) - len(held.lstrip())
    if before:
        return depth > before
    return depth == 0 and not held.endswith(":")
