"""Trials that change the file and import everything anew, as a user would.

Started in a copy of the repository; a job's file is as it was when the job is done.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from children import Job, Result, Told, apart, in_child, serve
from covering import OPTIONS, same_draws

LIBRARIES = (
    "numba", "torch", "nir", "h5py", "msgspec", "beartype", "jaxtyping", "hypothesis.extra.numpy",
)  # fmt: skip
"""What most tests import; nothing of the repository."""


class Chosen:
    """Runs the chosen tests in the chosen order and keeps which fail."""

    def __init__(self, tests: list[str]) -> None:
        self.order = {name: index for index, name in enumerate(tests)}
        self.failed: list[str] = []
        self.ran: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.order),
            key=lambda item: self.order[item.nodeid],
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran.add(report.nodeid)
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)


def main() -> None:
    """Import what is no part of the repository, and answer jobs."""
    answers = apart()
    same_draws()
    for name in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(name)
    sys.dont_write_bytecode = True  # else what is compiled of a mutant outlives it
    serve(trial, answers)


def trial(job: Job) -> Result:
    """Run a job in a child and return what became of it."""
    with _changed(job["file"], job["source"]):
        return in_child(job["limit"], lambda: _run(job))


def _run(job: Job) -> Told:
    chosen = Chosen(job["tests"])
    files = list(dict.fromkeys(name.split("::")[0] for name in job["tests"]))
    stop = ["-x"] if job["stop"] else []
    status = pytest.main([*OPTIONS, *stop, *files], plugins=[chosen])
    outcome = "killed" if chosen.failed else "survived" if status == 0 else "import"
    return outcome, chosen.failed, len(chosen.ran)


@contextmanager
def _changed(file: str | None, source: str) -> Iterator[None]:
    """Change a file, and put it back as it was, with its time."""
    if file is None:
        yield
        return
    path = Path(file)
    before, status = path.read_bytes(), path.stat()
    path.write_text(source)
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


if __name__ == "__main__":
    main()
