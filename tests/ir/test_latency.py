"""The latency code by hand, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snn_deploy.errors import DataError
from snn_deploy.ir.codecs import decode
from snn_deploy.ir.latency import encode_latency, exponential_levels, linear_levels
from snn_deploy.ir.neuron import Decode, State
from snn_deploy.ir.trace import PopulationTrace
from snn_deploy.ir.weighting import Weighting

VALUES = arrays.arrays(np.float64, (3, 4), elements=st.floats(0, 1))
CODES = st.one_of(
    st.integers(1, 20).map(linear_levels),
    st.builds(exponential_levels, st.integers(1, 20), st.floats(0.5, 8), st.floats(-1, 1)),
)


def test_the_linear_code_sends_a_value_in_step_one_minus_value_times_steps():
    spikes = encode_latency(np.array([[1.0, 0.75, 0.5, 0.3, 0.25, 0.2, 0.0]]), linear_levels(4))
    assert spikes[0].T.tolist() == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    assert spikes.dtype == np.uint8


def test_the_exponential_code_falls_by_e_in_tau_steps_and_is_1_at_its_shift():
    levels = exponential_levels(9, tau=4.0, shift=2.0)
    assert levels[2] == 1
    assert levels[8] / levels[4] == pytest.approx(np.exp(-1))


def test_steps_behind_the_code_are_silent():
    spikes = encode_latency(np.array([[1.0, 0.5]]), linear_levels(2), steps=5)
    assert spikes[0].tolist() == [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0]]


@given(VALUES, CODES)
def test_a_value_sends_one_spike_where_it_reaches_a_level_and_else_none(values, levels):
    sent = encode_latency(values, levels).sum(axis=1)
    assert np.array_equal(sent, values >= levels[-1])


@given(VALUES, CODES)
def test_a_spike_stands_for_the_largest_level_that_the_value_reaches(values, levels):
    spikes = encode_latency(values, levels)
    reached = levels[:, None] * (values[:, None] >= levels[:, None])
    assert np.array_equal((spikes * levels[:, None]).sum(axis=1), reached.max(axis=1))


def test_the_spike_time_decoder_reads_the_code_back():
    levels = linear_levels(16)
    values = np.array([[0.9375, 0.5, 0.1, 0.0]])
    spikes = encode_latency(values, levels)
    count = spikes.sum(axis=(1,), dtype=np.int64)
    states = {State.PAYLOAD: spikes}
    trace = PopulationTrace(name="fc", events=count, spikes=count, states=states)
    read = decode(trace, Decode.SPIKE_TIME, 0, 16, Weighting.of(levels))
    assert read.tolist() == [[0.9375, 0.5, 0.0625, 0.0]]


@given(VALUES, CODES)
def test_the_larger_value_never_fires_later(values, levels):
    def time(rows):
        spikes = encode_latency(rows, levels)
        return np.where(spikes.any(axis=1), spikes.argmax(axis=1), len(levels))

    assert np.all(time(values) <= time(values / 2))


@pytest.mark.parametrize(
    ("levels", "given_as"),
    [
        ([0.5, 0.6], "0.5 0.6"),
        ([1.0, 0.0], "1 0"),
        ([], "none"),
        (1.0 + np.arange(8), "1 2 3 4 5 6 7 8"),
        (1.0 + np.arange(9), "1 2 3 4 5 6 7 8 ..."),
    ],
)
def test_levels_that_rise_or_reach_zero_are_refused(levels, given_as):
    with pytest.raises(DataError) as caught:
        encode_latency(np.ones((1, 1)), np.array(levels, np.float64))
    assert str(caught.value) == (
        "error[SNN208]: the levels of a latency code fall from step to step and stay above 0, "
        f"these are {given_as}\n"
        "  fix: linear_levels(steps) or exponential_levels(steps, tau)"
    )


def test_a_code_longer_than_the_samples_is_refused():
    with pytest.raises(DataError) as caught:
        encode_latency(np.ones((1, 1)), linear_levels(8), steps=7)
    assert str(caught.value) == (
        "error[SNN208]: a code of 8 steps does not fit into samples of 7\n  fix: 8 steps or more"
    )


def test_nan_has_no_step():
    with pytest.raises(DataError) as caught:
        encode_latency(np.array([[np.nan]]), linear_levels(8))
    assert str(caught.value) == "error[SNN208]: a latency code has no step for NaN"
