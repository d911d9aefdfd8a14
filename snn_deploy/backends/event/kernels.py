"""The compiled inner loops: one sample after another, step by step, from event to event.

A step sums what arrives into a ring of future steps, one per population: each event adds its
row of weights at once to the step in which it arrives, so no event is kept or looked at again.
Every line of `_advance` is a line of `ir/program.py`, for one neuron.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np

from snn_deploy.backends.event.plan import (
    AFTER_RESET,
    BEFORE_TEST,
    BINARY,
    COUNT,
    SUBTRACT,
    TO_VALUE,
    Plan,
    Way,
)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_DENSE, _ROWS = int(Way.DENSE), int(Way.ROWS)


def _compiled(kernel: Kernel) -> Kernel:
    """Compile a function on its first call; it runs without Python's lock."""
    return numba.njit(nogil=True, cache=True)(kernel)


class Records(NamedTuple):
    """What a run leaves, flat; each population has a block of its own.

    Of states [sample, step, neuron] from `*_block` on (negative: not wanted), of counts
    [sample, neuron] from `count_block` on, both in the program's order of neurons.
    """

    current: np.ndarray
    membrane: np.ndarray
    payload: np.ndarray
    current_block: np.ndarray
    membrane_block: np.ndarray
    payload_block: np.ndarray
    events: np.ndarray
    spikes: np.ndarray
    count_block: np.ndarray
    overflows: np.ndarray
    """Overflows [sample, population]."""


class Work(NamedTuple):
    """The states of one sample, and room to compute in."""

    current: np.ndarray
    membrane: np.ndarray
    sent: np.ndarray
    """Payload of the last step of each neuron."""

    bias_current: np.ndarray
    bias_membrane: np.ndarray
    moving: np.ndarray
    """Whether some state of a population is not 0."""

    ring: np.ndarray
    """What arrives at each neuron in the steps to come."""

    arrived: np.ndarray
    """Whether anything arrives in that step."""

    event: np.ndarray
    """Which neurons sent something in this step, within their population."""

    value: np.ndarray
    """And what."""


@_compiled
def run_samples(plan: Plan, payloads: np.ndarray, first: int, last: int, records: Records) -> None:
    """Run the samples `first` to `last` of `payloads` [sample, step, input value]."""
    neurons = plan.decay.size
    most = 1
    for entry in plan.inputs:
        most = max(most, entry.size)
    cells = flags = 0
    for population in plan.populations:
        most = max(most, population.size)
        cells += population.slots * population.size
        flags += population.slots
    work = Work(
        np.zeros(neurons, np.int64),
        np.zeros(neurons, np.int64),
        np.zeros(neurons, np.int64),
        np.zeros(neurons, np.int64),
        np.zeros(neurons, np.int64),
        np.zeros(plan.populations.size, np.bool_),
        np.zeros(cells, np.int64),
        np.zeros(flags, np.bool_),
        np.zeros(most, np.int64),
        np.zeros(most, np.int64),
    )
    for sample in range(first, last):
        _start(plan, work)
        for step in range(payloads.shape[1]):
            _step(plan, work, payloads, sample, step, records)


@_compiled
def _start(plan: Plan, work: Work) -> None:
    """Set every state to its initial value."""
    work.current[:] = plan.current_initial
    work.membrane[:] = plan.initial
    work.sent[:] = 0
    work.bias_current[:] = 0
    work.bias_membrane[:] = 0
    work.moving[:] = True
    work.ring[:] = 0
    work.arrived[:] = False


@_compiled
def _step(
    plan: Plan, work: Work, payloads: np.ndarray, sample: int, step: int, records: Records
) -> None:
    """Run one step of one sample."""
    steps = payloads.shape[1]
    for bias in plan.biases:
        if bias.start == step:
            _start_bias(plan, work, bias)
    for entry in plan.inputs:
        count = 0
        for index in range(entry.size):
            payload = payloads[sample, step, entry.first + index]
            if payload != 0:
                work.event[count] = index
                work.value[count] = payload
                count += 1
        _deliver(plan, work, entry.edge, entry.edge_end, count, step, steps)
    for index in range(plan.populations.size):
        population = plan.populations[index]
        slot = step % population.slots
        heard = work.arrived[population.arrived + slot]
        rests = population.rests and not work.moving[index] and step < population.first_bias
        if step >= population.lag and (heard or not rests):
            count, overflows = _advance(plan, work, index, slot)
            records.overflows[sample, index] += overflows
            _count(plan, work, population, index, count, sample, records)
            _deliver(plan, work, population.edge, population.edge_end, count, step, steps)
        if heard:
            at = population.ring + slot * population.size
            work.ring[at : at + population.size] = 0
            work.arrived[population.arrived + slot] = False
        if work.moving[index]:
            _keep(plan, work, population, index, sample * steps + step, records)


@_compiled
def _start_bias(plan: Plan, work: Work, bias: Any) -> None:
    sums = work.bias_current if bias.into_current else work.bias_membrane
    for index in range(bias.size):
        sums[bias.first + index] += plan.bias_values[bias.value + index]


@_compiled
def _decayed(value: int, multiplier: int, bits: int) -> int:
    """Return sign(value) * ((|value| * multiplier) >> bits)."""
    if value < 0:
        return -((-value * multiplier) >> bits)
    return (value * multiplier) >> bits


@_compiled
def _held(value: int, half: int, wraps: bool) -> tuple[int, bool]:
    """Return what a register keeps of `value`, and whether that is something else."""
    if wraps:
        if value > half:
            return value - 2 * half, True
        if value <= -half:
            return value + 2 * half, True
        return value, False
    kept = min(max(value, 1 - half), half - 1)
    return kept, kept != value


@_compiled
def _after_reset(v: int, kind: int, amount: int, payload: int) -> int:
    if kind == SUBTRACT:
        return v - payload * amount
    if kind == TO_VALUE and payload != 0:
        return amount
    return v


@_compiled
def _fired(v: int, threshold: int, kind: int, greater: bool, most: int) -> int:
    """Return the payload of a neuron."""
    if kind == BINARY:
        return int(v > threshold if greater else v >= threshold)
    if kind == COUNT:
        reached = v - 1 if greater else v
        return min(max(reached // threshold, 0), most)
    return 0


@_compiled
def _advance(plan: Plan, work: Work, index: int, slot: int) -> tuple[int, int]:
    """Compute one step of a population; return how many neurons sent, and the overflows."""
    population, rules = plan.populations[index], plan.rules[0]
    has_current, reads_old = population.has_current != 0, population.reads_old != 0
    fires, greater, most = population.fires, population.greater != 0, population.most
    reset, late, floor = population.reset, population.late != 0, population.floor
    u_half, u_wraps = rules.current_half, rules.current_wraps != 0
    v_half, v_wraps = rules.membrane_half, rules.membrane_wraps != 0
    bits = rules.decay_bits
    size, at = population.size, population.ring + slot * population.size
    own = slice(population.first, population.first + size)
    drive, sent = work.ring[at : at + size], work.sent[own]
    current, membrane = work.current[own], work.membrane[own]
    bias_current, bias_membrane = work.bias_current[own], work.bias_membrane[own]
    decay, current_decay = plan.decay[own], plan.current_decay[own]
    threshold, amount, lowest = plan.threshold[own], plan.amount[own], plan.floor[own]
    count = overflows = 0
    moving = False
    for n in range(size):
        integrated = drive[n]
        if has_current:
            old = current[n]
            u = _decayed(old, current_decay[n], bits) + integrated + bias_current[n]
            u, lost = _held(u, u_half, u_wraps)
            overflows += lost
            current[n] = u
            moving |= u != 0
            integrated = old if reads_old else u
        v = _decayed(membrane[n], decay[n], bits) + integrated + bias_membrane[n]
        v, lost = _held(v, v_half, v_wraps)
        overflows += lost
        if late:
            v, lost = _held(_after_reset(v, reset, amount[n], sent[n]), v_half, v_wraps)
            overflows += lost
        if floor == BEFORE_TEST:
            v = max(v, lowest[n])
        payload = _fired(v, threshold[n], fires, greater, most)
        if not late:
            v, lost = _held(_after_reset(v, reset, amount[n], payload), v_half, v_wraps)
            overflows += lost
        if floor == AFTER_RESET:
            v = max(v, lowest[n])
        membrane[n], sent[n] = v, payload
        moving |= v != 0 or payload != 0
        if payload != 0:
            work.event[count], work.value[count] = n, payload
            count += 1
    work.moving[index] = moving
    return count, overflows


@_compiled
def _count(
    plan: Plan,
    work: Work,
    population: Any,
    index: int,
    count: int,
    sample: int,
    records: Records,
) -> None:
    """Add this step's events to the counts."""
    block = records.count_block[index] + sample * population.size
    for k in range(count):
        at = block + plan.place[population.first + work.event[k]]
        records.events[at] += 1
        records.spikes[at] += work.value[k]


@_compiled
def _keep(plan: Plan, work: Work, population: Any, index: int, row: int, records: Records) -> None:
    """Record the states of a population; what is not written stays 0."""
    _keep_state(
        plan, work.membrane, population, records.membrane_block[index], row, records.membrane
    )
    _keep_state(plan, work.sent, population, records.payload_block[index], row, records.payload)
    _keep_state(plan, work.current, population, records.current_block[index], row, records.current)


@_compiled
def _keep_state(
    plan: Plan, state: np.ndarray, population: Any, block: int, row: int, record: np.ndarray
) -> None:
    if block < 0:
        return
    at = block + row * population.size
    for n in range(population.first, population.first + population.size):
        record[at + plan.place[n]] = state[n]


@_compiled
def _deliver(
    plan: Plan, work: Work, edge: int, edge_end: int, count: int, step: int, steps: int
) -> None:
    """Send the first `count` events through the edges of their source."""
    if count == 0:
        return
    for row in range(edge, edge_end):
        way = plan.edges[row]
        target = plan.populations[way.target]
        for k in range(count):
            source, value = work.event[k], work.value[k]
            arrives = step + plan.delays[way.delay + way.delay_stride * source]
            if arrives >= steps:
                continue
            slot = arrives % target.slots
            work.arrived[target.arrived + slot] = True
            at = target.ring + slot * target.size
            if way.way == _DENSE:
                weight = way.weight + source * way.size
                _add_row(work.ring, at, plan.weights, weight, way.size, value)
            elif way.way == _ROWS:
                for synapse in range(plan.rows[way.row + source], plan.rows[way.row + source + 1]):
                    given = plan.weights[way.weight + synapse] * value
                    work.ring[at + plan.posts[synapse]] += given
            else:
                _add_kernel(plan, work.ring, at, way, source, value)


@_compiled
def _add_row(
    ring: np.ndarray, at: int, weights: np.ndarray, weight: int, size: int, value: int
) -> None:
    """Add `value` times a row of weights to consecutive neurons."""
    # Slices, because the compiler makes vector code only where it sees no negative index.
    to, row = ring[at : at + size], weights[weight : weight + size]
    if value == 1:
        for k in range(size):
            to[k] += row[k]
    else:
        for k in range(size):
            to[k] += row[k] * value


@_compiled
def _add_kernel(plan: Plan, ring: np.ndarray, at: int, edge: Any, source: int, value: int) -> None:
    """Add one event through a convolution: each tap gives a row of output channels."""
    channel = plan.points[edge.point + source, 0]
    from_top = plan.points[edge.point + source, 1] + edge.top
    from_left = plan.points[edge.point + source, 2] + edge.left
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
                _add_row(ring, to, plan.weights, row, edge.outs, value)
            else:
                for out in range(edge.outs):
                    ring[to + out * edge.step_o] += plan.weights[row + out] * value
