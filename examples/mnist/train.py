"""Train the demo network, a small spiking convolutional net for digits, and save its weights.

One step of a hidden layer with input spikes `x`, as the deployed network computes it:

    v = decay * v + weight @ x + bias    the bias acts at every step, the first one included
    s = v > threshold                    strictly
    v = 0 where s                        hard reset, within the step

A spike crosses all layers within one step. The ten output neurons leak alike and never fire;
the digit is the one with the largest mean potential over the steps, the lowest one of equals.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import digits
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_deploy.ir.codecs import encode_rate

THRESHOLD = 1.0
INIT_GAIN = 1.0
"""Spread of an untrained weighted sum if all inputs fire [thresholds]: enough to fire at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides what is trained."""

    steps: int = 16
    """Steps per image."""

    channels: tuple[int, int] = (8, 16)
    """Channels of the two convolutions, 5x5 and 3x3, both with stride 2 and no padding."""

    hidden: int = 64
    """Neurons of the dense hidden layer."""

    decay: float = 0.9
    """Share of the potential that a neuron keeps from one step to the next, in all layers."""

    epochs: int = 80
    batch: int = 64
    """Images per optimiser step."""

    learning_rate: float = 4e-3
    """Peak of a one-cycle schedule [1]."""

    weight_decay: float = 0.1
    """Of AdamW, per unit of the learning rate: weights stay below about one threshold [1]."""

    rate_limit: float = 0.08
    """Firing rate above which a neuron costs [1/step]."""

    rate_cost: float = 1.0
    """Loss per mean excess of the rates of a layer [step]."""

    surrogate_slope: float = 4.0
    """Sharpness of the surrogate gradient `1 / (1 + (slope * (v - threshold))**2)` [1]."""

    turn: float = math.radians(12)
    """Largest rotation of a training image [rad]."""

    shift: float = 0.14
    """Largest shift along each axis, in half image sides [1]."""

    zoom: float = 0.1
    """Largest logarithm of the magnification [1]."""

    shear: float = 0.15
    """Largest horizontal shear [1]."""

    seed: int = 0
    threads: int = 2
    """CPU threads; sums are split by thread, so another number trains another network."""


class Spike(torch.autograd.Function):
    """Step function, whose gradient is that of a scaled arctangent."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, excess: Tensor, slope: float) -> Tensor:
        """Return 1 where `excess` (potential minus threshold, any shape) is positive, else 0."""
        ctx.save_for_backward(excess)
        ctx.slope = slope
        return (excess > 0).to(excess.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        """Return the surrogate gradient for `excess`, none for `slope`."""
        (excess,) = ctx.saved_tensors
        return grad / (1 + (ctx.slope * excess) ** 2), None


def fire(current: Tensor, settings: Settings) -> Tensor:
    """Run leaky integrate-and-fire neurons from rest.

    Args:
        current: Float32 `[step, sample, *shape]`, what is added to the potential [thresholds].
        settings: Decay and surrogate gradient.

    Returns:
        Spikes, float32 `[step, sample, *shape]`, 0 or 1.
    """
    potential = torch.zeros_like(current[0])
    spikes = []
    for added in current:
        potential = settings.decay * potential + added
        spike = Spike.apply(potential - THRESHOLD, settings.surrogate_slope)
        # No gradient through the reset: it would reward a neuron for having fired too late.
        potential = potential * (1 - spike.detach())
        spikes.append(spike)
    return torch.stack(spikes)


def integrate(current: Tensor, settings: Settings) -> Tensor:
    """Run leaky integrators from rest and return their potentials, shaped like `current`."""
    potential = torch.zeros_like(current[0])
    potentials = []
    for added in current:
        potential = settings.decay * potential + added
        potentials.append(potential)
    return torch.stack(potentials)


class Network(nn.Module):
    """Two convolutions, one dense hidden layer, ten leaky integrators."""

    def __init__(self, settings: Settings) -> None:
        """Draw the weights from torch's global generator; biases start at 0."""
        super().__init__()
        first, second = settings.channels
        self.settings = settings
        self.conv1 = nn.Conv2d(1, first, kernel_size=5, stride=2)
        self.conv2 = nn.Conv2d(first, second, kernel_size=3, stride=2)
        self.fc1 = nn.Linear(second * 5 * 5, settings.hidden)
        self.fc2 = nn.Linear(settings.hidden, digits.CLASSES)
        for layer in (self.conv1, self.conv2, self.fc1, self.fc2):
            nn.init.normal_(layer.weight, std=INIT_GAIN / math.sqrt(layer.weight[0].numel()))
            nn.init.zeros_(layer.bias)

    def forward(self, spikes: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Run all steps, layer by layer: no layer hears of a later one.

        Args:
            spikes: Float32 `[step, sample, 1, 28, 28]`, 0 or 1.

        Returns:
            Mean output potentials, float32 `[sample, 10]` [thresholds], and the spikes of the
            three hidden layers, float32 `[step, sample, *shape]`.
        """
        hidden1 = fire(_at_each_step(self.conv1, spikes), self.settings)
        hidden2 = fire(_at_each_step(self.conv2, hidden1), self.settings)
        hidden3 = fire(self.fc1(hidden2.flatten(start_dim=2)), self.settings)
        potentials = integrate(self.fc2(hidden3), self.settings)
        return potentials.mean(dim=0), [hidden1, hidden2, hidden3]


def distort(images: Tensor, settings: Settings) -> Tensor:
    """Return `images` (float32 `[sample, 1, 28, 28]`, 0..1), each moved by a random affine map."""
    turn, zoom, shear, right, down = (torch.rand(5, len(images)) * 2 - 1) * torch.tensor(
        [settings.turn, settings.zoom, settings.shear, settings.shift, settings.shift]
    ).unsqueeze(1)
    cos, sin = zoom.exp() * turn.cos(), zoom.exp() * turn.sin()
    maps = torch.stack([cos, shear - sin, right, sin, cos, down], dim=1).reshape(-1, 2, 3)
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False).clamp(0, 1)


def train(settings: Settings, images: np.ndarray, labels: np.ndarray) -> Network:
    """Train a network on `images` (float32 `[sample, 1, 28, 28]`) and `labels` (`[sample]`).

    Each epoch sees each image once, distorted anew and with new spikes. The result is the same
    bit for bit on the same CPU model with the same torch build and number of threads.
    Elsewhere sums round differently, and the network ends up as good but not equal.
    """
    torch.manual_seed(settings.seed)
    network = Network(settings)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        settings.learning_rate,
        total_steps=settings.epochs * math.ceil(len(images) / settings.batch),
        pct_start=0.1,
    )
    for epoch in range(settings.epochs):
        losses = []
        for batch, truth in _batches(images, labels, settings):
            rates = distort(batch, settings)
            spikes = (torch.rand(settings.steps, *rates.shape) < rates).to(rates.dtype)
            scores, hidden = network(spikes)
            loss = functional.cross_entropy(scores, truth) + activity_cost(hidden, settings)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1:3} of {settings.epochs}: loss {np.mean(losses):.4f}", flush=True)
    return network


def activity_cost(hidden: list[Tensor], settings: Settings) -> Tensor:
    """Return what the layers' spikes (`[step, sample, *shape]`) cost, a scalar loss."""
    excess = [
        functional.relu(spikes.mean(dim=(0, 1)) - settings.rate_limit).mean() for spikes in hidden
    ]
    return settings.rate_cost * torch.stack(excess).sum()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the network does with images that the encoder turned into spikes."""

    scores: np.ndarray
    """Mean output potentials, float32 `[sample, 10]` [thresholds]."""

    predicted: np.ndarray
    """Digits, int64 `[sample]`."""

    accuracy: float
    """Share of right digits, 0..1."""

    rates: np.ndarray
    """Mean firing rate of each hidden layer, float64 `[layer]` [1/step]."""


def evaluate(network: Network, images: np.ndarray, labels: np.ndarray, seed: int) -> Evaluation:
    """Classify `images` (float32 `[sample, 1, 28, 28]`) from spikes drawn with `seed`."""
    spikes = encode_rate(images, network.settings.steps, seed)
    with torch.no_grad():
        potentials, hidden = network(torch.from_numpy(spikes).float().transpose(0, 1))
    scores = potentials.numpy()
    predicted = scores.argmax(axis=1)
    return Evaluation(
        scores=scores,
        predicted=predicted,
        accuracy=float(np.mean(predicted == labels)),
        rates=np.array([layer.double().mean().item() for layer in hidden]),
    )


def main() -> None:
    """Train, measure on the test set, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("--output", type=Path, default=here / "mnist.pt", help="weights to write")
    parser.add_argument("--results", type=Path, help="also write the float results here (.npz)")
    arguments = parser.parse_args()

    settings = Settings()
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    train_images, train_labels, test_images, test_labels = digits.load()

    start = time.perf_counter()
    network = train(settings, train_images, train_labels)
    print(f"trained in {time.perf_counter() - start:.0f} s")
    tests = [evaluate(network, test_images, test_labels, seed) for seed in range(10)]
    accuracies = [100 * test.accuracy for test in tests]
    print(
        f"test accuracy {accuracies[0]:.1f} % with encoder seed 0; over seeds 0..9 "
        f"{min(accuracies):.1f}..{max(accuracies):.1f} %, mean {np.mean(accuracies):.2f} %"
    )
    print("spikes per neuron and step, by hidden layer:", tests[0].rates.round(3))

    torch.save(network.state_dict(), arguments.output)
    if arguments.results:
        np.savez(
            arguments.results,
            accuracy=tests[0].accuracy,
            predicted=tests[0].predicted,
            scores=tests[0].scores,
            rates=tests[0].rates,
            labels=test_labels,
        )


def _batches(
    images: np.ndarray, labels: np.ndarray, settings: Settings
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all images and labels once, in random order; the last batch may be smaller."""
    for chosen in torch.randperm(len(images)).split(settings.batch):
        yield torch.from_numpy(images)[chosen], torch.from_numpy(labels)[chosen]


def _at_each_step(layer: nn.Module, spikes: Tensor) -> Tensor:
    """Apply a layer that knows samples, but no steps, to `[step, sample, *shape]`."""
    return layer(spikes.flatten(0, 1)).unflatten(0, spikes.shape[:2])


if __name__ == "__main__":
    main()
