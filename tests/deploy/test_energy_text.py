"""What `estimate` prints."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from mapping_networks import dense, entry, link, neurons, program

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.deploy.energy import Estimate, Placement, Tally, find_profile, memory_of
from snn_deploy.deploy.energy.text import estimate_text, quantity
from snn_deploy.deploy.mapping import map_program
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.targets import find_target


@pytest.fixture
def estimated() -> Callable[[str, bool], Estimate]:
    """Return a function that estimates a network of two layers, with a map or without one."""
    rng = np.random.default_rng(5)
    net = program(
        (entry((40,)),),
        (neurons("first", (600,), lag=1), neurons("last", (10,), lag=2)),
        (link("in", "first", dense(rng, 40, 600)), link("first", "last", dense(rng, 600, 10))),
    )
    spikes = (rng.random((2, 8, 40)) < 0.2).astype(np.int64)
    inputs = (Values(name="in", values=spikes),)
    trace = ReferenceBackend().run(net, inputs, EVERYTHING)
    target = find_target("loihi1")
    core_map = map_program(net, target, cores=3)

    def of(profile: str, placed: bool) -> Estimate:
        placement = Placement.of(net, core_map) if placed else None
        tally = Tally(net, (find_profile(profile),), placement)
        tally.add(inputs, trace, 8)
        memory = memory_of(net, target, core_map if placed else None)
        (found,) = tally.estimates(samples=2, steps=8, note="", memory=memory)
        return found

    return of


def test_an_estimate_with_a_map_is_printed(
    estimated: Callable[[str, bool], Estimate], golden: Callable[[str], None]
) -> None:
    golden(estimate_text(estimated("loihi1-sanafe", True)) + "\n")


def test_an_estimate_without_a_map_says_what_is_missing(
    estimated: Callable[[str, bool], Estimate], golden: Callable[[str], None]
) -> None:
    golden(estimate_text(estimated("loihi1-sanafe", False)) + "\n")


def test_an_estimate_without_any_price_is_unknown(
    estimated: Callable[[str, bool], Estimate], golden: Callable[[str], None]
) -> None:
    golden(estimate_text(estimated("loihi2", True)) + "\n")


def test_an_estimate_of_a_chip_with_fixed_steps_is_printed(
    estimated: Callable[[str, bool], Estimate], golden: Callable[[str], None]
) -> None:
    golden(estimate_text(estimated("truenorth", True)) + "\n")


def test_a_chip_of_one_core_takes_the_sum_of_its_events(
    estimated: Callable[[str, bool], Estimate],
) -> None:
    found = estimated("odin", False)
    operations = sum(layer.count.synaptic for layer in found.layers)
    assert found.latency is not None
    assert found.latency.sample.value == pytest.approx(operations * 26.667e-9)
    assert found.static is not None
    assert found.static.value == pytest.approx(160.8e-6 * found.latency.sample.value)


def test_quantities_have_four_digits_and_a_prefix() -> None:
    numbers = (0, 3e-15, 1.23456e-9, 12.3456e-6, 999.96e-9, 0.5, 1234.5, math.nan)
    assert [quantity(number, "J") for number in numbers] == [
        *("0 J", "3 fJ", "1.235 nJ", "12.35 uJ", "1000 nJ", "500 mJ", "1234 J", "unknown"),
    ]
