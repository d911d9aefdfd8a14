"""VGG-11 with batch normalisation, with pools of means and of maxima.

From the paper (Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image
recognition", table 1, A) and what spiking networks for CIFAR made of it (rate-based
backpropagation, Yu et al. 2024): eight convolutions of 3 x 3 with biases and normalisations, a pool
of 2 x 2 behind the first, second, fourth, sixth and eighth, then one linear layer. Neurons are
those of rate-based backpropagation: v = 0.2 v + x, s = v >= 1, v -= s.

A mean of spikes joins the kernel behind it. A maximum of spikes is whether any of them fired.
"""

from shared import SHAPE, Structure, calibrated
from spikingjelly.activation_based import layer, neuron
from torch import nn

STEPS = 4

CHANNELS = ((1,), (2,), (4, 4), (8, 8), (8, 8))
"""Of the convolutions between pools, in widths."""


def build(pool: type[nn.Module], width: int) -> nn.Module:
    """Return a network that takes [step, sample, *SHAPE]."""
    made: list[nn.Module] = []
    inner = SHAPE[0]
    for group in CHANNELS:
        for outer in (width * times for times in group):
            made += [
                layer.Conv2d(inner, outer, 3, padding=1, step_mode="m"),
                layer.BatchNorm2d(outer, step_mode="m"),
                neuron.LIFNode(tau=1.25, decay_input=False, v_reset=None, step_mode="m"),
            ]
            inner = outer
        made.append(pool(2, step_mode="m"))
    made += [layer.Flatten(step_mode="m"), layer.Linear(inner, 10, step_mode="m")]
    return calibrated(nn.Sequential(*made), STEPS)


STRUCTURES = tuple(
    Structure(
        name=f"VGG-11, {what}",
        key=key,
        file="vgg",
        neurons="SpikingJelly: LIF, soft reset",
        build=lambda width, pool=pool: build(pool, width),
        steps=STEPS,
        exported="plain",
    )
    for key, what, pool in (
        ("vgg11", "means", layer.AvgPool2d),
        ("vgg11max", "maxima", layer.MaxPool2d),
    )
)
