"""A Lava that hangs, dies or is not there gives one error in time and leaves nothing behind."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from snn_deploy.backends.lava import LavaBackend
from snn_deploy.backends.lava.child import run_child
from snn_deploy.errors import LavaFailedError, LavaMissingError, LavaTimeoutError
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import COUNTS, PAYLOADS, Values

Fake = Callable[[str], Path]


@pytest.fixture
def fake_python(tmp_path: Path) -> Fake:
    """Return a function that makes a program which stands for the Python of Lava."""

    def make(text: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(0o755)
        return path

    return make


def gone(process: int) -> bool:
    """Return whether a process has ended; one that nobody waits for is a zombie in its place.

    A killed process closes its pipes a moment before the kernel counts it as ended.
    """
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


HANGS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    open({note!r}, "w").write(str(os.getpid()))
    time.sleep(60)
print("still thinking", file=sys.stderr, flush=True)
time.sleep(60)
"""


def test_a_lava_that_hangs_is_stopped_with_all_that_it_started(
    one_layer: Callable[..., Program],
    random_inputs: Callable[..., tuple[Values, ...]],
    fake_python: Fake,
    tmp_path: Path,
) -> None:
    note = tmp_path / "grandchild"
    python = fake_python(HANGS.format(note=str(note)))
    program = one_layer()
    began = time.monotonic()
    with pytest.raises(LavaTimeoutError) as caught:
        LavaBackend(python=python, time_limit=4.0).run(program, random_inputs(program), COUNTS)
    assert time.monotonic() - began < 20
    assert str(caught.value) == (
        "error[SNN502]: Lava did not end within 4 seconds and was stopped\n"
        "    | still thinking\n"
        f"  at: {python}\n"
        "  fix: --time-limit SECONDS, or fewer samples or steps"
    )
    assert gone(int(note.read_text()))


def test_the_time_of_an_installation_has_its_own_way_out(fake_python: Fake, tmp_path: Path) -> None:
    python = fake_python("import time\ntime.sleep(60)\n")
    with pytest.raises(LavaTimeoutError) as caught:
        run_child([python], what="pip", folder=tmp_path, time_limit=0.2, fix="see the network")
    assert str(caught.value) == (
        "error[SNN502]: pip did not end within 0.2 seconds and was stopped\n"
        f"  at: {python}\n"
        "  fix: see the network"
    )


def test_what_a_lava_leaves_running_ends_with_it(fake_python: Fake, tmp_path: Path) -> None:
    python = fake_python(
        "import os, sys, time\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    time.sleep(60)\n"
        "print(child)\n"
    )
    ended = run_child([python], folder=tmp_path, time_limit=20)
    assert gone(int(ended.output))


def test_a_lava_that_dies_shows_its_last_lines(
    one_layer: Callable[..., Program],
    random_inputs: Callable[..., tuple[Values, ...]],
    fake_python: Fake,
) -> None:
    python = fake_python(
        "import sys\n"
        "for number in range(30):\n"
        "    print('line', number, file=sys.stderr)\n"
        "sys.exit('no shared memory')\n"
    )
    program = one_layer()
    with pytest.raises(LavaFailedError) as caught:
        LavaBackend(python=python).run(program, random_inputs(program), COUNTS)
    quoted = "\n".join(f"    | line {number}" for number in range(19, 30))
    assert str(caught.value) == (
        "error[SNN503]: Lava ended with status 1\n"
        f"{quoted}\n"
        "    | no shared memory\n"
        f"  at: {python}\n"
        "  fix: snn-deploy doctor"
    )


def test_a_lava_that_is_killed_is_an_error_with_its_signal(
    fake_python: Fake, tmp_path: Path
) -> None:
    python = fake_python("import os\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(LavaFailedError, match=r"Lava ended with signal 9\n"):
        run_child([python], folder=tmp_path, time_limit=20)


def test_a_lava_that_writes_no_trace_is_an_error(
    one_layer: Callable[..., Program],
    random_inputs: Callable[..., tuple[Values, ...]],
    fake_python: Fake,
) -> None:
    program = one_layer()
    with pytest.raises(LavaFailedError, match=r"its trace cannot be read: .*trace.npz"):
        LavaBackend(python=fake_python("")).run(program, random_inputs(program), COUNTS)


def test_a_python_that_is_not_there_is_missing(
    one_layer: Callable[..., Program], random_inputs: Callable[..., tuple[Values, ...]]
) -> None:
    program = one_layer()
    with pytest.raises(LavaMissingError) as caught:
        LavaBackend(python=Path("/no/such/python")).run(program, random_inputs(program), COUNTS)
    assert str(caught.value) == (
        "error[SNN501]: Lava cannot be started: No such file or directory\n"
        "  at: /no/such/python\n"
        "  fix: snn-deploy lava setup"
    )


def test_progress_lines_are_reported_and_not_quoted(
    one_layer: Callable[..., Program],
    random_inputs: Callable[..., tuple[Values, ...]],
    fake_python: Fake,
) -> None:
    python = fake_python(
        "import sys\n"
        "print('progress 1 2\\nprogress 2 2\\nprogress is hard', file=sys.stderr)\n"
        "sys.exit(1)\n"
    )
    program = one_layer()
    seen: list[tuple[int, int]] = []
    with pytest.raises(LavaFailedError) as caught:
        LavaBackend(python=python).run(
            program, random_inputs(program), PAYLOADS, lambda done, all_: seen.append((done, all_))
        )
    assert seen == [(1, 2), (2, 2)]
    assert caught.value.message == "Lava ended with status 1\n    | progress is hard"


def test_our_own_python_does_not_leak_into_the_child(
    fake_python: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    monkeypatch.setenv("KEPT", "yes")
    python = fake_python("import os\nprint(os.environ.get('PYTHONPATH'), os.environ['KEPT'])\n")
    assert run_child([python], folder=tmp_path, time_limit=20).output == "None yes"


def test_temporary_files_are_gone_after_a_run(
    one_layer: Callable[..., Program],
    random_inputs: Callable[..., tuple[Values, ...]],
    fake_python: Fake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    python = fake_python("import tempfile\ntempfile.mkdtemp()\n")
    program = one_layer()
    with pytest.raises(LavaFailedError):
        LavaBackend(python=python).run(program, random_inputs(program), COUNTS)
    assert [path.name for path in tmp_path.iterdir()] == ["python"]
