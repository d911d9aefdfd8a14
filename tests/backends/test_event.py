"""The event simulator: what the conformance suite does not ask of it."""

import subprocess
import sys

import numpy as np
import pytest
from strategies import ANYTHING, Sizes, random_program

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.event.plan import make_plan
from snn_deploy.backends.protocol import find_backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.maps import Convolution, Dense, Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, Fires, ResetKind, State
from snn_deploy.ir.program import Bias, Floor, Input, Population, Program, Projection, Reset
from snn_deploy.ir.trace import COUNTS, EVERYTHING, Trace, Values
from snn_deploy.targets import find_target

MANY = Sizes(populations=3, neurons=9, extent=5, samples=23, steps=20)


def assert_equal(first: Trace, second: Trace) -> None:
    for a, b in zip(first.populations, second.populations, strict=True):
        assert a.overflows == b.overflows
        for quantity in ("current", "membrane", "payload", "events", "spikes"):
            x, y = getattr(a, quantity), getattr(b, quantity)
            assert (x is None) == (y is None)
            assert x is None or np.array_equal(x, y)


def program_of(population, linear, shape, **projection) -> Program:
    """Return one input, one projection, one population."""
    return Program(
        name="test",
        target="cpu",
        arithmetic=find_target("cpu").arithmetic,
        inputs=(Input(name="x", shape=shape, low=-(2**20), high=2**20),),
        populations=(population,),
        projections=(Projection(name="w", source="x", target="n", map=linear, **projection),),
        outputs=(Output(name="y", population="n", decode=Decode.MEMBRANE_END),),
    )


def both(program: Program, values: np.ndarray) -> Trace:
    """Return the trace of the event simulator, after comparing it with the reference."""
    inputs = (Values(name="x", values=values),)
    trace = EventBackend(threads=1).run(program, inputs, EVERYTHING)
    assert_equal(ReferenceBackend().run(program, inputs, EVERYTHING), trace)
    return trace


INTEGRATOR = Population(name="n", shape=(3,), decay=np.asarray(4096), fires=Fires.NEVER)


@pytest.mark.parametrize("seed", range(6))
def test_the_number_of_threads_changes_nothing(seed):
    case = random_program(np.random.default_rng(seed), ANYTHING, MANY)
    one = EventBackend(threads=1).run(*case, EVERYTHING)
    assert_equal(one, EventBackend(threads=2).run(*case, EVERYTHING))
    assert_equal(one, EventBackend(threads=7).run(*case, EVERYTHING))


@pytest.mark.parametrize("seed", range(6))
def test_a_sample_does_not_depend_on_those_before_it(seed):
    program, inputs = random_program(np.random.default_rng(seed), ANYTHING, MANY)
    trace = EventBackend(threads=1).run(program, inputs, EVERYTHING)
    last = tuple(Values(name=v.name, values=v.values[-1:]) for v in inputs)
    alone = EventBackend(threads=1).run(program, last, EVERYTHING)
    for whole, one in zip(trace.populations, alone.populations, strict=True):
        assert np.array_equal(whole.state(State.MEMBRANE)[-1:], one.state(State.MEMBRANE))
        assert np.array_equal(whole.spikes[-1:], one.spikes)


def test_it_is_found_by_its_name():
    assert find_backend("event") == EventBackend()


def test_it_loads_numba_only_to_run():
    script = "import sys, snn_deploy.backends.event; print('numba' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "False\n"


def test_weights_that_outgrow_32_bits_when_shifted_stay_exact():
    weight = np.array([[2**20], [-(2**20)], [3]])
    program = program_of(INTEGRATOR, Dense(weight=weight), (1,), shift=20)
    assert make_plan(program, 4).weights.dtype == np.int64
    both(program, np.array([[[1], [-1], [0], [2]]]))


def test_weights_that_fit_are_stored_in_32_bits():
    program = program_of(INTEGRATOR, Dense(weight=np.array([[1], [2], [3]])), (1,), shift=6)
    plan = make_plan(program, 4)
    assert plan.weights.dtype == np.int32
    assert plan.weights.tolist() == [64, 128, 192]


def test_a_delay_beyond_the_run_never_arrives():
    program = program_of(
        INTEGRATOR, Dense(weight=np.ones((3, 1), np.int32)), (1,), delay=np.asarray(65535)
    )
    assert make_plan(program, 4).populations[0]["doors"][0]["slots"] == 4
    trace = both(program, np.ones((1, 4, 1), np.int32))
    assert not trace["n"].membrane.any()


def test_a_map_without_synapses_gives_nothing():
    none = np.zeros(0, np.int32)
    empty = Sparse(post=none, pre=none, weight=none, post_shape=(3,), pre_shape=(2,))
    assert not both(program_of(INTEGRATOR, empty, (2,)), np.ones((2, 3, 2), int))["n"].events.any()


def test_a_kernel_is_stored_once_however_large_its_picture():
    kernel = Convolution(
        weight=np.arange(72).reshape(4, 2, 3, 3), source=(2, 30, 30), padding=(1, 1, 1, 1)
    )
    population = Population(
        name="n", shape=(4, 30, 30), decay=np.asarray(4000), fires=Fires.BINARY,
        threshold=np.asarray(90), reset=Reset(kind=ResetKind.VALUE),
    )  # fmt: skip
    program = program_of(population, kernel, (2, 30, 30))
    assert make_plan(program, 4).weights.size == 72
    values = (np.random.default_rng(2).random((2, 4, 2, 30, 30)) < 0.02).astype(int)
    assert both(program, values)["n"].events.any()


@pytest.mark.parametrize(
    "moved",
    [
        {"biases": (Bias(value=np.asarray(5), start=6),)},
        {"threshold": np.asarray(-1), "fires": Fires.BINARY},
        {"floor": Floor(value=np.asarray(4))},
        {"initial": np.asarray(3)},
    ],
    ids=["late bias", "threshold below 0", "floor above 0", "initial membrane"],
)
def test_a_silent_population_is_not_skipped_where_something_moves_it(moved):
    fields = {"fires": Fires.NEVER, **moved}
    population = Population(name="n", shape=(3,), decay=np.asarray(4000), **fields)
    program = program_of(population, Dense(weight=np.ones((3, 1), np.int32)), (1,))
    trace = both(program, np.zeros((1, 9, 1), np.int32))
    assert trace["n"].membrane.any() or trace["n"].payload.any()


def test_a_population_that_comes_to_rest_wakes_up_again():
    population = Population(
        name="n", shape=(3,), decay=np.asarray(2048), threshold=np.asarray(2),
        reset=Reset(kind=ResetKind.VALUE),
    )  # fmt: skip
    program = program_of(population, Dense(weight=np.array([[1], [2], [3]])), (1,))
    values = np.zeros((1, 30, 1), np.int32)
    values[0, [0, 20, 21]] = 1
    assert both(program, values)["n"].spikes.tolist() == [[0, 1, 3]]


def test_no_samples_and_no_steps_are_a_run_too():
    program = program_of(INTEGRATOR, Dense(weight=np.ones((3, 1), np.int32)), (1,))
    for shape in ((0, 4, 1), (2, 0, 1)):
        assert both(program, np.zeros(shape, np.int32))["n"].events.shape == (shape[0], 3)


def test_progress_counts_samples():
    program, inputs = random_program(np.random.default_rng(4), ANYTHING, MANY)
    calls: list[tuple[int, int]] = []
    EventBackend(threads=2).run(program, inputs, COUNTS, lambda *done: calls.append(done))
    assert calls[-1] == (23, 23)
    assert calls == sorted(calls)
