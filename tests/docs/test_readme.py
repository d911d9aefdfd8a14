"""The readme's tables are complete: files of an artifact, targets, dialects, commands."""

import re
from pathlib import Path

import pytest

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.frontends.nir import Dialect
from snn_deploy.targets import shipped_targets

README = (Path(__file__).parents[2] / "README.md").read_text()


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


def test_every_target_and_every_dialect_is_named() -> None:
    reads = section("What it reads and runs today")
    assert [t.name for t in shipped_targets() if f"`{t.name}`" not in reads] == []
    assert [d.value for d in Dialect if f"`{d.value}`" not in section("Use")] == []


def test_every_command_that_takes_a_model_or_an_artifact_is_shown() -> None:
    apart = {"load", "Simulator", "show_targets", "doctor", "explain", "lava_setup"}
    wanted = set(snn_deploy.__all__) - apart
    shown = set(re.findall(r"^    snn-deploy ([a-z]+)", section("Use"), re.MULTILINE))
    assert wanted - shown == set()
