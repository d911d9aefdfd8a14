"""The bounds of small neurons are the ends of what they reach when everything arrives in turn."""

from dataclasses import replace

import numpy as np
import pytest
from strategies import unchecked
from wild_programs import whole

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.arithmetic import Overflow, Register, Sums
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, During, Fires, FloorWhen, ResetKind, State, When
from snn_deploy.ir.program import (
    Bias,
    Current,
    Floor,
    Input,
    Population,
    Program,
    Projection,
    Refractory,
    Reset,
)
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize import bound_walk
from snn_deploy.quantize.arrivals import arrivals
from snn_deploy.quantize.bounds import state_bounds
from snn_deploy.targets import find_target

SMALL = Register(bits=4, overflow=Overflow.SATURATE)
TOGETHER = replace(find_target("cpu").arithmetic, membrane=SMALL, accumulator=None)
BY_ROW = replace(TOGETHER, sums=Sums.BY_ROW)
WIDE = replace(TOGETHER, membrane=Register(bits=32, overflow=Overflow.SATURATE))
FALLS = (Bias(value=whole(-2)),)
KEEPS = whole(4096)


def small(decay=KEEPS, **fields):
    return Population(name="l", shape=(1,), decay=decay, **fields)


def value(amount, when=When.NOW):
    return Reset(kind=ResetKind.VALUE, amount=whole(amount), when=when)


def never(when=When.NOW):
    return Reset(kind=ResetKind.NONE, when=when)


def program_of(population, rules, weight=1):
    """Return a neuron that one source may raise by up to three weights, and one lower."""
    wires = [
        Projection(name=f"w-{name}", source=name, target="l", map=Dense(weight=whole([[weight]])))
        for name in ("up", "down")
    ]
    return Program(
        name="one",
        target="cpu",
        arithmetic=rules,
        inputs=(
            Input(name="up", shape=(1,), low=0, high=3),
            Input(name="down", shape=(1,), low=-3, high=0),
        ),
        populations=(population,),
        projections=tuple(wires),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_END),),
    )


def ends(program, steps):
    """Return the smallest and largest of each state in all runs there are."""
    every = np.stack(np.meshgrid(*[np.arange(4)] * (2 * steps), indexing="ij"), -1)
    up, down = np.split(every.reshape(-1, 2 * steps, 1).astype(np.int32), 2, axis=1)
    inputs = [Values(name="up", values=up), Values(name="down", values=-down)]
    with unchecked():
        run = ReferenceBackend().run(program, inputs, EVERYTHING)["l"]
    records = {state: run.state(state) for state in program.populations[0].states}
    return {state: (int(record.min()), int(record.max())) for state, record in records.items()}


def bounds_of(program, steps):
    population = program.populations[0]
    arriving = arrivals(program, population, {}, steps)
    return state_bounds(population, arriving, steps, program.arithmetic)


def proven(program, steps):
    """Return the ends between which each state is proven to be."""
    bounds = bounds_of(program, steps)
    found = {**bounds.kept, State.PAYLOAD: bounds.spikes}
    return {state: (int(ends.low[0]), int(ends.high[0])) for state, ends in found.items()}


@pytest.fixture
def leaping_and_single(monkeypatch):
    """Return what proves bounds over 1000 steps, by leaps and then one step at a time."""

    def both(program):
        leaping = proven(program, 1000)
        monkeypatch.setattr(bound_walk, "SINGLE", 1000)
        return leaping, proven(program, 1000)

    return both


EXACT = {
    "falls": (small(fires=Fires.NEVER, biases=FALLS), TOGETHER, 4),
    "falls, row by row": (small(fires=Fires.NEVER, biases=FALLS), BY_ROW, 4),
    "floor beyond the register": (
        small(
            initial=whole(7),
            fires=Fires.NEVER,
            floor=Floor(value=whole(10), when=FloorWhen.BEFORE_TEST),
        ),
        TOGETHER,
    ),
    "reset": (small(threshold=whole(4), reset=value(-2)), TOGETHER),
    "reset late": (small(threshold=whole(4), reset=value(-2, When.NEXT)), TOGETHER),
    "refractory": (
        small(threshold=whole(4), reset=value(-2), refractory=Refractory(steps=2)),
        TOGETHER,
    ),
    "refractory, reset late": (
        small(
            initial=whole(20),
            threshold=whole(4),
            reset=value(-2, When.NEXT),
            refractory=Refractory(steps=2),
        ),
        WIDE,
    ),
    "once, reset late": (
        small(
            initial=whole(20),
            threshold=whole(4),
            reset=value(-2, When.NEXT),
            refractory=Refractory(steps=None),
        ),
        WIDE,
    ),
    "clamped beyond the register": (
        small(
            threshold=whole(4),
            reset=value(10),
            refractory=Refractory(steps=1, during=During.CLAMPED),
        ),
        TOGETHER,
    ),
    "counts": (
        small(
            threshold=whole(2),
            fires=Fires.COUNT,
            max_spikes=3,
            reset=Reset(kind=ResetKind.SUBTRACT, amount=whole(2)),
        ),
        TOGETHER,
    ),
    "counts and keeps its membrane": (
        small(threshold=whole(2), fires=Fires.COUNT, max_spikes=3, reset=never()),
        TOGETHER,
    ),
    "current": (small(fires=Fires.NEVER, current=Current(decay=whole(2048))), TOGETHER),
}


WIDER = {
    "refractory",  # neurons above the threshold count as silent ones too
    "refractory, reset late",
    "once, reset late",
    "clamped beyond the register",  # counts as clamped before the first spike
}
"""Neurons whose upper ends hold and are wider than they need be."""


@pytest.mark.parametrize("steps", [2, 3])
@pytest.mark.parametrize("name", EXACT)
def test_the_bounds_of_a_neuron_are_the_ends_of_what_it_reaches(name, steps):
    program = program_of(*EXACT[name])
    bounds, reached = proven(program, steps), ends(program, steps)
    for state, (low, high) in bounds.items():
        assert low == reached[state][0]
        assert high == reached[state][1] or (name in WIDER and high > reached[state][1])


def test_leaps_over_many_steps_find_the_spikes_that_single_steps_find(leaping_and_single):
    population = small(
        current=Current(decay=whole(4090)),
        threshold=whole(1000),
        fires=Fires.COUNT,
        max_spikes=200,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=whole(1000)),
    )
    wide = replace(WIDE, current=WIDE.membrane)
    leaping, single = leaping_and_single(program_of(population, wide, 30))
    assert single[State.PAYLOAD][1] <= leaping[State.PAYLOAD][1] <= single[State.PAYLOAD][1] + 2


@pytest.mark.parametrize("weight", [30, 500])
def test_leaps_over_many_steps_find_what_is_tested_again(leaping_and_single, weight):
    reset = Reset(kind=ResetKind.SUBTRACT, amount=whole(1000), when=When.RETESTED)
    population = small(decay=whole(4000), threshold=whole(1000), reset=reset)
    leaping, single = leaping_and_single(program_of(population, WIDE, weight))
    assert leaping[State.PAYLOAD] == single[State.PAYLOAD]
    high = single[State.MEMBRANE][1]
    assert high <= leaping[State.MEMBRANE][1] <= 1.01 * high


@pytest.mark.parametrize("when", [When.NOW, When.NEXT])
def test_leaps_of_a_membrane_that_no_spike_changes_end_where_single_steps_do(
    leaping_and_single, when
):
    population = small(
        decay=whole(4000),
        threshold=whole(100),
        fires=Fires.COUNT,
        max_spikes=200,
        reset=never(when),
    )
    leaping, single = leaping_and_single(program_of(population, WIDE, 30))
    for state, (_, high) in single.items():
        assert high <= leaping[state][1] <= 1.03 * high


def test_a_membrane_that_grows_by_itself_is_followed_or_given_up():
    population = small(decay=whole(4100), fires=Fires.NEVER, initial=whole(1000))
    assert bounds_of(program_of(population, WIDE), 4000).lost.all()
