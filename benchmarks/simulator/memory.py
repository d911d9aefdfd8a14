"""How much memory a run takes above its parameters and its input, for few steps and for many.

    python benchmarks/simulator/memory.py FOLDER STEPS counts|spikes      # one point; prints bytes

Each point is a process of its own: one short run that compiles, then the peak of the resident
memory during the run that counts, above what was resident before it. Linux only.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

STEPS = (100, 400, 1600, 6400)
RECORDS = ("counts", "spikes")
LIMIT = 120.0
"""Seconds for a point."""

WARM_STEPS = 16


def memory() -> list[dict[str, Any]] | str:
    """Return the bytes of each run, or why they cannot be measured."""
    from case import write_case  # noqa: PLC0415 - the child needs none of it
    from networks import dense_case  # noqa: PLC0415

    if not Path("/proc/self/clear_refs").exists():
        return "no /proc/self/clear_refs: the peak of a process cannot be read here"
    case = dense_case("memory", (784, 512, 512, 10), steps=50, rate=0.05, samples=2)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_case(case, Path(folder))
        for record in RECORDS:
            for steps in STEPS:
                command = [sys.executable, __file__, folder, str(steps), record]
                ended = subprocess.run(
                    command, check=True, capture_output=True, text=True, timeout=LIMIT
                )
                neurons = sum(population.size for population in case.program.populations)
                rows.append(
                    {
                        "steps": steps,
                        "record": record,
                        "bytes": int(ended.stdout),
                        "input_bytes": 784 * steps,
                        "neurons": neurons,
                    }
                )
    return rows


def _resident(what: str) -> int:
    """Return a figure of this process from /proc [bytes]."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(what)).split()[1])


def _point(folder: Path, steps: int, record: str) -> int:
    """Return the peak of a run above what was resident before it [bytes]."""
    import numpy as np  # noqa: PLC0415 - of the child alone
    from case import read_program  # noqa: PLC0415

    from snn_deploy.backends.event import EventBackend  # noqa: PLC0415
    from snn_deploy.ir.trace import COUNTS, PAYLOADS, Values  # noqa: PLC0415

    program, backend = read_program(folder), EventBackend(threads=1)
    kept = COUNTS if record == "counts" else PAYLOADS
    rng = np.random.default_rng(7)
    values = (rng.random((1, steps, *program.inputs[0].shape), np.float32) < 0.05).view(np.uint8)
    inputs = (Values(name="input", values=values),)
    backend.run(program, (Values(name="input", values=values[:, :WARM_STEPS]),), kept)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _resident("VmRSS")
    backend.run(program, inputs, kept)
    return max(0, _resident("VmHWM") - before)


if __name__ == "__main__":
    print(_point(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
