"""The compiled loop: one sample after another, step by step, from event to event.

A step sums what arrives into a ring of future steps, one for each state that projections drive.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from snn_deploy.backends.event.kernels.arithmetic import compiled
from snn_deploy.backends.event.kernels.delivery import deliver
from snn_deploy.backends.event.kernels.general import advance_general
from snn_deploy.backends.event.kernels.kinds import advance_kind
from snn_deploy.backends.event.kernels.plain import advance_plain
from snn_deploy.backends.event.kernels.rows import remember
from snn_deploy.backends.event.tables import (
    DOORS,
    GENERAL,
    PAYLOAD,
    PLAIN,
    REGISTER_OF,
    Plan,
    Records,
)


@compiled
def _start(plan: Plan, cells: np.ndarray) -> None:
    """Set every state to its initial value, and nothing is on its way."""
    cells[:] = 0
    for population in plan.populations:
        first = population.register
        for at in range(population.registers_end - first):
            cells[first + at] = plan.numbers[population.initial + at]
        cells[population.moving] = 1


@compiled
def _step(
    plan: Plan, cells: np.ndarray, payloads: np.ndarray, sample: int, step: int, records: Records
) -> None:
    """Run one step of one sample."""
    steps, period = payloads.shape[1], plan.rules[0].period
    for bias in plan.biases:
        if bias.start == step:
            for n in range(bias.size):
                cells[bias.first + n] += plan.numbers[bias.value + n]
    _read(plan, cells, payloads, sample, step)
    for index in range(plan.populations.size):
        population = plan.populations[index]
        heard = _hears(cells, population, step)
        acts = step >= population.lag and (step - population.lag) % period == 0
        still = population.rests and cells[population.moving] == 0 and step < population.first_bias
        count = 0
        if acts and (heard or not still):
            if population.kernel == PLAIN:
                count, overflows = advance_plain(plan, cells, population, step)
            elif population.kernel == GENERAL:
                count, overflows = advance_general(plan, cells, population, step)
            else:
                count, overflows = advance_kind(plan, cells, population, step)
            records.overflows[sample, index] += overflows
            _count(plan, cells, population, index, count, sample, records)
        elif period > 1:
            _hush(cells, population)
        _send(plan, cells, population, count, step, steps)
        if heard:
            _forget(cells, population, step)
        if cells[population.moving] != 0:
            _keep(plan, cells, population, index, sample * steps + step, records)


@compiled
def _read(plan: Plan, cells: np.ndarray, payloads: np.ndarray, sample: int, step: int) -> None:
    """Send what enters in this step."""
    rules, steps = plan.rules[0], payloads.shape[1]
    for entry in plan.inputs:
        count = 0
        for index in range(entry.size):
            payload = payloads[sample, step, entry.first + index]
            if payload != 0:
                cells[rules.event + count] = index
                cells[rules.value + count] = payload
                count += 1
        _send(plan, cells, entry, count, step, steps)


@compiled
def _send(plan: Plan, cells: np.ndarray, node: Any, count: int, step: int, steps: int) -> None:
    """Send the first `count` events on their way, or keep them for those who ask."""
    # Numbers, not the record: a function is compiled for each type of what it is given.
    if plan.rules[0].by_row:
        remember(plan, cells, node.history, node.kept, node.size, count, step)
    elif count != 0:
        deliver(plan, cells, node.edge, node.edge_end, count, step, steps)


@compiled
def _hears(cells: np.ndarray, population: Any, step: int) -> bool:
    """Return whether anything arrives at a population."""
    for door in range(population.door_end):
        into = population.doors[door]
        if into.slots != 0 and cells[into.arrived + step % into.slots] != 0:
            return True
    return False


@compiled
def _forget(cells: np.ndarray, population: Any, step: int) -> None:
    """Clear what arrived in this step: its place in the ring is that of a later one."""
    for door in range(population.door_end):
        into = population.doors[door]
        if into.slots != 0 and cells[into.arrived + step % into.slots] != 0:
            at = into.ring + step % into.slots * population.size
            cells[at : at + population.size] = 0
            cells[into.arrived + step % into.slots] = 0


@compiled
def _hush(cells: np.ndarray, population: Any) -> None:
    """Send nothing, in a step in which the population does not act."""
    first = population.registers[PAYLOAD]
    cells[first : first + population.size] = 0


@compiled
def _count(
    plan: Plan,
    cells: np.ndarray,
    population: Any,
    index: int,
    count: int,
    sample: int,
    records: Records,
) -> None:
    """Add this step's events to the counts."""
    rules, block = plan.rules[0], records.count_block[index] + sample * population.size
    for k in range(count):
        at = block + plan.numbers[population.place + cells[rules.event + k]]
        records.events[at] += 1
        records.spikes[at] += cells[rules.value + k]


@compiled
def _keep(
    plan: Plan, cells: np.ndarray, population: Any, index: int, row: int, records: Records
) -> None:
    """Record the states of a population; what is not written stays 0."""
    for column in range(records.blocks.shape[1]):
        block = records.blocks[index, column]
        if block < 0:
            continue
        at, first = block + row * population.size, population.registers[column]
        for n in range(population.size):
            records.states[at + plan.numbers[population.place + n]] = cells[first + n]


def _digest() -> int:
    """Return a number that differs where any module of this simulator does."""
    sources = sorted(Path(__file__).parent.parent.rglob("*.py"))
    content = b"".join(source.read_bytes() for source in sources)
    content += repr((REGISTER_OF, DOORS)).encode()  # constants of these modules, made elsewhere
    return int.from_bytes(hashlib.sha256(content).digest()[:7], "big")


def _entry(sources: int) -> Callable[[Plan, np.ndarray, int, int, Records], int]:
    # The compiler's cache follows changes of the module that holds an entry, not of those it calls;
    # but the numbers around a function are part of its key.
    def run(plan: Plan, payloads: np.ndarray, first: int, last: int, records: Records) -> int:
        cells = np.zeros(plan.rules[0].cells, np.int64)
        for sample in range(first, last):
            _start(plan, cells)
            for step in range(payloads.shape[1]):
                _step(plan, cells, payloads, sample, step, records)
        return sources

    return numba.njit(nogil=True, cache=True)(run)


SOURCES = _digest()

run_samples = _entry(SOURCES)
"""Run the samples `first` to `last` of `payloads` [sample, step, input value], and return the
digest of the sources that it was compiled from."""
