"""Operations of ONNX that move values and compute nothing."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.ann import Tensor
from snn_deploy.frontends.onnx.call import Call, Quantised, Value
from snn_deploy.frontends.onnx.fold import axes_of, resolved, shape_part


def kept(call: Call, layout: Callable[[Tensor], Tensor]) -> Value:
    """Do something to values that quantisation does not change."""
    x = call.inputs[0]
    if isinstance(x, Quantised):
        return replace(x, tensor=layout(x.tensor))
    return layout(call.tensor())


def _flatten(call: Call) -> Value:
    call.expect(axis=1)
    return kept(call, lambda x: call.build.reshaped(call.name, x, (math.prod(x.shape),)))


def _reshape(call: Call) -> Value:
    target = [int(side) for side in call.constant(1).ravel()]
    zero = bool(call.option("allowzero", 0))

    def layout(x: Tensor) -> Tensor:
        given = (call.reading.batch, *x.shape)
        return _with_batch(call, x, resolved(target, math.prod(given), given, zero=zero))

    return kept(call, layout)


def _with_batch(call: Call, x: Tensor, sides: list[int]) -> Tensor:
    """Give values another shape, whose first side must be the batch."""
    return call.build.with_batch(
        call.name, x, sides, batch=call.reading.batch, what=call.op.kind, where=call.where
    )


def _transpose(call: Call) -> Value:
    def layout(x: Tensor) -> Tensor:
        rank = len(x.shape) + 1
        order = [int(axis) for axis in call.option("perm", range(rank - 1, -1, -1))]
        if sorted(order) != list(range(rank)):
            raise ValueError("no permutation")
        sides = (call.reading.batch, *x.shape)
        moving = [axis for axis in order if axis and sides[axis] > 1]
        if order[0] != 0 or moving != sorted(moving):
            raise UnknownNodeError(
                f"Transpose by {order} of values of shape {x.shape} is not read",
                where=call.where,
                fix="export the network with channels first",
            )
        return call.build.reshaped(call.name, x, tuple(sides[axis] for axis in order[1:]))

    return kept(call, layout)


def _axes(call: Call, rank: int) -> list[int]:
    constants = (None, *(call.given(index) for index in range(1, len(call.inputs))))
    axes = axes_of(constants, call.op.attributes)
    if axes is None:
        raise UnknownNodeError(f"{call.op.kind} without axes is not read", where=call.where)
    return sorted({axis % rank for axis in axes})


def _squeeze(call: Call) -> Value:
    def layout(x: Tensor) -> Tensor:
        sides = [call.reading.batch, *x.shape]
        for axis in reversed(_axes(call, len(sides))):
            if axis == 0 or sides[axis] != 1:
                raise UnknownNodeError(f"Squeeze of axis {axis} is not read", where=call.where)
            del sides[axis]
        return _with_batch(call, x, sides)

    return kept(call, layout)


def _unsqueeze(call: Call) -> Value:
    def layout(x: Tensor) -> Tensor:
        sides = [call.reading.batch, *x.shape]
        given = [value for value in (call.given(1),) if value is not None]
        count = given[0].size if given else len(call.op.attributes["axes"])
        for axis in _axes(call, len(sides) + count):
            if axis == 0:
                raise UnknownNodeError("Unsqueeze of axis 0 is not read", where=call.where)
            sides.insert(axis, 1)
        return _with_batch(call, x, sides)

    return kept(call, layout)


def _concatenate(call: Call) -> Tensor:
    parts = [call.tensor(index) for index in range(len(call.inputs))]
    rank = len(parts[0].shape) + 1
    axis = int(call.op.attributes["axis"]) % rank
    if axis == 0:
        raise UnknownNodeError("Concat of samples is not read", where=call.where)
    return call.build.concatenation(call.name, parts, axis - 1)


def _shape(call: Call) -> np.ndarray:
    return shape_part((call.reading.batch, *call.tensor().shape), call.op.attributes)


LAYOUT: Mapping[str, Callable[[Call], Value]] = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concatenate,
    "Shape": _shape,
}
