"""One step of the neurons outside the canonical family: the docstrings of `ir/kinds.py`."""

from typing import Any

import numpy as np

from snn_deploy.backends.event.arithmetic import compiled, held, scaled
from snn_deploy.backends.event.stepwise.kernels.general import (
    Here,
    arriving,
    hold_total,
    notice,
    send,
)
from snn_deploy.backends.event.stepwise.tables import (
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
    THETA,
    WRAP,
    Plan,
)

_WORD = 1 << 31


@compiled
def advance_kind(plan: Plan, cells: np.ndarray, population: Any, step: int) -> tuple[int, int]:
    """Compute one step of a population; return how many neurons sent, and the overflows.

    A kernel finds what arrives at the first door in the cells of `entering`, and what arrives at
    the second one, if there is one, in those of `total`.
    """
    rules, here = plan.rules[0], Here(plan.rules, plan.tables, plan.numbers, cells)
    arriving(plan, cells, population, 0, step)
    overflows = hold_total(here, population.size)
    for n in range(population.size):
        cells[rules.entering + n] = cells[rules.total + n]
    if population.door_end > 1:
        arriving(plan, cells, population, 1, step)
        overflows += hold_total(here, population.size)
    overflows += _advance(here, population)
    notice(cells, population)
    return send(here, population), overflows


@compiled
def _advance(here: Here, population: Any) -> int:
    if population.kernel == ADAPTIVE:
        return _adaptive(here, population)
    if population.kernel == RESONATOR:
        return _resonator(here, population)
    if population.kernel == SIGMA:
        return _sigma(here, population)
    if population.kernel == DELTA:
        return _delta(here, population)
    return _sigma_delta(here, population)


@compiled
def _adaptive(here: Here, population: Any) -> int:
    rules, numbers, cells = here.rules[0], here.numbers, here.cells
    at, overflows = population.parameters, 0
    bits, registers = rules.decay_bits, population.registers
    for n in range(population.size):
        i = scaled(cells[registers[CURRENT] + n], numbers[at[0] + n], bits)
        i, lost_i = held(i + cells[rules.entering + n], rules.current_half, rules.current_overflow)
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
def _resonator(here: Here, population: Any) -> int:
    rules, numbers, cells = here.rules[0], here.numbers, here.cells
    at, overflows = population.parameters, 0
    half, overflow, registers = rules.membrane_half, rules.membrane_overflow, population.registers
    crosses, bits = population.options[0] == CROSSING, population.options[1]
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
def _add_up(here: Here, population: Any) -> int:
    """Add what arrives to the decoded sum; return the overflows."""
    rules, cells, overflows = here.rules[0], here.cells, 0
    first = population.registers[DECODED]
    for n in range(population.size):
        kept, lost = held(cells[first + n] + cells[rules.entering + n], _WORD, WRAP)
        cells[first + n] = kept
        overflows += lost
    return overflows


@compiled
def _sigma(here: Here, population: Any) -> int:
    decoded, payload = population.registers[DECODED], population.registers[PAYLOAD]
    overflows = _add_up(here, population)
    for n in range(population.size):
        here.cells[payload + n] = here.cells[decoded + n]
    return overflows


@compiled
def _delta(here: Here, population: Any) -> int:
    rules, cells, overflows = here.rules[0], here.cells, 0
    for at in range(rules.entering, rules.entering + population.size):
        kept, lost = held(cells[at], _WORD, WRAP)
        cells[at] = kept
        overflows += lost
    shift, cumulative = population.options[0], population.options[1] != 0
    return overflows + _encode(here, population, shift, cumulative)


@compiled
def _sigma_delta(here: Here, population: Any) -> int:
    rules, cells, first = here.rules[0], here.cells, population.registers[DECODED]
    bias, rectifies = population.parameters[1], population.options[0] == RELU
    overflows = _add_up(here, population)
    for n in range(population.size):
        x, lost = held(cells[first + n] + here.numbers[bias + n], _WORD, WRAP)
        cells[rules.entering + n] = max(x, 0) if rectifies else x
        overflows += lost
    shift, cumulative = population.options[1], population.options[2] != 0
    return overflows + _encode(here, population, shift, cumulative)


@compiled
def _encode(here: Here, population: Any, shift: int, cumulative: bool) -> int:
    """Send the changes of what is in the cells of `entering`; return the overflows."""
    rules, cells, registers = here.rules[0], here.cells, population.registers
    threshold, overflows = population.parameters[0], 0
    for n in range(population.size):
        x = cells[rules.entering + n]
        change = x - cells[registers[ACTIVATION] + n] + cells[registers[RESIDUE] + n]
        change, lost = held(change, _WORD, WRAP)
        overflows += lost
        measure = change
        if cumulative:
            measure, lost = held(cells[registers[ERROR] + n] + change, _WORD, WRAP)
            overflows += lost
        out = change if abs(measure) >= here.numbers[threshold + n] else 0
        if cumulative:
            cells[registers[ERROR] + n] = 0 if out != 0 else measure
        cells[registers[ACTIVATION] + n], cells[registers[RESIDUE] + n] = x, change - out
        cells[registers[PAYLOAD] + n] = out >> shift
    return overflows
