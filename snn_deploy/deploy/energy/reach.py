"""Which cores each neuron reaches, and how many synapses there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64

from snn_deploy.deploy.energy.arrivals import expanded
from snn_deploy.deploy.energy.events import SYNAPTIC, Event
from snn_deploy.deploy.mapping.wiring import place_of_tap
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, to_sparse


def synapse_event(linear: LinearMap) -> Event:
    """Return which synaptic event a projection's map causes."""
    if isinstance(linear, Dense):
        return Event.SYNAPSE_DENSE
    return Event.SYNAPSE_CONVOLUTION if isinstance(linear, Convolution) else Event.SYNAPSE_SPARSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Synapses by core. Neurons that reach the same ones share a row.

    The entries of row r are those from `first[r]` to `first[r + 1]`; no core stands twice.
    """

    row: Int64[np.ndarray, " pre"]
    """Row of each source neuron."""

    first: Int64[np.ndarray, " behind"]
    core: Int64[np.ndarray, " entry"]
    synapses: Mapping[Event, Int64[np.ndarray, " entry"]]
    """By kind."""

    @property
    def degree(self) -> Int64[np.ndarray, " row"]:
        """Cores that a neuron of each row reaches."""
        return np.diff(self.first)

    @property
    def fan_out(self) -> Int64[np.ndarray, " pre"]:
        """Synapses of each neuron."""
        total = np.zeros(self.core.size + 1, np.int64)
        total[1:] = np.cumsum(sum(self.synapses.values()))
        return np.asarray((total[self.first[1:]] - total[self.first[:-1]])[self.row])


def reach_of(linear: LinearMap, core: Int[np.ndarray, " post"]) -> Reach:
    """Return the reach of one map into neurons on these cores; stored zeros count."""
    cores = int(core.max(initial=0)) + 1
    if isinstance(linear, Dense):
        row = np.zeros(linear.in_size, np.int64)
        key, count = np.unique(core.astype(np.int64), return_counts=True)
    elif isinstance(linear, Convolution):
        row, key, count = _of_kernel(linear, core.astype(np.int64), cores)
    else:
        row = np.arange(linear.in_size)
        sparse = to_sparse(linear, keep_zeros=True)
        pairs = sparse.pre.astype(np.int64) * cores + core[sparse.post]
        key, count = np.unique(pairs, return_counts=True)
    return _listed(row, key, {synapse_event(linear): count}, cores)


def _of_kernel(
    linear: Convolution, core: Int64[np.ndarray, " post"], cores: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row of each neuron, and the sorted (row, core) with their synapses.

    All channels of a group reach the same: a row is a group and a place of the source.
    """
    groups, (channels, *extent) = linear.groups, linear.source
    places, sources = int(np.prod(linear.out_shape[1:])), int(np.prod(extent))
    group = np.arange(core.size) // (core.size // groups)
    at = group * places + np.arange(core.size) % places
    held, number = np.unique(at * cores + core, return_counts=True)
    begin = np.searchsorted(held, np.arange(groups * places + 1) * cores)
    keys, counts = [], []
    for reached in place_of_tap(linear):
        (source,) = np.nonzero(reached >= 0)
        for index in range(groups):
            target = index * places + reached[source]
            length = begin[target + 1] - begin[target]
            entry = expanded(begin[target], length)
            row = np.repeat(index * sources + source, length)
            keys.append(row * cores + held[entry] % cores)
            counts.append(number[entry])
    key, where = np.unique(np.concatenate(keys), return_inverse=True)
    count = np.bincount(where, weights=np.concatenate(counts), minlength=key.size)
    of_channel = np.arange(channels) // (channels // groups)
    rows = (of_channel[:, None] * sources + np.arange(sources)).ravel()
    return rows, key, count.astype(np.int64)


def _listed(
    row: np.ndarray, key: np.ndarray, synapses: Mapping[Event, np.ndarray], cores: int
) -> Reach:
    rows = int(row.max(initial=-1)) + 1
    return Reach(
        row=row.astype(np.int64),
        first=np.searchsorted(key, np.arange(rows + 1) * cores).astype(np.int64),
        core=(key % cores).astype(np.int64),
        synapses={event: count.astype(np.int64) for event, count in synapses.items()},
    )


def joined(reaches: Sequence[Reach]) -> Reach:
    """Return what several projections of one source reach together: one message to each core."""
    if len(reaches) == 1:
        return reaches[0]
    each, row = np.unique(np.stack([r.row for r in reaches]), axis=1, return_inverse=True)
    cores = max(int(r.core.max(initial=0)) for r in reaches) + 1
    keys, found = [], []
    for index, reach in enumerate(reaches):
        length = reach.degree[each[index]]
        entry = expanded(reach.first[each[index]], length)
        keys.append(np.repeat(np.arange(each.shape[1]), length) * cores + reach.core[entry])
        found.append({event: count[entry] for event, count in reach.synapses.items()})
    key, where = np.unique(np.concatenate(keys), return_inverse=True)
    synapses = {}
    for event in SYNAPTIC:
        parts = [
            part.get(event, np.zeros(held.size, np.int64))
            for part, held in zip(found, keys, strict=True)
        ]
        total = np.bincount(where, weights=np.concatenate(parts), minlength=key.size)
        if total.any():
            synapses[event] = total.astype(np.int64)
    return _listed(row.ravel(), key, synapses, cores)
