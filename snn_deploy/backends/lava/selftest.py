"""One neuron that every Lava environment must compute right before it counts as complete."""

from pathlib import Path

import numpy as np

from snn_deploy.backends.lava import LavaBackend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import LavaFailedError
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, ResetKind
from snn_deploy.ir.program import Input, Population, Program, Projection, Reset
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.targets import find_target

CHECK_LIMIT = 120.0
"""Seconds that the neuron may take, the first import of Lava included."""


def check(python: Path) -> None:
    """Run one neuron with `python`, and compare its states with the reference simulator.

    Raises:
        LavaFailedError: Lava does not run, or computes something else.
        LavaTimeoutError: it hangs.
    """
    program, inputs = one_neuron()
    backend = LavaBackend(python=python, time_limit=CHECK_LIMIT)
    found = backend.run(program, inputs, EVERYTHING)["neuron"].membrane
    wanted = ReferenceBackend().run(program, inputs, EVERYTHING)["neuron"].membrane
    if found is None or wanted is None or not np.array_equal(found, wanted):
        raise LavaFailedError(
            f"one neuron in Lava has other states than it should: {found}, not {wanted}",
            where=str(python),
            fix="remove the environment's folder, then snn-deploy lava setup",
        )


def one_neuron() -> tuple[Program, tuple[Values, ...]]:
    """Return a program of one neuron that every simulator runs, and 8 steps of input."""
    chip = find_target("loihi2")
    neuron = Population(
        name="neuron",
        shape=(1,),
        decay=np.asarray(4000, np.int32),
        threshold=np.asarray(64 * 20, np.int32),
        reset=Reset(kind=ResetKind.VALUE),
        lag=1,
    )
    weight = Projection(
        name="weight",
        source="input",
        target="neuron",
        map=Dense(weight=np.asarray([[10]], np.int32)),
        shift=chip.weights.shift.value,
        delay=np.asarray(1, np.int32),
    )
    program = Program(
        name="selftest",
        target=chip.name,
        arithmetic=chip.arithmetic,
        inputs=(Input(name="input", shape=(1,)),),
        populations=(neuron,),
        projections=(weight,),
        outputs=(Output(name="output", population="neuron", decode=Decode.COUNT),),
    )
    spikes = np.asarray([1, 0, 1, 1, 1, 0, 1, 1]).reshape(1, 8, 1)
    return program, (Values(name="input", values=spikes),)
