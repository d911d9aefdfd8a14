"""I-LIF neurons of SpikeYOLO: whole numbers of spikes, in a backbone of its two kinds of blocks.

From the paper (Luo et al. 2024, "Integer-valued training and spike-driven inference spiking neural
network", section 3) and its code: v = 0.25 (v - s) + x, s = round(clip(v, 0, D)), halves to the
even number; a spike of size s subtracts s. Both blocks add to a trunk of membranes: x' = x +
SepConv(x), x'' = x' + ChannelConv(x'), with SepConv = pointwise, depthwise 7 x 7, pointwise behind
neurons, and ChannelConv = two convolutions, each behind neurons. A stage starts with neurons and a
convolution that halves the sides.

Our reading: two stages on images of CIFAR's shape, a block each, D = 4; the depthwise kernel reads
what the first pointwise one gives without neurons between, as in the first kind of block; a linear
layer of the mean in place of the detection head. The neurons are SpikingJelly's ILIFNode.
"""

from shared import SHAPE, Structure, calibrated
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn

CLASSES, LEVELS = 10, 4


def spiking() -> nn.Module:
    """Return neurons that send 0 to 4 spikes a step; their leak keeps a quarter."""
    several = surrogate.MultiLevelSpikeCount(LEVELS)
    return neuron.ILIFNode(surrogate_function=several, step_mode="m")


def convolution(
    inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution and its normalisation."""
    around = kernel // 2
    return nn.Sequential(
        layer.Conv2d(
            inner, outer, kernel, stride, around, groups=groups, bias=False, step_mode="m"
        ),
        layer.BatchNorm2d(outer, step_mode="m"),
    )


class Block(nn.Module):
    """A separable convolution and one of channels, each added to the trunk."""

    def __init__(self, dim: int, ratio: int = 2) -> None:
        super().__init__()
        wide = ratio * dim
        self.separable = nn.Sequential(
            spiking(),
            layer.Conv2d(dim, wide, 1, bias=False, step_mode="m"),
            layer.Conv2d(wide, wide, 7, padding=3, groups=wide, bias=False, step_mode="m"),
            *convolution(wide, dim, 1),
        )
        self.channels = nn.Sequential(
            spiking(), *convolution(dim, wide, 3), spiking(), *convolution(wide, dim, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the trunk behind the block, [step, sample, channel, height, width]."""
        x = x + self.separable(x)
        return x + self.channels(x)


class Backbone(nn.Module):
    """Two stages and a linear layer of the mean over places."""

    def __init__(self, dim: int = 64) -> None:
        super().__init__()
        self.stem = convolution(SHAPE[0], dim, 3, 2)
        self.first = Block(dim)
        self.down = nn.Sequential(spiking(), *convolution(dim, 2 * dim, 3, 2))
        self.second = Block(2 * dim)
        self.last = spiking()
        self.head = layer.Linear(2 * dim, CLASSES, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        """Return one number per class, the mean over steps, [sample, class]."""
        x = self.second(self.down(self.first(self.stem(x))))
        return self.head(self.last(x).mean(dim=(-2, -1))).mean(0)


STEPS = 4

STRUCTURES = (
    Structure(
        name="I-LIF backbone of SpikeYOLO's blocks",
        key="ilif",
        file="ilif",
        neurons="SpikingJelly I-LIF, 0 to 4 spikes a step",
        build=lambda width: calibrated(Backbone(width), STEPS),
        steps=STEPS,
        narrow=4,
        lava_at=4,
        exported="plain",
        note="two blocks; a linear layer in place of the detection head.",
    ),
)
