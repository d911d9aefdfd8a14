"""The reference simulator against numbers worked out by hand, line by line of the step.

The rules are Loihi's: decay by multiplier / 4096 toward zero, u wraps once at +-2**23, v stays
within +-(2**23 - 1), a threshold must be passed.
"""

from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.maps import Convolution, Dense, Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import (
    Compare,
    Decode,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    When,
)
from snn_deploy.ir.program import (
    Bias,
    Current,
    Floor,
    Input,
    Population,
    Program,
    Projection,
    Reset,
)
from snn_deploy.ir.trace import EVERYTHING, PopulationTrace, Values
from snn_deploy.targets import find_target

KEEPS_ALL = np.asarray(4096)
HALF = 2**23
WIDE = 2**20
"""Inputs of these tests are -WIDE..WIDE."""


def number(value):
    return np.asarray(value, np.int32)


def neuron(**fields) -> Population:
    """Return one integrator that never fires, with other fields as given."""
    plain = Population(name="n", shape=(1,), decay=KEEPS_ALL, fires=Fires.NEVER)
    return replace(plain, **fields)


def run(population, values, *, weight=1, shift=0, delay=0, extra=(), arithmetic=None):
    """Return the trace of one population behind one input with one weight."""
    size = population.size
    program = Program(
        name="test",
        target="loihi2",
        arithmetic=arithmetic or find_target("loihi2").arithmetic,
        inputs=(Input(name="x", shape=(1,), low=-WIDE, high=WIDE),),
        populations=(population,),
        projections=(
            Projection(
                name="w", source="x", target="n", map=Dense(weight=np.full((size, 1), weight)),
                shift=shift, delay=number(delay),
            ),
            *extra,
        ),
        outputs=(Output(name="y", population="n", decode=Decode.MEMBRANE_END),),
    )  # fmt: skip
    inputs = Values(name="x", values=np.asarray(values, np.int32).reshape(1, -1, 1))
    return ReferenceBackend().run(program, (inputs,), EVERYTHING)["n"]


def states(trace: PopulationTrace, state: State) -> list[int]:
    recorded = trace.state(state)
    assert recorded is not None
    return recorded[0, :, 0].tolist()


def u(trace):
    return states(trace, State.CURRENT)


def v(trace):
    return states(trace, State.MEMBRANE)


def s(trace):
    return states(trace, State.PAYLOAD)


def test_a_membrane_decays_toward_zero_on_both_sides():
    # 7 * 3072 / 4096 = 5.25, 5 -> 3.75, 3 -> 2.25, 2 -> 1.5, 1 -> 0.75
    leaky = neuron(decay=number(3072), initial=number(7))
    assert v(run(leaky, [0] * 5)) == [5, 3, 2, 1, 0]
    leaky = neuron(decay=number(3072), initial=number(-7))
    assert v(run(leaky, [0] * 5)) == [-5, -3, -2, -1, 0]


def test_a_multiplier_of_4095_still_loses_one_per_4096():
    leaky = neuron(decay=number(4095), initial=number(4096))
    assert v(run(leaky, [0, 0, 0])) == [4095, 4094, 4093]


def test_a_current_decays_before_its_input_and_enters_the_membrane_in_the_same_step():
    # u: 2 << 6 = 128, then halves; v sums the new u
    trace = run(neuron(current=Current(decay=number(2048))), [1, 0, 0, 1], weight=2, shift=6)
    assert u(trace) == [128, 64, 32, 144]
    assert v(trace) == [128, 192, 224, 368]


def test_a_membrane_that_reads_the_old_current_is_a_step_late():
    old = Current(decay=number(2048), reads=Reads.OLD, initial=number(10))
    trace = run(neuron(current=old), [1, 0, 0], weight=2, shift=6)
    assert u(trace) == [133, 66, 33]
    assert v(trace) == [10, 143, 209]


@pytest.mark.parametrize(
    ("given", "kept", "membrane", "overflows"),
    [
        (131071, 8388544, 8388544, 0),
        (131072, 8388608, 8388607, 1),  # u may be +2**23; v saturates below it
        (131073, -8388544, -8388544, 1),
        (393217, 8388672, 8388607, 2),  # wraps once only, and stays too large
        (-131071, -8388544, -8388544, 0),
        (-131072, 8388608, 8388607, 2),
        (-131073, 8388544, 8388544, 1),
    ],
)
def test_the_current_wraps_once_as_measured_in_lava(given, kept, membrane, overflows):
    trace = run(neuron(current=Current(decay=number(0))), [given], shift=6)
    assert (u(trace), v(trace)) == ([kept], [membrane])
    assert trace.overflows == overflows


def test_a_current_that_reaches_2_to_23_fires_at_the_highest_threshold():
    firing = neuron(
        current=Current(decay=number(0)),
        fires=Fires.BINARY,
        threshold=number(131071 << 6),
        reset=Reset(kind=ResetKind.VALUE),
    )
    trace = run(firing, [131071, 0, 131072], shift=6)
    assert s(trace) == [0, 0, 1]
    assert v(trace) == [8388544, 8388544, 0]


def test_the_membrane_saturates_on_both_sides_and_counts_it():
    trace = run(neuron(), [131071, 131071, -1, -262144, -262144], shift=6)
    assert v(trace) == [8388544, HALF - 1, HALF - 1 - 64, -(HALF - 1), -(HALF - 1)]
    assert trace.overflows == 3


def test_a_register_that_saturates_may_be_the_current_and_one_that_wraps_the_membrane():
    arithmetic = Arithmetic(
        current=Register(bits=8, overflow=Overflow.SATURATE),
        membrane=Register(bits=8, overflow=Overflow.WRAP_ONCE),
        decay_bits=4,
    )
    integrating = neuron(current=Current(decay=number(16)), decay=number(16))
    trace = run(integrating, [100, 100], arithmetic=arithmetic)
    assert u(trace) == [100, 127]
    assert v(trace) == [100, 227 - 256]
    # a saturates, v wraps, and where nothing resets v is held once more and fits
    assert trace.overflows == 2


def test_a_membrane_far_outside_wraps_once_per_line_that_may_change_it():
    arithmetic = Arithmetic(
        current=Register(bits=8, overflow=Overflow.SATURATE),
        membrane=Register(bits=8, overflow=Overflow.WRAP_ONCE),
        decay_bits=4,
    )
    # 700 - 256 = 444 after the input, 444 - 256 = 188 after the reset, which here does nothing
    assert v(run(neuron(decay=number(16)), [700], arithmetic=arithmetic)) == [188]


@pytest.mark.parametrize(
    ("compare", "spikes"), [(Compare.GREATER, [0, 0, 1]), (Compare.GREATER_EQUAL, [0, 1, 1])]
)
def test_a_membrane_on_the_threshold_fires_only_where_equal_counts(compare, spikes):
    firing = neuron(fires=Fires.BINARY, threshold=number(128), compare=compare)
    trace = run(firing, [1, 1, 1], shift=6)
    assert v(trace) == [64, 128, 192]
    assert s(trace) == spikes
    assert trace.events.tolist() == trace.spikes.tolist() == [[sum(spikes)]]


# Input 4 in each step, threshold 10, compared by >.
@pytest.mark.parametrize(
    ("kind", "when", "amount", "membrane", "spikes"),
    [
        (ResetKind.NONE, When.NOW, 0, [4, 8, 12, 16, 20, 24], [0, 0, 1, 1, 1, 1]),
        (ResetKind.VALUE, When.NOW, 0, [4, 8, 0, 4, 8, 0], [0, 0, 1, 0, 0, 1]),
        (ResetKind.VALUE, When.NOW, -3, [4, 8, -3, 1, 5, 9], [0, 0, 1, 0, 0, 0]),
        (ResetKind.VALUE, When.NEXT, 0, [4, 8, 12, 0, 4, 8], [0, 0, 1, 0, 0, 0]),
        (ResetKind.VALUE, When.NEXT, 11, [4, 8, 12, 11, 11, 11], [0, 0, 1, 1, 1, 1]),
        (ResetKind.SUBTRACT, When.NOW, 10, [4, 8, 2, 6, 10, 4], [0, 0, 1, 0, 0, 1]),
        (ResetKind.SUBTRACT, When.NOW, 7, [4, 8, 5, 9, 6, 10], [0, 0, 1, 0, 1, 0]),
        (ResetKind.SUBTRACT, When.NEXT, 10, [4, 8, 12, 6, 10, 14], [0, 0, 1, 0, 0, 1]),
    ],
)
def test_each_reset_at_each_time(kind, when, amount, membrane, spikes):
    firing = neuron(
        fires=Fires.BINARY,
        threshold=number(10),
        reset=Reset(kind=kind, when=when, amount=number(amount)),
    )
    trace = run(firing, [1] * 6, weight=4)
    assert v(trace) == membrane
    assert s(trace) == spikes


def test_a_late_reset_comes_after_the_leak():
    # 12 fires; then 12 * 0.5 + 4 - 10 = 0
    firing = neuron(
        decay=number(2048),
        initial=number(16),
        fires=Fires.BINARY,
        threshold=number(10),
        reset=Reset(kind=ResetKind.SUBTRACT, when=When.NEXT, amount=number(10)),
    )
    assert v(run(firing, [1, 1, 1], weight=4)) == [12, 0, 4]


@pytest.mark.parametrize(
    ("compare", "counts"),
    [(Compare.GREATER_EQUAL, [0, 0, 1, 2, 3, 0]), (Compare.GREATER, [0, 0, 0, 2, 3, 0])],
)
def test_a_neuron_counts_how_often_the_threshold_goes_into_the_membrane(compare, counts):
    counting = neuron(
        decay=number(0),
        fires=Fires.COUNT,
        max_spikes=3,
        threshold=number(10),
        compare=compare,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=number(10)),
    )
    trace = run(counting, [0, 9, 10, 25, 95, -25])
    left = [
        given - 10 * count for given, count in zip([0, 9, 10, 25, 95, -25], counts, strict=True)
    ]
    assert s(trace) == counts
    assert v(trace) == left
    assert trace.spikes.tolist() == [[sum(counts)]]
    assert trace.events.tolist() == [[sum(count > 0 for count in counts)]]


def test_a_floor_after_the_reset_bounds_what_is_left():
    held = neuron(floor=Floor(value=number(-2)))
    assert v(run(held, [-5, 1, -9])) == [-2, -1, -2]
    firing = neuron(
        fires=Fires.BINARY,
        threshold=number(3),
        reset=Reset(kind=ResetKind.VALUE, amount=number(-7)),
        floor=Floor(value=number(-2)),
    )
    assert v(run(firing, [4])) == [-2]


def test_a_floor_before_the_test_can_make_a_neuron_fire():
    lifted = neuron(
        fires=Fires.BINARY,
        threshold=number(3),
        reset=Reset(kind=ResetKind.SUBTRACT, amount=number(9)),
        floor=Floor(value=number(5), when=FloorWhen.BEFORE_TEST),
    )
    trace = run(lifted, [0, -100])
    assert s(trace) == [1, 1]
    assert v(trace) == [-4, -4]


def test_before_its_lag_a_population_holds_still_and_drops_its_input():
    waiting = neuron(
        lag=2, initial=number(50), biases=(Bias(value=number(3)),), fires=Fires.BINARY,
        threshold=number(40), current=Current(decay=number(0), initial=number(7)),
    )  # fmt: skip
    trace = run(waiting, [1000, 0, 1])  # and two more steps for the lag
    assert v(trace) == [50, 50, 54, 57, 60]
    assert u(trace) == [7, 7, 1, 0, 0]
    assert s(trace) == [0, 0, 1, 1, 1]


def test_a_bias_acts_from_its_start_in_steps_of_the_program():
    biased = neuron(
        current=Current(decay=number(2048)),
        biases=(
            Bias(value=number(3), into=State.CURRENT, start=2),
            Bias(value=number(100)),
            Bias(value=number(-40), start=1),
        ),
        lag=1,
    )
    trace = run(biased, [0] * 4)
    assert u(trace) == [0, 0, 3, 4, 5]
    assert v(trace) == [0, 60, 123, 187, 252]


def test_a_delay_moves_every_payload():
    assert v(run(neuron(), [1, 0, 5, 0], delay=2)) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("delay", "membrane"),
    [([0, 2], [1, 1, 11]), ([[2, 1]], [0, 10, 11])],
    ids=["per source", "per weight"],
)
def test_delays_differ_by_source_or_weight(delay, membrane):
    program = Program(
        name="test",
        target="cpu",
        arithmetic=find_target("cpu").arithmetic,
        inputs=(Input(name="x", shape=(2,)),),
        populations=(neuron(),),
        projections=(
            Projection(
                name="w", source="x", target="n", map=Dense(weight=np.array([[1, 10]])),
                delay=number(delay),
            ),
        ),
        outputs=(Output(name="y", population="n", decode=Decode.MEMBRANE_END),),
    )  # fmt: skip
    inputs = Values(name="x", values=np.array([[[1, 1], [0, 0], [0, 0]]]))
    assert v(ReferenceBackend().run(program, (inputs,), EVERYTHING)["n"]) == membrane


def test_negative_sums_are_shifted_as_products():
    assert v(run(neuron(), [3], weight=-5, shift=6)) == [-960]


def test_a_loop_feeds_back_a_step_later():
    firing = neuron(fires=Fires.BINARY, threshold=number(0), reset=Reset(kind=ResetKind.VALUE))
    loop = Projection(
        name="loop", source="n", target="n", map=Dense(weight=np.array([[2]])), delay=number(1)
    )
    trace = run(firing, [1, 0, -1, -1, 0], extra=(loop,))
    # 1 fires; 2 fires; 2 - 1 fires; 2 - 1 fires; 2 fires
    assert s(trace) == [1, 1, 1, 1, 1]
    trace = run(firing, [1, -2, 0, 0, 0], extra=(loop,))
    assert s(trace) == [1, 0, 0, 0, 0]


def test_a_convolution_reads_its_neighbours():
    picture = np.arange(1, 10).reshape(1, 1, 1, 3, 3)
    program = Program(
        name="test",
        target="cpu",
        arithmetic=find_target("cpu").arithmetic,
        inputs=(Input(name="x", shape=(1, 3, 3), high=9),),
        populations=(replace(neuron(), shape=(1, 2, 2)),),
        projections=(
            Projection(
                name="w", source="x", target="n",
                map=Convolution(
                    weight=np.array([[[[1, 10], [100, 1000]]]]), source=(1, 3, 3),
                    stride=(2, 2), padding=(1, 0, 0, 1),
                ),
            ),
        ),
        outputs=(Output(name="y", population="n", decode=Decode.MEMBRANE_END),),
    )  # fmt: skip
    trace = ReferenceBackend().run(program, (Values(name="x", values=picture),), EVERYTHING)["n"]
    assert trace.membrane is not None
    assert trace.membrane[0, 0, 0].tolist() == [[2100, 300], [8754, 1 * 6 + 100 * 9]]


def test_projections_into_one_population_add_up():
    more = Projection(
        name="more",
        source="x",
        target="n",
        map=Sparse(
            post=np.array([0]), pre=np.array([0]), weight=np.array([-7]),
            post_shape=(1,), pre_shape=(1,),
        ),
        shift=1,
        delay=number(1),
    )  # fmt: skip
    assert v(run(neuron(), [1, 0, 0], weight=3, shift=2, extra=(more,))) == [12, -2, -2]


def test_parameters_of_each_neuron_are_its_own():
    two = Population(
        name="n", shape=(2,), decay=number([4096, 2048]), threshold=number([5, 7]),
        reset=Reset(kind=ResetKind.VALUE, amount=number([-1, -2])), initial=number([0, 4]),
    )  # fmt: skip
    trace = run(two, [6, 6])
    assert trace.membrane is not None
    assert trace.payload is not None
    assert trace.membrane[0].tolist() == [[-1, -2], [5, 5]]
    assert trace.payload[0].tolist() == [[1, 1], [0, 0]]
