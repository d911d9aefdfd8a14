"""The simulator that keeps its states: any cutting of an input into calls gives the same."""

import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ANYTHING, Sizes, random_program, unchecked

from snn_deploy.backends.event.choices import Choices
from snn_deploy.backends.event.compiling import Kernels, first_use
from snn_deploy.backends.event.run import machine_of
from snn_deploy.backends.event.simulator import Simulator
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DataError, InputRangeError, UnknownNameError
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, ResetKind, State
from snn_deploy.ir.program import Input, Population, Program, Projection, Reset
from snn_deploy.ir.telling import telling
from snn_deploy.ir.trace import COUNTS, EVERYTHING, Values
from snn_deploy.targets import find_target

SMALL = Sizes(populations=4, neurons=8, extent=5, samples=2, steps=18)


def chain() -> Program:
    """Return two layers of two neurons, the second one a step late."""
    neurons = Population(
        name="first", shape=(2,), decay=np.asarray(4096), threshold=np.asarray(2),
        reset=Reset(kind=ResetKind.VALUE),
    )  # fmt: skip
    second = Population(name="second", shape=(2,), decay=np.asarray(4096), lag=1)
    eye = Dense(weight=np.eye(2, dtype=np.int32))
    return Program(
        name="chain",
        target="cpu",
        arithmetic=find_target("cpu").arithmetic,
        inputs=(Input(name="x", shape=(2,), high=3),),
        populations=(neurons, second),
        projections=(
            Projection(name="a", source="x", target="first", map=eye),
            Projection(name="b", source="first", target="second", map=eye, delay=np.asarray(1)),
        ),
        outputs=(Output(name="y", population="second", decode=Decode.COUNT),),
    )


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_an_input_cut_anywhere_gives_the_states_of_the_whole(seed, cuts):
    with unchecked():
        program, inputs = random_program(np.random.default_rng([8, seed]), ANYTHING, SMALL)
        whole = ReferenceBackend().run(program, inputs, EVERYTHING)
        steps = inputs[0].values.shape[1]
        simulator = Simulator(program, samples=2)
        begin = 0
        for cut in [*cuts, steps]:
            end = min(begin + cut, steps)
            parts = [Values(name=v.name, values=v.values[:, begin:end]) for v in inputs]
            trace = simulator.run(parts, EVERYTHING)
            for population in trace.populations:
                for state, values in population.states.items():
                    expected = whole[population.name].states[state][:, begin:end]
                    assert np.array_equal(values, expected), (population.name, state)
            begin = end
        assert simulator.steps == steps
        for population in program.populations:
            for state in population.states:
                last = whole[population.name].states[state][:, steps - 1]
                assert np.array_equal(simulator.state(population.name, state), last)


def test_a_step_returns_what_each_population_sends():
    simulator = Simulator(chain())
    sent = [simulator.step(x=np.array([[3, 0]])) for _ in range(3)]
    assert [now["first"].tolist() for now in sent] == [[[1, 0]], [[1, 0]], [[1, 0]]]
    assert simulator.state("first", State.MEMBRANE).tolist() == [[0, 0]]


def test_a_reset_goes_back_to_the_start():
    simulator = Simulator(chain())
    values = np.random.default_rng(1).integers(0, 3, (1, 20, 2))
    first = simulator.run([Values(name="x", values=values)], EVERYTHING)
    simulator.reset()
    assert simulator.steps == 0
    again = simulator.run([Values(name="x", values=values)], EVERYTHING)
    for a, b in zip(first.populations, again.populations, strict=True):
        assert np.array_equal(a.membrane, b.membrane)


def test_counts_are_those_of_the_call_alone():
    simulator = Simulator(chain())
    values = np.full((1, 4, 2), 3)
    for _ in range(2):
        trace = simulator.run([Values(name="x", values=values)], COUNTS)
        assert trace["first"].spikes.tolist() == [[4, 4]]
        assert trace["first"].states == {}


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda s: s.run([Values(name="x", values=np.zeros((2, 3, 2), int))]),
            DataError,
            "inputs of 2 samples for a simulator of 1; make it with Simulator(program, samples=2)",
        ),
        (
            lambda s: s.state("frist", State.MEMBRANE),
            UnknownNameError,
            "no population is called 'frist'; there are first, second",
        ),
        (
            lambda s: s.state("first", State.CURRENT),
            UnknownNameError,
            "neurons of 'first' have no 'current'; they have membrane, payload",
        ),
    ],
)
def test_what_cannot_be_asked_of_it_is_an_error(call, error, text):
    with pytest.raises(error) as caught:
        call(Simulator(chain()))
    parts = [caught.value.message, caught.value.fix]
    assert "; ".join(part for part in parts if part) == text


def test_a_simulator_of_nothing_is_refused():
    with pytest.raises(DataError):
        Simulator(chain(), samples=0)


def test_an_input_out_of_range_changes_nothing():
    simulator = Simulator(chain())
    with pytest.raises(InputRangeError):
        simulator.step(x=np.array([[4, 0]]))
    assert simulator.steps == 0


def test_a_program_is_planned_once_and_forgotten_with_it():
    program = chain()
    machine = machine_of(program, 9, Choices())
    assert machine_of(program, 9, Choices()) is machine
    assert machine_of(program, 8, Choices()) is not machine
    assert machine_of(chain(), 9, Choices()) is not machine


MEMORY = """
import resource, sys
import numpy as np
sys.path[:0] = sys.argv[2:]
from test_simulator import chain
from snn_deploy.backends.event.simulator import Simulator
from snn_deploy.ir.trace import Values
simulator = Simulator(chain())
part = np.ones((1, 2000, 2), np.uint8)
simulator.run([Values(name="x", values=part)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(int(sys.argv[1])):
    simulator.run([Values(name="x", values=part)])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_million_steps_need_no_more_memory_than_the_first(request):
    folder = str(request.path.parent)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, "500", folder, str(request.path.parent.parent)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) < 8 * 1024  # KiB


def test_what_is_compiled_is_told_once_for_an_installation(tmp_path, monkeypatch):
    told = []

    @contextmanager
    def tell(what):
        told.append(what)
        yield

    monkeypatch.setattr("snn_deploy.backends.event.compiling._used", set())
    token = telling.set(tell)
    try:
        with first_use([Kernels.LAYERS], tmp_path):
            pass
        assert told == [
            "compiling the simulator for layers of plain neurons, once for this installation"
        ]
        monkeypatch.setattr("snn_deploy.backends.event.compiling._used", set())
        with first_use([Kernels.LAYERS], tmp_path):
            pass
        assert len(told) == 1
        with first_use(Kernels, tmp_path):
            pass
        assert told[1:] == [
            "compiling the simulator for neurons of every kind, once for this installation"
        ]
    finally:
        telling.reset(token)
