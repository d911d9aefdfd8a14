"""`inspect` says who decided how neurons compute, and runs a module's own code once."""

from pathlib import Path

import numpy as np
import pytest

import snn_deploy
from snn_deploy.frontends import write_nir
from snn_deploy.frontends.layers import Cell, LayerGraph, Linear
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.ir.network import Floor, Reset
from snn_deploy.ir.neuron import ResetKind, When


@pytest.fixture
def stated(tmp_path: Path) -> Path:
    """Return the path of a NIR file whose metadata states every number of its neurons."""
    graph = LayerGraph(inputs={"input": (2,)})
    graph.add("fc", Linear(weight=np.eye(2, dtype=np.float32)), "input")
    reset = Reset(kind=ResetKind.SUBTRACT, amount=np.array([1.0, 2.0]), when=When.NEXT)
    cell = Cell(decay=np.asarray(0.5), reset=reset, floor=Floor(value=np.asarray(-1.5)))
    graph.add("n", cell, "fc")
    graph.outputs["output"] = "n"
    form = to_nir(graph)
    path = tmp_path / "n.nir"
    path.write_bytes(write_nir(form.graph, form.annotation))
    return path


def rows(inspection: object) -> list[list[str]]:
    """Return the lines about the neurons n, without the spaces that align them."""
    text = str(inspection)
    table = text[text.index("who decided") :].splitlines()
    return [line.split() for line in table if line.split()[:1] == ["n"]]


def test_neurons_of_a_file_were_decided_by_its_metadata(stated: Path) -> None:
    assert rows(snn_deploy.inspect(stated)) == [
        ["n", "every", "number", "membrane", "only,", "binary", "metadata"],
        ["n", "reset", "subtract", "1..2,", "late", "metadata"],
        ["n", "compare", ">", "metadata"],
        ["n", "floor", "-1.5", "metadata"],
    ]


def test_options_are_shown_as_who_decided(stated: Path) -> None:
    options = {"reset": "none", "compare": ">=", "floor": float("-inf")}
    assert rows(snn_deploy.inspect(stated, **options)) == [
        ["n", "every", "number", "membrane", "only,", "binary", "metadata"],
        ["n", "reset", "none", "override"],
        ["n", "compare", ">=", "override"],
        ["n", "floor", "none", "override"],
    ]


CODE = """
import snntorch, torch

runs = []

def row():
    runs.append(1)
    return torch.nn.Sequential(torch.nn.Linear(2, 2), snntorch.Leaky(0.5, init_hidden=True))

class Constant(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("0", torch.nn.Linear(2, 2))
        self.add_module("1", snntorch.Leaky(0.5))

    def forward(self, x):
        layer, neurons = self.get_submodule("0"), self.get_submodule("1")
        membrane, sent = neurons.init_leaky(), []
        for _ in range(5):
            spikes, membrane = neurons(layer(x), membrane)
            sent.append(spikes)
        return torch.stack(sent)
"""


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of weights whose module is made by the code above."""
    torch = pytest.importorskip("torch")
    snntorch = pytest.importorskip("snntorch")
    (tmp_path / "code_of_modules.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), snntorch.Leaky(0.5, init_hidden=True))
    torch.save(module.state_dict(), tmp_path / "w.pt")
    return tmp_path / "w.pt"


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_users_factory_runs_once(weights: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", input=np.ones((1, 6, 2), np.float32))
    text = str(
        snn_deploy.inspect(
            weights, module="code_of_modules:row", simulate=tmp_path / "data.npz", sample_shape="2"
        )
    )
    assert "same spikes" in text
    import code_of_modules

    assert len(code_of_modules.runs) == 1


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_says_why_the_framework_is_not_run(weights: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", input=np.ones((1, 2), np.float32))
    found = snn_deploy.inspect(
        weights, module="code_of_modules:Constant", simulate=tmp_path / "data.npz", sample_shape="2"
    )
    assert str(found.text).splitlines()[-1] == (
        "  the framework is not run: it is compared on recorded steps, and this network's input is "
        "encoded as current"
    )
