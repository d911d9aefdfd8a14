"""The main job, end to end, on a network trained here and on one that others published."""

import importlib.util
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from folders import contents

import snn_deploy
from snn_deploy.backends.lava.environment import find_environment
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.ir.program import Role

needs_lava = pytest.mark.lava


@pytest.fixture(scope="session")
def digits(demo_network: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits", demo_network.parent / "digits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def data(digits: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with train.npz and test.npz, 4,000 and 1,000 digits."""
    folder = tmp_path_factory.mktemp("digits")
    train_images, train_labels, test_images, test_labels = digits.load()
    np.savez(folder / "train.npz", input=train_images, label=train_labels)
    np.savez(folder / "test.npz", input=test_images, label=test_labels)
    return folder


@pytest.fixture(scope="session")
def artifact(
    demo_network: Path, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    return snn_deploy.export(
        demo_network,
        target="loihi",
        calibrate=data / "train.npz",
        output=tmp_path_factory.mktemp("artifact") / "mnist-loihi2",
    )


def test_the_demo_network_keeps_its_accuracy_in_integers(artifact: Deployment, data: Path) -> None:
    result = snn_deploy.evaluate(artifact, data=data / "test.npz")
    assert result.samples == 1000
    assert result.accuracy_real is not None
    assert result.accuracy_real >= 0.96
    assert result.correct_real is not None
    assert abs(result.correct - result.correct_real) <= 5  # half a point


def test_event_and_reference_agree_on_every_state_of_the_demo(
    artifact: Deployment, data: Path
) -> None:
    result = snn_deploy.verify(artifact, input=data / "test.npz", first=495, samples=10)
    assert result.equal
    neurons = sum(p.size for p in artifact.program.populations)
    assert result.comparisons[0].states == 10 * (16 + 4) * neurons * 2  # membrane and payload


@needs_lava
def test_lava_agrees_on_every_state_of_the_demo(artifact: Deployment, data: Path) -> None:
    result = snn_deploy.verify(
        artifact, input=data / "test.npz", against="lava", first=500, samples=3
    )
    assert result.equal, str(result)


def test_the_weights_and_their_architecture_are_the_demo_as_nir(
    artifact: Deployment, demo_network: Path, data: Path, tmp_path: Path
) -> None:
    weights, arch = demo_network.with_suffix(".pt"), demo_network.with_suffix(".toml")
    out = tmp_path / "out"
    words = ["export", str(weights), "--arch", str(arch), "--target", "loihi", "--output", str(out)]
    assert run([*words, "--calibrate", str(data / "train.npz")]) == 0
    deployment = snn_deploy.load(out)
    assert deployment.program.digest == artifact.program.digest
    said = deployment.configuration["arch"]
    assert said["name"] == "mnist.toml"


def test_what_was_written_is_what_was_exported(artifact: Deployment) -> None:
    assert artifact.folder is not None
    read = snn_deploy.load(artifact.folder)
    assert read.program.digest == artifact.program.digest
    assert read.files == artifact.files


def test_a_dry_run_writes_nothing(
    demo_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["export", str(demo_network), "--output", str(out), "--dry-run"]) == 0
    dry = capsys.readouterr().out
    assert not out.exists()
    assert run(["export", str(demo_network), "--output", str(out)]) == 0
    assert capsys.readouterr().out == dry.replace("would write", "wrote")


def test_the_estimate_adds_up(artifact: Deployment, data: Path) -> None:
    found = snn_deploy.estimate(artifact, input=data / "test.npz", samples=4).estimate
    assert found.note == "Loihi 1 prices: none are published for Loihi 2"
    assert found.value == pytest.approx(sum(found.by_event.values()))
    text = str(snn_deploy.estimate(artifact, input=data / "test.npz", samples=4))
    assert text.startswith("energy estimate: Loihi 1, SANA-FE's calibration\nLoihi 1 prices: none")


def test_activity_is_counted_in_each_populations_own_steps(
    artifact: Deployment, data: Path
) -> None:
    found = snn_deploy.simulate(artifact, input=data / "test.npz", samples=3)
    clock = next(layer for layer in found.activity if layer.layer == "clock")
    assert (clock.spikes, clock.active) == (16, 1.0)
    assert found.answers[0].correct == 3


def test_every_command_speaks_json(
    artifact: Deployment, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, test = str(artifact.folder), str(data / "test.npz")
    some = ("--samples", "2", "--json")
    commands: Sequence[Sequence[str]] = (
        ("inspect", folder, "--json"),
        ("simulate", folder, "--input", test, *some),
        ("verify", folder, "--input", test, "--first", "7", *some),
        ("evaluate", folder, "--data", test, *some),
        ("estimate", folder, "--input", test, *some),
        ("targets", "--json"),
        ("doctor", "--json"),
        ("explain", "SNN302", "--json"),
    )
    for words in commands:
        assert run(words) == 0, capsys.readouterr()
        assert isinstance(json.loads(capsys.readouterr().out), dict)


@needs_lava
def test_the_runner_works_alone(artifact: Deployment, tmp_path: Path) -> None:
    """In an environment that has only numpy and lava-nc, from any folder, without arguments."""
    assert artifact.folder is not None
    python = find_environment()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), str(artifact.folder / "run_lava.py")],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for population in artifact.program.populations:
        assert population.name in done.stdout
    assert contents(artifact.folder) == dict(artifact.files)  # and leaves nothing behind


@pytest.fixture(scope="session")
def published(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return snn_deploy.export(
        shared_data / "nir-paper" / "cnn_sinabs.nir",
        target="loihi",
        dialect="sinabs",
        input_range="0:16",
        output=tmp_path_factory.mktemp("published") / "cnn",
    )


@pytest.fixture(scope="session")
def recording(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data file with the real recording, 300 steps of 1 ms; the label is its class."""
    from snn_deploy.deploy.data import read_events

    events = read_events(shared_data / "events" / "sample_nmnist.bin", 1e-3)[:300]
    file = tmp_path_factory.mktemp("events") / "recording.npz"
    np.savez(file, input=events[None], label=np.array([4]))
    return file


@pytest.mark.shared
def test_the_published_network_sees_a_four_in_reals_and_in_integers(
    published: Deployment, recording: Path
) -> None:
    result = snn_deploy.evaluate(published, data=recording)
    assert (result.correct, result.correct_real, result.same) == (1, 1, 1)


@pytest.mark.shared
def test_the_published_network_is_evaluated_on_a_folder_of_recordings(
    published: Deployment, shared_data: Path, tmp_path: Path
) -> None:
    raw = (shared_data / "events" / "sample_nmnist.bin").read_bytes()
    (tmp_path / "4").mkdir()
    (tmp_path / "4" / "00001.bin").write_bytes(raw)
    result = snn_deploy.evaluate(published, data=tmp_path, step_us=1000, steps=300, real=False)
    assert (result.correct, result.samples, result.steps, result.late) == (1, 1, 300, 23)


@pytest.mark.shared
@pytest.mark.parametrize("backend", ["reference", pytest.param("lava", marks=needs_lava)])
def test_the_published_network_is_bit_exact(
    published: Deployment, recording: Path, backend: str
) -> None:
    result = snn_deploy.verify(published, input=recording, against=backend)
    assert result.equal, str(result)
    assert result.comparisons[0].states == 305 * 2 * (4096 + 4096 + 512 + 256 + 10)


@pytest.mark.shared
def test_two_exports_of_the_published_network_are_the_same_bytes(
    shared_data: Path, published: Deployment, tmp_path: Path
) -> None:
    assert published.folder is not None
    model = shared_data / "nir-paper" / "cnn_sinabs.nir"
    words = ["export", str(model), "--target", "loihi", "--dialect", "sinabs"]
    assert run([*words, "--input-range", "0:16", "--output", str(tmp_path / "again")]) == 0
    assert contents(tmp_path / "again") == contents(published.folder)


BRAILLE = {
    "braille_noDelay_bias_zero": ("value", True),
    "braille_noDelay_noBias_subtract": ("subtract", False),
}
"""Published recurrent networks: their reset, and whether they have biases."""


@pytest.mark.shared
@pytest.mark.parametrize("name", BRAILLE)
@pytest.mark.parametrize("backend", ["reference", pytest.param("lava", marks=needs_lava)])
def test_the_published_recurrent_networks_are_bit_exact(
    shared_data: Path, tmp_path: Path, name: str, backend: str
) -> None:
    reset, biased = BRAILLE[name]
    model = shared_data / "nir-paper" / f"{name}.nir"
    deployment = snn_deploy.export(model, dialect="nir", dt=1e-4, reset=reset, dry_run=True)
    clocks = [p for p in deployment.program.populations if p.role is Role.CLOCK]
    assert bool(clocks) == biased  # the biases enter the synaptic current: Loihi needs a clock
    spikes = np.random.default_rng(7).random((4, 256, 12)) < 0.05
    np.savez(tmp_path / "spikes.npz", input=spikes.astype(np.uint8))
    result = snn_deploy.verify(deployment, input=tmp_path / "spikes.npz", against=backend)
    assert result.equal, str(result)
    activity = snn_deploy.simulate(deployment, input=tmp_path / "spikes.npz").activity
    assert all(layer.spikes * 4 > 100 for layer in activity), activity
