"""Trials in children of a process that has every module and test: a function gets its new code.

Started in a copy of the repository, which it leaves as it is.
"""

import gc
import importlib
import sys
from collections.abc import Iterator
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from children import Job, Result, Told, apart, in_child, serve
from covering import MODULES, OPTIONS, TESTS, same_draws

WARMING = 10
"""Of so many tests one runs before the first trial: it compiles type checks and kernels."""

Swap = tuple[FunctionType, CodeType]
_FUNCTION = 1  # CO_OPTIMIZED: neither a module nor the body of a class


class Tester:
    """Collects all tests, then answers jobs in place of running them."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.items: dict[str, pytest.Item] = {}
        self.functions: dict[tuple[str, str, int], list[FunctionType]] = {}
        self.cached: list[Any] = []
        self.failed: list[str] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Answer jobs instead."""
        for file in sorted(Path().glob("snn_deploy/**/*.py")):
            if file.as_posix().startswith(MODULES):
                importlib.import_module(_module(file.as_posix()))
        self.items = {item.nodeid: item for item in session.items}
        here = str(Path.cwd() / "snn_deploy")
        for thing in gc.get_objects():
            if type(thing) is _lru_cache_wrapper and thing.__module__.startswith("snn_deploy"):
                self.cached.append(thing)
            if type(thing) is FunctionType and thing.__code__.co_filename.startswith(here):
                self.functions.setdefault(_place(thing.__code__), []).append(thing)
        for item in session.items[::WARMING]:
            if item.nodeid.startswith(("tests/ir/", "tests/quantize/", "tests/backends/")):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        self.failed.clear()
        gc.freeze()  # children shall not copy what they do not change
        serve(self.trial, self.answers)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep which tests fail."""
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)

    def trial(self, job: Job) -> Result:
        """Run a job in a child and return what became of it."""
        swaps: list[Swap] | None = []
        if job["file"] is not None:
            swaps = self._swaps(job["file"], job["source"])
        if swaps is None:
            return {"outcome": "new", "failed": [], "ran": 0, "seconds": 0.0}
        return in_child(job["limit"], lambda: self._run(job, swaps))

    def _run(self, job: Job, swaps: list[Swap]) -> Told:
        for function, code in swaps:
            function.__code__ = code
        for cached in self.cached:
            cached.cache_clear()  # what the tests before left there came from other code
        chosen = [self.items[name] for name in job["tests"] if name in self.items]
        count = 0
        for count, item in enumerate(chosen, 1):
            following = chosen[count] if count < len(chosen) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed and job["stop"]:
                break
        return "killed" if self.failed else "survived", self.failed, count

    def _swaps(self, file: str, source: str) -> list[Swap] | None:
        """Return the new code of each changed function; None: more than functions changed."""
        spec: Any = sys.modules[_module(file)].__spec__
        before = spec.loader.source_to_code(Path(file).read_bytes(), spec.origin)
        try:
            after = spec.loader.source_to_code(source.encode(), spec.origin)
        except (SyntaxError, Warning):  # the thorough trial will say so
            return None
        swaps: list[Swap] = []
        for old, new in _differing(before, after):
            found = self.functions.get(_place(old), ()) if old.co_flags & _FUNCTION else ()
            if not found or any(f.__code__.co_freevars != new.co_freevars for f in found):
                return None
            swaps += [(function, new) for function in found]
        return swaps or None


def main() -> None:
    """Collect the tests and answer jobs."""
    answers = apart()
    same_draws()
    tests = [f"tests/{folder}" for folder in TESTS]
    pytest.main([*OPTIONS, "--capture=no", *tests], plugins=[Tester(answers)])


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _place(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _differing(before: CodeType, after: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Yield the outermost functions that differ, or the module or class where it is more."""
    if before == after:
        return
    if before.co_flags & _FUNCTION:
        yield before, after
        return
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (before, after)]
    if _own(before) != _own(after) or len(inner[0]) != len(inner[1]):
        yield before, after
        return
    for old, new in zip(*inner, strict=True):
        yield from _differing(old, new)


def _own(code: CodeType) -> tuple[Any, ...]:
    """Return what a code object does, but for the functions inside it."""
    constants = [repr(c) for c in code.co_consts if not isinstance(c, CodeType)]
    return code.co_code, code.co_names, code.co_varnames, constants


if __name__ == "__main__":
    main()
