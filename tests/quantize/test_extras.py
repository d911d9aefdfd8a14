"""Networks whose numbers fit exactly have the same spikes and membranes in integers.

Their weights, thresholds and tables are multiples of 1/8, and no decay rounds.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from strategies import unchecked

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DoesNotFitError, UnsupportedError
from snn_deploy.ir.arithmetic import Order
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import (
    Bias,
    Chain,
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import (
    CURRENTS,
    Compare,
    Decode,
    During,
    Fires,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize import Options, compile_network
from snn_deploy.quantize.extras import payload_bits, real_current, whole_current
from snn_deploy.targets import find_target
from snn_deploy.targets.target import Rules

CPU, LOIHI2 = find_target("cpu"), find_target("loihi2")
ADDS_FIRST = replace(
    CPU, states=replace(CPU.states, rules=Rules(order=Order.ADD_FIRST, source="a test"))
)
SIZE, STEPS = 6, 40
ONE = np.ones(())
SOFT = Reset(kind=ResetKind.SUBTRACT, amount=np.asarray(1.5))
HARD = Reset(kind=ResetKind.VALUE, amount=np.asarray(0.25))


def eighths(seed: int, shape: tuple[int, ...], low: int = -9, high: int = 17) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape) / 8


def synapse(decay: float = 1.0, **fields: Any) -> Synapse:
    return Synapse(decay=np.asarray(decay), **fields)


def network(into: tuple[State | None, ...] = (None,), **fields: Any) -> Network:
    """Return the neurons of `fields`, driven into each of `into`, and IF neurons behind them."""
    standard: dict[str, Any] = {"decay": ONE, "threshold": np.asarray(1.5), "reset": SOFT}
    hidden = Population(name="hidden", shape=(SIZE,), **(standard | fields))
    last = Population(
        name="last", shape=(3,), decay=ONE, threshold=np.asarray(9.0), reset=HARD
    )  # fmt: skip
    ways = tuple(
        Projection(
            name=f"way{n}", source="in", target="hidden", into=state,
            map=Dense(weight=eighths(n, (SIZE, 4)) / (8 if state in CURRENTS else 1)),
        )
        for n, state in enumerate(into)
    )  # fmt: skip
    answer = Dense(weight=eighths(99, (3, SIZE)))
    silent = hidden.fires is Fires.NEVER
    behind = () if silent else (
        Projection(name="behind", source="hidden", target="last", map=answer),
    )  # fmt: skip
    return Network(
        name="exact",
        inputs=(Input(name="in", shape=(4,)),),
        populations=(hidden, last),
        projections=(*ways, *behind),
        outputs=(Output(name="y", population="last", decode=Decode.COUNT),),
    )


def table(what: Tabled, rows: np.ndarray, **fields: Any) -> Table:
    return Table(what=what, rows=rows, **fields)


LATE = {"start": 3, "repeats": True}
CASES: dict[str, Network] = {
    "two currents": network(
        (State.CURRENT, State.CURRENT_2),
        synapse=synapse(0.0),
        further=(synapse(0.0, into_membrane=-1, gain=np.asarray(0.5)),),
        gain=np.asarray(2.0),
    ),
    "four currents in a chain": network(
        (State.CURRENT, State.CURRENT_3),
        synapse=synapse(0.0, into_membrane=0, gain=np.asarray(4.0)),
        further=(
            synapse(0.0, chain=Chain(gain=np.asarray(0.5)), into_membrane=0),
            synapse(0.0, chain=Chain(gain=np.asarray(-2.0), reads=Reads.OLD)),
            synapse(0.0, chain=Chain(gain=ONE), initial=np.asarray(0.5), reads=Reads.OLD),
        ),
        gain=np.asarray(0.5),
    ),
    "latched": network(synapse=synapse(1.0), fires=Fires.NEVER),
    "beside the current": network((State.CURRENT, State.MEMBRANE), synapse=synapse(0.0)),
    "held": network(refractory=Refractory(steps=2, during=During.HELD)),
    "integrates": network(refractory=Refractory(steps=3)),
    "clamped": network(reset=HARD, refractory=Refractory(steps=2, during=During.CLAMPED)),
    "once": network(refractory=Refractory(steps=None), restart=Restart(interval=9, offset=4)),
    "window": network(window=Window(first=5, behind=17)),
    "ternary": network(fires=Fires.TERNARY, lower=np.asarray(-0.75), reset=HARD),
    "ternary >=": network(
        fires=Fires.TERNARY, lower=np.asarray(-1.25), compare=Compare.GREATER_EQUAL
    ),
    "rounded": network(fires=Fires.ROUNDED, max_spikes=4),
    "retested": network(
        reset=Reset(kind=ResetKind.SUBTRACT, amount=np.asarray(1.0), when=When.RETESTED)
    ),
    "waiting bias": network(biases=(Bias(value=eighths(4, (SIZE,)), waits=True),)),
    "thresholds": network(tables=(table(Tabled.THRESHOLD, eighths(1, (7,), 4, 30), **LATE),)),
    "thresholds per neuron": network(
        reset=HARD, tables=(table(Tabled.THRESHOLD, eighths(1, (5, SIZE), 4, 30)),)
    ),
    "gains": network(tables=(table(Tabled.GAIN, eighths(2, (6, 1), -4, 16), into=State.MEMBRANE),)),
    "biases": network(
        synapse=synapse(0.0),
        gain=np.asarray(2.0),
        tables=(
            table(Tabled.BIAS, eighths(3, (5,)), into=State.CURRENT, **LATE),
            table(Tabled.BIAS, eighths(4, (30, SIZE)), into=State.MEMBRANE),
        ),
    ),
    "payloads": network(tables=(table(Tabled.PAYLOAD, np.array([1.0, 3.0, -2.0]), **LATE),)),
    "kernel and threshold of a time-to-first-spike layer": network(
        refractory=Refractory(steps=None),
        window=Window(first=10, behind=30),
        tables=(
            table(Tabled.GAIN, 2.0 ** -(np.arange(8) // 2), into=State.MEMBRANE),
            table(Tabled.THRESHOLD, 2.0 ** (3 - np.arange(20) // 4), start=10),
        ),
    ),
    "graded": network(fires=Fires.GRADED, reset=Reset(), decay=np.zeros(())),
}


def data(seed: int = 0) -> list[Values]:
    rng = np.random.default_rng(seed)
    return [Values(name="in", values=(rng.random((3, STEPS, 4)) < 0.3).astype(float))]


@pytest.mark.parametrize("name", CASES)
@unchecked()
def test_numbers_that_fit_give_the_same_states_in_integers(name):
    graph, inputs = CASES[name], data()
    program = compile_network(graph, CPU).program
    wanted = simulate(graph, inputs, EVERYTHING)
    whole = [Values(name="in", values=inputs[0].values.astype(np.int32))]
    found = ReferenceBackend().run(program, whole, EVERYTHING)
    for population in graph.populations:
        made = program.population(population.name)
        ours, theirs = found[population.name], wanted[population.name]
        np.testing.assert_array_equal(ours.membrane * made.units, theirs.membrane)
        if population.fires is not Fires.GRADED:
            np.testing.assert_array_equal(ours.payload, theirs.payload)
    sent = wanted["hidden"].payload
    assert graph.populations[0].fires is Fires.NEVER or (0 < np.mean(sent != 0) < 0.95)


@pytest.mark.parametrize("name", CASES)
@unchecked()
def test_the_same_network_is_compiled_for_loihi(name):
    program = compile_network(CASES[name], LOIHI2).program
    values = data()[0].values.astype(np.int32)
    ReferenceBackend().run(program, [Values(name="in", values=values)], EVERYTHING)


def test_a_payload_that_is_a_fraction_is_refused():
    graph = network(tables=(table(Tabled.PAYLOAD, np.array([1.0, 0.5])),))
    with pytest.raises(UnsupportedError) as caught:
        compile_network(graph, CPU)
    assert str(caught.value) == (
        "error[SNN301]: a spike is worth a fraction in some steps; a program sends whole numbers\n"
        "  at: hidden.tables\n"
        "  fix: multiply the table by a whole number, and divide the weights behind it"
    )


def test_rows_of_a_table_keep_their_neurons_where_channels_have_scales_of_their_own():
    rows = np.array([[0.5, 1.0, 1.5, 2.0], [2.0, 0.5, 1.0, 1.5]])  # one number per column
    size = np.repeat([1.0, 2.0, 5.0, 11.0], 16)[:, None]
    hidden = Population(
        name="hidden", shape=(4, 4, 4), decay=ONE, threshold=np.ones((1, 1, 4)), reset=HARD,
        tables=(table(Tabled.THRESHOLD, rows, repeats=True),),
    )  # fmt: skip
    graph = Network(
        name="columns",
        inputs=(Input(name="in", shape=(4,)),),
        populations=(hidden,),
        projections=(
            Projection(
                name="way", source="in", target="hidden",
                map=Dense(weight=np.random.default_rng(0).normal(0, 0.1, (64, 4)) * size),
            ),
        ),
        outputs=(Output(name="y", population="hidden", decode=Decode.COUNT),),
    )  # fmt: skip
    options = Options(weight_bits=4, per_channel=True)
    made = compile_network(graph, CPU, options=options).program.population("hidden")
    assert len(np.unique(made.unit_factor)) > 1
    (whole,) = made.tables
    for row, wanted in zip(whole.rows, rows, strict=True):
        np.testing.assert_allclose(row * made.units, np.broadcast_to(wanted, (4, 4, 4)), rtol=0.05)


ENTERED: dict[str, Network] = {
    "inputs": network((State.CURRENT, State.CURRENT_2), synapse=synapse(0.5),
                      further=(synapse(0.25, into_membrane=-1),)),
    "a chain": network(
        synapse=synapse(0.5, into_membrane=0),
        further=(synapse(0.25, chain=Chain(gain=np.asarray(0.75))),),
    ),
    "biases": network(
        synapse=synapse(0.5),
        biases=(Bias(value=eighths(4, (SIZE,)) / 8, into=State.CURRENT, start=3),),
        tables=(table(Tabled.BIAS, eighths(5, (5, 1)) / 8, into=State.CURRENT, repeats=True),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENTERED)
def test_a_current_that_decays_last_gets_all_that_enters_it_as_trained(name):
    graph, inputs = ENTERED[name], data()
    rest = tuple(replace(p, threshold=np.asarray(1000.0)) for p in graph.populations)
    graph = replace(graph, populations=rest)  # no spike: the membranes tell all
    compiled = compile_network(graph, ADDS_FIRST, calibration=inputs)
    whole = [Values(name="in", values=inputs[0].values.astype(np.int32))]
    found = ReferenceBackend().run(compiled.program, whole, EVERYTHING)["hidden"].membrane
    wanted = simulate(graph, inputs, EVERYTHING)["hidden"].membrane
    error = found * compiled.program.population("hidden").units - wanted
    assert np.abs(error).max() < 0.02 * np.abs(wanted).max()


def test_trials_compare_with_the_network_as_trained_where_currents_decay_last():
    graph = replace(ENTERED["inputs"], projections=ENTERED["inputs"].projections[:1])
    once, last = (compile_network(graph, t, calibration=data()) for t in (CPU, ADDS_FIRST))
    agreement = [each.layers[0].agreement for each in (once, last)]
    assert agreement[0] == pytest.approx(agreement[1], abs=0.02)
    assert agreement[1] > 0.95


def test_a_current_that_keeps_nothing_and_decays_last_is_refused():
    with pytest.raises(UnsupportedError) as caught:
        compile_network(network(synapse=synapse(0.0)), ADDS_FIRST)
    assert str(caught.value) == (
        "error[SNN301]: a current of cpu decays after its input has arrived, and one that keeps "
        "nothing would lose all of it\n"
        "  at: hidden\n"
        "  fix: train a longer time constant of the current, or --target cpu"
    )


def chained(gain):
    """Return a current that takes `gain` times another, in whole numbers."""
    first = synapse(0.5, chain=Chain(gain=np.asarray(gain)))
    rounding = {
        "state": lambda value: value.astype(np.int32),
        "decay": lambda value: np.asarray(np.rint(value * CPU.decay_one), np.int32),
    }
    return whole_current(first, CPU, **rounding)


def test_the_largest_multiplier_of_a_chain_is_the_largest_number_of_32_bits():
    largest = (2**31 - 1) / CPU.decay_one
    for sign in (1, -1):
        made = chained(sign * largest)
        assert made.chain.multiplier == sign * (2**31 - 1)
        with pytest.raises(DoesNotFitError):
            chained(sign * 2**31 / CPU.decay_one)


@pytest.mark.parametrize("gain", [0.75, -2.0, 3.25, 1 / 4096])
def test_a_current_in_whole_numbers_is_the_same_one_in_real_numbers(gain):
    back = real_current(chained(gain), CPU.arithmetic)
    assert (back.decay, back.chain.gain) == (0.5, gain)


@pytest.mark.parametrize(
    ("membrane", "bits"), [(32, 8), (25, 8), (24, 7), (20, 3), (18, 1), (12, 1)]
)
def test_a_payload_leaves_the_weights_and_two_bits_more_their_room_in_the_membrane(membrane, bits):
    register = replace(CPU.states.membrane, bits=membrane)
    narrow = replace(CPU, states=replace(CPU.states, membrane=register))
    assert payload_bits(narrow) == bits
    used = bits + CPU.weights.bits.value + CPU.weights.shift.value + 2  # and one for the sign
    assert used <= membrane - 1 or bits == 1
