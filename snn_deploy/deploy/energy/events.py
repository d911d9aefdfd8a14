"""What on a chip costs energy each time it happens, after SANA-FE (Boyle et al. 2025).

Per layer and sample:

    synapse-*       synapses that a sent payload reaches, stored zeros of a kernel included
    neuron-access   neurons times steps of the chip
    neuron-update   neurons and steps in which a register is not 0 before or after, a bias acts or
                    something is sent; none in steps in which a dilated program holds its states
    spike           neurons and steps in which something is sent; none for inputs
    message         sent payloads times the populations they go to: one core for each, the least
"""

from dataclasses import dataclass
from enum import Enum


class Event(Enum):
    """Something on a chip that costs energy each time."""

    SYNAPSE_DENSE = "synapse-dense"
    SYNAPSE_SPARSE = "synapse-sparse"
    SYNAPSE_CONVOLUTION = "synapse-convolution"
    NEURON_ACCESS = "neuron-access"
    NEURON_UPDATE = "neuron-update"
    SPIKE = "spike"
    MESSAGE = "message"


SYNAPTIC = (Event.SYNAPSE_DENSE, Event.SYNAPSE_SPARSE, Event.SYNAPSE_CONVOLUTION)


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
        return sum(self.counts.get(event, 0.0) for event in SYNAPTIC)
