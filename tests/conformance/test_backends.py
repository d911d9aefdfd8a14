"""One suite for every backend: it is the reference, only by other means."""

import numpy as np
import pytest
from strategies import Trait, random_program, unchecked

from snn_deploy.backends.protocol import Backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DataError, InputRangeError
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, ResetKind, State
from snn_deploy.ir.program import (
    Current,
    Input,
    Population,
    Program,
    Projection,
    Reset,
    Sign,
)
from snn_deploy.ir.trace import COUNTS, Recording, Values
from snn_deploy.targets import find_target


def test_every_state_of_a_random_program_equals_the_reference(
    for_random_programs, assert_equal_to_reference
):
    for_random_programs(assert_equal_to_reference)


@pytest.mark.parametrize("trait", Trait, ids=lambda trait: trait.value.replace(" ", "-"))
def test_programs_with_each_trait_equal_the_reference(
    trait, request, capability, cases_with, assert_equal_to_reference
):
    if trait in capability.lacks:
        name = capability.make().name
        pytest.skip(f"{name} lacks {trait.value}: {capability.lacks[trait]}")
    if trait not in capability.features.allowed:
        return  # no program for this backend's target has it
    found = cases_with(capability, trait)
    assert found, f"no random program has {trait.value}"
    with unchecked():
        for case in found:
            assert_equal_to_reference(case)


CORNERS = [131071, 131072, 131073, 393217, 262143, 262144, 262145]
"""Inputs that land on, beside and far beyond the ends of u, with both signs."""


@pytest.mark.parametrize("multiplier", [0, 3000])
def test_the_ends_of_both_registers_equal_the_reference(
    multiplier, capability, assert_equal_to_reference
):
    target = find_target("loihi2")
    program = Program(
        name="corners",
        target=target.name,
        arithmetic=target.arithmetic,
        inputs=(Input(name="x", shape=(1,), low=-(2**20), high=2**20),),
        populations=(
            Population(
                name="n", shape=(1,), decay=np.asarray(multiplier or 1), lag=1,
                current=Current(decay=np.asarray(multiplier)),
                threshold=np.asarray(target.highest_threshold),
                reset=Reset(kind=ResetKind.VALUE),
            ),
        ),
        projections=(
            Projection(
                name="w", source="x", target="n", map=Dense(weight=np.array([[1]])),
                shift=6, delay=np.asarray(1), sign=Sign.EXCITATORY,
            ),
        ),
        outputs=(Output(name="y", population="n", decode=Decode.MEMBRANE_END),),
    )  # fmt: skip
    values = np.array(
        [[[sign * corner] for corner in CORNERS for sign in (1, -1)]]
        + [[[given], *([[0]] * (2 * len(CORNERS) - 1))] for given in (131072, -131072, -131073)]
    )
    assert_equal_to_reference((program, (Values(name="x", values=values),)))


def test_a_backend_satisfies_the_protocol(capability):
    assert isinstance(capability.make(), Backend)


def test_only_what_is_asked_for_is_recorded(capability):
    program, inputs = random_program(np.random.default_rng(5), capability.features)
    chosen = program.populations[0].name
    record = Recording(states=frozenset({State.MEMBRANE}), populations=(chosen,))
    expected = ReferenceBackend().run(program, inputs, record)
    trace = capability.make().run(program, inputs, record)
    for population in trace.populations:
        wanted = population.name == chosen
        assert (population.membrane is not None) == wanted
        assert population.payload is None
        assert population.current is None
        assert np.array_equal(population.events, expected[population.name].events)


def test_a_run_twice_is_the_same_run(capability, assert_equal_to_reference):
    case = random_program(np.random.default_rng(6), capability.features)
    assert_equal_to_reference(case)
    assert_equal_to_reference(case)


def test_progress_ends_with_everything_done(capability):
    case = random_program(np.random.default_rng(7), capability.features)
    calls: list[tuple[int, int]] = []
    capability.make().run(*case, COUNTS, lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1]


def test_an_input_beyond_its_declared_range_is_refused(capability):
    program, inputs = random_program(np.random.default_rng(8), capability.features)
    wrong = inputs[0].values.copy()
    wrong.flat[3] = program.inputs[0].high + 1
    changed = (Values(name=inputs[0].name, values=wrong), *inputs[1:])
    with pytest.raises(InputRangeError, match="lies outside the declared"):
        capability.make().run(program, changed, COUNTS)


def test_an_input_that_is_missing_is_refused(capability):
    program, inputs = random_program(np.random.default_rng(9), capability.features)
    with pytest.raises(DataError, match="the program has the inputs in0"):
        capability.make().run(program, inputs[:0], COUNTS)


def test_what_it_emits_depends_on_the_program_alone(capability):
    program, _ = random_program(np.random.default_rng(10), capability.features)
    target = find_target(program.target)
    backend = capability.make()
    assert dict(backend.emit(program, target)) == dict(backend.emit(program, target))


def test_a_skip_for_a_reason_that_is_not_listed_fails(request):
    plugins = request.config.pluginmanager.get_plugins()
    refused = next(p for p in plugins if hasattr(p, "refused_unless_listed"))
    skipped = pytest.TestReport(
        nodeid="x", location=("x.py", 1, "x"), keywords={}, outcome="skipped",
        longrepr=("x.py", 1, "Skipped: no time"), when="call",
    )  # fmt: skip
    report = refused.refused_unless_listed(skipped)
    assert report.failed
    assert report.longrepr == (
        "skipped for a reason that CAPABILITIES does not list: Skipped: no time"
    )
