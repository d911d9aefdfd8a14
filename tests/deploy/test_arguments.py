"""No argument is ignored: one that says nothing about a model is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snn_deploy
from snn_deploy.errors import DataError, OptionError
from snn_deploy.frontends import load
from snn_deploy.frontends.capture import Layout
from snn_deploy.frontends.convert import Conversion

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

CALIBRATION = np.zeros((2, 2))

ARCHITECTURE = """
input = [2]

[[layers]]
name = "fc"
type = "Linear"

[[layers]]
name = "n"
type = "Neurons"
decay = 0.5
"""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Return the path of weights alone."""
    torch.save({"fc.weight": torch.ones(2, 2)}, tmp_path / "w.pt")
    return tmp_path / "w.pt"


@pytest.fixture
def architecture(tmp_path: Path) -> Path:
    """Return the path of the file that says what the weights are of."""
    (tmp_path / "a.toml").write_text(ARCHITECTURE)
    return tmp_path / "a.toml"


def complaint(call: Callable[[], Any]) -> str:
    with pytest.raises(OptionError) as caught:
        call()
    return str(caught.value)


def nothing(option: str, model: str, use: str) -> str:
    return (
        f"error[SNN102]: {option} says nothing about {model}: it is for {use}\n"
        f"  at: {option}\n"
        f"  fix: leave {option} out"
    )


SHAPE = "modules, whose layers take inputs of any size"
RUN = "modules that can be run"
ANN = "ANNs, which become spiking networks"
UNSAID = "NIR files, which do not say who wrote them"


@pytest.mark.parametrize(
    ("argument", "option", "use"),
    [
        ({"sample_shape": (9, 9)}, "sample_shape", SHAPE),
        ({"sample": np.zeros((2, 77))}, "sample", RUN),
        ({"layout": Layout.CONSTANT}, "layout", RUN),
        ({"dialect": "sinabs"}, "dialect", UNSAID),
    ],
)
def test_an_architecture_leaves_nothing_of_these_open(
    weights: Path, architecture: Path, argument: dict[str, Any], option: str, use: str
) -> None:
    assert load(weights, arch=architecture, calibration=CALIBRATION)
    assert complaint(lambda: load(weights, arch=architecture, **argument)) == nothing(
        option, "weights with an architecture file", use
    )


@pytest.mark.parametrize(
    ("argument", "option", "use"),
    [
        ({"sample_shape": (9, 9)}, "sample_shape", SHAPE),
        ({"sample": np.zeros((2, 77))}, "sample", RUN),
        ({"layout": Layout.CONSTANT}, "layout", RUN),
        ({"calibration": CALIBRATION}, "calibration", ANN),
        ({"conversion": Conversion()}, "conversion", ANN),
        (
            {"arch": "a.toml"},
            "--arch",
            "files that hold weights but not how they are joined",
        ),
        ({"factory": "a:b"}, "--module", "files that hold weights alone"),
    ],
)
def test_a_nir_graph_is_read_by_its_dialect_alone(
    demo_network: Path, argument: dict[str, Any], option: str, use: str
) -> None:
    content = demo_network.read_bytes()
    for model in (demo_network, content):
        assert complaint(lambda model=model: load(model, **argument)) == nothing(
            option, "a NIR graph", use
        )


def test_a_pickled_module_is_not_run_on_a_sample(tmp_path: Path) -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), neuron.IFNode())
    torch.save(module, tmp_path / "m.pt")
    assert load(tmp_path / "m.pt", sample_shape=(2,))
    assert complaint(lambda: load(tmp_path / "m.pt", sample=np.zeros((3, 2)))) == nothing(
        "sample", "a pickled module", RUN
    )


@pytest.mark.parametrize(
    ("argument", "option"),
    [
        ({"simulate": "none.npz"}, "simulate"),
        ({"dialect": "sinabs"}, "dialect"),
        ({"reset": "bogus"}, "reset"),
        ({"sample_shape": "2"}, "sample-shape"),
        ({"floor": 0.0}, "floor"),
    ],
)
def test_a_draft_takes_no_options(weights: Path, argument: dict[str, Any], option: str) -> None:
    assert snn_deploy.inspect(weights)
    assert complaint(lambda: snn_deploy.inspect(weights, **argument)) == (
        f"error[SNN102]: --{option} says nothing about weights alone: their layers are not known\n"
        f"  at: --{option}\n"
        f"  fix: leave --{option} out to draft their architecture, then give that as --arch"
    )


@pytest.mark.parametrize(
    ("command", "argument", "option"),
    [
        ("inspect", {"dialect": "sinabs"}, "dialect"),
        ("inspect", {"reset": "value"}, "reset"),
        ("inspect", {"arch": Path("a.toml")}, "arch"),
        ("export", {"sample": np.zeros((2, 2))}, "sample"),
        ("export", {"calibrate": np.zeros((2, 2))}, "calibrate"),
    ],
)
def test_integers_leave_nothing_open(
    tmp_path: Path, command: str, argument: dict[str, Any], option: str
) -> None:
    path = tmp_path / "net.net"
    path.write_bytes(b"")
    call = getattr(snn_deploy, command)
    assert complaint(lambda: call(path, **argument)) == (
        f"error[SNN102]: --{option} says nothing about a .net file: it holds integers already\n"
        f"  at: --{option}\n"
        f"  fix: leave --{option} out"
    )


def test_the_digest_is_of_the_bytes_that_were_read(
    demo_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    read = Path.read_bytes

    def counting(path: Path) -> bytes:
        seen.append(path)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    found = snn_deploy.export(demo_network, dry_run=True)
    assert seen.count(demo_network) == 1
    assert found.model_bytes == demo_network.stat().st_size


def spiking() -> Any:
    snntorch = pytest.importorskip("snntorch")
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 3), snntorch.Leaky(beta=0.9, threshold=0.1, init_hidden=True)
    )


def test_the_latency_encoder_shows_values_to_a_module() -> None:
    images = np.random.default_rng(0).random((5, 4))
    options = {"sample_shape": (4,), "encode": "latency", "steps": 6}
    made = snn_deploy.export(spiking(), **options, calibrate=images, dry_run=True)
    found = snn_deploy.simulate(made, input=images)
    assert found.samples == 5
    assert snn_deploy.verify(made, input=images).equal
    again = snn_deploy.verify(made, input=images, against="model", model=spiking())
    assert again.same == 5


def test_an_ann_is_not_shown_first_spikes() -> None:
    ann = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    images = np.random.default_rng(0).random((5, 4))

    def made(encode: str) -> Any:
        return snn_deploy.export(
            ann, sample_shape=(4,), encode=encode, steps=6, calibrate=images, dry_run=True
        )

    assert complaint(lambda: made("latency")) == (
        "error[SNN102]: an ANN becomes a network of currents or rates, not one of first spikes\n"
        "  at: --encode\n"
        "  fix: --encode current or --encode rate"
    )
    assert made("rate").program
    assert made("current").program


def test_a_seed_without_a_generator_is_refused() -> None:
    def made(**options: Any) -> Any:
        return snn_deploy.export(spiking(), sample_shape=(4,), seed=3, dry_run=True, **options)

    assert complaint(made) == (
        "error[SNN102]: a seed says something about the rate encoder only\n"
        "  at: --seed\n"
        "  fix: --encode rate, or leave --seed out"
    )
    assert made(encode="rate", steps=5).program


def test_calibration_data_with_steps_where_an_encoder_makes_them_is_refused() -> None:
    steps = np.random.default_rng(0).integers(0, 2, (5, 6, 4))

    def made(**options: Any) -> Any:
        return snn_deploy.export(
            spiking(), sample_shape=(4,), calibrate=steps, dry_run=True, **options
        )

    with pytest.raises(DataError) as caught:
        made(encode="rate", steps=6)
    assert str(caught.value) == (
        "error[SNN208]: each sample of the data has shape (6, 4), but the rate encoder makes steps "
        "of shape (4,) from samples of that shape\n"
        "  at: input\n"
        "  fix: export again with --encode recorded: this data has steps already"
    )
    assert made(encode="recorded").program
