"""Passes that say a network as a chip computes it, whose neurons are others than those trained."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.network import Network, Population
from snn_deploy.ir.neuron import Compare, Fires
from snn_deploy.quantize.normalize import entering
from snn_deploy.quantize.passes import Passed
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareAsChip:
    """Pass: every neuron fires where its membrane reaches the threshold (>=).

    For chips that do not compare by >. On a fine scale the two differ rarely, but a membrane that
    moves on a lattice meets its threshold often.
    """

    name: ClassVar[str] = "compare-as-chip"

    target: Target

    def __call__(self, graph: Network) -> Passed[Network]:
        """Return `graph` with `>=` only."""
        changed = [p.name for p in graph.populations if _compares_greater(p)]
        populations = tuple(
            replace(p, compare=Compare.GREATER_EQUAL) if p.name in changed else p
            for p in graph.populations
        )
        findings = tuple(
            Finding(
                kind=Kind.CHANGED,
                layer=name,
                amount="a membrane that equals its threshold fires",
                reason=f"{self.target.name} compares by >=, the network by >; --compare '>=' "
                "says that it was trained so",
            )
            for name in changed
        )
        return Passed(graph=replace(graph, populations=populations), findings=findings)


def _compares_greater(population: Population) -> bool:
    return population.fires is not Fires.NEVER and population.compare is Compare.GREATER


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleArrivals:
    """Pass: what is added to a current is divided by the share of it that its first step keeps.

    For chips whose currents decay after they have received their input. With i = d * i + a as
    trained, and j = d * (j + a / d) on the chip, j is i in every step. Inputs, biases and what a
    current takes from another are such an a.
    """

    name: ClassVar[str] = "scale-arrivals"

    target: Target

    def __call__(self, graph: Network) -> Passed[Network]:
        """Return `graph` with larger gains of its synapses.

        Raises:
            UnsupportedError: a current keeps nothing, so on the chip nothing ever enters it.
        """
        return Passed(
            graph=replace(graph, populations=tuple(self._scaled(p) for p in graph.populations))
        )

    def _scaled(self, population: Population) -> Population:
        shares = shares_kept(population, self.target)
        if any(np.any(share == 0) for share in shares):
            raise UnsupportedError(
                f"a current of {self.target.name} decays after its input has arrived, and one "
                "that keeps nothing would lose all of it",
                where=population.name,
                fix="train a longer time constant of the current, or --target cpu",
            )
        return entering(population, [np.asarray(1 / share) for share in shares])


def shares_kept(population: Population, target: Target) -> list[np.ndarray]:
    """Return, for each current, the share of what arrives that its step ends with on a chip."""
    rules, allowed = target.arithmetic, target.states.current_multiplier
    stored = [
        rules.nearest(np.asarray(synapse.decay), allowed.low, allowed.high).astype(np.int32)
        for synapse in population.synapses
    ]
    return [rules.staying(decay) for decay in stored]


def as_computed(network: Network, target: Target) -> Network:
    """Return what a chip computes of a network that its passes have suited to it.

    Where `ScaleArrivals` made inputs larger, that is the network as trained.
    """
    return replace(
        network,
        populations=tuple(entering(p, shares_kept(p, target)) for p in network.populations),
    )
