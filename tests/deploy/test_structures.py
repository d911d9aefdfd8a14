"""Examples of structures: narrow ones keep every promise, and the page is that of the results."""

import importlib
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("spikingjelly")
pytestmark = pytest.mark.torch

EXAMPLES = Path(__file__).parents[2] / "examples" / "structures"
PAGE = EXAMPLES.parents[1] / "docs" / "structures.md"
RESULTS = json.loads((EXAMPLES / "results.json").read_text())


@pytest.fixture
def example(monkeypatch):
    """Import a module of the examples, under a name that no other test uses."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    before = set(sys.modules)

    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (EXAMPLES / f"{name}.py").exists():
            del sys.modules[name]


@pytest.mark.parametrize("key", RESULTS)
def test_a_narrow_structure_keeps_every_promise(example, key):
    run, measured = example("run"), example("measured")
    structure = run.structures()[key]
    assert run.faults(structure, measured.take(structure, quick=True)) == []


def test_what_was_published_keeps_every_promise(example):
    run, measured = example("run"), example("measured")
    known = run.structures()
    assert list(RESULTS) == [key for key in known if key in RESULTS]
    for key, row in RESULTS.items():
        assert run.faults(known[key], measured.Row(**row)) == [], key
        assert not row["quick"], key


def test_the_page_is_that_of_the_results(example):
    publish = example("publish")
    page = PAGE.read_text()
    assert publish.published(page, publish.table(RESULTS)) == page
