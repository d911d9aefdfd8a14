"""Passes that say a network as a chip computes it, whose neurons are others than those trained."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.network import Network, Population
from snn_deploy.ir.neuron import Compare, Fires
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
    """Pass: what arrives at a current is divided by the share of it that its first step keeps.

    For chips whose currents decay after they have received their input. With i = d * i + a as
    trained, and j = d * (j + a / d) on the chip, j is i in every step.
    """

    name: ClassVar[str] = "scale-arrivals"

    target: Target

    def __call__(self, graph: Network) -> Passed[Network]:
        """Return `graph` with larger gains of its synapses."""
        return Passed(
            graph=replace(graph, populations=tuple(self._scaled(p) for p in graph.populations))
        )

    def _scaled(self, population: Population) -> Population:
        synapse = population.synapse
        if synapse is None:
            return population
        rules, allowed = self.target.arithmetic, self.target.states.current_multiplier
        stored = rules.nearest(np.asarray(synapse.decay), allowed.low, allowed.high)
        share = rules.staying(stored.astype(np.int32))
        return replace(population, synapse=replace(synapse, gain=np.asarray(synapse.gain / share)))
