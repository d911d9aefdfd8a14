"""Layers that do not fit what they read, or each other: each is refused by its name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import ModelError
from snn_deploy.frontends.layers import (
    AdaptiveAverage,
    Cell,
    ChannelAffine,
    Concatenation,
    Convolution,
    Flatten,
    LayerGraph,
    Linear,
    Pool,
    Pooling,
    Scale,
    Sum,
    Unflatten,
)
from snn_deploy.frontends.nir import checked_graph, import_graph
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.ir.neuron import Fires, State
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

SUMS = Cell(decay=np.ones(()), fires=Fires.NEVER)
"""Neurons that add up what enters them."""

KERNEL: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
WINDOW: dict[str, Any] = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)}
SAID = "error[SNN204]: "

Build = Callable[[LayerGraph], object]


def of(*layers: Any) -> Build:
    """Return what puts layers one behind another, and an output behind them."""

    def build(graph: LayerGraph) -> None:
        name = "input"
        for index, layer in enumerate(layers):
            name = graph.add(f"layer{index}", layer, name)
        graph.outputs["out"] = name

    return build


def fed_back(layer: Any) -> Build:
    """Return what feeds neurons back into a layer before them."""

    def build(graph: LayerGraph) -> None:
        graph.add("layer0", layer, "input")
        graph.outputs["out"] = graph.add("n", SUMS, "layer0")
        graph.feed_back("n", "layer0")

    return build


def two(first: Any, layer: Any) -> Build:
    """Return what joins the input and what a layer makes of it."""

    def build(graph: LayerGraph) -> None:
        graph.add("first", first, "input")
        graph.outputs["out"] = graph.add("layer0", layer, "input", "first")

    return build


def only_fed_back(graph: LayerGraph) -> None:
    graph.add("n", SUMS, "input")
    graph.add("layer0", SUMS)
    graph.feed_back("n", "layer0")
    graph.outputs["out"] = "n"


def twice(name: str) -> Build:
    def build(graph: LayerGraph) -> None:
        graph.add("layer0", SUMS, "input")
        graph.add(name, SUMS, "input")

    return build


def same_name_in_nir(graph: LayerGraph) -> None:
    graph.add("fc.0", Linear(weight=np.eye(3)), "input")
    graph.add("fc", Concatenation(axis=0), "input", "fc.0")
    graph.outputs["out"] = "fc"


def to_nobody(graph: LayerGraph) -> None:
    graph.add("layer0", SUMS, "input")
    graph.feed_back("layer0", "n")


def side_by_side_and_fed_back(graph: LayerGraph) -> None:
    graph.add("layer0", Concatenation(axis=0), "input", "input")
    graph.outputs["out"] = graph.add("n", SUMS, "layer0")
    graph.feed_back("n", "layer0")


LINE, IMAGE = (3,), (2, 4, 4)

REFUSED: dict[str, tuple[tuple[int, ...], Build, str]] = {
    "a kernel of a plane on a line": (
        (2, 4),
        of(Convolution(weight=np.ones((1, 2, 3, 3)), **KERNEL)),
        SAID + "a kernel of 2 axes is given values of shape (2, 4)\n  at: layer0",
    ),
    "another number of channels": (
        IMAGE,
        of(ChannelAffine(scale=np.ones(3), shift=np.zeros(3))),
        SAID + "it normalises 3 channels, but is given (2, 4, 4)\n  at: layer0",
    ),
    "a window of a plane on a line": (
        (2, 4),
        of(Pool(pooling=Pooling.SUM, **WINDOW)),
        SAID + "a window of 2 axes is given values of shape (2, 4)\n  at: layer0",
    ),
    "an adaptive pooling of a plane on a line": (
        (2, 4),
        of(AdaptiveAverage(size=(1, 1))),
        SAID + "it pools 2 axes, but is given values of shape (2, 4)\n  at: layer0",
    ),
    "a shape of other numbers": (
        IMAGE,
        of(Unflatten(shape=(5, 5))),
        SAID + "values of shape (2, 4, 4) cannot take shape (5, 5)\n  at: layer0",
    ),
    "a shape with a rest that is none": (
        LINE,
        of(Unflatten(shape=(2, -1))),
        SAID + "values of shape (3,) cannot take shape (2, -1)\n  at: layer0",
    ),
    "a sum of different shapes": (
        LINE,
        two(Linear(weight=np.ones((2, 3))), Sum()),
        SAID + "values of different shapes are added: (3,), (2,)\n  at: layer0",
    ),
    "different shapes side by side": (
        IMAGE,
        two(Pool(pooling=Pooling.SUM, **WINDOW), Concatenation(axis=0)),
        SAID + "values of shapes (2, 4, 4), (2, 2, 2) do not fit side by side\n  at: layer0",
    ),
    "feedback into values side by side": (
        LINE,
        side_by_side_and_fed_back,
        SAID + "values of shapes (3,), (3,) do not fit side by side\n  at: layer0",
    ),
    "delays of another shape": (
        LINE,
        of(Linear(weight=np.ones((3, 3)), delays=np.ones(3, np.int64))),
        SAID + "delays of int64 and shape (3,) where whole numbers from 0 on of shape (3, 3) "
        "belong\n  at: layer0",
    ),
    "delays that are negative": (
        LINE,
        of(Linear(weight=np.ones((1, 3)), delays=np.full((1, 3), -1))),
        SAID + "delays of int64 and shape (1, 3) where whole numbers from 0 on of shape (1, 3) "
        "belong\n  at: layer0",
    ),
    "no output": (
        LINE,
        lambda graph: graph.add("layer0", SUMS, "input"),
        "error[SNN206]: nothing enters the network, or nothing leaves it",
    ),
    "feedback into a sum": (
        LINE,
        fed_back(Sum()),
        "error[SNN206]: values are fed back into a sum\n  at: layer0",
    ),
    "feedback into nothing": (
        LINE,
        fed_back(Flatten()),
        "error[SNN206]: values are fed back into a layer that does nothing\n  at: layer0",
    ),
    "nothing but feedback": (
        LINE,
        only_fed_back,
        "error[SNN206]: nothing enters it but what is fed back\n  at: layer0",
    ),
    "feedback to nobody": (
        LINE,
        to_nobody,
        "error[SNN206]: 'layer0' is fed back to no layer\n  at: n",
    ),
    "a name given twice": (
        LINE,
        twice("layer0"),
        "error[SNN206]: another layer has this name already\n  at: layer0\n  fix: rename the layer",
    ),
    "the name of an input": (
        LINE,
        twice("input"),
        "error[SNN206]: an input of the network has this name already\n"
        "  at: input\n  fix: rename the layer",
    ),
    "a source that is not there": (
        LINE,
        lambda graph: graph.add("layer0", SUMS, "inptu"),
        "error[SNN206]: a layer reads 'inptu', which does not exist\n  at: layer0",
    ),
    "the name of a part": (
        LINE,
        same_name_in_nir,
        "error[SNN206]: two layers have the same name 'fc.0'\n  at: fc",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_layers_that_do_not_fit_are_refused_by_name(case):
    shape, build, said = REFUSED[case]

    def lower() -> None:
        graph = LayerGraph(inputs={"input": shape})
        build(graph)
        to_nir(graph)

    with pytest.raises(ModelError) as caught:
        lower()
    assert str(caught.value) == said


def answers(shape: tuple[int, ...], build: Build, values: np.ndarray) -> np.ndarray:
    """Return the membranes of summing neurons behind what was built, [step, *shape]."""
    graph = LayerGraph(inputs={"input": shape})
    build(graph)
    graph.outputs["out"] = graph.add("sum", SUMS, graph.outputs["out"])
    form = to_nir(graph)
    network = import_graph(
        checked_graph(form.graph, ""), name="n", where="m", annotation=form.annotation
    ).network
    trace = simulate(network, [Values(name="input", values=values[None])], EVERYTHING)
    state = trace["sum"].state(State.MEMBRANE)
    assert state is not None
    return np.asarray(state[0])


RESHAPED: dict[str, tuple[tuple[int, ...], list[Any], tuple[int, ...]]] = {
    "one axis flattened": (IMAGE, [Flatten(start=1, end=1)], IMAGE),
    "the shape that it has": (IMAGE, [Unflatten(shape=IMAGE)], IMAGE),
    "one axis in all": (IMAGE, [Unflatten(shape=(32,))], (32,)),
    "a rest": (IMAGE, [Unflatten(shape=(4, -1))], (4, 8)),
    "a normalisation of nothing": (
        LINE,
        [ChannelAffine(scale=np.ones(3), shift=np.zeros(3))],
        LINE,
    ),
    "an average of each place": (IMAGE, [AdaptiveAverage(size=(4, None))], IMAGE),
}


@pytest.mark.parametrize("case", RESHAPED)
def test_another_shape_has_the_same_numbers(case):
    shape, layers, after = RESHAPED[case]
    values = np.random.default_rng(0).integers(0, 9, (3, *shape)).astype(np.float64)
    found = answers(shape, of(*layers), values)
    np.testing.assert_array_equal(found, np.cumsum(values, axis=0).reshape(3, *after))


@pytest.mark.parametrize("factor", [np.full((1, 1, 3), 2.0), np.full((), 2.0)])
def test_a_factor_may_have_axes_of_one_in_front(factor):
    values = np.arange(6.0).reshape(2, 3)
    found = answers(LINE, of(Scale(factor=factor)), values)
    np.testing.assert_array_equal(found, np.cumsum(2 * values, axis=0))


def test_values_side_by_side_along_a_later_axis_are_numpys_concatenation():
    values = np.random.default_rng(1).integers(0, 9, (3, *IMAGE)).astype(np.float64)
    found = answers(IMAGE, two(Scale(factor=np.full((), 3.0)), Concatenation(axis=2)), values)
    both = np.concatenate([values, 3 * values], axis=3)
    np.testing.assert_array_equal(found, np.cumsum(both, axis=0))


def test_lines_side_by_side_along_their_length_are_numpys_concatenation():
    values = np.random.default_rng(2).integers(0, 9, (3, 2, 4)).astype(np.float64)
    found = answers((2, 4), two(Scale(factor=np.full((), 3.0)), Concatenation(axis=1)), values)
    both = np.concatenate([values, 3 * values], axis=2)
    np.testing.assert_array_equal(found, np.cumsum(both, axis=0))


def test_delays_of_weights_that_read_two_layers_act_on_their_sum():
    def build(graph: LayerGraph) -> None:
        graph.add("first", Scale(factor=np.full((), 10.0)), "input")
        weight, delays = np.array([[1.0, 1.0, 1.0]]), np.array([[0, 1, 2]])
        graph.outputs["out"] = graph.add(
            "fc", Linear(weight=weight, delays=delays), "input", "first"
        )

    values = np.array([[1.0, 2.0, 3.0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert answers(LINE, build, values)[:, 0].tolist() == [11, 33, 66, 66]
