"""The edges of layers: where each projection's weights stand, and how they are added up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.backends.event.choices import Rows
from snn_deploy.backends.event.flat import LINE, Flat
from snn_deploy.backends.event.layers.kernel_rows import kernel_rows, runs_of
from snn_deploy.backends.event.layers.kernels.sort import sort_by_source
from snn_deploy.backends.event.layers.suit import Bounds
from snn_deploy.backends.event.layers.tables import EDGE, ROW, Way
from snn_deploy.backends.event.parts import parts_of
from snn_deploy.backends.event.records import ABSENT
from snn_deploy.backends.event.rest import FOREVER
from snn_deploy.backends.event.sources import SOURCES
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse
from snn_deploy.ir.program import Program, Projection

_NARROW = 2**15 - 1
_BYTE = 2**7


@dataclass(frozen=True, slots=True)
class Scaled:
    """A projection's weights without the factor 2**even that all of them have in common."""

    projection: Projection
    even: int
    bound: int
    """Of the size of what it adds to one neuron in a step, without the factor, unshifted."""

    largest: int
    """Largest size of a weight without the factor, or one less below 0."""

    @classmethod
    def of(cls, projection: Projection, bounds: Bounds) -> "Scaled":
        """Find the common factor of a projection's weights."""
        numbers = projection.map.numbers()
        together = int(np.bitwise_or.reduce(numbers, axis=None, initial=0))
        even = (together & -together).bit_length() - 1 if together else 0
        ends = int(numbers.min(initial=0)) >> even, int(numbers.max(initial=0)) >> even
        return cls(projection, even, bounds.of(projection) >> even, max(~ends[0], ends[1]))

    @property
    def shift(self) -> int:
        """By how much the sum of such weights is shifted left."""
        return self.projection.shift + self.even

    @property
    def fits_bytes(self) -> bool:
        """Whether its weights fit 8 bits."""
        return self.largest < _BYTE


@dataclass(frozen=True, slots=True)
class Narrow:
    """Projections into one population whose weights add up in 16 bits."""

    group: tuple[Scaled, ...]
    """All of one shift."""

    most: int
    """After so many events a sum has to be put elsewhere."""

    @classmethod
    def among(cls, program: Program, projections: Sequence[Scaled]) -> "Narrow":
        """Return the group with the most weights: one whose sums fit, or one of spikes."""
        by_shift: dict[int, list[Scaled]] = {}
        for scaled in projections:
            if scaled.fits_bytes:
                by_shift.setdefault(scaled.shift, []).append(scaled)
        groups = []
        for group in by_shift.values():
            if sum(scaled.bound for scaled in group) <= _NARROW:
                groups.append(cls(tuple(group), FOREVER))
            elif all(is_binary(program, scaled.projection.source) for scaled in group):
                largest = max(scaled.largest for scaled in group) + 1
                groups.append(cls(tuple(group), _NARROW // largest))
        return max(groups, key=lambda one: one.weights, default=NOTHING)

    @property
    def weights(self) -> int:
        """How many weights they have."""
        return sum(scaled.projection.map.numbers().size for scaled in self.group)


NOTHING = Narrow((), FOREVER)


def is_binary(program: Program, name: str) -> bool:
    """Return whether a node sends nothing but spikes, each of them worth 1."""
    low, high = program.payload_range(name)
    return low >= 0 and high <= 1


class Edges:
    """The edges of all layers, while they grow.

    Args:
        nodes: Number of each node.
        places: The program's number of each neuron, in the plan's order.
        numbers: What the tables point into.
        horizon: No run has more steps: longer delays never end.
        rows: Which rows of dense maps are added.
    """

    def __init__(
        self,
        nodes: Mapping[str, int],
        places: Mapping[str, np.ndarray],
        numbers: Flat,
        horizon: int,
        rows: Rows,
    ) -> None:
        self._horizon, self._rows = horizon, rows
        self._nodes, self._places, self.numbers = nodes, places, numbers
        self._table: list[np.ndarray] = []
        self._bytes, self._words = Flat(np.int8, LINE), Flat(np.int32, LINE // 4)

    @property
    def count(self) -> int:
        """Number of edges so far."""
        return len(self._table)

    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return edges, and the weights of 8 and of 32 bits."""
        edges = np.concatenate([np.zeros(0, EDGE), *self._table])
        return edges, self._bytes.made(), self._words.made()

    def add(self, scaled: Scaled, left: int, *, narrow: bool) -> None:
        """Append a projection.

        Args:
            scaled: The projection.
            left: By how much its weights are shifted left here.
            narrow: It adds up in 16 bits.
        """
        for part in parts_of(scaled.projection, scaled.projection.map):
            edge = self._laid_out(scaled, part.linear, left, narrow=narrow)
            delays = np.unique(part.delay)
            if delays.size > 1:
                source = self._places[scaled.projection.source]
                edge["delays"] = self.numbers.put(part.delay[source])
            for delay in delays[delays < self._horizon]:
                edge["delay"] = delay
                self._table.append(edge.copy())

    def _laid_out(
        self, scaled: Scaled, linear: LinearMap, left: int, *, narrow: bool
    ) -> np.ndarray:
        edge, projection = np.zeros(1, EDGE), scaled.projection
        source, target = self._places[projection.source], self._places[projection.target]
        edge["node"], edge["size"] = self._nodes[projection.source], target.size
        edge["narrow"], edge["words"] = narrow, left > 0 or not scaled.fits_bytes
        edge["delays"] = edge["total"] = ABSENT
        edge["most"] = source.size
        for weights in self._lay_out(edge, linear, source, target):
            if edge["way"] == Way.DENSE:
                total = weights.sum(axis=0, dtype=np.int64) >> scaled.even << left
                edge["total"], edge["most"] = self.numbers.put(total), self._most(source.size)
                edge["row"] = weights.shape[1]
            store = self._words if edge["words"][0] else self._bytes
            edge["weight"] = store.put(weights >> scaled.even << left)
        return edge

    def _most(self, sources: int) -> int:
        """Return how many sources may send before all rows less those of the silent are added."""
        return {Rows.FEWER: sources // 2, Rows.SENT: sources, Rows.SILENT: -1}[self._rows]

    def _lay_out(
        self,
        edge: np.ndarray,
        linear: LinearMap,
        source: np.ndarray,
        target: np.ndarray,
    ) -> Iterator[np.ndarray]:
        """Describe a map; yield its weights in the order in which they are added."""
        if isinstance(linear, Dense):
            edge["way"] = Way.DENSE
            behind = -target.size % ROW
            yield np.pad(linear.weight.T[np.ix_(source, target)], ((0, 0), (0, behind)))
        elif isinstance(linear, Convolution):
            yield self._kernel(edge, linear, source)
        else:
            assert isinstance(linear, Sparse)
            edge["way"] = Way.ROWS
            pre, post = _placed(linear.pre, source), _placed(linear.post, target)
            row = np.cumsum(np.bincount(pre + 1, minlength=source.size + 1))
            posts, weights = np.empty(pre.size, np.int32), np.empty(pre.size, np.int32)
            weight = linear.weight.astype(np.int32)
            given = pre.astype(np.int32), post.astype(np.int32), weight
            assert sort_by_source(given, row, posts, weights) == SOURCES
            edge["row"], edge["post"] = self.numbers.put(row), self.numbers.put(posts)
            yield weights

    def _kernel(self, edge: np.ndarray, linear: Convolution, source: np.ndarray) -> np.ndarray:
        outs, per_group = linear.weight.shape[0] // linear.groups, linear.weight.shape[1]
        grouped = linear.weight.reshape(linear.groups, outs, *linear.weight.shape[1:])
        channel, place = np.divmod(source, linear.in_shape[1] * linear.in_shape[2])
        runs, columns = runs_of(linear)
        begins, rows = kernel_rows(linear, runs)
        edge["way"], edge["block"] = Way.KERNEL, outs * linear.weight[0, 0].size
        edge["row"], edge["post"] = self.numbers.put(begins), self.numbers.put(rows)
        points = np.stack([channel, place, channel // per_group * outs], axis=1)
        edge["point"] = self.numbers.put(points)
        return grouped.transpose(0, 2, 3, 4, 1)[:, :, :, columns]


def _placed(neurons: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return where neurons stand in the plan's order."""
    if np.array_equal(place, np.arange(place.size)):
        return neurons
    return np.argsort(place)[neurons]


def most_shift(projections: Sequence[Scaled]) -> int:
    """Return the largest shift that all of them can leave to their sum."""
    return min((scaled.shift for scaled in projections), default=0)
