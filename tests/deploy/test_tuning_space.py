"""What can be turned of a network: each knob on its own, and where a search begins."""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.deploy.tuning.measuring import width
from snn_deploy.deploy.tuning.setting import Knob, Setting
from snn_deploy.deploy.tuning.space import LEADS, THRESHOLDS, Space
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.program import Projection, Sign


def space(knobs: frozenset[Knob], *, per_layer: bool = True, steps: int = 20) -> Space:
    return Space(
        knobs=knobs,
        layers=("a", "b"),
        most_bits=8,
        spiking=("a",),
        steps=steps,
        lead=3.0,
        per_layer=per_layer,
    )


@dataclass
class Given:
    """A trial that suggests the numbers that it is given, and checks that they can be."""

    numbers: dict[str, Any]
    asked: set[str] = field(default_factory=set)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self._number(name, low, high)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None) -> float:
        assert step == 0.05
        return self._number(name, low, high)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked.add(name)
        assert self.numbers.get(name, choices[0]) in choices
        return self.numbers.get(name, choices[0])

    def _number(self, name: str, low: Any, high: Any) -> Any:
        self.asked.add(name)
        assert low <= self.numbers.get(name, low) <= high
        return self.numbers.get(name, low)


SUBSETS = [frozenset(c) for n in range(len(Knob) + 1) for c in combinations(Knob, n)]


@given(knobs=st.sampled_from(SUBSETS), per_layer=st.booleans(), steps=st.integers(1, 50))
def test_a_search_begins_with_settings_that_its_own_knobs_can_have(
    knobs: frozenset[Knob], per_layer: bool, steps: int
) -> None:
    searched = space(knobs, per_layer=per_layer, steps=steps)
    begins = searched.first()
    trial = Given(dict(begins[0]))
    assert searched.suggest(trial) == Setting()  # the request's own setting comes first
    assert trial.asked == begins[0].keys()
    assert len(begins) == len(knobs) + 2
    for numbers in begins:
        trial = Given(dict(numbers))
        made = searched.suggest(trial)
        assert numbers.keys() <= trial.asked
        assert (made.bits is None) or Knob.BITS in knobs
        assert (made.thresholds is None) or Knob.THRESHOLDS in knobs
        assert (made.steps is None) or Knob.STEPS in knobs
        assert (made.exit_lead is None) == (made.exit_after is None)
        assert (made.exit_lead is None) or Knob.EXIT in knobs


def test_each_knob_says_how_far_it_turns() -> None:
    told = {knob: list(space(frozenset({knob})).described()) for knob in Knob}
    assert told == {
        Knob.BITS: ["bits 2 to 8 of a, b, each on its own"],
        Knob.THRESHOLDS: [f"thresholds x {THRESHOLDS[0]} to {THRESHOLDS[1]} of a, each on its own"],
        Knob.STEPS: ["steps 5 to 20"],
        Knob.EXIT: [f"exit with a lead of {LEADS[0] * 3:.3g} to {LEADS[1] * 3:.3g}, or none"],
    }
    assert list(space(frozenset()).described()) == []
    alike = space(frozenset({Knob.BITS, Knob.THRESHOLDS}), per_layer=False).described()
    assert [line.rsplit(", ", 1)[1] for line in alike] == ["alike", "alike"]


@pytest.mark.parametrize(
    ("weights", "sign", "bits"),
    [
        ([[0, 0]], Sign.MIXED, 0),
        ([[1, 0]], Sign.EXCITATORY, 1),
        ([[4, 12]], Sign.EXCITATORY, 2),
        ([[4, -12]], Sign.MIXED, 3),
        ([[-255, 1]], Sign.MIXED, 9),
        (np.zeros((0, 2)), Sign.MIXED, 0),
    ],
)
def test_a_weight_takes_the_bits_from_its_lowest_to_its_highest(
    weights: Any, sign: Sign, bits: int
) -> None:
    held = Dense(weight=np.array(weights, np.int32))
    assert width(Projection(name="p", source="a", target="b", map=held, sign=sign)) == bits
