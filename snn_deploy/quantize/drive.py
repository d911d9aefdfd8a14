"""What drives a population, as the search for a scale sees it: weights by row, usual activity."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.ir.maps import Convolution, Dense, LinearMap, to_sparse
from snn_deploy.ir.network import Projection
from snn_deploy.quantize.fold import source_channel
from snn_deploy.quantize.moments import Moment
from snn_deploy.quantize.rounding import sign_of, weight_range
from snn_deploy.targets import Target, WeightRange

USUAL_RATE = 0.1
"""Share of neurons that send, or of an input's range, where no calibration data tells."""

SAMPLED_WEIGHTS = 2**15
"""Weights per projection that the search looks at: whole rows, evenly spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What a source sends: means per neuron and step over the calibration data."""

    mean: Float[np.ndarray, " pre"]
    power: Float[np.ndarray, " pre"]
    """Mean square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """One projection as the search sees it. A row is a target neuron, or a channel of them."""

    name: str
    low: float
    """Smallest weight, real units of the membrane per payload of 1."""

    high: float
    stored: WeightRange
    rows: int
    weight: Float[np.ndarray, " weight"]
    """Weights of the sampled rows."""

    row: Int[np.ndarray, " weight"]
    """Index into `sampled` of the row of each weight."""

    sampled: Int[np.ndarray, " sample"]
    """The rows that are looked at."""

    mean: Float[np.ndarray, " weight"]
    """Mean payload at each weight."""

    power: Float[np.ndarray, " weight"]
    most: Float[np.ndarray, " row"]
    """Largest sum that a row can receive in one step, all rows."""

    least: Float[np.ndarray, " row"]
    room: Float[np.ndarray, " row"]
    """By row, what its weights can be multiplied with so that none is clipped; infinite: all 0."""

    moment: Moment | None = None
    """Second moment of what arrives at the weights of a row; None: mean and power say all."""

    @property
    def largest(self) -> float:
        """Largest weight by size."""
        return max(abs(self.low), abs(self.high))

    def per_row(self, values: Float[np.ndarray, " weight"]) -> Float[np.ndarray, " sample"]:
        """Return the sums of `values` over each sampled row."""
        return _summed(self.row, values, len(self.sampled))

    def quadratic(self, error: Float[np.ndarray, " weight"]) -> Float[np.ndarray, " sample"]:
        """Return e H e of each sampled row for the errors e of its weights."""
        assert self.moment is not None
        matrix = error.reshape(len(self.sampled), -1)
        group = self.sampled * len(self.moment) // self.rows
        found = np.empty(len(self.sampled))
        for number, moment in enumerate(self.moment):
            rows = matrix[group == number]
            found[group == number] = np.einsum("rf,rf->r", rows @ moment, rows)
        return found

    def of_rows(self, per_neuron: Float[np.ndarray, " post"]) -> Float[np.ndarray, " sample"]:
        """Return the mean of a neuron parameter over each sampled row."""
        return per_neuron.reshape(self.rows, -1).mean(axis=1)[self.sampled]


def drive_of(
    projection: Projection,
    *,
    unit: float,
    payload: tuple[int, int],
    activity: Activity,
    target: Target,
    bits: int | None,
    moment: Moment | None = None,
    every_row: bool = False,
) -> Drive:
    """Return what the search needs of a projection.

    Args:
        projection: Its map is Dense, Sparse or Convolution.
        unit: Real value of a payload of 1.
        payload: Smallest and largest payload.
        activity: Of the source, in payloads.
        target: The chip.
        bits: Of a stored weight; None: as many as the target has.
        moment: Second moment of what arrives at a row.
        every_row: Look at all rows, not at some of many.
    """
    linear = projection.map
    row, pre = _rows(linear)
    weight = linear.numbers().ravel() * unit
    rows = _row_count(linear)
    kept = np.arange(row.size) if every_row else _sample(row, rows)
    low, high = float(weight.min(initial=0.0)), float(weight.max(initial=0.0))
    ends = (
        np.minimum(weight * payload[0], weight * payload[1]),
        np.maximum(weight * payload[0], weight * payload[1]),
    )
    stored = weight_range(target, sign_of(low, high), bits)
    sampled, position = np.unique(row[kept], return_inverse=True)
    return Drive(
        name=projection.name,
        low=low,
        high=high,
        stored=stored,
        rows=rows,
        weight=weight[kept],
        row=position,
        sampled=sampled,
        mean=_at(linear, activity.mean, pre)[kept],
        power=_at(linear, activity.power, pre)[kept],
        least=_summed(row, np.minimum(ends[0], 0), rows),
        most=_summed(row, np.maximum(ends[1], 0), rows),
        room=_room(row, weight, rows, stored),
        moment=moment,
    )


def _room(
    row: np.ndarray, weight: np.ndarray, rows: int, stored: WeightRange
) -> Float[np.ndarray, " row"]:
    high, low = np.zeros(rows), np.zeros(rows)
    np.maximum.at(high, row, weight)
    np.maximum.at(low, row, -weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(high > 0, stored.high / high, np.inf)
        down = np.where(low > 0, -stored.low / low, np.inf)
    return np.minimum(up, down)


def _summed(row: np.ndarray, values: np.ndarray, rows: int) -> Float[np.ndarray, " row"]:
    """Return the sums of `values` by row; of no values, numpy would make whole numbers."""
    return np.bincount(row, weights=values, minlength=rows).astype(np.float64)


def _row_count(linear: LinearMap) -> int:
    return linear.out_shape[0] if isinstance(linear, Convolution) else linear.out_size


def _rows(linear: LinearMap) -> tuple[np.ndarray, np.ndarray]:
    """Return for each stored weight its row and its source neuron or source channel."""
    if isinstance(linear, Dense):
        post, pre = np.divmod(np.arange(linear.weight.size), max(1, linear.in_size))
        return post, pre
    if isinstance(linear, Convolution):
        taps = math.prod(linear.weight.shape[2:])
        row = np.repeat(np.arange(linear.weight.shape[0]), linear.weight[0].size)
        return row, np.repeat(source_channel(linear).ravel(), taps)
    sparse = to_sparse(linear, keep_zeros=True)
    return sparse.post, sparse.pre


def _at(linear: LinearMap, per_source: np.ndarray, pre: np.ndarray) -> np.ndarray:
    if isinstance(linear, Convolution):
        per_source = per_source.reshape(linear.source[0], -1).mean(axis=1)
    return per_source[pre]


def _sample(row: np.ndarray, rows: int) -> np.ndarray:
    every = -(-row.size // SAMPLED_WEIGHTS)
    return np.flatnonzero(row % max(1, min(every, rows)) == 0)
