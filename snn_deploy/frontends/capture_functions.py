"""What torch's functions do to values that are followed: sums, factors, views, time, layers.

One handler per function; a function without one loses the value, which matters only if a layer
or an output needs it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.capture_axes import (
    Assembled,
    Axes,
    Axis,
    Lost,
    Over,
    Traced,
    reshaped,
    value_shape,
)
from snn_deploy.frontends.capture_formulas import Formula, Formulas, Op, sources_of
from snn_deploy.frontends.layers import (
    ChannelAffine,
    Convolution,
    Flatten,
    Layer,
    Linear,
    Rectifier,
    Scale,
    TransposedConvolution,
    Unflatten,
)
from snn_deploy.frontends.tensors import array_of, real_of, sides
from snn_deploy.ir.maps import Shape

Known = Traced | Lost | Assembled
Result = Traced | Lost | Sequence[Traced | Lost | None] | None
"""What a handler knows of a function's result; None: nothing, or it is no value of the network."""


@runtime_checkable
class Follower(Protocol):
    """Who knows which tensor is what."""

    formulas: Formulas

    @property
    def inside(self) -> str:
        """Path of the module whose forward runs."""

    def known(self, tensor: Any) -> Traced | Lost | None:
        """Return what is known of a tensor; None: it does not come from the network."""

    def assembled(self, tensor: Any) -> Assembled | None:
        """Return what is known of a tensor that is filled step by step."""

    def remember(self, tensor: Any, value: Known) -> None:
        """Keep what is known of a tensor."""

    def sequence(self, values: Sequence[Traced], function: str) -> Formula | Lost:
        """Return the formula of every step of values, one per step."""

    def expect_steps(self, steps: int) -> bool:
        """Return whether a run has that many steps; one of unknown length has them from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a torch function."""

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any

    def arg(self, index: int, name: str, default: Any = None) -> Any:
        """Return an argument by place or name."""
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[index] if index < len(self.args) else default


Handler = Callable[[Follower, Call], Result]


def is_tensor(value: Any) -> bool:
    """Return whether a value is a torch tensor; torch itself is not loaded."""
    return hasattr(value, "data_ptr") and hasattr(value, "detach")


def is_zero(tensor: Any) -> bool:
    """Return whether a tensor holds nothing but zeros, or nothing at all."""
    return tensor.numel() == 0 or not bool(tensor.any())


def membrane_of(formula: Formula) -> str | None:
    """Return the layer whose state a formula reads; None: it reads no states."""
    return next((source.name for source in sources_of(formula) if source.state), None)


def lost(call: Call, reason: str = "") -> Lost:
    """Return that what a function made cannot be followed."""
    return Lost(function=call.name, reason=reason)


def _plain(follower: Follower, call: Call, tensor: Any) -> Traced | Lost:
    """Return a value with which the network computes: no state of a layer, nothing over time."""
    value = follower.known(tensor)
    if value is None:
        return lost(call, "its tensor is not made by the network")
    if isinstance(value, Lost):
        return value
    if value.over is not None:
        return lost(call, f"it computes with the {value.over.value} over all steps")
    owner = membrane_of(value.formula)
    if owner is not None:
        return lost(call, f"it computes with a state of {owner!r}")
    return value


def settled(follower: Follower, formula: Formula, shape: Shape) -> Formula:
    """Return a value in another shape of as many numbers."""
    if formula.shape == shape:
        return formula
    layer: Layer = Flatten() if len(shape) == 1 else Unflatten(shape=shape)
    op = follower.formulas.op(
        ("shape", shape, follower.inside),
        lambda: Op(_named(follower, "flatten" if len(shape) == 1 else "reshape"), layer, False),
    )
    return follower.formulas.applied(op, formula, shape)


def _named(follower: Follower, function: str) -> str:
    return f"{follower.inside}.{function}" if follower.inside else function


# ------------------------------------------------------------- the same value


def _same(follower: Follower, call: Call) -> Result:
    value = follower.known(call.args[0])
    wide = "float32" in str(call.result.dtype) or "float64" in str(call.result.dtype)
    if call.result.dtype != call.args[0].dtype and not wide:
        return lost(call, f"it makes numbers of type {call.result.dtype}")
    return value


def _dropout(follower: Follower, call: Call) -> Result:
    place = 1 if "dropout" in call.name else 0
    if call.arg(place, "p", 0.5) and call.arg(place + 1, "training", True):
        return lost(call, "it drops values at random although the module is in evaluation mode")
    return follower.known(call.args[0])


def _nothing(follower: Follower, call: Call) -> Result:
    return None


# ---------------------------------------------------------- sums and factors


def _add(follower: Follower, call: Call) -> Result:
    return _sum(follower, call, call.args[0], call.arg(1, "other"), call.kwargs.get("alpha", 1))


def _subtract(follower: Follower, call: Call) -> Result:
    factor = -call.kwargs.get("alpha", 1)
    return _sum(follower, call, call.args[0], call.arg(1, "other"), factor)


def _subtract_from(follower: Follower, call: Call) -> Result:
    return _sum(follower, call, call.arg(1, "other"), call.args[0], -call.kwargs.get("alpha", 1))


def _sum(follower: Follower, call: Call, left: Any, right: Any, factor: Any) -> Result:
    """Return left + factor * right."""
    first, second = _operand(follower, call, left), _operand(follower, call, right)
    for value in (first, second):
        if isinstance(value, Lost):
            return value
    if first is None and second is None:
        return None
    if second is None:
        assert isinstance(first, Traced)
        return (
            first if tuple(call.result.shape) == tuple(left.shape) else lost(call, "it broadcasts")
        )
    assert isinstance(second, Traced)
    term = _times(follower, second, np.float64(factor))
    if first is None:
        return (
            term if tuple(call.result.shape) == tuple(right.shape) else lost(call, "it broadcasts")
        )
    assert isinstance(first, Traced)
    if tuple(left.shape) != tuple(right.shape):
        return lost(call, f"it adds tensors of shapes {tuple(left.shape)} and {tuple(right.shape)}")
    if first.sequence != second.sequence or _steps_at(first.axes) != _steps_at(second.axes):
        return lost(call, "it adds a value of one step to values of all steps")
    other = settled(follower, term.formula, first.formula.shape)
    return replace(first, formula=follower.formulas.total(first.formula, other))


def _operand(follower: Follower, call: Call, value: Any) -> Traced | Lost | None:
    """Return one side of a sum; None: zeros."""
    if not is_tensor(value):
        return None if value == 0 else lost(call, "it adds a constant: a bias of a layer can")
    if follower.known(value) is None:
        if is_zero(value):
            return None
        return lost(call, "it adds a tensor that the network did not make: a bias of a layer can")
    return _plain(follower, call, value)


def _steps_at(axes: Axes) -> int | None:
    return axes.index(Axis.STEP) if Axis.STEP in axes else None


def _times(follower: Follower, value: Traced, factor: np.ndarray | np.float64) -> Traced:
    array = np.asarray(factor, np.float64)
    if np.all(array == 1):
        return value
    op = follower.formulas.op(
        ("times", array.shape, array.tobytes(), follower.inside),
        lambda: Op(_named(follower, "times"), Scale(factor=array), False),
    )
    formula = follower.formulas.applied(op, value.formula, value.formula.shape)
    return replace(value, formula=formula)


def _multiply(follower: Follower, call: Call) -> Result:
    left, right = call.args[0], call.arg(1, "other")
    if not is_tensor(left) or follower.known(left) is None:
        left, right = right, left
    if is_tensor(right) and follower.known(right) is not None:
        return lost(call, "it multiplies two values of the network with each other")
    return _scaled(follower, call, left, right, lambda number: number)


def _divide(follower: Follower, call: Call) -> Result:
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


def _negate(follower: Follower, call: Call) -> Result:
    return _scaled(follower, call, call.args[0], -1.0, lambda number: number)


def _scaled(
    follower: Follower, call: Call, tensor: Any, by: Any, how: Callable[[Any], Any]
) -> Result:
    value = follower.known(tensor)
    if isinstance(value, Traced) and value.over is not None and not is_tensor(by) and by > 0:
        return value  # the largest answer stays the largest; replay knows the factor
    value = _plain(follower, call, tensor)
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


# --------------------------------------------------------------------- views


def _reshape(follower: Follower, call: Call) -> Result:
    """Follow a view, by the shapes before and after it."""
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    old, new = tuple(call.args[0].shape), tuple(call.result.shape)
    axes = reshaped(value.axes, old, new, value_shape(value.axes, old))
    if axes is None:
        return lost(call, "it mixes the steps with the values")
    shape = value_shape(axes, new)
    if membrane_of(value.formula) and shape != value.formula.shape:
        return lost(call, "it gives a membrane another shape")
    return Traced(formula=settled(follower, value.formula, shape), axes=axes, over=value.over)


def _squeeze(follower: Follower, call: Call) -> Result:
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    rank = len(value.axes)
    dims = call.arg(1, "dim")
    shape = tuple(call.args[0].shape)
    chosen = range(rank) if dims is None else [d % rank for d in _tuple(dims)]
    gone = {d for d in chosen if shape[d] == 1}
    axes = tuple(axis for d, axis in enumerate(value.axes) if d not in gone)
    new = value_shape(axes, call.result.shape)
    return replace(value, axes=axes, formula=settled(follower, value.formula, new))


def _unsqueeze(follower: Follower, call: Call) -> Result:
    value = follower.known(call.args[0])
    if not isinstance(value, Traced):
        return value
    place = call.arg(1, "dim") % (len(value.axes) + 1)
    return value.moved((*value.axes[:place], Axis.SINGLE, *value.axes[place:]))


def _tuple(value: Any) -> tuple[int, ...]:
    return (int(value),) if isinstance(value, int) else tuple(int(v) for v in value)


def _permute(follower: Follower, call: Call) -> Result:
    dims = call.args[1:] if len(call.args) > 1 else call.kwargs["dims"]
    order = _tuple(dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims)
    return _ordered(follower, call, order)


def _transpose(follower: Follower, call: Call) -> Result:
    rank = call.args[0].ndim
    order = list(range(rank))
    one = call.arg(1, "dim0", call.kwargs.get("axis0")) % rank
    two = call.arg(2, "dim1", call.kwargs.get("axis1")) % rank
    order[one], order[two] = order[two], order[one]
    return _ordered(follower, call, tuple(order))


def _swap(follower: Follower, call: Call) -> Result:
    return _ordered(follower, call, tuple(reversed(range(call.args[0].ndim))))


def _move(follower: Follower, call: Call) -> Result:
    rank = call.args[0].ndim
    sources = [d % rank for d in _tuple(call.arg(1, "source"))]
    targets = [d % rank for d in _tuple(call.arg(2, "destination"))]
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


def _repeat(follower: Follower, call: Call) -> Result:
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


# ---------------------------------------------------------------------- time


def _item(follower: Follower, call: Call) -> Result:
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
            taken = _taken(follower, call, value, axis, entry, call.args[0].shape[place])
            if isinstance(taken, Lost):
                return taken
            if taken is None:
                axes.append(axis)
            else:
                value = replace(value, formula=taken.formula, over=taken.over)
                value = value.moved(value.axes)
    return value.moved((*axes, *rest))


def _taken(
    follower: Follower, call: Call, value: Traced, axis: Axis, entry: Any, side: int
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


def _select(follower: Follower, call: Call) -> Result:
    dim = call.arg(1, "dim") % call.args[0].ndim
    return _indexed(follower, call, (*(slice(None),) * dim, call.arg(2, "index")))


def _unbind(follower: Follower, call: Call) -> Result:
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


def _split(follower: Follower, call: Call) -> Result:
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


def _stack(follower: Follower, call: Call) -> Result:
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


def _concatenate(follower: Follower, call: Call) -> Result:
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
    plain = [_plain(follower, call, part) for part in parts if follower.known(part) is not None]
    for value in plain:
        if isinstance(value, Lost):
            return value
    if first.axes[dim] is Axis.STEP or len({value.axes for value in values}) > 1:
        return lost(call, "it puts steps side by side, or values of one step and of all")
    axis = first.axes[:dim].count(Axis.VALUE)
    shape = value_shape(first.axes, call.result.shape)
    parts_made = tuple(value.formula for value in values)
    return replace(first, formula=follower.formulas.joined(axis, parts_made, shape))


def _set_item(follower: Follower, call: Call) -> Result:
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


def over_time(over: Over) -> Handler:
    """Return the handler of a function that makes one value of all steps."""

    def reduce(follower: Follower, call: Call) -> Result:
        value = follower.known(call.args[0])
        if not isinstance(value, Traced):
            return value
        dims = call.arg(1, "dim", call.kwargs.get("axis"))
        rank = len(value.axes)
        if dims is None or is_tensor(dims):
            return lost(call, "it puts all values of the network together")
        chosen = [d % rank for d in _tuple(dims)]
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


# -------------------------------------------------------------------- layers


def _digest(value: Any) -> bytes:
    array = array_of(value)
    return hashlib.blake2b(array.tobytes(), digest_size=16).digest() + str(array.shape).encode()


def _layer(
    follower: Follower,
    call: Call,
    key: tuple[Any, ...],
    make: Callable[[], Layer],
    *,
    biased: bool = False,
    any_lead: bool = False,
    module: Any = None,
) -> Result:
    """Follow a function that is a layer of its first argument.

    Args:
        key: What tells it from other calls of the function.
        make: Returns the layer.
        any_lead: Whether it takes any axes before those of the values.
        module: A layer whose reader says what it does, in place of `make`.
    """
    value = _plain(follower, call, call.args[0])
    if isinstance(value, Lost):
        return value
    lead = len(value.axes) - len(value.formula.shape) if any_lead else 1
    made = after_layer(value, lead, call.result.shape)
    if isinstance(made, str):
        return lost(call, made)
    op = follower.formulas.op(
        (call.name, follower.inside, *key),
        lambda: Op(
            _named(follower, call.name),
            None if module is not None else make(),
            biased,
            module,
        ),
    )
    axes, shape = made
    entering = settled(follower, value.formula, tuple(call.args[0].shape[lead:]))
    return Traced(formula=follower.formulas.applied(op, entering, shape), axes=axes)


def after_layer(value: Traced, lead: int, result: Sequence[int]) -> tuple[Axes, Shape] | str:
    """Return the axes of what a layer gives, and the shape of a sample's values; or why the layer
    cannot take its input.

    Args:
        lead: Axes that the layer keeps: the first ones.
    """
    if Axis.STEP in value.axes[lead:]:
        return "it takes the steps for values"
    if Axis.SAMPLE in value.axes[lead:] or Axis.VALUE in value.axes[:lead]:
        return "it takes the samples for values, or values for samples"
    shape = tuple(int(side) for side in result[lead:])
    return (*value.axes[:lead], *(Axis.VALUE,) * len(shape)), shape


def _parameters(*tensors: Any) -> tuple[bytes, ...]:
    return tuple(b"" if tensor is None else _digest(tensor) for tensor in tensors)


def _made_by_network(follower: Follower, *tensors: Any) -> bool:
    return any(is_tensor(t) and follower.known(t) is not None for t in tensors)


def _linear(follower: Follower, call: Call) -> Result:
    weight, bias = call.arg(1, "weight"), call.arg(2, "bias")
    return _matrix(follower, call, weight, bias, lambda array: array)


def _matmul(follower: Follower, call: Call) -> Result:
    other = call.arg(1, "other", call.kwargs.get("mat2"))
    if follower.known(call.args[0]) is None or other.ndim != 2:
        return lost(call, "only values times a matrix are followed")
    return _matrix(follower, call, other, None, np.transpose)


def _matrix(
    follower: Follower, call: Call, weight: Any, bias: Any, turn: Callable[[Any], Any]
) -> Result:
    if _made_by_network(follower, weight, bias):
        return lost(call, "its weights are made by the network")
    return _layer(
        follower,
        call,
        _parameters(weight, bias),
        lambda: Linear(
            weight=turn(array_of(weight)), bias=None if bias is None else array_of(bias)
        ),
        biased=bias is not None,
        any_lead=True,
    )


def convolving(axes: int) -> Handler:
    """Return the handler of `conv1d` or `conv2d`."""

    def convolve(follower: Follower, call: Call) -> Result:
        weight, bias = call.arg(1, "weight"), call.arg(2, "bias")
        if _made_by_network(follower, weight, bias):
            return lost(call, "its weights are made by the network")
        given = call.arg(4, "padding", 0)
        padding: tuple[int, ...] | Literal["same", "valid"]
        if isinstance(given, str):
            padding = "same" if given == "same" else "valid"
        else:
            padding = sides(given, axes)
        options = (
            sides(call.arg(3, "stride", 1), axes),
            padding,
            sides(call.arg(5, "dilation", 1), axes),
            int(call.arg(6, "groups", 1)),
        )
        return _layer(
            follower,
            call,
            (*_parameters(weight, bias), *options),
            lambda: Convolution(
                weight=array_of(weight),
                bias=None if bias is None else array_of(bias),
                stride=options[0],
                padding=options[1],
                dilation=options[2],
                groups=options[3],
            ),
            biased=bias is not None,
        )

    return convolve


def transposing(axes: int) -> Handler:
    """Return the handler of `conv_transpose1d` or `conv_transpose2d`."""

    def convolve(follower: Follower, call: Call) -> Result:
        weight, bias = call.arg(1, "weight"), call.arg(2, "bias")
        if _made_by_network(follower, weight, bias):
            return lost(call, "its weights are made by the network")
        options = (
            sides(call.arg(3, "stride", 1), axes),
            sides(call.arg(4, "padding", 0), axes),
            sides(call.arg(5, "output_padding", 0), axes),
            int(call.arg(6, "groups", 1)),
            sides(call.arg(7, "dilation", 1), axes),
        )
        return _layer(
            follower,
            call,
            (*_parameters(weight, bias), *options),
            lambda: TransposedConvolution(
                weight=array_of(weight),
                bias=None if bias is None else array_of(bias),
                stride=options[0],
                padding=options[1],
                output_padding=options[2],
                groups=options[3],
                dilation=options[4],
            ),
            biased=bias is not None,
        )

    return convolve


def by_module(kind: str, *options: tuple[str, Any]) -> Handler:
    """Return the handler of a function that does what a layer of torch does.

    Args:
        kind: Class in `torch.nn`.
        options: (name, default) of its arguments behind the input, in order.
    """

    def act(follower: Follower, call: Call) -> Result:
        from torch import nn  # noqa: PLC0415 - only where a module runs

        chosen = {
            name: call.arg(place + 1, name, default)
            for place, (name, default) in enumerate(options)
        }
        if chosen.pop("return_indices", False):
            return lost(call, "it gives the places of the maxima")
        if chosen.get("mode", "nearest") != "nearest":
            return lost(call, f"it interpolates: mode={chosen['mode']!r}")
        module = getattr(nn, kind)(**chosen)
        return _layer(follower, call, (repr(module),), Rectifier, module=module)

    return act


def _rectify(follower: Follower, call: Call) -> Result:
    return _layer(follower, call, (), Rectifier, any_lead=True)


def _rectify_to_six(follower: Follower, call: Call) -> Result:
    return _layer(follower, call, (), lambda: Rectifier(ceiling=6.0), any_lead=True)


def _clamp(follower: Follower, call: Call) -> Result:
    low, high = call.arg(1, "min"), call.arg(2, "max")
    if is_tensor(low) or is_tensor(high) or low != 0:
        return lost(call, "it clips values")
    ceiling = None if high is None else float(high)
    return _layer(follower, call, (ceiling,), lambda: Rectifier(ceiling=ceiling), any_lead=True)


def _batch_norm(follower: Follower, call: Call) -> Result:
    mean, variance = call.arg(1, "running_mean"), call.arg(2, "running_var")
    weight, bias = call.arg(3, "weight"), call.arg(4, "bias")
    eps = float(call.arg(7, "eps", 1e-5))
    if mean is None or call.arg(5, "training", False):
        return lost(call, "it normalises by each batch")

    def make() -> Layer:
        scale = 1 / np.sqrt(real_of(variance) + eps)
        scale = scale if weight is None else scale * real_of(weight)
        shift = -scale * real_of(mean)
        return ChannelAffine(scale=scale, shift=shift if bias is None else shift + real_of(bias))

    key = (*_parameters(mean, variance, weight, bias), eps)
    return _layer(follower, call, key, make, biased=True)


_POOL = (("kernel_size", None), ("stride", None), ("padding", 0))
_AVERAGE = (*_POOL, ("ceil_mode", False), ("count_include_pad", True))
_MAX = (*_POOL, ("dilation", 1), ("ceil_mode", False), ("return_indices", False))

HANDLERS: Mapping[str, Handler] = {
    **dict.fromkeys(
        (
            *("clone", "detach", "detach_", "contiguous", "data", "float", "double", "cpu"),
            *("cuda", "to", "type", "type_as", "requires_grad_", "alias", "positive"),
        ),
        _same,
    ),
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "alpha_dropout", "feature_dropout"), _dropout
    ),
    **dict.fromkeys(
        (
            *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"),
            *("new_zeros", "new_ones", "new_full", "new_empty", "new_tensor"),
        ),
        _nothing,
    ),
    **dict.fromkeys(("add", "add_", "__add__", "__radd__", "__iadd__"), _add),
    **dict.fromkeys(("sub", "sub_", "subtract", "__sub__", "__isub__"), _subtract),
    **dict.fromkeys(("rsub", "__rsub__"), _subtract_from),
    **dict.fromkeys(("mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__"), _multiply),
    **dict.fromkeys(
        ("div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__"), _divide
    ),
    **dict.fromkeys(("neg", "neg_", "negative", "__neg__"), _negate),
    **dict.fromkeys(("reshape", "view", "flatten", "unflatten", "reshape_as", "view_as"), _reshape),
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "permute": _permute,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transpose),
    **dict.fromkeys(("t", "T"), _swap),
    **dict.fromkeys(("movedim", "moveaxis"), _move),
    **dict.fromkeys(("repeat", "expand", "expand_as", "broadcast_to"), _repeat),
    "__getitem__": _item,
    "select": _select,
    "unbind": _unbind,
    **dict.fromkeys(("split", "chunk", "tensor_split"), _split),
    "stack": _stack,
    **dict.fromkeys(("cat", "concat", "concatenate"), _concatenate),
    "__setitem__": _set_item,
    "sum": over_time(Over.SUM),
    "mean": over_time(Over.MEAN),
    "amax": over_time(Over.MAX),
    "max": over_time(Over.MAX),
    "linear": _linear,
    **dict.fromkeys(("matmul", "mm", "__matmul__"), _matmul),
    "conv1d": convolving(1),
    "conv2d": convolving(2),
    "conv_transpose1d": transposing(1),
    "conv_transpose2d": transposing(2),
    "avg_pool1d": by_module("AvgPool1d", *_AVERAGE),
    "avg_pool2d": by_module("AvgPool2d", *_AVERAGE, ("divisor_override", None)),
    "max_pool1d": by_module("MaxPool1d", *_MAX),
    "max_pool2d": by_module("MaxPool2d", *_MAX),
    "adaptive_avg_pool1d": by_module("AdaptiveAvgPool1d", ("output_size", None)),
    "adaptive_avg_pool2d": by_module("AdaptiveAvgPool2d", ("output_size", None)),
    "interpolate": by_module(
        "Upsample", ("size", None), ("scale_factor", None), ("mode", "nearest")
    ),
    **dict.fromkeys(("relu", "relu_"), _rectify),
    "relu6": _rectify_to_six,
    **dict.fromkeys(("clamp", "clamp_", "clip"), _clamp),
    "batch_norm": _batch_norm,
}
"""What is followed, by the function's name."""

HARMLESS = frozenset(
    {
        *("shape", "size", "dim", "ndim", "numel", "nelement", "dtype", "device", "layout"),
        *("is_cuda", "is_cpu", "is_mps", "is_sparse", "is_quantized", "is_meta", "is_leaf"),
        *("is_floating_point", "is_complex", "is_contiguous", "is_nested", "is_mkldnn"),
        *("requires_grad", "retains_grad", "grad", "grad_fn", "names", "has_names", "stride"),
        *("element_size", "itemsize", "nbytes", "storage_offset", "data_ptr", "get_device"),
        *("_version", "_base", "__len__", "__repr__", "__format__", "__hash__", "ndimension"),
        *(
            "is_same_size",
            "is_inference",
            "register_hook",
            "retain_grad",
            "__dir__",
            "untyped_storage",
        ),
    }
)
"""Functions that tell about a tensor without telling its values."""


def name_of(function: Any) -> str:
    """Return the name of a torch function; of an attribute, that of the attribute."""
    name = getattr(function, "__name__", str(function))
    if name in ("__get__", "__set__"):
        return str(getattr(getattr(function, "__self__", None), "__name__", name))
    return str(name)


def taken_out(call: Call, where: str) -> UnknownNodeError:
    """Return the error of a function that gives values of the network to Python or numpy."""
    return UnknownNodeError(
        f"the module reads values of the network with {call.name!r}: what follows from them "
        "cannot be followed",
        where=where,
        fix=WAY_OUT,
    )


WAY_OUT = (
    "use layers that are read, sums, factors, concatenations and views only, or write the network "
    "as NIR and load that"
)
