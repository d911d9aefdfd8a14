"""Views of values that are followed: the same numbers with other axes."""

from dataclasses import replace
from typing import Any

from snn_deploy.frontends.capture.axes import Axis, Traced, reshaped, value_shape
from snn_deploy.frontends.capture.calls import Call, Follower, Result, lost, membrane_of, settled
from snn_deploy.frontends.capture.formulas import sources_of


def reshape(follower: Follower, call: Call) -> Result:
    """Follow a view, by the shapes before and after it."""
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    if call.result.dtype != call.args[0].dtype:
        return lost(call, f"it makes numbers of type {call.result.dtype}")
    old, new = tuple(call.args[0].shape), tuple(call.result.shape)
    axes = reshaped(value.axes, old, new, value_shape(value.axes, old))
    if axes is None:
        return lost(call, "it mixes the steps with the values")
    shape = value_shape(axes, new)
    if membrane_of(value.formula) and shape != value.formula.shape:
        return lost(call, "it gives a membrane another shape")
    return Traced(formula=settled(follower, value.formula, shape), axes=axes, over=value.over)


def squeeze(follower: Follower, call: Call) -> Result:
    """Follow a view without axes of length 1."""
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    rank = len(value.axes)
    dims = call.arg(1, "dim")
    shape = tuple(call.args[0].shape)
    chosen = range(rank) if dims is None else [d % rank for d in whole_numbers(dims)]
    gone = {d for d in chosen if shape[d] == 1}
    axes = tuple(axis for d, axis in enumerate(value.axes) if d not in gone)
    new = value_shape(axes, call.result.shape)
    return replace(value, axes=axes, formula=settled(follower, value.formula, new))


def unsqueeze(follower: Follower, call: Call) -> Result:
    """Follow a view with one more axis of length 1."""
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    place = call.arg(1, "dim") % (len(value.axes) + 1)
    return value.moved((*value.axes[:place], Axis.SINGLE, *value.axes[place:]))


def whole_numbers(value: Any) -> tuple[int, ...]:
    """Return one number or several as a tuple."""
    return (int(value),) if isinstance(value, int) else tuple(int(v) for v in value)


def permute(follower: Follower, call: Call) -> Result:
    """Follow axes in another order."""
    dims = call.args[1:] if len(call.args) > 1 else call.kwargs["dims"]
    order = whole_numbers(dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims)
    return _ordered(follower, call, order)


def transpose(follower: Follower, call: Call) -> Result:
    """Follow two axes that change places."""
    rank = call.args[0].ndim
    order = list(range(rank))
    one = call.arg(1, "dim0", call.kwargs.get("axis0")) % rank
    two = call.arg(2, "dim1", call.kwargs.get("axis1")) % rank
    order[one], order[two] = order[two], order[one]
    return _ordered(follower, call, tuple(order))


def swap(follower: Follower, call: Call) -> Result:
    """Follow axes in reverse order."""
    return _ordered(follower, call, tuple(reversed(range(call.args[0].ndim))))


def move(follower: Follower, call: Call) -> Result:
    """Follow axes that move."""
    rank = call.args[0].ndim
    sources = [d % rank for d in whole_numbers(call.arg(1, "source"))]
    targets = [d % rank for d in whole_numbers(call.arg(2, "destination"))]
    rest = iter([d for d in range(rank) if d not in sources])
    placed = dict(zip(targets, sources, strict=True))
    order = tuple(placed[d] if d in placed else next(rest) for d in range(rank))
    return _ordered(follower, call, order)


def _ordered(follower: Follower, call: Call, order: tuple[int, ...]) -> Result:
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    order = tuple(d % len(value.axes) for d in order)
    kept = [d for d in order if value.axes[d] is Axis.VALUE]
    if kept != sorted(kept):
        return lost(call, "it changes the order of the axes of the values")
    return value.moved(tuple(value.axes[d] for d in order))


def repeat(follower: Follower, call: Call) -> Result:
    """Follow a value that is repeated for each step."""
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    old, new = tuple(call.args[0].shape), tuple(call.result.shape)
    before = (*(1,) * (len(new) - len(old)), *old)
    axes = [*(Axis.SINGLE,) * (len(new) - len(old)), *value.axes]
    grown = [d for d, (a, b) in enumerate(zip(before, new, strict=True)) if a != b]
    if not grown:
        return value.moved(tuple(axes))
    constant = all(source.step is None for source in sources_of(value.formula))
    if len(grown) > 1 or axes[grown[0]] is not Axis.SINGLE or not constant or value.sequence:
        return lost(call, "it repeats values")
    if not follower.expect_steps(new[grown[0]]):
        return lost(call, f"it makes {new[grown[0]]} steps of one")
    axes[grown[0]] = Axis.STEP
    return value.moved(tuple(axes))
