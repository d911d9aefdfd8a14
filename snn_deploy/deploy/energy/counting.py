"""Counts the events of a run, layer by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from snn_deploy.deploy.energy.events import Event, LayerCount
from snn_deploy.deploy.energy.happened import Happened, Mask
from snn_deploy.deploy.energy.placement import Placement
from snn_deploy.deploy.energy.reach import Reach, joined, reach_of
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.trace import Trace, Values


def count(
    program: Program,
    inputs: Sequence[Values],
    trace: Trace,
    steps: int,
    placement: Placement | None = None,
) -> tuple[LayerCount, ...]:
    """Return the events of a run, mean per sample.

    Args:
        program: What was run.
        inputs: What it was given, [sample, step, *shape].
        trace: Its trace, with every state.
        steps: Steps of a sample on the chip; a population's own are `lag` to `lag + steps`.
        placement: Cores of all neurons; None: hops are not counted, and a message goes to each
            population.
    """
    wiring = Wiring.of(program, placement)
    return counted_layers(wiring, Happened.of(program, inputs, trace), steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What one payload of each neuron causes; the same for every run of a program."""

    program: Program
    placement: Placement | None
    reaches: Mapping[str, Reach]
    """Of each input and population that projects."""

    fan_out: Mapping[str, Int64[np.ndarray, " pre"]]
    """Synapses of each source neuron, by projection."""

    messages: Mapping[str, Int64[np.ndarray, " neuron"]]
    ways: Mapping[str, Int64[np.ndarray, "way neuron"]]
    """Hops east-west, north-south, and messages to other chips; empty without a placement."""

    kinds: Mapping[str, Event]
    """Of synapse, by projection."""

    @classmethod
    def of(cls, program: Program, placement: Placement | None) -> "Wiring":
        """Return the wiring of a program. Without a placement each population is one core."""
        core = (
            {p.name: np.full(p.size, i) for i, p in enumerate(program.populations)}
            if placement is None
            else placement.core
        )
        each = {p.name: reach_of(p.map, core[p.target]) for p in program.projections}
        of_source: dict[str, list[Reach]] = {}
        for projection in program.projections:
            of_source.setdefault(projection.source, []).append(each[projection.name])
        reaches = {source: joined(found) for source, found in of_source.items()}
        return cls(
            program=program,
            placement=placement,
            reaches=reaches,
            fan_out={name: reach.fan_out for name, reach in each.items()},
            messages={source: reach.degree[reach.row] for source, reach in reaches.items()},
            ways={}
            if placement is None
            else {source: placement.routes(source, reach) for source, reach in reaches.items()},
            kinds={name: next(iter(reach.synapses)) for name, reach in each.items()},
        )


def counted_layers(wiring: Wiring, happened: Happened, steps: int) -> tuple[LayerCount, ...]:
    """Return the events of a run, mean per sample; see `count`."""
    program = wiring.program
    samples = next(iter(happened.sent.values())).shape[0]
    sent = {n.name: _own(n, happened.sent[n.name], steps) for n in program.nodes}
    graded = {
        n.name: _own(n, happened.graded[n.name], steps)
        for n in program.nodes
        if n.name in happened.graded
    }
    layers = []
    for node in program.nodes:
        name, counts = node.name, dict[Event, float]()
        counts[Event.MESSAGE] = float(sent[name] @ wiring.messages.get(name, _none(node.size)))
        for event, way in zip(_WAYS, wiring.ways.get(name, ()), strict=False):
            counts[event] = float(sent[name] @ way)
        if isinstance(node, Population):
            counts[Event.SPIKE] = float(sent[name].sum())
            counts[Event.NEURON_ACCESS] = float(node.size * steps * samples)
            moved = happened.updated[name][:, node.lag : node.lag + steps]
            counts[Event.NEURON_UPDATE] = float(np.count_nonzero(moved))
        for projection in program.into(name):
            fan_out, source = wiring.fan_out[projection.name], projection.source
            found = {
                wiring.kinds[projection.name]: sent[source] @ fan_out,
                Event.SYNAPSE_STORED: fan_out.sum() * steps * samples,
            }
            if source in graded:
                found[Event.MULTIPLY] = graded[source] @ fan_out
            for event, number in found.items():
                counts[event] = counts.get(event, 0.0) + float(number)
        mean = {event: number / samples for event, number in counts.items()}
        layers.append(LayerCount(layer=name, neurons=node.size, counts=mean))
    return tuple(layers)


_WAYS = (Event.HOP_EAST_WEST, Event.HOP_NORTH_SOUTH, Event.MESSAGE_CHIP)


def _none(size: int) -> Int64[np.ndarray, " neuron"]:
    return np.zeros(size, np.int64)


def _own(node: object, mask: Mask, steps: int) -> Int64[np.ndarray, " neuron"]:
    """Return in how many of its own steps each neuron does it, over all samples."""
    lag = node.lag if isinstance(node, Population) else 0
    return np.count_nonzero(mask[:, lag : lag + steps], axis=(0, 1))
