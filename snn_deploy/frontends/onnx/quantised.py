"""Quantised ONNX models: whole weights become real ones, quantisers of activations rectifiers.

Read are QuantizeLinear and DequantizeLinear around every operation (QDQ), the same with a Clip
between them (Brevitas), operations on whole numbers (QOperator, and onnxruntime's own), and QONNX.
A spiking network has other levels than a quantiser: of that only the limits stay.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snn_deploy.errors import FileDamagedError, UnknownNodeError
from snn_deploy.frontends.ann import Tensor
from snn_deploy.frontends.convert import nonnegative
from snn_deploy.frontends.layers import Pooling, Rectifier
from snn_deploy.frontends.onnx.call import Call, Quantised, Value
from snn_deploy.frontends.onnx.file import Op
from snn_deploy.frontends.onnx.fold import clip_limits, dequantised
from snn_deploy.frontends.onnx.ops import convolution, gemm, global_average, pool
from snn_deploy.ir.findings import Kind

MICROSOFT = "com.microsoft"
QONNX_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


def quantised_weights(op: Op, inputs: Sequence[np.ndarray | None], where: str) -> np.ndarray | None:
    """Return what a quantiser of QONNX makes of constants; None: it is another operation.

    Raises:
        FileDamagedError: its inputs do not fit.
        UnknownNodeError: a way of rounding that is not read.
    """
    if op.domain not in QONNX_DOMAINS or op.kind not in ("Quant", "IntQuant", "BipolarQuant"):
        return None
    try:
        data, scale = (np.asarray(value, np.float64) for value in inputs[:2])
        if op.kind == "BipolarQuant":
            return np.where(data >= 0, scale, -scale).astype(np.float32)
        zero, bits = (np.asarray(value, np.float64) for value in inputs[2:4])
        low, high = _limits(op, float(bits.reshape(())))
        rounded = _rounding(op, where)(data / scale + zero)
        whole = np.clip(rounded, low, high)
        made = (whole - zero) * scale
        if made.shape != data.shape:
            raise ValueError("other shape")
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise FileDamagedError(
            f"{op.kind} cannot be computed from its constants", where=where
        ) from error
    return made.astype(np.float32)


def _limits(op: Op, bits: float) -> tuple[int, int]:
    width = int(bits)
    if width != bits or not 1 <= width <= 32:
        raise ValueError("no such width")
    narrow = int(op.attributes.get("narrow", 0))
    if op.attributes.get("signed", 1):
        return -(2 ** (width - 1)) + narrow, 2 ** (width - 1) - 1
    return 0, 2**width - 1 - narrow


def _rounding(op: Op, where: str) -> Callable[[Any], Any]:
    mode = str(op.attributes.get("rounding_mode", "ROUND")).upper()
    known: Mapping[str, Callable[[Any], Any]] = {
        "ROUND": np.rint,
        "FLOOR": np.floor,
        "CEIL": np.ceil,
        "DOWN": np.trunc,
        "ROUND_TO_ZERO": np.trunc,
    }
    if mode not in known:
        raise UnknownNodeError(f"{op.kind} with rounding_mode={mode[:40]} is not read", where=where)
    return known[mode]


def _quant(call: Call) -> Tensor:
    x = call.tensor()
    bits = float(call.constant(3).reshape(()))
    made = Quantised(
        tensor=x,
        step=_one_scale(call, call.constant(1)),
        zero=int(call.constant(2).reshape(())),
        limits=_limits(call.op, bits),
        settled=False,
    )
    return _settled(call, made).tensor


def _quantise(call: Call) -> Quantised:
    zero = call.given(2)
    zero = np.zeros((), np.uint8) if zero is None else zero
    return quantised(call, call.tensor(), call.constant(1), zero)


def quantised(call: Call, x: Tensor, scale: np.ndarray, zero: np.ndarray) -> Quantised:
    """Return whole numbers of the type of `zero` that stand for the values of `x`."""
    kinds = np.iinfo(zero.dtype)
    (output,) = call.op.outputs[:1]
    made = Quantised(
        tensor=x,
        step=_one_scale(call, scale),
        zero=int(zero.ravel()[0]),
        limits=(int(kinds.min), int(kinds.max)),
        settled=False,
    )
    clipped = call.reading.readers.get(output) == ["Clip"] and call.reading.uses[output] == 1
    return made if clipped else _settled(call, made)


def _one_scale(call: Call, scale: np.ndarray) -> float:
    """Return the scale of activations.

    Raises:
        UnknownNodeError: there are several.
        FileDamagedError: it is not positive.
    """
    values = np.unique(scale)
    if values.size != 1:
        raise UnknownNodeError(
            "activations quantised with several scales are not read",
            where=call.where,
            fix="quantise activations with one scale per layer",
        )
    if not (np.isfinite(values[0]) and values[0] > 0):
        raise FileDamagedError(f"a scale of {values[0]:g}", where=call.where)
    return float(values[0])


def _settled(call: Call, value: Quantised) -> Quantised:
    """Return values with the quantiser's limits in the layers, where they are an activation's."""
    build, x = call.build, value.tensor
    low, high = ((limit - value.zero) * value.step for limit in value.limits)
    node = build.graph.nodes.get(x.node)
    levels = value.limits[1] - value.limits[0] + 1
    if low == 0 and node is not None and not _bounded(call, x):
        alone = call.alone() and isinstance(node.layer, Rectifier)
        x = build.rectifier(call.name, x, high, alone=alone)
        build.note(
            Kind.CHANGED,
            x.node,
            f"a quantiser of {levels} levels up to {high:.4g}",
            "it is read as a rectifier with that ceiling; spike counts make levels of their own",
        )
    else:
        build.note(
            Kind.CHANGED,
            x.node,
            f"a quantiser of {levels} levels between {low:.4g} and {high:.4g} is left out",
            "values are not rounded here; the integer program has its own resolution",
        )
    return replace(value, tensor=x, settled=True)


def _bounded(call: Call, x: Tensor) -> bool:
    """Return whether values are rectified already, so that the lower limit changes nothing."""
    node = call.build.graph.nodes[x.node]
    rectified = nonnegative(call.build.graph, x.node)
    return rectified and not (isinstance(node.layer, Rectifier) and call.alone())


def _clip_or_layer(layer: Callable[[Call], Value]) -> Callable[[Call], Value]:
    """Return a reader of Clip, which between whole numbers narrows a quantiser."""

    def read(call: Call) -> Value:
        value = call.inputs[0]
        if not isinstance(value, Quantised):
            return layer(call)
        constants = (None, *(call.given(index) for index in range(1, len(call.inputs))))
        low, high = clip_limits(constants, call.op.attributes)
        limits = (int(max(low, value.limits[0])), int(min(high, value.limits[1])))
        if value.settled or limits[0] >= limits[1]:
            raise UnknownNodeError("Clip of quantised numbers is not read", where=call.where)
        return _settled(call, replace(value, limits=limits))

    return read


def _dequantise(call: Call) -> Tensor:
    return whole(call, 0, call.constant(1), call.given(2))


def whole(call: Call, index: int, scale: np.ndarray, zero: np.ndarray | None) -> Tensor:
    """Return the real values of quantised activations, which must be read as they were written.

    Raises:
        UnknownNodeError: with another scale or zero, or they are no activations.
    """
    value = call.inputs[index]
    offset = 0 if zero is None else int(zero.ravel()[0])
    if not isinstance(value, Quantised) or not value.settled:
        raise UnknownNodeError(
            f"{call.op.kind} of values that no quantiser made is not read", where=call.where
        )
    if offset != value.zero or not np.isclose(_one_scale(call, scale), value.step, rtol=1e-6):
        raise UnknownNodeError(
            f"{call.op.kind} with another scale than the quantiser's is not read", where=call.where
        )
    return value.tensor


def _operand(call: Call, index: int) -> Tensor:
    """Return quantised activations that come with their scale and zero."""
    return whole(call, index, call.constant(index + 1), call.given(index + 2))


def _weights(call: Call, index: int, axis: int) -> np.ndarray:
    """Return weights that come with their scales and zeros."""
    try:
        return dequantised(
            call.constant(index), call.constant(index + 1), call.given(index + 2), axis
        )
    except ValueError as error:
        raise FileDamagedError("scales that do not fit the weights", where=call.where) from error


def _bias(call: Call, index: int, weight_scale: int) -> np.ndarray | None:
    """Return a bias, whose step is that of the products."""
    bias = call.given(index)
    if bias is None:
        return None
    step = call.constant(1).astype(np.float64).reshape(()) * call.constant(weight_scale).ravel()
    return (bias * step).astype(np.float32)


def _made(call: Call, x: Tensor, scale: int) -> Value:
    """Return a result, quantised where the operation does that."""
    if call.given(scale) is None:
        return x
    zero = call.given(scale + 1)
    return quantised(
        call, x, call.constant(scale), np.zeros((), np.uint8) if zero is None else zero
    )


def _qlinear_conv(call: Call) -> Value:
    layer = convolution(call, _operand(call, 0), _weights(call, 3, 0), _bias(call, 8, 4))
    return _made(call, layer, 6)


def _qlinear_matmul(call: Call) -> Value:
    weight = _weights(call, 3, 1)
    if weight.ndim != 2:
        raise UnknownNodeError(
            f"a product with weights of shape {weight.shape} is not read", where=call.where
        )
    return _made(call, call.build.linear(call.name, _operand(call, 0), weight.T), 6)


def _qgemm(call: Call) -> Value:
    call.expect(transA=0)
    transposed = bool(call.option("transB", 0))
    weight = _weights(call, 3, 0 if transposed else 1)
    layer = gemm(call, _operand(call, 0), weight if transposed else weight.T, _bias(call, 6, 4))
    return _made(call, layer, 7)


def _qlinear_average(call: Call) -> Value:
    call.expect(channels_last=0)
    return _made(call, pool(call, _operand(call, 0), Pooling.AVERAGE), 3)


def _qlinear_global_average(call: Call) -> Value:
    call.expect(channels_last=0)
    return _made(call, global_average(call, _operand(call, 0)), 3)


def _qlinear_add(call: Call) -> Value:
    terms = [_operand(call, 0), _operand(call, 3)]
    return _made(call, call.build.total(call.name, terms), 6)


def _qlinear_concat(call: Call) -> Value:
    parts = [_operand(call, index) for index in range(2, len(call.inputs), 3)]
    axis = int(call.op.attributes["axis"]) % (len(parts[0].shape) + 1)
    if axis == 0:
        raise UnknownNodeError("QLinearConcat of samples is not read", where=call.where)
    return _made(call, call.build.concatenation(call.name, parts, axis - 1), 0)


def quantised_operations(
    layers: Mapping[str, Callable[[Call], Value]],
) -> Mapping[tuple[str, str], Callable[[Call], Value]]:
    """Return the readers of quantised models by domain and kind, given those of the others."""
    return {
        ("", "Clip"): _clip_or_layer(layers["Clip"]),
        ("", "QuantizeLinear"): _quantise,
        ("", "DequantizeLinear"): _dequantise,
        ("", "QLinearConv"): _qlinear_conv,
        ("", "QLinearMatMul"): _qlinear_matmul,
        (MICROSOFT, "QuantizeLinear"): _quantise,
        (MICROSOFT, "DequantizeLinear"): _dequantise,
        (MICROSOFT, "QGemm"): _qgemm,
        (MICROSOFT, "QLinearAveragePool"): _qlinear_average,
        (MICROSOFT, "QLinearGlobalAveragePool"): _qlinear_global_average,
        (MICROSOFT, "QLinearAdd"): _qlinear_add,
        (MICROSOFT, "QLinearConcat"): _qlinear_concat,
        **{(domain, kind): _quant for domain in QONNX_DOMAINS for kind in ("Quant", "IntQuant")},
    }
