"""One step of all neurons at once: from intervals of their states to intervals a step later.

The step is that of `ir/program.py`, line by line, with an interval in place of every number, so
its result holds every state that a simulator can reach. Where a spike decides what happens, the
membranes below the threshold and those above it go on separately.

Each function also takes a `Guard`: what may happen although the given interval is too small for
it. With the guard held fixed, the ends of the result follow the ends of the interval: they never
move the other way, and never by more. The leaps of `bounds` rest on that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from snn_deploy.ir.arithmetic import Arithmetic, Order, Register, Sums
from snn_deploy.ir.neuron import (
    Compare,
    During,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    When,
)
from snn_deploy.ir.program import Population
from snn_deploy.quantize.bounded import Numbers, Synaptic
from snn_deploy.quantize.conditions import Conditions, twice_wrapped
from snn_deploy.quantize.intervals import (
    LARGEST,
    Interval,
    Mask,
    Wholes,
    decayed,
    held,
    outside,
    point,
    scaled_by,
)

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


def _entered(
    value: Interval, state: State, now: Conditions, rules: Arithmetic, write: Written | None
) -> Interval:
    """Return a state after all that arrives at it, one by one where the chip adds them so."""
    arriving = now.arriving.get(state)
    if arriving is None:
        return value
    value = value + arriving
    return value if write is None or rules.sums is Sums.TOGETHER else write(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentStep:
    """The step of one synaptic current under some conditions, as a function of where it was."""

    synaptic: Synaptic
    rules: Arithmetic
    now: Conditions
    before: Interval | None
    """The current that it is chained to, as it reads that."""

    limit: int
    register: Register | None

    def __call__(self, old: Interval, guard: Guard) -> Stepped:
        """Return the current a step after `old`: [row]."""
        synaptic, rules = self.synaptic, self.rules
        write = Written(self.register, self.limit, guard.over)
        value = old
        if rules.order is Order.DECAY_FIRST:
            value = decayed(value, synaptic.decay, rules)
        value = _entered(value, synaptic.state, self.now, rules, write)
        if self.before is not None and synaptic.chain is not None:
            value = value + scaled_by(self.before, synaptic.chain, rules.decay_bits)
        if synaptic.state in self.now.biases:
            value = value + self.now.biases[synaptic.state]
        value = write(value)
        if rules.order is Order.ADD_FIRST:
            value = decayed(value, synaptic.decay, rules)
        return Stepped(
            kept=value,
            written=write.given(value),
            changed=None,
            spikes=point(NOTHING.spikes),
            guard=replace(NOTHING, over=write.over),
            lost=write.lost,
        )


@dataclass(frozen=True, slots=True)
class _Test:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MembraneStep:
    """The step of the membranes under some conditions, as a function of where they were.

    Intervals are [phase, row]. Phase 0 holds the neurons that may fire, and is the only one but
    for refractory neurons (`phases`).
    """

    numbers: Numbers
    rules: Arithmetic
    now: Conditions
    currents: Interval
    """What they take from the synaptic currents."""

    fired: Mask
    """Where a spike may lie behind."""

    fell: Mask
    """Where a spike of -1 may; a floor may since have lifted the membrane that sent it."""

    limit: int
    register: Register | None
    change: Register | None

    def __call__(self, old: Interval, guard: Guard) -> Stepped:
        """Return the membranes a step after `old`."""
        population, now = self.numbers.population, self.now
        write = _Membranes(
            Written(self.register, self.limit, guard.over),
            None if self.change is None else Written(self.change, self.limit, guard.changes),
        )
        late = population.reset.when is When.NEXT
        v = self._integrated(old, write)
        seen = NOTHING
        if late:
            v, seen = self._reset_late(old, write.state(v), guard, write)
        v = self._lifted(v, FloorWhen.BEFORE_TEST)

        again = self._again(old, guard)
        shift = np.where(again, self.numbers.amount, 0)
        test = _Test(self.numbers, now.threshold, now.lower, shift)
        free = v.phase(0)
        spikes = np.maximum(test.most(free.high), guard.spikes) if now.may_fire else NOTHING.spikes
        down = test.down(free.low) | guard.down if now.may_fire else NO
        may = replace(NOTHING, spikes=spikes, down=down)
        quiet, sent = self._parted(free, test, may, write)
        if not late:  # a floor, or the value of a clamp, may lie beyond the register
            v, quiet = write.state(v), write.state(quiet)
        v = self._next_phases(old, v, quiet, sent, (spikes > 0) | down)
        v = self._lifted(v, FloorWhen.AFTER_RESET)
        changed = write.change
        over, changes = write.state.over, NO if changed is None else changed.over
        return Stepped(
            kept=v,
            written=write.state.given(v),
            changed=None if changed is None else changed.all,
            spikes=Interval(-np.where(down, 1, 0), spikes),
            guard=seen.joined(Guard(over, changes, spikes, down, again)),
            lost=write.state.lost if changed is None else write.state.lost | changed.lost,
        )

    def _lifted(self, v: Interval, when: FloorWhen) -> Interval:
        """Return the membranes above the floor, if it acts at this place of the step."""
        floor, rule = self.numbers.floor, self.numbers.population.floor
        if floor is None or rule is None or rule.when is not when:
            return v
        return v.at_least(floor)

    def _integrated(self, old: Interval, write: "_Membranes") -> Interval:
        """Return the membranes after leak and input; refractory ones may stay as they are."""
        refractory = self.numbers.population.refractory
        kept = decayed(old, self.numbers.decay, self.rules)
        if write.change is None:
            v = self._moved(kept + self.currents, write.state)
        else:  # what a leak takes grows with the membrane, so its ends change places
            lost = Interval(kept.high - old.high, kept.low - old.low)
            self._moved(write.change(lost + self.currents), write.change)
            v = self._moved(kept + self.currents, None)
            change = Interval(*(np.full(1, end) for end in write.change.ends))
            v = write.state((old + change).where(write.change.over, v))
        if refractory is not None and refractory.during is During.HELD:
            return v.phase(0).before(old.behind(1))
        if refractory is not None and refractory.during is During.CLAMPED:
            return v.phase(0).before(point(np.broadcast_to(self.numbers.amount, v.low[1:].shape)))
        return v

    def _moved(self, value: Interval, write: Written | None) -> Interval:
        """Return the membranes, or their change, after all that arrives at them and biases."""
        value = _entered(value, State.MEMBRANE, self.now, self.rules, write)
        if State.MEMBRANE in self.now.biases:
            value = value + self.now.biases[State.MEMBRANE]
        return value if write is None else write(value)

    def _again(self, old: Interval, guard: Guard) -> Mask:
        """Return where the membrane of the step before may lie above the threshold of this one."""
        if self.numbers.population.reset.when is not When.RETESTED:
            return NO
        test = _Test(self.numbers, self.now.threshold, self.now.lower)
        return guard.again | np.any(test.most(old.high) > 0, axis=0)

    def _reset_late(
        self, old: Interval, v: Interval, guard: Guard, write: "_Membranes"
    ) -> tuple[Interval, Guard]:
        """Return the membranes after the reset by the last step's spikes.

        Refractory neurons that sent them are in the last phase, others are those above the
        threshold.
        """
        population = self.numbers.population
        test = _Test(self.numbers, self.now.threshold_before, self.now.lower_before)
        phase = len(old.low) - 1
        sent = old.phase(phase)
        spikes = np.maximum(test.most(sent.high), guard.spikes)
        down = test.down(sent.low) | guard.down | self.fell
        fired, may = self.fired | guard.fires, replace(NOTHING, spikes=spikes, down=down)
        if phase:
            kept = v.phase(phase) if _collapsed(population) else None
        elif population.window is not None:
            kept = v.phase(0)
        else:
            quiet = self._integrated(self._since_lifted(test.quiet(old)), write).phase(0)
            kept = quiet.where(fired, v.phase(0))
        whole = write.state.over  # where numbers are clipped, spikes and membranes go apart
        reset = kept
        for count, piece, sends in _pieces(sent, test, replace(may, over=whole)):
            there = sends & fired
            stacked = old.replaced(phase, self._since_lifted(piece).where(there, sent))
            after = self._integrated(stacked, write).phase(phase)
            other = v.phase(phase) if reset is None else reset
            lowered = write.state(_lowered(self.numbers, after, count).where(there, other))
            reset = lowered if reset is None else reset.hull(lowered)
        assert reset is not None
        return v.replaced(phase, reset), may

    def _since_lifted(self, v: Interval) -> Interval:
        """Return membranes that were tested as `v`: a floor may have lifted them since."""
        return v.hull(self._lifted(v, FloorWhen.AFTER_RESET))

    def _parted(
        self, v: Interval, test: _Test, may: Guard, write: "_Membranes"
    ) -> tuple[Interval, Interval]:
        """Return the membranes that send nothing, and what those that do leave behind."""
        quiet = v if self.now.may_not else test.quiet(v).where(may.fires, v)
        sent: Interval | None = None
        late = self.numbers.population.reset.when is When.NEXT
        for count, piece, there in _pieces(v, test, may):
            left = piece if late else _lowered(self.numbers, piece, count)
            left = left.where(there, quiet)
            if not late:
                left = write.state(left)
            sent = left if sent is None else sent.hull(left)
        return quiet, quiet if sent is None else sent

    def _next_phases(
        self, old: Interval, v: Interval, quiet: Interval, sent: Interval, fires: Mask
    ) -> Interval:
        """Return the phases behind the test: who sent becomes refractory, who was long enough not.

        Phase c has c steps to go; where phases are told apart no further, phase 1 has any number.
        """
        population = self.numbers.population
        if population.refractory is None:
            return quiet.hull(sent).where(fires, quiet).stacked
        if _collapsed(population):
            blocked = v.phase(1)
            after = blocked.hull(sent).where(fires, blocked)
            latched = population.refractory.steps is None
            return (quiet if latched else quiet.hull(after)).before(after.stacked)
        freed = quiet.hull(v.phase(1))
        last = sent.where(fires, old.phase(len(old.low) - 1))
        return freed.before(v.behind(2)).followed(last)


@dataclass(frozen=True, slots=True)
class _Membranes:
    """The registers that a membrane's step writes to."""

    state: Written
    change: Written | None


LONGEST_CHAIN = 64
"""Refractory steps that are told apart."""


def phases(population: Population) -> int:
    """Return how many phases the membranes of a population have.

    Neurons whose membrane goes on while they are refractory are told apart by the steps that they
    still have to wait; others stay where they are all the while.
    """
    refractory = population.refractory
    if refractory is None:
        return 1
    return 2 if _collapsed(population) else 1 + (refractory.steps or 0)


def _collapsed(population: Population) -> bool:
    refractory = population.refractory
    if refractory is None:
        return False
    long = refractory.steps is None or refractory.steps > LONGEST_CHAIN
    return long or refractory.during is not During.INTEGRATES


def _pieces(v: Interval, test: _Test, may: Guard) -> Iterator[tuple[Wholes, Interval, Mask]]:
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


def _lowered(numbers: Numbers, v: Interval, count: Wholes) -> Interval:
    """Return membranes after the reset by `count` spikes."""
    reset = numbers.population.reset
    if reset.kind is ResetKind.SUBTRACT:
        return v - count * numbers.amount
    if reset.kind is ResetKind.VALUE:
        return point(np.broadcast_to(numbers.amount, v.low.shape))
    return v


def taken_from(
    numbers: Numbers, olds: Mapping[State, Interval], news: Mapping[State, Interval]
) -> Interval:
    """Return what the membranes take from the synaptic currents, each as they read it."""
    total = point(np.zeros(1, np.int64))
    for current, synaptic in zip(numbers.population.currents, numbers.synapses, strict=True):
        read = news if current.reads is Reads.NEW else olds
        total = total + read[synaptic.state].times(current.into_membrane)
    return total
