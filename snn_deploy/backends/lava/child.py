"""Runs Lava in a child process that cannot hang us: own process group, time limit, clean end."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snn_deploy.errors import LavaFailedError, LavaMissingError, LavaTimeoutError

LAST_LINES = 12
"""Lines of the child's error output that an error quotes."""

GRACE = 2.0
"""Seconds between asking a process group to end and ending it: Python's resource tracker uses
them to remove the shared memory that the others leave behind."""

FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Variables by which our Python would leak into the child's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a child left behind."""

    output: str
    """Its standard output."""

    errors: str
    """The last lines of its standard error."""


def run_child(
    command: Sequence[str | Path],
    *,
    folder: Path,
    time_limit: float,
    what: str = "Lava",
    fix: str = "snn-deploy doctor",
    late: str = "",
    line: Callable[[str], bool] = lambda text: False,
    variables: Mapping[str, str] | None = None,
) -> Ended:
    """Run `command` in `folder` until it ends or `time_limit` [s] is over.

    Whatever it started ends with it, also what a daemon of it left running.

    Args:
        command: Program and arguments.
        folder: Working directory.
        time_limit: Seconds.
        what: What it is, for errors.
        fix: The way out if it ends with an error.
        late: The way out if the time is over; by default the same.
        line: Called with each line of standard error; True: it was a message, not an error.
        variables: Environment variables to add.

    Raises:
        LavaMissingError: the program cannot be started.
        LavaTimeoutError: the time was over.
        LavaFailedError: it ended with another status than 0.
    """
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **(variables or {})}
    try:
        child = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as problem:
        raise LavaMissingError(
            f"{what} cannot be started: {problem.strerror}",
            where=str(command[0]),
            fix="snn-deploy lava setup",
        ) from problem
    output, errors = _Reader(child.stdout), _Reader(child.stderr, line)
    try:
        status = child.wait(timeout=time_limit)
    except subprocess.TimeoutExpired:
        raise LavaTimeoutError(
            f"{what} did not end within {time_limit:g} seconds and was stopped{errors.quoted()}",
            where=str(command[0]),
            fix=late or fix,
        ) from None
    finally:
        _end_group(child, (output, errors))
    if status != 0:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise LavaFailedError(
            f"{what} ended with {how}{errors.quoted()}",
            where=str(command[0]),
            fix=fix,
        )
    return Ended(output=output.text(), errors=errors.text())


class _Reader:
    """Reads a pipe to its end in a thread and keeps the last lines."""

    def __init__(self, pipe: object, message: Callable[[str], bool] = lambda text: False) -> None:
        self._pipe = pipe
        self._message = message
        self._kept: deque[str] = deque(maxlen=1000)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for text in self._pipe:  # type: ignore[attr-defined]
            if not self._message(text.rstrip("\n")):
                self._kept.append(text.rstrip("\n"))

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def finish(self) -> None:
        self._thread.join()
        self._pipe.close()  # type: ignore[attr-defined]

    def text(self) -> str:
        return "\n".join(self._kept)

    def quoted(self) -> str:
        lines = [text for text in self._kept if text.strip()][-LAST_LINES:]
        return "".join(f"\n    | {text}" for text in lines)


def _end_group(child: "subprocess.Popen[str]", readers: Sequence[_Reader]) -> None:
    """End every process of the child's group, and wait until there is none.

    Each holds a pipe to us open; where all pipes have ended, so have they.
    """
    _signal(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    for reader in readers:
        reader.wait(max(0.0, deadline - time.monotonic()))
    _signal(child.pid, signal.SIGKILL)
    child.wait()
    for reader in readers:
        reader.finish()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
