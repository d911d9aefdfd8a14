"""The event simulator on a case, as a child of run.py: python ours.py event FOLDER.

A run gives the spike count of every neuron, as `snn-deploy simulate` does. Its time has all that a
call of the backend does: checks of the input, planning, threads.
"""

import sys
from pathlib import Path

import numpy as np
from case import read_program

from snn_deploy.backends.event import EventBackend
from snn_deploy.ir.trace import COUNTS, Values

sys.path.append(str(Path(__file__).parent / "children"))
from link import Case, serve


class Simulator:
    """The backend and its program."""

    versions = f"numpy {np.__version__}"
    modes, batches, threads = ["event"], [1, 8, 64, 256], [1, 2]

    def __init__(self, name: str, case: Case) -> None:
        self.case = case
        self.program = read_program(Path(sys.argv[2]))
        self.prepare(1, 1, "event")
        self.run()

    def prepare(self, batch: int, threads: int, mode: str) -> None:
        """Put the input in place."""
        self.backend = EventBackend(threads=threads)
        self.inputs = (Values(name="input", values=np.ascontiguousarray(self.case.batch(batch))),)

    def run(self) -> None:
        """Run the batch."""
        self.trace = self.backend.run(self.program, self.inputs, COUNTS)

    def check(self) -> dict[str, object]:
        """Return the spikes of each layer in the first sample."""
        self.prepare(1, 1, "event")
        self.run()
        return {"spikes": [float(p.events[0].sum()) for p in self.trace.populations]}


if __name__ == "__main__":
    serve(Simulator)
