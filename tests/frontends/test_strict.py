"""What plain NIR is said to compute exactly, it does; what it is said not to, it does not."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import unchecked

from snn_deploy.errors import GraphError, UnknownNodeError
from snn_deploy.frontends import Imported, Overrides, load
from snn_deploy.frontends.layers import Cell, Convolution, Delay, LayerGraph, Linear
from snn_deploy.frontends.nir import checked_graph, import_graph, node_type, read_graph
from snn_deploy.frontends.nir.nodes import digest
from snn_deploy.frontends.strict import Saying, plain
from snn_deploy.frontends.strict.sayings import STEP, say
from snn_deploy.frontends.to_nir import time_constant, to_nir
from snn_deploy.ir.network import Bias, Floor, Network, Population, Reset, Synapse
from snn_deploy.ir.neuron import (
    Compare,
    Decode,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    When,
)
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Trace, Values

STEPS = 200
EXACT, DECOMPOSED, METADATA = Saying.EXACT, Saying.DECOMPOSED, Saying.METADATA


def number(value: float) -> np.ndarray:
    return np.asarray(float(value))


def to_value(amount: float = 0.0, when: When = When.NOW) -> Reset:
    return Reset(kind=ResetKind.VALUE, amount=number(amount), when=when)


def subtracting(amount: float = 1.0, when: When = When.NOW) -> Reset:
    return Reset(kind=ResetKind.SUBTRACT, amount=number(amount), when=when)


def imported(graph: LayerGraph) -> Imported:
    form = to_nir(graph)
    return import_graph(
        checked_graph(form.graph, ""), name="net", where="net", annotation=form.annotation
    )


def network_of(
    *cells: Cell, seed: int = 0, loop: str = "", waits: bool = False, dyadic: bool = True
) -> Imported:
    """Return neurons behind dense layers, one population after the other.

    Args:
        cells: The populations.
        seed: Of the weights.
        loop: "self": the last feeds itself back; "back": the last feeds the first.
        waits: Whether the bias on the loop waits for the first spikes.
        dyadic: Whether weights are multiples of 1/8.
    """
    rng = np.random.default_rng(seed)

    def numbers(*shape: int) -> np.ndarray:
        values = rng.normal(0.4, 1.0, shape) / math.sqrt(shape[-1]) * 2
        return np.rint(values * 8) / 8 if dyadic else values

    graph = LayerGraph(inputs={"x": (5,)}, bias_waits=waits)
    last = "x"
    for index, cell in enumerate(cells):
        pre = 5 if index == 0 else 6
        bias = numbers(6) if index else None
        last = graph.add(f"fc{index}", Linear(weight=numbers(6, pre), bias=bias), last)
        last = graph.add(f"n{index}", cell, last)
    graph.outputs["out"] = last
    if loop:
        graph.add("rec", Linear(weight=numbers(6, 6) / 2, bias=numbers(6)), last)
        graph.feed_back("rec", last if loop == "self" else "n0")
    return imported(graph)


def values_for(network: Network, seed: int = 1, *, dyadic: bool = True) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (1, STEPS, *network.inputs[0].shape)
    values = rng.integers(-2, 9, shape) / 4 if dyadic else rng.normal(0.5, 1, shape)
    return values * (rng.random(shape) < 0.5)


def run(network: Network, values: np.ndarray) -> Trace:
    return simulate(network, [Values(name=network.inputs[0].name, values=values)], EVERYTHING)


def payloads(trace: Trace) -> dict[str, np.ndarray]:
    return {each.name: each.state(State.PAYLOAD) for each in trace.populations}


def sent_by(sent: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return what a population of the model sends in its plain form: the sum of its last nodes."""
    ends = [n for n in sent if n.startswith(f"{name}.spikes")]
    if f"{name}.spikes" not in ends:
        ends.append(f"{name}.membrane" if f"{name}.membrane" in sent else name)
    return sum(sent[n] for n in ends)


def read_plainly(content: bytes, dt: float) -> Network:
    return load(content, dialect="nir", overrides=Overrides(dt=dt)).network


def assert_plain_is_the_same(
    model: Imported, *, dt: float | None = None, dyadic: bool = True
) -> None:
    """Check that the strict file, read canonically, sends what the model sends.

    It may not only where the membrane misses the threshold by less than float32 can tell: there
    v > the next smaller float32 number is not yet v >= threshold, and another order of float64
    sums counts. Not at the threshold itself, unless the membrane of the file is rounded away from
    it: a leak adds a bit in every step, and float64 has 53.
    """
    written = plain(model, dt=dt)
    read_back = read_plainly(written.required(), written.sayings.dt)
    values = values_for(model.network, dyadic=dyadic)
    meant, found = run(model.network, values), run(read_back, values)
    read = payloads(found)
    firing = [p for p in model.network.populations if p.fires in (Fires.BINARY, Fires.COUNT)]
    wrong = [
        (index[1], place, tuple(index))
        for place, p in enumerate(firing)
        for index in np.argwhere(payloads(meant)[p.name] != sent_by(read, p.name)).tolist()
    ]
    if wrong:  # what comes after the first may follow from it
        step, place, index = min(wrong)
        population = firing[place]
        tested = membrane_at_test(population, meant, index)
        missed = distance(population, tested)
        if missed == 0:
            own = f"{population.name}.membrane"
            holder = found[own if own in read else population.name]
            missed = distance(population, float(holder.state(State.MEMBRANE)[index]))
        assert 0 < missed <= 2.0**-22, f"{population.name} differs in step {step}: {missed}"


def membrane_at_test(population: Population, trace: Trace, index: tuple[int, ...]) -> float:
    """Return a membrane as it was tested."""
    states = trace[population.name]
    tested = float(states.state(State.MEMBRANE)[index])
    reset = population.reset
    if reset.kind is ResetKind.SUBTRACT and reset.when is When.NOW:
        tested += float(states.state(State.PAYLOAD)[index] * reset.amount)
    return tested


def distance(population: Population, tested: float) -> float:
    """Return how far a membrane is from a threshold, relative to it."""
    threshold = float(population.threshold)
    level = threshold * max(1.0, np.rint(tested / threshold))
    return abs(tested - level) / level


# A law: whatever random neurons are said to be exact, reads back with the same spikes.


def _cell(**fields: Any) -> Cell:
    with unchecked():
        return Cell(**fields)


def cells(*, dyadic: bool) -> st.SearchStrategy[Cell]:
    def some(low: float, high: float) -> st.SearchStrategy[np.ndarray]:
        if dyadic:
            return st.integers(int(low * 8), int(high * 8)).map(lambda n: np.asarray(n / 8))
        return st.floats(low, high, width=32).map(np.asarray)

    # 1 - decay is a power of two, so that a time constant says it exactly.
    decays = (
        st.sampled_from([0.0, 0.5, 0.75, 0.875, 1.0]).map(np.asarray)
        if dyadic
        else st.floats(0.0, 1.0, width=32).map(np.asarray)
    )
    gains = st.sampled_from([1.0, 0.5, 2.0]).map(np.asarray) if dyadic else some(0.25, 2.0)
    starts = st.one_of(st.just(number(0)), some(-1.0, 1.0))
    new = st.builds(Synapse, decay=decays, gain=gains, initial=starts)
    old = st.builds(Synapse, decay=decays, gain=gains, reads=st.just(Reads.OLD))
    subtract = st.builds(
        lambda amount, when: Reset(kind=ResetKind.SUBTRACT, amount=amount, when=when),
        some(0.5, 1.5),
        st.sampled_from([When.NOW, When.NEXT]),
    )
    value = st.builds(lambda amount: Reset(kind=ResetKind.VALUE, amount=amount), some(-1.0, 1.0))

    def neurons(fires: Fires) -> st.SearchStrategy[Cell]:
        binary = fires is Fires.BINARY
        return st.builds(
            _cell,
            decay=decays,
            gain=gains,
            synapse=st.one_of(st.none(), new, old),
            fires=st.just(fires),
            max_spikes=st.just(1 if binary else 3),
            threshold=some(0.5, 1.5),
            compare=st.sampled_from(Compare),
            reset=st.one_of(st.just(Reset()), subtract, *([value] if binary else [])),
            bias=st.one_of(st.just(number(0)), some(-0.5, 0.5)),
            current_bias=st.just(number(0)),
            initial=starts,
        )

    return st.one_of(neurons(Fires.BINARY), neurons(Fires.COUNT))


LOOPS = st.sampled_from(["", "self", "back"])


NEVER_ENDING = Cell(decay=number(0.5), compare=Compare.GREATER, reset=subtracting(1.375, When.NEXT))
"""Nears its threshold by half of what is missing in each step, until float64 ends."""


@settings(max_examples=10)
@example(Cell(decay=number(1), threshold=number(0.5)), NEVER_ENDING, "", False, 0)
@given(cells(dyadic=True), cells(dyadic=True), LOOPS, st.booleans(), st.integers(0, 99))
def test_what_is_said_exact_reads_back_with_the_same_spikes(
    first: Cell, second: Cell, loop: str, waits: bool, seed: int
) -> None:
    assert_plain_is_the_same(network_of(first, second, seed=seed, loop=loop, waits=waits))


@settings(max_examples=8)
@given(cells(dyadic=False), cells(dyadic=False), LOOPS, st.booleans(), st.integers(0, 99))
def test_numbers_that_are_not_dyadic_read_back_with_the_same_spikes(
    first: Cell, second: Cell, loop: str, waits: bool, seed: int
) -> None:
    model = network_of(first, second, seed=seed, loop=loop, waits=waits, dyadic=False)
    assert_plain_is_the_same(model, dyadic=False)


@pytest.mark.parametrize("dt", [1.0, 1e-3, 1e-4, 2.0**-10, 0.3])
def test_the_step_of_the_file_changes_no_spike(dt: float) -> None:
    leaky = Cell(decay=number(0.875), reset=to_value(0.25), synapse=Synapse(decay=number(0.5)))
    late = Cell(decay=number(0.75), reset=subtracting(when=When.NEXT), initial=number(0.5))
    assert_plain_is_the_same(network_of(leaky, late, loop="back"), dt=dt)


@given(st.floats(0.0, 1.0), st.sampled_from([1.0, 1e-3, 1e-4, 0.3]))
def test_a_time_constant_says_a_decay_to_the_last_bits(decay: float, dt: float) -> None:
    tau, share = time_constant(np.asarray([decay]), dt)
    assert abs((1.0 - dt / tau[0]) - decay) <= 2.0**-52
    assert share[0] == min(dt / tau[0], 1.0)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.75, 0.875, 1 - 2.0**-20, 1.0])
@pytest.mark.parametrize("dt", [1.0, 1e-3, 1e-4, 0.3])
def test_a_dyadic_leak_is_said_exactly(decay: float, dt: float) -> None:
    tau, _ = time_constant(np.asarray([decay]), dt)
    assert 1.0 - dt / tau[0] == decay


# A table: which neurons are said how, and by which nodes.

ONE = number(1)
FORMS: Mapping[str, tuple[Cell, Saying, list[str], str]] = {
    "IF": (Cell(decay=ONE, reset=to_value(0)), EXACT, ["IF"], ""),
    "IF that starts elsewhere": (
        Cell(decay=ONE, reset=to_value(0), initial=number(0.5)),
        EXACT,
        ["LIF"],
        "",
    ),
    "LIF": (Cell(decay=number(0.75), reset=to_value(0.25)), EXACT, ["LIF"], ""),
    "LIF that leaks to where it starts": (
        Cell(decay=number(0.75), reset=to_value(0), bias=number(0.125), initial=number(0.5)),
        EXACT,
        ["LIF"],
        "",
    ),
    "LIF that starts elsewhere": (
        Cell(decay=number(0.75), reset=to_value(0), initial=number(0.5)),
        DECOMPOSED,
        ["Affine", "LIF"],
        "bias or start: Affine in front",
    ),
    "IF with a bias": (
        Cell(decay=ONE, reset=to_value(0), bias=number(0.25)),
        DECOMPOSED,
        ["Affine", "IF"],
        "bias or start: Affine in front",
    ),
    "CubaLIF": (
        Cell(decay=number(0.75), reset=to_value(0), synapse=Synapse(decay=number(0.5))),
        EXACT,
        ["CubaLIF"],
        "",
    ),
    "IF with a current": (
        Cell(decay=ONE, reset=to_value(0), synapse=Synapse(decay=number(0.5))),
        EXACT,
        ["CubaLIF"],
        "",
    ),
    "Threshold": (Cell(decay=number(0)), EXACT, ["Threshold"], ""),
    "at its threshold": (
        Cell(decay=number(0.75), reset=to_value(0), compare=Compare.GREATER_EQUAL),
        DECOMPOSED,
        ["LIF"],
        "v >= threshold: v > the next smaller float32",
    ),
    "subtracts late": (
        Cell(decay=number(0.75), reset=subtracting(when=When.NEXT)),
        DECOMPOSED,
        ["LI", "Threshold", "Scale"],
        "a spike subtracts in the next step: LI, Threshold, Scale back",
    ),
    "subtracts at once": (
        Cell(decay=ONE, reset=subtracting()),
        DECOMPOSED,
        ["I", "Threshold", "Scale"],
        "a spike subtracts at once: I, Threshold, Scale back",
    ),
    "subtracts a scaled input late": (
        Cell(decay=number(0.75), gain=number(0.5), reset=subtracting(when=When.NEXT)),
        DECOMPOSED,
        ["Scale", "LI", "Threshold", "Scale"],
        "factor: Scale in front; a spike subtracts in the next step: LI, Threshold, Scale back",
    ),
    "keeps its membrane": (
        Cell(decay=number(0.75)),
        DECOMPOSED,
        ["LI", "Threshold"],
        "no reset: LI, Threshold",
    ),
    "several spikes": (
        Cell(decay=ONE, reset=subtracting(), fires=Fires.COUNT, max_spikes=2),
        DECOMPOSED,
        ["I", "Threshold", "Threshold", "Scale"],
        "up to 2 spikes a step: a Threshold for each; "
        "a spike subtracts at once: I, Threshold, Scale back",
    ),
    "old current": (
        Cell(
            decay=number(0.75),
            reset=to_value(0),
            synapse=Synapse(decay=number(0.5), reads=Reads.OLD),
        ),
        DECOMPOSED,
        ["LI", "Delay", "LIF"],
        "synaptic current: LI in front; reads the current of the step before: Delay",
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_neurons_become_the_nodes_that_compute_them(case: str) -> None:
    cell, saying, types, reasons = FORMS[case]
    model = network_of(cell)
    said = {each.node: each for each in say(model).nodes}["n0"]
    assert (said.saying, "; ".join(said.reasons)) == (saying, reasons)
    file = read_graph(plain(model).required(), "plain.nir")
    made = sorted(node_type(node) for name, node in file.nodes.items() if name.startswith("n0"))
    assert made == sorted(types)
    assert_plain_is_the_same(model)


def test_a_linear_filter_is_exact_and_keeps_its_membrane() -> None:
    filtered = Cell(decay=number(0.75), gain=number(0.5), fires=Fires.NEVER)
    spiking = Cell(decay=number(0.75), reset=to_value(0))
    model = network_of(filtered, spiking, filtered)
    assert {each.saying for each in say(model).nodes} == {EXACT}
    network = read_plainly(plain(model).required(), STEP)
    values = values_for(network)
    meant, read = run(model.network, values), run(network, values)
    for name in ("n0", "n2"):
        membranes = [trace[name].state(State.MEMBRANE) for trace in (meant, read)]
        np.testing.assert_allclose(membranes[1], membranes[0], rtol=1e-12, atol=1e-12)


def test_biases_of_channels_come_through_a_convolution() -> None:
    rng = np.random.default_rng(5)
    graph = LayerGraph(inputs={"x": (2, 6, 6)})
    kernel = Convolution(
        weight=rng.integers(-4, 9, (3, 2, 3, 3)) / 8, stride=(1, 1), padding=(1, 1), dilation=(1, 1)
    )
    graph.add("conv", kernel, "x")
    neurons = Cell(
        decay=ONE,
        gain=number(0.5),
        reset=to_value(0),
        bias=np.asarray([0.25, 0, -0.25]),
        per_channel=True,
    )
    graph.add("n0", neurons, "conv")
    graph.outputs["out"] = "n0"
    model = imported(graph)
    file = read_graph(plain(model).required(), "plain.nir")
    assert node_type(file.nodes["n0.in"]) == "Conv2d"
    assert_plain_is_the_same(model)


def test_delays_take_as_many_steps_as_before() -> None:
    graph = LayerGraph(inputs={"x": (5,)})
    graph.add("n0", Cell(decay=number(0.5), reset=to_value(0)), "x")
    graph.add("wait", Delay(steps=3), "n0")
    graph.add("n1", Cell(decay=ONE, reset=subtracting()), "wait")
    graph.outputs["out"] = "n1"
    model = imported(graph)
    file = read_graph(plain(model, dt=1e-3).required(), "plain.nir")
    np.testing.assert_allclose(file.nodes["wait"].delay, 3e-3)
    assert_plain_is_the_same(model, dt=1e-3)


def test_a_plain_file_goes_through_unchanged() -> None:
    rng = np.random.default_rng(2)
    tau = np.full(4, 2.5e-3, np.float32)
    neurons = nir.LIF(
        tau=tau,
        r=tau / np.float32(1e-4),
        v_leak=np.zeros(4, np.float32),
        v_threshold=np.ones(4, np.float32),
        v_reset=np.zeros(4, np.float32),
    )
    nodes = {
        "in": nir.Input(input_type=np.array([3])),
        "fc": nir.Linear(weight=rng.normal(size=(4, 3)).astype(np.float32)),
        "lif": neurons,
        "out": nir.Output(output_type=np.array([4])),
    }
    edges = [("in", "fc"), ("fc", "lif"), ("lif", "out")]
    graph = nir.NIRGraph(nodes=nodes, edges=edges)
    model = load(graph, dialect="nir", overrides=Overrides(dt=1e-4))
    written = read_graph(plain(model).required(), "plain.nir")
    assert digest(written) == digest(graph)
    assert written.metadata == {}


@pytest.mark.shared
@pytest.mark.parametrize("dialect", ["snntorch", "norse", "spyx", "spikingjelly"])
@pytest.mark.parametrize("file", ["bias_zero", "noBias_subtract"])
def test_published_files_are_said_plainly_for_those_who_wrote_them(
    shared_data: Path, file: str, dialect: str
) -> None:
    source = shared_data / "nir-paper" / f"braille_noDelay_{file}.nir"
    model = load(source, dialect=dialect, overrides=Overrides(dt=1e-4))
    written = plain(model)
    read_back = read_plainly(written.required(), written.sayings.dt)
    rng = np.random.default_rng(0)
    values = (rng.random((2, STEPS, *model.network.inputs[0].shape)) < 0.3).astype(float)
    meant, read = (payloads(run(n, values)) for n in (model.network, read_back))
    for name in ("lif1.lif", "lif2"):
        assert meant[name].any()
        np.testing.assert_array_equal(sent_by(read, name), meant[name])


def test_a_strict_file_holds_nothing_of_ours_and_equal_models_give_equal_bytes() -> None:
    cell = Cell(decay=number(0.75), reset=subtracting(when=When.NEXT))
    content = plain(network_of(cell)).required()
    assert b"snn_deploy" not in content
    assert content == plain(network_of(cell)).required()


# Loops.


def crossed(*, biased: bool, entry: str = "fcb") -> Imported:
    """Return two populations that the input reaches; b reaches z at once, z reaches b late.

    A walk from the input meets z first, so that a plain reading delays the other way. `entry` is
    the name of what is between the input and b.
    """
    rng = np.random.default_rng(4)
    spiking = Cell(decay=number(0.75), reset=to_value(0))
    graph = LayerGraph(inputs={"x": (5,)})
    graph.add(entry, Linear(weight=rng.integers(-4, 9, (6, 5)) / 8), "x")
    graph.add("b", spiking, entry)
    graph.add("fcz", Linear(weight=rng.integers(-4, 9, (6, 5)) / 8), "x")
    graph.add("z", spiking, "fcz", "b")
    bias = np.full(6, 0.25) if biased else None
    graph.add("back", Linear(weight=rng.integers(-4, 9, (6, 6)) / 8, bias=bias), "z")
    graph.add("c", spiking, "back")
    graph.feed_back("back", "b")
    graph.outputs["out"] = "c"
    return imported(graph)


def test_a_loop_that_a_plain_reading_would_close_elsewhere_gets_a_delay() -> None:
    model = crossed(biased=False)
    said = {each.node: each for each in say(model).nodes}["b"]
    assert (said.saying, said.reasons) == (DECOMPOSED, ("z sends it the step before: Delay",))
    assert_plain_is_the_same(model)


def test_nodes_of_a_form_take_no_names_that_the_network_has() -> None:
    model = crossed(biased=False, entry="back.b.loop")
    assert "back.b.loop_" in read_graph(plain(model).required(), "plain.nir").nodes
    assert_plain_is_the_same(model)
    graph = LayerGraph(inputs={"x": (2,)})
    graph.add("n0.in", Linear(weight=np.asarray([[0.5, 1.0], [1.0, -0.5]])), "x")
    graph.add("n0", Cell(decay=ONE, reset=to_value(0), bias=np.full(2, 0.25)), "n0.in")
    graph.outputs["out"] = "n0"
    model = imported(graph)
    assert "n0.in_" in read_graph(plain(model).required(), "plain.nir").nodes
    assert_plain_is_the_same(model)


def test_a_loop_whose_only_edge_is_shared_is_refused() -> None:
    model = crossed(biased=True)
    refused = say(model).refused
    assert [each.node for each in refused] == ["z", "b"]
    reason = "its loop is read otherwise, and no edge for a Delay is its own"
    assert {each.reasons for each in refused} == {(reason,)}
    assert_plain_differs(model, "z")


def test_a_loop_that_is_read_as_meant_is_exact_and_says_so() -> None:
    model = network_of(Cell(decay=number(0.75), reset=to_value(0)), loop="self")
    said = {each.node: each for each in say(model).nodes}["n0"]
    assert said.saying is EXACT
    assert said.notes == ("n0 sends it the step before, as loops are read",)


def test_a_bias_that_waits_for_the_loop_comes_before_a_delay() -> None:
    model = network_of(Cell(decay=number(0.75), reset=to_value(0)), loop="self", waits=True)
    file = read_graph(plain(model).required(), "plain.nir")
    assert [edge for edge in file.edges if "loop" in "".join(edge)] == [
        ("rec", "rec.n0.loop"),
        ("rec.n0.loop", "n0"),
    ]
    assert_plain_is_the_same(model)


# Refusals: each reason, and that the plain reading of the nearest node does differ.


def assert_plain_differs(model: Imported, name: str, state: State = State.PAYLOAD) -> None:
    """Check that the nearest nodes alone, read canonically, do not compute the same."""
    graph = nir.NIRGraph(
        nodes=model.graph.nodes, edges=model.graph.edges, metadata={}, type_check=False
    )
    network = load(graph, dialect="nir", overrides=Overrides(dt=model.annotation.dt.value)).network
    values = values_for(network)
    meant, read = (run(n, values)[name] for n in (model.network, network))
    assert not np.array_equal(meant.state(state), read.state(state))


def _spatial(cell: Cell) -> Imported:
    graph = LayerGraph(inputs={"x": (2, 3, 3)})
    graph.add("n0", cell, "x")
    graph.outputs["out"] = "n0"
    return imported(graph)


def _late_bias() -> Imported:
    graph = LayerGraph(inputs={"x": (5,)})
    graph.add("n0", Cell(decay=ONE, reset=to_value(0)), "x")
    graph.outputs["out"] = "n0"
    form = to_nir(graph)
    late = Bias(value=number(0.25), start=4)
    stated = {"n0": replace(form.annotation.cells["n0"], biases=(late,))}
    annotation = replace(form.annotation, cells=stated)
    return import_graph(
        checked_graph(form.graph, ""), name="net", where="net", annotation=annotation
    )


OLD = Synapse(decay=number(0.5), reads=Reads.OLD, initial=number(4))
MANY = {"fires": Fires.COUNT, "max_spikes": 255, "compare": Compare.GREATER_EQUAL}
REFUSED: Mapping[str, tuple[Callable[[], Imported], Saying, str]] = {
    "floor": (
        lambda: network_of(Cell(decay=ONE, reset=subtracting(), floor=Floor(value=number(-0.25)))),
        METADATA,
        "floor at -0.25",
    ),
    "floor before the test": (
        lambda: network_of(
            Cell(
                decay=ONE,
                reset=to_value(),
                floor=Floor(value=number(-0.25), when=FloorWhen.BEFORE_TEST),
            )
        ),
        METADATA,
        "floor at -0.25",
    ),
    "many spikes": (
        lambda: network_of(Cell(decay=ONE, reset=subtracting(), threshold=number(0.25), **MANY)),
        METADATA,
        "sends up to 255 spikes a step",
    ),
    "many spikes and a value": (
        lambda: network_of(
            Cell(decay=ONE, reset=to_value(), threshold=number(0.25), **MANY | {"max_spikes": 2})
        ),
        METADATA,
        "sends up to 2 spikes a step",
    ),
    "retested": (
        lambda: network_of(Cell(decay=number(0.875), reset=subtracting(when=When.RETESTED))),
        METADATA,
        "a spike subtracts at once, and from the next test again if still above",
    ),
    "dropped input": (
        lambda: network_of(Cell(decay=number(0.875), reset=to_value(0, When.NEXT))),
        METADATA,
        "the step after a spike is 0: its input is dropped",
    ),
    "a current at the start": (
        lambda: network_of(Cell(decay=number(0.75), reset=to_value(), synapse=OLD)),
        METADATA,
        "its first step reads a current of 4",
    ),
    "a late bias": (_late_bias, METADATA, "a bias starts at step 4"),
    "a bias for each place": (
        lambda: _spatial(
            Cell(decay=ONE, reset=to_value(), bias=np.arange(18).reshape(2, 3, 3) / 16)
        ),
        METADATA,
        "a bias of its own for each of 18 places: NIR adds numbers per channel",
    ),
    "growing": (
        lambda: network_of(Cell(decay=number(1.25), reset=to_value())),
        Saying.UNSUPPORTED,
        "membrane times 1.25 a step: NIR's factors lie in 0..1",
    ),
    "swinging current": (
        lambda: network_of(Cell(decay=ONE, reset=to_value(), synapse=Synapse(decay=number(-0.5)))),
        Saying.UNSUPPORTED,
        "current times -0.5 a step: NIR's factors lie in 0..1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_differs_when_it_is_written_plainly(case: str) -> None:
    make, saying, reason = REFUSED[case]
    model = make()
    said = {each.node: each for each in say(model).nodes}["n0"]
    assert (said.saying, said.reasons) == (saying, (reason,))
    assert_plain_differs(model, "n0")


def test_a_filter_that_is_reset_is_refused() -> None:
    resetting = Cell(decay=number(0.75), fires=Fires.GRADED, reset=subtracting(0.5))
    model = network_of(resetting, Cell(decay=number(0.75), reset=to_value()))
    assert [(s.node, s.reasons) for s in say(model).refused] == [
        ("n0", ("sends its membrane, and is reset",))
    ]
    assert_plain_differs(model, "n1")


def test_too_many_biases_are_refused() -> None:
    graph = LayerGraph(inputs={"x": (3000,)})
    graph.add("n0", Cell(decay=ONE, reset=to_value(), bias=number(0.25)), "x")
    graph.outputs["out"] = "n0"
    assert say(imported(graph)).refused[0].reasons == (
        "3000 biases of its own need a matrix of 3000^2 numbers",
    )


def test_the_membrane_of_spiking_neurons_is_no_answer_of_plain_nir() -> None:
    graph = LayerGraph(inputs={"x": (5,)})
    graph.add("n0", Cell(decay=ONE, reset=to_value(0)), "x")
    graph.outputs["out"] = "n0"
    graph.decodes["out"] = Decode.MEMBRANE_END
    assert [(s.node, s.reasons) for s in say(imported(graph)).refused] == [
        ("out", ("the membrane of neurons that spike is its answer",))
    ]


def test_how_outputs_are_read_is_noted() -> None:
    graph = LayerGraph(inputs={"x": (5,)})
    graph.add("n0", Cell(decay=ONE, reset=to_value(0)), "x")
    graph.outputs["out"] = "n0"
    graph.decodes["out"] = Decode.FIRST_SPIKE
    said = {each.node: each for each in say(imported(graph)).nodes}["out"]
    assert (said.saying, said.notes) == (EXACT, ("read by first-spike, which is not said",))


# Complaints.

FLOORED = Cell(decay=ONE, reset=subtracting(), floor=Floor(value=number(-1)), **MANY)


def test_a_strict_file_is_refused_with_every_node_and_reason() -> None:
    with pytest.raises(GraphError) as caught:
        plain(network_of(Cell(decay=ONE, reset=to_value()), FLOORED, FLOORED)).required()
    assert str(caught.value) == (
        "error[SNN206]: plain NIR cannot say 2 of 8 nodes\n"
        "  n1: IF, metadata only: floor at -1; sends up to 255 spikes a step\n"
        "  n2: IF, metadata only: floor at -1; sends up to 255 spikes a step\n"
        "  at: n1, first of 2\n"
        "  fix: --annotated writes the nearest nodes, and the rest into the metadata"
    )


def test_neurons_that_nir_has_no_node_for_are_an_unknown_node() -> None:
    with pytest.raises(UnknownNodeError) as caught:
        plain(network_of(Cell(decay=number(1.25), reset=to_value()))).required()
    assert str(caught.value) == (
        "error[SNN203]: plain NIR cannot say 1 of 4 nodes\n"
        "  n0: LIF, unsupported: membrane times 1.25 a step: NIR's factors lie in 0..1\n"
        "  at: n0, first of 1\n"
        "  fix: --annotated writes the nearest nodes, and the rest into the metadata"
    )


def test_a_long_list_of_refused_nodes_is_cut() -> None:
    with pytest.raises(GraphError) as caught:
        plain(network_of(*[FLOORED] * 23)).required()
    assert caught.value.message.splitlines()[-1] == "  and 3 more"


def test_the_way_out_of_a_refusal_works() -> None:
    model = network_of(FLOORED)
    again = load(model.nir_bytes)
    values = values_for(model.network)
    meant, read = (payloads(run(n, values))["n0"] for n in (model.network, again.network))
    assert np.array_equal(read, meant)
