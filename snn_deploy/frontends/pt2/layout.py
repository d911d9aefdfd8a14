"""Operations of torch.export that change shapes, or pass values on."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.ann import Tensor
from snn_deploy.frontends.pt2.call import Call, Value


def _transposed(call: Call) -> Value:
    weight = call.constant("self")
    order = call.option("dims", None)
    return np.transpose(weight, order)


def _with_batch(call: Call, sides: Sequence[int]) -> Tensor:
    """Give `self` another shape, whose first side must be the batch."""
    x = call.tensor("self")
    return call.build.with_batch(
        call.name, x, sides, batch=call.reading.batch, what=call.op.target[:80], where=call.where
    )


def _flatten(call: Call) -> Tensor:
    sides = call.given_shape
    start = call.option("start_dim", 0) % len(sides)
    end = call.option("end_dim", -1) % len(sides)
    flat = [*sides[:start], math.prod(sides[start : end + 1]), *sides[end + 1 :]]
    return _with_batch(call, flat)


def _view(name: str) -> Callable[[Call], Tensor]:
    def read(call: Call) -> Tensor:
        sides = [int(side) for side in call.option(name, [])]
        if sides.count(-1) == 1:
            known = math.prod(side for side in sides if side != -1)
            sides[sides.index(-1)] = math.prod(call.given_shape) // known if known else 0
        return _with_batch(call, sides)

    return read


def _unsqueeze(call: Call) -> Tensor:
    sides = call.given_shape
    sides.insert(call.option("dim", 0) % (len(sides) + 1), 1)
    return _with_batch(call, sides)


def _squeeze(call: Call) -> Tensor:
    sides = call.given_shape
    given = call.option("dim", None)
    axes = {axis % len(sides) for axis in ([given] if isinstance(given, int) else given)}
    kept = [side for axis, side in enumerate(sides) if axis not in axes or side != 1]
    if 0 in axes:
        raise UnknownNodeError("a squeeze of the batch is not read", where=call.where)
    return _with_batch(call, kept)


def _permuted(call: Call) -> Value:
    if isinstance(call.value("self"), np.ndarray):
        return _transposed(call)
    sides = call.given_shape
    order = [int(axis) % len(sides) for axis in call.option("dims", [])]
    if sorted(order) != list(range(len(sides))):
        raise ValueError("no permutation")
    moving = [axis for axis in order if axis and sides[axis] > 1]
    if order[0] != 0 or moving != sorted(moving):
        raise UnknownNodeError(
            f"a permutation by {order} of values of shape {tuple(sides)} is not read",
            where=call.where,
            fix="export a network with channels first",
        )
    return _with_batch(call, [sides[axis] for axis in order])


def _concatenation(call: Call) -> Tensor:
    names = [each["name"] for each in call.op.arguments["tensors"]["as_tensors"]]
    parts = [call.reading.values[name] for name in names]
    tensors = [part for part in parts if isinstance(part, Tensor)]
    axis = int(call.option("dim", 0)) % (len(tensors[0].shape) + 1)
    if len(tensors) < len(parts) or axis == 0:
        raise UnknownNodeError("a cat of samples or constants is not read", where=call.where)
    return call.build.concatenation(call.name, tensors, axis - 1)


def _same(name: str) -> Callable[[Call], Value]:
    def read(call: Call) -> Value:
        return call.value(name)

    return read


def _dropout(name: str) -> Callable[[Call], Value]:
    def read(call: Call) -> Value:
        call.expect(train=False)
        return call.value(name)

    return read


def _size(call: Call) -> int:
    return call.given_shape[int(call.option("dim", 0))]


LAYOUT: Mapping[str, Callable[[Call], Value]] = {
    "t.default": _transposed,
    "numpy_T.default": _transposed,
    "permute.default": _permuted,
    "flatten.using_ints": _flatten,
    "view.default": _view("size"),
    "_unsafe_view.default": _view("size"),
    "reshape.default": _view("shape"),
    "unsqueeze.default": _unsqueeze,
    "squeeze.dim": _squeeze,
    "squeeze.dims": _squeeze,
    "cat.default": _concatenation,
    **dict.fromkeys(("dropout.default", "feature_dropout.default"), _dropout("input")),
    **dict.fromkeys(("dropout_.default", "feature_dropout_.default"), _dropout("self")),
    **dict.fromkeys(
        ("alias.default", "clone.default", "contiguous.default", "detach.default"), _same("self")
    ),
    "sym_size.int": _size,
}
"""Operations that move values or pass them on, without the prefix of their names."""
