"""DSR: differentiation on spike representation, with IF and with LIF neurons.

Meng et al., "Training high-performance low-latency spiking neural networks by differentiation on
spike representation", CVPR 2022. From the paper and its code: gradients go through the weighted
mean rate of each layer, which is clamp(mean input, 0, V); V is learned. IF: u += x, a spike at
u >= V / 2 subtracts V and sends V. LIF: u = b u + (1 - b) x, b = exp(-0.05), a spike at u >= 0.3 V
subtracts V and sends V / 0.05, rates weigh b^(T - t). The output layer spikes too and is read by
that rate. Our reading: 20 steps for both, V starts at 2 (IF) and 0.1 (LIF, where the code has 6
and 0.3, for networks with batch normalisation), no less than 0.005; biases of the output start
at 1, for a rate of 0 has no gradient.
"""

import math

import torch
from record import Method
from shared import Net, Neuron, Task, learn
from spoil import reset_by
from torch import Tensor, nn
from trip import main

STEPS, DT = 20, 0.05
BETA = math.exp(-DT)


class Representing(Neuron):
    """Neurons whose amount V is learned, and which fire at a share of it."""

    def __init__(self, *, leaky: bool) -> None:
        self.leaky = leaky
        super().__init__(*((BETA, 1 - BETA) if leaky else (1.0, 1.0)))
        self.amount = nn.Parameter(torch.tensor(0.1 if leaky else 2.0))
        self.share = 0.3 if leaky else 0.5

    def integrate(self, v: Tensor, x: Tensor) -> Tensor:
        """Return the membrane before the test."""
        self.subtract = self.amount.detach()
        self.threshold = self.share * self.subtract
        self.payload = self.subtract / DT if self.leaky else self.subtract
        return super().integrate(v, x)


class Rated(Net):
    """A network that is read by the weighted rates of its last neurons."""

    def __init__(self, task: Task, *, leaky: bool) -> None:
        kernels = task.kernels()
        super().__init__(kernels, [Representing(leaky=leaky) for _ in kernels], STEPS)
        list(kernels[-1].modules())[-1].bias.data += 1.0  # half of what its rates can be
        rates = [BETA ** (STEPS - 1 - t) if leaky else 1.0 for t in range(STEPS)]
        self.weights = tuple(w / sum(rates) for w in rates) if leaky else tuple(rates)

    def rate(self, spikes: Tensor, neuron: Representing) -> Tensor:
        """Return the weighted mean of what neurons send."""
        weights = torch.tensor(self.weights, dtype=spikes.dtype)
        mean = torch.tensordot(weights / weights.sum(), spikes, dims=([0], [0]))
        return mean * neuron.payload


def train(net: Rated, task: Task) -> None:
    """Train by one pass through the representations."""

    def cost(images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            spikes = net.run(net.enter(images))
        x = images
        for kernel, neuron, sent in zip(net.kernels, net.neurons, spikes, strict=True):
            top = neuron.amount / DT if neuron.leaky else neuron.amount
            slope = (1 - BETA) / DT if neuron.leaky else 1.0
            clamped = torch.minimum((slope * kernel(x)).clamp(min=0), top)
            x = net.rate(sent, neuron) + clamped - clamped.detach()
        return nn.functional.cross_entropy(LOUD * x, labels)

    learn(net, task, cost)
    for neuron in net.neurons:
        neuron.amount.data.clamp_(min=0.005)


def plainly(net: Rated, task: Task) -> None:
    """Train by surrogate gradients through all steps, the same rates as logits."""

    def cost(images: Tensor, labels: Tensor) -> Tensor:
        spikes = net.run(net.enter(images))[-1]
        return nn.functional.cross_entropy(LOUD * net.rate(spikes, net.neurons[-1]), labels)

    learn(net, task, cost)


LOUD = 4.0
"""Factor on the rates as logits: they lie in 0..V."""


def method(key: str, *, leaky: bool, digits: float) -> Method:
    """Return the method with one of its neurons."""
    return Method(
        name=f"DSR ({'LIF' if leaky else 'IF'})",
        key=key,
        build=lambda task: Rated(task, leaky=leaky),
        train=train,
        baseline=plainly,
        digits=digits,
        hazard="a spike subtracts the threshold, not V",
        spoil=reset_by("threshold"),
    )


METHOD = method("dsr", leaky=False, digits=98.4)
LEAKY = method("dsr_lif", leaky=True, digits=98.8)

if __name__ == "__main__":
    main(METHOD)
