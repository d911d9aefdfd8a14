"""Max-pooling in terms that neurons have: rectifiers and sums, or the first spike of a window."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.layers import (
    AdaptiveAverage,
    Concatenation,
    Convolution,
    Flatten,
    Layer,
    LayerGraph,
    Node,
    Pool,
    Pooling,
    Rectifier,
    Sum,
    Unflatten,
    Upsample,
)
from snn_deploy.ir.maps import Shape


class MaxPooling(Enum):
    """What a max-pooling becomes."""

    DECOMPOSED = "decomposed"
    """max(a, b) = b + relu(a - b), pair by pair: more neurons, no bias of its own."""

    ANY_SPIKE = "any-spike"
    """A spike wherever one of the window fires: cheap, and larger than the largest rate."""


def rectified_first(graph: LayerGraph) -> LayerGraph:
    """Return the graph with each rectifier that alone reads a max-pooling in front of it.

    They commute, and behind a rectifier there are spikes to pool.
    """
    readers = graph.consumers()
    nodes = dict(graph.nodes)
    outputs = set(graph.outputs.values())
    for name, node in graph.nodes.items():
        source = node.inputs[0]
        alone = len(node.inputs) == 1 and readers[source] == [name] and source not in outputs
        if isinstance(node.layer, Rectifier) and alone and is_max(graph.nodes.get(source)):
            pool = nodes[source]
            nodes[source] = replace(pool, layer=node.layer)
            nodes[name] = replace(node, layer=pool.layer)
    return replace(graph, nodes=nodes)


def is_max(node: Node | None) -> bool:
    """Return whether a node is a max-pooling."""
    return node is not None and isinstance(node.layer, Pool) and node.layer.pooling is Pooling.MAX


def without_max_pooling(graph: LayerGraph, shapes: Mapping[str, Shape]) -> LayerGraph:
    """Return the graph with every max-pooling as rectifiers of differences; equal to it.

    Args:
        graph: An ANN.
        shapes: What each node and input gives.

    Raises:
        UnknownNodeError: a max-pooling pads values that may be negative.
    """
    made = replace(graph, nodes={})
    for name, node in graph.nodes.items():
        if not is_max(node):
            made.nodes[name] = node
            continue
        assert isinstance(node.layer, Pool)
        if any(node.layer.padding) and not all(nonnegative(graph, s) for s in node.inputs):
            raise UnknownNodeError(
                "a max-pooling with padding is read only behind a rectifier",
                where=name,
                fix="put the rectifier in front of it, or leave out the padding",
            )
        source = node.inputs[0]
        if len(node.inputs) > 1:
            source = made.add(f"{name}.sum", Sum(), *node.inputs)
        _Decomposition(
            graph=made, name=name, pool=node.layer, source=source, channels=shapes[source][0]
        ).run()
    return made


def nonnegative(graph: LayerGraph, name: str) -> bool:
    """Return whether a node never gives a negative value."""
    keeps = (Pool, AdaptiveAverage, Flatten, Unflatten, Upsample, Sum, Concatenation)
    pending, seen = [name], {name}
    while pending:
        node = graph.nodes.get(pending.pop())
        if node is None or not isinstance(node.layer, (Rectifier, *keeps)):
            return False
        if not isinstance(node.layer, Rectifier):
            pending += [source for source in node.inputs if source not in seen]
            seen.update(node.inputs)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A partial maximum of each window: one of its values plus some rectified differences."""

    tap: int
    """Which value, in C order of the window."""

    added: tuple[tuple[int, int], ...] = ()
    """(level, index) of each rectified difference."""


@dataclass(slots=True, kw_only=True)
class _Decomposition:
    """One max-pooling as a tree: each level halves the candidates of all windows at once."""

    graph: LayerGraph
    name: str
    pool: Pool
    source: str
    channels: int
    sizes: list[int] = field(default_factory=list)
    """Rectified differences of each level, per channel."""

    def run(self) -> None:
        """Add the tree to the graph; the node `name` gives the maxima."""
        left = [_Candidate(tap=tap) for tap in range(math.prod(self.pool.kernel))]
        while len(left) > 1:
            level = len(self.sizes)
            pairs = list(zip(left[::2], left[1::2], strict=False))
            rows = [{first: 1.0, second: -1.0} for first, second in pairs]
            self._add(f"{self.name}.{level}", Rectifier(), rows)
            odd = left[2 * len(pairs) :]
            left = [
                replace(second, added=(*second.added, (level, index)))
                for index, (_, second) in enumerate(pairs)
            ] + odd
            self.sizes.append(len(pairs))
        self._add(self.name, Sum(), [{left[0]: 1.0}])

    def _add(self, name: str, layer: Layer, rows: Sequence[Mapping[_Candidate, float]]) -> None:
        """Add a node that is given a weighted sum of candidates in each of its `rows`."""
        windows = np.zeros((len(rows), math.prod(self.pool.kernel)))
        differences = [np.zeros((len(rows), size)) for size in self.sizes]
        for row, weights in enumerate(rows):
            for candidate, weight in weights.items():
                windows[row, candidate.tap] += weight
                for level, index in candidate.added:
                    differences[level][row, index] += weight
        kernel = windows.reshape(-1, 1, *self.pool.kernel)
        sources = [self._kernel(f"{name}.window", kernel, self.source, self.pool)]
        for level, factors in enumerate(differences):
            if np.any(factors):
                kernel = factors.reshape(*factors.shape, *(1,) * len(self.pool.kernel))
                source = f"{self.name}.{level}"
                sources.append(self._kernel(f"{name}.from.{level}", kernel, source, None))
        self.graph.add(name, layer, *sources)

    def _kernel(self, name: str, weight: np.ndarray, source: str, pool: Pool | None) -> str:
        """Add one kernel, the same in each channel; like `pool` in its strides and padding."""
        ones, zeros = (1,) * (weight.ndim - 2), (0,) * (weight.ndim - 2)
        layer = Convolution(
            weight=np.concatenate([weight] * self.channels),
            stride=ones if pool is None else pool.stride,
            padding=zeros if pool is None else pool.padding,
            dilation=ones,
            groups=self.channels,
        )
        return self.graph.add(name, layer, source)
