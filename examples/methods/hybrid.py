"""Hybrid conversion and spike-timing dependent backpropagation (STDB).

Rathi et al., "Enabling deep spiking neural networks with hybrid conversion and spike timing
dependent backpropagation", ICLR 2020. From the paper and its code: an ANN without biases gives the
first weights; the threshold of a layer is a share (0.7) of the largest drive that it is given;
neurons do not leak, test first (v of the last step > threshold), and then take their input and lose
the threshold, so each layer is a step later; fine-tuned by surrogate gradients
0.3 exp(-0.01 dt), dt the steps since the neuron's last spike; the output adds up and never fires.
Our reading: the pixels are a constant current, where theirs are random spikes; 24 steps, where
they take 100 to 250. In the compiler's words: v += x - threshold * (last spikes), a spike where
v > threshold, which arrives a step later.
"""

import math
from dataclasses import replace

import torch
from record import Method
from shared import Net, Neuron, Task, learn, number
from spoil import every_cell
from torch import Tensor, nn
from trip import main

from snn_deploy.frontends.layers import Cell, Delay, LayerGraph
from snn_deploy.frontends.modules import read_nested
from snn_deploy.ir.network import Reset
from snn_deploy.ir.neuron import Compare, Decode, Fires, ResetKind, When

STEPS, SHARE, HEIGHT, FADING = 24, 0.7, 0.3, 0.01


class _Recent(torch.autograd.Function):
    """1 above 0; backwards by the steps since the last spike."""

    @staticmethod
    def forward(ctx, distance: Tensor, since: Tensor) -> Tensor:
        ctx.save_for_backward(since)
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (since,) = ctx.saved_tensors
        return gradient * HEIGHT * torch.exp(-FADING * since), None


class Late(Neuron):
    """Neurons that lose the threshold a step after they fire."""

    def cell(self) -> Cell:
        """Return the same neurons in the words of the compiler."""
        once = Reset(kind=ResetKind.SUBTRACT, amount=number(self.threshold), when=When.NEXT)
        return replace(super().cell(), reset=once, compare=Compare.GREATER)


class Hybrid(Net):
    """A network whose layers test before they integrate."""

    def __init__(self, task: Task) -> None:
        kernels = task.kernels()
        super().__init__(kernels, [Late(strict=True) for _ in kernels[1:]], STEPS)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.bias = None

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return the spikes of each layer as they are found, and the sum of the output."""
        v, since = self.start(), [torch.full((), 1000.0) for _ in self.neurons]
        total, rows = torch.zeros(()), []
        for entering in inputs:
            x, found = entering, []
            for index, neuron in enumerate(self.neurons):
                drive = self.kernels[index](x)
                before = v[index] + torch.zeros_like(drive)
                s = _Recent.apply(before / neuron.threshold - 1, since[index])
                since[index] = torch.where(s > 0, 1.0, since[index] + 1).detach()
                v[index] = before + drive - neuron.threshold * s
                found.append((v[index] > neuron.threshold).to(x.dtype))
                x = s
            total = total + self.kernels[-1](x)
            rows.append([*found, total])
        return [torch.stack(layer) for layer in zip(*rows, strict=True)]

    def answer(self, gives: Tensor) -> Tensor:
        """Return the sum at the end."""
        return gives[-1]

    def graph(self, shape: tuple[int, ...]) -> LayerGraph:
        """Return the network in the words of the compiler."""
        graph, source = LayerGraph(inputs={"input": shape}), "input"
        for index, kernel in enumerate(self.kernels):
            source = read_nested(graph, f"k{index}", kernel, source)
            if index < len(self.neurons):
                fires = graph.add(f"n{index}", self.neurons[index].cell(), source)
                source = graph.add(f"d{index}", Delay(steps=1), fires)
        graph.add("sum", Cell(decay=number(1.0), fires=Fires.NEVER), source)
        graph.outputs["output"] = "sum"
        graph.decodes["output"] = Decode.MEMBRANE_END
        return graph


def train(net: Hybrid, task: Task) -> None:
    """Train the ANN, choose thresholds, and train on as a spiking network."""
    parts = [part for kernel in net.kernels[:-1] for part in (kernel, nn.ReLU())]
    ann = nn.Sequential(*parts, net.kernels[-1])
    learn(ann, task, lambda x, labels: nn.functional.cross_entropy(ann(x), labels))
    for index, neuron in enumerate(net.neurons):
        neuron.threshold = SHARE * largest_drive(net, index, task.images[:200])
    spiking(net, replace(task, epochs=math.ceil(task.epochs / 4)))


@torch.no_grad()
def largest_drive(net: Hybrid, index: int, images: Tensor) -> float:
    """Return the largest input of a layer in a step, the layers before it spiking."""
    sent = net.enter(images) if not index else net.run(net.enter(images))[index - 1]
    return max(net.kernels[index](x).max().item() for x in sent)


def spiking(net: Hybrid, task: Task) -> None:
    """Train by surrogate gradients."""

    def cost(images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(net(images) / STEPS, labels)

    learn(net, task, cost)


def at_once(cell: Cell) -> Cell:
    """Return neurons that are reset in the step of the spike, to 0."""
    if cell.fires is Fires.NEVER:
        return cell
    return replace(cell, reset=Reset(kind=ResetKind.VALUE))


METHOD = Method(
    name="Hybrid conversion with STDB",
    key="hybrid",
    build=Hybrid,
    train=train,
    digits=98.6,
    hazard="a spike resets the membrane to 0 at once",
    spoil=every_cell(at_once),
)

if __name__ == "__main__":
    main(METHOD)
