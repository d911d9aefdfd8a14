"""The projections of a program as netx computes them with Dense, DelayDense and Conv of Lava."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from snn_deploy.backends.netx.chain import Link
from snn_deploy.backends.netx.features import LAVA, NETX
from snn_deploy.errors import DoesNotFitError, UnsupportedError
from snn_deploy.ir.maps import Convolution, dense_matrix
from snn_deploy.ir.netx import (
    EXCITATORY,
    INHIBITORY,
    LARGEST_GEOMETRY,
    LONGEST_DELAY,
    MIXED,
    STATE_SHIFT,
    netx_keeps,
)
from snn_deploy.ir.program import Projection
from snn_deploy.ir.sizes import allowed, or_higher

MOST_WEIGHTS = 2**27
"""Of one matrix: 512 MiB, a quarter of what the reader of such files takes as a whole."""

Weights = Int64[np.ndarray, "..."]


def kernel_of(link: Link) -> tuple[Weights, Convolution]:
    """Return the kernel of a convolution, and its geometry with one padding per axis.

    Raises:
        UnsupportedError: a delay, a loop, or a geometry that Lava's Conv lacks.
        DoesNotFitError: a weight that is not stored.
    """
    linear, name = link.way.map, link.way.name
    assert isinstance(linear, Convolution)
    if link.loop is not None:
        raise UnsupportedError(
            "a convolution with a loop, but only dense layers of a .net file have one",
            where=link.loop.name,
            fix=LAVA,
        )
    if np.any(link.way.delay != 1):
        raise UnsupportedError(
            f"a convolution with delays of up to {link.way.delay.max()} steps, but in netx it "
            "takes one",
            where=name,
            fix=f"train it without delays; or {LAVA}",
        )
    linear = _evenly_padded(linear, name)
    _check_geometry(linear, name)
    return _stored(link.way, linear.weight), linear


def matrices_of(link: Link) -> tuple[Weights, Weights | None, Weights | None]:
    """Return weights [post, pre], weights of the loop, and delays beyond one step, if any.

    Raises:
        UnsupportedError: a loop with delays.
        DoesNotFitError: a weight or delay that is not stored, or that netx would destroy.
    """
    way, loop = link.way, link.loop
    weight = _stored(way, _matrix(way))
    back = None if loop is None else _stored(loop, _matrix(loop))
    if loop is not None and (np.any(loop.delay != 1) or np.any(way.delay != 1)):
        raise UnsupportedError(
            "a layer with a loop and delays: netx computes it with other weights, by mistake",
            where=f"{way.name}, {loop.name}",
            fix=f"train it without delays; or {LAVA}",
        )
    both = (weight,) if back is None else (weight, back)
    if not any(np.any(part) for part in both):
        raise DoesNotFitError(
            "all weights are 0, which netx cannot load: it divides by the largest one",
            where=way.name,
            fix="look why the layer lost its weights, or take it out of the network",
        )
    if not netx_keeps(both):
        raise DoesNotFitError(
            f"weights of {weight.min()}..{weight.max()}: netx shifts them to the left until Lava, "
            "which stores 0..255 of one sign, clips or cuts them",
            where=way.name,
            fix=f"change the largest weight by one step, or give one weight the other sign; or "
            f"{LAVA}",
        )
    return weight, back, _delays(way, weight)


def _stored(projection: Projection, weight: np.ndarray) -> Weights:
    """Return weights in units of 64 state units, as netx and the chip store them."""
    exponent = projection.shift - STATE_SHIFT
    if exponent < 0:
        raise DoesNotFitError(
            f"a weight adds {1 << projection.shift} state units, and in a .net file 64",
            where=projection.name,
            fix=NETX,
        )
    scaled = weight.astype(np.int64) << exponent
    low, high = int(scaled.min(initial=0)), int(scaled.max(initial=0))
    mixed = MIXED[0] <= low and high <= MIXED[1] and not np.any(scaled % 2)
    one_sign = (low == 0 and high <= EXCITATORY[1]) or (high == 0 and low >= INHIBITORY[0])
    if not (mixed or one_sign):
        times = f", which are {1 << exponent} times those stored" if exponent else ""
        raise DoesNotFitError(
            f"weights of {low}..{high}{times}; a .net file holds {EXCITATORY[0]}..{EXCITATORY[1]}, "
            f"{INHIBITORY[0]}..{INHIBITORY[1]}, or {MIXED[0]}..{MIXED[1]} in even numbers, without "
            "exponents",
            where=projection.name,
            fix=NETX,
        )
    return scaled


def _matrix(projection: Projection) -> Weights:
    linear = projection.map
    size = linear.in_size * linear.out_size
    if size > allowed(MOST_WEIGHTS):
        raise DoesNotFitError(
            f"{size} weights of a dense layer, which is all that a .net file has for it; at most "
            f"{allowed(MOST_WEIGHTS)} are written",
            where=projection.name,
            fix=or_higher(LAVA, size, MOST_WEIGHTS),
        )
    return dense_matrix(linear)


def _delays(way: Projection, weight: Weights) -> Weights | None:
    """Return the steps beyond the one that every connection takes; None: there are none."""
    steps = way.delay.astype(np.int64) - 1
    if not np.any(steps):
        return None
    if steps.min() < 0 or steps.max() > LONGEST_DELAY:
        raise DoesNotFitError(
            f"delays of {way.delay.min()}..{way.delay.max()} steps; netx has "
            f"1..{LONGEST_DELAY + 1}",
            where=way.name,
            fix=f"train it with delays of so many steps; or {LAVA}",
        )
    if steps.shape != weight.shape[1:]:  # one for all, or one per weight
        return dense_matrix(way.map.with_numbers(steps)) if steps.ndim else steps
    if weight.shape[0] == weight.shape[1]:  # netx would take one per input as one per neuron
        return np.array(np.broadcast_to(steps, weight.shape))
    return steps


def _evenly_padded(linear: Convolution, where: str) -> Convolution:
    """Return the same convolution with as much padding on both ends of each axis.

    A row of zeros in front of the kernel lets it start one dilation earlier, one behind it lets
    it end later.

    Raises:
        UnsupportedError: the difference is no multiple of the dilation.
    """
    margins, padding = [(0, 0), (0, 0)], list[int]()
    for axis in (0, 1):
        front, back = linear.padding[2 * axis : 2 * axis + 2]
        rows, rest = divmod(abs(back - front), linear.dilation[axis])
        if rest:
            raise UnsupportedError(
                f"a padding of {front} in front and {back} behind, with dilation "
                f"{linear.dilation[axis]}; Lava's Conv pads both alike",
                where=where,
                fix=f"pad both alike in training; or {LAVA}",
            )
        margins.append((rows, 0) if back > front else (0, rows))
        padding += [max(front, back)] * 2
    top, bottom, left, right = padding
    weight = np.pad(linear.weight, margins)
    return replace(linear, weight=weight, padding=(top, bottom, left, right))


def _check_geometry(linear: Convolution, where: str) -> None:
    reach = [d * (n - 1) + 1 for d, n in zip(linear.dilation, linear.weight.shape[2:], strict=True)]
    geometry = (*linear.stride, *(2 * side for side in linear.padding), *reach, linear.groups)
    if max(geometry) > LARGEST_GEOMETRY:
        raise UnsupportedError(
            f"a stride, twice a padding, the reach of a kernel or a number of groups is "
            f"{max(geometry)}, and Lava's Conv computes with them in 8 bits, up to "
            f"{LARGEST_GEOMETRY}",
            where=where,
            fix=LAVA,
        )
