"""Rounding with error feedback: what one weight loses, the weights after it make up for.

GPTQ (Frantar, Ashkboos, Hoefler and Alistarh 2022, "GPTQ: accurate post-training quantization for
generative pre-trained transformers", algorithm 1), on the moment of spikes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.quantize.moments import Moment
from snn_deploy.targets import WeightRange

DAMPING = 0.01
"""Share of the mean of the diagonal that is added to it, so that the inverse is tame."""

BLOCK = 128
"""Columns whose feedback to all later ones is added at once: a matrix product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a moment says to rounding, whatever the scale: it is worked out once for all of them."""

    order: Int[np.ndarray, " fan"]
    """Columns by their power, the most active first."""

    pull: Float[np.ndarray, "fan fan"]
    """In that order, the upper Cholesky factor of the inverse of the damped moment."""

    @classmethod
    def of(cls, moment: Moment) -> tuple["Feedback", ...]:
        """Return the feedback of each matrix of a moment."""
        return tuple(cls._of_part(part) for part in moment)

    @classmethod
    def _of_part(cls, moment: Float[np.ndarray, "fan fan"]) -> "Feedback":
        order = np.argsort(-np.diag(moment), kind="stable")
        return cls(order=order, pull=_pull(moment[np.ix_(order, order)]))


def feedback_round(
    weight: Float[np.ndarray, "row fan"], stored: WeightRange, feedback: Sequence[Feedback]
) -> tuple[Float[np.ndarray, "row fan"], int]:
    """Return whole weights whose summed errors the moment says are small, and how many clip.

    Columns come in the order of their power, the most active first. In exact ties a half rounds
    to even.

    Args:
        weight: In stored units, before rounding.
        stored: The grid.
        feedback: One for each equal part of the rows, in their order.
    """
    parts = np.split(weight, len(feedback))
    kept = np.concatenate([_part(p, stored, f) for p, f in zip(parts, feedback, strict=True)])
    free = np.rint(weight / stored.step) * stored.step
    return kept, int(np.count_nonzero((free < stored.low) | (free > stored.high)))


def _part(
    weight: Float[np.ndarray, "row fan"], stored: WeightRange, feedback: Feedback
) -> Float[np.ndarray, "row fan"]:
    order, pull = feedback.order, feedback.pull
    left = weight[:, order].astype(np.float64)
    kept = np.empty_like(left)
    for start in range(0, left.shape[1], BLOCK):
        end = min(start + BLOCK, left.shape[1])
        lost = np.empty((len(left), end - start))
        for column in range(start, end):
            whole = np.rint(left[:, column] / stored.step) * stored.step
            kept[:, column] = np.clip(whole, stored.low, stored.high)
            lost[:, column - start] = (left[:, column] - kept[:, column]) / pull[column, column]
            left[:, column:end] -= np.outer(lost[:, column - start], pull[column, column:end])
        left[:, end:] -= lost @ pull[start:end, end:]
    result = np.empty_like(kept)
    result[:, order] = kept
    return result


def _pull(moment: Float[np.ndarray, "fan fan"]) -> Float[np.ndarray, "fan fan"]:
    """Return the upper Cholesky factor of the inverse of the damped moment."""
    power = np.diag(moment).copy()
    mean = float(power.mean()) or 1.0
    damped = moment + np.diag(np.where(power > 0, DAMPING * mean, mean))
    return np.linalg.cholesky(np.linalg.inv(damped)).T
