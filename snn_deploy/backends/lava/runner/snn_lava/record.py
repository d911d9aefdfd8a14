"""Writes down what the neurons of one process do, step by step, in files that all processes see.

Lava forks a system process per Lava process, and reads variables back number by number, so
that a Monitor of a thousand neurons takes seconds. A file mapped into memory takes none.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Record:
    """The record of one process.

    Args:
        folder: An empty folder of its own.
        neurons: Number of neurons.
        samples: Samples of the run.
        steps: Steps of each sample.
        states: Which states are kept for every step.
    """

    folder: Path
    neurons: int
    samples: int
    steps: int
    states: tuple

    def create(self):
        """Make the files."""
        self.folder.mkdir(parents=True)
        for name, shape, dtype in self._files():
            np.lib.format.open_memmap(self.folder / name, mode="w+", dtype=dtype, shape=shape)

    def _files(self):
        for state in self.states:
            yield f"{state}.npy", (self.samples, self.steps, self.neurons), np.int32
        for count in ("events", "spikes"):
            yield f"{count}.npy", (self.samples, self.neurons), np.int64
        yield "overflows.npy", (1,), np.int64
        yield "left.npy", (1,), np.int64

    def step_of(self, time_step):
        """Return the step of the sample; Lava counts from 1 and knows no samples."""
        return (time_step - 1) % self.steps

    def keep(self, time_step, values, overflows):
        """Write down one step: {state: array}, `payload` among them, and how many overflowed."""
        sample, step = divmod(time_step - 1, self.steps)
        files = self.files("r+")
        for state in self.states:
            files[state][sample, step] = values[state]
        s = values["payload"]
        files["events"][sample] += s != 0
        files["spikes"][sample] += s
        if overflows:
            files["overflows"][0] += overflows

    def leave(self):
        """Note that the process left the range in which it equals the program."""
        self.files("r+")["left"][0] = 1

    def files(self, mode):
        """Return the mapped files by name; they are opened once in each system process."""
        if "_open" not in self.__dict__:
            self._open = {
                name[:-4]: np.load(self.folder / name, mmap_mode=mode)
                for name, _, _ in self._files()
            }
        return self._open
