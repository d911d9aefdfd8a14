"""YOSO, provisional: an ANN becomes a network whose single spikes stay on, and is trained on.

Srivatsa P et al., "You only spike once: improving energy-efficient neuromorphic inference to
ANN-level accuracy", 2020 (arXiv 2006.09982). From the paper's abstract, all that was read of it:
networks of time-to-first-spike coding are converted from ANNs (perceptrons, on MNIST), and a new
optimisation makes them accurate; the rest is a chip. Its equations were not found. What stands here
is our reading, after the neurons of an older conversion (Rueckauer and Liu, "Conversion of analog
to spiking neural networks using sparse temporal coding", 2018): once a neuron has fired, its
output stays on; v += (weight on + bias) / 8, a spike at v >= 1, once; the bias acts once the first
input is there; no windows, so a neuron may fire before its input is complete; pixels are sent by a
linear code of 8 steps, of 16 in all. The optimisation is surrogate gradients through all steps,
from the ANN's weights on. Convolutions are ours, too.
"""

import math
from dataclasses import replace

import torch
from latency import Apart, latent, plain_net, train_by_values
from record import Method
from shared import Task, number, plain, spike
from spoil import every_cell
from torch import Tensor
from trip import main

from snn_deploy.frontends.layers import Cell
from snn_deploy.ir.latency import linear_levels
from snn_deploy.ir.network import Bias, Synapse
from snn_deploy.ir.neuron import Compare, Fires
from snn_deploy.ir.timing import Refractory

STEPS, CODED = 16, 8
GAIN = 1 / CODED


class Latched(Apart):
    """A network whose spikes stay on."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, STEPS)

    def enter(self, images: Tensor) -> Tensor:
        """Return the spikes of the pixels, [step, sample, *shape]."""
        return latent(images, linear_levels(CODED), STEPS)

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return the spikes of each layer, and what the last one has added up, in each step."""
        count = len(self.kernels)
        current, v, fired, there = ([torch.zeros(())] * count for _ in range(4))
        rows = []
        for entering in inputs:
            gives = [entering]
            for index, kernel in enumerate(self.kernels):
                x = kernel(gives[-1])
                there[index] = torch.maximum(there[index], (x != 0).to(x.dtype))
                current[index] = current[index] + x
                v[index] = v[index] + GAIN * (current[index] + there[index] * self.bias(index))
                if index == len(self.neurons):
                    gives.append(v[index])
                    continue
                s = spike(v[index] - 1) * (1 - fired[index])
                fired[index] = fired[index] + s.detach()
                gives.append(s)
            rows.append(gives[1:])
        return [torch.stack(layer) for layer in zip(*rows, strict=True)]

    def cell(self, index: int) -> Cell:
        """Return the neurons of a layer in the words of the compiler."""
        bias = Bias(value=GAIN * number(self.biases[index]), waits=True)
        adds = Cell(
            decay=number(1.0),
            gain=number(GAIN),
            synapse=Synapse(decay=number(1.0)),
            fires=Fires.NEVER,
            biases=(bias,),
            per_channel=True,
        )
        if index == len(self.neurons):
            return adds
        return replace(
            adds,
            fires=Fires.BINARY,
            compare=Compare.GREATER_EQUAL,
            refractory=Refractory(steps=None),
        )


def train(net: Latched, task: Task) -> None:
    """Train the ANN, and train on as a spiking network."""
    half = replace(task, epochs=math.ceil(task.epochs / 2))
    train_by_values(net, half)
    plain(net, half)


def at_once(cell: Cell) -> Cell:
    """Return neurons whose bias waits for nothing."""
    return replace(cell, biases=tuple(replace(bias, waits=False) for bias in cell.biases))


METHOD = Method(
    name="YOSO",
    key="yoso",
    build=Latched,
    train=train,
    digits=None,
    levels=1,
    plain_net=plain_net,
    provisional="only the abstract could be read; neurons and training are our reading",
    hazard="the bias does not wait for the first input",
    spoil=every_cell(at_once),
)

if __name__ == "__main__":
    main(METHOD)
