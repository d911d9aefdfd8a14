"""What `load` takes: kinds of files, and what users state against what a file states."""

from pathlib import Path

import nir
import numpy as np
import pytest
from net_files import dense, net_bytes

from snn_deploy.errors import DeployError
from snn_deploy.frontends import Dialect, Overrides, ResetRule, load
from snn_deploy.frontends.dynamics import Unit
from snn_deploy.frontends.layers import Cell, LayerGraph, Linear
from snn_deploy.ir.network import Population, Reset, Synapse
from snn_deploy.ir.neuron import Compare, ResetKind, When


def neurons(reset: Reset) -> LayerGraph:
    """Return leaky neurons with a current, behind a dense layer, in steps of 1 ms."""
    graph = LayerGraph(inputs={"x": (2,)}, dt=1e-3, unit=Unit.SECOND)
    graph.add("fc", Linear(weight=np.eye(2)), "x")
    cell = Cell(
        decay=np.asarray(0.5),
        synapse=Synapse(decay=np.asarray(0.25)),
        threshold=np.asarray(0.75),
        compare=Compare.GREATER_EQUAL,
        reset=reset,
    )
    graph.add("n", cell, "fc")
    graph.outputs["out"] = "n"
    return graph


TO_A_QUARTER = Reset(kind=ResetKind.VALUE, amount=np.asarray(0.25))

RESETS = {
    ResetRule.SUBTRACT: (ResetKind.SUBTRACT, 0.75, When.NOW),
    ResetRule.LATE_VALUE: (ResetKind.VALUE, 0.25, When.NEXT),
    ResetRule.NONE: (ResetKind.NONE, 0.0, When.NOW),
}


def read(graph: LayerGraph, overrides: Overrides) -> Population:
    """Return the neurons as read back from the file that is written of them."""
    return load(load(graph).nir_bytes, overrides=overrides).network.population("n")


@pytest.mark.parametrize("rule", RESETS)
def test_a_reset_that_the_user_states_keeps_the_numbers_of_the_file(rule: ResetRule) -> None:
    found = read(neurons(TO_A_QUARTER), Overrides(reset=rule))
    kind, amount, when = RESETS[rule]
    assert (found.reset.kind, float(found.reset.amount), found.reset.when) == (kind, amount, when)
    assert (float(found.decay), float(found.threshold)) == (0.5, 0.75)


def test_a_reset_to_a_value_that_the_file_does_not_have_is_to_0() -> None:
    subtracting = Reset(kind=ResetKind.SUBTRACT, amount=np.asarray(0.75))
    found = read(neurons(subtracting), Overrides(reset=ResetRule.VALUE))
    assert (found.reset.kind, float(found.reset.amount)) == (ResetKind.VALUE, 0.0)


def test_another_step_than_that_of_stated_neurons_is_refused() -> None:
    assert np.array_equal(read(neurons(TO_A_QUARTER), Overrides(dt=1e-3)).decay, 0.5)
    with pytest.raises(DeployError) as caught:
        read(neurons(TO_A_QUARTER), Overrides(dt=2e-3))
    assert str(caught.value) == (
        "error[SNN102]: dt is 0.002, but these neurons were read with the step they compute: "
        "0.001\n  at: --dt\n  fix: leave --dt out"
    )


def test_a_dialect_and_its_name_are_the_same(build, port, out, integrate) -> None:
    graph = build(
        {"input": port(2), "fc": nir.Linear(np.eye(2)), "n": integrate(2), "output": out(2)},
        "input fc n output",
    )
    named, said = (load(graph, dialect=dialect) for dialect in ("snntorch", Dialect.SNNTORCH))
    assert named.nir_bytes == said.nir_bytes
    assert named.nir_bytes != load(graph, dialect=Dialect.NIR).nir_bytes


def test_a_net_file_holds_no_network_of_real_numbers(tmp_path: Path) -> None:
    path = tmp_path / "model.net"
    path.write_bytes(net_bytes([dense(np.eye(2) * 64)]))
    with pytest.raises(DeployError) as caught:
        load(path)
    assert str(caught.value) == (
        "error[SNN102]: a .net file holds integers, and needs no network of real numbers\n"
        "  at: model.net\n"
        "  fix: snn-deploy export reads it"
    )


def test_an_onnx_file_becomes_what_its_layers_become(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from onnx_models import model, node

    from snn_deploy.frontends.onnx import read_onnx

    weight = (np.arange(6, dtype=np.float32).reshape(2, 3) - 2) / 4
    content = model([node("MatMul", "x w", "p"), node("Relu", "p")], {"w": weight}, (1, 2))
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    values = np.linspace(-1, 1, 64).reshape(32, 2)
    layers = load(read_onnx(content, "model.onnx"), calibration=values)
    found = load(path, calibration=values)
    assert np.array_equal(
        found.graph.nodes["MatMul.p"].weight, layers.graph.nodes["MatMul.p"].weight
    )
    assert found.graph.edges == layers.graph.edges
    with pytest.raises(DeployError) as caught:
        load(path, sample_shape=(2,))
    assert str(caught.value) == (
        "error[SNN102]: sample_shape says nothing about a file of ONNX: it is for modules, whose "
        "layers take inputs of any size\n"
        "  at: sample_shape\n"
        "  fix: leave sample_shape out"
    )


@pytest.mark.torch
def test_a_sample_of_no_samples_is_refused() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
    with pytest.raises(DeployError) as caught:
        load(module, sample=np.zeros((0, 3, 4)), sample_shape=(4,))
    assert str(caught.value) == "error[SNN102]: there is no sample in it\n  at: sample"
