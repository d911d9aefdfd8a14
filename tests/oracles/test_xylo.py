"""Programs for Xylo have the states and spikes of xylosim 0.1.3, SynSense's bit-exact simulator."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from xylo_networks import Case, compiled_case, random_case, record

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.neuron import State
from snn_deploy.ir.trace import EVERYTHING, Trace

CASES = [random_case(seed) for seed in range(200)]
COMPILED = [compiled_case(seed) for seed in range(3)]
"""Networks of real numbers, as the pipeline makes programs of them."""

KEYS = {"i": State.CURRENT, "v": State.MEMBRANE, "s": State.PAYLOAD}

States = Mapping[str, np.ndarray]


@pytest.fixture(scope="session")
def by_xylosim(oracle: Callable[[str, str], Callable[..., States]]) -> States:
    run = oracle("xylosim", "run_xylosim.py")
    return run([record(case.program, case.events) for case in (*CASES, *COMPILED)])


def of_the_chip(case: Case, trace: Trace) -> dict[str, np.ndarray]:
    """Return the states as xylosim has them: all hidden neurons side by side, then the output's."""
    found = {}
    for part in ("hidden", "output"):
        chosen = [p for p in trace.populations if (p.name == "out") == (part == "output")]
        for key, state in KEYS.items():
            records = [population.state(state) for population in chosen]
            found[f"{part}/{key}"] = np.concatenate([r[0] for r in records if r is not None], 1)
    return found


def test_xylosim_has_every_state_and_spike_of_200_random_programs(by_xylosim: States) -> None:
    overflows = spikes = most = 0
    for case in CASES:
        trace = ReferenceBackend().run(case.program, case.inputs, EVERYTHING)
        for key, found in of_the_chip(case, trace).items():
            name = f"{case.program.name}/{key}"
            np.testing.assert_array_equal(found, by_xylosim[name], err_msg=name)
        overflows += sum(p.overflows for p in trace.populations)
        spikes += int(by_xylosim[f"{case.program.name}/output/s"].sum())
        most = max(most, int(by_xylosim[f"{case.program.name}/hidden/s"].max()))
    assert overflows > 1_000, "the registers must saturate, for their order to matter"
    assert spikes > 200
    assert most == 31


@pytest.mark.parametrize("case", COMPILED, ids=lambda case: case.program.name)
def test_xylosim_has_every_state_and_spike_of_a_compiled_network(
    by_xylosim: States, case: Case
) -> None:
    trace = ReferenceBackend().run(case.program, case.inputs, EVERYTHING)
    steps = len(case.events)  # the program runs on until its last layer has seen all of them
    for key, found in of_the_chip(case, trace).items():
        name = f"{case.program.name}/{key}"
        np.testing.assert_array_equal(found[:steps], by_xylosim[name], err_msg=name)
    assert by_xylosim[f"{case.program.name}/output/s"].sum() > 5
