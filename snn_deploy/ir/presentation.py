"""How samples follow each other in a run: each from its start, or one after another."""

from collections.abc import Iterator, Sequence

import numpy as np

from snn_deploy.ir.limits import check_room
from snn_deploy.ir.network import Between, Boundary
from snn_deploy.ir.trace import Values


def present(boundary: Boundary, inputs: Sequence[Values]) -> tuple[Values, ...]:
    """Return `inputs` as simulators take them: every row of the first axis starts fresh.

    A continuous run becomes one long sample, with `boundary.idle` steps of zeros after each but
    the last.
    """
    if boundary.between is Between.FRESH:
        return tuple(inputs)
    return tuple(Values(name=i.name, values=_joined(i.values, boundary.idle)) for i in inputs)


def _joined(values: np.ndarray, idle: int) -> np.ndarray:
    samples, steps, *shape = values.shape
    check_room("all samples in a row", (samples, steps + idle, *shape), values.itemsize)
    gap = ((0, 0), (0, idle), *((0, 0) for _ in values.shape[2:]))
    stream = np.pad(values, gap).reshape(1, -1, *values.shape[2:])
    return stream[:, : stream.shape[1] - idle]


def dilated(inputs: Sequence[Values], period: int) -> tuple[Values, ...]:
    """Return `inputs`, steps of the network, at the steps of a program: every `period`-th."""
    if period == 1:
        return tuple(inputs)
    return tuple(Values(name=i.name, values=_spread(i.values, period)) for i in inputs)


def _spread(values: np.ndarray, period: int) -> np.ndarray:
    samples, steps, *shape = values.shape
    check_room("the input of a run", (samples, steps * period, *shape), values.itemsize)
    spread = np.zeros((samples, steps * period, *shape), values.dtype)
    spread[:, ::period] = values
    return spread


def windows(boundary: Boundary, samples: int, steps: int) -> Iterator[tuple[int, int]]:
    """Yield (row, first step) of each sample in a presented run."""
    for sample in range(samples):
        if boundary.between is Between.FRESH:
            yield sample, 0
        else:
            yield 0, sample * (steps + boundary.idle)
