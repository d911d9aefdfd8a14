"""Chooses how many cores a program takes, and cuts it for equal load on them."""

import math
from dataclasses import dataclass

from snn_deploy.deploy.mapping.core_map import Goal
from snn_deploy.deploy.mapping.cutting import Cut, Cutter, Unfit
from snn_deploy.targets import CoreRules

STEP = 0.8
"""From one bound on the load to the next, where the number of cores is chosen."""

NARROW = 1.005
"""Ratio of two bounds between which no better one is looked for."""

SPARE = 1.05
"""A step that is no longer than this times the shortest is as good, if it takes fewer cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One choice of the front: more cores are faster, and send more messages."""

    bound: float
    """Bound on the load of a core that gives this cut [ns]."""

    cores: int
    time: float
    """Of the slowest core in a step, without the barrier [ns]."""

    messages: float
    """To cores in a step."""

    energy: float
    """Of a step, as far as the cut changes it: messages, and static power of the chips [pJ]."""


def fewest(cutter: Cutter) -> Cut:
    """Return the cut that only the limits make, in as few cores as it finds.

    Raises:
        Unfit: a population is not legal in parts of any size.
    """
    return cutter.cut()


def within(cutter: Cutter, first: Cut, cores: int) -> Cut:
    """Return the cut of the smallest load per core that takes at most `cores` cores.

    Args:
        cutter: The program.
        first: Its cut into the fewest cores, of which there are enough.
        cores: How many there are.
    """
    best, high = first, first.time
    low = _least(first, cores)
    while high > low * NARROW:
        middle = math.sqrt(low * high)
        found = _tried(cutter, middle)
        if found is None or len(found.cores) > cores:
            low = middle
        else:
            best, high = found, min(middle, found.time)
    return best


def _least(first: Cut, cores: int) -> float:
    """Return a time that no cut into so many cores can go below."""
    generation = math.fsum(core.usage.load.generation for core in first.cores)
    operations = math.fsum(core.usage.load.processing for core in first.cores)
    # cutting further adds messages to both, and takes nothing away; merging could, so half of it
    return max(max(generation, operations) / (2 * cores), first.time * 1e-6)


def _tried(cutter: Cutter, bound: float) -> Cut | None:
    try:
        return cutter.cut(bound)
    except Unfit:
        return None


def front(cutter: Cutter, first: Cut, rules: CoreRules, cores: int, chips: int) -> list[Point]:
    """Return the choices from the fewest cores up to `cores`, each faster than the one before."""
    points = [_point(first, math.inf, rules, chips)]
    bound = first.time
    while True:
        bound *= STEP
        found = _tried(cutter, bound)
        if found is None or len(found.cores) > cores:
            return points
        if found.time > bound:  # a part that cannot be made smaller takes longer
            bound_reached = found.time < points[-1].time
            return [*points, _point(found, bound, rules, chips)] if bound_reached else points
        if found.time < points[-1].time:  # a bound may give the slices of the one before
            points.append(_point(found, bound, rules, chips))


def _point(cut: Cut, bound: float, rules: CoreRules, chips: int) -> Point:
    messages = cut.messages * rules.costs.message_energy.value
    static = rules.costs.static_power.value * chips * cut.time  # mW * ns = pJ
    return Point(
        bound=bound,
        cores=len(cut.cores),
        time=cut.time,
        messages=cut.messages,
        energy=messages + static,
    )


def chosen(points: list[Point], goal: Goal) -> Point:
    """Return the point of the front that serves the goal with the fewest cores."""
    if goal is Goal.ENERGY:
        return min(points, key=lambda point: (point.energy, point.cores))
    shortest = min(point.time for point in points)
    return min((point for point in points if point.time <= SPARE * shortest), key=lambda p: p.cores)
