"""PreAct-ResNet-18 and -34: normalisation and neurons stand before the convolutions.

From the paper (Meng et al. 2023, "Towards memory- and time-efficient backpropagation for training
spiking neural networks", SLTT) and its code, for CIFAR: v = (1 - 1/1.1) v + x, s = v >= 1, v -= s;
a block is x = neurons(normalised(x)), then convolution(neurons(normalised(convolution(x)))) plus
x itself, or a convolution of 1 x 1 of it where the shape changes. What a shortcut carries are
spikes.

A normalisation behind the sum belongs to all that enters the sum: to the kernels, and to the
spikes of the shortcut, which get a factor of their own in each channel.
"""

from shared import AT_DEPTH, DEPTHS, SHAPE, Structure, calibrated, staged, widest
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

STEPS = 4


def convolution(inner: int, outer: int, kernel: int, stride: int = 1) -> nn.Module:
    """Return a convolution without bias."""
    return layer.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False, step_mode="m")


def fired(channels: int) -> nn.Sequential:
    """Return a normalisation and neurons."""
    leaky = neuron.LIFNode(tau=1.1, decay_input=False, v_reset=None, step_mode="m")
    return nn.Sequential(layer.BatchNorm2d(channels, step_mode="m"), leaky)


class Block(nn.Module):
    """Neurons and a convolution, twice, and the spikes of the first neurons."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.before = fired(inner)
        self.branch = nn.Sequential(
            convolution(inner, outer, 3, stride), fired(outer), convolution(outer, outer, 3)
        )
        same = stride == 1 and inner == outer
        self.shortcut = nn.Identity() if same else convolution(inner, outer, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches, currents."""
        x = self.before(x)
        return self.branch(x) + self.shortcut(x)


def build(depth: int, width: int) -> nn.Module:
    """Return a network that takes [step, sample, *SHAPE]."""
    net = nn.Sequential(
        convolution(SHAPE[0], width, 3),
        staged(Block, DEPTHS[depth], width),
        fired(widest(width)),
        layer.AvgPool2d(4, step_mode="m"),
        layer.Flatten(step_mode="m"),
        layer.Linear(widest(width), 10, step_mode="m"),
    )
    return calibrated(net, STEPS)


STRUCTURES = tuple(
    Structure(
        name=f"PreAct-ResNet-{depth}",
        key=f"preact{depth}",
        file="preact",
        neurons="SpikingJelly: LIF, soft reset",
        build=lambda width, depth=depth: build(depth, width),
        steps=STEPS,
        exported="plain",
        **AT_DEPTH[depth],
    )
    for depth in DEPTHS
)
