"""The tutorial: each of its commands runs as written and prints the lines that stand below it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def steps(page: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield what a reader does: save a file (name, text), or run a line (its output's lines)."""
    for language, text in BLOCK.findall(page):
        if language == "python":
            yield "save", text, [text.split("\n", 1)[0].removeprefix("# ")]
        elif language == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, *shown = part.splitlines()
                yield "run", command, shown


def test_every_command_of_the_tutorial_runs_and_prints_what_stands_there(tmp_path: Path) -> None:
    here = os.pathsep.join([str(PAGE.parents[1]), os.environ.get("PYTHONPATH", "")])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PYTHONPATH": here, "PATH": path, "OMP_NUM_THREADS": "1"}
    done = list(steps(PAGE.read_text()))
    assert [kind for kind, _, _ in done].count("run") >= 8
    for kind, text, shown in done:
        if kind == "save":
            (tmp_path / shown[0]).write_text(text)
            continue
        ran = subprocess.run(
            text.split(), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, (text, ran.stderr)
        for line in shown:
            assert line in ran.stdout + ran.stderr, (text, line, ran.stdout)
