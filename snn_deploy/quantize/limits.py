"""The scales of a population that are worth a look: which ones fit, which ones provably do."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

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

TINY = 1e-280
"""Stands for 0 in a division."""

SIZES = (2.0**-200, 2.0**200)
"""Sizes of numbers that are scaled, far beyond those of float32: their squares stay normal."""

LARGEST_SCALE = 2.0**300
"""Larger scales come from numbers that are all 0."""

CROSSINGS = 256.0
"""Worst-case steps that a membrane without leak must take before it can saturate."""


def full_scale(drive: Drive, shift: int) -> float:
    """Return the scale at which the largest weight becomes the largest stored number."""
    return float(drive.room.min()) * 2.0**shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The scales worth a look, for each neuron."""

    provable: Float[np.ndarray, " neuron"]
    """Up to here no input can drive a state out of its register."""

    highest: Float[np.ndarray, " neuron"]
    """Up to here every number fits its register, with room for the usual drive."""

    @property
    def lowest(self) -> float:
        """The smallest scale of a whole layer that is searched."""
        return float(self.provable.min()) / 2.0**OCTAVES

    @classmethod
    def of(cls, task: Task) -> "Limits":
        """Return the scales of one population."""
        target, population = task.target, task.population
        shift, exponent = target.weights.shift.value, target.weights.exponent.high
        threshold = np.abs(task.neurons(population.threshold)) * task.fires
        level = threshold
        for other in task.levels:
            level = np.maximum(level, np.abs(task.neurons(other)))
        needed = np.maximum(HEADROOM * level + usual_state(task), 2 * task.largest_seen)
        highest = target.highest_state / np.maximum(needed, TINY)
        for bias, lowered in zip(population.biases, task.lowered, strict=True):
            size = np.maximum(np.abs(task.neurons(bias.value)), TINY)
            highest = np.minimum(highest, _bias_room(target, lowered) / size)
        highest = np.minimum(highest, target.highest_threshold / np.maximum(threshold, TINY))
        for drive in task.drives:
            room = np.repeat(drive.room, population.size // drive.rows)
            highest = np.minimum(highest, room * 2.0 ** (shift + exponent))
        unbounded = 2.0 ** (target.states.membrane.bits - 2)  # no number has a size there
        highest = np.where(highest > LARGEST_SCALE, unbounded, highest)
        provable = np.minimum(PROOF_MARGIN * _proven(task), highest)
        return cls(provable=provable, highest=provable if task.prove else highest)


def _proven(task: Task) -> Float[np.ndarray, " neuron"]:
    """Return the scale at which the worst case fills a register, at most."""
    target = task.target
    sums = np.maximum(*_sums(task))
    return np.minimum(
        target.highest_state / np.maximum(_worst(task), TINY),
        (target.highest_sum << target.weights.shift.value) / np.maximum(sums, TINY),
    )


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


def usual_state(task: Task) -> Float[np.ndarray, " neuron"]:
    """Return a large but usual membrane: some standard deviations of the drive, and biases."""
    memory = memory_of(task)
    usual = np.zeros(task.population.size)
    for drive in task.drives:
        steps = drive.of_rows(memory)
        deviation = np.sqrt(drive.per_row(drive.weight**2 * drive.power) * steps)
        seen = DEVIATIONS * deviation + np.abs(drive.per_row(drive.weight * drive.mean)) * steps
        rows = np.full(drive.rows, seen.max(initial=0.0))
        rows[drive.sampled] = seen
        usual += np.repeat(rows, task.population.size // drive.rows)
    for bias in task.population.biases:
        usual += np.abs(task.neurons(bias.value)) * memory
    return usual


def _worst(task: Task) -> Float[np.ndarray, " neuron"]:
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
    return membrane + np.abs(task.neurons(population.threshold))
