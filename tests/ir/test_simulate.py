"""The real-valued simulator by hand, and against the integer one where both are exact."""

from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir import program as whole
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import (
    Arithmetic,
    Bias,
    Floor,
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import (
    Compare,
    Decode,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Table
from snn_deploy.ir.trace import EVERYTHING, PopulationTrace, Values
from snn_deploy.targets import find_target


def real(value) -> np.ndarray:
    return np.asarray(value, np.float64)


def neuron(**fields) -> Population:
    plain = Population(name="n", shape=(1,), decay=real(1), fires=Fires.NEVER)
    return replace(plain, **fields)


def run(population, values, *, weight=1.0, delay=0, arithmetic=Arithmetic.FLOAT64):
    network = Network(
        name="test",
        inputs=(Input(name="x", shape=(1,)),),
        populations=(population,),
        projections=(
            Projection(
                name="w", source="x", target="n", map=Dense(weight=real([[weight]])),
                delay=np.asarray(delay),
            ),
        ),
        outputs=(Output(name="y", population="n", decode=Decode.MEMBRANE_END),),
        arithmetic=arithmetic,
    )  # fmt: skip
    inputs = Values(name="x", values=real(values).reshape(1, -1, 1))
    return simulate(network, (inputs,), EVERYTHING)["n"]


def states(trace: PopulationTrace, state: State) -> list[float]:
    recorded = trace.state(state)
    assert recorded is not None
    return recorded[0, :, 0].tolist()


def test_a_leaky_membrane_decays_before_its_scaled_input():
    leaky = neuron(decay=real(0.5), gain=real(0.25), initial=real(8))
    assert states(run(leaky, [4, 0, 1]), State.MEMBRANE) == [5, 2.5, 1.5]


@pytest.mark.parametrize(
    ("reads", "membrane"), [(Reads.NEW, [12, 18, 21]), (Reads.OLD, [2, 14, 20])]
)
def test_a_membrane_reads_the_new_or_the_old_current(reads, membrane):
    synapse = Synapse(decay=real(0.5), gain=real(11), reads=reads, initial=real(2))
    trace = run(neuron(synapse=synapse), [1, 0, 0])
    assert states(trace, State.CURRENT) == [12, 6, 3]
    assert states(trace, State.MEMBRANE) == membrane


@pytest.mark.parametrize("step", range(8))
def test_a_falling_gain_ends_where_a_current_that_stays_on_does(step):
    spike = np.eye(8)[step]
    latched = run(neuron(synapse=Synapse(decay=real(1))), spike, weight=3.0)
    falling = Table(what=Tabled.GAIN, rows=8 - np.arange(8.0), into=State.MEMBRANE)
    weighed = run(neuron(tables=(falling,)), spike, weight=3.0)
    assert states(latched, State.MEMBRANE)[-1] == 3 * (8 - step)
    assert states(weighed, State.MEMBRANE)[-1] == 3 * (8 - step)


def test_biases_act_from_their_start_on_their_state():
    biases = (
        Bias(value=real(0.5), into=State.CURRENT, start=1),
        Bias(value=real(-1)),
    )
    trace = run(neuron(synapse=Synapse(decay=real(0)), biases=biases), [0, 0, 0])
    assert states(trace, State.CURRENT) == [0, 0.5, 0.5]
    assert states(trace, State.MEMBRANE) == [-1, -1.5, -2]


@pytest.mark.parametrize(
    ("kind", "when", "amount", "membrane", "spikes"),
    [
        (ResetKind.NONE, When.NOW, 0, [0.5, 1, 1.5, 2], [0, 0, 1, 1]),
        (ResetKind.VALUE, When.NOW, 0.25, [0.5, 1, 0.25, 0.75], [0, 0, 1, 0]),
        (ResetKind.VALUE, When.NEXT, 0.25, [0.5, 1, 1.5, 0.25], [0, 0, 1, 0]),
        (ResetKind.SUBTRACT, When.NOW, 1, [0.5, 1, 0.5, 1], [0, 0, 1, 0]),
        (ResetKind.SUBTRACT, When.NEXT, 1, [0.5, 1, 1.5, 1], [0, 0, 1, 0]),
    ],
)
def test_each_reset_at_each_time(kind, when, amount, membrane, spikes):
    reset = Reset(kind=kind, when=when, amount=real(amount))
    trace = run(neuron(fires=Fires.BINARY, reset=reset), [0.5] * 4)
    assert states(trace, State.MEMBRANE) == membrane
    assert states(trace, State.PAYLOAD) == spikes


@pytest.mark.parametrize(
    ("compare", "counts"),
    [(Compare.GREATER_EQUAL, [0, 1, 2, 3]), (Compare.GREATER, [0, 0, 1, 3])],
)
def test_a_neuron_counts_how_often_the_threshold_goes_into_the_membrane(compare, counts):
    counting = neuron(
        decay=real(0), fires=Fires.COUNT, compare=compare, threshold=real(0.5), max_spikes=3
    )
    assert states(run(counting, [-3, 0.5, 1, 9]), State.PAYLOAD) == counts


def test_a_floor_acts_before_the_test_or_after_the_reset():
    before = neuron(
        fires=Fires.BINARY,
        threshold=real(1),
        reset=Reset(kind=ResetKind.VALUE, amount=real(-5)),
        floor=Floor(value=real(2), when=FloorWhen.BEFORE_TEST),
    )
    assert states(run(before, [-9, -9]), State.MEMBRANE) == [-5, -5]
    after = replace(before, floor=Floor(value=real(-2)))
    assert states(run(after, [7, -9]), State.MEMBRANE) == [-2, -2]


def test_a_delay_moves_every_payload():
    assert states(run(neuron(), [1, 0, 2], delay=1), State.MEMBRANE) == [0, 1, 1]


def test_float32_is_computed_in_float32():
    trace = run(neuron(), [0.1, 0.2], arithmetic=Arithmetic.FLOAT32)
    assert trace.membrane is not None
    assert trace.membrane.dtype == np.float32
    assert trace.membrane[0, 1, 0] == np.float32(0.1) + np.float32(0.2)
    assert states(run(neuron(), [0.1, 0.2]), State.MEMBRANE) == [0.1, 0.1 + 0.2]


def chain(seed: int) -> tuple[Network, whole.Program]:
    """Return a random recurrent network of whole numbers without leak, in both types."""
    rng = np.random.default_rng(seed)
    kinds = [
        (ResetKind.NONE, When.NOW), (ResetKind.VALUE, When.NOW), (ResetKind.VALUE, When.NEXT),
        (ResetKind.SUBTRACT, When.NOW), (ResetKind.SUBTRACT, When.NEXT),
    ]  # fmt: skip
    populations: list[tuple[Population, whole.Population]] = []
    for name in "abc":
        kind, when = kinds[rng.integers(5)]
        compare, fires = (
            list(Compare)[rng.integers(2)],
            [Fires.BINARY, Fires.COUNT][rng.integers(2)],
        )
        threshold, amount, initial = (
            rng.integers(5, 20, 4),
            rng.integers(-3, 12, 4),
            rng.integers(0, 9),
        )
        floor, when_floor = rng.integers(-9, 0), list(FloorWhen)[rng.integers(2)]
        fields = {"name": name, "shape": (4,), "fires": fires, "compare": compare, "max_spikes": 3}
        populations.append(
            (
                Population(
                    decay=real(1), threshold=real(threshold), initial=real(initial),
                    reset=Reset(kind=kind, when=when, amount=real(amount)),
                    floor=Floor(value=real(floor), when=when_floor), **fields,
                ),
                whole.Population(
                    decay=np.asarray(4096), threshold=threshold, initial=np.asarray(initial),
                    reset=whole.Reset(kind=kind, when=when, amount=amount),
                    floor=whole.Floor(value=np.asarray(floor), when=when_floor), **fields,
                ),
            )
        )  # fmt: skip
    edges = []
    for source, target, delay in (("x", "a", 0), ("a", "b", 0), ("b", "c", 2), ("c", "a", 1)):
        weight = rng.integers(-4, 7, (4, 4))
        names = {"name": source + target, "source": source, "target": target}
        given = {**names, "delay": np.asarray(delay)}
        edges.append(
            (
                Projection(map=Dense(weight=real(weight)), **given),
                whole.Projection(map=Dense(weight=weight), **given),
            )
        )
    outputs = (Output(name="y", population="c", decode=Decode.MEMBRANE_END),)
    network = Network(
        name="n", inputs=(Input(name="x", shape=(4,)),), outputs=outputs,
        populations=tuple(p for p, _ in populations), projections=tuple(e for e, _ in edges),
    )  # fmt: skip
    cpu = find_target("cpu")
    program = whole.Program(
        name="n", inputs=(whole.Input(name="x", shape=(4,)),), outputs=outputs, target="cpu",
        arithmetic=cpu.arithmetic, populations=tuple(p for _, p in populations),
        projections=tuple(e for _, e in edges),
    )  # fmt: skip
    return network, program


@pytest.mark.parametrize("seed", range(25))
def test_whole_numbers_without_leak_are_the_same_in_both_simulators(seed):
    network, program = chain(seed)
    values = (np.random.default_rng(seed).random((2, 20, 4)) < 0.5).astype(np.int32)
    inputs = (Values(name="x", values=values),)
    reals = simulate(network, inputs, EVERYTHING)
    integers = ReferenceBackend().run(program, inputs, EVERYTHING)
    for a, b in zip(reals.populations, integers.populations, strict=True):
        assert np.array_equal(a.membrane, b.membrane)
        assert np.array_equal(a.payload, b.payload)
        assert np.array_equal(a.spikes, b.spikes)
