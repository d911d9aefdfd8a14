"""How real numbers become whole ones: every rounding rule of the way to integers, once.

All of them round to the nearest, half to even (`numpy.rint`), on the grid that the target stores.
"""

import math

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.program import Sign
from snn_deploy.targets import Target, WeightRange

Reals = Float[np.ndarray, "..."]
Wholes = Int[np.ndarray, "..."]


def sign_of(low: float, high: float) -> Sign:
    """Return how weights from `low` to `high` store their signs; all zero: excitatory."""
    if low >= 0:
        return Sign.EXCITATORY
    return Sign.INHIBITORY if high <= 0 else Sign.MIXED


def weight_range(target: Target, sign: Sign, bits: int | None) -> WeightRange:
    """Return the weights that `bits` bits store: a coarser step over the same range."""
    rule = target.weights
    full = {
        Sign.MIXED: rule.mixed,
        Sign.EXCITATORY: rule.excitatory,
        Sign.INHIBITORY: rule.inhibitory,
    }[sign]
    if bits is None or bits == rule.bits.value:
        return full
    step = full.step << (rule.bits.value - bits)
    return WeightRange(
        low=-(-full.low // step) * step,
        high=full.high // step * step,
        step=step,
        source=f"{bits} of {rule.bits.value} bits: {full.source}",
    )


def round_weights(weight: Reals, scale: Reals | float, stored: WeightRange) -> tuple[Reals, int]:
    """Return weight * scale on the grid of `stored`, as whole float64, and how many were clipped.

    `scale` is stored units per real unit, one or of each weight.
    """
    free = np.rint(weight * (scale / stored.step)) * stored.step
    kept = np.clip(free, stored.low, stored.high)
    return kept, int(np.count_nonzero(kept != free))


def on_grid(value: Reals, grid: int) -> Reals:
    """Return the multiples of `grid` nearest to `value`, as whole float64."""
    return np.asarray(np.rint(value / grid) * grid)


def whole(value: Reals) -> Wholes:
    """Return whole float64 as int32."""
    return np.asarray(value.astype(WHOLE))


def wire_grid(target: Target) -> int:
    """Return the least that one weight of either sign adds to a state [state units]."""
    weights = target.weights
    return math.lcm(weights.excitatory.step, weights.inhibitory.step) << weights.shift.value


def bias_grid(target: Target, largest: float, lowered: bool) -> int:
    """Return the grid of a bias: 2**e that makes the mantissa fit, or a weight's lowest bit.

    Args:
        target: The chip.
        largest: Largest |bias| [state units].
        lowered: Whether a clock neuron will carry the bias as weights.
    """
    if lowered:
        return wire_grid(target)
    mantissas = largest / target.biases.mantissa.high
    return 1 << max(0, math.ceil(math.log2(mantissas)) if mantissas > 1 else 0)
