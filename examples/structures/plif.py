"""PLIF neurons: a leak that is trained, one for each layer, in a network of VGG's kind.

From the paper (Fang et al. 2021, "Incorporating learnable membrane time constant", section 4 and
SpikingJelly's ParametricLIFNode): v = v + (x - v) / tau with 1 / tau = sigmoid(w), w of each layer
trained, a hard reset to 0 and `>=`; the network for CIFAR-10 is two times three convolutions of 256
channels with a max-pooling of spikes behind, then dense layers of 2,048 and 100, whose spikes are
averaged in tens.

Our reading: random w, so that the layers differ, and half of the paper's channels.
"""

import math

from shared import SHAPE, Structure, calibrated
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

CLASSES, VOTES = 10, 10


def spiking() -> nn.Module:
    """Return neurons whose time constant is trained."""
    return neuron.ParametricLIFNode(init_tau=2.0, detach_reset=True, step_mode="m")


def three(inner: int, outer: int) -> list[nn.Module]:
    """Return three convolutions with normalisation and neurons, and a max-pooling."""
    made: list[nn.Module] = []
    for channels in (inner, outer, outer):
        made += [
            layer.Conv2d(channels, outer, 3, padding=1, bias=False, step_mode="m"),
            layer.BatchNorm2d(outer, step_mode="m"),
            spiking(),
        ]
    return [*made, layer.MaxPool2d(2, step_mode="m")]


class Parametric(nn.Module):
    """Two times three convolutions, and two dense layers that spike."""

    def __init__(self, channels: int = 128, hidden: int = 1024) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(*three(SHAPE[0], channels), *three(channels, channels))
        self.dense = nn.Sequential(
            layer.Flatten(step_mode="m"),
            layer.Linear(64 * channels, hidden, bias=False, step_mode="m"),
            spiking(),
            layer.Linear(hidden, CLASSES * VOTES, bias=False, step_mode="m"),
            spiking(),
        )
        self.votes = layer.VotingLayer(VOTES, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        """Return the votes for each class, the mean over steps, [sample, class]."""
        return self.votes(self.dense(self.convolutions(x))).mean(0)


def built(channels: int) -> nn.Module:
    """Return the network with random weights and random leaks."""
    net = Parametric(channels, 8 * channels)
    for module in net.modules():
        if isinstance(module, neuron.ParametricLIFNode):
            nn.init.uniform_(module.w, -1.0, 1.0)
    for dense in (net.dense[1], net.dense[3]):
        nn.init.normal_(dense.weight, 0.0, LOUD / math.sqrt(dense.in_features))
    return calibrated(net, STEPS, gain=GAIN)


STEPS = 4
GAIN = 1.6
LOUD = 6.0
"""Of the random weights of the dense layers, which have no normalisation."""

STRUCTURES = (
    Structure(
        name="PLIF network of VGG's kind",
        key="plif",
        file="plif",
        neurons="SpikingJelly PLIF",
        build=built,
        steps=STEPS,
        width=128,
        narrow=4,
        lava_at=4,
        exported="plain",
        note="half of the published channels, and leaks drawn at random.",
    ),
)
