"""Counts the events of a run, layer by layer."""

from collections.abc import Sequence

import numpy as np

from snn_deploy.deploy.energy.events import Event, LayerCount
from snn_deploy.deploy.energy.updates import updates
from snn_deploy.deploy.windows import own_steps
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, fan_out
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.trace import Trace, Values, by_name


def synapse_event(linear: LinearMap) -> Event:
    """Return which synaptic event a projection's map causes."""
    if isinstance(linear, Dense):
        return Event.SYNAPSE_DENSE
    return Event.SYNAPSE_CONVOLUTION if isinstance(linear, Convolution) else Event.SYNAPSE_SPARSE


def count(
    program: Program, inputs: Sequence[Values], trace: Trace, steps: int
) -> tuple[LayerCount, ...]:
    """Return the events of a run, mean per sample.

    Args:
        program: What was run.
        inputs: What it was given, [sample, step, *shape].
        trace: Its trace, with every state.
        steps: Steps of a sample on the chip; a population's own are `lag` to `lag + steps`.
    """
    samples = inputs[0].values.shape[0]
    sent = {i.name: np.count_nonzero(by_name(inputs, i.name), axis=1) for i in program.inputs}
    for population in program.populations:
        window = own_steps(population, trace[population.name].payload, steps)
        sent[population.name] = np.count_nonzero(window, axis=1)
    layers = []
    for entry in program.nodes:
        counts: dict[Event, float] = {}
        targets = len({p.target for p in program.projections if p.source == entry.name})
        fired = float(sent[entry.name].sum())
        counts[Event.MESSAGE] = fired * targets
        if isinstance(entry, Population):
            counts[Event.SPIKE] = fired
            counts[Event.NEURON_ACCESS] = float(entry.size * steps * samples)
            counts[Event.NEURON_UPDATE] = updates(program, entry, trace[entry.name], steps)
        for projection in program.into(entry.name):
            source = sent[projection.source].reshape(samples, -1).sum(axis=0)
            event = synapse_event(projection.map)
            reached = float(fan_out(projection.map) @ source)
            counts[event] = counts.get(event, 0.0) + reached
        mean = {event: number / samples for event, number in counts.items()}
        layers.append(LayerCount(layer=entry.name, neurons=entry.size, counts=mean))
    return tuple(layers)
