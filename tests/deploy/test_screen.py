"""What a terminal shows: no line is longer than it, no word is broken, and nothing is lost."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from snn_deploy.deploy.api.about import show_targets
from snn_deploy.deploy.commands import FUNCTIONS, build
from snn_deploy.deploy.help_text import unwrapped
from snn_deploy.deploy.printing import printable
from snn_deploy.deploy.screen import fitted
from snn_deploy.deploy.table import aligned
from snn_deploy.frontends import load
from snn_deploy.ir.text import print_network

WIDTHS = [80, 200]

COMMANDS = ["", *FUNCTIONS, "lava", "config", "config show"]


def help_of(words: str, width: int) -> str:
    console = Console(width=width, no_color=True, file=io.StringIO())
    build().help_print(words.split(), console=console)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("words", COMMANDS)
def test_help_begins_with_a_sentence_and_examples_that_fit_on_a_line(words: str) -> None:
    usage, empty, _, *rest = help_of(words, 80).splitlines()
    assert (usage.split(":")[0], empty) == ("Usage", "")
    examples = [line for line in rest if line.startswith("$ ")]
    if words not in ("lava", "config"):
        start = rest[rest.index("") + 1]
        assert start.startswith("$ ")
        assert all(f"snn-deploy {words}".strip() in line for line in examples if words)
    below = [after for line, after in pairwise(rest) if line.startswith("$ ")]
    assert all(line == "" or line.startswith("$ ") for line in below)


@pytest.mark.parametrize("width", WIDTHS)
def test_help_fits_on_the_screen(width: int) -> None:
    for words in COMMANDS:
        assert max(map(len, help_of(words, width).splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_numbers_of_a_target_fit_on_the_screen(width: int, golden) -> None:
    golden(fitted(printable(show_targets("loihi2", sources=True)), width) + "\n")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_network_fits_on_the_screen(demo_network: Path, width: int, golden) -> None:
    golden(fitted(print_network(load(demo_network).network).rstrip(), width) + "\n")


FINDINGS = """\
5 findings
  rounded    lif3: the bias of neuron [3] is 0.0802 and becomes 0.0791, 1.3 % off: 0.0011 of it
             the worst of this layer, beside larger weights or thresholds; smaller weights lose less

error[SNN302]: weights of -2016..992, which are 8 times those stored; a file holds 0..255
  at: conv1
  fix: snn-deploy export model.nir --target netx --output somewhere-with-a-long-name

  spikes as trained; ratio of those in integers to them; mismatch: neurons and steps that
  differ / 2 x those that fire as trained"""


def test_sentences_go_on_below_themselves_and_commands_stay_whole() -> None:
    assert fitted(FINDINGS, 60).splitlines() == [
        "5 findings",
        "  rounded    lif3: the bias of neuron [3] is 0.0802 and",
        "             becomes 0.0791, 1.3 % off: 0.0011 of it",
        "             the worst of this layer, beside larger weights",
        "             or thresholds; smaller weights lose less",
        "",
        "error[SNN302]: weights of -2016..992, which are 8 times",
        "       those stored; a file holds 0..255",
        "  at: conv1",
        "  fix: snn-deploy export model.nir --target netx --output somewhere-with-a-long-name",
        "",
        "  spikes as trained; ratio of those in integers to them;",
        "  mismatch: neurons and steps that differ / 2 x those that",
        "  fire as trained",
    ]


def test_a_table_that_is_too_wide_is_wrapped_then_folded() -> None:
    rows = [
        ("layer", "neurons", "because"),
        ("conv1", "1152", "the weights are rounded to whole steps"),
        ("fc", "64", ""),
    ]
    text = aligned(rows, right=(1,))
    assert fitted(text, 42).splitlines() == [
        "layer  neurons  because",
        "conv1     1152  the weights are rounded to",
        "                whole steps",
        "fc          64",
    ]
    assert fitted(text, 36).splitlines() == [
        "layer  neurons",
        "conv1     1152",
        "fc          64",
        "",
        "layer  because",
        "conv1  the weights are rounded to",
        "       whole steps",
        "fc",
    ]


CELLS = st.text("abc.-/%", min_size=1, max_size=12)


@given(
    rows=st.integers(2, 8).flatmap(
        lambda n: st.lists(st.tuples(*[CELLS] * n), min_size=2, max_size=6)
    ),
    width=st.integers(30, 100),
    right=st.booleans(),
)
def test_no_table_of_short_cells_is_wider_than_the_screen_and_no_cell_is_lost(
    rows: list[tuple[str, ...]], width: int, right: bool
) -> None:
    text = aligned(rows, right=range(len(rows[0])) if right else ())
    shown = fitted(text, width)
    assert all(len(line) <= width for line in shown.splitlines())
    tables = shown.count("\n\n") + 1
    repeated = Counter(cell for row in rows for cell in row[:1] * (tables - 1))
    assert Counter(shown.split()) == Counter(cell for row in rows for cell in row) + repeated


@given(
    words=st.lists(st.text("abc.;", min_size=1, max_size=20), min_size=1, max_size=60),
    width=st.integers(40, 120),
)
def test_no_word_of_a_sentence_is_lost_or_broken(words: list[str], width: int) -> None:
    shown = fitted("  note: " + " ".join(words), width)
    assert shown.split() == ["note:", *words]
    assert all(len(line) <= width for line in shown.splitlines())


@given(text=st.text("ab \n", max_size=200))
def test_a_text_that_fits_stays_as_it_is(text: str) -> None:
    assert fitted(text, 200) == text


def test_sentences_of_a_docstring_go_on_where_the_source_breaks_them() -> None:
    assert unwrapped(
        "Do it.\n\n$ snn-deploy do\n$ snn-deploy do --twice\n\nIt is done\nonce. Or\ntwice.\n\n"
        "Args:\n    first: What is\n        done.\n    other: Nothing.\n\nReturns:\n    It."
    ) == (
        "Do it.\n\n$ snn-deploy do\n$ snn-deploy do --twice\n\nIt is done once. Or twice.\n\n"
        "Args:\n    first: What is done.\n    other: Nothing.\n\nReturns:\n    It."
    )


def on_a_terminal(words: list[str], columns: int, **variables: str) -> tuple[int, str]:
    """Return the status of a command and what a terminal got of both its streams."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    code = "from snn_deploy.deploy.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdin=its,
        stdout=its,
        stderr=its,
        env=environment | {"TERM": "xterm"} | variables,
        close_fds=True,
    )
    os.close(its)
    got = b""
    try:
        while part := os.read(ours, 1 << 16):
            got += part
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(ours)
    return process.wait(), got.decode().replace("\r\n", "\n")


def test_a_terminal_gets_lines_that_fit() -> None:
    status, got = on_a_terminal(["targets", "loihi2", "--sources"], 80)
    assert status == 0
    assert got == fitted(printable(show_targets("loihi2", sources=True)), 80) + "\n"


def test_the_number_of_an_error_is_red_on_a_terminal_unless_no_colour_is_wanted() -> None:
    said = (
        "error[SNN101]: no target is called 'lohi'; there are\n"
        "       cpu, loihi, loihi1, loihi2, netx, xylo,\n"
        "       xylo-audio-2\n  fix: --target loihi\n"
    )
    status, got = on_a_terminal(["targets", "lohi"], 55)
    assert status == 2
    assert got == said.replace("error[SNN101]", "\x1b[1;31merror[SNN101]\x1b[0m")
    _, got = on_a_terminal(["targets", "lohi"], 55, NO_COLOR="1")
    assert "\x1b[1;31m" not in got
    assert got.replace("\x1b[1m", "").replace("\x1b[0m", "") == said


def test_a_pipe_gets_the_text_as_it_is() -> None:
    code = "from snn_deploy.deploy.cli import main; main(['targets', 'loihi2', '--sources'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "40"},
    )
    assert done.stdout == printable(show_targets("loihi2", sources=True)) + "\n"
