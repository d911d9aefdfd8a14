"""The scales of a population that are worth a look: which ones fit, which ones provably do."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snn_deploy.quantize.drive import Drive
from snn_deploy.quantize.task import Task, geometric, memory_of
from snn_deploy.targets import Target

OCTAVES = 6
"""Octaves below the largest provable scale that are searched."""

HEADROOM = 4.0
"""How many thresholds the membrane register must hold at least."""

DEVIATIONS = 8.0
"""Standard deviations of the usual drive that the registers must hold."""

PROOF_MARGIN = 0.98
"""Share of a register that the worst case may fill, for rounding may enlarge it."""

TINY = 1e-300
"""Stands for 0 in a division."""

SIZES = (2.0**-200, 2.0**200)
"""Sizes of numbers that are scaled, far beyond those of float32: their squares stay normal."""

LARGEST_SCALE = 2.0**300
"""Larger scales come from numbers that are all 0."""

CROSSINGS = 256.0
"""Worst-case steps that a membrane without leak must take before it can saturate."""


def full_scale(drive: Drive, shift: int) -> float:
    """Return the scale at which the largest weight becomes the largest stored number."""
    sides = [
        limit / value
        for limit, value in ((drive.stored.high, drive.high), (drive.stored.low, drive.low))
        if value
    ]
    return min(sides) * 2.0**shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The scales worth a look."""

    lowest: float
    provable: float
    """Up to here no input can drive a state out of its register."""

    highest: float
    """Up to here every number fits its register, with room for the usual drive."""

    @classmethod
    def of(cls, task: Task) -> "Limits":
        """Return the scales of one population."""
        target, population = task.target, task.population
        shift, exponent = target.weights.shift.value, target.weights.exponent.high
        threshold = float(np.abs(population.threshold).max()) if task.fires else 0.0
        level = max([threshold, *(float(np.abs(x).max()) for x in task.levels)])
        rooms = [target.highest_state / max(HEADROOM * level + _usual(task), 2 * task.seen, TINY)]
        rooms += [full_scale(d, shift) * 2.0**exponent for d in task.drives if d.largest]
        rooms += [_bias_room(target, lowered) / max(b, TINY) for b, lowered in _bias_sizes(task)]
        rooms.append(target.highest_threshold / max(threshold, TINY))
        highest = min(rooms)
        if highest > LARGEST_SCALE:  # no number has a size here
            highest = 2.0 ** (target.states.membrane.bits - 2)
        sums = max((float(s.max(initial=0)) for s in _sums(task)), default=0.0)
        provable = PROOF_MARGIN * min(
            target.highest_state / max(_worst(task), TINY),
            (target.highest_sum << shift) / max(sums, TINY),
        )
        provable = min(provable, highest)
        return cls(
            lowest=provable / 2.0**OCTAVES,
            provable=provable,
            highest=provable if task.prove else highest,
        )


def _bias_sizes(task: Task) -> Iterator[tuple[float, bool]]:
    for bias, lowered in zip(task.population.biases, task.lowered, strict=True):
        yield float(np.abs(bias.value).max()), lowered


def _bias_room(target: Target, lowered: bool) -> float:
    if not lowered:
        return float(target.biases.mantissa.high << target.biases.exponent.high)
    stored = min(target.weights.excitatory.high, -target.weights.inhibitory.low)
    return float(stored << (target.weights.exponent.high + target.weights.shift.value))


def _sums(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest sum of weights, up and down, that each neuron can receive in a step."""
    size = task.population.size
    up, down = np.zeros(size), np.zeros(size)
    for drive in task.drives:
        up += np.repeat(drive.most, size // drive.rows)
        down -= np.repeat(drive.least, size // drive.rows)
    for bias, lowered in zip(task.population.biases, task.lowered, strict=True):
        if lowered:
            up += np.maximum(task.neurons(bias.value), 0)
            down += np.maximum(-task.neurons(bias.value), 0)
    return up, down


def _usual(task: Task) -> float:
    """Return a large but usual membrane: some standard deviations of the drive, and biases."""
    memory = memory_of(task)
    largest = 0.0
    for drive in task.drives:
        steps = drive.of_rows(memory)
        deviation = np.sqrt(drive.per_row(drive.weight**2 * drive.power) * steps)
        mean = np.abs(drive.per_row(drive.weight * drive.mean)) * steps
        largest += float((DEVIATIONS * deviation + mean).max(initial=0))
    for bias in task.population.biases:
        largest += float((np.abs(task.neurons(bias.value)) * memory).max())
    return largest


def _worst(task: Task) -> float:
    """Return the largest state that any input can cause; a membrane without leak: see CROSSINGS."""
    population = task.population
    up, down = _sums(task)
    for bias, lowered in zip(population.biases, task.lowered, strict=True):
        if not lowered:
            up = up + np.maximum(task.neurons(bias.value), 0)
            down = down + np.maximum(-task.neurons(bias.value), 0)
    step = np.maximum(up, down)
    if population.synapse is not None:
        step = step * geometric(task.neurons(population.synapse.decay), 4096.0)
    membrane = step * geometric(task.neurons(population.decay), CROSSINGS)
    return float(membrane.max(initial=0.0)) + float(np.abs(population.threshold).max())
