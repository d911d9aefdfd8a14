"""What the examples of structures share: the record of one, its random weights, and its data.

Weights are random, from a seed. Batch normalisations are given the statistics of random images, so
that every layer of a deep network is as lively as in a trained one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import functional, layer
from torch import Tensor, nn

from snn_deploy.deploy.deployment import Deployment
from snn_deploy.frontends.layers import LayerGraph

SHAPE = (3, 32, 32)
"""Of a CIFAR image."""

WIDTH = 64
"""Channels of a network's first stage, as published."""

NARROW = 4
"""The same of a quick run."""

CHIPS = ("loihi1", "loihi2")
"""Chips that a structure is tried on."""

LEVELS = 15
"""Of a pixel: currents of 4 bits keep the membranes of a chip in range."""

CALIBRATED = 16
"""Images that batch normalisations take their statistics from."""

SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A network that methods from the literature need, with random weights."""

    name: str
    key: str
    """Its name on the command line."""

    file: str
    """Its file, without `.py`."""

    neurons: str
    """Whose neurons it has, and which."""

    build: Callable[[int], nn.Module]
    """Makes the module for a width, with torch's seed; `calibrated` or `eval` are its own work."""

    graph: Callable[[Any], LayerGraph] | None = None
    """States the network in the words of the compiler; None: the module itself is read."""

    sends: Callable[[Any, np.ndarray], Mapping[str, np.ndarray]] | None = None
    """With `graph`: what the module's own forward pass gives on one sample, [step, *shape], by the
    name of each layer of neurons; and the answer, as `output`."""

    accuracy: Callable[[Any, Deployment], str] | None = None
    """Of a network that was trained: what share of answers is right, in reals and in integers."""

    shape: tuple[int, ...] = SHAPE
    """Of what enters in one step."""

    data: Callable[["Structure", int], np.ndarray] | None = None
    """Makes samples, [sample, step, *shape], from their number; None: images, alike each step."""

    steps: int = 4
    levels: int = LEVELS
    """What enters is a whole number of 1 / levels, from 0 to 1."""

    width: int = WIDTH
    narrow: int = NARROW
    refused: str = ""
    """Number of the error that it must be refused with; empty: it must be read."""

    note: str = ""
    """What of the publication is left out or read in our own way."""

    exported: str | None = None
    """Preset of the export; None: as the compiler chooses. With `plain` each weight is rounded by
    itself, and no scale is searched for."""

    chips: tuple[str, ...] = CHIPS
    """That its cores are counted on."""

    lava_at: int | None = NARROW
    """Width at which Lava runs it too; None: it is not run."""

    lava_why: str = ""
    """Why it is not run on Lava."""


def images(structure: Structure, count: int) -> np.ndarray:
    """Return random images, the same in every step: [sample, step, *shape]."""
    whole = np.random.default_rng(SEED).integers(0, structure.levels + 1, (count, *structure.shape))
    return np.repeat((whole / structure.levels)[:, None], structure.steps, axis=1)


def samples(structure: Structure, count: int) -> np.ndarray:
    """Return what enters the network, [sample, step, *shape]."""
    return (structure.data or images)(structure, count)


def built(structure: Structure, width: int) -> nn.Module:
    """Return the module of a structure in float64, in evaluation mode, the same in each call."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    return structure.build(width).eval().double()


def calibrated(net: nn.Module, steps: int, *, gain: float = 1.0, shift: float = 0.1) -> nn.Module:
    """Give all batch normalisations the statistics of random images; return the module.

    Args:
        net: Takes [step, sample, *SHAPE].
        steps: That it is shown each image.
        gain: Middle of their factors.
        shift: Of their shifts, the largest.
    """
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the mean over what it sees
            module.reset_running_stats()
            spread(module, gain, shift)
    whole = torch.randint(0, LEVELS + 1, (CALIBRATED, *SHAPE))
    with torch.no_grad():
        functional.reset_net(net.train())
        net((whole / LEVELS).expand(steps, *whole.shape))
        functional.reset_net(net.eval())
    return net


def spread(norm: nn.Module, gain: float = 1.0, shift: float = 0.1) -> None:
    """Give a batch normalisation factors and shifts that differ from channel to channel."""
    nn.init.uniform_(norm.weight, 0.8 * gain, 1.2 * gain)
    nn.init.uniform_(norm.bias, -shift, shift)


def classifier(channels: int, classes: int = 10) -> nn.Sequential:
    """Return the mean over places, and one linear layer."""
    return nn.Sequential(
        layer.AdaptiveAvgPool2d((1, 1), step_mode="m"),
        layer.Flatten(step_mode="m"),
        layer.Linear(channels, classes, step_mode="m"),
    )


def staged(
    block: Callable[[int, int, int], nn.Module], blocks: Sequence[int], width: int
) -> nn.Sequential:
    """Return stages of blocks: each but the first doubles the channels and halves the sides.

    Args:
        block: Makes one of (channels that enter, channels that leave, stride).
        blocks: How many each stage has.
        width: Channels of the first stage, and of what enters it.
    """
    made, inner = [], width
    for stage, count in enumerate(blocks):
        outer = width * 2**stage
        for place in range(count):
            made.append(block(inner, outer, 2 if stage and not place else 1))
            inner = outer
    return nn.Sequential(*made)


DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Blocks of two convolutions in each stage, by a network's number of layers."""

AT_DEPTH: dict[int, dict[str, Any]] = {
    18: {},
    34: {
        "lava_at": None,
        "lava_why": "the network of 18 layers is",
        "chips": ("loihi2",),
    },
}
"""What a structure says of itself by its number of layers, to end in time."""


def widest(width: int) -> int:
    """Return the channels of the last of four stages."""
    return width * 2**3


def number(value: Tensor) -> np.ndarray:
    """Return a tensor as an array in float64."""
    return value.detach().double().numpy()
