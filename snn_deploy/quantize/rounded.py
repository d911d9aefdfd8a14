"""One population on a chosen scale: its whole numbers, its findings, its report."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from snn_deploy.ir.findings import Finding
from snn_deploy.ir.maps import LinearMap, Shape, Sparse
from snn_deploy.ir.network import Projection
from snn_deploy.ir.program import Population as WholePopulation
from snn_deploy.ir.program import Projection as WholeProjection
from snn_deploy.quantize.estimate import Choice
from snn_deploy.quantize.feedback import Feedback, feedback_round
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
from snn_deploy.targets import WeightRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounded:
    """A population and the projections into it, in whole numbers."""

    population: WholePopulation
    projections: tuple[WholeProjection, ...]
    scale: Float[np.ndarray, "..."]
    """State units per real unit: one number, or of a shape that broadcasts to the neurons'."""

    findings: tuple[Finding, ...]
    report: LayerReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A projection as it is to be rounded."""

    projection: Projection
    unit: float
    """Real value of a payload of 1."""

    bits: int | None
    """Of a stored weight; None: as many as the target has."""

    feedback: tuple[Feedback, ...] | None = None
    """Of each group of rows; None: each weight becomes the nearest."""


def round_population(task: Task, wires: Sequence[Wire], choice: Choice) -> Rounded:
    """Return the population of `task` on the scale of `choice`.

    Args:
        task: The population and its target.
        wires: What drives it.
        choice: Scale and exponents.

    Raises:
        DoesNotFitError: a threshold that the target cannot store.
    """
    wholes, reports = [], []
    for wire in wires:
        made, report = _projection(wire, task, choice)
        wholes.append(made)
        reports.append(report)
    population = whole_population(task, choice.scale)
    return Rounded(
        population=population,
        projections=tuple(wholes),
        scale=choice.scale,
        findings=(
            *population_losses(task, population, choice.scale),
            *weight_losses([wire.projection for wire in wires], wholes, reports),
        ),
        report=_report(task, population, choice.scale, reports),
    )


def _projection(wire: Wire, task: Task, choice: Choice) -> tuple[WholeProjection, ProjectionReport]:
    projection, target = wire.projection, task.target
    real = projection.map.numbers() * wire.unit
    sign = sign_of(float(real.min(initial=0.0)), float(real.max(initial=0.0)))
    shift = target.weights.shift.value + choice.exponents[projection.name]
    steps = by_weight(projection.map, np.asarray(choice.scale / 2.0**shift), task.population.shape)
    stored, clipped = _stored(wire, real, steps, weight_range(target, sign, wire.bits))
    made = WholeProjection(
        name=projection.name,
        source=projection.source,
        target=projection.target,
        map=projection.map.with_numbers(whole(stored)),
        shift=shift,
        delay=projection.delay,
        sign=sign,
        into=projection.into,
    )
    report = projection_report(projection.name, real, stored, clipped, 1 / steps)
    return made, report


def _stored(
    wire: Wire, real: np.ndarray, steps: np.ndarray, grid: WeightRange
) -> tuple[np.ndarray, int]:
    """Return the weights in whole steps, and how many were clipped."""
    if wire.feedback is None:
        return round_weights(real, steps, grid)
    matrix = (real * steps).reshape(-1, wire.feedback[0].order.size)
    kept, clipped = feedback_round(matrix, grid, wire.feedback)
    return kept.reshape(real.shape), clipped


def by_weight(linear: LinearMap, per_neuron: np.ndarray, shape: Shape) -> Float[np.ndarray, "..."]:
    """Return a parameter of the neurons of `shape` at each of the weights that drive them.

    Args:
        linear: Dense, Sparse or Convolution.
        per_neuron: Broadcasts to `shape`; the same for all neurons that share a weight.
        shape: Of the neurons.
    """
    if np.ndim(per_neuron) == 0:
        return np.asarray(per_neuron)
    full = np.broadcast_to(per_neuron, shape).ravel()
    if isinstance(linear, Sparse):
        return full[linear.post]
    rows = full.reshape(linear.numbers().shape[0], -1)[:, 0]
    return rows.reshape(-1, *(1 for _ in linear.numbers().shape[1:]))


def _report(
    task: Task, made: WholePopulation, scale: np.ndarray, reports: Sequence[ProjectionReport]
) -> LayerReport:
    population, factors = task.population, task.target.arithmetic.factors
    threshold = float(np.abs(population.threshold).max()) or 1.0
    biases = [
        float(np.abs(whole_bias.value / scale - bias.value).max()) / threshold
        for bias, whole_bias in zip(population.biases, made.biases, strict=True)
    ]
    return LayerReport(
        name=population.name,
        scale=float(np.median(scale)),
        scales=len(np.unique(scale)),
        threshold_error=relative_error(made.threshold / scale, population.threshold)
        if task.fires
        else 0.0,
        decay_error=float(time_constant_errors(factors(made.decay), population.decay).max()),
        current_decay_error=float(
            time_constant_errors(factors(made.current.decay), population.synapse.decay).max()
        )
        if made.current is not None and population.synapse is not None
        else 0.0,
        bias_error=max(biases, default=0.0),
        projections=tuple(reports),
    )
