"""How a chip arranges its cores and packs synapses, and what their work takes."""

from dataclasses import dataclass
from typing import ClassVar

from snn_deploy.targets.sourced import Sourced, SourcedList


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Routers of one chip, in columns and rows, with some cores at each."""

    columns: Sourced
    rows: Sourced
    cores: Sourced
    """Cores at one router."""

    buffer: Sourced | None = None
    """Messages that wait at a router on each way into it; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How synapse memory holds the synapses that one input axon reaches.

    A list of n synapses fills `block` of them at a time; a block of m takes
    m * (weight + delay + index) + header bits, rounded up to words.
    """

    word: Sourced
    header: Sourced
    block: Sourced
    """Most synapses of a block."""

    index: SourcedList
    """Widths that the index of a synapse's neuron can have. Synapses to all neurons of a slice,
    in order, need none."""

    weight: SourcedList
    """Widths that a weight can have."""

    delay: Sourced
    """Most bits of a delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """Synapse lists that input axons of a convolution share, moved by an offset of each axon."""

    offset: Sourced
    """Largest offset."""

    output_entries: Sourced
    """Entries of a core's output axons that one message to such an input axon takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the parts of a step take on a core: slices are cut at equal time."""

    operation: Sourced
    """One synapse that a message reaches."""

    message_in: Sourced
    message_out: Sourced
    access: Sourced
    """One neuron in one step."""

    update: Sourced
    """One neuron whose states change."""

    spike: Sourced
    message_energy: Sourced
    """One message to one core."""

    static_power: Sourced
    """Of one chip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board with several chips."""

    name: str
    chips: int
    source: str
    unit: ClassVar[str] = "chip"

    def __str__(self) -> str:
        return str(self.chips)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreRules:
    """What mapping must know of a chip beyond its limits."""

    mesh: Mesh
    costs: Costs
    boards: tuple[Board, ...]
    """From the smallest to the largest."""

    packing: Packing | None = None
    """None: it is not published; only the weights themselves are counted."""

    sharing: Sharing | None = None
    """None: how it is done is not published; kernels are taken to be shared, without a limit."""
