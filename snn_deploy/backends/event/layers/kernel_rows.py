"""Where an event goes through a convolution: the rows of weights that it adds, place by place.

With the target's channels last, taps of one kernel row that reach neighbouring columns add one
contiguous row of weights; at the border it is a shorter part of the same row.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from snn_deploy.ir.maps import Convolution


class Run(NamedTuple):
    """Taps of a kernel row that lie beside each other in the output."""

    rest: int
    """For sources whose column (with padding) leaves this when divided by the stride."""

    reach: int
    """The first of the taps reaches the output of the column this much before the source."""

    taps: int
    begin: int
    """Taps before them in their row of the weights."""


def runs_of(linear: Convolution) -> tuple[Sequence[Run], Sequence[int]]:
    """Return all runs, and the kernel's columns in the order in which their weights stand."""
    columns: list[int] = []
    runs: list[Run] = []
    stride, dilation = linear.stride[1], linear.dilation[1]
    for rest in range(stride):
        last = None
        for tap in reversed(range(linear.weight.shape[3])):
            if (rest - tap * dilation) % stride != 0:
                continue
            beside = last is not None and (last - tap) * dilation == stride
            if beside and linear.groups == 1:
                runs[-1] = runs[-1]._replace(taps=runs[-1].taps + 1)
            else:
                runs.append(Run(rest, tap * dilation, 1, len(columns)))
            columns.append(tap)
            last = tap
    return runs, columns


def kernel_rows(
    linear: Convolution, runs: Sequence[Run]
) -> tuple[Int[np.ndarray, " place"], Int[np.ndarray, "row 3"]]:
    """Return where each place's rows begin, and all rows.

    A place is a source's position in its picture, y * width + x. A row is the first target of the
    first group (channels last), the first weight within a channel's, and how many there are.
    """
    height, width = linear.in_shape[1:]
    y, x = np.divmod(np.arange(height * width), width)
    outs, channels = linear.weight.shape[0] // linear.groups, linear.out_shape[0]
    out_height, out_width = linear.out_shape[1:]
    column = x + linear.padding[2]
    parts = [np.zeros((0, 4), np.int64)]
    for tap in range(linear.weight.shape[2]):
        row = y + linear.padding[0] - tap * linear.dilation[0]
        to_y = row // linear.stride[0]
        hits = (row % linear.stride[0] == 0) & (to_y >= 0) & (to_y < out_height)
        for run in runs:
            to_x = (column - run.reach) // linear.stride[1]
            out = np.maximum(0, -to_x)
            taps = np.minimum(run.taps, out_width - to_x) - out
            place = np.flatnonzero(hits & (column % linear.stride[1] == run.rest) & (taps > 0))
            first = (to_y * out_width + to_x + out) * channels
            weight = (tap * linear.weight.shape[3] + run.begin + out) * outs
            parts.append(np.stack([place, first[place], weight[place], taps[place] * outs], 1))
    rows = np.concatenate(parts)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return np.searchsorted(rows[:, 0], np.arange(height * width + 1)), rows[:, 1:]
