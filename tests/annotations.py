"""Annotations checked while tests run: in one test of some the first calls of a function, then few.

A loop calls the same function with the same shapes many thousand times, most functions are called
in hundreds of tests, and a check takes ten times what it checks. So a mistake in an annotation is
found, and the rest is left out.
"""

import dataclasses
import functools
import inspect
import sys
import zlib
from collections.abc import Callable, Iterable
from types import CodeType, ModuleType
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

TESTS = 8
"""In one test of so many, annotations are checked: always in the same ones."""

FIRST = 12
"""Calls of each function that are checked in such a test."""

EACH = 64
"""Of the calls behind them, one in so many is checked too."""

_CALLS: dict[CodeType, int] = {}
"""How often each function was called in this test."""

_on = True
"""Whether this test is one of those."""

_CHECKED = jaxtyping.jaxtyped
_APART = jaxtyping.jaxtyped("context")
"""Where the names of sides are free again, as they are in a function that is checked."""


def check_imports(modules: Iterable[str]) -> None:
    """Check the annotations of all functions and dataclasses of `modules`, imported from now on."""
    checker = ModuleType("snn_deploy_checker")
    checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # type: ignore[attr-defined]
    sys.modules[checker.__name__] = checker  # the hook takes its checker by name
    jaxtyping.jaxtyped = _jaxtyped  # the hook writes this name in front of each function
    jaxtyping.install_import_hook(tuple(modules), f"{checker.__name__}.check")


def start_again(test: str | None = None) -> None:
    """Count every function's calls from 0: a test of this name begins, or one that is checked."""
    global _on  # noqa: PLW0603 - one state for all functions, read in each of their calls
    _on = test is None or zlib.crc32(test.encode()) % TESTS == 0
    _CALLS.clear()


def _jaxtyped(*, typechecker: Any) -> Callable[[Any], Any]:
    """Return what decorates a function or a class, as jaxtyping's own function does."""

    def decorated(thing: Any) -> Any:
        if inspect.isfunction(thing):
            return _at_times(thing, typechecker)
        if not inspect.isclass(thing):
            return _CHECKED(thing, typechecker=typechecker)
        if dataclasses.is_dataclass(thing) and "__init__" in vars(thing):
            thing.__init__ = _at_times(vars(thing)["__init__"], typechecker)  # type: ignore[misc]
        return thing

    return decorated


def _at_times(plain: Any, typechecker: Any) -> Callable[..., Any]:
    """Return a function that is checked in a test's first calls of it, then mostly `plain`."""
    code: CodeType = plain.__code__  # of all functions that one inner `def` makes
    inner = code.co_flags & inspect.CO_NESTED  # a hook of msgspec, which looks at arrays too
    made: list[Callable[..., Any]] = []

    @functools.wraps(plain)
    def called(*args: Any, **given: Any) -> Any:
        if not _on:
            return plain(*args, **given)
        calls = _CALLS[code] = _CALLS.get(code, 0) + 1
        if calls <= FIRST or calls % EACH == 0:
            if not made:
                made.append(_CHECKED(plain, typechecker=typechecker))
            return made[0](*args, **given)
        if not inner:
            return plain(*args, **given)
        with _APART:
            return plain(*args, **given)

    return called
