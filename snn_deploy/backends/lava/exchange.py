"""The files that pass between us and the runner."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from snn_deploy.errors import LavaFailedError
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.store import pack
from snn_deploy.ir.trace import PopulationTrace, Recording, Trace, Values


def pack_inputs(program: Program, padded: Sequence[Values]) -> bytes:
    """Return the runner's input file: an array per input, without the steps of the lag."""
    arrays = {}
    for values in padded:
        steps = values.values.shape[1] - program.lag
        arrays[values.name] = values.values[:, :steps]
    return pack(arrays)


def read_trace(program: Program, record: Recording, path: Path, steps: int) -> Trace:
    """Return the trace that the runner wrote.

    Raises:
        LavaFailedError: it wrote none, or not all of it.
    """
    try:
        with np.load(path, allow_pickle=False) as npz:
            populations = tuple(_population(npz, p, record) for p in program.populations)
    except (OSError, ValueError, KeyError) as problem:
        raise LavaFailedError(
            f"Lava ended, but its trace cannot be read: {problem}", fix="snn-deploy doctor"
        ) from problem
    return Trace(steps=steps, populations=populations)


def _population(
    npz: "np.lib.npyio.NpzFile", population: Population, record: Recording
) -> PopulationTrace:
    name = population.name
    kept = [s for s in State if s in population.states and record.wants(name, s)]
    return PopulationTrace(
        name=name,
        events=npz[f"{name}.events"],
        spikes=npz[f"{name}.spikes"],
        states={state: npz[f"{name}.{state.value}"] for state in kept},
        overflows=int(npz[f"{name}.overflows"][0]),
    )
