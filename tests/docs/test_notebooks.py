"""The notebooks: each runs as stored, and what is stored is what a run shows."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

for needed in ("torch", "norse", "nbclient", "ipykernel", "matplotlib"):
    pytest.importorskip(needed)
pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "examples" / "notebooks"

LINES = {
    "from_norse_to_loihi.ipynb": (
        "in-memory for loihi2, program ",
        "simulated  1: runs as FixedPointNeuron in Lava's simulator only",
        "event = reference  bit-exact over 54,696 states",
        "same class  8 of 8",
        "layer 1, neuron (31,), sample 3, step 13",
        "cause: weight rounding",
        "<Figure size 900x550 with 2 Axes>",
    ),
    "where_the_energy_goes.ipynb": (
        "40 digits to choose scales on, 100 to count events on",
        "energy estimate: Loihi 1, SANA-FE's calibration",
        "Loihi 1 prices: none are published for Loihi 2",
        "Loihi 2, 4 bits",
        "as trained: 99 of 100 correct",
        "choices of --cores, all sources taken to be equally active",
        "<Figure size 900x350 with 1 Axes>",
    ),
}
"""What each notebook must show."""

MOST_BYTES = 300_000

MACHINE = re.compile(r"/(?:home|root|tmp|usr|opt|var|work|Users)/")


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the notebooks after a new run, in a process of their own."""
    folder = tmp_path_factory.mktemp("notebooks")
    ran = subprocess.run(
        [sys.executable, str(NOTEBOOKS / "run.py"), "--output", str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    return folder


def outputs(notebook: Path) -> Iterator[dict]:
    """Yield what the cells of a notebook show."""
    for cell in json.loads(notebook.read_text())["cells"]:
        yield from cell.get("outputs", ())


def shown(notebook: Path) -> str:
    """Return all text that the cells of a notebook show."""
    texts = (o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs(notebook))
    return "\n".join("".join(text) for text in texts)


def test_every_notebook_is_looked_at() -> None:
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} == set(LINES)


def test_a_run_and_what_is_stored_both_show_the_key_lines(executed: Path) -> None:
    for name, lines in LINES.items():
        for folder in (executed, NOTEBOOKS):
            text = shown(folder / name)
            for line in lines:
                assert line in text, (folder / name, line)


@pytest.mark.parametrize("name", LINES)
def test_what_is_stored_is_small_and_says_nothing_of_a_machine_or_of_failure(name: str) -> None:
    text = (NOTEBOOKS / name).read_text()
    assert len(text) < MOST_BYTES
    assert not MACHINE.search(text)
    assert all(one["output_type"] != "error" for one in outputs(NOTEBOOKS / name))
    assert all(one.get("name") != "stderr" for one in outputs(NOTEBOOKS / name))
