"""A dry run says what would be written and writes nothing, nor would what it says be refused."""

import json
import os
import runpy
from pathlib import Path

import pytest

import snn_deploy
from snn_deploy.backends.lava import environment
from snn_deploy.deploy.cli import run
from snn_deploy.errors import OutputExistsError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, data and artifacts."""
    folder = tmp_path_factory.mktemp("place")
    before = Path.cwd()
    os.chdir(folder)
    try:
        runpy.run_path(str(ROOT / "examples" / "broken" / "make.py"), run_name="__main__")
        for target in ("loihi2", "netx"):
            assert run(["export", "model.nir", "--target", target, "--output", target]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("export model.nir --output new", "would write new: "),
        ("nir model.nir --output new.nir", "would write new.nir: annotated, "),
        ("nir model.nir", "would write annotated, "),
        ("netx netx --output new.net", "would write new.net: "),
        ("netx netx", "bytes: --output FILE"),
    ],
)
def test_a_dry_run_says_what_would_be_written_and_writes_nothing(
    here: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(here)
    assert run([*words.split(), "--dry-run"]) == 0
    assert said in capsys.readouterr().out
    assert files(here) == before


@pytest.mark.parametrize("words", ["nir model.nir --output", "netx netx --output"])
def test_a_run_writes_what_its_dry_run_said(
    here: Path, tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "new")
    assert run([*words.split(), output, "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert run([*words.split(), output, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert (planned.pop("planned"), planned.pop("file")) == (output, "")
    assert (written.pop("planned"), written.pop("file")) == ("", output)
    assert planned == written
    assert Path(output).stat().st_size == written["bytes"]


@pytest.mark.parametrize(
    "words",
    [
        "nir model.nir --output data.npz",
        "netx netx --output data.npz",
        "export model.nir --output netx",
    ],
)
def test_a_dry_run_refuses_what_the_run_would_refuse(
    here: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words.split(), "--dry-run"]) == 1
    assert capsys.readouterr().err.startswith("error[SNN601]")


def test_the_dry_run_of_a_report_draws_its_page_and_keeps_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    before = files(here)
    assert run(["report", "loihi2", "--output", "page.html", "--dry-run"]) == 0
    told = capsys.readouterr().err
    assert told.startswith("would write page.html: ")
    assert files(here) == before


def test_the_dry_run_of_a_search_says_what_it_would_try(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    before = files(here)
    words = ["tune", "model.nir", "--data", "data.npz", "--trials", "7", "--max-drop", "1.5"]
    assert run([*words, "--knobs", "bits,thresholds", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "model for loihi2: would try 7 settings (tpe) for less energy",
        "",
        "knobs      bits 2 to 8 of lif, each on its own",
        "           thresholds x 0.8 to 1.5 of lif, each on its own",
        "chosen on  4 samples of data.npz",
        "tested on  4 others of it, drawn at random",
        "allowed    1.5 points of accuracy less",
        "",
        "would write model-tuned: chosen.toml, front.svg, tune.json, calibrate.npz, trials.journal",
    ]
    assert files(here) == before


def test_a_search_that_was_begun_would_go_on(here: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "trials.journal").touch()
    plan = snn_deploy.tune(here / "model.nir", data=here / "data.npz", output=begun, dry_run=True)
    assert f"would go on with the search in {begun}: " in str(plan)
    (begun / "trials.journal").rename(begun / "calibrate.npz")
    plan = snn_deploy.tune(here / "model.nir", data=here / "data.npz", output=begun, dry_run=True)
    assert f"would write {begun}: " in str(plan)
    (begun / "other").touch()
    with pytest.raises(OutputExistsError):
        snn_deploy.tune(here / "model.nir", data=here / "data.npz", output=begun, dry_run=True)


def test_the_dry_run_of_the_lava_setup_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "find_python310", lambda: Path("/usr/bin/python3.10"))
    folder = tmp_path / "lava"
    assert run(["lava", "setup", "--path", str(folder), "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        f"would make {folder} with /usr/bin/python3.10, and install {', '.join(environment.PINS)}\n"
    )
    assert not folder.exists()
    folder.mkdir()
    (folder / "letter.txt").touch()
    assert run(["lava", "setup", "--path", str(folder), "--dry-run"]) == 1
    assert "what it holds is no Python environment" in capsys.readouterr().err
    (folder / environment.MARKER).touch()
    assert run(["lava", "setup", "--path", str(folder), "--dry-run"]) == 0
    assert capsys.readouterr().out == f"the environment is complete: {folder}\n"
