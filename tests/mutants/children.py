"""Runs something in a child process that may hang, crash or ask for all the memory there is."""

import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import TypedDict

MEMORY = 16 << 30
"""Address space of a child [bytes]: a mutant may ask for more than there is."""


class Job(TypedDict):
    """Tests to run, in this order."""

    file: str | None
    source: str
    tests: list[str]
    stop: bool
    """Whether the first failure ends the trial."""

    limit: float
    """Seconds after which the trial is ended."""


class Result(TypedDict):
    """What became of a job."""

    outcome: str
    """`survived`, `killed`, `import`: the code cannot be imported; `crash`, `timeout`; `new`: not
    functions alone are changed, which takes a thorough trial."""

    failed: list[str]
    ran: int
    seconds: float


Told = tuple[str, list[str], int]
"""Outcome, tests that failed, how many ran."""


def in_child(limit: float, run: Callable[[], Told]) -> Result:
    """Return what `run` returns in a child that is ended after `limit` seconds."""
    began = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _child(run, writing)
    os.close(writing)
    told = _told(reading, limit)
    _end(child)
    if told:
        outcome, failed, ran = json.loads(told)
    else:
        outcome, failed, ran = "timeout" if told is None else "crash", [], 0
    seconds = round(time.monotonic() - began, 2)
    return {"outcome": outcome, "failed": failed, "ran": ran, "seconds": seconds}


def serve(answer: Callable[[Job], Result], answers: int) -> None:
    """Answer jobs, one a line, until there are no more."""
    os.write(answers, b'{"ready": true}\n')
    for line in sys.stdin:
        os.write(answers, f"{json.dumps(answer(json.loads(line)))}\n".encode())


def apart() -> int:
    """Keep what tests print from the answers; return where these go."""
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    return answers


def _child(run: Callable[[], Told], writing: int) -> None:
    """Run, tell the parent, and end without looking back."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    try:
        os.write(writing, json.dumps(run()).encode())
    finally:
        os._exit(0)


def _told(reading: int, limit: float) -> bytes | None:
    """Return all that the child writes; None: it did not end in time."""
    told, until = b"", time.monotonic() + limit
    try:
        while True:
            left = until - time.monotonic()
            if left <= 0 or not select.select([reading], [], [], left)[0]:
                return None
            part = os.read(reading, 1 << 16)
            if not part:
                return told
            told += part
    finally:
        os.close(reading)


def _end(child: int) -> None:
    """End the child and all that it started."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # it has not come to have a group of its own
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
