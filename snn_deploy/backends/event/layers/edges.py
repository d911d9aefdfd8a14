"""The edges of layers: where each projection's weights stand, and how they are added up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.backends.event.flat import Flat
from snn_deploy.backends.event.layers.kernel_rows import kernel_rows, runs_of
from snn_deploy.backends.event.layers.suit import most_arriving
from snn_deploy.backends.event.layers.tables import EDGE, Way
from snn_deploy.backends.event.parts import parts_of
from snn_deploy.backends.event.records import ABSENT
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse
from snn_deploy.ir.program import Program, Projection

_NARROW = 2**15 - 1
_BYTE = 2**7


@dataclass(frozen=True, slots=True)
class Scaled:
    """A projection's weights without the factor 2**shift that all of them have in common."""

    projection: Projection
    map: LinearMap
    shift: int
    bound: int
    """Of the size of what it adds to one neuron in a step, unshifted."""

    @classmethod
    def of(cls, program: Program, projection: Projection) -> "Scaled":
        """Take the common factor out of a projection's weights."""
        numbers = projection.map.numbers()
        together = int(np.bitwise_or.reduce(numbers, axis=None, initial=0))
        even = (together & -together).bit_length() - 1 if together else 0
        scaled = projection.map.with_numbers(numbers >> even) if even else projection.map
        bound = most_arriving(program, projection) >> even
        return cls(projection, scaled, projection.shift + even, bound)

    @property
    def fits_bytes(self) -> bool:
        """Whether its weights fit 8 bits."""
        numbers = self.map.numbers()
        return numbers.min(initial=0) >= -_BYTE and numbers.max(initial=0) < _BYTE


def narrow_ones(projections: Sequence[Scaled]) -> Sequence[Scaled]:
    """Return the largest group of projections whose weights add up within 16 bits."""
    by_shift: dict[int, list[Scaled]] = {}
    for scaled in projections:
        if scaled.fits_bytes:
            by_shift.setdefault(scaled.shift, []).append(scaled)
    fitting = [g for g in by_shift.values() if sum(scaled.bound for scaled in g) <= _NARROW]
    return max(fitting, key=lambda g: sum(s.map.numbers().size for s in g), default=[])


class Edges:
    """The edges of all layers, while they grow.

    Args:
        nodes: Number of each node.
        places: The program's number of each neuron, in the plan's order.
        numbers: What the tables point into.
        horizon: No run has more steps: longer delays never end.
    """

    def __init__(
        self,
        nodes: Mapping[str, int],
        places: Mapping[str, np.ndarray],
        numbers: Flat,
        horizon: int,
    ) -> None:
        self._horizon = horizon
        self._nodes, self._places, self._numbers = nodes, places, numbers
        self._table: list[np.ndarray] = []
        self._bytes, self._words = Flat(np.int8), Flat(np.int32)

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
        for part in parts_of(scaled.projection, scaled.map):
            edge = self._laid_out(scaled, part.linear, left, narrow=narrow)
            delays = np.unique(part.delay)
            if delays.size > 1:
                source = self._places[scaled.projection.source]
                edge["delays"] = self._numbers.put(part.delay[source])
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
        for weights in self._lay_out(edge, linear, source, target, left):
            shifted = np.left_shift(weights.astype(np.int64), left)
            edge["weight"] = (self._words if edge["words"][0] else self._bytes).put(shifted)
        return edge

    def _lay_out(
        self,
        edge: np.ndarray,
        linear: LinearMap,
        source: np.ndarray,
        target: np.ndarray,
        left: int,
    ) -> Iterator[np.ndarray]:
        """Describe a map; yield its weights, unshifted, in the order in which they are added."""
        if isinstance(linear, Dense):
            edge["way"] = Way.DENSE
            rows = linear.weight.T[np.ix_(source, target)]
            edge["total"] = self._numbers.put(rows.sum(axis=0, dtype=np.int64) << left)
            yield rows
        elif isinstance(linear, Convolution):
            yield self._kernel(edge, linear, source)
        else:
            assert isinstance(linear, Sparse)
            edge["way"] = Way.ROWS
            pre, post = np.argsort(source)[linear.pre], np.argsort(target)[linear.post]
            order = np.lexsort((post, pre))
            row = np.searchsorted(pre[order], np.arange(source.size + 1))
            edge["row"], edge["post"] = self._numbers.put(row), self._numbers.put(post[order])
            yield linear.weight[order]

    def _kernel(self, edge: np.ndarray, linear: Convolution, source: np.ndarray) -> np.ndarray:
        outs, per_group = linear.weight.shape[0] // linear.groups, linear.weight.shape[1]
        grouped = linear.weight.reshape(linear.groups, outs, *linear.weight.shape[1:])
        channel, place = np.divmod(source, linear.in_shape[1] * linear.in_shape[2])
        runs, columns = runs_of(linear)
        begins, rows = kernel_rows(linear, runs)
        edge["way"], edge["block"] = Way.KERNEL, outs * linear.weight[0, 0].size
        edge["row"], edge["post"] = self._numbers.put(begins), self._numbers.put(rows)
        points = np.stack([channel, place, channel // per_group * outs], axis=1)
        edge["point"] = self._numbers.put(points)
        return grouped.transpose(0, 2, 3, 4, 1)[:, :, :, columns]


def most_shift(projections: Sequence[Scaled]) -> int:
    """Return the largest shift that all of them can leave to their sum."""
    return min((scaled.shift for scaled in projections), default=0)
