"""Linear maps against slow loops, and their forms against each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import unchecked

from snn_deploy.errors import ShapeError
from snn_deploy.ir.maps import (
    Composition,
    Convolution,
    Dense,
    LinearMap,
    Scale,
    Sparse,
    dense_matrix,
    fan_out,
    to_sparse,
)


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    """Draw a small convolution of whole numbers, with every option."""
    groups = draw(st.integers(1, 3))
    per_group, outs = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    padding = tuple(draw(st.integers(0, 2)) for _ in range(4))
    least = [dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
    height = draw(st.integers(max(1, least[0] - padding[0] - padding[1]), 6))
    width = draw(st.integers(max(1, least[1] - padding[2] - padding[3]), 6))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    with unchecked():
        return Convolution(
            weight=rng.integers(-9, 10, (groups * outs, per_group, *kernel)),
            source=(groups * per_group, height, width),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )


@st.composite
def sparse_maps(draw: st.DrawFn) -> Sparse:
    post, pre = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    there = np.flatnonzero(rng.random(post * pre) < draw(st.floats(0, 1)))
    rows, columns = np.divmod(there, pre)
    weight = rng.integers(-9, 10, there.size)
    with unchecked():
        return Sparse(post=rows, pre=columns, weight=weight, post_shape=(post,), pre_shape=(pre,))


@st.composite
def dense_maps(draw: st.DrawFn) -> Dense:
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    with unchecked():
        return Dense(weight=rng.integers(-9, 10, shape))


MAPS = st.one_of(convolutions(), sparse_maps(), dense_maps())


def values_for(linear: LinearMap) -> np.ndarray:
    shape = (2, 3, *linear.in_shape)
    return np.random.default_rng(linear.in_size).integers(-5, 6, shape)


def slow_convolution(linear: Convolution, values: np.ndarray) -> np.ndarray:
    """Return the convolution of one picture [channel, row, column] by its definition."""
    outs, per_group, kernel_y, kernel_x = linear.weight.shape
    channels, height, width = linear.source
    top, _, left, _ = linear.padding
    result = np.zeros(linear.out_shape, values.dtype)
    for o, y, x in np.ndindex(*linear.out_shape):
        group = o // (outs // linear.groups)
        for i, row, column in np.ndindex(per_group, kernel_y, kernel_x):
            source_y = y * linear.stride[0] + row * linear.dilation[0] - top
            source_x = x * linear.stride[1] + column * linear.dilation[1] - left
            if 0 <= source_y < height and 0 <= source_x < width:
                channel = group * per_group + i
                assert channel < channels
                weight = linear.weight[o, i, row, column]
                result[o, y, x] += weight * values[channel, source_y, source_x]
    return result


@given(convolutions())
def test_a_convolution_is_its_definition(linear):
    values = values_for(linear)
    result = linear.apply(values)
    assert result.shape == (2, 3, *linear.out_shape)
    assert result.dtype == values.dtype
    for index in np.ndindex(2, 3):
        assert np.array_equal(result[index], slow_convolution(linear, values[index]))


@given(MAPS)
def test_a_map_is_its_full_matrix(linear):
    values = values_for(linear)
    expected = values.reshape(2, 3, -1) @ dense_matrix(linear).T
    assert np.array_equal(linear.apply(values).reshape(2, 3, -1), expected)


@given(MAPS, st.booleans())
def test_a_map_is_its_synapses(linear, keep_zeros):
    sparse = to_sparse(linear, keep_zeros=keep_zeros)
    values = values_for(linear)
    assert np.array_equal(sparse.apply(values), linear.apply(values))
    assert keep_zeros or np.all(sparse.weight != 0)


@given(MAPS)
def test_triplets_are_sorted_and_name_each_synapse_once(linear):
    triplets = linear.triplets()
    key = triplets.post.astype(np.int64) * linear.in_size + triplets.pre
    assert np.all(np.diff(key) > 0)
    matrix = np.zeros((linear.out_size, linear.in_size), np.int64)
    matrix[triplets.post, triplets.pre] = linear.numbers().ravel()[triplets.number]
    assert np.array_equal(matrix, dense_matrix(linear))


@given(MAPS)
def test_fan_out_counts_the_synapses_of_each_source(linear):
    counted = fan_out(linear)
    assert counted.shape == (linear.in_size,)
    assert counted.sum() == linear.triplets().pre.size
    assert np.all(counted >= np.count_nonzero(dense_matrix(linear), axis=0))


@given(MAPS)
def test_a_map_with_its_own_numbers_is_itself(linear):
    doubled = linear.with_numbers(2 * linear.numbers())
    values = values_for(linear)
    assert type(doubled) is type(linear)
    assert np.array_equal(doubled.apply(values), 2 * linear.apply(values))


@given(convolutions(), st.integers(0, 2**16))
def test_a_composition_is_one_map_after_another(first, seed):
    rng = np.random.default_rng(seed)
    second = Dense(weight=rng.integers(-3, 4, (4, first.out_size)))
    third = Scale(factor=np.array([1, -2, 0, 5]))
    chain = Composition(stages=(first, second, third))
    values = values_for(chain)
    by_matrix = values.reshape(2, 3, -1) @ dense_matrix(chain).T
    by_hand = third.apply(second.apply(first.apply(values).reshape(2, 3, -1)))
    assert chain.in_shape == first.in_shape
    assert chain.out_shape == (4,)
    assert np.array_equal(chain.apply(values), by_hand)
    assert np.array_equal(by_matrix, by_hand)


def test_a_composition_has_no_weights_of_its_own():
    chain = Composition(stages=(Dense(weight=np.ones((1, 2))),))
    for refused in (chain.numbers, chain.triplets, lambda: chain.with_numbers(np.ones(2))):
        with pytest.raises(TypeError, match="fold it first"):
            refused()


def test_a_scale_is_a_diagonal_matrix():
    scale = Scale(factor=np.array([[2.0, 0.5]]))
    assert dense_matrix(scale).tolist() == [[2, 0], [0, 0.5]]
    assert scale.apply(np.array([[[3.0, 4.0]]])).tolist() == [[[6, 2]]]


def test_weights_are_read_only():
    linear = Dense(weight=np.ones((2, 2)))
    with pytest.raises(ValueError, match="read-only"):
        linear.weight[0, 0] = 5


def convolution(**changes) -> Convolution:
    fields = {"weight": np.ones((2, 1, 3, 3)), "source": (1, 5, 5), **changes}
    return Convolution(**fields)


SPARSE = {"post_shape": (2,), "pre_shape": (2,)}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: convolution(groups=3), "2 output channels in 3 groups"),
        (lambda: convolution(groups=0), "2 output channels in 0 groups"),
        (
            lambda: convolution(source=(4, 5, 5), groups=2),
            "the kernel reads 1 channels x 2 groups, the input has 4 channels",
        ),
        (
            lambda: convolution(stride=(0, 1)),
            "stride and dilation are at least 1, padding at least 0",
        ),
        (
            lambda: convolution(padding=(0, 0, -1, 0)),
            "stride and dilation are at least 1, padding at least 0",
        ),
        (
            lambda: convolution(source=(1, 4, 5), dilation=(2, 1)),
            "a kernel of 3x3 (dilation (2, 1)) is larger than its padded input (1, 4, 5)",
        ),
        (
            lambda: Composition(stages=(Dense(weight=np.ones((3, 2))), convolution())),
            "a map that gives (3,) is followed by one that reads (1, 5, 5)",
        ),
        (
            lambda: Sparse(post=np.array([0, 1]), pre=np.array([0]), weight=np.ones(2), **SPARSE),
            "a sparse map needs as many posts and pres as weights",
        ),
        (
            lambda: Sparse(post=np.array([2]), pre=np.array([0]), weight=np.ones(1), **SPARSE),
            "a sparse map has an index outside 0..1",
        ),
        (
            lambda: Sparse(
                post=np.array([1, 0]), pre=np.array([0, 0]), weight=np.ones(2), **SPARSE
            ),
            "the synapses of a sparse map are not sorted, or one stands twice",
        ),
    ],
)
def test_a_map_of_wrong_shape_is_refused(make, text):
    # Unchecked: the annotations would notice some of it first.
    with unchecked(), pytest.raises(ShapeError) as caught:
        make()
    assert str(caught.value) == f"error[SNN204]: {text}"


def test_a_kernel_that_is_wider_spread_one_way_reads_its_own_pixels():
    """Rows 2 apart, columns 1 apart: output (y, x) reads rows y and y + 2, columns x and x + 1."""
    kernel = np.array([[[[1, 2], [3, 4]]]])
    linear = Convolution(weight=kernel, source=(1, 3, 3), dilation=(2, 1))
    wanted = np.zeros((2, 3, 3), np.int64)
    for x in (0, 1):
        wanted[x, 0, x : x + 2] = 1, 2
        wanted[x, 2, x : x + 2] = 3, 4
    np.testing.assert_array_equal(dense_matrix(to_sparse(linear)), wanted.reshape(2, 9))
    np.testing.assert_array_equal(dense_matrix(linear), wanted.reshape(2, 9))
