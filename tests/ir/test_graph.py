"""Order, loops and lags of graphs of populations."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.errors import GraphError, LoopTooShortError
from snn_deploy.ir.graph import lags, least_period, named, shortest_delay, step_order


@dataclass(frozen=True)
class Node:
    name: str
    shape: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Edge:
    name: str
    source: str
    target: str
    delay: np.ndarray = field(default_factory=lambda: np.zeros((), np.int32))


@dataclass(frozen=True)
class Graph:
    inputs: tuple[Node, ...]
    populations: tuple[Node, ...]
    projections: tuple[Edge, ...]
    outputs: tuple[Node, ...] = ()


def graph(populations: str, *edges: tuple[str, str, int]) -> Graph:
    """Return a graph with one-letter populations, an input x, and edges (source, target, delay)."""
    return Graph(
        inputs=(Node("x"),),
        populations=tuple(Node(name) for name in populations),
        projections=tuple(
            Edge(f"{source}{target}{i}", source, target, np.asarray(delay))
            for i, (source, target, delay) in enumerate(edges)
        ),
    )


def test_populations_come_after_those_that_reach_them_in_the_same_step():
    assert step_order(graph("cba", ("x", "a", 0), ("a", "b", 0), ("b", "c", 0))) == ("a", "b", "c")


def test_a_delayed_projection_orders_nothing():
    assert step_order(graph("ba", ("a", "b", 1), ("x", "a", 0))) == ("b", "a")


def test_populations_without_order_stay_as_declared():
    assert step_order(graph("dbca", ("a", "b", 0))) == ("d", "c", "a", "b")


def test_one_synapse_without_delay_orders_its_projection():
    delayed = Graph(
        inputs=(Node("x"),),
        populations=(Node("b"), Node("a")),
        projections=(Edge("ab", "a", "b", np.array([3, 0, 2])),),
    )
    assert step_order(delayed) == ("a", "b")


def test_a_loop_without_delay_is_refused_with_its_way():
    with pytest.raises(GraphError) as caught:
        step_order(graph("abc", ("a", "b", 0), ("b", "c", 0), ("c", "a", 0)))
    assert str(caught.value) == (
        "error[SNN206]: a loop of projections has no delay, so no step can be computed\n"
        "  at: a -> b -> c -> a\n"
        "  fix: put a Delay of at least one step into the loop"
    )


def test_lags_grow_by_the_missing_delay():
    assert lags(graph("abc", ("x", "a", 0), ("a", "b", 0), ("b", "c", 3)), 1) == {
        "x": 0, "a": 1, "b": 2, "c": 0,
    }  # fmt: skip


def test_the_longest_of_two_branches_sets_the_lag():
    forked = graph("abc", ("x", "a", 0), ("a", "b", 0), ("a", "c", 0), ("b", "c", 0))
    assert lags(forked, 1) == {"x": 0, "a": 1, "b": 2, "c": 3}
    assert lags(forked, 0) == {"x": 0, "a": 0, "b": 0, "c": 0}


def test_a_loop_with_enough_delay_has_lags():
    looped = graph("ab", ("x", "a", 0), ("a", "b", 0), ("b", "a", 2))
    assert lags(looped, 1) == {"x": 0, "a": 1, "b": 2}


def test_a_loop_that_is_too_short_is_refused_with_its_way():
    with pytest.raises(LoopTooShortError) as caught:
        lags(graph("ab", ("x", "a", 0), ("a", "b", 0), ("b", "a", 1)), 1)
    assert str(caught.value) in {
        "error[SNN304]: a loop of 2 projections has 1 step of delay, "
        "but the chip needs 1 for each, 2 in all\n"
        f"  at: {way}\n"
        "  fix: --time-dilation 2, which gives each step of the network 2 on the chip; "
        "or train with more delay in the loop; or --target cpu"
        for way in ("a -> b -> a", "b -> a -> b")
    }


def test_a_dilation_that_is_too_small_is_refused_with_the_one_that_is_not():
    edges = ("x", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "a", 1), ("b", "a", 1)
    looped = graph("abc", *edges)
    assert least_period(looped, 1) == 3
    assert least_period(looped, 4) == 12
    with pytest.raises(LoopTooShortError) as caught:
        lags(looped, 1, period=2)
    assert caught.value.message == (
        "a loop of 3 projections has 1 step of delay, 2 on the chip, "
        "but the chip needs 1 for each, 3 in all"
    )
    assert caught.value.fix.startswith("--time-dilation 3, ")
    assert lags(looped, 1, period=3) == {"x": 0, "a": 1, "b": 2, "c": 3}


@given(st.integers(0, 2**16), st.integers(0, 3))
def test_the_least_period_suffices_and_one_less_does_not(seed, minimum):
    rng = np.random.default_rng(seed)
    ends = [("abcdef"[first], "abcdef"[second]) for first, second in rng.integers(0, 6, (9, 2))]
    made = graph("abcdef", *((a, b, int(rng.integers(0, 3)) + (a >= b)) for a, b in ends))
    period = least_period(made, minimum)
    lags(made, minimum, period=period)
    if period > 1:
        with pytest.raises(LoopTooShortError):
            lags(made, minimum, period=period - 1)


@given(st.integers(0, 2**16), st.integers(0, 3))
def test_lags_give_every_projection_its_delay_and_no_more(seed, minimum):
    rng = np.random.default_rng(seed)
    edges = [("x", "abcdef"[rng.integers(6)], int(rng.integers(3))) for _ in range(2)]
    for _ in range(8):
        first, second = sorted(rng.choice(6, 2, replace=False))
        edges.append(("abcdef"[first], "abcdef"[second], int(rng.integers(4))))
        if rng.random() < 0.2:
            edges.append(("abcdef"[second], "abcdef"[first], 7 * minimum))
    made = graph("abcdef", *edges)
    lag = lags(made, minimum)
    slack = {
        name: [
            e.delay + lag[name] - lag[e.source] - minimum
            for e in made.projections
            if e.target == name
        ]
        for name in "abcdef"
    }
    assert all(s >= 0 for values in slack.values() for s in values)
    assert lag["x"] == 0
    # smallest: a population waits for nothing only where it has no lag
    assert all(lag[name] == 0 or min(values) == 0 for name, values in slack.items())


def test_a_name_that_is_not_there_is_a_key_error():
    with pytest.raises(KeyError, match="z"):
        named((Node("a"),), "z")


def test_a_projection_without_synapses_never_arrives():
    assert shortest_delay(Edge("e", "a", "b", np.zeros(0, np.int32))) > 10**6
