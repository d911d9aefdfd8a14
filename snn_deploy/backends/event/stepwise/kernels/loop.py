"""The compiled loop: one sample after another, step by step, from event to event.

A step sums what arrives into a ring of future steps, one for each state that projections drive.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from snn_deploy.backends.event.arithmetic import compiled, entry
from snn_deploy.backends.event.records import ABSENT, Records
from snn_deploy.backends.event.sources import SOURCES
from snn_deploy.backends.event.stepwise.kernels.delivery import deliver
from snn_deploy.backends.event.stepwise.kernels.general import advance_general
from snn_deploy.backends.event.stepwise.kernels.kinds import advance_kind
from snn_deploy.backends.event.stepwise.kernels.rows import remember
from snn_deploy.backends.event.stepwise.tables import (
    GENERAL,
    PAYLOAD,
    Plan,
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
    plan: Plan,
    cells: np.ndarray,
    payloads: np.ndarray,
    sample: int,
    step: int,
    horizon: int,
    sent: np.ndarray,
    records: Records,
) -> None:
    """Run one step of one sample."""
    period = plan.rules[0].period
    for bias in plan.biases:
        if bias.start == step:
            for n in range(bias.size):
                cells[bias.first + n] += plan.numbers[bias.value + n]
    _read(plan, cells, payloads, step, horizon)
    for index in range(plan.populations.size):
        population = plan.populations[index]
        heard = _hears(cells, population, step)
        acts = step >= population.lag and (step - population.lag) % period == 0
        still = population.rests and cells[population.moving] == 0 and step < population.first_bias
        count = 0
        if acts and (heard or not still):
            if population.kernel == GENERAL:
                count, overflows = advance_general(plan, cells, population, step)
            else:
                count, overflows = advance_kind(plan, cells, population, step)
            records.overflows[index, sample] += overflows
            _count(plan, cells, population, index, count, sample, sent, records)
        elif period > 1:
            _hush(cells, population)
        _send(plan, cells, population, count, step, horizon)
        if heard:
            _forget(cells, population, step)
        if cells[population.moving] != 0 and step >= records.first:
            row = sample * records.steps + step - records.first
            _keep(plan, cells, population, index, row, records)


@compiled
def _read(plan: Plan, cells: np.ndarray, payloads: np.ndarray, step: int, horizon: int) -> None:
    """Send what enters in this step."""
    rules = plan.rules[0]
    for source in plan.inputs:
        count = 0
        for index in range(source.size):
            payload = payloads[source.first + index]
            if payload != 0:
                cells[rules.event + count] = index
                cells[rules.value + count] = payload
                count += 1
        _send(plan, cells, source, count, step, horizon)


@compiled
def _send(plan: Plan, cells: np.ndarray, node: Any, count: int, step: int, horizon: int) -> None:
    """Send the first `count` events on their way, or keep them for those who ask."""
    # Numbers, not the record: a function is compiled for each type of what it is given.
    if plan.rules[0].by_row:
        remember(plan, cells, node.history, node.kept, node.size, count, step)
    elif count != 0:
        deliver(plan, cells, node.edge, node.edge_end, count, step, horizon)


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
    sent: np.ndarray,
    records: Records,
) -> None:
    """Add this step's events to the counts, and list them for those who read them elsewhere."""
    rules, block = plan.rules[0], records.count_block[index] + sample * population.size
    for k in range(count):
        neuron = plan.numbers[population.place + cells[rules.event + k]]
        records.events[block + neuron] += 1
        records.spikes[block + neuron] += cells[rules.value + k]
        if population.sent != ABSENT:
            sent[population.sent + neuron] = cells[rules.value + k]


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


def _entry(sources: int) -> Callable[..., int]:
    def run(
        plan: Plan,
        cells: np.ndarray,
        payloads: np.ndarray,
        sample: int,
        start: int,
        horizon: int,
        sent: np.ndarray,
        records: Records,
    ) -> int:
        for lane in range(cells.shape[0]):
            if start == 0:
                _start(plan, cells[lane])
            for index in range(payloads.shape[1]):
                step = start + index
                _step(plan, cells[lane], payloads[lane, index], sample + lane, step, horizon,
                      sent[lane, index], records)  # fmt: skip
        return sources

    return entry(run)


advance_steps = _entry(SOURCES)
"""Run the steps from `start` on of samples from `sample` on, whose states are `cells` [lane, cell],
on `payloads` [lane, step, input value]; nothing is delivered after the step `horizon`. What the
populations send goes into `sent` [lane, step, ...] too, where `sent` of the population says so.
Returns the digest of the sources that it was compiled from."""
