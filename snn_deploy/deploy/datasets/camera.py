"""Recordings of event cameras: AEDAT4, and Prophesee's RAW files with EVT 2 or EVT 3.

The library `faery` reads them, in a child process: on some damaged files it ends its process.
"""

import atexit
import importlib.util
import json
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from snn_deploy.deploy.data import LARGEST_ARRAY
from snn_deploy.deploy.datasets.binning import Events
from snn_deploy.deploy.datasets.camera_child import EVENT, SEPARATE
from snn_deploy.deploy.datasets.source import unreadable
from snn_deploy.errors import DataError, MissingLibraryError
from snn_deploy.ir.sizes import allowed

SUFFIXES = (".aedat4", ".raw")

HEADER_BYTES = 1 << 16
"""At most of a RAW file's header, which is lines that begin with %."""

VERSIONS = ("evt 2.0", "evt 3.0", "format EVT2", "format EVT3")
"""What such a header says of the encoding; without it the events could be anything."""


def read(path: Path) -> Events:
    """Return the events of a recording.

    Raises:
        MissingLibraryError: the library that reads it is not installed.
        DataError: it is no such recording, or damaged.
    """
    if importlib.util.find_spec("faery") is None:
        raise MissingLibraryError(
            f"{path.suffix} files are read by faery, which is not installed",
            where=str(path),
            fix="pip install 'snn-deploy[events]'",
        )
    if path.suffix == ".raw":
        _check_header(path)
    sensor, events = _READER.read(path)
    return Events(
        time=events["t"].astype(np.int64),
        x=events["x"],
        y=events["y"],
        polarity=events["on"].astype(np.int8),
        sensor=sensor,
    )


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES)
    except OSError as problem:
        raise unreadable(problem, path) from problem
    said = [line for line in start.split(b"\n") if line.startswith(b"%")]
    if not any(version.encode() in line for line in said for version in VERSIONS):
        raise DataError(
            "its header does not say that its events are EVT 2 or EVT 3",
            where=str(path),
            fix=f"the first lines should have one of: {', '.join(f'% {v}' for v in VERSIONS)}",
        )


@dataclass(slots=True)
class _Reader:
    """A child process that reads one recording after another."""

    child: subprocess.Popen[bytes] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, path: Path) -> tuple[tuple[int, int] | None, np.ndarray]:
        """Return rows and columns, if known, and the events.

        Raises:
            DataError: the library cannot read the file.
        """
        with self.lock:
            if self.child is None:
                self.child = self._started()
            assert self.child.stdin is not None
            assert self.child.stdout is not None
            try:
                self.child.stdin.write(json.dumps(str(path.resolve())).encode() + b"\n")
                self.child.stdin.flush()
                return self._answer(self.child.stdout, path)
            except (OSError, EOFError) as problem:
                raise DataError(
                    "the file is damaged: the library that reads it ended with status "
                    f"{self._status()}",
                    where=str(path),
                ) from problem

    def _status(self) -> int:
        """Return how a child ended that gives no answer; there is none any more."""
        child, self.child = self.child, None
        assert child is not None
        status = child.wait()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # what was not sent yet
                pipe.close()
        return status

    def _answer(self, answers: IO[bytes], path: Path) -> tuple[tuple[int, int] | None, np.ndarray]:
        line = answers.readline()
        if not line:
            raise EOFError
        found = json.loads(line)
        if "problem" in found:
            raise DataError(f"the file cannot be read: {found['problem']}", where=str(path))
        raw = answers.read(found["bytes"])
        if len(raw) != found["bytes"]:
            raise EOFError
        sensor = found["sensor"]
        return (None if sensor is None else (sensor[0], sensor[1])), np.frombuffer(raw, EVENT)

    def _started(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, *SEPARATE, str(allowed(LARGEST_ARRAY))]
        return subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        """End the child."""
        if self.child is not None:
            self.child.communicate()
            self.child = None


_READER = _Reader()
atexit.register(_READER.close)
