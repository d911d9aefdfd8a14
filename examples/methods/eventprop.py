"""EventProp with learned delays: exact gradients of spike times, by weights and by delays.

Meszaros et al., "Efficient event-based delay learning in spiking neural networks", 2025, and its
code. From both: a current decays by exp(-1 / tau_s) and a membrane by exp(-1 / tau_m), 5 and 20 ms;
a spike at v >= 1 resets it to 0; each synapse has a delay of its own, which acts rounded and within
a range; the output never fires and is read by the mean of its membrane weighted by exp(-t / T).
Backward, two adjoint variables run the same exponentials from the end to the start, that of the
membrane jumps where a neuron fired, and arrivals read the gradients: -tau_s li of a weight,
w (lv - li) of a delay. Our reading: a step is 2.5 ms; lv - li is taken as the change of tau_s li
per step, which is the same in continuous time and, in steps, does not bias spike times; a jump is
divided by at least 0.3; no connections within the hidden layer; Adam, with a rate of its own for
delays, which start at 0 and are at most 48 steps. The task, in `delay_task.py`, cannot be solved
without delays; random ones that are not learned are measured beside those that are.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from delay_task import pattern_task
from record import Method
from shared import BATCH, Net, Neuron, Task, accuracy, number
from torch import Tensor, nn
from trip import main, trained

from snn_deploy.frontends.layers import LayerGraph, Linear
from snn_deploy.ir.network import Reset, Synapse
from snn_deploy.ir.neuron import Decode, Fires
from snn_deploy.ir.weighting import Weighting

TAU_M, TAU_S = 8.0, 2.0
"""Of membrane and current [steps]."""

ALPHA, BETA = math.exp(-1 / TAU_M), math.exp(-1 / TAU_S)
CROSSING = TAU_M / (TAU_M - TAU_S) * (ALPHA - BETA)
LONGEST = 48
"""Of all delays [steps]."""

STEEP = 0.3
"""Least distance of current and threshold at a spike that a jump is divided by."""

LOUD = 100.0
"""Factor on the answers as logits: means of membranes are small."""


class Delayed(Net):
    """Events, delays of synapses, hidden neurons, and an output that is read by its membrane."""

    rates = (0.02, 0.2, 1.0)
    """Of learning the first weights, the last ones and the delays, at their largest."""

    def __init__(self, task: Task) -> None:
        super().__init__(task.kernels(), [Neuron(ALPHA, 1 - ALPHA)], task.images.shape[1])
        first, last = self.kernels
        first.weight.data.uniform_(2.5, 4.0)  # two spikes together fire a neuron, one does not
        last.weight.data.normal_()
        self.delays = nn.Parameter(torch.zeros_like(first.weight))
        share = torch.exp(-torch.arange(self.steps) / self.steps) / self.steps
        self.weighting = Weighting.of(share.numpy())
        self.register_buffer("share", share)

    def enter(self, images: Tensor) -> Tensor:
        """Return the events of each step, [step, sample, input]."""
        return images.transpose(0, 1)

    def whole(self) -> Tensor:
        """Return the delays as they act, [hidden, input]."""
        return self.delays.detach().round().clamp(0, LONGEST).long()

    def arrivals(self, inputs: Tensor) -> Tensor:
        """Return what arrives at each synapse, [step, hidden, input, sample]."""
        padded = nn.functional.pad(inputs, (0, 0, 0, 0, LONGEST, 0))
        when = torch.arange(len(inputs))[:, None, None] + LONGEST - self.whole()
        return padded[when, :, torch.arange(inputs.shape[-1])]

    def states(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return arrivals, and hidden currents, spikes and membranes of the output by step."""
        arrived = self.arrivals(inputs)
        drive = torch.einsum("thcb,hc->tbh", arrived, self.kernels[0].weight)
        neuron, rows = self.neurons[0], []
        v, i, y, out = torch.zeros(4, dtype=inputs.dtype)
        for x in drive:
            i = BETA * i + x
            v, s = neuron.fire(neuron.integrate(v, i))
            out = BETA * out + self.kernels[1](s)
            y = ALPHA * y + (1 - ALPHA) * out
            rows.append((i, s, y))
        return arrived, *(torch.stack(each) for each in zip(*rows, strict=True))

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return the hidden spikes and the membranes of the output."""
        return list(self.states(inputs)[2:])

    def answer(self, gives: Tensor) -> Tensor:
        """Return the weighted mean of the membranes."""
        return torch.tensordot(self.share.to(gives.dtype), gives, dims=([0], [0]))

    def graph(self, shape: tuple[int, ...]) -> LayerGraph:
        """Return the network in the words of the compiler."""
        graph = LayerGraph(inputs={"input": shape[-1:]})
        first, last = (number(kernel.weight) for kernel in self.kernels)
        hidden = replace(self.neurons[0].cell(), synapse=Synapse(decay=number(BETA)))
        graph.add("k0", Linear(weight=first, delays=self.whole().numpy()), "input")
        graph.add("n0", hidden, "k0")
        graph.add("k1", Linear(weight=last), "n0")
        graph.add("y", replace(hidden, fires=Fires.NEVER, reset=Reset()), "k1")
        graph.outputs["output"] = "y"
        graph.decodes["output"] = Decode.WEIGHTED_MEMBRANE
        graph.weights["output"] = self.weighting
        return graph


def backwards(source: Callable[[int, Tensor], Tensor], steps: int, start: Tensor) -> Tensor:
    """Return li by step, of lv that `source(step, lv)` changes where a neuron fires or is read."""
    lv, li, rows = start, torch.zeros_like(start), []
    for t in reversed(range(steps)):
        lv = source(t, lv)
        lv, li = ALPHA * lv, BETA * li + CROSSING * lv
        rows.append(li)
    return torch.stack(rows[::-1])


def slope(li: Tensor) -> Tensor:
    """Return lv - li: by how much tau_s li falls from step to step, by central differences."""
    ends = torch.cat([li[:1], li, torch.zeros_like(li[:1])])
    return TAU_S * (ends[:-2] - ends[2:]) / 2


@torch.no_grad()
def adjoint(net: Delayed, images: Tensor, labels: Tensor) -> None:
    """Put the gradients of the mean loss where an optimiser looks for them."""
    arrived, current, spikes, y = net.states(net.enter(images))
    wrong = torch.softmax(LOUD * net.answer(y), dim=1) - nn.functional.one_hot(labels, y.shape[-1])
    wrong *= (1 - ALPHA) * LOUD / len(images)
    (first, last), zero = net.kernels, torch.zeros_like(current[0])
    out = backwards(lambda t, lv: lv - wrong * net.share[t], net.steps, torch.zeros_like(wrong))
    came = slope(out) @ last.weight
    steep = (current - 1).clamp(min=STEEP)
    hidden = backwards(lambda t, lv: lv + spikes[t] * (lv + came[t]) / steep[t], net.steps, zero)
    last.weight.grad = -TAU_S * torch.einsum("tbo,tbh->oh", out, spikes)
    first.weight.grad = -TAU_S * torch.einsum("thcb,tbh->hc", arrived, hidden)
    net.delays.grad = first.weight * torch.einsum("thcb,tbh->hc", arrived, slope(hidden))


def optimised(net: Delayed, task: Task, gradients: Callable[[Tensor, Tensor], None]) -> None:
    """Train by Adam with a rate for each of weights and delays, which rise and fall once."""
    sets = [net.kernels[0].parameters(), net.kernels[1].parameters(), [net.delays]]
    optimiser = torch.optim.Adam([{"params": each} for each in sets])
    total = task.epochs * math.ceil(len(task.images) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, list(net.rates), total_steps=total)
    for images, labels in task.batches():
        optimiser.zero_grad()
        gradients(images, labels)
        optimiser.step()
        schedule.step()
        net.delays.data.clamp_(0, LONGEST)


def train(net: Delayed, task: Task) -> None:
    """Train weights and delays by the adjoint equations."""
    optimised(net, task, lambda images, labels: adjoint(net, images, labels))


def train_weights(net: Delayed, task: Task) -> None:
    """Train the weights alone; the delays stay as they are."""

    def gradients(images: Tensor, labels: Tensor) -> None:
        adjoint(net, images, labels)
        net.delays.grad = None

    optimised(net, task, gradients)


def at_random(net: Delayed, task: Task) -> None:
    """Train the weights behind random delays."""
    net.delays.data.uniform_(0, LONGEST)
    train_weights(net, task)


def plainly(net: Delayed, task: Task) -> None:
    """Train the weights behind random delays, by surrogate gradients: rounded delays have none."""
    net.delays.data.uniform_(0, LONGEST)

    def gradients(images: Tensor, labels: Tensor) -> None:
        nn.functional.cross_entropy(LOUD * net(images), labels).backward()

    optimised(net, task, gradients)


def without(net: Delayed, task: Task) -> str:
    """Return how the same network does without delays, or with delays that are not learned."""
    none, fixed = (
        accuracy(trained(replace(METHOD, build=type(net)), task, way).float(), task)
        for way in (train_weights, at_random)
    )
    zeroed = copy.deepcopy(net).float()
    zeroed.delays.data.zero_()
    return (
        f"the same training without delays {none:.1f} %, with random delays that stay as they are "
        f"{fixed:.1f} %; with the learned delays set to 0 {accuracy(zeroed, task):.1f} %"
    )


def one_delay_an_input(graph: LayerGraph) -> None:
    """Let all synapses of an input have the delay of the first."""
    node = graph.nodes["k0"]
    same = np.broadcast_to(node.layer.delays[:1], node.layer.delays.shape).copy()
    graph.nodes["k0"] = replace(node, layer=replace(node.layer, delays=same))


METHOD = Method(
    name="EventProp with delays",
    key="eventprop",
    build=Delayed,
    train=train,
    baseline=plainly,
    task=pattern_task,
    digits=None,
    hazard="all synapses of an input have one delay",
    spoil=one_delay_an_input,
    further=without,
)

if __name__ == "__main__":
    main(METHOD)
