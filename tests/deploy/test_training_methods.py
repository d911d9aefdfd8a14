"""Examples of training methods: short runs keep every promise, and what is wrong is seen."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

EXAMPLES = Path(__file__).parents[2] / "examples" / "methods"
DOCS = EXAMPLES.parents[1] / "docs"
KEYS = tuple(json.loads((EXAMPLES / "results.json").read_text()))


@pytest.fixture
def example(monkeypatch):
    """Import a module of the examples, under a name that no other test uses."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    before = set(sys.modules)

    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (EXAMPLES / f"{name}.py").exists():
            del sys.modules[name]


@pytest.mark.parametrize("key", KEYS)
def test_a_short_run_keeps_every_promise_and_sees_what_is_wrong(example, key):
    trip = example("trip")
    method = example(key).METHOD
    task = method.task(quick=True)
    net = trip.trained(method, task)
    shape = tuple(task.images.shape[1:])
    graph, images = net.graph(shape), task.test_images[:20]
    assert trip.differences(net, graph, images) == trip.Differences(spikes=0, answers=0)
    wrong = net.graph(shape)
    method.spoil(wrong)
    seen = trip.differences(net, wrong, images)
    assert seen.spikes or seen.answers, method.hazard
    proven = trip.proof(method, net, task, samples=3)
    assert proven.nir_again
    assert proven.bit_exact


def test_what_was_published_keeps_every_promise(example):
    run, trip = example("run"), example("trip")
    found = json.loads((EXAMPLES / "results.json").read_text())
    assert list(found) == [key for key in run.KEYS if key in found]
    for key, row in found.items():
        assert not run.faults(trip.Row(**row)), key
        assert not row["quick"], key


def test_the_page_and_its_plot_are_those_of_the_results(example):
    pytest.importorskip("matplotlib")
    publish = example("publish")
    results = json.loads((EXAMPLES / "results.json").read_text())
    page = (DOCS / "methods.md").read_text()
    assert publish.published(page, publish.table(results)) == page
    assert publish.plot(results) == publish.plot(results)
    for row in results.values():
        shown = row["method"] in (DOCS / "methods.svg").read_text()
        assert shown == (row["integer_accuracy"] is not None)


def test_integers_whose_error_is_a_fifth_larger_are_a_fault(example):
    run, trip = example("run"), example("trip")
    row = trip.Row(**json.loads((EXAMPLES / "results.json").read_text())["full_force"])
    assert run.faults(replace(row, integer_error=1.21 * row.float_error)) == [
        "integers: error too large"
    ]
    assert run.faults(replace(row, float_error=2 * row.plain_error)) == [
        "worse than plain training"
    ]
