"""Compositions of maps become one kernel each: what a chip stores for one projection."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Num

from snn_deploy.ir.maps import (
    Composition,
    Convolution,
    Dense,
    LinearMap,
    Scale,
    to_sparse,
)
from snn_deploy.ir.network import Network, Projection
from snn_deploy.quantize.passes import Passed


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldMaps:
    """Pass: every projection gets one map that is Dense, Sparse or Convolution.

    The maps are equal, in exact arithmetic, to what they replace. Sum-pooling before a convolution
    becomes a larger convolution with a larger stride; where zero padding or cropped rows forbid
    that, the synapses are listed one by one.
    """

    name: ClassVar[str] = "fold-maps"

    def __call__(self, graph: Network) -> Passed[Network]:
        """Return `graph` with folded maps."""
        return Passed(
            graph=replace(graph, projections=tuple(_folded(p) for p in graph.projections))
        )


def _folded(projection: Projection) -> Projection:
    linear, delay = projection.map, projection.delay
    if isinstance(linear, Scale) and delay.ndim:
        delay = delay.ravel()  # one per value is one per source
    return replace(projection, map=stored(fold(linear)), delay=delay)


def fold(linear: LinearMap) -> LinearMap:
    """Return the same map as one Dense, Sparse, Convolution or Scale."""
    if not isinstance(linear, Composition):
        return linear
    total = linear.stages[0]
    for stage in linear.stages[1:]:
        total = _after(stage, total)
    return total


def stored(linear: LinearMap) -> LinearMap:
    """Return a Scale as a 1x1 convolution of each channel or as Sparse; other maps as they are."""
    if not isinstance(linear, Scale):
        return linear
    factor = linear.factor
    if factor.ndim == 3 and _uniform_per_channel(factor):
        return Convolution(
            weight=factor[:, :1, :1, None], source=factor.shape, groups=factor.shape[0]
        )
    return to_sparse(linear, keep_zeros=True)


def _after(outer: LinearMap, inner: LinearMap) -> LinearMap:
    """Return the map `outer` after `inner`."""
    if isinstance(inner, Scale):
        scaled = scale_sources(outer, inner.factor)
        if scaled is not None:
            return scaled
    if isinstance(outer, Scale):
        scaled = scale_targets(inner, outer.factor)
        if scaled is not None:
            return scaled
    if isinstance(inner, Dense):
        columns = inner.weight.T.reshape(-1, *outer.in_shape)
        return Dense(weight=outer.apply(columns).reshape(inner.in_size, -1).T)
    if isinstance(outer, Dense):
        return Dense(weight=_transposed_apply(inner, outer.weight))
    if isinstance(inner, Convolution) and isinstance(outer, Convolution):
        joined = convolution_after(outer, inner)
        if joined is not None:
            return joined
    return to_sparse(Composition(stages=(inner, outer)))


def scale_targets(linear: LinearMap, factor: Float[np.ndarray, "..."]) -> LinearMap | None:
    """Return `linear` with each value that it gives times `factor`, of its size or a scalar.

    None: a convolution cannot, for the factor differs within a channel.
    """
    if factor.ndim == 0:
        return linear.with_numbers(linear.numbers() * factor)
    flat = factor.ravel()
    if isinstance(linear, Dense):
        return Dense(weight=linear.weight * flat[:, None])
    if isinstance(linear, Scale):
        return Scale(factor=linear.factor * factor.reshape(linear.factor.shape))
    if isinstance(linear, Convolution):
        channels = flat.reshape(linear.out_shape)
        if not _uniform_per_channel(channels):
            return None
        return linear.with_numbers(linear.weight * channels[:, :1, :1, None])
    posts = to_sparse(linear, keep_zeros=True)
    return posts.with_numbers(posts.weight * flat[posts.post])


def scale_sources(linear: LinearMap, factor: Float[np.ndarray, "..."]) -> LinearMap | None:
    """Return `linear` with each value that it reads times `factor`, of its size.

    None: a convolution cannot, for the factor differs within a channel.
    """
    flat = factor.ravel()
    if isinstance(linear, Dense):
        return Dense(weight=linear.weight * flat)
    if isinstance(linear, Scale):
        return Scale(factor=linear.factor * factor.reshape(linear.factor.shape))
    if isinstance(linear, Convolution):
        channels = flat.reshape(linear.source)
        if not _uniform_per_channel(channels):
            return None
        into = source_channel(linear)
        return linear.with_numbers(linear.weight * channels[:, 0, 0][into][..., None, None])
    pres = to_sparse(linear, keep_zeros=True)
    return pres.with_numbers(pres.weight * flat[pres.pre])


def source_channel(linear: Convolution) -> Num[np.ndarray, "out in_per_group"]:
    """Return the channel that each kernel of a convolution reads."""
    out, per_group = linear.weight.shape[:2]
    group = np.arange(out) // (out // linear.groups)
    return group[:, None] * per_group + np.arange(per_group)


def _uniform_per_channel(values: Num[np.ndarray, "channel height width"]) -> bool:
    return bool(np.all(values == values[:, :1, :1]))


ROWS_AT_ONCE = 2**24
"""Numbers that one block of a product with a sparse map may hold."""


def _transposed_apply(
    inner: LinearMap, weight: Float[np.ndarray, "post mid"]
) -> Float[np.ndarray, "post pre"]:
    """Return `weight` times the matrix of `inner`, without making that matrix."""
    sparse = to_sparse(inner)
    out = np.zeros((inner.in_size, weight.shape[0]), np.result_type(weight, sparse.weight))
    block = max(1, ROWS_AT_ONCE // max(1, weight.shape[0]))
    columns = np.ascontiguousarray(weight.T)
    for start in range(0, sparse.weight.size, block):
        part = slice(start, start + block)
        np.add.at(out, sparse.pre[part], columns[sparse.post[part]] * sparse.weight[part][:, None])
    return out.T


def convolution_after(outer: Convolution, inner: Convolution) -> Convolution | None:
    """Return the one convolution that equals `outer` after `inner`; None: there is none.

    With kernels k, dilations d, strides s and paddings p of the inner (1) and outer (2) one, the
    tap (a, b) reads at o * s1 * s2 + a * d1 + b * d2 * s1 - (p1 + p2 * s1). That is exact where
    every tap that the outer one puts into its zero padding would read zero padding of the inner
    one too, and no row that the inner one leaves out is read.
    """
    axes = []
    for axis in (0, 1):
        joined = _Axis.join(outer, inner, axis)
        if joined is None:
            return None
        axes.append(joined)
    height, width = axes
    kernel = _joined_kernel(outer, inner, height, width)
    groups = _finest_groups(outer, inner)
    return Convolution(
        weight=_grouped(kernel, groups),
        source=inner.source,
        stride=(height.stride, width.stride),
        padding=(*height.padding, *width.padding),
        dilation=(height.dilation, width.dilation),
        groups=groups,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """The joined convolution along one axis."""

    taps: int
    dilation: int
    stride: int
    padding: tuple[int, int]
    inner_step: int
    """Taps of the joined kernel from one inner tap to the next."""

    outer_step: int

    @classmethod
    def join(cls, outer: Convolution, inner: Convolution, axis: int) -> "_Axis | None":
        size, middle, out = (s[1 + axis] for s in (inner.source, outer.source, outer.out_shape))
        inner_taps, outer_taps = inner.weight.shape[2 + axis], outer.weight.shape[2 + axis]
        near = inner.dilation[axis], outer.dilation[axis] * inner.stride[axis]
        dilation = math.gcd(near[0] * (inner_taps > 1), near[1] * (outer_taps > 1)) or 1
        reach = near[0] * (inner_taps - 1) + near[1] * (outer_taps - 1)
        stride = inner.stride[axis] * outer.stride[axis]
        first = inner.padding[2 * axis] + outer.padding[2 * axis] * inner.stride[axis]
        last = (out - 1) * stride + reach + 1 - size - first
        if not _padding_meets_padding(outer, inner, axis, size, middle) or last <= -stride:
            return None
        return cls(
            taps=reach // dilation + 1,
            dilation=dilation,
            stride=stride,
            padding=(first, max(0, last)),
            inner_step=near[0] // dilation if inner_taps > 1 else 0,
            outer_step=near[1] // dilation if outer_taps > 1 else 0,
        )


def _padding_meets_padding(
    outer: Convolution, inner: Convolution, axis: int, size: int, middle: int
) -> bool:
    """Return whether each place outside the middle values would be 0 if it were computed."""
    taps = np.arange(outer.weight.shape[2 + axis]) * outer.dilation[axis]
    starts = np.arange(outer.out_shape[1 + axis]) * outer.stride[axis] - outer.padding[2 * axis]
    places = (starts[:, None] + taps).ravel()
    beyond = places[(places < 0) | (places >= middle)]
    inner_taps = np.arange(inner.weight.shape[2 + axis]) * inner.dilation[axis]
    first = beyond * inner.stride[axis] - inner.padding[2 * axis]
    read = first[:, None] + inner_taps
    return not bool(np.any((read >= 0) & (read < size)))


def _ungrouped(linear: Convolution) -> Num[np.ndarray, "out in height width"]:
    weight = linear.weight
    full = np.zeros((weight.shape[0], linear.source[0], *weight.shape[2:]), weight.dtype)
    full[np.arange(weight.shape[0])[:, None], source_channel(linear)] = weight
    return full


def _joined_kernel(
    outer: Convolution, inner: Convolution, height: _Axis, width: _Axis
) -> Num[np.ndarray, "out in height width"]:
    first, second = _ungrouped(inner), _ungrouped(outer)
    dtype = np.result_type(first, second)
    kernel = np.zeros((second.shape[0], first.shape[1], height.taps, width.taps), dtype)
    for by, bx in np.ndindex(*second.shape[2:]):
        for ay, ax in np.ndindex(*first.shape[2:]):
            y = by * height.outer_step + ay * height.inner_step
            x = bx * width.outer_step + ax * width.inner_step
            kernel[:, :, y, x] += second[:, :, by, bx] @ first[:, :, ay, ax]
    return kernel


def _finest_groups(outer: Convolution, inner: Convolution) -> int:
    """Return into how many independent groups of channels the joined kernel falls."""
    first, second = _linked(inner), _linked(outer)
    linked = (second.astype(np.int64) @ first.astype(np.int64)) > 0
    for groups in range(math.gcd(*linked.shape), 1, -1):
        if linked.shape[0] % groups or linked.shape[1] % groups:
            continue
        blocks = linked.reshape(
            groups, linked.shape[0] // groups, groups, linked.shape[1] // groups
        )
        if not np.any(blocks & ~np.eye(groups, dtype=bool)[:, None, :, None]):
            return groups
    return 1


def _linked(linear: Convolution) -> Bool[np.ndarray, "out in"]:
    linked = np.zeros((linear.weight.shape[0], linear.source[0]), bool)
    linked[np.arange(linked.shape[0])[:, None], source_channel(linear)] = True
    return linked


def _grouped(kernel: Num[np.ndarray, "out in height width"], groups: int) -> np.ndarray:
    out, into = kernel.shape[:2]
    rows = np.arange(out)[:, None]
    columns = rows // (out // groups) * (into // groups) + np.arange(into // groups)
    return kernel[rows, columns]
