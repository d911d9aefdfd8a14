"""Spreads cores over the mesh of a chip, so that messages find room on their way.

A message stays on its route until the core that it goes to takes it, and a router's buffers hold
few of them: where those of a route are full, the sender waits. Hops cost little, so what talks a
lot is better put far apart than crowded on a few links. How full a route gets follows SANA-FE's
detailed model of time (Boyle et al. 2025, section V): a message counts on each of its links with 1
over their number, and a route has room for a buffer's worth on each hop.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64

from snn_deploy.targets.cores import Mesh

PAIRS = 4_000_000
"""Pairs of cores whose routes are looked at, over all places that are tried."""

TRIED = 4000
"""Places that are tried at most."""

SEED = 1825
"""Of the places that are tried."""


class Routes:
    """The messages of one chip's cores, and how they crowd its links.

    Args:
        flow: Messages of a step from each core to each other.
        mesh: The routers.
        buffer: Messages that wait at one router on each way into it.
    """

    def __init__(self, flow: Float64[np.ndarray, "from to"], mesh: Mesh, buffer: float) -> None:
        away = flow.copy()
        np.fill_diagonal(away, 0)
        self._from, self._to = np.nonzero(away)
        self._sent = away[self._from, self._to]
        self._shape, self._buffer = (mesh.columns.value, mesh.rows.value), buffer

    @property
    def pairs(self) -> int:
        """Pairs of cores that messages go between."""
        return self._sent.size

    def crowding(self, x: Int64[np.ndarray, " core"], y: Int64[np.ndarray, " core"]) -> float:
        """Return how much is sent on full routes, by how far these are over their room."""
        x0, x1, y0, y1 = x[self._from], x[self._to], y[self._from], y[self._to]
        hops = np.abs(x1 - x0) + np.abs(y1 - y0)
        share = self._sent / (hops + 2)
        columns, rows = self._shape
        held = _along(share, y0, x0, x1, (rows, columns))
        held += _along(share, x1, y0, y1, (columns, rows))
        over = np.maximum(held - (hops + 1) * self._buffer, 0)
        return float(self._sent @ (over / (hops + 1)))


def _along(
    share: Float64[np.ndarray, " pair"],
    line: Int64[np.ndarray, " pair"],
    first: Int64[np.ndarray, " pair"],
    last: Int64[np.ndarray, " pair"],
    shape: tuple[int, int],
) -> Float64[np.ndarray, " pair"]:
    """Return what the links of the straight part of each route hold together.

    Args:
        share: What each pair puts on each of its links.
        line: The row or column of that part.
        first: Where it begins there.
        last: Where it ends.
        shape: Lines, and routers of a line.
    """
    total = np.zeros(share.size)
    for ahead in (True, False):
        goes: Bool[np.ndarray, " pair"] = last > first if ahead else last < first
        low = line * (shape[1] + 1) + np.minimum(first, last)
        high = line * (shape[1] + 1) + np.maximum(first, last)
        size = shape[0] * (shape[1] + 1)
        starts = np.bincount(low[goes], weights=share[goes], minlength=size)
        ends = np.bincount(high[goes], weights=share[goes], minlength=size)
        links = np.cumsum((starts - ends).reshape(shape[0], -1), axis=1)
        before = np.concatenate([np.zeros((shape[0], 1)), np.cumsum(links, axis=1)], axis=1)
        place = line * (shape[1] + 2)
        sums = before.ravel()
        held = sums[place + np.maximum(first, last)] - sums[place + np.minimum(first, last)]
        total[goes] += held[goes]
    return total


def spread(
    site: Int64[np.ndarray, " core"],
    flow: Float64[np.ndarray, "from to"],
    mesh: Mesh,
    positions: tuple[Int64[np.ndarray, " site"], Int64[np.ndarray, " site"]],
) -> Int64[np.ndarray, " core"]:
    """Return the sites of one chip's cores, apart from each other where messages need the room.

    Where no route is over its room, or how much that is is not known, nothing changes.

    Args:
        site: Of each core, where it is now; among the chip's own sites.
        flow: Messages of a step from each core to each other.
        mesh: The routers.
        positions: Column and row of each site of the chip.
    """
    if mesh.buffer is None:
        return site
    routes = Routes(flow, mesh, float(mesh.buffer.value))
    x, y = positions
    if routes.crowding(x[site], y[site]) == 0:
        return site
    rng = np.random.default_rng(SEED)
    best = rng.permutation(x.size)[: site.size]
    least = routes.crowding(x[best], y[best])
    for _ in range(min(TRIED, PAIRS // max(routes.pairs, 1))):
        if least == 0:
            break
        core, to = rng.integers(site.size), rng.integers(x.size)
        tried = best.copy()
        tried[best == to], tried[core] = best[core], to
        crowding = routes.crowding(x[tried], y[tried])
        if crowding < least:
            best, least = tried, crowding
    return best if least < routes.crowding(x[site], y[site]) else site
