"""Examples of training methods: short runs keep every promise, and what is wrong is seen."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

EXAMPLES = Path(__file__).parents[2] / "examples" / "methods"
DOCS = EXAMPLES.parents[1] / "docs"
RESULTS = json.loads((EXAMPLES / "results.json").read_text())
MARKER = re.compile(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)"')
MOVED = 2.0
"""Points by which layouts of several versions of the plotting library may differ."""


@pytest.mark.parametrize("key", RESULTS)
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
    assert bool(trip.strict(graph)) == bool(RESULTS[key]["strict"])
    proven = trip.proof(method, net, task, samples=3)
    assert proven.nir_again
    assert proven.bit_exact


def test_what_was_published_keeps_every_promise(example):
    run, record = example("run"), example("record")
    assert tuple(RESULTS) == run.KEYS
    for key, row in RESULTS.items():
        assert not run.faults(record.Row(**row)), key
        assert not row["quick"], key
        assert run.method(key).task(quick=True).name == row["task"], key
        assert row["lava"] == "equal", key


def test_the_page_and_its_plot_are_those_of_the_results(example):
    pytest.importorskip("matplotlib")
    publish = example("publish")
    page, drawn = ((DOCS / name).read_text() for name in ("methods.md", "methods.svg"))
    assert publish.published(page, publish.table(RESULTS)) == page
    again = publish.plot(RESULTS)
    assert publish.plot(RESULTS) == again
    for row in RESULTS.values():
        assert (row["method"] in drawn) == (row["task"] == publish.SHOWN)
    published, meant = (np.array(MARKER.findall(text), float) for text in (drawn, again))
    assert len(meant)
    np.testing.assert_allclose(published, meant, atol=MOVED)


def test_integers_whose_error_is_a_fifth_larger_are_a_fault(example):
    run, record = example("run"), example("record")
    row = record.Row(**RESULTS["full_force"])
    assert run.faults(replace(row, integer_error=1.21 * row.float_error)) == [
        "integers: error too large"
    ]
    assert run.faults(replace(row, float_error=2 * row.plain_error)) == [
        "worse than plain training"
    ]
