"""The edges of a plan: what of each projection goes where, and its weights in rows."""

from collections.abc import Iterable, Mapping

import numpy as np

from snn_deploy.backends.event.flat import Flat
from snn_deploy.backends.event.parts import Part, parts_of
from snn_deploy.backends.event.stepwise.tables import EDGE, Way
from snn_deploy.ir.maps import Convolution, Dense, Sparse
from snn_deploy.ir.program import Projection


class Edges:
    """The edges of a plan, and the weights and numbers they point into, while they grow."""

    def __init__(self, places: Mapping[str, np.ndarray], numbers: Flat) -> None:
        self.weights = Flat()
        self.of: dict[str, range] = {}
        """Rows of the table that belong to a projection."""

        self._places, self._numbers = places, numbers
        self._table: list[np.ndarray] = []

    def made(self) -> np.ndarray:
        """Return the table of edges."""
        return np.concatenate([np.zeros(0, EDGE), *self._table])

    def add_from(self, record: np.void, name: str, projections: Iterable[Projection]) -> None:
        """Append the edges that start from a node, and write down where in its `record`."""
        record["edge"] = len(self._table)
        for projection in projections:
            if projection.source == name:
                begin = len(self._table)
                for part in parts_of(projection, projection.map):
                    self._add_part(projection, part)
                self.of[projection.name] = range(begin, len(self._table))
        record["edge_end"] = len(self._table)

    def _add_part(self, projection: Projection, part: Part) -> None:
        edge = np.zeros(1, EDGE)
        source, target = self._places[projection.source], self._places[projection.target]
        edge["size"] = target.size
        per_source = part.delay.ndim > 0
        delay = part.delay[source] if per_source else part.delay.reshape(1)
        edge["delay"], edge["delay_stride"] = self._numbers.put(delay), per_source
        if isinstance(part.linear, Dense):
            self._add_dense(edge, part.linear, projection.shift, source, target)
        elif isinstance(part.linear, Convolution):
            self._add_kernel(edge, part.linear, projection.shift, source, target)
        else:
            assert isinstance(part.linear, Sparse)
            self._add_rows(edge, part.linear, projection.shift, source, target)
        self._table.append(edge)

    def _put_weight(self, weight: np.ndarray, shift: int) -> int:
        flat = weight.ravel()
        largest = max(abs(int(flat.min(initial=0))), abs(int(flat.max(initial=0))))
        dtype = np.dtype(np.int32 if largest << shift < 2**31 else np.int64)
        return self.weights.put(np.left_shift(flat.astype(dtype, copy=False), shift))

    def _add_dense(
        self, edge: np.ndarray, linear: Dense, shift: int, source: np.ndarray, target: np.ndarray
    ) -> None:
        edge["way"] = Way.DENSE
        edge["weight"] = self._put_weight(linear.weight.T[np.ix_(source, target)], shift)

    def _add_rows(
        self, edge: np.ndarray, linear: Sparse, shift: int, source: np.ndarray, target: np.ndarray
    ) -> None:
        pre, post = np.argsort(source)[linear.pre], np.argsort(target)[linear.post]
        order = np.lexsort((post, pre))
        row = np.searchsorted(pre[order], np.arange(source.size + 1))
        edge["way"] = Way.ROWS
        edge["row"], edge["post"] = self._numbers.put(row), self._numbers.put(post[order])
        edge["weight"] = self._put_weight(linear.weight[order], shift)

    def _add_kernel(
        self,
        edge: np.ndarray,
        linear: Convolution,
        shift: int,
        source: np.ndarray,
        target: np.ndarray,
    ) -> None:
        outs, per_group = linear.weight.shape[0] // linear.groups, linear.weight.shape[1]
        grouped = linear.weight.reshape(linear.groups, outs, *linear.weight.shape[1:])
        points = np.stack(np.unravel_index(source, linear.in_shape), axis=1)
        channels, height, width = linear.out_shape
        last = not np.array_equal(target, np.arange(target.size)) or channels == 1
        edge["way"] = Way.KERNEL
        edge["weight"] = self._put_weight(grouped.transpose(0, 2, 3, 4, 1), shift)
        edge["point"] = self._numbers.put(points)
        edge["per_group"], edge["outs"] = per_group, outs
        edge["kernel_y"], edge["kernel_x"] = linear.weight.shape[2:]
        edge["stride_y"], edge["stride_x"] = linear.stride
        edge["dilation_y"], edge["dilation_x"] = linear.dilation
        edge["top"], edge["left"] = linear.padding[0], linear.padding[2]
        edge["height"], edge["width"] = height, width
        steps = (1, width * channels, channels) if last else (height * width, width, 1)
        edge["step_o"], edge["step_y"], edge["step_x"] = steps
