"""The range proof is never wrong, and says which neuron it cannot prove, and for how long."""

import os
from dataclasses import replace

import numpy as np
import pytest
from strategies import unchecked
from wild_programs import whole, wild_inputs, wild_program

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.maps import Convolution, Dense
from snn_deploy.ir.network import Between, Boundary, Output
from snn_deploy.ir.neuron import Compare, Decode, During, Fires, FloorWhen, ResetKind, State
from snn_deploy.ir.program import (
    Floor,
    Gain,
    Input,
    Population,
    Program,
    Projection,
    Refractory,
    Reset,
    Restart,
)
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize import ranges
from snn_deploy.quantize.arrivals import FOREVER, Arrival
from snn_deploy.quantize.bound_walk import Helper
from snn_deploy.quantize.bounds import Bounds, sent_by, state_bounds
from snn_deploy.quantize.conditions import GAINED
from snn_deploy.quantize.ranges import CheckRanges, Proof, prove
from snn_deploy.targets import find_target

LOIHI2 = find_target("loihi2")
SAMPLES = 40
INPUTS = int(os.environ.get("SNN_DEPLOY_RANGE_INPUTS", "2000"))
"""Random inputs in all; `SNN_DEPLOY_RANGE_INPUTS=10000` is for the night."""


@pytest.fixture
def bounds_of(monkeypatch: pytest.MonkeyPatch) -> dict[str, Bounds]:
    """Return the bounds that a proof finds, by population."""
    found: dict[str, Bounds] = {}

    def watched(population, *arguments, **options):
        found[population.name] = state_bounds(population, *arguments, **options)
        return found[population.name]

    monkeypatch.setattr(ranges, "state_bounds", watched)
    return found


def assert_within(states: np.ndarray, low: np.ndarray, high: np.ndarray, where: str) -> None:
    flat = states.reshape(-1, low.size)
    wrong = np.argwhere((flat < low) | (flat > high))
    assert not len(wrong), f"{where}: {flat[tuple(wrong[0])]} at {wrong[0]}, not {low}..{high}"


@pytest.mark.parametrize("seed", range(-(-INPUTS // SAMPLES)))
def test_no_state_ever_leaves_its_bounds(seed, bounds_of):
    rng = np.random.default_rng(seed)
    with unchecked():
        program = wild_program(rng)
        steps = int(rng.choice([1, 2, 5, 16, 40]))
        inputs = wild_inputs(rng, program.inputs, SAMPLES, steps)
        trace = ReferenceBackend().run(program, inputs, EVERYTHING)
        declared = steps if rng.random() < 0.7 else None
        proofs = {proof.population: proof for proof in prove(program, LOIHI2, declared)}
    for population in program.populations:
        name, bounds = population.name, bounds_of[population.name]
        for state, interval in bounds.kept.items():
            record = trace[name].state(state)
            assert_within(record, interval.low, interval.high, f"{name}.{state.value}")
        sent = sent_by(population, bounds)
        assert_within(trace[name].payload, sent.low, sent.high, f"{name}.payload")
        within = min(int(steps.min()) for steps in bounds.within.values())
        sums = proofs[name].registers[0]
        fits = program.arithmetic.accumulator is None or sums.proven
        if fits and within >= steps + program.lag:
            assert trace[name].overflows == 0


@pytest.mark.parametrize("seed", range(200, 220))
def test_no_register_overflows_in_a_run_of_as_many_steps_as_are_proven(seed):
    rng = np.random.default_rng(seed)
    with unchecked():
        program = wild_program(rng)
        bits = int(rng.integers(14, 26))
        narrow = Register(bits=bits, overflow=Overflow.SATURATE)
        rules = replace(program.arithmetic, current=narrow, membrane=narrow, change=None)
        program = replace(program, arithmetic=replace(rules, accumulator=None))
        proofs = prove(program, LOIHI2, None)
        steps = min(60 if proof.steps is None else min(proof.steps, 60) for proof in proofs)
        if steps == 0:
            return
        inputs = wild_inputs(rng, program.inputs, SAMPLES, steps)
        trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    assert [p.overflows for p in trace.populations] == [0] * len(program.populations)


def layer(weight=100, decay=4096, shift=6, high=1, **fields):
    population = Population(name="l", shape=(2,), decay=whole(decay), **fields)
    wire = Projection(
        name="w", source="in", target="l", map=Dense(weight=whole([[0], [weight]])), shift=shift
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


def findings(program, steps=None):
    return [str(f) for f in CheckRanges(target=LOIHI2, steps=steps)(program).findings]


HARD = Reset(kind=ResetKind.VALUE)


def test_a_neuron_with_leak_and_reset_is_proven():
    assert findings(layer(decay=2048, threshold=whole(6400), reset=HARD)) == []


def test_a_membrane_without_leak_or_reset_is_proven_for_the_steps_that_it_takes_to_the_end():
    readout = layer(fires=Fires.NEVER)
    assert findings(readout) == [
        "unproven   l: the membrane of neuron [1] may reach 8395007 and saturates; the register "
        "holds 8388544 (1 of 2 neurons); for the worst input that the program admits, but in no "
        "run of up to 1310 steps"
    ]
    assert 1310 * 6400 <= 8388544 < 1311 * 6400
    assert findings(readout, steps=1310) == []
    assert len(findings(readout, steps=1311)) == 1


def test_samples_that_follow_each_other_without_a_reset_are_a_run_of_any_length():
    boundary = Boundary(between=Between.CONTINUOUS)
    assert len(findings(replace(layer(fires=Fires.NEVER), boundary=boundary), steps=25)) == 1


def test_a_restart_bounds_a_membrane_that_only_rises():
    short = Restart(interval=1310)
    assert findings(layer(fires=Fires.NEVER, restart=short)) == []
    assert len(findings(layer(fires=Fires.NEVER, restart=replace(short, interval=1311)))) == 1


def test_a_floor_bounds_a_membrane_that_only_falls():
    sinking = layer(weight=-100, threshold=whole(6400), reset=HARD)
    assert len(findings(sinking)) == 1
    floor = Floor(value=whole(-9000), when=FloorWhen.AFTER_RESET)
    held = replace(sinking.populations[0], floor=floor)
    assert findings(replace(sinking, populations=(held,))) == []


def test_a_gain_on_what_arrives_counts_as_larger_weights_do():
    tripled = Gain(into=State.MEMBRANE, multiplier=whole(3))
    for fields in ({"fires": Fires.NEVER}, {"threshold": whole(6400)}):
        gained, plain = layer(weight=100, gains=(tripled,), **fields), layer(weight=300, **fields)
        assert prove(gained, LOIHI2, None)[0].steps == prove(plain, LOIHI2, None)[0].steps
    assert prove(layer(weight=100, fires=Fires.NEVER), LOIHI2, None)[0].steps == 1310
    assert prove(layer(weight=300, fires=Fires.NEVER), LOIHI2, None)[0].steps == 8388544 // 19200


def test_a_sum_that_does_not_fit_the_accumulator_is_told():
    assert findings(layer(high=2000, decay=2048, threshold=whole(6400), reset=HARD)) == [
        "unproven   l: the sum of weights of neuron [1] may reach 200000 and is too large; the "
        "register holds 131071 (1 of 2 neurons); for the worst input that the program admits; "
        "--prove may help",
        "unproven   l: the membrane of neuron [1] may reach 12803200 and saturates; the register "
        "holds 8388607 (1 of 2 neurons); for the worst input that the program admits; "
        "--prove may help",
    ]


def test_a_register_that_wraps_is_told_to_wrap():
    narrow = Register(bits=12, overflow=Overflow.WRAP)
    program = layer(decay=2048, threshold=whole(6400), reset=HARD)
    rules = replace(program.arithmetic, accumulator=narrow)
    assert findings(replace(program, arithmetic=rules)) == [
        "unproven   l: the sum of weights of neuron [1] may reach 100 and wraps; the register "
        "holds 31 (1 of 2 neurons); for the worst input that the program admits; --prove may help"
    ]


def test_a_subtracting_reset_that_keeps_up_with_its_input_is_proven():
    soft = Reset(kind=ResetKind.SUBTRACT, amount=whole(6400))
    assert findings(layer(threshold=whole(6400), reset=soft)) == []
    soft = Reset(kind=ResetKind.SUBTRACT, amount=whole(6399))
    assert len(findings(layer(threshold=whole(6400), reset=soft))) == 1


def test_a_refractory_neuron_is_bounded_by_what_it_integrates_meanwhile():
    refractory = Refractory(steps=3, during=During.INTEGRATES)
    program = layer(threshold=whole(6400), reset=HARD, refractory=refractory)
    assert [proof.steps for proof in prove(program, LOIHI2, None)] == [None]
    membrane = prove(program, LOIHI2, None)[0].registers[-1]
    # 3 steps without a spike, a 4th that ends behind the test, and what was there before
    assert membrane.reach == 4 * 6400
    once = replace(program.populations[0], refractory=replace(refractory, steps=None))
    assert prove(replace(program, populations=(once,)), LOIHI2, None)[0].steps == 1310


def test_a_neuron_that_cannot_fire_drives_nothing():
    program = layer(weight=10, decay=2048, threshold=whole(6400), reset=HARD)
    behind = replace(program.populations[0], name="m", lag=1)
    wire = replace(
        program.projections[0],
        name="x",
        source="l",
        target="m",
        map=Dense(weight=whole([[100, 200], [0, 200]])),
    )
    program = replace(
        program,
        populations=(*program.populations, behind),
        projections=(*program.projections, wire),
    )
    assert [proof.registers[0].reach for proof in prove(program, LOIHI2, None)] == [10, 0]


def test_the_neurons_at_the_border_of_a_convolution_have_smaller_sums():
    convolution = Convolution(
        weight=whole(np.ones((1, 1, 3, 3))), source=(1, 5, 5), padding=(1, 1, 1, 1)
    )
    program = layer()
    population = Population(name="l", shape=(1, 5, 5), decay=whole(0), fires=Fires.NEVER)
    wire = replace(program.projections[0], map=convolution, shift=6)
    program = replace(
        program,
        inputs=(Input(name="in", shape=(1, 5, 5)),),
        populations=(population,),
        projections=(wire,),
    )
    found = ranges.arrivals(program, population, {}, None)
    sums = found[0].high.reshape(5, 5) >> 6
    assert sums.tolist() == [
        [4, 6, 6, 6, 4],
        [6, 9, 9, 9, 6],
        [6, 9, 9, 9, 6],
        [6, 9, 9, 9, 6],
        [4, 6, 6, 6, 4],
    ]


def test_a_loop_of_neurons_that_send_what_they_please_proves_nothing_it_takes_for_granted():
    """The register holds 12 bits, but the first state lies beyond them, and so do payloads."""
    once = Register(bits=12, overflow=Overflow.WRAP_ONCE)
    rules = Arithmetic(current=once, membrane=once, decay_bits=12)
    program = layer(decay=4096, fires=Fires.GRADED, initial=whole(100_000))
    loop = Projection(
        name="loop",
        source="l",
        target="l",
        map=Dense(weight=whole([[0, 0], [0, 1]])),
        delay=whole(1),
    )
    program = replace(program, arithmetic=rules, projections=(*program.projections, loop))
    trace = ReferenceBackend().run(
        program, [Values(name="in", values=np.zeros((1, 5, 1), np.int32))], EVERYTHING
    )
    assert trace["l"].overflows > 0
    (proof,) = prove(program, LOIHI2, None)
    assert not proof.proven
    assert proof.registers[0].reach >= (1 << 52) >> 6  # the sum of what is not known
    assert str(proof.registers[1]) == "without bound of 2047 at neuron [0]"


def test_bounds_without_registers_grow_as_far_as_they_get():
    rules = LOIHI2.arithmetic
    drive = np.array([64_000, 640])
    arriving = (Arrival(into=State.MEMBRANE, low=-drive, high=drive),)
    population = Population(name="l", shape=(2,), decay=whole(4096), fires=Fires.NEVER)
    bounds = state_bounds(population, arriving, 1000, rules, registers=False)
    grown = bounds.written[State.MEMBRANE]
    assert grown.high.tolist() == [64_000_000, 640_000]
    assert grown.low.tolist() == [-64_000_000, -640_000]
    assert bounds.within[State.MEMBRANE].tolist() == [131, FOREVER]
    assert state_bounds(population, arriving, None, rules, registers=False).lost.all()


def test_the_change_of_a_membrane_has_a_register_of_its_own():
    change = Register(bits=14, overflow=Overflow.SATURATE)
    rules = replace(LOIHI2.arithmetic, change=change)
    population = Population(name="l", shape=(1,), decay=whole(4096), fires=Fires.NEVER)
    for drive, steps in ((8191, FOREVER), (8192, 0)):
        arriving = (Arrival(into=State.MEMBRANE, low=np.array([0]), high=np.array([drive])),)
        bounds = state_bounds(population, arriving, 100, rules)
        assert bounds.within[Helper.CHANGE].tolist() == [steps]
        assert bounds.written[Helper.CHANGE].high.tolist() == [drive]


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


def test_a_register_that_is_filled_to_its_last_number_is_proven():
    program = layer(weight=1, high=8388607, shift=0, decay=0, threshold=whole(5))
    rules = replace(program.arithmetic, accumulator=None)
    (proof,) = prove(replace(program, arithmetic=rules), LOIHI2, None)
    membrane = proof.registers[-1]
    assert (membrane.reach, membrane.holds, membrane.unproven) == (8388607, 8388607, 0)
    assert membrane.neurons == 2


def test_without_bounds_of_the_states_no_step_is_proven():
    assert Proof(population="l", registers=(), reason="a loop").steps == 0
    assert Proof(population="l", registers=()).steps is None


@pytest.mark.parametrize("amount", [7, 10])
@pytest.mark.parametrize("highest", range(0, 48, 3))
def test_what_several_spikes_leave_behind_is_what_a_loop_over_all_membranes_finds(amount, highest):
    """Also where the reset takes less than the threshold, and each spike more leaves more."""
    population = Population(
        name="l", shape=(1,), decay=whole(0), fires=Fires.COUNT, max_spikes=31,
        threshold=whole(10), reset=Reset(kind=ResetKind.SUBTRACT, amount=whole(amount)),
        compare=Compare.GREATER_EQUAL,
    )  # fmt: skip
    arriving = (Arrival(into=State.MEMBRANE, low=np.array([0]), high=np.array([highest])),)
    bounds = state_bounds(population, arriving, None, LOIHI2.arithmetic)
    left = [v - v // 10 * amount for v in range(highest + 1)]
    kept = bounds.kept[State.MEMBRANE]
    assert (kept.low.tolist(), kept.high.tolist()) == ([0], [max(left)])
    assert bounds.spikes.high.tolist() == [highest // 10]


def test_a_change_of_the_membrane_that_has_few_bits_leaves_the_membrane_its_own():
    change = Register(bits=14, overflow=Overflow.SATURATE)
    rules = replace(LOIHI2.arithmetic, change=change)
    population = Population(name="l", shape=(1,), decay=whole(4096), fires=Fires.NEVER)
    arriving = (Arrival(into=State.MEMBRANE, low=np.array([0]), high=np.array([8191])),)
    bounds = state_bounds(population, arriving, 1000, rules)
    assert bounds.within[State.MEMBRANE].tolist() == [FOREVER]
    assert state_bounds(population, arriving, 1100, rules).within[State.MEMBRANE] == 1024


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_too_large_to_be_multiplied_by_a_gain_proves_nothing_on_either_side(sign):
    gains = (Gain(into=State.MEMBRANE, multiplier=whole(1)),)
    population = Population(
        name="l", shape=(1,), decay=whole(0), fires=Fires.NEVER, gains=gains
    )  # fmt: skip
    rules = replace(LOIHI2.arithmetic, accumulator=None)
    for size, lost in ((GAINED, False), (GAINED + 1, True)):
        low, high = sorted((0, sign * size))
        arriving = (Arrival(into=State.MEMBRANE, low=np.array([low]), high=np.array([high])),)
        assert state_bounds(population, arriving, 5, rules).lost.tolist() == [lost]
