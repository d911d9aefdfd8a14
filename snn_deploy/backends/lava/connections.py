"""Which connection process of Lava computes a projection exactly.

Measured with lava-nc 0.10.0, fixed_pt: Dense and Sparse clip weights to 8 bits and round them
to even where signs are mixed, and shift the sum by `weight_exp`; Conv ignores `weight_exp`, is
a true convolution, has no delay and one padding per axis. Each takes one step; the delayed ones
0..63 more.
"""

import numpy as np

from snn_deploy.backends.lava.plan import Connection
from snn_deploy.backends.lava.worst import most_through, own_shift
from snn_deploy.ir.kinds import Delta, Sigma, SigmaDelta
from snn_deploy.ir.maps import Convolution, Dense
from snn_deploy.ir.program import Program, Projection, Sign
from snn_deploy.targets import Target, WeightRange

INT32 = 2**31
"""Dense and Sparse send their sums in int32."""

INT8 = 2**7
"""Conv keeps its geometry in int8, and computes with it in int8."""

CONV_SUM = 2**23
"""Conv wraps its sum to 24 bits with sign."""


def why_not_stock(program: Program, projection: Projection, chip: Target) -> str:
    """Return what keeps every stock connection from this projection; empty: nothing does."""
    longest = int(projection.delay.max(initial=1))
    if longest > chip.delay.high:
        return f"a delay of {longest} steps exceeds {chip.delay.high}"
    weight = projection.map.numbers()
    allowed = weights_of(projection.sign, chip)
    if not _fits(weight, allowed):
        return (
            f"{projection.sign.value} weights are {allowed.low}..{allowed.high} in steps of "
            f"{allowed.step} in Lava, these lie in {weight.min()}..{weight.max()}"
        )
    kind = program.population(projection.target).kind
    shifted = chip.weights.shift.value if kind is None else own_shift(program, projection.target)
    exponent = projection.shift - shifted
    if exponent > chip.weights.exponent.high:
        return f"a weight exponent of {exponent} exceeds {chip.weights.exponent.high}"
    if exponent < 0:
        return f"a shift of {projection.shift} is less than Lava's {shifted}"
    most = most_through(program, projection) << projection.shift
    if most >= INT32 and not isinstance(kind, Sigma | Delta | SigmaDelta):  # they wrap at 32 bits
        return f"a sum of up to {most} exceeds the 32 bits that Lava's connections send"
    return ""


def weights_of(sign: Sign, chip: Target) -> WeightRange:
    """Return the weights that a stock connection of this sign mode keeps as they are."""
    return {
        Sign.MIXED: chip.weights.mixed,
        Sign.EXCITATORY: chip.weights.excitatory,
        Sign.INHIBITORY: chip.weights.inhibitory,
    }[sign]


def _fits(weight: np.ndarray, allowed: WeightRange) -> bool:
    if not weight.size:
        return True
    inside = weight.min() >= allowed.low and weight.max() <= allowed.high
    return bool(inside) and not np.any(weight % allowed.step)


def stock_process(
    program: Program, projection: Projection, *, exponent: int, grouped: bool, chip: Target
) -> tuple[Connection, str]:
    """Return the stock process of a projection, and why a convolution is not Conv.

    Args:
        program: What the projection belongs to.
        projection: One for which `why_not_stock` has no reason.
        exponent: Shift to the left of its sum.
        grouped: Whether one of its ends is split into several groups of neurons.
        chip: The ranges.
    """
    delayed = bool(projection.delay.max(initial=1) > 1)
    if isinstance(projection.map, Dense):
        return (Connection.DELAY_DENSE if delayed else Connection.DENSE), ""
    reason = ""
    if isinstance(projection.map, Convolution):
        reason = (
            "Lava's Conv has no delay"
            if delayed
            else "its neurons are split into groups"
            if grouped
            else _why_not_conv(program, projection, projection.map, exponent, chip)
        )
        if not reason:
            return Connection.CONV, ""
        reason = f"unrolled: {reason}"
    return (Connection.DELAY_SPARSE if delayed else Connection.SPARSE), reason


def _why_not_conv(
    program: Program,
    projection: Projection,
    linear: Convolution,
    exponent: int,
    chip: Target,
) -> str:
    top, bottom, left, right = linear.padding
    kernel = linear.weight.shape[2:]
    reach = [d * (size - 1) + 1 for d, size in zip(linear.dilation, kernel, strict=True)]
    geometry = (*linear.stride, 2 * top, 2 * left, *reach, linear.groups)
    if top != bottom or left != right:
        return "Lava's Conv pads both sides alike"
    if max(geometry) >= INT8:
        return "Lava's Conv computes its geometry in 8 bits"
    if not _fits(linear.weight << exponent, weights_of(projection.sign, chip)):
        return "Lava's Conv ignores the weight exponent"
    if most_through(program, projection) << exponent >= CONV_SUM:
        return "Lava's Conv wraps its sum to 24 bits"
    return ""
