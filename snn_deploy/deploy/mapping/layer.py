"""A population ready to be cut: what each part of it needs of a core, and what it takes in time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import fsum

import numpy as np
from jaxtyping import Bool, Int64

from snn_deploy.deploy.mapping.activity import Activity
from snn_deploy.deploy.mapping.core_map import Encoding, Load, Part
from snn_deploy.deploy.mapping.wiring import Wiring, shares, wire
from snn_deploy.ir.maps import Convolution
from snn_deploy.ir.neuron import CURRENTS, State
from snn_deploy.ir.program import Population, Program
from snn_deploy.targets import CoreRules, Per, Resource, Target

PICO = 1e-3
"""Nanoseconds in a picosecond."""

DIGITS = 6
"""Of expected numbers behind the point: what is beyond is left by the order of sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What some parts on one core need of it."""

    counts: Mapping[Resource, int]
    bits: Mapping[Encoding, int]
    state_bits: int
    lists: int
    delay: int
    load: Load
    configurations: frozenset[tuple[int, ...]]
    thresholds: frozenset[int]
    formats: frozenset[tuple[object, ...]]

    def beyond(self, limits: Mapping[Resource, int]) -> Iterator[tuple[Resource, int, int]]:
        """Yield every resource of which more is needed than there is: needed and there."""
        for resource, limit in limits.items():
            if self.counts[resource] > limit:
                yield resource, self.counts[resource], limit


def limits_of(target: Target) -> dict[Resource, int]:
    """Return how much a core has of what is known of it."""
    return {rule.resource: rule.value for rule in target.limits if rule.per is Per.CORE}


class Layer:
    """One population with the projections into it.

    Args:
        program: Where it stands.
        population: The population.
        target: The chip, with rules of its cores.
        activity: How often each neuron sends.
    """

    def __init__(
        self, program: Program, population: Population, target: Target, activity: Activity
    ) -> None:
        assert target.cores is not None
        self.name = population.name
        self.rules: CoreRules = target.cores
        self.limits = limits_of(target)
        self.grid = grid_of(program, population)
        self.rates = activity.rates[population.name]
        into = program.into(population.name)
        self.wirings: tuple[Wiring, ...] = tuple(
            wire(p, target, activity.rates[p.source], grid=self.grid) for p in into
        )
        self.shared = any(w.encoding is Encoding.SHARED for w in self.wirings)
        self.together = sends_together(program, population, self.grid)
        self._configuration, self._configurations = _classes(_decays(population), population.shape)
        self._threshold, self._thresholds = _classes([population.threshold], population.shape)
        self._updated = _updated(population, self.wirings)
        self._state_bits = state_bits(population, target)
        self.clear_reach()

    @property
    def alone(self) -> bool:
        """Whether a core with a part of it holds nothing else: its axons are of populations.

        nengo-loihi 1.1.0, hardware/builder.py: build_axon asserts it.
        """
        return self.shared or self.together

    def clear_reach(self) -> None:
        """Forget which cores its neurons reach."""
        self.cores_reached = np.zeros(self.rates.size, np.int64)
        self._entries = np.zeros(self.rates.size, np.int64)
        self._pattern = np.zeros(self.rates.size, np.uint64)
        self._of_place: Int64[np.ndarray, " edge"] | None = None

    def add_reach(self, sources: Bool[np.ndarray, " neuron"], *, shared: bool, mark: int) -> None:
        """Add a core of one projection to those that some of its neurons reach.

        Args:
            sources: Which neurons.
            shared: Whether that core shares a kernel.
            mark: A number for this core and projection, of 64 random bits: neurons with equal sums
                of marks reach the same cores.
        """
        rule = self.rules.sharing
        self.cores_reached += sources
        self._entries += sources * (rule.output_entries.value if shared and rule is not None else 1)
        self._pattern[sources] ^= np.uint64(mark)
        self._of_place = None

    def part(self, channels: tuple[int, int], places: tuple[int, int]) -> Part:
        """Return a part of it."""
        return Part(population=self.name, grid=self.grid, channels=channels, places=places)

    def usage(self, part: Part, *, alone: bool = True) -> Usage:
        """Return what a part needs of its core."""
        needs = [(wiring, wiring.need(part, alone=alone)) for wiring in self.wirings]
        bits: dict[Encoding, int] = {}
        for wiring, need in needs:
            bits[wiring.encoding] = bits.get(wiring.encoding, 0) + need.bits
        index = part.index
        configurations = frozenset(
            self._configurations[k] for k in _used(self._configuration, index)
        )
        thresholds = frozenset(self._thresholds[k][0] for k in _used(self._threshold, index))
        formats = frozenset(
            (
                w.format.weight,
                w.format.delay,
                need.index_bits,
                w.projection.shift,
                w.projection.sign.value,
            )
            for w, need in needs
        )
        state_bits = part.neurons * self._state_bits
        memory = sum(bits.values())
        return Usage(
            counts={
                Resource.NEURONS: part.neurons,
                Resource.INPUT_AXONS: sum(need.axons for _, need in needs),
                Resource.OUTPUT_AXONS: self._output_axons(part, index),
                Resource.SYNAPSE_MEMORY: memory,
                Resource.CORE_MEMORY: memory + state_bits,
                Resource.NEURON_CONFIGURATIONS: len(configurations),
                Resource.THRESHOLDS: len(thresholds),
                Resource.SYNAPSE_FORMATS: len(formats),
            },
            bits=bits,
            state_bits=state_bits,
            lists=sum(need.lists for _, need in needs),
            delay=max((int(w.projection.delay.max(initial=0)) for w in self.wirings), default=0),
            load=self._load(part, index),
            configurations=configurations,
            thresholds=thresholds,
            formats=formats,
        )

    def _output_axons(self, part: Part, index: Int64[np.ndarray, " neuron"]) -> int:
        if not self.together:
            return int(self._entries[index].sum())
        if self._of_place is None:
            self._of_place = self._entries_of_places()
        if self._of_place.size:
            low, high = part.places
            return int(self._of_place[high] - self._of_place[low])
        # the channels of a place that reach the same cores share their entries
        place = np.tile(np.arange(*part.places), part.channels[1] - part.channels[0])
        keys = np.stack([place.astype(np.uint64), self._pattern[index]], axis=1)
        _, first = np.unique(keys, axis=0, return_index=True)
        return int(self._entries[index][first].sum())

    def _entries_of_places(self) -> Int64[np.ndarray, " edge"]:
        """Return the entries of the places before each; empty where channels differ in them."""
        pattern = self._pattern.reshape(self.grid)
        if np.any(pattern != pattern[0]):
            return np.zeros(0, np.int64)
        return np.concatenate([[0], np.cumsum(self._entries.reshape(self.grid)[0])])

    def _load(self, part: Part, index: Int64[np.ndarray, " neuron"]) -> Load:
        costs = self.rules.costs
        needs = [wiring.need(part) for wiring in self.wirings]
        rates = self.rates[index]
        spikes, sent = float(rates.sum()), float(rates @ self.cores_reached[index])
        messages = fsum(need.messages for need in needs)
        operations = fsum(need.operations for need in needs)
        neurons = part.neurons * costs.access.value
        neurons += int(self._updated[index].sum()) * costs.update.value
        made = neurons + spikes * costs.spike.value + sent * costs.message_out.value
        taken = messages * costs.message_in.value + operations * costs.operation.value
        return Load(
            operations=round(operations, DIGITS),
            messages_in=round(messages, DIGITS),
            messages_out=round(sent, DIGITS),
            spikes=round(spikes, DIGITS),
            generation=round(PICO * made, DIGITS),
            processing=round(PICO * taken, DIGITS),
        )

    def most_places(self, channels: int) -> int:
        """Return how many places a part with so many channels can have at most."""
        neurons = self.limits.get(Resource.NEURONS)
        most = self.grid[1] if neurons is None else max(1, neurons // channels)
        if self.shared and self.rules.sharing is not None:
            most = min(most, self.rules.sharing.offset.value + 1)
        return min(most, self.grid[1])


def together(usages: Sequence[Usage]) -> Usage:
    """Return what several parts on one core need of it."""
    first = usages[0]
    if len(usages) == 1:
        return first
    configurations = frozenset[tuple[int, ...]]().union(*(u.configurations for u in usages))
    thresholds = frozenset[int]().union(*(u.thresholds for u in usages))
    formats = frozenset[tuple[object, ...]]().union(*(u.formats for u in usages))
    counts = {r: sum(u.counts[r] for u in usages) for r in first.counts}
    counts[Resource.NEURON_CONFIGURATIONS] = len(configurations)
    counts[Resource.THRESHOLDS] = len(thresholds)
    counts[Resource.SYNAPSE_FORMATS] = len(formats)
    loads = {
        f.name: round(fsum(getattr(u.load, f.name) for u in usages), DIGITS) for f in fields(Load)
    }
    return Usage(
        counts=counts,
        bits={e: sum(u.bits.get(e, 0) for u in usages) for e in Encoding if _any(usages, e)},
        state_bits=sum(u.state_bits for u in usages),
        lists=sum(u.lists for u in usages),
        delay=max(u.delay for u in usages),
        load=Load(**loads),
        configurations=configurations,
        thresholds=thresholds,
        formats=formats,
    )


def _any(usages: Sequence[Usage], encoding: Encoding) -> bool:
    return any(encoding in usage.bits for usage in usages)


def grid_of(program: Program, population: Population) -> tuple[int, int]:
    """Return channels and places of a population: those of kernels that share its places, if any.

    Any other population has one channel, so that it can be cut between any two neurons.
    """
    own = _grid_of_target(program, population.name)
    if own[0] > 1:
        return own
    sent = [p for p in program.projections if p.source == population.name]
    grids = [_grid(p.map.in_shape) for p in sent if isinstance(p.map, Convolution)]
    return next((grid for grid in grids if sends_together(program, population, grid)), own)


def _grid(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[0], int(np.prod(shape[1:]))


def sends_together(program: Program, population: Population, grid: tuple[int, int]) -> bool:
    """Return whether the channels of a place can share their output axons.

    They can where everything that the population drives shares a kernel over its places.
    """
    sent = [p for p in program.projections if p.source == population.name]
    return bool(sent) and all(
        isinstance(p.map, Convolution)
        and np.ptp(p.delay) == 0
        and _grid(p.map.in_shape) == grid
        and shares(p, _grid_of_target(program, p.target))
        for p in sent
    )


def _grid_of_target(program: Program, name: str) -> tuple[int, int]:
    """Return the grid that the first kernel into a population gives it, or (1, size)."""
    for projection in program.into(name):
        if isinstance(projection.map, Convolution):
            grid = _grid(projection.map.out_shape)
            if shares(projection, grid):
                return grid
    return 1, program.population(name).size


def _updated(population: Population, wirings: Sequence[Wiring]) -> Bool[np.ndarray, " neuron"]:
    """Return which neurons a step is expected to change: those that something ever reaches."""
    reached = sum((w.arriving() for w in wirings), np.zeros(population.size)) > 0
    moved = np.zeros(population.shape, bool)
    for bias in population.biases:
        moved |= bias.value != 0
    return reached | moved.ravel() | (population.kind is not None)


def _decays(population: Population) -> list[np.ndarray]:
    """Return the parameters that one configuration of neurons has in common."""
    if population.kind is not None:
        kind = population.kind
        values = [getattr(kind, f.name) for f in fields(kind)]  # type: ignore[arg-type]
        return [v for v in values if isinstance(v, np.ndarray)]
    refractory = population.refractory
    steps = -1 if refractory is not None and refractory.steps is None else 0
    if refractory is not None and refractory.steps is not None:
        steps = refractory.steps
    chains = [c.chain.multiplier for c in population.currents if c.chain is not None]
    return [
        population.decay,
        *(current.decay for current in population.currents),
        *chains,
        np.asarray(steps),
    ]


def _classes(
    values: Sequence[np.ndarray], shape: tuple[int, ...]
) -> tuple[Int64[np.ndarray, "..."], list[tuple[int, ...]]]:
    """Return the class of each neuron (or the one of all), and the values of each class."""
    if all(value.size == 1 for value in values):
        return np.zeros((), np.int64), [tuple(int(v.ravel()[0]) for v in values)]
    columns = np.stack([np.broadcast_to(v, shape).ravel() for v in values], axis=1)
    rows, number = np.unique(columns, axis=0, return_inverse=True)
    return number.reshape(-1).astype(np.int64), [tuple(int(v) for v in row) for row in rows]


def _used(classes: Int64[np.ndarray, "..."], index: Int64[np.ndarray, " neuron"]) -> list[int]:
    return [0] if classes.ndim == 0 else np.unique(classes[index]).tolist()


_CURRENTS = frozenset(CURRENTS)
_NO_REGISTERS = frozenset({State.PAYLOAD, State.STARTED, State.COUNTDOWN})


def state_bits(population: Population, target: Target) -> int:
    """Return the bits of the registers of one neuron; flags and countdowns are not counted."""
    states = population.states - _NO_REGISTERS
    currents = len(states & _CURRENTS)
    rest = len(states) - currents
    return currents * target.states.current.bits + rest * target.states.membrane.bits
