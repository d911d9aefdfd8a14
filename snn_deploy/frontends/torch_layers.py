"""torch.nn's layers, read by their attributes, as in evaluation mode."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from snn_deploy.errors import ShapeError, UnknownNodeError
from snn_deploy.frontends.layers import (
    AdaptiveAverage,
    ChannelAffine,
    Convolution,
    Flatten,
    Layer,
    LayerGraph,
    Linear,
    Pool,
    Pooling,
    Rectifier,
    TransposedConvolution,
    Unflatten,
    Upsample,
)
from snn_deploy.frontends.registry import Frontend, Read, short_name
from snn_deploy.frontends.reparametrised import weight_of
from snn_deploy.frontends.tensors import array_of, expect, real_of, sides


def unchanged(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read a layer that passes its input unchanged once a network is trained."""
    return source


def reader(make: Callable[[str, Any], Layer]) -> Read:
    """Return a reader of layers that become one node, made by `make(name, layer)`."""

    def read(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
        return graph.add(name, make(name, layer), source)

    return read


def linear(name: str, layer: Any) -> Linear:
    """Read a Linear."""
    bias = layer.bias
    return Linear(weight=weight_of(name, layer), bias=None if bias is None else array_of(bias))


def convolution(name: str, layer: Any) -> Convolution:
    """Read a Conv1d or Conv2d.

    Raises:
        UnknownNodeError: its padding is not of zeros.
    """
    kind = short_name(layer)
    expect(name, layer, kind, padding_mode="zeros", transposed=False)
    weight = weight_of(name, layer)
    axes = weight.ndim - 2
    padding: tuple[int, ...] | Literal["same", "valid"]
    if isinstance(layer.padding, str):
        padding = "same" if layer.padding == "same" else "valid"
    else:
        padding = sides(layer.padding, axes)
    return Convolution(
        weight=weight,
        bias=None if layer.bias is None else array_of(layer.bias),
        stride=sides(layer.stride, axes),
        padding=padding,
        dilation=sides(layer.dilation, axes),
        groups=int(layer.groups),
    )


def transposed(name: str, layer: Any) -> TransposedConvolution:
    """Read a ConvTranspose1d or ConvTranspose2d.

    Raises:
        UnknownNodeError: its padding is not of zeros.
    """
    expect(name, layer, short_name(layer), padding_mode="zeros")
    weight = weight_of(name, layer)
    axes = weight.ndim - 2
    return TransposedConvolution(
        weight=weight,
        bias=None if layer.bias is None else array_of(layer.bias),
        stride=sides(layer.stride, axes),
        padding=sides(layer.padding, axes),
        output_padding=sides(layer.output_padding, axes),
        dilation=sides(layer.dilation, axes),
        groups=int(layer.groups),
    )


def batch_norm(name: str, layer: Any) -> ChannelAffine:
    """Read a BatchNorm1d or BatchNorm2d: what it does once trained, (x - mean) / deviation.

    Raises:
        UnknownNodeError: it keeps no running statistics.
    """
    if layer.running_mean is None:
        raise UnknownNodeError(
            f"{short_name(layer)} with track_running_stats=False normalises by each batch",
            where=name,
            fix="train it with running statistics",
        )
    mean, variance = real_of(layer.running_mean), real_of(layer.running_var)
    weight = np.ones_like(mean) if layer.weight is None else real_of(layer.weight)
    bias = np.zeros_like(mean) if layer.bias is None else real_of(layer.bias)
    scale = weight / np.sqrt(variance + float(layer.eps))
    return ChannelAffine(scale=scale, shift=bias - mean * scale)


def pooling(how: Pooling, axes: int) -> Read:
    """Return a reader of pooling layers of `axes` spatial axes."""

    def make(name: str, layer: Any) -> Pool:
        kind = short_name(layer)
        expect(name, layer, kind, ceil_mode=False, divisor_override=None, return_indices=False)
        padding = sides(layer.padding, axes)
        if any(padding):
            expect(name, layer, kind, count_include_pad=True)
        dilation = getattr(layer, "dilation", 1)
        if any(side != 1 for side in sides(dilation, axes)):
            expect(name, layer, kind, dilation=1)
        stride = layer.kernel_size if layer.stride is None else layer.stride
        return Pool(
            pooling=how,
            kernel=sides(layer.kernel_size, axes),
            stride=sides(stride, axes),
            padding=padding,
        )

    return reader(make)


def summing(axes: int) -> Read:
    """Return a reader of LPPool1d or LPPool2d of norm 1: the sum of each window."""

    def make(name: str, layer: Any) -> Pool:
        expect(name, layer, short_name(layer), norm_type=1, ceil_mode=False)
        stride = layer.kernel_size if layer.stride is None else layer.stride
        return Pool(
            pooling=Pooling.SUM,
            kernel=sides(layer.kernel_size, axes),
            stride=sides(stride, axes),
            padding=(0,) * axes,
        )

    return reader(make)


def adaptive(axes: int) -> Read:
    """Return a reader of adaptive average poolings of `axes` spatial axes."""

    def make(name: str, layer: Any) -> AdaptiveAverage:
        size = layer.output_size
        if isinstance(size, int | np.integer) or size is None:
            size = (size,) * axes
        return AdaptiveAverage(size=tuple(None if s is None else int(s) for s in size))

    return reader(make)


def flatten(name: str, layer: Any) -> Flatten:
    """Read a Flatten.

    Raises:
        ShapeError: it flattens the batch too.
    """
    return flattening(name, int(layer.start_dim), int(layer.end_dim))


def flattening(name: str, start: int, end: int) -> Flatten:
    """Return a Flatten of axes that torch counts with the batch.

    Raises:
        ShapeError: it flattens the batch too.
    """
    if start == 0:
        raise ShapeError(
            "Flatten with start_dim=0 flattens the batch as well",
            where=name,
            fix="use start_dim=1",
        )
    return Flatten(start=start - 1 if start > 0 else start, end=end - 1 if end > 0 else end)


def unflatten(name: str, layer: Any) -> Unflatten:
    """Read an Unflatten of the only axis.

    Raises:
        UnknownNodeError: it unfolds another axis than the first behind the batch.
    """
    expect(name, layer, short_name(layer), dim=1)
    return Unflatten(shape=tuple(int(side) for side in layer.unflattened_size))


def upsample(name: str, layer: Any) -> Upsample:
    """Read an Upsample.

    Raises:
        UnknownNodeError: it interpolates, or its factors are not whole.
    """
    expect(name, layer, short_name(layer), mode="nearest")
    if layer.size is not None:
        return Upsample(size=_any_sides(layer.size))
    factors = layer.scale_factor
    values = factors if isinstance(factors, tuple | list) else (factors,)
    if any(float(factor) != int(factor) for factor in values):
        raise UnknownNodeError(
            f"Upsample by {factors} repeats values unevenly",
            where=name,
            fix="use whole factors, or size=",
        )
    return Upsample(factors=_any_sides(tuple(int(factor) for factor in values)))


def _any_sides(value: Any) -> tuple[int, ...]:
    """Return the sides of an option whose axes are not known: one number stands for all."""
    return (int(value),) if isinstance(value, int | np.integer) else tuple(int(v) for v in value)


def _rectifier(name: str, layer: Any) -> Rectifier:
    return Rectifier()


def _rectifier_to_six(name: str, layer: Any) -> Rectifier:
    return Rectifier(ceiling=6.0)


def _hard_tanh(name: str, layer: Any) -> Rectifier:
    expect(name, layer, short_name(layer), min_val=0.0)
    return Rectifier(ceiling=float(layer.max_val))


def _softmax(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    raise UnknownNodeError(
        f"{short_name(layer)} is not read: the largest output stays the largest without it",
        where=name,
        fix="leave it out of the network that is exported",
    )


_RUNNING = "its state belongs to a layer without spikes"

FRONTEND = Frontend(
    name="torch",
    packages=("torch",),
    containers=frozenset({"Sequential"}),
    layers={
        "Linear": reader(linear),
        "NonDynamicallyQuantizableLinear": reader(linear),
        "Conv1d": reader(convolution),
        "Conv2d": reader(convolution),
        "ConvTranspose1d": reader(transposed),
        "ConvTranspose2d": reader(transposed),
        "BatchNorm1d": reader(batch_norm),
        "BatchNorm2d": reader(batch_norm),
        "AvgPool1d": pooling(Pooling.AVERAGE, 1),
        "AvgPool2d": pooling(Pooling.AVERAGE, 2),
        "LPPool1d": summing(1),
        "LPPool2d": summing(2),
        "MaxPool1d": pooling(Pooling.MAX, 1),
        "MaxPool2d": pooling(Pooling.MAX, 2),
        "AdaptiveAvgPool1d": adaptive(1),
        "AdaptiveAvgPool2d": adaptive(2),
        "Upsample": reader(upsample),
        "UpsamplingNearest2d": reader(upsample),
        "Flatten": reader(flatten),
        "Unflatten": reader(unflatten),
        "Dropout": unchanged,
        "Dropout1d": unchanged,
        "Dropout2d": unchanged,
        "AlphaDropout": unchanged,
        "Identity": unchanged,
        "ReLU": reader(_rectifier),
        "ReLU6": reader(_rectifier_to_six),
        "Hardtanh": reader(_hard_tanh),
        "Softmax": _softmax,
        "LogSoftmax": _softmax,
    },
    wrong={
        "LSTM": _RUNNING,
        "GRU": _RUNNING,
        "RNN": _RUNNING,
        "LayerNorm": "it divides by what the values of this very step are",
        "GroupNorm": "it divides by what the values of this very step are",
        "InstanceNorm2d": "it divides by what the values of this very step are",
    },
)
