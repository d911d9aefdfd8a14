"""What the Lava tests share: the environment, small programs, and equality of traces."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_deploy.backends.lava import LavaBackend, find_environment
from snn_deploy.backends.lava.environment import VARIABLE, default_folder
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.maps import Dense, LinearMap
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, Fires, ResetKind, State
from snn_deploy.ir.program import Input, Population, Program, Projection, Reset
from snn_deploy.ir.trace import EVERYTHING, Trace, Values
from snn_deploy.targets import find_target

Compare = Callable[[Program, Sequence[Values]], Trace]


@pytest.fixture(scope="session")
def lava_python() -> Path:
    """Return the Python of the Lava environment, or skip the test, loudly."""
    python = find_environment()
    if python is None:
        pytest.skip(f"no Lava environment: {VARIABLE} is unset, {default_folder()} is empty")
    return python


@pytest.fixture
def equal_in_lava(lava_python: Path) -> Compare:
    """Return a function that runs a program in Lava and compares all it can with reference.

    Of populations named `uncounted`, Lava counts overflows otherwise.
    """

    def compare(
        program: Program, inputs: Sequence[Values], uncounted: Collection[str] = ()
    ) -> Trace:
        wanted = ReferenceBackend().run(program, inputs, EVERYTHING)
        found = LavaBackend(python=lava_python, time_limit=600).run(program, inputs, EVERYTHING)
        assert_equal_traces(found, wanted, uncounted)
        return found

    return compare


def assert_equal_traces(found: Trace, wanted: Trace, uncounted: Collection[str] = ()) -> None:
    assert found.steps == wanted.steps
    for got, want in zip(found.populations, wanted.populations, strict=True):
        assert got.name == want.name
        for state in State:
            np.testing.assert_array_equal(
                got.state(state), want.state(state), err_msg=f"{got.name}.{state.value}"
            )
        np.testing.assert_array_equal(got.events, want.events)
        np.testing.assert_array_equal(got.spikes, want.spikes)
        if got.name not in uncounted:
            assert got.overflows == want.overflows, got.name


def whole(number: Any) -> np.ndarray:
    return np.asarray(number, np.int32)


@pytest.fixture
def one_layer() -> Callable[..., Program]:
    """Return a function that makes a program of one projection into one population `out`.

    Keywords of a `Population` change the neurons, `map`, `shift`, `delay`, `sign`, `low` and
    `high` the way to them. By default everything is stock: Dense, LIF.
    """

    def make(**changes: Any) -> Program:
        chip = find_target("loihi2")
        linear: LinearMap = changes.pop("map", Dense(weight=whole([[20, -6], [44, 90], [-8, 64]])))
        ends = {"low": changes.pop("low", 0), "high": changes.pop("high", 1)}
        delay = whole(changes.pop("delay", 1))
        way = {key: changes.pop(key) for key in ("shift", "sign") if key in changes}
        neurons: dict[str, Any] = {
            "shape": linear.out_shape,
            "decay": whole(3900),
            "threshold": whole(64 * 100),
            "reset": Reset(kind=ResetKind.VALUE, amount=whole(0)),
            "fires": Fires.BINARY,
        }
        neurons |= changes
        silent = neurons["fires"] is Fires.NEVER
        decode = Decode.MEMBRANE_END if silent else Decode.COUNT
        return Program(
            name="one-layer",
            target=chip.name,
            arithmetic=chip.arithmetic,
            inputs=(Input(name="in", shape=linear.in_shape, **ends),),
            populations=(Population(name="out", **neurons),),
            projections=(
                Projection(
                    name="way",
                    source="in",
                    target="out",
                    map=linear,
                    delay=delay,
                    **({"shift": chip.weights.shift.value} | way),
                ),
            ),
            outputs=(Output(name="answer", population="out", decode=decode),),
        )

    return make


@pytest.fixture
def random_inputs() -> Callable[..., tuple[Values, ...]]:
    """Return a function that draws inputs for a program, evenly from the declared ranges."""

    def draw(program: Program, samples: int = 2, steps: int = 25, seed: int = 0) -> Any:
        rng = np.random.default_rng(seed)
        return tuple(
            Values(
                name=entry.name,
                values=rng.integers(
                    entry.low, entry.high, (samples, steps, *entry.shape), np.int32, endpoint=True
                ),
            )
            for entry in program.inputs
        )

    return draw
