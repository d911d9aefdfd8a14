"""lava-dl's own netx, run in Lava, has the states of the programs that we read from its files.

netx runs where `make lava-dl` has made its environment, or where SNN_DEPLOY_LAVA_DL_PYTHON names a
Python 3.10 with lava-dl 0.6.0, lava-nc 0.10.0 and h5py; torch is not needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from net_files import Case, States, random_case, required_lava_dl, run_netx, special_cases

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.protocol import Backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.frontends.lava_dl import NetProgram, read_net
from snn_deploy.ir.kinds import Resonator
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import EVERYTHING, Trace, Values
from snn_deploy.targets import find_target

OWN_STEPS = 200
"""Steps of the recording that our own Lava runs."""

CASES = {case.name: case for case in (*special_cases(), *map(random_case, (1, 5, 12, 23)))}

SOME = [name for name in CASES if name not in {"random-5", "random-12", "random-23"}]
"""Cases that our own Lava runs: the conformance suite has run its processes already."""

Compare = Callable[[Program, Sequence[Values]], Trace]


@pytest.fixture(scope="session")
def lava_dl_python() -> Path:
    """Return a Python that has lava-dl, or skip the test, loudly."""
    return required_lava_dl()


@pytest.fixture(scope="session")
def by_netx(lava_dl_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, States]:
    """Return the states of all cases, as netx computes them."""
    return run_netx(lava_dl_python, list(CASES.values()), tmp_path_factory.mktemp("netx"))


def read(case: Case) -> NetProgram:
    chip = find_target("loihi2")
    return read_net(
        case.content,
        name=case.name,
        where=f"{case.name}.net",
        target=chip.name,
        arithmetic=chip.arithmetic,
        input_range=(case.low, case.high),
        layers=case.layers,
        reset_interval=case.reset_interval,
        reset_offset=case.reset_offset,
    )


STATES = {
    "u": State.CURRENT,
    "v": State.MEMBRANE,
    "re": State.MEMBRANE,
    "im": State.IMAGINARY,
    "sigma": State.SIGMA,
    "act": State.ACTIVATION,
    "residue": State.RESIDUE,
    "s": State.PAYLOAD,
}
"""What the runner calls our states."""


def as_netx_turns(program: Program, wanted: States) -> Program:
    """Return the program with the decays of resonators that netx computed in its environment."""
    populations = []
    for index, population in enumerate(program.populations):
        kind = population.kind
        if isinstance(kind, Resonator):
            parts = {}
            for name in ("sine", "cosine"):
                ours, theirs = getattr(kind, name), wanted[f"{name}_{index}"]
                assert np.all((abs(ours) - abs(theirs) >= 0) & (abs(ours) - abs(theirs) <= 1))
                parts[name] = np.asarray(theirs, np.int32).reshape(ours.shape)
            populations.append(replace(population, kind=replace(kind, **parts)))
        else:
            populations.append(population)
    return replace(program, populations=tuple(populations))


def assert_equal_states(case: Case, backend: Backend, wanted: States) -> list[float]:
    """Compare every state of every step with netx; return the share of events per layer."""
    program = as_netx_turns(read(case).program, wanted)
    trace = backend.run(program, (Values(name="input", values=case.values[None]),), EVERYTHING)
    own = slice(program.lag, program.lag + len(case.values))
    rates = []
    for index, population in enumerate(trace.populations):
        keys = [key for key in STATES if f"{key}_{index}" in wanted]
        assert len(keys) >= 2
        for key in keys:
            expected = wanted[f"{key}_{index}"]
            found = population.state(STATES[key])
            # an input layer's neurons have a current in netx, which nothing ever enters
            found = np.zeros_like(expected) if found is None else found[0, own]
            np.testing.assert_array_equal(found, expected, err_msg=f"{population.name}.{key}")
        rates.append(float((wanted[f"s_{index}"] != 0).mean()))
    return rates


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *((name, ReferenceBackend()) for name in CASES),
        *((name, EventBackend()) for name in CASES),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_netx_has_the_states_of_the_program(
    by_netx: dict[str, States], name: str, backend: Backend
) -> None:
    rates = assert_equal_states(CASES[name], backend, by_netx[name])
    assert rates[0] > 0.02
    assert sum(0.005 < rate < 0.95 for rate in rates) >= len(rates) - 1, rates


@pytest.mark.lava
@pytest.mark.parametrize("name", SOME)
def test_our_lava_has_the_states_of_the_program(equal_in_lava: Compare, name: str) -> None:
    case = CASES[name]
    equal_in_lava(read(case).program, (Values(name="input", values=case.values[None]),))


def oxford(folder: Path, steps: int) -> Case:
    """Return lava-dl's published network and the first steps of its recorded input."""
    spikes = np.load(folder / "lava-dl" / "oxford_in.npy")  # [input, step]
    content = (folder / "lava-dl" / "oxford.net").read_bytes()
    return Case(name="oxford", content=content, values=spikes.T[:steps].astype(np.int32))


@pytest.mark.shared
def test_netx_has_the_states_of_the_published_network(
    lava_dl_python: Path, shared_data: Path, tmp_path: Path
) -> None:
    case = oxford(shared_data, 2000)
    states = run_netx(lava_dl_python, [case], tmp_path)["oxford"]
    recorded = np.load(shared_data / "lava-dl" / "oxford_out.npy")
    np.testing.assert_array_equal(states["s_0"], recorded.T)
    for backend in (ReferenceBackend(), EventBackend()):
        assert_equal_states(case, backend, states)


@pytest.mark.shared
@pytest.mark.lava
def test_our_lava_has_the_states_of_the_published_network(
    equal_in_lava: Compare, shared_data: Path
) -> None:
    case = oxford(shared_data, OWN_STEPS)
    equal_in_lava(read(case).program, (Values(name="input", values=case.values[None]),))
