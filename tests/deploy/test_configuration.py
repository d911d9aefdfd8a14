"""Configuration files: found, read, refused with a place, and as good as typed options."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.commands import FUNCTIONS
from snn_deploy.deploy.configuration import found, line_of, read_configuration
from snn_deploy.deploy.defaults import written
from snn_deploy.errors import ConfigurationError

KNOWN = {"export": ("target", "max_drop", "force", "bits"), "lava setup": ("path",)}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, the root of a project."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


@pytest.fixture
def model(fill: Callable[[Path], Path], project: Path) -> str:
    """Return the name of a small model in the project."""
    fill(project)
    return "model.nir"


def stated(folder: Path, text: str, name: str = "snn-deploy.toml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def settings(words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str, str]]:
    """Return value, origin and place of the options of `export`."""
    assert run([*words.split(), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    return {s["option"]: (s["value"], s["origin"], s["place"]) for s in record["settings"]}


def test_an_artifact_is_the_same_whether_options_are_typed_or_stated(
    project: Path, model: str
) -> None:
    words = "--target loihi1 --per-layer --bits 5,lif=6 --floor -1 --name net --output typed"
    assert run(["export", model, *words.split()]) == 0
    stated(
        project,
        '[export]\ntarget = "loihi1"\nper-channel = false\nbits = "5,lif=6"\nfloor = -1\n'
        'name = "net"\noutput = "stated"\n',
    )
    assert run(["export", model]) == 0
    files = {f.name: f.read_bytes() for f in (project / "typed").iterdir() if f.is_file()}
    assert files == {f.name: f.read_bytes() for f in (project / "stated").iterdir() if f.is_file()}


def test_the_command_line_comes_before_the_environment_and_that_before_the_file(
    project: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = stated(project, '[export]\ntarget = "loihi1"\nname = "of-the-file"\nforce = false\n')
    named = f"config show export --config {file}"
    assert settings(named, capsys)["--target"] == ("loihi1", "file", f"{file}:2")
    monkeypatch.setenv("SNN_DEPLOY_EXPORT_TARGET", "xylo")
    shown = settings(named, capsys)
    assert shown["--target"] == ("xylo", "environment", "SNN_DEPLOY_EXPORT_TARGET")
    assert shown["--name"] == ("of-the-file", "file", f"{file}:3")
    assert shown["--steps"] == ("", "default", "")
    words = f"export {model} --config {file} --target cpu --dry-run --json"
    assert run(words.split()) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["target"], record["name"]) == ("cpu", "of-the-file")


def test_python_reads_no_file(project: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stated(project, '[export]\ntarget = "loihi1"\n')
    monkeypatch.setenv("SNN_DEPLOY_EXPORT_NAME", "other")
    deployment = snn_deploy.export(model, dry_run=True)
    assert (deployment.target.name, deployment.program.name) == ("loihi2", "model")


def test_a_required_option_may_be_stated(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stated(project, '[simulate]\ninput = "none.npz"\n')
    assert run(["simulate", "none"]) == 1
    assert capsys.readouterr().err.startswith("error[SNN603]")


def test_the_nearest_file_up_to_the_root_of_the_project_is_read(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert found() is None
    outer = stated(project, "")
    assert found() == outer
    nearer = stated(project / "a", "")
    assert found() == nearer
    (inner / ".git").mkdir()
    assert found() is None
    stated(inner, "")
    assert found() == Path("snn-deploy.toml")


def test_outside_of_a_project_only_the_current_folder_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snn_deploy.deploy.configuration.ROOT_MARKS", ("no-such-mark",))
    (tmp_path / "inner").mkdir()
    stated(tmp_path, "")
    monkeypatch.chdir(tmp_path / "inner")
    assert found() is None


def test_paths_of_a_file_are_relative_to_its_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '[export]\narch = "net.toml"\ntarget = "chip.toml"\n[evaluate]\noutput = "class"\n'
    stated(project, text)
    (project / "inner").mkdir()
    monkeypatch.chdir(project / "inner")
    shown = settings("config show export", capsys)
    assert shown["--arch"][0] == str(project / "net.toml")
    assert shown["--target"][0] == str(project / "chip.toml")
    assert settings("config show evaluate", capsys)["--output"][0] == "class"


def complaint(text: str, folder: Path, *, named: bool = False) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(stated(folder, text), KNOWN, named=named)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("text", "message", "where", "fix"),
    [
        ("[exprot]\na = 1", "there is no command 'exprot'", ":2", "[export]"),
        ("[exprot]", "there is no command 'exprot'", ":1", "[export]"),
        ("[zzz]\na = 1", "there is no command 'zzz'", ":2", "there are export, lava setup"),
        ("[lava.setpu]\na = 1", "there is no command 'lava setpu'", ":2", "[lava.setup]"),
        ("a = 1", "'a' stands in no command's table", ":1", "[export], then a = ..."),
        (
            "[export]\n\ntarket = 1",
            "export has no option 'tarket'",
            ":3",
            "target = ...",
        ),
        ("[export]\nq = 1", "export has no option 'q'", ":2", "snn-deploy config show export"),
        (
            "[export]\nforce = true",
            "'force' is not taken from a file that was only found",
            ":2",
            "give --force on the command line, or name the file with --config",
        ),
        (
            "[export]\nmax_drop = 1\nmax-drop = 2",
            "export states 'max_drop' twice",
            ":3",
            "leave one of the two out",
        ),
        (
            "[export]\nbits = 1979-05-27",
            "bits = datetime.date(1979, 5, 27) is no value of an option",
            ":2",
            'bits = "..."',
        ),
        (
            "[export",
            "this is no configuration file: Expected ']' at the end of a table declaration "
            "(at end of document)",
            "",
            'write tables of options: [export], target = "loihi2"',
        ),
        (
            'schema = "other/1"',
            "this is no configuration file: its schema is not 'snn-deploy/config/1'",
            "",
            'write tables of options: [export], target = "loihi2"',
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(
    tmp_path: Path, text: str, message: str, where: str, fix: str
) -> None:
    assert complaint(text, tmp_path) == (
        f"error[SNN104]: {message}\n  at: snn-deploy.toml{where}\n  fix: {fix}"
    )


def test_all_that_is_wrong_with_a_file_is_said_at_once(tmp_path: Path) -> None:
    assert complaint("[export]\ntarket = 1\nbit = 2\n", tmp_path) == (
        "error[SNN104]: export has no option 'tarket'; export has no option 'bit'\n"
        "  at: snn-deploy.toml:2; snn-deploy.toml:3\n"
        "  fix: target = ...; bits = ..."
    )


def test_a_file_that_is_named_may_state_everything(tmp_path: Path) -> None:
    file = stated(tmp_path, "[export]\nforce = true\n")
    read = read_configuration(file, KNOWN, named=True)
    assert read.commands["export"]["force"].value is True


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        (
            "export model.nir --config none.toml",
            {},
            "error[SNN104]: there is no such configuration file\n  at: none.toml\n"
            "  fix: give the path of a file, or leave --config and SNN_DEPLOY_CONFIG out\n",
        ),
        (
            "export model.nir",
            {"SNN_DEPLOY_EXPORT_MAXDROP": "1"},
            "error[SNN104]: export has no option 'maxdrop'\n"
            "  at: SNN_DEPLOY_EXPORT_MAXDROP in the environment\n"
            "  fix: SNN_DEPLOY_EXPORT_MAX_DROP=...\n",
        ),
        (
            "export model.nir",
            {"SNN_DEPLOY_EXPORT_Q": "1"},
            "error[SNN104]: export has no option 'q'\n"
            "  at: SNN_DEPLOY_EXPORT_Q in the environment\n"
            "  fix: unset SNN_DEPLOY_EXPORT_Q\n",
        ),
        (
            "config show exprt",
            {},
            "error[SNN101]: no command is called 'exprt'\n  fix: is 'export' meant?\n",
        ),
    ],
)
def test_wrong_names_are_usage_errors(
    project: Path,
    words: str,
    variables: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run(words.split()) == 2
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "steps = true",
            "error[SNN104]: steps = true, but steps is no switch\n  at: snn-deploy.toml:2\n"
            "  fix: leave steps out\n",
        ),
        (
            'steps = "many"',
            "error[SNN100]: Invalid value for steps from snn-deploy.toml:2: unable to convert "
            '"many" into int.\n  fix: snn-deploy export --help\n',
        ),
    ],
)
@pytest.mark.parametrize("words", ["export model.nir", "config show"])
def test_a_value_of_a_wrong_kind_is_refused_with_its_place(
    project: Path, line: str, said: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stated(project, f"[export]\n{line}\n")
    assert run(words.split()) == 2
    assert capsys.readouterr().err.replace("snn-deploy --help", "snn-deploy export --help") == said


def test_an_empty_name_in_the_environment_turns_the_file_off(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stated(project, "this is no TOML")
    assert run(["config", "show"]) == 2
    capsys.readouterr()
    monkeypatch.setenv("SNN_DEPLOY_CONFIG", "")
    assert settings("config show export", capsys)["--target"] == ("loihi", "default", "")


def test_a_broken_file_does_not_stand_in_the_way_of_its_explanation(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stated(project, "this is no TOML")
    assert run(["explain", "104"]) == 0
    assert run(["doctor"]) == 0
    assert run(["export", "--help"]) == 0


def test_config_show_lists_what_is_stated(project: Path, capsys: pytest.CaptureFixture) -> None:
    stated(project, '[export]\nbits = { lif1 = 4, lif2 = 8 }\n[lava.setup]\npath = "env"\n')
    assert run(["config", "show"]) == 0
    *shown, last = capsys.readouterr().out.splitlines()
    assert shown == [
        "file: snn-deploy.toml",
        "",
        "command     option  value          from",
        "export      --bits  lif1=4,lif2=8  snn-deploy.toml:2",
        "lava setup  --path  env            snn-deploy.toml:4",
        "",
    ]
    assert last.endswith(" options at their defaults: add a command, or --all")


def test_config_show_has_every_option_of_every_command(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "show", "--all", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["file"] == ""
    assert {s["command"] for s in record["settings"]} == FUNCTIONS.keys() - {"doctor", "explain"}
    assert {s["origin"] for s in record["settings"]} == {"default"}
    assert {"--target", "--calibrate"} <= {
        s["option"] for s in record["settings"] if s["command"] == "export"
    }


@pytest.mark.parametrize(
    ("name", "value", "typed"),
    [
        ("bits", {"a": 3, "b": 4}, "a=3,b=4"),
        ("bits", {"a,b": 3}, {"a,b": "3"}),
        ("sample_shape", [1, 28, 28], "1x28x28"),
        ("against", ["reference", "lava"], "reference,lava"),
        ("max_drop", 0.5, "0.5"),
        ("force", True, True),
    ],
)
def test_a_value_of_toml_is_written_as_it_is_typed(name: str, value: object, typed: object) -> None:
    assert written(name, value) == typed


@given(
    before=st.lists(st.sampled_from(["", "# export.target = 1", "[lava.setup]", "x = 1"])),
    header=st.sampled_from(["[export]", ' [ "export" ]  # of export']),
    between=st.lists(st.sampled_from(["", "# target = 1", "other = 1"])),
    key=st.sampled_from(['target = "a"', '  "target"="a"', "target.inner = 1"]),
)
def test_the_line_of_a_key_is_found(
    before: list[str], header: str, between: list[str], key: str
) -> None:
    lines = [*before, header, *between, key, "target = 2"]
    place = len(before) + len(between) + 2
    assert line_of("\n".join(lines), ("export", "target")) == place
