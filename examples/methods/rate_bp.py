"""Rate-based backpropagation.

Yu et al., "Advancing training efficiency of deep spiking neural networks through rate-based
backpropagation", NeurIPS 2024. From the paper and its code: all steps run forward without a graph
and keep only mean rates and mean slopes of a rate by its input; one backward pass goes through the
rates. v = 0.2 v + x, spikes at v >= 1, which subtract 1; direct coding; mean logits. Our reading:
the slope of a neuron is the mean over steps of surrogate(v) * dv/dx, dv/dx <- 1 + 0.2 dv/dx; the
network (theirs are ResNets and VGGs), a triangle as surrogate.
"""

import torch
from record import Method
from shared import Net, Neuron, Task, learn, surrogate
from spoil import reset_by
from torch import Tensor, nn
from trip import main

STEPS, DECAY = 6, 0.2


def build(task: Task) -> Net:
    """Return the network, untrained."""
    kernels = task.kernels()
    return Net(kernels, [Neuron(decay=DECAY, subtract=1.0) for _ in kernels[1:]], STEPS)


@torch.no_grad()
def rates_and_slopes(net: Net, images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the mean spikes of each layer, and their mean slopes by its input."""
    v, sums = net.start(), [(torch.zeros(()), torch.zeros(()))] * len(net.neurons)
    grown = 0.0
    for entering in net.enter(images):
        x, grown, after = entering, 1 + DECAY * grown, []
        for index, neuron in enumerate(net.neurons):
            before = neuron.integrate(v[index], net.kernels[index](x))
            membrane, x = neuron.fire(before)
            rate, slope = sums[index]
            sums[index] = rate + x, slope + grown * surrogate(before - neuron.threshold)
            after.append(membrane)
        v = after
    return [(rate / net.steps, slope / net.steps) for rate, slope in sums]


def train(net: Net, task: Task) -> None:
    """Train by one pass through the mean rates."""

    def cost(images: Tensor, labels: Tensor) -> Tensor:
        x = images
        found = rates_and_slopes(net, images)
        for kernel, (rate, slope) in zip(net.kernels, found, strict=False):
            drive = kernel(x)
            x = rate + (drive - drive.detach()) * slope
        return nn.functional.cross_entropy(net.kernels[-1](x), labels)

    learn(net, task, cost)


METHOD = Method(
    name="Rate-based backpropagation",
    key="rate_bp",
    build=build,
    train=train,
    digits=97.8,
    hazard="a spike resets the membrane to 0 instead of subtracting the threshold",
    spoil=reset_by(None),
)

if __name__ == "__main__":
    main(METHOD)
