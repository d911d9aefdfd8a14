"""Programs for Loihi 1 have the states that two emulators of it compute, which others wrote.

brian2-loihi 0.5.2 has delays and neither biases nor overflow; nengo-loihi 1.1.0 has biases and
overflow and no delays. Both were compared with the chip by their authors (Michaelis et al. 2022,
doi 10.3389/fninf.2022.1015624; nengo-loihi, emulator/tests). The reference simulator stands for all
backends: the conformance suite holds them to it.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from loihi1_networks import Case, Domain, random_case, record

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.neuron import State
from snn_deploy.ir.trace import EVERYTHING

KEYS = {"u": State.CURRENT, "v": State.MEMBRANE, "s": State.PAYLOAD}

NENGO = [random_case(seed, Domain(biases=True)) for seed in range(100, 130)]
CROWDED = Domain(inputs=(60, 90), exponents=(2, 6), rates=(0.5, 0.8), thresholds=(2000, 20000))
"""So many spikes at once, with such weights, that their sum leaves the register that holds it."""

OVERFLOWING = [random_case(seed, CROWDED) for seed in range(200, 216)]

States = Mapping[str, np.ndarray]


def without_overflow(count: int, domain: Domain) -> list[Case]:
    """Return the first random cases in which every number fits its register."""
    found: list[Case] = []
    for seed in itertools.count():
        if len(found) == count:
            return found
        case = random_case(seed, domain)
        trace = ReferenceBackend().run(case.program, case.inputs, EVERYTHING)
        if not any(p.overflows for p in trace.populations):
            found.append(case)
    raise AssertionError


def assert_equal_states(cases: Sequence[Case], wanted: States) -> None:
    """Compare every state of every step, and see to it that the cases do something."""
    rates = []
    for case in cases:
        trace = ReferenceBackend().run(case.program, case.inputs, EVERYTHING)
        for population in trace.populations:
            for key, state in KEYS.items():
                found = population.state(state)
                assert found is not None
                name = f"{case.name}/{population.name}/{key}"
                np.testing.assert_array_equal(found[0], wanted[name], err_msg=name)
            rates.append(float(wanted[f"{case.name}/{population.name}/s"].mean()))
    assert sum(0.01 < rate < 0.9 for rate in rates) > 0.4 * len(rates), rates


@pytest.fixture(scope="session")
def in_range() -> list[Case]:
    """brian2-loihi's numbers are floats: it has no registers that overflow."""
    return without_overflow(16, Domain(longest_delay=9))


@pytest.fixture(scope="session")
def by_brian2(in_range: list[Case], oracle: Callable[[str, str], Callable[..., States]]) -> States:
    return oracle("brian2_loihi", "run_brian2_loihi.py")([record(case) for case in in_range])


@pytest.fixture(scope="session")
def by_nengo(oracle: Callable[[str, str], Callable[..., States]]) -> States:
    run = oracle("nengo_loihi", "run_nengo_loihi.py")
    return run([record(case) for case in (*NENGO, *OVERFLOWING)])


def test_brian2_loihi_has_the_states_of_random_programs(
    in_range: list[Case], by_brian2: States
) -> None:
    assert_equal_states(in_range, by_brian2)


def test_nengo_loihi_has_the_states_of_random_programs(by_nengo: States) -> None:
    assert_equal_states(NENGO, by_nengo)


def test_nengo_loihi_wraps_sums_that_are_too_large_as_the_program_does(by_nengo: States) -> None:
    assert_equal_states(OVERFLOWING, by_nengo)


def test_the_sums_of_the_crowded_programs_wrap_and_the_chip_without_that_register_differs() -> None:
    """Else the test above would show nothing."""
    wrapped = differing = 0
    for case in OVERFLOWING:
        wide = replace(case.program, arithmetic=replace(case.program.arithmetic, accumulator=None))
        narrow, free = (
            ReferenceBackend().run(p, case.inputs, EVERYTHING) for p in (case.program, wide)
        )
        for a, b in zip(narrow.populations, free.populations, strict=True):
            wrapped += a.overflows > b.overflows
            differing += not np.array_equal(a.state(State.CURRENT), b.state(State.CURRENT))
    assert min(wrapped, differing) > len(OVERFLOWING) / 2
