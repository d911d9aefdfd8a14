"""T2FSNN: an ANN becomes a network that spikes once, at a threshold that falls exponentially.

Park, Kim, Na and Yoon, "T2FSNN: deep spiking neural networks with time-to-first-spike coding", DAC
2020. From the paper and its code: layers take turns of T steps; what arrives in step t of a turn
counts exp((d - t) / tau), with tau and d of the layer before; the bias enters once; a neuron fires
once, where its membrane reaches exp((d - t) / tau) of its own layer; pixels are coded alike; the
last membrane is read. Activations of the ANN are normalised first; then tau and d of each layer are
trained by three losses of its own: what the code loses, and what its smallest and its largest value
miss. Our reading: tau learns by the first two, d by the third; smallest and largest are quantiles;
16 steps a turn, where they take 80. No layer starts early (an option of theirs).
"""

from dataclasses import replace

import torch
from latency import Apart, Exponential, Turns, linear_of, plain_net, train_by_values
from record import Method
from shared import Task
from torch import Tensor
from trip import main

from snn_deploy.frontends.layers import Cell, LayerGraph

STEPS, TAU = 16, 4.0
SMALLEST, LARGEST = 0.05, 0.999
"""Shares of the activations above 0 that lie below the smallest and the largest."""

TUNED, RATE = 300, 1e-2
"""Steps and learning rate of the codes."""

SEEN, SAMPLED = 512, 10_000
"""Images, and activations of each layer, by which the codes are chosen."""


def build(task: Task) -> Turns:
    """Return a network of exponential codes."""
    return Turns(task, lambda: Exponential(STEPS, TAU))


def train(net: Turns, task: Task) -> None:
    """Train the ANN, normalise it, and choose each layer's code."""
    train_by_values(net, task)
    x = task.images[:SEEN]
    choose(net.codes[0], some_of(x))
    scale = 1.0
    for index in range(len(net.kernels)):
        with torch.no_grad():
            x = net.drive(index, x).relu()
        last = index == len(net.neurons)
        own = 1.0 if last else some_of(x).quantile(LARGEST).item()
        normalise(net, index, scale, own)
        if not last:
            choose(net.codes[index + 1], some_of(x) / own)
        scale = own


def some_of(values: Tensor) -> Tensor:
    """Return a part of the values above 0, always the same, [value]."""
    there = values[values > 0]
    return there[torch.linspace(0, len(there) - 1, SAMPLED).long()]


@torch.no_grad()
def normalise(net: Apart, index: int, before: float, own: float) -> None:
    """Let a layer read what was divided by `before`, and give what is divided by `own`."""
    linear_of(net.kernels[index]).weight *= before / own
    net.biases[index] /= own


def choose(code: Exponential, values: Tensor) -> None:
    """Train a code for activations [value]."""
    smallest, largest = values.quantile(SMALLEST), values.quantile(LARGEST)
    optimiser = torch.optim.Adam(code.parameters(), lr=RATE)
    for _ in range(TUNED):
        optimiser.zero_grad()
        shift, times = code.shift.detach(), code.times_of(values).detach()
        told = torch.exp((shift - times) / code.tau)
        least = torch.exp((shift - code.times[-1]) / code.tau)
        most = torch.exp(code.shift / code.tau.detach())
        lost = (told - values)[times < code.steps]
        loss = (lost**2).mean() + (least - smallest) ** 2 + (most - largest) ** 2
        (loss / 2).backward()
        optimiser.step()


def own_kernel(graph: LayerGraph) -> None:
    """Let neurons count what arrives by their own layer's code."""
    for name, node in graph.nodes.items():
        if isinstance(node.layer, Cell) and name != "sum":
            gain, bias, threshold = node.layer.tables
            wrong = replace(gain, rows=threshold.rows)
            cell = replace(node.layer, tables=(wrong, bias, threshold))
            graph.nodes[name] = replace(node, layer=cell)


METHOD = Method(
    name="T2FSNN",
    key="t2fsnn",
    build=build,
    train=train,
    digits=97.2,
    levels=1,
    plain_net=plain_net,
    hazard="what arrives is counted by the code of the layer itself, not of the one before",
    spoil=own_kernel,
)

if __name__ == "__main__":
    main(METHOD)
