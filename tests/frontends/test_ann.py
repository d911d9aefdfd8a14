"""Layers of an ANN give what torch's functions give; those that do not fit are named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import DeployError
from snn_deploy.frontends.ann import evaluate
from snn_deploy.frontends.layers import (
    AdaptiveAverage,
    ChannelAffine,
    Concatenation,
    Convolution,
    Delay,
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
)
from snn_deploy.ir.maps import Shape

Array = np.ndarray


def numbers(*shape: int) -> Array:
    """Return numbers around 0, no two alike."""
    size = int(np.prod(shape))
    return ((np.arange(size) * 7 % size - size / 2) / size).reshape(shape)


PLANE = (2, 6, 4)
LINE = (2, 6)


def chain(shape: Shape, *layers: Layer) -> LayerGraph:
    """Return layers one behind the other; the last is an output."""
    graph, before = LayerGraph(inputs={"x": shape}), "x"
    for place, layer in enumerate(layers):
        graph.add(f"layer{place}", layer, before)
        before = f"layer{place}"
    graph.outputs["y"] = before
    return graph


def transposed(axes: int, **options: Any) -> TransposedConvolution:
    """Return a transposed convolution from 2 channels to 3."""
    ones, zeros = (1,) * axes, (0,) * axes
    sides: dict[str, Any] = {"stride": ones, "padding": zeros, "output_padding": zeros}
    sides |= {"dilation": ones} | options
    return TransposedConvolution(weight=numbers(2, 3, *(3,) * axes), bias=numbers(3), **sides)


def kernel(axes: int, **options: Any) -> Convolution:
    """Return a convolution from 2 channels to 3."""
    ones, zeros = (1,) * axes, (0,) * axes
    sides: dict[str, Any] = {"stride": ones, "padding": zeros, "dilation": ones} | options
    return Convolution(weight=numbers(3, 2, *(3,) * axes), bias=numbers(3), **sides)


def window(pooling: Pooling, *sides: int, padding: int = 0) -> Pool:
    """Return a pooling whose windows do not overlap."""
    return Pool(pooling=pooling, kernel=sides, stride=sides, padding=(padding,) * len(sides))


Function = Callable[[Any, Any, Any], Any]
"""What torch's functional module makes of values, given torch, that module and the values."""

LAYERS: dict[str, tuple[Shape, Layer, Function]] = {
    "a plane of the same sides": (
        PLANE,
        kernel(2, padding="same", dilation=(2, 1)),
        lambda t, f, x: f.conv2d(
            x, t(numbers(3, 2, 3, 3)), t(numbers(3)), padding="same", dilation=(2, 1)
        ),
    ),
    "a line of the same side": (
        LINE,
        kernel(1, padding="same"),
        lambda t, f, x: f.conv1d(x, t(numbers(3, 2, 3)), t(numbers(3)), padding="same"),
    ),
    "a plane without padding": (
        PLANE,
        kernel(2, padding="valid", stride=(2, 1)),
        lambda t, f, x: f.conv2d(x, t(numbers(3, 2, 3, 3)), t(numbers(3)), stride=(2, 1)),
    ),
    "a line drawn out": (
        LINE,
        transposed(1, stride=(2,), padding=(1,), output_padding=(1,)),
        lambda t, f, x: f.conv_transpose1d(
            x, t(numbers(2, 3, 3)), t(numbers(3)), stride=2, padding=1, output_padding=1
        ),
    ),
    "a plane drawn out": (
        PLANE,
        transposed(2, dilation=(2, 1)),
        lambda t, f, x: f.conv_transpose2d(
            x, t(numbers(2, 3, 3, 3)), t(numbers(3)), dilation=(2, 1)
        ),
    ),
    "means of equal parts": (
        PLANE,
        AdaptiveAverage(size=(3, None)),
        lambda t, f, x: f.adaptive_avg_pool2d(x, (3, 4)),
    ),
    "means of parts that overlap": (
        PLANE,
        AdaptiveAverage(size=(4, 3)),
        lambda t, f, x: f.adaptive_avg_pool2d(x, (4, 3)),
    ),
    "one factor for both sides": (
        PLANE,
        Upsample(factors=(3,)),
        lambda t, f, x: f.interpolate(x, scale_factor=3),
    ),
    "a factor for each side": (
        PLANE,
        Upsample(factors=(1, 2)),
        lambda t, f, x: f.interpolate(x, scale_factor=(1, 2)),
    ),
    "one size for both sides": (
        PLANE,
        Upsample(size=(8,)),
        lambda t, f, x: f.interpolate(x, size=8),
    ),
    "a size for each side": (
        PLANE,
        Upsample(size=(9, 2)),
        lambda t, f, x: f.interpolate(x, size=(9, 2)),
    ),
    "the largest of windows over the edge": (
        PLANE,
        window(Pooling.MAX, 3, 2, padding=1),
        lambda t, f, x: f.max_pool2d(x, (3, 2), padding=1),
    ),
    "sums of windows": (
        LINE,
        window(Pooling.SUM, 3),
        lambda t, f, x: 3 * f.avg_pool1d(x, 3),
    ),
    "one axis flat": (PLANE, Flatten(start=1, end=1), lambda t, f, x: x),
    "two axes flat": (PLANE, Flatten(start=1, end=2), lambda t, f, x: x.flatten(2)),
    "an open side": (PLANE, Unflatten(shape=(4, -1)), lambda t, f, x: x.reshape(-1, 4, 12)),
    "channels normalised": (
        LINE,
        ChannelAffine(scale=numbers(2), shift=numbers(2) + 1),
        lambda t, f, x: f.batch_norm(
            x, t([0.0, 0.0]), t([1.0, 1.0]), t(numbers(2)), t(numbers(2) + 1), eps=0
        ),
    ),
}


@pytest.mark.torch
@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_gives_what_torch_gives(case: str) -> None:
    torch = pytest.importorskip("torch")
    shape, layer, function = LAYERS[case]
    x = numbers(3, *shape)

    def tensor(values: Any) -> Any:
        return torch.from_numpy(np.asarray(values, np.float64))

    wanted = function(tensor, torch.nn.functional, tensor(x)).numpy()
    graph = chain(shape, layer)
    (given,) = evaluate(graph, {"x": x}, dtype=np.float64).values()
    np.testing.assert_allclose(given, wanted, rtol=1e-12, atol=1e-12)


def refused(graph: LayerGraph, inputs: dict[str, Array]) -> str:
    """Return the error of an evaluation, as a user sees it."""
    with pytest.raises(DeployError) as caught:
        evaluate(graph, inputs)
    return str(caught.value)


COMPLAINTS: dict[str, tuple[Shape, Layer, str]] = {
    "a matrix of other values": (
        LINE,
        Linear(weight=numbers(3, 5)),
        "error[SNN204]: it reads 5 values, but is given (2, 6)\n  at: layer0",
    ),
    "a plane's kernel on a line": (
        LINE,
        kernel(2),
        "error[SNN204]: it reads channels of 2 axes, but is given (2, 6)\n  at: layer0",
    ),
    "a kernel larger than its input": (
        PLANE,
        kernel(2, dilation=(1, 2)),
        "error[SNN204]: a kernel of 3x3 (dilation (1, 2)) is larger than its padded input "
        "(2, 6, 4)\n"
        "  at: layer0",
    ),
    "channels drawn out that are not there": (
        (3, 6),
        transposed(1),
        "error[SNN204]: it reads 2 channels of 1 axes, but is given (3, 6)\n  at: layer0",
    ),
    "a padding larger than what is drawn out": (
        (2, 1),
        transposed(1, padding=(2,)),
        "error[SNN204]: its output would have shape (3, -1)\n  at: layer0",
    ),
    "other channels normalised": (
        (3, 6),
        ChannelAffine(scale=numbers(2), shift=numbers(2)),
        "error[SNN204]: it normalises 2 channels, but is given (3, 6)\n  at: layer0",
    ),
    "a window larger than its input": (
        LINE,
        window(Pooling.MAX, 7),
        "error[SNN204]: a window of (7,) is larger than its input (2, 6)\n  at: layer0",
    ),
    "a plane's window on a line": (
        LINE,
        window(Pooling.AVERAGE, 2, 2),
        "error[SNN204]: it reads channels of 2 axes, but is given (2, 6)\n  at: layer0",
    ),
    "means of another axis": (
        LINE,
        AdaptiveAverage(size=(2, 2)),
        "error[SNN204]: it reads channels of 2 axes, but is given (2, 6)\n  at: layer0",
    ),
    "a shape of other values": (
        LINE,
        Unflatten(shape=(5, -1)),
        "error[SNN204]: values of shape (2, 6) cannot take shape (5, -1)\n  at: layer0",
    ),
    "a factor of another shape": (
        LINE,
        Scale(factor=numbers(5)),
        "error[SNN204]: a factor of shape (5,) for values of shape (2, 6)\n  at: layer0",
    ),
    "a layer with time in it": (
        LINE,
        Delay(steps=2),
        "error[SNN203]: a Delay is no layer of an ANN\n"
        "  at: layer0\n"
        "  fix: only networks without neurons, delays and feedback are converted",
    ),
}


@pytest.mark.parametrize("case", COMPLAINTS)
def test_a_layer_that_does_not_fit_is_named(case: str) -> None:
    shape, layer, error = COMPLAINTS[case]
    assert refused(chain(shape, layer), {"x": numbers(1, *shape)}) == error


@pytest.mark.parametrize(
    ("layer", "error"),
    [
        (Sum(), ("error[SNN204]: values of shapes (2, 6) and (2, 3) are added\n  at: joined")),
        (
            Concatenation(axis=0),
            "error[SNN204]: values of shapes (2, 6), (2, 3) do not fit side by side\n  at: joined",
        ),
    ],
    ids=["added", "side by side"],
)
def test_values_of_other_shapes_are_not_joined(layer: Layer, error: str) -> None:
    graph = chain(LINE, window(Pooling.MAX, 2))
    graph.add("joined", layer, "x", "layer0")
    assert refused(graph, {"x": numbers(1, *LINE)}) == error


INPUTS: dict[str, tuple[dict[str, Array], str]] = {
    "missing": ({}, ("error[SNN208]: no values for this input\n  at: x")),
    "another shape": (
        {"x": numbers(3, 6, 2)},
        "error[SNN208]: values of shape (6, 2) for 3 samples; the network reads (2, 6)\n  at: x",
    ),
    "no samples": (
        {"x": np.zeros((0, *LINE))},
        "error[SNN208]: values of shape (2, 6) for 0 samples; the network reads (2, 6)\n  at: x",
    ),
}


@pytest.mark.parametrize("case", INPUTS)
def test_values_that_do_not_fit_the_input_are_refused(case: str) -> None:
    inputs, error = INPUTS[case]
    assert refused(chain(LINE, Rectifier()), inputs) == error
