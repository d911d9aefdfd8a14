"""Memory that runs out is an error with a number and a way out, never called a bug."""

import errno
import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy import cli, evaluating_workers, workers
from snn_deploy.deploy.data import data_from
from snn_deploy.deploy.memory import memory_short
from snn_deploy.errors import DeployError, MemoryShortError
from snn_deploy.frontends.hdf5 import Hdf5File
from snn_deploy.ir.room import check_short
from snn_deploy.ir.store import unpack

FIX = "  fix: a higher limit (ulimit -v), a machine with more memory"

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


def test_the_way_out_suits_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def evaluate() -> None:
        raise MemoryError

    bound = SimpleNamespace(args=(), kwargs={})
    parser = SimpleNamespace(parse_args=lambda *words, **how: (evaluate, bound, None))
    monkeypatch.setattr(cli, "build", lambda: parser)
    assert cli.run([]) == cli.ERROR
    assert capsys.readouterr().err == (
        "error[SNN800]: the memory did not suffice\n"
        "  fix: a smaller --block, fewer --workers; or a higher limit (ulimit -v), a machine with "
        "more memory\n"
    )


def test_a_worker_without_memory_returns_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr(evaluating_workers, "_deployment", hungry)
    task = evaluating_workers.Task.__new__(evaluating_workers.Task)
    for name in ("model", "question", "block", "data"):
        object.__setattr__(task, name, None)
    found = workers.run_job(task)
    assert isinstance(found, MemoryShortError)
    assert found.fix.startswith("smaller blocks need less memory: --block N; fewer workers too; or")


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
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


# --- under a limit on the address space --------------------------------------------------------


def ended_under(limit: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command with so many MiB of address space; a command that hangs is an error."""

    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit * 2**20, limit * 2**20))

    code = "import sys; from snn_deploy.deploy.cli import main; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(snn_deploy.__file__).parents[1])},
        preexec_fn=set_limit,
        timeout=300,
        check=False,
    )


def no_room(what: str, room: int, limit: int) -> str:
    return (
        f"error[SNN800]: {what} takes {room} MiB, and the limit on this process, {limit} MiB, "
        "leaves less\n"
        "  fix: a higher limit, such as ulimit -v 2000000, or none: ulimit -v unlimited\n"
    )


def test_an_export_without_room_for_numpy_is_an_error_that_writes_nothing(
    demo_network: Path, tmp_path: Path
) -> None:
    ended = ended_under(160, "export", str(demo_network), "--output", str(tmp_path / "net"))
    assert (ended.returncode, ended.stdout) == (cli.ERROR, "")
    assert ended.stderr == no_room("loading numpy and h5py", 160, 160)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def artifact(demo_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limited") / "net"
    snn_deploy.export(demo_network, output=folder)
    np.savez(folder.parent / "d.npz", input=np.ones((2, 1, 28, 28)), label=np.zeros(2, int))
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "--input"),
        ("evaluate", "--workers", "2", "--block", "1", "--no-real", "--data"),
    ],
)
def test_where_the_compiler_has_no_room_there_is_an_error_and_no_hang(
    artifact: Path, words: tuple[str, ...]
) -> None:
    command, *options = words
    ended = ended_under(440, command, str(artifact), *options, str(artifact.parent / "d.npz"))
    assert (ended.returncode, ended.stdout) == (cli.ERROR, "")
    assert ended.stderr == no_room("loading numba and compiling with it", 480, 440)


# --- a short memory is no damage ---------------------------------------------------------------


def asked_for(shape: tuple[int, ...]) -> MemoryError:
    """Return what numpy raises for an array that memory has no room for."""
    problem = MemoryError(f"Unable to allocate an array with shape {shape}")
    problem.shape, problem.dtype = shape, np.dtype(np.int8)  # type: ignore[attr-defined]
    return problem


def test_an_array_that_the_file_can_hold_says_that_memory_is_short() -> None:
    with pytest.raises(MemoryError):
        check_short(asked_for((1100, 7)), 7)
    with pytest.raises(MemoryError):
        check_short(MemoryError(), 7)
    check_short(asked_for((1100, 8)), 7)  # more than seven bytes unpack to: damaged
    check_short(OSError("memory allocation failed"), 7)  # HDF5 says so, and there is plenty
    check_short(ValueError("bad header"), 7)


def archive() -> bytes:
    content = io.BytesIO()
    np.savez(content, input=np.ones((3, 4, 5), np.uint8), label=np.zeros(3, int))
    return content.getvalue()


def unpacked(folder: Path) -> None:
    unpack(archive())


def read_npz(folder: Path) -> None:
    (folder / "d.npz").write_bytes(archive())
    data_from(folder / "d.npz", ("input",))


def read_hdf5(folder: Path) -> None:
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file["x"] = np.ones(9)
    source = Hdf5File(where="x.h5", image=image.getvalue(), kind="NIR files", writer="nir.write")
    with source.opened() as file:
        source.value(file["x"], "x.h5")


@pytest.mark.parametrize(
    ("read", "inside"),
    [
        (unpacked, "numpy.lib.format.read_array"),
        (read_npz, "numpy.frombuffer"),
        (read_hdf5, "h5py.Dataset.__getitem__"),
    ],
)
def test_a_reader_that_has_no_memory_does_not_call_the_file_damaged(
    read: Callable[[Path], None], inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(tmp_path)

    def hungry(*given: object, **named: object) -> None:
        raise asked_for((8,))

    monkeypatch.setattr(inside, hungry)
    with pytest.raises(MemoryError) as problem:
        read(tmp_path)
    assert not isinstance(problem.value, DeployError)
