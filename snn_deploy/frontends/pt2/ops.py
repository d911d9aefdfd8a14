"""Operations of torch.export that become layers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snn_deploy.errors import ShapeError, UnknownNodeError
from snn_deploy.frontends.ann import Margins, Tensor
from snn_deploy.frontends.layer_checks import Sides
from snn_deploy.frontends.layers import Pooling
from snn_deploy.frontends.pt2.call import Call, Value
from snn_deploy.ir.findings import Kind


def _convolution(call: Call) -> Tensor:
    call.expect(transposed=False)
    weight = call.constant("weight")
    axes = weight.ndim - 2
    ones, zeros = [1] * axes, [0] * axes
    dilation = call.sides("dilation", axes, ones)
    if isinstance(call.option("padding", 0), str):
        margins = _named_margins(call, weight, dilation)
    else:
        padding = call.sides("padding", axes, zeros)
        margins = Margins(begin=padding, end=padding)
    return call.build.convolution(
        call.name,
        call.tensor("input"),
        weight,
        call.given("bias"),
        stride=call.sides("stride", axes, ones),
        margins=margins,
        dilation=dilation,
        groups=int(call.option("groups", 1)),
    )


def _named_margins(call: Call, weight: np.ndarray, dilation: Sides) -> Margins:
    """Return the margins of padding="same", the odd one at the end, or "valid"."""
    padding = call.option("padding", "")
    if padding == "valid":
        return Margins(begin=(0,) * len(dilation), end=(0,) * len(dilation))
    if padding != "same":
        raise ValueError("no such padding")
    spare = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    return Margins(begin=tuple(s // 2 for s in spare), end=tuple(s - s // 2 for s in spare))


def _linear(call: Call) -> Tensor:
    return call.build.linear(
        call.name, call.tensor("input"), call.constant("weight"), call.given("bias")
    )


def _addmm(call: Call) -> Tensor:
    call.expect(beta=1, alpha=1)
    weight, bias = call.constant("mat2").T, call.constant("self")
    bias = np.broadcast_to(bias, (1, weight.shape[0]))[0]
    return call.build.linear(call.name, call.tensor("mat1"), weight, bias)


def _product(first: str, second: str) -> Callable[[Call], Tensor]:
    def read(call: Call) -> Tensor:
        weight = call.constant(second)
        return call.build.linear(call.name, call.tensor(first), weight.T)

    return read


def _batch_norm(call: Call) -> Tensor:
    call.expect(training=False)
    x = call.tensor("input")
    mean, variance = (
        call.constant(name).astype(np.float64) for name in ("running_mean", "running_var")
    )
    scale, shift = call.given("weight"), call.given("bias")
    with np.errstate(all="ignore"):
        factor = (1.0 if scale is None else scale) / np.sqrt(variance + call.option("eps", 1e-5))
    if factor.shape != (x.shape[0],) or mean.shape != factor.shape:
        raise ShapeError(
            f"normalisations of {factor.size} channels for values of shape {x.shape}",
            where=call.where,
        )
    offset = (0.0 if shift is None else shift) - mean * factor
    channels = (-1, *(1,) * (len(x.shape) - 1))
    return call.build.scaled(
        call.name,
        x,
        factor.reshape(channels),
        offset.reshape(channels),
        alone=call.alone("input"),
    )


def _relu(call: Call) -> Tensor:
    return call.build.rectifier(call.name, call.tensor("self"), alone=call.alone("self"))


def _clamp(low: str, high: str, default: tuple[float | None, float | None]) -> Any:
    def read(call: Call) -> Tensor:
        lower, upper = call.option(low, default[0]), call.option(high, default[1])
        if lower is None or lower != 0:
            raise UnknownNodeError(
                f"an activation between {lower} and {upper} is not read",
                where=call.where,
                fix="use a lower limit of 0: a ReLU",
            )
        ceiling = None if upper is None or upper == math.inf else float(upper)
        x = call.tensor("self")
        return call.build.rectifier(call.name, x, ceiling, alone=call.alone("self"))

    return read


def _pool(pooling: Pooling, axes: int) -> Callable[[Call], Tensor]:
    def read(call: Call) -> Tensor:
        call.expect(ceil_mode=False, divisor_override=None)
        ones, zeros = [1] * axes, [0] * axes
        if any(side != 1 for side in call.sides("dilation", axes, ones)):
            raise UnknownNodeError("a pooling with a dilation is not read", where=call.where)
        kernel = call.sides("kernel_size", axes, [])
        padding = call.sides("padding", axes, zeros)
        return call.build.pool(
            call.name,
            call.tensor("self"),
            pooling,
            kernel=kernel,
            stride=call.sides("stride", axes, kernel),
            margins=Margins(begin=padding, end=padding),
            whole=bool(call.option("count_include_pad", True)),
        )

    return read


def _adaptive(axes: int) -> Callable[[Call], Tensor]:
    def read(call: Call) -> Tensor:
        size = call.sides("output_size", axes, [])
        return call.build.adaptive(call.name, call.tensor("self"), tuple(size))

    return read


def _pad(call: Call) -> Tensor:
    call.expect(mode="constant")
    if call.option("value", None):
        raise UnknownNodeError("padding with other numbers than 0 is not read", where=call.where)
    x, pad = call.tensor("self"), [int(side) for side in call.option("pad", [])]
    axes = len(x.shape) - 1
    pad += [0] * (2 * axes - len(pad))  # pairs from the last axis on; those left out are 0
    if len(pad) != 2 * axes:
        raise UnknownNodeError("padding of channels is not read", where=call.where)
    margins = Margins(begin=tuple(pad[-2::-2]), end=tuple(pad[::-2]))
    return call.build.pad(call.name, x, margins)


def _mean(call: Call) -> Tensor:
    x = call.tensor("self")
    rank = len(x.shape) + 1
    given = call.option("dim", None)
    over = sorted({axis % rank for axis in (range(rank) if given is None else given)})
    if not over or over[0] == 0:
        raise UnknownNodeError("a mean over the batch is not read", where=call.where)
    kept = call.build.average(call.name, x, [axis - 1 for axis in over])
    if call.option("keepdim", False):
        return kept
    shape = tuple(side for axis, side in enumerate(kept.shape) if axis + 1 not in over)
    return call.build.reshaped(f"{call.name}.flat", kept, shape)


def _sum(sign: float) -> Callable[[Call], Tensor]:
    def read(call: Call) -> Tensor:
        call.expect(alpha=1)
        first, second = call.value("self"), call.value("other")
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            if sign < 0:
                minus = np.full((), sign)
                name = f"{call.name}.negative"
                second = call.build.scaled(name, second, minus, None, alone=False)
            return call.build.total(call.name, [first, second])
        if isinstance(first, Tensor):
            shift = np.asarray(sign * call.constant("other"))
            return _scaled(call, "self", None, shift)
        return _scaled(call, "other", np.full((), sign), call.constant("self"))

    return read


def _reversed_difference(call: Call) -> Tensor:
    call.expect(alpha=1)
    return _scaled(call, "self", np.full((), -1.0), call.constant("other"))


def _scaled(call: Call, name: str, factor: np.ndarray | None, shift: np.ndarray | None) -> Tensor:
    x = call.tensor(name)
    return call.build.scaled(call.name, x, factor, shift, alone=call.alone(name))


def _times(call: Call) -> Tensor:
    if isinstance(call.value("self"), np.ndarray):
        return _scaled(call, "other", call.constant("self"), None)
    return _scaled(call, "self", call.constant("other"), None)


def _quotient(call: Call) -> Tensor:
    with np.errstate(divide="ignore"):
        factor = np.asarray(1.0 / call.constant("other").astype(np.float64))
    return _scaled(call, "self", factor, None)


def _negative(call: Call) -> Tensor:
    return _scaled(call, "self", np.full((), -1.0), None)


def _softmax(call: Call) -> Tensor:
    output = call.op.outputs[0]
    if output not in call.reading.outputs or call.reading.uses[output] != 1:
        raise UnknownNodeError("a softmax within a network is not read", where=call.where)
    call.build.note(
        Kind.CHANGED,
        call.name,
        "the softmax at the end is left out",
        "the largest output stays the largest; the others are no probabilities now",
    )
    return call.tensor("self")


LAYERS: Mapping[str, Callable[[Call], Value]] = {
    **dict.fromkeys(
        (
            "conv1d.default",
            "conv2d.default",
            "conv1d.padding",
            "conv2d.padding",
            "convolution.default",
        ),
        _convolution,
    ),
    "linear.default": _linear,
    "addmm.default": _addmm,
    "mm.default": _product("self", "mat2"),
    "matmul.default": _product("self", "other"),
    "batch_norm.default": _batch_norm,
    "_native_batch_norm_legit_no_training.default": _batch_norm,
    **dict.fromkeys(("relu.default", "relu_.default"), _relu),
    **dict.fromkeys(
        ("hardtanh.default", "hardtanh_.default"), _clamp("min_val", "max_val", (-1.0, 1.0))
    ),
    **dict.fromkeys(("relu6.default", "relu6_.default"), _clamp("", "", (0.0, 6.0))),
    **dict.fromkeys(("clamp.default", "clamp_.default"), _clamp("min", "max", (None, None))),
    "clamp_min.default": _clamp("min", "", (None, None)),
    "max_pool1d.default": _pool(Pooling.MAX, 1),
    "max_pool2d.default": _pool(Pooling.MAX, 2),
    "max_pool2d_with_indices.default": _pool(Pooling.MAX, 2),
    "avg_pool1d.default": _pool(Pooling.AVERAGE, 1),
    "avg_pool2d.default": _pool(Pooling.AVERAGE, 2),
    "adaptive_avg_pool1d.default": _adaptive(1),
    "adaptive_avg_pool2d.default": _adaptive(2),
    "_adaptive_avg_pool2d.default": _adaptive(2),
    **dict.fromkeys(("constant_pad_nd.default", "pad.default"), _pad),
    "mean.dim": _mean,
    **dict.fromkeys(("add.Tensor", "add_.Tensor"), _sum(1.0)),
    **dict.fromkeys(("sub.Tensor", "sub_.Tensor"), _sum(-1.0)),
    "rsub.Scalar": _reversed_difference,
    **dict.fromkeys(("mul.Tensor", "mul_.Tensor", "mul.Scalar"), _times),
    **dict.fromkeys(("div.Tensor", "div_.Tensor", "div.Scalar"), _quotient),
    "neg.default": _negative,
    **dict.fromkeys(("softmax.int", "log_softmax.int", "_softmax.default"), _softmax),
}
"""Operations that compute, without the prefix of their names."""
