"""What an error number means: its cause, an example with what it prints, and the cure."""

import functools
import inspect
import textwrap
from collections.abc import Iterator
from importlib.resources import files

import msgspec

from snn_deploy import errors
from snn_deploy.errors import DeployError, UnknownNameError

WIDTH = 96
"""Columns of the text."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of an error beside its name and its first line."""

    cause: str
    cure: str
    example: str = ""
    """Lines of a shell, in a folder that examples/broken/make.py filled; the last one fails."""

    says: str = ""
    """What its last line prints."""

    without: str = ""
    """Library that is not installed where the example is run."""


@functools.cache
def explanations() -> dict[str, Explanation]:
    """Return all explanations by number."""
    file = files("snn_deploy.deploy").joinpath("explanations.toml")
    return msgspec.toml.decode(file.read_bytes(), type=dict[str, Explanation])


@functools.cache
def classes() -> dict[str, type[DeployError]]:
    """Return all errors by number, in order."""
    found = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, DeployError)]
    return {c.code: c for c in sorted(found, key=lambda c: c.code)}


def explain(code: str) -> str:
    """Return what an error number means.

    Raises:
        UnknownNameError: no error has the number.
    """
    wanted = code.upper() if code.upper().startswith("SNN") else f"SNN{code}"
    if wanted not in classes():
        raise UnknownNameError(
            f"no error has the number {wanted}; there are {', '.join(classes())}"
        )
    return "\n".join(_lines(wanted))


def _lines(code: str) -> Iterator[str]:
    error, known = classes()[code], explanations()[code]
    yield f"{code} {error.__name__}"
    yield ""
    yield _filled(_first(error))
    yield ""
    yield _filled(known.cause)
    if known.example:
        yield ""
        yield from (f"    $ {line}" for line in known.example.strip().splitlines())
        yield from (f"    {line}" for line in known.says.strip().splitlines())
    yield ""
    yield _filled(known.cure)


def _first(error: type[DeployError]) -> str:
    """Return the first paragraph of a docstring."""
    return inspect.cleandoc(error.__doc__ or "").split("\n\n")[0]


def _filled(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, break_on_hyphens=False)


def page() -> str:
    """Return the same of all errors in Markdown, as docs/errors.md has it."""
    lines = [
        "# Every error",
        "",
        "Each has a number, says what is wrong, where, and the way out; `snn-deploy explain 203`",
        "prints what stands here. The examples use the files of `examples/broken/make.py`.",
    ]
    for code, error in classes().items():
        known = explanations()[code]
        lines += ["", f"## {code} {error.__name__}", "", _first(error), "", known.cause]
        if known.example:
            shown = [f"$ {line}" for line in known.example.strip().splitlines()]
            lines += ["", "```console", *shown, *known.says.strip().splitlines(), "```"]
        lines += ["", f"**Cure.** {known.cure}"]
    return "\n".join(lines) + "\n"
