"""The real-valued simulator of a `Network`: the step of `ir/network.py`, line by line.

All layers act within one step, as the frameworks compute; it is what the integers are
compared with, and what calibration runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.delays import History, arriving
from snn_deploy.ir.graph import step_order
from snn_deploy.ir.network import Network, Population
from snn_deploy.ir.neuron import Compare, Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.recorder import Recorder
from snn_deploy.ir.trace import PAYLOADS, Recording, Trace, Values, by_name

Reals = Float[np.ndarray, "sample ..."]


def simulate(network: Network, inputs: Sequence[Values], record: Recording = PAYLOADS) -> Trace:
    """Run `network` on `inputs`, every sample from its initial states.

    Args:
        network: What to run.
        inputs: One `Values` per input, [sample, step, *shape], any real dtype.
        record: Which states to keep.

    Returns:
        The trace, in the network's floating-point type.
    """
    dtype = np.dtype(network.arithmetic.value)
    samples, steps = inputs[0].values.shape[:2]
    order = [network.population(name) for name in step_order(network)]
    neurons = {p.name: _Neurons.start(p, samples, dtype) for p in order}
    history = History.of(network)
    recorder = Recorder(network.populations, record, samples, steps, dtype)
    for step in range(steps):
        for entry in network.inputs:
            values = by_name(inputs, entry.name)[:, step]
            history.send(entry.name, step, values.astype(dtype))
        for population in order:
            state = neurons[population.name]
            drive = np.zeros_like(state.membrane)
            for projection in network.into(population.name):
                linear, delay = projection.map, projection.delay
                given = arriving(linear, delay, history, projection.source, step)
                if given is not None:
                    drive += given.reshape(drive.shape)
            _advance(population, state, drive, step, dtype)
            history.send(population.name, step, state.payload)
            recorder.keep(
                population.name,
                step,
                current=state.current,
                membrane=state.membrane,
                payload=state.payload,
            )
    return recorder.trace(steps)


@dataclass(slots=True)
class _Neurons:
    """The states of one population, [sample, *shape]."""

    current: Reals | None
    membrane: Reals
    payload: Reals

    @classmethod
    def start(cls, population: Population, samples: int, dtype: np.dtype[Any]) -> "_Neurons":
        full = (samples, *population.shape)

        def initial(parameter: np.ndarray) -> Reals:
            return np.array(np.broadcast_to(parameter, full), dtype)

        synapse = population.synapse
        return cls(
            current=None if synapse is None else initial(synapse.initial),
            membrane=initial(population.initial),
            payload=np.zeros(full, dtype),
        )


def _advance(
    population: Population,
    state: _Neurons,
    drive: Reals,
    step: int,
    dtype: np.dtype[Any],
) -> None:
    """Compute one step of one population, in place: the lines of `ir/network.py`."""
    real = partial(np.asarray, dtype=dtype)
    synapse = population.synapse
    integrated = drive
    if synapse is not None and state.current is not None:
        old = state.current
        state.current = real(synapse.decay) * old + real(synapse.gain) * drive
        for bias in population.biases:
            if bias.into is State.CURRENT and step >= bias.start:
                state.current = state.current + real(bias.value)
        integrated = state.current if synapse.reads is Reads.NEW else old

    v = real(population.decay) * state.membrane + real(population.gain) * integrated
    for bias in population.biases:
        if bias.into is State.MEMBRANE and step >= bias.start:
            v = v + real(bias.value)

    reset, floor = population.reset, population.floor
    if reset.when is When.NEXT:
        v = _after_reset(population, v, state.payload, dtype)
    if floor is not None and floor.when is FloorWhen.BEFORE_TEST:
        v = np.maximum(v, real(floor.value))
    tested = v
    if reset.when is When.RETESTED:
        tested = _after_reset(population, v, _fires(population, state.membrane, dtype), dtype)
    payload = _fires(population, tested, dtype)
    if reset.when is not When.NEXT:
        v = _after_reset(population, v, payload, dtype)
    if floor is not None and floor.when is FloorWhen.AFTER_RESET:
        v = np.maximum(v, real(floor.value))
    state.membrane, state.payload = v, payload


def _fires(population: Population, v: Reals, dtype: np.dtype[Any]) -> Reals:
    threshold = per_neuron(population.threshold.astype(dtype), population.shape)
    if population.fires is Fires.NEVER:
        return np.zeros_like(v)
    if population.fires is Fires.GRADED:
        return v
    if population.fires is Fires.BINARY:
        greater = population.compare is Compare.GREATER
        return (v > threshold if greater else v >= threshold).astype(dtype)
    if population.compare is Compare.GREATER_EQUAL:
        count = np.floor(v / threshold)
    else:
        count = np.ceil(v / threshold) - 1
    return np.clip(count, 0, population.max_spikes).astype(dtype)


def _after_reset(
    population: Population,
    v: Reals,
    payload: Reals,
    dtype: np.dtype[Any],
) -> Reals:
    amount = population.reset.amount.astype(dtype)
    if population.reset.kind is ResetKind.SUBTRACT:
        return v - payload * amount
    if population.reset.kind is ResetKind.VALUE:
        return np.where(payload != 0, amount, v)
    return v
