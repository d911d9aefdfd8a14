"""Memory that runs out is an error with a number and a way out, never called a bug."""

import errno
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from snn_deploy.deploy import cli, evaluating_workers, workers
from snn_deploy.deploy.memory import memory_short
from snn_deploy.errors import MemoryShortError

FIX = (
    "  fix: fewer --samples or a smaller --block, fewer --workers, a smaller data file; or a "
    "higher limit (ulimit -v), a machine with more memory"
)

LIMITED = """
import resource, sys
import numpy as np
from types import SimpleNamespace
from snn_deploy.deploy import cli

def hungry():
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    return np.ones(2**31)

bound = SimpleNamespace(args=(), kwargs={})
cli.build = lambda: SimpleNamespace(parse_args=lambda *words, **how: (hungry, bound, None))
sys.exit(cli.run([]))
"""


def test_a_limit_on_memory_ends_in_a_numbered_error() -> None:
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED],
        capture_output=True,
        text=True,
        env=os.environ | one,
        check=False,
    )
    said = "Unable to allocate 16.0 GiB for an array with shape (2147483648,) and data type "
    assert ended.stderr == f"error[SNN800]: the memory did not suffice: {said}float64\n{FIX}\n"
    assert ended.returncode == cli.ERROR


def test_a_bare_memory_error_is_numbered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hungry() -> None:
        raise MemoryError

    bound = SimpleNamespace(args=(), kwargs={})
    parser = SimpleNamespace(parse_args=lambda *words, **how: (hungry, bound, None))
    monkeypatch.setattr(cli, "build", lambda: parser)
    assert cli.run([]) == cli.ERROR
    assert capsys.readouterr().err == f"error[SNN800]: the memory did not suffice\n{FIX}\n"


def test_a_worker_without_memory_returns_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr(evaluating_workers, "_deployment", hungry)
    task = evaluating_workers.Task.__new__(evaluating_workers.Task)
    for name in ("model", "question", "block", "data"):
        object.__setattr__(task, name, None)
    assert isinstance(workers.run_job(task), MemoryShortError)


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object"),
    ],
)
def test_what_says_that_memory_lacks_is_known_also_as_a_cause(problem: Exception) -> None:
    wrapped = RuntimeError("something of a library")
    wrapped.__cause__ = problem
    assert memory_short(problem) is not None
    assert memory_short(wrapped) is not None


def test_anything_else_is_not_taken_for_lack_of_memory() -> None:
    assert memory_short(OSError(errno.ENOENT, "No such file")) is None
    assert memory_short(ValueError("cannot allocate memory")) is None
