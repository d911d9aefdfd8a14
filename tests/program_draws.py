"""Random choices, made one after the other from one generator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from program_traits import Features, Formats, Trait

from snn_deploy.ir.maps import Shape

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large a random program is."""

    populations: int
    """Populations besides clocks and relays, 1 or more."""

    neurons: int
    """Neurons of a population without channels, at most."""

    extent: int
    """Height and width of inputs with channels, at most; at least 3."""

    samples: int
    steps: int

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Sizes":
        """Return sizes of which none is a bother to run."""
        return cls(
            populations=int(rng.integers(1, 5)),
            neurons=int(rng.integers(2, 17)),
            extent=int(rng.integers(3, 8)),
            samples=int(rng.integers(1, 4)),
            steps=int(rng.integers(16, 33)),
        )


class Draws:
    """A source of random choices among what `features` allow."""

    def __init__(self, rng: np.random.Generator, features: Features, sizes: Sizes) -> None:
        self.rng = rng
        self.features = features
        self.sizes = sizes
        self.loihi = features.formats is Formats.LOIHI

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def may(self, trait: Trait, probability: float) -> bool:
        """Return whether to use a trait: never where it is forbidden."""
        wanted = self.chance(probability)
        return wanted and trait in self.features.allowed

    def offered(self, trait: Trait, probability: float) -> bool:
        """Return whether to use a trait; where it is forbidden, without drawing a number."""
        return trait in self.features.allowed and self.chance(probability)

    def pick(self, weights: Mapping[Choice, float]) -> Choice:
        share = np.array(list(weights.values()))
        return list(weights)[int(self.rng.choice(len(share), p=share / share.sum()))]

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def parameter(self, shape: Shape, draw: Callable[[Shape], np.ndarray]) -> np.ndarray:
        """Return a parameter: one number, one per channel, or one per neuron."""
        if len(shape) == 3 and self.may(Trait.PER_CHANNEL, 0.15):
            return draw((shape[0], 1, 1))
        return np.asarray(draw(shape if self.may(Trait.PER_NEURON, 0.12) else ()))
