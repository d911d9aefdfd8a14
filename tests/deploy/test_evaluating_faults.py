"""What is finished is never lost, and never counted twice: kills, full disks, other data."""

import contextlib
import itertools
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nir
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy import evaluating_journal, evaluating_workers
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.evaluating_results import Evaluation
from snn_deploy.deploy.evaluating_workers import Task
from snn_deploy.deploy.pools import processes
from snn_deploy.deploy.printing import as_record
from snn_deploy.deploy.workers import WorkerBugError
from snn_deploy.errors import (
    CannotWriteError,
    DataError,
    DeployError,
    OptionError,
    UnknownNameError,
    WorkersLostError,
)

SAMPLES, STEPS = 40, 6

PLAIN: dict[str, Any] = {"backend": "reference", "real": False, "block": 2}
"""The plain simulator: nothing is compiled."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    rng = np.random.default_rng(7)
    four = np.ones(4)
    nodes = {
        "input": nir.Input(np.array([5])),
        "fc": nir.Linear(rng.normal(0.4, 0.5, (4, 5))),
        "if": nir.IF(r=four, v_threshold=four),
        "output": nir.Output(np.array([4])),
    }
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))
    folder = tmp_path_factory.mktemp("faults") / "net"
    return snn_deploy.export(graph, dialect="nir", dt=1e-3, output=folder)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    spikes = rng.random((SAMPLES, STEPS, 5)) < 0.4
    path = tmp_path_factory.mktemp("data") / "d.npz"
    np.savez(path, input=spikes.astype(np.uint8), label=rng.integers(0, 4, SAMPLES))
    return path


@pytest.fixture(scope="module")
def expected(deployment: Deployment, file: Path) -> Evaluation:
    return snn_deploy.evaluate(deployment, data=file, **PLAIN)


def lines(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()]


# --- journal ----------------------------------------------------------------------------------


def test_a_journal_has_a_line_for_each_block(
    deployment: Deployment, file: Path, expected: Evaluation, tmp_path: Path
) -> None:
    journal = tmp_path / "j"
    assert snn_deploy.evaluate(deployment, data=file, journal=journal, **PLAIN) == expected
    heading, *blocks = lines(journal)
    assert heading["schema"] == "snn-deploy/evaluation-journal/1"
    assert [block["block"] for block in blocks] == list(range(20))


@pytest.fixture(scope="module")
def whole(deployment: Deployment, file: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a journal of all blocks."""
    journal = tmp_path_factory.mktemp("whole") / "j"
    snn_deploy.evaluate(deployment, data=file, journal=journal, **PLAIN)
    return journal.read_bytes()


@pytest.mark.parametrize(
    ("keep", "cut"), [(0, 0), (0, 1), (0, 40), (1, 0), (1, 1), (7, 0), (7, 40), (20, 9), (21, 0)]
)
def test_a_journal_that_was_cut_off_anywhere_is_gone_on_with(
    deployment: Deployment,
    file: Path,
    expected: Evaluation,
    whole: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keep: int,
    cut: int,
) -> None:
    journal, parts = tmp_path / "j", whole.splitlines(keepends=True)
    journal.write_bytes(b"".join(parts[:keep]) + b"".join(parts[keep : keep + 1])[:cut])
    from snn_deploy.deploy import evaluating

    begun: list[int] = []
    run_block = evaluating.run_block

    def watched(deployment: Any, question: Any, block: int, data: Any) -> Any:
        begun.append(block)
        return run_block(deployment, question, block, data)

    monkeypatch.setattr(evaluating, "run_block", watched)
    assert snn_deploy.evaluate(deployment, data=file, journal=journal, **PLAIN) == expected
    assert begun == list(range(max(0, keep - 1), 20))
    assert journal.read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 39}, "samples was 40, not 39"),
        ({"real": True}, "the network differs, real was False, not True"),
        ({"block": 3}, "the number of blocks differs"),
        ({"step_us": 4.0}, "options was Binning"),
        ({"output": "output", "backend": "event"}, "backend was reference, not event"),
    ],
)
def test_a_journal_of_other_options_is_refused(
    deployment: Deployment,
    file: Path,
    whole: bytes,
    tmp_path: Path,
    change: dict[str, Any],
    message: str,
) -> None:
    journal = tmp_path / "j"
    journal.write_bytes(whole)
    with pytest.raises(OptionError, match=f"the journal is of another evaluation: {message}"):
        snn_deploy.evaluate(deployment, data=file, journal=journal, **(PLAIN | change))
    assert journal.read_bytes() == whole


def test_a_journal_of_other_data_or_another_program_is_refused(
    deployment: Deployment, file: Path, whole: bytes, tmp_path: Path
) -> None:
    journal = tmp_path / "j"
    journal.write_bytes(whole)
    with np.load(file) as found:
        arrays = dict(found)
    arrays["input"][0, 0, 0] ^= 1
    with pytest.raises(OptionError) as problem:
        snn_deploy.evaluate(deployment, data=arrays, journal=journal, **PLAIN)
    assert str(problem.value) == (
        "error[SNN102]: the journal is of another evaluation: the data differs\n"
        f"  at: {journal}\n  fix: --journal OTHER, or repeat what it was begun with"
    )
    other = replace(deployment, folder=None, program=replace(deployment.program, name="other"))
    with pytest.raises(OptionError, match="another evaluation: the program differs"):
        snn_deploy.evaluate(other, data=file, journal=journal, **PLAIN)


@pytest.mark.parametrize("content", [b"hello", b"hello\n", b"\x00" * 50, b'{"a": 1}\n{}\n'])
def test_another_file_is_no_journal_and_is_left_alone(
    deployment: Deployment, file: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(DataError, match="this is no journal of an evaluation"):
        snn_deploy.evaluate(deployment, data=file, journal=tmp_path / "j", **PLAIN)
    assert (tmp_path / "j").read_bytes() == content


def test_a_backend_that_nobody_knows_begins_no_journal(
    deployment: Deployment, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match="no backend is called 'evnt'"):
        snn_deploy.evaluate(deployment, data=file, journal=tmp_path / "j", backend="evnt")
    assert list(tmp_path.iterdir()) == []


def test_two_runs_do_not_write_one_journal(
    deployment: Deployment, file: Path, tmp_path: Path
) -> None:
    heading = evaluating_journal.Heading(
        schema="", version="", program="", network="", data="", question={}, blocks=1
    )
    with evaluating_journal.journal(tmp_path / "j", heading), pytest.raises(OptionError) as problem:
        snn_deploy.evaluate(deployment, data=file, journal=tmp_path / "j", **PLAIN)
    assert str(problem.value) == (
        "error[SNN102]: another run writes this journal\n"
        f"  at: {tmp_path / 'j'}\n  fix: --journal OTHER"
    )


def test_a_journal_where_nobody_may_write_is_an_error(
    deployment: Deployment, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(CannotWriteError, match="the journal could not be written: No such file"):
        snn_deploy.evaluate(deployment, data=file, journal=tmp_path / "no" / "j", **PLAIN)


# --- full disk --------------------------------------------------------------------------------


def command(deployment: Deployment, file: Path, journal: Path, block: int = 2) -> list[str]:
    words = ["evaluate", str(deployment.folder), "--data", str(file), "--journal", str(journal)]
    return [*words, "--backend", "reference", "--no-real", "--block", str(block)]


def child(words: list[str], **options: Any) -> subprocess.Popen[str]:
    code = "import sys; from snn_deploy.deploy.cli import main; main(sys.argv[1:])"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *words], **pipes, **options)  # type: ignore[call-overload]


def test_a_full_disk_is_an_error_that_keeps_what_was_finished(
    deployment: Deployment, file: Path, expected: Evaluation, tmp_path: Path
) -> None:
    journal = tmp_path / "j"

    def limit() -> None:  # of the bytes in a file; Python ignores the signal
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    unmeasured = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    words = command(deployment, file, journal)
    with child(words, preexec_fn=limit, env=unmeasured) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert err == (
        "error[SNN602]: the journal could not be written: File too large; the blocks in it stay\n"
        f"  at: {journal}\n"
        "  fix: free some space and run the same command again, or --journal FILE on another disk "
        "with a copy of this one\n"
    )
    done = len(lines(journal)) - 1
    assert 2 <= done < 20
    assert journal.read_bytes().endswith(b"\n")
    assert snn_deploy.evaluate(deployment, data=file, journal=journal, **PLAIN) == expected


@pytest.mark.parametrize("when", ["write", "sync"])
def test_a_line_that_does_not_fit_leaves_nothing_behind(
    deployment: Deployment,
    file: Path,
    expected: Evaluation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    journal, calls = tmp_path / "j", itertools.count()
    write, sync = os.pwrite, os.fsync
    full = OSError(28, "No space left on device")

    def pwrite(descriptor: int, content: bytes, at: int) -> int:
        if when == "write" and next(calls) >= 4:
            if len(content) > 10:
                return write(descriptor, content[:10], at)  # as much as there is room for
            raise full
        return write(descriptor, content[:33] if len(content) > 100 else content, at)

    def fsync(descriptor: int) -> None:
        if when == "sync" and next(calls) >= 4:
            raise full
        sync(descriptor)

    def failing(descriptor: int, content: bytes, at: int) -> int:
        found = pwrite(descriptor, content, at)
        if found == 10:
            monkeypatch.setattr(evaluating_journal.os, "pwrite", _raises(full))
        return found

    monkeypatch.setattr(evaluating_journal.os, "pwrite", failing)
    monkeypatch.setattr(evaluating_journal.os, "fsync", fsync)
    with pytest.raises(CannotWriteError, match="No space left on device"):
        snn_deploy.evaluate(deployment, data=file, journal=journal, **PLAIN)
    monkeypatch.undo()
    assert journal.read_bytes() == b"" or journal.read_bytes().endswith(b"\n")
    assert snn_deploy.evaluate(deployment, data=file, journal=journal, **PLAIN) == expected


def _raises(problem: Exception) -> Callable[..., int]:
    def function(*arguments: Any) -> int:
        raise problem

    return function


# --- kills ------------------------------------------------------------------------------------


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(word) for word in found.read_text().split()]


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return data that take the plain simulator some seconds, sample by sample."""
    rng = np.random.default_rng(3)
    spikes = rng.random((64, 200, 5)) < 0.3
    path = tmp_path_factory.mktemp("long") / "d.npz"
    np.savez(path, input=spikes.astype(np.uint8), label=rng.integers(0, 4, 64))
    return path


@pytest.fixture(scope="module")
def expected_long(deployment: Deployment, long_file: Path) -> Evaluation:
    return snn_deploy.evaluate(deployment, data=long_file, **(PLAIN | {"block": 64}))


ONE: dict[str, Any] = PLAIN | {"block": 1}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_that_is_killed_goes_on_where_it_was(
    deployment: Deployment,
    long_file: Path,
    expected_long: Evaluation,
    tmp_path: Path,
    workers: str,
) -> None:
    journal = tmp_path / "j"
    words = command(deployment, long_file, journal, block=1)
    with child([*words, "--workers", workers]) as process:
        wait_for(lambda: journal.is_file() and journal.read_bytes().count(b"\n") >= 4)
        others = children(process.pid)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    wait_for(lambda: not any(alive(other) for other in others), 20)
    before = journal.read_bytes()
    assert 3 <= before.count(b"\n") - 1 < 64
    with child([*words, "--json"]) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out) == json.loads(as_record(expected_long))
    assert journal.read_bytes().startswith(before[: before.rindex(b"\n") + 1])
    assert sorted(line["block"] for line in lines(journal)[1:]) == list(range(64))


class Hooked(ProcessPoolExecutor):
    """Kills its processes while it has blocks."""

    kills: list[int]
    """Process numbers; shared by all that are made."""

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future = super().submit(function, *arguments, **named)
        if not self.kills and arguments[0].block == 5:
            # At once: the block just handed over cannot be done yet, and most are to come.
            self.kills += list(self._processes)
            for process in self.kills:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        return future


def test_workers_that_are_killed_lose_nothing(
    deployment: Deployment, long_file: Path, expected_long: Evaluation, tmp_path: Path
) -> None:
    made: list[Hooked] = []
    kills: list[int] = []

    def make() -> Hooked:
        made.append(Hooked(2, mp_context=multiprocessing.get_context("spawn")))
        made[-1].kills = kills
        return made[-1]

    journal = tmp_path / "j"
    found = snn_deploy.evaluate(deployment, data=long_file, executor=make, journal=journal, **ONE)
    assert len(made) == 2
    assert kills
    assert found == expected_long
    assert sorted(line["block"] for line in lines(journal)[1:]) == list(range(64))


class Frail(Executor):
    """Runs blocks on threads; breaks, as a pool of processes does, where it is told to."""

    def __init__(self, breaks: Callable[[Task], bool], fault: Exception) -> None:
        self.pool = ThreadPoolExecutor(2)
        self.breaks, self.fault, self.broken = breaks, fault, False

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        if self.broken:
            raise BrokenExecutor("broken before")
        if not self.breaks(arguments[0]):
            return self.pool.submit(function, *arguments)
        self.broken = isinstance(self.fault, BrokenExecutor)
        future: Future[Any] = Future()
        future.set_exception(self.fault)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.pool.shutdown(wait)


FAULTS = [BrokenExecutor("a process died"), OSError("the worker cannot be reached")]


@pytest.mark.parametrize("fault", FAULTS)
def test_blocks_whose_worker_is_lost_now_and_then_are_done_again(
    deployment: Deployment, file: Path, expected: Evaluation, fault: Exception
) -> None:
    tried: dict[int, int] = {}

    def breaks(task: Task) -> bool:
        tried[task.block] = tried.get(task.block, 0) + 1
        return task.block % 3 == 1 and tried[task.block] == 1

    found = snn_deploy.evaluate(
        deployment, data=file, executor=lambda: Frail(breaks, fault), **PLAIN
    )
    assert found == expected
    assert max(tried.values()) >= 2


@pytest.mark.parametrize("fault", FAULTS)
def test_a_block_that_always_kills_its_worker_is_named_and_the_others_are_kept(
    deployment: Deployment, file: Path, tmp_path: Path, fault: Exception
) -> None:
    journal = tmp_path / "j"
    with pytest.raises(WorkersLostError) as problem:
        snn_deploy.evaluate(
            deployment,
            data=file,
            executor=lambda: Frail(lambda task: task.block == 7, fault),
            journal=journal,
            **PLAIN,
        )
    assert str(problem.value) == (
        "error[SNN505]: the worker of every block that is left was lost 3 times: "
        f"{type(fault).__name__}: {fault}\n"
        "  at: samples 14 to 15\n"
        "  fix: smaller blocks need less memory: --block N; fewer workers too. A script that asks "
        'for workers does so under `if __name__ == "__main__":`; in place of an executor give a '
        "function that makes one"
    )
    assert sorted(line["block"] for line in lines(journal)[1:]) == [*range(7), *range(8, 20)]


def test_an_executor_that_broke_and_cannot_be_made_again_is_an_error(
    deployment: Deployment, file: Path, tmp_path: Path
) -> None:
    with (
        Frail(lambda task: task.block == 4, FAULTS[0]) as executor,
        pytest.raises(WorkersLostError, match="in place of an executor give a function"),
    ):
        snn_deploy.evaluate(
            deployment, data=file, executor=executor, journal=tmp_path / "j", **PLAIN
        )
    assert all("block" in line for line in lines(tmp_path / "j")[1:])


def test_an_error_in_a_block_keeps_what_others_found(
    deployment: Deployment, file: Path, tmp_path: Path
) -> None:
    with np.load(file) as found:
        arrays = dict(found)
    arrays["label"][20] = 9
    np.savez(tmp_path / "bad.npz", **arrays)
    with (
        ThreadPoolExecutor(3) as executor,
        pytest.raises(DataError, match="sample 20 has label 9"),
    ):
        snn_deploy.evaluate(
            deployment,
            data=tmp_path / "bad.npz",
            executor=executor,
            journal=tmp_path / "j",
            **PLAIN,
        )
    kept = {line["block"] for line in lines(tmp_path / "j")[1:]}
    assert set(range(10)) <= kept
    assert 10 not in kept


def test_a_bug_in_a_worker_is_shown_with_its_traceback(
    deployment: Deployment, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating_workers, "run_block", lambda *given: 1 / 0)
    with ThreadPoolExecutor(2) as executor, pytest.raises(WorkerBugError, match="ZeroDivision"):
        snn_deploy.evaluate(deployment, data=file, executor=executor, **PLAIN)


def test_an_artifact_that_changes_meanwhile_is_an_error(deployment: Deployment, file: Path) -> None:
    changed = replace(deployment, program=replace(deployment.program, name="other"))
    with ThreadPoolExecutor(2) as executor, pytest.raises(DeployError, match="was replaced while"):
        snn_deploy.evaluate(changed, data=file, executor=executor, **PLAIN)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_leaves_a_journal_to_go_on_with(
    deployment: Deployment, tmp_path: Path, workers: str
) -> None:
    journal, endless = tmp_path / "j", tmp_path / "d.npz"
    samples = 20_000  # one after the other, these take far longer than the interrupt needs
    np.savez(endless, input=np.ones((samples, 8, 5), np.uint8), label=np.zeros(samples, int))
    words = [*command(deployment, endless, journal, block=1), "--workers", workers]

    def listen() -> None:  # what runs in the background is started deaf to interrupts
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with child(words, start_new_session=True, preexec_fn=listen) as process:
        wait_for(lambda: journal.is_file() and journal.read_bytes().count(b"\n") >= 3)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted; nothing is left half written\n"
    assert all("block" in line for line in lines(journal)[1:])


def test_processes_of_ours_end_with_the_main_one() -> None:
    code = (
        "import os, signal\n"
        "from snn_deploy.deploy.pools import processes\n"
        "if __name__ == '__main__':\n"
        "    pool = processes(1)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    worker = int(done.stdout)
    wait_for(lambda: not alive(worker), 20)
    assert processes(1)._max_workers == 1


# --- Dask -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as found:
        yield found


@pytest.mark.filterwarnings("default")
def test_dask_workers_that_are_killed_and_restarted_lose_nothing(
    deployment: Deployment,
    long_file: Path,
    expected_long: Evaluation,
    cluster: Any,
    tmp_path: Path,
) -> None:
    journal = tmp_path / "j"
    before = [worker.pid for worker in cluster.workers.values()]

    def kill() -> None:
        wait_for(lambda: journal.is_file() and journal.read_bytes().count(b"\n") >= 4)
        os.kill(before[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    found = snn_deploy.evaluate(
        deployment,
        data=long_file,
        dask=cluster.scheduler_address,
        journal=journal,
        **ONE,
    )
    killer.join()
    wait_for(lambda: not alive(before[0]))
    assert found == expected_long
    assert sorted(line["block"] for line in lines(journal)[1:]) == list(range(64))


def test_without_dask_the_error_names_the_extra(
    deployment: Deployment, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DeployError) as problem:
        snn_deploy.evaluate(deployment, data=file, dask="tcp://localhost:1", **PLAIN)
    assert str(problem.value) == (
        "error[SNN103]: Dask is not installed\n  at: --dask\n  fix: pip install 'snn-deploy[dask]'"
    )


def test_a_scheduler_that_does_not_answer_is_an_error(
    deployment: Deployment, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def client(*given: Any, **named: Any) -> None:
        raise OSError("Timed out trying to connect")

    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=client))
    with pytest.raises(OptionError) as problem:
        snn_deploy.evaluate(deployment, data=file, dask="tcp://localhost:1", **PLAIN)
    assert str(problem.value) == (
        "error[SNN102]: the Dask scheduler does not answer: Timed out trying to connect\n"
        "  at: --dask tcp://localhost:1\n"
        "  fix: give the address that `dask scheduler` prints, such as tcp://host:8786"
    )


# --- progress ---------------------------------------------------------------------------------


def test_a_pipe_shows_no_progress(
    deployment: Deployment, file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(command(deployment, file, tmp_path / "j")) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("accuracy ")


def test_a_terminal_shows_how_many_samples_are_done(
    deployment: Deployment, file: Path, tmp_path: Path
) -> None:
    import pty

    main, other = pty.openpty()
    code = "import sys; from snn_deploy.deploy.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", code, *command(deployment, file, tmp_path / "k")]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=other) as process:
        process.wait(timeout=60)
    os.close(other)
    shown = b""
    with contextlib.suppress(OSError):  # a terminal without its other end
        while part := os.read(main, 65536):
            shown += part
    os.close(main)
    assert b"integers (reference)" in shown
    assert f"{SAMPLES}/{SAMPLES}".encode() in shown
