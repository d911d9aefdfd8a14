"""What each step of a sample weighs in an answer: whole numbers, so that every backend agrees."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.errors import DynamicsError
from snn_deploy.ir.limits import MOST_STEPS

LARGEST = 2**31
"""Of all weights together, each without its sign: times a membrane of 32 bits that fits 64."""

FINEST = 1000
"""Bits that a weight's unit is moved at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighting:
    """One weight for each step of a sample: values[step] * 2**exponent."""

    values: tuple[int, ...]
    exponent: int = 0

    def __post_init__(self) -> None:
        for wrong, what in (
            (not 1 <= len(self.values) <= MOST_STEPS, f"weights of {len(self.values)} steps"),
            (sum(map(abs, self.values)) > LARGEST, f"weights that sum up to more than {LARGEST}"),
            (abs(self.exponent) > FINEST, f"weights in units of 2**{self.exponent}"),
        ):
            if wrong:
                raise DynamicsError(what, fix="Weighting.of(weights) chooses whole numbers")

    @classmethod
    def of(cls, weights: Sequence[float] | np.ndarray, bits: int = 16) -> "Weighting":
        """Return real weights as whole numbers of at most `bits` bits and a sign.

        Each is rounded to the nearest, half to even; the network of real numbers has the rounded
        ones too. Weights that are whole numbers already stay as they are.

        Raises:
            DynamicsError: a weight is not finite, or there are none.
        """
        reals = np.asarray(weights, np.float64).ravel()
        if not np.all(np.isfinite(reals)):
            raise DynamicsError("a weight that is no finite number")
        largest = float(np.abs(reals).max(initial=0.0))
        if np.all(reals == np.rint(reals)) and largest < 1 << bits:
            return cls(values=tuple(int(w) for w in reals))
        exponent = math.frexp(largest)[1] - bits
        return cls(
            values=tuple(int(w) for w in np.rint(np.ldexp(reals, -exponent))), exponent=exponent
        )

    def __str__(self) -> str:
        unit = f" * 2**{self.exponent}" if self.exponent else ""
        return " ".join(map(str, self.values)) + unit
