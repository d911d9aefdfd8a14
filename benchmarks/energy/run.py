"""Compares our energy and time with SANA-FE's, and with what was measured on chips.

    python benchmarks/energy/run.py       needs an environment with SANA-FE 2.2.9 (`make oracles`)

SANA-FE (GPL-3) stays in that environment and in a process of its own. Writes RESULTS.json beside
itself; `publish.py` makes the tables of docs/energy.md of it. Fails where a promise is not kept.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

import cases  # noqa: E402 - found by the line above
import hardware  # noqa: E402 - found by the line above

from snn_deploy.deploy.energy import SYNAPTIC, Estimate, Event  # noqa: E402 - the same

CHILD = ROOT / "tests" / "oracles" / "run_sanafe.py"
PYTHON = "SNN_DEPLOY_ORACLES_PYTHON"
GESTURE_STEPS = 128
GESTURE_CORES = 42
"""As many as its own slices have."""

LIMITS = {"energy": 1e-3, "simple time": 1e-3, "detailed time": 0.1}
"""Largest errors that we promise; counts are equal."""

WEIGHTS = """
import sys, numpy
from importlib.resources import files
numpy.savez(sys.argv[1], **numpy.load(str(files("sanafe.examples") / "dvs_challenge.npz")))
"""


def simulated(python: Path, records: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Return what SANA-FE says of some cases."""
    (folder / "cases.json").write_text(json.dumps(records))
    command = [python, CHILD, folder / "cases.json", folder / "found.npz"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=1200)
    return dict(np.load(folder / "found.npz"))


def total(found: Estimate, *events: Event) -> float:
    """Return how often some events happen in all layers."""
    return sum(layer.count.counts.get(event, 0.0) for layer in found.layers for event in events)


def compared(case: cases.Case, said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each quantity, ours and SANA-FE's."""
    found, trace = case.estimate()
    assert found.latency is not None
    for population in case.program.populations:
        record = trace[population.name].payload
        assert record is not None
        ours = record[0].reshape(len(case.spikes), -1) != 0
        if not np.array_equal(ours, said[f"{case.name}/spikes/{population.name}"]):
            raise SystemExit(f"{case.name}: other spikes in {population.name}")
    given = float(case.spikes.sum())  # SANA-FE counts its input neurons too
    for what, mine, key in (
        ("synaptic operations", total(found, *SYNAPTIC), "operations"),
        ("spikes", total(found, Event.SPIKE) + given, "fired"),
        ("neuron updates", total(found, Event.NEURON_UPDATE) + given, "updated"),
        ("messages", total(found, Event.MESSAGE), "messages"),
        ("hops", total(found, Event.HOP_EAST_WEST, Event.HOP_NORTH_SOUTH), "hops"),
        ("energy", found.dynamic, "energy/total"),
        ("simple time", found.latency.sample.value, "simple"),
        ("detailed time", found.latency.queued, "detailed"),
        ("simple for detailed", found.latency.sample.value, "detailed"),
    ):
        yield {
            "case": case.name,
            "what": what,
            "ours": mine,
            "sanafe": said[f"{case.name}/{key}"].item(),
        }


def main() -> None:
    """Write RESULTS.json; fail where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get(PYTHON) or ROOT / ".venv-oracles" / "bin" / "python"
    parser.add_argument("--python", type=Path, default=Path(default), help="with sanafe 2.2.9")
    parser.add_argument("--steps", type=int, default=GESTURE_STEPS, help="of the gesture network")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [options.python, "-c", WEIGHTS, folder / "weights.npz"]
        subprocess.run(command, check=True)
        weights = dict(np.load(folder / "weights.npz"))
        gesture = cases.gesture(weights, options.steps)
        networks = [*cases.small_cases(), gesture, cases.mapped(gesture, weights, GESTURE_CORES)]
        said = simulated(options.python, [one.record() for one in networks], folder)
    oracle = [row for one in networks for row in compared(one, said)]
    chips = [asdict(row) | {"error": row.error, "inside": row.inside} for row in hardware.rows()]
    results = {"sanafe": "2.2.9", "oracle": oracle, "hardware": chips}
    (HERE / "RESULTS.json").write_text(json.dumps(results, indent=1) + "\n")
    check(oracle)


def check(oracle: Sequence[dict[str, Any]]) -> None:
    """Fail where counts differ or an error is larger than promised."""
    for row in oracle:
        error = abs(row["ours"] - row["sanafe"]) / (row["sanafe"] or 1)
        limit = LIMITS.get(row["what"], 0.1 if row["what"].startswith("simple for") else 0.0)
        if error > limit:
            raise SystemExit(f"{row['case']}, {row['what']}: {error:.2%} off")
    print(f"{len(oracle)} numbers, all as close as promised")


if __name__ == "__main__":
    main()
