"""One step of the neurons outside the canonical family: the docstrings of `ir/kinds.py`."""

from typing import Any

import numpy as np

from snn_deploy.backends.event.kernels.arithmetic import compiled, held, scaled
from snn_deploy.backends.event.kernels.general import arriving, notice, send
from snn_deploy.backends.event.tables import (
    ACTIVATION,
    ADAPTIVE,
    CROSSING,
    CURRENT,
    DECODED,
    DELTA,
    ERROR,
    IMAGINARY,
    MEMBRANE,
    PAYLOAD,
    REFRACTION,
    RELU,
    RESIDUE,
    RESONATOR,
    SIGMA,
    SIGMA_DELTA,
    THETA,
    WRAP,
    Plan,
)

_WORD = 1 << 31


@compiled
def advance_kind(plan: Plan, cells: np.ndarray, population: Any, step: int) -> tuple[int, int]:
    """Compute one step of a population; return how many neurons sent, and the overflows."""
    overflows = 0
    if population.kernel == ADAPTIVE:
        overflows = _adaptive(plan, cells, population, step)
    elif population.kernel == RESONATOR:
        overflows = _resonator(plan, cells, population, step)
    elif population.kernel == SIGMA:
        overflows = _add_up(plan, cells, population, step)
        sigma, payload = population.registers[DECODED], population.registers[PAYLOAD]
        cells[payload : payload + population.size] = cells[sigma : sigma + population.size]
    elif population.kernel == DELTA:
        overflows = _delta(plan, cells, population, step)
    elif population.kernel == SIGMA_DELTA:
        overflows = _sigma_delta(plan, cells, population, step)
    notice(cells, population)
    return send(plan, cells, population), overflows


@compiled
def _arrive(plan: Plan, cells: np.ndarray, population: Any, door: int, step: int) -> int:
    """Leave what arrives, as the accumulator holds it, in the cells of `total`."""
    rules = plan.rules[0]
    arriving(plan, cells, population, door, step)
    if rules.accumulator_half == 0:
        return 0
    overflows = 0
    for at in range(rules.total, rules.total + population.size):
        kept, lost = held(cells[at], rules.accumulator_half, rules.accumulator_overflow)
        cells[at] = kept
        overflows += lost
    return overflows


@compiled
def _adaptive(plan: Plan, cells: np.ndarray, population: Any, step: int) -> int:
    rules, numbers, at = plan.rules[0], plan.numbers, population.parameters
    bits, registers = rules.decay_bits, population.registers
    overflows = _arrive(plan, cells, population, 0, step)
    for n in range(population.size):
        i = scaled(cells[registers[CURRENT] + n], numbers[at[0] + n], bits)
        i, lost_i = held(i + cells[rules.total + n], rules.current_half, rules.current_overflow)
        v = scaled(cells[registers[MEMBRANE] + n], numbers[at[1] + n], bits)
        v += i + numbers[at[6] + n]
        v, lost_v = held(v, rules.membrane_half, rules.membrane_overflow)
        base = numbers[at[4] + n]
        theta = scaled(cells[registers[THETA] + n] - base, numbers[at[2] + n], bits) + base
        theta, lost_theta = held(theta, _WORD, WRAP)
        r = scaled(cells[registers[REFRACTION] + n], numbers[at[3] + n], bits)
        r, lost_r = held(r, _WORD, WRAP)
        overflows += int(lost_i) + int(lost_v) + int(lost_theta) + int(lost_r)
        fired = v - r >= theta
        if fired:
            r, lost_r = held(r + 2 * theta, _WORD, WRAP)
            theta, lost_theta = held(theta + numbers[at[5] + n], _WORD, WRAP)
            overflows += int(lost_r) + int(lost_theta)
        cells[registers[CURRENT] + n], cells[registers[MEMBRANE] + n] = i, v
        cells[registers[THETA] + n], cells[registers[REFRACTION] + n] = theta, r
        cells[registers[PAYLOAD] + n] = int(fired)
    return overflows


@compiled
def _resonator(plan: Plan, cells: np.ndarray, population: Any, step: int) -> int:
    rules, numbers, at = plan.rules[0], plan.numbers, population.parameters
    half, overflow, registers = rules.membrane_half, rules.membrane_overflow, population.registers
    crosses, bits = population.options[0] == CROSSING, population.options[1]
    overflows = _arrive(plan, cells, population, 0, step)
    for n in range(population.size):
        cells[rules.entering + n] = cells[rules.total + n]
    overflows += _arrive(plan, cells, population, 1, step)
    for n in range(population.size):
        old_re, old_im = cells[registers[MEMBRANE] + n], cells[registers[IMAGINARY] + n]
        cosine, sine, threshold = numbers[at[0] + n], numbers[at[1] + n], numbers[at[2] + n]
        re = scaled(old_re, cosine, bits) - scaled(old_im, sine, bits)
        im = scaled(old_re, sine, bits) + scaled(old_im, cosine, bits)
        re, lost_re = held(re + cells[rules.entering + n], half, overflow)
        im, lost_im = held(im + cells[rules.total + n], half, overflow)
        overflows += int(lost_re) + int(lost_im)
        if crosses:
            fired = re >= threshold and im >= 0 and old_im < 0
        else:
            fired = im >= threshold
            if fired:
                re, im = 0, threshold - 1
        cells[registers[MEMBRANE] + n], cells[registers[IMAGINARY] + n] = re, im
        cells[registers[PAYLOAD] + n] = int(fired)
    return overflows


@compiled
def _add_up(plan: Plan, cells: np.ndarray, population: Any, step: int) -> int:
    """Add what arrives to the decoded sum."""
    first, total = population.registers[DECODED], plan.rules[0].total
    overflows = _arrive(plan, cells, population, 0, step)
    for n in range(population.size):
        kept, lost = held(cells[first + n] + cells[total + n], _WORD, WRAP)
        cells[first + n] = kept
        overflows += lost
    return overflows


@compiled
def _delta(plan: Plan, cells: np.ndarray, population: Any, step: int) -> int:
    rules, options = plan.rules[0], population.options
    overflows = _arrive(plan, cells, population, 0, step)
    for n in range(population.size):
        kept, lost = held(cells[rules.total + n], _WORD, WRAP)
        cells[rules.entering + n] = kept
        overflows += lost
    return overflows + _encode(plan, cells, population, options[0], options[1] != 0)


@compiled
def _sigma_delta(plan: Plan, cells: np.ndarray, population: Any, step: int) -> int:
    rules, options, first = plan.rules[0], population.options, population.registers[DECODED]
    overflows = _add_up(plan, cells, population, step)
    for n in range(population.size):
        x, lost = held(cells[first + n] + plan.numbers[population.parameters[1] + n], _WORD, WRAP)
        cells[rules.entering + n] = max(x, 0) if options[0] == RELU else x
        overflows += lost
    return overflows + _encode(plan, cells, population, options[1], options[2] != 0)


@compiled
def _encode(plan: Plan, cells: np.ndarray, population: Any, shift: int, cumulative: bool) -> int:
    """Send the changes of what is in the cells of `entering`; return the overflows."""
    rules, registers, threshold_at = plan.rules[0], population.registers, population.parameters[0]
    overflows = 0
    for n in range(population.size):
        x = cells[rules.entering + n]
        change = x - cells[registers[ACTIVATION] + n] + cells[registers[RESIDUE] + n]
        change, lost = held(change, _WORD, WRAP)
        overflows += lost
        measure = change
        if cumulative:
            measure, lost = held(cells[registers[ERROR] + n] + change, _WORD, WRAP)
            overflows += lost
        out = change if abs(measure) >= plan.numbers[threshold_at + n] else 0
        if cumulative:
            cells[registers[ERROR] + n] = 0 if out != 0 else measure
        cells[registers[ACTIVATION] + n], cells[registers[RESIDUE] + n] = x, change - out
        cells[registers[PAYLOAD] + n] = out >> shift
    return overflows
