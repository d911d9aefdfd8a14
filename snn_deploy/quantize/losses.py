"""What rounding a population lost, in findings: at most a few, and only what may be noticed."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float

from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import LinearMap, Sparse
from snn_deploy.ir.network import Projection
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Population as WholePopulation
from snn_deploy.ir.program import Projection as WholeProjection
from snn_deploy.quantize.neurons import Scale
from snn_deploy.quantize.report import ProjectionReport, relative_error, time_constant_errors
from snn_deploy.quantize.task import Task, geometric
from snn_deploy.targets import SourcedRange, Target

NOTABLE = 0.01
"""Relative change of a time constant, threshold or bias from which on a finding tells of it: what
8 bits change of a weight is about as much, and no finding tells of that."""

GRAVE = 0.1
"""Relative change of a time constant from which on the neuron counts as another one."""

DRIFT = 1e-3
"""Error of a bias, in thresholds per step, from which on a finding tells of it: a neuron without
leak then gains or loses a spike within a thousand steps."""


def population_losses(task: Task, made: WholePopulation, scale: Scale) -> Iterator[Finding]:
    """Yield what became of the decays, the thresholds and the biases of one population.

    Args:
        task: The population as trained.
        made: Its whole numbers.
        scale: State units per real unit.
    """
    population, target = task.population, task.target
    yield from _decay_losses(
        task, "membrane", made.decay, population.decay, target.states.membrane_multiplier
    )
    if made.current is not None and population.synapse is not None:
        yield from _decay_losses(
            task,
            "current",
            made.current.decay,
            population.synapse.decay,
            target.states.current_multiplier,
        )
    if task.fires:
        yield from _threshold_losses(task, made, scale)
    yield from _bias_losses(task, made, scale)


def weight_losses(
    projections: Sequence[Projection],
    wholes: Sequence[WholeProjection],
    reports: Sequence[ProjectionReport],
) -> Iterator[Finding]:
    """Yield what became of the weights: all of a projection 0, or some clipped."""
    for projection, made, report in zip(projections, wholes, reports, strict=True):
        if np.any(projection.map.numbers()) and not np.any(made.map.numbers()):
            yield Finding(
                kind=Kind.CHANGED,
                layer=projection.name,
                amount="all weights round to 0",
                reason="they are far smaller than the threshold or the other weights of "
                f"{projection.target}; rescale or prune them in training",
            )
        else:
            yield from _lost_rows(projection, made)
        if report.clipped:
            yield Finding(
                kind=Kind.ROUNDED,
                layer=projection.name,
                amount=f"{report.clipped * 100:.2g} % of the weights are clipped",
                reason="so the others are finer, which loses less; with --no-search none is "
                "clipped",
            )


def _lost_rows(projection: Projection, made: WholeProjection) -> Iterator[Finding]:
    """Yield a finding for the neurons or channels that are cut off: all their weights become 0."""
    before, after = (_rows_in_use(p.map) for p in (projection, made))
    lost = np.flatnonzero(before & ~after)
    if lost.size:
        yield Finding(
            kind=Kind.CHANGED,
            layer=projection.name,
            amount=f"all weights into {lost.size} of {before.size} rows round to 0, the first is "
            f"row {lost[0]}",
            reason="they are far smaller than those of other rows; --preset per-channel, or more "
            f"--bits {projection.name}=N",
        )


def _rows_in_use(linear: LinearMap) -> Bool[np.ndarray, " row"]:
    """Return which rows of a map, neurons or channels, have a weight that is not 0."""
    numbers = linear.numbers()
    if isinstance(linear, Sparse):
        return np.bincount(linear.post, weights=numbers != 0, minlength=linear.out_size) > 0
    return np.any(numbers.reshape(len(numbers), -1) != 0, axis=1)


def _decay_losses(
    task: Task, what: str, made: np.ndarray, wanted: np.ndarray, allowed: SourcedRange
) -> Iterator[Finding]:
    """Yield a finding for decays of 0 that some of the state survives, and one for all others."""
    layer, target, rules = task.population.name, task.target, task.target.arithmetic
    factors = rules.factors(made)
    if np.any((wanted == 0) & (factors > 0)):
        yield Finding(
            kind=Kind.ROUNDED,
            layer=layer,
            amount=f"{rules.factor_text(allowed.low)} of the {what} stays in each step, where none "
            "did",
            reason=f"{target.name} has no smaller factor; --target cpu has 0",
        )
    errors = np.where(wanted == 0, 0.0, time_constant_errors(factors, wanted))
    worst = int(np.argmax(errors))
    if errors.flat[worst] > NOTABLE:
        yield Finding(
            kind=Kind.CHANGED if errors.flat[worst] > GRAVE else Kind.ROUNDED,
            layer=layer,
            amount=_decay_amount(what, int(made.flat[worst]), float(wanted.flat[worst]), target),
            reason=f"a factor of {wanted.flat[worst]:.6g} per step becomes "
            f"{rules.factor_text(int(made.flat[worst]))}; "
            + _decay_remedy(wanted.flat[worst], target),
        )


def _decay_amount(what: str, made: int, wanted: float, target: Target) -> str:
    factor = float(target.arithmetic.factors(np.asarray(made)))
    if factor == 1:
        return f"the {what} no longer decays"
    if factor == 0:
        return f"nothing of the {what} stays from step to step"
    if wanted == 1:
        return (
            f"the {what} decays, with a time constant of {-1 / np.log(factor):.0f} steps, where "
            "it did not"
        )
    error = time_constant_errors(np.asarray(factor), np.asarray(wanted)).item()
    return f"{error * 100:.2g} % of the {what} time constant"


def _decay_remedy(wanted: float, target: Target) -> str:
    if wanted == 1:
        return f"{target.name} has no larger factor, --target cpu has 1"
    return "a time step that suits the time constant better loses less"


def _threshold_losses(task: Task, made: WholePopulation, scale: Scale) -> Iterator[Finding]:
    population, target = task.population, task.target
    vanished = int(np.count_nonzero((made.threshold == 0) & (population.threshold > 0)))
    error = relative_error(made.threshold / scale, population.threshold)
    if vanished:
        size = made.threshold.size
        some = f"{vanished} of {size} thresholds round{'s' if vanished == 1 else ''} to 0"
        yield Finding(
            kind=Kind.CHANGED,
            layer=population.name,
            amount="the threshold rounds to 0" if size == 1 else some,
            reason="far smaller than the weights; make the weights smaller in training",
        )
    elif error > NOTABLE:
        yield Finding(
            kind=Kind.ROUNDED,
            layer=population.name,
            amount=f"{error * 100:.2g} % of a threshold",
            reason=f"{target.name} stores multiples of {1 << target.thresholds.shift.value} "
            "state units; give the neurons of a layer more equal thresholds",
        )


def _bias_losses(task: Task, made: WholePopulation, scale: Scale) -> Iterator[Finding]:
    """Yield one finding for the bias whose error drives the membrane farthest, if that matters."""
    biases = list(zip(task.population.biases, made.biases, strict=True))
    if not biases:
        return
    wanted = np.stack([task.neurons(b.value) for b, _ in biases])
    stored = np.stack([task.neurons(np.asarray(b.value / scale)) for _, b in biases])
    if np.any(wanted) and not np.any(stored):
        yield Finding(
            kind=Kind.CHANGED,
            layer=task.population.name,
            amount="all biases round to 0",
            reason="far smaller than the weights or the threshold; smaller weights or larger "
            "biases in training lose less",
        )
        return
    error = np.abs(stored - wanted)
    reference, unit = _bias_reference(task)
    drift = error * np.stack([_reach(task, b.into) for b, _ in biases]) / reference
    drift[error <= NOTABLE * np.abs(wanted)] = 0.0
    if drift.max(initial=0.0) <= DRIFT:
        return
    row, neuron = np.unravel_index(np.argmax(drift), drift.shape)
    before, after = wanted[row, neuron], stored[row, neuron]
    index = [int(i) for i in np.unravel_index(neuron, task.population.shape)]
    became = f"becomes {after:.3g}, {error[row, neuron] / abs(before) * 100:.2g} % off"
    yield Finding(
        kind=Kind.ROUNDED,
        layer=task.population.name,
        amount=f"the bias of neuron {index} is {before:.3g} and "
        f"{became if after else 'rounds to 0'}: {drift[row, neuron]:.2g} {unit} per step",
        reason="the worst of this layer, beside larger weights or thresholds; smaller weights or "
        "larger biases in training lose less",
    )


def _bias_reference(task: Task) -> tuple[Float[np.ndarray, " neuron"], str]:
    """Return what the error of a bias is compared with, and its name: thresholds, if there are."""
    threshold = task.neurons(np.asarray(np.abs(task.population.threshold)))
    if task.fires and np.all(threshold > 0):
        return threshold, "thresholds"
    weights = [d.largest for d in task.drives]
    biases = [float(np.abs(b.value).max()) for b in task.population.biases]
    largest = max([*weights, *biases], default=0.0) or 1.0
    return np.full(task.population.size, largest), "times the largest weight"


def _reach(task: Task, into: State) -> Float[np.ndarray, " neuron"]:
    """Return how much a bias of 1 adds to the membrane in each step, once a current is settled."""
    synapse = task.population.synapse
    if into is not State.CURRENT or synapse is None:
        return np.ones(task.population.size)
    return geometric(task.neurons(synapse.decay))
