"""Spike-driven self-attention, in a whole block of a Spike-driven Transformer.

From the paper (Yao et al. 2023, "Spike-driven Transformer", section 3 and its code): queries, keys
and values are spikes; k AND v is summed over all tokens, channel by channel, and neurons of
threshold 0.5 make of that sum a mask, which lets the queries pass; so a token meets no other one
but through that sum, and there is no product of numbers. Blocks add to a trunk of membranes, as
MS-ResNets do: neurons stand before each convolution. Neurons are LIF with tau 2, a hard reset to 0
and `>=`. Heads only group the channels, and change nothing.

Our reading: one block on 8 x 8 tokens of CIFAR's shape behind two convolutions that halve the sides
(the paper's patches have four, and max-poolings of currents, which no chip's neurons do).
"""

from shared import SHAPE, Structure, calibrated
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

CLASSES = 10


def spiking(threshold: float = 1.0) -> nn.Module:
    """Return the neurons of the paper's code."""
    return neuron.LIFNode(tau=2.0, v_threshold=threshold, detach_reset=True, step_mode="m")


def convolution(inner: int, outer: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """Return a convolution and its normalisation."""
    return nn.Sequential(
        layer.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False, step_mode="m"),
        layer.BatchNorm2d(outer, step_mode="m"),
    )


class Attention(nn.Module):
    """x + project(q AND mask), the mask of each channel from the sum of k AND v over the tokens."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.enter = spiking()
        self.q, self.k, self.v = (
            nn.Sequential(*convolution(dim, dim), spiking()) for _ in range(3)
        )
        self.mask = spiking(0.5)
        self.project = convolution(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return the trunk behind the attention, [step, sample, channel, height, width]."""
        s = self.enter(x)
        both = self.k(s) * self.v(s)
        mask = self.mask(both.sum(dim=(-2, -1), keepdim=True))
        return x + self.project(self.q(s) * mask)


class Mixer(nn.Module):
    """x + two convolutions of 1 x 1, each behind neurons: the MLP of a block."""

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.first = nn.Sequential(spiking(), *convolution(dim, ratio * dim))
        self.second = nn.Sequential(spiking(), *convolution(ratio * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return the trunk behind the mixer."""
        return x + self.second(self.first(x))


class Transformer(nn.Module):
    """Patches, one block, and a linear layer of the tokens' mean."""

    def __init__(self, dim: int = 256, ratio: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *convolution(SHAPE[0], dim // 2, 3, 2), spiking(), *convolution(dim // 2, dim, 3, 2)
        )
        self.attention = Attention(dim)
        self.mixer = Mixer(dim, ratio)
        self.last = spiking()
        self.head = layer.Linear(dim, CLASSES, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        """Return one number per class, the mean over steps, [sample, class]."""
        x = self.mixer(self.attention(self.stem(x)))
        return self.head(self.last(x.mean(dim=(-2, -1)))).mean(0)


STEPS = 4
GAIN, SHIFT = 1.4, 0.8
"""Of the normalisations: factors near 1 leave the mean of all tokens below the threshold."""

STRUCTURES = (
    Structure(
        name="Spike-driven Transformer, one block",
        key="sdsa",
        file="sdsa",
        neurons="SpikingJelly LIF",
        build=lambda width: calibrated(Transformer(width), STEPS, gain=GAIN, shift=SHIFT),
        steps=STEPS,
        width=256,
        narrow=16,
        lava_at=16,
        exported="plain",
        note="8 x 8 tokens behind two strided convolutions in place of the paper's patches.",
    ),
)
