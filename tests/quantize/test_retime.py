"""Retiming: the same spikes, later by the lag; and the biases that then need a clock."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import LOIHI, Sizes, Trait, random_program

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DoesNotFitError, LoopTooShortError
from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.maps import Dense, dense_matrix
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Compare, ResetKind, State
from snn_deploy.ir.program import (
    Bias,
    Current,
    Input,
    Population,
    Program,
    Projection,
    Reset,
    Role,
)
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize.biases import LowerBiases
from snn_deploy.quantize.ranges import CheckRanges
from snn_deploy.quantize.relays import AddRelays
from snn_deploy.quantize.retime import Retime
from snn_deploy.targets import find_target

LOIHI2, CPU = find_target("loihi2"), find_target("cpu")
SAME_STEP = LOIHI.including(Trait.ZERO_DELAY, Trait.CURRENT_BIAS, Trait.LATE_BIAS).without(
    Trait.CLOCK, Trait.RELAY
)
SMALL = Sizes(populations=4, neurons=6, extent=4, samples=1, steps=12)
SEEDS = st.integers(0, 2**32 - 1)


def run(program, inputs):
    return ReferenceBackend().run(program, inputs, EVERYTHING)


def number(value):
    return np.asarray(value, np.int32)


def assert_same_but_later(early, late, program, steps):
    for population in program.populations:
        if population.role is Role.CLOCK:
            continue
        for state in State:
            wanted = early[population.name].state(state)
            if wanted is not None:
                got = late[population.name].state(state)[:, population.lag :][:, :steps]
                assert np.array_equal(got, wanted[:, :steps]), (population.name, state)


def unretimed(seed, features=SAME_STEP):
    """Return a random program whose lags are all 0, with inputs."""
    program, inputs = random_program(np.random.default_rng(seed), features, SMALL)
    populations = tuple(replace(p, lag=0) for p in program.populations)
    return replace(program, populations=populations), inputs


def retimed(program):
    try:
        return Retime(target=LOIHI2)(program).graph
    except LoopTooShortError:
        assume(False)


@settings(max_examples=25)
@given(seed=SEEDS)
def test_a_retimed_program_has_the_same_states_later_by_the_lag(seed):
    program, inputs = unretimed(seed)
    late = retimed(program)
    steps = inputs[0].values.shape[1]
    assert all(p.delay.min() >= 1 for p in late.projections if p.delay.size)
    assert_same_but_later(run(program, inputs), run(late, inputs), late, steps)


@settings(max_examples=25)
@given(seed=SEEDS)
def test_a_clock_brings_every_neuron_exactly_its_biases(seed):
    program, inputs = unretimed(seed, SAME_STEP.without(Trait.SIGNED_INPUT))  # relays send none
    rng = np.random.default_rng(seed)
    populations = tuple(_with_biases(p, rng) for p in program.populations)
    late = retimed(replace(program, populations=populations))
    high = int(rng.integers(1, 5))  # with relays for the later ones
    target = replace(LOIHI2, delay=replace(LOIHI2.delay, high=high))
    lowered = AddRelays(target=target)(LowerBiases(target=target)(late).graph).graph
    clocks = [p.name for p in lowered.populations if p.role is not Role.NEURONS]
    assert len(clocks) == len(lowered.populations) - len(late.populations)
    assert all(p.delay.min() >= 1 and p.delay.max() <= high
               for p in lowered.projections if p.delay.size)  # fmt: skip
    before, after = run(late, inputs), run(lowered, inputs)
    for population in late.populations:
        for state in State:
            wanted, got = (t[population.name].state(state) for t in (before, after))
            assert np.array_equal(got, wanted)
        left = lowered.population(population.name).biases
        assert all(b.into is State.MEMBRANE for b in left)


def _with_biases(population, rng):
    """Return the population with multiples of 64 as biases, of all sizes that two weights hold."""
    shape = [(), population.shape][int(rng.integers(2))]
    values = 64 * rng.integers(-1, 2, shape) * rng.integers(0, 2 ** rng.integers(2, 15), shape)
    into = [State.MEMBRANE] if population.current is None else [State.CURRENT, State.MEMBRANE]
    biases = tuple(
        Bias(value=number(values), into=state, start=int(rng.integers(0, 4)))
        for state in into
        if rng.random() < 0.7
    )
    return replace(population, biases=biases)


def chain(*, delay=0, loop=None, bias=None, lag=0, current=False):
    """Return in -> a -> b, with a short cut from in to b, and maybe a loop around b."""

    def population(name, biases=()):
        return Population(
            name=name,
            shape=(1,),
            decay=number(2048),
            current=Current(decay=number(1024)) if current else None,
            threshold=number(64),
            compare=Compare.GREATER,
            reset=Reset(kind=ResetKind.VALUE),
            biases=biases,
            lag=lag,
        )

    def wire(source, target, delay=0):
        one = Dense(weight=number([[2]]))
        return Projection(
            name=f"{source}>{target}", source=source, target=target, map=one, shift=6,
            delay=number(delay),
        )  # fmt: skip

    wires = [wire("in", "a"), wire("a", "b"), wire("in", "b", delay)]
    if loop is not None:
        wires.append(wire("b", "a", loop))
    return Program(
        name="chain",
        target="loihi2",
        arithmetic=LOIHI2.arithmetic,
        inputs=(Input(name="in", shape=(1,)),),
        populations=(population("a"), population("b", () if bias is None else (bias,))),
        projections=tuple(wires),
        outputs=(Output(name="out", population="b"),),
    )


def test_the_short_branch_of_a_join_is_lengthened():
    done = Retime(target=LOIHI2)(chain())
    delays = {p.name: int(p.delay) for p in done.graph.projections}
    assert delays == {"in>a": 1, "a>b": 1, "in>b": 2}
    assert [p.lag for p in done.graph.populations] == [1, 2]
    assert [str(f) for f in done.findings] == [
        "retimed    b: output 'out' comes 2 steps later; loihi2 needs 1 step per projection; "
        "the spikes are the same"
    ]


def test_a_target_without_delays_leaves_a_program_as_it_is():
    program = chain(bias=Bias(value=number(64)))
    assert Retime(target=CPU)(program).graph.digest == program.digest
    assert LowerBiases(target=CPU)(program).graph.digest == program.digest


def test_a_loop_that_is_too_short_is_refused():
    with pytest.raises(LoopTooShortError) as caught:
        Retime(target=LOIHI2)(chain(loop=1))
    assert str(caught.value) == (
        "error[SNN304]: a loop of 2 projections has 1 step of delay, "
        "but the chip needs 1 for each, 2 in all\n"
        "  at: a -> b -> a\n"
        "  fix: --time-dilation 2, which gives each step of the network 2 on the chip; "
        "or train with more delay in the loop; or --target cpu"
    )
    assert Retime(target=CPU)(chain(loop=1)).graph.lag == 0


def test_the_loop_is_found_behind_populations_that_are_not_in_it():
    program = chain(loop=1)
    first = replace(program.populations[0], name="first")
    wires = (
        replace(program.projections[0], name="in>first", target="first"),
        *program.projections,
    )
    program = replace(program, populations=(first, *program.populations), projections=wires)
    with pytest.raises(LoopTooShortError) as caught:
        Retime(target=LOIHI2)(program)
    assert caught.value.where in ("a -> b -> a", "b -> a -> b")


def test_a_loop_with_enough_delay_keeps_it():
    done = Retime(target=LOIHI2)(chain(loop=2)).graph
    delays = {p.name: int(p.delay) for p in done.projections}
    assert delays["a>b"] + delays["b>a"] == 2


def test_a_delay_that_becomes_too_long_comes_from_a_relay():
    late = Retime(target=LOIHI2)(chain(delay=62)).graph
    assert [int(p.delay) for p in late.projections] == [1, 1, 64]
    done = AddRelays(target=LOIHI2)(late)
    assert [(p.name, p.source, int(p.delay)) for p in done.graph.projections] == [
        ("in>a", "in", 1),
        ("a>b", "a", 1),
        ("in>b.relay1", "in.relay1", 1),
        ("in.relay1", "in", 63),
    ]
    assert [str(f) for f in done.findings] == [
        "retimed    in: 1 relay neuron repeats what it sends up to 63 steps later; "
        "loihi2 has delays of 1..63 steps; the spikes are the same"
    ]
    nearly = Retime(target=LOIHI2)(chain(delay=61)).graph
    assert AddRelays(target=LOIHI2)(nearly).graph == nearly
    assert Retime(target=CPU)(chain(delay=62)).graph.projections[2].delay == 62


def test_a_bias_is_split_into_low_and_high_bits():
    program = Retime(target=LOIHI2)(chain(bias=Bias(value=number(-64 * 1003)))).graph
    done = LowerBiases(target=LOIHI2)(program)
    wires = done.graph.projections[3:]
    assert [(p.shift, int(p.map.weight.item()), p.sign.value) for p in wires] == [
        (8, -250, "inhibitory"),
        (6, -3, "inhibitory"),
    ]
    assert [str(f) for f in done.findings] == [
        "retimed    clock: one clock neuron with 2 projections carries the biases of 1 neuron; "
        "loihi2 has no bias that starts late or enters a current"
    ]


COARSE = find_target(str(Path(__file__).parents[2] / "examples" / "targets" / "half-loihi.toml"))
"""Its weights of one sign are multiples of 16, up to 240."""


@pytest.mark.parametrize("steps", [1, 15, 16, 100, -77, 1919, -1920])
def test_a_bias_becomes_weights_that_the_chip_stores_and_that_add_up_to_it(steps):
    value = 16 * 64 * steps
    program = Retime(target=COARSE)(chain(bias=Bias(value=number(value)))).graph
    wires = LowerBiases(target=COARSE)(program).graph.projections[3:]
    weights = [int(p.map.weight.item()) for p in wires]
    assert sum(weight << p.shift for weight, p in zip(weights, wires, strict=True)) == value
    assert all(weight % 16 == 0 and abs(weight) <= 240 for weight in weights)
    assert len({p.name for p in wires}) == len(wires)


def test_the_clock_fires_in_every_step():
    program = Retime(target=LOIHI2)(chain(bias=Bias(value=number(64)))).graph
    lowered = LowerBiases(target=LOIHI2)(program).graph
    zeros = (Values(name="in", values=np.zeros((1, 5, 1), np.int32)),)
    assert run(lowered, zeros)["clock"].payload.ravel().tolist() == [1] * 7


def test_a_population_that_waits_for_nothing_keeps_its_native_bias():
    program = chain(bias=Bias(value=number(65)))
    alone = replace(program, projections=program.projections[:1])
    late = Retime(target=LOIHI2)(alone).graph
    assert late.population("b").lag == 0
    assert LowerBiases(target=LOIHI2)(late).graph.digest == late.digest


def test_a_bias_into_a_current_delays_even_a_population_without_inputs():
    program = chain(bias=Bias(value=number(64), into=State.CURRENT), current=True)
    alone = replace(program, projections=program.projections[:1])
    late = Retime(target=LOIHI2)(alone).graph
    assert late.population("b").lag == 1
    assert LowerBiases(target=LOIHI2)(late).graph.projections[-1].delay == 1


@pytest.mark.parametrize(
    ("bias", "text"),
    [
        (
            Bias(value=number(65)),
            "error[SNN302]: a bias of 65 state units is no multiple of 64, "
            "which is what a weight adds\n"
            "  at: b.bias\n"
            "  fix: round the biases as ToIntegers does",
        ),
        (
            Bias(value=number(64 * 2**15)),
            "error[SNN302]: a bias of 2097152 state units needs more than two weights\n"
            "  at: b.bias\n"
            "  fix: rescale the biases in training, or use --target cpu",
        ),
    ],
    ids=["odd", "large"],
)
def test_a_bias_that_no_wire_can_carry_is_refused(bias, text):
    with pytest.raises(DoesNotFitError) as caught:
        LowerBiases(target=LOIHI2)(Retime(target=LOIHI2)(chain(bias=bias)).graph)
    assert str(caught.value) == text
    LowerBiases(target=CPU)(Retime(target=CPU)(chain(bias=bias)).graph)


def test_a_bias_beyond_two_weights_of_netx_is_offered_on_the_chip_with_exponents():
    netx, bias = find_target("netx"), Bias(value=number(64 * 2**12))
    with pytest.raises(DoesNotFitError) as caught:
        LowerBiases(target=netx)(Retime(target=netx)(chain(bias=bias)).graph)
    assert str(caught.value) == (
        "error[SNN302]: a bias of 262144 state units needs more than two weights\n"
        "  at: b.bias\n"
        "  fix: rescale the biases in training, or use --target loihi2, or --target cpu"
    )
    LowerBiases(target=LOIHI2)(Retime(target=LOIHI2)(chain(bias=bias)).graph)


def test_a_bias_that_starts_later_than_any_delay_comes_from_a_relay():
    program = Retime(target=LOIHI2)(chain(bias=Bias(value=number(64), start=190))).graph
    assert program.populations[1].biases[0].start == 192
    done = AddRelays(target=LOIHI2)(LowerBiases(target=LOIHI2)(program).graph)
    assert [p.role for p in done.graph.populations[2:]] == [Role.CLOCK, *[Role.RELAY] * 3]
    assert done.graph.lag == program.lag
    assert [(p.source, p.target, int(p.delay)) for p in done.graph.projections[3:]] == [
        ("clock.relay3", "b", 3),
        ("clock", "clock.relay1", 63),
        ("clock.relay1", "clock.relay2", 63),
        ("clock.relay2", "clock.relay3", 63),
    ]
    assert [str(f) for f in done.findings] == [
        "retimed    clock: 3 relay neurons repeat what it sends up to 189 steps later; "
        "loihi2 has delays of 1..63 steps; the spikes are the same"
    ]
    zeros = (Values(name="in", values=np.zeros((1, 200, 1), np.int32)),)
    after, before = run(done.graph, zeros), run(program, zeros)
    assert np.array_equal(after["b"].membrane, before["b"].membrane)
    assert after["clock.relay3"].payload.ravel().tolist() == [0] * 189 + [1] * 13
    assert CheckRanges(target=LOIHI2)(done.graph).findings == ()


@pytest.mark.parametrize("start", [61, 62, 124, 125])
def test_a_relay_is_added_only_where_no_delay_is_long_enough(start):
    program = Retime(target=LOIHI2)(chain(bias=Bias(value=number(64), start=start))).graph
    lowered = LowerBiases(target=LOIHI2)(program).graph
    relays = len(AddRelays(target=LOIHI2)(lowered).graph.populations) - 3
    assert relays == {61: 0, 62: 1, 124: 1, 125: 2}[start]


def test_a_bias_that_starts_before_the_clock_arrives_is_refused():
    program = Retime(target=LOIHI2)(chain(bias=Bias(value=number(64)))).graph
    target = replace(LOIHI2, delay=replace(LOIHI2.delay, low=4, high=9))
    with pytest.raises(DoesNotFitError) as caught:
        LowerBiases(target=target)(program)
    assert str(caught.value) == (
        "error[SNN302]: a bias starts in step 2, but a wire from the clock takes 4..9 steps\n"
        "  at: b.bias\n"
        "  fix: --target cpu"
    )


def test_the_clock_takes_a_name_that_is_free():
    program = chain(bias=Bias(value=number(64)))
    renamed = replace(program.populations[0], name="clock")
    wires = tuple(
        replace(
            p,
            source="clock" if p.source == "a" else p.source,
            target="clock" if p.target == "a" else p.target,
        )
        for p in program.projections
    )
    program = replace(program, populations=(renamed, program.populations[1]), projections=wires)
    lowered = LowerBiases(target=LOIHI2)(Retime(target=LOIHI2)(program).graph).graph
    assert [p.name for p in lowered.populations] == ["clock", "b", "clock_"]


def test_biases_of_different_neurons_add_up():
    values = number([0, 64, -64 * 300, 64 * 5])
    program = chain(bias=Bias(value=number(64)))
    wide = replace(program.populations[1], shape=(4,), biases=(Bias(value=values),))
    wires = (
        program.projections[0],
        replace(program.projections[1], map=Dense(weight=number([[2]] * 4))),
    )
    program = replace(program, populations=(program.populations[0], wide), projections=wires)
    lowered = LowerBiases(target=LOIHI2)(Retime(target=LOIHI2)(program).graph).graph
    total = sum(dense_matrix(p.map).ravel() << p.shift for p in lowered.projections[2:])
    assert total.tolist() == per_neuron(values, (4,)).tolist()


def test_the_first_bias_that_is_no_multiple_is_named():
    bias = Bias(value=number([64, -128, 97, 65]), start=1)
    population = Population(name="l", shape=(4,), decay=number(0), biases=(bias,), lag=1)
    outputs = (Output(name="out", population="l"),)
    program = replace(chain(), populations=(population,), projections=(), outputs=outputs)
    with pytest.raises(DoesNotFitError) as caught:
        LowerBiases(target=LOIHI2)(program)
    assert str(caught.value) == (
        "error[SNN302]: a bias of 97 state units is no multiple of 64, which is what a weight "
        "adds\n"
        "  at: l.bias\n"
        "  fix: round the biases as ToIntegers does"
    )
