"""The command line: statuses, streams, JSON, and complaints for wrong usage."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from folders import contents

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.commands import build
from snn_deploy.errors import DeployError


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; from snn_deploy.deploy.cli import run; status = run(['--help']);"
        "heavy = {'numpy', 'numba', 'h5py', 'torch', 'nir', 'norse'} & set(sys.modules);"
        "sys.exit(status or ' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "export" in done.stdout


def test_python_runs_the_package_as_the_command() -> None:
    words = [sys.executable, "-m", "snn_deploy", "explain", "SNN999"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == run(words[3:]) == 2, done.stderr
    assert "SNN999" in done.stderr


def test_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, snn_deploy;"
        "sys.exit(' '.join({'numpy', 'numba', 'h5py', 'torch', 'nir'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words", [["exprot", "x"], ["export"], ["export", "a", "--tarket", "b"], ["targets", "--nr"]]
)
def test_wrong_usage_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error[SNN100]: ")


def test_an_unknown_target_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "lohi"]) == 2
    assert capsys.readouterr().err == (
        "error[SNN101]: no target is called 'lohi'; there are cpu, loihi, loihi1, loihi2, "
        "netx, xylo, xylo-audio-2\n"
        "  fix: --target loihi\n"
    )


def test_errors_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "lohi", "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert json.loads(printed.err) == {
        "error": "SNN101",
        "message": "no target is called 'lohi'; there are cpu, loihi, loihi1, loihi2, netx, xylo, "
        "xylo-audio-2",
        "where": "",
        "fix": "--target loihi",
    }


def test_targets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "target"
    assert any(line.split()[:4] == ["loihi2", "loihi", "Intel", "Loihi"] for line in lines)


def test_every_number_of_a_target_is_shown_with_its_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["targets", "loihi2", "--sources", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert all(row[3] for row in rows)
    by_name = {row[0]: row for row in rows}
    assert by_name["weights.mixed"][1] == "-256..254 step 2"
    assert by_name["states.current"][1] == "24 wrap-once"
    assert by_name["thresholds.mantissa"][1:3] == ["0..131071", "64 state units"]
    assert by_name["features.reset-subtract"][1] == "simulated"


def test_every_error_is_explained_and_drawn_in_the_tree(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from snn_deploy import errors

    for found in vars(errors).values():
        if isinstance(found, type) and issubclass(found, DeployError):
            assert f"{found.__name__} {found.code}" in str(errors.__doc__)
            assert run(["explain", found.code]) == 0
            assert capsys.readouterr().out.startswith(f"{found.code} {found.__name__}\n\n")
    assert run(["explain", "SNN999"]) == 2


def test_error_numbers_are_unique() -> None:
    from snn_deploy import errors

    classes = [
        c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, DeployError)
    ]
    assert len({c.code for c in classes}) == len(classes)


def test_a_bug_of_ours_exits_with_70_and_asks_for_a_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from snn_deploy.deploy import listings

    monkeypatch.setattr(listings, "targets", lambda: 1 / 0)
    assert run(["targets"]) == 70
    printed = capsys.readouterr().err
    assert "ZeroDivisionError" in printed
    assert printed.endswith("this is a bug in snn-deploy: please report it with the lines above\n")


def test_an_interrupt_says_that_nothing_is_half_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from snn_deploy.deploy import listings

    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(listings, "targets", stopped)
    assert run(["targets"]) == 130
    assert capsys.readouterr().err == "interrupted; nothing is left half written\n"


INTERRUPTED = """
import os, pathlib, signal, sys
from snn_deploy.deploy.cli import main
write, written = pathlib.Path.write_bytes, []
def interrupted(path, content):
    written.append(write(path, content))
    if len(written) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGINT)
pathlib.Path.write_bytes = interrupted
main(sys.argv[2:])
"""
"""Presses Ctrl-C when so many files were written."""


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (5, "export model.nir --output new"),
        (1, "nir model.nir --output new.nir"),
        (1, "netx netx --output new.net"),
        (1, "report ready --input data.npz --output page.html"),
    ],
)
def test_an_interrupt_in_the_midst_of_writing_leaves_nothing(
    count: int, words: str, place: Path, tmp_path: Path
) -> None:
    if words.startswith("report"):
        pytest.importorskip("matplotlib")
        pytest.importorskip("jinja2")
    for name in ("model.nir", "data.npz"):
        shutil.copy(place / name, tmp_path)
    shutil.copytree(place / "ready", tmp_path / "ready")
    snn_deploy.export(place / "model.nir", target="netx", output=tmp_path / "netx")
    before = contents(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(count), *words.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted; nothing is left half written\n"
    assert contents(tmp_path) == before


def test_a_reader_that_stops_reading_is_no_error() -> None:
    snn = [sys.executable, "-c", "from snn_deploy.deploy.cli import main; main()"]
    command = [*snn, "targets", "loihi2", "--sources"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "wanted"), [("exp", "export"), ("export --tar", "--target"), ("lava s", "setup")]
)
def test_a_shell_completes_commands_and_options(words: str, wanted: str, tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(build().generate_completion(shell="bash"))
    ask = (
        f". {script}; COMP_WORDS=(snn-deploy {words}); COMP_CWORD={len(words.split())}; "
        '_snn_deploy; echo "${COMPREPLY[@]}"'
    )
    answer = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True).stdout
    assert wanted in answer.split()


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        ("export modle.nir", "is 'modle.nir' meant?"),
        ("export model.nir --target lohi1", "--target loihi1"),
        ("export model.nir --dialect sinab", "--dialect sinabs"),
        ("export model.nir --bits liff=3", "--bits lif=3"),
        ("export model.nir --thresholds liff=1.1", "--thresholds lif=1.1"),
        ("export model.nir --preset per-chanel", "--preset per-channel"),
        ("export model.nir --reset late-valu", "--reset late-value"),
        ("export model.nir --calibrate dta.npz", "is 'data.npz' meant?"),
        ("simulate redy --input data.npz", "is 'ready' meant?"),
        ("simulate ready --input dta.npz", "is 'data.npz' meant?"),
        ("simulate ready --input data.npz --backend evnt", "--backend event"),
        ("verify ready --input data.npz --against refrence", "--against reference"),
        ("evaluate ready --data dta.npz", "is 'data.npz' meant?"),
        ("evaluate ready --data data.npz --output outpt", "--output output"),
        ("estimate ready --input data.npz --profile loihi1-davis", "--profile loihi1-davies"),
    ],
)
def test_the_way_out_of_a_typing_error_is_the_name_that_was_meant(
    words: str,
    fix: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    assert run(words.split()) in {1, 2}
    assert capsys.readouterr().err.splitlines()[-1] == f"  fix: {fix.replace('modle', 'model')}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("exprot x", 'Unknown command "exprot". Did you mean "export"?'),
        ("lava setpu", 'Unknown command "setpu". Did you mean "setup"?'),
        ("export x --tarket loihi1", "Unknown option: --tarket. Did you mean --target?"),
    ],
)
def test_a_command_or_option_that_was_meant_is_named(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words.split()) == 2
    assert said in capsys.readouterr().err
