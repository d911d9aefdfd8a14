"""Samples follow each other as the network says: fresh, or one after another with idle steps."""

import numpy as np
import pytest

from snn_deploy.ir.network import Between, Boundary
from snn_deploy.ir.presentation import present, windows
from snn_deploy.ir.trace import Values

INPUT = Values(name="in", values=np.arange(1, 13).reshape(3, 2, 2))


def test_fresh_samples_are_left_as_they_are():
    (shown,) = present(Boundary(), (INPUT,))
    assert np.array_equal(shown.values, INPUT.values)
    assert list(windows(Boundary(), 3, 2)) == [(0, 0), (1, 0), (2, 0)]


@pytest.mark.parametrize("idle", [0, 1, 3])
def test_a_continuous_run_is_one_long_sample_with_idle_steps_between(idle):
    boundary = Boundary(between=Between.CONTINUOUS, idle=idle)
    (shown,) = present(boundary, (INPUT,))
    assert shown.values.shape == (1, 3 * 2 + 2 * idle, 2)
    assert shown.values.sum() == INPUT.values.sum()
    for sample, (row, start) in enumerate(windows(boundary, 3, 2)):
        assert np.array_equal(shown.values[row, start : start + 2], INPUT.values[sample])
