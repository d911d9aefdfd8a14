"""Time dilation: loops without enough delay run with several steps for each of the network."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import unchecked

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import LoopTooShortError, OptionError
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Bias as RealBias
from snn_deploy.ir.network import Input as RealInput
from snn_deploy.ir.network import Network, Output
from snn_deploy.ir.network import Population as RealPopulation
from snn_deploy.ir.network import Projection as RealProjection
from snn_deploy.ir.network import Reset as RealReset
from snn_deploy.ir.neuron import (
    Compare,
    Decode,
    During,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.phases import why_not_still
from snn_deploy.ir.presentation import dilated
from snn_deploy.ir.program import (
    Bias,
    Chain,
    Current,
    Floor,
    Input,
    Population,
    Program,
    Projection,
    Reset,
)
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.trace import EVERYTHING, PAYLOADS, Values
from snn_deploy.quantize import Options, compile_network
from snn_deploy.targets import find_target

LOIHI2, CPU = find_target("loihi2"), find_target("cpu")
STEPS, NEURONS, INPUTS = 20, 8, 6


def number(value):
    return np.asarray(value, np.int32)


def feedback_network(seed, *, still, delay=1, between=1):
    """Return three layers in a row whose last one drives the first a step later.

    Args:
        seed: Of weights and biases.
        still: Only neurons that keep still by themselves; else leaks, soft resets, currents.
        delay: Of the feedback.
        between: Layers that the feedback goes over.
    """
    rng = np.random.default_rng(seed)

    def layer(number):
        soft = not still and number == 2
        return RealPopulation(
            name=f"l{number}",
            shape=(NEURONS,),
            decay=np.asarray(1.0 if still or soft else 0.5),
            threshold=np.asarray(1.0),
            reset=RealReset(
                kind=ResetKind.SUBTRACT if soft else ResetKind.VALUE,
                amount=np.asarray(1.0 if soft else 0.0),
            ),
            biases=(RealBias(value=rng.integers(-1, 4, NEURONS) / 16, start=number % 2 * 2),),
        )

    def wire(source, target, pre, steps=0):
        weight = rng.integers(-5, 9, (NEURONS, pre)) / 16
        return RealProjection(
            name=f"{source}>{target}",
            source=source,
            target=target,
            map=Dense(weight=weight),
            delay=np.asarray(steps),
        )

    names = [f"l{n}" for n in range(1, between + 3)]
    chain = [wire(a, b, NEURONS) for a, b in pairwise(names)]
    return Network(
        name="feedback",
        inputs=(RealInput(name="in", shape=(INPUTS,)),),
        populations=tuple(layer(n) for n in range(1, between + 3)),
        projections=(
            wire("in", "l1", INPUTS),
            *chain,
            wire(names[-1], "l1", NEURONS, delay),
        ),
        outputs=(Output(name="out", population=names[-1]),),
    )


def compiled(network, dilation=None):
    with unchecked():
        return compile_network(network, LOIHI2, options=Options(dilation=dilation))


def spikes(seed, samples=2, steps=STEPS):
    rng = np.random.default_rng(seed)
    return (
        Values(name="in", values=(rng.random((samples, steps, INPUTS)) < 0.4).astype(np.int32)),
    )


def run(program, inputs):
    with unchecked():
        return ReferenceBackend().run(program, dilated(inputs, program.period), EVERYTHING)


def own(program, population):
    return slice(program.population(population).lag, None, program.period)


def assert_spikes_of_the_network(network, done, inputs):
    wanted = simulate(network, [replace(i, values=i.values * 1.0) for i in inputs], PAYLOADS)
    got = run(done.program, inputs)
    steps = inputs[0].values.shape[1]
    for population in network.populations:
        name = population.name
        sent = got[name].payload[:, own(done.program, name)][:, :steps]
        assert 0.01 < wanted[name].payload.mean() < 0.9, name
        assert np.array_equal(sent, wanted[name].payload), name
        between = got[name].payload.copy()
        between[:, own(done.program, name)] = 0
        assert not between.any()


@pytest.mark.parametrize("still", [True, False], ids=["still", "moving"])
@pytest.mark.parametrize("seed", range(3))
def test_feedback_over_layers_without_delay_has_the_spikes_of_the_network(seed, still):
    network = feedback_network(seed, still=still)
    done = compiled(network)
    assert done.program.period == 3
    assert_spikes_of_the_network(network, done, spikes(seed))


def test_the_least_dilation_is_chosen_and_told():
    network = feedback_network(0, still=True)
    done = compiled(network)
    assert [p.lag for p in done.program.populations] == [1, 2, 3, 0]
    delays = {p.name: int(p.delay) for p in done.program.projections if "clock" not in p.name}
    assert delays == {"in>l1": 1, "l1>l2": 1, "l2>l3": 1, "l3>l1": 1}
    assert [str(f) for f in done.findings if f.kind.value in ("retimed", "simulated")] == [
        "retimed    (network): each step of the network takes 3 on the chip, so that it runs 3 "
        "times as long; the loop l1 -> l2 -> l3 -> l1 has too little delay for loihi2; the spikes "
        "are the same",
        "retimed    l3: output 'out' comes 3 steps later; loihi2 needs 1 step per projection; the "
        "spikes are the same",
        "retimed    clock: one clock neuron with 6 projections carries the biases of 24 neurons; "
        "loihi2 has no bias that starts late or enters a current",
    ]


def test_neurons_that_do_not_keep_still_are_told():
    done = compiled(feedback_network(0, still=False))
    assert [str(f) for f in done.findings if "must wait" in f.amount] == [
        "simulated  l1: a membrane that decays must wait between the steps of the network; "
        "Intel Loihi 2 has no neurons that wait, its simulators have",
        "simulated  l2: a reset after which it may move or fire again must wait between the steps "
        "of the network; Intel Loihi 2 has no neurons that wait, its simulators have",
        "simulated  l3: a membrane that decays must wait between the steps of the network; "
        "Intel Loihi 2 has no neurons that wait, its simulators have",
    ]


def test_a_network_that_needs_no_dilation_gets_none():
    network = feedback_network(0, still=True, delay=3)
    assert compiled(network).program.digest == compiled(network, 1).program.digest


def test_any_larger_dilation_can_be_asked_for():
    network = feedback_network(1, still=False)
    done = compiled(network, 5)
    assert done.program.period == 5
    assert "as asked for" in done.findings[[f.layer for f in done.findings].index("")].reason
    assert_spikes_of_the_network(network, done, spikes(1))


def test_a_dilated_delay_may_need_relays():
    network = feedback_network(2, still=True, delay=15)
    done = compiled(network, 9)
    assert any(p.name == "l3.relay1" for p in done.program.populations)
    assert_spikes_of_the_network(network, done, spikes(2, steps=40))


def test_a_dilation_that_does_not_suffice_is_refused_and_the_offered_one_works():
    network = feedback_network(0, still=True, between=2)
    with pytest.raises(LoopTooShortError) as caught:
        compiled(network, 2)
    assert str(caught.value) == (
        "error[SNN304]: a loop of 4 projections has 1 step of delay, 2 on the chip, "
        "but the chip needs 1 for each, 4 in all\n"
        "  at: l1 -> l2 -> l3 -> l4 -> l1\n"
        "  fix: --time-dilation 4, which gives each step of the network 4 on the chip; "
        "or train with more delay in the loop; or --target cpu"
    )
    assert compiled(network, 4).program.period == 4


@pytest.mark.parametrize("dilation", [0, -1, 2**16 + 1])
def test_a_dilation_that_cannot_be_is_refused(dilation):
    with pytest.raises(OptionError) as caught:
        compiled(feedback_network(0, still=True), dilation)
    assert str(caught.value) == (
        f"error[SNN102]: each step of the network takes {dilation} on the chip; 1 to 65536 can be\n"
        "  fix: --time-dilation auto"
    )


def one_layer(population, inputs=3):
    """Return a dilated program: inputs of -1, 0 and 1 to one population."""
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-3, 9, (population.size, inputs))
    return Program(
        name="one",
        target="loihi2",
        arithmetic=LOIHI2.arithmetic,
        inputs=(Input(name="in", shape=(inputs,), low=-1),),
        populations=(population,),
        projections=(
            Projection(
                name="in>l",
                source="in",
                target="l",
                map=Dense(weight=weight.astype(np.int32)),
                shift=6,
                delay=number(2),
            ),
        ),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_END),),
        period=3,
    )


def gated_and_not(population, seed=0):
    """Return the states of the network's steps, with the chip's gate and without."""
    program = one_layer(population)
    values = np.random.default_rng(seed).integers(-1, 2, (2, STEPS, 3))
    inputs = dilated((Values(name="in", values=values),), 3)
    both = []
    for period in (3, 1):
        with unchecked():
            trace = ReferenceBackend().run(replace(program, period=period), inputs, EVERYTHING)
        between = np.ones(trace.steps, bool)
        between[population.lag :: 3] = False
        states = {state: kept[:, population.lag :: 3] for state, kept in trace["l"].states.items()}
        both.append((states, trace["l"].payload[:, between]))
    return both


def neuron(**changes):
    return Population(
        **{
            "name": "l",
            "shape": (4,),
            "decay": number(4096),
            "threshold": number(512),
            "reset": Reset(kind=ResetKind.VALUE),
            "lag": 2,
            **changes,
        }
    )


STILL = {
    "integrate and fire": neuron(),
    "with a window": neuron(window=Window(first=11, behind=32)),
    "with a restart": neuron(restart=Restart(interval=12, offset=5)),
    "that fires once, with a soft reset": neuron(
        reset=Reset(kind=ResetKind.SUBTRACT, amount=number(100)), refractory=Refractory(steps=None)
    ),
    "that fires once and is held": neuron(
        reset=Reset(kind=ResetKind.NONE),
        refractory=Refractory(steps=None, during=During.HELD),
    ),
    "that is never reset and never fires": neuron(fires=Fires.NEVER, reset=Reset()),
    "with a current of one step": neuron(current=Current(decay=number(0))),
    "with two of them": neuron(
        current=Current(decay=number(0)),
        further=(Current(decay=number(0), chain=Chain(multiplier=number(2048))),),
    ),
    "that counts": neuron(fires=Fires.COUNT, max_spikes=2, compare=Compare.GREATER_EQUAL),
    "that rounds": neuron(fires=Fires.ROUNDED, max_spikes=2),
    "that sends signs": neuron(fires=Fires.TERNARY, lower=number(-300)),
    "with a floor": neuron(floor=Floor(value=number(-128))),
    "with a floor before the test": neuron(
        floor=Floor(value=number(-128), when=FloorWhen.BEFORE_TEST)
    ),
    "reset to its threshold": neuron(
        reset=Reset(kind=ResetKind.VALUE, amount=number(512)), threshold=number(512)
    ),
}

MOVING = {
    "a membrane that decays": [neuron(decay=number(3000))],
    "a current that lasts": [
        neuron(current=Current(decay=number(2048))),
        neuron(current=Current(decay=number(0), reads=Reads.OLD)),
        neuron(
            current=Current(decay=number(0)),
            further=(
                Current(decay=number(0), chain=Chain(multiplier=number(4096), reads=Reads.OLD)),
            ),
        ),
    ],
    "a bias": [neuron(biases=(Bias(value=number(64)),))],
    "parameters that change over time": [
        neuron(
            tables=(
                Table(
                    what=Tabled.BIAS,
                    into=State.MEMBRANE,
                    rows=number([[64], [0]]),
                    start=2,
                    repeats=True,
                ),
            )
        )
    ],
    "a membrane that is sent in every step": [neuron(fires=Fires.GRADED, reset=Reset())],
    "a refractory period": [neuron(refractory=Refractory(steps=2))],
    "a reset after which it may move or fire again": [
        neuron(reset=Reset(kind=ResetKind.SUBTRACT, amount=number(100))),
        neuron(reset=Reset()),
        neuron(reset=Reset(kind=ResetKind.VALUE, amount=number(100), when=When.NEXT)),
        neuron(reset=Reset(kind=ResetKind.VALUE, amount=number(600))),
        neuron(
            reset=Reset(kind=ResetKind.VALUE, amount=number(512)), compare=Compare.GREATER_EQUAL
        ),
        neuron(
            fires=Fires.ROUNDED,
            max_spikes=2,
            reset=Reset(kind=ResetKind.VALUE, amount=number(300)),
        ),
        neuron(
            fires=Fires.TERNARY,
            lower=number(-300),
            reset=Reset(kind=ResetKind.VALUE, amount=number(-400)),
        ),
        neuron(
            reset=Reset(kind=ResetKind.VALUE, amount=number(-400)),
            floor=Floor(value=number(-128), when=FloorWhen.BEFORE_TEST),
        ),
    ],
}


@pytest.mark.parametrize("name", STILL)
def test_a_neuron_that_keeps_still_needs_no_gate(name):
    population = STILL[name]
    assert why_not_still(population, LOIHI2.arithmetic) == ""
    (gated, quiet), (free, between) = gated_and_not(population)
    assert not quiet.any()
    assert not between.any()
    for state in gated:
        assert np.array_equal(free[state], gated[state]), state
    if population.fires is not Fires.NEVER:
        assert gated[State.PAYLOAD].any()


@pytest.mark.parametrize(
    ("reason", "population"),
    [(reason, population) for reason, several in MOVING.items() for population in several],
)
def test_a_neuron_that_does_not_keep_still_does_something_else_without_a_gate(reason, population):
    assert why_not_still(population, LOIHI2.arithmetic) == reason
    (gated, quiet), (free, between) = gated_and_not(population)
    assert not quiet.any()
    assert between.any() or any(not np.array_equal(free[s], gated[s]) for s in gated)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(sorted(STILL)))
def test_still_neurons_are_still_whatever_arrives(seed, name):
    (gated, _), (free, between) = gated_and_not(STILL[name], seed)
    assert not between.any()
    assert all(np.array_equal(free[state], gated[state]) for state in gated)


def test_a_dilated_program_of_still_neurons_runs_without_gates():
    network = feedback_network(0, still=True)
    done = compiled(network)
    assert not any(f.kind.value == "simulated" for f in done.findings)
    inputs = dilated(spikes(0), 3)
    with unchecked():
        gated = ReferenceBackend().run(done.program, inputs, PAYLOADS)
        free = ReferenceBackend().run(replace(done.program, period=1), inputs, PAYLOADS)
    for population in done.program.populations:
        assert np.array_equal(free[population.name].payload, gated[population.name].payload)


def test_a_target_that_holds_neurons_needs_no_finding():
    done = compile_network(
        feedback_network(0, still=False), CPU, options=Options(dilation=2, search=False)
    )
    assert done.program.period == 2
    assert not any(f.kind.value == "simulated" for f in done.findings)
