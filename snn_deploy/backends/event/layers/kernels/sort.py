"""Synapses in the order of their sources, in one pass."""

from collections.abc import Callable

import numpy as np

from snn_deploy.backends.event.arithmetic import entry
from snn_deploy.backends.event.sources import SOURCES

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def _entry(sources: int) -> Callable[[Arrays, np.ndarray, np.ndarray, np.ndarray], int]:
    def sort(given: Arrays, begins: np.ndarray, posts: np.ndarray, weights: np.ndarray) -> int:
        pre, post, weight = given
        for k in range(pre.size):
            source = np.uint64(pre[k])
            to = np.uint64(begins[source])
            posts[to], weights[to] = post[k], weight[k]
            begins[source] += 1
        for n in range(begins.size - 1, 0, -1):  # each has moved to where the next begins
            begins[n] = begins[n - 1]
        begins[0] = 0
        return sources

    return entry(sort)


sort_by_source = _entry(SOURCES)
"""Put synapses, given as their sources, targets and weights, into `posts` and `weights`, those of
each source together, in their old order. `begins` [source + 1] says where those of each begin.
Returns the digest of the sources that it was compiled from."""
