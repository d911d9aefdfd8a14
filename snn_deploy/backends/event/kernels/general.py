"""One step of canonical neurons with whatever they may have: the functions of the reference.

Each function is a stage over all neurons of a population, and leaves in the cells what it computes.
"""

from typing import Any

import numpy as np

from snn_deploy.backends.event.kernels.arithmetic import (
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
from snn_deploy.backends.event.kernels.rows import enter_rows, sum_rows
from snn_deploy.backends.event.tables import (
    ABSENT,
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


@compiled
def advance_general(plan: Plan, cells: np.ndarray, population: Any, step: int) -> tuple[int, int]:
    """Compute one step of a population; return how many neurons sent, and the overflows."""
    rules, first, end = plan.rules[0], population.register, population.registers_end
    every = population.restart_every
    if every != 0 and step % every == population.restart_at:
        for at in range(end - first):
            cells[first + at] = plan.numbers[population.initial + at]
    for door in range(population.door_end):
        now, old = population.doors[door].register, rules.old + door * rules.widest
        for n in range(population.size):
            cells[old + n] = cells[now + n]
    if population.waits:
        _start(plan, cells, population, step)
    overflows = 0
    for door in range(1, population.door_end):
        overflows += _integrate_current(plan, cells, population, door, step)
    overflows += _integrate_membrane(plan, cells, population, step)
    overflows += _fire(plan, cells, population, step)
    notice(cells, population)
    return send(plan, cells, population), overflows


@compiled
def notice(cells: np.ndarray, population: Any) -> None:
    """Write down whether some state is not 0."""
    cells[population.moving] = 0
    for at in range(population.register, population.registers_end):
        if cells[at] != 0:
            cells[population.moving] = 1
            break


@compiled
def send(plan: Plan, cells: np.ndarray, population: Any) -> int:
    """List the neurons that send something; return how many they are."""
    rules, first, count = plan.rules[0], population.registers[PAYLOAD], 0
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
def parameter(plan: Plan, population: Any, number: int, step: int) -> tuple[int, int]:
    """Return where a parameter of this step begins in `plan.numbers`, and its stride."""
    if population.tabled[number] != ABSENT:
        table = plan.tables[population.tabled[number]]
        row = (step - table.start) // plan.rules[0].period
        if table.repeats and row >= 0:
            row %= table.rows
        if 0 <= row < table.rows:
            return table.values + row * table.width, table.stride
    return population.parameters[number], 1


@compiled
def _start(plan: Plan, cells: np.ndarray, population: Any, step: int) -> None:
    """Start the biases that wait, at neurons where something arrives."""
    rules, first = plan.rules[0], population.registers[STARTED]
    for door in range(population.door_end):
        arriving(plan, cells, population, door, step)
        for n in range(population.size):
            if cells[rules.total + n] != 0:
                cells[first + n] = 1


@compiled
def _integrate_current(plan: Plan, cells: np.ndarray, population: Any, door: int, step: int) -> int:
    """Compute a synaptic current; return the overflows."""
    rules, size, numbers = plan.rules[0], population.size, plan.numbers
    into, before = population.doors[door], population.doors[door - 1]
    bits, by_shift, late = rules.decay_bits, rules.decays_by_shift != 0, rules.adds_first != 0
    half, overflow = rules.current_half, rules.current_overflow
    decay, chain = population.parameters[DECAY + door], population.parameters[CHAIN + door]
    old = rules.old + door * rules.widest
    read = old - rules.widest if into.chain_old else before.register
    for n in range(size):
        i = cells[old + n]
        cells[rules.entering + n] = i if late else decayed(i, numbers[decay + n], bits, by_shift)
    overflows = _enter(plan, cells, population, door, step, half, overflow)
    _sum_biases(plan, cells, population, door, step)
    for n in range(size):
        i = cells[rules.entering + n] + cells[rules.added + n]
        if into.chained:
            i += scaled(cells[read + n], numbers[chain + n], bits)
        i, lost = held(i, half, overflow)
        overflows += lost
        if late:
            i = decayed(i, numbers[decay + n], bits, by_shift)
        cells[into.register + n] = i
    return overflows


@compiled
def _integrate_membrane(plan: Plan, cells: np.ndarray, population: Any, step: int) -> int:
    """Compute the membrane before refractory and reset; return the overflows."""
    rules, size = plan.rules[0], population.size
    half, overflow = rules.membrane_half, rules.membrane_overflow
    changes, overflows = rules.change_half != 0, 0
    _leak(plan, cells, population)
    if changes:
        half, overflow = rules.change_half, rules.change_overflow
        for n in range(size):
            change, lost = held(cells[rules.entering + n] - cells[rules.old + n], half, overflow)
            overflows += lost
            cells[rules.entering + n] = change
    overflows += _enter(plan, cells, population, 0, step, half, overflow)
    _sum_biases(plan, cells, population, 0, step)
    first = population.registers[MEMBRANE]
    for n in range(size):
        v, lost = held(cells[rules.entering + n] + cells[rules.added + n], half, overflow)
        overflows += lost
        if changes:
            v += cells[rules.old + n]
            v, lost = held(v, rules.membrane_half, rules.membrane_overflow)
            overflows += lost
        cells[first + n] = v
    return overflows


@compiled
def _leak(plan: Plan, cells: np.ndarray, population: Any) -> None:
    """Leave the decayed membrane and all currents in the cells of `entering`."""
    rules, decay = plan.rules[0], population.parameters[DECAY]
    bits, by_shift = rules.decay_bits, rules.decays_by_shift != 0
    for n in range(population.size):
        v = decayed(cells[rules.old + n], plan.numbers[decay + n], bits, by_shift)
        cells[rules.entering + n] = v
    for door in range(1, population.door_end):
        current = population.doors[door]
        read = rules.old + door * rules.widest if current.reads_old else current.register
        for n in range(population.size):
            cells[rules.entering + n] += current.into_membrane * cells[read + n]


@compiled
def _enter(
    plan: Plan, cells: np.ndarray, population: Any, door: int, step: int, half: int, overflow: int
) -> int:
    """Add what arrives to the cells of `entering`; return the overflows."""
    rules, into, size = plan.rules[0], population.doors[door], population.size
    if rules.by_row:
        return enter_rows(plan, cells, into, size, step, half, overflow)
    arriving(plan, cells, population, door, step)
    overflows = 0
    gained = population.parameters[GAIN + door] != ABSENT
    gain, stride = parameter(plan, population, GAIN + door, step)
    for n in range(size):
        total = cells[rules.total + n]
        if rules.accumulator_half != 0:
            total, lost = held(total, rules.accumulator_half, rules.accumulator_overflow)
            overflows += lost
        if gained:
            total = rounded(total * plan.numbers[gain + n * stride], into.gain_shift)
        cells[rules.entering + n] += total
    return overflows


@compiled
def _sum_biases(plan: Plan, cells: np.ndarray, population: Any, door: int, step: int) -> None:
    """Leave the sum of a door's biases in the cells of `added`."""
    rules, into, size = plan.rules[0], population.doors[door], population.size
    started = population.registers[STARTED]
    row, stride = parameter(plan, population, BIAS + door, step)
    for n in range(size):
        added = cells[into.bias + n]
        if into.waiting != ABSENT:
            added += cells[started + n] * cells[into.waiting + n]
        if row != ABSENT:
            added += plan.numbers[row + n * stride]
        cells[rules.added + n] = added


@compiled
def _fire(plan: Plan, cells: np.ndarray, population: Any, step: int) -> int:
    """Compute refractory, late reset, floor, test, reset and countdown; return the overflows."""
    rules, numbers = plan.rules[0], plan.numbers
    half, overflow = rules.membrane_half, rules.membrane_overflow
    v_at, fired_at = population.registers[MEMBRANE], population.registers[FIRED]
    left_at = population.registers[COUNTDOWN]
    amount_at, floor_at = population.parameters[AMOUNT], population.parameters[FLOOR]
    threshold_at, threshold_step = parameter(plan, population, THRESHOLD, step)
    lower_at, lower_step = parameter(plan, population, LOWER, step)
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
    _pay(plan, cells, population, step)
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
def _pay(plan: Plan, cells: np.ndarray, population: Any, step: int) -> None:
    """Make payloads of spikes; a graded neuron has its own already."""
    if population.fires == GRADED:
        return
    fired_at = population.registers[FIRED]
    factor, stride = parameter(plan, population, FACTOR, step)
    for n in range(population.size):
        payload = cells[fired_at + n]
        if factor != ABSENT:
            payload *= plan.numbers[factor + n * stride]
        cells[population.registers[PAYLOAD] + n] = payload
