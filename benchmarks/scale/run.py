"""Memory, time and disk of the commands on large networks, each a process of its own.

    python benchmarks/scale/run.py                        # all; up to 7 GB, some minutes
    python benchmarks/scale/run.py --only dense --neurons 10000
    python benchmarks/scale/publish.py                    # the tables of docs/scale.md

Peak memory is the resident memory of the child as the system counts it (getrusage), its time that
of the processor. Every network is written to a NIR file with random weights first.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from networks import NETWORKS

HERE = Path(__file__).parent
DEMO = HERE.parent.parent / "examples" / "mnist" / "mnist.nir"
SAMPLES = {"demo": 4000, "vgg11": 32, "resnet18": 32}
"""Samples that are evaluated, of the networks that are."""

STATED = ("--dialect", "nir", "--dt", "0.001")


def measured(folder: Path, *words: str) -> dict[str, float]:
    """Run a command; return its peak memory [bytes] and its time [s]."""
    begun = time.monotonic()
    code = "import sys; from snn_deploy.deploy.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, *words]
    with (folder / "said").open("wb") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)}: status {status}\n{(folder / 'said').read_text()}")
    return {
        "bytes": used.ru_maxrss * 1024,
        "seconds": used.ru_utime + used.ru_stime,
        "wall": time.monotonic() - begun,
    }


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def counts(artifact: Path) -> dict[str, int]:
    """Return what an artifact's program has: neurons, synapses, stored weights."""
    from snn_deploy.deploy.deployment import read_deployment  # noqa: PLC0415
    from snn_deploy.deploy.operations import reached  # noqa: PLC0415

    program = read_deployment(artifact).program
    return {
        "neurons": sum(p.size for p in program.populations),
        "synapses": int(sum(reached(p.map).sum() for p in program.projections)),
        "weights": sum(p.map.numbers().size for p in program.projections),
    }


def row(name: str, neurons: int, folder: Path) -> dict[str, Any]:
    """Return what the commands take on one network."""
    model, artifact = folder / f"{name}.nir", folder / "artifact"
    stated: tuple[str, ...] = STATED
    if name == "demo":
        model, stated = DEMO, ()
        rng = np.random.default_rng(0)
        np.savez(folder / "demo.npz", input=rng.random((1, 1, 28, 28)), label=np.zeros(1, int))
    else:
        NETWORKS[name](neurons, model)
    one = folder / f"{name}.npz"
    exported = measured(folder, "export", str(model), *stated, "--output", str(artifact))
    found = {"export": exported}
    for command in ("simulate", "estimate"):
        found[command] = measured(folder, command, str(artifact), "--input", str(one))
    if name in SAMPLES:
        many = folder / "many.npz"
        with np.load(one) as arrays:
            repeated = np.repeat(arrays["input"], SAMPLES[name], axis=0)
        np.savez(many, input=repeated, label=np.zeros(SAMPLES[name], int))
        words = ("evaluate", str(artifact), "--no-real", "--data")
        found["evaluate one"] = measured(folder, *words, str(one))
        found["evaluate many"] = measured(folder, *words, str(many))
    disk = {"model": size(model), "artifact": size(artifact)}
    return {
        "name": name,
        "samples": SAMPLES.get(name, 0),
        **counts(artifact),
        **disk,
        "commands": found,
    }


def main() -> None:
    """Measure, and write each row as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["demo", *NETWORKS], action="append")
    parser.add_argument("--neurons", type=int, default=1_000_000)
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.json")
    given = parser.parse_args()
    for name in given.only or ["demo", *NETWORKS]:
        with tempfile.TemporaryDirectory() as folder:
            made = row(name, given.neurons, Path(folder))
        rows = json.loads(given.output.read_text())["rows"] if given.output.exists() else []
        rows = [*(one for one in rows if one["name"] != name), made]
        machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
        given.output.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
        peak = max(one["bytes"] for one in made["commands"].values())
        print(f"{name}: {made['neurons']:,} neurons, {made['synapses']:,} synapses, {peak:,} bytes")


if __name__ == "__main__":
    main()
