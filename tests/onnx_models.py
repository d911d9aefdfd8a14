"""ONNX models of a few operations, and what onnx's own evaluator gives for them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from snn_deploy.frontends.ann import evaluate
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.onnx import read_onnx

Shape = tuple[int, ...]
Array = np.ndarray


def model(
    nodes: Sequence[Any],
    constants: dict[str, Array],
    shape: Sequence[int | str] = (1, 2, 6, 6),
    *,
    opset: int = 13,
    output: str = "y",
    domains: Sequence[str] = (),
) -> bytes:
    """Return the bytes of a model that reads "x" and gives `output`."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid(domain, 1) for domain in domains]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return bytes(made.SerializeToString())


def node(kind: str, inputs: str, output: str = "y", **attributes: Any) -> Any:
    """Return an operation; inputs by name, separated by blanks, "-" for one left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(kind, names, [output], name=f"{kind}.{output}", **attributes)


def answers(graph: LayerGraph, x: Array) -> Array:
    """Return what the layers give for "x"."""
    (source,) = graph.outputs.values()
    return evaluate(graph, {"x": x}, dtype=np.float64)[source]


def expected(content: bytes, x: Array) -> Array:
    """Return what onnx's evaluator gives."""
    from onnx.reference import ReferenceEvaluator

    (value,) = ReferenceEvaluator(onnx.load_model_from_string(content)).run(None, {"x": x})
    return value


def check(content: bytes, shape: Shape, *, batch: int = 1) -> LayerGraph:
    """Compare layers and evaluator on random inputs; return the layers."""
    graph = read_onnx(content, "m.onnx")
    x = np.random.default_rng(5).normal(0, 1, (batch, *shape)).astype(np.float32)
    wanted = expected(content, x)
    np.testing.assert_allclose(answers(graph, x), wanted, rtol=1e-4, atol=1e-5)
    return graph
