"""Events become whole numbers per step, polarity, row and column, as stated and never guessed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.deploy.datasets.binning import (
    Binning,
    Events,
    Polarity,
    bin_events,
    sensor_of,
    step_of,
    steps_of,
)
from snn_deploy.errors import DataError, OptionError

NUMBERS = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 6), st.integers(0, 4), st.integers(0, 1)),
    max_size=40,
)
"""Time, x, y, polarity on a sensor of 5 rows and 7 columns."""


def events(rows: list[tuple[int, int, int, int]], sensor: Any = (5, 7)) -> Events:
    time, x, y, polarity = np.array(rows, np.int64).reshape(-1, 4).T
    return Events(time=time, x=x, y=y, polarity=polarity, sensor=sensor)


def binned(given: Events, binning: Binning, **changes: Any) -> tuple[np.ndarray, int]:
    arguments: dict[str, Any] = {"step": 100.0, "steps": 10, "shape": None, "where": "r"}
    return bin_events(given, binning, **{**arguments, **changes})


@given(NUMBERS, st.integers(1, 3), st.sampled_from(Polarity))
def test_every_event_lies_in_the_bin_that_a_plain_loop_finds(rows, scale, polarity):
    binning = Binning(downscale=scale, polarity=polarity)
    expected = np.zeros((10, *binning.shape((5, 7))), np.int32)
    late = 0
    for time, x, y, sign in rows:
        if time >= 1000:
            late += 1
        elif polarity is Polarity.CHANNELS:
            expected[time // 100, sign, y // scale, x // scale] += 1
        elif polarity is Polarity.MERGED or sign == (polarity is Polarity.ON):
            expected[time // 100, 0, y // scale, x // scale] += 1
    counts, after = binned(events(rows), binning)
    assert np.array_equal(counts, expected)
    assert after == late


@given(NUMBERS)
def test_flat_and_binary_bins_are_the_same_bins(rows):
    counts, _ = binned(events(rows), Binning())
    flat, _ = binned(events(rows), Binning(flatten=True), shape=(70,))
    binary, _ = binned(events(rows), Binning(binary=True))
    assert np.array_equal(flat, counts.reshape(10, 70))
    assert np.array_equal(binary, counts > 0)


def test_time_may_begin_with_the_first_event():
    late = events([(10**15 + 50, 0, 0, 1), (10**15 + 250, 0, 0, 1)])
    counts, after = binned(late, Binning(from_first=True))
    assert np.flatnonzero(counts.sum(axis=(1, 2, 3))).tolist() == [0, 2]
    assert after == 0
    assert steps_of(late, 100.0, Binning(from_first=True)) == 3


def test_a_clock_that_began_long_before_the_recording_is_an_error_with_a_way_out():
    late = events([(10**15 + 50, 0, 0, 1)])
    with pytest.raises(OptionError) as problem:
        steps_of(late, 100.0, Binning())
    assert str(problem.value) == (
        "error[SNN102]: steps of 100 us make 10,000,000,000,001 of this recording, whose first "
        "event is at 1,000,000,000,000,050 us; that is too much\n"
        "  at: --step-us\n"
        "  fix: --from-first, if time is to begin with the first event; --steps T; longer steps"
    )
    assert steps_of(late, 100.0, Binning(from_first=True)) == 1


@pytest.mark.parametrize(
    ("shape", "binning", "fix"),
    [
        ((2, 3, 4), Binning(), "--downscale 2"),
        ((1, 5, 7), Binning(), "--polarity merged"),
        ((70,), Binning(), "--flatten"),
        ((12,), Binning(), "--downscale 2 --polarity merged --flatten"),
        ((5, 7), Binning(), "--polarity merged"),
        ((2, 5, 7), Binning(polarity=Polarity.OFF), "--polarity channels"),
    ],
)
def test_another_shape_is_an_error_whose_way_out_works(shape, binning, fix):
    one = events([(0, 1, 1, 1)])
    with pytest.raises(DataError) as problem:
        binned(one, binning, shape=shape)
    assert problem.value.fix == fix
    words = fix.split()
    changes: dict[str, Any] = {"flatten": "--flatten" in words}
    if "--downscale" in words:
        changes["downscale"] = int(words[words.index("--downscale") + 1])
    if "--polarity" in words:
        changes["polarity"] = Polarity(words[words.index("--polarity") + 1])
    assert binned(one, replace(binning, **changes), shape=shape)[0].shape == (10, *shape)


def test_the_error_for_another_shape_names_both_shapes():
    with pytest.raises(DataError) as problem:
        binned(events([(0, 1, 1, 1)]), Binning(), shape=(2, 3, 4))
    assert str(problem.value) == (
        "error[SNN208]: a step of these events has shape (2, 5, 7) (sensor 5x7, polarity "
        "channels), but the program reads (2, 3, 4)\n  at: r\n  fix: --downscale 2"
    )


def test_a_shape_that_no_option_makes_is_an_error_too():
    with pytest.raises(DataError) as problem:
        binned(events([(0, 1, 1, 1)]), Binning(), shape=(3, 5, 7))
    assert problem.value.fix == (
        "--downscale N, --polarity merged and --flatten change the shape of events"
    )


def test_a_sensor_that_nobody_names_is_that_of_the_input_or_an_error():
    assert sensor_of(None, Binning(), (2, 34, 34)) == (34, 34)
    assert sensor_of(None, Binning(sensor=(8, 9), downscale=2), (2, 34, 34)) == (8, 9)
    for binning, shape in ((Binning(downscale=2), (2, 4, 4)), (Binning(flatten=True), (32,))):
        with pytest.raises(OptionError) as problem:
            sensor_of(None, binning, shape)
        assert str(problem.value) == (
            "error[SNN102]: the recording does not say how many rows and columns the sensor has\n"
            "  at: --sensor\n  fix: --sensor ROWSxCOLUMNS, such as 34x34 for N-MNIST"
        )
    with pytest.raises(OptionError, match="the recording is of 5x7, not of 8x9"):
        sensor_of((5, 7), Binning(sensor=(8, 9)), None)


def test_events_outside_the_sensor_are_refused():
    with pytest.raises(DataError, match="x=7, y=1 lies outside 7 x 5"):
        binned(events([(0, 7, 1, 1)]), Binning())


def test_a_step_lasts_what_is_said_or_what_the_program_says():
    assert step_of(Binning(step=250.0), 1e-3) == 250.0
    assert step_of(Binning(), 1e-3) == 1000.0
    with pytest.raises(OptionError) as problem:
        step_of(Binning(), None)
    assert str(problem.value) == (
        "error[SNN102]: neither the program nor an option says how long a step is\n"
        "  at: --step-us\n  fix: --step-us 1000 counts events per millisecond"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0.0}, "steps of 0.0 us"),
        ({"step": float("nan")}, "steps of nan us"),
        ({"steps": 0}, "0 steps"),
        ({"downscale": 0}, "a scale of 0"),
        ({"sensor": (0, 4)}, r"a sensor of \(0, 4\)"),
    ],
)
def test_senseless_options_are_refused(options, message):
    with pytest.raises(OptionError, match=f"events cannot be counted in {message}"):
        Binning(**options)


def test_a_recording_without_events_is_one_silent_step():
    none = events([])
    assert steps_of(none, 100.0, Binning()) == 1
    assert not binned(none, Binning(from_first=True), steps=1)[0].any()
