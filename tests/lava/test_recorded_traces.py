"""One neuron as Lava's simulator and a Loihi 2 chip computed it for the NIR paper.

The recordings are columns input, membrane, spikes over 1000 steps: Dense of weight 10 into a
LIF of du 4095, dv 163, vth 25. The chip's probe reads 128 in the step of a spike, 0 is meant.
"""

from pathlib import Path

import numpy as np
import pytest

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.lava import LavaBackend, make_plan
from snn_deploy.backends.lava.plan import Connection, Group, Neuron
from snn_deploy.backends.protocol import Backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, ResetKind
from snn_deploy.ir.program import Input, Population, Program, Projection, Reset
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.targets import find_target

PROBE_AT_SPIKE = 128


@pytest.fixture
def program() -> Program:
    chip = find_target("loihi2")
    neuron = Population(
        name="lif",
        shape=(1,),
        decay=np.asarray(4096 - 163, np.int32),
        threshold=np.asarray(25 << 6, np.int32),
        reset=Reset(kind=ResetKind.VALUE),
        lag=1,
    )
    weight = Projection(
        name="dense",
        source="in",
        target="lif",
        map=Dense(weight=np.asarray([[10]], np.int32)),
        shift=6,
        delay=np.asarray(1, np.int32),
    )
    return Program(
        name="nir-paper-lif",
        target=chip.name,
        arithmetic=chip.arithmetic,
        inputs=(Input(name="in", shape=(1,)),),
        populations=(neuron,),
        projections=(weight,),
        outputs=(Output(name="out", population="lif", decode=Decode.COUNT),),
    )


def recorded(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return input, membrane and spikes of a recording, over its 1000 steps."""
    columns = np.loadtxt(folder / "nir-paper" / name, delimiter=",").T
    assert columns.shape == (3, 1000)
    assert np.array_equal(columns, np.rint(columns))
    return tuple(columns.astype(np.int64))


def simulated(backend: Backend, program: Program, spikes: np.ndarray) -> list[np.ndarray]:
    """Return membrane and payload of the neuron over the 1000 steps of the recording."""
    inputs = (Values(name="in", values=spikes.reshape(1, -1, 1)),)
    trace = backend.run(program, inputs, EVERYTHING)["lif"]
    assert trace.membrane is not None
    assert trace.payload is not None
    return [trace.membrane[0, :1000, 0], trace.payload[0, :1000, 0]]


BACKENDS = [
    pytest.param(ReferenceBackend(), id="reference"),
    pytest.param(EventBackend(), id="event"),
    pytest.param(LavaBackend(), id="lava", marks=pytest.mark.lava),
]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param.name == "lava":
        request.getfixturevalue("lava_python")
    return request.param


@pytest.mark.shared
def test_the_recording_of_lavas_simulator_is_reproduced(
    backend: Backend, program: Program, shared_data: Path
) -> None:
    spikes_in, membrane, spikes = recorded(shared_data, "lif_lava_cpu_fixed.csv")
    found = simulated(backend, program, spikes_in)
    assert spikes.sum() == 4
    np.testing.assert_array_equal(found[0], membrane)
    np.testing.assert_array_equal(found[1], spikes)


@pytest.mark.shared
def test_the_recording_of_a_loihi_2_is_reproduced(
    backend: Backend, program: Program, shared_data: Path
) -> None:
    spikes_in, membrane, spikes = recorded(shared_data, "lif_lava_loihi_fixed.csv")
    found = simulated(backend, program, spikes_in)
    np.testing.assert_array_equal(found[1], spikes)
    assert found[1].sum() == 4
    probed = np.where(found[1] != 0, PROBE_AT_SPIKE, found[0])
    np.testing.assert_array_equal(probed, membrane)
    assert np.count_nonzero(found[0] != membrane) == 4


def test_the_recorded_configuration_is_what_the_program_becomes_in_lava(program: Program) -> None:
    plan = make_plan(program)
    assert plan.projections[0].process is Connection.DENSE
    assert plan.populations[0].process is Neuron.LIF
    assert plan.populations[0].groups == (
        Group(neurons=((0, 1),), du=4095, dv=163, vth=25, bias_exponent=0),
    )
