"""Ternary spikes: -1, 0 or 1, of an amplitude that is trained and goes into the next weights.

From the paper (Guo et al. 2024, "Ternary spike", AAAI) and its code: u = 0.25 u + x, a spike of the
sign of u where |u| reaches half of the threshold of 1, which resets u to 0. Spikes are sent as -a,
0 and a, with an amplitude a of each layer that is trained; for inference it goes into the weights
that read them, and neurons send -1, 0 and 1. Blocks of two convolutions, their shortcuts added
before the second neurons; a shortcut whose shape changes has a convolution and a normalisation.

Our reading: three stages of three blocks on images of CIFAR's shape (the paper's ResNet-20),
random amplitudes, and no scale beside the normalisations. The neurons are SpikingJelly's
TernaryLIFNode.
"""

import torch
from shared import SHAPE, Structure, calibrated, classifier, staged
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn


class Ternary(nn.Module):
    """Neurons whose spikes are as large as their layer's amplitude."""

    def __init__(self) -> None:
        super().__init__()
        self.neurons = neuron.TernaryLIFNode(
            tau=4 / 3, decay_input=False, v_threshold=0.5, step_mode="m"
        )
        self.amplitude = nn.Parameter(torch.empty(()).uniform_(0.4, 0.8))

    def forward(self, x: Tensor) -> Tensor:
        """Return -a, 0 and a, [step, sample, channel, height, width]."""
        return self.amplitude * self.neurons(x)


def convolution(inner: int, outer: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution and its normalisation."""
    return nn.Sequential(
        layer.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False, step_mode="m"),
        layer.BatchNorm2d(outer, step_mode="m"),
    )


class Block(nn.Module):
    """Two convolutions, and what entered added before the second neurons."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(convolution(inner, outer, 3, stride), Ternary())
        self.second = convolution(outer, outer, 3)
        changes = stride != 1 or inner != outer
        self.shortcut = convolution(inner, outer, 1, stride) if changes else nn.Identity()
        self.last = Ternary()

    def forward(self, x: Tensor) -> Tensor:
        """Return what the second neurons send."""
        return self.last(self.second(self.first(x)) + self.shortcut(x))


class TernaryResNet(nn.Module):
    """Three stages of blocks, and one linear layer of the mean over places."""

    def __init__(self, width: int, blocks: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(SHAPE[0], width, 3), Ternary())
        self.stages = staged(Block, (blocks,) * 3, width)
        self.head = classifier(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Return one number per class, the mean over steps, [sample, class]."""
        return self.head(self.stages(self.stem(x))).mean(0)


STEPS = 4
GAIN = 0.4
"""Of the normalisations: less than the threshold, so that most neurons are silent."""

STRUCTURES = (
    Structure(
        name="Ternary ResNet-20",
        key="ternary",
        file="ternary",
        neurons="SpikingJelly ternary LIF",
        build=lambda width: calibrated(TernaryResNet(width), STEPS, gain=GAIN),
        steps=STEPS,
        width=16,
        narrow=2,
        lava_at=4,
        exported="plain",
        note="amplitudes drawn at random, folded into the weights behind them.",
    ),
)
