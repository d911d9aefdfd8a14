"""How fast is the event simulator, beside what others use and beside what the machine can do?

    python benchmarks/simulator/run.py --output RESULTS    # all; writes RESULTS.md, .json and .svg
    python benchmarks/simulator/run.py --quick             # two networks, three peers, 2 minutes

Every network is first held to the reference simulator. README.md says what is measured and how.
"""

import argparse
import json
import math
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from child import now
from contest import contest
from curves import curves, layers
from memory import memory
from networks import NETWORKS
from peers import PEERS, missing
from plot import drawn
from roofline import roofline
from tables import report

QUICK_NETWORKS = ["mlp", "cnn"]
QUICK_PEERS = ["lava", "sinabs", "spikingjelly"]
QUICK_BUDGET = 10.0
BUDGET = 15.0
"""Seconds for each peer on each network; five networks then take less than 20 minutes."""


def main() -> None:
    """Measure, print the tables, and write them."""
    given = arguments()
    start = now()

    def say(text: str) -> None:
        print(f"{now() - start:6.0f} s  {text}", file=sys.stderr, flush=True)

    document: dict[str, Any] = {"machine": machine(), "networks": [], "rows": []}
    say("roofline")
    document["roofline"] = roofline(0.15 if given.quick else 0.4)
    chosen = {peer: missing(peer) for peer in PEERS if peer.name in given.peers}
    if given.curves:
        say("single layers")
        document["layers"] = layers()
        document["curves"] = curves(say)
        say("memory")
        document["memory"] = memory()
    for name in given.networks:
        case = NETWORKS[name]()
        with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
            facts, rows = contest(case, Path(folder), chosen, given.budget, say)
        document["networks"].append(facts)
        document["rows"] += [asdict(row) for row in rows]
        write(document, given.output)
    document["machine"]["load_at_end"] = os.getloadavg()[0]
    document["seconds"] = now() - start
    write(document, given.output)
    print(report(finite(document)))


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    names = [peer.name for peer in PEERS]
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, help=", ".join(NETWORKS))
    parser.add_argument("--peers", nargs="*", choices=names, help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="a small part, to steer by")
    parser.add_argument(
        "--curves",
        action=argparse.BooleanOptionalAction,
        help="single layers, growth of time and memory too; as a rule unless --quick",
    )
    parser.add_argument("--budget", type=float, help="seconds for each peer on each network")
    parser.add_argument("--output", type=Path, help="write OUTPUT.md, .json and .svg")
    given = parser.parse_args()
    if given.networks is None:
        given.networks = QUICK_NETWORKS if given.quick else list(NETWORKS)
    if given.peers is None:
        given.peers = QUICK_PEERS if given.quick else names
    if given.curves is None:
        given.curves = not given.quick
    given.budget = given.budget or (QUICK_BUDGET if given.quick else BUDGET)
    return given


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(": ")[1] for line in text.splitlines() if "model name" in line), "?")
    return {"processor": model, "cores": os.cpu_count(), "load_at_start": os.getloadavg()[0]}


def finite(value: Any) -> Any:
    """Return what JSON can hold: numbers that were not measured become null."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(document: dict[str, Any], output: Path | None) -> None:
    """Write what there is so far."""
    document = finite(document)
    if output is not None:
        output.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
        output.with_suffix(".md").write_text(report(document))
        drawing = drawn(document)
        if drawing:
            output.with_suffix(".svg").write_text(drawing)


if __name__ == "__main__":
    main()
