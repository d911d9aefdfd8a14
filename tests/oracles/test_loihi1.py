"""Programs for Loihi 1 have the states that two emulators of it compute, which others wrote.

brian2-loihi 0.5.2 has delays and neither biases nor overflow; nengo-loihi 1.1.0 has biases and
overflow and no delays. Both were compared with the chip by their authors (Michaelis et al. 2022,
doi 10.3389/fninf.2022.1015624; nengo-loihi, hardware/tests).
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from loihi1_networks import Case, Domain, random_case, record

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.protocol import Backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.neuron import State
from snn_deploy.ir.trace import EVERYTHING

BACKENDS = [ReferenceBackend(), EventBackend(threads=1)]
KEYS = {"u": State.CURRENT, "v": State.MEMBRANE, "s": State.PAYLOAD}

NENGO = [random_case(seed, Domain(biases=True)) for seed in range(100, 160)]

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


def assert_equal_states(backend: Backend, cases: Sequence[Case], wanted: States) -> None:
    """Compare every state of every step, and see to it that the cases do something."""
    rates = []
    for case in cases:
        trace = backend.run(case.program, case.inputs, EVERYTHING)
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
    return without_overflow(30, Domain(longest_delay=9))


@pytest.fixture(scope="session")
def by_brian2(in_range: list[Case], oracle: Callable[[str, str], Callable[..., States]]) -> States:
    return oracle("brian2_loihi", "run_brian2_loihi.py")([record(case) for case in in_range])


@pytest.fixture(scope="session")
def by_nengo(oracle: Callable[[str, str], Callable[..., States]]) -> States:
    return oracle("nengo_loihi", "run_nengo_loihi.py")([record(case) for case in NENGO])


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda b: b.name)
def test_brian2_loihi_has_the_states_of_random_programs(
    in_range: list[Case], by_brian2: States, backend: Backend
) -> None:
    assert_equal_states(backend, in_range, by_brian2)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda b: b.name)
def test_nengo_loihi_has_the_states_of_random_programs(by_nengo: States, backend: Backend) -> None:
    assert_equal_states(backend, NENGO, by_nengo)
