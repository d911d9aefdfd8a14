"""What a network of layers without neurons computes: the ANN, as its framework evaluates it."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from snn_deploy.errors import DataError, ShapeError, UnknownNodeError
from snn_deploy.frontends.layers import (
    AdaptiveAverage,
    Cell,
    ChannelAffine,
    Concatenation,
    Convolution,
    Flatten,
    Layer,
    LayerGraph,
    Linear,
    Pool,
    Pooling,
    Rectifier,
    Scale,
    Sum,
    TransposedConvolution,
    Unflatten,
    Upsample,
    fitted,
)
from snn_deploy.frontends.resizing import adaptive_map, transposed_map, upsampled_map
from snn_deploy.ir import maps
from snn_deploy.ir.maps import Shape

Values = Float[np.ndarray, "sample ..."]

BLOCK = 2**24
"""Numbers of the largest layer that are computed at once."""


def evaluate(
    graph: LayerGraph,
    inputs: Mapping[str, np.ndarray],
    *,
    dtype: type[np.floating[Any]] = np.float32,
    keep: Iterable[str] | None = None,
) -> dict[str, Values]:
    """Return what nodes of an ANN give for each sample.

    Args:
        graph: Layers without neurons and without feedback.
        inputs: [sample, *shape] by the input's name.
        dtype: In which everything is computed: float32 as frameworks do, or float64.
        keep: Nodes or inputs to return; by default those that the outputs read.

    Raises:
        UnknownNodeError: neurons, a delay or feedback: it is no ANN.
        ShapeError: layers do not fit together.
        DataError: an input is missing or has another shape.
    """
    check_is_ann(graph)
    wanted = set(graph.outputs.values() if keep is None else keep)
    values = {name: entering(graph, inputs, name).astype(dtype) for name in graph.inputs}
    last = _last_readers(graph, wanted)
    for name, node in graph.nodes.items():
        values[name] = layer_output(name, node.layer, [values[s] for s in node.inputs])
        for source in {s for s in node.inputs if last[s] == name}:
            del values[source]
        if last[name] == name:
            del values[name]
    return {name: values[name] for name in values if name in wanted}


def is_ann(graph: LayerGraph) -> bool:
    """Return whether a network has activations in place of neurons."""
    kinds = {type(node.layer) for node in graph.nodes.values()}
    return Rectifier in kinds and Cell not in kinds


def check_is_ann(graph: LayerGraph) -> None:
    """Refuse a network that has time in it.

    Raises:
        UnknownNodeError: neurons, a delay, feedback, or a layer without input.
    """
    known = (*_LINEAR, Pool, Rectifier, Sum, Concatenation)
    for name, node in graph.nodes.items():
        if node.fed_back or not node.inputs or not isinstance(node.layer, known):
            raise UnknownNodeError(
                f"a {type(node.layer).__name__} is no layer of an ANN",
                where=name,
                fix="only networks without neurons, delays and feedback are converted",
            )


def entering(graph: LayerGraph, inputs: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return the values of one input.

    Raises:
        DataError: they are missing or have another shape.
    """
    shape = graph.inputs[name]
    if name not in inputs:
        raise DataError("no values for this input", where=name)
    if inputs[name].shape[1:] != shape or not len(inputs[name]):
        raise DataError(
            f"values of shape {inputs[name].shape[1:]} for {len(inputs[name])} samples; "
            f"the network reads {shape}",
            where=name,
        )
    return inputs[name]


def _last_readers(graph: LayerGraph, wanted: set[str]) -> dict[str, str]:
    """Return the node behind which a value is not needed any more; "" for those kept."""
    last = {name: name for name in (*graph.inputs, *graph.nodes)}
    for name, node in graph.nodes.items():
        last |= dict.fromkeys(node.inputs, name)
    return last | dict.fromkeys(wanted, "")


def shapes_of(graph: LayerGraph) -> dict[str, Shape]:
    """Return the shape of what every node and input gives.

    Raises:
        UnknownNodeError: it is no ANN.
        ShapeError: layers do not fit together.
    """
    zeros = {name: np.zeros((1, *shape)) for name, shape in graph.inputs.items()}
    every = (*graph.inputs, *graph.nodes)
    return {name: v.shape[1:] for name, v in evaluate(graph, zeros, keep=every).items()}


def layer_output(name: str, layer: Layer, entering: list[Values]) -> Values:
    """Return what one layer gives for what enters it.

    Raises:
        ShapeError: the layer does not fit its input.
    """
    if isinstance(layer, Concatenation):
        axis = layer.axis + 1 if layer.axis >= 0 else layer.axis
        try:
            return np.concatenate(entering, axis=axis)
        except ValueError as error:
            shapes = ", ".join(str(e.shape[1:]) for e in entering)
            raise ShapeError(
                f"values of shapes {shapes} do not fit side by side", where=name
            ) from error
    total = entering[0]
    for more in entering[1:]:
        if more.shape != total.shape:
            raise ShapeError(
                f"values of shapes {total.shape[1:]} and {more.shape[1:]} are added", where=name
            )
        total = total + more
    if isinstance(layer, Rectifier):
        ceiling = None if layer.ceiling is None else total.dtype.type(layer.ceiling)
        return np.clip(total, total.dtype.type(0), ceiling)
    if isinstance(layer, Pool) and layer.pooling is Pooling.MAX:
        return _largest(name, layer, total)
    return total if isinstance(layer, Sum) else linear_output(name, layer, total)


def _largest(name: str, layer: Pool, values: Values) -> Values:
    axes = len(layer.kernel)
    check_axes(name, values.shape[1:], axes)
    margins = ((0, 0), (0, 0), *((side, side) for side in layer.padding))
    padded = np.pad(values, margins, constant_values=-np.inf)
    if any(k > side for k, side in zip(layer.kernel, padded.shape[2:], strict=True)):
        raise ShapeError(
            f"a window of {layer.kernel} is larger than its input {values.shape[1:]}", where=name
        )
    spatial = tuple(range(2, 2 + axes))
    windows = np.lib.stride_tricks.sliding_window_view(padded, layer.kernel, axis=spatial)
    places = (slice(None), slice(None), *(slice(None, None, step) for step in layer.stride))
    return windows[places].max(axis=tuple(range(-axes, 0)))


def linear_output(name: str, layer: Layer, values: Values) -> Values:
    """Return what an affine layer of one input gives, in the dtype of `values`.

    Raises:
        ShapeError: the layer does not fit its input.
    """
    shape = values.shape[1:]
    linear, bias, gives = affine(name, layer, shape)
    if linear is None:
        out = values
    elif linear.in_shape == shape[-1:] and isinstance(linear, maps.Dense):
        out = linear.apply(values)
    else:
        block = max(1, BLOCK // max(linear.in_size, linear.out_size))
        parts = [
            linear.apply(values[start : start + block].reshape(-1, *linear.in_shape))
            for start in range(0, len(values), block)
        ]
        out = np.concatenate(parts) if len(parts) > 1 else parts[0]
    out = out.reshape(len(values), *gives)
    return out if bias is None else out + bias.astype(values.dtype)


def affine(
    name: str, layer: Layer, shape: Shape
) -> tuple[maps.LinearMap | None, np.ndarray | None, Shape]:
    """Return the map of an affine layer, its bias, and the shape of what it gives.

    None as map: values pass in C order.

    Raises:
        ShapeError: the layer does not fit an input of `shape`.
    """
    return _LINEAR[type(layer)](name, layer, shape)


Affine = tuple[maps.LinearMap | None, np.ndarray | None, Shape]


def check_axes(name: str, shape: Shape, axes: int) -> None:
    """Refuse values that are not channels of `axes` spatial axes.

    Raises:
        ShapeError: they are not.
    """
    if len(shape) != axes + 1:
        raise ShapeError(f"it reads channels of {axes} axes, but is given {shape}", where=name)


def _linear(name: str, layer: Linear, shape: Shape) -> Affine:
    if not shape or shape[-1] != layer.weight.shape[1]:
        raise ShapeError(
            f"it reads {layer.weight.shape[1]} values, but is given {shape}", where=name
        )
    gives = (*shape[:-1], int(layer.weight.shape[0]))
    return maps.Dense(weight=np.asarray(layer.weight)), layer.bias, gives


def _kernel(
    name: str,
    weight: np.ndarray,
    shape: Shape,
    *,
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    dilation: tuple[int, ...],
    groups: int,
) -> tuple[maps.Convolution, Shape]:
    """Return a convolution over one or two axes, and the shape of what it gives."""
    axes = weight.ndim - 2
    check_axes(name, shape, axes)
    size = weight.shape[2:]
    if padding == "same":
        spare = [d * (k - 1) for d, k in zip(dilation, size, strict=True)]
        margins = [(s // 2, s - s // 2) for s in spare]
    else:
        margins = [(0, 0)] * axes if isinstance(padding, str) else [(p, p) for p in padding]
    if axes == 1:
        weight, margins = weight[:, :, None], [(0, 0), *margins]
        stride, dilation = (1, *stride), (1, *dilation)
        shape = (shape[0], 1, shape[1])
    try:
        linear = maps.Convolution(
            weight=weight,
            source=(shape[0], shape[1], shape[2]),
            stride=(stride[0], stride[1]),
            padding=(*margins[0], *margins[1]),
            dilation=(dilation[0], dilation[1]),
            groups=groups,
        )
    except ShapeError as error:
        raise ShapeError(error.message, where=name) from error
    gives = linear.out_shape
    return linear, gives if axes == 2 else (gives[0], gives[2])


def _convolution(name: str, layer: Convolution, shape: Shape) -> Affine:
    weight = np.asarray(layer.weight)
    linear, gives = _kernel(
        name,
        weight,
        shape,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )
    return linear, _per_channel(layer.bias, len(gives)), gives


def _per_channel(values: np.ndarray | None, axes: int) -> np.ndarray | None:
    return None if values is None else np.asarray(values).reshape(-1, *(1,) * (axes - 1))


def _transposed(name: str, layer: TransposedConvolution, shape: Shape) -> Affine:
    linear = transposed_map(layer, shape, name)
    gives = linear.out_shape
    if len(shape) == 2:
        gives = (gives[0], gives[-1])
    return linear, _per_channel(layer.bias, len(gives)), gives


def _channel_affine(name: str, layer: ChannelAffine, shape: Shape) -> Affine:
    if not shape or layer.scale.size != shape[0]:
        raise ShapeError(
            f"it normalises {layer.scale.size} channels, but is given {shape}", where=name
        )
    factor = _per_channel(layer.scale, len(shape))
    assert factor is not None
    linear = maps.Scale(factor=np.broadcast_to(factor, shape))
    return linear, _per_channel(layer.shift, len(shape)), shape


def _pool(name: str, layer: Pool, shape: Shape) -> Affine:
    each = 1.0 / math.prod(layer.kernel) if layer.pooling is Pooling.AVERAGE else 1.0
    check_axes(name, shape, len(layer.kernel))
    weight = np.full((shape[0], 1, *layer.kernel), each)
    ones = (1,) * len(layer.kernel)
    linear, gives = _kernel(
        name,
        weight,
        shape,
        stride=layer.stride,
        padding=layer.padding,
        dilation=ones,
        groups=shape[0],
    )
    return linear, None, gives


def _adaptive(name: str, layer: AdaptiveAverage, shape: Shape) -> Affine:
    check_axes(name, shape, len(layer.size))
    size = tuple(s if w is None else w for s, w in zip(shape[1:], layer.size, strict=True))
    if all(side % wanted == 0 for side, wanted in zip(shape[1:], size, strict=True)):
        window = tuple(side // wanted for side, wanted in zip(shape[1:], size, strict=True))
        average = Pool(
            pooling=Pooling.AVERAGE, kernel=window, stride=window, padding=(0,) * len(window)
        )
        return _pool(name, average, shape)
    return adaptive_map(shape, size, name), None, (shape[0], *size)


def _upsample(name: str, layer: Upsample, shape: Shape) -> Affine:
    sides = shape[1:]
    if layer.size is not None:
        size = layer.size if len(layer.size) == len(sides) else layer.size * len(sides)
    else:
        factors = layer.factors or (1,)
        factors = factors if len(factors) == len(sides) else factors * len(sides)
        size = tuple(side * factor for side, factor in zip(sides, factors, strict=True))
    return upsampled_map(shape, size, name), None, (shape[0], *size)


def _flatten(name: str, layer: Flatten, shape: Shape) -> Affine:
    start, end = layer.start % len(shape), layer.end % len(shape)
    if start >= end:
        return None, None, shape
    return None, None, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def _unflatten(name: str, layer: Unflatten, shape: Shape) -> Affine:
    known = math.prod(side for side in layer.shape if side != -1)
    rest = math.prod(shape) // max(known, 1)
    gives = tuple(rest if side == -1 else side for side in layer.shape)
    if math.prod(gives) != math.prod(shape):
        raise ShapeError(f"values of shape {shape} cannot take shape {layer.shape}", where=name)
    return None, None, gives


def _scale(name: str, layer: Scale, shape: Shape) -> Affine:
    try:
        factor = np.broadcast_to(fitted(layer.factor, shape), shape)
    except ValueError as error:
        raise ShapeError(
            f"a factor of shape {np.shape(layer.factor)} for values of shape {shape}", where=name
        ) from error
    return maps.Scale(factor=factor), None, shape


_LINEAR: Mapping[type[Layer], Callable[[str, Any, Shape], Affine]] = {
    Linear: _linear,
    Convolution: _convolution,
    TransposedConvolution: _transposed,
    ChannelAffine: _channel_affine,
    Pool: _pool,
    AdaptiveAverage: _adaptive,
    Upsample: _upsample,
    Flatten: _flatten,
    Unflatten: _unflatten,
    Scale: _scale,
}
