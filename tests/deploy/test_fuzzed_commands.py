"""Any words on the command line end in a result or a numbered error, and touch nothing else."""

import inspect
import os
from pathlib import Path

import pytest
from folders import contents
from fuzzing import MINUTES, fuzzed, no_hang
from hypothesis import strategies as st

from snn_deploy.deploy.cli import BUG, run
from snn_deploy.deploy.commands import FUNCTIONS

EXAMPLES = int(os.environ.get("SNN_DEPLOY_FUZZ", "40"))

SHARE = 0.2
"""Of the minutes that all fuzzing takes."""

APART = {"tune", "doctor", "lava setup"}
"""Commands that search for long, or start and install other Pythons."""

COMMANDS = {name: function for name, function in FUNCTIONS.items() if name not in APART}

FILES = (
    *("model.nir", "loop.nir", "large.nir", "nan.nir", "damaged.nir", "unknown.nir", "ready"),
    *("data.npz", "narrow.npz", "sevens.npz", "chip.toml", "prices.toml", "missing", ".", ""),
)

WORDS = (
    *FILES,
    *("0", "1", "2", "3", "8", "-1", "1e9", "0.5", "nan", "inf", "1e400", "9" * 20),
    *("0:1", "1:0", "0:15", "-5:5", "auto", "4,fc=3", "fc=0", "lif=1.1", "1x28x28"),
    *("loihi", "loihi1", "cpu", "xylo", "netx", "sinabs", "norse", "network", "reference"),
    *("rate", "latency", "current", "recorded", "count", "first-spike", ">=", ">", "value"),
    *("subtract", "late-value", "greedy", "gptq", "mse", "energy"),
    *("\N{SNOWMAN}", "a b", "--", "-", "x" * 300),
)

GOOD = dict.fromkeys(COMMANDS, "ready") | dict.fromkeys(("export", "nir"), "model.nir")
GOOD |= {"targets": "loihi2", "explain": "304"}
"""What a command works with."""

USUAL = {"input": "data.npz", "data": "data.npz", "output": "new", "calibrate": "data.npz"}
"""What options work with."""

LEFT_OUT = {"module", "dask", "workers", "samples", "time_limit"}
"""Options that run code of the user's, or say how long a run may take."""


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Draw a command with files and options, most of which it has."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    parameters = inspect.signature(COMMANDS[name]).parameters.values()
    places = [p for p in parameters if p.kind is p.POSITIONAL_ONLY]
    named = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in LEFT_OUT]
    words = [name, *(draw(st.sampled_from((GOOD[name],) * 3 + FILES)) for _ in places)]
    chosen = [p for p in named if p.default is p.empty]
    if named:
        chosen += draw(st.lists(st.sampled_from(named), max_size=4, unique_by=lambda p: p.name))
    for parameter in chosen:
        words.append("--" + parameter.name.replace("_", "-"))
        if not isinstance(parameter.default, bool):
            usual = (USUAL[parameter.name],) * 20 if parameter.name in USUAL else ()
            words.append(draw(st.sampled_from((*usual, *WORDS))))
    return words


def test_any_words_end_in_a_result_or_a_numbered_error(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(place)

    def check(line: list[str]) -> None:
        with no_hang():
            attempt(place, line, capsys)

    drawn = fuzzed(lines(), check, SHARE, EXAMPLES)
    if MINUTES:
        with capsys.disabled():
            print(f"\nfuzz commands: {drawn} lines", flush=True)


def attempt(place: Path, line: list[str], capsys: pytest.CaptureFixture) -> None:
    """Run a command line, and look at what it left behind."""
    before = contents(place)
    status = run([*line, "--json"])
    captured = capsys.readouterr()
    assert status != BUG, captured.err
    assert status in {0, 1, 2, 3}
    after = contents(place)
    kept = before if "--force" not in line else {}
    assert {name: after.get(name) for name in kept} == kept
    if status in {1, 2}:
        assert after == before
        assert '"error": "SNN' in captured.err
