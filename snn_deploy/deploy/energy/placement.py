"""Where inputs and neurons are: the core of each, and where each core is on the mesh."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from snn_deploy.deploy.energy.arrivals import expanded
from snn_deploy.deploy.energy.reach import Reach
from snn_deploy.deploy.mapping import CoreMap
from snn_deploy.ir.program import Program

OUTSIDE = -1
"""Core of an input that comes from outside of the chip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Cores of a network."""

    core: Mapping[str, Int64[np.ndarray, " neuron"]]
    """Of each value of an input and each neuron of a population."""

    chip: Int64[np.ndarray, " core"]
    x: Int64[np.ndarray, " core"]
    """Column of its router."""

    y: Int64[np.ndarray, " core"]
    """Row of its router."""

    @classmethod
    def of(cls, program: Program, core_map: CoreMap) -> "Placement":
        """Return the placement that a map says; inputs come from outside."""
        outside = {i.name: np.full(i.size, OUTSIDE, np.int64) for i in program.inputs}
        inside = {p.name: core_map.core_of(p.name).astype(np.int64) for p in program.populations}
        return cls(
            core=outside | inside,
            chip=np.asarray([core.chip for core in core_map.cores], np.int64),
            x=np.asarray([core.x for core in core_map.cores], np.int64),
            y=np.asarray([core.y for core in core_map.cores], np.int64),
        )

    @property
    def cores(self) -> int:
        """Number of cores."""
        return self.chip.size

    @property
    def chips(self) -> int:
        """Number of chips."""
        return np.unique(self.chip).size

    @property
    def tiles(self) -> int:
        """Routers that have a core in use."""
        held = np.unique(np.concatenate([c[c != OUTSIDE] for c in self.core.values()]))
        return np.unique(np.stack([self.chip, self.x, self.y])[:, held], axis=1).shape[1]

    def layers(self, core: int) -> tuple[str, ...]:
        """Return the inputs and populations with a neuron on a core."""
        return tuple(name for name, cores in self.core.items() if np.any(cores == core))

    def routes(self, name: str, reach: Reach) -> Int64[np.ndarray, "way neuron"]:
        """Return of one payload of each neuron the hops east-west, north-south, and chips left.

        A message that leaves its chip has no hops here: its way is not published. Nor has one from
        outside.
        """
        core = self.core[name]
        found = np.zeros((3, core.size), np.int64)
        (inside,) = np.nonzero(core != OUTSIDE)
        rows = reach.degree.size
        pair, where = np.unique(core[inside] * rows + reach.row[inside], return_inverse=True)
        here, row = np.divmod(pair, rows)
        length = reach.degree[row]
        there = reach.core[expanded(reach.first[row], length)]
        way, here = np.repeat(np.arange(pair.size), length), np.repeat(here, length)
        near = self.chip[there] == self.chip[here]
        for index, hops in enumerate(
            (
                np.abs(self.x[there] - self.x[here]) * near,
                np.abs(self.y[there] - self.y[here]) * near,
                ~near,
            )
        ):
            of_pair = np.bincount(way, weights=hops, minlength=pair.size).astype(np.int64)
            found[index, inside] = of_pair[where]
        return found
