"""Routes through the linear part of a graph: what becomes one projection, one bias, one output."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from snn_deploy.errors import GraphError
from snn_deploy.frontends.nir.flat import natural
from snn_deploy.frontends.nir.maps import Stage
from snn_deploy.frontends.nir.shapes import LARGEST_LAYER
from snn_deploy.ir.arrays import REAL
from snn_deploy.ir.maps import Composition, Dense, LinearMap, Scale, Shape
from snn_deploy.ir.network import Projection
from snn_deploy.ir.neuron import State
from snn_deploy.ir.sizes import allowed, higher

MOST_ROUTES = 10_000
"""Ways from neurons to neurons. Parallel linear branches in series multiply them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way from a source over linear nodes to a neuron or an output."""

    source: str
    stages: tuple[Stage, ...]
    target: str
    into: State | None = None
    """State of the target that it drives; None: the first."""


def routes_from(
    start: str,
    successors: Mapping[str, Sequence[str]],
    stages: Mapping[str, Stage],
    useful: frozenset[str],
) -> list[Route]:
    """Return every way from `start` over linear nodes, in natural order of names.

    Args:
        start: An input, a neuron or a linear node.
        successors: Targets of each node's edges.
        stages: The linear nodes.
        useful: Nodes from which a neuron or an output can be reached.

    Raises:
        GraphError: a loop of linear nodes, or too many ways.
    """
    found: list[Route] = []
    pending: list[tuple[str, tuple[str, ...]]] = [(start, ())]
    while pending:
        name, passed = pending.pop()
        for target in sorted(set(successors[name]) & useful, key=natural, reverse=True):
            if target not in stages:
                found.append(
                    Route(source=start, stages=tuple(stages[n] for n in passed), target=target)
                )
            elif target in passed or target == start:
                raise GraphError(
                    "a loop without any neuron: it would need values at the step they come from",
                    where=" -> ".join((*passed[passed.index(target) :], target))
                    if target in passed
                    else target,
                    fix="put the neuron that closes the loop into it",
                )
            else:
                pending.append((target, (*passed, target)))
        ways = max(len(found), len(pending))
        if ways > allowed(MOST_ROUTES):
            raise GraphError(
                f"more than {allowed(MOST_ROUTES)} ways through linear nodes",
                where=start,
                fix="merge parallel linear branches into one weight. Or "
                f"{higher(ways, MOST_ROUTES)}",
            )
    return sorted(found, key=lambda r: [natural(s.name) for s in r.stages] + [natural(r.target)])


def useful_nodes(ends: Iterable[str], predecessors: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return every node from which one of `ends` can be reached, those included."""
    reached = set(ends)
    pending = list(reached)
    while pending:
        for before in predecessors[pending.pop()]:
            if before not in reached:
                reached.add(before)
                pending.append(before)
    return frozenset(reached)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The maps of a route, first to last, with a delay at its start or on the weights."""

    maps: tuple[LinearMap, ...] = ()
    steps: int = 0
    """Common delay [steps]."""

    per_source: np.ndarray | None = None
    """Further delay of each source [steps]."""

    per_weight: np.ndarray | None = None
    """Further delay of each weight of the only map [steps]."""

    part: str = ""
    """Which part of a route it is, where delays split the route."""

    def delay(self) -> np.ndarray:
        """Return the delay as a projection holds it."""
        for further in (self.per_source, self.per_weight):
            if further is not None:
                return np.asarray(further + self.steps, np.int32)
        return np.asarray(self.steps, np.int32)

    def map(self, size: int) -> LinearMap:
        """Return the maps as one; without any, the identity of `size` values."""
        if not self.maps:
            return Scale(factor=np.ones(size, REAL))
        return self.maps[0] if len(self.maps) == 1 else Composition(stages=self.maps)


def ways_of(route: Route) -> list[Way]:
    """Return the maps and delays of a route.

    A delay that differs from value to value is kept per source before the first map, per weight
    behind a single dense one, and else splits the route: one way for each distinct delay.
    """
    ways = [Way()]
    for stage in route.stages:
        if stage.map is not None:
            linear = stage.map
            ways = [each for way in ways for each in _through_map(way, stage.name, linear)]
        if stage.delay is not None:
            delay = stage.delay
            ways = [each for way in ways for each in _through_delay(way, stage.name, delay)]
    return ways


def _through_map(way: Way, name: str, linear: LinearMap) -> list[Way]:
    if way.per_weight is None:
        return [replace(way, maps=(*way.maps, linear))]
    # Behind a dense map with delays comes another map: they no longer belong to its weights.
    per_post = way.per_weight[:, 0]
    plain = replace(way, per_weight=None)
    return [replace(each, maps=(*each.maps, linear)) for each in _split(plain, name, per_post)]


def _through_delay(way: Way, name: str, delay: np.ndarray) -> list[Way]:
    if delay.ndim == 0:
        return [replace(way, steps=way.steps + int(delay))]
    flat = delay.ravel()
    if not way.maps:
        return [replace(way, per_source=flat + (0 if way.per_source is None else way.per_source))]
    only = way.maps[0]
    if len(way.maps) == 1 and isinstance(only, Dense) and way.per_source is None:
        each = np.broadcast_to(flat[:, None], only.weight.shape)
        return [replace(way, per_weight=each + (0 if way.per_weight is None else way.per_weight))]
    return _split(way, name, flat)


def _split(way: Way, name: str, delays: np.ndarray) -> list[Way]:
    """Return one way for each distinct delay, masked to the values that have it."""
    shape = way.maps[-1].out_shape
    different = np.unique(delays)
    if different.size * delays.size > allowed(LARGEST_LAYER):
        raise GraphError(
            f"{different.size} different delays of {delays.size} values behind a map",
            where=name,
            fix="put the Delay before the map. Or "
            f"{higher(different.size * delays.size, LARGEST_LAYER)}",
        )
    return [
        replace(
            way,
            maps=(*way.maps, Scale(factor=(delays == steps).astype(REAL).reshape(shape))),
            steps=way.steps + int(steps),
            part=f"{way.part}@{steps}",
        )
        for steps in different
    ]


def projections_of(
    routes: Iterable[Route], sizes: Mapping[str, int], late: Mapping[str, int]
) -> list[Projection]:
    """Return one projection per route (or part of one), with names that are not used twice.

    A name is that of the nodes with weights, "pool1+fc1", or "lif1->lif2" where there are none;
    where two are equal, the source comes before, then the target behind.

    Args:
        routes: Ways to populations.
        sizes: Values of each source.
        late: Steps by which a source sends late.
    """
    drafts = [(route, way) for route in routes for way in ways_of(route)]
    names = _unique(
        [
            [
                _plain_name(route) + way.part,
                f"{route.source}+{_plain_name(route)}{way.part}",
                f"{route.source}+{_plain_name(route)}->{route.target}{way.part}",
            ]
            for route, way in drafts
        ]
    )
    return [
        Projection(
            name=name,
            source=route.source,
            target=route.target,
            map=way.map(sizes[route.source]),
            delay=np.asarray(way.delay() + np.int32(late.get(route.source, 0))),
            into=route.into,
        )
        for name, (route, way) in zip(names, drafts, strict=True)
    ]


def later(delay: np.ndarray, steps: int) -> np.ndarray:
    """Return a delay that is `steps` longer."""
    return np.asarray(delay + np.int32(steps), np.int32)


def _plain_name(route: Route) -> str:
    mapped = [stage.name for stage in route.stages if stage.map is not None]
    return "+".join(mapped) or f"{route.source}->{route.target}"


def _unique(options: Sequence[Sequence[str]]) -> list[str]:
    """Return for each entry its first option that no other entry has; else its last, numbered."""
    times = Counter(name for each in options for name in set(each))
    chosen = [next((name for name in each if times[name] == 1), each[-1]) for each in options]
    repeated = Counter(chosen)
    seen: Counter[str] = Counter()
    for index, name in enumerate(chosen):
        if repeated[name] > 1:
            seen[name] += 1
            chosen[index] = f"{name}#{seen[name]}"
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivingBias:
    """What the bias of one linear node brings to a population."""

    target: str
    into: State | None
    """State of the target that it enters; None: the first."""

    start: int
    """First step in which it arrives."""

    value: Float[np.ndarray, "..."]
    """Broadcasts to `shape`."""

    shape: Shape


def arriving_biases(stage: Stage, onward: Iterable[Route], delayed: int) -> Iterator[ArrivingBias]:
    """Yield what a node's bias brings to each population, through the maps and delays behind it.

    Args:
        stage: The node; nothing is yielded if it has no bias or only zeros.
        onward: Ways from the node on.
        delayed: Steps before the bias is sent for the first time.
    """
    if stage.bias is None or not np.any(stage.bias):
        return
    for route in onward:
        parts: dict[int, np.ndarray] = {delayed: stage.bias}
        shape = stage.shape
        for behind in route.stages:
            parts = {start: _through(behind, value, shape) for start, value in parts.items()}
            shape = behind.shape
            if behind.delay is not None:
                parts = _delayed(parts, behind.delay, shape)
        for start in sorted(parts):
            yield ArrivingBias(
                target=route.target,
                into=route.into,
                start=start,
                value=parts[start],
                shape=shape,
            )


def _through(stage: Stage, value: np.ndarray, shape: Shape) -> np.ndarray:
    """Return a constant `value`, which broadcasts to `shape`, behind a stage."""
    if stage.map is not None:
        full = np.broadcast_to(value, shape).reshape(stage.map.in_shape)
        return stage.map.apply(full).reshape(stage.shape)
    if stage.shape == shape:
        return value
    return np.broadcast_to(value, shape).reshape(stage.shape)


def _delayed(
    parts: Mapping[int, np.ndarray], delay: np.ndarray, shape: Shape
) -> dict[int, np.ndarray]:
    if delay.ndim == 0:
        return {start + int(delay): value for start, value in parts.items()}
    later: dict[int, np.ndarray] = {}
    for start, value in parts.items():
        for steps in np.unique(delay):
            kept = np.where(delay == steps, np.broadcast_to(value, shape), 0.0)
            key = start + int(steps)
            later[key] = later.get(key, np.zeros(shape)) + kept
    return later


@dataclass(slots=True)
class Walk:
    """What a depth-first walk over a graph finds."""

    order: list[str] = field(default_factory=list)
    """Every node after all that reach it, but for edges that close a loop."""

    closing: list[tuple[str, str]] = field(default_factory=list)
    """Edges back to a node that the walk has not left yet: they close the loops."""


def depth_first(roots: Iterable[str], following: Callable[[str], Sequence[str]]) -> Walk:
    """Walk from `roots` in turn, into the successors as they are listed."""
    walk = Walk()
    state: dict[str, bool] = {}  # absent: not seen, False: inside, True: left
    for root in roots:
        if root in state:
            continue
        state[root] = False
        path = [(root, iter(following(root)))]
        while path:
            node, targets = path[-1]
            target = next(targets, None)
            if target is None:
                state[node] = True
                walk.order.append(node)
                path.pop()
            elif target not in state:
                state[target] = False
                path.append((target, iter(following(target))))
            elif not state[target]:
                walk.closing.append((node, target))
    walk.order.reverse()
    return walk
