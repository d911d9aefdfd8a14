"""The choice of one state scale per population, for weights, threshold, bias and reset together.

On the chip a weight of w adds w * 2**shift to the state, so one number K, state units per real
unit, fixes them all. The search walks a fine grid of K and takes the one with the smallest
estimated error of the membrane, relative to the threshold (`estimate`); docs/design/0002 derives
it.
"""

import math
from collections.abc import Sequence

import numpy as np

from snn_deploy.quantize.drive import Drive
from snn_deploy.quantize.estimate import Choice, Terms
from snn_deploy.quantize.limits import Limits, full_scale
from snn_deploy.quantize.options import Objective
from snn_deploy.quantize.task import Task

GRID = 64
"""Scales per octave of the plain grid."""

LATTICE = 256
"""Most steps of a weight for which scales that suit a lattice of weights are tried."""

NEARLY_BEST = 1.05
"""A smaller scale is taken for this factor of mean square error: it leaves more room above."""

PROOF_PRICE = 1.5
"""A provable scale is taken for this factor of mean square error."""

NOTHING = 1e-12
"""Mean square error that counts as none."""


def choices(task: Task, count: int) -> list[Choice]:
    """Return up to `count` good scales, the best by estimate first.

    Scales at which the worst case of any input is provably in range win over others for up to
    PROOF_PRICE, and smaller ones over larger ones for up to NEARLY_BEST. The choices differ from
    each other by at least 2 %.
    """
    rule = _clipping_rule(task)
    if rule is not None:
        return [rule]
    terms, limits = Terms.of(task), Limits.of(task)
    tried = [terms.choice(scale) for scale in _grid(task, limits)]
    proven = [c for c in tried if c.scale <= limits.provable.min()]
    affordable = proven and _least(proven) <= _least(tried) * PROOF_PRICE + NOTHING
    if affordable and not task.allow_overflow:
        tried = proven
    enough = _least(tried) * NEARLY_BEST + NOTHING
    good = [c for c in tried if c.error <= enough]
    chosen = [min(good, key=lambda c: float(c.scale))]
    for choice in sorted(tried, key=lambda c: (c.error, float(c.scale))):
        if len(chosen) == count:
            break
        if all(abs(math.log2(choice.scale / c.scale)) > 0.03 for c in chosen):
            chosen.append(choice)
    return chosen


def _least(choices: Sequence[Choice]) -> float:
    return min(choice.error for choice in choices)


def _clipping_rule(task: Task) -> Choice | None:
    """Return the scale of a rule that only looks at how large weights are; None: a search.

    All projections have the same exponent, as those rules know none.
    """
    if task.objective not in (Objective.MAX, Objective.PERCENTILE, Objective.SIGMA):
        return None
    shift = task.target.weights.shift.value
    weights = [full_scale(d, shift) / kept_share(task, d) for d in task.drives if d.largest]
    scale = min([float(Limits.of(task).highest.min()), *weights])
    if task.objective is Objective.MAX:
        return Terms.of(task).choice(scale)
    return Choice(
        scale=np.asarray(scale), exponents={d.name: 0 for d in task.drives}, error=math.inf
    )


def kept_share(task: Task, drive: Drive) -> float:
    """Return what share of its largest weight a rule of clipping keeps."""
    size = np.abs(drive.weight)
    if task.objective is Objective.PERCENTILE:
        kept = float(np.percentile(size, task.percentile))
    elif task.objective is Objective.SIGMA:
        kept = float(np.abs(np.mean(drive.weight)) + task.sigmas * np.std(drive.weight))
    else:
        return 1.0
    return min(1.0, kept / drive.largest) or 1.0


def _grid(task: Task, limits: Limits) -> list[float]:
    """Return the scales to try.

    A plain grid of short binary fractions, so that dyadic weights fit exactly; scales at which the
    largest weight of a projection is a whole number of steps, so that weights on any lattice do;
    and next to each of these one at which the largest threshold is a whole mantissa.
    """
    ends = limits.lowest, float(limits.highest.min())
    first, last = (math.floor(math.log2(end)) for end in ends)
    plain = [
        math.ldexp(1 + n / GRID, octave) for octave in range(first, last + 1) for n in range(GRID)
    ]
    shift = task.target.weights.shift.value
    for drive in task.drives:
        plain += _whole_largest(drive, shift, task.target.weights.exponent.high)
    threshold = float(np.abs(task.population.threshold).max()) if task.fires else 0.0
    if threshold:
        lattice = float(1 << task.target.thresholds.shift.value)
        plain += [max(1.0, np.rint(k * threshold / lattice)) * lattice / threshold for k in plain]
    inside = sorted({float(k) for k in plain if ends[0] <= k <= ends[1]})
    return inside or [ends[1]]


def _whole_largest(drive: Drive, shift: int, exponents: int) -> list[float]:
    """Return the scales that make the largest weight a whole number of steps, above half of all.

    With more steps than LATTICE the plain grid is as good.
    """
    steps = max(drive.stored.high, -drive.stored.low) // drive.stored.step
    if not drive.largest or steps > LATTICE:
        return []
    unit = drive.stored.step * 2.0**shift / drive.largest
    return [
        unit * n * 2.0**exponent
        for n in range(steps // 2 + 1, steps + 1)
        for exponent in range(exponents + 1)
    ]
