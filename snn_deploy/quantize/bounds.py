"""Bounds of every state of every neuron, over a run of so many steps or of any length.

`bound_walk` goes through the run, for each different neuron once.

All numbers are exact integers of 64 bits; what grows beyond them is lost, which is said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snn_deploy.ir.arithmetic import Arithmetic
from snn_deploy.ir.checks import spike_range
from snn_deploy.ir.neuron import Fires, FloorWhen, State, Tabled
from snn_deploy.ir.program import Population
from snn_deploy.quantize.arrivals import Arrival
from snn_deploy.quantize.bound_walk import Helper, Limits, Walk
from snn_deploy.quantize.bounded import distinct, numbers_of, parts
from snn_deploy.quantize.conditions import Schedule
from snn_deploy.quantize.intervals import LARGEST, Interval, Mask, Wholes, point

BLOCK = 1 << 12
"""Neurons that walk together, so that their numbers stay in the processor's caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Proven intervals of all neurons of a population: [neuron]."""

    written: Mapping[State | Helper, Interval]
    """What each register is given, before it wraps or saturates."""

    kept: Mapping[State, Interval]
    """Each state as a step leaves it."""

    spikes: Interval
    """Spikes of one step, before any factor of the payload."""

    within: Mapping[State | Helper, Wholes]
    """Steps of the population for which each register surely stays within its limits: [neuron];
    `FOREVER`: any number."""

    lost: Mask
    """Neurons whose numbers grow too large to be followed: nothing is proven of them."""


def state_bounds(
    population: Population,
    arriving: Sequence[Arrival],
    steps: int | None,
    arithmetic: Arithmetic,
    *,
    registers: bool = True,
    limits: Limits | None = None,
    period: int = 1,
) -> Bounds:
    """Return what the states of a population can be, whatever arrives within the given bounds.

    The bounds hold for every run: of integers, with this arithmetic, overflow included. They are
    tight: each end is reached or nearly so by some input, as far as every input can be combined
    with any other.

    A search for a scale K (state units per real unit) asks for the largest K that is proven. It
    makes the neurons at a trial scale, multiplies the sums of real weights by that scale, rounded
    outward, and takes `registers=False`: the result is what the registers would have to hold. All
    states scale with K but for rounding, so K may grow by the factor that is left up to the
    registers' limits, less a margin for the rounding of weights and thresholds::

        bounds = state_bounds(
            whole_population(task, trial),
            (Arrival(into=State.MEMBRANE, low=np.floor(low * trial), high=np.ceil(high * trial)),),
            steps, target.arithmetic, registers=False,
        )
        worst = bounds.written[State.MEMBRANE].high.max()   # no bound where bounds.lost.any()
        provable = trial * target.highest_state / worst

    Args:
        population: Of the canonical kind.
        arriving: What its projections bring, `low` and `high` as int64 [neuron].
        steps: That it runs; None: any number.
        arithmetic: Of the chip.
        registers: Whether states wrap or saturate; without, they are as large as they get.
        limits: What counts as in order in `within`; by default what the registers keep.
        period: Steps of the program from one of the population to the next.
    """
    numbers, row = distinct(numbers_of(population, arriving))
    rows = int(row.max(initial=0)) + 1
    rules = arithmetic if registers else replace(arithmetic, accumulator=None, change=None)
    walks = []
    for part in parts(numbers, rows, BLOCK):
        walk = Walk(
            numbers=part.numbers,
            rules=rules,
            registers=registers,
            schedule=Schedule(numbers=part.numbers, rules=rules, period=period),
            rows=part.rows,
            limits=limits or {},
        )
        walk.run(steps)
        walks.append(walk)
    lost = np.concatenate([walk.lost for walk in walks])[row]

    def joined(found: Sequence[Interval]) -> Interval:
        """Return an interval of every neuron; of those that are lost, all numbers."""
        ends = [(i.low, i.high, walk.rows) for i, walk in zip(found, walks, strict=True)]
        low = np.concatenate([np.broadcast_to(end, count) for end, _, count in ends])[row]
        high = np.concatenate([np.broadcast_to(end, count) for _, end, count in ends])[row]
        return Interval(np.where(lost, -LARGEST, low), np.where(lost, LARGEST, high))

    held = tuple(walks[0].within)
    within = {part: np.concatenate([walk.within[part] for walk in walks])[row] for part in held}
    return Bounds(
        written={part: joined([walk.written_to(part) for walk in walks]) for part in held},
        kept={state: joined([walk.kept[state] for walk in walks]) for state in walks[0].kept},
        spikes=joined([walk.spikes for walk in walks]),
        within={part: np.where(lost, 0, own) for part, own in within.items()},
        lost=lost,
    )


def sent_by(population: Population, bounds: Bounds) -> Interval:
    """Return what each neuron of a population with these bounds can send, 0 included: [neuron]."""
    if population.fires is Fires.GRADED:
        kept, shift = bounds.kept[State.MEMBRANE], population.payload_shift
        if population.floor is not None and population.floor.when is FloorWhen.AFTER_RESET:
            given = bounds.written[State.MEMBRANE]  # what is sent is not yet lifted
            size = np.maximum(np.abs(given.low), np.abs(given.high)) + 1  # also where it wraps
            kept = kept.hull(Interval(-size, size))
        half = (1 << shift) >> 1
        sent = Interval((kept.low + half) >> shift, (kept.high + half) >> shift)
    else:
        rows = [t.rows for t in population.tables if t.what is Tabled.PAYLOAD]
        factors = [1, *(int(end) for row in rows for end in (row.min(), row.max()))]
        lowest, highest = spike_range(population)
        spikes = Interval(*(np.full(population.size, end) for end in (lowest, highest)))
        spikes = spikes.where(bounds.lost, bounds.spikes)
        ends = [end * f for end in (spikes.low, spikes.high) for f in factors]
        sent = Interval(np.minimum.reduce(ends), np.maximum.reduce(ends))
    return sent.hull(point(np.zeros(1, np.int64)))
