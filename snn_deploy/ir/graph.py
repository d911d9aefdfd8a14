"""Questions about a graph of populations: names, order, loops, longest paths.

Everything here works on `Network` and `Program` alike.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from snn_deploy.errors import GraphError, LoopTooShortError
from snn_deploy.ir.words import counted


@runtime_checkable
class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str:
        """Its name."""


@runtime_checkable
class Node(Named, Protocol):
    """An input or a population."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""


@runtime_checkable
class Edge(Named, Protocol):
    """A projection."""

    @property
    def source(self) -> str:
        """Name of the input or population it starts from."""

    @property
    def target(self) -> str:
        """Name of the population it ends in."""

    @property
    def delay(self) -> np.ndarray:
        """Steps from sending to arriving."""


@runtime_checkable
class Graph(Protocol):
    """A network or a program."""

    @property
    def inputs(self) -> Sequence[Node]:
        """Where values enter."""

    @property
    def populations(self) -> Sequence[Node]:
        """Its neurons."""

    @property
    def projections(self) -> Sequence[Any]:
        """Its edges."""

    @property
    def outputs(self) -> Sequence[Any]:
        """Its answers."""


Item = TypeVar("Item", bound=Named)


def named(items: Iterable[Item], name: str) -> Item:
    """Return the item called `name`.

    Raises:
        KeyError: there is none.
    """
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)


def shortest_delay(edge: Edge) -> int:
    """Return the smallest delay of a projection [steps]; one without synapses never arrives."""
    return int(edge.delay.min()) if edge.delay.size else 2**30


def step_order(graph: Graph) -> tuple[str, ...]:
    """Return the populations in an order in which a step can be computed.

    A population comes after every population that reaches it within the same step. Among those
    that may come next, the first declared comes first.

    Raises:
        GraphError: a loop has no delay at all.
    """
    names = [p.name for p in graph.populations]
    waits: dict[str, set[str]] = {name: set() for name in names}
    follow: dict[str, set[int]] = {name: set() for name in names}
    place = {name: index for index, name in enumerate(names)}
    for edge in graph.projections:
        if edge.source in waits and shortest_delay(edge) == 0:
            waits[edge.target].add(edge.source)
            follow[edge.source].add(place[edge.target])
    missing = [len(waits[name]) for name in names]
    ready = [index for index, count in enumerate(missing) if count == 0]  # sorted, so a heap
    order: list[str] = []
    while ready:
        order.append(names[heapq.heappop(ready)])
        for index in follow[order[-1]]:
            missing[index] -= 1
            if missing[index] == 0:
                heapq.heappush(ready, index)
    if len(order) < len(names):
        stuck = [name for index, name in enumerate(names) if missing[index]]
        raise GraphError(
            "a loop of projections has no delay, so no step can be computed",
            where=" -> ".join(_a_loop(waits, stuck)),
            fix="put a Delay of at least one step into the loop",
        )
    return tuple(order)


def _a_loop(waits: Mapping[str, set[str]], stuck: Sequence[str]) -> list[str]:
    path = [stuck[0]]
    while path[-1] not in path[:-1]:
        path.append(sorted(waits[path[-1]] & set(stuck))[0])
    loop = path[path.index(path[-1]) :]
    return loop[::-1]


def visited(first: str, edges: Mapping[str, Sequence[str]], seen: set[str]) -> list[str]:
    """Return what `first` reaches and was not seen, each behind what follows it; now it is seen."""
    if first in seen:
        return []
    seen.add(first)
    done: list[str] = []
    path: list[tuple[str, Iterator[str]]] = [(first, iter(edges[first]))]
    while path:
        name, following = path[-1]
        new = next((other for other in following if other not in seen), None)
        if new is None:
            done.append(name)
            path.pop()
        else:
            seen.add(new)
            path.append((new, iter(edges[new])))
    return done


def lags(
    graph: Graph, minimum_delay: int, input_delay: int | None = None, *, period: int = 1
) -> dict[str, int]:
    """Return the smallest lag of each population that gives every projection its minimum delay.

    Retiming of a synchronous circuit (Leiserson and Saxe 1991): with lag L a projection of
    delay d from A to B gets d + L(B) - L(A) steps. Inputs have lag 0.

    Args:
        graph: Its delays count steps of the network.
        minimum_delay: Of every projection [steps of the chip].
        input_delay: The same of one from an input; None: no other.
        period: Steps of the chip for each step of the network; d above is `period` delays.

    Raises:
        LoopTooShortError: a loop has fewer steps of delay than projections times
            `minimum_delay`; its lag would grow without end.
    """
    lag, came_from, moved = _longest_paths(graph, minimum_delay, period, input_delay)
    if moved:
        raise _too_short(graph, came_from, moved, minimum_delay, period)
    return lag


def _longest_paths(
    graph: Graph, minimum_delay: int, period: int, input_delay: int | None = None
) -> tuple[dict[str, int], dict[str, Edge], str]:
    """Return the lags, the edge that each comes from, and a node that no lag suffices for."""
    lag = {node.name: 0 for node in (*graph.inputs, *graph.populations)}
    entering = {node.name for node in graph.inputs} if input_delay is not None else set()
    came_from: dict[str, Edge] = {}
    moved = ""
    for _ in range(len(graph.populations) + 1):
        moved = ""
        for edge in graph.projections:
            least = minimum_delay if edge.source not in entering else input_delay or 0
            needed = lag[edge.source] + least - period * shortest_delay(edge)
            if lag[edge.target] < needed:
                lag[edge.target] = needed
                came_from[edge.target] = edge
                moved = edge.target
        if not moved:
            break
    return lag, came_from, moved


def least_period(graph: Graph, minimum_delay: int) -> int:
    """Return the fewest steps of the chip per step of the network that suffice for every loop."""
    low, high = 1, max(1, len(graph.populations) * minimum_delay)  # every loop has some delay
    while low < high:
        middle = (low + high) // 2
        short = bool(_longest_paths(graph, minimum_delay, middle)[2])
        low, high = (middle + 1, high) if short else (low, middle)
    return low


def _too_short(
    graph: Graph, came_from: Mapping[str, Edge], node: str, minimum_delay: int, period: int
) -> LoopTooShortError:
    """Return the error for a loop that `node` lies in or behind: it moved in the last round."""
    for _ in graph.populations:  # walk back until surely inside the loop
        node = came_from[node].source
    loop: list[Edge] = []
    while not loop or node != loop[0].target:
        loop.append(came_from[node])
        node = came_from[node].source
    delay = sum(shortest_delay(edge) for edge in loop)
    dilated = f", {delay * period} on the chip" if period > 1 else ""
    enough = least_period(graph, minimum_delay)
    return LoopTooShortError(
        f"a loop of {counted(len(loop), 'projection')} has {counted(delay, 'step')} of delay"
        f"{dilated}, but the chip needs {minimum_delay} for each, "
        f"{len(loop) * minimum_delay} in all",
        where=" -> ".join([edge.source for edge in reversed(loop)] + [loop[0].target]),
        fix=f"--time-dilation {enough}, which gives each step of the network {enough} on the "
        "chip; or train with more delay in the loop; or --target cpu",
    )
