"""Real Lava against the reference simulator: every state of every neuron and step."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lava_networks import FOREIGN_TO_LIF, with_the_reset_of_lif
from strategies import LOIHI, Features, random_program

from snn_deploy.backends.lava import LavaBackend, make_plan
from snn_deploy.backends.lava.plan import Connection, Neuron, Plan
from snn_deploy.errors import LavaFailedError
from snn_deploy.ir.maps import Convolution, Dense, to_sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Compare, Decode, Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.program import Bias, Current, Floor, Input, Program, Projection, Reset, Sign
from snn_deploy.ir.store import dump_program
from snn_deploy.ir.trace import COUNTS, EVERYTHING, PAYLOADS, Recording, Trace, Values
from snn_deploy.targets import find_target

pytestmark = pytest.mark.lava

Make = Callable[..., Program]
Draw = Callable[..., tuple[Values, ...]]
Equal = Callable[[Program, Sequence[Values]], Trace]
LOIHI2 = find_target("loihi2")


def w(number: Any) -> np.ndarray:
    return np.asarray(number, np.int32)


# -- random programs --------------------------------------------------------------------------

PROGRAMS = 4
"""Random programs of each kind; `test_many.py` runs hundreds of smaller ones."""


@pytest.mark.parametrize(
    ("features", "process"),
    [(LOIHI, Neuron.OWN), (LOIHI.without(*FOREIGN_TO_LIF), Neuron.LIF)],
    ids=["whatever loihi2 runs", "mostly what LIF computes"],
)
def test_random_programs_have_the_same_states_in_lava(
    equal_in_lava: Equal, features: Features, process: Neuron
) -> None:
    used: set[Neuron] = set()
    for seed in range(PROGRAMS):
        program, inputs = random_program(np.random.default_rng(seed), features)
        if process is Neuron.LIF:
            program = with_the_reset_of_lif(program)
        equal_in_lava(program, inputs)
        used.update(item.process for item in make_plan(program).populations)
    assert process in used


# -- each mapping -----------------------------------------------------------------------------

RNG = np.random.default_rng(5)
MIXED = w(2 * RNG.integers(-60, 90, (6, 8)))
DENSE = Dense(weight=MIXED)
SPARSE = to_sparse(Dense(weight=MIXED * (RNG.random(MIXED.shape) < 0.4)))
KERNEL = w(2 * RNG.integers(-40, 70, (4, 2, 3, 2)))
CONV = Convolution(
    weight=KERNEL, source=(2, 7, 9), stride=(2, 1), padding=(1, 1, 2, 2), dilation=(1, 2)
)
DEPTHWISE = Convolution(weight=KERNEL[:, :1], source=(2, 5, 4), groups=2)
LATTICE = {"compare": Compare.GREATER_EQUAL, "decay": w(4096), "threshold": w(64 * 60)}


@pytest.mark.parametrize(
    ("changes", "neuron", "connection"),
    [
        ({"map": DENSE}, Neuron.LIF, Connection.DENSE),
        ({"map": DENSE, "shift": 9}, Neuron.LIF, Connection.DENSE),
        (
            {"map": Dense(weight=np.abs(MIXED) + 1), "sign": Sign.EXCITATORY, "low": -3, "high": 3},
            Neuron.LIF,
            Connection.DENSE,
        ),
        (
            {"map": Dense(weight=-np.abs(MIXED) - 1), "sign": Sign.INHIBITORY, "low": -1},
            Neuron.LIF,
            Connection.DENSE,
        ),
        ({"map": DENSE, "delay": 63}, Neuron.LIF, Connection.DELAY_DENSE),
        ({"map": DENSE, "delay": [1, 2, 3, 9, 1, 1, 5, 2]}, Neuron.LIF, Connection.DELAY_DENSE),
        (
            {"map": DENSE, "delay": RNG.integers(1, 8, (6, 8)), "shift": 8, "low": -5, "high": 9},
            Neuron.LIF,
            Connection.DELAY_DENSE,
        ),
        ({"map": SPARSE, "shift": 7}, Neuron.LIF, Connection.SPARSE),
        (
            {"map": SPARSE, "delay": RNG.integers(1, 8, SPARSE.weight.shape), "high": 4},
            Neuron.LIF,
            Connection.DELAY_SPARSE,
        ),
        ({"map": SPARSE, "delay": 63}, Neuron.LIF, Connection.DELAY_SPARSE),
        ({"map": CONV}, Neuron.LIF, Connection.CONV),
        ({"map": CONV, "low": -20, "high": 20, "shift": 8}, Neuron.LIF, Connection.SPARSE),
        ({"map": CONV, "low": -90, "high": 100}, Neuron.LIF, Connection.CONV),
        ({"map": DEPTHWISE}, Neuron.LIF, Connection.CONV),
        ({"map": CONV, "delay": 4}, Neuron.LIF, Connection.DELAY_SPARSE),
        (
            {"map": CONV, "delay": RNG.integers(1, 5, KERNEL.shape)},
            Neuron.LIF,
            Connection.DELAY_SPARSE,
        ),
        (
            {"map": CONV, "decay": w([4096, 3000, 4096, 1]).reshape(4, 1, 1)},
            Neuron.LIF,
            Connection.SPARSE,
        ),
        ({"map": DENSE, "threshold": w([64, 128, 64, 0, 640, 64])}, Neuron.LIF, Connection.DENSE),
        ({"map": DENSE, **LATTICE}, Neuron.LIF, Connection.DENSE),
        (
            {"map": DENSE, **LATTICE, "current": Current(decay=w(0)), "threshold": w(64 * 60 - 9)},
            Neuron.LIF,
            Connection.DENSE,
        ),
        (
            {
                "map": DENSE,
                "biases": (Bias(value=w([500, -7, 0, 4095, 31, -4095])), Bias(value=w(0))),
                "current": Current(decay=w(3000), initial=w([9, -9, 99, 0, 5000, 1])),
                "initial": w([900, -900, 0, 64 * 100, 64 * 100 + 1, 1]),
            },
            Neuron.LIF,
            Connection.DENSE,
        ),
        ({"map": DENSE, "fires": Fires.NEVER}, Neuron.LIF, Connection.DENSE),
        ({"map": DENSE, "fires": Fires.COUNT, "max_spikes": 3}, Neuron.OWN, Connection.DENSE),
        (
            {"map": DENSE, "reset": Reset(kind=ResetKind.SUBTRACT, amount=w(6400)), "lag": 3},
            Neuron.OWN,
            Connection.DENSE,
        ),
        (
            {
                "map": CONV,
                "reset": Reset(kind=ResetKind.VALUE, amount=w(-64), when=When.NEXT),
                "floor": Floor(value=w(-640), when=FloorWhen.BEFORE_TEST),
                "current": Current(decay=w(2000), reads=Reads.OLD),
                "biases": (Bias(value=w(50), into=State.CURRENT, start=4),),
            },
            Neuron.OWN,
            Connection.CONV,
        ),
        ({"map": DENSE, "delay": [1, 2, 70, 9, 1, 1, 5, 2]}, Neuron.OWN, Connection.OWN),
        ({"map": Dense(weight=MIXED * 9 + 1), "shift": 2}, Neuron.OWN, Connection.OWN),
        ({"map": CONV, "low": -(2**23), "high": 2**23 - 1}, Neuron.OWN, Connection.OWN),
    ],
)
def test_lava_computes_the_same_with(
    one_layer: Make,
    random_inputs: Draw,
    equal_in_lava: Equal,
    changes: dict[str, Any],
    neuron: Neuron,
    connection: Connection,
) -> None:
    program = one_layer(**changes)
    plan = make_plan(program)
    assert [plan.populations[0].process, plan.projections[0].process] == [neuron, connection]
    steps = 2 * int(np.max(changes.get("delay", 1))) + 20
    trace = equal_in_lava(program, random_inputs(program, samples=3, steps=steps))
    if changes.get("fires") is not Fires.NEVER and changes.get("sign") is not Sign.INHIBITORY:
        active = trace["out"].events.sum() / trace["out"].events.size / steps
        assert 0.01 < active < 0.95


def test_groups_on_both_ends_of_a_projection_are_joined_right(
    one_layer: Make, random_inputs: Draw, equal_in_lava: Equal
) -> None:
    program = one_layer(map=DENSE, decay=w([4000, 100, 4000, 2000, 100, 4000]))
    loop = Projection(
        name="loop",
        source="out",
        target="out",
        map=Dense(weight=w(2 * RNG.integers(-40, 60, (6, 6)))),
        shift=6,
        delay=w(RNG.integers(1, 4, (6, 6))),
    )
    program = replace(program, projections=(*program.projections, loop))
    assert len(make_plan(program).populations[0].groups) == 3
    equal_in_lava(program, random_inputs(program))


def test_parts_that_are_not_joined_run_too(
    one_layer: Make, random_inputs: Draw, equal_in_lava: Equal
) -> None:
    program = one_layer(map=DENSE)
    alone = replace(program.populations[0], name="alone", biases=(Bias(value=w(3000)),))
    counting = replace(alone, name="counting", fires=Fires.COUNT, threshold=w(700), max_spikes=5)
    program = replace(program, populations=(*program.populations, alone, counting))
    trace = equal_in_lava(program, random_inputs(program))
    assert trace["alone"].spikes.all()
    assert trace["counting"].spikes.all()


def test_two_inputs_and_two_projections_into_one_population_add_up(
    one_layer: Make, random_inputs: Draw, equal_in_lava: Equal
) -> None:
    program = one_layer(map=DENSE)
    more = replace(program.projections[0], name="more", source="second", delay=w(3), shift=8)
    program = replace(
        program,
        inputs=(*program.inputs, Input(name="second", shape=(2, 4), low=-2, high=2)),
        projections=(*program.projections, more),
    )
    equal_in_lava(program, random_inputs(program))


def test_a_projection_of_zeros_only_changes_nothing(
    one_layer: Make, random_inputs: Draw, equal_in_lava: Equal
) -> None:
    program = one_layer(map=Dense(weight=w(np.zeros((2, 3)))), initial=w(6464), decay=w(4096))
    assert equal_in_lava(program, random_inputs(program))["out"].spikes.tolist() == [[1, 1]] * 2


# -- what a run has to watch ------------------------------------------------------------------


def test_a_readout_that_reaches_the_highest_threshold_runs_in_our_own_neuron(
    one_layer: Make, equal_in_lava: Equal
) -> None:
    program = one_layer(map=Dense(weight=w([[254]])), shift=13, fires=Fires.NEVER, decay=w(4096))
    assert make_plan(program).populations[0].process is Neuron.LIF
    trace = equal_in_lava(program, (Values(name="in", values=w(np.ones((2, 12, 1)))),))
    assert trace["out"].membrane is not None
    assert trace["out"].membrane.max() == LOIHI2.highest_state


def test_a_lattice_that_saturation_breaks_runs_in_our_own_neuron(
    one_layer: Make, equal_in_lava: Equal
) -> None:
    down_then_up = np.concatenate([np.full(9, -1), np.full(12, 1), [0, 0]])
    program = one_layer(
        map=Dense(weight=w([[128]])),
        shift=13,
        low=-1,
        decay=w(4096),
        compare=Compare.GREATER_EQUAL,
        threshold=w(64 * 16384),
    )
    assert make_plan(program).populations[0].process is Neuron.LIF
    trace = equal_in_lava(program, (Values(name="in", values=w(down_then_up.reshape(1, -1, 1))),))
    assert trace["out"].overflows > 0


# -- samples ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_samples_of_one_run_equal_runs_of_one_sample(lava_python: Path, seed: int) -> None:
    program, inputs = random_program(np.random.default_rng(1000 + seed), LOIHI)
    several = [np.concatenate([i.values, i.values[:1], 0 * i.values[:1]]) for i in inputs]
    together = tuple(replace(i, values=v) for i, v in zip(inputs, several, strict=True))
    backend = LavaBackend(python=lava_python, time_limit=120)
    whole = backend.run(program, together, EVERYTHING)
    for sample in range(len(several[0])):
        alone = tuple(replace(i, values=i.values[sample : sample + 1]) for i in together)
        single = backend.run(program, alone, EVERYTHING)
        for one, many in zip(single.populations, whole.populations, strict=True):
            for state in State:
                if many.state(state) is not None:
                    np.testing.assert_array_equal(one.state(state)[0], many.state(state)[sample])


def test_what_is_not_asked_for_is_not_recorded(
    lava_python: Path, one_layer: Make, random_inputs: Draw
) -> None:
    program = one_layer(current=Current(decay=w(100)))
    inputs = random_inputs(program)
    backend = LavaBackend(python=lava_python)
    whole = backend.run(program, inputs, EVERYTHING)["out"]
    only = Recording(states=frozenset({State.CURRENT}))
    for record, kept in ((COUNTS, set()), (PAYLOADS, {State.PAYLOAD}), (only, {State.CURRENT})):
        found = backend.run(program, inputs, record)["out"]
        assert {state for state in State if found.state(state) is not None} == kept
        np.testing.assert_array_equal(found.spikes, whole.spikes)
        np.testing.assert_array_equal(found.events, whole.events)


def test_progress_counts_samples(lava_python: Path, one_layer: Make, random_inputs: Draw) -> None:
    program = one_layer()
    seen: list[tuple[int, int]] = []
    LavaBackend(python=lava_python).run(
        program, random_inputs(program, samples=3), COUNTS, lambda *step: seen.append(step)
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_an_error_inside_a_lava_process_ends_the_run(
    lava_python: Path,
    one_layer: Make,
    random_inputs: Draw,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dump = Plan.dump
    monkeypatch.setattr(Plan, "dump", lambda plan: dump(plan).replace(b'"vth": 100', b'"vth": 1.5'))
    program = one_layer()
    with pytest.raises(LavaFailedError, match=r"TypeError|Exception\(s\) occurred"):
        LavaBackend(python=lava_python, time_limit=60).run(program, random_inputs(program), COUNTS)


# -- the artifact's runner --------------------------------------------------------------------


@pytest.fixture
def artifact(tmp_path: Path, one_layer: Make) -> Path:
    """Return a folder with a program and its runner, as an artifact holds them."""
    program = one_layer(map=CONV, fires=Fires.COUNT, max_spikes=4)
    readout = replace(one_layer(), name="x").populations[0]
    linear = Dense(weight=w(2 * RNG.integers(-40, 60, (10, CONV.out_size))))
    program = replace(
        program,
        populations=(
            *program.populations,
            replace(readout, name="readout", shape=(10,), fires=Fires.NEVER, lag=1),
        ),
        projections=(
            *program.projections,
            Projection(
                name="last", source="out", target="readout", map=linear, shift=6, delay=w(1)
            ),
        ),
        outputs=(Output(name="answer", population="readout", decode=Decode.MEMBRANE_END),),
    )
    folder = tmp_path / "artifact"
    stored = dump_program(program)
    files = {"program.json": stored.json, "program.npz": stored.npz}
    for path, content in {**LavaBackend().emit(program, LOIHI2), **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def run_lava(
    python: Path, artifact: Path, *arguments: str | Path, status: int = 0
) -> tuple[str, str]:
    """Run the artifact's runner from elsewhere; return what it printed."""
    ended = subprocess.run(
        [python, artifact / "run_lava.py", *arguments],
        cwd=artifact.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == status, ended.stderr
    return ended.stdout, ended.stderr


def test_the_runner_alone_prints_a_table_that_repeats(lava_python: Path, artifact: Path) -> None:
    printed, _ = run_lava(lava_python, artifact)
    lines = printed.splitlines()
    assert lines[0] == "one-layer: 1 sample(s) of 20 steps in Lava's simulator"
    assert lines[1].split() == ["population", "neurons", "spikes", "process"]
    assert lines[2].split()[:2] == ["out", str(CONV.out_size)]
    assert int(lines[2].split()[2]) > 0
    assert lines[2].endswith(
        "FixedPointNeuron  simulated (Lava's LIF sends one spike a step at most)"
    )
    assert lines[3].split() == ["readout", "10", "0", "LIF", "native"]
    assert [line.split() for line in lines[4:]] == [
        ["projection", "process"],
        ["way", "Conv", "native"],
        ["last", "Dense", "native"],
    ]
    assert run_lava(lava_python, artifact)[0] == printed


def test_the_runner_reads_and_writes_files(lava_python: Path, artifact: Path) -> None:
    inputs = np.random.default_rng(1).integers(0, 2, (2, 9, 2, 7, 9))
    np.savez(artifact.parent / "in.npz", input=inputs)
    run_lava(
        lava_python, artifact, "--input", "in.npz", "--output", "out.npz", "--record", "states"
    )
    with np.load(artifact.parent / "out.npz") as npz:
        shapes = {key: npz[key].shape for key in npz.files}
    assert shapes == {
        **{f"out.{state}": (2, 10, *CONV.out_shape) for state in ("membrane", "payload")},
        **{f"out.{count}": (2, *CONV.out_shape) for count in ("events", "spikes")},
        **{f"readout.{state}": (2, 10, 10) for state in ("membrane", "payload")},
        **{f"readout.{count}": (2, 10) for count in ("events", "spikes")},
        "out.overflows": (1,),
        "readout.overflows": (1,),
    }


@pytest.mark.parametrize(
    ("arrays", "error"),
    [
        ({"other": np.zeros(3)}, "the file has no array 'in'; it has other"),
        (
            {"input": np.zeros((1, 5, 3), int)},
            "in: int64 (1, 5, 3), but the program reads whole numbers [sample, step, 2, 7, 9]",
        ),
        (
            {"in": np.full((1, 5, 2, 7, 9), 2)},
            "in: values 2..2, but the program declares 0..1",
        ),
    ],
)
def test_the_runner_refuses(
    lava_python: Path, artifact: Path, arrays: dict[str, np.ndarray], error: str
) -> None:
    np.savez(artifact.parent / "in.npz", **arrays)
    _, errors = run_lava(lava_python, artifact, "--input", "in.npz", status=1)
    assert errors == f"error: {error}\n"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "No such file or directory"),
        (b"hello", "allow_pickle=False"),
        (b"PK\x03\x04 but no archive", "not a zip file"),
        (b"", "No data left in file"),
    ],
)
def test_the_runner_refuses_what_is_no_npz(
    lava_python: Path, artifact: Path, content: bytes | None, error: str
) -> None:
    if content is not None:
        (artifact.parent / "in.npz").write_bytes(content)
    _, errors = run_lava(lava_python, artifact, "--input", "in.npz", status=1)
    assert errors.startswith("error: in.npz is no NPZ file of numbers: ")
    assert error in errors
    assert "Traceback" not in errors


def test_the_runner_says_what_it_needs_where_lava_is_missing(artifact: Path) -> None:
    _, errors = run_lava(Path(sys.executable), artifact, status=1)
    assert errors == ("error: No module named 'lava'; needed are Python 3.10 and lava-nc==0.10.0\n")


def test_the_runner_explains_itself(lava_python: Path, artifact: Path) -> None:
    printed, _ = run_lava(lava_python, artifact, "--help")
    for option in ("--input", "--output", "--steps", "--record"):
        assert option in printed


def test_the_runner_needs_its_own_folder_only(lava_python: Path, artifact: Path) -> None:
    elsewhere = shutil.copytree(artifact, artifact.parent / "moved here")
    shutil.rmtree(artifact)
    assert "readout" in run_lava(lava_python, elsewhere, "--steps", "5")[0]


def test_the_runner_compiles_its_modules_itself(lava_python: Path, artifact: Path) -> None:
    (other := artifact / "other.py").write_text("raise SystemExit('of somebody else')")
    planted = f"{artifact}/snn_lava/__pycache__/step.cpython-310.pyc"
    code = "from py_compile import *; import sys; mode = PycInvalidationMode.UNCHECKED_HASH;"
    code += "compile(*sys.argv[1:], invalidation_mode=mode)"
    subprocess.run([lava_python, "-c", code, other, planted], check=True)
    assert "readout" in run_lava(lava_python, artifact, "--steps", "5")[0]
    assert [file.name for file in (artifact / "snn_lava" / "__pycache__").iterdir()] == [
        Path(planted).name
    ]


# -- Lava as it comes -------------------------------------------------------------------------

UNTOUCHED = """
import json, sys
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import DelayDense
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF
from lava.proc.monitor.process import Monitor

given = json.load(sys.stdin)
source = RingBuffer(data=np.array(given["spikes"]).T)
dense = DelayDense(weights=np.array(given["weights"]), delays=np.array(given["delays"]) - 1)
lif = LIF(shape=(len(given["weights"]),), du=3095, dv=96, vth=100)
source.s_out.connect(dense.s_in)
dense.a_out.connect(lif.a_in)
monitors = {}
for name in ("u", "v", "s_out"):
    monitors[name] = Monitor()
    monitors[name].probe(getattr(lif, name), len(given["spikes"]))
lif.run(condition=RunSteps(len(given["spikes"])), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
probed = {n: next(iter(next(iter(m.get_data().values())).values())) for n, m in monitors.items()}
lif.stop()
print(json.dumps({name: values.astype(int).tolist() for name, values in probed.items()}))
"""


def test_our_observer_changes_nothing_in_the_stock_models(
    lava_python: Path, one_layer: Make, random_inputs: Draw
) -> None:

    delay = RNG.integers(1, 5, MIXED.shape)
    program = one_layer(
        map=DENSE, delay=delay, decay=w(4000), current=Current(decay=w(1000)), threshold=w(6400)
    )
    inputs = random_inputs(program, samples=1)
    observed = LavaBackend(python=lava_python).run(program, inputs, EVERYTHING)["out"]
    given = {
        "spikes": inputs[0].values[0].tolist(),
        "weights": MIXED.tolist(),
        "delays": delay.tolist(),
    }
    ended = subprocess.run(
        [lava_python, "-c", UNTOUCHED],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    untouched = json.loads(ended.stdout.splitlines()[-1])
    for state, name in ((State.CURRENT, "u"), (State.MEMBRANE, "v"), (State.PAYLOAD, "s_out")):
        record = observed.state(state)
        assert record is not None
        np.testing.assert_array_equal(record[0], untouched[name])
    assert observed.spikes.sum() > 10
