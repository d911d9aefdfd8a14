"""Layers that NIR has no node for, as plain matrices: transposed convolutions and resizing."""

import math
from collections.abc import Sequence

import numpy as np

from snn_deploy.errors import ShapeError
from snn_deploy.frontends.layers import TransposedConvolution
from snn_deploy.ir.maps import Convolution, Shape, Sparse
from snn_deploy.ir.sizes import allowed, or_higher

LARGEST_MATRIX = 2**27
"""Numbers of a matrix that stands for such a layer in a NIR file, which knows dense ones only."""


def transposed_map(layer: TransposedConvolution, reads: Shape, name: str) -> Sparse:
    """Return a transposed convolution: the adjoint of the convolution from its output to its input.

    Raises:
        ShapeError: the weights do not fit the input.
    """
    axes = layer.weight.ndim - 2
    if len(reads) != axes + 1 or reads[0] != layer.weight.shape[0]:
        raise ShapeError(
            f"it reads {layer.weight.shape[0]} channels of {axes} axes, but is given {reads}",
            where=name,
        )
    gives = [layer.weight.shape[1] * layer.groups]
    for axis in range(axes):
        reach = layer.dilation[axis] * (layer.weight.shape[2 + axis] - 1) + 1
        side = (reads[1 + axis] - 1) * layer.stride[axis] - 2 * layer.padding[axis]
        gives.append(side + reach + layer.output_padding[axis])
    if min(gives) < 1:
        raise ShapeError(f"its output would have shape {tuple(gives)}", where=name)
    _check_matrix(math.prod(gives), math.prod(reads), name)
    flat = axes == 1  # a line is a plane of height 1
    pad = (0, *layer.padding) if flat else layer.padding
    adjoint = Convolution(
        weight=layer.weight[:, :, None] if flat else layer.weight,
        source=(gives[0], 1, gives[1]) if flat else (gives[0], gives[1], gives[2]),
        stride=(1, layer.stride[0]) if flat else (layer.stride[0], layer.stride[1]),
        padding=(pad[0], pad[0], pad[1], pad[1]),
        dilation=(1, layer.dilation[0]) if flat else (layer.dilation[0], layer.dilation[1]),
        groups=layer.groups,
    )
    synapses = adjoint.triplets()
    return _sorted(
        synapses.pre, synapses.post, layer.weight.ravel()[synapses.number], tuple(gives), reads
    )


def adaptive_map(reads: Shape, size: Sequence[int], name: str) -> Sparse:
    """Return adaptive average pooling: part i of n of an axis of length L reads
    floor(i L / n) up to ceil((i + 1) L / n)."""
    _check_matrix(reads[0] * math.prod(size), math.prod(reads), name)
    axes = []
    for side, parts in zip(reads[1:], size, strict=True):
        starts = [math.floor(part * side / parts) for part in range(parts)]
        ends = [math.ceil((part + 1) * side / parts) for part in range(parts)]
        axes.append([np.arange(a, b) for a, b in zip(starts, ends, strict=True)])
    return _windows(reads, axes)


def upsampled_map(reads: Shape, size: Sequence[int], name: str) -> Sparse:
    """Return nearest-neighbour resizing: value i of n reads value floor(i L / n)."""
    _check_matrix(reads[0] * math.prod(size), math.prod(reads), name)
    axes = [
        [np.array([index * side // wanted]) for index in range(wanted)]
        for side, wanted in zip(reads[1:], size, strict=True)
    ]
    return _windows(reads, axes)


def _windows(reads: Shape, axes: Sequence[Sequence[np.ndarray]]) -> Sparse:
    """Return the mean over windows, given as the indices that each reads along each axis."""
    gives = (reads[0], *(len(axis) for axis in axes))
    post, pre, weight = np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1)
    for side, axis in zip(reads[1:], axes, strict=True):
        lengths = np.array([window.size for window in axis])
        to = np.repeat(np.arange(len(axis)), lengths)
        post = (post[:, None] * len(axis) + to).ravel()
        pre = (pre[:, None] * side + np.concatenate(axis)).ravel()
        weight = (weight[:, None] / lengths[to]).ravel()
    channel = np.arange(reads[0])[:, None]
    return _sorted(
        (channel * math.prod(gives[1:]) + post).ravel(),
        (channel * math.prod(reads[1:]) + pre).ravel(),
        np.broadcast_to(weight, (reads[0], weight.size)).ravel(),
        gives,
        reads,
    )


def _check_matrix(outs: int, ins: int, name: str) -> None:
    if outs * ins > allowed(LARGEST_MATRIX):
        raise ShapeError(
            f"NIR can say this layer only as a matrix, and {outs} x {ins} numbers are more than "
            f"{allowed(LARGEST_MATRIX)}",
            where=name,
            fix=or_higher(
                "use pooling or a strided convolution with sides that divide, which stay kernels",
                outs * ins,
                LARGEST_MATRIX,
            ),
        )


def _sorted(
    post: np.ndarray, pre: np.ndarray, weight: np.ndarray, gives: Shape, reads: Shape
) -> Sparse:
    order = np.lexsort((pre, post))
    return Sparse(
        post=post[order],
        pre=pre[order],
        weight=weight[order],
        post_shape=gives,
        pre_shape=reads,
    )


def matrix_of(linear: Sparse, name: str) -> np.ndarray:
    """Return a map as the dense matrix [post, pre] that NIR can store.

    Raises:
        ShapeError: it would have more than `LARGEST_MATRIX` numbers.
    """
    _check_matrix(linear.out_size, linear.in_size, name)
    matrix = np.zeros((linear.out_size, linear.in_size), linear.weight.dtype)
    matrix[linear.post, linear.pre] = linear.weight
    return matrix
