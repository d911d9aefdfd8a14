"""Networks whose last neurons feed the first ones back, a step later."""

import torch
from shared import Net, Neuron
from torch import Tensor, nn

from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.modules import read_nested


class Looped(Net):
    """x(t) = kernel 0 of what enters + back of the last spikes of step t - 1, of which step 0 has
    none, nor the bias of `back`; within a step spikes cross all layers."""

    def __init__(
        self, kernels: list[nn.Module], neurons: list[Neuron], back: nn.Module, steps: int
    ) -> None:
        super().__init__([*kernels, back], neurons, steps)  # all start with as lively weights
        self.back = back
        self.kernels = self.kernels[:-1]

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return what each layer gives, [step, sample, *shape]."""
        v, fed, rows = self.start(), None, []
        for x in inputs:
            v, gives = self.step(v, x, fed)
            fed = self.back(gives[-2])
            rows.append(gives)
        return [torch.stack(layer) for layer in zip(*rows, strict=True)]

    def step(
        self, v: list[Tensor], x: Tensor, fed: Tensor | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the membranes after a step, and what each layer gives in it."""
        after, gives = [], []
        for index, kernel in enumerate(self.kernels):
            x = kernel(x)
            if fed is not None and not index:
                x = x + fed
            if index < len(self.neurons):
                neuron = self.neurons[index]
                membrane, x = neuron.fire(neuron.integrate(v[index], x))
                after.append(membrane)
            gives.append(x)
        return after, gives

    def graph(self, shape: tuple[int, ...]) -> LayerGraph:
        """Return the network in the words of the compiler."""
        graph = super().graph(shape)
        decodes, graph.decodes = graph.decodes, {}  # layers are added behind no answer
        last = read_nested(graph, "back", self.back, f"n{len(self.neurons) - 1}")
        graph.feed_back(last, "n0")
        graph.decodes, graph.bias_waits = decodes, True
        return graph
