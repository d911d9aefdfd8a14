"""What a step of the range proof takes and gives: guards, registers, a state and its way.

A `Guard` is what may happen although the given interval is too small for it. With the guard held
fixed, the ends of a step's result follow the ends of the interval: they never move the other way,
and never by more. The leaps of `bound_walk` rest on that.
"""

from dataclasses import dataclass, field

import numpy as np

from snn_deploy.ir.arithmetic import Arithmetic, Register
from snn_deploy.quantize.bounded import Numbers
from snn_deploy.quantize.conditions import twice_wrapped
from snn_deploy.quantize.intervals import Interval, Mask, Wholes, held, outside

ROOM = 61
"""Bits of the products that decays make of states."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What may happen in a step, [row] or scalar."""

    over: Mask
    """A register is given more than it keeps."""

    changes: Mask
    """So is that of the membrane's change."""

    spikes: Wholes
    """Most spikes of a step."""

    down: Mask
    """A ternary neuron sends -1."""

    again: Mask
    """The membrane of the step before lies above the threshold."""

    def joined(self, other: "Guard") -> "Guard":
        """Return what may happen in either."""
        return Guard(
            self.over | other.over,
            self.changes | other.changes,
            np.maximum(self.spikes, other.spikes),
            self.down | other.down,
            self.again | other.again,
        )

    def beyond(self, other: "Guard") -> Mask:
        """Return where something may happen that `other` lacks."""
        return (
            (self.over & ~other.over)
            | (self.changes & ~other.changes)
            | (self.spikes > other.spikes)
            | (self.down & ~other.down)
            | (self.again & ~other.again)
        )

    @property
    def fires(self) -> Mask:
        """Where a neuron may fire."""
        return (self.spikes > 0) | self.down


NO = np.zeros(1, bool)
NOTHING = Guard(NO, NO, np.zeros(1, np.int64), NO, NO)
"""The guard of a step in which nothing of it happens."""


@dataclass(slots=True)
class Written:
    """What a state's register is given in a step: grows with every line that writes it."""

    register: Register | None
    """None: wide enough for anything."""

    limit: int
    """No larger number can be followed in 64 bits."""

    over: Mask
    """Where it may overflow."""

    all: Interval | None = None
    lost: Mask = field(default_factory=lambda: NO)

    def __call__(self, value: Interval) -> Interval:
        """Return what the register keeps of `value`."""
        every, register = value.rows, self.register
        self.all = every if self.all is None else self.all.hull(every)
        self.lost = self.lost | (every.low < -self.limit) | (every.high > self.limit)
        if register is None:
            return value.clipped(-self.limit, self.limit)
        self.lost = self.lost | twice_wrapped(every, register.overflow, register.high)
        self.over = self.over | outside(every, register)
        return held(value, register, self.over)

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and largest number that the register keeps."""
        register = self.register
        return (-self.limit, self.limit) if register is None else (register.low, register.high)

    def given(self, kept: Interval) -> Interval:
        """Return all that the register was given; nothing: what it keeps."""
        return kept.rows if self.all is None else self.all


@dataclass(frozen=True, slots=True)
class Stepped:
    """A state after a step, and how it got there."""

    kept: Interval
    written: Interval
    """All that its register was given."""

    changed: Interval | None
    """All that the register of the membrane's change was given, where there is one."""

    spikes: Interval
    guard: Guard
    lost: Mask


def follows_to(rules: Arithmetic, numbers: Numbers) -> int:
    """Return the largest state whose products with all multipliers fit 64 bits."""
    factors = [numbers.decay, *(s.decay for s in numbers.synapses)]
    factors += [s.chain for s in numbers.synapses if s.chain is not None]
    widest = max([1 << rules.decay_bits, *(int(np.abs(f).max(initial=0)) for f in factors)])
    return 1 << (ROOM - widest.bit_length())
