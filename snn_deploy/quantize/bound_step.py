"""One step of all neurons at once: from intervals of their states to intervals a step later.

The step is that of `ir/program.py`, line by line, with an interval in place of every number, so
its result holds every state that a simulator can reach. Where a spike decides what happens, the
membranes below the threshold and those above it go on separately.

Each function also takes a `Guard`: what may happen although the given interval is too small for
it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from snn_deploy.ir.arithmetic import Arithmetic, Order, Register, Sums
from snn_deploy.ir.neuron import During, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.program import Population
from snn_deploy.quantize.bound_firing import Test, left_behind, pieces
from snn_deploy.quantize.bound_parts import NO, NOTHING, Guard, Stepped, Written
from snn_deploy.quantize.bounded import Numbers, Synaptic
from snn_deploy.quantize.conditions import Conditions
from snn_deploy.quantize.intervals import Interval, Mask, decayed, point, scaled_by


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
        if late and not self._leaves_alone:
            v, seen = self._reset_late(old, write.state(v), guard, write)
        v = self._lifted(v, FloorWhen.BEFORE_TEST)

        again = self._again(old, guard)
        shift = np.where(again, self.numbers.amount, 0)
        test = Test(self.numbers, now.threshold, now.lower, shift)
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

    @property
    def _leaves_alone(self) -> bool:
        """Whether a spike changes nothing: a guard on spikes would only lift what they leave."""
        population = self.numbers.population
        return population.reset.kind is ResetKind.NONE and population.refractory is None

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
        test = Test(self.numbers, self.now.threshold, self.now.lower)
        return guard.again | np.any(test.most(old.high) > 0, axis=0)

    def _reset_late(
        self, old: Interval, v: Interval, guard: Guard, write: "_Membranes"
    ) -> tuple[Interval, Guard]:
        """Return the membranes after the reset by the last step's spikes.

        Refractory neurons that sent them are in the last phase, others are those above the
        threshold.
        """
        population = self.numbers.population
        test = Test(self.numbers, self.now.threshold_before, self.now.lower_before)
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
        for count, piece, sends in pieces(sent, test, replace(may, over=whole)):
            there = sends & fired
            stacked = old.replaced(phase, self._since_lifted(piece).where(there, sent))
            after = self._integrated(stacked, write).phase(phase)
            other = v.phase(phase) if reset is None else reset
            lowered = write.state(left_behind(self.numbers, after, count).where(there, other))
            reset = lowered if reset is None else reset.hull(lowered)
        assert reset is not None
        return v.replaced(phase, reset), may

    def _since_lifted(self, v: Interval) -> Interval:
        """Return membranes that were tested as `v`: a floor may have lifted them since."""
        return v.hull(self._lifted(v, FloorWhen.AFTER_RESET))

    def _parted(
        self, v: Interval, test: Test, may: Guard, write: "_Membranes"
    ) -> tuple[Interval, Interval]:
        """Return the membranes that send nothing, and what those that do leave behind."""
        if self._leaves_alone:
            return v, v
        quiet = v if self.now.may_not else test.quiet(v).where(may.fires, v)
        sent: Interval | None = None
        late = self.numbers.population.reset.when is When.NEXT
        for count, piece, there in pieces(v, test, may):
            left = piece if late else left_behind(self.numbers, piece, count)
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


def taken_from(
    numbers: Numbers, olds: Mapping[State, Interval], news: Mapping[State, Interval]
) -> Interval:
    """Return what the membranes take from the synaptic currents, each as they read it."""
    total = point(np.zeros(1, np.int64))
    for current, synaptic in zip(numbers.population.currents, numbers.synapses, strict=True):
        read = news if current.reads is Reads.NEW else olds
        total = total + read[synaptic.state].times(current.into_membrane)
    return total
