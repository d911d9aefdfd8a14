"""Sums and factors of values that are followed, and functions that leave a value as it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from snn_deploy.frontends.capture.axes import Axes, Axis, Lost, Traced
from snn_deploy.frontends.capture.calls import (
    Call,
    Follower,
    Result,
    is_tensor,
    is_zero,
    lost,
    named,
    plain,
    settled,
)
from snn_deploy.frontends.capture.formulas import Op
from snn_deploy.frontends.capture.products import product
from snn_deploy.frontends.layers import (
    Scale,
)
from snn_deploy.frontends.tensors import real_of


def same(follower: Follower, call: Call) -> Result:
    """Follow a copy, or a conversion between floating-point types."""
    value = follower.known(call.args[0])
    wide = "float32" in str(call.result.dtype) or "float64" in str(call.result.dtype)
    if call.result.dtype != call.args[0].dtype and not wide:
        return lost(call, f"it makes numbers of type {call.result.dtype}")
    return value


def dropout(follower: Follower, call: Call) -> Result:
    """Follow a dropout that does nothing, once a module is trained."""
    drops = call.arg(2, "training", call.kwargs.get("train", True))  # torch.dropout says train
    if call.arg(1, "p", 0.5) and drops:
        return lost(call, "it drops values at random although the module is in evaluation mode")
    return follower.known(call.args[0])


def constant(follower: Follower, call: Call) -> Result:
    """Know nothing: the result is no value of the network."""
    return None


def add(follower: Follower, call: Call) -> Result:
    """Follow a sum."""
    return _sum(follower, call, call.args[0], call.arg(1, "other"), call.kwargs.get("alpha", 1))


def subtract(follower: Follower, call: Call) -> Result:
    """Follow a difference."""
    factor = -call.kwargs.get("alpha", 1)
    return _sum(follower, call, call.args[0], call.arg(1, "other"), factor)


def subtract_from(follower: Follower, call: Call) -> Result:
    """Follow a difference whose first argument is subtracted."""
    return _sum(follower, call, call.arg(1, "other"), call.args[0], -call.kwargs.get("alpha", 1))


def _sum(follower: Follower, call: Call, left: Any, right: Any, factor: Any) -> Result:
    """Return left + factor * right."""
    first, second = _operand(follower, call, left), _operand(follower, call, right)
    gone = next((value for value in (first, second) if isinstance(value, Lost)), None)
    if gone is not None or (first is None and second is None):
        return gone
    term = _times(follower, second, np.float64(factor)) if isinstance(second, Traced) else None
    if isinstance(first, Traced) and term is not None:
        return _added(follower, call, (left, first), (right, term))
    only, tensor = (term, right) if first is None else (first, left)
    return only if tuple(call.result.shape) == tuple(tensor.shape) else lost(call, "it broadcasts")


def _added(
    follower: Follower, call: Call, left: tuple[Any, Traced], right: tuple[Any, Traced]
) -> Result:
    """Return the sum of two (tensor, what is known of it)."""
    (one, first), (other, second) = left, right
    if tuple(one.shape) != tuple(other.shape):
        return lost(call, f"it adds tensors of shapes {tuple(one.shape)} and {tuple(other.shape)}")
    if first.sequence != second.sequence or _steps_at(first.axes) != _steps_at(second.axes):
        return lost(call, "it adds a value of one step to values of all steps")
    term = settled(follower, second.formula, first.formula.shape)
    return replace(first, formula=follower.formulas.total(first.formula, term))


def _operand(follower: Follower, call: Call, value: Any) -> Traced | Lost | None:
    """Return one side of a sum; None: zeros."""
    if not is_tensor(value):
        return None if value == 0 else lost(call, "it adds a constant: a bias of a layer can")
    if follower.known(value) is None:
        if is_zero(value):
            return None
        return lost(call, "it adds a tensor that the network did not make: a bias of a layer can")
    return plain(follower, call, value)


def _steps_at(axes: Axes) -> int | None:
    return axes.index(Axis.STEP) if Axis.STEP in axes else None


def _times(follower: Follower, value: Traced, factor: np.ndarray | np.float64) -> Traced:
    array = np.asarray(factor, np.float64)
    if np.all(array == 1):
        return value
    op = follower.formulas.op(
        ("times", array.shape, array.tobytes(), follower.inside),
        lambda: Op(named(follower, "times"), Scale(factor=array), False),
    )
    formula = follower.formulas.applied(op, value.formula, value.formula.shape)
    return replace(value, formula=formula)


def multiply(follower: Follower, call: Call) -> Result:
    """Follow a product with a constant, or of spikes."""
    left, right = call.args[0], call.arg(1, "other")
    if not is_tensor(left) or follower.known(left) is None:
        left, right = right, left
    if is_tensor(right) and follower.known(right) is not None:
        return product(follower, call, left, right)
    return _scaled(follower, call, left, right, lambda number: number)


def divide(follower: Follower, call: Call) -> Result:
    """Follow a division by a constant."""
    left, right = call.args[0], call.arg(1, "other")
    if call.kwargs.get("rounding_mode") is not None:
        return lost(call, "it rounds")
    if (
        not is_tensor(left)
        or follower.known(left) is None
        or (is_tensor(right) and follower.known(right) is not None)
    ):
        return lost(call, "it divides by a value of the network")
    return _scaled(follower, call, left, right, lambda number: 1.0 / number)


def negate(follower: Follower, call: Call) -> Result:
    """Follow a change of sign."""
    return _scaled(follower, call, call.args[0], -1.0, lambda number: number)


def _scaled(
    follower: Follower, call: Call, tensor: Any, by: Any, how: Callable[[Any], Any]
) -> Result:
    value = follower.known(tensor)
    if isinstance(value, Traced) and value.over is not None and not is_tensor(by) and by > 0:
        return value  # the largest answer stays the largest; replay knows the factor
    value = plain(follower, call, tensor)
    if isinstance(value, Lost):
        return value
    factor = np.asarray(real_of(by))
    if tuple(call.result.shape) != tuple(tensor.shape):
        return lost(call, "it broadcasts")
    if factor.size == 1:
        return _times(follower, value, how(factor.reshape(())))
    full = factor.reshape(*(1,) * (len(value.axes) - factor.ndim), *factor.shape)
    others = tuple(i for i, axis in enumerate(value.axes) if axis is not Axis.VALUE)
    if any(full.shape[i] != 1 for i in others):
        return lost(call, "it multiplies each step by a factor of its own")
    return _times(follower, value, how(full.squeeze(others)))
