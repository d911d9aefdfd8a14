"""What acts on a population during some of its steps: arrivals, biases, thresholds, its window."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snn_deploy.ir.arithmetic import Arithmetic, Overflow
from snn_deploy.ir.neuron import CURRENTS, State, Tabled
from snn_deploy.quantize.arrivals import FOREVER
from snn_deploy.quantize.bounded import Numbers
from snn_deploy.quantize.intervals import Interval, Mask, Wholes, gained, held, outside, point

GAINED = 1 << 31
"""Sums beyond this, times a gain, might not fit 64 bits: nothing is proven of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Bounds of all that acts in any step of a span; [1] or [row]."""

    arriving: Mapping[State, Interval]
    """What enters each state, behind accumulator and gain."""

    biases: Mapping[State, Interval]
    threshold: Interval
    threshold_before: Interval
    """That of the step before each of these."""

    lower: Interval
    lower_before: Interval
    may_fire: bool
    """Whether the window holds some of these steps."""

    may_not: bool
    """Whether it leaves some out."""

    lost: Mask
    """Where numbers are too large to be followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When what acts on a population. Steps are its own: step 0 is its lag."""

    numbers: Numbers
    rules: Arithmetic
    period: int

    def changes(self) -> tuple[int, ...]:
        """Return the steps in which something starts or ends for good, ascending."""
        return tuple(sorted({step for step in self._changes() if 0 < step < FOREVER // 2}))

    def _changes(self) -> Iterator[int]:
        for arrival in self.numbers.arrivals:
            yield from (arrival.first, arrival.last + 1)
        for bias in self.numbers.biases:
            yield self._own(bias.start)
        population = self.numbers.population
        if population.window is not None:
            yield from (self._own(population.window.first), self._own(population.window.behind))
        for table in population.tables:
            start = -self._row(table.start, 0)
            if table.repeats:
                yield from (start, start + 1)
            else:  # a late reset looks back by one step
                yield from range(start, start + len(table.rows) + 2)

    @property
    def cycle(self) -> int:
        """Steps after which all that repeats has been there once."""
        tables = self.numbers.population.tables
        return max((len(t.rows) for t in tables if t.repeats), default=0)

    def _own(self, step: int) -> int:
        """Return the population's first step at or after a step of the program."""
        return -((self.numbers.population.lag - step) // self.period)

    def _row(self, start: int, step: int) -> int:
        """Return the row of a table that starts at `start` in a step of the population."""
        return (self.numbers.population.lag - start) // self.period + step

    def during(self, first: int, behind: int) -> Conditions:
        """Return what acts in the steps from `first` to `behind` - 1."""
        numbers, lost = self.numbers, np.zeros(1, bool)
        arriving: dict[State, Interval] = {}
        for state in (*CURRENTS, State.MEMBRANE):
            found = [
                arrival.sums
                for arrival in numbers.arrivals
                if arrival.into is state and arrival.first < behind and arrival.last >= first
            ]
            if not found:
                continue
            total = sum(found[1:], found[0])
            arriving[state], overflown = self._entering(state, total, first, behind)
            lost = lost | overflown
        may_fire, may_not = self._firing(first, behind)
        before = max(first - 1, 0)
        return Conditions(
            arriving=arriving,
            biases=self._biases(first, behind),
            threshold=self._tabled(Tabled.THRESHOLD, numbers.threshold, first, behind),
            threshold_before=self._tabled(Tabled.THRESHOLD, numbers.threshold, before, behind - 1),
            lower=self._tabled(Tabled.LOWER, numbers.lower, first, behind),
            lower_before=self._tabled(Tabled.LOWER, numbers.lower, before, behind - 1),
            may_fire=may_fire,
            may_not=may_not,
            lost=lost,
        )

    def _entering(
        self, state: State, total: Interval, first: int, behind: int
    ) -> tuple[Interval, Mask]:
        """Return what enters a state behind accumulator and gain, and where that is lost."""
        numbers, population = self.numbers, self.numbers.population
        lost = np.zeros(1, bool)
        register = self.rules.accumulator
        if register is not None:
            lost = twice_wrapped(total, register.overflow, register.high)
            total = held(total, register, outside(total, register))
        for gain, multiplier in zip(population.gains, numbers.gains, strict=True):
            if gain.into is state:
                factor = self._tabled(Tabled.GAIN, multiplier, first, behind, state)
                lost = lost | (total.low < -GAINED) | (total.high > GAINED)
                total = gained(total.clipped(-GAINED, GAINED), factor, gain.shift)
        return total, lost

    def _biases(self, first: int, behind: int) -> Mapping[State, Interval]:
        found: dict[State, Interval] = {}
        for bias in self.numbers.biases:
            start = self._own(bias.start)
            if start >= behind:
                continue
            value = point(bias.value)
            if bias.waits or start > first:
                value = value.hull(point(np.zeros(1, np.int64)))
            found[bias.into] = found[bias.into] + value if bias.into in found else value
        for table, rows in zip(self.numbers.population.tables, self.numbers.tables, strict=True):
            if table.what is not Tabled.BIAS or table.into is None:
                continue
            row = self._row(table.start, first)
            tabled, always = _hull(rows, row, behind - first, table.repeats)
            if tabled is None:
                continue
            value = tabled
            if not always:
                value = value.hull(point(np.zeros(1, np.int64)))
            into = table.into
            found[into] = found[into] + value if into in found else value
        return found

    def _tabled(
        self, what: Tabled, usual: Wholes, first: int, behind: int, into: State | None = None
    ) -> Interval:
        """Return what a parameter can be in the steps from `first` to `behind` - 1."""
        for table, rows in zip(self.numbers.population.tables, self.numbers.tables, strict=True):
            if (table.what, table.into) == (what, into):
                count = max(behind - first, 1)
                value, always = _hull(rows, self._row(table.start, first), count, table.repeats)
                if value is not None:
                    return value if always else value.hull(point(usual))
        return point(usual)

    def _firing(self, first: int, behind: int) -> tuple[bool, bool]:
        """Return whether the window holds some of the steps, and whether it leaves some out."""
        window = self.numbers.population.window
        if window is None:
            return True, False
        opens, closes = self._own(window.first), self._own(window.behind)
        return max(first, opens) < min(behind, closes), first < opens or behind > closes


def twice_wrapped(value: Interval, overflow: Overflow, high: int) -> Mask:
    """Return where a register that wraps only once would still hold too large a number."""
    if overflow is not Overflow.WRAP_ONCE:
        return np.zeros(1, bool)
    return (value.low <= -3 * high) | (value.high > 3 * high)


def _hull(rows: Wholes, row: int, count: int, repeats: bool) -> tuple[Interval | None, bool]:
    """Return the interval of `count` rows from `row` on, and whether a row acts in every step."""
    length, always = len(rows), row >= 0
    start, end = max(row, 0), row + count
    if repeats and end - start >= length:
        start, end = 0, length
    elif repeats and end > start:
        start, end = start % length, start % length + end - start
        rows = np.concatenate([rows, rows]) if end > length else rows
    else:
        always, end = always and end <= length, min(end, length)
    if end <= start:
        return None, False
    chosen = rows[start:end]
    return Interval(chosen.min(axis=0), chosen.max(axis=0)), always
