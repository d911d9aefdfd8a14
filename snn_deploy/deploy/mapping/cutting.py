"""Cuts populations into parts that are legal on a core and take no longer than a bound."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from snn_deploy.deploy.mapping.core_map import Encoding, Part
from snn_deploy.deploy.mapping.layer import Layer, Usage, limits_of, together
from snn_deploy.ir.graph import visited
from snn_deploy.ir.program import Program
from snn_deploy.targets import Resource, Target

MOST_PASSES = 8
"""Times that a network with loops is cut anew: each cut changes what sources in loops reach."""

SEED = 2018
"""Of the marks that tell one set of cores from another."""


class Unfit(Exception):  # noqa: N818 - no error of the user's: search decides what it means
    """Not even the smallest part of a population is legal on a core.

    Args:
        part: That part.
        resource: What it needs too much of.
        needed: How much it needs.
        limit: How much there is.
    """

    def __init__(self, part: Part, resource: Resource, needed: int, limit: int) -> None:
        super().__init__(part, resource, needed, limit)
        self.part, self.resource, self.needed, self.limit = part, resource, needed, limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The parts on one core and what they need of it."""

    parts: tuple[Part, ...]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A program cut for cores."""

    cores: tuple[Held, ...]

    @property
    def time(self) -> float:
        """Time of the slowest core in a step [ns]."""
        return max(core.usage.load.time for core in self.cores)

    @property
    def messages(self) -> float:
        """Messages to cores in a step."""
        return math.fsum(core.usage.load.messages_in for core in self.cores)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """How a population was cut before."""

    reached: tuple[tuple[Part, ...], ...]
    """Parts of the populations that it sends to."""

    bound: float
    slowest: float
    parts: list[Part]


class Cutter:
    """All populations of a program, ready to be cut again and again.

    Args:
        program: What is cut.
        layers: Its populations by name.
        target: The chip.
    """

    def __init__(self, program: Program, layers: Mapping[str, Layer], target: Target) -> None:
        self._limits = limits_of(target)
        self._layers = layers
        self._order = _backwards(program)
        place = {name: number for number, name in enumerate(self._order)}
        self._loops = any(
            place[p.source] <= place[p.target] for p in program.projections if p.source in place
        )
        self._names = tuple(population.name for population in program.populations)
        self._targets = {
            name: tuple(p.target for p in program.projections if p.source == name)
            for name in self._names
        }
        self._kept: dict[str, list[_Kept]] = {name: [] for name in self._names}

    def cut(self, bound: float = math.inf) -> Cut:
        """Return the program cut into parts that take at most `bound` [ns] in a step.

        A part that cannot be made smaller may take longer.

        Raises:
            Unfit: a part that cannot be made smaller is not legal.
        """
        for layer in self._layers.values():
            layer.clear_reach()
        parts: dict[str, list[Part]] = {}
        for _ in range(MOST_PASSES if self._loops else 1):
            before, parts = parts, self._once(parts, bound)
            if parts == before:
                break
        if self._loops:
            self._set_reach(self._names, parts)
        return Cut(cores=tuple(self._fill(parts, bound)))

    def _once(self, before: Mapping[str, list[Part]], bound: float) -> dict[str, list[Part]]:
        """Cut every population, those that send last; loops reach what was cut before."""
        parts = dict(before)
        for name in self._order:
            self._set_reach((name,), parts)
            reached = tuple(tuple(parts.get(target, ())) for target in self._targets[name])
            parts[name] = self._layer(name, bound, reached)
        return parts

    def _layer(self, name: str, bound: float, reached: tuple[tuple[Part, ...], ...]) -> list[Part]:
        """Return one population cut for a bound; a looser bound that it kept is as good."""
        for kept in self._kept[name]:
            if kept.slowest <= bound <= kept.bound and kept.reached == reached:
                return kept.parts
        layer = self._layers[name]
        parts = cut_layer(layer, bound)
        slowest = max(layer.usage(part).load.time for part in parts)
        kept = _Kept(reached=reached, bound=bound, slowest=slowest, parts=parts)
        self._kept[name].append(kept)
        return parts

    def _set_reach(self, sources: Sequence[str], parts: Mapping[str, list[Part]]) -> None:
        """Tell some populations which cores each of their neurons reaches."""
        for name in sources:
            self._layers[name].clear_reach()
        rng = np.random.default_rng(SEED)
        for name in self._order:
            for wiring in self._layers[name].wirings:
                source = wiring.projection.source
                marks = rng.integers(1, 2**63, len(parts.get(name, ())))
                if source not in sources:
                    continue
                shared = wiring.encoding is Encoding.SHARED
                for part, mark in zip(parts.get(name, ()), marks, strict=True):
                    reached = wiring.sources(part)
                    self._layers[source].add_reach(reached, shared=shared, mark=int(mark))

    def _fill(self, parts: Mapping[str, list[Part]], bound: float) -> Iterator[Held]:
        """Yield cores in the program's order; small parts share one where they may."""
        open_cores: list[list[Part]] = []
        for name in self._names:
            layer = self._layers[name]
            for part in parts[name]:
                if layer.alone or not self._add(open_cores, part, bound):
                    self._check(part, layer.usage(part))
                    open_cores.append([part])
        for core in open_cores:
            yield Held(parts=tuple(core), usage=self._usage(core))

    def _add(self, cores: list[list[Part]], part: Part, bound: float) -> bool:
        """Add a part to the last of the cores if that stays legal and within the bound."""
        if not cores or any(self._layers[held.population].alone for held in cores[-1]):
            return False
        usage = self._usage([*cores[-1], part])
        if usage.load.time > bound or next(usage.beyond(self._limits), None) is not None:
            return False
        cores[-1].append(part)
        return True

    def _usage(self, parts: Sequence[Part]) -> Usage:
        alone = len(parts) == 1
        return together([self._layers[p.population].usage(p, alone=alone) for p in parts])

    def _check(self, part: Part, usage: Usage) -> None:
        """Refuse a part that became illegal when what it sends to was cut after it, in a loop."""
        for resource, needed, limit in usage.beyond(self._limits):
            raise Unfit(part, resource, needed, limit)


def _backwards(program: Program) -> tuple[str, ...]:
    """Return the populations, each behind those that it sends to, as far as loops allow."""
    targets: dict[str, list[str]] = {p.name: [] for p in program.populations}
    for projection in program.projections:
        if projection.source in targets:
            targets[projection.source].append(projection.target)
    order: list[str] = []
    seen: set[str] = set()
    for first in targets:
        order.extend(visited(first, targets, seen))
    return tuple(order)


def cut_layer(layer: Layer, bound: float) -> list[Part]:
    """Return a population in as few parts as there may be, channels in equal groups.

    Raises:
        Unfit: not even one neuron is legal.
    """
    best: list[Part] | None = None
    problem: Unfit | None = None
    for groups in _group_counts(layer.grid[0]):
        if best is not None and groups >= len(best):
            break
        try:
            parts = _cut(layer, bound, groups, math.inf if best is None else len(best))
        except Unfit as found:
            problem = found
            continue
        if parts is not None:
            best = parts
    if best is None:
        assert problem is not None
        raise problem
    return best


def _group_counts(channels: int) -> list[int]:
    """Return numbers of channel groups that differ in their size."""
    sizes = {-(-channels // groups) for groups in range(1, channels + 1)}
    return sorted({-(-channels // size) for size in sizes})


def _cut(layer: Layer, bound: float, groups: int, most: float) -> list[Part] | None:
    """Return the parts for one number of channel groups; None where they are `most` or more."""
    channels, places = layer.grid
    edges = [round(channels * number / groups) for number in range(groups + 1)]
    parts: list[Part] = []
    before: list[int] = []
    for number, (low, high) in enumerate(pairwise(edges)):
        first = 0
        lengths: list[int] = []
        while first < places:
            # groups are much alike: what fits in one mostly fits in the next
            guess = lengths[-1] if lengths else places
            like = before[len(lengths)] if len(lengths) < len(before) else 0
            length = _longest(layer, bound, (low, high), first, guess=guess, like=like)
            lengths.append(length)
            parts.append(layer.part((low, high), (first, first + length)))
            first += length
            # all groups are about as large as the first one
            if len(parts) + (groups - 1 - number) * max(1, len(parts) // (number + 1)) >= most:
                return None
        before = lengths
    return parts


def _longest(
    layer: Layer, bound: float, channels: tuple[int, int], first: int, *, guess: int, like: int
) -> int:
    """Return how many places the longest part has that starts at a place.

    What a part needs grows with it, but for kernels that are cut off: there a shorter part may
    need more. So this need not be the longest; it is always legal.

    Args:
        layer: The population.
        bound: On the time that the part takes [ns].
        channels: The part's channels.
        first: Its first place.
        guess: Where to start looking.
        like: Length that is as good as the longest, if it fits; 0: there is none.

    Raises:
        Unfit: not even one place is legal.
    """
    most = min(layer.most_places(channels[1] - channels[0]), layer.grid[1] - first)

    def fits(length: int) -> bool:
        usage = layer.usage(layer.part(channels, (first, first + length)))
        return usage.load.time <= bound and next(usage.beyond(layer.limits), None) is None

    if 0 < like <= most and fits(like):
        return like
    if fits(most):
        return most
    low, high = _bracket(fits, min(guess, most - 1), most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    if low == 0:
        _refuse(layer, bound, channels, first)
    return max(1, low)


def _bracket(fits: Callable[[int], bool], guess: int, most: int) -> tuple[int, int]:
    """Return a length that fits, or 0, and a greater one that does not, around a guess."""
    step = 1
    if guess > 0 and fits(guess):
        low = guess
        while low + step < most and fits(low + step):
            low, step = low + step, 2 * step
        return low, min(low + step, most)
    high = max(guess, 1)
    while high - step > 0:
        if fits(high - step):
            return high - step, high
        high, step = high - step, 2 * step
    return 0, high


def _refuse(layer: Layer, bound: float, channels: tuple[int, int], first: int) -> None:
    """Refuse a part of one place that is not legal, or that fewer channels would make faster."""
    part = layer.part(channels, (first, first + 1))
    usage = layer.usage(part)
    for resource, needed, limit in usage.beyond(layer.limits):
        raise Unfit(part, resource, needed, limit)
    if channels[1] - channels[0] > 1 and usage.load.time > bound:
        raise Unfit(part, Resource.CORES, 1, 0)
