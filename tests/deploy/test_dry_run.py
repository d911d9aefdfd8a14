"""A dry run says what would be written and writes nothing, nor would what it says be refused."""

import json
import sys
from pathlib import Path

import pytest
from folders import contents

import snn_deploy
from snn_deploy.backends.lava import environment
from snn_deploy.deploy.cli import run
from snn_deploy.errors import OutputExistsError


@pytest.fixture(scope="module")
def with_netx(place: Path) -> Path:
    snn_deploy.export(place / "model.nir", target="netx", output=place / "netx")
    return place


@pytest.fixture
def here(with_netx: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: files, some of them wrong, and artifacts."""
    monkeypatch.chdir(with_netx)
    return with_netx


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
    before = contents(here)
    assert run([*words.split(), "--dry-run"]) == 0
    assert said in capsys.readouterr().out
    assert contents(here) == before


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
    before = contents(here)
    assert run(["report", "ready", "--output", "page.html", "--dry-run"]) == 0
    told = capsys.readouterr().err
    assert told.startswith("would write page.html: ")
    assert contents(here) == before


EVALUATION = "evaluate ready --data data.npz --backend reference --block 3"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            EVALUATION,
            "model: would run samples 0 to 7 of data.npz, 10 steps each, in integers and in real "
            "values (reference)\nin 3 blocks of 3 samples, for the answers of output\n"
            "would write nothing: --journal FILE keeps finished blocks\n",
        ),
        (
            "evaluate ready --data data.npz --no-real --first 5 --samples 1 --journal new.journal",
            "model: would run samples 5 to 5 of data.npz, 10 steps each, in integers (event)\n"
            "in 1 block of 1 sample, for the answers of output\n"
            "would write new.journal: a line for each block\n",
        ),
    ],
)
def test_the_dry_run_of_an_evaluation_says_what_it_would_run_and_keep(
    here: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(here)
    assert run([*words.split(), "--dry-run"]) == 0
    assert capsys.readouterr().out == said
    assert contents(here) == before


def test_an_evaluation_that_was_begun_would_go_on(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "j"
    words = [*EVALUATION.split(), "--journal", str(journal)]
    assert run(words) == 0
    whole = journal.read_bytes()
    for content, finished in [
        (whole, 3),
        (whole.rpartition(b"\n")[0], 2),  # the last line was cut off
        (whole.splitlines()[0], 0),
        (b"", 0),
    ]:
        journal.write_bytes(content)
        capsys.readouterr()
        assert run([*words, "--dry-run"]) == 0
        said = capsys.readouterr().out.splitlines()[-1]
        assert said == f"would go on with {journal}: {finished} of 3 blocks are there"
        assert journal.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("--first 1", "the journal is of another evaluation: first was 0, not 1"),
        ("--backend evnt", "no backend is called 'evnt'"),
        ("--workers 0", "0 workers"),
        ("--journal data.npz", "this is no journal of an evaluation"),
        ("--journal no/j", "the journal could not be written: No such file or directory"),
        ("--journal data.npz/j", "the journal could not be written: Not a directory"),
        ("--journal ready/j", "the output lies inside the artifact"),
    ],
)
def test_the_dry_run_of_an_evaluation_refuses_what_the_run_would_refuse(
    here: Path, tmp_path: Path, change: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*EVALUATION.split(), "--journal", str(tmp_path / "j")]
    assert run(words) == 0
    option, value = change.split()
    if option in words:
        words[words.index(option) + 1] = value
    else:
        words += change.split()
    before = contents(here)
    capsys.readouterr()
    refused = [(run([*words, *more]), capsys.readouterr().err) for more in ((), ("--dry-run",))]
    assert refused[0] == refused[1]
    assert said in refused[0][1]
    assert contents(here) == before


@pytest.mark.parametrize(
    "words", [f"{EVALUATION} --journal j", "tune model.nir --data data.npz --output j"]
)
def test_a_dry_run_refuses_a_journal_where_there_are_no_locks(
    here: Path, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if words.startswith("tune"):
        pytest.importorskip("optuna")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    refused = [
        (run([*words.split(), *more]), capsys.readouterr().err) for more in ((), ("--dry-run",))
    ]
    assert refused[0] == refused[1]
    assert "a journal needs POSIX file locks" in refused[0][1]
    assert not (here / "j").exists()


def test_the_dry_run_of_a_search_says_what_it_would_try(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    before = contents(here)
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
    assert contents(here) == before


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
