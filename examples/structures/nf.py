"""NF-ResNet-18 and -34: no normalisation, standardised kernels, and a trunk of currents.

From the paper (Brock et al. 2021, "Characterizing signal propagation to close the performance gap
in unnormalized ResNets", section 3): a block is x + alpha f(x / beta), where beta is the standard
deviation that x has by design, sqrt(1 + alpha**2 b) behind b blocks of a stage; kernels have a mean
of 0 and a variance of 1 / fan-in for each output, times a gain that is learned; where the shape
changes, the shortcut takes what the activation gives, and the count starts again. From the code of
SLTT and OTTT, which have it with spikes: alpha 0.2 times one learned number for each block, spikes
count 2.74, the variance is the unbiased one times fan-in plus 1e-4, and a shortcut that halves the
sides is a mean of 3 x 3, zeros around it counted, before its kernel of 1 x 1. Neurons are SLTT's.

Our reading: the numbers that are learned are drawn around 1, kernels have biases, and
gains make up for pixels that are not normalised, and for means of places that are not alike.

All factors end in the kernels. The trunk is linear in the spikes of its stage.
"""

from collections.abc import Sequence

import torch
from shared import AT_DEPTH, DEPTHS, SHAPE, Structure, widest
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

STEPS = 4
ALPHA = 0.2
SIZE = 2.74
"""What a spike counts."""


PIXELS = 12.0**0.5
"""One over the standard deviation of a random pixel: gain of the first kernels."""

PLACES = 3.0
"""The same of the kernels behind a mean of nine places, which are independent in random images."""


def standardised(
    inner: int, outer: int, kernel: int, stride: int = 1, gain: float = 1.0
) -> nn.Module:
    """Return a convolution whose kernels are standardised, with a gain for each output."""
    made = layer.WSConv2d(inner, outer, kernel, stride, kernel // 2, step_mode="m")
    nn.init.uniform_(made.gain, 0.8 * gain, 1.2 * gain)
    nn.init.uniform_(made.bias, -0.1, 0.1)
    return made


class Fired(nn.Module):
    """Neurons whose spikes count SIZE, of currents that are divided by what they are by design."""

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = beta
        self.neurons = neuron.LIFNode(tau=1.1, decay_input=False, v_reset=None, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes."""
        return self.neurons(x / self.beta) * SIZE


class Block(nn.Module):
    """Neurons and a convolution, twice, times a small number, and the current that entered."""

    def __init__(self, inner: int, outer: int, stride: int, beta: float) -> None:
        super().__init__()
        self.before = Fired(beta)
        self.branch = nn.Sequential(
            standardised(inner, outer, 3, stride), Fired(), standardised(outer, outer, 3)
        )
        self.gain = nn.Parameter(torch.empty(()).uniform_(0.8, 1.2))
        self.shortcut: nn.Module | None = None
        if stride != 1 or inner != outer:
            mean = layer.AvgPool2d(3, stride, 1, step_mode="m")
            self.shortcut = nn.Sequential(mean, standardised(inner, outer, 1, gain=PLACES))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches, currents."""
        sent = self.before(x)
        kept = x if self.shortcut is None else self.shortcut(sent)
        return self.branch(sent) * self.gain * ALPHA + kept


def staged(blocks: Sequence[int], width: int) -> nn.Sequential:
    """Return stages of blocks, each with the standard deviation that enters it."""
    made, inner, variance = [], width, 1.0
    for stage, count in enumerate(blocks):
        for place in range(count):
            first = bool(stage) and not place
            outer = width * 2**stage
            made.append(Block(inner, outer, 2 if first else 1, variance**0.5))
            inner, variance = outer, (1.0 if first else variance) + ALPHA**2
    made.append(Fired(variance**0.5))
    return nn.Sequential(*made)


def build(depth: int, width: int) -> nn.Module:
    """Return a network that takes [step, sample, *SHAPE]."""
    return nn.Sequential(
        standardised(SHAPE[0], width, 3, gain=PIXELS),
        staged(DEPTHS[depth], width),
        layer.AvgPool2d(4, step_mode="m"),
        layer.Flatten(step_mode="m"),
        layer.Linear(widest(width), 10, step_mode="m"),
    )


STRUCTURES = tuple(
    Structure(
        name=f"NF-ResNet-{depth}",
        key=f"nf{depth}",
        file="nf",
        neurons="SpikingJelly: LIF, soft reset",
        build=lambda width, depth=depth: build(depth, width),
        steps=STEPS,
        exported="plain",
        **AT_DEPTH[depth],
    )
    for depth in DEPTHS
)
