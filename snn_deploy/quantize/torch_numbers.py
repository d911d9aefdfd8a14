"""The numbers of a program that are trained: real ones that are rounded whenever they are used."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from snn_deploy.ir.maps import Convolution, LinearMap, Sparse
from snn_deploy.ir.neuron import Fires, ResetKind
from snn_deploy.ir.program import Bias, Population, Projection
from snn_deploy.quantize.rounding import bias_grid, whole
from snn_deploy.quantize.torch_gradients import as_tensor, rounded
from snn_deploy.quantize.torch_neurons import Numbers
from snn_deploy.targets import Target, WeightRange

INSIDE = 0.499
"""Steps from a starting weight to its whole number, at most: with more it could round to another.
A weight that the compiler rounded elsewhere, to make up for others, starts in the middle of its
number: beside the edge of it, the first step of training would undo most of what was made up."""


class TrainedWeights(nn.Module):  # type: ignore[misc]  # torch has no types here
    """The weights of one projection, in the units that the network was trained in."""

    def __init__(
        self, projection: Projection, post: Population, real: np.ndarray, stored: WeightRange
    ) -> None:
        """Start at `real`, but where that rounds to another number than the program's, at that.

        Args:
            projection: With the whole numbers to start from.
            post: The population that it drives.
            real: Weights as trained, per payload of 1, in the shape of the map's numbers.
            stored: What the target stores.
        """
        super().__init__()
        self.name = projection.name
        self.start = projection
        self.step = stored.step
        self.range = stored.low // stored.step, stored.high // stored.step
        state = real_units(projection.map, post)  # real size of a state unit, for each weight
        per_real = 1 / (state * 2.0**projection.shift * stored.step)
        steps = projection.map.numbers() / stored.step
        near = np.where(np.abs(real * per_real - steps) < INSIDE, real * per_real, steps)
        self.real = nn.Parameter(torch.tensor(near / per_real, dtype=torch.float64))
        self.register_buffer("per_real", as_tensor(per_real))

    def forward(self) -> Tensor:
        """Return the whole numbers that the chip stores, in the shape of the map's numbers."""
        return rounded(self.real * self.per_real, *self.range) * self.step

    def projection(self) -> Projection:
        """Return the projection with these weights."""
        stored = self.forward().detach().cpu().numpy()
        return replace(self.start, map=self.start.map.with_numbers(whole(stored)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasRule:
    """How one bias is stored."""

    lowered: bool
    """Whether a clock neuron will carry it."""

    largest: int
    """Largest bias that the target stores [state units]."""

    @classmethod
    def of(cls, target: Target, *, lowered: bool) -> "BiasRule":
        """Return the rule of `target`."""
        weights, biases = target.weights, target.biases
        if not lowered:
            return cls(lowered=False, largest=biases.mantissa.high << biases.exponent.high)
        stored = min(weights.excitatory.high, -weights.inhibitory.low)
        return cls(lowered=True, largest=stored << (weights.exponent.high + weights.shift.value))


class TrainedNeurons(nn.Module):  # type: ignore[misc]  # torch has no types here
    """The thresholds and biases of one population.

    A threshold is trained by its logarithm, and a reset that subtracts it moves along.
    Readouts have no threshold, and one of 0 stays.
    """

    def __init__(self, population: Population, target: Target, rules: Sequence[BiasRule]) -> None:
        """Start at the whole numbers of `population`.

        Args:
            population: With the whole numbers to start from.
            target: The chip.
            rules: How each of its biases is stored.
        """
        super().__init__()
        self.name = population.name
        self.start = population
        self.target, self.rules = target, tuple(rules)
        self.register_buffer("threshold", as_tensor(population.threshold))
        self.register_buffer("amount", as_tensor(population.reset.amount))
        self.register_buffer("scale", as_tensor(np.asarray(1 / population.units)))
        free = population.fires is not Fires.NEVER and bool(np.all(population.threshold > 0))
        self.growth = nn.Parameter(torch.zeros_like(self.threshold), requires_grad=free)
        """Logarithm of the threshold over the one it started from."""

        self.biases = nn.ParameterList(as_tensor(b.value) / self.scale for b in population.biases)
        """In the units that the network was trained in."""

        lattice = 1 << target.thresholds.shift.value
        apart = np.abs(population.reset.amount - population.threshold)
        self.tied = population.reset.kind is ResetKind.SUBTRACT and bool(np.all(apart < lattice))

    def forward(self) -> Numbers:
        """Return the whole numbers in state units."""
        threshold = self._threshold() if self.growth.requires_grad else self.threshold
        moved = threshold - self.threshold if self.tied else 0.0
        return Numbers(
            threshold=threshold,
            amount=self.amount + moved,
            biases=tuple(
                self._bias(value, rule) for value, rule in zip(self.biases, self.rules, strict=True)
            ),
        )

    def _threshold(self) -> Tensor:
        rule = self.target.thresholds
        lattice = 1 << rule.shift.value
        low = max(1, rule.mantissa.low)
        mantissa = self.threshold / lattice * torch.exp(self.growth)
        return rounded(mantissa, low, rule.mantissa.high) * lattice

    def _bias(self, real: Tensor, rule: BiasRule) -> Tensor:
        value = real * self.scale
        size = min(float(value.detach().abs().max()), rule.largest) if value.numel() else 0.0
        grid = bias_grid(self.target, size, rule.lowered)
        most = rule.largest // grid
        return rounded(value / grid, -most, most) * grid

    def population(self) -> Population:
        """Return the population with these numbers."""
        numbers = self.forward()

        def stored(value: Tensor) -> np.ndarray:
            return whole(value.detach().cpu().numpy())

        start = self.start
        return replace(
            start,
            threshold=stored(numbers.threshold),
            reset=replace(start.reset, amount=stored(numbers.amount)),
            biases=tuple(
                Bias(value=stored(value), into=b.into, start=b.start)
                for value, b in zip(numbers.biases, start.biases, strict=True)
            ),
        )


def real_units(linear: LinearMap, post: Population) -> Float[np.ndarray, "..."]:
    """Return the real value of a state unit for each stored weight of a map into `post`.

    The neurons of one channel of a convolution have one unit.
    """
    units = np.broadcast_to(post.units, post.shape)
    if isinstance(linear, Convolution):
        channels = units.reshape(linear.weight.shape[0], -1)[:, 0]
        return np.broadcast_to(channels[:, None, None, None], linear.weight.shape)
    if isinstance(linear, Sparse):
        return units.ravel()[linear.post]
    return np.broadcast_to(units.reshape(-1, 1), linear.numbers().shape)
