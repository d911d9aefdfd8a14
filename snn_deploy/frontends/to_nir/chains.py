"""Single layers as nodes of NIR, one after another: what `to_nir` strings together."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import nir
import numpy as np

from snn_deploy.errors import ShapeError
from snn_deploy.frontends.layers import (
    AdaptiveAverage,
    ChannelAffine,
    Convolution,
    Flatten,
    Layer,
    Linear,
    Pool,
    Pooling,
    Scale,
    TransposedConvolution,
    Unflatten,
    Upsample,
    fitted,
)
from snn_deploy.frontends.nir import check_size
from snn_deploy.frontends.resizing import adaptive_map, matrix_of, transposed_map, upsampled_map
from snn_deploy.ir.arrays import fits
from snn_deploy.ir.maps import Shape, Sparse

LARGEST_DIAGONAL = 2**12
"""Features whose normalisation NIR can say as a matrix: that of a vector has no other form."""

Chain = tuple[dict[str, nir.NIRNode], Shape]
"""Nodes by name, each reading the one before it, and the shape of what the last one gives."""


def chain_of(name: str, layer: Layer, reads: Shape) -> Chain:
    """Return the nodes of a layer that is neither neurons nor a join; none: it does nothing.

    Raises:
        ShapeError: the layer does not fit what it reads, or is too large.
    """
    return _CHAINS[type(layer)](name, layer, reads)


def axis_in(axis: int, rank: int, name: str) -> int:
    """Return an axis counted from the start.

    Raises:
        ShapeError: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise ShapeError(
            f"axis {axis} of values with {rank} axes, the batch not counted", where=name
        )
    return axis % rank


def _linear(name: str, layer: Linear, reads: Shape) -> Chain:
    weight = layer.weight
    if reads[-1] != weight.shape[1] or len(reads) != 1:
        raise ShapeError(
            f"a weight of shape {weight.shape} reads {weight.shape[1]} values, "
            f"but is given {reads}",
            where=name,
            fix=_flattened(weight.shape[1], reads),
        )
    made = (
        nir.Linear(weight=weight)
        if layer.bias is None
        else nir.Affine(weight=weight, bias=layer.bias)
    )
    return {name: made}, (int(weight.shape[0]),)


def _flattened(values: int, reads: Shape) -> str:
    """Return the way out for a Linear of so many values; none where it is given one axis."""
    size = math.prod(reads)
    if len(reads) == 1:
        return ""
    return "flatten before it" + ("" if size == values else f", and train it with {size} inputs")


def _convolution(name: str, layer: Convolution, reads: Shape) -> Chain:
    axes = layer.weight.ndim - 2
    if len(reads) != axes + 1:
        raise ShapeError(f"a kernel of {axes} axes is given values of shape {reads}", where=name)
    one = axes == 1
    weight = layer.weight

    def side(value: Any) -> Any:
        return value[0] if one and not isinstance(value, str) else value

    node = (nir.Conv1d if one else nir.Conv2d)(
        input_shape=None,
        weight=weight,
        stride=side(layer.stride),
        padding=side(layer.padding),
        dilation=side(layer.dilation),
        groups=layer.groups,
        bias=np.zeros(len(weight), weight.dtype) if layer.bias is None else layer.bias,
    )
    node.input_shape = reads[1] if one else reads[1:]
    if reads[0] != weight.shape[1] * layer.groups:
        raise ShapeError(
            f"it reads {weight.shape[1] * layer.groups} channels, but is given {reads}", where=name
        )
    gives = [len(weight)]
    for axis, length in enumerate(reads[1:]):
        if layer.padding == "same":
            gives.append(math.ceil(length / layer.stride[axis]))
            continue
        around = 0 if isinstance(layer.padding, str) else layer.padding[axis]
        reach = layer.dilation[axis] * (weight.shape[2 + axis] - 1) + 1
        gives.append(_extent(length, reach, layer.stride[axis], around, name))
    check_size(tuple(gives), name)
    return {name: node}, tuple(gives)


def _extent(side: int, reach: int, stride: int, around: int, name: str) -> int:
    """Return how often a window fits an axis that has `around` zeros at each end."""
    extent = (side + 2 * around - reach) // stride + 1
    if extent < 1:
        raise ShapeError(f"its kernel is larger than its input of {side}", where=name)
    return extent


def _depthwise(
    weight: np.ndarray, shift: np.ndarray | None, stride: Any, padding: Any
) -> Convolution:
    """Return a convolution that keeps channels apart; weight [channel, *kernel]."""
    return Convolution(
        weight=weight[:, None],
        bias=shift,
        stride=stride,
        padding=padding,
        dilation=(1,) * (weight.ndim - 1),
        groups=len(weight),
    )


def _channel_affine(name: str, layer: ChannelAffine, reads: Shape) -> Chain:
    axes = len(reads) - 1
    scale, shift = layer.scale, layer.shift
    if scale.size != reads[0]:
        raise ShapeError(f"it normalises {scale.size} channels, but is given {reads}", where=name)
    if axes:
        weight = scale.reshape(-1, *(1,) * axes)
        kernel = _depthwise(weight, shift, (1,) * axes, (0,) * axes)
        return _convolution(name, kernel, reads)
    if not np.any(shift):
        return {name: nir.Scale(scale=scale)}, reads
    if scale.size > LARGEST_DIAGONAL:
        raise ShapeError(
            f"NIR can say the normalisation of a vector only as a matrix, and {scale.size} x "
            f"{scale.size} numbers are too many",
            where=name,
            fix="put it right behind the Linear layer that it normalises: they become one",
        )
    return {name: nir.Affine(weight=np.diag(scale), bias=shift)}, reads


def pool(name: str, layer: Pool, reads: Shape) -> Chain:
    """Return sum or average pooling.

    Raises:
        ShapeError: the window does not fit.
    """
    axes = len(layer.kernel)
    if len(reads) != axes + 1:
        raise ShapeError(f"a window of {axes} axes is given values of shape {reads}", where=name)
    sides = zip(reads[1:], layer.kernel, layer.stride, layer.padding, strict=True)
    gives = (reads[0], *(_extent(*each, name) for each in sides))
    check_size(gives, name)
    average = layer.pooling is Pooling.AVERAGE
    if axes == 1:
        each = 1.0 / layer.kernel[0] if average else 1.0
        window = np.full((reads[0], *layer.kernel), each)
        return _convolution(name, _depthwise(window, None, layer.stride, layer.padding), reads)
    node = (nir.AvgPool2d if average else nir.SumPool2d)(
        kernel_size=np.array(layer.kernel),
        stride=np.array(layer.stride),
        padding=np.array(layer.padding),
    )
    return {name: node}, gives


def _adaptive(name: str, layer: AdaptiveAverage, reads: Shape) -> Chain:
    sides = reads[1:]
    if len(layer.size) != len(sides):
        raise ShapeError(
            f"it pools {len(layer.size)} axes, but is given values of shape {reads}", where=name
        )
    size = [
        side if wanted is None else wanted for side, wanted in zip(sides, layer.size, strict=True)
    ]
    if all(side % wanted == 0 for side, wanted in zip(sides, size, strict=True)):
        window = tuple(side // wanted for side, wanted in zip(sides, size, strict=True))
        if all(side == 1 for side in window):
            return {}, reads
        means = Pool(
            pooling=Pooling.AVERAGE, kernel=window, stride=window, padding=(0,) * len(window)
        )
        return pool(name, means, reads)
    check_size((reads[0], *size), name)
    return _matrix(name, adaptive_map(reads, size, name), None)


def _upsample(name: str, layer: Upsample, reads: Shape) -> Chain:
    axes = len(reads) - 1
    given = layer.size or layer.factors or ()
    if len(given) not in (1, axes):
        raise ShapeError(f"it resizes {len(given)} axes of values of shape {reads}", where=name)
    if layer.size is not None:
        size = layer.size if len(layer.size) == axes else layer.size * axes
    else:
        factors = layer.factors or (1,)
        factors = factors if len(factors) == axes else factors * axes
        size = tuple(side * factor for side, factor in zip(reads[1:], factors, strict=True))
    check_size((reads[0], *size), name)
    if all(side == 1 for side in reads[1:]):  # a kernel of ones that reaches over all its padding
        around = tuple(side - 1 for side in size)
        ones = np.ones((reads[0], *size))
        return _convolution(name, _depthwise(ones, None, (1,) * axes, around), reads)
    return _matrix(name, upsampled_map(reads, size, name), None)


def _transposed(name: str, layer: TransposedConvolution, reads: Shape) -> Chain:
    return _matrix(name, transposed_map(layer, reads, name), layer.bias)


def _matrix(name: str, linear: Sparse, bias: np.ndarray | None) -> Chain:
    """Return a map as a matrix, in a shape that later layers know again."""
    chain: dict[str, nir.NIRNode] = {}
    if len(linear.in_shape) > 1:
        chain |= _flatten(f"{name}.flat", Flatten(), linear.in_shape)[0]
    chain[f"{name}.matrix"] = nir.Linear(weight=matrix_of(linear, name))
    return {**chain, **_shaped(name, linear.out_shape, bias)}, linear.out_shape


def _shaped(name: str, shape: Shape, bias: np.ndarray | None) -> dict[str, nir.NIRNode]:
    """Return a node that gives values in C order a shape, and each channel a bias.

    A kernel of 1 that says its input's shape is how NIR can do that.
    """
    axes = len(shape) - 1
    if axes == 0:
        return {}
    kernel = _depthwise(np.ones((shape[0], *(1,) * axes)), bias, (1,) * axes, (0,) * axes)
    return _convolution(name, kernel, shape)[0]


def _flatten(name: str, layer: Flatten, reads: Shape) -> Chain:
    rank = len(reads)
    start, end = axis_in(layer.start, rank, name), axis_in(layer.end, rank, name)
    if start > end:
        raise ShapeError(
            f"it flattens from axis {start} to axis {end}, which is before it", where=name
        )
    if start == end:
        return {}, reads
    gives = (*reads[:start], math.prod(reads[start : end + 1]), *reads[end + 1 :])
    return {name: nir.Flatten(input_type=None, start_dim=start, end_dim=end)}, gives


def _unflatten(name: str, layer: Unflatten, reads: Shape) -> Chain:
    known = math.prod(side for side in layer.shape if side != -1)
    rest = math.prod(reads) // max(known, 1)
    gives = tuple(rest if side == -1 else side for side in layer.shape)
    if math.prod(gives) != math.prod(reads):
        raise ShapeError(f"values of shape {reads} cannot take shape {layer.shape}", where=name)
    if gives == reads:
        return {}, reads
    if len(gives) == 1:
        return _flatten(name, Flatten(), reads)
    chain = _flatten(f"{name}.flat", Flatten(), reads)[0] if len(reads) > 1 else {}
    return {**chain, **_shaped(name, gives, None)}, gives


def _scale(name: str, layer: Scale, reads: Shape) -> Chain:
    factor = fitted(layer.factor, reads)
    if not fits(factor, reads):
        raise ShapeError(f"factors of shape {factor.shape} for values of shape {reads}", where=name)
    return {name: nir.Scale(scale=np.array(np.broadcast_to(factor, reads)))}, reads


def placed(name: str, reads: Shape, gives: Shape, axis: int, start: int) -> dict[str, nir.NIRNode]:
    """Return a map that puts values at `start` of an axis, zeros beside them."""
    if axis == 0 and len(reads) > 1:
        weight = np.zeros((gives[0], *reads[:1], *(1,) * (len(reads) - 1)))
        weight[start + np.arange(reads[0]), np.arange(reads[0])] = 1.0
        rank = len(reads) - 1
        kernel = Convolution(
            weight=weight, stride=(1,) * rank, padding=(0,) * rank, dilation=(1,) * rank
        )
        return _convolution(name, kernel, reads)[0]
    index = list(np.indices(reads))
    index[axis] = index[axis] + start
    post = np.ravel_multi_index(tuple(index), gives).ravel()
    place = Sparse(
        post=post,
        pre=np.arange(post.size),
        weight=np.ones(post.size),
        post_shape=gives,
        pre_shape=reads,
    )
    if len(reads) == 1:
        return {name: nir.Linear(weight=matrix_of(place, name))}
    return _matrix(name, place, None)[0]


_CHAINS: Mapping[type[Layer], Callable[[str, Any, Shape], Chain]] = {
    Linear: _linear,
    Convolution: _convolution,
    TransposedConvolution: _transposed,
    ChannelAffine: _channel_affine,
    Pool: pool,
    AdaptiveAverage: _adaptive,
    Upsample: _upsample,
    Flatten: _flatten,
    Unflatten: _unflatten,
    Scale: _scale,
}
