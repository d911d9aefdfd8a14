"""Folding maps changes how a map is stored, never what it computes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import dyadic, random_convolution, random_map, random_network

from snn_deploy.ir.maps import Composition, Convolution, Dense, Scale, Sparse, dense_matrix
from snn_deploy.quantize.fold import FoldMaps, convolution_after, fold, stored

SEEDS = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def pool(source, side=2):
    return Convolution(
        weight=np.ones((source[0], 1, side, side)),
        source=source,
        stride=(side, side),
        groups=source[0],
    )


def convolution(source, out, side=3, padding=1):
    weight = dyadic(np.random.default_rng(1), (out, source[0], side, side))
    return Convolution(weight=weight, source=source, padding=(padding,) * 4)


@given(SEEDS)
def test_a_folded_map_computes_exactly_what_its_stages_compute(rng):
    shape = (int(rng.integers(1, 4)), int(rng.integers(3, 9)), int(rng.integers(3, 9)))
    linear = random_map(rng, shape)
    folded = stored(fold(linear))
    assert isinstance(folded, Dense | Sparse | Convolution)
    values = rng.integers(-3, 4, (2, *shape)).astype(np.float64)
    got = folded.apply(values.reshape(2, *folded.in_shape))
    wanted = linear.apply(values.reshape(2, *linear.in_shape))
    assert np.array_equal(got.reshape(2, -1), wanted.reshape(2, -1))


@given(SEEDS)
def test_a_joined_convolution_is_the_product_of_both_matrices(rng):
    inner = random_convolution(rng, (2, int(rng.integers(3, 9)), int(rng.integers(3, 9))))
    outer = random_convolution(rng, inner.out_shape)
    joined = convolution_after(outer, inner)
    if joined is not None:
        assert joined.out_shape == outer.out_shape
        assert np.array_equal(dense_matrix(joined), dense_matrix(outer) @ dense_matrix(inner))


def test_a_pool_before_a_padded_convolution_becomes_one_larger_convolution():
    first = pool((16, 16, 16))
    second = convolution((16, 8, 8), 8)
    folded = fold(Composition(stages=(first, second)))
    assert isinstance(folded, Convolution)
    assert folded.weight.shape == (8, 16, 6, 6)
    assert (folded.stride, folded.padding, folded.groups) == ((2, 2), (2, 2, 2, 2), 1)


def test_a_pool_before_a_depthwise_convolution_stays_depthwise():
    first = pool((4, 8, 8))
    second = Convolution(weight=np.ones((8, 1, 3, 3)), source=(4, 4, 4), groups=4)
    folded = fold(Composition(stages=(first, second)))
    assert isinstance(folded, Convolution)
    assert (folded.groups, folded.weight.shape) == (4, (8, 1, 6, 6))


def test_a_pool_that_leaves_a_row_out_before_a_padded_convolution_is_listed_synapse_by_synapse():
    first = pool((2, 7, 7))
    second = convolution((2, 3, 3), 2)
    assert convolution_after(second, first) is None
    assert isinstance(fold(Composition(stages=(first, second))), Sparse)


def test_a_padded_convolution_before_a_padded_convolution_is_listed_synapse_by_synapse():
    first, second = convolution((1, 6, 6), 1), convolution((1, 6, 6), 1)
    assert isinstance(fold(Composition(stages=(first, second))), Sparse)


def test_a_padded_convolution_before_one_without_padding_becomes_one_convolution():
    first, second = convolution((1, 6, 6), 1), convolution((1, 6, 6), 1, padding=0)
    folded = fold(Composition(stages=(first, second)))
    assert isinstance(folded, Convolution)
    assert folded.weight.shape == (1, 1, 5, 5)


def test_a_pool_before_a_dense_map_becomes_dense():
    folded = fold(
        Composition(stages=(pool((2, 4, 4)), Dense(weight=np.arange(24.0).reshape(3, 8))))
    )
    assert isinstance(folded, Dense)
    assert folded.weight.shape == (3, 32)


def test_a_factor_per_channel_becomes_a_convolution_of_one_pixel():
    factor = np.array([2.0, 3.0])[:, None, None] * np.ones((2, 4, 4))
    folded = stored(Scale(factor=factor))
    assert isinstance(folded, Convolution)
    assert (folded.weight.shape, folded.groups) == ((2, 1, 1, 1), 2)


@pytest.mark.parametrize("shape", [(4,), (2, 3, 3)])
def test_a_factor_per_neuron_becomes_one_synapse_each(shape):
    factor = dyadic(np.random.default_rng(0), shape)
    folded = stored(Scale(factor=factor))
    assert isinstance(folded, Sparse)
    assert np.array_equal(dense_matrix(folded), np.diag(factor.ravel()))


@given(SEEDS)
def test_the_pass_leaves_nothing_that_a_chip_does_not_store(rng):
    network = FoldMaps()(random_network(rng)).graph
    assert all(isinstance(p.map, Dense | Sparse | Convolution) for p in network.projections)


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_single_synapses_beside_a_convolution_are_listed_synapse_by_synapse(first):
    single = Sparse(
        post=np.array([0, 5, 15]), pre=np.array([3, 5, 0]), weight=np.array([2.0, -1.0, 3.0]),
        post_shape=(1, 4, 4), pre_shape=(1, 4, 4),
    )  # fmt: skip
    wide = convolution((1, 4, 4), 1)
    stages = (single, wide) if first else (wide, single)
    folded = fold(Composition(stages=stages))
    assert isinstance(folded, Sparse)
    wanted = dense_matrix(stages[1]) @ dense_matrix(stages[0])
    np.testing.assert_array_equal(dense_matrix(folded), wanted)
