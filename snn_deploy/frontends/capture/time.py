"""Steps of values that are followed: taken one by one, put together, summed up."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from snn_deploy.frontends.capture.axes import Assembled, Axes, Axis, Lost, Over, Traced, value_shape
from snn_deploy.frontends.capture.calls import (
    Call,
    Follower,
    Handler,
    Result,
    is_tensor,
    is_zero,
    lost,
    named,
    plain,
    settled,
)
from snn_deploy.frontends.capture.formulas import Formula, Op
from snn_deploy.frontends.capture.views import whole_numbers
from snn_deploy.frontends.layers import Pool, Pooling


def item(follower: Follower, call: Call) -> Result:
    """Follow `x[...]`."""
    index = call.args[1]
    return _indexed(follower, call, index if isinstance(index, tuple) else (index,))


def _indexed(follower: Follower, call: Call, index: tuple[Any, ...]) -> Result:
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    used = sum(1 for i in index if i is not None and i is not Ellipsis)
    axes, rest = [], list(value.axes)
    for entry in index:
        if entry is Ellipsis:
            skipped = len(value.axes) - used
            axes += rest[:skipped]
            del rest[:skipped]
        elif entry is None:
            axes.append(Axis.SINGLE)
        else:
            place = len(value.axes) - len(rest)
            axis = rest.pop(0)
            taken = _taken(
                follower, call, value, axis=axis, entry=entry, side=call.args[0].shape[place]
            )
            if isinstance(taken, Lost):
                return taken
            if taken is None:
                axes.append(axis)
            else:
                value = taken
    return value.moved((*axes, *rest))


def _taken(
    follower: Follower, call: Call, value: Traced, *, axis: Axis, entry: Any, side: int
) -> Traced | Lost | None:
    """Return what an index takes of an axis; None: all of it."""
    if isinstance(entry, slice) and range(side)[entry] == range(side):
        return None
    if isinstance(entry, bool) or not isinstance(entry, int):
        return lost(call, f"it takes some of the {axis.value}s")
    if axis is Axis.SINGLE:
        return value
    if axis is not Axis.STEP:
        return lost(call, f"it takes one {axis.value} of {side}")
    return replace(value, formula=_bound(follower, value.formula, entry % side))


def _bound(follower: Follower, formula: Formula, step: int) -> Formula:
    """Return the formula of a step, of one of every step."""
    begun = follower.formulas.begun(formula, step, bias_waits=False)
    return follower.formulas.at(begun, step)


def select(follower: Follower, call: Call) -> Result:
    """Follow one step of an axis."""
    dim = call.arg(1, "dim") % call.args[0].ndim
    return _indexed(follower, call, (*(slice(None),) * dim, call.arg(2, "index")))


def unbind(follower: Follower, call: Call) -> Result:
    """Follow steps that are taken apart."""
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    dim = call.arg(1, "dim", 0) % len(value.axes)
    if value.axes[dim] is not Axis.STEP:
        return lost(call, f"it takes the {value.axes[dim].value}s apart")
    axes = (*value.axes[:dim], *value.axes[dim + 1 :])
    return [
        Traced(formula=_bound(follower, value.formula, step), axes=axes)
        for step in range(len(call.result))
    ]


def split(follower: Follower, call: Call) -> Result:
    """Follow steps that are taken apart and keep an axis of length 1."""
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    dim = call.arg(2, "dim", 0) % len(value.axes)
    if value.axes[dim] is not Axis.STEP or any(part.shape[dim] != 1 for part in call.result):
        return lost(call, "it takes values apart")
    axes = (*value.axes[:dim], Axis.SINGLE, *value.axes[dim + 1 :])
    return [
        Traced(formula=_bound(follower, value.formula, step), axes=axes)
        for step in range(len(call.result))
    ]


def stack(follower: Follower, call: Call) -> Result:
    """Follow values of all steps that become one tensor."""
    parts = call.args[0] if call.args else call.kwargs["tensors"]
    dim = call.arg(1, "dim", 0) % call.result.ndim
    values = _all_known(follower, call, parts)
    if isinstance(values, Lost):
        return values
    return _in_time(follower, call, values, dim, values[0].axes)


def _all_known(follower: Follower, call: Call, parts: Sequence[Any]) -> list[Traced] | Lost:
    """Return what is known of tensors; zeros count as zeros of the shape of the others."""
    found = [follower.known(part) for part in parts]
    like = next((value for value in found if isinstance(value, Traced)), None)
    values = []
    for part, known in zip(parts, found, strict=True):
        if isinstance(known, Lost):
            return known
        value = known
        if value is None and like is not None and is_zero(part):
            value = replace(
                like, formula=follower.formulas.zero(value_shape(like.axes, part.shape))
            )
        if value is None:
            return lost(call, "one of its tensors is not made by the network")
        values.append(value)
    return values


def _in_time(
    follower: Follower, call: Call, values: Sequence[Traced], dim: int, axes: Axes
) -> Result:
    """Follow values of all steps that become one tensor."""
    if any(value.sequence or value.over is not None for value in values):
        return lost(call, "it puts values of all steps side by side")
    if not follower.expect_steps(len(values)):
        return lost(call, f"it puts {len(values)} values side by side, which are not all steps")
    formula = follower.sequence(values, call.name)
    if isinstance(formula, Lost):
        return formula
    return Traced(formula=formula, axes=(*axes[:dim], Axis.STEP, *axes[dim:]))


def concatenate(follower: Follower, call: Call) -> Result:
    """Follow values side by side."""
    parts = call.args[0] if call.args else call.kwargs["tensors"]
    dim = call.arg(1, "dim", call.kwargs.get("axis", 0)) % call.result.ndim
    values = _all_known(follower, call, parts)
    if isinstance(values, Lost):
        return values
    first = values[0]
    if first.axes[dim] in (Axis.SINGLE, Axis.SAMPLE) and len(parts) > 1:
        if any(part.shape[dim] != 1 for part in parts):
            return lost(call, "it puts samples side by side")
        rest = (*first.axes[:dim], *first.axes[dim + 1 :])
        return _in_time(follower, call, values, dim, rest)
    for part in parts:
        value = plain(follower, call, part) if follower.known(part) is not None else None
        if isinstance(value, Lost):
            return value
    if first.axes[dim] is Axis.STEP or len({value.axes for value in values}) > 1:
        return lost(call, "it puts steps side by side, or values of one step and of all")
    axis = first.axes[:dim].count(Axis.VALUE)
    shape = value_shape(first.axes, call.result.shape)
    parts_made = tuple(value.formula for value in values)
    return replace(first, formula=follower.formulas.joined(axis, parts_made, shape))


def set_item(follower: Follower, call: Call) -> Result:
    """Follow `record[t] = value` into a tensor of zeros."""
    target, index, given = call.args
    index = index if isinstance(index, tuple) else (index,)
    value = follower.known(given) if is_tensor(given) else None
    if value is None and follower.known(target) is None and follower.assembled(target) is None:
        return None  # the network has no part in it
    axis = len(index) - 1
    whole = all(isinstance(i, slice) and i == slice(None) for i in index[:-1])
    if not isinstance(value, Traced) or not whole or not isinstance(index[-1], int):
        reason = value if isinstance(value, Lost) else lost(call, "it writes into a tensor")
        follower.remember(target, reason)
        return None
    entries = follower.assembled(target)
    if entries is None:
        if follower.known(target) is not None:
            follower.remember(target, lost(call, "it writes into a value of the network"))
            return None
        entries = Assembled(axis=axis, rank=target.ndim, entries={})
        follower.remember(target, entries)
    entries.entries[index[-1] % target.shape[axis]] = value
    if entries.axis != axis:
        follower.remember(target, lost(call, "it writes along two axes"))
    return None


_POOLINGS = {Over.SUM: Pooling.SUM, Over.MEAN: Pooling.AVERAGE}


def _over_places(follower: Follower, call: Call, chosen: Sequence[int], pooling: Pooling) -> Result:
    """Follow a sum or a mean over all places of each channel: a pooling by one window."""
    value = plain(follower, call, call.args[0])
    if isinstance(value, Lost):
        return value
    places = [d for d, axis in enumerate(value.axes) if axis is Axis.VALUE][1:]
    if sorted(chosen) != places or not places or call.kwargs.get("dtype") is not None:
        return lost(call, "it acts on axes of values, but not on all behind the channels")
    shape = value_shape(value.axes, call.args[0].shape)
    window = shape[1:]
    layer = Pool(pooling=pooling, kernel=window, stride=window, padding=(0,) * len(window))
    op = follower.formulas.op(
        (call.name, shape, follower.inside), lambda: Op(named(follower, call.name), layer, False)
    )
    one = (shape[0], *(1,) * len(window))
    entering = settled(follower, value.formula, shape)
    made = follower.formulas.applied(op, entering, one)
    if call.result.ndim == len(value.axes):
        return replace(value, formula=made)
    axes = tuple(axis for d, axis in enumerate(value.axes) if d not in chosen)
    return Traced(formula=settled(follower, made, one[:1]), axes=axes)


def over_time(over: Over) -> Handler:
    """Return the handler of a function that makes one value of all steps."""

    def reduce(follower: Follower, call: Call) -> Result:
        value = follower.known(call.args[0])
        if not isinstance(value, Traced):
            return value
        dims = call.arg(1, "dim", call.kwargs.get("axis"))
        rank = len(value.axes)
        if dims is None or dims == () or is_tensor(dims):
            return lost(call, "it puts all values of the network together")
        chosen = [d % rank for d in whole_numbers(dims)]
        if {value.axes[d] for d in chosen} == {Axis.VALUE} and over in _POOLINGS:
            return _over_places(follower, call, chosen, _POOLINGS[over])
        if [value.axes[d] for d in chosen] != [Axis.STEP]:
            others = sorted({value.axes[d].value for d in chosen} - {"step"})
            return lost(call, f"it acts on axes of {', '.join(others)}s, not on the steps")
        keep = bool(call.arg(2, "keepdim", False))
        middle = (Axis.SINGLE,) if keep else ()
        axes = (*value.axes[: chosen[0]], *middle, *value.axes[chosen[0] + 1 :])
        made = Traced(formula=value.formula, axes=axes, over=over)
        several = not is_tensor(call.result)
        return [made, lost(call, "it gives the step of the maximum")] if several else made

    return reduce
