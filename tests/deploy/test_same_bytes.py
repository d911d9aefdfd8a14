"""The same export gives the same bytes, and the same run the same states, in every process."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CODE = """
import hashlib, sys
from pathlib import Path
import numpy as np
import snn_deploy
from snn_deploy.backends.event import EventBackend
from snn_deploy.ir.trace import EVERYTHING, Values

out = Path(sys.argv[1])
made = snn_deploy.export("model.nir", calibrate="data.npz", per_channel=False, output=out)
for path in sorted(out.rglob("*")):
    if path.is_file():
        print(path.relative_to(out), hashlib.sha256(path.read_bytes()).hexdigest())
spikes = np.load("data.npz")["input"].astype(np.int32)
trace = EventBackend().run(made.program, [Values(name="input", values=spikes)], EVERYTHING)
for population in made.program.populations:
    for state, register in sorted(trace[population.name].states.items(), key=str):
        print(population.name, state, hashlib.sha256(register.tobytes()).hexdigest())
"""


def printed(folder: Path, out: str, threads: str, seed: str) -> str:
    """Return digests of an artifact and of all states, from a process of its own."""
    pools = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-c", CODE, out],
        cwd=folder,
        env=os.environ | pools | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_artifacts_and_states_depend_neither_on_threads_nor_on_the_process(
    filled: Path,
) -> None:
    first = printed(filled, "one/net", "1", "0")
    assert len(first.splitlines()) > 20
    assert printed(filled, "two/net", "2", "0") == first
    assert printed(filled, "three/net", "2", "12345") == first
