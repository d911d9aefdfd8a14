"""NeuroBench's metrics, of the network as trained and of the integers, beside our own counts.

They follow the definitions of the package neurobench 2.3.0 (Yik et al. 2025, "The NeuroBench
framework for benchmarking neuromorphic computing algorithms and systems"), run with one sample at
a time; docs/neurobench.md lists what one must know to compare.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import fsum
from typing import Any

import numpy as np
from jaxtyping import Int64, Num

from snn_deploy.deploy import runs
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.energy import Event, LayerCount
from snn_deploy.deploy.explain import SPIKES_AND_MEMBRANES
from snn_deploy.deploy.mapping.bits import format_of
from snn_deploy.deploy.operations import (
    Layer,
    Sent,
    Tally,
    reached,
    ways_of_network,
    ways_of_program,
)
from snn_deploy.deploy.progress import bar
from snn_deploy.deploy.table import aligned
from snn_deploy.deploy.windows import own_steps
from snn_deploy.ir.network import Network
from snn_deploy.ir.neuron import Fires, State
from snn_deploy.ir.program import Population, Program, Role
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import Trace, Values, by_name
from snn_deploy.targets import Target

FLOAT_BYTES = 4
"""Of a number of the trained network, as torch stores it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """NeuroBench's metrics of one network; operations and updates are means per sample."""

    footprint: int
    """Numbers that the network holds: weights, biases, decays, thresholds [byte]."""

    connection_sparsity: float | None
    """Share of weights that are 0; None: there are no weights."""

    activation_sparsity: float | None
    """Share of neurons and steps that send nothing; None: no neuron can send."""

    effective_macs: float
    """Values that are not 0 times weights that are not 0, in steps that have other values than 0,
    1 and -1."""

    effective_acs: float
    """The same in all other steps."""

    dense: float
    """All values times all weights."""

    membrane_updates: float
    """Neurons and steps whose membrane is another than after the step before, and all neurons in
    the first step; of neurons that can fire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerCounts:
    """Our own counts of the integers, mean per sample: what energy is estimated from."""

    synaptic_stored: float
    """Stored synapses that what is sent reaches, those of clock and relay neurons included."""

    synaptic_nonzero: float
    """Those of them whose weight is not 0."""

    updates: float
    """Neurons and steps in which a register is not at rest."""

    messages: float
    """Sent payloads times where they go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuroBench:
    """NeuroBench's metrics of a deployment on some samples."""

    trained: Metrics | None
    """Of the real-valued network; None: there is none."""

    integers: Metrics
    counts: IntegerCounts

    def __str__(self) -> str:
        sides = [("as trained", self.trained), ("integers", self.integers)]
        there = [(title, metrics) for title, metrics in sides if metrics is not None]
        rows = [("NeuroBench, per sample", *(title for title, _ in there))]
        rows += zip(_TITLES, *(_shown(metrics) for _, metrics in there), strict=True)
        own = self.counts
        return "\n".join(
            [
                aligned(rows, right=range(1, len(rows[0]))),
                f"our own counts: {own.synaptic_stored:,.1f} synaptic operations, "
                f"{own.synaptic_nonzero:,.1f} of them with a weight that is not 0; "
                f"{own.updates:,.1f} updates; {own.messages:,.1f} messages",
            ]
        )


_TITLES = (
    "footprint [byte]",
    "connection sparsity",
    "activation sparsity",
    "effective MACs",
    "effective ACs",
    "dense operations",
    "membrane updates",
)


def _shown(metrics: Metrics) -> Iterator[str]:
    yield f"{metrics.footprint:,}"
    for share in (metrics.connection_sparsity, metrics.activation_sparsity):
        yield "none" if share is None else f"{share:.4f}"
    for number in (metrics.effective_macs, metrics.effective_acs, metrics.dense):
        yield f"{number:,.1f}"
    yield f"{metrics.membrane_updates:,.1f}"


@dataclass(slots=True)
class Watched:
    """What one network did, added up block by block."""

    tally: Tally
    firing: tuple[str, ...]
    """Populations that can send something: NeuroBench's activation layers."""

    activations: int = field(default=0, init=False)
    silent: int = field(default=0, init=False)
    updates: int = field(default=0, init=False)

    def add(self, sent: Sent, membranes: Mapping[str, Num[np.ndarray, "sample step ..."]]) -> None:
        """Count a block, in steps of the network.

        Args:
            sent: Payloads of each input and population.
            membranes: Membranes of the populations that have one.
        """
        self.tally.add(sent)
        for name in self.firing:
            self.activations += sent[name].size
            self.silent += sent[name].size - int(np.count_nonzero(sent[name]))
            if name in membranes:
                self.updates += _changes(membranes[name])

    def metrics(self, samples: int, footprint: int) -> Metrics:
        """Return the metrics of `samples` samples in all."""
        layers = [layer for way in self.tally.ways for layer in way.layers]
        done = self.tally.sum
        return Metrics(
            footprint=footprint,
            connection_sparsity=_sparsity(layers),
            activation_sparsity=self.silent / self.activations if self.activations else None,
            effective_macs=done.effective_macs / samples,
            effective_acs=done.effective_acs / samples,
            dense=done.dense / samples,
            membrane_updates=self.updates / samples,
        )


def _changes(membrane: Num[np.ndarray, "sample step ..."]) -> int:
    first = membrane[:, :1].size
    return first + int(np.count_nonzero(membrane[:, 1:] != membrane[:, :-1]))


def _sparsity(layers: Sequence[Layer]) -> float | None:
    weights = sum(layer.weights for layer in layers)
    return sum(layer.zeros for layer in layers) / weights if weights else None


def trained_metrics(deployment: Deployment, data: Data) -> Metrics:
    """Run the real-valued network on `data`, block by block, and return its metrics.

    Raises:
        OptionError: it was trained as integers.
        DataError: a value cannot be encoded, or a sample has another shape.
    """
    network = deployment.network
    firing = tuple(p.name for p in network.populations if p.fires is not Fires.NEVER)
    watched = Watched(Tally(ways_of_network(network)), firing)
    width = sum(i.size for i in network.inputs) + 2 * sum(p.size for p in network.populations)
    with bar("NeuroBench, as trained", data.samples) as advance:
        for block in runs.blocks(data, deployment, width, real=True):
            trace = simulate(network, block.inputs, SPIKES_AND_MEMBRANES)
            own = {name: _kept(trace, name, State.MEMBRANE) for name in firing}
            sent = {p.name: _kept(trace, p.name, State.PAYLOAD) for p in network.populations}
            given = {v.name: v.values.astype(network.arithmetic.value) for v in block.inputs}
            watched.add(given | sent, own)
            advance(block.samples)
    return watched.metrics(data.samples, footprint_of_network(network))


def _kept(trace: Trace, name: str, state: State) -> Num[np.ndarray, "sample step ..."]:
    record = trace[name].state(state)
    assert record is not None
    return record


def footprint_of_network(network: Network) -> int:
    """Return the bytes of a network's weights, biases, decays and thresholds.

    A parameter that all neurons of a population share counts once, as it is stored.
    """
    ways = ways_of_network(network)
    numbers = sum(layer.weights for way in ways for layer in way.layers)
    for population in network.populations:
        numbers += population.decay.size
        numbers += sum(synapse.decay.size for synapse in population.synapses)
        numbers += sum(bias.value.size for bias in population.biases)
        if population.fires.spiking:
            numbers += population.threshold.size
    return FLOAT_BYTES * numbers


@dataclass(slots=True)
class WatchedProgram:
    """What the integers did, added up block by block."""

    program: Program
    watched: Watched
    reached: Mapping[str, Int64[np.ndarray, " pre"]]
    """Synapses with a weight that is not 0 of each source neuron, by projection."""

    nonzero: int = field(default=0, init=False)
    """How many of them were reached."""

    @classmethod
    def of(cls, program: Program) -> "WatchedProgram":
        """Return a count of nothing yet."""
        firing = tuple(p.name for p in program.populations if _fires(p))
        each = {p.name: reached(p.map) for p in program.projections}
        return cls(program, Watched(Tally(ways_of_program(program)), firing), each)

    def add(self, inputs: Sequence[Values], trace: Trace, steps: int) -> None:
        """Count a block.

        Args:
            inputs: What the program was given, in its steps.
            trace: With payloads and membranes.
            steps: Steps of a row on the chip; a population's own are `lag` to `lag + steps`.
        """
        sent = {i.name: by_name(inputs, i.name) for i in self.program.inputs}
        own = {}
        for population in self.program.populations:
            record = trace[population.name]
            sent[population.name] = own_steps(population, record.payload, steps)
            if State.MEMBRANE in population.states:
                own[population.name] = own_steps(population, record.state(State.MEMBRANE), steps)
        active = {name: np.count_nonzero(v, axis=(0, 1)).ravel() for name, v in sent.items()}
        for projection in self.program.projections:
            self.nonzero += int(active[projection.source] @ self.reached[projection.name])
        period = self.program.period  # between the network's steps nothing is sent
        self.watched.add(_thinned(sent, period), _thinned(own, period))

    def metrics(self, samples: int, target: Target) -> Metrics:
        """Return NeuroBench's metrics of `samples` samples in all."""
        return self.watched.metrics(samples, footprint_of_program(self.program, target))

    def counts(self, layers: Sequence[LayerCount], samples: int) -> IntegerCounts:
        """Return our own counts; `layers` are the events that energy is estimated from."""
        return IntegerCounts(
            synaptic_stored=fsum(layer.synaptic for layer in layers),
            synaptic_nonzero=self.nonzero / samples,
            updates=fsum(layer.counts.get(Event.NEURON_UPDATE, 0.0) for layer in layers),
            messages=fsum(layer.counts.get(Event.MESSAGE, 0.0) for layer in layers),
        )


def _thinned(records: Sent, period: int) -> Mapping[str, Num[np.ndarray, "sample own ..."]]:
    return {name: record[:, ::period] for name, record in records.items()}


def _fires(population: Population) -> bool:
    trained = population.role is Role.NEURONS
    return trained and (population.kind is not None or population.fires is not Fires.NEVER)


def footprint_of_program(program: Program, target: Target) -> int:
    """Return the bytes of a program's numbers, each at the width that the chip stores.

    Weights with their delays, in the narrowest format that holds a projection; decays in the bits
    of a decay; biases and thresholds in those of the membrane. Indices, headers and padding of
    synapse lists are not in it: the map of cores has them.
    """
    arithmetic, bits = program.arithmetic, 0
    for projection in program.projections:
        narrowest = format_of(projection, target)
        bits += projection.map.numbers().size * (narrowest.weight + narrowest.delay)
    for population in program.populations:
        decays, others = _numbers(population)
        bits += decays * arithmetic.decay_bits + others * arithmetic.membrane.bits
    return -(-bits // 8)


def _numbers(population: Population) -> tuple[int, int]:
    """Return how many decays a population stores, and how many other numbers."""
    if population.kind is not None:
        kind: Any = population.kind  # a dataclass, whichever it is
        every = [getattr(kind, entry.name) for entry in fields(kind)]
        return 0, sum(value.size for value in every if isinstance(value, np.ndarray))
    decays = population.decay.size + sum(i.decay.size for i in population.currents)
    biases = sum(bias.value.size for bias in population.biases)
    tested = population.fires.spiking
    return decays, biases + (population.threshold.size if tested else 0)
