"""Every complaint about a graph, as a whole."""

import nir
import numpy as np
import pytest

from snn_deploy.errors import DynamicsError, GraphError, ModelError, OptionError, ShapeError
from snn_deploy.frontends import Overrides, load


@pytest.fixture
def complaint():
    """Return a function that reads a graph and gives the text of the error."""

    def read(graph) -> str:
        with pytest.raises(ModelError) as caught:
            load(graph, dialect="nir", overrides=Overrides(dt=1.0))
        return str(caught.value)

    return read


def conv(weight, **options):
    fields = {"input_shape": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
    fields.setdefault("bias", np.zeros(len(weight)))
    return nir.Conv2d(weight=weight, **fields)


@pytest.fixture
def convolved(build, port, complaint):
    """Return a function that gives the error for a convolution of an input of some shape."""

    def read(node, *shape) -> str:
        nodes = {"input": port(*shape), "conv": node, "output": nir.Output(output_type=None)}
        return complaint(build(nodes, "input conv output"))

    return read


def test_a_kernel_for_other_channels(convolved):
    assert convolved(conv(np.ones((2, 3, 3, 3))), 2, 8, 8) == (
        "error[SNN204]: it reads 3 channels of 2 axes, but input gives shape (2, 8, 8)\n  at: conv"
    )


def test_a_kernel_larger_than_its_input(convolved):
    assert convolved(conv(np.ones((1, 1, 3, 5)), dilation=(2, 1)), 1, 4, 9) == (
        "error[SNN204]: a kernel of 3x5 (dilation (2, 1), padding (0, 0, 0, 0)) is larger than its "
        "input (1, 4, 9)\n"
        "  at: conv"
    )


def test_a_declared_input_that_is_not_given(convolved):
    assert convolved(conv(np.ones((1, 1, 3, 3)), input_shape=(7, 8)), 1, 8, 8) == (
        "error[SNN204]: it declares an input of (7, 8), but is given (8, 8) in each channel\n"
        "  at: conv.input_shape"
    )


def test_channels_that_form_no_groups(convolved):
    assert convolved(conv(np.ones((3, 1, 1, 1)), groups=2), 2, 4, 4) == (
        "error[SNN204]: 3 output channels cannot form 2 groups\n  at: conv.groups"
    )


def test_a_kernel_of_too_few_axes(convolved):
    assert convolved(conv(np.ones((3, 1, 1))), 1, 4, 4) == (
        "error[SNN204]: a kernel of shape (3, 1, 1) where 4 axes belong\n  at: conv.weight"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "a stride of 0; it must be at least 1"),
        ({"dilation": (1, -1)}, "a dilation of -1; it must be at least 1"),
        ({"padding": (0, -1)}, "a padding of -1; it must be at least 0"),
    ],
)
def test_a_kernel_that_cannot_move(convolved, options, message):
    text = convolved(conv(np.ones((1, 1, 3, 3)), **options), 1, 8, 8)
    assert text == f"error[SNN204]: {message}\n  at: conv"


def test_three_strides_for_two_axes(convolved):
    assert convolved(conv(np.ones((1, 1, 3, 3)), stride=(1, 1, 1)), 1, 8, 8) == (
        "error[SNN204]: 3 numbers where 1 or 2 belong\n  at: conv.stride"
    )


def test_a_bias_for_other_channels(convolved):
    assert convolved(conv(np.ones((2, 1, 3, 3)), bias=np.zeros(3)), 1, 8, 8) == (
        "error[SNN204]: a bias of shape (3,) for 2 channels\n  at: conv.bias"
    )


def test_a_dense_bias_that_does_not_fit(build, port, complaint):
    fc = nir.Affine(weight=np.ones((2, 3)), bias=np.zeros(3))
    nodes = {"input": port(3), "fc": fc, "output": nir.Output(output_type=None)}
    assert complaint(build(nodes, "input fc output")) == (
        "error[SNN204]: a bias of shape (3,) for values of shape (2,)\n  at: fc.bias"
    )


def test_an_output_of_another_size(build, port, out, complaint):
    nodes = {"input": port(1, 8, 8), "conv": conv(np.ones((1, 1, 3, 5))), "output": out(1, 6, 6)}
    assert complaint(build(nodes, "input conv output")) == (
        "error[SNN204]: it declares shape (1, 6, 6), but is given (1, 6, 4)\n"
        "  at: output\n"
        "  fix: nir infers wrong shapes for kernels that are not square; "
        "correct the Output's shape"
    )
    nodes["output"] = out(1, 6, 4)
    assert load(build(nodes, "input conv output"), dialect="nir")


def test_a_flatten_of_axes_that_are_not_there(build, port, complaint):
    nodes = {
        "input": port(2, 3),
        "flat": nir.Flatten(input_type=None, start_dim=0, end_dim=4),
        "output": nir.Output(output_type=None),
    }
    assert complaint(build(nodes, "input flat output")) == (
        "error[SNN204]: it flattens axes 0 to 4 of a shape (2, 3)\n  at: flat"
    )


def test_factors_and_delays_that_do_not_fit(build, port, out, complaint):
    for node in (nir.Scale(scale=np.ones(2)), nir.Delay(delay=np.ones(2))):
        nodes = {"input": port(3), "x": node, "output": out(3)}
        assert complaint(build(nodes, "input x output")) == (
            "error[SNN204]: input gives 3 values (3,), but x reads 2 (2,)\n  at: input -> x"
        )


def test_a_negative_and_an_endless_delay(build, port, out, complaint):
    nodes = {"input": port(1), "x": nir.Delay(delay=np.array([-1.0])), "output": out(1)}
    assert complaint(build(nodes, "input x output")) == (
        "error[SNN207]: a delay of -1, but nothing arrives before it is sent\n  at: x.delay[0]"
    )
    nodes["x"] = nir.Delay(delay=np.array([1e6]))
    with pytest.raises(DynamicsError) as caught:
        load(build(nodes, "input x output"), dialect="nir", overrides=Overrides(dt=1e-3))
    assert str(caught.value) == (
        "error[SNN207]: a delay of 1e+09 steps; at most 65536 are read\n"
        "  at: x.delay\n"
        "  fix: a step takes 0.001: state another with --dt"
    )


def test_a_graph_without_entry(build, out, integrate, complaint):
    nodes = {"a": integrate(1), "b": integrate(1), "output": out(1)}
    assert complaint(build(nodes, "a b a", "b output")) == (
        "error[SNN206]: nothing enters the network: it has no Input node\n"
        "  at: every node is part of a loop\n"
        "  fix: add a nir.Input with the shape of the data"
    )
    pool = nir.SumPool2d(kernel_size=2, stride=2, padding=0)
    assert complaint(build({"pool": pool, "output": out(1)}, "pool output")) == (
        "error[SNN206]: nothing enters the network: it has no Input node\n"
        "  at: pool\n"
        "  fix: add a nir.Input with the shape of the data"
    )


def test_a_graph_without_exit(build, port, integrate, complaint):
    nodes = {"input": port(1), "a": integrate(1), "b": integrate(1)}
    assert complaint(build(nodes, "input a b a")) == (
        "error[SNN206]: nothing leaves the network: it has no Output node\n  fix: add a nir.Output"
    )


def test_a_node_that_no_input_reaches(build, port, out, integrate, complaint):
    pool = nir.SumPool2d(kernel_size=2, stride=2, padding=0)
    nodes = {"input": port(1), "n": integrate(1), "pool": pool, "output": out(1)}
    assert complaint(build(nodes, "input n output", "pool n")) == (
        "error[SNN206]: no input reaches this node, so its shape is not known\n"
        "  at: pool\n"
        "  fix: join it to an Input, or take it out"
    )


def test_a_loop_of_weights_alone(build, port, out, complaint):
    one = nir.Linear(weight=np.ones((1, 1)))
    nodes = {"input": port(1), "a": one, "b": one, "output": out(1)}
    assert complaint(build(nodes, "input a b a", "b output")) == (
        "error[SNN206]: a loop without any neuron: it would need values at the step they come "
        "from\n"
        "  at: a -> b -> a\n"
        "  fix: put the neuron that closes the loop into it"
    )


def test_more_ways_than_projections_can_be(build, port, out, complaint):
    one = np.ones(1)
    nodes = {"input": port(1), "output": out(1)}
    chains = []
    for stage in range(14):
        before = "input" if stage == 0 else f"j{stage - 1}"
        nodes |= {f"{side}{stage}": nir.Scale(scale=one) for side in "abj"}
        chains += [f"{before} {side}{stage} j{stage}" for side in "ab"]
    assert complaint(build(nodes, *chains, "j13 output")) == (
        "error[SNN206]: more than 10000 ways through linear nodes\n"
        "  at: input\n"
        "  fix: merge parallel linear branches into one weight. Or SNN_DEPLOY_LIMITS=2 raises all "
        "limits on sizes, for a file that you trust"
    )


def test_an_inner_graph_of_two_inputs(build, port, out, integrate, complaint):
    inner = build({"i1": port(1), "i2": port(1), "n": integrate(1), "o": out(1)}, "i1 n o", "i2 n")
    nodes = {"input": port(1), "block": inner, "output": out(1)}
    assert complaint(build(nodes, "input block output")) == (
        "error[SNN206]: an edge meets an inner graph of 2 inputs, and cannot say which\n"
        "  at: block\n"
        "  fix: give the inner graph one input and one output, or put its nodes into the outer"
    )


def test_an_inner_graph_that_is_only_a_loop_of_ports(build, port, out, complaint):
    inner = build({"input": port(1), "output": out(1)}, "input output")
    nodes = {"input": port(1), "block": inner, "output": out(1)}
    assert complaint(build(nodes, "input block block output")) == (
        "error[SNN206]: a loop without any neuron or delay\n  at: block.output"
    )


def test_names_that_meet_when_an_inner_graph_is_opened(build, port, out, integrate, complaint):
    inner = build({"input": port(1), "n": integrate(1), "output": out(1)}, "input n output")
    nodes = {"input": port(1), "block": inner, "block.n": integrate(1), "output": out(1)}
    text = complaint(build(nodes, "input block block.n output"))
    assert text == (
        "error[SNN206]: two nodes have the same name once inner graphs are opened\n  at: block.n"
    )


TOO_MUCH = "SNN_DEPLOY_LIMITS=1024 is the most that limits are raised by: make it smaller"


def test_a_layer_too_large_to_be_one(build, port, out, complaint, convolved):
    nodes = {"input": port(2**20, 2**20), "output": out(2**20, 2**20)}
    assert complaint(build(nodes, "input output")) == (
        "error[SNN204]: a layer of 1099511627776 values (1048576, 1048576); at most 67108864 are "
        "read\n"
        "  at: input\n"
        f"  fix: {TOO_MUCH}"
    )
    far = conv(np.ones((1, 1, 1, 1)), padding=2**30, stride=2**30)
    assert convolved(far, 1, 1, 1) == (
        "error[SNN204]: a layer of 4611686022722355201 values (1, 2147483649, 2147483649); "
        "at most 67108864 are read\n"
        "  at: conv\n"
        f"  fix: {TOO_MUCH}"
    )


def test_more_different_delays_than_projections_can_be(build, port, complaint):
    size = 8200
    nodes = {
        "input": port(size),
        "scale": nir.Scale(scale=np.ones(size)),
        "late": nir.Delay(delay=np.arange(size, dtype=float)),
        "output": nir.Output(output_type=None),
    }
    assert complaint(build(nodes, "input scale late output")) == (
        "error[SNN206]: 8200 different delays of 8200 values behind a map\n"
        "  at: late\n"
        "  fix: put the Delay before the map. Or SNN_DEPLOY_LIMITS=2 raises all limits on sizes, "
        "for a file that you trust"
    )
    assert load(build(nodes, "input late scale output"), dialect="nir", overrides=Overrides(dt=1.0))


def test_a_sample_shape_is_not_for_a_graph(build, port, out, integrate):
    graph = build({"input": port(1), "n": integrate(1), "output": out(1)}, "input n output")
    with pytest.raises(OptionError) as caught:
        load(graph, sample_shape=(1,))
    assert str(caught.value) == (
        "error[SNN102]: sample_shape says nothing about a NIR graph: it is for modules, whose "
        "layers take inputs of any size\n"
        "  at: sample_shape\n"
        "  fix: leave sample_shape out"
    )


def test_a_shape_error_is_one_class_of_model_errors():
    assert issubclass(ShapeError, ModelError)
    assert issubclass(GraphError, ModelError)


def test_a_flatten_of_a_single_axis_leaves_the_neurons_as_they_are(build, port, out, integrate):
    nodes = {
        "input": port(2),
        "flat": nir.Flatten(input_type=np.array([2]), start_dim=1, end_dim=-1),
        "n": integrate(2),
        "output": out(2),
    }
    plain = build({k: v for k, v in nodes.items() if k != "flat"}, "input n output")
    network = load(build(nodes, "input flat n output")).network
    assert network.populations == load(plain).network.populations
