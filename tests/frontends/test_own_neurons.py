"""Neurons stated in our own words: every field arrives and goes through NIR."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import snn_deploy
from snn_deploy.errors import DeployError
from snn_deploy.frontends import load
from snn_deploy.frontends.arch import build
from snn_deploy.frontends.arch.file import parse_architecture
from snn_deploy.frontends.layers import Cell, LayerGraph, Linear
from snn_deploy.ir.network import Bias, Chain, Floor, Reset, Synapse
from snn_deploy.ir.neuron import (
    Compare,
    Decode,
    During,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.ir.weighting import Weighting

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_neurons.py"
STEPS = 8
GENERATOR = np.random.default_rng(0)
FC1, FC2 = GENERATOR.normal(size=(4, 3)), GENERATOR.normal(size=(2, 4))
SPIKES = (GENERATOR.random((5, STEPS, 3)) < 0.5).astype(np.float64)


def number(value):
    return np.asarray(value, np.float64)


CELLS = {
    "fires once": {"refractory": Refractory(steps=None)},
    "refractory and clamped": {"refractory": Refractory(steps=2, during=During.CLAMPED)},
    "a window": {"window": Window(first=2, behind=5)},
    "a restart": {"restart": Restart(interval=4, offset=1)},
    "a table of thresholds": {
        "tables": (Table(what=Tabled.THRESHOLD, rows=np.linspace(1, 0.1, STEPS)),)
    },
    "a kernel on the receiving side, by channel": {
        "tables": (
            Table(
                what=Tabled.GAIN,
                rows=np.outer(0.8 ** np.arange(STEPS), [1, 2, 1, 2]),
                into=State.MEMBRANE,
            ),
        )
    },
    "biases and payloads over time": {
        "tables": (
            Table(what=Tabled.BIAS, rows=np.linspace(0, 1, 4), into=State.MEMBRANE, repeats=True),
            Table(what=Tabled.PAYLOAD, rows=np.array([1.0, 2, 3]), start=2),
        )
    },
    "a latched current that starts": {"synapse": Synapse(decay=number(1), initial=number(0.25))},
    "a chain of currents": {
        "synapse": Synapse(decay=number(0.5), into_membrane=0),
        "further": (
            Synapse(decay=number(0.25), chain=Chain(gain=number(0.5), reads=Reads.OLD)),
            Synapse(decay=number([0.5, 0, 0.5, 1]), into_membrane=-1),
        ),
    },
    "signs": {
        "fires": Fires.TERNARY,
        "lower": number([-0.5, -1, -0.5, -1]),
        "reset": Reset(kind=ResetKind.SUBTRACT, amount=number(1)),
    },
    "rounded levels": {
        "fires": Fires.ROUNDED,
        "max_spikes": 4,
        "reset": Reset(kind=ResetKind.SUBTRACT, amount=number(1)),
    },
    "an own amount, late": {
        "reset": Reset(kind=ResetKind.SUBTRACT, amount=number(0.7), when=When.NEXT)
    },
    "late biases, and one that waits": {
        "biases": (
            Bias(value=number([0.1, 0.2, 0.3, 0.4]), start=3),
            Bias(value=number(0.5), waits=True),
        )
    },
    "a floor before the test": {
        "floor": Floor(value=number(-0.25), when=FloorWhen.BEFORE_TEST),
        "initial": number(0.5),
    },
}


def graph_of(cell, **delays):
    graph = LayerGraph(inputs={"input": (3,)})
    graph.add("fc1", Linear(weight=FC1, **delays), "input")
    graph.add("n", cell, "fc1")
    graph.add("fc2", Linear(weight=FC2), "n")
    graph.add("last", Cell(decay=number(0.5)), "fc2")
    graph.outputs["output"] = "last"
    graph.decodes["output"] = Decode.WEIGHTED_COUNT
    graph.weights["output"] = Weighting.of(0.5 ** np.arange(STEPS))
    return graph


def cell_of(fields):
    plain = {"decay": number(0.5), "reset": Reset(kind=ResetKind.VALUE), "per_channel": True}
    return Cell(**{**plain, **fields})


@pytest.mark.parametrize("name", CELLS)
def test_every_field_is_in_the_network_and_comes_back_from_nir(name):
    cell = cell_of(CELLS[name])
    found = load(graph_of(cell))
    assert found.network.population("n").states == cell.population("n", (4,)).states
    again = load(found.nir_bytes)
    assert again.nir_bytes == found.nir_bytes
    inputs = [Values(name="input", values=SPIKES)]
    one, other = (simulate(f.network, inputs, EVERYTHING) for f in (found, again))
    for state, kept in one["n"].states.items():
        assert np.array_equal(kept, other["n"].states[state])
    first, second = (
        snn_deploy.export(m, target="cpu").program.digest
        for m in (graph_of(cell), load(found.nir_bytes).graph)
    )
    assert first == second


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fires once", "fires once"),
        ("a window", "fires in steps 2 to 4 only"),
        ("a restart", "starts again every 4 steps"),
        ("a table of thresholds", "its threshold changes from step to step"),
        ("a chain of currents", "3 synaptic currents"),
        ("signs", "sends ternary spikes"),
        ("late biases, and one that waits", "a bias waits for the first input"),
    ],
)
def test_strict_nir_refuses_what_plain_nir_cannot_say(name, reason):
    with pytest.raises(DeployError) as caught:
        snn_deploy.nir(graph_of(cell_of(CELLS[name])), strict=True)
    assert reason in caught.value.message
    assert "output: Output, metadata only: its steps weigh" in caught.value.message


def test_each_synapse_has_its_own_delay():
    delays = np.array([[0, 1, 2], [3, 0, 1], [2, 2, 2], [0, 0, 5]])
    plain = Cell(decay=number(0), threshold=number(0.5))
    found = load(graph_of(plain, delays=delays))
    trace = simulate(found.network, [Values(name="input", values=SPIKES)], EVERYTHING)
    late = np.zeros((len(SPIKES), STEPS, 4))
    for (post, pre), delay in np.ndenumerate(delays):
        late[:, delay:, post] += FC1[post, pre] * SPIKES[:, : STEPS - delay, pre]
    assert trace["n"].membrane == pytest.approx(late)
    assert load(found.nir_bytes).nir_bytes == found.nir_bytes


def test_a_graph_is_exported_verified_and_evaluated():
    deployment = snn_deploy.export(graph_of(cell_of(CELLS["fires once"])), target="loihi2")
    data = {"input": SPIKES.astype(np.uint8), "label": np.array([0, 1, 0, 1, 0])}
    assert snn_deploy.verify(deployment, input=data, against="reference").equal
    evaluation = snn_deploy.evaluate(deployment, data=data)
    assert "same class             100.00%" in str(evaluation)


def test_the_example_is_bit_exact(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert "event = reference  bit-exact" in capsys.readouterr().out


def test_a_decoder_with_weights_needs_them():
    graph = graph_of(cell_of({}))
    graph.weights.clear()
    with pytest.raises(DeployError) as caught:
        snn_deploy.export(graph)
    assert str(caught.value) == (
        "error[SNN206]: weighted-count needs a weight for each step\n"
        "  at: output\n"
        "  fix: graph.decodes and graph.weights state both; in an architecture file decode and "
        "decode_weights"
    )


def test_an_architecture_file_says_the_same():
    text = b"""
    input = [3]
    decode = "spike-time"
    decode_weights = [1.0, 0.5, 0.25]
    [[layers]]
    type = "Linear"
    name = "fc1"
    [[layers]]
    type = "Neurons"
    name = "n"
    decay = 0.5
    fires = "ternary"
    threshold = [1.0, 2.0, 1.0, 2.0]
    lower = -0.5
    reset = "late-subtract"
    reset_amount = 0.7
    refractory = "once"
    window = [1, 6]
    restart = [4, 1]
    floor = -3.0
    floor_when = "before-test"
    synapse_decay = 1.0
    synapses = [{decay = 0.5, chain = 0.25, chain_reads = "old", into_membrane = -1}]
    biases = [{value = 0.5, start = 2}]
    tables = [{what = "gain", into = "current", rows = [1.0, 0.5], repeats = true}]
    """
    graph = build(parse_architecture(text, "a.toml"), {"fc1.weight": FC1})
    assert graph.weights["output"] == Weighting.of([1, 0.5, 0.25])
    read = load(graph).network.population("n")
    meant = Cell(
        decay=number(0.5),
        fires=Fires.TERNARY,
        threshold=number([1, 2, 1, 2]),
        lower=number(-0.5),
        reset=Reset(kind=ResetKind.SUBTRACT, amount=number(0.7), when=When.NEXT),
        refractory=Refractory(steps=None),
        window=Window(first=1, behind=6),
        restart=Restart(interval=4, offset=1),
        floor=Floor(value=number(-3), when=FloorWhen.BEFORE_TEST),
        synapse=Synapse(decay=number(1)),
        further=(
            Synapse(
                decay=number(0.5),
                chain=Chain(gain=number(0.25), reads=Reads.OLD),
                into_membrane=-1,
            ),
        ),
        biases=(Bias(value=number(0.5), start=2),),
        tables=(Table(what=Tabled.GAIN, into=State.CURRENT, rows=number([1, 0.5]), repeats=True),),
        compare=Compare.GREATER,
        per_channel=True,
    ).population("n", (4,))
    assert repr(read) == repr(meant)
