"""What on a chip costs energy or time each time it happens, after SANA-FE (Boyle et al. 2025).

Per layer and sample:

    synapse-*       synapses that a sent payload reaches, stored zeros of a kernel included
    multiply        those of them whose payload is neither 1 nor -1
    synapse-stored  stored synapses times steps: what a device does that does not wait for events
    neuron-access   neurons times steps of the chip
    neuron-update   neurons and steps in which a register is not 0 before or after, a bias acts,
                    something arrives or is sent; none in steps in which a dilated program holds
                    its states
    spike           neurons and steps in which something is sent; none for inputs
    message         sent payloads times the cores that they go to, the own one included. Where the
                    cores are not known: times the populations, one core for each, the least
    message-chip    messages to another chip
    hop-*           routers that messages pass within a chip, first along the row, then the column

Costs of the whole chip, in no layer:

    static          power of the chip [W]
    step            the time of a step, where it is the same whatever happens
"""

from dataclasses import dataclass
from enum import Enum
from math import fsum


class Event(Enum):
    """Something on a chip that costs energy or time each time."""

    SYNAPSE_DENSE = "synapse-dense"
    SYNAPSE_SPARSE = "synapse-sparse"
    SYNAPSE_CONVOLUTION = "synapse-convolution"
    MULTIPLY = "multiply"
    SYNAPSE_STORED = "synapse-stored"
    NEURON_ACCESS = "neuron-access"
    NEURON_UPDATE = "neuron-update"
    SPIKE = "spike"
    MESSAGE = "message"
    MESSAGE_IN = "message-in"
    MESSAGE_CHIP = "message-chip"
    HOP_EAST_WEST = "hop-east-west"
    HOP_NORTH_SOUTH = "hop-north-south"
    STATIC = "static"
    STEP = "step"


SYNAPTIC = (Event.SYNAPSE_DENSE, Event.SYNAPSE_SPARSE, Event.SYNAPSE_CONVOLUTION)

PLACED = (Event.MESSAGE_CHIP, Event.HOP_EAST_WEST, Event.HOP_NORTH_SOUTH)
"""What is counted only where the cores of all neurons are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A number and the ends between which it is taken to lie."""

    value: float
    low: float
    high: float

    def __add__(self, other: "Span") -> "Span":
        """Return the sum, whose ends are the sums of the ends."""
        return Span(
            value=self.value + other.value,
            low=self.low + other.low,
            high=self.high + other.high,
        )

    def __mul__(self, factor: float) -> "Span":
        """Return everything times a factor of at least 0."""
        return Span(value=self.value * factor, low=self.low * factor, high=self.high * factor)

    def widened(self, share: float) -> "Span":
        """Return the same value, each end further away from 0 to both sides by a share of it."""
        return Span(
            value=self.value, low=self.low * max(0.0, 1 - share), high=self.high * (1 + share)
        )


NOTHING = Span(value=0.0, low=0.0, high=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCount:
    """Events of one input or population, mean per sample.

    Synaptic operations are those of the projections that end in it.
    """

    layer: str
    neurons: int
    counts: dict[Event, float]

    @property
    def synaptic(self) -> float:
        """Synaptic operations of all kinds."""
        return fsum(self.counts.get(event, 0.0) for event in SYNAPTIC)
