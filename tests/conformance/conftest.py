"""Which backend runs the conformance suite with which programs, and what each one lacks.

A new backend is one entry of `CAPABILITIES`. What it cannot do is listed there with the reason;
a test of this folder that is skipped for a reason that is not listed fails.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import (
    ANYTHING,
    LOIHI,
    Case,
    Features,
    Trait,
    programs,
    random_program,
    seen_in,
    unchecked,
)

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.lava import LavaBackend
from snn_deploy.backends.protocol import Backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.neuron import State
from snn_deploy.ir.trace import EVERYTHING, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What one backend is held to."""

    make: Callable[[], Backend]
    features: Features
    """Programs it must run."""

    examples: int
    """Random programs of the law."""

    cases: int = 2
    """Random programs for each trait."""

    lacks: Mapping[Trait, str] = field(default_factory=dict)
    """What its programs cannot have, and why."""


CAPABILITIES: Mapping[str, Capability] = {
    "reference": Capability(make=ReferenceBackend, features=ANYTHING, examples=10),
    "event": Capability(make=lambda: EventBackend(threads=1), features=ANYTHING, examples=200),
    # Slow to start; tests/lava has the many random programs.
    "lava": Capability(make=LavaBackend, features=LOIHI, examples=5, cases=1),
}

NO_LAVA = "no Lava environment: snn-deploy lava setup"


def differences(program: object, expected: Trace, trace: Trace) -> list[str]:
    """Return every difference of two traces, each with population, quantity and first place."""
    found = [] if expected.steps == trace.steps else [f"{trace.steps} steps, not {expected.steps}"]
    names = [p.name for p in trace.populations]
    if names != [p.name for p in expected.populations]:
        return [*found, f"populations {names}"]
    for ours, theirs in zip(expected.populations, trace.populations, strict=True):
        pairs = [("events", ours.events, theirs.events), ("spikes", ours.spikes, theirs.spikes)]
        pairs += [(state.value, ours.state(state), theirs.state(state)) for state in State]
        for quantity, a, b in pairs:
            where = f"{ours.name}.{quantity}"
            if a is None or b is None:
                found += [where] * (a is not b)
            elif (a.shape, a.dtype) != (b.shape, b.dtype):
                found.append(f"{where} is {b.shape} {b.dtype}, not {a.shape} {a.dtype}")
            elif not np.array_equal(a, b):
                first = tuple(int(i) for i in np.argwhere(a != b)[0])
                found.append(f"{where}{list(first)} is {b[first]}, not {a[first]}")
        if ours.overflows != theirs.overflows:
            found.append(f"{ours.name}.overflows is {theirs.overflows}, not {ours.overflows}")
    return found


@pytest.fixture(
    params=["reference", "event", pytest.param("lava", marks=pytest.mark.lava)], scope="session"
)
def capability(request: pytest.FixtureRequest) -> Capability:
    """Return the capability of one backend after the other."""
    return CAPABILITIES[request.param]


@pytest.fixture
def assert_equal_to_reference(capability: Capability) -> Callable[[Case], None]:
    """Return a function that runs a case and compares every state with the reference."""

    def check(case: Case) -> None:
        expected = ReferenceBackend().run(*case, EVERYTHING)
        assert differences(case[0], expected, capability.make().run(*case, EVERYTHING)) == []

    return check


@pytest.fixture
def for_random_programs(
    capability: Capability,
) -> Callable[[Callable[[Case], None]], None]:
    """Return a function that holds a check against as many random programs as are asked of it."""

    def hold(check: Callable[[Case], None]) -> None:
        @settings(
            max_examples=capability.examples,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(programs(capability.features.without(*capability.lacks)))
        def law(case: Case) -> None:
            with unchecked():
                check(case)

        law()

    return hold


@pytest.fixture(scope="session")
def cases_with() -> Callable[[Capability, Trait], Sequence[Case]]:
    """Return a function that finds seeded random programs that have a trait."""
    drawn: dict[Features, list[tuple[Case, set[Trait]]]] = {}

    def find(capability: Capability, trait: Trait) -> Sequence[Case]:
        features = capability.features
        if features not in drawn:
            cases = [random_program(np.random.default_rng(seed), features) for seed in range(80)]
            drawn[features] = [(case, seen_in(*case)) for case in cases]
        return [case for case, seen in drawn[features] if trait in seen][: capability.cases]

    return find


LISTED = {NO_LAVA} | {
    f"{name} lacks {trait.value}: {reason}"
    for name, capability in CAPABILITIES.items()
    for trait, reason in capability.lacks.items()
}
"""The reasons for which a test of this folder may be skipped."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return refused_unless_listed(report)


def refused_unless_listed(report: pytest.TestReport) -> pytest.TestReport:
    """Return the report, failed where the test was skipped for a reason that is not listed."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
        if reason.removeprefix("Skipped: ") not in LISTED:
            report.outcome = "failed"
            report.longrepr = f"skipped for a reason that CAPABILITIES does not list: {reason}"
    return report
