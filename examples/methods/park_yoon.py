"""Park and Yoon's training of networks that spike once: the times of spikes are trained.

Park and Yoon, "Training energy-efficient deep spiking neural networks with time-to-first-spike
coding", 2021 (arXiv 2106.02568). From the code of the authors: the network is T2FSNN's
(`t2fsnn.py`), but it is trained as one from the start, by a network without steps that knows the
times: a drive x is sent in step t = ceil(max(0, d - tau ln x)) and arrives as exp((d - t) / tau),
or not at all behind the window; the gradient skips the rounding, and tau and d are trained with the
weights. Our reading: one tau and one d a layer (theirs may have one for each neuron); none of
their regularisers of spike times; 16 steps a turn, where they take 20 and more.
"""

from dataclasses import replace

import torch
from latency import Exponential, Turns, plain_net, train_by_values
from record import Method
from shared import Task
from spoil import every_cell
from torch import Tensor
from trip import main

from snn_deploy.frontends.layers import Cell
from snn_deploy.ir.neuron import Tabled

STEPS, TAU = 16, 4.0


class Trained(Exponential):
    """A code that values go through in training, too."""

    def sent(self, values: Tensor) -> Tensor:
        """Return what the spikes stand for; 0 where there is none."""
        times = self.times_of(values)
        return torch.exp((self.shift - times) / self.tau) * (times < self.steps)


def build(task: Task) -> Turns:
    """Return a network of exponential codes."""
    return Turns(task, lambda: Trained(STEPS, TAU))


def late(cell: Cell) -> Cell:
    """Return neurons whose threshold falls a step later than their window opens."""
    tables = tuple(
        replace(table, start=table.start + 1) if table.what is Tabled.THRESHOLD else table
        for table in cell.tables
    )
    return replace(cell, tables=tables)


METHOD = Method(
    name="Park and Yoon's TTFS training",
    key="park_yoon",
    build=build,
    train=train_by_values,
    digits=98.4,
    levels=1,
    plain_net=plain_net,
    hazard="the threshold falls a step later than the window opens",
    spoil=every_cell(late),
)

if __name__ == "__main__":
    main(METHOD)
