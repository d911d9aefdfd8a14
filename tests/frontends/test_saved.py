"""Models saved each way that their framework can save them come back equal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import ModelError, OptionError
from snn_deploy.frontends import load

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

SHAPE = (2, 8, 8)
"""Of the input of every network here."""


def ann_layers() -> tuple[Any, ...]:
    """Return the layers that all networks share: a convolution and a dense layer."""
    return nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.Linear(64, 5)


def row(first: Any, second: Any, **extra: Any) -> Any:
    """Return convolution, neurons, flatten, dense layer, neurons."""
    conv, fc = ann_layers()
    return nn.Sequential(conv, first, nn.Flatten(), fc, second)


def snntorch_row(**options: Any) -> Any:
    snn = pytest.importorskip("snntorch")
    return row(
        snn.Leaky(0.75, threshold=0.5, init_hidden=True, **options),
        snn.Synaptic(0.5, 0.875, threshold=0.25, init_hidden=True, output=True, **options),
    )


def sinabs_row() -> Any:
    sl = pytest.importorskip("sinabs.layers")
    activation = pytest.importorskip("sinabs.activation")
    return row(
        sl.LIF(tau_mem=10.0, tau_syn=5.0, min_v_mem=-1.0, spike_threshold=torch.tensor(0.5)),
        sl.IAF(spike_fn=activation.SingleSpike, reset_fn=activation.MembraneReset()),
    )


def spikingjelly_row() -> Any:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    return row(
        neuron.LIFNode(tau=4.0, v_threshold=0.5, v_reset=None),
        neuron.IFNode(v_threshold=0.75, v_reset=0.25),
    )


def norse_row() -> Any:
    snn = pytest.importorskip("norse.torch")
    conv, fc = ann_layers()
    return snn.SequentialState(conv, snn.LIFBoxCell(), nn.Flatten(), fc, snn.LIFCell())


HEAD = """
framework = "{framework}"
input = [2, 8, 8]
[[layers]]
name = "0"
type = "Conv2d"
stride = 2
padding = 1
[[layers]]
name = "1"
{first}
[[layers]]
name = "2"
type = "Flatten"
[[layers]]
name = "3"
type = "Linear"
[[layers]]
name = "4"
{second}
"""

SAVED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "snntorch": (
        snntorch_row,
        'type = "Leaky"',
        'type = "Synaptic"',
    ),
    "sinabs": (
        sinabs_row,
        'type = "LIF"',
        'type = "IAF"\nspike_fn = "SingleSpike"\nreset_fn = "MembraneReset"',
    ),
    "spikingjelly": (
        spikingjelly_row,
        'type = "LIFNode"\ntau = 4.0\nv_threshold = 0.5\nsoft_reset = true',
        'type = "IFNode"\nv_threshold = 0.75\nv_reset = 0.25',
    ),
    "norse": (norse_row, 'type = "LIFBoxCell"', 'type = "LIFCell"'),
}
"""By framework: a network, and how an architecture file says its two layers of neurons."""


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Any, str], Path]:
    """Return a function that saves an object with torch and returns the path."""

    def write(content: Any, name: str = "model.pt") -> Path:
        path = tmp_path / name
        torch.save(content, path)
        return path

    return write


@pytest.mark.parametrize("framework", SAVED)
def test_a_state_dict_and_its_architecture_are_the_live_module(framework, save, tmp_path):
    make, first, second = SAVED[framework]
    module = make()
    arch = tmp_path / "network.toml"
    arch.write_text(HEAD.format(framework=framework, first=first, second=second))
    live = load(module, sample_shape=SHAPE)
    read = load(save(module.state_dict()), arch=arch)
    assert read.nir_bytes == live.nir_bytes


@pytest.mark.parametrize("make", [sinabs_row, spikingjelly_row], ids=lambda make: make.__name__)
def test_a_pickled_module_is_the_live_module(make, save):
    module = make()
    live = load(module, sample_shape=SHAPE)
    assert load(save(module), sample_shape=SHAPE).nir_bytes == live.nir_bytes


def test_a_pickled_snntorch_module_without_a_surrogate_is_the_live_module(save):
    module = snntorch_row(surrogate_disable=True)
    live = load(module, sample_shape=SHAPE)
    assert load(save(module), sample_shape=SHAPE).nir_bytes == live.nir_bytes


def test_a_pickled_module_of_the_users_own_class_is_joined_by_an_architecture(save, tmp_path):
    module = spikingjelly_row()
    holder = nn.ModuleDict({f"part{name}": child for name, child in module.named_children()})
    names = "".join(f'[[layers]]\nname = "part{i}"\n' for i in range(5))
    arch = tmp_path / "network.toml"
    arch.write_text(f"input = [2, 8, 8]\n{names}")
    read = load(save(holder), arch=arch).network
    live = load(module, sample_shape=SHAPE).network
    for ours, theirs in zip(read.projections, live.projections, strict=True):
        np.testing.assert_array_equal(ours.map.numbers(), theirs.map.numbers())
    for ours, theirs in zip(read.populations, live.populations, strict=True):
        np.testing.assert_array_equal(ours.threshold, theirs.threshold)
        np.testing.assert_array_equal(ours.decay, theirs.decay)


def test_a_pickled_module_of_the_users_own_class_alone_is_refused(save):
    holder = nn.ModuleDict({"fc": nn.Linear(2, 2)})
    with pytest.raises(ModelError) as caught:
        load(save(holder))
    assert str(caught.value) == (
        "error[SNN203]: torch.nn.modules.container.ModuleDict is none of the layers that are read; "
        "if it joins other layers, how it does is code, which is not in the file\n"
        "  at: model.pt: the module\n"
        "  fix: --arch FILE.toml, which joins its parts by their names. Or save its state_dict(), "
        "and --module package.module:function, which runs your own code"
    )


def test_weights_alone_are_refused_with_both_ways_out(save):
    with pytest.raises(ModelError) as caught:
        load(save(nn.Linear(2, 3).state_dict()))
    assert str(caught.value) == (
        "error[SNN203]: the file holds 2 tensors, but neither the layers nor the neurons that they "
        "belong to (a norse module saves as nothing else)\n"
        "  at: model.pt\n"
        "  fix: --arch FILE.toml, which names them; snn-deploy inspect drafts one. Or --module "
        "package.module:function, which makes the network in your own code"
    )


def test_a_lightning_checkpoint_and_safetensors_are_weights_too(save, tmp_path):
    module = spikingjelly_row()
    _, first, second = SAVED["spikingjelly"]
    arch = tmp_path / "network.toml"
    arch.write_text(HEAD.format(framework="spikingjelly", first=first, second=second))
    live = load(module, sample_shape=SHAPE).nir_bytes
    checkpoint = {"state_dict": module.state_dict(), "epoch": 3, "hyper_parameters": {"lr": 0.1}}
    assert load(save(checkpoint, "last.ckpt"), arch=arch).nir_bytes == live
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(module.state_dict(), tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors", arch=arch).nir_bytes == live


# ------------------------------------------------------------------- factories


FACTORY = """
import torch
from norse.torch import LIFBoxCell, SequentialState

def network():
    return SequentialState(torch.nn.Linear(4, 3), LIFBoxCell())

def number():
    return 3

def broken():
    raise RuntimeError("no dataset")
"""


@pytest.fixture
def own_code(tmp_path, monkeypatch) -> Path:
    """Put a module of the user's into the current folder."""
    pytest.importorskip("norse.torch")
    (tmp_path / "own_code.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_code", raising=False)
    return tmp_path


def test_a_factory_makes_the_module_of_a_state_dict(own_code, save):
    snn = pytest.importorskip("norse.torch")
    module = snn.SequentialState(nn.Linear(4, 3), snn.LIFBoxCell())
    read = load(save(module.state_dict()), factory="own_code:network")
    assert read.nir_bytes == load(module).nir_bytes


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (
            "own_code",
            "error[SNN102]: 'own_code' does not name a function\n"
            "  at: --module\n"
            "  fix: --module package.module:function",
        ),
        (
            "nowhere:network",
            "error[SNN102]: there is no Python module 'nowhere'\n"
            "  at: --module\n"
            "  fix: run the command in the folder that holds it, or install it",
        ),
        (
            "own_code:networks",
            "error[SNN102]: own_code has no function 'networks'\n"
            "  at: --module\n"
            "  fix: check its name",
        ),
        (
            "own_code:number",
            "error[SNN102]: own_code:number gives a int, not a torch module\n"
            "  at: --module\n"
            "  fix: name a function without arguments that returns the network",
        ),
        (
            "own_code:broken",
            "error[SNN200]: it fails with RuntimeError: no dataset\n"
            "  at: own_code:broken\n"
            "  fix: call it in Python to see where",
        ),
    ],
)
def test_a_factory_that_makes_no_network_is_refused(own_code, save, factory, said):
    with pytest.raises((OptionError, ModelError)) as caught:
        load(save(nn.Linear(4, 3).state_dict()), factory=factory)
    assert str(caught.value) == said


def test_weights_of_another_network_do_not_fit_a_factory(own_code, save):
    with pytest.raises(ModelError) as caught:
        load(save({"weight": torch.zeros(3, 4)}), factory="own_code:network")
    assert caught.value.code == "SNN204"
    assert "Missing key(s) in state_dict" in str(caught.value)


def test_a_layer_of_weights_that_acts_twice_is_there_twice():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    shared = nn.Linear(3, 3)
    module = nn.Sequential(shared, neuron.IFNode(), shared, neuron.IFNode())
    network = load(module).network
    assert [p.source for p in network.projections] == ["input", "1"]
    assert network.outputs[0].population == "3"


def test_neurons_that_act_twice_in_a_step_are_refused():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    shared = neuron.IFNode()
    with pytest.raises(ModelError) as caught:
        load(nn.Sequential(nn.Linear(3, 3), shared, nn.Linear(3, 3), shared))
    assert str(caught.value) == (
        "error[SNN203]: the same IFNode is '1' too: its neurons would act twice in a step\n"
        "  at: 3\n"
        "  fix: make two of them"
    )
