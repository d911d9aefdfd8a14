"""The range proof is never wrong, and says which neuron it cannot prove."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ANYTHING, LOIHI, Sizes, random_program

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.arithmetic import Overflow, Register
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, Fires, FloorWhen, ResetKind
from snn_deploy.ir.program import Floor, Input, Population, Program, Projection, Reset
from snn_deploy.ir.trace import EVERYTHING
from snn_deploy.quantize.ranges import CheckRanges, state_bounds
from snn_deploy.targets import find_target

LOIHI2 = find_target("loihi2")
SMALL = Sizes(populations=3, neurons=6, extent=4, samples=2, steps=16)
WIDE = Register(bits=32, overflow=Overflow.SATURATE)


def number(value):
    return np.asarray(value, np.int32)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), loihi=st.booleans())
def test_no_state_ever_leaves_its_bounds(seed, loihi):
    features = LOIHI if loihi else ANYTHING
    program, inputs = random_program(np.random.default_rng(seed), features, SMALL)
    free = replace(program.arithmetic, current=WIDE, membrane=WIDE)  # nothing wraps
    program = replace(program, arithmetic=free)
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    for population in program.populations:
        record, bounds = trace[population.name], state_bounds(program, population)
        pairs = [(record.membrane, bounds.membrane), (record.current, bounds.current)]
        for states, interval in pairs:
            if states is not None and interval is not None:
                flat = states.reshape(-1, population.size)
                assert np.all(flat >= interval.low)
                assert np.all(flat <= interval.high)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_proven_never_overflows(seed):
    program, inputs = random_program(np.random.default_rng(seed), LOIHI, SMALL)
    doubted = {f.layer for f in CheckRanges(target=LOIHI2)(program).findings}
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    for population in program.populations:
        assert population.name in doubted or trace[population.name].overflows == 0


def layer(weight=100, decay=4096, shift=6, high=1, **fields):
    population = Population(name="l", shape=(2,), decay=number(decay), **fields)
    wire = Projection(
        name="w", source="in", target="l", map=Dense(weight=number([[0], [weight]])), shift=shift
    )
    return Program(
        name="one",
        target="loihi2",
        arithmetic=LOIHI2.arithmetic,
        inputs=(Input(name="in", shape=(1,), high=high),),
        populations=(population,),
        projections=(wire,),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_END),),
    )


def findings(program):
    return [str(f) for f in CheckRanges(target=LOIHI2)(program).findings]


def test_a_neuron_with_leak_and_reset_is_proven():
    hard = Reset(kind=ResetKind.VALUE)
    assert findings(layer(decay=2048, threshold=number(6400), reset=hard)) == []


def test_a_membrane_without_leak_or_reset_has_no_bound():
    assert findings(layer(fires=Fires.NEVER)) == [
        "unproven   l: the membrane of neuron [1] has no bound and moves by up to 6400 in a step; "
        "the register holds 8388544 (1 of 2 neurons); nothing pulls it back while its input "
        "pushes; simulators count what happens"
    ]


def test_a_floor_bounds_a_membrane_that_only_falls():
    hard = Reset(kind=ResetKind.VALUE)
    sinking = layer(weight=-100, threshold=number(6400), reset=hard)
    assert len(findings(sinking)) == 1
    floor = Floor(value=number(-9000), when=FloorWhen.AFTER_RESET)
    held = replace(sinking.populations[0], floor=floor)
    assert findings(replace(sinking, populations=(held,))) == []


def test_a_sum_that_does_not_fit_the_accumulator_is_told():
    hard = Reset(kind=ResetKind.VALUE)
    assert findings(layer(high=2000, decay=2048, threshold=number(6400), reset=hard)) == [
        "unproven   l: the sum of weights of neuron [1] may reach 200000; the register holds "
        "131071 (1 of 2 neurons); for the worst input that the program admits; "
        "--prove may help",
        "unproven   l: the membrane of neuron [1] may reach 12803200; the register holds 8388607 "
        "(1 of 2 neurons); for the worst input that the program admits; "
        "--prove may help",
    ]


def test_a_subtracting_reset_that_keeps_up_with_its_input_is_proven():
    soft = Reset(kind=ResetKind.SUBTRACT, amount=number(6400))
    assert findings(layer(threshold=number(6400), reset=soft)) == []
    soft = Reset(kind=ResetKind.SUBTRACT, amount=number(6399))
    assert len(findings(layer(threshold=number(6400), reset=soft))) == 1


@pytest.mark.parametrize("weight", [255, 256, -257, -258])
def test_a_weight_that_the_chip_does_not_store_is_refused(weight):
    program = layer(weight=weight)
    with pytest.raises(DoesNotFitError) as caught:
        CheckRanges(target=LOIHI2)(program)
    assert str(caught.value) == (
        f"error[SNN302]: the weight {weight} is none that loihi2 stores: "
        "-256..254 in steps of 2 (mixed)\n"
        "  at: w.weight[1, 0], first of 1\n"
        "  fix: make the program with compile_network"
    )
