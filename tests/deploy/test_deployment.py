"""An artifact carries all it needs, and nonsense in it is named."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from artifacts import drop, replace, rewrite

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.errors import ArtifactDamagedError, OptionError, TargetError
from snn_deploy.targets import find_target

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(demo_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("deployment") / "net"
    snn_deploy.export(demo_network, output=output)
    return output


def test_a_users_own_target_is_carried_by_the_artifact(demo_network: Path, tmp_path: Path) -> None:
    own = _own_target(tmp_path, "mine")
    output = tmp_path / "net"
    assert run(["export", str(demo_network), "--target", str(own), "--output", str(output)]) == 0
    own.unlink()
    read = snn_deploy.load(output)
    assert read.target.name == "mine"
    images = np.zeros((1, 1, 28, 28))
    assert snn_deploy.verify(read, input=images).equal


def _own_target(folder: Path, name: str) -> Path:
    """Write the description of a chip of that name, otherwise like Loihi 2; return its path."""
    import snn_deploy.targets

    shipped = Path(snn_deploy.targets.__file__).parent / "loihi2.toml"
    own = folder / "own.toml"
    text = shipped.read_text().replace('name = "loihi2"', f"name = {json.dumps(name)}")
    own.write_text(text.replace('aliases = ["loihi"]', "aliases = []"))
    return own


def test_a_targets_name_cannot_lead_out_of_the_folder(
    demo_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    own = _own_target(tmp_path, "x/../../../evil")
    with pytest.raises(TargetError) as caught:
        snn_deploy.export(demo_network, target=str(own))
    assert str(caught.value) == (
        "error[SNN400]: a target cannot be called 'x/../../../evil'\n"
        f"  at: {own}\n"
        "  fix: lower-case letters, digits, - and _, the first a letter or digit, such as my-chip"
    )
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "b", "own.toml"]


@pytest.mark.parametrize("name", ["", ".", "..", "-x", "a/b", "a\n", "A", "\u00e4", "a b"])
def test_names_that_no_target_has_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TargetError, match="a target cannot be called"):
        find_target(str(_own_target(tmp_path, name)))


@pytest.mark.parametrize("content", [b"\xff", b"a = " + 5000 * b"1", b"a = " + 9999 * b"["])
def test_a_file_that_describes_no_target_gives_one_error(tmp_path: Path, content: bytes) -> None:
    own = tmp_path / "own.toml"
    own.write_bytes(content)
    with pytest.raises(TargetError, match="not a target description"):
        find_target(str(own))


def test_the_ideal_target_carries_no_files_of_a_chip(demo_network: Path) -> None:
    files = snn_deploy.export(demo_network, target="cpu", dry_run=True).files
    assert "run_lava.py" not in files
    assert "program.json" in files


def test_the_manifest_tells_options_and_the_target_by_name(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["configuration"] == {"target": "loihi2"}
    assert manifest["target"] == find_target("loihi").name
    assert str(folder) not in (folder / "manifest.json").read_text()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("program.json", None),
        ("report.json", None),
        ("target.json", None),
        ("encoding", {"how": "morse"}),
        ("encoding", {"unit": 0}),
        ("encoding", {"how": "rate", "steps": -4}),
        ("target", "loihi9"),
        ("program_digest", "0"),
        ("findings", [{"kind": "odd", "layer": "", "amount": "", "reason": ""}]),
    ],
)
def test_nonsense_in_the_manifest_is_one_numbered_error(
    folder: Path, tmp_path: Path, name: str, change: object
) -> None:
    copy = tmp_path / "net"
    shutil.copytree(folder, copy)
    if change is None:
        drop(copy, name)
    else:
        rewrite(copy, lambda manifest: manifest.update({name: change}))
    with pytest.raises(ArtifactDamagedError) as caught:
        snn_deploy.load(copy)
    assert "was changed" not in str(caught.value)


def test_what_makes_no_sense_in_an_artifact_is_told(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "net"
    shutil.copytree(folder, copy)
    rewrite(copy, lambda manifest: manifest["encoding"].update(unit=0))
    with pytest.raises(ArtifactDamagedError) as caught:
        snn_deploy.load(copy)
    assert str(caught.value) == (
        "error[SNN603]: the artifact's files do not make sense: no encoder has a unit of 0\n"
        f"  at: {copy}\n"
        "  fix: export the model again"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("report.json", b"[]"),
        ("report.json", b'{"layers": 3}'),
        ("report.json", b"[" * 100_000),
        ("report.json", b'{"schema": "snn-deploy/report/2", "layers": [], "findings": []}'),
        ("target.json", b"[" * 100_000),
        ("target.json", b"3"),
        ("program.json", b"[" * 100_000),
    ],
)
def test_nonsense_in_a_file_that_fits_its_digest_is_one_numbered_error(
    folder: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    copy = tmp_path / "net"
    shutil.copytree(folder, copy)
    replace(copy, name, content)
    with pytest.raises(ArtifactDamagedError) as caught:
        snn_deploy.load(copy)
    assert "was changed" not in str(caught.value)


@pytest.mark.parametrize("shape", [5, [1.9, 2], (), "", "1x", [0], [-1], ["x"], [2**31], [None]])
def test_what_is_no_shape_is_a_usage_error(demo_network: Path, shape: object) -> None:
    with pytest.raises(OptionError) as caught:
        snn_deploy.export(demo_network, sample_shape=shape, dry_run=True)
    assert str(caught.value) == (
        f"error[SNN102]: {shape!r} is no shape\n"
        "  at: --sample-shape\n"
        "  fix: --sample-shape 1x28x28; in Python sample_shape=(1, 28, 28), without batch and time"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--steps", "0"),
        ("--steps=-5",),
        ("--seed=-1",),
        ("--input-unit", "0"),
        ("--input-unit", "nan"),
        ("--input-unit", "1e400"),
        ("--encode", "recorded", "--steps", "5"),
        ("--name", ""),
        ("--output", ""),
    ],
)
def test_options_without_meaning_are_usage_errors(
    demo_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    output = () if "--output" in words else ("--output", str(tmp_path / "net"))
    assert run(["export", str(demo_network), *output, *words]) == 2
    assert capsys.readouterr().err.startswith("error[SNN102]: ")
    assert list(tmp_path.iterdir()) == []


def test_calibration_beyond_the_declared_range_is_refused(demo_network: Path) -> None:
    from snn_deploy.errors import InputRangeError

    images = np.full((2, 1, 28, 28), 3.0)
    with pytest.raises(InputRangeError, match="--input-range 0:3"):
        snn_deploy.export(demo_network, encode="current", steps=4, calibrate=images, dry_run=True)


def test_a_decoder_that_the_user_names_is_not_called_a_guess(demo_network: Path) -> None:
    found = snn_deploy.export(demo_network, decode="membrane-max", dry_run=True)
    assert found.program.outputs[0].decode.value == "membrane-max"
    assert found.network.outputs[0].decode.value == "membrane-max"
    assert not [f for f in found.findings if f.kind.value == "guessed"]


def test_the_python_example_of_the_readme_runs(
    demo_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    shutil.copy(demo_network, tmp_path / "model.nir")
    np.savez(tmp_path / "data.npz", input=np.zeros((2, 1, 28, 28)))
    monkeypatch.chdir(tmp_path)
    exec(compile(block.replace(",lava", ""), "README.md", "exec"), {})
    assert (tmp_path / "model-loihi2" / "manifest.json").is_file()
