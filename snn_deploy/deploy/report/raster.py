"""Which spikes of a sample are shown: evenly spread neurons, the first steps, never too many."""

import math

import numpy as np
from jaxtyping import Num

from snn_deploy.deploy.report.model import Raster

LAYERS = 12
"""Inputs and populations that are shown."""

NEURONS = 128
"""Most neurons of one that are shown."""

STEPS = 400
"""Most steps that are shown."""

SPIKES = 5_000
"""Most spikes of one that are shown."""


def raster(layer: str, sent: Num[np.ndarray, "step ..."]) -> Raster:
    """Return what is shown of what one input or population sends in one sample.

    Args:
        layer: Its name.
        sent: Payloads, in the steps of the network.
    """
    flat = sent.reshape(sent.shape[0], -1) != 0
    steps, neurons = flat.shape
    shown = flat[:STEPS]
    count = min(NEURONS, neurons)
    index = _spread(neurons, count)
    while count > 1 and np.count_nonzero(shown[:, index]) > SPIKES:
        count = max(1, count // 2)
        index = _spread(neurons, count)
    return Raster(
        layer=layer,
        neurons=neurons,
        steps=steps,
        shown=tuple(index.tolist()),
        shown_steps=len(shown),
        trains=tuple(tuple(np.flatnonzero(shown[:, i]).tolist()) for i in index),
    )


def _spread(neurons: int, count: int) -> np.ndarray:
    """Return the indices of `count` neurons, evenly spread."""
    every = math.ceil(neurons / count)
    return np.arange(0, neurons, every)
