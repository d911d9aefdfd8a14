"""ETTFS, provisional: networks whose neurons fire once, trained from scratch in all steps.

Che et al., "Efficiently training time-to-first-spike spiking neural networks from scratch", 2024
(arXiv 2410.23619). From the paper's abstract: layers compute step by step, each neuron fires once
at most; an initialisation and a normalisation that keep signals from vanishing; an answer that adds
spikes up so that early ones are encouraged; pooling by averages, never maxima. A summary by others
names the normalisation of weights, with a factor and a shift that are trained. Its equations were
not found. Our reading: v += x, a spike at v >= 1, once; pixels are a constant current; the weights
of each output are divided by their norm, multiplied by a factor that is trained (from 1 on), and
a bias is added, which all is in the weights when deployed; a spike of step t is worth 1.2**-t;
surrogate gradients 1 / (1 + (pi d)**2) by the distance d to the threshold. Strides, no pooling.
"""

import math
from dataclasses import replace

import torch
from latency import linear_of, plain_net
from record import Method
from shared import Net, Neuron, Task, learn
from torch import Tensor, nn
from trip import main

from snn_deploy.frontends.layers import Cell, LayerGraph
from snn_deploy.ir.network import Reset
from snn_deploy.ir.neuron import Decode
from snn_deploy.ir.timing import Refractory

STEPS, FADING, SHARPNESS = 16, 1.2, 10.0


class _Spike(torch.autograd.Function):
    """1 from 0 on; backwards the derivative of an arc tangent."""

    @staticmethod
    def forward(ctx, distance: Tensor) -> Tensor:
        ctx.save_for_backward(distance)
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (distance,) = ctx.saved_tensors
        return gradient / (1 + (math.pi * distance) ** 2)


class Once(Neuron):
    """Neurons that fire once."""

    def cell(self) -> Cell:
        """Return the same neurons in the words of the compiler."""
        return replace(super().cell(), reset=Reset(), refractory=Refractory(steps=None))


class Normalised(nn.Module):
    """A parametrisation of weights: of norm 1 for each output, times a factor."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(outputs))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weights that act."""
        factor = self.factor / weight.flatten(1).norm(dim=1)
        return weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))


class Single(Net):
    """A network whose last neurons' first spikes are weighed."""

    def __init__(self, task: Task) -> None:
        kernels = task.kernels()
        super().__init__(kernels, [Once() for _ in kernels], STEPS)
        self.weights = tuple(FADING**-t for t in range(STEPS))
        for kernel in self.kernels:
            layer = linear_of(kernel)
            nn.init.zeros_(layer.bias)
            made = Normalised(len(layer.bias))
            nn.utils.parametrize.register_parametrization(layer, "weight", made)

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return the spikes of each layer, [step, sample, *shape]."""
        v, fired = ([torch.zeros(())] * len(self.kernels) for _ in range(2))
        rows = []
        for entering in inputs:
            gives = [entering]
            for index, kernel in enumerate(self.kernels):
                v[index] = v[index] + kernel(gives[-1])
                s = _Spike.apply(v[index] - 1) * (1 - fired[index])
                fired[index] = fired[index] + s.detach()
                gives.append(s)
            rows.append(gives[1:])
        return [torch.stack(layer) for layer in zip(*rows, strict=True)]


def train(net: Single, task: Task) -> None:
    """Train by surrogate gradients of the weighted answers."""

    def cost(images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(SHARPNESS * net(images), labels)

    learn(net, task, cost)


def counted(graph: LayerGraph) -> None:
    """Read the answer by a plain count."""
    graph.decodes["output"] = Decode.COUNT
    graph.weights.clear()


METHOD = Method(
    name="ETTFS",
    key="ettfs",
    build=Single,
    train=train,
    digits=94.0,
    plain_net=plain_net,
    provisional="only the abstract and a summary by others could be read; the rest is our reading",
    hazard="the answer is read by a plain count",
    spoil=counted,
)

if __name__ == "__main__":
    main(METHOD)
