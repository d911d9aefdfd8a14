"""What arrives: the weights of all events that reach a population in a step, added up.

All of it is adding rows of small weights to a few thousand sums; the compiler makes vector code of
such a loop where arrays are slices, so that no index can be negative, and numbers stay narrow.
"""

from typing import Any

import numpy as np

from snn_deploy.backends.event.arithmetic import as32, compiled, inlined
from snn_deploy.backends.event.layers.kernels.lanes import add_lanes, add_rows_of_lanes
from snn_deploy.backends.event.layers.tables import (
    NARROW,
    ROW,
    WIDE,
    LayerPlan,
    Streams,
    Way,
)
from snn_deploy.backends.event.records import ABSENT

_DENSE, _KERNEL = int(Way.DENSE), int(Way.KERNEL)
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)


@inlined
def gather(
    plan: LayerPlan,
    streams: Streams,
    lane: int,
    layer: Any,
    local: int,
    narrow: np.ndarray,
    wide: np.ndarray,
    rest: np.ndarray,
) -> int:
    """Add up what reaches a layer in a step; return which sums it is in: `NARROW`, `WIDE`, both.

    Args:
        plan: The tables.
        streams: Events that were sent.
        lane: Which of the samples that run together.
        layer: The population.
        local: The step, counted from the first that runs now.
        narrow: Sums in 16 bits, one per neuron.
        wide: Sums in 32 bits.
        rest: Room for as many numbers as the widest node has neurons.
    """
    used, added = 0, 0
    for number in range(layer.edge, layer.edge_end):
        edge = plan.edges[number]
        node = plan.nodes[edge.node]
        at = node.begins + node.history + local - edge.delay
        first = node.events + streams.begins[lane, at]
        end = node.events + streams.begins[lane, at + 1]
        if first == end:
            continue
        events, values = streams.events[lane, first:end], streams.values[lane, first:end]
        minus = False
        if events.size > edge.most and node.binary and edge.delays == ABSENT:
            silent = _list_silent(events, node.size, rest)
            events, minus = rest[:silent], True
            if edge.narrow and not layer.spills:
                _add_total(plan.numbers, edge, 0, narrow)
                used |= NARROW
            else:
                _add_total(plan.numbers, edge, layer.spill if edge.narrow else 0, wide)
                used |= WIDE
        if edge.narrow:
            used |= NARROW
            done = 0
            while done < events.size:
                behind = min(done + layer.most - added, events.size)
                part, worth = events[done:behind], values[done:behind]
                _add(plan, edge, node, part, worth, minus, narrow, plan.bytes)
                added, done = added + behind - done, behind
                if added == layer.most:
                    _spill(layer, narrow, wide)
                    used, added = used | WIDE, 0
        elif edge.words:
            used |= WIDE
            _add(plan, edge, node, events, values, minus, wide, plan.words)
        else:
            used |= WIDE
            _add(plan, edge, node, events, values, minus, wide, plan.bytes)
    return used


@compiled
def _spill(layer: Any, narrow: np.ndarray, wide: np.ndarray) -> None:
    """Move the sums of 16 bits, before one of them could overflow, to those of 32."""
    small, large, left = narrow[: layer.size], wide[: layer.size], layer.spill & 31
    for n in range(layer.size):
        large[n] += as32(small[n]) << left
        small[n] = 0


@compiled
def _list_silent(events: np.ndarray, sources: int, rest: np.ndarray) -> int:
    """List the sources that are not among `events`; return how many they are."""
    silent, following = 0, 0
    for k in range(events.size):
        for source in range(following, events[k]):
            rest[np.uint64(silent)] = source
            silent += 1
        following = events[k] + 1
    for source in range(following, sources):
        rest[np.uint64(silent)] = source
        silent += 1
    return silent


@compiled
def _add_total(numbers: np.ndarray, edge: Any, left: int, sums: np.ndarray) -> None:
    """Add the weights of all sources."""
    total, shift = numbers[edge.total : edge.total + edge.size], left & 31
    for n in range(edge.size):
        sums[n] += total[n] << shift


@inlined
def _add(
    plan: LayerPlan,
    edge: Any,
    node: Any,
    events: np.ndarray,
    values: np.ndarray,
    minus: bool,
    sums: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Add the weights of the events that one edge carries in this step, or subtract them."""
    numbers = plan.numbers
    if edge.way == _KERNEL:
        _add_kernels(numbers, edge, node, events, values, sums, weights)
    elif edge.way == _DENSE and node.binary and edge.delays == ABSENT:
        _add_rows(sums, weights, edge, events, minus)
    else:
        _add_each(numbers, edge, node, events, values, sums, weights)


@inlined
def _add_each(
    numbers: np.ndarray,
    edge: Any,
    node: Any,
    events: np.ndarray,
    values: np.ndarray,
    sums: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Add the weights of one event after the other: a row of all targets, or a list of some."""
    dense, binary, delayed = edge.way == _DENSE, node.binary != 0, edge.delays != ABSENT
    row, size, delay = edge.weight, edge.size, edge.delay
    begins, posts, delays = numbers[edge.row :], numbers[edge.post :], numbers[edge.delays :]
    for k in range(events.size):
        source, value = np.uint64(events[k]), as32(1)
        if delayed and delays[source] != delay:
            continue
        if not binary:
            value = values[k]
        if dense:
            _add_row(sums, 0, weights, row + events[k] * edge.row, size, value)
        else:
            begin, end = begins[source], begins[source + _ONE]
            listed = weights[row + begin : row + end]
            _scatter(sums, posts[begin:end], listed, value)


@inlined
def _add_rows(
    sums: np.ndarray, weights: np.ndarray, edge: Any, rows: np.ndarray, minus: bool
) -> None:
    """Add or subtract rows of weights, a tile of columns after the other.

    The sums of a tile stay in registers while all rows pass: eight of the widest ones, or one.
    """
    n, first, size, stride = 0, edge.weight, edge.size, edge.row
    if sums.itemsize == 2:
        while n + 256 <= size:
            add_rows_of_lanes(sums, n, weights, first + n, stride, rows, minus, 32, 8)
            n += 256
        while n + 32 <= size:
            add_rows_of_lanes(sums, n, weights, first + n, stride, rows, minus, 32, 1)
            n += 32
    else:
        while n + 128 <= size:
            add_rows_of_lanes(sums, n, weights, first + n, stride, rows, minus, 16, 8)
            n += 128
    while n < size:
        add_rows_of_lanes(sums, n, weights, first + n, stride, rows, minus, ROW, 1)
        n += ROW


@inlined
def _add_row(
    sums: np.ndarray, at: int, weights: np.ndarray, first: int, size: int, value: int
) -> None:
    """Add `value` times a row of weights to consecutive sums."""
    to, row = sums[at : at + size], weights[first : first + size]
    if value == 1:
        for n in range(size):
            to[n] += row[n]
    else:
        times = np.int32(value)
        for n in range(size):
            to[n] += np.int32(row[n] * times)


@inlined
def _scatter(sums: np.ndarray, posts: np.ndarray, row: np.ndarray, value: int) -> None:
    """Add `value` times weights to the sums of a list of targets."""
    if value == 1:
        for k in range(posts.size):
            sums[np.uint64(posts[k])] += row[k]
    else:
        for k in range(posts.size):
            sums[np.uint64(posts[k])] += row[k] * value


@inlined
def _add_kernels(
    numbers: np.ndarray,
    edge: Any,
    node: Any,
    events: np.ndarray,
    values: np.ndarray,
    sums: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Add events through a convolution: taps side by side in the output are one row."""
    binary, delayed, block = node.binary != 0, edge.delays != ABSENT, edge.block
    points, begins, rows = numbers[edge.point :], numbers[edge.row :], numbers[edge.post :]
    kernel, delays, delay = weights[edge.weight :], numbers[edge.delays :], edge.delay
    for k in range(events.size):
        source = np.uint64(events[k])
        if delayed and delays[source] != delay:
            continue
        at = _THREE * source
        weight, place, group = points[at] * block, points[at + _ONE], points[at + _TWO]
        for number in range(begins[np.uint64(place)], begins[np.uint64(place) + _ONE]):
            row = _THREE * np.uint64(number)
            to, first, size = group + rows[row], weight + rows[row + _ONE], rows[row + _TWO]
            if binary:
                _add_short(sums, to, kernel, first, size)
            else:
                _add_row(sums, to, kernel, first, size, values[k])


@inlined
def _add_short(sums: np.ndarray, to: int, weights: np.ndarray, first: int, size: int) -> None:
    """Add a row of a few dozens of weights to the sums from `to` on."""
    n = 0
    while n + 32 <= size:
        add_lanes(sums, to + n, weights, first + n, 32)
        n += 32
    if n + 16 <= size:
        add_lanes(sums, to + n, weights, first + n, 16)
        n += 16
    if n + 8 <= size:
        add_lanes(sums, to + n, weights, first + n, 8)
        n += 8
    for m in range(n, size):
        sums[np.uint64(to + m)] += weights[np.uint64(first + m)]
