"""What drives a population, as the search for a scale sees it: weights by row, usual activity."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.ir.maps import Convolution, Dense, LinearMap, row_blocks, to_sparse
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
        sums = np.bincount(self.row, weights=values, minlength=len(self.sampled))
        return sums.astype(np.float64)  # of no values, numpy would make whole numbers

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
    rows = _row_count(linear)
    within, kept = _Sums(rows, payload), _Kept()
    apart = 1 if every_row else _apart(linear.numbers().size, rows)
    for block in _blocks(linear):
        weight = block.weight * unit
        within.add(block.row, weight)
        kept.add(block, weight, np.flatnonzero(block.row % apart == 0))
    row, pre, sampled_weight = kept.arrays
    sampled, position = np.unique(row, return_inverse=True)
    stored = weight_range(target, sign_of(within.low, within.high), bits)
    return Drive(
        name=projection.name,
        low=within.low,
        high=within.high,
        stored=stored,
        rows=rows,
        weight=sampled_weight,
        row=position,
        sampled=sampled,
        mean=_at(linear, activity.mean, pre),
        power=_at(linear, activity.power, pre),
        least=within.least,
        most=within.most,
        room=within.room(stored),
        moment=moment,
    )


class _Sums:
    """What is known of all rows, added up block by block.

    Args:
        rows: Their number.
        payload: Smallest and largest payload.
    """

    def __init__(self, rows: int, payload: tuple[int, int]) -> None:
        self._payload = payload
        self.low = self.high = 0.0
        self.least, self.most = np.zeros(rows), np.zeros(rows)
        self._up, self._down = np.zeros(rows), np.zeros(rows)

    def add(self, row: np.ndarray, weight: np.ndarray) -> None:
        """Take in the weights of some rows, which no other block has."""
        if not row.size:
            return
        self.low = min(self.low, float(weight.min()))
        self.high = max(self.high, float(weight.max()))
        first, last = int(row[0]), int(row[-1]) + 1
        ends = weight * self._payload[0], weight * self._payload[1]
        for total, values in (
            (self.least, np.minimum(np.minimum(*ends), 0)),
            (self.most, np.maximum(np.maximum(*ends), 0)),
        ):
            total[first:last] += np.bincount(row - first, weights=values, minlength=last - first)
        np.maximum.at(self._up, row, weight)
        np.maximum.at(self._down, row, -weight)

    def room(self, stored: WeightRange) -> Float[np.ndarray, " row"]:
        """Return what the weights of a row can be multiplied with so that none is clipped."""
        with np.errstate(divide="ignore", invalid="ignore"):
            up = np.where(self._up > 0, stored.high / self._up, np.inf)
            down = np.where(self._down > 0, -stored.low / self._down, np.inf)
        return np.minimum(up, down)


@dataclass(frozen=True, slots=True)
class _Block:
    """Consecutive rows of a map: for each weight its row and its source neuron or channel."""

    row: np.ndarray
    pre: np.ndarray
    weight: np.ndarray


class _Kept:
    """The weights that are looked at, gathered block by block."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, block: _Block, weight: np.ndarray, which: np.ndarray) -> None:
        self._parts.append((block.row[which], block.pre[which], weight[which]))

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, source and real value of each."""
        rows, pres, weights = zip(*self._parts, strict=True)
        return np.concatenate(rows), np.concatenate(pres), np.concatenate(weights)


def _blocks(linear: LinearMap) -> Iterator[_Block]:
    """Yield a map by rows, `BLOCK` weights at a time: a large one is never copied whole."""
    if isinstance(linear, Dense):
        for rows, part in row_blocks(linear):
            post, pre = np.divmod(np.arange(part.weight.size), max(1, linear.in_size))
            yield _Block(post + rows.start, pre, part.weight.ravel())
    elif isinstance(linear, Convolution):
        taps = math.prod(linear.weight.shape[2:])
        row = np.repeat(np.arange(linear.weight.shape[0]), linear.weight[0].size)
        pre = np.repeat(source_channel(linear).ravel(), taps)
        yield _Block(row, pre, linear.weight.ravel())
    else:
        sparse = to_sparse(linear, keep_zeros=True)
        yield _Block(sparse.post, sparse.pre, sparse.weight)


def _row_count(linear: LinearMap) -> int:
    return linear.out_shape[0] if isinstance(linear, Convolution) else linear.out_size


def _at(linear: LinearMap, per_source: np.ndarray, pre: np.ndarray) -> np.ndarray:
    if isinstance(linear, Convolution):
        per_source = per_source.reshape(linear.source[0], -1).mean(axis=1)
    return per_source[pre]


def _apart(weights: int, rows: int) -> int:
    """Return how far apart the rows are that are looked at."""
    return max(1, min(-(-weights // SAMPLED_WEIGHTS), rows))
