"""torch.nn's layers, read by their attributes, as in evaluation mode."""

from collections.abc import Callable
from typing import Any

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
from snn_deploy.frontends.tensors import array_of, expect, padding_of, real_of, sides, whole


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
        UnknownNodeError: its padding is not of zeros, or an option is no whole number.
        ShapeError: its weights have not one axis for each of the kernel's.
    """
    kind = short_name(layer)
    expect(name, layer, kind, padding_mode="zeros", transposed=False)
    weight = weight_of(name, layer)
    axes = _axes(name, kind, weight)
    return Convolution(
        weight=weight,
        bias=None if layer.bias is None else array_of(layer.bias),
        stride=sides(layer.stride, axes, f"{name}.stride"),
        padding=padding_of(layer.padding, axes, f"{name}.padding"),
        dilation=sides(layer.dilation, axes, f"{name}.dilation"),
        groups=whole(layer.groups, f"{name}.groups"),
    )


def transposed(name: str, layer: Any) -> TransposedConvolution:
    """Read a ConvTranspose1d or ConvTranspose2d.

    Raises:
        UnknownNodeError: its padding is not of zeros, or an option is no whole number.
        ShapeError: its weights have not one axis for each of the kernel's.
    """
    kind = short_name(layer)
    expect(name, layer, kind, padding_mode="zeros")
    weight = weight_of(name, layer)
    axes = _axes(name, kind, weight)
    return TransposedConvolution(
        weight=weight,
        bias=None if layer.bias is None else array_of(layer.bias),
        stride=sides(layer.stride, axes, f"{name}.stride"),
        padding=sides(layer.padding, axes, f"{name}.padding"),
        output_padding=sides(layer.output_padding, axes, f"{name}.output_padding"),
        dilation=sides(layer.dilation, axes, f"{name}.dilation"),
        groups=whole(layer.groups, f"{name}.groups"),
    )


def _axes(name: str, kind: str, weight: np.ndarray) -> int:
    """Return how many axes the kernel of a class such as Conv2d has.

    Raises:
        ShapeError: its weights have another number.
    """
    axes = 1 if kind.endswith("1d") else 2
    if weight.ndim != axes + 2:
        raise ShapeError(
            f"a weight of shape {weight.shape}, but that of a {kind} has {axes + 2} axes",
            where=name,
        )
    return axes


def batch_norm(name: str, layer: Any) -> ChannelAffine:
    """Read a BatchNorm1d or BatchNorm2d: what it does once trained, (x - mean) / deviation.

    Raises:
        UnknownNodeError: it keeps no running statistics.
        ShapeError: its statistics and factors are not one number each for every channel.
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
    shapes = {values.shape for values in (mean, variance, weight, bias)}
    if len(shapes) != 1 or mean.ndim != 1:
        raise ShapeError(
            f"{short_name(layer)} with numbers of shapes {', '.join(map(str, sorted(shapes)))}, "
            "not one for each channel",
            where=name,
        )
    scale = weight / np.sqrt(variance + float(layer.eps))
    return ChannelAffine(scale=scale, shift=bias - mean * scale)


def pooling(how: Pooling, axes: int) -> Read:
    """Return a reader of pooling layers of `axes` spatial axes."""

    def make(name: str, layer: Any) -> Pool:
        kind = short_name(layer)
        expect(name, layer, kind, ceil_mode=False, divisor_override=None, return_indices=False)
        padding = sides(layer.padding, axes, f"{name}.padding")
        if any(padding):
            expect(name, layer, kind, count_include_pad=True)
        dilation = getattr(layer, "dilation", 1)
        if any(side != 1 for side in sides(dilation, axes, f"{name}.dilation")):
            expect(name, layer, kind, dilation=1)
        return windows(name, layer, how, axes, padding)

    return reader(make)


def summing(axes: int) -> Read:
    """Return a reader of LPPool1d or LPPool2d of norm 1: the sum of each window."""

    def make(name: str, layer: Any) -> Pool:
        expect(name, layer, short_name(layer), norm_type=1, ceil_mode=False)
        return windows(name, layer, Pooling.SUM, axes, (0,) * axes)

    return reader(make)


def windows(name: str, layer: Any, how: Pooling, axes: int, padding: tuple[int, ...]) -> Pool:
    """Return a pooling of `kernel_size` and `stride`, which is as large where it is None."""
    stride = layer.kernel_size if layer.stride is None else layer.stride
    return Pool(
        pooling=how,
        kernel=sides(layer.kernel_size, axes, f"{name}.kernel_size"),
        stride=sides(stride, axes, f"{name}.stride"),
        padding=padding,
    )


def adaptive(axes: int) -> Read:
    """Return a reader of adaptive average poolings of `axes` spatial axes."""

    def make(name: str, layer: Any) -> AdaptiveAverage:
        size, where = layer.output_size, f"{name}.output_size"
        if not isinstance(size, tuple | list):
            size = (size,) * axes
        if len(size) != axes:
            sides(size, axes, where)
        return AdaptiveAverage(size=tuple(None if s is None else whole(s, where) for s in size))

    return reader(make)


def flatten(name: str, layer: Any) -> Flatten:
    """Read a Flatten.

    Raises:
        ShapeError: it flattens the batch too.
    """
    start, end = (
        whole(getattr(layer, axis), f"{name}.{axis}") for axis in ("start_dim", "end_dim")
    )
    return flattening(name, start, end)


def flattening(name: str, start: int, end: int) -> Flatten:
    """Return a Flatten of axes that torch counts with the batch.

    Raises:
        ShapeError: it flattens the batch too.
    """
    if start == 0 or end == 0:
        option, other = ("start_dim", 1) if start == 0 else ("end_dim", -1)
        raise ShapeError(
            f"Flatten with {option}=0 flattens the batch as well",
            where=name,
            fix=f"use {option}={other}",
        )
    return Flatten(start=start - 1 if start > 0 else start, end=end - 1 if end > 0 else end)


def unflatten(name: str, layer: Any) -> Unflatten:
    """Read an Unflatten of the only axis.

    Raises:
        UnknownNodeError: it unfolds another axis than the first behind the batch.
        ShapeError: its sides are none.
    """
    expect(name, layer, short_name(layer), dim=1)
    shape = sides(layer.unflattened_size, None, f"{name}.unflattened_size")
    if shape.count(-1) > 1 or any(side < 1 and side != -1 for side in shape):
        raise ShapeError(f"an Unflatten to {shape}, which is no shape", where=name)
    return Unflatten(shape=shape)


def upsample(name: str, layer: Any) -> Upsample:
    """Read an Upsample.

    Raises:
        UnknownNodeError: it interpolates, its factors are not whole, or it has not exactly one of
            size and factors.
    """
    expect(name, layer, short_name(layer), mode="nearest")
    factors = layer.scale_factor
    if (layer.size is None) == (factors is None):
        raise UnknownNodeError(
            "Upsample with neither size nor scale_factor, or with both",
            where=name,
            fix="give one of them",
        )
    if layer.size is not None:
        return Upsample(size=sides(layer.size, None, f"{name}.size"))
    values = factors if isinstance(factors, tuple | list) else (factors,)
    if not all(isinstance(factor, int | float) and float(factor).is_integer() for factor in values):
        raise UnknownNodeError(
            f"Upsample by {factors} repeats values unevenly",
            where=name,
            fix="use whole factors, or size=",
        )
    given = tuple(int(factor) for factor in values)
    return Upsample(factors=sides(given, None, f"{name}.scale_factor"))


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
    packages=("torch.nn.modules",),
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
