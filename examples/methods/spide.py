"""SPIDE: training feedback networks at their equilibrium, by spikes alone.

Xiao et al., "SPIDE: a purely spike-based method for training feedback spiking neural networks",
Neural Networks 2023. From the paper and its code: integrate-and-fire neurons, u += x, a spike at
u >= 1 subtracts 2 (the resting potential is -1); the last neurons feed the first ones back a step
later through a transposed convolution without bias, of limited norm; mean rates settle at
a = clamp(W a / 2, 0, 1); a linear layer reads the rates of the last neurons. Backward: a second
stage runs the transposed network with ternary neurons (u >= 0.5 sends 1, u <= -0.5 sends -1, which
is subtracted) driven by the loss's gradient; their mean rates solve the implicit equation, and
those of layers that never or always fired are masked. A weight's gradient is one rate times
another; no gradient goes through a neuron or through time. Our reading: 20 steps forward and 40
back (they take 30, and 100 to 250), a norm of at most 2 without random noise, Adam, no dropout;
where layers are dense, so is the feedback.
"""

import torch
from looped import Looped
from record import Method
from shared import Neuron, Task, learn
from spoil import reset_by
from torch import Tensor, nn
from trip import main

STEPS, BACK_STEPS, BACK_THRESHOLD, AMOUNT, NORM = 20, 40, 0.5, 2.0, 2.0


def feedback(kernels: list[nn.Module]) -> nn.Module:
    """Return the way back from what the last neurons send to what the first ones read."""
    if isinstance(kernels[0], nn.Linear):
        return nn.Linear(kernels[-1].in_features, kernels[0].out_features, bias=False)
    last, first = kernels[1].out_channels, kernels[0].out_channels
    return nn.ConvTranspose2d(last, first, 3, stride=2, output_padding=1, bias=False)


def build(task: Task) -> Looped:
    """Return the network, untrained."""
    kernels = task.kernels()
    neurons = [Neuron(subtract=AMOUNT) for _ in kernels[1:]]
    net = Looped(kernels, neurons, feedback(kernels), STEPS)
    limit(net)
    return net


@torch.no_grad()
def limit(net: Looped) -> None:
    """Keep the Frobenius norm of the feedback within its limit."""
    norm = net.back.weight.norm()
    net.back.weight *= torch.clamp(NORM / norm, max=1.0)


@torch.no_grad()
def backward(net: Looped, gradient: Tensor, rates: list[Tensor]) -> list[Tensor]:
    """Return the gradient of what enters each layer of neurons, found by ternary neurons.

    Args:
        net: The network.
        gradient: Of the loss by the last neurons' rates.
        rates: Of each layer of neurons, forward.
    """
    ways = [*net.kernels[1 : len(rates)], net.back]  # ways[i] reads layer i
    adjoint = [transposed(way, rate) for way, rate in zip(ways, rates, strict=True)]
    masks = [((rate > 0) & (rate < 1)).to(rate.dtype) / AMOUNT for rate in rates]
    u, sums = [torch.zeros_like(rate) for rate in rates], [torch.zeros_like(r) for r in rates]
    sent = torch.zeros_like(rates[0])
    for _ in range(BACK_STEPS):
        x = gradient + adjoint[-1](sent)
        for index in reversed(range(len(rates))):
            u[index] = u[index] + x
            s = (u[index] >= BACK_THRESHOLD).to(x.dtype) - (u[index] <= -BACK_THRESHOLD).to(x.dtype)
            u[index], sums[index] = u[index] - s, sums[index] + s
            sent = s * masks[index]
            x = adjoint[index - 1](sent) if index else x
    return [each / BACK_STEPS * mask for each, mask in zip(sums, masks, strict=True)]


def transposed(kernel: nn.Module, reads: Tensor):
    """Return the adjoint of a kernel that reads what is of the shape of `reads`."""
    _, pull = torch.func.vjp(kernel, torch.zeros_like(reads))
    return lambda gradient: pull(gradient)[0]


def train(net: Looped, task: Task) -> None:
    """Train by the rates of both stages."""

    def cost(images: Tensor, labels: Tensor) -> None:
        limit(net)
        with torch.no_grad():
            rates = [spikes.mean(dim=0) for spikes in net.run(net.enter(images))[:-1]]
        last = rates[-1].requires_grad_()
        loss = nn.functional.cross_entropy(net.kernels[-1](last), labels, reduction="sum")
        loss.backward()
        found = backward(net, last.grad, rates)
        reads = [images, *(rate.detach() for rate in rates)]
        ways = [*net.kernels[:-1], net.back]
        for way, read, gradient in zip(ways, reads, [*found, found[0]], strict=True):
            way(read).backward(gradient)
        for weight in net.parameters():
            weight.grad /= len(images)

    learn(net, task, cost)
    limit(net)


METHOD = Method(
    name="SPIDE",
    key="spide",
    build=build,
    train=train,
    digits=94.8,
    hazard="a spike subtracts the threshold, not the way down to the resting potential",
    spoil=reset_by("threshold"),
    dilation="auto",
)

if __name__ == "__main__":
    main(METHOD)
