"""One population on a chosen scale: its whole numbers, its findings, its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.network import Population, Projection
from snn_deploy.ir.neuron import Fires, ResetKind
from snn_deploy.ir.program import Bias, Binary, Current, Floor, Reset
from snn_deploy.ir.program import Population as WholePopulation
from snn_deploy.ir.program import Projection as WholeProjection
from snn_deploy.quantize.losses import population_losses, weight_losses
from snn_deploy.quantize.report import (
    LayerReport,
    ProjectionReport,
    projection_report,
    relative_error,
    time_constant_errors,
)
from snn_deploy.quantize.rounding import (
    bias_grid,
    on_grid,
    round_decay,
    round_weights,
    sign_of,
    weight_range,
    whole,
)
from snn_deploy.quantize.scale import Choice, Task
from snn_deploy.targets import Target
from snn_deploy.targets.target import SourcedRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounded:
    """A population and the projections into it, in whole numbers."""

    population: WholePopulation
    projections: tuple[WholeProjection, ...]
    scale: float
    """State units per real unit."""

    findings: tuple[Finding, ...]
    report: LayerReport


def round_population(
    task: Task,
    projections: Sequence[Projection],
    units: Mapping[str, float],
    choice: Choice,
    bits: int | None,
) -> Rounded:
    """Return the population of `task` on the scale of `choice`.

    Args:
        task: The population and its target.
        projections: What drives it.
        units: By projection, the real value of a payload of 1.
        choice: Scale and exponents.
        bits: Of a stored weight; None: as many as the target has.

    Raises:
        DoesNotFitError: a threshold that the target cannot store.
    """
    wholes, reports = [], []
    for projection in projections:
        made, report = _projection(projection, units[projection.name], task.target, choice, bits)
        wholes.append(made)
        reports.append(report)
    population = _population(task, choice.scale)
    return Rounded(
        population=population,
        projections=tuple(wholes),
        scale=choice.scale,
        findings=(
            *population_losses(task, population, choice.scale),
            *weight_losses(projections, wholes, reports),
        ),
        report=_report(task, population, choice.scale, reports),
    )


def _projection(
    projection: Projection, unit: float, target: Target, choice: Choice, bits: int | None
) -> tuple[WholeProjection, ProjectionReport]:
    real = projection.map.numbers() * unit
    sign = sign_of(float(real.min(initial=0.0)), float(real.max(initial=0.0)))
    shift = target.weights.shift.value + choice.exponents[projection.name]
    stored, clipped = round_weights(
        real, choice.scale / 2.0**shift, weight_range(target, sign, bits)
    )
    made = WholeProjection(
        name=projection.name,
        source=projection.source,
        target=projection.target,
        map=projection.map.with_numbers(whole(stored)),
        shift=shift,
        delay=projection.delay,
        sign=sign,
    )
    report = projection_report(projection.name, real, stored, clipped, 2.0**shift / choice.scale)
    return made, report


def _population(task: Task, scale: float) -> WholePopulation:
    population, target = task.population, task.target
    states, one = target.states, target.decay_one
    synapse, floor = population.synapse, population.floor

    def state(value: np.ndarray) -> np.ndarray:
        return whole(on_grid(np.asarray(value * scale), 1))

    def decay(value: np.ndarray, allowed: SourcedRange) -> np.ndarray:
        return whole(round_decay(value, allowed.low, allowed.high, one))

    return WholePopulation(
        name=population.name,
        shape=population.shape,
        decay=decay(population.decay, states.membrane_multiplier),
        current=None
        if synapse is None
        else Current(
            decay=decay(synapse.decay, states.current_multiplier),
            reads=synapse.reads,
            initial=state(synapse.initial),
        ),
        fires=population.fires,
        threshold=_threshold(population, target, scale),
        compare=population.compare,
        max_spikes=population.max_spikes,
        reset=Reset(
            kind=population.reset.kind,
            amount=state(population.reset.amount),
            when=population.reset.when,
        ),
        floor=None if floor is None else Floor(value=state(floor.value), when=floor.when),
        biases=_biases(task, scale),
        initial=state(population.initial),
        unit=Binary.of(1 / scale),
        origin=Binary.of(population.origin),
    )


def _threshold(population: Population, target: Target, scale: float) -> np.ndarray:
    """Return the thresholds as multiples of the target's lattice; a readout has the highest.

    A neuron that counts divides by its threshold, so that is one lattice step at least.

    Raises:
        DoesNotFitError: the target cannot store one of them.
    """
    lattice = 1 << target.thresholds.shift.value
    if population.fires is Fires.NEVER:
        return np.asarray(target.highest_threshold, np.int32)
    threshold = on_grid(np.asarray(population.threshold * scale), lattice)
    if population.fires is Fires.COUNT:
        threshold = np.asarray(np.maximum(threshold, lattice))
    low = target.thresholds.mantissa.low * lattice
    wrong = np.argwhere(threshold < low)
    if len(wrong):
        raise _too_low(population, target, threshold, low, wrong)
    return whole(threshold)


def _too_low(
    population: Population, target: Target, threshold: np.ndarray, low: int, wrong: np.ndarray
) -> DoesNotFitError:
    """Return the error for thresholds below `low`; a hard reset to 0 may be one that was moved."""
    first = tuple(int(i) for i in wrong[0])
    value, reset = population.threshold[first], population.reset
    what, least = f"a threshold of {value:.6g}", "0"
    if reset.kind is ResetKind.VALUE and not np.any(reset.amount):
        what, least = f"a threshold {-value:.6g} below the reset value", "the reset value"
    place = f"{list(first)}, first of {len(wrong)}" if first else ""
    return DoesNotFitError(
        f"{what} becomes {threshold[first]:.0f} state units, but {target.name} stores "
        f"{low}..{target.highest_threshold}",
        where=f"{population.name}.threshold{place}",
        fix=f"--target cpu, or train with a threshold that is not below {least}",
    )


def _biases(task: Task, scale: float) -> tuple[Bias, ...]:
    made = []
    for bias, lowered in zip(task.population.biases, task.lowered, strict=True):
        value = np.asarray(bias.value * scale)
        grid = bias_grid(task.target, float(np.abs(value).max(initial=0.0)), lowered)
        made.append(Bias(value=whole(on_grid(value, grid)), into=bias.into, start=bias.start))
    return tuple(made)


def _report(
    task: Task, made: WholePopulation, scale: float, reports: Sequence[ProjectionReport]
) -> LayerReport:
    population, one = task.population, task.target.decay_one
    threshold = float(np.abs(population.threshold).max()) or 1.0
    biases = [
        float(np.abs(whole_bias.value / scale - bias.value).max()) / threshold
        for bias, whole_bias in zip(population.biases, made.biases, strict=True)
    ]
    return LayerReport(
        name=population.name,
        scale=scale,
        threshold_error=relative_error(made.threshold / scale, population.threshold)
        if task.fires
        else 0.0,
        decay_error=float(time_constant_errors(made.decay / one, population.decay).max()),
        current_decay_error=float(
            time_constant_errors(made.current.decay / one, population.synapse.decay).max()
        )
        if made.current is not None and population.synapse is not None
        else 0.0,
        bias_error=max(biases, default=0.0),
        projections=tuple(reports),
    )
