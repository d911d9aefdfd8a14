"""Talks with a child process that is timed, and ends it when it takes too long."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANSWER = "answer "
"""How an answer of a child begins; other lines are what simulators print."""

LAST_LINES = 3
"""Lines of what a child wrote before it ended that its error shows."""


class ChildError(Exception):
    """The child cannot run the network, failed, or took too long; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a simulator runs: samples at once, threads, and its own mode."""

    batch: int
    threads: int
    mode: str

    def alike(self, other: "Setting") -> bool:
        """Return whether only the batch differs."""
        return (self.threads, self.mode) == (other.threads, other.mode)

    def __str__(self) -> str:
        return f"batch {self.batch}, {self.threads} thread{'s'[: self.threads > 1]}, {self.mode}"


class Child:
    """A simulator in a process of its own; use it in a `with`."""

    def __init__(self, command: Sequence[str | Path], log: Path, limit: float) -> None:
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                env=_environment(log.parent),
            )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.facts = self._answer(limit, "to start")
            if "impossible" in self.facts:
                raise ChildError(self.facts["impossible"])
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def check(self, limit: float) -> dict[str, Any]:
        """Return what it says of its first sample."""
        return self._ask({"do": "check"}, limit)

    def run(self, setting: Setting, limit: float, times: int = 1) -> list[float]:
        """Return the seconds of each of `times` runs of a batch."""
        asked = {
            "do": "run",
            "batch": setting.batch,
            "threads": setting.threads,
            "mode": setting.mode,
            "times": times,
        }
        return self._ask(asked, limit)["seconds"]

    def _ask(self, request: dict[str, Any], limit: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the answer will say it has ended
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._answer(limit, "for a run")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(ANSWER):
                self._lines.put(line.removeprefix(ANSWER))
        self._lines.put("")

    def _answer(self, limit: float, what: str) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=limit)
        except queue.Empty:
            raise ChildError(f"took more than {limit:.0f} s {what}") from None
        if not line:
            code = self._process.wait()
            said = self._log.read_text(errors="replace").strip().splitlines()[-LAST_LINES:]
            raise ChildError(f"ended with {code}: {' / '.join(said) or 'no word'}")
        return json.loads(line)

    def close(self) -> None:
        """End it and all it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _environment(folder: Path) -> dict[str, str]:
    """Return ours without limits on threads, which a setting names; caches stay out of the way."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    return {**kept, "TMPDIR": str(folder), "MPLCONFIGDIR": str(folder)}


def now() -> float:
    """Return a clock for budgets [s]."""
    return time.monotonic()
