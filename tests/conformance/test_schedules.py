"""However the event simulator runs a program, its states are those of the reference."""

import os
from itertools import combinations, product

import numpy as np
import pytest
from strategies import ANYTHING, LIF, Case, random_program, unchecked

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.event.choices import Choices, Rows
from snn_deploy.backends.event.layers.suit import Bounds
from snn_deploy.backends.event.schedule import schedule
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.neuron import Fires
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import EVERYTHING, Trace

PROGRAMS = int(os.environ.get("SNN_DEPLOY_SCHEDULES", "300"))
"""How many random programs run; `make nightly` asks for 5,000."""

AT_ONCE = 25

WAYS = [
    {"chunk": 64, "rows": Rows.SENT, "narrow": True, "threads": 1},
    {"chunk": 64, "rows": Rows.SILENT, "narrow": False, "threads": 2},
    {"chunk": 1, "rows": Rows.SENT, "narrow": False, "threads": 2},
    {"chunk": 1, "rows": Rows.SILENT, "narrow": True, "threads": 2},
    {"chunk": 1, "rows": Rows.SILENT, "narrow": False, "threads": 1},
]
"""Layer by layer or step by step, rows that sent or all but the silent, sums of 16 bits or of 32,
one thread or two: each pair of choices is there."""


def case(number: int) -> Case:
    """Return a random program: of plain neurons, of any, or of both."""
    with unchecked():
        features = LIF if number % 3 else ANYTHING
        return random_program(np.random.default_rng([5, number]), features)


def backend(way: dict[str, object]) -> EventBackend:
    choices = {key: value for key, value in way.items() if key != "threads"}
    return EventBackend(threads=way["threads"], choices=Choices(**choices))


def _fires(program: Program, name: str) -> bool:
    population = program.population(name)
    return population.kind is not None or population.fires is not Fires.NEVER


def differences(expected: Trace, trace: Trace) -> list[str]:
    """Name what differs."""
    found = []
    for a, b in zip(expected.populations, trace.populations, strict=True):
        pairs = {"events": (a.events, b.events), "spikes": (a.spikes, b.spikes)}
        pairs |= {state.value: (kept, b.states[state]) for state, kept in a.states.items()}
        found += [f"{a.name}.{what}" for what, (x, y) in pairs.items() if not np.array_equal(x, y)]
        found += [f"{a.name}.overflows"] * (a.overflows != b.overflows)
    return found


@pytest.mark.parametrize(
    "numbers",
    [range(first, min(first + AT_ONCE, PROGRAMS)) for first in range(0, PROGRAMS, AT_ONCE)],
    ids=lambda numbers: f"{numbers[0]}..{numbers[-1]}",
)
def test_no_way_to_run_a_program_changes_a_state(numbers):
    active = []
    for number in numbers:
        program, inputs = case(number)
        with unchecked():
            expected = ReferenceBackend().run(program, inputs, EVERYTHING)
            for way in WAYS:
                trace = backend(way).run(program, inputs, EVERYTHING)
                assert differences(expected, trace) == [], (number, way)
        active.append(all(p.events.any() for p in expected.populations if _fires(program, p.name)))
    assert np.mean(active) > 0.7


def test_each_pair_of_choices_is_tried():
    for one, other in combinations(WAYS[0], 2):
        seen = {(way[one], way[other]) for way in WAYS}
        values = [{way[name] for way in WAYS} for name in (one, other)]
        assert seen == set(product(*values))


def test_layers_run_with_and_without_the_rest():
    kinds = set()
    for number in range(60):
        program, _ = case(number)
        kinds.add(frozenset(unit.plain for unit in schedule(program, Bounds(program))))
    assert kinds == {frozenset({True}), frozenset({False}), frozenset({True, False})}
