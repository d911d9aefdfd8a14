"""Examples of structures: narrow ones keep every promise, and the page is that of the results."""

import json
from pathlib import Path

import pytest

from snn_deploy.frontends import load
from snn_deploy.ir.neuron import Fires

pytest.importorskip("torch")
pytest.importorskip("spikingjelly")
pytestmark = pytest.mark.torch

EXAMPLES = Path(__file__).parents[2] / "examples" / "structures"
PAGE = EXAMPLES.parents[1] / "docs" / "structures.md"
RESULTS = json.loads((EXAMPLES / "results.json").read_text())
NARROW = [key for key in RESULTS if not key.endswith("34") and key != "vgg11"]
"""Networks of 34 layers are those of 18 with more blocks, and VGG-11 is here with its maxima."""


@pytest.mark.parametrize("key", NARROW)
def test_a_narrow_structure_keeps_every_promise(example, key):
    run, measured = example("run"), example("measured")
    structure = run.structures()[key]
    assert run.faults(structure, measured.take(structure, quick=True)) == []


def test_what_was_published_keeps_every_promise(example):
    run, measured = example("run"), example("measured")
    known = run.structures()
    assert list(RESULTS) == list(known)
    for key, row in RESULTS.items():
        assert run.faults(known[key], measured.Row(**row)) == [], key
        assert not row["quick"], key
        assert row["lava"] == "equal" or row["refused"] or known[key].lava_why, key


def test_the_page_is_that_of_the_results(example):
    publish = example("publish")
    page = PAGE.read_text()
    assert publish.published(page, publish.table(RESULTS)) == page


def test_a_trunk_of_currents_is_sent_by_no_neuron(example):
    shared, run = example("shared"), example("run")
    structure = run.structures()["ms18"]
    given = shared.samples(structure, 1)[0]
    network = load(shared.built(structure, 1), sample=given).network
    last = network.populations[-1].name
    assert {population.fires for population in network.populations[:-1]} == {Fires.BINARY}
    assert last == "output"
    assert len(network.into("stages.7.branch.0.leaky")) == 8


def test_a_sum_of_spikes_reaches_the_next_layer_from_each_that_was_added(example):
    shared, run = example("shared"), example("run")
    structure = run.structures()["sew18"]
    given = shared.samples(structure, 1)[0]
    network = load(shared.built(structure, 1), sample=given).network
    assert [p.source for p in network.into("1.1.first.2")] == ["0.2", "1.0.second.2"]
