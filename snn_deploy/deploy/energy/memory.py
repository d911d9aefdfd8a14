"""What a network takes of the memory of a chip."""

from dataclasses import dataclass

from snn_deploy.deploy.mapping import CoreMap
from snn_deploy.deploy.mapping.bits import format_of
from snn_deploy.deploy.mapping.layer import state_bits
from snn_deploy.ir.program import Program
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory footprint of a network [bit]."""

    synapses: int
    """On cores: lists, with headers, indices and padding, repeated on each core that needs them.
    Otherwise the weights and delays alone, each stored once."""

    states: int
    """Registers of all neurons."""

    cores: int | None
    """Cores that it is on; None: it has no map."""


def memory_of(program: Program, target: Target, core_map: CoreMap | None) -> Memory:
    """Return what a program takes of a target's memory."""
    if core_map is not None:
        return Memory(
            synapses=sum(sum(core.synapse_bits.values()) for core in core_map.cores),
            states=sum(core.state_bits for core in core_map.cores),
            cores=len(core_map.cores),
        )
    formats = [(p.map.numbers().size, format_of(p, target)) for p in program.projections]
    return Memory(
        synapses=sum(size * (form.weight + form.delay) for size, form in formats),
        states=sum(p.size * state_bits(p, target) for p in program.populations),
        cores=None,
    )
