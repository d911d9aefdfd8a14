"""The test material: what random programs have, and that they do something."""

import numpy as np
import pytest
from strategies import (
    ANYTHING,
    LOIHI,
    Features,
    Trait,
    random_program,
    statistics,
    traits,
    unchecked,
)

from snn_deploy.ir.neuron import Compare, Fires, Reads, State
from snn_deploy.ir.program import Sign
from snn_deploy.ir.store import dump_program
from snn_deploy.targets import find_target

PROFILES = {"anything": ANYTHING, "loihi": LOIHI}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_random_programs_are_active_and_have_every_trait(profile, capsys):
    with unchecked():
        drawn = [random_program(np.random.default_rng(seed), profile) for seed in range(150)]
        found = statistics(drawn)
    with capsys.disabled():
        print(f"\n{found}")
    assert found.active >= 0.8 * found.programs
    rare = [t.value for t in profile.allowed if found.share(t) < 0.02]
    assert rare == []
    assert [t.value for t in Trait if t not in profile.allowed and found.counts[t]] == []


def test_equal_generators_draw_equal_programs():
    first, ours = random_program(np.random.default_rng(3))
    second, theirs = random_program(np.random.default_rng(3))
    assert dump_program(first) == dump_program(second)
    assert all(np.array_equal(a.values, b.values) for a, b in zip(ours, theirs, strict=True))


IMPLIED = frozenset(
    {Trait.DENSE, Trait.SPARSE, Trait.CONVOLUTION, Trait.POOL, Trait.GROUPS, Trait.FAN_IN,
     Trait.ONE_SIGNED, Trait.SCALAR_DELAY, Trait.SOURCE_DELAY, Trait.GREATER, Trait.BINARY,
     Trait.LAG, Trait.ON_THRESHOLD, Trait.SATURATION, Trait.WRAP, Trait.RESET_NONE,
     Trait.FULL_SATURATION, Trait.MODULO}
)  # fmt: skip
"""Traits that other traits, or chance, bring along."""


@pytest.mark.parametrize("trait", [t for t in Trait if t not in IMPLIED])
def test_a_trait_that_is_forbidden_never_occurs(trait):
    for seed in range(5):
        program, _ = random_program(np.random.default_rng(seed), ANYTHING.without(trait))
        assert trait not in traits(program)


def _loihi_programs():
    with unchecked():
        return [random_program(np.random.default_rng(seed), LOIHI)[0] for seed in range(80)]


def test_loihi_programs_hold_only_numbers_that_loihi2_stores():
    target = find_target("loihi2")
    modes = {
        Sign.MIXED: target.weights.mixed,
        Sign.EXCITATORY: target.weights.excitatory,
        Sign.INHIBITORY: target.weights.inhibitory,
    }
    for program in _loihi_programs():
        assert program.arithmetic == target.arithmetic
        for projection in program.projections:
            weight, mode = projection.map.numbers(), modes[projection.sign]
            assert weight.min(initial=0) >= mode.low
            assert weight.max(initial=0) <= mode.high
            assert not np.any(weight % mode.step)
            assert 6 <= projection.shift <= 6 + target.weights.exponent.high
            assert projection.delay.min(initial=1) >= target.delay.low
            assert projection.delay.max(initial=1) <= target.delay.high
        for population in program.populations:
            assert not np.any(population.threshold % 64)
            assert population.threshold.min() >= 0
            assert population.threshold.max() <= target.highest_threshold
            assert population.decay.min() >= target.states.membrane_multiplier.low
            if population.current is not None:
                assert population.current.decay.max() <= target.states.current_multiplier.high
                assert population.current.reads is Reads.NEW
            for bias in population.biases:
                assert (bias.into, bias.start) == (State.MEMBRANE, 0)


def test_features_are_values():
    assert LOIHI.without(Trait.COUNT).including(Trait.COUNT) == LOIHI
    assert Features(formats=ANYTHING.formats) == ANYTHING
    assert {Fires.COUNT, Compare.GREATER_EQUAL} <= {
        choice
        for program in _loihi_programs()
        for population in program.populations
        for choice in (population.fires, population.compare)
    }
