"""Neurons as the metadata of a NIR file states them."""

import msgspec
import numpy as np
import pytest

from snn_deploy.frontends.nir import record_of
from snn_deploy.frontends.nir.cells import CellRecord, population_in
from snn_deploy.ir.network import Bias, Chain, Floor, Population, Reset, Synapse
from snn_deploy.ir.neuron import (
    Compare,
    During,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.timing import Refractory, Restart, Table, Window

PLAIN = Population(name="n", shape=(3,), decay=np.asarray(0.9))
FULL = Population(
    name="n",
    shape=(2, 1, 1),
    decay=np.array([0.5, -0.25]).reshape(2, 1, 1),
    gain=np.asarray(0.1),
    synapse=Synapse(decay=np.asarray(0.3), into_membrane=0, initial=np.asarray(0.7)),
    further=(
        Synapse(
            decay=np.asarray(1.0),
            chain=Chain(gain=np.asarray(-0.2), reads=Reads.OLD),
            reads=Reads.OLD,
        ),
        Synapse(decay=np.asarray(0.0), into_membrane=-1),
    ),
    fires=Fires.TERNARY,
    threshold=np.asarray(1.5),
    lower=np.asarray(-0.5),
    compare=Compare.GREATER_EQUAL,
    reset=Reset(kind=ResetKind.VALUE, amount=np.asarray(0.25), when=When.NEXT),
    refractory=Refractory(steps=None, during=During.CLAMPED),
    window=Window(first=2, behind=9),
    restart=Restart(interval=5, offset=4),
    floor=Floor(value=np.asarray(-3.0), when=FloorWhen.BEFORE_TEST),
    biases=(Bias(value=np.asarray(0.1), into=State.CURRENT_3, start=3, waits=True),),
    tables=(
        Table(what=Tabled.THRESHOLD, rows=np.array([1.0, 2.0]), start=1),
        Table(
            what=Tabled.GAIN, rows=np.ones((4, 2, 1, 1)) / 3, into=State.MEMBRANE, repeats=True
        ),
    ),
)  # fmt: skip


@pytest.mark.parametrize("population", [PLAIN, FULL], ids=["plain", "full"])
def test_neurons_come_back_from_their_record_as_they_were(population):
    text = msgspec.json.encode(record_of(population, "digest"))
    back = population_in("n", msgspec.json.decode(text, type=CellRecord))
    assert record_of(back, "digest") == record_of(population, "digest")
    assert back.states == population.states
    assert [t.rows.tolist() for t in back.tables] == [t.rows.tolist() for t in population.tables]


def test_a_record_of_plain_neurons_says_nothing_of_what_they_lack():
    stated = set(msgspec.json.decode(msgspec.json.encode(record_of(PLAIN, "digest"))))
    assert stated.isdisjoint({"further", "lower", "refractory", "window", "restart", "tables"})
