"""The way to the chip, as far as it can be walked without one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.backends.lava import LavaBackend
from snn_deploy.backends.lava.child import run_child
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import LavaFailedError
from snn_deploy.ir.maps import Convolution, Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, Fires, ResetKind
from snn_deploy.ir.program import Input, Population, Program, Projection, Reset, Sign
from snn_deploy.ir.store import dump_program
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.targets import find_target

pytestmark = pytest.mark.lava

LOIHI2 = find_target("loihi2")
STAND_INS = Path(__file__).parent / "run_as_hardware.py"


def w(number: object) -> np.ndarray:
    return np.asarray(number, np.int32)


def convolutional() -> Program:
    """Return a convolution of graded input, a dense layer, and a readout of its spikes."""
    rng = np.random.default_rng(3)
    kernel = Convolution(weight=w(2 * rng.integers(-20, 40, (3, 2, 2, 2))), source=(2, 4, 5))
    neurons = {"decay": w(3900), "threshold": w(64 * 90), "reset": Reset(kind=ResetKind.VALUE)}
    last = replace(
        Population(name="last", shape=(3,), lag=3, **neurons),
        fires=Fires.NEVER, threshold=w(LOIHI2.highest_threshold),
    )  # fmt: skip
    hidden = int(np.prod(kernel.out_shape))
    return Program(
        name="on chip",
        target="loihi2",
        arithmetic=LOIHI2.arithmetic,
        inputs=(Input(name="image", shape=(2, 4, 5), high=3),),
        populations=(
            Population(name="conv", shape=kernel.out_shape, lag=1, **neurons),
            Population(name="dense", shape=(4,), lag=2, **neurons),
            last,
        ),
        projections=(
            Projection(name="1", source="image", target="conv", map=kernel, shift=6, delay=w(1)),
            Projection(
                name="2", source="conv", target="dense", shift=6, delay=w(1),
                map=Dense(weight=w(2 * rng.integers(-9, 40, (4, hidden)))),
            ),
            Projection(
                name="3", source="dense", target="last", shift=6, delay=w(1), sign=Sign.EXCITATORY,
                map=Dense(weight=w(rng.integers(1, 200, (3, 4)))),
            ),
        ),
        outputs=(
            Output(name="spikes", population="dense", decode=Decode.COUNT),
            Output(name="membrane", population="last", decode=Decode.MEMBRANE_END),
        ),
    )  # fmt: skip


def written(program: Program, folder: Path) -> Path:
    files = dump_program(program)
    content = {
        **LavaBackend().emit(program, LOIHI2),
        "program.json": files.json,
        "program.npz": files.npz,
    }
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


Draw = Callable[..., tuple[Values, ...]]


def test_a_program_reaches_stand_ins_of_the_chip_and_comes_back(
    lava_python: Path, tmp_path: Path, random_inputs: Draw
) -> None:
    program = convolutional()
    inputs = random_inputs(program, samples=2, steps=12)
    np.savez(tmp_path / "input.npz", input=inputs[0].values)
    folder = written(program, tmp_path / "artifact")
    ended = run_child(
        [lava_python, STAND_INS, folder, tmp_path / "input.npz", tmp_path / "out.npz"],
        folder=tmp_path, time_limit=120,
    )  # fmt: skip
    assert ended.output == ("[('NxToPyAdapter', (4,), 24), ('PyToN3ConvAdapter', (5, 4, 2), 2)]")
    wanted = ReferenceBackend().run(program, inputs, EVERYTHING)
    with np.load(tmp_path / "out.npz") as found:
        assert sorted(found) == ["dense.events", "dense.payload", "dense.spikes", "last.membrane"]
        np.testing.assert_array_equal(
            found["dense.payload"], wanted["dense"].payload, err_msg="spikes"
        )
        np.testing.assert_array_equal(found["last.membrane"], wanted["last"].membrane)
        assert found["dense.spikes"].sum() > 0


def test_without_the_extension_there_is_a_way_out(
    lava_python: Path, tmp_path: Path, random_inputs: Draw
) -> None:
    folder = written(convolutional(), tmp_path / "artifact")
    with pytest.raises(LavaFailedError) as caught:
        run_child([lava_python, "run_lava.py", "--hardware"], folder=folder, time_limit=60)
    assert str(caught.value) == (
        "error[SNN503]: Lava ended with status 1\n"
        "    | error: no lava-loihi, Intel's extension for the chip, is installed here; without "
        "--hardware the network runs in Lava's simulator\n"
        f"  at: {lava_python}\n"
        "  fix: snn-deploy doctor"
    )


def test_what_only_the_simulator_runs_stays_off_the_chip(lava_python: Path, tmp_path: Path) -> None:
    program = convolutional()
    soft = Reset(kind=ResetKind.SUBTRACT, amount=w(640))
    changed = tuple(replace(p, reset=soft) if p.name == "dense" else p for p in program.populations)
    folder = written(replace(program, populations=changed), tmp_path / "artifact")
    with pytest.raises(LavaFailedError, match=r"1 parts run in Lava's simulator only"):
        run_child([lava_python, "run_lava.py", "--hardware"], folder=folder, time_limit=60)


def test_an_unrolled_convolution_has_the_same_spikes(lava_python: Path, tmp_path: Path) -> None:
    folder = written(convolutional(), tmp_path / "artifact")
    tables = [
        run_child([lava_python, "run_lava.py", *extra], folder=folder, time_limit=60).output
        for extra in ((), ("--unroll",))
    ]
    assert "Conv" in tables[0]
    assert "Conv" not in tables[1]
    assert tables[1].split() == tables[0].replace("Conv", "Sparse").split()
