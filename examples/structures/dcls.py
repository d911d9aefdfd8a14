"""Learned delays of DCLS: every synapse has a delay of its own, in a network for spoken digits.

From the paper (Hammouamri et al. 2024, "Learning delays in spiking neural networks using dilated
convolutions with learnable spacings") and its code: three layers of DCLS for the Spiking Heidelberg
Digits, 700 - 256 - 256 - 20, steps of 10 ms, 25 places for a synapse; rounded positions after
training; batch normalisation, LIF neurons with tau 1.005, a membrane of v / tau + x, a hard reset
to 0 and `>=`; the answer is the membrane of neurons that never fire.

Our reading: random weights and positions; channels are not put together in fives, as that code
does; and no steps are added behind the last one. The compiler is given what a user of DCLS has, the
weights and positions of each layer (`frontends/dcls.py`).
"""

import math

import numpy as np
import torch
from shared import SEED, Structure, number, spread
from spikingjelly.activation_based import functional, neuron
from torch import Tensor, nn

from snn_deploy.frontends import dcls
from snn_deploy.frontends.layers import Cell, LayerGraph
from snn_deploy.frontends.modules import read_nested
from snn_deploy.ir.neuron import Decode, Fires

CHANNELS, CLASSES, PLACES, TAU = 700, 20, 25, 1.005
STEPS = 100
RATE = 0.02
"""Spikes of a channel a step."""

GAIN, SHIFT = 1.0, 0.2
"""Of the normalisations."""


class Delayed(nn.Module):
    """A weight for each synapse, at a position in a kernel over time: `Dcls1d`, version `max`."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outer, inner, 1))
        self.P = nn.Parameter(torch.empty(1, outer, inner, 1))
        nn.init.normal_(self.weight, 0.0, 1 / math.sqrt(inner))
        nn.init.uniform_(self.P, -(PLACES // 2), PLACES // 2)

    def kernel(self) -> Tensor:
        """Return the kernel after training, [post, pre, place], for rounded positions."""
        places = torch.arange(PLACES).to(self.weight.dtype)[:, None, None]
        middle = self.P[0, ..., 0].round() + PLACES // 2
        near = (1 - (places - middle).abs()).relu()
        near = near / (near.sum(0) + 1e-7)
        return (near * self.weight[..., 0]).permute(1, 2, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Return what arrives, [step, sample, post], of what was sent."""
        early = nn.functional.pad(x.permute(1, 2, 0), (PLACES - 1, 0))
        return nn.functional.conv1d(early, self.kernel()).permute(2, 0, 1)


class Spoken(nn.Module):
    """Two layers of neurons behind delays, and a third that is read by its membranes."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        sizes = (CHANNELS, hidden, hidden, CLASSES)
        self.delays = nn.ModuleList(map(Delayed, sizes[:-1], sizes[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(2))
        self.neurons = nn.ModuleList(
            neuron.LIFNode(tau=TAU, decay_input=False, step_mode="m") for _ in range(2)
        )

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return what each layer of neurons sends, [step, sample, neuron], and the mean membranes
        of the last, [sample, class]."""
        sent = []
        for delayed, norm, neurons in zip(self.delays, self.norms, self.neurons, strict=False):
            x = neurons(norm(delayed(x).flatten(0, 1)).unflatten(0, x.shape[:2]))
            sent.append(x)
        v, total = x.new_zeros(x.shape[1], CLASSES), x.new_zeros(x.shape[1], CLASSES)
        for now in self.delays[-1](x):
            v = v - v / TAU + now
            total += v
        return sent, total / len(x)


def built(hidden: int) -> Spoken:
    """Return the network with random weights, positions and normalisations."""
    net = Spoken(hidden)
    for norm in net.norms:
        norm.momentum = 1.0  # of the one batch that it sees
        spread(norm, GAIN, SHIFT)
    given = torch.from_numpy(spikes(STRUCTURES[0], 4)).float().swapaxes(0, 1)
    with torch.no_grad():
        net.train()(given)
        functional.reset_net(net)
    return net


def graph(net: Spoken) -> LayerGraph:
    """Return the network in the words of the compiler."""
    made, source = LayerGraph(inputs={"input": (CHANNELS,)}), "input"
    for place, delayed in enumerate(net.delays):
        weights = dcls.linear(delayed.weight, delayed.P, size=PLACES)
        source = made.add(f"delays.{place}", weights, source)
        if place < len(net.norms):
            source = read_nested(made, f"norms.{place}", net.norms[place], source)
            source = read_nested(made, f"neurons.{place}", net.neurons[place], source)
    leak = np.full((), 1 - 1 / TAU)
    made.outputs["output"] = made.add("answer", Cell(decay=leak, fires=Fires.NEVER), source)
    made.decodes["output"] = Decode.MEMBRANE_MEAN
    return made


def spikes(structure: Structure, count: int) -> np.ndarray:
    """Return spikes at random, [sample, step, channel]."""
    draws = np.random.default_rng(SEED).random((count, structure.steps, *structure.shape))
    return (draws < RATE).astype(np.float64)


def sends(net: Spoken, given: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the neurons send on one sample, [step, neuron], and the answer."""
    functional.reset_net(net)
    with torch.no_grad():
        sent, answer = net(torch.from_numpy(given)[:, None])
    named = {f"neurons.{place}": number(each[:, 0]) for place, each in enumerate(sent)}
    return {**named, "output": number(answer[0])}


STRUCTURES = (
    Structure(
        name="DCLS, 700-256-256-20",
        key="dcls",
        file="dcls",
        neurons="SpikingJelly LIF behind learned delays, as a layer graph",
        build=built,
        graph=graph,
        sends=sends,
        shape=(CHANNELS,),
        data=spikes,
        steps=STEPS,
        levels=1,
        width=256,
        narrow=16,
        lava_at=16,
        exported="plain",
        note="delays of 0 to 24 steps, one for each synapse; positions and weights at random.",
    ),
)
