"""The latency code: a value becomes the time of a single spike, the larger the earlier.

A code is the falling levels of its steps. A value sends its spike in the first step whose level it
reaches, and that spike stands for the level; `Weighting.of(levels)` with `Decode.SPIKE_TIME` reads
it back.
"""

import numpy as np
from jaxtyping import Float, UInt8

from snn_deploy.errors import DataError
from snn_deploy.ir.limits import check_room


def linear_levels(steps: int) -> Float[np.ndarray, " step"]:
    """Return 1 - t / `steps` of each step t: the code t = (1 - value) `steps`."""
    return 1 - np.arange(steps) / steps


def exponential_levels(steps: int, tau: float, shift: float = 0.0) -> Float[np.ndarray, " step"]:
    """Return exp((shift - t) / tau) of each step t: the code t = shift - tau ln(value).

    Args:
        steps: How many.
        tau: Steps in which the level falls by e.
        shift: Step whose level is 1; it need not be whole.

    Source: Park et al. 2020, T2FSNN, DAC: the threshold that falls by itself.
    """
    return np.asarray(np.exp((shift - np.arange(steps)) / tau))


def encode_latency(
    values: Float[np.ndarray, "sample ..."],
    levels: Float[np.ndarray, " level"],
    steps: int | None = None,
) -> UInt8[np.ndarray, "sample step ..."]:
    """Return one spike for each value, in the first step whose level the value reaches.

    A value below the last level sends none, nor does 0.

    Args:
        values: What is sent, as a rule 0..1.
        levels: Of the first steps: above 0, none above the one before.
        steps: Steps per sample, at least one per level; no spike in those behind. By default as
            many as levels.

    Raises:
        DataError: the levels rise, or end at 0 or below, or are more than the steps; a value is
            NaN; or there is no memory for so many steps.
    """
    length = len(levels) if steps is None else steps
    if not (len(levels) and np.all(np.diff(levels) <= 0) and levels[-1] > 0):
        shown = " ".join(f"{level:g}" for level in levels[:8]) or "none"
        raise DataError(
            "the levels of a latency code fall from step to step and stay above 0, these are "
            f"{shown}{' ...' * (len(levels) > 8)}",
            fix="linear_levels(steps) or exponential_levels(steps, tau)",
        )
    if length < len(levels):
        raise DataError(
            f"a code of {len(levels)} steps does not fit into samples of {length}",
            fix=f"{len(levels)} steps or more",
        )
    if np.isnan(values).any():
        raise DataError("a latency code has no step for NaN")
    check_room("the encoded data", (*values.shape, length), 1)
    spikes = np.zeros((values.shape[0], length, *values.shape[1:]), np.uint8)
    # as many levels above a value as steps before its spike
    first = np.searchsorted(-levels, -values.astype(np.float64), side="left")
    late = np.arange(len(levels)).reshape(-1, *(1,) * (values.ndim - 1))
    spikes[:, : len(levels)] = first[:, None] == late
    return spikes
