"""Places cores on the mesh of each chip: in a snake, by swaps that shorten routes, then apart."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from snn_deploy.deploy.mapping.core_map import Goal
from snn_deploy.deploy.mapping.cutting import Held
from snn_deploy.deploy.mapping.layer import DIGITS, Layer
from snn_deploy.deploy.mapping.spreading import spread
from snn_deploy.targets.cores import Mesh

SWAPS = 4000
"""Swaps that are tried: hops cost little, so more are not worth their time."""

OF_A_PAIR = 16
"""Times that each pair of cores is tried at most: few cores have few pairs."""

SEED = 2018
"""Of the pairs of cores that are tried."""

ANOTHER_CHIP = 32
"""Hops that a message to another chip counts as. What it costs is not published; it only keeps
together what talks to each other."""


def traffic(layers: Mapping[str, Layer], cores: Sequence[Held]) -> Float64[np.ndarray, "from to"]:
    """Return the messages of a step from each core to each other."""
    where = {name: np.zeros(layer.rates.size, np.int64) for name, layer in layers.items()}
    for number, core in enumerate(cores):
        for part in core.parts:
            where[part.population][part.index] = number
    flow = np.zeros((len(cores), len(cores)))
    for number, core in enumerate(cores):
        for part in core.parts:
            for wiring in layers[part.population].wirings:
                source = wiring.projection.source
                if source not in layers:
                    continue  # an input: it comes from outside
                sent = wiring.sources(part)
                flow[:, number] += np.bincount(
                    where[source][sent], weights=wiring.rates[sent], minlength=len(cores)
                )
    return flow


def place(
    flow: Float64[np.ndarray, "from to"], mesh: Mesh, per_chip: int, goal: Goal
) -> tuple[Int64[np.ndarray, " core"], float]:
    """Return the site of each core and the hops of a step's messages.

    Sites are numbered chip by chip, on each along a snake of columns, with all cores of a router
    one after another. For a short step cores are then spread where their messages need the room.
    """
    cores = flow.shape[0]
    sites = -(-cores // per_chip) * per_chip
    chip, x, y = positions(np.arange(sites), mesh, per_chip)
    site = np.arange(cores)
    both = flow + flow.T
    np.fill_diagonal(both, 0)

    def cost(core: int) -> float:
        """Return the cost of a core's messages."""
        at = site[core]
        away = np.where(chip[site] != chip[at], ANOTHER_CHIP, 0)
        return float(both[core] @ (np.abs(x[site] - x[at]) + np.abs(y[site] - y[at]) + away))

    rng = np.random.default_rng(SEED)
    swaps = min(SWAPS, OF_A_PAIR * cores * (cores - 1) // 2)
    for one, other in rng.integers(0, cores, (swaps, 2)).tolist():
        before = cost(one) + cost(other)
        site[one], site[other] = site[other], site[one]
        if cost(one) + cost(other) >= before:
            site[one], site[other] = site[other], site[one]
    if goal is Goal.LATENCY:
        for first in range(0, sites, per_chip):
            here = np.flatnonzero(chip[site] == chip[first])
            all_of_it = x[first : first + per_chip], y[first : first + per_chip]
            site[here] = first + spread(
                site[here] - first, flow[np.ix_(here, here)], mesh, all_of_it
            )
    near = chip[site][:, None] == chip[site]
    hops = np.abs(x[site][:, None] - x[site]) + np.abs(y[site][:, None] - y[site])
    return site, round(float((flow * hops * near).sum()), DIGITS)


def positions(
    site: Int64[np.ndarray, " site"], mesh: Mesh, per_chip: int
) -> tuple[Int64[np.ndarray, " site"], Int64[np.ndarray, " site"], Int64[np.ndarray, " site"]]:
    """Return chip, column and row of sites."""
    chip, within = np.divmod(site, per_chip)
    router = within // mesh.cores.value
    x, step = np.divmod(router, mesh.rows.value)
    y = np.where(x % 2 == 0, step, mesh.rows.value - 1 - step)
    return chip, x, y
