"""Which core holds which neurons, and what each core needs: the result of mapping, as JSON too."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from math import fsum
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Int, Int32

from snn_deploy.errors import ArtifactDamagedError
from snn_deploy.ir.schemas import Schema
from snn_deploy.targets import Resource

SCHEMA = Schema(name="core-map")

Span = tuple[int, int]
"""First, and one behind the last."""


class Goal(Enum):
    """What the number of cores is chosen for."""

    LATENCY = "latency"
    """The shortest step."""

    ENERGY = "energy"
    """The least energy of a step: messages, and static power for as long as the step takes."""


class Encoding(Enum):
    """How synapse memory holds a projection."""

    DENSE = "dense"
    """A list for each source, of the weights to all neurons of the slice."""

    SPARSE = "sparse"
    """A list for each source, of weights with the indices of their neurons."""

    SHARED = "shared"
    """Lists of a kernel's weights, one for each channel and for each way in which the kernel is cut
    off at the edges of the slice. All places of the source share them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Neurons of a population that follow each other in the program's C order."""

    population: str
    first: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Neurons of a population on one core: some channels at some places.

    A population is a grid [channel, place] in C order: a feature map has its pixels as places, row
    by row; any other population has one channel.
    """

    population: str
    grid: tuple[int, int]
    """Channels and places of the whole population."""

    channels: Span
    places: Span

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return (self.channels[1] - self.channels[0]) * (self.places[1] - self.places[0])

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The same neurons as slices of the program's C order, joined where they touch."""
        size, (low, high) = self.grid[1], self.places
        if (low, high) == (0, size):
            runs = [(self.channels[0] * size, self.channels[1] * size)]
        else:
            runs = [(c * size + low, c * size + high) for c in range(*self.channels)]
        return tuple(Slice(population=self.population, first=a, end=b) for a, b in runs)

    @property
    def index(self) -> Int[np.ndarray, " neuron"]:
        """Index of each neuron in its population, in the order of the core."""
        channel = np.arange(*self.channels)[:, None] * self.grid[1]
        return (channel + np.arange(*self.places)).ravel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a core is expected to do in a step, from the activity that was mapped for."""

    operations: float
    """Synapses that messages reach."""

    messages_in: float
    messages_out: float
    spikes: float
    generation: float
    """Time to update its neurons and send their messages [ns]."""

    processing: float
    """Time to receive messages and reach their synapses [ns]."""

    @property
    def time(self) -> float:
        """The longer one of both, which go on at the same time [ns]."""
        return max(self.generation, self.processing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """One core of the chip and what it holds."""

    core: int
    """Number within the map; `CoreMap.core_of` gives it."""

    chip: int
    x: int
    """Column of its router on the chip."""

    y: int
    """Row of its router on the chip."""

    parts: tuple[Part, ...]
    neurons: int
    synapse_bits: dict[Encoding, int]
    """Synapse memory by encoding, headers and padding included where the packing is known [bit]."""

    state_bits: int
    """Registers of its neurons [bit]."""

    input_axons: int
    """For each projection and each source neuron with synapses here one; for each place of the
    source where kernels are shared, of all its channels."""

    output_axons: int
    """Entries for every (neuron or place, projection, core that it reaches)."""

    lists: int
    """Synapse lists in its memory."""

    delay: int
    """Longest delay of its synapses [steps]."""

    neuron_configurations: int
    """Different sets of decays and refractory periods."""

    thresholds: int
    """Different thresholds."""

    synapse_formats: int
    """Different sets of weight bits, delay bits, index bits, exponent and sign mode."""

    load: Load

    @property
    def slices(self) -> tuple[Slice, ...]:
        """Its neurons as slices of the program's C order."""
        return tuple(piece for part in self.parts for piece in part.slices)

    def used(self, resource: Resource) -> int:
        """Return how much of a resource of a core it uses."""
        bits = sum(self.synapse_bits.values())
        return {
            Resource.NEURONS: self.neurons,
            Resource.INPUT_AXONS: self.input_axons,
            Resource.OUTPUT_AXONS: self.output_axons,
            Resource.SYNAPSE_MEMORY: bits,
            Resource.CORE_MEMORY: bits + self.state_bits,
            Resource.NEURON_CONFIGURATIONS: self.neuron_configurations,
            Resource.THRESHOLDS: self.thresholds,
            Resource.SYNAPSE_FORMATS: self.synapse_formats,
        }[resource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much of a resource the core that uses most of it does."""

    resource: Resource
    limit: int | None
    """None: it is not known how much there is."""

    most: int
    core: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How the chip holds one projection."""

    projection: str
    encoding: Encoding
    weight_bits: int
    delay_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreMap:
    """Where every neuron of a program is on a chip or a board."""

    program: str
    """SHA-256 of the program."""

    target: str
    goal: Goal
    measured: bool
    """Whether loads come from activity on data; else every source is taken to be equally active."""

    chips: int
    board: str
    """Smallest board that has so many chips; empty: one chip, or none is known."""

    uses: tuple[Use, ...]
    """Of every resource of a core."""

    stored: tuple[Stored, ...]
    hops: float
    """Routers that the messages of a step are expected to pass, on their chips."""

    cores: tuple[Core, ...]

    def core_of(self, population: str) -> Int32[np.ndarray, " neuron"]:
        """Return the core of each neuron of a population, in C order.

        Raises:
            KeyError: there is no such population.
        """
        held = [(c.core, p) for c in self.cores for p in c.parts if p.population == population]
        if not held:
            raise KeyError(population)
        channels, places = held[0][1].grid
        found = np.full(channels * places, -1, np.int32)
        for core, part in held:
            found[part.index] = core
        return found

    @property
    def unknown(self) -> tuple[Resource, ...]:
        """Resources of a core of which nobody knows how much there is."""
        return tuple(use.resource for use in self.uses if use.limit is None)

    @property
    def step_time(self) -> float:
        """Expected time of the slowest core in a step, without the barrier [ns]."""
        return max(core.load.time for core in self.cores)

    @property
    def messages(self) -> float:
        """Expected messages to cores in a step."""
        return fsum(core.load.messages_in for core in self.cores)

    def json(self) -> bytes:
        """Return the map as JSON, one line per core: same map, same bytes."""
        return "\n".join(_lines(self)).encode() + b"\n"


def _lines(core_map: CoreMap) -> Iterator[str]:
    record = msgspec.to_builtins(core_map)
    head = {
        "schema": SCHEMA.label,
        **{k: v for k, v in record.items() if not isinstance(v, list | tuple)},
    }
    rows = {k: v for k, v in record.items() if isinstance(v, list | tuple)}
    yield "{"
    for name, value in head.items():
        yield f'  "{name}": {_text(value)},'
    for number, (name, entries) in enumerate(rows.items()):
        yield f'  "{name}": ['
        for place, entry in enumerate(entries):
            yield f"    {_text(entry)}{',' if place < len(entries) - 1 else ''}"
        yield f"  ]{',' if number < len(rows) - 1 else ''}"
    yield "}"


def _text(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def read_core_map(content: bytes, where: str = "core_map.json") -> CoreMap:
    """Return the map that a JSON file holds.

    Raises:
        ArtifactDamagedError: it holds none of this schema.
    """
    try:
        record = SCHEMA.upgraded(msgspec.json.decode(content), where)
        del record["schema"]
        return msgspec.convert(record, CoreMap)
    except (msgspec.MsgspecError, RecursionError, ValueError) as problem:
        raise ArtifactDamagedError(
            f"the map of cores does not make sense: {problem!s:.200}",
            where=where,
            fix="export the model again",
        ) from problem
