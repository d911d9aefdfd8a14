"""The parts of the range proof, each against a loop over the numbers that it speaks of."""

import numpy as np
import pytest

from snn_deploy.ir.arithmetic import Overflow, Register
from snn_deploy.quantize.conditions import twice_wrapped
from snn_deploy.quantize.intervals import Interval, point

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
