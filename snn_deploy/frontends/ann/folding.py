"""Factors and shifts: for which places they are one number, and how a kernel takes them."""

from dataclasses import replace

import numpy as np

from snn_deploy.errors import NotFiniteError
from snn_deploy.frontends.layers import Convolution, Layer, Linear
from snn_deploy.ir.maps import Shape


def check_finite(numbers: np.ndarray, where: str) -> None:
    """Refuse numbers that are none.

    Raises:
        NotFiniteError: one is NaN or infinite.
    """
    if not np.all(np.isfinite(numbers)):
        raise NotFiniteError("a number is NaN or infinite", where=where)


def broadcasts(numbers: np.ndarray, shape: Shape) -> bool:
    """Return whether numbers broadcast to `shape`, aligned at the last axis."""
    try:
        return np.broadcast_shapes(trimmed(numbers, shape).shape, shape) == shape
    except ValueError:
        return False


def trimmed(numbers: np.ndarray, shape: Shape) -> np.ndarray:
    """Return numbers without leading axes of 1 that `shape` does not have."""
    while numbers.ndim > len(shape) and numbers.shape[0] == 1:
        numbers = numbers[0]
    return numbers


def along(numbers: np.ndarray, shape: Shape, axis: int) -> np.ndarray | None:
    """Return one number per place along an axis; None: they differ along another one."""
    least = trimmed(numbers, shape)
    full = least.reshape((1,) * (len(shape) - least.ndim) + least.shape)
    if any(side > 1 and i != axis for i, side in enumerate(full.shape)):
        return None
    return np.broadcast_to(full.ravel(), (shape[axis],)).astype(np.float64)


def with_factor(
    layer: Layer, factor: np.ndarray, shift: np.ndarray, shape: Shape
) -> Linear | Convolution | None:
    """Return a kernel with a factor and a shift of its output in it; None: it cannot take them."""
    if not isinstance(layer, Linear | Convolution):
        return None
    axis = len(shape) - 1 if isinstance(layer, Linear) else 0
    scale, offset = along(factor, shape, axis), along(shift, shape, axis)
    if scale is None or offset is None:
        return None
    weight, bias = layer.weight, layer.bias
    if np.any(scale != 1):
        columns = scale.reshape(-1, *(1,) * (weight.ndim - 1))
        weight = weight * columns
        bias = None if bias is None else bias * scale
    if np.any(offset):
        bias = offset if bias is None else bias + offset
    return replace(layer, weight=weight, bias=bias)
