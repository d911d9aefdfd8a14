"""What an ONNX model cannot have is refused in words that say what and where."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import DeployError
from snn_deploy.frontends.ann import builder
from snn_deploy.frontends.onnx import file as onnx_file
from snn_deploy.frontends.onnx import read_onnx
from snn_deploy.ir.sizes import higher

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402  it may be absent
from onnx_models import model, node  # noqa: E402  the same

Array = np.ndarray
Model = Any
"""onnx's ModelProto."""

MICROSOFT = "com.microsoft"
QONNX = "qonnx.custom_op.general"


def ones(*shape: int) -> Array:
    """Return float32 ones."""
    return np.ones(shape, np.float32)


def number(value: float) -> Array:
    """Return one float32 number."""
    return np.array(value, np.float32)


def whole(*values: int) -> Array:
    """Return int64 numbers."""
    return np.array(values, np.int64)


def byte(value: int = 0) -> Array:
    """Return a zero of a quantiser."""
    return np.array(value, np.uint8)


def refused(content: bytes) -> str:
    """Return the error of a model, as a user sees it."""
    with pytest.raises(DeployError) as caught:
        read_onnx(content, "m.onnx")
    return str(caught.value)


LAYERS: dict[str, tuple[list[Any], dict[str, Array], str]] = {
    "a transposed input": (
        [node("Gemm", "x w", transA=1)],
        {"w": ones(6, 2)},
        "error[SNN203]: Gemm with transA=1 is not read\n  at: m.onnx: Gemm.y\n  fix: use transA=0",
    ),
    "a kernel left out": (
        [node("Conv", "x -")],
        {},
        "error[SNN202]: Conv lacks an input\n  at: m.onnx: Conv.y",
    ),
    "a tensor left out": (
        [node("Relu", "x", "r"), node("Add", "r -")],
        {},
        "error[SNN202]: Add lacks an input\n  at: m.onnx: Add.y",
    ),
    "weights before values": (
        [node("MatMul", "w x")],
        {"w": ones(6, 6)},
        "error[SNN203]: MatMul with weights that depend on the input is not read\n"
        "  at: m.onnx: MatMul.y",
    ),
    "a quotient by values": (
        [node("Div", "k x")],
        {"k": number(1)},
        "error[SNN203]: Div with weights that depend on the input is not read\n  at: m.onnx: Div.y",
    ),
    "a convolution of constants": (
        [node("Relu", "x", "r"), node("Conv", "w r")],
        {"w": ones(1, 2, 6, 6)},
        "error[SNN203]: Conv of a constant and a value of the network, in this order, is "
        "not read\n"
        "  at: m.onnx: Conv.y",
    ),
    "weights without a matrix": (
        [node("MatMul", "x w")],
        {"w": ones(2, 6, 6)},
        "error[SNN203]: a product with weights of shape (2, 6, 6) is not read\n"
        "  at: m.onnx: MatMul.y",
    ),
    "a bias of another size": (
        [node("Conv", "x w b")],
        {"w": ones(3, 2, 3, 3), "b": ones(2)},
        "error[SNN204]: a bias of shape (2,) for 3 channels\n  at: m.onnx: Conv.y",
    ),
    "a kernel of three axes": (
        [node("Conv", "x w")],
        {"w": ones(3, 2, 3, 3, 3)},
        "error[SNN204]: a kernel of shape (3, 2, 3, 3, 3); it has 1 or 2 spatial axes\n"
        "  at: m.onnx: Conv.y",
    ),
    "an empty kernel": (
        [node("Conv", "x w")],
        {"w": ones(0, 2, 3, 3)},
        "error[SNN204]: a kernel of shape (0, 2, 3, 3); it has 1 or 2 spatial axes\n"
        "  at: m.onnx: Conv.y",
    ),
    "a stride of another axis": (
        [node("Conv", "x w", strides=[2, 2, 2])],
        {"w": ones(3, 2, 3, 3)},
        "error[SNN204]: strides, dilations and paddings of another number than 2 axes\n"
        "  at: m.onnx: Conv.y",
    ),
    "a line's kernel on a plane": (
        [node("Conv", "x w")],
        {"w": ones(3, 2, 3)},
        "error[SNN204]: it reads channels of 1 axes, but is given (2, 6, 6)\n  at: m.onnx: Conv.y",
    ),
    "margins of another axis": (
        [node("Conv", "x w", pads=[1, 1, 1])],
        {"w": ones(3, 2, 3, 3)},
        "error[SNN202]: Conv has options or inputs that it cannot have\n  at: m.onnx: Conv.y",
    ),
    "negative margins": (
        [node("Conv", "x w", pads=[-1, 0, 0, 0])],
        {"w": ones(3, 2, 3, 3)},
        "error[SNN204]: a padding of -1; it must be at least 0\n  at: m.onnx: Conv.y",
    ),
    "uneven margins with a dilation": (
        [node("Conv", "x w", pads=[0, 0, 1, 0], dilations=[2, 2])],
        {"w": ones(3, 2, 2, 2)},
        "error[SNN203]: paddings of 0 and 1 with a dilation of 2\n"
        "  at: m.onnx: Conv.y\n"
        "  fix: pad both ends alike",
    ),
    "an unknown padding": (
        [node("Conv", "x w", auto_pad="MIRROR")],
        {"w": ones(3, 2, 3, 3)},
        "error[SNN202]: Conv has options or inputs that it cannot have\n  at: m.onnx: Conv.y",
    ),
    "a matrix of three axes": (
        [node("Flatten", "x", "f"), node("Gemm", "f w", transB=1)],
        {"w": ones(2, 3, 72)},
        "error[SNN204]: weights of shape (2, 3, 72), not a matrix\n  at: m.onnx: Gemm.y",
    ),
    "a pooling without strides": (
        [node("MaxPool", "x", kernel_shape=[2, 2], strides=[0, 1])],
        {},
        "error[SNN204]: strides (0, 1) of a window (2, 2)\n  at: m.onnx: MaxPool.y",
    ),
    "an unevenly padded maximum": (
        [node("MaxPool", "x", kernel_shape=[2, 2], pads=[0, 0, 1, 1])],
        {},
        "error[SNN203]: a max-pooling with paddings (0, 0) and (1, 1)\n"
        "  at: m.onnx: MaxPool.y\n"
        "  fix: pad both ends alike",
    ),
    "an average of padding": (
        [node("AveragePool", "x", kernel_shape=[1, 1], pads=[1, 1, 1, 1])],
        {},
        "error[SNN203]: an average over padding alone\n  at: m.onnx: AveragePool.y",
    ),
    "a mean over channels": (
        [node("ReduceMean", "x", axes=[1])],
        {},
        "error[SNN203]: a mean over axes (0,) of a shape (2, 6, 6)\n"
        "  at: m.onnx: ReduceMean.y\n"
        "  fix: means over spatial axes are read",
    ),
    "a mean over the batch": (
        [node("ReduceMean", "x", axes=[0, 2])],
        {},
        "error[SNN203]: a mean over the batch is not read\n  at: m.onnx: ReduceMean.y",
    ),
    "a mean over everything": (
        [node("ReduceMean", "x")],
        {},
        "error[SNN203]: a mean over the batch is not read\n  at: m.onnx: ReduceMean.y",
    ),
    "a ceiling of 0": (
        [node("Clip", "x k k")],
        {"k": number(0)},
        "error[SNN203]: an activation between 0 and 0\n  at: m.onnx: Clip.y",
    ),
    "other shapes added": (
        [node("MaxPool", "x", "p", kernel_shape=[2, 2]), node("Add", "x p")],
        {},
        "error[SNN204]: values of shapes (2, 6, 6) and (2, 5, 5) are added\n  at: m.onnx: Add.y",
    ),
    "other shapes side by side": (
        [node("MaxPool", "x", "p", kernel_shape=[2, 2]), node("Concat", "x p", axis=1)],
        {},
        "error[SNN204]: values of shapes (2, 6, 6), (2, 5, 5) side by side along axis 0\n"
        "  at: m.onnx: Concat.y",
    ),
    "samples side by side": (
        [node("Relu", "x", "r"), node("Concat", "x r", axis=0)],
        {},
        "error[SNN203]: Concat of samples is not read\n  at: m.onnx: Concat.y",
    ),
    "a factor of another shape": (
        [node("Mul", "x k")],
        {"k": ones(4)},
        "error[SNN204]: numbers of shape (4,) for values of shape (2, 6, 6)\n  at: m.onnx: Mul.y",
    ),
    "a factor of samples": (
        [node("Mul", "x k")],
        {"k": ones(2, 2, 6, 6)},
        "error[SNN203]: numbers that differ from sample to sample\n  at: m.onnx: Mul.y",
    ),
    "a shift that differs within a channel": (
        [node("Add", "x k")],
        {"k": np.arange(6, dtype=np.float32)},
        "error[SNN203]: a constant is added that differs within a channel\n"
        "  at: m.onnx: Add.y\n"
        "  fix: add one number per channel",
    ),
    "a sum of values and whole numbers": (
        [node("QuantizeLinear", "x s z", "q"), node("Add", "x q")],
        {"s": number(0.5), "z": byte()},
        "error[SNN203]: Add of quantised numbers is not read\n  at: m.onnx: Add.y",
    ),
    "statistics of other channels": (
        [node("BatchNormalization", "x k k k k")],
        {"k": ones(3)},
        "error[SNN204]: normalisations of 3 channels for values of shape (2, 6, 6)\n"
        "  at: m.onnx: BatchNormalization.y",
    ),
    "a negative variance": (
        [node("BatchNormalization", "x k k k v")],
        {"k": ones(2), "v": -ones(2)},
        "error[SNN205]: a number is NaN or infinite\n  at: m.onnx: BatchNormalization.y",
    ),
    "the largest of values and 1": (
        [node("Max", "x k")],
        {"k": number(1)},
        "error[SNN203]: Max with other numbers than 0 is not read\n  at: m.onnx: Max.y",
    ),
    "the largest of two values": (
        [node("Neg", "x", "n"), node("Max", "x n")],
        {},
        "error[SNN203]: Max with weights that depend on the input is not read\n  at: m.onnx: Max.y",
    ),
    "padded channels": (
        [node("Pad", "x p")],
        {"p": whole(0, 1, 0, 0, 0, 0, 0, 0)},
        "error[SNN203]: Pad of samples or channels is not read\n  at: m.onnx: Pad.y",
    ),
    "padding with ones": (
        [node("Pad", "x p k")],
        {"p": whole(0, 0, 1, 1, 0, 0, 1, 1), "k": number(1)},
        "error[SNN203]: Pad with other numbers than 0 is not read\n  at: m.onnx: Pad.y",
    ),
    "mirrored padding": (
        [node("Pad", "x p", mode="reflect")],
        {"p": whole(0, 0, 1, 1, 0, 0, 1, 1)},
        "error[SNN203]: Pad with mode=reflect is not read\n"
        "  at: m.onnx: Pad.y\n"
        "  fix: use mode=constant",
    ),
    "a dropout that drops": (
        [node("Dropout", "x r t")],
        {"r": number(0.5), "t": np.array(True)},
        "error[SNN203]: Dropout in training mode is not read\n  at: m.onnx: Dropout.y",
    ),
    "whole numbers of values": (
        [node("Cast", "x", to=TensorProto.INT64)],
        {},
        "error[SNN203]: Cast to whole numbers is not read\n  at: m.onnx: Cast.y",
    ),
    "a softmax within": (
        [node("Softmax", "x", "s"), node("Relu", "s")],
        {},
        "error[SNN203]: Softmax within a network is not read\n  at: m.onnx: Softmax.s",
    ),
    "no permutation": (
        [node("Transpose", "x", perm=[0, 1, 2, 2])],
        {},
        "error[SNN202]: Transpose has options or inputs that it cannot have\n"
        "  at: m.onnx: Transpose.y",
    ),
    "a squeeze without axes": (
        [node("Squeeze", "x")],
        {},
        "error[SNN203]: Squeeze without axes is not read\n  at: m.onnx: Squeeze.y",
    ),
    "a squeeze of a side of 6": (
        [node("Squeeze", "x a")],
        {"a": whole(2)},
        "error[SNN203]: Squeeze of axis 2 is not read\n  at: m.onnx: Squeeze.y",
    ),
    "an axis before the batch": (
        [node("Unsqueeze", "x a")],
        {"a": whole(0)},
        "error[SNN203]: Unsqueeze of axis 0 is not read\n  at: m.onnx: Unsqueeze.y",
    ),
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_that_cannot_be_read_is_named(case: str) -> None:
    nodes, constants, error = LAYERS[case]
    assert refused(model(nodes, constants)) == error


CONSTANTS: dict[str, tuple[list[Any], dict[str, Array], str]] = {
    "an input left out": (
        [node("Add", "w -", "k")],
        {"w": ones(1)},
        "error[SNN202]: Add cannot be computed from its constants\n  at: m.onnx: Add.k",
    ),
    "a constant of a text": (
        [node("Constant", "", "k", value_string="one")],
        {},
        "error[SNN202]: Constant cannot be computed from its constants\n  at: m.onnx: Constant.k",
    ),
    "no room for a rest": (
        [node("Reshape", "w s", "k")],
        {"w": ones(0, 2), "s": whole(0, -1)},
        "error[SNN202]: Reshape cannot be computed from its constants\n  at: m.onnx: Reshape.k",
    ),
    "another number of values": (
        [node("Reshape", "w s", "k")],
        {"w": ones(6), "s": whole(4)},
        "error[SNN202]: Reshape cannot be computed from its constants\n  at: m.onnx: Reshape.k",
    ),
    "scales of more places": (
        [node("DequantizeLinear", "w s", "k", axis=0)],
        {"w": np.ones((1, 2), np.int8), "s": ones(2)},
        "error[SNN202]: DequantizeLinear cannot be computed from its constants\n"
        "  at: m.onnx: DequantizeLinear.k",
    ),
    "complex weights": (
        [node("Identity", "w", "k")],
        {"w": np.ones(1, np.complex64)},
        "error[SNN203]: numbers of type COMPLEX64 are not read\n  at: m.onnx: w",
    ),
    "an operation of another domain": (
        [node("Blur", "w", "k", domain="com.acme")],
        {"w": ones(1)},
        "error[SNN203]: the operation com.acme::Blur is not read\n"
        "  at: m.onnx: Blur.k\n"
        "  fix: let onnxscript compute it first: optimise=True",
    ),
    "scales of blocks": (
        [node("DequantizeLinear", "w s", "k", block_size=2)],
        {"w": np.ones((2, 6), np.int8), "s": ones(2, 3)},
        "error[SNN203]: weights with scales per block are not read\n"
        "  at: m.onnx: DequantizeLinear.k",
    ),
    "a second output": (
        [helper.make_node("Identity", ["w"], ["i", "k"], name="two")],
        {"w": ones(1)},
        "error[SNN203]: a second output of Identity is not read\n  at: m.onnx: two",
    ),
}


@pytest.mark.parametrize("case", CONSTANTS)
def test_a_constant_that_cannot_be_computed_is_named(case: str) -> None:
    nodes, constants, error = CONSTANTS[case]
    assert refused(model([*nodes, node("Mul", "x k")], constants, opset=21)) == error


SCALES = {
    "s": number(0.5),
    "n": number(-0.5),
    "z": byte(),
    "t": np.array([0.5, 1], np.float32),
    "u": number(0.25),
    "w": np.ones((72, 3), np.int8),
    "c": np.ones((2, 2, 72, 3), np.int8),
    "v": np.zeros((), np.int8),
    "a": byte(4),
    "b": byte(200),
}

QUANTISED: dict[str, tuple[list[Any], str]] = {
    "a rectifier of whole numbers": (
        [node("QuantizeLinear", "x s z", "q"), node("Relu", "q")],
        "error[SNN203]: Relu of quantised numbers is not read\n  at: m.onnx: Relu.y",
    ),
    "several scales": (
        [node("QuantizeLinear", "x t z")],
        "error[SNN203]: activations quantised with several scales are not read\n"
        "  at: m.onnx: QuantizeLinear.y\n"
        "  fix: quantise activations with one scale per layer",
    ),
    "a scale below 0": (
        [node("QuantizeLinear", "x n z")],
        "error[SNN202]: a scale of -0.5\n  at: m.onnx: QuantizeLinear.y",
    ),
    "two limits": (
        [
            node("QuantizeLinear", "x s z", "q"),
            node("Clip", "q a b", "l"),
            node("Clip", "l a b"),
        ],
        "error[SNN203]: Clip of quantised numbers is not read\n  at: m.onnx: Clip.y",
    ),
    "limits upside down": (
        [node("QuantizeLinear", "x s z", "q"), node("Clip", "q b a")],
        "error[SNN203]: Clip of quantised numbers is not read\n  at: m.onnx: Clip.y",
    ),
    "no whole numbers": (
        [node("DequantizeLinear", "x s z")],
        "error[SNN203]: DequantizeLinear of values that no quantiser made is not read\n"
        "  at: m.onnx: DequantizeLinear.y",
    ),
    "another scale": (
        [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q u z")],
        "error[SNN203]: DequantizeLinear with another scale than the quantiser's is not "
        "read\n"
        "  at: m.onnx: DequantizeLinear.y",
    ),
    "another zero": (
        [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s a")],
        "error[SNN203]: DequantizeLinear with another scale than the quantiser's is not "
        "read\n"
        "  at: m.onnx: DequantizeLinear.y",
    ),
    "weights without a matrix": (
        [
            node("QuantizeLinear", "x s z", "q"),
            node("Flatten", "q", "f"),
            node("QLinearMatMul", "f s z c s v s z"),
        ],
        "error[SNN203]: a product with weights of shape (2, 2, 72, 3) is not read\n"
        "  at: m.onnx: QLinearMatMul.y",
    ),
    "samples side by side": (
        [
            node("QuantizeLinear", "x s z", "q"),
            node("QLinearConcat", "s z q s z q s z", domain=MICROSOFT, axis=0),
        ],
        "error[SNN203]: QLinearConcat of samples is not read\n  at: m.onnx: QLinearConcat.y",
    ),
    "weights that QONNX rounds its own way": (
        [node("Quant", "t s z a", "k", domain=QONNX, rounding_mode="HALF_UP"), node("Mul", "x k")],
        "error[SNN203]: Quant with rounding_mode=HALF_UP is not read\n  at: m.onnx: Quant.k",
    ),
    "weights of half a bit": (
        [node("Quant", "t s z u", "k", domain=QONNX), node("Mul", "x k")],
        "error[SNN202]: Quant cannot be computed from its constants\n  at: m.onnx: Quant.k",
    ),
    "scales for more weights": (
        [node("Quant", "s t z a", "k", domain=QONNX), node("Mul", "x k")],
        "error[SNN202]: Quant cannot be computed from its constants\n  at: m.onnx: Quant.k",
    ),
    "weights with a scale that depends on the input": (
        [node("Quant", "t x z a", "k", domain=QONNX), node("Mul", "x k")],
        "error[SNN203]: Quant of a constant and a value of the network, in this order, is "
        "not read\n"
        "  at: m.onnx: Quant.k",
    ),
}


@pytest.mark.parametrize("case", QUANTISED)
def test_a_quantiser_that_cannot_be_read_is_named(case: str) -> None:
    nodes, error = QUANTISED[case]
    content = model(nodes, SCALES, opset=19, domains=[MICROSOFT, QONNX])
    assert refused(content) == error


def no_nodes(made: Model) -> None:
    del made.graph.node[:]


def a_function(made: Model) -> None:
    made.functions.add().name = "block"


def sparse_weights(made: Model) -> None:
    made.graph.sparse_initializer.add()


def no_shape(made: Model) -> None:
    made.graph.input[0].type.tensor_type.ClearField("shape")


def nine_axes(made: Model) -> None:
    for _ in range(5):
        made.graph.input[0].type.tensor_type.shape.dim.add().dim_value = 1


def a_negative_side(made: Model) -> None:
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -2


def only_a_batch(made: Model) -> None:
    del made.graph.input[0].type.tensor_type.shape.dim[1:]


def no_input(made: Model) -> None:
    del made.graph.input[:]
    made.graph.node[0].input[0] = "w"


def nine_axes_of_weights(made: Model) -> None:
    made.graph.initializer[0].dims.extend([1] * 8)


def a_negative_side_of_weights(made: Model) -> None:
    made.graph.initializer[0].dims[0] = -1


def more_weights_than_bytes(made: Model) -> None:
    made.graph.initializer[0].dims[0] = 2**40


def a_branch(made: Model) -> None:
    made.graph.node[0].CopyFrom(
        helper.make_node(
            "If", ["c"], ["y"], name="If.y", then_branch=helper.make_graph([], "a", [], [])
        )
    )


def the_same_value_twice(made: Model) -> None:
    made.graph.node.add().CopyFrom(made.graph.node[0])


STRUCTURES: dict[Callable[[Model], None], str] = {
    no_nodes: (
        "error[SNN202]: the file is not ONNX, or it is truncated or damaged\n"
        "  at: m.onnx\n"
        "  fix: export it again, with all weights in the one file"
    ),
    a_function: (
        "error[SNN203]: a model with functions of its own is not read\n"
        "  at: m.onnx: block\n"
        "  fix: inline them: onnx.inliner.inline_local_functions(model)"
    ),
    sparse_weights: "error[SNN203]: sparse weights are not read\n  at: m.onnx",
    no_shape: "error[SNN204]: an input without a shape\n  at: m.onnx: x",
    nine_axes: (
        "error[SNN202]: the file is not ONNX, or it is truncated or damaged\n"
        "  at: m.onnx\n"
        "  fix: export it again, with all weights in the one file"
    ),
    a_negative_side: (
        "error[SNN202]: the file is not ONNX, or it is truncated or damaged\n"
        "  at: m.onnx\n"
        "  fix: export it again, with all weights in the one file"
    ),
    only_a_batch: (
        "error[SNN204]: an input without a batch axis, which comes first\n"
        "  at: m.onnx: x\n"
        "  fix: export with a sample of shape (1, ...)"
    ),
    no_input: "error[SNN206]: nothing enters the network\n  at: m.onnx",
    nine_axes_of_weights: (
        "error[SNN202]: the file is not ONNX, or it is truncated or damaged\n"
        "  at: m.onnx\n"
        "  fix: export it again, with all weights in the one file"
    ),
    a_negative_side_of_weights: (
        "error[SNN202]: the file is not ONNX, or it is truncated or damaged\n"
        "  at: m.onnx\n"
        "  fix: export it again, with all weights in the one file"
    ),
    more_weights_than_bytes: (
        "error[SNN202]: the file is not ONNX, or it is truncated or damaged\n"
        "  at: m.onnx\n"
        "  fix: export it again, with all weights in the one file"
    ),
    a_branch: (
        "error[SNN203]: If with a graph of its own is not read\n"
        "  at: m.onnx: If.y\n"
        "  fix: export a network without branches and loops"
    ),
    the_same_value_twice: "error[SNN206]: two operations give the same value\n  at: m.onnx: y",
}


@pytest.mark.parametrize("change", STRUCTURES, ids=lambda change: change.__name__)
def test_a_structure_that_cannot_be_read_is_named(change: Callable[[Model], None]) -> None:
    made = onnx.load_model_from_string(model([node("Add", "x w")], {"w": ones(1)}))
    change(made)
    assert refused(made.SerializeToString()) == STRUCTURES[change]


def test_the_indices_of_a_pooling_are_not_read_but_may_be_there() -> None:
    pooled = helper.make_node("MaxPool", ["x"], ["p", "i"], name="pool", kernel_shape=[2, 2])
    assert refused(model([pooled, node("Add", "p i")], {})) == (
        "error[SNN203]: a second output of MaxPool is not read\n  at: m.onnx: pool"
    )
    assert len(read_onnx(model([pooled, node("Relu", "p")], {}), "m.onnx").nodes) == 2


def test_axes_of_a_padding_are_not_read() -> None:
    constants = {"p": whole(1, 1), "a": whole(3)}
    assert refused(model([node("Pad", "x p - a")], constants, opset=18)) == (
        "error[SNN203]: Pad of stated axes is not read\n  at: m.onnx: Pad.y"
    )


def test_a_file_beyond_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = model([node("Relu", "x", "r"), node("Neg", "r")], {})
    monkeypatch.setattr(onnx_file, "MOST_NODES", 1)
    assert refused(content) == (
        f"error[SNN202]: 2 operations; at most 1 are read\n  at: m.onnx\n  fix: {higher(2, 1)}"
    )
    monkeypatch.setattr(onnx_file, "LARGEST_FILE", 20)
    assert refused(content) == (
        f"error[SNN202]: the file has {len(content)} bytes; at most 20 are read\n  at: m.onnx"
    )


def test_padded_kernels_are_counted_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "MOST_MADE", 100)
    content = model([node("Conv", "x w", pads=[0, 0, 3, 3])], {"w": ones(3, 2, 3, 3)})
    message = refused(content)
    assert message.startswith(
        "error[SNN204]: windows and paddings of more than 100 numbers\n"
        "  at: m.onnx: Conv.y\n  fix: SNN_DEPLOY_LIMITS="
    )
