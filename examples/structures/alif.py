"""ALIF neurons in a recurrent network: an LSNN, whose thresholds rise with each spike.

From the papers (Bellec et al. 2020, "A solution to the learning dilemma for recurrent networks of
spiking neurons"): v = alpha v + W_in x + W_rec z(t-1) - theta z(t-1), a = rho a + z(t-1), a spike z
where v > theta + beta a; and sizes for sequential MNIST (Bellec et al. 2018,
"Long short-term memory and learning-to-learn in networks of spiking neurons"): 80 inputs, 120
neurons with beta 0 and 100 that adapt, 20 ms and 700 ms, beta = 1.8 (1 - rho) for a theta of 0.01,
silence for 5 steps of 1 ms behind a spike. The answer is a leaky sum of weighted spikes.

Our reading: u = v - beta a needs no threshold that moves: u = alpha u + W_in x + W_rec z(t-1) + c a
- (theta + beta + c) z(t-1) with c = beta (alpha - rho) / rho. So a is a synaptic current that the
neuron's own spikes drive, the weights drive the membrane, and nothing else is needed; in real
numbers both are equal. All delays are one step, weights are random, and so are the input's spikes.
"""

import math

import numpy as np
import torch
from shared import SEED, Structure, number
from torch import Tensor, nn

from snn_deploy.frontends.layers import Cell, Into, LayerGraph, Linear, Scale
from snn_deploy.ir.network import Reset, Synapse
from snn_deploy.ir.neuron import Decode, Fires, ResetKind, State, When
from snn_deploy.ir.timing import Refractory

INPUTS, CLASSES, STEPS = 80, 10, 200
ALPHA, RHO = math.exp(-1 / 20), math.exp(-1 / 700)
THETA, SILENT = 1.0, 5
BETA = 1.8 * (1 - RHO) / 0.01 * THETA
ADAPTING = 100 / 220
"""Share of the neurons."""

RATE = 0.05
"""Spikes of an input a step."""


class LSNN(nn.Module):
    """A recurrent layer, and a leaky sum of its spikes."""

    def __init__(self, neurons: int) -> None:
        super().__init__()
        self.inner = nn.Linear(INPUTS, neurons, bias=False)
        self.recurrent = nn.Linear(neurons, neurons, bias=False)
        self.outer = nn.Linear(neurons, CLASSES, bias=False)
        adapting = torch.arange(neurons) >= neurons - round(ADAPTING * neurons)
        self.register_buffer("beta", BETA * adapting.double())
        nn.init.normal_(self.inner.weight, 0.0, 3.0 / math.sqrt(INPUTS))
        nn.init.normal_(self.recurrent.weight, 0.0, 0.5 / math.sqrt(neurons))
        self.recurrent.weight.data.fill_diagonal_(0.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the spikes, [step, sample, neuron], and the answer, [sample, class]."""
        zeros = x.new_zeros(x.shape[1], len(self.beta))
        v, a, z, silent, answer = zeros, zeros, zeros, zeros, x.new_zeros(x.shape[1], CLASSES)
        spikes = []
        for now in x:
            v = ALPHA * v + self.inner(now) + self.recurrent(z) - THETA * z
            a = RHO * a + z
            z = ((v > THETA + self.beta * a) & (silent == 0)).to(v.dtype)
            silent = torch.where(z > 0, SILENT, (silent - 1).clamp(min=0))
            answer = ALPHA * answer + self.outer(z)
            spikes.append(z)
        return torch.stack(spikes), answer


def graph(net: LSNN) -> LayerGraph:
    """Return the network in the words of the compiler."""
    beta = number(net.beta)
    own = beta * (ALPHA - RHO) / RHO
    made = LayerGraph(inputs={"input": (INPUTS,)})
    cell = Cell(
        decay=np.full((), ALPHA),
        synapse=Synapse(decay=np.full((), RHO)),
        threshold=np.full((), THETA),
        reset=Reset(kind=ResetKind.SUBTRACT, amount=THETA + beta + own, when=When.NEXT),
        refractory=Refractory(steps=SILENT),
    )
    made.add("inner", Linear(weight=number(net.inner.weight)), "input")
    made.add("drive", Into(state=State.MEMBRANE), "inner")
    made.add("alif", cell, "drive")
    recurrent = Linear(weight=number(net.recurrent.weight))
    made.feed_back(made.add("recurrent", recurrent, "alif"), "drive")
    made.feed_back(made.add("own", Scale(factor=own), "alif"), "alif")
    made.add("outer", Linear(weight=number(net.outer.weight)), "alif")
    made.add("answer", Cell(decay=np.full((), ALPHA), fires=Fires.NEVER), "outer")
    made.outputs["output"], made.decodes["output"] = "answer", Decode.MEMBRANE_END
    return made


def spikes(structure: Structure, count: int) -> np.ndarray:
    """Return spikes at random, [sample, step, input]."""
    draws = np.random.default_rng(SEED).random((count, structure.steps, *structure.shape))
    return (draws < RATE).astype(np.float64)


def sends(net: LSNN, given: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the neurons send on one sample, [step, neuron], and the answer."""
    with torch.no_grad():
        spikes, answer = net(torch.from_numpy(given)[:, None])
    return {"alif": spikes[:, 0].numpy(), "output": answer[0].numpy()}


STRUCTURES = (
    Structure(
        name="LSNN of ALIF neurons",
        key="alif",
        file="alif",
        neurons="own ALIF, as a layer graph",
        build=LSNN,
        graph=graph,
        sends=sends,
        shape=(INPUTS,),
        data=spikes,
        steps=STEPS,
        levels=1,
        width=220,
        narrow=44,
        lava_at=220,
        note="delays of one step, weights at random.",
    ),
)
