"""In which order a program's populations run: what depends on nothing that follows runs first.

Populations that reach each other are computed step by step together; all others run many steps at
once, each after those that drive it, so that weights and states stay in the caches.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from snn_deploy.backends.event.layers.suit import Bounds, is_plain
from snn_deploy.ir.graph import step_order, visited
from snn_deploy.ir.program import Program


@dataclass(frozen=True, slots=True)
class Unit:
    """Populations that run some steps, before the next unit runs the same steps."""

    plain: bool
    """The kernels of layers compute it; otherwise those that know every program do."""

    groups: tuple[tuple[str, ...], ...]
    """Populations of one group run step by step together, in this order."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its populations, in their order."""
        return tuple(name for group in self.groups for name in group)


def schedule(program: Program, bounds: Bounds, *, layers: bool = True) -> tuple[Unit, ...]:
    """Return the units of a program, in an order in which they can run.

    Args:
        program: What to run.
        bounds: Of its projections.
        layers: Whether the kernels of layers may be used.
    """
    plain = {p.name for p in program.populations if layers and is_plain(program, p, bounds)}
    groups = _loops(program)
    units: list[Unit] = []
    for group in _in_order(program, groups, plain.issuperset):
        is_plain_group = plain.issuperset(group)
        if units and units[-1].plain is is_plain_group:
            units[-1] = Unit(is_plain_group, (*units[-1].groups, group))
        else:
            units.append(Unit(is_plain_group, (group,)))
    return tuple(units)


def _loops(program: Program) -> list[tuple[str, ...]]:
    """Return the strongly connected components, each in the order of a step (Kosaraju 1978)."""
    order = step_order(program)
    after: dict[str, list[str]] = {name: [] for name in order}
    before: dict[str, list[str]] = {name: [] for name in order}
    for projection in program.projections:
        if projection.source in after:
            after[projection.source].append(projection.target)
            before[projection.target].append(projection.source)
    finished: list[str] = []
    seen: set[str] = set()
    for name in order:
        finished.extend(visited(name, after, seen))
    seen = set()
    place = {name: index for index, name in enumerate(order)}
    components = [visited(name, before, seen) for name in reversed(finished) if name not in seen]
    ordered = [tuple(sorted(names, key=place.__getitem__)) for names in components]
    return sorted(ordered, key=lambda names: place[names[0]])


def _in_order(
    program: Program, groups: Sequence[tuple[str, ...]], likes: Callable[[tuple[str, ...]], bool]
) -> Iterator[tuple[str, ...]]:
    """Yield groups after those that drive them; of several, one that is like the last."""
    of = {name: index for index, group in enumerate(groups) for name in group}
    waits: list[set[int]] = [set() for _ in groups]
    for projection in program.projections:
        source, target = of.get(projection.source), of[projection.target]
        if source is not None and source != target:
            waits[target].add(source)
    left, last = list(range(len(groups))), True
    while left:
        ready = [index for index in left if not waits[index]]
        chosen = next((index for index in ready if likes(groups[index]) is last), ready[0])
        last = likes(groups[chosen])
        left.remove(chosen)
        for index in left:
            waits[index].discard(chosen)
        yield groups[chosen]
