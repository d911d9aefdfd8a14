"""One step of the canonical integer neuron, in plain numpy.

The order of the lines is the meaning of a program; a register's overflow rule applies after
every line that changes it:

    u = decay(u) + a + biases into the current
    v = decay(v) + (u new | u old | a) + biases into the membrane
    late reset by the payload of the last step
    floor, if before the test
    s = 0 | [v > th] | [v >= th] | number of thresholds in v
    reset by s, if now
    floor, if after the reset
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Register:
    """Width of a state and what it does beyond it."""

    bits: int
    overflow: str
    """wrap-once | saturate"""

    def keep(self, value):
        """Return what the register keeps of `value`, and how many neurons overflowed."""
        half = 1 << (self.bits - 1)
        if self.overflow == "saturate":
            kept = np.clip(value, -(half - 1), half - 1)
        else:
            kept = np.where(value > half, value - 2 * half, value)
            kept = np.where(value <= -half, value + 2 * half, kept)
        return kept, int(np.count_nonzero(kept != value))


@dataclass(frozen=True)
class Rules:
    """Everything that a population of neurons needs to know, flat arrays of int64 or scalars."""

    decay_bits: int
    current_register: Register
    membrane_register: Register
    lag: int
    current_decay: object
    """None: a population without a current."""

    reads: str
    decay: object
    biases: tuple
    """(state it enters, first step, value) each."""

    fires: str
    compare: str
    threshold: object
    max_spikes: int
    reset_kind: str
    reset_when: str
    reset_amount: object
    floor_when: str
    """Empty: no floor."""

    floor: object
    current_initial: object
    membrane_initial: object


class Neurons:
    """The registers of a population and their step.

    Args:
        rules: Parameters of the neurons.
        size: Number of neurons.
    """

    def __init__(self, rules, size):
        self.rules = rules
        self.size = size
        self.start()

    def start(self):
        """Return to the state before the first step."""
        self.u = self._full(self.rules.current_initial)
        self.v = self._full(self.rules.membrane_initial)
        self.s = np.zeros(self.size, np.int64)
        self.overflows = 0

    def _full(self, initial):
        return np.array(np.broadcast_to(initial, self.size), np.int64)

    def advance(self, drive, step):
        """Compute step `step` of the sample; `drive` is a, in state units. Counts overflows."""
        self.overflows = 0
        rules = self.rules
        if step < rules.lag:
            return
        integrated = drive
        if rules.current_decay is not None:
            old = self.u
            u = self._decayed(old, rules.current_decay) + drive
            self.u = self._kept(u + self._biases("current", step), rules.current_register)
            integrated = self.u if rules.reads == "new" else old
        v = self._decayed(self.v, rules.decay) + integrated
        v = self._kept(v + self._biases("membrane", step), rules.membrane_register)
        if rules.reset_when == "next":
            v = self._reset(v, self.s)
        if rules.floor_when == "before-test":
            v = np.maximum(v, rules.floor)
        s = self._fires(v)
        if rules.reset_when == "now":
            v = self._reset(v, s)
        if rules.floor_when == "after-reset":
            v = np.maximum(v, rules.floor)
        self.v, self.s = v, s

    def _kept(self, value, register):
        kept, overflows = register.keep(value)
        self.overflows += overflows
        return kept

    def _decayed(self, value, multiplier):
        return np.sign(value) * ((np.abs(value) * multiplier) >> self.rules.decay_bits)

    def _biases(self, state, step):
        return sum(b for into, start, b in self.rules.biases if into == state and step >= start)

    def _fires(self, v):
        rules = self.rules
        if rules.fires == "never":
            return np.zeros_like(v)
        if rules.fires == "binary":
            fired = v > rules.threshold if rules.compare == ">" else v >= rules.threshold
            return fired.astype(np.int64)
        reached = v - 1 if rules.compare == ">" else v
        return np.clip(reached // rules.threshold, 0, rules.max_spikes)

    def _reset(self, v, s):
        if self.rules.reset_kind == "subtract":
            return self._kept(v - s * self.rules.reset_amount, self.rules.membrane_register)
        if self.rules.reset_kind == "value":
            reset = np.where(s != 0, self.rules.reset_amount, v)
            return self._kept(reset, self.rules.membrane_register)
        return v
