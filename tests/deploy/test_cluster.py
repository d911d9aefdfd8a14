"""On a Dask cluster, killed workers change no byte of a result; without any, there is an error."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nir
import numpy as np
import pytest
from strategies import unchecked

import snn_deploy
from snn_deploy.deploy import pools
from snn_deploy.deploy.cli import ERROR, OK, run
from snn_deploy.errors import WorkersLostError

pytest.importorskip("distributed")
pytest.importorskip("optuna")

pytestmark = pytest.mark.filterwarnings("default")  # distributed's own

BLOCKS = 12

HOLD = '''
import os, pathlib, threading
from distributed.diagnostics.plugin import WorkerPlugin

HERE = pathlib.Path(os.environ["HELD_IN"])  # a preloaded file is run as a copy of itself

class Hold(WorkerPlugin):
    """The first worker to begin its third task, once armed, says so and stands still."""

    begun = 0

    def transition(self, key, start, finish, **more):
        if finish != "executing" or not (HERE / "armed").exists():
            return
        self.begun += 1
        if self.begun < 3:
            return
        try:
            (HERE / "armed").rename(HERE / f"held.{os.getpid()}")
        except FileNotFoundError:  # another one was first
            return
        threading.Event().wait()  # what it is at will never be sent

async def dask_setup(worker):
    await worker.plugin_add(Hold())
'''


def wait_for(true: Callable[[], object], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


class Cluster:
    """A scheduler and workers, each a process; whoever died is replaced when asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.scheduler: subprocess.Popen[str] | None = None
        self.workers: list[subprocess.Popen[str]] = []
        (folder / "hold.py").write_text(HOLD)

    def _started(self, what: str, *words: str) -> subprocess.Popen[str]:
        package = str(Path(snn_deploy.__file__).parents[1])
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "text": True}
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *words]
        environment = {**os.environ, "PYTHONPATH": package, "HELD_IN": str(self.folder)}
        return subprocess.Popen(command, env=environment, **options)  # type: ignore[call-overload]

    def ready(self, workers: int = 2) -> str:
        """Return the address of a scheduler with so many workers."""
        from distributed import Client

        if self.scheduler is None or self.scheduler.poll() is not None:
            said = self.folder / "scheduler.json"
            said.unlink(missing_ok=True)
            words = ("--port", "0", "--host", "127.0.0.1", "--no-dashboard")
            self.scheduler = self._started("scheduler", *words, "--scheduler-file", str(said))
            wait_for(lambda: said.exists() and said.read_text().endswith("}"))
            self.address = json.loads(said.read_text())["address"]
            self.end(self.workers)
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        words = ("--no-nanny", "--no-dashboard", "--nthreads", "1")
        while len(self.workers) < workers:
            preload = ("--preload", str(self.folder / "hold.py"))
            self.workers.append(self._started("worker", self.address, *words, *preload))
        with Client(self.address, set_as_default=False) as client:
            wait_for(lambda: len(client.nthreads()) == workers)
        return self.address

    @contextlib.contextmanager
    def killing(self, kill: Callable[[int], None]) -> Iterator[None]:
        """Call `kill` with the process of a worker that stands still, while the block runs."""
        over, killed = threading.Event(), list[int]()

        def watch() -> None:
            while not (marks := list(self.folder.glob("held.*"))):
                if over.wait(0.02):
                    return
            (mark,) = marks
            mark.unlink()
            process = int(mark.suffix[1:])
            kill(process)
            killed.append(process)

        (self.folder / "armed").touch()
        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join()
        assert killed, "it was over before a worker was killed"

    @staticmethod
    def end(processes: list[subprocess.Popen[str]]) -> None:
        for process in processes:
            process.kill()
            process.wait()


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    yield found
    found.end([*found.workers, *([found.scheduler] if found.scheduler else [])])


@pytest.fixture(scope="module")
def model(two_layers: nir.NIRGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "net.nir"
    nir.write(path, two_layers)
    return path


@pytest.fixture(scope="module")
def artifact(model: Path) -> Path:
    snn_deploy.export(model, dialect="nir", dt=1e-3, output=model.parent / "net")
    return model.parent / "net"


@pytest.fixture(scope="module")
def data(model: Path) -> Path:
    rng = np.random.default_rng(3)
    spikes = rng.random((2 * BLOCKS, 8, 5)) < 0.4
    path = model.parent / "d.npz"
    np.savez(path, input=spikes.astype(np.uint8), label=rng.integers(0, 4, 2 * BLOCKS))
    return path


def evaluating(artifact: Path, data: Path, *more: str) -> list[str]:
    words = ["evaluate", str(artifact), "--data", str(data), "--backend", "reference"]
    return [*words, "--block", "2", *more]


def blocks(journal: Path) -> list[bytes]:
    return sorted(journal.read_bytes().splitlines()[1:])


def test_a_worker_killed_in_the_midst_changes_no_byte_of_an_evaluation(
    cluster: Cluster, artifact: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(evaluating(artifact, data, "--json", "--journal", str(tmp_path / "here"))) == OK
    here = capfd.readouterr().out
    words = evaluating(artifact, data, "--json", "--journal", str(tmp_path / "there"))
    address = cluster.ready()
    with cluster.killing(kill):
        assert run([*words, "--dask", address]) == OK
    assert capfd.readouterr().out == here
    assert blocks(tmp_path / "there") == blocks(tmp_path / "here")


def test_a_worker_killed_in_the_midst_changes_no_byte_of_a_tuning(
    cluster: Cluster, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "data": data, "dialect": "nir", "dt": 1e-3, "knobs": "bits,thresholds", "trials": 9,
        "output": "tuned",
    }  # fmt: skip
    folders = tmp_path / "here", tmp_path / "there"
    address = cluster.ready()
    with unchecked():
        for folder in folders:
            folder.mkdir()
        monkeypatch.chdir(folders[0])
        here = snn_deploy.tune(model, **options)
        monkeypatch.chdir(folders[1])
        with cluster.killing(kill):
            there = snn_deploy.tune(model, dask=address, **options)
    assert there == here
    files = {file.name for file in (folders[0] / "tuned").iterdir()} - {"trials.journal"}
    assert {"chosen.toml", "tune.json", "calibrate.npz"} <= files
    for name in files:  # the journal has times in it, and the order in which trials got done
        one, other = ((folder / "tuned" / name).read_bytes() for folder in folders)
        assert one == other, name


def test_without_workers_there_is_an_error_and_the_journal_goes_on(
    cluster: Cluster,
    artifact: Path,
    data: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "PATIENCE", 0.0)
    address, journal = cluster.ready(), tmp_path / "j"
    words = [*evaluating(artifact, data), "--journal", str(journal)]
    with cluster.killing(lambda held: cluster.end(cluster.workers)):
        assert run([*words, "--dask", address]) == ERROR
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.endswith(
        "error[SNN505]: no worker of the Dask cluster is left\n"
        f"  at: --dask {address}\n"
        "  fix: start workers (dask worker ADDRESS) and give the same command again; with "
        "--journal, evaluate goes on where it was, as tune always does\n"
    )
    assert journal.read_bytes().endswith(b"\n")
    assert len(blocks(journal)) < BLOCKS
    assert run([*words, "--json"]) == OK
    here = capfd.readouterr().out
    assert run(evaluating(artifact, data, "--json")) == OK
    assert capfd.readouterr().out == here


def test_a_scheduler_that_is_killed_in_the_midst_is_an_error(
    cluster: Cluster, artifact: Path, data: Path
) -> None:
    address = cluster.ready()
    assert cluster.scheduler is not None
    scheduler = cluster.scheduler
    with (
        cluster.killing(lambda held: cluster.end([scheduler])),
        pytest.raises(WorkersLostError, match="the Dask scheduler is gone: "),
    ):
        snn_deploy.evaluate(artifact, data=data, backend="reference", block=2, dask=address)
