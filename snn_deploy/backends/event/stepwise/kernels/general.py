"""One step of canonical neurons with whatever they may have: the functions of the reference.

Each function is a stage over all neurons of a population, and leaves in the cells what it computes.
"""

from typing import Any, NamedTuple

import numpy as np

from snn_deploy.backends.event.arithmetic import (
    after_reset,
    compiled,
    decayed,
    held,
    rounded,
    rounded_spikes_of,
    scaled,
    signed_spikes_of,
    spikes_of,
)
from snn_deploy.backends.event.records import ABSENT
from snn_deploy.backends.event.stepwise.kernels.rows import enter_rows, sum_rows
from snn_deploy.backends.event.stepwise.tables import (
    AFTER_RESET,
    AMOUNT,
    BEFORE_TEST,
    BIAS,
    CHAIN,
    CLAMPED,
    COUNTDOWN,
    DECAY,
    FACTOR,
    FIRED,
    FLOOR,
    GAIN,
    GRADED,
    HELD,
    LOWER,
    MEMBRANE,
    NEXT,
    NOT_REFRACTORY,
    PAYLOAD,
    RETESTED,
    ROUNDED,
    STARTED,
    TERNARY,
    THRESHOLD,
    Plan,
)


class Here(NamedTuple):
    """What the stages read and write: few arrays, for each function is given all of them."""

    rules: np.ndarray
    tables: np.ndarray
    numbers: np.ndarray
    cells: np.ndarray


@compiled
def advance_general(plan: Plan, cells: np.ndarray, population: Any, step: int) -> tuple[int, int]:
    """Compute one step of a population; return how many neurons sent, and the overflows."""
    rules, here = plan.rules[0], Here(plan.rules, plan.tables, plan.numbers, cells)
    half, overflow = rules.current_half, rules.current_overflow
    _begin(here, population, step)
    if population.waits:
        for door in range(population.door_end):
            arriving(plan, cells, population, door, step)
            _start_biases(here, population)
    overflows = 0
    for door in range(1, population.door_end):
        _begin_current(here, population, door)
        overflows += _enter(plan, here, population, door, step, half, overflow)
        overflows += _end_current(here, population, door, step)
    overflows += _begin_membrane(here, population)
    half, overflow = rules.membrane_half, rules.membrane_overflow
    if rules.change_half != 0:
        half, overflow = rules.change_half, rules.change_overflow
    overflows += _enter(plan, here, population, 0, step, half, overflow)
    overflows += _end_membrane(here, population, step, half, overflow)
    overflows += _fire(here, population, step)
    notice(cells, population)
    return send(here, population), overflows


@compiled
def _begin(here: Here, population: Any, step: int) -> None:
    """Restart the neurons, if it is time, and keep the states behind the doors as they are."""
    rules, cells, first = here.rules[0], here.cells, population.register
    every = population.restart_every
    if every != 0 and step % every == population.restart_at:
        for at in range(population.registers_end - first):
            cells[first + at] = here.numbers[population.initial + at]
    for door in range(population.door_end):
        now, old = population.doors[door].register, rules.old + door * rules.widest
        for n in range(population.size):
            cells[old + n] = cells[now + n]


@compiled
def notice(cells: np.ndarray, population: Any) -> None:
    """Write down whether some state is not 0."""
    cells[population.moving] = 0
    for at in range(population.register, population.registers_end):
        if cells[at] != 0:
            cells[population.moving] = 1
            break


@compiled
def send(here: Here, population: Any) -> int:
    """List the neurons that send something; return how many they are."""
    rules, cells = here.rules[0], here.cells
    first, count = population.registers[PAYLOAD], 0
    for n in range(population.size):
        payload = cells[first + n]
        if payload != 0:
            cells[rules.event + count], cells[rules.value + count] = n, payload
            count += 1
    return count


@compiled
def arriving(plan: Plan, cells: np.ndarray, population: Any, door: int, step: int) -> None:
    """Leave the sum of all that arrives at a door in the cells of `total`."""
    rules, into, size = plan.rules[0], population.doors[door], population.size
    if rules.by_row:
        sum_rows(plan, cells, into, size, step)
        return
    at = into.ring + step % into.slots * size if into.slots != 0 else ABSENT
    for n in range(size):
        cells[rules.total + n] = cells[at + n] if at != ABSENT else 0


@compiled
def parameter(here: Here, population: Any, number: int, step: int) -> tuple[int, int]:
    """Return where a parameter of this step begins in the numbers, and its stride."""
    if population.tabled[number] != ABSENT:
        table = here.tables[population.tabled[number]]
        row = (step - table.start) // here.rules[0].period
        if table.repeats and row >= 0:
            row %= table.rows
        if 0 <= row < table.rows:
            return table.values + row * table.width, table.stride
    return population.parameters[number], 1


@compiled
def _start_biases(here: Here, population: Any) -> None:
    """Start the biases that wait, at neurons at which the cells of `total` are not 0."""
    first, total = population.registers[STARTED], here.rules[0].total
    for n in range(population.size):
        if here.cells[total + n] != 0:
            here.cells[first + n] = 1


@compiled
def _begin_current(here: Here, population: Any, door: int) -> None:
    """Leave a synaptic current, before anything is added, in the cells of `entering`."""
    rules, cells, decay = here.rules[0], here.cells, population.parameters[DECAY + door]
    bits, by_shift = rules.decay_bits, rules.decays_by_shift != 0
    for n in range(population.size):
        i = cells[rules.old + door * rules.widest + n]
        if rules.adds_first == 0:
            i = decayed(i, here.numbers[decay + n], bits, by_shift)
        cells[rules.entering + n] = i


@compiled
def _end_current(here: Here, population: Any, door: int, step: int) -> int:
    """Add chain and biases to a synaptic current; return the overflows."""
    rules, cells, numbers, overflows = here.rules[0], here.cells, here.numbers, 0
    into, before = population.doors[door], population.doors[door - 1]
    bits, by_shift = rules.decay_bits, rules.decays_by_shift != 0
    decay, chain = population.parameters[DECAY + door], population.parameters[CHAIN + door]
    read = rules.old + (door - 1) * rules.widest if into.chain_old else before.register
    _sum_biases(here, population, door, step)
    for n in range(population.size):
        i = cells[rules.entering + n] + cells[rules.added + n]
        if into.chained:
            i += scaled(cells[read + n], numbers[chain + n], bits)
        i, lost = held(i, rules.current_half, rules.current_overflow)
        overflows += lost
        if rules.adds_first:
            i = decayed(i, numbers[decay + n], bits, by_shift)
        cells[into.register + n] = i
    return overflows


@compiled
def _begin_membrane(here: Here, population: Any) -> int:
    """Leave the decayed membrane and all currents, or the change that they make, in the cells of
    `entering`; return the overflows.
    """
    rules, cells, decay = here.rules[0], here.cells, population.parameters[DECAY]
    bits, by_shift, overflows = rules.decay_bits, rules.decays_by_shift != 0, 0
    for n in range(population.size):
        v = decayed(cells[rules.old + n], here.numbers[decay + n], bits, by_shift)
        cells[rules.entering + n] = v
    for door in range(1, population.door_end):
        current = population.doors[door]
        read = rules.old + door * rules.widest if current.reads_old else current.register
        for n in range(population.size):
            cells[rules.entering + n] += current.into_membrane * cells[read + n]
    if rules.change_half == 0:
        return 0
    for n in range(population.size):
        change = cells[rules.entering + n] - cells[rules.old + n]
        change, lost = held(change, rules.change_half, rules.change_overflow)
        overflows += lost
        cells[rules.entering + n] = change
    return overflows


@compiled
def _end_membrane(here: Here, population: Any, step: int, half: int, overflow: int) -> int:
    """Add the biases to the membrane, or to its change; return the overflows."""
    rules, cells, overflows = here.rules[0], here.cells, 0
    first, changes = population.registers[MEMBRANE], rules.change_half != 0
    _sum_biases(here, population, 0, step)
    for n in range(population.size):
        v, lost = held(cells[rules.entering + n] + cells[rules.added + n], half, overflow)
        overflows += lost
        if changes:
            v += cells[rules.old + n]
            v, lost = held(v, rules.membrane_half, rules.membrane_overflow)
            overflows += lost
        cells[first + n] = v
    return overflows


@compiled
def _enter(
    plan: Plan, here: Here, population: Any, door: int, step: int, half: int, overflow: int
) -> int:
    """Add what arrives to the cells of `entering`; return the overflows."""
    if plan.rules[0].by_row:
        into, size = population.doors[door], population.size
        return enter_rows(plan, here.cells, into, size, step, half, overflow)
    arriving(plan, here.cells, population, door, step)
    overflows = hold_total(here, population.size)
    _add_total(here, population, door, step)
    return overflows


@compiled
def hold_total(here: Here, size: int) -> int:
    """Let the accumulator, if there is one, hold the cells of `total`; return the overflows."""
    rules, overflows = here.rules[0], 0
    if rules.accumulator_half == 0:
        return 0
    for at in range(rules.total, rules.total + size):
        kept, lost = held(here.cells[at], rules.accumulator_half, rules.accumulator_overflow)
        here.cells[at] = kept
        overflows += lost
    return overflows


@compiled
def _add_total(here: Here, population: Any, door: int, step: int) -> None:
    """Add the cells of `total`, times the gain of their door, to those of `entering`."""
    rules, cells, shift = here.rules[0], here.cells, population.doors[door].gain_shift
    gained = population.parameters[GAIN + door] != ABSENT
    gain, stride = parameter(here, population, GAIN + door, step)
    for n in range(population.size):
        total = cells[rules.total + n]
        if gained:
            total = rounded(total * here.numbers[gain + n * stride], shift)
        cells[rules.entering + n] += total


@compiled
def _sum_biases(here: Here, population: Any, door: int, step: int) -> None:
    """Leave the sum of a door's biases in the cells of `added`."""
    rules, cells, into = here.rules[0], here.cells, population.doors[door]
    size = population.size
    started = population.registers[STARTED]
    row, stride = parameter(here, population, BIAS + door, step)
    for n in range(size):
        added = cells[into.bias + n]
        if into.waiting != ABSENT:
            added += cells[started + n] * cells[into.waiting + n]
        if row != ABSENT:
            added += here.numbers[row + n * stride]
        cells[rules.added + n] = added


@compiled
def _fire(here: Here, population: Any, step: int) -> int:
    """Compute refractory, late reset, floor, test, reset and countdown; return the overflows."""
    rules, numbers, cells = here.rules[0], here.numbers, here.cells
    half, overflow = rules.membrane_half, rules.membrane_overflow
    v_at, fired_at = population.registers[MEMBRANE], population.registers[FIRED]
    left_at = population.registers[COUNTDOWN]
    amount_at, floor_at = population.parameters[AMOUNT], population.parameters[FLOOR]
    threshold_at, threshold_step = parameter(here, population, THRESHOLD, step)
    lower_at, lower_step = parameter(here, population, LOWER, step)
    fires, greater, most = population.fires, population.greater != 0, population.most
    during, refractory = population.during, population.refractory
    reset, when, floor = population.reset, population.when, population.floor
    shut = step < population.opens or step >= population.shuts
    overflows = 0
    for n in range(population.size):
        v, old, amount = cells[v_at + n], cells[rules.old + n], numbers[amount_at + n]
        threshold = numbers[threshold_at + n * threshold_step]
        lower = numbers[lower_at + n * lower_step] if lower_at != ABSENT else 0
        left = 0 if during == NOT_REFRACTORY else cells[left_at + n]
        if left > 0 and during == HELD:
            v = old
        if left > 0 and during == CLAMPED:
            v = amount
        if when == NEXT:
            v, lost = held(after_reset(v, reset, amount, cells[fired_at + n]), half, overflow)
            overflows += lost
        if floor == BEFORE_TEST:
            v = max(v, numbers[floor_at + n])
        tested = v
        if when == RETESTED:
            before = spikes_of(old, threshold, fires, greater, most)
            tested = after_reset(v, reset, amount, before)
        fired = 0
        if left == 0 and not shut:
            fired = _spikes(tested, threshold, lower, population)
        if when != NEXT:
            v, lost = held(after_reset(v, reset, amount, fired), half, overflow)
            overflows += lost
        if floor == AFTER_RESET:
            v = max(v, numbers[floor_at + n])
        cells[v_at + n] = v
        cells[fired_at + n] = fired
        if fires == GRADED:
            cells[population.registers[PAYLOAD] + n] = rounded(tested, population.payload_shift)
        if during != NOT_REFRACTORY:
            once = refractory == 0
            cells[left_at + n] = _counted_down(left, fired, refractory, once)
    _pay(here, population, step)
    return overflows


@compiled
def _spikes(v: int, threshold: int, lower: int, population: Any) -> int:
    """Return how many spikes a membrane is worth."""
    if population.fires == TERNARY:
        return signed_spikes_of(v, threshold, lower, population.greater != 0)
    if population.fires == ROUNDED:
        return rounded_spikes_of(v, threshold, population.most)
    return spikes_of(v, threshold, population.fires, population.greater != 0, population.most)


@compiled
def _counted_down(left: int, fired: int, steps: int, once: bool) -> int:
    """Return for how many steps a neuron does not fire."""
    if fired != 0:
        return 1 if once else steps
    return left if once else max(left - 1, 0)


@compiled
def _pay(here: Here, population: Any, step: int) -> None:
    """Make payloads of spikes; a graded neuron has its own already."""
    if population.fires == GRADED:
        return
    cells, fired_at = here.cells, population.registers[FIRED]
    factor, stride = parameter(here, population, FACTOR, step)
    for n in range(population.size):
        payload = cells[fired_at + n]
        if factor != ABSENT:
            payload *= here.numbers[factor + n * stride]
        cells[population.registers[PAYLOAD] + n] = payload
