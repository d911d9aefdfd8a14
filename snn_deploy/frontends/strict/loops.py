"""Loops as plain NIR is read: which edges carry the step before, and Delay nodes that say it.

NIR defines nothing about loops. The canonical reading walks the graph from its inputs; an edge
back to neurons that the walk is still in carries the payloads of the step before, everything else
those of this step. Biases on the way act from step 0 on. Where a network means something else, a
Delay node in the loop says so.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import nir
import numpy as np

from snn_deploy.frontends.dynamics import Choice, Origin
from snn_deploy.frontends.nir import NEURONS, Annotation, checked_graph, import_graph
from snn_deploy.ir.network import Bias, Network

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """A graph whose loops are read as they are meant."""

    graph: nir.NIRGraph
    delayed: frozenset[Pair]
    """(source, target) of neurons whose loop got a Delay node."""

    unsaid: frozenset[str]
    """Neurons whose loops, or biases on them, are read otherwise whatever is tried."""


def wired(
    graph: nir.NIRGraph, annotation: Annotation, network: Network, *, everywhere: bool
) -> Wired:
    """Return the graph with Delay nodes where a plain reading of its loops needs them.

    Args:
        graph: Flat and with all shapes.
        annotation: How it is meant, its loops included.
        network: What it was read as.
        everywhere: Whether every loop gets a Delay anyway.
    """
    meant = frozenset(annotation.feedback)
    plain = _plainly(annotation)
    wrong = _misread(network, _read(graph, plain))
    first = {p for p in meant if p[1] in wrong or everywhere}
    made, delayed = graph, frozenset[Pair]()
    for pairs in (frozenset(first), meant) if wrong or everywhere else ():
        delayed = pairs
        made = _with_delays(graph, annotation, pairs)
        wrong = _misread(network, _read(made, plain))
        if not wrong:
            break
    return Wired(graph=made, delayed=delayed, unsaid=wrong)


def _plainly(annotation: Annotation) -> Annotation:
    starts = Choice(value=True, origin=Origin.DIALECT)
    return replace(annotation, feedback=(), feedback_bias_at_start=starts)


def _read(graph: nir.NIRGraph, annotation: Annotation) -> Network:
    checked = checked_graph(graph, "")
    return import_graph(checked, name="plain", where="plain", annotation=annotation).network


def _misread(meant: Network, read: Network) -> frozenset[str]:
    """Return the neurons that something reaches, or a bias, at another step than is meant."""
    wrong = set()
    for population in meant.populations:
        name = population.name
        same = _arrivals(meant, name) == _arrivals(read, name)
        if not same or not _equal(population.biases, read.population(name).biases):
            wrong.add(name)
    return frozenset(wrong)


def _arrivals(network: Network, name: str) -> list[tuple[str, list[int]]]:
    into = network.into(name)
    return sorted((p.source, np.unique(np.ravel(p.delay)).tolist()) for p in into)


def _equal(first: Sequence[Bias], second: Sequence[Bias]) -> bool:
    if len(first) != len(second):
        return False
    return all(
        (a.into, a.start) == (b.into, b.start) and np.array_equal(a.value, b.value)
        for a, b in zip(first, second, strict=True)
    )


def _with_delays(
    graph: nir.NIRGraph, annotation: Annotation, pairs: Collection[Pair]
) -> nir.NIRGraph:
    """Return the graph with a Delay of a step in each of the loops' edges, where one can be put.

    A bias that acts from the start stays behind the Delay, one that waits comes before it.
    """
    nodes, edges = dict(graph.nodes), list(graph.edges)
    walks = list(_walks(nodes, edges, annotation.dt.value))
    waits = not annotation.feedback_bias_at_start.value
    for edge in _cuts(walks, pairs, nodes, waits=waits):
        source, target = edge
        shape = tuple(int(n) for n in nodes[source].output_type["output"])
        name = f"{source}.{target}.loop"
        while name in nodes:
            name += "_"
        delay = nir.Delay(delay=np.full(shape, annotation.dt.value))
        nodes[name] = delay
        edges[edges.index(edge) : edges.index(edge) + 1] = [(source, name), (name, target)]
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata={}, type_check=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Nodes from an input or neurons over linear nodes to neurons or an output."""

    nodes: tuple[str, ...]
    steps: int
    """Smallest delay on it."""

    @property
    def ends(self) -> Pair:
        return self.nodes[0], self.nodes[-1]

    @property
    def edges(self) -> list[Pair]:
        return list(zip(self.nodes, self.nodes[1:], strict=False))


def _walks(nodes: Mapping[str, nir.NIRNode], edges: Sequence[Pair], dt: float) -> Iterator[_Way]:
    following: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        following[source].append(target)
    stops = (*NEURONS, nir.Output)
    starts = [n for n, node in nodes.items() if isinstance(node, (*NEURONS, nir.Input))]
    pending: list[tuple[tuple[str, ...], int]] = [((name,), 0) for name in starts]
    while pending:
        path, steps = pending.pop()
        for target in following[path[-1]]:
            node = nodes[target]
            if isinstance(node, stops):
                yield _Way(nodes=(*path, target), steps=steps)
            else:
                more = int(np.rint(node.delay.min() / dt)) if isinstance(node, nir.Delay) else 0
                pending.append(((*path, target), steps + more))


def _cuts(
    ways: Sequence[_Way],
    pairs: Collection[Pair],
    nodes: Mapping[str, nir.NIRNode],
    *,
    waits: bool,
) -> list[Pair]:
    """Return one edge of each way to be delayed, none of which lies on another way."""
    others = {edge for way in ways if way.ends not in pairs or way.steps > 0 for edge in way.edges}
    cuts: list[Pair] = []
    for way in ways:
        if way.ends not in pairs or way.steps > 0 or set(way.edges) & set(cuts):
            continue
        biased = [i for i, n in enumerate(way.nodes) if getattr(nodes[n], "bias", None) is not None]
        edges = way.edges
        if biased and waits:
            edges = edges[biased[-1] :][::-1]
        elif biased:
            edges = edges[: biased[0]]
        cuts += [edge for edge in edges if edge not in others][:1]
    return cuts


def loops_first(edges: Sequence[Pair]) -> list[Pair]:
    """Return the edges with those that lie on a loop before the others.

    Order means nothing to NIR, but nirtorch's older reader takes the end of the last branch for
    the output.
    """
    following: dict[str, list[str]] = {}
    for source, target in edges:
        following.setdefault(source, []).append(target)

    def returns(edge: Pair) -> bool:
        source, target = edge
        seen, pending = {target}, [target]
        while pending:
            name = pending.pop()
            if name == source:
                return True
            new = [n for n in following.get(name, []) if n not in seen]
            seen.update(new)
            pending += new
        return False

    forks = {source for source, targets in following.items() if len(targets) > 1}
    return sorted(edges, key=lambda edge: not (edge[0] in forks and returns(edge)))
