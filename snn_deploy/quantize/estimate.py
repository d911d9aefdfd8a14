"""The estimated error of the membrane at a scale: weights, levels and truncation together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from snn_deploy.quantize.drive import Drive
from snn_deploy.quantize.limits import SIZES, full_scale
from snn_deploy.quantize.options import Objective
from snn_deploy.quantize.rounding import bias_grid, on_grid, round_weights
from snn_deploy.quantize.task import Task, memory_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A scale with the exponent of each projection."""

    scale: Float[np.ndarray, "..."]
    """State units per real unit: one number, or of a shape that broadcasts to the neurons'."""

    exponents: Mapping[str, int]
    """Shift of each projection beyond the target's own, by name."""

    error: float
    """Estimated mean square error of the membrane, relative to the threshold."""


@dataclass(slots=True, kw_only=True)
class Terms:
    """The estimate of the error at a scale, with what does not depend on the scale."""

    task: Task
    memory: Float[np.ndarray, " neuron"]
    reference: Float[np.ndarray, " neuron"]
    """What errors are compared with: the threshold, or where there is none the usual drive."""

    known: dict[tuple[str, float], float]
    """Error of a projection's weights, by its name and stored units per real unit."""

    @classmethod
    def of(cls, task: Task) -> "Terms":
        """Return the terms of one population."""
        memory = memory_of(task)
        signal = np.zeros(task.population.size)
        for drive in task.drives:
            steps = drive.of_rows(memory)
            power = drive.per_row(drive.weight**2 * drive.power) * steps
            mean = (drive.per_row(drive.weight * drive.mean) * steps) ** 2
            signal += float(np.mean(power + mean)) if len(steps) else 0.0
        for bias in task.population.biases:
            signal += (task.neurons(bias.value) * memory) ** 2
        reference = np.sqrt(signal)
        if task.fires:
            threshold = task.neurons(task.population.threshold)
            reference = np.where(threshold > 0, threshold, reference)
        reference = np.where(reference >= SIZES[0], reference, 1.0)
        return cls(task=task, memory=memory, reference=reference, known={})

    def choice(self, scale: float) -> Choice:
        """Return `scale` for all neurons, with the best exponents for it."""
        exponents, error = {}, float(np.mean(self._neurons(np.asarray(scale))))
        for drive in self.task.drives:
            exponents[drive.name], part = self._exponent(drive, scale)
            error += part
        return Choice(scale=np.asarray(scale), exponents=exponents, error=error)

    def channels(
        self, scale: Float[np.ndarray, " channel"], exponents: Mapping[str, int]
    ) -> Float[np.ndarray, " channel"]:
        """Return the error of each channel on its own scale. The drives hold all rows."""
        size = self.task.population.size
        error = self._neurons(np.repeat(scale, size // len(scale)))
        error = error.reshape(len(scale), -1).mean(axis=1)
        for drive in self.task.drives:
            if drive.largest:
                unit = 2.0 ** (self.task.target.weights.shift.value + exponents[drive.name])
                rows = self.rows(drive, np.repeat(scale, drive.rows // len(scale)) / unit)
                error = error + rows.reshape(len(scale), -1).mean(axis=1)
        return error

    def _exponent(self, drive: Drive, scale: float) -> tuple[int, float]:
        """Return the exponent with the smaller error: all weights just fit, or some are clipped."""
        if not drive.largest:
            return 0, 0.0
        rule = self.task.target.weights
        unit = 2.0**rule.shift.value
        needed = math.ceil(math.log2(max(1.0, scale / full_scale(drive, rule.shift.value))))
        tried = [e for e in (needed, needed - 1) if 0 <= e <= rule.exponent.high]
        errors = {e: self._weights(drive, scale / (unit * 2.0**e)) for e in tried}
        best = min(tried, key=lambda e: errors[e])
        return best, errors[best]

    def _weights(self, drive: Drive, stored_units: float) -> float:
        """Return the mean over the rows of the error from their weights."""
        key = drive.name, stored_units
        if key not in self.known:
            each = self.rows(drive, np.full(len(drive.sampled), stored_units))
            self.known[key] = float(np.mean(each))
        return self.known[key]

    def rows(
        self, drive: Drive, stored_units: Float[np.ndarray, " sample"]
    ) -> Float[np.ndarray, " sample"]:
        """Return the error of each row from its rounded weights.

        What a row's errors add up to on average grows with the steps a membrane remembers, what
        they scatter grows with the root of it; a second moment says both.

        Args:
            drive: The projection.
            stored_units: Stored steps per real unit, of each row.
        """
        scale = stored_units[drive.row]
        kept, _ = round_weights(drive.weight, scale, drive.stored)
        error = kept / scale - drive.weight
        if self.task.objective is Objective.MSE:
            return drive.per_row(error**2)
        reference = drive.of_rows(self.reference)
        if self.task.objective is Objective.ACTIVITY and drive.moment is not None:
            return drive.quadratic(error) / reference**2
        steps = drive.of_rows(self.memory)
        drift = drive.per_row(error * drive.mean) * steps
        scatter = drive.per_row(error**2 * drive.power) * steps
        return (drift**2 + scatter) / reference**2

    def _neurons(self, scale: np.ndarray) -> Float[np.ndarray, " neuron"]:
        """Return the error of each neuron from its own parameters, on `scale` for it or all."""
        if self.task.objective is Objective.MSE:
            return np.zeros(self.task.population.size)
        return self._levels(scale) + self._truncation(scale)

    def _levels(self, scale: np.ndarray) -> Float[np.ndarray, " neuron"]:
        """Return the error from the rounded threshold, reset, floor, initial states and biases."""
        task, population = self.task, self.task.population
        error = np.zeros(population.size)
        if task.fires:
            lattice = 1 << task.target.thresholds.shift.value
            error += self._rounding(population.threshold, scale, lattice)
        for level in task.levels:
            error += self._rounding(level, scale, 1)
        for bias, lowered in zip(population.biases, task.lowered, strict=True):
            largest = float(np.abs(task.neurons(bias.value) * scale).max())
            grid = bias_grid(task.target, largest, lowered)
            error += self._rounding(bias.value, scale, grid) * self.memory**2
        return error

    def _rounding(self, value: np.ndarray, scale: np.ndarray, grid: int) -> np.ndarray:
        real = self.task.neurons(value)
        return ((on_grid(real * scale, grid) / scale - real) / self.reference) ** 2

    def _truncation(self, scale: np.ndarray) -> Float[np.ndarray, " neuron"]:
        """Return the error from decays that round toward zero: half a state unit per step."""
        leaks = self.task.neurons(self.task.population.decay) < 1
        synapse = self.task.population.synapse
        if synapse is not None and np.any(synapse.decay):
            leaks = np.ones_like(leaks)
        lost = np.where(leaks, 0.5 * self.memory / scale, 0.0)
        return (lost / self.reference) ** 2
