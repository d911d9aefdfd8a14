"""TT-SNN's half scheme: weights of a tensor train that change after two steps.

Lee et al., "TT-SNN: tensor train decomposition for efficient spiking neural network training", DATE
2024. From the paper and its code: in the first two of four steps a convolution is the parallel form
of `tt_snn.py`; from the third on only its two 1 x 1 are left, one behind the other. All else is as
there. Our reading: the network, as there; without padding the 1 x 1 see what the middle taps of
3 x 3 saw. Deployed, the two are two kernels: one enters a current that forgets at once, the other
the membrane, and a table of gains lets one of them through in each step. A chip holds both, and
adds up both in every step. Compared with an ordinary 3 x 3 and an ordinary 1 x 1 in the same steps.
"""

from dataclasses import replace

import numpy as np
import torch
from record import Method
from shared import LIVELY, Neuron, Task, number, plain
from torch import Tensor, nn
from trip import main
from tt_snn import STEPS, Train, Trains

from snn_deploy.frontends.layers import Cell, Into, LayerGraph
from snn_deploy.frontends.modules import read_nested
from snn_deploy.ir.network import Synapse
from snn_deploy.ir.neuron import State, Tabled
from snn_deploy.ir.timing import Table

WHOLE = 2
"""Steps of the parallel form."""


class HalfTrain(Train):
    """A tensor train whose two middle kernels can be left out."""

    half = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x, with or without the middle kernels."""
        if not self.half:
            return super().forward(x)
        return self.exit(self.entry(x[..., 1 : -1 : self.stride, 1 : -1 : self.stride]))

    @torch.no_grad()
    def contracted_half(self) -> nn.Conv2d:
        """Return the half form as one convolution of 3 x 3, of which the middle tap is used."""
        made = self.contracted()
        made.weight.zero_()
        middle = self.exit.weight[..., 0, 0] @ self.entry.weight[..., 0, 0]
        made.weight[..., 1, 1] = middle
        return made


class Ordinary(nn.Module):
    """An ordinary convolution of 3 x 3, and one of 1 x 1 for the steps in which that is left."""

    half = False

    def __init__(self, like: nn.Conv2d) -> None:
        super().__init__()
        self.whole, self.stride = like, like.stride[0]
        like.reset_parameters()
        self.middle = nn.Conv2d(like.in_channels, like.out_channels, 1, self.stride)
        for kernel in (self.whole, self.middle):
            kernel.weight.data *= LIVELY

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x, by one kernel or the other."""
        return self.middle(x[..., 1:-1, 1:-1]) if self.half else self.whole(x)


def ordinary(net: "Halves", task: Task) -> None:
    """Train the same network with ordinary convolutions in place of the tensor train."""
    net.kernels[1] = Ordinary(net.kernels[1].contracted())
    plain(net, task)


class Switched(Neuron):
    """Neurons that one kernel reaches through a current, and another one directly."""

    def cell(self) -> Cell:
        """Return them with a gain of 1 for the kernel whose step it is, else 0."""
        return switched(super().cell(), WHOLE)


def switched(cell: Cell, after: int) -> Cell:
    """Return neurons whose kernels change after some steps."""
    early = (np.arange(STEPS) < after).astype(np.float64)
    return replace(
        cell,
        synapse=Synapse(decay=number(0.0)),
        tables=(
            Table(what=Tabled.GAIN, rows=early, into=State.CURRENT),
            Table(what=Tabled.GAIN, rows=1 - early, into=State.MEMBRANE),
        ),
    )


class Halves(Trains):
    """A network whose second layer changes in time."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, HalfTrain)
        ordinary = self.neurons[1]
        self.neurons[1] = Switched(
            ordinary.decay, threshold=ordinary.threshold, strict=ordinary.strict
        )

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return what each layer gives, [step, sample, *shape]."""
        v, rows = self.start(), []
        for step, x in enumerate(inputs):
            self.kernels[1].half = step >= WHOLE
            v, gives = self.step(v, x)
            rows.append(gives)
        return [torch.stack(layer) for layer in zip(*rows, strict=True)]

    def read(self, graph: LayerGraph, index: int, source: str) -> list[str]:
        """Add a kernel to a graph, and the half form beside it where it has one."""
        nodes = super().read(graph, index, source)
        if isinstance(self.kernels[index], HalfTrain):
            half = read_nested(graph, "half", self.kernels[index].contracted_half(), source)
            nodes.append(graph.add("direct", Into(state=State.MEMBRANE), half))
        return nodes


def late(graph: LayerGraph) -> None:
    """Change the weights one step too late."""
    node = graph.nodes["n1"]
    graph.nodes["n1"] = replace(node, layer=switched(node.layer, WHOLE + 1))


METHOD = Method(
    name="TT-SNN (HTT)",
    key="tt_snn_htt",
    build=Halves,
    train=plain,
    digits=None,
    hazard="the weights change one step too late",
    spoil=late,
    baseline=ordinary,
)

if __name__ == "__main__":
    main(METHOD)
