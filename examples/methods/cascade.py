"""Neurons behind four currents in a row, all of which reach all of them, and what is read of them.

Double exponential currents of double exponential traces of spikes, after Paul, Wagner and Das
(IJCNN 2022); `full_force.py` says what is theirs.
"""

import math

import torch
from shared import Task, number
from torch import Tensor, nn

from snn_deploy.frontends.layers import Cell, Delay, Into, LayerGraph, Linear
from snn_deploy.ir.network import Chain, Floor, Reset, Synapse
from snn_deploy.ir.neuron import Compare, Decode, During, Fires, Reads, ResetKind, State
from snn_deploy.ir.timing import Refractory

NEURONS, STEPS, DT = 200, 2000, 0.0005
"""Steps of a trial; seconds of a step."""

FLOOR = -15.0
"""Of a membrane, counted from the threshold [mV]; a reset ends there too."""

PULSE = 100
"""Steps of a trial in which the input is 1."""

GAIN, DRIVE, PUSH = 1.0, 0.2, 1.0
"""Sizes of the weights between neurons, of the wanted output and of the pulse."""


def decay(tau: float) -> float:
    """Return exp(-dt / tau), rounded to 12 bits."""
    return round(math.exp(-DT / tau) * 4096) / 4096


LEAK, SLOW, RISE = round((1 - DT / 0.010) * 4096) / 4096, decay(0.020), decay(0.002)
HELD = round(0.002 / DT) - 1
"""Steps after a spike in which the membrane stays."""


class Recurrent(nn.Module):
    """Neurons with all-to-all connections, and what is read of them; float64 [sample, neuron]."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.neurons, self.steps = [self], task.test_labels.shape[1]
        outputs = task.labels.shape[2]
        self.recurrent = torch.randn(NEURONS, NEURONS).double() * GAIN / math.sqrt(NEURONS) / DT
        self.readout = torch.zeros(outputs, NEURONS).double()
        self.entry = uniform(NEURONS, 1) * PUSH / DT
        self.wanted = uniform(NEURONS, outputs) * DRIVE / DT
        self.initial = torch.rand(NEURONS).double() * FLOOR

    def enter(self, images: Tensor) -> Tensor:
        """Return pulses of a height, one in each trial, [step, sample, 1]."""
        pulse = (torch.arange(self.steps) % STEPS < PULSE).to(images.dtype)
        return pulse[:, None, None] * images

    def start(self, samples: int) -> None:
        """Set all states to what they are before the first step."""
        self.i1, self.i2, self.i3, self.i4, self.spikes = torch.zeros(5, samples, NEURONS).double()
        self.v = self.initial.expand(samples, NEURONS)
        self.held = torch.zeros(samples, NEURONS)

    def step(self, arriving: Tensor) -> None:
        """Compute a step in which `arriving` enters beside what the neurons send themselves."""
        self.i4 = RISE * self.i4 + (1 - RISE) * self.i3
        self.i3 = SLOW * self.i3 + (1 - SLOW) * (self.i2 @ self.recurrent.T + arriving)
        self.i2 = RISE * self.i2 + (1 - RISE) * self.i1
        self.i1 = SLOW * self.i1 + (1 - SLOW) * self.spikes
        x = torch.where(self.held > 0, self.v, LEAK * self.v + (1 - LEAK) * self.i4)
        fires = x >= 0
        self.spikes = fires.double()
        self.v = torch.where(fires, FLOOR, x.clamp(min=FLOOR))
        self.held = torch.where(fires, HELD, self.held - 1)

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return the spikes and the trajectories, [step, sample, *]."""
        self.start(inputs.shape[1])
        spikes, read = [], []
        for x in inputs.double():
            read.append(self.i2 @ self.readout.T)
            self.step(x @ self.entry.T)
            spikes.append(self.spikes)
        return [torch.stack(spikes), torch.stack(read)]

    def answer(self, gives: Tensor) -> Tensor:
        """Return the mean of the trajectories."""
        return gives.mean(dim=0)

    def graph(self, shape: tuple[int, ...]) -> LayerGraph:
        """Return the network in the words of the compiler; a sum of filtered spikes is the filtered
        sum, so the receiving neuron has all four currents."""
        old = Chain(gain=number(1 - RISE), reads=Reads.OLD)
        cell = Cell(
            decay=number(LEAK),
            gain=number(1 - LEAK),
            synapse=Synapse(decay=number(SLOW), gain=number(1 - SLOW), into_membrane=0),
            further=(
                Synapse(decay=number(RISE), into_membrane=0, chain=old),
                Synapse(
                    decay=number(SLOW),
                    gain=number(1 - SLOW),
                    into_membrane=0,
                    chain=Chain(gain=number(1 - SLOW), reads=Reads.OLD),
                ),
                Synapse(decay=number(RISE), chain=old),
            ),
            threshold=number(0.0),
            compare=Compare.GREATER_EQUAL,
            reset=Reset(kind=ResetKind.VALUE, amount=number(FLOOR)),
            floor=Floor(value=number(FLOOR)),
            refractory=Refractory(steps=HELD, during=During.HELD),
            initial=number(self.initial),
        )
        read = Cell(
            decay=number(RISE),
            gain=number(1 - RISE),
            synapse=Synapse(decay=number(SLOW), gain=number(1 - SLOW), reads=Reads.OLD),
            fires=Fires.NEVER,
        )
        graph = LayerGraph(inputs={"input": shape})
        graph.add("entry", Linear(weight=number(self.entry)), "input")
        graph.add("third", Into(state=State.CURRENT_3), "entry")
        graph.add("n0", cell, "third")
        graph.add("recurrent", Linear(weight=number(self.recurrent)), "n0")
        graph.feed_back("recurrent", "n0")
        graph.add("readout", Linear(weight=number(self.readout)), "n0")
        graph.add("late", Delay(steps=2), "readout")
        graph.outputs["output"] = graph.add("read", read, "late")
        graph.decodes["output"] = Decode.MEMBRANE_MEAN
        return graph


def uniform(*shape: int) -> Tensor:
    """Return random numbers from -1 to 1."""
    return torch.rand(*shape).double() * 2 - 1
