"""Loops, sums, delays, biases, inner graphs, several inputs and outputs."""

import nir
import numpy as np
import pytest

from snn_deploy.frontends import Overrides, load
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.neuron import Decode, Fires, State


def linear(*rows):
    return nir.Linear(weight=np.array(rows, float))


def affine(bias, *rows):
    return nir.Affine(weight=np.array(rows, float), bias=np.array(bias, float))


def names(imported):
    return [(p.name, p.source, p.target, p.delay.tolist()) for p in imported.network.projections]


def payload(run, imported, population, **inputs):
    return run(imported, **inputs)[population].payload[0]


def test_edges_into_one_node_add_up(build, port, out, integrate, read, run):
    graph = build(
        {
            "a": port(2),
            "b": port(2),
            "fa": linear([1, 0], [0, 2]),
            "fb": linear([1, 1], [0, 1]),
            "n": integrate(2, threshold=1.5),
            "output": out(2),
        },
        "a fa n output",
        "b fb n",
    )
    imported = read(graph)
    assert names(imported) == [("fa", "a", "n", 0), ("fb", "b", "n", 0)]
    a, b = np.array([[1.0, 0], [0, 1]]), np.array([[0.0, 1], [0, 0]])
    assert payload(run, imported, "n", a=a, b=b).tolist() == [[1, 0], [0, 1]]


def test_edges_into_a_linear_node_add_up_and_its_bias_counts_once(
    build, port, out, integrate, read, run
):
    graph = build(
        {
            "a": port(1),
            "b": port(1),
            "fc": affine([0.25], [2]),
            "n": integrate(1, threshold=9),
            "output": out(1),
        },
        "a fc n output",
        "b fc",
    )
    imported = read(graph)
    assert names(imported) == [("a+fc", "a", "n", 0), ("b+fc", "b", "n", 0)]
    membrane = run(imported, a=np.ones((1, 1)), b=np.ones((1, 1)))["n"].membrane
    assert membrane[0, :, 0].tolist() == [4.25]


def test_parallel_branches_are_two_projections(build, port, out, integrate, read):
    graph = build(
        {
            "input": port(1),
            "up": linear([2]),
            "down": linear([-1]),
            "join": nir.Scale(scale=np.array([0.5])),
            "n": integrate(1),
            "output": out(1),
        },
        "input up join n output",
        "input down join",
    )
    assert names(read(graph)) == [
        ("down+join", "input", "n", 0),
        ("up+join", "input", "n", 0),
    ]


def test_a_skip_without_weights_is_the_identity(build, port, out, integrate, read, run):
    graph = build(
        {
            "input": port(2),
            "n1": integrate(2, threshold=0.5),
            "fc": linear([0, 1], [1, 0]),
            "n2": integrate(2, threshold=1.5),
            "output": out(2),
        },
        "input n1 fc n2 output",
        "n1 n2",
    )
    imported = read(graph)
    assert names(imported)[1:] == [("fc", "n1", "n2", 0), ("n1->n2", "n1", "n2", 0)]
    x = np.array([[1.0, 0], [1, 1]])
    assert payload(run, imported, "n2", input=x).tolist() == [[0, 0], [1, 1]]


def test_several_inputs_and_outputs_keep_their_names(build, port, out, integrate, read):
    graph = build(
        {
            "in10": port(1),
            "in9": port(1),
            "n": integrate(1),
            "m": integrate(1),
            "o1": out(1),
            "o2": out(1),
            "o3": out(1),
        },
        "in9 n o1",
        "n o2",
        "in10 m o3",
    )
    network = read(graph).network
    assert [i.name for i in network.inputs] == ["in9", "in10"]
    assert [(o.name, o.population, o.decode) for o in network.outputs] == [
        ("o1", "n", Decode.COUNT),
        ("o2", "n", Decode.COUNT),
        ("o3", "m", Decode.COUNT),
    ]


def test_a_linear_output_is_a_neuron_that_never_fires(build, port, out, integrate, read, run):
    graph = build(
        {
            "input": port(1),
            "n": integrate(1, threshold=0.5),
            "fc": affine([0.5, 0], [1], [-2]),
            "output": out(2),
        },
        "input n fc output",
    )
    imported = read(graph)
    readout = imported.network.population("output")
    assert (readout.fires, readout.decay.item()) == (Fires.NEVER, 0)
    assert imported.network.outputs[0].decode is Decode.MEMBRANE_MEAN
    trace = run(imported, input=np.array([[1.0], [0.0]]))["output"]
    assert trace.membrane[0].tolist() == [[1.5, -2], [0.5, 0]]
    assert [f.amount for f in imported.findings] == ["read as membrane-mean"]


def test_an_output_of_two_neuron_layers_is_their_sum(build, port, out, integrate, read, run):
    graph = build(
        {"input": port(1), "a": integrate(1), "b": integrate(1, threshold=3), "output": out(1)},
        "input a output",
        "input b output",
    )
    imported = read(graph)
    x = np.array([[2.0], [2.0], [0.0]])
    trace = run(imported, input=x)["output"]
    assert trace.membrane[0, :, 0].tolist() == [1, 2, 0]


def test_an_input_may_go_straight_to_an_output(build, port, out, read, run):
    imported = read(build({"input": port(2), "output": out(2)}, "input output"))
    trace = run(imported, input=np.array([[1.0, -3.0]]))["output"]
    assert trace.membrane[0].tolist() == [[1, -3]]


def test_a_loop_carries_the_spikes_of_the_step_before(build, port, out, integrate, read, run):
    graph = build(
        {
            "input": port(1),
            "n": integrate(1),
            "rec": affine([0.25], [1]),
            "output": out(1),
        },
        "input n rec n output",
    )
    imported = read(graph)
    assert names(imported) == [("input->n", "input", "n", 0), ("rec", "n", "n", 1)]
    (bias,) = imported.network.population("n").biases
    assert bias.start == 0, "a bias acts at once, though nothing was fed back yet"
    assert not [f for f in imported.findings if f.kind is Kind.GUESSED]
    trace = run(imported, input=np.array([[1.0], [0.0], [0.0]]))["n"]
    assert trace.payload[0, :, 0].tolist() == [1, 1, 1]
    assert trace.membrane[0, :, 0].tolist() == [0, 0, 0]


def test_a_sinabs_feedback_bias_waits_for_the_first_feedback(build, port, out, integrate):
    graph = build(
        {
            "input": port(1),
            "n": integrate(1),
            "rec": affine([0.25], [1]),
            "output": out(1),
        },
        "input n rec n output",
    )
    (bias,) = load(graph, dialect="sinabs").network.population("n").biases
    assert bias.start == 1


def test_a_longer_loop_is_cut_where_the_walk_from_the_inputs_returns(
    build, port, out, integrate, read
):
    nodes = {
        "input": port(1),
        "a": integrate(1),
        "ab": linear([1]),
        "b": integrate(1),
        "ba": linear([1]),
        "output": out(1),
    }
    imported = read(build(nodes, "input a ab b ba a", "b output"))
    assert names(imported) == [
        ("input->a", "input", "a", 0),
        ("ba", "b", "a", 1),
        ("ab", "a", "b", 0),
    ]
    assert [str(f) for f in imported.findings] == [
        "guessed    b -> a: carries the spikes of the step before; it closes a loop without delay, "
        "and NIR does not say where the step ends; a Delay node in the loop does"
    ]
    again = load(imported.nir_bytes)
    assert names(again) == names(imported)
    assert again.findings == ()


def test_a_loop_with_a_delay_is_left_as_it_is(build, port, out, integrate, read):
    nodes = {
        "input": port(1),
        "a": integrate(1),
        "late": nir.Delay(delay=np.array([2.0])),
        "b": integrate(1),
        "output": out(1),
    }
    imported = read(build(nodes, "input a b late a", "b output"))
    assert names(imported) == [
        ("input->a", "input", "a", 0),
        ("b->a", "b", "a", 2),
        ("a->b", "a", "b", 0),
    ]
    assert imported.findings == ()


def test_the_order_of_populations_follows_the_signal(build, port, out, integrate, read):
    chain = ["input", "z", "10", "9", "a", "output"]
    nodes = {name: integrate(1) for name in chain[1:-1]} | {"input": port(1), "output": out(1)}
    network = read(build(nodes, " ".join(chain))).network
    assert [p.name for p in network.populations] == chain[1:-1]


@pytest.mark.parametrize(("seconds", "steps"), [(3e-3, 3), (3.0000001e-3, 3)])
def test_a_delay_is_whole_steps(build, port, out, leaky, seconds, steps):
    graph = build(
        {
            "input": port(2),
            "late": nir.Delay(delay=np.full(2, seconds)),
            "n": leaky(2, tau=0.1),
            "output": out(2),
        },
        "input late n output",
    )
    imported = load(graph, dialect="nir", overrides=Overrides(dt=1e-3))
    assert imported.network.projections[0].delay.tolist() == steps
    assert imported.findings == ()


def test_a_delay_between_steps_is_rounded_and_reported(build, port, out, integrate, read):
    graph = build(
        {
            "input": port(2),
            "late": nir.Delay(delay=np.array([2.4, 1.0])),
            "n": integrate(2),
            "output": out(2),
        },
        "input late n output",
    )
    imported = read(graph)
    assert imported.network.projections[0].delay.tolist() == [2, 1]
    assert [str(f) for f in imported.findings] == [
        "rounded    late: delays moved by up to 0.4 steps; a step takes 1, and a delay is a whole "
        "number of steps"
    ]


@pytest.mark.parametrize("place", ["before", "behind", "between", "conv"])
def test_delays_that_differ_act_on_each_value(build, port, out, run, place):
    """Whatever form they take: per source, per weight, or as split projections."""
    rng = np.random.default_rng(4)
    first = rng.integers(-4, 5, (3, 2)) / 4
    second = rng.integers(-4, 5, (3, 3)) / 4
    delays = np.array([2.0, 0.0, 1.0])
    bias = np.array([0.5, -0.25, 1.0])
    nodes = {
        "input": port(2),
        "fc1": nir.Affine(weight=first, bias=bias),
        "late": nir.Delay(delay=delays),
        "fc2": nir.Linear(weight=second),
        "output": out(3),
    }
    x = rng.integers(0, 3, (6, 2)).astype(float)
    chains = {
        "before": "input late fc2 output",
        "behind": "input fc1 late output",
        "between": "input fc1 late fc2 output",
        "conv": "input late conv output",
    }
    if place in ("before", "conv"):
        nodes["input"] = port(3)
        x = rng.integers(0, 3, (6, 3)).astype(float)
    if place == "conv":
        nodes["conv"] = nir.Conv1d(
            input_shape=None,
            weight=np.ones((1, 1, 3)),
            stride=1,
            padding=1,
            dilation=1,
            groups=1,
            bias=np.zeros(1),
        )
    used = {name: nodes[name] for name in chains[place].split()}
    imported = load(build(used, chains[place]), dialect="nir", overrides=Overrides(dt=1.0))

    def shifted(values):
        late = np.zeros_like(values)
        for column, steps in enumerate(delays.astype(int)):
            late[steps:, column] = values[: len(values) - steps, column]
        return late

    expected = {
        "before": lambda: shifted(x) @ second.T,
        "behind": lambda: shifted(x @ first.T + bias),
        "between": lambda: shifted(x @ first.T + bias) @ second.T,
        "conv": lambda: np.stack([np.convolve(row, np.ones(3), "same") for row in shifted(x)]),
    }[place]()
    membrane = run(imported, input=x)["output"].membrane
    assert np.array_equal(membrane.reshape(expected.shape), expected)


def test_two_delays_in_a_row_add_up(build, port, out, integrate, read):
    graph = build(
        {
            "input": port(2),
            "d1": nir.Delay(delay=np.array([2.0, 2.0])),
            "d2": nir.Delay(delay=np.array([0.0, 1.0])),
            "n": integrate(2),
            "output": out(2),
        },
        "input d1 d2 n output",
    )
    assert read(graph).network.projections[0].delay.tolist() == [2, 3]


def test_a_delay_before_an_output_delays_the_output(build, port, out, integrate, read):
    graph = build(
        {
            "input": port(1),
            "n": integrate(1),
            "late": nir.Delay(delay=np.array([3.0])),
            "output": out(1),
        },
        "input n late output",
    )
    (output,) = read(graph).network.outputs
    assert (output.population, output.delay) == ("n", 3)


def test_a_bias_behind_which_a_delay_stands_starts_late(build, port, out, integrate, read):
    graph = build(
        {
            "input": port(1),
            "fc": affine([1.5], [1]),
            "late": nir.Delay(delay=np.array([2.0])),
            "n": integrate(1, threshold=9),
            "output": out(1),
        },
        "input fc late n output",
    )
    (bias,) = read(graph).network.population("n").biases
    assert (bias.value.item(), bias.start, bias.into) == (1.5, 2, State.MEMBRANE)


def test_a_bias_is_scaled_by_the_gain_of_what_it_enters(build, port, out, read):
    def neurons(kind, **values):
        return kind(**{name: np.full(1, value) for name, value in values.items()})

    common = {"v_leak": 0.0, "v_threshold": 9.0, "v_reset": 0.0}
    lif = neurons(nir.LIF, tau=4.0, r=2.0, **common)
    cuba = neurons(nir.CubaLIF, tau_syn=2.0, tau_mem=4.0, r=2.0, w_in=3.0, **common)
    for node, value, into in ((lif, 0.5, State.MEMBRANE), (cuba, 1.5, State.CURRENT)):
        graph = build(
            {"input": port(1), "fc": affine([1], [1]), "n": node, "output": out(1)},
            "input fc n output",
        )
        (bias,) = read(graph).network.population("n").biases
        assert (bias.value.item(), bias.into) == (value, into)


def test_an_inner_graph_is_opened(build, port, out, integrate, read, run):
    inner = build(
        {
            "input": port(1),
            "lif": integrate(1),
            "w_rec": linear([2]),
            "output": out(1),
        },
        "input lif w_rec lif output",
    )
    graph = build(
        {"input": port(1), "block": inner, "fc": linear([2]), "n": integrate(1), "output": out(1)},
        "input block fc n output",
    )
    imported = read(graph)
    assert names(imported) == [
        ("input->block.lif", "input", "block.lif", 0),
        ("block.w_rec", "block.lif", "block.lif", 1),
        ("fc", "block.lif", "n", 0),
    ]
    assert payload(run, imported, "n", input=np.array([[2.0], [0], [0]])).tolist() == [[1]] * 3
    assert load(imported.nir_bytes).network.projections[1].name == "block.w_rec"


def test_graphs_within_inner_graphs_are_opened(build, port, out, integrate, read):
    core = build({"input": port(1), "n": integrate(1), "output": out(1)}, "input n output")
    middle = build({"input": port(1), "core": core, "output": out(1)}, "input core output")
    graph = build({"input": port(1), "middle": middle, "output": out(1)}, "input middle output")
    assert names(read(graph)) == [("input->middle.core.n", "input", "middle.core.n", 0)]


def test_edges_of_an_inner_graph_to_a_renamed_node_are_mended(build, port, out, integrate, read):
    inner = build({"input": port(1), "lif1": integrate(1), "output": out(1)}, "input lif output")
    graph = build({"input": port(1), "block": inner, "output": out(1)}, "input block output")
    imported = read(graph)
    assert [str(f) for f in imported.findings] == [
        "guessed    block.lif1: edges that name 'block.lif' are taken to mean it; there is no such "
        "node, and this is the only one that no edge names"
    ]


def test_batch_axes_in_front_are_dropped(build, port, out, integrate, read):
    graph = build(
        {"input": port(1, 1, 3), "fc": linear([1, 2, 3]), "n": integrate(1), "output": out(1, 1)},
        "input fc n output",
    )
    imported = read(graph)
    assert imported.network.inputs[0].shape == (3,)
    assert [(f.layer, f.amount) for f in imported.findings] == [
        ("input", "shape (1, 1, 3) read as (3,)"),
        ("output", "shape (1, 1) read as (1,)"),
    ]
    assert imported.graph.nodes["input"].input_type["input"].tolist() == [3]
    assert load(imported.nir_bytes).findings == ()


def test_a_batch_in_front_of_an_image_is_dropped(build, port, read):
    conv = nir.Conv2d(
        input_shape=None,
        weight=np.ones((4, 2, 3, 3)),
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=np.zeros(4),
    )
    graph = build(
        {"input": port(16, 2, 8, 6), "conv": conv, "output": nir.Output(output_type=None)},
        "input conv output",
    )
    imported = read(graph)
    assert imported.network.inputs[0].shape == (2, 8, 6)
    assert imported.network.population("output").shape == (4, 6, 4)
    assert imported.graph.nodes["conv"].input_shape.tolist() == [8, 6]


def test_a_flatten_that_keeps_the_channels_still_fits_a_dense_layer(build, port, out, read, run):
    """NIR's default start_dim of 1 counts a batch axis that NIR does not have."""
    graph = build(
        {
            "input": port(2, 1, 2),
            "flat": nir.Flatten(input_type=None),
            "fc": linear([1, 10, 100, 1000]),
            "output": out(1),
        },
        "input flat fc output",
    )
    imported = read(graph)
    x = np.array([[[[1.0, 2]], [[3, 4]]]])
    assert run(imported, input=x)["output"].membrane[0].tolist() == [[4321]]
    assert [f.amount for f in imported.findings][:1] == [
        "values of shape (2, 2) from flat read as (4,), in C order"
    ]


def test_missing_ports_are_added_and_reported(build, integrate, read):
    graph = build({"fc": linear([1, 1]), "n": integrate(1)}, "fc n")
    imported = read(graph)
    assert [i.name for i in imported.network.inputs] == ["input_fc"]
    assert [(o.name, o.population) for o in imported.network.outputs] == [("output_n", "n")]
    assert [f.amount for f in imported.findings] == [
        "an Input before fc was added",
        "an Output after n was added",
    ]


def test_a_node_that_leads_nowhere_is_left_out_and_reported(build, port, out, integrate, read):
    graph = build(
        {"input": port(1), "n": integrate(1), "fc": linear([1]), "output": out(1)},
        "input n output",
        "n fc",
    )
    imported = read(graph)
    assert names(imported) == [("input->n", "input", "n", 0)]
    assert [str(f) for f in imported.findings] == [
        "changed    fc: left out; no neuron and no output comes after it"
    ]


def test_names_stay_unique_where_branches_share_their_weights(build, port, out, integrate, read):
    graph = build(
        {
            "a": port(1),
            "b": port(1),
            "fc": linear([1]),
            "m": integrate(1),
            "n": integrate(1),
            "o": out(1),
            "p": out(1),
        },
        "a fc m o",
        "b fc n p",
    )
    found = [name for name, *_ in names(read(graph))]
    assert found == ["a+fc->m", "b+fc->m", "a+fc->n", "b+fc->n"]


def test_the_same_graph_in_another_order_is_the_same_network(build, port, out, integrate, read):
    nodes = {
        "input": port(1),
        "a": integrate(1),
        "b": integrate(1),
        "fc": linear([1]),
        "output": out(1),
    }
    forward = build(nodes, "input a fc b output", "input b")
    backward = build(dict(reversed(nodes.items())), "input b output", "fc b", "a fc", "input a")
    assert read(forward).nir_bytes == read(backward).nir_bytes
    assert names(read(forward)) == names(read(backward))


def test_a_membrane_is_sent_in_every_step_to_the_layers_behind_it(
    build, port, out, integrate, read, run
):
    leak = nir.LI(tau=np.full(1, 4.0), r=np.full(1, 4.0), v_leak=np.zeros(1))
    fc = nir.Linear(weight=np.full((1, 1), 0.5))
    nodes = {"input": port(1), "li": leak, "fc": fc, "n": integrate(1, threshold=9.0)}
    imported = read(build({**nodes, "output": out(1)}, "input li fc n output"))
    trace = run(imported, input=np.array([[1.0], [0.0], [0.0]]))
    filtered = np.array([1.0, 0.75, 0.75**2])
    np.testing.assert_allclose(trace["li"].state(State.PAYLOAD)[0, :, 0], filtered)
    np.testing.assert_allclose(trace["n"].state(State.MEMBRANE)[0, :, 0], 0.5 * np.cumsum(filtered))
