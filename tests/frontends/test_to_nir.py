"""From layers to NIR and back: what is joined, delayed and folded is what was meant."""

from collections.abc import Sequence

import numpy as np
import pytest

from snn_deploy.errors import ModelError
from snn_deploy.frontends.layers import (
    Cell,
    ChannelAffine,
    Concatenation,
    Convolution,
    Delay,
    Flatten,
    LayerGraph,
    Linear,
    Pool,
    Pooling,
    Rectifier,
    Scale,
    Unflatten,
    Upsample,
)
from snn_deploy.frontends.nir import checked_graph, import_graph
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.ir.neuron import Fires, State
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

ONE = np.eye(1)
SUMS = Cell(decay=np.ones(()), fires=Fires.NEVER)
"""Neurons that add up what enters them."""


@pytest.fixture
def graph() -> LayerGraph:
    """Return a network with one input of one value."""
    return LayerGraph(inputs={"input": (1,)})


def answers(graph: LayerGraph, *values: float) -> dict[str, list[float]]:
    """Return the membrane behind each output, step by step."""
    form = to_nir(graph)
    network = import_graph(
        checked_graph(form.graph, ""), name="n", where="m", annotation=form.annotation
    ).network
    entry = Values(name="input", values=np.array(values)[None, :, None])
    trace = simulate(network, [entry], EVERYTHING)
    return {
        output.name: trace[output.population].state(State.MEMBRANE)[0, :, 0].tolist()
        for output in network.outputs
    }


def refusal(graph: LayerGraph) -> str:
    """Return the whole error that a network gives."""
    with pytest.raises(ModelError) as caught:
        to_nir(graph)
    return str(caught.value)


def test_what_is_fed_back_comes_a_step_later_from_wherever_it_comes(graph):
    graph.add("now", Linear(weight=ONE), "input")
    graph.add("before", Linear(weight=2 * ONE), "input")
    graph.add("sum", SUMS, "now")
    graph.feed_back("before", "sum")
    graph.outputs["out"] = "sum"
    assert answers(graph, 1, 2, 3, 4)["out"] == [1, 5, 12, 22]


def test_what_is_fed_back_through_a_delay_comes_later_still(graph):
    graph.add("sum", SUMS, "input")
    graph.add("wait", Delay(steps=1), "sum")
    graph.feed_back("wait", "sum")
    graph.outputs["out"] = "sum"
    assert answers(graph, 1, 2, 3, 4)["out"] == [1, 3, 7, 14]


def test_the_same_neurons_are_joined_within_a_step_and_over_two(graph):
    graph.add("a", SUMS, "input")
    graph.add("b", SUMS, "a")
    graph.add("again", Linear(weight=ONE), "a")
    graph.feed_back("again", "b")
    graph.outputs["out"] = "b"
    assert answers(graph, 1, 0, 0)["out"] == [1, 3, 5]


def test_a_loop_of_neurons_needs_no_delay_node(graph):
    graph.add("n", Cell(decay=np.ones(())), "input")
    graph.add("rec", Linear(weight=ONE), "n")
    graph.feed_back("rec", "n")
    graph.outputs["out"] = "n"
    form = to_nir(graph)
    assert form.annotation.feedback == (("n", "n"),)
    assert sorted(form.graph.nodes) == ["input", "n", "out", "rec"]


def test_a_layer_that_has_the_name_of_an_output_stays(graph):
    graph.add("output", Linear(weight=3 * ONE), "input")
    graph.outputs["output"] = "output"
    assert answers(graph, 1, 2) == {"output_port": [3, 6]}


def test_a_normalisation_is_not_folded_into_a_kernel_that_is_shown(graph):
    graph.add("fc", Linear(weight=ONE), "input")
    graph.add("bn", ChannelAffine(scale=np.array([10.0]), shift=np.zeros(1)), "fc")
    graph.outputs.update({"raw": "fc", "normal": "bn"})
    assert answers(graph, 1, 2) == {"raw": [1, 2], "normal": [10, 20]}


def test_a_bias_that_waits_waits_whoever_else_reads_it(graph):
    graph.bias_waits = True
    graph.add("n", Cell(decay=np.ones(()), threshold=np.full((), 9.0)), "input")
    graph.add("rec", Linear(weight=ONE, bias=np.ones(1)), "n")
    graph.feed_back("rec", "n")
    graph.outputs["n_out"] = "n"
    alone = answers(graph, 0, 0, 0)["n_out"]
    graph.outputs["rec_out"] = "rec"
    assert answers(graph, 0, 0, 0)["n_out"] == alone == [0, 1, 2]


def test_an_activation_of_single_spikes_does_nothing(graph):
    graph.add("n", Cell(decay=np.ones(())), "input")
    graph.add("relu", Rectifier(), "n")
    graph.add("sum", SUMS, "relu")
    graph.outputs["out"] = "sum"
    assert answers(graph, 2, 0, 0)["out"] == [1, 2, 3]


def test_activations_one_behind_another_do_nothing_to_single_spikes(graph):
    graph.add("n", Cell(decay=np.ones(())), "input")
    graph.add("relu6", Rectifier(ceiling=6.0), "n")
    graph.add("clamp", Rectifier(ceiling=1.0), "relu6")
    graph.add("sum", SUMS, "clamp")
    graph.outputs["out"] = "sum"
    assert answers(graph, 2, 0, 0)["out"] == [1, 2, 3]


@pytest.mark.parametrize(("ceiling", "fits"), [(None, True), (2.0, True), (1.0, False)])
def test_an_activation_of_two_spikes_at_once_does_nothing_up_to_its_ceiling(graph, ceiling, fits):
    graph.add("a", Cell(decay=np.ones(())), "input")
    graph.add("b", Cell(decay=np.ones(())), "input")
    graph.add("relu", Rectifier(ceiling=ceiling), "a", "b")
    graph.add("sum", SUMS, "relu")
    graph.outputs["out"] = "sum"
    if fits:
        assert answers(graph, 2, 0, 0)["out"] == [2, 4, 6]
    else:
        assert refusal(graph).startswith("error[SNN203]: an activation between neurons")


def test_an_activation_between_neurons_is_refused(graph):
    graph.add("n", Cell(decay=np.ones(()), fires=Fires.COUNT, max_spikes=3), "input")
    graph.add("relu", Rectifier(), "n")
    graph.outputs["out"] = "relu"
    assert refusal(graph) == (
        "error[SNN203]: an activation between neurons, of values that are not single spikes\n"
        "  at: relu\n"
        "  fix: take it out, or put neurons in its place"
    )


def test_values_of_several_axes_take_another_shape():
    graph = LayerGraph(inputs={"input": (4, 4)})
    graph.add("view", Unflatten(shape=(1, 4, 4)), "input")
    graph.add("pool", _sums((2, 2)), "view")
    graph.outputs["out"] = "pool"
    made = to_nir(graph).graph
    assert made.nodes["out"].output_type["output"].tolist() == [1, 2, 2]


def _sums(window: Sequence[int]) -> Pool:
    sides = tuple(window)
    return Pool(pooling=Pooling.SUM, kernel=sides, stride=sides, padding=(0,) * len(sides))


KERNEL = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Flatten(start=3, end=4), "axis 3 of values with 3 axes, the batch not counted"),
        (Flatten(start=1, end=0), "it flattens from axis 1 to axis 0, which is before it"),
        (Concatenation(axis=5), "axis 5 of values with 3 axes, the batch not counted"),
        (
            Linear(weight=np.ones(3)),
            "a weight of float64 and shape (3,) where numbers with 2 axes belong",
        ),
        (
            Linear(weight=np.ones((3, 2)), bias=np.ones(2)),
            "a bias of 2 numbers for 3 outputs",
        ),
        (
            Convolution(weight=np.ones((2, 2, 3, 3)), **{**KERNEL, "stride": (0, 1)}),
            "stride is (0, 1), but has 2 whole numbers from 1 on",
        ),
        (
            Convolution(weight=np.ones((3, 1, 3, 3)), **KERNEL, groups=2),
            "3 channels in 2 groups",
        ),
        (
            _sums((9, 9)),
            "its kernel is larger than its input of 4",
        ),
        (
            Pool(pooling=Pooling.SUM, kernel=(2, 2), stride=(1, 1), padding=(2**30, 2**30)),
            "a layer of 9223372062624579602 values (2, 2147483651, 2147483651); at most 67108864 "
            "are read",
        ),
        (
            Upsample(factors=(1000, 1000)),
            "NIR can say this layer only as a matrix, and 32000000 x 32 numbers are more than "
            "134217728",
        ),
        (Upsample(factors=(2, 2, 2)), "it resizes 3 axes of values of shape (2, 4, 4)"),
        (Upsample(), "it is told neither a size nor factors, or both"),
        (
            Scale(factor=np.ones(3)),
            "factors of shape (3,) for values of shape (2, 4, 4)",
        ),
        (
            ChannelAffine(scale=np.ones(2), shift=np.ones(3)),
            "a bias of 3 numbers for 2 outputs",
        ),
    ],
)
def test_a_layer_that_cannot_be_is_refused_at_once(layer, said):
    def build() -> None:
        graph = LayerGraph(inputs={"input": (2, 4, 4)})
        graph.outputs["out"] = graph.add("layer", layer, "input")
        to_nir(graph)

    with pytest.raises(ModelError) as caught:
        build()
    assert caught.value.message == said
    assert caught.value.where == "layer"


def test_a_normalised_vector_too_long_for_a_matrix_is_refused():
    graph = LayerGraph(inputs={"input": (40_000,)})
    graph.add("bn", ChannelAffine(scale=np.ones(40_000), shift=np.ones(40_000)), "input")
    graph.outputs["out"] = "bn"
    assert refusal(graph) == (
        "error[SNN204]: NIR can say the normalisation of a vector only as a matrix, and 40000 x "
        "40000 numbers are too many\n"
        "  at: bn\n"
        "  fix: put it right behind the Linear layer that it normalises: they become one"
    )
