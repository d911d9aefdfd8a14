"""Sums of which every row enters the state on its own: one source neuron after another."""

from typing import Any

import numpy as np

from snn_deploy.backends.event.arithmetic import compiled, held
from snn_deploy.backends.event.stepwise.kernels.delivery import add_event
from snn_deploy.backends.event.stepwise.tables import Plan


@compiled
def enter_rows(
    plan: Plan, cells: np.ndarray, into: Any, size: int, step: int, half: int, overflow: int
) -> int:
    """Add the rows that arrive at a door to the cells of `entering`; return the overflows.

    A row without events passes the register, too, and changes a number that does not fit: one
    that is far too large, where overflow wraps once.
    """
    rules = plan.rules[0]
    overflows, loose = 0, True
    for number in range(into.feed, into.feed_end):
        feed = plan.feeds[number]
        if step < feed.least:
            continue
        for source in range(feed.size):
            there = _gather(plan, cells, feed, source, step, size)
            if not (there or loose):
                continue
            loose = False
            for n in range(size):
                given = cells[rules.entering + n]
                if there:
                    given += cells[rules.row + n]
                kept, lost = held(given, half, overflow)
                overflows += lost
                loose |= held(kept, half, overflow)[1]
                cells[rules.entering + n] = kept
    return overflows


@compiled
def sum_rows(plan: Plan, cells: np.ndarray, into: Any, size: int, step: int) -> None:
    """Leave the sum of the rows that arrive at a door in the cells of `total`."""
    rules = plan.rules[0]
    cells[rules.total : rules.total + size] = 0
    for number in range(into.feed, into.feed_end):
        feed = plan.feeds[number]
        for source in range(feed.size):
            if _gather(plan, cells, feed, source, step, size):
                for n in range(size):
                    cells[rules.total + n] += cells[rules.row + n]


@compiled
def _gather(plan: Plan, cells: np.ndarray, feed: Any, source: int, step: int, size: int) -> bool:
    """Leave in the cells of `row` what one source gives; return whether it gives anything."""
    row = plan.rules[0].row
    pre = plan.numbers[feed.order + source]
    there = False
    for number in range(feed.edge, feed.edge_end):
        edge = plan.edges[number]
        sent = step - plan.numbers[edge.delay + edge.delay_stride * pre]
        if sent < 0:
            continue
        value = cells[feed.history + sent % feed.kept * feed.size + pre]
        if value != 0:
            if not there:
                cells[row : row + size] = 0
            there = True
            add_event(plan.numbers, plan.weights, cells, row, edge, pre, value)
    return there


@compiled
def remember(
    plan: Plan, cells: np.ndarray, history: int, kept: int, size: int, count: int, step: int
) -> None:
    """Keep what a node sends in this step: the first `count` events, in place of older ones."""
    rules, first = plan.rules[0], history + step % kept * size
    cells[first : first + size] = 0
    for k in range(count):
        cells[first + cells[rules.event + k]] = cells[rules.value + k]
