"""TSSL-BP: temporal spike sequence learning via backpropagation.

Zhang and Li, "Temporal spike sequence learning via backpropagation for deep spiking neural
networks", NeurIPS 2020. From the paper and its code: a layer sees spikes through a filter,
a = (1 - 1/3) a + s/3, pixels too; u = (1 - 1/5) u + x, spikes at u > 1, then u = 0; no biases, 5
steps; the output's filtered spikes are compared with those of 0, 1, 1, 1, 1 and, summed over the
steps, are the answer: a weighted count. The gradient goes through the time of each spike (1 / du,
at most 8), and where a neuron was silent through a surrogate of width 0.2. Our reading: an earlier
spike counts as more; what one spike does to the next goes through the membrane's leak alone. On the
chip the filter stands behind the weights, as a synaptic current.
"""

from dataclasses import replace

import torch
from record import Method
from shared import Net, Neuron, Task, learn, number
from torch import Tensor, nn
from trip import main

from snn_deploy.frontends.layers import Cell, LayerGraph
from snn_deploy.ir.network import Synapse
from snn_deploy.ir.neuron import Decode

STEPS, TAU_M, TAU_S = 5, 5.0, 3.0
LEAK, KEPT = 1 - 1 / TAU_M, 1 - 1 / TAU_S
STEEPEST, WIDTH, SILENT = 8.0, 0.2, 1 / (4 * TAU_S)


class Filtered(Neuron):
    """Neurons whose input is a current that decays."""

    def __init__(self) -> None:
        super().__init__(decay=LEAK, strict=True)

    def cell(self) -> Cell:
        """Return the same neurons in the words of the compiler."""
        current = Synapse(decay=number(KEPT), gain=number(1 / TAU_S))
        return replace(super().cell(), synapse=current)


def traces(s: Tensor) -> Tensor:
    """Return the filtered spikes of each step."""
    a, rows = torch.zeros(()), []
    for now in s:
        a = KEPT * a + now / TAU_S
        rows.append(a)
    return torch.stack(rows)


class Timed(torch.autograd.Function):
    """Spikes of a layer by its drive [step, ...]; the gradient of their traces, by spike times."""

    @staticmethod
    def forward(ctx, drive: Tensor) -> tuple[Tensor, Tensor]:
        """Return spikes and their traces."""
        u, before, rise = torch.zeros_like(drive[0]), [], []
        for x in drive:
            now = LEAK * u + x
            before.append(now)
            rise.append(now - u)
            u = now * (now <= 1)
        membranes = torch.stack(before)
        s = (membranes > 1).to(drive.dtype)
        a = traces(s)
        ctx.save_for_backward(membranes, torch.stack(rise), s, a)
        ctx.mark_non_differentiable(s)
        return s, a

    @staticmethod
    def backward(ctx, _: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient by the drive, from that by the traces."""
        membranes, rise, s, a = ctx.saved_tensors
        later, behind, found = torch.zeros_like(rise[0]), torch.zeros_like(rise[0]), []
        for t in reversed(range(len(rise))):
            later = gradient[t] + KEPT * later  # what a trace that is 1 now changes
            sent = later / TAU_S
            by_time = s[t] * sent / TAU_S * (1 / rise[t]).clamp(0, STEEPEST)
            bent = torch.sigmoid((membranes[t] - 1) / WIDTH)
            by_slope = sent * bent * (1 - bent) / WIDTH
            own = torch.where(a[t] < SILENT, by_slope, by_time)
            behind = own + LEAK * (1 - s[t]) * behind
            found.append(behind)
        return torch.stack(found[::-1])


class Sequences(Net):
    """A network that is read by the summed traces of its last spikes."""

    def __init__(self, task: Task) -> None:
        kernels = task.kernels()
        super().__init__(kernels, [Filtered() for _ in kernels], STEPS)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.bias = None
        last = list(self.kernels[-1].modules())[-1]
        last.weight.data *= 1.5  # without biases its neurons would be silent at first
        self.weights = tuple(1 - KEPT ** (STEPS - t) for t in range(STEPS))

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return the spikes of each layer, [step, sample, *shape]."""
        rows, x = [], inputs
        for kernel, neuron in zip(self.kernels, self.neurons, strict=True):
            drive, v, spikes = kernel_of(kernel, traces(x)), torch.zeros(()), []
            for now in drive:
                v, s = neuron.fire(neuron.integrate(v, now))
                spikes.append(s)
            x = torch.stack(spikes)
            rows.append(x)
        return rows

    def timed(self, images: Tensor) -> Tensor:
        """Return the traces of the output, whose gradient goes by spike times."""
        a = traces(self.enter(images))
        for kernel in self.kernels:
            _, a = Timed.apply(kernel_of(kernel, a))
        return a


def kernel_of(kernel: nn.Module, x: Tensor) -> Tensor:
    """Return a kernel of every step's values."""
    return kernel(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def train(net: Sequences, task: Task) -> None:
    """Train by the distance of traces."""
    wanted = traces(torch.tensor([0.0, 1, 1, 1, 1]))[:, None, None]

    def cost(images: Tensor, labels: Tensor) -> Tensor:
        target = wanted * nn.functional.one_hot(labels, 10)
        gap = net.timed(images) - target
        return 0.5 * (gap**2).sum() / len(labels)

    learn(net, task, cost)


def spoil(graph: LayerGraph) -> None:
    """Read the answer by a plain count."""
    graph.decodes["output"] = Decode.COUNT
    graph.weights.clear()


METHOD = Method(
    name="TSSL-BP",
    key="tssl_bp",
    build=Sequences,
    train=train,
    digits=98.2,
    hazard="the answer is read by a plain count",
    spoil=spoil,
)

if __name__ == "__main__":
    main(METHOD)
