"""One population on a chosen scale: its whole numbers, its findings, its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.ir.findings import Finding
from snn_deploy.ir.network import Projection
from snn_deploy.ir.program import Population as WholePopulation
from snn_deploy.ir.program import Projection as WholeProjection
from snn_deploy.quantize.estimate import Choice
from snn_deploy.quantize.losses import population_losses, weight_losses
from snn_deploy.quantize.neurons import whole_population
from snn_deploy.quantize.report import (
    LayerReport,
    ProjectionReport,
    projection_report,
    relative_error,
    time_constant_errors,
)
from snn_deploy.quantize.rounding import round_weights, sign_of, weight_range, whole
from snn_deploy.quantize.task import Task
from snn_deploy.targets import Target


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
    bits: Mapping[str, int | None],
) -> Rounded:
    """Return the population of `task` on the scale of `choice`.

    Args:
        task: The population and its target.
        projections: What drives it.
        units: By projection, the real value of a payload of 1.
        choice: Scale and exponents.
        bits: Of a stored weight, by projection; None: as many as the target has.

    Raises:
        DoesNotFitError: a threshold that the target cannot store.
    """
    wholes, reports = [], []
    for projection in projections:
        name = projection.name
        made, report = _projection(projection, units[name], task.target, choice, bits[name])
        wholes.append(made)
        reports.append(report)
    population = whole_population(task, choice.scale)
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
