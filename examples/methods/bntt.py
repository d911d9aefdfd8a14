"""BNTT: batch normalisation through time.

Kim and Panda, "Revisiting batch normalization for training low-latency deep spiking neural networks
from scratch", Frontiers in Neuroscience 2021. From the paper and its code: each step has a batch
normalisation of its own, without a shift to learn; v = 0.95 v + norm_t(x), spikes at v > 1, which
subtract 1; pixels enter as random spikes; the output adds up and never fires. Our reading: spikes
are 0 or 1 (theirs have a sign, for normalised pixels), drawn by the generator of `encode_rate`, so
that they are the same everywhere; 12 steps, where they take 25. In the compiler's words a
normalisation is a table of gains and a table of biases, by step and channel.
"""

from dataclasses import replace

import numpy as np
import torch
from record import Method
from shared import Net, Neuron, Task, number, plain
from torch import Tensor, nn
from trip import main

from snn_deploy.frontends.layers import Cell, LayerGraph
from snn_deploy.frontends.modules import read_nested
from snn_deploy.ir.codecs import encode_rate
from snn_deploy.ir.neuron import Decode, Fires, State, Tabled
from snn_deploy.ir.timing import Table

STEPS, DECAY, SMALLEST = 12, 0.95, 1e-4


class Normalised(Neuron):
    """Neurons behind a normalisation of each step."""

    def __init__(self, channels: int, axes: int) -> None:
        super().__init__(decay=DECAY, subtract=1.0, strict=True)
        kind = nn.BatchNorm2d if axes > 1 else nn.BatchNorm1d
        self.norms = nn.ModuleList(kind(channels, eps=SMALLEST) for _ in range(STEPS))
        for norm in self.norms:
            norm.bias.requires_grad_(False)

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Return factors and shifts, [step, channel]."""
        factor = torch.stack([n.weight / (n.running_var + n.eps).sqrt() for n in self.norms])
        mean = torch.stack([n.running_mean for n in self.norms])
        return number(factor), number(-mean * factor)

    def cell(self) -> Cell:
        """Return the same neurons in the words of the compiler."""
        factor, shift = self.tables()
        tables = (
            Table(what=Tabled.GAIN, rows=factor, into=State.MEMBRANE),
            Table(what=Tabled.BIAS, rows=shift, into=State.MEMBRANE),
        )
        return replace(super().cell(), tables=tables, per_channel=True)


class Timed(Net):
    """A network with a normalisation for each step."""

    def __init__(self, task: Task) -> None:
        kernels = task.kernels()
        linear = [m for k in kernels for m in k.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        neurons = [Normalised(m.weight.shape[0], m.weight.ndim - 2) for m in linear[:-1]]
        super().__init__(kernels, neurons, STEPS)
        for module in linear:
            module.bias = None

    def enter(self, images: Tensor) -> Tensor:
        """Return random spikes: while it learns from torch's generator, else always the same."""
        if self.training:
            return (torch.rand(STEPS, *images.shape) < images).to(images.dtype)
        spikes = encode_rate(images.double().numpy(), STEPS, 0)
        return torch.from_numpy(spikes).to(images.dtype).swapaxes(0, 1)

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return the spikes of each layer, and the sum of the output."""
        v, total, rows = self.start(), torch.zeros(()), []
        for t, entering in enumerate(inputs):
            x, gives = entering, []
            for index, neuron in enumerate(self.neurons):
                drive = neuron.norms[t](self.kernels[index](x))
                v[index], x = neuron.fire(neuron.integrate(v[index], drive))
                gives.append(x)
            total = total + self.kernels[-1](x)
            rows.append([*gives, total])
        return [torch.stack(layer) for layer in zip(*rows, strict=True)]

    def answer(self, gives: Tensor) -> Tensor:
        """Return the mean drive of the output."""
        return gives[-1] / STEPS

    def graph(self, shape: tuple[int, ...]) -> LayerGraph:
        """Return the network in the words of the compiler."""
        graph, source = LayerGraph(inputs={"input": shape}), "input"
        for index, kernel in enumerate(self.kernels):
            source = read_nested(graph, f"k{index}", kernel, source)
            if index < len(self.neurons):
                source = graph.add(f"n{index}", self.neurons[index].cell(), source)
        sums = Cell(decay=number(1.0), gain=number(1 / STEPS), fires=Fires.NEVER)
        graph.outputs["output"] = graph.add("sum", sums, source)
        graph.decodes["output"] = Decode.MEMBRANE_END
        return graph


def spoil(graph: LayerGraph) -> None:
    """Normalise every step as the first."""
    for name, node in graph.nodes.items():
        if isinstance(node.layer, Cell) and node.layer.tables:
            same = tuple(
                replace(table, rows=np.repeat(table.rows[:1], STEPS, axis=0))
                for table in node.layer.tables
            )
            graph.nodes[name] = replace(node, layer=replace(node.layer, tables=same))


METHOD = Method(
    name="BNTT",
    key="bntt",
    build=Timed,
    train=plain,
    digits=98.4,
    levels=1,
    hazard="every step is normalised as the first",
    spoil=spoil,
)

if __name__ == "__main__":
    main(METHOD)
