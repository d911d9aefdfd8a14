"""Arrays inside networks and programs cannot be changed, and are as they were given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snn_deploy.ir.arrays import REAL, WHOLE, fits, frozen
from snn_deploy.ir.findings import Finding, Kind

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, max_side=3)


@given(SHAPES.flatmap(lambda shape: arrays.arrays(np.int32, shape)), st.booleans(), st.booleans())
def test_a_frozen_array_is_a_copy_that_nobody_can_write_to(values, real, turned):
    given_values = values.T if turned else values
    dtype = REAL if real else WHOLE
    kept = frozen(given_values, dtype)
    np.testing.assert_array_equal(kept, given_values)
    assert kept.dtype == dtype
    assert kept.flags.c_contiguous
    assert not kept.flags.writeable
    assert not np.shares_memory(kept, values)
    assert frozen(kept, dtype) is kept  # as often as a pass makes a new population of it


def test_a_read_only_array_of_another_kind_or_order_is_copied():
    wide = np.arange(6.0).reshape(2, 3)
    wide.flags.writeable = False
    assert frozen(wide, REAL) is wide
    assert frozen(wide, WHOLE).dtype == WHOLE
    assert frozen(wide.T, REAL).flags.c_contiguous


@pytest.mark.parametrize("values", [[0.5], [2**31], [-(2**31) - 1], [np.nan]])
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_what_is_no_whole_number_of_32_bits_is_not_frozen_as_one(values):
    with pytest.raises(ValueError, match=r"^not every value is a whole number that fits int32$"):
        frozen(np.asarray(values), WHOLE)


@pytest.mark.parametrize(
    ("parameter", "answer"),
    [
        ((), True),
        ((3, 1, 1), True),
        ((3, 2, 2), True),
        ((2,), True),
        ((3,), False),
        ((4, 3, 2, 2), False),
    ],
)
def test_a_parameter_fits_where_it_broadcasts_to_the_shape_and_to_no_other(parameter, answer):
    assert fits(np.ones(parameter), (3, 2, 2)) is answer


def test_a_finding_without_a_layer_is_one_of_the_network():
    parts = {"kind": Kind.UNPROVEN, "amount": "2 bits", "reason": "no data"}
    assert str(Finding(layer="", **parts)) == "unproven   (network): 2 bits; no data"
    assert str(Finding(layer="fc1", **parts)) == "unproven   fc1: 2 bits; no data"
