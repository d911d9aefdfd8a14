"""Delayed payloads against the sum over synapses that they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.ir.delays import History, arriving, parts
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse


def maps(rng: np.random.Generator) -> tuple[LinearMap, ...]:
    post, pre = np.divmod(np.flatnonzero(rng.random(20) < 0.6), 4)
    return (
        Dense(weight=rng.integers(-9, 10, (3, 4))),
        Sparse(
            post=post, pre=pre, weight=rng.integers(-9, 10, post.size),
            post_shape=(5,), pre_shape=(2, 2),
        ),
        Convolution(weight=rng.integers(-9, 10, (2, 1, 2, 2)), source=(1, 3, 4)),
    )  # fmt: skip


def delay_of_each_synapse(linear: LinearMap, delay: np.ndarray) -> np.ndarray:
    triplets = linear.triplets()
    if delay.ndim == 0:
        return np.full(triplets.pre.size, delay)
    if delay.shape == (linear.in_size,):
        return delay[triplets.pre]
    return delay.ravel()[triplets.number]


@given(st.integers(0, 2**16), st.integers(0, 2), st.sampled_from(["one", "source", "weight"]))
def test_what_arrives_is_the_sum_over_synapses(seed, which, form):
    rng = np.random.default_rng(seed)
    linear = maps(rng)[which]
    shape = {"one": (), "source": (linear.in_size,), "weight": linear.numbers().shape}[form]
    delay = np.asarray(rng.integers(0, 4, shape))
    sent = rng.integers(-2, 3, (7, 2, *linear.in_shape))
    triplets = linear.triplets()
    weight, steps = linear.numbers().ravel()[triplets.number], delay_of_each_synapse(linear, delay)
    history = History(longest=int(delay.max(initial=0)))
    for step in range(7):
        history.send("x", step, sent[step])
        expected = np.zeros((2, linear.out_size), np.int64)
        for post, pre, w, d in zip(triplets.post, triplets.pre, weight, steps, strict=True):
            if step >= d:
                expected[:, post] += w * sent[step - d].reshape(2, -1)[:, pre]
        total = arriving(linear, delay, history, "x", step)
        given_sum = np.zeros_like(expected) if total is None else total.reshape(2, -1)
        assert np.array_equal(given_sum, expected)


@given(st.integers(0, 2**16), st.integers(0, 2), st.sampled_from([np.int32, np.float64]))
def test_a_silent_source_gives_zeros_as_any_map_of_zeros_does(seed, which, dtype):
    linear = maps(np.random.default_rng(seed))[which]
    history = History(longest=0)
    silent = np.zeros((2, *linear.in_shape), dtype)
    history.send("x", 0, silent)
    given_sum = arriving(linear, np.asarray(0), history, "x", 0)
    assert given_sum.tobytes() == linear.apply(silent).tobytes()
    assert (given_sum.shape, given_sum.dtype) == ((2, *linear.out_shape), np.dtype(dtype))


def test_a_history_forgets_what_is_too_old():
    history = History(longest=2)
    for step in range(5):
        history.send("x", step, np.full((1, 1), step))
    assert history.at("x", 1) is None
    assert [int(history.at("x", step)[0, 0]) for step in (2, 3, 4)] == [2, 3, 4]
    assert history.at("x", 5) is None
    assert history.at("y", 4) is None


def test_nothing_arrives_before_the_shortest_delay():
    history = History(longest=2)
    history.send("x", 0, np.ones((1, 2), int))
    linear = Dense(weight=np.ones((1, 2), int))
    assert arriving(linear, np.asarray(2), history, "x", 0) is None


@pytest.mark.parametrize(("delay", "count"), [(3, 1), ([0, 5, 5, 0], 2)])
def test_there_is_one_part_for_each_distinct_delay(delay, count):
    linear = Dense(weight=np.arange(12).reshape(3, 4))
    made = list(parts(linear, np.asarray(delay)))
    assert len(made) == count
    values = np.array([[1, 2, 3, 4]])
    assert np.array_equal(sum(part(values) for part, _ in made), linear.apply(values))
