"""Decay parameters and the factors that they stand for, for every rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.ir.arithmetic import Arithmetic, Decay, Overflow, Register

WIDE = Register(bits=32, overflow=Overflow.SATURATE_FULL)
RULES = {rule: Arithmetic(current=WIDE, membrane=WIDE, decay_bits=12, decay=rule) for rule in Decay}
ENDS = {Decay.MULTIPLY: (0, 4096), Decay.SHIFT: (1, 15)}
"""Smallest and largest parameter."""


@pytest.mark.parametrize("rule", Decay)
def test_the_parameter_nearest_to_a_factor_that_a_chip_has_is_its_own(rule: Decay) -> None:
    chip, (low, high) = RULES[rule], ENDS[rule]
    every = np.arange(low, high + 1)
    np.testing.assert_array_equal(chip.nearest(chip.factors(every), low, high), every)


@pytest.mark.parametrize(
    ("rule", "factor", "parameter"),
    [
        (Decay.MULTIPLY, 0.0, 0),
        (Decay.MULTIPLY, 1.0, 4096),
        (Decay.MULTIPLY, 0.5 + 2**-13, 2048),  # half to even
        (Decay.SHIFT, 0.0, 1),
        (Decay.SHIFT, 1.0, 15),
        (Decay.SHIFT, 0.75, 2),
        (Decay.SHIFT, float(np.exp(-1 / 20)), 4),  # tau of 20 steps: 15.5 is nearer than 31.5
        (Decay.SHIFT, float(np.exp(-1 / 24)), 5),
    ],
)
def test_the_ends_and_the_middle_of_each_rule(rule: Decay, factor: float, parameter: int) -> None:
    assert RULES[rule].nearest(np.asarray(factor), *ENDS[rule]) == parameter


@given(st.integers(-(2**30), 2**30), st.integers(1, 15))
def test_a_shift_moves_a_state_toward_zero_by_about_its_share(state: int, shift: int) -> None:
    left = int(RULES[Decay.SHIFT].decayed(np.array([state]), np.asarray(shift))[0])
    assert abs(left - state * (1 - 2.0**-shift)) <= 1
    assert abs(left) < abs(state) or state == 0


@given(st.integers(-(2**30), 2**30), st.integers(0, 4096))
def test_a_multiplier_rounds_toward_zero(state: int, multiplier: int) -> None:
    left = int(RULES[Decay.MULTIPLY].decayed(np.array([state]), np.asarray(multiplier))[0])
    exact = state * multiplier / 4096
    assert 0 <= abs(exact) - abs(left) < 1


def test_a_factor_is_written_as_it_is_stored() -> None:
    assert RULES[Decay.MULTIPLY].factor_text(4000) == "4000/4096"
    assert RULES[Decay.SHIFT].factor_text(4) == "1 - 2**-4"
