"""The search for bits: cheapest first, and never without having run what it returns."""

import itertools
import sys
from dataclasses import replace

import pytest

from snn_deploy.errors import OptionError
from snn_deploy.quantize.widths import Bench, Searcher, Widths, descent, search_widths

FRAIL = Widths(name="frail", cost=100, errors={b: 4.0**-b for b in range(2, 9)})
ROBUST = Widths(name="robust", cost=1000, errors={b: 1e-3 * 4.0**-b for b in range(2, 9)})


def accuracy(bits):
    """Return what a network loses: the frail layer below 6 bits, the robust one below 3."""
    return 99.0 - 2.0 * max(0, 6 - bits["frail"]) - 5.0 * max(0, 3 - bits["robust"])


def test_a_path_of_single_bits_leads_from_all_to_the_fewest():
    path = descent([FRAIL, ROBUST])
    assert path[0] == {"frail": 8, "robust": 8}
    assert path[-1] == {"frail": 2, "robust": 2}
    assert len(path) == 13
    for one, two in itertools.pairwise(path):
        assert sum(one[n] - two[n] for n in one) == 1


def test_bits_go_first_where_that_costs_least_error_for_what_it_saves():
    path = descent([FRAIL, ROBUST])
    assert {"frail": 8, "robust": 4} in path
    assert {"frail": 4, "robust": 8} not in path


def test_the_least_is_found_that_loses_no_more_than_allowed():
    found = search_widths([FRAIL, ROBUST], accuracy, least_accuracy=99.0)
    assert dict(found.best.bits) == {"frail": 6, "robust": 3}
    assert found.best.cost == 6 * 100 + 3 * 1000
    assert found.best in found.tried
    assert len(found.tried) < 12


def test_more_may_be_lost_for_fewer_bits():
    found = search_widths([FRAIL, ROBUST], accuracy, least_accuracy=93.5)
    assert dict(found.best.bits) == {"frail": 6, "robust": 2}


def test_no_program_runs_twice():
    seen = []

    def evaluate(bits):
        seen.append(tuple(bits.items()))
        return accuracy(bits)

    search_widths([FRAIL, ROBUST], evaluate, least_accuracy=95.0)
    assert len(seen) == len(set(seen))


def test_where_nothing_is_accurate_enough_the_best_is_returned_after_one_run():
    found = search_widths([FRAIL, ROBUST], accuracy, least_accuracy=99.5)
    assert dict(found.best.bits) == {"frail": 8, "robust": 8}
    assert len(found.tried) == 1


def test_of_equally_cheap_ones_the_most_accurate_is_found_and_if_none_will_do_the_cheapest_best():
    twins = [replace(FRAIL, name=name) for name in "ab"]
    reached = {(3, 4): 95.0, (4, 3): 96.0, (2, 2): 80.0, (8, 8): 99.0, (7, 8): 99.0}
    for least, best in ((90.0, (4, 3)), (99.5, (7, 8))):
        bench = Bench(twins, lambda bits: reached[bits["a"], bits["b"]], least)
        for (a, b), accuracy_of in reached.items():
            assert bench.passes({"a": a, "b": b}) is (accuracy_of >= least)
        assert tuple(bench.found.best.bits.values()) == best
        assert [tried.accuracy for tried in bench.found.tried] == list(reached.values())


def test_optuna_finds_what_a_misleading_sensitivity_hides():
    pytest.importorskip("optuna")
    wrong = [
        Widths(name="frail", cost=100, errors=dict.fromkeys(range(2, 9), 0.0)),
        Widths(name="robust", cost=1000, errors={b: 8.0 - b for b in range(2, 9)}),
    ]
    greedy = search_widths(wrong, accuracy, least_accuracy=99.0)
    found = search_widths(wrong, accuracy, least_accuracy=99.0, searcher=Searcher.OPTUNA, runs=30)
    assert found.best.cost <= greedy.best.cost
    assert len(found.tried) > len(greedy.tried)


def test_optuna_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError) as caught:
        search_widths([FRAIL], lambda bits: 99.0, least_accuracy=0, searcher=Searcher.OPTUNA)
    assert str(caught.value) == (
        "error[SNN102]: optuna is not installed\n"
        "  at: --search optuna\n"
        "  fix: pip install snn-deploy[search], or --search greedy"
    )
