"""What `snn-deploy export model.pt` does with the files that people have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.errors import OptionError

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, as a new user does."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def said(here: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """Return a function that runs a command line and returns status, output and errors."""

    def command(*words: str) -> tuple[int, str, str]:
        status = run(words)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def positive(module: Any) -> Any:
    """Return the module with weights that make its neurons fire."""
    torch.manual_seed(0)
    for name, parameter in module.named_parameters():
        if name.endswith("weight"):
            parameter.data = torch.rand_like(parameter) * 0.5
    return module


def test_a_pickled_spikingjelly_module_deploys(here, said):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    module = nn.Sequential(
        nn.Linear(6, 8), neuron.LIFNode(tau=2.0), nn.Linear(8, 3), neuron.IFNode()
    )
    torch.save(positive(module), here / "model.pt")
    status, out, err = said("export", "model.pt", "--target", "loihi")
    assert (status, err) == (0, "")
    assert "wrote model-loihi2" in out
    np.savez(here / "data.npz", input=np.random.default_rng(0).integers(0, 2, (3, 20, 6)))
    assert said("verify", "model-loihi2", "--input", "data.npz")[0] == 0


def test_a_pickled_torch_module_is_an_ann_and_becomes_a_spiking_network(here, said):
    module = positive(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)))
    torch.save(module, here / "model.pt")
    status, out, err = said("export", "model.pt", "--target", "loihi")
    assert (status, out) == (1, "")
    assert err == (
        "error[SNN203]: this network has activations in place of neurons: it is an ANN\n"
        "  at: 1\n"
        "  fix: snn-deploy export with --calibrate DATA, inputs like those to come: with them "
        "its activations become integrate-and-fire neurons (--steps says for how many steps)\n"
    )
    values = np.random.default_rng(0).random((200, 6), np.float32)
    label = module(torch.from_numpy(values)).argmax(1).numpy()
    np.savez(here / "data.npz", input=values, label=label)
    status, out, err = said(
        *("export", "model.pt", "--target", "cpu", "--calibrate", "data.npz", "--steps", "64")
    )
    assert (status, err) == (0, "")
    found = snn_deploy.evaluate(here / "model-cpu", data=here / "data.npz")
    assert found.correct_real is not None
    assert found.correct_real >= 190
    assert found.correct >= 190


def test_a_snntorch_state_dict_deploys_with_its_architecture(here, said):
    snn = pytest.importorskip("snntorch")
    module = nn.Sequential(nn.Linear(6, 8), snn.Leaky(0.9), nn.Linear(8, 3), snn.Leaky(0.8))
    torch.save(positive(module).state_dict(), here / "model.pt")
    status, drafted, _ = said("inspect", "model.pt")
    assert status == 0
    text = drafted.replace('framework = "?"', 'framework = "snntorch"').replace("[?]", "[6]")
    (here / "network.toml").write_text(text)
    status, out, err = said("export", "model.pt", "--arch", "network.toml", "--target", "loihi")
    assert (status, err) == (0, "")
    assert "wrote model-loihi2" in out
    assert "by 1 late" in said("inspect", "model.pt", "--arch", "network.toml")[1]


def test_a_norse_state_dict_says_exactly_what_to_do(here, said):
    snn = pytest.importorskip("norse.torch")
    module = snn.SequentialState(nn.Linear(6, 3), snn.LIFBoxCell())
    torch.save(module.state_dict(), here / "model.pt")
    status, out, err = said("export", "model.pt", "--target", "loihi")
    assert (status, out) == (1, "")
    assert err == (
        "error[SNN203]: the file holds 2 tensors, but neither the layers nor the neurons that they "
        "belong to (a norse module saves as nothing else)\n"
        "  at: model.pt\n"
        "  fix: --arch FILE.toml, which names them; snn-deploy inspect drafts one. Or --module "
        "package.module:function, which makes the network in your own code\n"
    )
    (here / "own_network.py").write_text(
        "import torch\n"
        "from norse.torch import LIFBoxCell, SequentialState\n"
        "def make():\n"
        "    return SequentialState(torch.nn.Linear(6, 3), LIFBoxCell())\n"
    )
    assert said("export", "model.pt", "--module", "own_network:make")[0] == 0


def test_a_model_is_run_beside_its_framework(here, said):
    snn = pytest.importorskip("norse.torch")
    module = snn.SequentialState(nn.Linear(6, 3), snn.LIFBoxCell())
    positive(module)
    torch.save(module.state_dict(), here / "model.pt")
    (here / "another_network.py").write_text(
        "import torch\n"
        "from norse.torch import LIFBoxCell, SequentialState\n"
        "def make():\n"
        "    return SequentialState(torch.nn.Linear(6, 3), LIFBoxCell())\n"
    )
    drawn = np.random.default_rng(0).random((2, 30, 6), np.float32)
    np.savez(here / "data.npz", input=10 * drawn)
    words = ("inspect", "model.pt", "--module", "another_network:make", "--simulate", "data.npz")
    status, out, err = said(*words)
    assert (status, err) == (0, "")
    table = out[out.index("run on") :].splitlines()
    assert table[0] == "run on 2 samples of 30 steps"
    assert table[1].split() == ["neurons", "count", "spikes/sample", "active", "framework"]
    name, count, spikes, *_, verdict = table[2].split(maxsplit=4)
    assert (name, count, verdict) == ("1", "3", "same spikes")
    assert float(spikes) > 3
    np.savez(here / "wide.npz", input=np.ones((2, 30, 7)))
    status, _, err = said(*words[:-1], "wide.npz")
    assert status == 1
    assert err == (
        "error[SNN208]: samples of shape (30, 7), but this input takes [step, 6]\n"
        "  at: --simulate: input\n"
    )


def test_an_image_network_says_that_it_needs_a_shape_and_takes_it(here, said):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    torch.save(nn.Sequential(nn.Conv2d(1, 2, 3), neuron.IFNode()), here / "model.pt")
    status, _, err = said("export", "model.pt")
    assert status == 2
    assert err == (
        "error[SNN102]: the shape of a sample is needed: the first layer takes inputs of any size\n"
        "  at: sample_shape\n"
        "  fix: --sample-shape CHANNELSxHEIGHTxWIDTH; in Python sample_shape=(channels, height, "
        "width), without batch and time\n"
    )
    assert said("export", "model.pt", "--sample-shape", "1x6x6")[0] == 0
    status, _, err = said("export", "model.pt", "--sample-shape", "1xy")
    assert status == 2
    assert err.startswith("error[SNN102]: '1xy' is no shape\n")


def test_an_architecture_and_a_factory_are_not_given_together(here, said):
    torch.save({"fc.weight": torch.zeros(2, 2)}, here / "model.pt")
    (here / "a.toml").write_text('input = [2]\n[[layers]]\nname = "fc"\ntype = "Linear"\n')
    status, _, err = said("export", "model.pt", "--arch", "a.toml", "--module", "a:b")
    assert status == 2
    assert err == (
        "error[SNN102]: an architecture and a module both say what the layers are\n"
        "  at: --arch, --module\n"
        "  fix: give one of them\n"
    )


@pytest.mark.shared
def test_a_lava_dl_file_deploys_as_the_integers_it_holds(shared_data, here, said):
    path = shared_data / "lava-dl" / "oxford.net"
    status, out, _ = said("inspect", str(path))
    assert status == 0
    assert "whole numbers" in out
    assert "dense_1" in out
    assert said("export", str(path), "--layers", "1", "--output", "out")[0] == 0
    given = np.load(shared_data / "lava-dl" / "oxford_in.npy")
    spikes = np.load(shared_data / "lava-dl" / "oxford_out.npy")
    found = snn_deploy.simulate(here / "out", input=given.T[None].astype(np.int32))
    assert found.activity[0].spikes == spikes.sum()
    status, _, err = said("export", str(path), "--bits", "4")
    assert status == 2
    assert err == (
        "error[SNN102]: --bits says nothing about a .net file: it holds integers already\n"
        "  at: --bits\n"
        "  fix: leave --bits out\n"
    )
    read = snn_deploy.load(here / "out")
    with pytest.raises(OptionError) as caught:
        _ = read.network
    assert str(caught.value) == (
        "error[SNN102]: this network was trained as integers: there are no real values to compare "
        "with\n"
        "  at: oxford\n"
        "  fix: --no-real"
    )
