"""`verify --against network` and `--against model`: what users see of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy import against_command as command
from snn_deploy.deploy.causes import Cause
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.divergence import (
    Agreement,
    CauseCount,
    CauseDrift,
    Divergence,
    LayerDivergence,
    Membranes,
    Trains,
)
from snn_deploy.deploy.real_verification import Limits, RealVerification
from snn_deploy.errors import DeployError, OptionError


@pytest.fixture(scope="module")
def artifact(demo_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    output = tmp_path_factory.mktemp("against") / "net"
    return snn_deploy.export(demo_network, output=output, search=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data file with noise and made-up labels."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, input=rng.random((4, 1, 28, 28)), label=rng.integers(0, 10, 4))
    return path


def test_differences_from_real_values_are_no_failure(artifact, data, capsys):
    words = ["verify", str(artifact.folder), "--input", str(data), "--against", "network"]
    assert run(words) == 0
    text = capsys.readouterr().out
    assert text.startswith("integers against the network as trained: 4 samples of 16 steps\n")
    assert "likely causes" in text
    assert run([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["layer"] for one in record["layers"]] == ["lif1", "lif2", "lif3", "li"]
    assert record["passed"] is True
    assert record["exceeded"] == []
    first = record["layers"][0]["whole"]["first"]
    assert first["causes"][0] in {cause.value for cause in Cause}
    assert first["expected"] != first["got"]
    assert record["layers"][1]["alone"]["trains"]["mismatch"] > 0


def test_limits_make_differences_a_failure(artifact, data, capsys):
    words = ["verify", str(artifact.folder), "--input", str(data), "--against", "network"]
    assert run([*words, "--max-mismatch", "0.0001"]) == 3
    assert "exceeded: the mismatch of lif1 is " in capsys.readouterr().out
    assert run([*words, "--max-mismatch", "2", "--max-drop", "100"]) == 0
    assert "exceeded" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["--against", "network,event"],
            "error[SNN102]: network is compared alone: its numbers are no integers\n"
            "  at: --against\n"
            "  fix: --against network",
        ),
        (
            ["--against", "reference", "--max-drop", "1"],
            "error[SNN102]: backends agree on every state or not at all; a limit is for real "
            "values\n"
            "  at: --max-mismatch, --max-drop\n"
            "  fix: --against network",
        ),
        (
            ["--against", "network", "--model", "net.pt"],
            "error[SNN102]: --model says nothing here: no model is run\n"
            "  at: --model\n"
            "  fix: --against model",
        ),
        (
            ["--against", "model"],
            "error[SNN102]: which model?\n"
            "  at: --against model\n"
            "  fix: --model FILE, or --against network",
        ),
        (
            ["--against", "network", "--max-mismatch", "-1"],
            "error[SNN102]: a limit of -1; it is 0 or more\n"
            "  at: --max-mismatch\n"
            "  fix: --max-mismatch 0.05",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(artifact, data, capsys, words, text):
    assert run(["verify", str(artifact.folder), "--input", str(data), *words]) == 2
    assert capsys.readouterr().err == text + "\n"


def test_a_loss_of_accuracy_needs_labels(artifact):
    images = np.zeros((1, 1, 28, 28))
    with pytest.raises(OptionError) as caught:
        snn_deploy.verify(artifact, input=images, against="network", max_drop=1)
    assert str(caught.value) == (
        "error[SNN102]: the data has no labels, so no accuracy\n"
        "  at: --max-drop\n"
        "  fix: np.savez(FILE, input=array, label=whole numbers), or leave --max-drop out"
    )


def test_integers_from_the_start_have_no_real_values(artifact):
    images = np.zeros((1, 1, 28, 28))
    with pytest.raises(OptionError) as caught:
        snn_deploy.verify(replace(artifact, nir=None), input=images, against="network")
    assert str(caught.value) == (
        "error[SNN102]: this network was trained as integers: there are no real values to "
        "compare with\n"
        "  at: mnist\n"
        "  fix: --against reference"
    )


def test_a_model_file_that_runs_no_code_is_refused(artifact, demo_network):
    images = np.zeros((1, 1, 28, 28))
    with pytest.raises(DeployError) as caught:
        snn_deploy.verify(artifact, input=images, against="model", model=demo_network)
    assert str(caught.value) == (
        "error[SNN102]: there is no module to run: no file runs code\n"
        "  at: --model\n"
        "  fix: --module package.module:function with the file of its weights, a torch module in "
        "Python, or --against network"
    )


def agreement(trains: Trains | None, first: Divergence | None) -> Agreement:
    return Agreement(
        trains=trains, membranes=Membranes(rms=0.25, relative=0.1, largest=1.0), first=first
    )


def test_the_printed_comparison_with_real_values(golden):
    first = Divergence(
        sample=3, step=7, neuron=(0, 2), expected=1.0, got=0.0,
        membrane_expected=0.02, membrane_got=0.98, threshold=1.0,
        tested_expected=1.02, tested_got=0.98, distance=0.02,
        causes=(Cause.WEIGHT_ROUNDING, Cause.BIAS),
    )  # fmt: skip
    trains = Trains(
        samples=4, expected=200.0, got=202.0, ratio=1.01, differing=8,
        mismatch=0.02, agreement=0.99, identical=0.25,
    )  # fmt: skip
    silent = replace(trains, expected=0.0, got=0.0, ratio=None, differing=0, mismatch=0.0)
    together = replace(first, causes=(Cause.SEVERAL, Cause.DECAY, Cause.THRESHOLD))
    layers = (
        LayerDivergence(
            layer="a", neurons=12, whole=agreement(trains, first), alone=agreement(trains, first),
            examined=4, drifts=(),
            causes=(
                CauseCount(cause=Cause.WEIGHT_ROUNDING, repaired=3),
                CauseCount(cause=Cause.BIAS, repaired=2),
            ),
        ),
        LayerDivergence(
            layer="b", neurons=3,
            whole=agreement(trains, replace(first, causes=(Cause.UPSTREAM,))),
            alone=agreement(silent, together), examined=1, drifts=(),
            causes=(CauseCount(cause=Cause.SEVERAL, repaired=1),),
        ),
        LayerDivergence(
            layer="out", neurons=2, whole=agreement(None, None), alone=agreement(None, None),
            examined=0, causes=(),
            drifts=(CauseDrift(cause=Cause.WEIGHT_ROUNDING, rms=0.25, rms_without=0.01),),
        ),
    )  # fmt: skip
    found = RealVerification(
        artifact="net", against="network", samples=4, steps=30, layers=layers, missing=("old",),
        same=3, correct=2, correct_expected=3, limits=Limits(mismatch=0.01, drop=1.0),
    )  # fmt: skip
    assert not found.passed
    one = CauseDrift(cause=Cause.DECAY, rms=0.1, rms_without=0.095)
    assert "several together" in str(replace(found, layers=(replace(layers[2], drifts=(one,)),)))
    golden(f"{found}\n")


def test_a_layer_that_fires_only_in_integers_exceeds_every_limit():
    trains = Trains(
        samples=1, expected=0.0, got=3.0, ratio=None, differing=3,
        mismatch=None, agreement=0.9, identical=0.0,
    )  # fmt: skip
    one = LayerDivergence(
        layer="a", neurons=1, whole=agreement(trains, None), alone=agreement(trains, None),
        examined=0, causes=(), drifts=(),
    )  # fmt: skip
    found = RealVerification(
        artifact="net", against="network", samples=1, steps=9, layers=(one,), missing=(), same=1,
        correct=None, correct_expected=None, limits=command.limits(1.0, None),
    )  # fmt: skip
    assert found.exceeded == ("the mismatch of a is -, the limit 100.00 %",)
    assert replace(found, limits=Limits()).passed


@pytest.mark.torch
class TestModel:
    """A module, run by its own framework."""

    @pytest.fixture
    def module(self):
        torch = pytest.importorskip("torch")
        snn = pytest.importorskip("snntorch")
        torch.manual_seed(3)
        made = torch.nn.Sequential(
            torch.nn.Linear(6, 16),
            snn.Leaky(0.9, init_hidden=True),
            torch.nn.Linear(16, 4),
            snn.Leaky(0.8, init_hidden=True, output=True),
        )
        for name, parameter in made.named_parameters():
            if name.endswith("weight"):
                parameter.data = torch.rand_like(parameter) * 0.5
        return made

    def spikes(self):
        return np.random.default_rng(1).integers(0, 2, (3, 25, 6))

    @pytest.mark.filterwarnings("ignore")
    def test_the_model_itself_is_what_integers_are_compared_with(self, module):
        made = snn_deploy.export(module, target="loihi", bits=4, search=False)
        found = snn_deploy.verify(made, input=self.spikes(), against="model", model=module)
        network = snn_deploy.verify(made, input=self.spikes(), against="network")
        assert found.against == "model"
        assert [one.whole.trains for one in found.layers] == [
            one.whole.trains for one in network.layers
        ]
        assert any(one.whole.first is not None for one in found.layers)
        assert [one.causes for one in found.layers] == [one.causes for one in network.layers]

    @pytest.mark.filterwarnings("ignore")
    def test_another_model_is_refused(self, module):
        made = snn_deploy.export(module, target="loihi", search=False)
        module[0].weight.data *= 1.5
        with pytest.raises(OptionError, match="the model is not the one that the artifact"):
            snn_deploy.verify(made, input=self.spikes(), against="model", model=module)
