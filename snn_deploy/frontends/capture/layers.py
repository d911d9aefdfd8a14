"""Functions that are layers: the values that are followed, and parameters of the module."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from snn_deploy.frontends.capture.axes import Axes, Axis, Lost, Traced
from snn_deploy.frontends.capture.calls import (
    Call,
    Follower,
    Handler,
    Result,
    is_tensor,
    lost,
    named,
    plain,
    settled,
)
from snn_deploy.frontends.capture.formulas import Op
from snn_deploy.frontends.layers import (
    ChannelAffine,
    Convolution,
    Layer,
    Linear,
    Rectifier,
    TransposedConvolution,
)
from snn_deploy.frontends.tensors import array_of, real_of, sides
from snn_deploy.ir.maps import Shape


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
    value = plain(follower, call, call.args[0])
    if isinstance(value, Lost):
        return value
    lead = len(value.axes) - len(value.formula.shape) if any_lead else 1
    made = after_layer(value, lead, call.result.shape)
    if isinstance(made, str):
        return lost(call, made)
    op = follower.formulas.op(
        (call.name, follower.inside, *key),
        lambda: Op(
            named(follower, call.name),
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


def linear(follower: Follower, call: Call) -> Result:
    """Follow a dense layer."""
    weight, bias = call.arg(1, "weight"), call.arg(2, "bias")
    return _matrix(follower, call, weight, bias, lambda array: array)


def matmul(follower: Follower, call: Call) -> Result:
    """Follow a product with a matrix."""
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
        if chosen.get("mode", "nearest") != "nearest":
            return lost(call, f"it interpolates: mode={chosen['mode']!r}")
        module = getattr(nn, kind)(**chosen)
        return _layer(follower, call, (repr(module),), Rectifier, module=module)

    return act


def rectify(follower: Follower, call: Call) -> Result:
    """Follow max(0, x)."""
    return _layer(follower, call, (), Rectifier, any_lead=True)


def rectify_to_six(follower: Follower, call: Call) -> Result:
    """Follow max(0, min(x, 6))."""
    return _layer(follower, call, (), lambda: Rectifier(ceiling=6.0), any_lead=True)


def clamp(follower: Follower, call: Call) -> Result:
    """Follow values that are clipped at 0, and above."""
    low, high = call.arg(1, "min"), call.arg(2, "max")
    if is_tensor(low) or is_tensor(high) or low != 0:
        return lost(call, "it clips values")
    ceiling = None if high is None else float(high)
    return _layer(follower, call, (ceiling,), lambda: Rectifier(ceiling=ceiling), any_lead=True)


def batch_norm(follower: Follower, call: Call) -> Result:
    """Follow a normalisation by running statistics."""
    mean, variance = call.arg(1, "running_mean"), call.arg(2, "running_var")
    weight, bias = call.arg(3, "weight"), call.arg(4, "bias")
    eps = float(call.arg(7, "eps", 1e-5))
    if mean is None or call.arg(5, "training", False):
        return lost(call, "it normalises by each batch")
    if _made_by_network(follower, mean, variance, weight, bias):
        return lost(call, "its statistics are made by the network")

    def make() -> Layer:
        scale = 1 / np.sqrt(real_of(variance) + eps)
        scale = scale if weight is None else scale * real_of(weight)
        shift = -scale * real_of(mean)
        return ChannelAffine(scale=scale, shift=shift if bias is None else shift + real_of(bias))

    key = (*_parameters(mean, variance, weight, bias), eps)
    return _layer(follower, call, key, make, biased=True)
