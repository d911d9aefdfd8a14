"""How a child process that is timed talks with run.py: one line of JSON each way.

Python 3.10 and numpy are enough for it. A case folder holds `case.json` (steps, shape, layers) and
one .npy file per array; `networks.py` says what a layer is.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

ANSWER = "answer "
"""How an answer begins; what simulators print when they are imported is none."""


class ImpossibleError(Exception):
    """The simulator cannot run the network; the text says why."""


class Case:
    """A network as `case.py` wrote it."""

    def __init__(self, folder):
        folder = Path(folder)
        facts = json.loads((folder / "case.json").read_text())
        self.name, self.steps, self.shape = facts["name"], facts["steps"], tuple(facts["shape"])
        self.constant, self.high = facts["constant"], facts["high"]
        self.layers = [Layer(record, folder) for record in facts["layers"]]
        self.inputs = np.load(folder / "inputs.npy", mmap_mode="r")
        expected = folder / "expected.npz"
        self.expected = dict(np.load(expected)) if expected.exists() else None

    def batch(self, samples):
        """Return the input of as many samples [sample, step, ...]."""
        return self.inputs[np.arange(samples) % len(self.inputs)]


class Layer:
    """One layer of it."""

    def __init__(self, record, folder):
        self.name, self.kind, self.shape = record["name"], record["kind"], tuple(record["shape"])
        self.decay, self.threshold = record["decay"], record["threshold"]
        self.pool, self.stride, self.padding = record["pool"], record["stride"], record["padding"]
        for key in ("weight", "index", "recurrent", "recurrent_index"):
            path = folder / f"{self.name}.{key}.npy"
            setattr(self, key, np.load(path) if path.exists() else None)

    @property
    def keeps(self):
        """Share of the membrane that a step keeps."""
        return self.decay / 4096


def serve(make):
    """Answer what run.py asks until it closes the line.

    Args:
        make: make(name, case) returns a simulator with `versions`, `modes`, `batches`, `threads`,
            `prepare(batch, threads, mode)`, `run()` and `check()`; or raises `ImpossibleError`.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a simulator prints is no answer

    def answer(**facts):
        answers.write(f"{ANSWER}{json.dumps(facts)}\n")
        answers.flush()

    try:
        simulator = make(sys.argv[1], Case(sys.argv[2]))
    except ImpossibleError as reason:
        answer(impossible=str(reason))
        return
    answer(
        versions=simulator.versions,
        modes=simulator.modes,
        batches=simulator.batches,
        threads=simulator.threads,
    )
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "check":
            answer(**simulator.check())
            continue
        simulator.prepare(asked["batch"], asked["threads"], asked["mode"])
        seconds = []
        for _ in range(asked["times"]):
            start = time.perf_counter()
            simulator.run()
            seconds.append(time.perf_counter() - start)
        answer(seconds=seconds)
