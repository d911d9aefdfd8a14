"""The fragments of `changelog.d` become a section of the changelog."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("towncrier")

ROOT = Path(__file__).parents[1]
FRAGMENTS = sorted((ROOT / "changelog.d").glob("*.md"))


def test_every_fragment_is_of_a_kind_that_is_known() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    kinds = {kind["directory"] for kind in tool["type"]}
    assert {path.name.split(".")[-2] for path in FRAGMENTS} <= kinds


def test_a_draft_of_the_changelog_holds_every_fragment() -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9"]
    made = subprocess.run(
        [*command, "--date", "2030-01-02"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert "## 9.9.9 (2030-01-02)\n" in made
    for path in FRAGMENTS:
        first = path.read_text().split("\n")[0].strip()
        assert f"- {first}" in made, path.name
