"""ONNX models become the layers that onnx's own evaluator computes."""

import io
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategies import unchecked

from snn_deploy.errors import (
    DeployError,
    FileDamagedError,
    GraphError,
    NotFiniteError,
    ShapeError,
    UnknownNodeError,
)
from snn_deploy.frontends.ann import evaluate
from snn_deploy.frontends.layers import ChannelAffine, Rectifier
from snn_deploy.frontends.onnx import read_onnx

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, numpy_helper  # noqa: E402  it may be absent
from onnx_models import answers, check, expected, model, node  # noqa: E402  the same

Array = np.ndarray
Shape = tuple[int, ...]

RNG = np.random.default_rng(3)


def normal(*shape: int) -> Array:
    """Return small float32 numbers."""
    return RNG.normal(0, 0.4, shape).astype(np.float32)


CONVOLUTIONS: dict[str, tuple[dict[str, Any], Shape]] = {
    "plain": ({}, (3, 2, 3, 3)),
    "padded": ({"pads": [1, 1, 1, 1]}, (3, 2, 3, 3)),
    "strided": ({"strides": [2, 3]}, (3, 2, 3, 3)),
    "grouped": ({"group": 2}, (4, 1, 3, 3)),
    "dilated": ({"dilations": [2, 1]}, (3, 2, 3, 3)),
    "uneven": ({"pads": [0, 1, 2, 0]}, (3, 2, 3, 3)),
    "uneven and strided": ({"pads": [1, 0, 0, 3], "strides": [2, 2]}, (3, 2, 3, 3)),
    "uneven and dilated": ({"pads": [0, 2, 2, 0], "dilations": [2, 2]}, (3, 2, 2, 2)),
    "same upper": ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (3, 2, 3, 2)),
    "same lower": ({"auto_pad": "SAME_LOWER", "strides": [1, 2]}, (3, 2, 2, 4)),
    "valid": ({"auto_pad": "VALID"}, (3, 2, 3, 3)),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("opset", [8, 13, 20])
def test_convolutions_give_what_the_evaluator_gives(case: str, opset: int) -> None:
    attributes, weight = CONVOLUTIONS[case]
    constants = {"w": normal(*weight), "b": normal(weight[0])}
    check(model([node("Conv", "x w b", **attributes)], constants, opset=opset), (2, 6, 6))


def test_a_convolution_over_one_axis_is_read() -> None:
    constants = {"w": normal(3, 2, 4)}
    content = model([node("Conv", "x w", pads=[1, 2])], constants, (1, 2, 9))
    check(content, (2, 9))


POOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "average": ("AveragePool", {"kernel_shape": [2, 3]}),
    "average strided": ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "average without its padding": (
        "AveragePool",
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    ),
    "average with its padding": (
        "AveragePool",
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ),
    "average unevenly padded": (
        "AveragePool",
        {"kernel_shape": [3, 3], "pads": [1, 0, 2, 1], "count_include_pad": 1},
    ),
    "average unevenly padded, without": (
        "AveragePool",
        {"kernel_shape": [3, 2], "pads": [1, 0, 2, 1], "strides": [2, 1]},
    ),
    "average same": ("AveragePool", {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"}),
    "largest": ("MaxPool", {"kernel_shape": [2, 3], "strides": [2, 1]}),
    "largest padded": ("MaxPool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    "largest rounded up in vain": (
        "MaxPool",
        {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    ),
    "global average": ("GlobalAveragePool", {}),
    "global largest": ("GlobalMaxPool", {}),
}


@pytest.mark.parametrize("case", POOLS)
def test_poolings_give_what_the_evaluator_gives(case: str) -> None:
    kind, attributes = POOLS[case]
    content = model([node(kind, "x", **attributes)], {})
    check(content, (2, 6, 6))


# Before opset 14 onnx's evaluator moves the statistics by those of the batch, which the operator
# does only where it has outputs for them; a momentum of 1 keeps the evaluator from it.
TRAINED = {"epsilon": 1e-3, "momentum": 1.0}


def flat(*nodes: Any) -> list[Any]:
    """Return operations behind a flattening of "x" to "f"."""
    return [node("Flatten", "x", "f"), *nodes]


SMALL: dict[str, tuple[list[Any], dict[str, Array]]] = {
    "gemm": (flat(node("Gemm", "f w b", transB=1)), {"w": normal(5, 72), "b": normal(5)}),
    "gemm with factors": (
        flat(node("Gemm", "f w b", alpha=0.5, beta=2.0)),
        {"w": normal(72, 5), "b": normal(1, 5)},
    ),
    "gemm without bias": (flat(node("Gemm", "f w")), {"w": normal(72, 5)}),
    "product and sum": (
        flat(node("MatMul", "f w", "p"), node("Add", "b p")),
        {"w": normal(72, 5), "b": normal(5)},
    ),
    "product on the last axis": ([node("MatMul", "x w")], {"w": normal(6, 4)}),
    "bias on the last axis": (
        [node("MatMul", "x w", "p"), node("Add", "p b")],
        {"w": normal(6, 4), "b": normal(4)},
    ),
    "normalisation": (
        [node("BatchNormalization", "x s b m v", **TRAINED)],
        {"s": normal(2), "b": normal(2), "m": normal(2), "v": np.abs(normal(2))},
    ),
    "normalisation behind a convolution": (
        [node("Conv", "x w", "c"), node("BatchNormalization", "c s b m v", **TRAINED)],
        {
            "w": normal(3, 2, 3, 3),
            "s": normal(3),
            "b": normal(3),
            "m": normal(3),
            "v": np.abs(normal(3)),
        },
    ),
    "relu": ([node("Relu", "x")], {}),
    "ceiling": ([node("Clip", "x lo hi")], {"lo": np.float32(0), "hi": np.float32(0.7)}),
    "no upper limit": ([node("Clip", "x lo")], {"lo": np.float32(0)}),
    "largest of 0": ([node("Max", "x z")], {"z": np.float32(0)}),
    "two rectifiers": (
        [node("Relu", "x", "r"), node("Clip", "r lo hi")],
        {"lo": np.float32(0), "hi": np.float32(0.7)},
    ),
    "factor": ([node("Mul", "x k")], {"k": np.float32(0.3)}),
    "factor per channel": ([node("Mul", "k x")], {"k": normal(1, 2, 1, 1)}),
    "factor per place": ([node("Mul", "x k")], {"k": normal(2, 6, 6)}),
    "quotient": ([node("Div", "x k")], {"k": np.float32(255)}),
    "shift per channel": ([node("Add", "x k")], {"k": normal(2, 1, 1)}),
    "less a constant": ([node("Sub", "x k")], {"k": np.float32(0.5)}),
    "from a constant": ([node("Sub", "k x")], {"k": np.float32(0.5)}),
    "difference": (
        [node("Relu", "x", "r"), node("Sub", "r x")],
        {},
    ),
    "negative": ([node("Neg", "x")], {}),
    "residual sum": (
        [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Add", "c x", "s"), node("Relu", "s")],
        {"w": normal(2, 2, 3, 3)},
    ),
    "sum of three": (
        [node("Relu", "x", "r"), node("Neg", "x", "n"), node("Sum", "x r n")],
        {},
    ),
    "shared kernel and normalisation": (
        [
            node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
            node("Mul", "c k", "m"),
            node("Add", "c m"),
        ],
        {"w": normal(2, 2, 3, 3), "k": np.float32(3)},
    ),
    "side by side": (
        [node("Relu", "x", "r"), node("Concat", "x r", axis=1)],
        {},
    ),
    "side by side in rows": (
        [node("Relu", "x", "r"), node("Concat", "r x", axis=-2)],
        {},
    ),
    "margins": (
        [node("Pad", "x p", "q"), node("Conv", "q w")],
        {"p": np.array([0, 0, 1, 2, 0, 0, 0, 1]), "w": normal(3, 2, 3, 3)},
    ),
    "identity and dropout": (
        [node("Identity", "x", "i"), node("Dropout", "i")],
        {},
    ),
    "reshape": ([node("Reshape", "x s")], {"s": np.array([0, -1])}),
    "reshape to a plane": ([node("Reshape", "x s")], {"s": np.array([1, 8, 3, 3])}),
    "flat and back": (
        flat(node("Reshape", "f s")),
        {"s": np.array([-1, 2, 6, 6])},
    ),
    "constants in the file": (
        [
            node("Constant", "", "k", value=numpy_helper.from_array(normal(2, 1, 1))),
            node("Unsqueeze", "k a", "u"),
            node("Transpose", "u", "t", perm=[0, 1, 3, 2]),
            node("Sqrt", "v", "q"),
            node("Mul", "t q", "m"),
            node("Add", "x m"),
        ],
        {"a": np.array([0]), "v": np.abs(normal(2, 1, 1))},
    ),
    "shape computed in the file": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "g", axis=0),
            node("Unsqueeze", "g zeros", "u"),
            node("Concat", "u rest", "t", axis=0),
            node("Reshape", "x t"),
        ],
        {"zero": np.array(0), "zeros": np.array([0]), "rest": np.array([-1])},
    ),
    "shape cut in the file": (
        [
            node("Shape", "x", "s"),
            node("Slice", "s a b c", "g"),
            node("Concat", "g rest", "t", axis=0),
            node("Reshape", "x t"),
        ],
        {"a": np.array([0]), "b": np.array([2]), "c": np.array([0]), "rest": np.array([-1])},
    ),
    "squeezed": (
        [node("GlobalAveragePool", "x", "g"), node("Squeeze", "g a")],
        {"a": np.array([2, 3])},
    ),
    "one side between": (
        [
            node("Unsqueeze", "x a", "u"),
            node("Transpose", "u", "t", perm=[0, 2, 1, 3, 4]),
            node("Squeeze", "t b"),
        ],
        {"a": np.array([1]), "b": np.array([2])},
    ),
}


@pytest.mark.parametrize("case", SMALL)
def test_operations_give_what_the_evaluator_gives(case: str) -> None:
    nodes, constants = SMALL[case]
    check(model(nodes, constants), (2, 6, 6))


def test_a_normalisation_of_opset_8_is_that_of_a_trained_network() -> None:
    numbers = {"s": normal(2), "b": normal(2), "m": normal(2), "v": np.abs(normal(2))}
    graph = read_onnx(model([node("BatchNormalization", "x s b m v")], numbers, opset=8), "m.onnx")
    x = normal(3, 2, 6, 6)
    s, b, m, v = (numbers[name].reshape(2, 1, 1) for name in "sbmv")
    np.testing.assert_allclose(
        answers(graph, x), (x - m) / np.sqrt(v + 1e-5) * s + b, rtol=1e-4, atol=1e-6
    )


def test_means_over_the_plane_are_read_in_both_forms() -> None:
    old = model([node("ReduceMean", "x", axes=[2, 3])], {}, opset=11)
    new = model([node("ReduceMean", "x a", keepdims=0)], {"a": np.array([-1, -2])}, opset=18)
    one = model([node("ReduceMean", "x a")], {"a": np.array([3])}, opset=18)
    for content in (old, new, one):
        check(content, (2, 6, 6))


def test_the_batch_may_be_open_or_fixed() -> None:
    nodes, constants = SMALL["shape computed in the file"]
    for size in ("batch", 4):
        check(model(nodes, constants, (size, 2, 6, 6)), (2, 6, 6), batch=4)


def test_outputs_whose_names_become_alike_are_told_apart() -> None:
    made = onnx.ModelProto.FromString(
        model([node("Relu", "x", "a b"), node("Neg", "x", "a_b")], {}, (1, 2), output="a b")
    )
    made.graph.output.append(onnx.helper.make_tensor_value_info("a_b", TensorProto.FLOAT, None))
    graph = read_onnx(made.SerializeToString(), "net.onnx")
    assert list(graph.outputs) == ["a_b", "a_b_2"]
    x = np.array([[3.0, -3.0]])
    given = evaluate(graph, {"x": x}, dtype=np.float64)
    assert [given[node].tolist() for node in graph.outputs.values()] == [[[3, 0]], [[-3, 3]]]


def test_a_softmax_at_the_end_is_left_out_and_said() -> None:
    content = model(
        flat(node("Gemm", "f w", "g", transB=1), node("Softmax", "g")), {"w": normal(5, 72)}
    )
    graph = read_onnx(content, "m.onnx")
    x = normal(3, 2, 6, 6)
    assert np.array_equal(answers(graph, x).argmax(axis=1), expected(content, x).argmax(axis=1))
    assert [str(finding) for finding in graph.findings] == [
        "changed    Softmax.y: Softmax at the end is left out; the largest output stays the "
        "largest; the others are no probabilities now"
    ]


def test_normalisations_and_rectifiers_are_folded() -> None:
    nodes, constants = SMALL["normalisation behind a convolution"]
    graph = check(model(nodes, constants), (2, 6, 6))
    assert len(graph.nodes) == 1
    nodes, constants = SMALL["two rectifiers"]
    graph = check(model(nodes, constants), (2, 6, 6))
    (only,) = graph.nodes.values()
    assert only.layer == Rectifier(ceiling=float(np.float32(0.7)))
    nodes, constants = SMALL["shared kernel and normalisation"]
    graph = check(model(nodes, constants), (2, 6, 6))
    assert not any(isinstance(n.layer, ChannelAffine) for n in graph.nodes.values())
    assert len(graph.nodes) == 3


def random_network(seed: int) -> bytes:
    """Return a random chain of layers with a branch or two, as exporters write it."""
    rng = np.random.default_rng(seed)
    nodes: list[Any] = []
    constants: dict[str, Array] = {}
    channels, side, value = 2, 12, "x"

    def add(kind: str, inputs: str, **attributes: Any) -> str:
        nodes.append(node(kind, inputs, f"v{len(nodes)}", **attributes))
        return f"v{len(nodes) - 1}"

    def weights(*shape: int) -> str:
        constants[f"c{len(constants)}"] = rng.normal(0, 0.5, shape).astype(np.float32)
        return f"c{len(constants) - 1}"

    for _ in range(rng.integers(2, 6)):
        kind = rng.integers(6)
        if kind == 0 and side >= 4:
            value = add("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2])
            side //= 2
        elif kind == 1 and side >= 3:
            value = add("AveragePool", value, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        elif kind == 2:
            other = add("Conv", f"{value} {weights(channels, channels, 3, 3)}", pads=[1] * 4)
            value = add("Relu", add("Add", f"{other} {value}"))
        elif kind == 3:
            other = add("Conv", f"{value} {weights(3, channels, 1, 1)}")
            value = add("Concat", f"{value} {other}", axis=1)
            channels += 3
        else:
            out = int(rng.integers(1, 5))
            value = add(
                "Conv", f"{value} {weights(out, channels, 3, 3)} {weights(out)}", pads=[1] * 4
            )
            channels = out
            if rng.integers(2):
                numbers = " ".join(weights(channels) for _ in range(3))
                spread = weights(channels)
                constants[spread] = np.abs(constants[spread]) + np.float32(0.1)
                value = add("BatchNormalization", f"{value} {numbers} {spread}", **TRAINED)
            value = add("Relu", value)
    if rng.integers(2):
        value = add("GlobalAveragePool", value)
        side = 1
    value = add("Flatten", value)
    nodes.append(
        node("Gemm", f"{value} {weights(4, channels * side * side)} {weights(4)}", transB=1)
    )
    return model(nodes, constants, ("n", 2, 12, 12), opset=int(rng.choice([9, 11, 13, 17, 20])))


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_give_what_the_evaluator_gives(seed: int) -> None:
    check(random_network(seed), (2, 12, 12), batch=3)


@pytest.mark.shared
def test_a_published_model_gives_its_recorded_output(shared_data: Path) -> None:
    folder = shared_data / "qonnx" / "mnist-conv"
    graph = read_onnx((folder / "model.onnx").read_bytes(), "model.onnx")

    def recorded(name: str) -> Array:
        content = (folder / "test_data_set_0" / name).read_bytes()
        return numpy_helper.to_array(TensorProto.FromString(content))

    (entry,), (source,) = graph.inputs, graph.outputs.values()
    given = evaluate(graph, {entry: recorded("input_0.pb")})[source]
    np.testing.assert_allclose(given, recorded("output_0.pb"), rtol=1e-5, atol=2e-3)


@pytest.mark.torch
@pytest.mark.parametrize("training", ["folded", "kept"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_networks_that_torch_exports_give_what_torch_gives(training: str) -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(1)

    class Net(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6())
            self.pool = nn.AvgPool2d(2)
            self.second = nn.Conv2d(4, 4, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(4)
            self.largest = nn.MaxPool2d(2)
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout())
            self.out = nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            x = self.pool(self.first(x))
            x = torch.relu(self.norm(self.second(x)) + x)
            x = torch.cat([self.largest(x), -self.largest(x)], 1)
            return self.out(self.head(x).view(x.size(0), -1))

    net = Net().eval()
    for norm in (net.first[1], net.norm):
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.5, 2.0)
    x = torch.randn(4, 2, 8, 8)
    file = io.BytesIO()
    keep = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
    torch.onnx.export(
        net,
        (x,),
        file,
        dynamo=False,
        input_names=["x"],
        dynamic_axes={"x": {0: "n"}},
        **(keep if training == "kept" else {}),
    )
    graph = read_onnx(file.getvalue(), "m.onnx")
    with torch.no_grad():
        wanted = net(x).numpy()
    np.testing.assert_allclose(answers(graph, x.numpy()), wanted, rtol=1e-4, atol=1e-5)


WEIGHTS = np.array([[3, -5, 7, 0], [-8, 2, 1, 6]], np.int8)
SCALES = np.array([0.25, 0.125], np.float32)


def scale(value: float) -> Array:
    """Return the scale of a quantiser."""
    return np.array(value, np.float32)


QDQ = model(
    [
        node("QuantizeLinear", "x s0 z0", "q0"),
        node("DequantizeLinear", "q0 s0 z0", "d0"),
        node("DequantizeLinear", "w ws", "dw", axis=0),
        node("DequantizeLinear", "b bs", "db", axis=0),
        node("Gemm", "d0 dw db", "g", transB=1),
        node("Relu", "g", "r"),
        node("QuantizeLinear", "r s1 z1", "q1"),
        node("DequantizeLinear", "q1 s1 z1"),
    ],
    {
        "s0": scale(1 / 64),
        "z0": np.array(0, np.int8),
        "w": WEIGHTS,
        "ws": SCALES,
        "b": np.array([10, -20], np.int32),
        "bs": SCALES / 64,
        "s1": scale(1 / 128),
        "z1": np.array(0, np.uint8),
    },
    (1, 4),
    opset=19,
)
"""As onnxruntime quantises with QuantizeLinear and DequantizeLinear around each operation."""

QCDQ = model(
    [
        node("Clip", "w lo hi", "cw"),
        node("DequantizeLinear", "cw ws", "dw", axis=0),
        node("Gemm", "x dw", "g", transB=1),
        node("Relu", "g", "r"),
        node("QuantizeLinear", "r s1 z1", "q1"),
        node("Clip", "q1 alo ahi", "c1"),
        node("DequantizeLinear", "c1 s1 z1"),
    ],
    {
        "w": WEIGHTS,
        "lo": np.array(-8, np.int8),
        "hi": np.array(7, np.int8),
        "ws": SCALES,
        "s1": scale(1 / 8),
        "z1": np.array(0, np.uint8),
        "alo": np.array(0, np.uint8),
        "ahi": np.array(15, np.uint8),
    },
    (1, 4),
    opset=19,
)
"""As Brevitas exports: the Clip leaves four bits."""

QOPERATOR = model(
    [
        node("QuantizeLinear", "x s0 z0", "q0"),
        node("QLinearConv", "q0 s0 z0 w ws wz s1 z1 b", "c"),
        node("MaxPool", "c", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", "f"),
        node("QLinearMatMul", "f s1 z1 m ms mz s2 z2", "o"),
        node("DequantizeLinear", "o s2 z2"),
    ],
    {
        "s0": scale(1 / 64),
        "z0": np.array(128, np.uint8),
        "w": WEIGHTS.reshape(2, 1, 2, 2),
        "ws": SCALES,
        "wz": np.zeros(2, np.int8),
        "s1": scale(1 / 64),
        "z1": np.array(0, np.uint8),
        "b": np.array([10, -20], np.int32),
        "m": (np.arange(24).reshape(8, 3) % 7 - 3).astype(np.int8),
        "ms": scale(0.125),
        "mz": np.array(0, np.int8),
        "s2": scale(1 / 16),
        "z2": np.array(100, np.uint8),
    },
    (1, 1, 5, 5),
    opset=19,
)
"""As onnxruntime quantises with operations on whole numbers."""


@pytest.mark.parametrize(
    ("content", "shape", "ceilings"),
    [(QDQ, (4,), [255 / 128]), (QCDQ, (4,), [15 / 8]), (QOPERATOR, (1, 5, 5), [255 / 64])],
    ids=["QDQ", "QCDQ", "QOperator"],
)
def test_quantised_networks_are_read_up_to_the_rounding_of_activations(
    content: bytes, shape: Shape, ceilings: list[float]
) -> None:
    graph = read_onnx(content, "m.onnx")
    x = np.random.default_rng(1).uniform(-1.5, 1.5, (20, *shape)).astype(np.float32)
    x = np.rint(x * 64) / np.float32(64)  # on the lattice of the first quantiser
    wanted = np.concatenate([expected(content, one[None]) for one in x])
    assert np.abs(answers(graph, x) - wanted).max() < 0.15
    assert np.ptp(wanted) > 1
    found = [n.layer.ceiling for n in graph.nodes.values() if isinstance(n.layer, Rectifier)]
    assert found == ceilings
    assert graph.findings


def test_the_findings_say_what_became_of_quantisers() -> None:
    assert [str(finding) for finding in read_onnx(QDQ, "m.onnx").findings] == [
        "changed    x: a quantiser of 256 levels between -2 and 1.984 is left out; values are not "
        "rounded here; the integer program has its own resolution",
        "changed    Relu.r: a quantiser of 256 levels up to 1.992; it is read as a rectifier with "
        "that ceiling; spike counts make levels of their own",
    ]


@pytest.mark.parametrize(
    "domain", ["qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"]
)
def test_weights_of_qonnx_become_what_they_are_rounded_to(domain: str) -> None:
    weight = normal(3, 4)
    content = model(
        [
            node("Quant", "w s z bits", "q", domain=domain, signed=1, narrow=1),
            node("Gemm", "x q", "g", transB=1),
            node("Relu", "g", "r"),
            node("Quant", "r t z few", domain=domain, signed=0, rounding_mode="FLOOR"),
        ],
        {
            "w": weight,
            "s": np.array([[0.1], [0.2], [0.05]], np.float32),
            "z": scale(0),
            "bits": scale(3),
            "t": scale(0.5),
            "few": scale(2),
        },
        (1, 4),
        domains=[domain],
    )
    graph = read_onnx(content, "m.onnx")
    steps = np.array([[0.1], [0.2], [0.05]])
    rounded = np.clip(np.rint(weight / steps), -3, 3) * steps
    x = normal(5, 4)
    wanted = np.clip(x @ rounded.T, 0, 1.5)
    np.testing.assert_allclose(answers(graph, x), wanted, atol=1e-5)


COMPLAINTS: dict[str, tuple[bytes, type[DeployError], str]] = {
    "unknown": (
        model([node("Sigmoid", "x")], {}),
        UnknownNodeError,
        "error[SNN203]: the operation Sigmoid is not read\n"
        "  at: m.onnx: Sigmoid.y\n"
        "  fix: train it with ReLU, whose values spike counts can stand for",
    ),
    "other domain": (
        model([node("Blur", "x", domain="com.acme")], {}, domains=["com.acme"]),
        UnknownNodeError,
        "error[SNN203]: the operation com.acme::Blur is not read\n"
        "  at: m.onnx: Blur.y\n"
        "  fix: networks of convolutions, matrix products, sums, poolings and ReLU are read",
    ),
    "limits": (
        model([node("Clip", "x lo hi")], {"lo": np.float32(-1), "hi": np.float32(1)}),
        UnknownNodeError,
        "error[SNN203]: Clip between -1 and 1 is not read\n"
        "  at: m.onnx: Clip.y\n"
        "  fix: use a lower limit of 0: a ReLU",
    ),
    "two values multiplied": (
        model([node("Relu", "x", "r"), node("Mul", "r x")], {}),
        UnknownNodeError,
        "error[SNN203]: Mul with weights that depend on the input is not read\n  at: m.onnx: Mul.y",
    ),
    "mixed samples": (
        model([node("Reshape", "x s")], {"s": np.array([2, -1])}),
        UnknownNodeError,
        "error[SNN203]: Reshape from (1, 2, 6, 6) to (2, 36) mixes samples\n"
        "  at: m.onnx: Reshape.y\n"
        "  fix: keep the batch as the first axis",
    ),
    "channels last": (
        model([node("Transpose", "x", perm=[0, 2, 3, 1])], {}),
        UnknownNodeError,
        "error[SNN203]: Transpose by [0, 2, 3, 1] of values of shape (2, 6, 6) is not read\n"
        "  at: m.onnx: Transpose.y\n"
        "  fix: export the network with channels first",
    ),
    "hanging windows": (
        model([node("MaxPool", "x", kernel_shape=[4, 4], strides=[4, 4], ceil_mode=1)], {}),
        UnknownNodeError,
        "error[SNN203]: MaxPool with ceil_mode=1 and windows over the edge of (2, 6, 6) is not "
        "read\n"
        "  at: m.onnx: MaxPool.y\n"
        "  fix: use ceil_mode=0, or pad",
    ),
    "not a number": (
        model(flat(node("Gemm", "f w")), {"w": np.full((72, 2), np.nan, np.float32)}),
        NotFiniteError,
        "error[SNN205]: a number is NaN or infinite\n  at: m.onnx: Gemm.y",
    ),
    "loop": (
        model([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b")], {}),
        GraphError,
        "error[SNN206]: a loop of operations\n  at: m.onnx: Relu.b",
    ),
    "nobody's value": (
        model([node("Relu", "z")], {}),
        GraphError,
        "error[SNN206]: a value is read that nobody gives\n  at: m.onnx: z",
    ),
    "constant output": (
        model([node("Relu", "x", "r"), node("Identity", "k")], {"k": normal(2)}),
        GraphError,
        "error[SNN206]: an output that is no layer's\n  at: m.onnx: y",
    ),
    "no fixed shape": (
        model([node("Relu", "x")], {}, (1, "channels", 6, 6)),
        ShapeError,
        "error[SNN204]: an input of shape (1, None, 6, 6); only the size of the batch may be open\n"
        "  at: m.onnx: x\n"
        "  fix: export with a sample of a fixed shape",
    ),
    "huge constant": (
        model(
            [node("ConstantOfShape", "s", "k"), node("Add", "x k")],
            {"s": np.array([2**40, 2**40])},
        ),
        FileDamagedError,
        "error[SNN202]: ConstantOfShape cannot be computed from its constants\n"
        "  at: m.onnx: ConstantOfShape.k",
    ),
    "huge window": (
        model([node("AveragePool", "x", kernel_shape=[2**30, 2**30])], {}),
        ShapeError,
        "error[SNN204]: a window of (1073741824, 1073741824) does not fit its padded input (6, 6)\n"
        "  at: m.onnx: AveragePool.y",
    ),
    "old": (
        model([node("Relu", "x")], {}, opset=6),
        UnknownNodeError,
        f"error[SNN203]: opset 6 is not read; 7 to {onnx.defs.onnx_opset_version()} are\n"
        "  at: m.onnx\n"
        "  fix: onnx.version_converter.convert_version(model, 17) makes another",
    ),
    "no model": (
        b"not a model",
        FileDamagedError,
        "error[SNN202]: the file is not ONNX, or it is truncated or damaged\n"
        "  at: m.onnx\n"
        "  fix: export it again, with all weights in the one file",
    ),
}


@pytest.mark.parametrize("case", COMPLAINTS)
def test_what_cannot_be_read_is_named(case: str) -> None:
    content, kind, error = COMPLAINTS[case]
    with pytest.raises(kind) as caught:
        read_onnx(content, "m.onnx")
    assert str(caught.value) == error


def test_weights_in_other_files_are_refused_and_not_opened(tmp_path: Path) -> None:
    made = onnx.load_model_from_string(model(flat(node("Gemm", "f w")), {"w": normal(72, 2)}))
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", str(tmp_path / "../../etc/passwd")
    with pytest.raises(FileDamagedError) as caught:
        read_onnx(made.SerializeToString(), "m.onnx")
    assert str(caught.value) == (
        "error[SNN202]: its values are kept in another file\n"
        "  at: m.onnx: w\n"
        "  fix: export it again, with all weights in the one file"
    )


def test_what_only_onnxscript_can_fold_is_read_once_it_has() -> None:
    pytest.importorskip("onnxscript")
    factor = normal(2, 1, 1)
    content = model([node("Exp", "k", "e"), node("Mul", "x e")], {"k": factor})
    with pytest.raises(UnknownNodeError) as caught:
        read_onnx(content, "m.onnx")
    assert str(caught.value) == (
        "error[SNN203]: the operation Exp is not read\n"
        "  at: m.onnx: Exp.e\n"
        "  fix: let onnxscript compute it first: optimise=True"
    )
    graph = read_onnx(content, "m.onnx", optimise=True)
    x = normal(2, 2, 6, 6)
    np.testing.assert_allclose(answers(graph, x), x * np.exp(factor), rtol=1e-5)


def test_a_long_chain_of_doublings_is_read_at_once() -> None:
    nodes = [node("Relu", "x", "v0")]
    nodes += [node("Add", f"v{i} v{i}", f"v{i + 1}") for i in range(3000)]
    nodes += [node("QuantizeLinear", "v3000 s z", "q"), node("DequantizeLinear", "q s z")]
    content = model(nodes, {"s": scale(1.0), "z": np.array(0, np.uint8)})
    assert len(read_onnx(content, "m.onnx").nodes) == 3001


@pytest.mark.parametrize("name", [b"Relu", b"v0"])
def test_a_name_that_is_not_utf_8_is_a_damaged_file(name: bytes) -> None:
    content = model([node("Relu", "x", "v0"), node("Neg", "v0", "y")], {})
    assert name in content
    with unchecked(), pytest.raises(FileDamagedError) as caught:
        read_onnx(content.replace(name, b"\xb2" + name[1:]), "m.onnx")
    assert str(caught.value) == (
        "error[SNN202]: the file is not ONNX, or it is truncated or damaged\n"
        "  at: m.onnx\n"
        "  fix: export it again, with all weights in the one file"
    )


FUZZ = int(os.environ.get("SNN_DEPLOY_FUZZ", "400"))


def test_damaged_files_give_numbered_errors() -> None:
    rng = random.Random(11)
    sources = [random_network(3), random_network(8), QDQ, QOPERATOR]

    def damage(content: bytes) -> bytes:
        data = bytearray(content)
        kind = rng.randrange(4)
        if kind == 0:
            return bytes(data[: rng.randrange(len(data))])
        if kind == 1:
            start = rng.randrange(len(data))
            del data[start : start + rng.randrange(1, 40)]
            return bytes(data)
        for _ in range(rng.choice([1, 2, 8])):
            place = rng.randrange(min(len(data), 1500) if kind == 2 else len(data))
            data[place] = rng.choice([0, 1, 0x7F, 0xFF, rng.randrange(256)])
        return bytes(data)

    refused = 0
    for _ in range(FUZZ):
        try:
            read_onnx(damage(rng.choice(sources)), "m.onnx")
        except DeployError:
            refused += 1
    assert refused > FUZZ / 4
