"""Linear nodes against plain loops and against torch."""

from itertools import product

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.frontends import load
from snn_deploy.ir.maps import Composition

PADDED = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}


def looped_convolution(x, weight, bias, *, stride, padding, dilation, groups):
    """Return a convolution, output value by output value; padding: top, bottom, left, right."""
    channels, per_group, kernel_height, kernel_width = weight.shape
    top, bottom, left, right = padding
    padded = np.zeros((x.shape[0], x.shape[1] + top + bottom, x.shape[2] + left + right))
    padded[:, top : top + x.shape[1], left : left + x.shape[2]] = x
    height = (padded.shape[1] - dilation[0] * (kernel_height - 1) - 1) // stride[0] + 1
    width = (padded.shape[2] - dilation[1] * (kernel_width - 1) - 1) // stride[1] + 1
    out = np.zeros((channels, height, width))
    for c, i, j in product(range(channels), range(height), range(width)):
        group = c // (channels // groups)
        for k, y, z in product(range(per_group), range(kernel_height), range(kernel_width)):
            row, column = i * stride[0] + y * dilation[0], j * stride[1] + z * dilation[1]
            out[c, i, j] += weight[c, k, y, z] * padded[group * per_group + k, row, column]
        out[c, i, j] += bias[c]
    return out


def drive(imported, run, x):
    """Return what the only layer gives its output in one step, from the readout's membrane."""
    (population,) = imported.network.populations
    return run(imported, input=x[None])[population.name].membrane[0, 0]


@st.composite
def convolutions(draw):
    groups = draw(st.sampled_from([1, 2, 3]))
    per_group, out_per_group = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    padding = draw(
        st.sampled_from(["same", "valid"])
        | st.integers(0, 2)
        | st.tuples(st.integers(0, 2), st.integers(0, 2))
    )
    return {
        "groups": groups,
        "weight": (groups * out_per_group, per_group, *kernel),
        "stride": draw(st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "dilation": draw(st.integers(1, 2) | st.tuples(st.integers(1, 2), st.integers(1, 2))),
        "padding": padding,
        "seed": draw(st.integers(0, 100)),
    }


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def sides(case):
    if case["padding"] == "valid":
        return (0, 0, 0, 0)
    if case["padding"] == "same":
        spare = [
            d * (k - 1) for d, k in zip(pair(case["dilation"]), case["weight"][2:], strict=True)
        ]
        return (spare[0] // 2, -(-spare[0] // 2), spare[1] // 2, -(-spare[1] // 2))
    y, x = pair(case["padding"])
    return (y, y, x, x)


@settings(max_examples=150)
@given(convolutions())
def test_a_convolution_of_any_kind_equals_a_plain_loop(build, port, run, case):
    rng = np.random.default_rng(case["seed"])
    weight = rng.integers(-8, 9, case["weight"]) / 8
    bias = rng.integers(-8, 9, len(weight)) / 8
    channels = case["groups"] * case["weight"][1]
    x = rng.integers(0, 4, (channels, 11, 9)).astype(float)
    node = nir.Conv2d(
        input_shape=None,
        weight=weight,
        stride=case["stride"],
        padding=case["padding"],
        dilation=case["dilation"],
        groups=case["groups"],
        bias=bias,
    )
    graph = build(
        {"input": port(*x.shape), "conv": node, "output": nir.Output(output_type=None)},
        "input conv output",
    )
    expected = looped_convolution(
        x,
        weight,
        bias,
        stride=pair(case["stride"]),
        padding=sides(case),
        dilation=pair(case["dilation"]),
        groups=case["groups"],
    )
    given_ = drive(load(graph, dialect="nir"), run, x)
    assert given_.shape == expected.shape
    assert np.array_equal(given_, expected)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@settings(max_examples=60)
@given(convolutions())
def test_a_convolution_that_torch_knows_equals_torch(build, port, run, case):
    torch = pytest.importorskip("torch")
    if case["padding"] == "same":
        case["stride"] = 1  # torch refuses strides there
    rng = np.random.default_rng(case["seed"])
    weight = rng.integers(-8, 9, case["weight"]) / 8
    bias = rng.integers(-8, 9, len(weight)) / 8
    x = rng.integers(0, 4, (case["groups"] * case["weight"][1], 11, 9)).astype(float)
    options = {key: case[key] for key in ("stride", "padding", "dilation", "groups")}
    node = nir.Conv2d(input_shape=None, weight=weight, bias=bias, **options)
    graph = build(
        {"input": port(*x.shape), "conv": node, "output": nir.Output(output_type=None)},
        "input conv output",
    )
    tensors = [torch.from_numpy(array) for array in (x[None], weight, bias)]
    expected = torch.nn.functional.conv2d(*tensors, **options)[0].numpy()
    given_ = drive(load(graph, dialect="nir"), run, x)
    assert given_.shape == expected.shape
    assert np.array_equal(given_, expected)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("padding", [0, 2, "same", "valid"])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_in_one_axis_equals_torch(build, port, run, padding, groups):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    weight = rng.integers(-8, 9, (4, 4 // groups, 4)) / 8
    bias = rng.integers(-8, 9, 4) / 8
    x = rng.integers(0, 4, (4, 13)).astype(float)
    stride = 1 if padding == "same" else 2
    node = nir.Conv1d(
        input_shape=None,
        weight=weight,
        stride=stride,
        padding=padding,
        dilation=2,
        groups=groups,
        bias=bias,
    )
    graph = build(
        {"input": port(*x.shape), "conv": node, "output": nir.Output(output_type=None)},
        "input conv output",
    )
    expected = torch.nn.functional.conv1d(
        torch.from_numpy(x[None]),
        torch.from_numpy(weight),
        torch.from_numpy(bias),
        stride=stride,
        padding=padding,
        dilation=2,
        groups=groups,
    )[0].numpy()
    given_ = drive(load(graph, dialect="nir"), run, x)
    assert given_.shape == expected.shape
    assert np.array_equal(given_, expected)


@pytest.mark.parametrize("kind", [nir.SumPool2d, nir.AvgPool2d])
@pytest.mark.parametrize("window", [(2, 2, 0), ((4, 2), (2, 1), (1, 0)), ((1, 4), (3, 2), (0, 2))])
def test_pooling_equals_a_depthwise_loop_that_counts_the_border(build, port, run, kind, window):
    kernel, stride, padding = window
    x = np.random.default_rng(1).integers(0, 9, (3, 9, 8)).astype(float)
    node = kind(kernel_size=np.array(kernel), stride=np.array(stride), padding=np.array(padding))
    graph = build(
        {"input": port(3, 9, 8), "pool": node, "output": nir.Output(output_type=None)},
        "input pool output",
    )
    size = pair(kernel)
    share = 1 if kind is nir.SumPool2d else 1 / (size[0] * size[1])
    y, z = pair(padding)
    expected = looped_convolution(
        x,
        np.full((3, 1, *size), share),
        np.zeros(3),
        stride=pair(stride),
        padding=(y, y, z, z),
        dilation=(1, 1),
        groups=3,
    )
    given_ = drive(load(graph, dialect="nir"), run, x)
    assert given_.shape == expected.shape
    assert np.array_equal(given_, expected)


@pytest.mark.torch
def test_average_pooling_with_a_border_equals_torch(build, port, run):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(1).integers(0, 9, (3, 9, 8)).astype(float)
    node = nir.AvgPool2d(
        kernel_size=np.array([4, 2]), stride=np.array([3, 2]), padding=np.array([2, 1])
    )
    graph = build(
        {"input": port(3, 9, 8), "pool": node, "output": nir.Output(output_type=None)},
        "input pool output",
    )
    expected = torch.nn.functional.avg_pool2d(torch.from_numpy(x[None]), (4, 2), (3, 2), (2, 1))
    assert np.array_equal(drive(load(graph, dialect="nir"), run, x), expected[0].numpy())


def test_a_weight_with_more_axes_is_one_block_for_each(build, port, run):
    rng = np.random.default_rng(2)
    weight, bias = rng.integers(-4, 5, (3, 5, 4)) / 4, rng.integers(-4, 5, (3, 5)) / 4
    x = rng.integers(0, 3, (3, 4)).astype(float)
    graph = build(
        {
            "input": port(3, 4),
            "fc": nir.Affine(weight=weight, bias=bias),
            "output": nir.Output(output_type=None),
        },
        "input fc output",
    )
    expected = np.einsum("boi,bi->bo", weight, x) + bias
    assert np.array_equal(drive(load(graph, dialect="nir"), run, x), expected)


@pytest.mark.parametrize(
    "factor", [np.array(0.5), np.array([[[2.0]], [[0.25]]]), np.ones((2, 3, 4))]
)
def test_a_scale_is_broadcast_to_its_input(build, port, run, factor):
    x = np.arange(24.0).reshape(2, 3, 4)
    graph = build(
        {
            "input": port(2, 3, 4),
            "scale": nir.Scale(scale=factor),
            "output": nir.Output(output_type=None),
        },
        "input scale output",
    )
    imported = load(graph, dialect="nir")
    assert np.array_equal(drive(imported, run, x), factor * x)
    assert imported.graph.nodes["scale"].scale.shape == (2, 3, 4)


def test_maps_between_two_neuron_layers_are_composed_in_order(build, port, run, integrate):
    rng = np.random.default_rng(5)
    kernel = rng.integers(-8, 9, (3, 2, 3, 3)) / 8
    weight = rng.integers(-8, 9, (4, 12)) / 8
    bias = rng.integers(-8, 9, 3) / 8
    conv = nir.Conv2d(
        input_shape=(4, 4), weight=kernel, stride=1, padding=1, dilation=1, groups=1, bias=bias
    )
    two = np.array([2, 2])
    graph = build(
        {
            "input": port(2, 4, 4),
            "conv": conv,
            "pool": nir.SumPool2d(kernel_size=two, stride=two, padding=0 * two),
            "flat": nir.Flatten(input_type=None, start_dim=0),
            "fc": nir.Linear(weight=weight),
            "output": nir.Output(output_type=np.array([4])),
        },
        "input conv pool flat fc output",
    )
    imported = load(graph, dialect="nir")
    (projection,) = imported.network.projections
    assert projection.name == "conv+pool+fc"
    assert isinstance(projection.map, Composition)
    x = rng.integers(0, 3, (2, 4, 4)).astype(float)
    convolved = looped_convolution(x, kernel, bias, **PADDED)
    pooled = convolved.reshape(3, 2, 2, 2, 2).sum(axis=(2, 4))
    assert np.array_equal(drive(imported, run, x), weight @ pooled.ravel())


def test_a_bias_behind_a_padded_convolution_differs_at_the_border(build, port, out, run):
    """The first bias passes the second kernel, which sees no bias in its padding."""
    ones = np.ones((1, 1, 3, 3))
    options = {"input_shape": None, "stride": 1, "padding": 1, "dilation": 1, "groups": 1}
    graph = build(
        {
            "input": port(1, 4, 4),
            "a": nir.Conv2d(weight=ones, bias=np.array([2.0]), **options),
            "b": nir.Conv2d(weight=ones, bias=np.array([0.5]), **options),
            "output": out(1, 4, 4),
        },
        "input a b output",
    )
    imported = load(graph, dialect="nir")
    first = looped_convolution(np.zeros((1, 4, 4)), ones, [2.0], **PADDED)
    expected = looped_convolution(first, ones, [0.5], **PADDED)
    (bias,) = imported.network.populations[0].biases
    assert bias.value.shape == (1, 4, 4)
    assert np.array_equal(bias.value, expected)
    assert {8.5, 12.5, 18.5} == set(np.unique(expected))
    assert np.array_equal(drive(imported, run, np.zeros((1, 4, 4))), expected)


def test_a_bias_of_a_last_convolution_is_one_number_per_channel(build, port):
    node = nir.Conv2d(
        input_shape=None,
        weight=np.ones((2, 1, 3, 3)),
        stride=1,
        padding=1,
        dilation=1,
        groups=1,
        bias=np.array([1.0, -2.0]),
    )
    graph = build(
        {"input": port(1, 4, 4), "conv": node, "output": nir.Output(output_type=None)},
        "input conv output",
    )
    (bias,) = load(graph, dialect="nir").network.populations[0].biases
    assert np.array_equal(bias.value, [[[1.0]], [[-2.0]]])
