"""The way of all states of a population through a run: step by step, then in leaps.

The first steps are taken one by one (`bound_step`). Then the walk leaps: the step is monotone, and
its ends never move further than those of the interval that it is given; so an interval that grows
by r in one step grows by at most L * r in L steps. Leaps of an eighth of the steps behind follow
leaks, second orders and all changes of pace, and end where nothing grows any more: such an
interval holds for ever. docs/design/0012 has the argument.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, fields, replace
from enum import Enum

import numpy as np

from snn_deploy.ir.arithmetic import Arithmetic, Decay, Register
from snn_deploy.ir.neuron import Reads, State
from snn_deploy.quantize.arrivals import FOREVER
from snn_deploy.quantize.bound_parts import NOTHING, Guard, Stepped, follows_to
from snn_deploy.quantize.bound_step import CurrentStep, MembraneStep, phases, taken_from
from snn_deploy.quantize.bounded import Numbers
from snn_deploy.quantize.conditions import Conditions, Schedule
from snn_deploy.quantize.intervals import Interval, Mask, Wholes, point

SINGLE = 64
"""Steps that are taken one by one."""

PACE = 8
"""A leap is this part of the steps behind."""

LONGEST_LEAP = 1 << 40

ROUNDS = 6
"""Times that a leap is widened for what it turns out to allow."""


class Helper(Enum):
    """A register that is no state of a neuron."""

    SUM = "sum"
    """Of the weights that arrive at one state in one step."""

    CHANGE = "change"
    """By how much the membrane moves, where the chip adds that up on its own."""


Limits = Mapping[State | Helper, tuple[int, int]]
"""Smallest and largest number that is in order, of each register."""


@dataclass(slots=True, kw_only=True)
class Walk:
    """The states of all different neurons, on their way through a run."""

    numbers: Numbers
    rules: Arithmetic
    registers: bool
    schedule: Schedule
    rows: int
    limits: Limits
    currents: dict[State, Interval] = field(default_factory=dict)
    membrane: Interval = field(init=False)
    fired: Mask = field(init=False)
    limit: int = field(init=False)
    spikes: Interval = field(default_factory=lambda: point(np.zeros(1, np.int64)))
    written: dict[State | Helper, Interval] = field(default_factory=dict)
    kept: dict[State, Interval] = field(default_factory=dict)
    within: dict[State | Helper, Wholes] = field(default_factory=dict)
    lost: Mask = field(init=False)
    _conditions: dict[int, Conditions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers, rows = self.numbers, self.rows

        def initial(value: Wholes, shape: tuple[int, ...]) -> Interval:
            return point(np.array(np.broadcast_to(value, shape)))

        self.limit = follows_to(self.rules, numbers)
        self.currents = {s.state: initial(s.initial, (rows,)) for s in numbers.synapses}
        self.membrane = initial(numbers.initial, (phases(numbers.population), rows))
        self.fired = np.zeros(rows, bool)
        self.lost = np.zeros(rows, bool)
        for state in (*self.currents, State.MEMBRANE):
            self.within[state] = np.full(rows, FOREVER)
            self.kept[state] = self._state(state).rows
        if self.rules.change is not None:
            self.within[Helper.CHANGE] = np.full(rows, FOREVER)

    def _state(self, state: State) -> Interval:
        return self.membrane if state is State.MEMBRANE else self.currents[state]

    def _register(self, state: State) -> Register | None:
        if not self.registers:
            return None
        return self.rules.membrane if state is State.MEMBRANE else self.rules.current

    def _limits(self, part: State | Helper) -> tuple[int, int]:
        """Return the smallest and largest number that is in order."""
        if part in self.limits:
            return self.limits[part]
        register = self.rules.membrane if part is State.MEMBRANE else self.rules.current
        if part is Helper.CHANGE and self.rules.change is not None:
            register = self.rules.change
        return register.low, register.high

    def run(self, steps: int | None) -> None:
        """Walk through `steps` steps, or until nothing changes any more."""
        restart = self.numbers.population.restart
        end = FOREVER if steps is None else steps
        if restart is not None and self.schedule.period == 1:
            end = min(end, restart.interval)
        changes = () if restart is not None else self.schedule.changes()
        cycle = 0 if restart is not None else self.schedule.cycle
        step, longest = 0, LONGEST_LEAP
        while step < end:
            ahead = bisect_right(changes, step)
            following = min(changes[ahead], end) if ahead < len(changes) else end
            length = 1
            if step >= SINGLE:
                length = min(max(1, step // PACE), longest, following - step)
            before, now = self._copied(), self._during(step, length, ahead)
            still = self._single(step, now) if length == 1 else self._leap(step, length, now)
            overflown = self._overflown() - before._overflown()
            if length > 1 and overflown:  # find the step in which it happens
                self._go_back(before)
                longest = length // 2
                continue
            longest = LONGEST_LEAP if overflown else min(2 * longest, LONGEST_LEAP)
            unchanged = still and np.array_equal(before.fired, self.fired) and length >= cycle
            step = following if unchanged else step + length  # nothing will happen before

    def _overflown(self) -> set[State | Helper]:
        """Return the registers that some neuron has left the limits of."""
        return {part for part, within in self.within.items() if within.min() < FOREVER}

    def _copied(self) -> "Walk":
        """Return the walk as it stands."""
        walk = copy(self)
        walk.kept, walk.written, walk.within = (
            dict(self.kept),
            dict(self.written),
            dict(self.within),
        )
        return walk

    def _go_back(self, walk: "Walk") -> None:
        """Stand where `walk` stood."""
        for entry in fields(self):
            setattr(self, entry.name, getattr(walk, entry.name))

    def _during(self, step: int, length: int, span: int) -> Conditions:
        """Return what acts from `step` on for `length` steps, within a span without changes.

        Of a population that restarts, what acts in any step: a restart may come before each.
        """
        if self.numbers.population.restart is not None:
            step, length = 0, FOREVER // 2
        elif self.schedule.cycle:
            return self.schedule.during(step, step + length)
        if span not in self._conditions:
            self._conditions[span] = self.schedule.during(step, step + length)
        return self._conditions[span]

    def written_to(self, part: State | Helper) -> Interval:
        """Return what a register was given; where there was no step, what its state is."""
        if part in self.written:
            return self.written[part]
        return self.kept[part] if isinstance(part, State) else point(np.zeros(1, np.int64))

    def _single(self, step: int, now: Conditions) -> bool:
        """Take one step; return whether it changed nothing."""
        olds, news = self.currents, dict[State, Interval]()
        for number, synaptic in enumerate(self.numbers.synapses):
            function = self._current_step(number, now, olds, news)
            stepped = function(olds[synaptic.state], NOTHING)
            news[synaptic.state] = stepped.kept
            self._note(step, synaptic.state, stepped)
        stepped = self._membrane_step(now, olds, news)(self.membrane, NOTHING)
        still = _equal(self.membrane, stepped.kept)
        still &= all(_equal(olds[state], news[state]) for state in news)
        self.currents, self.membrane = news, stepped.kept
        self._note(step, State.MEMBRANE, stepped)
        self._note_firing(step, now, stepped)
        return still

    def _leap(self, step: int, length: int, now: Conditions) -> bool:
        """Take `length` steps at once; return whether nothing grew."""
        fars: dict[State, Interval] = {}
        still = True
        for number, synaptic in enumerate(self.numbers.synapses):
            state = synaptic.state
            function = self._current_step(number, now, fars, fars)
            far = self._far(step, length, state, function, synaptic.decay)
            fars[state] = far.kept
            still &= _equal(far.kept, self.currents[state])
        membranes = self._membrane_step(now, fars, fars)
        far = self._far(step, length, State.MEMBRANE, membranes, self.numbers.decay)
        still &= _equal(far.kept, self.membrane)
        self.currents, self.membrane = fars, far.kept
        self._note_firing(step, now, far)
        return still

    def _current_step(
        self,
        number: int,
        now: Conditions,
        olds: Mapping[State, Interval],
        news: Mapping[State, Interval],
    ) -> CurrentStep:
        synaptic, before = self.numbers.synapses[number], None
        chain = self.numbers.population.currents[number].chain
        if chain is not None:
            read = news if chain.reads is Reads.NEW else olds
            before = read[self.numbers.synapses[number - 1].state]
        return CurrentStep(
            synaptic=synaptic,
            rules=self.rules,
            now=now,
            before=before,
            limit=self.limit,
            register=self._register(synaptic.state),
        )

    def _membrane_step(
        self, now: Conditions, olds: Mapping[State, Interval], news: Mapping[State, Interval]
    ) -> MembraneStep:
        return MembraneStep(
            numbers=self.numbers,
            rules=self.rules,
            now=now,
            currents=taken_from(self.numbers, olds, news),
            fired=self.fired,
            fell=self.spikes.low < 0,
            limit=self.limit,
            register=self._register(State.MEMBRANE),
            change=self.rules.change,
        )

    def _far(
        self,
        step: int,
        length: int,
        state: State,
        function: Callable[[Interval, Guard], Stepped],
        decay: Wholes,
    ) -> Stepped:
        """Return an interval that holds a state in each of the next `length` steps, and a step on.

        Moved by r at most in one step, before the last one the interval has moved by
        (length - 1) * r at most, if nothing may happen on the way that the guard lacks.
        """
        old, guard = self._state(state), NOTHING
        multiplies = self.rules.decay is Decay.MULTIPLY
        twisted = (decay < 0) & multiplies
        for turn in range(ROUNDS):
            once = function(old, guard)
            down, up = _risen(old, once.kept, twisted)
            moved = _moved(old, down, up, length - 1, self.limit)
            last = self._within_reach(moved, old, once, state)
            end = function(last, guard)
            missing = end.guard.beyond(guard)
            if not missing.any():
                break
            guard = guard.joined(end.guard)
            if turn >= ROUNDS // 2 and state is State.MEMBRANE:
                most = np.where(missing, self.numbers.population.max_spikes, guard.spikes)
                guard = replace(guard, spikes=most)
        wild = (np.abs(decay) > 1 << self.rules.decay_bits) & multiplies
        lost = once.lost | end.lost | missing | wild
        far = replace(end, kept=last.hull(end.kept), lost=lost)
        self._note(step, state, far)
        return far

    def _within_reach(self, far: Interval, old: Interval, once: Stepped, state: State) -> Interval:
        """Return `far` without what can be neither followed nor kept."""
        register = self._register(state)
        if register is None:
            return far.clipped(-self.limit, self.limit)
        widest = old.hull(once.kept)
        return far.clipped(
            np.minimum(widest.low, register.low), np.maximum(widest.high, register.high)
        )

    def _note(self, step: int, state: State, stepped: Stepped) -> None:
        """Remember what a state was, and whether a register left its limits."""
        self.lost = self.lost | stepped.lost
        self.kept[state] = self.kept[state].hull(stepped.kept.rows)
        self._watch(step, state, stepped.written)
        if stepped.changed is not None:
            self._watch(step, Helper.CHANGE, stepped.changed)

    def _watch(self, step: int, part: State | Helper, written: Interval) -> None:
        """Remember what a register was given, and until when it was in order."""
        self.written[part] = written.hull(self.written.get(part, written))
        low, high = self._limits(part)
        wrong = (written.low < low) | (written.high > high)
        if wrong.any():
            before = self.within[part]
            self.within[part] = np.where(wrong, np.minimum(before, step), before)

    def _note_firing(self, step: int, now: Conditions, stepped: Stepped) -> None:
        """Remember what was sent, and what arrives that is too large."""
        self.lost = self.lost | now.lost
        self.spikes = self.spikes.hull(stepped.spikes)
        self.fired = self.fired | (stepped.spikes.high > 0) | (stepped.spikes.low < 0)


def _equal(first: Interval, second: Interval) -> bool:
    return np.array_equal(first.low, second.low) and np.array_equal(first.high, second.high)


def _risen(old: Interval, new: Interval, twisted: Mask) -> tuple[Wholes, Wholes]:
    """Return how far the ends move outward in one step, the most of all phases: [row].

    Where a decay turns signs round, either end may move as far as the other.
    """
    down = np.maximum(old.low - new.low, 0)
    up = np.maximum(new.high - old.high, 0)
    if down.ndim == 2:
        down, up = down.max(axis=0), up.max(axis=0)
    both = np.maximum(down, up)
    return np.where(twisted, both, down), np.where(twisted, both, up)


def _moved(old: Interval, down: Wholes, up: Wholes, length: int, limit: int) -> Interval:
    """Return `old` with its ends moved outward `length` times, beyond `limit` somewhere."""
    most = limit // max(length, 1) + 1
    return Interval(
        old.low - np.minimum(down, most) * length, old.high + np.minimum(up, most) * length
    )
