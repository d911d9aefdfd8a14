"""Second moments say what an error of weights does to a membrane; feedback makes that small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.ir.maps import Convolution, Dense, Sparse
from snn_deploy.ir.network import Population, Synapse
from snn_deploy.quantize.feedback import Feedback, feedback_round
from snn_deploy.quantize.moments import MEMORY, WIDEST, memory_decays, second_moment
from snn_deploy.quantize.rounding import round_weights
from snn_deploy.targets import WeightRange

GRID = WeightRange(low=-8, high=7, step=1, source="4 bits")


def filtered(values, decays):
    """Return what leaky integrators without reset make of `values` [sample, step, ...]."""
    for decay in decays:
        out = np.zeros_like(values)
        for step in range(values.shape[1]):
            out[:, step] = values[:, step] + (decay * out[:, step - 1] if step else 0)
        values = out
    return values


def convolution(rng):
    groups = int(rng.choice([1, 2]))
    return Convolution(
        weight=rng.normal(0, 1, (4, 4 // groups, 3, 2)),
        source=(4, 9, 8),
        stride=(int(rng.integers(1, 3)), int(rng.integers(1, 3))),
        padding=(int(rng.integers(0, 2)), 1, 0, int(rng.integers(0, 3))),
        dilation=(int(rng.integers(1, 3)), int(rng.integers(1, 3))),
        groups=groups,
    )


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), dense=st.booleans())
def test_a_moment_gives_the_power_of_what_an_error_adds_to_the_membrane(seed, dense):
    rng = np.random.default_rng(seed)
    linear = Dense(weight=rng.normal(0, 1, (5, 7))) if dense else convolution(rng)
    payload = rng.integers(0, 3, (3, 6, *linear.in_shape)).astype(np.float64)
    decays = tuple(rng.random(int(rng.integers(0, 3))))
    moment = second_moment(linear, payload, decays)
    error = filtered(linear.apply(payload), decays)
    power = np.square(error).reshape(18, linear.numbers().shape[0], -1).mean(axis=(0, 2))
    rows = linear.numbers().reshape(len(moment), -1, moment.shape[-1])
    said = np.concatenate(
        [np.einsum("rf,fg,rg->r", r, m, r) for r, m in zip(rows, moment, strict=True)]
    )
    assert np.allclose(said, power, rtol=1e-9)


def test_maps_without_a_common_moment_have_none():
    sparse = Sparse(
        post=np.zeros(1, int),
        pre=np.ones(1, int),
        weight=np.ones(1),
        post_shape=(2,),
        pre_shape=(3,),
    )
    assert second_moment(sparse, np.ones((1, 2, 3)), ()) is None
    wide = Dense(weight=np.zeros((1, WIDEST + 1)))
    assert second_moment(wide, np.ones((1, 1, WIDEST + 1)), ()) is None


def test_a_neuron_without_leak_remembers_no_longer_than_one_that_is_reset_now_and_then():
    plain = Population(name="l", shape=(2,), decay=np.ones(()))
    assert memory_decays(plain) == (1 - 1 / MEMORY,)
    synapse = Synapse(decay=np.asarray([0.2, 0.4]))
    assert memory_decays(
        Population(name="l", shape=(2,), decay=np.asarray(0.5), synapse=synapse)
    ) == pytest.approx((0.5, 0.3))


WEIGHTS = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).normal(0, 4, (6, 20))
)


@settings(max_examples=30)
@given(weight=WEIGHTS)
def test_feedback_between_sources_that_have_nothing_in_common_is_rounding_to_the_nearest(weight):
    power = np.random.default_rng(0).uniform(0.5, 2, 20)
    kept, clipped = feedback_round(weight, GRID, Feedback.of(np.diag(power)[None]))
    nearest, clipped_too = round_weights(weight, 1.0, GRID)
    assert np.array_equal(kept, nearest)
    assert clipped == clipped_too


@settings(max_examples=30)
@given(weight=WEIGHTS, seed=st.integers(0, 2**32 - 1))
def test_feedback_stays_on_the_grid_and_keeps_weights_that_lie_on_it(weight, seed):
    sent = np.random.default_rng(seed).random((50, 20))
    feedback = Feedback.of((sent.T @ sent / 50)[None])
    kept, _ = feedback_round(weight, GRID, feedback)
    assert np.array_equal(kept, np.rint(kept))
    assert GRID.low <= kept.min() <= kept.max() <= GRID.high
    again, clipped = feedback_round(kept, GRID, feedback)
    assert np.array_equal(again, kept)
    assert clipped == 0


def test_feedback_leaves_a_tenth_of_the_error_where_sources_fire_together():
    rng = np.random.default_rng(1)
    sent = rng.random((400, 3)) @ rng.random((3, 200)) + 0.05 * rng.random((400, 200))
    moment = sent.T @ sent / 400
    weight = rng.normal(0, 2, (30, 200))
    losses = []
    for kept in (
        feedback_round(weight, GRID, Feedback.of(moment[None]))[0],
        round_weights(weight, 1.0, GRID)[0],
    ):
        error = kept - weight
        losses.append(np.einsum("rf,fg,rg->", error, moment, error))
    assert losses[0] < 0.1 * losses[1]


def test_sources_that_never_fire_do_not_disturb_the_others():
    sent = np.random.default_rng(2).random((50, 10))
    sent[:, 4:] = 0
    weight = np.random.default_rng(3).normal(0, 2, (4, 10))
    kept, _ = feedback_round(weight, GRID, Feedback.of((sent.T @ sent / 50)[None]))
    assert np.array_equal(kept[:, 4:], np.rint(weight[:, 4:]))
    nothing, _ = feedback_round(weight, GRID, Feedback.of(np.zeros((1, 10, 10))))
    assert np.array_equal(nothing, np.clip(np.rint(weight), -8, 7))


@settings(max_examples=20)
@given(weight=WEIGHTS, seed=st.integers(0, 2**32 - 1))
def test_feedback_on_a_coarser_grid_is_feedback_on_the_fine_one_of_smaller_weights(weight, seed):
    sent = np.random.default_rng(seed).random((50, 20))
    feedback = Feedback.of((sent.T @ sent / 50)[None])
    coarse = WeightRange(low=-16, high=14, step=2, source="every second")
    kept, clipped = feedback_round(2 * weight, coarse, feedback)
    fine, as_many = feedback_round(weight, GRID, feedback)
    assert np.array_equal(kept, 2 * fine)
    assert clipped == as_many
