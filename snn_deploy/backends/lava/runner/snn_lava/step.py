"""One step of the canonical integer neuron, in plain numpy.

The order of the lines is the meaning of a program; a register's overflow rule applies after
every line that changes it:

    all states initial again, in the steps of a restart
    a_k = what arrives at state k, held by the accumulator, times its gain
    u_k = decay(u_k) + a_k + a part of u_(k-1) + biases into it
    v = decay(v) + sum of +-u_k (new | old) + a_v + biases into the membrane
    v = as it was | reset value, while refractory
    late reset by the spikes of the last step
    floor, if before the test
    s = 0 | [v > th] | [v >= th] | thresholds in v | v / th rounded | sign beyond two thresholds
    s = 0, while refractory and outside the window
    reset by s, if not late
    floor, if after the reset
    payload = s * payload(t) | v as tested / 2**payload shift
"""

import numpy as np

CURRENTS = ("current", "current-2", "current-3", "current-4")


class Register:
    """Width of a state and what it does beyond it."""

    def __init__(self, rule):
        half = 1 << (rule.bits - 1)
        self.half = half
        self.overflow = rule.overflow
        self.low = 1 - half if rule.overflow == "saturate" else -half

    def keep(self, value):
        """Return what the register keeps of `value`, and how many neurons overflowed."""
        if self.overflow == "wrap-once":
            kept = np.where(value > self.half, value - 2 * self.half, value)
            kept = np.where(value <= -self.half, value + 2 * self.half, kept)
        elif self.overflow == "wrap":
            kept = (value + self.half) % (2 * self.half) - self.half
        else:
            kept = np.clip(value, self.low, self.half - 1)
        return kept, int(np.count_nonzero(kept != value))


def scaled(value, multiplier, bits):
    """Return value * multiplier / 2**bits, rounded toward zero."""
    product = value * multiplier
    return np.sign(product) * (np.abs(product) >> bits)


def rounded(value, bits):
    """Return value / 2**bits, rounded to the nearest, half upwards."""
    return (value + ((1 << bits) >> 1)) >> bits


def row_of(table, step, period):
    """Return the row of a table in a step; None: none."""
    row = (step - table.start) // period
    if table.repeats and row >= 0:
        row %= len(table.rows)
    return table.rows[row] if 0 <= row < len(table.rows) else None


class Neurons:
    """The registers of a population and their step.

    Args:
        population: From `files.flat_population`: every parameter one number per neuron.
        arithmetic: Of the program.
        period: Steps of the program per step of the network.
        size: Number of neurons.
    """

    def __init__(self, population, arithmetic, period, size):
        self.population = population
        self.arithmetic = arithmetic
        self.period = period
        self.size = size
        self.registers = {name: Register(arithmetic.current) for name in CURRENTS}
        self.registers["membrane"] = Register(arithmetic.membrane)
        wide = arithmetic.accumulator
        self.accumulator = None if wide is None else Register(wide)
        change = arithmetic.change
        self.change = None if change is None else Register(change)
        first = population.current
        self.currents = [] if first is None else [first, *population.further]
        self.waits = any(bias.waits for bias in population.biases)
        self.start()

    def start(self):
        """Return to the state before the first step."""
        self.values = {"membrane": self._full(self.population.initial)}
        for name, current in zip(CURRENTS, self.currents, strict=False):
            self.values[name] = self._full(current.initial)
        if self.population.refractory is not None:
            self.values["countdown"] = self._full(0)
        if self.waits:
            self.values["started"] = self._full(0)
        self.fired = self._full(0)
        self.values["payload"] = self._full(0)
        self.overflows = 0

    def _full(self, initial):
        return np.array(np.broadcast_to(initial, self.size), np.int64)

    def advance(self, arrived, step):
        """Compute step `step` of the sample and count overflows.

        Args:
            arrived: {state: a, in state units} of every state that is driven.
            step: From 0.
        """
        self.overflows = 0
        self.values["payload"] = self._full(0)
        population, values = self.population, self.values
        if step < population.lag or (step - population.lag) % self.period:
            return
        restart = population.restart
        if restart is not None and step % restart.interval == restart.offset:
            overflows = self.overflows
            self.start()
            self.overflows, values = overflows, self.values
        old = dict(values)
        if self.waits:
            there = np.any([a != 0 for a in arrived.values()], axis=0)
            values["started"] = np.maximum(old["started"], there)
        self._integrate_currents(arrived, old, step)
        v = self._integrate_membrane(arrived, old, step)
        v, blocked = self._refractory(old, v)
        v, fired, tested = self._fire(old, v, blocked, step)
        values["membrane"], self.fired = v, fired
        self._count_down(old, fired)
        factor = self._row("payload", None, step)
        values["payload"] = fired if factor is None else fired * factor
        if population.fires == "graded":
            values["payload"] = rounded(tested, population.payload_shift)

    def _integrate_currents(self, arrived, old, step):
        for number, current in enumerate(self.currents):
            name = CURRENTS[number]
            adds_first = self.arithmetic.order == "add-first"
            u = old[name] if adds_first else self._decayed(old[name], current.decay)
            u = u + self._entering(name, arrived, step)
            if current.chain is not None:
                before = self.values if current.chain.reads == "new" else old
                part = before[CURRENTS[number - 1]]
                u = u + scaled(part, current.chain.multiplier, self.arithmetic.decay_bits)
            u = self._kept(u + self._biases(name, step), self.registers[name])
            self.values[name] = self._decayed(u, current.decay) if adds_first else u

    def _integrate_membrane(self, arrived, old, step):
        before, register = old["membrane"], self.registers["membrane"]
        v = self._decayed(before, self.population.decay)
        if self.change is not None:
            v, register = v - before, self.change
        for name, current in zip(CURRENTS, self.currents, strict=False):
            read = self.values if current.reads == "new" else old
            v = v + current.into_membrane * read[name]
        if self.change is not None:
            v = self._kept(v, self.change)
        v = v + self._entering("membrane", arrived, step)
        v = self._kept(v + self._biases("membrane", step), register)
        if self.change is None:
            return v
        return self._kept(before + v, self.registers["membrane"])

    def _entering(self, name, arrived, step):
        total = arrived.get(name, np.int64(0))
        if self.accumulator is not None:
            total = self._kept(total, self.accumulator)
        for gain in self.population.gains:
            if gain.into == name:
                row = self._row("gain", name, step)
                total = rounded(total * (gain.multiplier if row is None else row), gain.shift)
        return total

    def _refractory(self, old, v):
        refractory = self.population.refractory
        if refractory is None:
            return v, np.zeros(self.size, bool)
        blocked = old["countdown"] > 0
        if refractory.during == "held":
            v = np.where(blocked, old["membrane"], v)
        if refractory.during == "clamped":
            v = np.where(blocked, self.population.reset.amount, v)
        return v, blocked

    def _fire(self, old, v, blocked, step):
        population = self.population
        reset, floor, window = population.reset, population.floor, population.window
        if reset.when == "next":
            v = self._kept(self._reset(v, self.fired), self.registers["membrane"])
        if floor is not None and floor.when == "before-test":
            v = np.maximum(v, floor.value)
        tested = v
        if reset.when == "retested":
            tested = self._reset(v, self._fires(old["membrane"], step))
        shut = window is not None and not window.first <= step < window.behind
        fired = np.where(blocked | shut, 0, self._fires(tested, step))
        if reset.when != "next":
            v = self._kept(self._reset(v, fired), self.registers["membrane"])
        if floor is not None and floor.when == "after-reset":
            v = np.maximum(v, floor.value)
        return v, fired, tested

    def _kept(self, value, register):
        kept, overflows = register.keep(np.broadcast_to(value, self.size))
        self.overflows += overflows
        return kept

    def _decayed(self, value, decay):
        if self.arithmetic.decay == "multiply":
            return scaled(value, decay, self.arithmetic.decay_bits)
        lost = value >> decay
        return value - np.where((lost == 0) & (value > 0), 1, lost)

    def _biases(self, name, step):
        total = self._full(0)
        for bias in self.population.biases:
            if bias.into == name and step >= bias.start:
                total += bias.value * (self.values["started"] if bias.waits else 1)
        row = self._row("bias", name, step)
        return total if row is None else total + row

    def _row(self, what, into, step):
        for table in self.population.tables:
            if (table.what, table.into) == (what, into):
                return row_of(table, step, self.period)
        return None

    def _fires(self, v, step):
        population = self.population
        if population.fires in ("never", "graded"):
            return np.zeros_like(v)
        row = self._row("threshold", None, step)
        threshold = population.threshold if row is None else row
        greater = population.compare == ">"
        above = (v > threshold if greater else v >= threshold).astype(np.int64)
        if population.fires == "binary":
            return above
        if population.fires == "ternary":
            row = self._row("lower", None, step)
            lower = population.lower if row is None else row
            return above - (v < lower if greater else v <= lower)
        if population.fires == "count":
            reached = v - 1 if greater else v
            return np.clip(reached // threshold, 0, population.max_spikes)
        times, left = np.divmod(v, threshold)
        up = (2 * left > threshold) | ((2 * left == threshold) & (times % 2 == 1))
        return np.clip(times + up, 0, population.max_spikes)

    def _reset(self, v, fired):
        reset = self.population.reset
        if reset.kind == "subtract":
            return v - fired * reset.amount
        if reset.kind == "value":
            return np.where(fired != 0, reset.amount, v)
        return v

    def _count_down(self, old, fired):
        refractory = self.population.refractory
        if refractory is None:
            return
        once = refractory.steps is None
        left = old["countdown"] if once else np.maximum(old["countdown"] - 1, 0)
        self.values["countdown"] = np.where(fired != 0, 1 if once else refractory.steps, left)
