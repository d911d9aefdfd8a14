"""The parts of the range proof, each against a loop over the numbers that it speaks of."""

import itertools

import numpy as np
import pytest

from snn_deploy.ir.arithmetic import Arithmetic, Decay, Overflow, Register, rounded
from snn_deploy.quantize.bound_parts import Guard
from snn_deploy.quantize.conditions import twice_wrapped
from snn_deploy.quantize.intervals import Interval, decayed, gained, held, outside, point

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
