"""SEW-ResNet-18 and -34: blocks whose spikes are added.

From the paper (Fang et al. 2021, "Deep Residual Learning in Spiking Neural Networks", section 3.3):
a block sends g(A, S) = A + S, the sum of the spikes of its own last neurons and of those that
entered it; where the shape changes, the shortcut has a convolution, a normalisation and neurons of
its own. So what a block sends is a whole number that grows by up to 1 a block within a stage.

Our reading: the shapes are those that others use for CIFAR, a first convolution of 3 x 3 without
max-pooling; neurons are IF with a hard reset.

No neuron has to send that whole number: a convolution is linear, so each population that was added
has a projection of its own to every layer that reads the sum.
"""

from shared import AT_DEPTH, DEPTHS, SHAPE, Structure, calibrated, classifier, staged, widest
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

STEPS = 4

LATE = (
    "IF neurons never forget: in the steps that the first ones compute behind those of the sample, "
    "while it passes the layers, their biases take membranes to the lowest value."
)


def normalised(inner: int, outer: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution, its normalisation, and neurons."""
    return nn.Sequential(
        layer.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False, step_mode="m"),
        layer.BatchNorm2d(outer, step_mode="m"),
        neuron.IFNode(step_mode="m"),
    )


class Block(nn.Module):
    """Two convolutions with neurons behind each, and the spikes that entered."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first = normalised(inner, outer, 3, stride)
        self.second = normalised(outer, outer, 3)
        same = stride == 1 and inner == outer
        self.shortcut = nn.Identity() if same else normalised(inner, outer, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches' spikes."""
        return self.second(self.first(x)) + self.shortcut(x)


def build(depth: int, width: int) -> nn.Module:
    """Return a network that takes [step, sample, *SHAPE]."""
    net = nn.Sequential(
        normalised(SHAPE[0], width, 3),
        staged(Block, DEPTHS[depth], width),
        classifier(widest(width)),
    )
    return calibrated(net, STEPS)


STRUCTURES = tuple(
    Structure(
        name=f"SEW-ResNet-{depth}",
        key=f"sew{depth}",
        file="sew",
        neurons="SpikingJelly: IF, hard reset",
        build=lambda width, depth=depth: build(depth, width),
        steps=STEPS,
        note=LATE,
        exported="plain",
        **AT_DEPTH[depth],
    )
    for depth in DEPTHS
)
