"""Which membranes fire, how often, and what a reset leaves of them, in intervals."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snn_deploy.ir.neuron import Compare, Fires, ResetKind
from snn_deploy.quantize.bound_parts import NO, Guard
from snn_deploy.quantize.bounded import Numbers
from snn_deploy.quantize.intervals import LARGEST, Interval, Mask, Wholes, point


@dataclass(frozen=True, slots=True)
class Test:
    """The test of a membrane against its thresholds, whose ends may be those of several steps."""

    numbers: Numbers
    threshold: Interval
    lower: Interval
    shift: Wholes | int = 0
    """Most that a second test lowers the membrane by."""

    @property
    def _strict(self) -> int:
        return int(self.numbers.population.compare is Compare.GREATER)

    def first(self, count: Wholes | int) -> Wholes:
        """Return the lowest membrane that sends `count` spikes, or one below it."""
        if self.numbers.population.fires is Fires.ROUNDED:
            return count * self.threshold.low - ((self.threshold.low + 1) >> 1)
        return count * self.threshold.low + self._strict + np.minimum(self.shift, 0)

    def last(self, count: Wholes | int) -> Wholes:
        """Return the highest membrane that sends `count` spikes, or one above it."""
        high, most = self.threshold.high, self.numbers.population.max_spikes
        if self.numbers.population.fires is Fires.ROUNDED:
            end = count * high + ((high + 1) >> 1)
        else:
            end = (count + 1) * high - 1 + self._strict + np.maximum(self.shift, 0)
        several = self.numbers.population.fires in (Fires.COUNT, Fires.ROUNDED)
        highest = most if several else 1
        return np.where(np.asarray(count) >= highest, LARGEST, end)

    def most(self, high: Wholes) -> Wholes:
        """Return the most spikes of a membrane up to `high`."""
        population = self.numbers.population
        if not population.fires.spiking:
            return np.zeros_like(high)
        if population.fires is Fires.COUNT:
            reached = (high - self._strict) // self.threshold.low
            return np.clip(reached, 0, population.max_spikes)
        if population.fires is Fires.ROUNDED:
            reached = (2 * high + self.threshold.low) // (2 * self.threshold.low)
            return np.clip(reached, 0, population.max_spikes)
        return (high >= self.first(1)).astype(np.int64)

    def down(self, low: Wholes) -> Mask:
        """Return where a membrane from `low` on may send -1."""
        if self.numbers.population.fires is not Fires.TERNARY:
            return NO
        return low <= self.lower.high - self._strict

    def quiet(self, v: Interval) -> Interval:
        """Return the membranes of `v` that send nothing."""
        if self.numbers.population.fires is Fires.TERNARY:
            return v.clipped(self.lower.low, self.threshold.high)
        end = self.last(0)
        return Interval(np.minimum(v.low, end), np.minimum(v.high, end))

    def firing(self, v: Interval, count: Wholes) -> Interval:
        """Return the membranes of `v` that send `count` spikes."""
        return v.clipped(self.first(count), self.last(count))

    def falling(self, v: Interval) -> Interval:
        """Return the membranes of `v` that send -1."""
        end = self.lower.high - self._strict
        return Interval(np.minimum(v.low, end), np.minimum(v.high, end))


def pieces(v: Interval, test: Test, may: Guard) -> Iterator[tuple[Wholes, Interval, Mask]]:
    """Yield (spikes, the membranes that send them, where any does) for the counts that matter.

    What a reset leaves of the highest or lowest membrane that sends n spikes is linear in n. So
    the counts 1 and most - 1, whole, and the most, up to the highest membrane, bound all between.
    Where the register overflows it is not linear, and every membrane counts as sending any number.
    """
    one, population = np.ones_like(may.spikes), test.numbers.population
    first = test.firing(v, one)
    if population.fires in (Fires.COUNT, Fires.ROUNDED):
        first = Interval(np.minimum(test.first(one), first.low), first.high)
        most = np.maximum(may.spikes, 1)
        yield most, v.where(may.over, test.firing(v, most)), may.spikes > 0
        less = np.maximum(most - 1, 1)
        whole = Interval(test.first(less), test.last(less))
        yield less, v.where(may.over, whole), may.spikes > 1
    yield one, v.where(may.over, first), may.spikes > 0
    if population.fires is Fires.TERNARY:
        yield -one, v.where(may.over, test.falling(v)), may.down


def left_behind(numbers: Numbers, v: Interval, count: Wholes) -> Interval:
    """Return membranes after the reset by `count` spikes."""
    reset = numbers.population.reset
    if reset.kind is ResetKind.SUBTRACT:
        return v - count * numbers.amount
    if reset.kind is ResetKind.VALUE:
        return point(np.broadcast_to(numbers.amount, v.low.shape))
    return v
