"""Operations of ONNX that are layers of a network."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from snn_deploy.errors import NotFiniteError, ShapeError, UnknownNodeError
from snn_deploy.frontends.ann import Margins, Tensor
from snn_deploy.frontends.layer_checks import Sides
from snn_deploy.frontends.layers import Pooling
from snn_deploy.frontends.onnx.call import Call, Value
from snn_deploy.frontends.onnx.fold import axes_of, clip_limits
from snn_deploy.frontends.onnx.layout import kept
from snn_deploy.ir.findings import Kind

MINUS = np.full((), -1.0)


def _convolution(call: Call) -> Tensor:
    return convolution(call, call.tensor(), call.constant(1), call.given(2))


def convolution(call: Call, x: Tensor, weight: np.ndarray, bias: np.ndarray | None) -> Tensor:
    """Add the layer of a Conv, or of a quantised one."""
    axes = weight.ndim - 2
    ones = [1] * axes
    kernel = tuple(weight.shape[2:])
    call.expect(kernel_shape=list(kernel))
    stride = tuple(call.option("strides", ones))
    dilation = tuple(call.option("dilations", ones))
    return call.build.convolution(
        call.name,
        x,
        weight,
        bias,
        stride=stride,
        margins=_margins(call, x, kernel, stride, dilation),
        dilation=dilation,
        groups=int(call.option("group", 1)),
    )


def _margins(call: Call, x: Tensor, kernel: Sides, stride: Sides, dilation: Sides) -> Margins:
    """Return the zeros around each axis: stated, or as many as `auto_pad` wants."""
    axes = len(kernel)
    auto = call.option("auto_pad", "NOTSET")
    if auto == "NOTSET":
        pads = tuple(int(side) for side in call.option("pads", [0] * 2 * axes))
        if len(pads) != 2 * axes:
            raise ValueError("other axes")
        return Margins(begin=pads[:axes], end=pads[axes:])
    if auto == "VALID":
        return Margins(begin=(0,) * axes, end=(0,) * axes)
    if auto not in ("SAME_UPPER", "SAME_LOWER") or min(stride) < 1:
        raise ValueError("no such padding")
    begin, end = [], []
    for side, k, step, d in zip(x.shape[1:], kernel, stride, dilation, strict=True):
        places = -(-side // step)
        spare = max(0, (places - 1) * step + d * (k - 1) + 1 - side)
        less, more = spare // 2, spare - spare // 2
        begin.append(less if auto == "SAME_UPPER" else more)
        end.append(more if auto == "SAME_UPPER" else less)
    return Margins(begin=tuple(begin), end=tuple(end))


def _gemm(call: Call) -> Tensor:
    call.expect(transA=0)
    weight = call.constant(1)
    weight = weight if call.option("transB", 0) else weight.T
    return gemm(call, call.tensor(), weight, call.given(2))


def gemm(call: Call, x: Tensor, weight: np.ndarray, bias: np.ndarray | None) -> Tensor:
    """Add the layer of a Gemm, or of a quantised one; `weight` is [post, pre]."""
    alpha, beta = (np.float32(call.option(name, 1.0)) for name in ("alpha", "beta"))
    weight = weight if alpha == 1 else weight * alpha
    if bias is not None:
        bias = np.broadcast_to(bias if beta == 1 else bias * beta, (1, weight.shape[0]))[0]
    return call.build.linear(call.name, x, weight, bias)


def _matmul(call: Call) -> Tensor:
    weight = call.constant(1)
    if weight.ndim != 2:
        raise UnknownNodeError(
            f"a product with weights of shape {weight.shape} is not read", where=call.where
        )
    return call.build.linear(call.name, call.tensor(), weight.T)


def _sum(call: Call) -> Tensor:
    varying = [i for i, value in enumerate(call.inputs) if not isinstance(value, np.ndarray)]
    terms = [call.tensor(i) for i in varying]
    constants = [value for value in call.inputs if isinstance(value, np.ndarray)]
    if not constants:
        return call.build.total(call.name, terms)
    shift = sum(constants, np.zeros(()))
    if len(terms) == 1:
        return _scaled(call, varying[0], None, shift)
    total = call.build.total(f"{call.name}.total", terms)
    return call.build.scaled(call.name, total, None, shift, alone=False)


def _scaled(call: Call, index: int, factor: np.ndarray | None, shift: np.ndarray | None) -> Tensor:
    x = call.tensor(index)
    given = [numbers for numbers in (factor, shift) if numbers is not None]
    if any(n.ndim > len(x.shape) and n.shape[0] != 1 for n in given):
        raise UnknownNodeError("numbers that differ from sample to sample", where=call.where)
    return call.build.scaled(call.name, x, factor, shift, alone=call.alone(index))


def _difference(call: Call) -> Tensor:
    if not isinstance(call.inputs[1], np.ndarray):
        if isinstance(call.inputs[0], np.ndarray):
            return _scaled(call, 1, MINUS, call.constant(0))
        negative = call.build.scaled(
            f"{call.name}.negative", call.tensor(1), MINUS, None, alone=False
        )
        return call.build.total(call.name, [call.tensor(0), negative])
    return _scaled(call, 0, None, np.asarray(-call.constant(1).astype(np.float64)))


def _product(call: Call) -> Tensor:
    index = 0 if isinstance(call.inputs[1], np.ndarray) else 1
    return _scaled(call, index, call.constant(1 - index), None)


def _quotient(call: Call) -> Tensor:
    with np.errstate(divide="ignore"):
        factor = np.asarray(1.0 / call.constant(1).astype(np.float64))
    return _scaled(call, 0, factor, None)


def _negative(call: Call) -> Tensor:
    return _scaled(call, 0, MINUS, None)


def _batch_norm(call: Call) -> Tensor:
    call.expect(training_mode=0, spatial=1)
    x = call.tensor()
    scale, shift, mean, variance = (call.constant(i).astype(np.float64) for i in range(1, 5))
    if {scale.shape, shift.shape, mean.shape, variance.shape} != {(x.shape[0],)}:
        raise ShapeError(
            f"normalisations of {scale.size} channels for values of shape {x.shape}",
            where=call.where,
        )
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + call.option("epsilon", 1e-5))
    if not np.all(np.isfinite(factor)):
        raise NotFiniteError("a number is NaN or infinite", where=call.where)
    channels = (-1, *(1,) * (len(x.shape) - 1))
    return call.build.scaled(
        call.name,
        x,
        factor.reshape(channels),
        (shift - mean * factor).reshape(channels),
        alone=call.alone(),
    )


def _relu(call: Call) -> Tensor:
    return call.build.rectifier(call.name, call.tensor(), alone=call.alone())


def _clip(call: Call) -> Tensor:
    constants = (None, *(call.given(index) for index in range(1, len(call.inputs))))
    low, high = clip_limits(constants, call.op.attributes)
    if low == -math.inf and high == math.inf:
        return call.tensor()
    if low != 0:
        raise UnknownNodeError(
            f"Clip between {low:g} and {high:g} is not read",
            where=call.where,
            fix="use a lower limit of 0: a ReLU",
        )
    ceiling = None if high == math.inf else high
    return call.build.rectifier(call.name, call.tensor(), ceiling, alone=call.alone())


def _maximum(call: Call) -> Tensor:
    index = 0 if isinstance(call.inputs[1], np.ndarray) else 1
    if len(call.inputs) != 2 or np.any(call.constant(1 - index) != 0):
        raise UnknownNodeError("Max with other numbers than 0 is not read", where=call.where)
    return call.build.rectifier(call.name, call.tensor(index), alone=call.alone(index))


def pool(call: Call, x: Tensor, pooling: Pooling) -> Tensor:
    """Add the layer of a pooling."""
    kernel = tuple(int(side) for side in call.op.attributes["kernel_shape"])
    ones = [1] * len(kernel)
    call.expect(dilations=ones, storage_order=0)
    stride = tuple(int(side) for side in call.option("strides", ones))
    margins = _margins(call, x, kernel, stride, tuple(ones))
    if call.option("ceil_mode", 0):
        margins = _rounded_up(call, x, kernel, stride, margins)
    return call.build.pool(
        call.name,
        x,
        pooling,
        kernel=kernel,
        stride=stride,
        margins=margins,
        whole=bool(call.option("count_include_pad", 0)),
    )


def _rounded_up(call: Call, x: Tensor, kernel: Sides, stride: Sides, margins: Margins) -> Margins:
    """Return margins of a pooling whose last windows may hang over the edge.

    Raises:
        UnknownNodeError: they do, where that is not the same as padding.
    """
    sides = zip(x.shape[1:], kernel, stride, margins.begin, margins.end, strict=True)
    if all((side + begin + end - k) % step == 0 for side, k, step, begin, end in sides):
        return margins
    raise UnknownNodeError(
        f"{call.op.kind} with ceil_mode=1 and windows over the edge of {x.shape} is not read",
        where=call.where,
        fix="use ceil_mode=0, or pad",
    )


def _average_pool(call: Call) -> Tensor:
    return pool(call, call.tensor(), Pooling.AVERAGE)


def _global_max(call: Call) -> Tensor:
    x = call.tensor()
    sides = x.shape[1:]
    none = (0,) * len(sides)
    margins = Margins(begin=none, end=none)
    return call.build.pool(
        call.name, x, Pooling.MAX, kernel=sides, stride=(1,) * len(sides), margins=margins
    )


def global_average(call: Call, x: Tensor) -> Tensor:
    """Add the mean over all spatial axes."""
    return call.build.average(call.name, x, range(1, len(x.shape)))


def _global_average(call: Call) -> Tensor:
    return global_average(call, call.tensor())


def _mean(call: Call) -> Tensor:
    x = call.tensor()
    constants = (None, *(call.given(index) for index in range(1, len(call.inputs))))
    rank = len(x.shape) + 1
    axes = axes_of(constants, call.op.attributes)
    over = sorted({axis % rank for axis in (range(rank) if axes is None else axes)})
    if over and over[0] == 0:
        raise UnknownNodeError("a mean over the batch is not read", where=call.where)
    kept = call.build.average(call.name, x, [axis - 1 for axis in over])
    if call.option("keepdims", 1):
        return kept
    shape = tuple(side for axis, side in enumerate(kept.shape) if axis + 1 not in over)
    return call.build.reshaped(f"{call.name}.flat", kept, shape)


def _max_pool(call: Call) -> Value:
    return kept(call, lambda x: pool(call, x, Pooling.MAX))


def _pad(call: Call) -> Tensor:
    call.expect(mode="constant")
    x = call.tensor()
    given = call.given(1)
    pads = call.option("pads", None) if given is None else given.ravel().tolist()
    if call.given(3) is not None:
        raise UnknownNodeError("Pad of stated axes is not read", where=call.where)
    rank = len(x.shape) + 1
    if len(pads) != 2 * rank or any(pads[i] for i in (0, 1, rank, rank + 1)):
        raise UnknownNodeError("Pad of samples or channels is not read", where=call.where)
    if call.one(2, call.option("value", 0.0)) != 0:
        raise UnknownNodeError("Pad with other numbers than 0 is not read", where=call.where)
    begin, end = tuple(map(int, pads[2:rank])), tuple(map(int, pads[rank + 2 :]))
    return call.build.pad(call.name, x, Margins(begin=begin, end=end))


def _same(call: Call) -> Value:
    return call.inputs[0]


def _dropout(call: Call) -> Value:
    if call.one(2, 0.0):
        raise UnknownNodeError("Dropout in training mode is not read", where=call.where)
    return call.inputs[0]


def _cast(call: Call) -> Tensor:
    if call.option("to", 1) not in (1, 10, 11, 16):
        raise UnknownNodeError("Cast to whole numbers is not read", where=call.where)
    return call.tensor()


def _softmax(call: Call) -> Tensor:
    if call.op.outputs[0] not in call.reading.outputs or call.reading.uses[call.op.outputs[0]] != 1:
        raise UnknownNodeError(f"{call.op.kind} within a network is not read", where=call.where)
    x = call.tensor()
    call.build.note(
        Kind.CHANGED,
        call.name or call.op.kind,
        f"{call.op.kind} at the end is left out",
        "the largest output stays the largest; the others are no probabilities now",
    )
    return x


LAYERS: Mapping[str, Callable[[Call], Value]] = {
    "Conv": _convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _sum,
    "Sum": _sum,
    "Sub": _difference,
    "Mul": _product,
    "Div": _quotient,
    "Neg": _negative,
    "BatchNormalization": _batch_norm,
    "Relu": _relu,
    "Clip": _clip,
    "Max": _maximum,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalMaxPool": _global_max,
    "GlobalAveragePool": _global_average,
    "ReduceMean": _mean,
    "Pad": _pad,
    "Identity": _same,
    "Dropout": _dropout,
    "Cast": _cast,
    "CastLike": _same,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
}
