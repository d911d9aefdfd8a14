"""The scales of a population that are worth a look: which ones fit, which ones provably do."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from snn_deploy.ir.arithmetic import Overflow
from snn_deploy.ir.neuron import State, Tabled
from snn_deploy.quantize.drive import Drive
from snn_deploy.quantize.task import Task, geometric, memory_of
from snn_deploy.targets import Target

OCTAVES = 6
"""Octaves below the largest provable scale that are searched."""

HEADROOM = 4.0
"""How many thresholds the membrane register must hold beside the usual drive, without data."""

SEEN_HEADROOM = 2.0
"""How many it must hold at least, where data tells of the drive."""

SATURATION_GUARD = 1.5
"""How many times the largest state on the data a register must hold that saturates: beyond it, a
rare input loses what is too much."""

WRAP_GUARD = 2.0
"""The same of a register that wraps: beyond it, a state changes its sign."""

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
"""Worst-case steps that a membrane without leak must take before it can saturate, where nothing
says how long a sample is."""


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
        proven = PROOF_MARGIN * _proven(task)
        highest = target.highest_state / np.maximum(_needed(task, threshold), TINY)
        highest = np.maximum(highest, proven)
        if target.arithmetic.accumulator is not None:
            highest = np.minimum(highest, _sum_room(task))
        for bias, lowered in zip(population.biases, task.lowered, strict=True):
            size = np.maximum(np.abs(task.neurons(bias.value)), TINY)
            highest = np.minimum(highest, _bias_room(target, lowered) / size)
        highest = np.minimum(highest, target.highest_threshold / np.maximum(threshold, TINY))
        for drive in task.drives:
            room = np.repeat(drive.room, population.size // drive.rows)
            highest = np.minimum(highest, room * 2.0 ** (shift + exponent))
        unbounded = 2.0 ** (target.states.membrane.bits - 2)  # no number has a size there
        highest = np.where(highest > LARGEST_SCALE, unbounded, highest)
        provable = np.minimum(proven, highest)
        return cls(provable=provable, highest=provable if task.prove else highest)


def _needed(task: Task, threshold: Float[np.ndarray, " neuron"]) -> Float[np.ndarray, " neuron"]:
    """Return the largest state that the registers must hold in any case, real units.

    With leave to overflow, what the calibration data caused is enough.
    """
    level = np.maximum(threshold, _level(task))
    if task.seen is None:
        return HEADROOM * level + usual_state(task)
    needed = SEEN_HEADROOM * level
    rules = task.target.arithmetic
    for state, largest in task.seen.items():
        register = rules.membrane if state is State.MEMBRANE else rules.current
        wraps = register.overflow in (Overflow.WRAP, Overflow.WRAP_ONCE)
        guard = WRAP_GUARD if wraps else SATURATION_GUARD
        needed = np.maximum(needed, largest * (1.0 if task.allow_overflow else guard))
    return needed


def _level(task: Task) -> Float[np.ndarray, " neuron"]:
    """Return the largest membrane by size that a parameter of each neuron is."""
    sizes = [np.abs(task.neurons(level)) for level in task.levels]
    return np.maximum.reduce([np.zeros(task.population.size), *sizes])


def _proven(task: Task) -> Float[np.ndarray, " neuron"]:
    """Return the scale at which the worst case fills a register, at most."""
    target = task.target
    sums = np.maximum(*_sums(task))
    return np.minimum(
        target.highest_state / np.maximum(_worst(task), TINY),
        (target.highest_sum << target.weights.shift.value) / np.maximum(sums, TINY),
    )


def _sum_room(task: Task) -> Float[np.ndarray, " neuron"]:
    """Return the scale up to which the accumulators hold what is likely to arrive in one step.

    That is what the calibration data brought, with the guard of a register that wraps, or some
    standard deviations of the usual drive; never more than the most that can arrive.
    """
    target = task.target
    if task.seen_sum is None:
        likely = _usual_drive(task, np.ones(task.population.size))
    else:
        likely = task.seen_sum * (1.0 if task.allow_overflow else WRAP_GUARD)
    for bias, lowered in zip(task.population.biases, task.lowered, strict=True):
        if lowered:
            likely = likely + np.abs(task.neurons(bias.value))
    needed = np.minimum(likely, np.maximum(*_sums(task)))
    room = PROOF_MARGIN * (target.highest_sum << target.weights.shift.value)
    return np.asarray(room / np.maximum(needed, TINY))


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
    """Return a large but usual state: some standard deviations of the drive, and biases."""
    memory = memory_of(task)
    usual = _usual_drive(task, memory)
    for bias in task.population.biases:
        usual += np.abs(task.neurons(bias.value)) * memory
    usual = usual * np.maximum(_tabled(task, Tabled.GAIN), 1)
    usual += _tabled(task, Tabled.BIAS) * memory
    for synapse in task.population.further:
        if synapse.chain is not None:
            taken = np.abs(task.neurons(synapse.chain.gain)) * geometric(
                task.neurons(synapse.decay)
            )
            usual = usual * np.maximum(taken, 1)
    return usual


def _usual_drive(task: Task, memory: Float[np.ndarray, " neuron"]) -> Float[np.ndarray, " neuron"]:
    """Return a large but usual sum over `memory` steps of what arrives at each neuron."""
    usual = np.zeros(task.population.size)
    for drive in task.drives:
        steps = drive.of_rows(memory)
        deviation = np.sqrt(drive.per_row(drive.weight**2 * drive.power) * steps)
        seen = DEVIATIONS * deviation + np.abs(drive.per_row(drive.weight * drive.mean)) * steps
        rows = np.full(drive.rows, seen.max(initial=0.0))
        rows[drive.sampled] = seen
        usual += np.repeat(rows, task.population.size // drive.rows)
    return usual


def _worst(task: Task) -> Float[np.ndarray, " neuron"]:
    """Return the largest state that any input can cause in a sample.

    Where nothing says how long that is, a membrane without leak takes CROSSINGS steps.
    """
    population = task.population
    gain, constant = (_tabled(task, what) for what in (Tabled.GAIN, Tabled.BIAS))
    up, down = (np.maximum(gain, 1) * part + constant for part in _sums(task))
    for bias, lowered in zip(population.biases, task.lowered, strict=True):
        if not lowered:
            up = up + np.maximum(task.neurons(bias.value), 0)
            down = down + np.maximum(-task.neurons(bias.value), 0)
    step = np.maximum(up, down)
    total = before = np.zeros(population.size)
    for synapse in population.synapses:
        taken = 0.0 if synapse.chain is None else np.abs(task.neurons(synapse.chain.gain)) * before
        before = (step + taken) * geometric(task.neurons(synapse.decay), task.steps or 4096.0)
        total = total + abs(synapse.into_membrane) * before
    entering = total if population.synapses else step
    membrane = entering * geometric(task.neurons(population.decay), task.steps or CROSSINGS)
    worst = np.maximum(membrane, before) + np.abs(task.neurons(population.threshold))
    return np.maximum(worst, _level(task))


def _tabled(task: Task, what: Tabled) -> Float[np.ndarray, " neuron"]:
    """Return the largest number by size that tables have for each neuron, 0 without any."""
    found = np.zeros(task.population.size)
    for table in task.population.tables:
        if table.what is what:
            found = np.maximum(found, task.neurons(np.asarray(np.abs(table.rows).max(axis=0))))
    return found
