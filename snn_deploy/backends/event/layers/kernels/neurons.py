"""One step of a block of plain neurons: the lines of `ir/program.py`, for many neurons at once.

Nearly always no register overflows, and then all lines are one loop without a branch. It keeps the
old states on a desk; where some register would overflow, the block is computed again from them,
neuron by neuron.
"""

from typing import Any, NamedTuple

import numpy as np

from snn_deploy.backends.event.arithmetic import (
    Scalar,
    after_reset,
    as32,
    as64,
    compiled,
    held,
    inlined,
    part,
    scaled,
)
from snn_deploy.backends.event.layers.kernels.lanes import widest_lanes
from snn_deploy.backends.event.layers.tables import (
    AMOUNT,
    BINARY,
    BLOCK,
    COUNT,
    CURRENT_DECAY,
    CURRENT_OVERFLOW,
    DECAY,
    FLOOR_AFTER,
    FLOOR_BEFORE,
    FRACTION,
    HALF_CURRENT,
    HALF_MEMBRANE,
    MEMBRANE_OVERFLOW,
    SAFE_CURRENT,
    SAFE_MEMBRANE,
    SILENT,
    THRESHOLD,
    LayerPlan,
)
from snn_deploy.backends.event.records import ABSENT
from snn_deploy.backends.event.stepwise.tables import SUBTRACT, TO_VALUE


class Desk(NamedTuple):
    """Room to compute a block in."""

    drive: np.ndarray
    """What arrives, shifted."""

    current: np.ndarray
    membrane: np.ndarray
    payload: np.ndarray
    """The states before this step; the payload only where the neurons need it."""


def new_desk() -> Desk:
    """Return an empty desk."""
    drive, current, membrane, payload = (np.zeros(BLOCK, np.int32) for _ in range(4))
    return Desk(drive, current, membrane, payload)


@inlined
def _size(value: Scalar) -> Scalar:
    """Return how far from 0 a number is: its absolute value, or one less below 0."""
    return as32(value ^ (value >> 31))


@inlined
def _leaked(value: Scalar, multiplier: Scalar) -> Scalar:
    """Return value * multiplier / 2**FRACTION, rounded toward zero, within 32 bits."""
    # The upper bits times the multiplier are whole; only the lower ones have to be rounded. The
    # shift is a constant so that the compiler sees that 32 bits are enough.
    size = as32(abs(value))
    upper, lower = as32(size >> FRACTION), as32(size & ((1 << FRACTION) - 1))
    kept = as32(upper * multiplier) + as32(as32(lower * multiplier) >> FRACTION)
    return as32(-kept if value < 0 else kept)


@inlined
def compute_block(
    plan: LayerPlan,
    layer: Any,
    block: int,
    first: int,
    size: int,
    cells: np.ndarray,
    marks: np.ndarray,
    bias: Any,
    desk: Desk,
) -> tuple[bool, int]:
    """Compute the neurons `first` to `first + size` of a layer from `desk.drive`.

    Args:
        plan: The tables.
        layer: The population.
        block: Which of its blocks.
        first: First neuron.
        size: How many.
        cells: The states of one sample.
        marks: Which neurons send something, of the same sample.
        bias: The biases of this step (`EPOCH`).
        desk: Where to compute.

    Returns:
        Whether some state is not 0, and how many registers overflowed.
    """
    fits, alive = _try(plan, layer, block, first, size, cells, marks, bias, desk)
    if fits:
        return alive, 0
    _restore(layer, first, size, cells, desk)
    return _carefully(plan, layer, block, first, size, cells, marks, bias, desk)


@compiled
def _restore(layer: Any, first: int, size: int, cells: np.ndarray, desk: Desk) -> None:
    """Put back the states that an attempt has overwritten."""
    membrane = part(cells, layer.membrane + first, size)
    for n in range(size):
        membrane[n] = desk.membrane[n]
    if layer.payload != ABSENT:
        payload = part(cells, layer.payload + first, size)
        for n in range(size):
            payload[n] = desk.payload[n]
    if layer.has_current:
        current = part(cells, layer.current + first, size)
        for n in range(size):
            current[n] = desk.current[n]


@inlined
def _try(
    plan: LayerPlan,
    layer: Any,
    block: int,
    first: int,
    size: int,
    cells: np.ndarray,
    marks: np.ndarray,
    bias: Any,
    desk: Desk,
) -> tuple[bool, bool]:
    """Compute a block as if nothing overflowed; leave the old states on the desk.

    Returns:
        Whether nothing does, and whether some state is not 0.
    """
    numbers, at, by = plan.numbers, layer.parameters, layer.strides
    driven = part(desk.drive, 0, size)
    alive, unsafe = as32(0), False
    if layer.has_current:
        largest, alive = _currents(plan, layer, block, first, size, cells, bias, desk)
        new = part(cells, layer.current + first, size)
        driven = part(desk.current, 0, size) if layer.reads_old else new
        unsafe = largest >= plan.rules[SAFE_CURRENT]
    now = Block(
        v=part(cells, layer.membrane + first, size),
        driven=driven,
        given=part(numbers, bias.membrane + first, size),
        decay=part(numbers, at[DECAY] + block * by[DECAY], size),
        threshold=part(numbers, at[THRESHOLD] + block * by[THRESHOLD], size),
        amount=part(numbers, at[AMOUNT] + block * by[AMOUNT], size),
        before=part(numbers, at[FLOOR_BEFORE] + block * by[FLOOR_BEFORE], size),
        after=part(numbers, at[FLOOR_AFTER] + block * by[FLOOR_AFTER], size),
        old=part(desk.membrane, 0, size),
        fired=part(marks, layer.marks + first, size),
    )
    late, hard = layer.late != 0, layer.hard != 0
    if layer.payload != ABSENT:
        most, greater = as32(layer.most_spikes), as32(layer.greater)
        s, last = part(cells, layer.payload + first, size), part(desk.payload, 0, size)
        worst, moving = _spikes_any(now, s, last, late, hard, layer.sends == COUNT, greater, most)
    elif layer.floors:
        worst, moving = _spike(now, hard, True, True)
    elif layer.leaks:
        worst, moving = _spike(now, hard, True, False)
    else:
        worst, moving = _spike(now, hard, False, False)
    return worst < plan.rules[SAFE_MEMBRANE] and not unsafe, (alive | moving) != 0


class Block(NamedTuple):
    """The numbers of the neurons of a block, one each: states, parameters, room."""

    v: np.ndarray
    driven: np.ndarray
    given: np.ndarray
    decay: np.ndarray
    threshold: np.ndarray
    amount: np.ndarray
    before: np.ndarray
    after: np.ndarray
    old: np.ndarray
    fired: np.ndarray


@inlined
def _spike(now: Block, hard: bool, leaks: bool, floors: bool) -> tuple[Scalar, Scalar]:
    """Compute neurons that send one spike, and lose it from their membrane at once.

    Each call is compiled on its own, with what `leaks` and `floors` say.

    Returns:
        The largest size of a membrane, and something that is 0 where all states are.
    """
    widest_lanes()
    v, driven, given, decay, threshold, amount, before, after, old, fired = now
    worst, alive = as32(0), as32(0)
    for n in range(v.size):
        x = as32((_leaked(v[n], decay[n]) if leaks else v[n]) + driven[n] + given[n])
        worst = as32(max(worst, _size(x)))
        if floors:
            x = max(x, before[n])
        fires = x > threshold[n]
        lost = as32(x - amount[n]) if hard else amount[n]
        x = as32(x - (lost if fires else as32(0)))
        worst = as32(max(worst, _size(x)))
        if floors:
            x = max(x, after[n])
        old[n], v[n], fired[n] = v[n], x, fires
        alive = as32(alive | x | as32(fires))
    return worst, alive


@inlined
def _spikes_any(
    now: Block,
    s: np.ndarray,
    last: np.ndarray,
    late: bool,
    hard: bool,
    counts: bool,
    greater: Scalar,
    most: Scalar,
) -> tuple[Scalar, Scalar]:
    """Compute neurons that send any number of spikes, or lose them a step later.

    Returns:
        The largest size of a membrane, and something that is 0 where all states are.
    """
    widest_lanes()
    v, driven, given, decay, threshold, amount, before, after, old, fired = now
    worst, alive = as32(0), as32(0)
    for n in range(v.size):
        x = as32(_leaked(v[n], decay[n]) + driven[n] + given[n])
        worst = as32(max(worst, _size(x)))
        x = as32(x - (_drop(x, amount[n], s[n], hard) if late else 0))
        worst = as32(max(worst, _size(x)))
        x = max(x, before[n])
        spikes = as32(x > threshold[n])
        if counts:
            reached = np.floor(np.float64(x - greater) / np.float64(threshold[n]))
            spikes = min(max(as32(reached), as32(0)), most)
        x = as32(x - (0 if late else _drop(x, amount[n], spikes, hard)))
        worst = as32(max(worst, _size(x)))
        x = max(x, after[n])
        old[n], last[n], v[n], s[n], fired[n] = v[n], s[n], x, spikes, spikes != 0
        alive = as32(alive | x | spikes)
    return worst, alive


@inlined
def _drop(x: Scalar, amount: Scalar, spikes: Scalar, hard: bool) -> Scalar:
    """Return what a reset takes from a membrane."""
    if hard:
        return as32(x - amount) if spikes != 0 else as32(0)
    return as32(spikes * amount)


@inlined
def _currents(
    plan: LayerPlan,
    layer: Any,
    block: int,
    first: int,
    size: int,
    cells: np.ndarray,
    bias: Any,
    desk: Desk,
) -> tuple[int, int]:
    """Compute the synaptic currents of a block; leave the old ones on the desk.

    Returns:
        The largest size of one, old or new, and something that is 0 where all of them are.
    """
    widest_lanes()
    numbers, at, by = plan.numbers, layer.parameters, layer.strides
    u, drive = part(cells, layer.current + first, size), part(desk.drive, 0, size)
    given = part(plan.numbers, bias.current + first, size)
    decay = part(numbers, at[CURRENT_DECAY] + block * by[CURRENT_DECAY], size)
    old = part(desk.current, 0, size)
    largest, alive = as32(0), as32(0)
    for n in range(size):
        x = as32(_leaked(u[n], decay[n]) + drive[n] + given[n])
        largest = as32(max(largest, _size(u[n]), _size(x)))
        old[n], u[n] = u[n], x
        alive = as32(alive | x)
    return largest, alive


@compiled
def _carefully(
    plan: LayerPlan,
    layer: Any,
    block: int,
    first: int,
    size: int,
    cells: np.ndarray,
    marks: np.ndarray,
    bias: Any,
    desk: Desk,
) -> tuple[bool, int]:
    """Compute a block in which registers overflow; return if a state is not 0, and how many do."""
    numbers, at, by = plan.numbers, layer.parameters, layer.strides
    u_half, u_rule = plan.rules[HALF_CURRENT], plan.rules[CURRENT_OVERFLOW]
    half, rule = plan.rules[HALF_MEMBRANE], plan.rules[MEMBRANE_OVERFLOW]
    reset = TO_VALUE if layer.hard else SUBTRACT
    overflows, alive = 0, False
    for k in range(size):
        n = first + k
        integrated = as64(desk.drive[k])
        if layer.has_current:
            old = as64(cells[layer.current + n])
            decay = numbers[at[CURRENT_DECAY] + block * by[CURRENT_DECAY] + k]
            u = scaled(old, decay, FRACTION) + integrated + numbers[bias.current + n]
            u, lost = held(u, u_half, u_rule)
            overflows += lost
            cells[layer.current + n] = u
            alive |= u != 0
            integrated = old if layer.reads_old else u
        amount = as64(numbers[at[AMOUNT] + block * by[AMOUNT] + k])
        decay = numbers[at[DECAY] + block * by[DECAY] + k]
        v = scaled(as64(cells[layer.membrane + n]), decay, FRACTION)
        v, lost = held(v + integrated + numbers[bias.membrane + n], half, rule)
        overflows += lost
        if layer.late:
            v, lost = held(after_reset(v, reset, amount, cells[layer.payload + n]), half, rule)
            overflows += lost
        v = max(v, as64(numbers[at[FLOOR_BEFORE] + block * by[FLOOR_BEFORE] + k]))
        spikes = _spikes(layer, v, numbers[at[THRESHOLD] + block * by[THRESHOLD] + k])
        if not layer.late:
            v, lost = held(after_reset(v, reset, amount, spikes), half, rule)
            overflows += lost
        v = max(v, as64(numbers[at[FLOOR_AFTER] + block * by[FLOOR_AFTER] + k]))
        cells[layer.membrane + n] = v
        if layer.payload != ABSENT:
            cells[layer.payload + n] = spikes
        marks[layer.marks + n] = spikes != 0
        alive |= v != 0 or spikes != 0
    return alive, overflows


@inlined
def _spikes(layer: Any, v: Scalar, threshold: Scalar) -> Scalar:
    """Return how many spikes a membrane is worth."""
    if layer.sends == BINARY:
        return int(v > threshold)
    if layer.sends == SILENT:
        return 0
    return min(max((v - layer.greater) // threshold, 0), layer.most_spikes)
