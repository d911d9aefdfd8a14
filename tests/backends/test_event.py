"""The event simulator: what the conformance suite does not ask of it."""

import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
from strategies import ANYTHING, Sizes, random_program, unchecked
from wild_programs import wild_inputs, wild_program

from snn_deploy.backends.event import EventBackend, sources
from snn_deploy.backends.event.layers.kernels.advance import KERNELS
from snn_deploy.backends.event.stepwise.kernels.loop import advance_steps
from snn_deploy.backends.event.stepwise.kinds import code_of
from snn_deploy.backends.event.stepwise.plan import make_plan
from snn_deploy.backends.protocol import find_backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.arithmetic import Overflow, Register, Sums
from snn_deploy.ir.kinds import KINDS, NeuronKind
from snn_deploy.ir.maps import Convolution, Dense, Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Compare, Decode, Fires, Reads, ResetKind, State, Tabled
from snn_deploy.ir.program import (
    Bias,
    Current,
    Floor,
    Gain,
    Input,
    Population,
    Program,
    Projection,
    Reset,
)
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.trace import COUNTS, EVERYTHING, Trace, Values
from snn_deploy.targets import find_target

MANY = Sizes(populations=3, neurons=9, extent=5, samples=23, steps=20)


def assert_equal(first: Trace, second: Trace) -> None:
    for a, b in zip(first.populations, second.populations, strict=True):
        assert a.overflows == b.overflows
        assert np.array_equal(a.events, b.events)
        assert np.array_equal(a.spikes, b.spikes)
        assert set(a.states) == set(b.states)
        assert [
            s for s, values in a.states.items() if not np.array_equal(values, b.states[s])
        ] == []


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


def table(what: Tabled, rows: list[int], into: State | None = None) -> Table:
    return Table(what=what, into=into, rows=np.asarray(rows, np.int32), start=3)


INTEGRATOR = Population(name="n", shape=(3,), decay=np.asarray(4096), fires=Fires.NEVER)
INTEGRATOR_5 = replace(INTEGRATOR, shape=(5,))


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
        for state, values in whole.states.items():
            assert np.array_equal(values[-1:], one.state(state))
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


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": np.asarray(2**31 - 1, np.int32)},
        {"threshold": np.asarray(2**31 - 2, np.int32)},
        {"initial": np.asarray(2**31 - 1, np.int32)},
        {"initial": np.asarray(-(2**31), np.int32)},
        {"floor": Floor(value=np.asarray(2**23, np.int32))},
        {"reset": Reset(kind=ResetKind.SUBTRACT, amount=np.asarray(-(2**31), np.int32))},
        {"decay": np.asarray(2**13, np.int32)},
    ],
)
def test_numbers_at_the_ends_of_their_types_equal_the_reference(changes):
    population = Population(
        **{"name": "n", "shape": (3,), "decay": np.asarray(4096, np.int32)}
        | {"threshold": np.asarray(640, np.int32), **changes}
    )
    linear = Dense(weight=np.array([[255, -7], [-255, 3], [90, 90]], np.int32))
    program = program_of(population, linear, (2,), shift=6)
    both(program, np.ones((2, 30, 2), np.int64))


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
        {"fires": Fires.TERNARY, "lower": np.asarray(0), "compare": Compare.GREATER_EQUAL},
        {"fires": Fires.TERNARY, "lower": np.asarray(1), "threshold": np.asarray(1)},
        {"fires": Fires.BINARY, "tables": (table(Tabled.THRESHOLD, [3, -1]),)},
        {"fires": Fires.TERNARY, "tables": (table(Tabled.LOWER, [-2, 1]),)},
        {"tables": (table(Tabled.BIAS, [0, 0, 7], State.MEMBRANE),)},
        {
            "current": Current(decay=np.asarray(0)),
            "tables": (table(Tabled.BIAS, [0, 0, 7], State.CURRENT),),
        },
        {
            "decay": np.asarray(2048), "initial": np.asarray(3), "restart": Restart(interval=4),
        },
        {"current": Current(decay=np.asarray(0), initial=np.asarray(3), reads=Reads.OLD)},
        {"decay": np.asarray(0), "biases": (Bias(value=np.asarray(5), start=6),),
         "window": Window(first=0, behind=2)},
    ],
    ids=[
        "late bias", "threshold below 0", "floor above 0", "initial membrane", "lower threshold 0",
        "lower threshold above 0", "threshold over time", "lower threshold over time",
        "bias over time", "bias on the current over time", "restart", "initial current",
        "late bias outside the window",
    ],
)  # fmt: skip
def test_a_silent_population_is_not_skipped_where_something_moves_it(moved):
    fields = {"fires": Fires.NEVER, "decay": np.asarray(4000), **moved}
    population = Population(name="n", shape=(3,), **fields)
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


RESTING = [
    {"threshold": np.asarray(1)},
    {"fires": Fires.COUNT, "max_spikes": 3},
    {"fires": Fires.ROUNDED, "max_spikes": 3},
    {"fires": Fires.TERNARY},
    {"fires": Fires.GRADED, "payload_shift": 3},
    {"refractory": Refractory(steps=3)},
    {"restart": Restart(interval=4)},
    {"biases": (Bias(value=np.asarray(9), waits=True),)},
    {"tables": (table(Tabled.PAYLOAD, [3, 2]), table(Tabled.THRESHOLD, [1, 4]))},
    {"gains": (Gain(into=State.MEMBRANE, multiplier=np.asarray(3), shift=2),)},
]


@pytest.mark.parametrize("fields", RESTING)
def test_a_population_at_rest_is_skipped_until_something_arrives(fields):
    population = Population(name="n", shape=(3,), decay=np.asarray(2048), **fields)
    program = program_of(population, Dense(weight=np.array([[1], [20], [-30]])), (1,))
    assert make_plan(program, 4).populations[0]["rests"]
    values = np.zeros((1, 60, 1), np.int32)
    values[0, [20, 45, 46]] = 1
    trace = both(program, values)
    assert trace["n"].membrane[0, 20:].any()
    assert not trace["n"].membrane[0, :20].any()


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_types_allow_equals_the_reference(seed):
    with unchecked():
        rng = np.random.default_rng([9, seed])
        program = wild_program(rng)
        inputs = wild_inputs(rng, program.inputs, 2, 24)
        trace = EventBackend(threads=1).run(program, inputs, EVERYTHING)
        assert_equal(ReferenceBackend().run(program, inputs, EVERYTHING), trace)


@pytest.mark.parametrize("overflow", Overflow)
def test_every_row_passes_the_register_where_rows_are_summed_one_by_one(overflow):
    register = Register(bits=6, overflow=overflow)
    rules = replace(
        find_target("cpu").arithmetic, membrane=register, current=register, sums=Sums.BY_ROW
    )
    population = replace(INTEGRATOR, initial=np.asarray([500, -500, 3]))
    program = program_of(population, Dense(weight=np.array([[900, 1, 1, -7]] * 3)), (4,))
    program = replace(program, arithmetic=rules)
    values = np.random.default_rng(3).integers(-1, 2, (3, 9, 4))
    assert both(program, values)["n"].overflows


def test_what_arrives_while_a_population_does_not_act_is_lost():
    program = program_of(INTEGRATOR, Dense(weight=np.ones((3, 1), np.int32)), (1,))
    program = replace(program, period=3)
    trace = both(program, np.ones((1, 9, 1), np.int32))
    assert trace["n"].membrane[0, :, 0].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_payload_lasts_one_step_of_the_program_however_long_the_networks_is():
    population = replace(INTEGRATOR, fires=Fires.BINARY, threshold=np.asarray(0))
    program = program_of(population, Dense(weight=np.ones((3, 1), np.int32)), (1,))
    trace = both(replace(program, period=2), np.ones((1, 6, 1), np.int32))
    assert trace["n"].payload[0, :, 0].tolist() == [1, 0, 1, 0, 1, 0]


def test_neurons_of_a_kind_without_a_kernel_are_refused():
    @dataclass(frozen=True)
    class Unknown(NeuronKind):
        tag = "unknown"

    with pytest.raises(NotImplementedError) as caught:
        code_of(Unknown())
    assert str(caught.value) == "the event simulator has no kernel for neurons of 'unknown'"


def test_every_kind_of_neurons_has_a_kernel():
    assert len({code_of(kind.__new__(kind)) for kind in KINDS.values()}) == len(KINDS)


def test_kernels_of_other_sources_are_not_taken_from_the_cache(monkeypatch):
    first = sources.digest()
    assert first == sources.SOURCES
    monkeypatch.setattr(sources, "CURRENTS", ())
    assert sources.digest() != first


def test_no_program_and_no_recording_compile_the_kernels_anew():
    """Neither arrays with gaps nor numbers of another width; weights alone have two."""
    with unchecked():
        for seed in range(8):
            program, inputs = random_program(np.random.default_rng(seed), ANYTHING)
            EventBackend().run(program, inputs, EVERYTHING)
    assert len(KERNELS.initialize.signatures) == len(KERNELS.advance.signatures) == 1
    forms = [[str(part) for part in form[1:]] for form in advance_steps.signatures]
    assert forms
    assert all(form == forms[0] for form in forms)


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


@pytest.mark.parametrize("largest", [127, 126, 3])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_sums_of_16_bits_that_could_overflow_are_put_elsewhere_in_time(largest, share):
    rng = np.random.default_rng(5)
    weight = np.where(rng.random((5, 900)) < 0.9, largest, -largest)
    weight[0, 0] = 1  # odd: no factor 2 in common
    program = program_of(INTEGRATOR_5, Dense(weight=weight), (900,), shift=3)
    program = replace(program, inputs=(Input(name="x", shape=(900,)),))
    values = (rng.random((2, 6, 900)) < share).astype(int)
    trace = both(program, values)
    sums = np.abs(np.diff(trace["n"].membrane, axis=1)) >> 3
    assert (sums.max() > 2**15) == (largest > 100 and share > 0.5)


def test_a_convolution_of_many_events_adds_up_beyond_16_bits():
    weight = np.full((3, 40, 5, 5), 127)
    weight[1] = -128
    weight[2] = 1
    kernel = Convolution(weight=weight, source=(40, 8, 8), padding=(2, 2, 2, 2))
    population = replace(INTEGRATOR, shape=(3, 8, 8))
    program = program_of(population, kernel, (40, 8, 8))
    program = replace(program, inputs=(Input(name="x", shape=(40, 8, 8)),))
    values = (np.random.default_rng(6).random((2, 5, 40, 8, 8)) < 0.7).astype(int)
    assert np.abs(np.diff(both(program, values)["n"].membrane, axis=1)).max() > 2**16
