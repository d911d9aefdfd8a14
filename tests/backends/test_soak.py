"""Again and again: memory stays flat, however many runs there were before."""

import os
from pathlib import Path

import numpy as np
import pytest
from networks import random_network

from snn_deploy.backends.event import EventBackend
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize import compile_network
from snn_deploy.targets import find_target

RUNS = int(os.environ.get("SNN_DEPLOY_SOAK", "400"))

WARM = 200
"""Runs after which caches and pools are as large as they get."""

GROWN = 4 * 2**20
"""Bytes that the process may have grown by since, whatever the number of runs: an arena or two."""

STATM = Path("/proc/self/statm")


def resident() -> int:
    """Return the memory of this process [bytes]."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_many_runs_leave_memory_as_it_was() -> None:
    rng = np.random.default_rng(0)
    network = random_network(rng)
    program = compile_network(network, find_target("cpu")).program
    given = [
        Values(name=entry.name, values=rng.integers(0, 2, (4, 20, *entry.shape), np.int32))
        for entry in program.inputs
    ]
    backend, first = EventBackend(), None
    before = 0
    for run in range(RUNS):
        trace = backend.run(program, given, EVERYTHING)
        states = [
            register.tobytes()
            for population in program.populations
            for register in trace[population.name].states.values()
        ]
        first = first or states
        assert states == first
        if run == WARM:
            before = resident()
    assert resident() - before < GROWN
