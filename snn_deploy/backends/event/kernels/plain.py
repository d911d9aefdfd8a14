"""One step of leaky integrate-and-fire neurons that have at most one current, and no times.

Most programs have no others, and the general kernel takes longer.
"""

from typing import Any

import numpy as np

from snn_deploy.backends.event.kernels.arithmetic import (
    after_reset,
    compiled,
    inlined,
    scaled,
    spikes_of,
)
from snn_deploy.backends.event.tables import (
    AFTER_RESET,
    AMOUNT,
    BEFORE_TEST,
    DECAY,
    FLOOR,
    MEMBRANE,
    NEXT,
    PAYLOAD,
    THRESHOLD,
    WRAP_ONCE,
    Plan,
)


@compiled
def _arrivals(population: Any, step: int) -> int:
    """Return where the sums of this step begin."""
    entry = population.doors[population.entry]
    return entry.ring + step % entry.slots * population.size


@compiled
def _part(array: np.ndarray, first: int, size: int) -> np.ndarray:
    return array[first : first + size]


@inlined
def _held(value: int, half: int, wraps: bool) -> tuple[int, bool]:
    """Return what a register keeps, one that wraps once or saturates; and if that differs."""
    if wraps:
        if value > half:
            return value - 2 * half, True
        if value <= -half:
            return value + 2 * half, True
        return value, False
    kept = min(max(value, 1 - half), half - 1)
    return kept, kept != value


@compiled
def advance_plain(plan: Plan, cells: np.ndarray, population: Any, step: int) -> tuple[int, int]:
    """Compute one step of a population; return how many neurons sent, and the overflows.

    Every line is a line of `ir/program.py`, for one neuron.
    """
    rules, at = plan.rules[0], population.parameters
    size, bits = population.size, rules.decay_bits
    v_door, u_door = population.doors[0], population.doors[1]
    has_current, reads_old = population.door_end > 1, u_door.reads_old != 0
    fires, greater, most = population.fires, population.greater != 0, population.most
    reset, late, floor = population.reset, population.when == NEXT, population.floor
    u_half, u_wraps = rules.current_half, rules.current_overflow == WRAP_ONCE
    v_half, v_wraps = rules.membrane_half, rules.membrane_overflow == WRAP_ONCE
    drive = _part(cells, _arrivals(population, step), size)
    membrane = _part(cells, population.registers[MEMBRANE], size)
    sent = _part(cells, population.registers[PAYLOAD], size)
    current = _part(cells, u_door.register, size)
    bias_membrane = _part(cells, v_door.bias, size)
    bias_current = _part(cells, u_door.bias, size)
    decay = _part(plan.numbers, at[DECAY], size)
    current_decay = _part(plan.numbers, at[DECAY + 1], size)
    threshold = _part(plan.numbers, at[THRESHOLD], size)
    amount = _part(plan.numbers, at[AMOUNT], size)
    lowest = _part(plan.numbers, at[FLOOR], size)
    count, overflows, moving = 0, 0, False
    for n in range(size):
        integrated = drive[n]
        if has_current:
            old = current[n]
            u = scaled(old, current_decay[n], bits) + integrated + bias_current[n]
            u, lost = _held(u, u_half, u_wraps)
            overflows += lost
            current[n] = u
            moving |= u != 0
            integrated = old if reads_old else u
        v = scaled(membrane[n], decay[n], bits) + integrated + bias_membrane[n]
        v, lost = _held(v, v_half, v_wraps)
        overflows += lost
        if late:
            v, lost = _held(after_reset(v, reset, amount[n], sent[n]), v_half, v_wraps)
            overflows += lost
        if floor == BEFORE_TEST:
            v = max(v, lowest[n])
        payload = spikes_of(v, threshold[n], fires, greater, most)
        if not late:
            v, lost = _held(after_reset(v, reset, amount[n], payload), v_half, v_wraps)
            overflows += lost
        if floor == AFTER_RESET:
            v = max(v, lowest[n])
        membrane[n], sent[n] = v, payload
        moving |= v != 0 or payload != 0
        if payload != 0:
            cells[rules.event + count], cells[rules.value + count] = n, payload
            count += 1
    cells[population.moving] = moving
    return count, overflows
