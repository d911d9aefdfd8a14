"""Intervals of whole numbers, one per neuron, and what a chip's arithmetic makes of them.

Every function here is exact in 64-bit integers: it returns the smallest interval that holds every
result, provided that no number is larger than `LARGEST`.
"""

from dataclasses import dataclass

import numpy as np

from snn_deploy.ir.arithmetic import Arithmetic, Decay, Overflow, Register, rounded, scaled

Wholes = np.ndarray
"""int64, [row] or [1]; membranes [phase, row]. Not checked more closely: a proof makes many."""

Mask = np.ndarray
"""bool, [row] or [1]."""

LARGEST = 1 << 61
"""Sums of two such numbers still fit 64 bits."""


@dataclass(frozen=True, slots=True)
class Interval:
    """All whole numbers from `low` to `high`, of each neuron."""

    low: Wholes
    high: Wholes

    def __add__(self, other: "Interval") -> "Interval":
        return Interval(self.low + other.low, self.high + other.high)

    def __sub__(self, amount: Wholes) -> "Interval":
        return Interval(self.low - amount, self.high - amount)

    def hull(self, other: "Interval") -> "Interval":
        """Return the smallest interval that holds both."""
        return Interval(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def clipped(self, low: Wholes | int, high: Wholes | int) -> "Interval":
        """Return both ends moved into `low` to `high`."""
        return Interval(
            np.minimum(np.maximum(self.low, low), high),
            np.minimum(np.maximum(self.high, low), high),
        )

    def at_least(self, floor: Wholes) -> "Interval":
        """Return both ends moved to `floor` or above."""
        return Interval(np.maximum(self.low, floor), np.maximum(self.high, floor))

    def where(self, mask: Mask, other: "Interval") -> "Interval":
        """Return this interval where `mask`, `other` elsewhere."""
        return Interval(np.where(mask, self.low, other.low), np.where(mask, self.high, other.high))

    @property
    def rows(self) -> "Interval":
        """The smallest interval of each row that holds all its phases."""
        if self.low.ndim < 2:
            return self
        return Interval(self.low.min(axis=0), self.high.max(axis=0))

    @property
    def stacked(self) -> "Interval":
        """The interval as phase 0 of [phase, row]."""
        return Interval(self.low[None], self.high[None])

    def phase(self, number: int) -> "Interval":
        """Return one phase of [phase, row]."""
        return Interval(self.low[number], self.high[number])

    def behind(self, first: int) -> "Interval":
        """Return the phases from `first` on."""
        return Interval(self.low[first:], self.high[first:])

    def before(self, others: "Interval") -> "Interval":
        """Return this [row] with the phases `others` behind it."""
        return Interval(
            np.concatenate([np.broadcast_to(self.low, others.low.shape[1:])[None], others.low]),
            np.concatenate([np.broadcast_to(self.high, others.high.shape[1:])[None], others.high]),
        )

    def followed(self, last: "Interval") -> "Interval":
        """Return these phases with one more behind them."""
        return Interval(
            np.concatenate([self.low, np.broadcast_to(last.low, self.low.shape[1:])[None]]),
            np.concatenate([self.high, np.broadcast_to(last.high, self.high.shape[1:])[None]]),
        )

    def replaced(self, number: int, phase: "Interval") -> "Interval":
        """Return these phases with another one in place of phase `number`."""
        low, high = self.low.copy(), self.high.copy()
        low[number], high[number] = phase.low, phase.high
        return Interval(low, high)

    def times(self, factor: int) -> "Interval":
        """Return the interval times 1, 0 or -1."""
        if factor >= 0:
            return Interval(self.low * factor, self.high * factor)
        return Interval(self.high * factor, self.low * factor)


def point(value: Wholes) -> Interval:
    """Return the interval of one number."""
    return Interval(value, value)


def decayed(value: Interval, decay: Wholes, rules: Arithmetic) -> Interval:
    """Return every state of `value` after one step of decay: no decay turns their order round."""
    if rules.decay is Decay.MULTIPLY:
        return scaled_by(value, decay, rules.decay_bits)
    return Interval(rules.decayed(value.low, decay), rules.decayed(value.high, decay))


def scaled_by(value: Interval, multiplier: Wholes, bits: int) -> Interval:
    """Return every number of `value` * multiplier / 2**bits, rounded toward zero."""
    ends = scaled(value.low, multiplier, bits), scaled(value.high, multiplier, bits)
    if np.all(multiplier >= 0):
        return Interval(*ends)
    return Interval(np.minimum(*ends), np.maximum(*ends))


def gained(value: Interval, factor: Interval, shift: int) -> Interval:
    """Return every number of `value` times one of `factor` / 2**shift, rounded to the nearest."""
    corners = [
        rounded(end * by, shift)
        for end in (value.low, value.high)
        for by in (factor.low, factor.high)
    ]
    return Interval(np.minimum.reduce(corners), np.maximum.reduce(corners))


def outside(value: Interval, register: Register) -> Mask:
    """Return where some number of `value` is not kept as it is."""
    return (value.low < register.low) | (value.high > register.high)


def held(value: Interval, register: Register, over: Mask) -> Interval:
    """Return what a register keeps of `value`.

    Args:
        value: What is written.
        register: Where to.
        over: Where the register may overflow; there one that wraps may keep anything.
    """
    clipped = value.clipped(register.low, register.high)
    if register.overflow not in (Overflow.WRAP, Overflow.WRAP_ONCE) or not over.any():
        return clipped
    anything = Interval(
        np.full_like(clipped.low, register.low), np.full_like(clipped.high, register.high)
    )
    return anything.where(over, clipped)
