"""QCFS: an ANN whose activations are what integrate-and-fire neurons can say, made one of spikes.

From the paper (Bu et al. 2022, "Optimal ANN-SNN conversion for high-accuracy and
ultra-low-latency spiking neural networks"): the activation is l clip(floor(z L / l + 1/2) / L, 0,
1), with a limit l of each layer that is trained and the gradient of the clip; neurons of
threshold l that start at l / 2 and subtract l send in T steps just that mean, if what they are
given is even over time and T = L.

Our reading: the small convolutional network of the other examples on MNIST digits of 16 levels,
L = T = 8. The conversion is the compiler's own: it is given the ANN with clips in place of the
activations, and takes each clip's limit as threshold.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from shared import LEVELS, Structure, number
from torch import Tensor, nn

import snn_deploy
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.frontends.convert import Conversion, ThresholdRule, convert
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.modules import read_module

sys.path.insert(0, str(Path(__file__).parent.parent / "mnist"))
import digits

STEPS, BATCH, RATE = 8, 64, 1e-2
WIDTH, EPOCHS, FEW = 16, 12, 2
"""Few epochs are enough for a narrow network, which only shows that all fits together."""


class _Floored(torch.autograd.Function):
    """The next lower whole number; backwards as if it were the number itself."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        return value.floor()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient


class QCFS(nn.Module):
    """l clip(floor(z L / l + 1/2) / L, 0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = nn.Parameter(torch.tensor(1.0))

    def forward(self, z: Tensor) -> Tensor:
        """Return the activation of what enters."""
        share = (z / self.limit).clamp(0, 1)
        return self.limit * _Floored.apply(share * STEPS + 0.5) / STEPS


class Digits(nn.Sequential):
    """Two convolutions and a dense layer for images of 28 x 28."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Conv2d(1, width, 5, stride=2),
            QCFS(),
            nn.Conv2d(width, 2 * width, 3, stride=2),
            QCFS(),
            nn.Flatten(),
            nn.Linear(50 * width, 10),
        )


def pictures() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return digits to train on and to test, and their labels; pixels of 16 levels."""
    images, labels, test_images, test_labels = map(torch.from_numpy, digits.load())
    images, test_images = ((each * LEVELS).round() / LEVELS for each in (images, test_images))
    return images, labels, test_images, test_labels


def trained(width: int) -> Digits:
    """Return the ANN, trained."""
    epochs = EPOCHS if width == WIDTH else FEW
    images, labels, *_ = pictures()
    net = Digits(width)
    total = epochs * -(-len(images) // BATCH)
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=total)
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(images[chosen]), labels[chosen]).backward()
            optimiser.step()
            schedule.step()
    return net


def graph(net: Digits) -> LayerGraph:
    """Return the spiking network that the compiler makes of the ANN."""
    clips = [nn.Hardtanh(0.0, p.limit.item()) if isinstance(p, QCFS) else p for p in net]
    options = Conversion(steps=STEPS, threshold=ThresholdRule.CEILING, levels=LEVELS)
    images, *_ = pictures()
    calibration = images[:: len(images) // 100].numpy()
    return convert(read_module(nn.Sequential(*clips), images.shape[1:]), calibration, options).graph


def sends(net: Digits, given: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the paper's neurons send on one sample, [step, *shape], and the answer."""
    v: dict[int, Tensor] = {}
    spikes: dict[str, list[np.ndarray]] = {}
    answer = torch.zeros(10, dtype=torch.float64)
    with torch.no_grad():
        for entering in torch.from_numpy(given)[:, None]:
            x = entering
            for place, part in enumerate(net):
                if isinstance(part, QCFS):
                    before = v.get(place, part.limit / 2) + x
                    fired = (before >= part.limit).double()
                    v[place] = before - part.limit * fired
                    spikes.setdefault(str(place), []).append(number(fired[0]))
                    x = part.limit * fired
                else:
                    x = part(x)
            answer += x[0] / STEPS
    return {**{name: np.stack(each) for name, each in spikes.items()}, "output": number(answer)}


def shown(structure: Structure, count: int) -> np.ndarray:
    """Return digits, the same in every step: [sample, step, 1, 28, 28]."""
    images = pictures()[2][:count].double().numpy()
    images = np.rint(images * structure.levels) / structure.levels
    return np.repeat(images[:, None], structure.steps, axis=1)


def accuracy(net: Digits, deployment: Deployment) -> str:
    """Return how many of the digits to test the ANN and the integers get right."""
    *_, images, labels = pictures()
    with torch.no_grad():
        right = (net(images.double()).argmax(dim=1) == labels).double().mean().item()
    values = np.repeat(images.double().numpy()[:, None], STEPS, axis=1)
    scored = snn_deploy.evaluate(deployment, data={"input": values, "label": labels.numpy()})
    return f"{100 * right:.1f} % right as an ANN, {100 * scored.accuracy:.1f} % as integers"


STRUCTURES = (
    Structure(
        name="QCFS conversion",
        key="qcfs",
        file="qcfs",
        neurons="IF, by the compiler's conversion of the ANN",
        build=trained,
        graph=graph,
        sends=sends,
        accuracy=accuracy,
        shape=(1, 28, 28),
        data=shown,
        steps=STEPS,
        width=WIDTH,
        narrow=2,
        lava_at=WIDTH,
        note="trained for 12 epochs on 4,000 MNIST digits, scored on 1,000.",
    ),
)
