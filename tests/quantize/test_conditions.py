"""The parts of the range proof, each against a loop over the numbers that it speaks of."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.ir.arithmetic import Arithmetic, Decay, Overflow, Register, rounded
from snn_deploy.ir.neuron import State, Tabled
from snn_deploy.ir.program import Bias, Population
from snn_deploy.ir.timing import Table, Window
from snn_deploy.quantize.bound_parts import Guard, follows_to
from snn_deploy.quantize.bounded import numbers_of
from snn_deploy.quantize.conditions import Schedule, twice_wrapped
from snn_deploy.quantize.intervals import LARGEST, Interval, decayed, gained, held, outside, point

ONCE = Register(bits=4, overflow=Overflow.WRAP_ONCE)


def test_a_register_that_wraps_once_keeps_what_one_wrap_brings_back():
    values = np.arange(-50, 51)
    kept = ONCE.held(values)
    lost = (kept <= -ONCE.high) | (kept > ONCE.high)
    assert lost.any()
    np.testing.assert_array_equal(twice_wrapped(point(values), ONCE.overflow, ONCE.high), lost)
    assert twice_wrapped(Interval(values[:1], values[-1:]), ONCE.overflow, ONCE.high).all()


@pytest.mark.parametrize("overflow", [o for o in Overflow if o is not Overflow.WRAP_ONCE])
def test_no_other_register_wraps_twice(overflow):
    assert not twice_wrapped(point(np.arange(-50, 51)), overflow, 8).any()


ENDS = np.array([(low, high) for low in range(-14, 15) for high in range(low, 15)])
INTERVALS = Interval(ENDS[:, 0], ENDS[:, 1])


def inside(index):
    return np.arange(ENDS[index, 0], ENDS[index, 1] + 1)


@pytest.mark.parametrize("overflow", Overflow)
def test_a_register_holds_an_interval_as_it_holds_each_number_of_it(overflow):
    register = Register(bits=4, overflow=overflow)
    over = outside(INTERVALS, register)
    kept = held(INTERVALS, register, over)
    for index in range(len(ENDS)):
        found = register.held(inside(index))
        lost = not (register.low <= ENDS[index, 0] and ENDS[index, 1] <= register.high)
        assert over[index] == lost
        assert kept.low[index] <= found.min() <= found.max() <= kept.high[index]
        if not lost:
            assert (kept.low[index], kept.high[index]) == tuple(ENDS[index])


@pytest.mark.parametrize("decay", Decay)
@pytest.mark.parametrize("parameter", [-5, 0, 1, 3, 4, 6])
def test_a_decayed_interval_ends_where_its_decayed_numbers_do(decay, parameter):
    wide = Register(bits=32, overflow=Overflow.SATURATE_FULL)
    rules = Arithmetic(current=wide, membrane=wide, decay_bits=2, decay=decay)
    factor = np.asarray(abs(parameter) if decay is Decay.SHIFT else parameter)
    kept = decayed(INTERVALS, factor, rules)
    for index in range(len(ENDS)):
        found = rules.decayed(inside(index), factor)
        assert (kept.low[index], kept.high[index]) == (found.min(), found.max())


@pytest.mark.parametrize("shift", [0, 1, 3])
@pytest.mark.parametrize("ends", [(-3, -1), (-2, 5), (0, 4), (3, 3)])
def test_a_gained_interval_ends_where_its_gained_numbers_do(shift, ends):
    kept = gained(INTERVALS, Interval(*(np.asarray([end]) for end in ends)), shift)
    factors = np.arange(ends[0], ends[1] + 1)
    for index in range(len(ENDS)):
        found = rounded(np.multiply.outer(factors, inside(index)), shift)
        assert (kept.low[index], kept.high[index]) == (found.min(), found.max())


@pytest.mark.parametrize("factor", [-1, 0, 1])
def test_an_interval_times_a_sign_ends_where_its_numbers_do(factor):
    kept = INTERVALS.times(factor)
    for index in range(len(ENDS)):
        found = inside(index) * factor
        assert (kept.low[index], kept.high[index]) == (found.min(), found.max())


def test_intervals_are_joined_moved_and_cut_as_their_numbers_are():
    other = Interval(ENDS[::-1, 0] // 2, ENDS[::-1, 1] // 2)
    both, cut, lifted = INTERVALS.hull(other), INTERVALS.clipped(-3, 5), INTERVALS.at_least(2)
    total, less = INTERVALS + other, INTERVALS - 4
    for index in range(len(ENDS)):
        own, beside = inside(index), np.arange(other.low[index], other.high[index] + 1)
        for found, wanted in (
            (both, np.concatenate([own, beside])),
            (cut, np.clip(own, -3, 5)),
            (lifted, np.maximum(own, 2)),
            (total, np.add.outer(own, beside)),
            (less, own - 4),
        ):
            assert (found.low[index], found.high[index]) == (wanted.min(), wanted.max())


def guards():
    """Return every combination of what may happen, one in each row."""
    flags = np.array(list(itertools.product([False, True], repeat=4)))
    flags, spikes = np.repeat(flags, 3, axis=0), np.tile([0, 1, 2], 16)
    over, changes, down, again = flags.T
    return Guard(over, changes, spikes, down, again)


def test_a_guard_lacks_what_joining_it_would_add():
    every = guards()
    for row in range(48):
        one = Guard(*(np.broadcast_to(value[row], (48,)) for value in vars_of(every)))
        joined = one.joined(every)
        added = np.zeros(48, bool)
        for before, after, other in zip(vars_of(one), vars_of(joined), vars_of(every), strict=True):
            np.testing.assert_array_equal(after, np.maximum(before, other))
            added |= after != before
        np.testing.assert_array_equal(every.beyond(one), added)
        np.testing.assert_array_equal(joined.fires, (joined.spikes > 0) | joined.down)


def vars_of(guard):
    return guard.over, guard.changes, guard.spikes, guard.down, guard.again


RULES = Arithmetic(
    current=Register(bits=24, overflow=Overflow.SATURATE_FULL),
    membrane=Register(bits=24, overflow=Overflow.SATURATE_FULL),
    decay_bits=12,
)


def whole(value):
    return np.asarray(value, np.int32)


def drawn_population(rng):
    """Return neurons with a bias, a window and tables, each in or before or behind the run."""

    def table(what, into=None):
        rows = rng.integers(-9, 10, (int(rng.integers(1, 5)), 1))
        start, repeats = int(rng.integers(0, 12)), bool(rng.integers(2))
        return Table(what=what, rows=whole(rows), into=into, start=start, repeats=repeats)

    first = int(rng.integers(0, 12))
    return Population(
        name="l",
        shape=(1,),
        decay=whole(4096),
        threshold=whole(rng.integers(-9, 10)),
        lower=whole(-20),
        lag=int(rng.integers(0, 5)),
        biases=(Bias(value=whole(rng.integers(-9, 10)), start=int(rng.integers(0, 12))),),
        window=Window(first=first, behind=first + int(rng.integers(0, 12))),
        tables=(table(Tabled.THRESHOLD), table(Tabled.BIAS, State.MEMBRANE)),
    )


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_what_acts_in_a_span_of_steps_is_what_acts_in_each_of_them(seed):
    rng = np.random.default_rng(seed)
    population, period = drawn_population(rng), int(rng.integers(1, 4))
    schedule = Schedule(numbers=numbers_of(population, ()), rules=RULES, period=period)
    first = int(rng.integers(0, 10))
    behind = first + int(rng.integers(1, 8))
    found = schedule.during(first, behind)
    thresholds, tabled = population.tables
    steps = [population.lag + own * period for own in range(first, behind)]

    def threshold(step):
        row = thresholds.at(step, period)
        return int(population.threshold if row is None else row[0])

    def bias(step):
        row = tabled.at(step, period)
        acts = step >= population.biases[0].start
        return int(population.biases[0].value) * acts, 0 if row is None else int(row[0])

    wanted = [threshold(step) for step in steps]
    assert (found.threshold.low.min(), found.threshold.high.max()) == (min(wanted), max(wanted))
    before = [threshold(step - period) for step in steps if step > population.lag]
    if before and len(before) == len(steps):
        ends = found.threshold_before.low.min(), found.threshold_before.high.max()
        assert ends == (min(before), max(before))
    parts = list(zip(*(bias(step) for step in steps), strict=True))
    low, high = (sum(end(part) for part in parts) for end in (min, max))
    interval = found.biases.get(State.MEMBRANE, point(np.zeros(1, np.int64)))
    assert (interval.low.min(), interval.high.max()) == (low, high)
    inside = [step in population.window for step in steps]
    assert (found.may_fire, found.may_not) == (any(inside), not all(inside))


@pytest.mark.parametrize("decay", [0, 1, 4095, 4096, 8191, 8192, -8192])
def test_the_largest_state_that_is_followed_times_any_multiplier_stays_within_the_room(decay):
    register = Register(bits=24, overflow=Overflow.SATURATE)
    rules = Arithmetic(current=register, membrane=register, decay_bits=12)
    population = Population(name="l", shape=(1,), decay=np.array(decay, np.int32))
    largest = follows_to(rules, numbers_of(population, ()))
    widest = max(abs(decay), 4096)
    assert largest * widest < LARGEST <= 4 * largest * widest
