"""Connections into a later current or the membrane: stated in layers, kept by NIR."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snn_deploy
from snn_deploy.errors import DeployError, ModelError
from snn_deploy.frontends import load
from snn_deploy.frontends.arch import build
from snn_deploy.frontends.arch.file import parse_architecture
from snn_deploy.frontends.layers import Cell, Into, LayerGraph, Linear
from snn_deploy.frontends.nir import read_graph, write_graph
from snn_deploy.frontends.strict import plain
from snn_deploy.ir.network import Chain, Synapse
from snn_deploy.ir.neuron import CURRENTS, Fires, Reads, State, Tabled
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Table
from snn_deploy.ir.trace import EVERYTHING, Values

STEPS, READS, NEURONS = 7, 3, 4
SEEDS = st.integers(0, 2**32 - 1)


def number(value):
    return np.asarray(value, np.float64)


def drawn(rng):
    """Return a random chain of currents, in eighths so that sums are exact in any order."""
    count = int(rng.integers(0, 5))
    synapses = [
        Synapse(
            decay=number(rng.integers(0, 9) / 8),
            gain=number(rng.integers(1, 5) / 4),
            reads=rng.choice(list(Reads)),
            into_membrane=int(rng.integers(-1, 2)),
            chain=Chain(gain=number(rng.integers(1, 5) / 4), reads=rng.choice(list(Reads)))
            if index and rng.random() < 0.7
            else None,
        )
        for index in range(count)
    ]
    states = (State.MEMBRANE, *CURRENTS[:count])
    tables = tuple(
        Table(what=Tabled.GAIN, rows=rng.integers(0, 3, 4) / 2, into=state, start=2)
        for state in states
        if rng.random() < 0.4
    )
    return Cell(
        decay=number(0.5),
        gain=number(0.5),
        synapse=synapses[0] if synapses else None,
        further=tuple(synapses[1:]),
        tables=tables,
    ), states


def graph_of(cell, ways, back):
    """Return neurons that several layers reach, and one that comes back."""
    graph = LayerGraph(inputs={"input": (READS,)})
    ends = []
    for index, (layer, state) in enumerate(ways):
        end = graph.add(f"fc{index}", layer, "input")
        ends.append(end if state is None else graph.add(f"to{index}", Into(state=state), end))
    graph.add("n", cell, *ends)
    graph.add("back", back[0], "n")
    graph.add("in", Into(state=back[1]), "back")
    graph.feed_back("in", "n")
    graph.outputs["output"] = "n"
    return graph


def membranes(cell, ways, back, values):
    """Return the membranes [step, neuron], by the plainest loop."""
    synapses = () if cell.synapse is None else (cell.synapse, *cell.further)
    entry = State.CURRENT if synapses else State.MEMBRANE
    gains = {table.into: table for table in cell.tables}
    currents, v, sent, found = np.zeros((len(synapses), NEURONS)), np.zeros(NEURONS), 0, []
    for step, x in enumerate(values):
        arrives = dict.fromkeys((State.MEMBRANE, *CURRENTS), 0)
        for layer, state in ways:
            arrives[state or entry] += layer.weight @ x + (0 if layer.bias is None else layer.bias)
        arrives[back[1]] += back[0].weight @ (np.zeros(NEURONS) if step == 0 else sent)
        for state, table in gains.items():
            row = table.at(step)
            arrives[state] = arrives[state] * (1 if row is None else row)
        old, total = currents.copy(), arrives[State.MEMBRANE]
        for index, each in enumerate(synapses):
            currents[index] = each.decay * old[index] + each.gain * arrives[CURRENTS[index]]
            if each.chain is not None:
                before = old if each.chain.reads is Reads.OLD else currents
                currents[index] += each.chain.gain * before[index - 1]
            read = old if each.reads is Reads.OLD else currents
            total = total + each.into_membrane * read[index]
        v = cell.decay * v + cell.gain * total
        sent = (v > 1).astype(float)
        found.append(v)
    return np.array(found)


@settings(max_examples=30)
@given(seed=SEEDS)
def test_each_connection_enters_the_state_that_it_names_and_nir_keeps_it(seed):
    rng = np.random.default_rng(seed)
    cell, states = drawn(rng)

    def layer(reads, bias=None):
        return Linear(weight=rng.integers(-8, 9, (NEURONS, reads)) / 8, bias=bias)

    ways = [
        (
            layer(READS, rng.integers(-4, 5, NEURONS) / 8 if rng.random() < 0.5 else None),
            rng.choice([None, *states]),
        )
        for _ in range(rng.integers(1, 4))
    ]
    back = layer(NEURONS), rng.choice(list(states))
    graph = graph_of(cell, ways, back)
    values = rng.integers(0, 2, (STEPS, READS)).astype(float)
    found = load(graph)
    again = load(found.nir_bytes)
    assert again.nir_bytes == found.nir_bytes
    meant = membranes(cell, ways, back, values)
    for network in (found.network, again.network):
        trace = simulate(network, [Values(name="input", values=values[None])], EVERYTHING)
        assert trace["n"].membrane[0] == pytest.approx(meant, abs=1e-12)


TWO = Cell(
    decay=number(0.5),
    synapse=Synapse(decay=number(0.5), into_membrane=0),
    further=(Synapse(decay=number(0.5), chain=Chain(gain=number(0.5))),),
)
WEIGHT = Linear(weight=np.eye(NEURONS)[:, :READS])


def simple(state=State.CURRENT_2, cell=TWO, layer=WEIGHT):
    graph = LayerGraph(inputs={"input": (READS,)})
    graph.add("fc1", layer, "input")
    graph.add("to", Into(state=state), "fc1")
    graph.add("n", cell, "to")
    graph.outputs["output"] = "n"
    return graph


def refusal(action):
    with pytest.raises(DeployError) as caught:
        action()
    return str(caught.value)


def test_a_projection_keeps_the_name_and_the_map_of_its_layer():
    (projection,) = load(simple()).network.projections
    assert (projection.name, projection.into) == ("fc1", State.CURRENT_2)
    assert np.array_equal(projection.map.weight, WEIGHT.weight)


def test_an_input_may_enter_a_later_current_as_it_is():
    graph = LayerGraph(inputs={"input": (NEURONS,)})
    graph.add("to", Into(state=State.CURRENT_2), "input")
    graph.add("n", TWO, "input", "to")
    graph.outputs["output"] = "n"
    projections = load(graph).network.projections
    assert [(p.source, p.into) for p in projections] == [
        ("input", None),
        ("input", State.CURRENT_2),
    ]


def test_nir_gives_the_same_integers_and_the_simulators_agree_on_them():
    values = np.random.default_rng(0).integers(0, 2, (5, STEPS, READS)).astype(np.uint8)
    deployment = snn_deploy.export(simple(), target="loihi2")
    again = load(load(simple()).nir_bytes).graph
    assert snn_deploy.export(again, target="loihi2").program.digest == deployment.program.digest
    assert snn_deploy.verify(deployment, input={"input": values}, against="reference").equal


def test_strict_nir_names_the_node_that_drives_another_state():
    plain = Cell(decay=number(0.5), synapse=Synapse(decay=number(0.5)))
    assert refusal(lambda: snn_deploy.nir(simple(State.MEMBRANE, plain), strict=True)) == (
        "error[SNN206]: plain NIR cannot say 1 of 5 nodes\n"
        "  to: Scale, metadata only: what it gives enters the membrane of n\n"
        "  at: to, first of 1\n"
        "  fix: --annotated writes the nearest nodes, and the rest into the metadata"
    )


def test_the_state_that_is_entered_anyway_is_plain_nir():
    cell = Cell(decay=number(0.5), synapse=Synapse(decay=number(0.5)))
    graph = simple(State.CURRENT, cell)
    read = load(plain(load(graph)).required()).network
    assert all(projection.into is None for projection in read.projections)


def test_a_state_that_no_connection_drives():
    assert refusal(lambda: simple(State.THRESHOLD)) == (
        "error[SNN206]: no connection drives the state 'threshold'\n"
        "  at: to\n"
        "  fix: one of current, current-2, current-3, current-4, membrane"
    )


def test_a_state_that_the_neurons_do_not_have():
    assert refusal(lambda: load(simple(State.CURRENT_3))) == (
        "error[SNN206]: it enters the state 'current-3', which n does not have\n"
        "  at: to\n"
        "  fix: one of current, current-2, membrane"
    )


def test_something_else_than_neurons_behind_it():
    graph = simple()
    graph.add("fc2", WEIGHT, "to")
    assert refusal(lambda: load(graph)) == (
        "error[SNN206]: what it reads enters the current-2 of neurons, but fc2 has none\n"
        "  at: to\n"
        "  fix: put it right before the neurons"
    )
    graph = simple()
    graph.outputs["more"] = "to"
    assert "but more has none" in refusal(lambda: load(graph))


def test_metadata_of_a_node_that_leads_elsewhere_is_refused():
    found = load(simple())
    graph = read_graph(found.nir_bytes, "a.nir")
    graph.edges.append(("to", "output"))
    assert refusal(lambda: load(write_graph(graph))) == (
        "error[SNN202]: our metadata says that it drives the current-2 of neurons, but output is "
        "none\n"
        "  at: to"
    )


def test_a_bias_passes_through_the_gain_of_its_step():
    for repeats in (False, True):
        rows = number([1, 0.5, 0])
        gain = Table(what=Tabled.GAIN, rows=rows, into=State.MEMBRANE, repeats=repeats)
        cell = Cell(decay=number(0), gain=number(2), fires=Fires.NEVER, tables=(gain,))
        layer = Linear(weight=WEIGHT.weight, bias=np.arange(4.0))
        network = load(simple(State.MEMBRANE, cell, layer)).network
        zeros = Values(name="input", values=np.zeros((1, 6, READS)))
        found = simulate(network, [zeros], EVERYTHING)["n"].membrane[0]
        factors = [*rows, *(rows if repeats else np.ones(3))]
        assert np.array_equal(found, 2 * np.outer(factors, layer.bias))


def test_a_bias_that_meets_a_gain_joins_the_table_of_biases():
    tables = (
        Table(what=Tabled.GAIN, rows=number([0, 1]), into=State.MEMBRANE, start=1),
        Table(what=Tabled.BIAS, rows=number([5, 6]), into=State.MEMBRANE, start=2),
    )
    cell = Cell(decay=number(0), fires=Fires.NEVER, tables=tables)
    layer = Linear(weight=WEIGHT.weight, bias=np.ones(4))
    network = load(simple(State.MEMBRANE, cell, layer)).network
    zeros = Values(name="input", values=np.zeros((1, 6, READS)))
    found = simulate(network, [zeros], EVERYTHING)["n"].membrane[0, :, 0]
    assert found.tolist() == [1, 0, 6, 7, 1, 1]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            [{"what": Tabled.GAIN, "repeats": True, "start": 1}],
            "error[SNN207]: a bias arrives from step 0 on, but its gain repeats from step 1 on\n"
            "  at: n\n"
            "  fix: leave the bias out of the layer, and state it as a table of the neurons",
        ),
        (
            [{"what": Tabled.GAIN, "repeats": True}, {"what": Tabled.BIAS}],
            "error[SNN207]: a bias times a gain that changes is another table than that of the "
            "biases\n"
            "  at: n\n"
            "  fix: leave the bias out of the layer, and add it to the table of the neurons",
        ),
    ],
)
def test_a_bias_times_a_gain_that_no_table_says(tables, message):
    made = tuple(Table(rows=number([1, 2]), into=State.MEMBRANE, **each) for each in tables)
    layer = Linear(weight=WEIGHT.weight, bias=np.ones(4))
    graph = simple(State.MEMBRANE, Cell(decay=number(0), tables=made), layer)
    assert refusal(lambda: load(graph)) == message


def test_an_architecture_file_says_the_same():
    text = """
    input = [3]
    [[layers]]
    type = "Linear"
    name = "fc1"
    [[layers]]
    type = "Into"
    name = "to"
    state = "current-2"
    [[layers]]
    type = "Neurons"
    name = "n"
    decay = 0.5
    synapse_decay = 0.5
    synapse_into_membrane = 0
    synapses = [{decay = 0.5, chain = 0.5}]
    """
    read = build(parse_architecture(text.encode(), "a.toml"), {"fc1.weight": WEIGHT.weight})
    assert load(read).network.projections[0].into is State.CURRENT_2
    unsaid = text.replace('state = "current-2"', "")
    with pytest.raises(ModelError) as caught:
        build(parse_architecture(unsaid.encode(), "a.toml"), {"fc1.weight": WEIGHT.weight})
    assert str(caught.value) == (
        "error[SNN202]: it does not say which state of the neurons behind it is driven\n"
        "  at: a.toml: to\n"
        '  fix: state = "current-2", say'
    )
