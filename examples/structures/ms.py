"""MS-ResNet-18 and -34: blocks that add currents, so that the trunk is analog.

From the paper (Hu et al. 2021, "Advancing spiking neural networks towards deep residual learning",
section 3): in a block neurons stand before each convolution, and what is added to its last
normalisation is what entered the block, a current and no spikes. From the code of TT-SNN (Lee et
al. 2024, "TT-SNN: tensor train decomposition for efficient spiking neural network training"):
v[t] = 0.25 v[t-1] (1 - s[t-1]) + x[t], s = v > 0.5; shortcuts of another shape are a convolution
of 1 x 1 and a normalisation, of the trunk itself; the last neurons are averaged over places.

No value of the trunk is sent: it is linear in spikes, so each neuron gets spikes from all blocks
before it, and from the image, through products of their kernels.

`ms18max` is the block of TT-SNN's code that halves the sides by the largest current of 2 x 2
before the normalisation. A maximum of currents is not linear, and no neuron of a chip computes it.
"""

import snntorch
from shared import AT_DEPTH, DEPTHS, SHAPE, Structure, calibrated, staged, widest
from snntorch import utils
from torch import Tensor, nn

STEPS = 4


class Neurons(nn.Module):
    """Neurons whose reset acts before the leak of the next step."""

    def __init__(self) -> None:
        super().__init__()
        self.leaky = snntorch.Leaky(
            beta=0.25, threshold=0.5, init_hidden=True, reset_mechanism="zero"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes, in the type of numbers that entered: snnTorch's are float32."""
        return self.leaky(x).to(x.dtype)


def normalised(inner: int, outer: int, kernel: int, stride: int, *, by_maximum: bool) -> nn.Module:
    """Return a convolution that takes each `stride`-th place, or the largest, normalised."""
    steps = 1 if by_maximum else stride
    convolution = nn.Conv2d(inner, outer, kernel, steps, kernel // 2, bias=False)
    halved = [nn.MaxPool2d(stride)] if by_maximum and stride > 1 else []
    return nn.Sequential(convolution, *halved, nn.BatchNorm2d(outer))


class Block(nn.Module):
    """Neurons and a convolution, twice, and the current that entered."""

    def __init__(self, inner: int, outer: int, stride: int, *, by_maximum: bool = False) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            Neurons(),
            normalised(inner, outer, 3, stride, by_maximum=by_maximum),
            Neurons(),
            normalised(outer, outer, 3, 1, by_maximum=False),
        )
        same = stride == 1 and inner == outer
        shortcut = normalised(inner, outer, 1, stride, by_maximum=False)
        self.shortcut = nn.Identity() if same else shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches' currents."""
        return self.branch(x) + self.shortcut(x)


class MaximumBlock(Block):
    """The same, where the largest current of 2 x 2 goes on."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__(inner, outer, stride, by_maximum=True)


class MSResNet(nn.Module):
    """A convolution, four stages of blocks, neurons, and a linear layer of their means."""

    def __init__(self, block: type[Block], depth: int, width: int) -> None:
        super().__init__()
        self.stem = normalised(SHAPE[0], width, 3, 1, by_maximum=False)
        self.stages = staged(block, DEPTHS[depth], width)
        self.last = Neurons()
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(widest(width), 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean over steps of one number per class; x is [step, sample, *SHAPE]."""
        utils.reset(self)
        given = [self.head(self.last(self.stages(self.stem(now)))) for now in x]
        return sum(given) / len(given)


def structure(name: str, key: str, block: type[Block], depth: int, refused: str = "") -> Structure:
    """Return a network of blocks."""
    return Structure(
        name=name,
        key=key,
        file="ms",
        neurons="snnTorch: LIF, reset to 0 before the next step's leak",
        build=lambda width: calibrated(MSResNet(block, depth, width), STEPS),
        steps=STEPS,
        refused=refused,
        exported="plain",
        **AT_DEPTH[depth],
    )


STRUCTURES = (
    *(structure(f"MS-ResNet-{depth}", f"ms{depth}", Block, depth) for depth in DEPTHS),
    structure("MS-ResNet-18, maximum of currents", "ms18max", MaximumBlock, 18, "SNN203"),
)
