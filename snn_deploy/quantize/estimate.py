"""The estimated error of the membrane at a scale: weights, levels and truncation together."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTerms:
    """What the error of a projection's rows takes from their neurons."""

    reference: Float[np.ndarray, " sample"]
    memory: Float[np.ndarray, " sample"]
    full_scale: float
    """At which the largest weight becomes the largest stored number."""


Level = tuple[Float[np.ndarray, " neuron"], int]
"""A number of each neuron that is not 0 everywhere, and the grid that stores it."""


@dataclass(slots=True, kw_only=True)
class Terms:
    """The estimate of the error at a scale, with what does not depend on the scale."""

    task: Task
    memory: Float[np.ndarray, " neuron"]
    reference: Float[np.ndarray, " neuron"]
    """What errors are compared with: the threshold, or where there is none the usual drive."""

    levels: tuple[Level, ...]
    biases: tuple[tuple[Float[np.ndarray, " neuron"], bool], ...]
    """Each with whether a clock neuron will carry it."""

    halved: Float[np.ndarray, " neuron"]
    """Half the steps that a membrane remembers, 0 where no decay rounds."""

    rows_of: Mapping[str, "RowTerms"]
    """By the name of the projection."""

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
        shift = task.target.weights.shift.value
        return cls(
            task=task,
            memory=memory,
            reference=reference,
            levels=tuple(_levels(task)),
            biases=tuple(
                (task.neurons(bias.value), lowered)
                for bias, lowered in zip(task.population.biases, task.lowered, strict=True)
            ),
            halved=np.where(_leaks(task), 0.5 * memory, 0.0),
            rows_of={
                drive.name: RowTerms(
                    reference=drive.of_rows(reference),
                    memory=drive.of_rows(memory),
                    full_scale=full_scale(drive, shift) if drive.largest else math.inf,
                )
                for drive in task.drives
            },
            known={},
        )

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
                stored_units = np.repeat(scale, drive.rows // len(scale)) / unit
                rows = np.zeros(drive.rows)  # one that no synapse reaches has no error
                rows[drive.sampled] = self.rows(drive, stored_units[drive.sampled])
                error = error + rows.reshape(len(scale), -1).mean(axis=1)
        return error

    def _exponent(self, drive: Drive, scale: float) -> tuple[int, float]:
        """Return the exponent with the smaller error: all weights just fit, or some are clipped."""
        if not drive.largest:
            return 0, 0.0
        rule = self.task.target.weights
        unit = 2.0**rule.shift.value
        needed = math.ceil(math.log2(max(1.0, scale / self.rows_of[drive.name].full_scale)))
        tried = [e for e in (needed, needed - 1) if 0 <= e <= rule.exponent.high]
        errors = {e: self._weights(drive, scale / (unit * 2.0**e)) for e in tried}
        best = min(tried, key=lambda e: errors[e])
        return best, errors[best]

    def _weights(self, drive: Drive, stored_units: float) -> float:
        """Return the mean over the rows of the error from their weights."""
        key = drive.name, stored_units
        if key not in self.known:
            self.known[key] = float(np.mean(self._error(drive, np.asarray(stored_units))))
        return self.known[key]

    def rows(
        self, drive: Drive, stored_units: Float[np.ndarray, " sample"]
    ) -> Float[np.ndarray, " sample"]:
        """Return the error of each row from its rounded weights.

        Args:
            drive: The projection.
            stored_units: Stored steps per real unit, of each row.
        """
        return self._error(drive, stored_units[drive.row])

    def _error(self, drive: Drive, scale: Float[np.ndarray, "..."]) -> Float[np.ndarray, " sample"]:
        """Return the error of each row, with the stored steps per real unit of each weight or all.

        What a row's errors add up to on average grows with the steps a membrane remembers, what
        they scatter grows with the root of it; a second moment says both.
        """
        kept, _ = round_weights(drive.weight, scale, drive.stored)
        error = kept / scale - drive.weight
        if self.task.objective is Objective.MSE:
            return drive.per_row(error**2)
        of = self.rows_of[drive.name]
        if self.task.objective is Objective.ACTIVITY and drive.moment is not None:
            return drive.quadratic(error) / of.reference**2
        drift = drive.per_row(error * drive.mean) * of.memory
        scatter = drive.per_row(error**2 * drive.power) * of.memory
        return (drift**2 + scatter) / of.reference**2

    def _neurons(self, scale: np.ndarray) -> Float[np.ndarray, " neuron"]:
        """Return the error of each neuron from its own parameters, on `scale` for it or all."""
        if self.task.objective is Objective.MSE:
            return np.zeros(self.task.population.size)
        lost = (self.halved / scale / self.reference) ** 2
        return self._rounded(scale) + lost

    def _rounded(self, scale: np.ndarray) -> Float[np.ndarray, " neuron"]:
        """Return the error from the rounded threshold, reset, floor, initial states and biases."""
        error = np.zeros(self.task.population.size)
        for level, grid in self.levels:
            error += self._rounding(level, scale, grid)
        for bias, lowered in self.biases:
            largest = float(np.abs(bias * scale).max())
            grid = bias_grid(self.task.target, largest, lowered)
            error += self._rounding(bias, scale, grid) * self.memory**2
        return error

    def _rounding(
        self, real: Float[np.ndarray, " neuron"], scale: np.ndarray, grid: int
    ) -> Float[np.ndarray, " neuron"]:
        error: np.ndarray = (on_grid(real * scale, grid) / scale - real) / self.reference
        return error**2


def _levels(task: Task) -> Iterator[Level]:
    """Yield the threshold, and what else the register of the membrane must hold."""
    levels = [(level, 1) for level in task.levels]
    if task.fires:
        levels.insert(0, (task.population.threshold, 1 << task.target.thresholds.shift.value))
    for level, grid in levels:
        if np.any(level):
            yield task.neurons(level), grid


def _leaks(task: Task) -> Bool[np.ndarray, " neuron"]:
    """Return which neurons have a decay that rounds: half a state unit is lost per step."""
    leaks = task.neurons(task.population.decay) < 1
    synapse = task.population.synapse
    return np.ones_like(leaks) if synapse is not None and np.any(synapse.decay) else leaks
