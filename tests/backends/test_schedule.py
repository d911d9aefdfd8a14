"""The order in which a program's parts run, and where events of a convolution go."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.backends.event.layers.kernel_rows import kernel_rows, runs_of
from snn_deploy.backends.event.layers.suit import Bounds, sums_of
from snn_deploy.backends.event.schedule import schedule
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, Fires
from snn_deploy.ir.program import Input, Population, Program, Projection
from snn_deploy.ir.timing import Window
from snn_deploy.targets import find_target

ONE = Dense(weight=np.ones((1, 1), np.int32))


def program(*edges: str, general: str = "") -> Program:
    """Return populations of one neuron, joined by `edges` like "ab"; "x" is the input."""
    names = sorted({name for edge in edges for name in edge} - {"x"})
    populations = [Population(name=name, shape=(1,), decay=np.asarray(9)) for name in names]
    window = Window(first=0, behind=5)
    populations = [replace(p, window=window) if p.name in general else p for p in populations]
    return Program(
        name="graph",
        target="cpu",
        arithmetic=find_target("cpu").arithmetic,
        inputs=(Input(name="x", shape=(1,)),),
        populations=tuple(populations),
        projections=tuple(
            Projection(name=edge, source=edge[0], target=edge[1], map=ONE, delay=np.asarray(1))
            for edge in edges
        ),
        outputs=(Output(name="y", population=names[0], decode=Decode.COUNT),),
    )  # fmt: skip


def units(given: Program) -> list[tuple[bool, tuple[tuple[str, ...], ...]]]:
    return [(unit.plain, unit.groups) for unit in schedule(given, Bounds(given))]


def test_layers_run_one_after_another():
    assert units(program("xc", "cb", "ba")) == [(True, (("c",), ("b",), ("a",)))]


def test_a_loop_runs_step_by_step():
    assert units(program("xa", "ab", "bc", "cb", "cd")) == [(True, (("a",), ("b", "c"), ("d",)))]


def test_a_neuron_that_drives_itself_is_a_layer_of_its_own():
    assert units(program("xa", "aa", "ab")) == [(True, (("a",), ("b",)))]


def test_neurons_that_are_not_plain_are_units_of_their_own():
    found = units(program("xa", "ab", "bc", "xd", general="b"))
    assert found == [(True, (("a",), ("d",))), (False, (("b",),)), (True, (("c",),))]


def test_one_neuron_that_is_not_plain_takes_its_loop_with_it():
    found = units(program("xa", "ab", "ba", general="b"))
    assert found == [(False, (("a", "b"),))]


def test_what_does_not_fit_32_bits_is_not_plain():
    wide = program("xa")
    weights = Dense(weight=np.full((1, 1), 2**27, np.int32))
    wide = replace(wide, projections=(replace(wide.projections[0], map=weights),))
    assert units(wide) == [(False, (("a",),))]


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    sides = draw(st.tuples(*[st.integers(1, 3)] * 2)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    kernel = draw(st.tuples(*[st.integers(1, 4)] * 2))
    dilation = draw(st.tuples(*[st.integers(1, 2)] * 2))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    groups, per_group, outs = (draw(st.integers(1, 2)) for _ in range(3))
    source = (groups * per_group, reach[0] + draw(st.integers(0, 4)), reach[1] + sides[0][0])
    weight = np.random.default_rng(draw(st.integers(0, 99))).integers(
        -9, 9, (groups * outs, per_group, *kernel)
    )
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4))
    return Convolution(
        weight=weight, source=source, stride=sides[1], dilation=dilation, padding=padding,
        groups=groups,
    )  # fmt: skip


@settings(max_examples=150)
@given(convolutions())
def test_the_rows_of_a_place_are_its_synapses(linear):
    runs, columns = runs_of(linear)
    begins, rows = kernel_rows(linear, runs)
    assert sorted(columns) == list(range(linear.weight.shape[3]))
    outs, per_group = linear.weight.shape[0] // linear.groups, linear.weight.shape[1]
    grouped = linear.weight.reshape(linear.groups, outs, *linear.weight.shape[1:])
    weights = grouped.transpose(0, 2, 3, 4, 1)[:, :, :, columns].reshape(linear.in_shape[0], -1)
    channels, height, width = linear.out_shape
    pixels = linear.in_shape[1] * linear.in_shape[2]
    for source in range(linear.in_size):
        channel, place = divmod(source, pixels)
        sums = np.zeros((height * width, channels), int)
        for to, first, count in rows[begins[place] : begins[place + 1]]:
            at = to + channel // per_group * outs
            sums.ravel()[at : at + count] += weights[channel, first : first + count]
        one = np.zeros(linear.in_size, int)
        one[source] = 1
        expected = linear.apply(one.reshape(linear.in_shape)).reshape(channels, -1).T
        assert np.array_equal(sums, expected)


@pytest.mark.parametrize("seed", range(30))
def test_sums_of_signs_bound_what_arrives(seed):
    rng = np.random.default_rng(seed)
    pairs = np.sort(rng.choice(35, 20, replace=False))
    maps: list[LinearMap] = [
        Dense(weight=rng.integers(-9, 9, (5, 7))),
        Convolution(weight=rng.integers(-9, 9, (2, 2, 3, 3)), source=(2, 6, 6)),
        Sparse(
            post=pairs // 7, pre=pairs % 7, weight=rng.integers(-9, 9, 20), post_shape=(5,),
            pre_shape=(7,),
        ),
    ]  # fmt: skip
    for linear in maps:
        matrix = linear.apply(np.eye(linear.in_size, dtype=int).reshape(-1, *linear.in_shape))
        found = sums_of(linear)
        matrix = matrix.reshape(linear.in_size, -1)
        assert found.positive == np.maximum(matrix, 0).sum(axis=0).max()
        assert found.negative == np.maximum(-matrix, 0).sum(axis=0).max()


def test_a_map_without_synapses_adds_nothing():
    none = np.zeros(0, np.int32)
    empty = Sparse(post=none, pre=none, weight=none, post_shape=(3,), pre_shape=(2,))
    assert (sums_of(empty).positive, sums_of(empty).negative) == (0, 0)


def test_a_silent_reader_is_a_layer_too():
    read = program("xa")
    silent = replace(read.populations[0], fires=Fires.NEVER)
    output = Output(name="y", population="a", decode=Decode.MEMBRANE_END)
    assert units(replace(read, populations=(silent,), outputs=(output,))) == [(True, (("a",),))]
