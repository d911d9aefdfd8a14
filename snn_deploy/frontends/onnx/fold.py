"""What operations on constants give: exporters compute shapes and weights in the file."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snn_deploy.errors import FileDamagedError, UnknownNodeError
from snn_deploy.frontends.onnx.file import Op

LARGEST_CONSTANT = 2**26
"""Numbers of one that an operation makes."""

Constants = tuple["np.ndarray | None", ...]
"""Inputs of an operation; None: an optional one that is left out."""


def fold(op: Op, inputs: Constants, opset: int, where: str) -> np.ndarray | None:
    """Return what an operation gives whose inputs are constants; None: it is not known here.

    Raises:
        FileDamagedError: its inputs do not fit, or it would give too many numbers.
        UnknownNodeError: weights with scales per block.
    """
    if op.domain:
        return None
    make = _FOLDED.get(op.kind)
    if make is None:
        return None
    try:
        with np.errstate(all="ignore"):
            return np.asarray(make(inputs, op.attributes, opset))
    except UnknownNodeError as error:
        raise UnknownNodeError(error.message, where=where) from error
    except (ValueError, IndexError, TypeError, KeyError, OverflowError, AttributeError) as error:
        raise FileDamagedError(
            f"{op.kind} cannot be computed from its constants", where=where
        ) from error


def _check_size(*sides: int) -> None:
    if math.prod(sides) > LARGEST_CONSTANT or min(sides, default=0) < 0:
        raise ValueError("too large")


def _needed(inputs: Constants, index: int) -> np.ndarray:
    found = inputs[index]
    if found is None:
        raise ValueError("an input is left out")
    return found


def axes_of(inputs: Constants, attributes: Mapping[str, Any]) -> list[int] | None:
    """Return the axes of an operation: an attribute first, an input since opset 13 or 18."""
    if "axes" in attributes:
        return [int(axis) for axis in attributes["axes"]]
    if len(inputs) > 1 and inputs[1] is not None:
        return [int(axis) for axis in inputs[1].ravel()]
    return None


def _constant(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    if "value" in attributes:
        return np.asarray(attributes["value"])
    for kind, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        for name in (kind, f"{kind}s"):
            if name in attributes:
                return np.asarray(attributes[name], dtype)
    raise ValueError("no numbers")


def _constant_of_shape(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    shape = tuple(int(side) for side in _needed(inputs, 0).ravel())
    _check_size(*shape)
    value = np.asarray(attributes.get("value", np.zeros(1, np.float32))).ravel()
    return np.full(shape, value[0], value.dtype)


def _arithmetic(compute: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def make(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
        values = [_needed(inputs, index) for index in range(len(inputs))]
        _check_size(*np.broadcast_shapes(*(value.shape for value in values)))
        return np.asarray(compute(*values), values[0].dtype)

    return make


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind in "iu":
        return np.trunc(a / b)  # toward zero, as ONNX divides whole numbers
    return a / b


def _gather(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    data, index = _needed(inputs, 0), _needed(inputs, 1).astype(np.int64)
    axis = int(attributes.get("axis", 0))
    _check_size(index.size, data.size)
    return np.asarray(np.take(data, index, axis=axis))


def _slice(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    data = _needed(inputs, 0)
    if opset < 10:
        starts, ends = attributes["starts"], attributes["ends"]
        axes, steps = attributes.get("axes", range(len(starts))), [1] * len(starts)
    else:
        given = [None if value is None else value.ravel().tolist() for value in inputs]
        given += [None] * (5 - len(given))
        starts, ends = given[1] or [], given[2] or []
        axes = range(len(starts)) if given[3] is None else given[3]
        steps = [1] * len(starts) if given[4] is None else given[4]
    places: list[slice] = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        stop = None if step < 0 and end < -data.shape[axis] else int(end)
        places[int(axis)] = slice(int(start), stop, int(step))
    return data[tuple(places)]


def _concatenate(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    parts = [_needed(inputs, index) for index in range(len(inputs))]
    _check_size(sum(part.size for part in parts))
    return np.concatenate(parts, axis=int(attributes["axis"]))


def _unsqueeze(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    axes = axes_of(inputs, attributes)
    return np.expand_dims(_needed(inputs, 0), tuple(axes or ()))


def _squeeze(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    axes = axes_of(inputs, attributes)
    return np.squeeze(_needed(inputs, 0), None if axes is None else tuple(axes))


def resolved(target: list[int], total: int, given: tuple[int, ...], *, zero: bool) -> list[int]:
    """Return the shape that a Reshape means: 0 keeps a side unless `zero`, -1 takes the rest.

    Raises:
        ValueError: there is no such shape.
    """
    sides = [given[i] if side == 0 and not zero else side for i, side in enumerate(target)]
    if sides.count(-1) == 1:
        rest = math.prod(side for side in sides if side != -1)
        if rest == 0:
            raise ValueError("no rest")
        sides[sides.index(-1)] = total // rest
    if min(sides, default=1) < 0 or math.prod(sides) != total:
        raise ValueError("other sizes")
    return sides


def _reshape(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    data = _needed(inputs, 0)
    target = [int(side) for side in _needed(inputs, 1).ravel()]
    zero = bool(attributes.get("allowzero", 0))
    return data.reshape(resolved(target, data.size, data.shape, zero=zero))


def _transpose(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    return np.transpose(_needed(inputs, 0), attributes.get("perm"))


def _expand(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    data = _needed(inputs, 0)
    shape = tuple(int(side) for side in _needed(inputs, 1).ravel())
    _check_size(*np.broadcast_shapes(data.shape, shape))
    return np.array(np.broadcast_to(data, np.broadcast_shapes(data.shape, shape)))


def _cast(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    types: dict[int, type[np.generic]] = {
        1: np.float32,
        2: np.uint8,
        3: np.int8,
        5: np.int16,
        6: np.int32,
        7: np.int64,
    }
    types |= {9: np.bool_, 10: np.float32, 11: np.float64, 16: np.float32}
    return _needed(inputs, 0).astype(types[int(attributes["to"])])


def _cast_like(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    return _needed(inputs, 0).astype(_needed(inputs, 1).dtype)


def _shape(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    return shape_part(_needed(inputs, 0).shape, attributes)


def shape_part(shape: tuple[int, ...], attributes: Mapping[str, Any]) -> np.ndarray:
    """Return what the operation Shape gives."""
    part = shape[int(attributes.get("start", 0)) : attributes.get("end")]
    return np.array(part, np.int64)


def _flatten(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    data = _needed(inputs, 0)
    axis = int(attributes.get("axis", 1))
    return data.reshape(math.prod(data.shape[:axis]), -1)


def _identity(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    return _needed(inputs, 0)


def per_axis(numbers: np.ndarray, axes: int, axis: int) -> np.ndarray:
    """Return one number per place along `axis`, as it broadcasts to arrays of `axes` axes.

    Raises:
        ValueError: there is no such axis, or more axes of numbers.
    """
    if numbers.size == 1:
        return numbers.reshape(())
    if numbers.ndim != 1 or not -axes <= axis < axes:
        raise ValueError("other axes")
    shape = [1] * axes
    shape[axis] = numbers.size
    return numbers.reshape(shape)


def dequantised(
    whole: np.ndarray, scale: np.ndarray, zero: np.ndarray | None, axis: int
) -> np.ndarray:
    """Return (whole - zero) * scale, with one scale for all or one per place along `axis`.

    Raises:
        ValueError: the scales do not fit.
    """
    factor = per_axis(np.asarray(scale, np.float64), whole.ndim, axis)
    offset = np.zeros(()) if zero is None else zero.astype(np.float64)
    values = (whole.astype(np.float64) - per_axis(offset, whole.ndim, axis)) * factor
    if values.shape != whole.shape:
        raise ValueError("other shape")
    return values.astype(np.float32)


def _dequantise(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    if attributes.get("block_size", 0):
        raise UnknownNodeError("weights with scales per block are not read")
    zero = inputs[2] if len(inputs) > 2 else None
    axis = int(attributes.get("axis", 1))
    return dequantised(_needed(inputs, 0), _needed(inputs, 1), zero, axis)


def _quantise(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    data, axis = _needed(inputs, 0), int(attributes.get("axis", 1))
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros((), np.uint8)
    limits = np.iinfo(zero.dtype)
    factor = per_axis(_needed(inputs, 1), data.ndim, axis)
    whole = np.rint(data / factor) + per_axis(zero.astype(np.float64), data.ndim, axis)
    return np.clip(whole, limits.min, limits.max).astype(zero.dtype)


def _clip(inputs: Constants, attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    low, high = clip_limits(inputs, attributes)
    data = _needed(inputs, 0)
    return np.clip(data, low, high).astype(data.dtype)


def clip_limits(inputs: Constants, attributes: Mapping[str, Any]) -> tuple[float, float]:
    """Return the limits of a Clip: attributes before opset 11, inputs since.

    Raises:
        ValueError: a limit is not one number.
    """
    limits = [float(attributes.get("min", -math.inf)), float(attributes.get("max", math.inf))]
    for index, given in enumerate(inputs[1:3]):
        if given is not None:
            limits[index] = float(given.reshape(()))
    return limits[0], limits[1]


_FOLDED: Mapping[str, Callable[..., Any]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": _arithmetic(_divide),
    "Sqrt": _arithmetic(np.sqrt),
    "Neg": _arithmetic(np.negative),
    "Abs": _arithmetic(np.abs),
    "Reciprocal": _arithmetic(np.reciprocal),
    "Pow": _arithmetic(np.power),
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concatenate,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Expand": _expand,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Shape": _shape,
    "Flatten": _flatten,
    "Identity": _identity,
    "Clip": _clip,
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
}
