"""Every command that a document shows is one that the command line takes."""

import re
import shlex
from pathlib import Path

import pytest

from snn_deploy.deploy.commands import build

ROOT = Path(__file__).parents[2]

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

COMMAND = re.compile(r"^(?: {4}|\$ |)(?:[A-Z_]+=\S+ )?snn-deploy +([a-z].*)$", re.MULTILINE)
"""Of a block: indented, behind a prompt, or a line of a fenced one."""

WRONG = ["exprot", "model.nir"]
"""Shown for what it prints."""


def commands(page: Path) -> list[list[str]]:
    """Return the words behind `snn-deploy` in the blocks of a page, without comments."""
    found = COMMAND.findall(page.read_text().replace("\\\n", " "))
    return [shlex.split(line, comments=True) for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_are_understood(page: Path) -> None:
    app = build()
    app.config = ()  # the files that it names are not there
    for words in commands(page):
        if words != WRONG:
            taken = [word for word in words if word != "--json"]
            app.parse_args(taken, print_error=False, exit_on_error=False)


def test_there_are_many_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 60
