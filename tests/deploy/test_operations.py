"""Operations are those of a plain loop over samples, steps and synapses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_inputs, random_map, random_network
from strategies import random_program

from snn_deploy.backends.event import EventBackend
from snn_deploy.deploy.energy import count
from snn_deploy.deploy.neurobench import WatchedProgram
from snn_deploy.deploy.operations import (
    Operations,
    Tally,
    is_layer,
    reached,
    ways_of_network,
)
from snn_deploy.ir.maps import Composition, Convolution, Dense, LinearMap, Scale, Sparse, to_sparse
from snn_deploy.ir.network import Input, Network, Output, Population, Projection
from snn_deploy.ir.program import Program
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Trace, Values, by_name

SEEDS = st.integers(0, 2**32 - 1)


def payloads(network: Network, inputs: tuple[Values, ...]) -> dict[str, np.ndarray]:
    trace = simulate(network, inputs)
    sent = {p.name: trace[p.name].payload for p in network.populations}
    return {v.name: v.values for v in inputs} | {k: v for k, v in sent.items() if v is not None}


def by_hand(projection: Projection, sent: np.ndarray) -> Operations:
    """Return the operations of one projection, step after step."""
    total, linear, delay = Operations(), projection.map, projection.delay
    by_synapse = delay.ndim > 0 and delay.shape != (linear.in_size,)
    for sample in sent.reshape(*sent.shape[:2], -1):
        for step in range(len(sample)):
            if by_synapse:
                for steps in np.unique(delay):
                    seen = arriving(sample, step, np.full(linear.in_size, steps))
                    total += of_step(linear, seen, (delay == steps).ravel())
                continue
            values = arriving(sample, step, np.broadcast_to(delay, linear.in_size))
            for stage in linear.stages if isinstance(linear, Composition) else (linear,):
                if is_layer(stage):
                    total += of_step(stage, values)
                values = stage.apply(values.reshape(stage.in_shape)).ravel()
    return total


def arriving(sample: np.ndarray, step: int, delay: np.ndarray) -> np.ndarray:
    """Return what each source's payload of `delay` steps ago was; 0 before the first step."""
    return np.array([sample[step - d, i] if step >= d else 0.0 for i, d in enumerate(delay)])


def of_step(linear: LinearMap, values: np.ndarray, chosen: np.ndarray | None = None) -> Operations:
    """Return the operations of one layer in one step, synapse by synapse.

    Args:
        linear: The layer.
        values: What it reads.
        chosen: Of each weight, whether it is counted; None: all are.
    """
    synapses = linear.triplets()
    weights = linear.numbers().ravel()[synapses.number]
    counted = np.ones(weights.shape, bool) if chosen is None else chosen[synapses.number]
    there = (values[synapses.pre] != 0) & counted
    effective, stored = int(np.sum(there & (weights != 0))), int(np.sum(there))
    full = linear.in_size * linear.out_size if isinstance(linear, Sparse) else int(counted.sum())
    if all(value in (-1, 0, 1) for value in values):
        return Operations(effective_acs=effective, acs=stored, dense=full)
    return Operations(effective_macs=effective, macs=stored, dense=full)


@settings(max_examples=30)
@given(SEEDS)
def test_operations_of_a_network_are_those_of_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    sent = payloads(network, random_inputs(rng, network))
    tally = Tally(ways_of_network(network))
    for sample in range(2):  # block by block
        tally.add({name: values[sample : sample + 1] for name, values in sent.items()})
    wanted: dict[str, Operations] = {}
    for projection in network.projections:
        found = by_hand(projection, sent[projection.source])
        wanted[projection.target] = wanted.get(projection.target, Operations()) + found
    assert tally.total == {k: v for k, v in wanted.items() if k in tally.total}
    assert sum(wanted.values(), Operations()) == tally.sum


@settings(max_examples=60)
@given(SEEDS)
def test_a_value_reaches_the_synapses_of_the_unrolled_map(seed: int) -> None:
    linear = random_map(np.random.default_rng(seed), (2, 6, 5))
    for stage in linear.stages if isinstance(linear, Composition) else (linear,):
        unrolled = to_sparse(stage)
        wanted = np.bincount(unrolled.pre, minlength=stage.in_size)
        np.testing.assert_array_equal(reached(stage), wanted)


@settings(max_examples=8)
@given(SEEDS)
def test_synapses_of_a_program_are_counted_per_payload(seed: int) -> None:
    program, inputs = random_program(np.random.default_rng(seed))
    trace = EventBackend().run(program, inputs, EVERYTHING)
    samples, steps = inputs[0].values.shape[:2]
    watched = WatchedProgram.of(program)
    watched.add(inputs, trace, steps)
    counts = watched.counts(count(program, inputs, trace, steps), samples)
    assert counts.synaptic_nonzero * samples == pytest.approx(nonzero(program, inputs, trace))
    assert counts.synaptic_nonzero <= counts.synaptic_stored * (1 + 1e-12)


def nonzero(program: Program, inputs: tuple[Values, ...], trace: Trace) -> int:
    """Return how many synapses with a weight that is not 0 are reached, payload by payload."""
    total, steps = 0, inputs[0].values.shape[1]
    for projection in program.projections:
        kept = to_sparse(projection.map)
        name = projection.source
        if any(i.name == name for i in program.inputs):
            values, lag = by_name(inputs, name), 0
        else:
            values = trace[name].payload
            assert values is not None
            lag = program.population(name).lag
        for sample in values.reshape(*values.shape[:2], -1):
            for row in sample[lag : lag + steps]:
                total += int(np.sum(row[kept.pre] != 0))
    return total


def wired(linear: LinearMap, delay: np.ndarray, spikes: np.ndarray) -> Operations:
    """Return the operations of a map on spikes [step, value]."""
    network = Network(
        name="one",
        inputs=(Input(name="in", shape=(2,)),),
        populations=(Population(name="n", shape=(2,), decay=np.ones(())),),
        projections=(Projection(name="a", source="in", target="n", map=linear, delay=delay),),
        outputs=(Output(name="out", population="n"),),
    )
    tally = Tally(ways_of_network(network))
    tally.add({"in": spikes[None]})
    return tally.sum


def test_what_arrives_after_the_last_step_is_not_counted() -> None:
    linear = Dense(weight=np.array([[1.0, 2.0], [0.0, 3.0]]))
    spikes = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    for delay, effective, stored in [(0, 4, 6), (1, 1, 2), (3, 0, 0)]:
        found = wired(linear, np.asarray(delay), spikes)
        assert found == Operations(effective_acs=effective, acs=stored, dense=12)
    by_source = wired(linear, np.array([0, 1]), spikes)
    assert by_source == Operations(effective_acs=2, acs=4, dense=12)
    by_synapse = wired(linear, np.array([[0, 0], [0, 2]]), spikes)
    assert by_synapse == Operations(effective_acs=3, acs=5, dense=12)


def test_a_step_with_another_value_than_0_and_1_takes_multiplications() -> None:
    linear = Dense(weight=np.array([[1.0, 2.0], [0.0, 3.0]]))
    values = np.array([[1.0, -1.0], [0.5, 1.0], [0.0, 0.0]])
    found = wired(linear, np.asarray(0), values)
    assert found == Operations(effective_macs=3, effective_acs=3, macs=4, acs=4, dense=12)


def test_pooling_and_factors_are_no_layers() -> None:
    pool = Convolution(weight=np.full((3, 1, 2, 2), 0.25), source=(3, 4, 4), groups=3)
    assert not is_layer(pool)
    assert not is_layer(Scale(factor=np.ones(3)))
    taps = np.arange(12.0).reshape(3, 1, 2, 2)
    assert is_layer(pool.with_numbers(taps))
    assert is_layer(Convolution(weight=np.ones((3, 3, 2, 2)), source=(3, 4, 4)))


def test_a_pruned_matrix_is_the_matrix_that_was_trained() -> None:
    pruned = to_sparse(Dense(weight=np.array([[1.0, 0.0], [0.0, 0.0]])))
    assert wired(pruned, np.asarray(0), np.ones((1, 2))) == Operations(
        effective_acs=1, acs=1, dense=4
    )
