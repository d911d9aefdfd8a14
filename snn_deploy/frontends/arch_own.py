"""Layers of an architecture file in our own words: neurons, sums and concatenations."""

from collections.abc import Callable, Mapping
from typing import Any

from snn_deploy.frontends.arch_table import Table
from snn_deploy.frontends.dynamics import ResetRule
from snn_deploy.frontends.layers import Cell, Concatenation, Layer, Sum
from snn_deploy.ir.network import Floor, Reset, Synapse
from snn_deploy.ir.neuron import Compare, Fires, ResetKind


def own_layer(kind: str, options: Mapping[str, Any], where: str) -> Layer:
    """Return a layer of `OWN` with the options of the file.

    Raises:
        FileDamagedError: an option that it does not have, or that means nothing.
    """
    table = Table(dict(options), where)
    layer = OWN[kind](table)
    table.finish()
    return layer


def _sum(table: Table) -> Sum:
    return Sum()


def _concatenation(table: Table) -> Concatenation:
    return Concatenation(axis=table.take("axis", int, 0))


def _neurons(table: Table) -> Cell:
    """Return neurons; a list of numbers has one for each channel, the first axis."""
    synapse_decay = table.numbers_if_any("synapse_decay")
    synapse = None
    if synapse_decay is not None:
        synapse = Synapse(decay=synapse_decay, gain=table.numbers("synapse_gain", 1.0))
    floor = table.numbers_if_any("floor")
    return Cell(
        decay=table.numbers("decay", 1.0),
        gain=table.numbers("gain", 1.0),
        synapse=synapse,
        floor=None if floor is None else Floor(value=floor),
        bias=table.numbers("bias", 0.0),
        initial=table.numbers("initial", 0.0),
        per_channel=True,
        **_firing(table),
    )


def _firing(table: Table) -> dict[str, Any]:
    """Return when neurons fire, and what a spike does to their membrane."""
    if not table.take("fires", bool, True):
        spiking = ("threshold", "compare", "max_spikes", "reset", "reset_to")
        table.refuse(spiking, "with fires = false")
        return {"fires": Fires.NEVER}
    threshold = table.numbers("threshold", 1.0)
    rule = table.word("reset", ResetRule) or ResetRule.VALUE
    if rule.kind is not ResetKind.VALUE:
        table.refuse(("reset_to",), f"with reset = {rule.value!r}")
    amount = threshold if rule.kind is ResetKind.SUBTRACT else table.numbers("reset_to", 0.0)
    most = table.take("max_spikes", int, 1)
    return {
        "fires": Fires.BINARY if most == 1 else Fires.COUNT,
        "threshold": threshold,
        "compare": table.word("compare", Compare) or Compare.GREATER,
        "max_spikes": most,
        "reset": Reset(kind=rule.kind, amount=amount, when=rule.when),
    }


OWN: Mapping[str, Callable[[Table], Layer]] = {
    "Neurons": _neurons,
    "Sum": _sum,
    "Concatenation": _concatenation,
}
"""By the type that the file says. They have no tensors."""
