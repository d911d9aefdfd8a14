"""What an ONNX file computes from its own constants, and what layers take in."""

from typing import Any

import numpy as np
import pytest

from snn_deploy.frontends.layers import Convolution, Scale, Sum
from snn_deploy.frontends.onnx import read_onnx

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402  it may be absent
from onnx_models import answers, check, model, node  # noqa: E402  the same

Array = np.ndarray

KERNEL = (np.arange(54, dtype=np.float32).reshape(3, 2, 3, 3) - 25) / 16
LINE = np.arange(-3, 3, dtype=np.float32)


def whole(*values: int) -> Array:
    """Return int64 numbers."""
    return np.array(values, np.int64)


CONSTANTS: dict[str, tuple[list[Any], dict[str, Array]]] = {
    "one number": ([node("Constant", "", "k", value_float=0.75)], {}),
    "a list of numbers": ([node("Constant", "", "k", value_floats=list(LINE))], {}),
    "a whole number": (
        [node("Constant", "", "i", value_int=3), node("Cast", "i", "k", to=TensorProto.FLOAT)],
        {},
    ),
    "a list of whole numbers": (
        [
            node("Constant", "", "i", value_ints=[1, 6]),
            node("Reshape", "line i", "k"),
        ],
        {"line": LINE},
    ),
    "whole numbers divided toward zero": (
        [node("Div", "a b", "i"), node("Cast", "i", "k", to=TensorProto.FLOAT)],
        {"a": whole(7, -7, 8, -8, 1, -1), "b": whole(2, 2, -3, -3, 2, 2)},
    ),
    "numbers divided": ([node("Div", "line four", "k")], {"line": LINE, "four": LINE[:1]}),
    "sides of 1 left out": ([node("Squeeze", "line", "k")], {"line": LINE.reshape(1, 6, 1)}),
    "an upper limit alone": ([node("Clip", "line - one", "k")], {"line": LINE, "one": LINE[4]}),
    "numbers of half precision": (
        [node("Cast", "line", "k", to=TensorProto.FLOAT)],
        {"line": LINE.astype(np.float16)},
    ),
}


@pytest.mark.parametrize("case", CONSTANTS)
def test_constants_are_what_the_evaluator_makes_of_them(case: str) -> None:
    nodes, constants = CONSTANTS[case]
    check(model([*nodes, node("Mul", "x k")], constants), (2, 6, 6))


def test_a_slice_of_opset_9_is_cut_by_its_attributes() -> None:
    cut = node("Slice", "line", "k", starts=[1, 0], ends=[2, 6])
    back = node("Slice", "k", "l", starts=[-6], ends=[6], axes=[1])
    content = model([cut, back, node("Mul", "x l")], {"line": LINE.reshape(1, 6).repeat(3, 0)})
    old = onnx.load_model_from_string(content)
    old.opset_import[0].version = 9
    check(old.SerializeToString(), (2, 6, 6))


@pytest.mark.parametrize(
    ("kind", "values"),
    [("BFLOAT16", [0.5, -1.25, 3.0]), ("FLOAT16", [0.5, -1.25, 3.0]), ("INT4", [-8.0, 7.0, 3.0])],
)
def test_weights_of_narrow_types_keep_their_values(kind: str, values: list[float]) -> None:
    made = onnx.load_model_from_string(
        model([node("Cast", "w", "k", to=TensorProto.FLOAT), node("Mul", "x k")], {}, (1, 3))
    )
    made.graph.initializer.append(
        helper.make_tensor("w", getattr(TensorProto, kind), [3], np.array(values))
    )
    graph = read_onnx(made.SerializeToString(), "m.onnx")
    assert answers(graph, np.ones((1, 3), np.float32)).tolist() == [values]


PASSED: dict[str, list[Any]] = {
    "no limits": [node("Clip", "x", "c")],
    "another precision": [node("Cast", "x", "c", to=TensorProto.DOUBLE)],
    "a mask that nobody reads": [helper.make_node("Dropout", ["x"], ["c", "mask"])],
    "an output left out": [helper.make_node("Dropout", ["x"], ["c", ""])],
}


@pytest.mark.parametrize("case", PASSED)
def test_what_changes_nothing_adds_no_layer(case: str) -> None:
    graph = check(model([*PASSED[case], node("Neg", "c")], {}), (2, 6, 6))
    assert len(graph.nodes) == 1


FOLDED: dict[str, tuple[list[Any], dict[str, Array]]] = {
    "a factor": ([node("Mul", "c k")], {"k": np.float32(0.3)}),
    "a factor per channel": ([node("Mul", "c k")], {"k": LINE[:3].reshape(3, 1, 1)}),
    "a shift": ([node("Add", "c k")], {"k": LINE[:3].reshape(1, 3, 1, 1)}),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("case", FOLDED)
def test_factors_and_shifts_behind_a_kernel_are_folded_into_it(case: str, bias: bool) -> None:
    nodes, constants = FOLDED[case]
    constants = {"w": KERNEL, **constants, **({"b": LINE[3:]} if bias else {})}
    first = node("Conv", "x w b" if bias else "x w", "c")
    graph = check(model([first, *nodes], constants), (2, 6, 6))
    (only,) = graph.nodes.values()
    assert isinstance(only.layer, Convolution)


def test_a_factor_that_differs_within_a_channel_is_a_layer_of_its_own() -> None:
    constants = {"w": KERNEL, "k": np.arange(16, dtype=np.float32).reshape(4, 4)}
    graph = check(model([node("Conv", "x w", "c"), node("Mul", "c k")], constants), (2, 6, 6))
    assert [type(each.layer) for each in graph.nodes.values()] == [Convolution, Scale]


def test_a_sum_of_values_and_constants_is_a_sum_and_a_shift() -> None:
    constants = {"a": np.float32(0.5), "b": LINE[:2].reshape(2, 1, 1)}
    graph = check(
        model([node("Neg", "x", "n"), node("Relu", "x", "r"), node("Sum", "a n r b")], constants),
        (2, 6, 6),
    )
    assert sum(isinstance(each.layer, Sum) for each in graph.nodes.values()) == 1
    check(model([node("Sum", "a x b")], constants), (2, 6, 6))


def test_operations_of_one_name_become_layers_of_several() -> None:
    nodes = [helper.make_node("Neg", [a], [b], name="same") for a, b in ("xp", "pq", "qy")]
    assert list(check(model(nodes, {}), (2, 6, 6)).nodes) == ["same", "same_2", "same_3"]


def test_weights_of_one_bit_are_plus_or_minus_their_scale() -> None:
    domain = "qonnx.custom_op.general"
    content = model(
        [node("BipolarQuant", "w s", "q", domain=domain), node("MatMul", "x q")],
        {"w": np.array([[0.3, -0.1], [0.0, -2.0]], np.float32), "s": np.float32(0.5)},
        (1, 2),
        domains=[domain],
    )
    given = answers(read_onnx(content, "m.onnx"), np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert given.tolist() == [[0.5, -0.5], [0.5, -0.5]]


def quantised(*nodes: Any, **more: Array) -> tuple[bytes, Array, Array]:
    """Return a model behind a quantiser of 1/8, values on its lattice, and weights of whole
    numbers [post, pre] that it has as "w", in steps of 1/4."""
    weight = np.array([[3, -5], [0, 7], [-8, 1]], np.int8)
    constants: dict[str, Array] = {
        "s": np.array(1 / 8, np.float32),
        "z": np.array(0, np.int8),
        "w": weight,
        "t": np.array(1 / 4, np.float32),
        **more,
    }
    content = model(
        [node("QuantizeLinear", "x s z", "q"), *nodes],
        constants,
        (1, 2),
        opset=19,
        domains=["com.microsoft"],
    )
    x = np.array([[1.5, -0.25], [0.0, 2.0], [-1.0, 0.125]], np.float32)
    return content, x, weight / 4


def test_a_quantised_product_may_give_real_numbers() -> None:
    gemm = node("QGemm", "q s z w t v", domain="com.microsoft", transB=1)
    content, x, weight = quantised(gemm, v=np.array(0, np.int8))
    assert np.array_equal(answers(read_onnx(content, "m.onnx"), x), x @ weight.T)


def test_quantised_values_side_by_side_are_those_of_each() -> None:
    side = node("QLinearConcat", "s z q s z q s z", "j", domain="com.microsoft", axis=-1)
    content, x, _ = quantised(side, node("DequantizeLinear", "j s z"))
    assert np.array_equal(answers(read_onnx(content, "m.onnx"), x), np.hstack([x, x]))


def test_a_quantised_convolution_needs_no_bias() -> None:
    weight = np.array([[[[1, -2], [3, 0]]]], np.int8)
    constants = {
        "s": np.array(1 / 8, np.float32),
        "z": np.array(0, np.int8),
        "w": weight,
        "t": np.array(1 / 4, np.float32),
    }
    content = model(
        [
            node("QuantizeLinear", "x s z", "q"),
            node("QLinearConv", "q s z w t z s z", "c"),
            node("DequantizeLinear", "c s z"),
        ],
        constants,
        (1, 1, 2, 2),
        opset=19,
    )
    x = np.array([[[[0.5, 1.0], [0.25, -1.0]]]], np.float32)
    assert answers(read_onnx(content, "m.onnx"), x).item() == (0.5 - 2.0 + 0.75) / 4
