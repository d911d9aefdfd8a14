"""The passes from network to network change its words, not its spikes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_inputs, random_network

from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import (
    Bias,
    Floor,
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import Fires, Reads, ResetKind, State, Tabled
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Table
from snn_deploy.ir.trace import EVERYTHING
from snn_deploy.quantize.fold import FoldMaps
from snn_deploy.quantize.normalize import FoldGains, MoveResetToZero, ReadNewCurrent
from snn_deploy.quantize.passes import Pipeline

SEEDS = st.integers(0, 2**32 - 1)
PASSES = {
    "fold": (FoldMaps(),),
    "gains": (FoldMaps(), FoldGains()),
    "reset": (MoveResetToZero(),),
    "current": (ReadNewCurrent(),),
    "all": (FoldMaps(), FoldGains(), MoveResetToZero(), ReadNewCurrent()),
}


@pytest.mark.parametrize("passes", PASSES.values(), ids=PASSES)
@settings(max_examples=30)
@given(seed=SEEDS)
def test_the_spikes_and_the_membrane_stay_the_same(passes, seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    inputs = random_inputs(rng, network)
    changed = Pipeline(passes)(network).graph
    before, after = simulate(network, inputs, EVERYTHING), simulate(changed, inputs, EVERYTHING)
    for population in changed.populations:
        wanted, got = before[population.name], after[population.name]
        assert np.array_equal(got.payload, wanted.payload)
        assert np.array_equal(got.membrane + population.origin, wanted.membrane)


def one_layer(population: Population) -> Network:
    return Network(
        name="one",
        inputs=(Input(name="in", shape=(2,)),),
        populations=(population,),
        projections=(
            Projection(name="p", source="in", target="l", map=Dense(weight=np.ones((2, 2)))),
        ),
        outputs=(Output(name="out", population="l"),),
    )


def test_a_hard_reset_moves_to_zero_with_threshold_floor_initial_and_leak():
    population = Population(
        name="l",
        shape=(2,),
        decay=np.asarray(0.75),
        threshold=np.asarray(1.0),
        reset=Reset(kind=ResetKind.VALUE, amount=np.asarray(-0.5)),
        floor=Floor(value=np.asarray(-2.0)),
    )
    moved = MoveResetToZero()(one_layer(population)).graph.population("l")
    assert moved.reset.amount == 0
    assert (moved.threshold, moved.initial, moved.origin) == (1.5, 0.5, -0.5)
    assert moved.floor is not None
    assert moved.floor.value == -1.5
    assert [(b.value, b.into, b.start) for b in moved.biases] == [(0.125, State.MEMBRANE, 0)]


def test_a_reset_value_that_differs_between_neurons_stays():
    reset = Reset(kind=ResetKind.VALUE, amount=np.array([0.25, 0.5]))
    network = one_layer(Population(name="l", shape=(2,), decay=np.ones(()), reset=reset))
    assert MoveResetToZero()(network).graph.population("l").reset is reset


def test_a_neuron_that_counts_keeps_its_reset_value():
    reset = Reset(kind=ResetKind.VALUE, amount=np.asarray(0.25))
    population = Population(
        name="l", shape=(2,), decay=np.ones(()), fires=Fires.COUNT, max_spikes=3, reset=reset
    )
    assert MoveResetToZero()(one_layer(population)).graph.population("l").reset is reset


def test_an_old_current_becomes_a_new_one_that_comes_a_step_later():
    population = Population(
        name="l",
        shape=(2,),
        decay=np.ones(()),
        synapse=Synapse(decay=np.asarray(0.5), reads=Reads.OLD),
        biases=(Bias(value=np.ones(()), into=State.CURRENT), Bias(value=np.ones(()))),
    )
    changed = ReadNewCurrent()(one_layer(population)).graph
    assert changed.projections[0].delay == 1
    assert changed.population("l").synapse.reads is Reads.NEW
    assert [b.start for b in changed.population("l").biases] == [1, 0]


def test_an_old_current_that_does_not_start_at_zero_stays():
    synapse = Synapse(decay=np.asarray(0.5), reads=Reads.OLD, initial=np.ones(()))
    network = one_layer(Population(name="l", shape=(2,), decay=np.ones(()), synapse=synapse))
    assert ReadNewCurrent()(network).graph.population("l").synapse is synapse


def test_a_threshold_over_time_moves_with_the_reset_and_other_tables_stay():
    def rows(*values):
        return np.array(values)[:, None]

    population = Population(
        name="l",
        shape=(2,),
        decay=np.asarray(0.75),
        threshold=np.asarray(1.0),
        reset=Reset(kind=ResetKind.VALUE, amount=np.asarray(-0.5)),
        tables=(
            Table(what=Tabled.THRESHOLD, rows=rows(1.0, 2.0, 0.5), start=1, repeats=True),
            Table(what=Tabled.PAYLOAD, rows=rows(3.0, -1.0)),
            Table(what=Tabled.BIAS, rows=rows(0.5, 0.25, 1.5), into=State.MEMBRANE, start=2),
        ),
    )
    network = one_layer(population)
    moved = MoveResetToZero()(network).graph
    inputs = random_inputs(np.random.default_rng(0), network)
    before, after = (simulate(n, inputs, EVERYTHING)["l"] for n in (network, moved))
    assert before.payload.any()
    np.testing.assert_array_equal(after.payload, before.payload)
    np.testing.assert_array_equal(after.membrane - 0.5, before.membrane)
    thresholds, *others = moved.population("l").tables
    np.testing.assert_array_equal(thresholds.rows, rows(1.5, 2.5, 1.0))
    assert tuple(others) == network.population("l").tables[1:]


def test_a_gain_of_each_column_goes_into_the_weights_of_its_column():
    population = Population(
        name="l", shape=(2, 3), decay=np.asarray(0.5), gain=np.array([2.0, 3.0, 5.0])
    )
    network = one_layer(replace(population, shape=(2,), gain=np.ones(())))
    wire = replace(network.projections[0], map=Dense(weight=np.ones((6, 2))))
    network = replace(network, populations=(population,), projections=(wire,))
    folded = FoldGains()(network).graph
    weight = folded.projections[0].map.numbers()
    np.testing.assert_array_equal(weight[:, 0], [2, 3, 5, 2, 3, 5])
    np.testing.assert_array_equal(weight[:, 1], weight[:, 0])
    assert folded.populations[0].gain == 1
