"""Events on their way: each adds its row of weights to the step in which it arrives."""

from typing import Any

import numpy as np

from snn_deploy.backends.event.arithmetic import compiled, inlined
from snn_deploy.backends.event.stepwise.tables import Plan, Way

_DENSE, _ROWS = int(Way.DENSE), int(Way.ROWS)


@compiled
def deliver(
    plan: Plan, cells: np.ndarray, edge: int, edge_end: int, count: int, step: int, horizon: int
) -> None:
    """Send the first `count` events through the edges of their source.

    No event is kept or looked at again.
    """
    # Arrays, not the plan: handing on all of it for every event costs more than the event.
    rules = plan.rules[0]
    numbers, weights = plan.numbers, plan.weights
    for number in range(edge, edge_end):
        way = plan.edges[number]
        for k in range(count):
            source, value = cells[rules.event + k], cells[rules.value + k]
            arrives = step + numbers[way.delay + way.delay_stride * source]
            if arrives >= horizon:
                continue
            slot = arrives % way.slots
            cells[way.arrived + slot] = 1
            add_event(numbers, weights, cells, way.ring + slot * way.size, way, source, value)


@inlined
def add_event(
    numbers: np.ndarray,
    weights: np.ndarray,
    cells: np.ndarray,
    at: int,
    way: Any,
    source: int,
    value: int,
) -> None:
    """Add what one event gives its targets, whose cells begin at `at`."""
    if way.way == _DENSE:
        _add_row(cells, at, weights, way.weight + source * way.size, way.size, value)
    elif way.way == _ROWS:
        first, end = numbers[way.row + source], numbers[way.row + source + 1]
        posts, row = numbers[way.post + first : way.post + end], weights[way.weight + first :]
        for k in range(posts.size):
            cells[at + posts[k]] += row[k] * value
    else:
        _add_kernel(numbers, weights, cells, at, way, source, value)


@inlined
def _add_row(
    cells: np.ndarray, at: int, weights: np.ndarray, weight: int, size: int, value: int
) -> None:
    """Add `value` times a row of weights to consecutive neurons."""
    # Slices, because the compiler makes vector code only where it sees no negative index.
    to, row = cells[at : at + size], weights[weight : weight + size]
    if value == 1:
        for k in range(size):
            to[k] += row[k]
    else:
        for k in range(size):
            to[k] += row[k] * value


@compiled
def _add_kernel(
    numbers: np.ndarray,
    weights: np.ndarray,
    cells: np.ndarray,
    at: int,
    edge: Any,
    source: int,
    value: int,
) -> None:
    """Add one event through a convolution: each tap gives a row of output channels."""
    point = edge.point + 3 * source
    channel = numbers[point]
    from_top, from_left = numbers[point + 1] + edge.top, numbers[point + 2] + edge.left
    at += channel // edge.per_group * edge.outs * edge.step_o
    weight = edge.weight + channel * edge.kernel_y * edge.kernel_x * edge.outs
    for tap_y in range(edge.kernel_y):
        y = from_top - tap_y * edge.dilation_y
        if y < 0 or y % edge.stride_y != 0 or y // edge.stride_y >= edge.height:
            continue
        for tap_x in range(edge.kernel_x):
            x = from_left - tap_x * edge.dilation_x
            if x < 0 or x % edge.stride_x != 0 or x // edge.stride_x >= edge.width:
                continue
            to = at + y // edge.stride_y * edge.step_y + x // edge.stride_x * edge.step_x
            row = weight + (tap_y * edge.kernel_x + tap_x) * edge.outs
            if edge.step_o == 1:
                _add_row(cells, to, weights, row, edge.outs, value)
            else:
                for out in range(edge.outs):
                    cells[to + out * edge.step_o] += weights[row + out] * value
