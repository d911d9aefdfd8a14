"""No number in a program file makes a simulator run out of memory or of its 64 bits."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import random_program
from wild_programs import wild_inputs, wild_program

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DataError, DeployError
from snn_deploy.ir import limits
from snn_deploy.ir.arithmetic import Arithmetic, Decay, Overflow, Register
from snn_deploy.ir.codecs import encode_current, encode_rate
from snn_deploy.ir.maps import Convolution, Dense, Sparse
from snn_deploy.ir.network import Between, Boundary
from snn_deploy.ir.neuron import Decode, Fires, State, Tabled
from snn_deploy.ir.presentation import dilated, present
from snn_deploy.ir.program import (
    Binary,
    Current,
    Gain,
    Input,
    Output,
    Population,
    Program,
    Projection,
)
from snn_deploy.ir.store import ProgramFiles, dump_program, load_program, pack, unpack
from snn_deploy.ir.timing import Table
from snn_deploy.ir.trace import COUNTS, EVERYTHING, Values

HUGE = 2**20 + 1
ONCE = Register(bits=24, overflow=Overflow.WRAP_ONCE)
WORD = Register(bits=32, overflow=Overflow.SATURATE_FULL)


def whole(number: Any) -> np.ndarray:
    return np.asarray(number, np.int32)


def program(
    population: dict[str, Any] | None = None,
    projection: dict[str, Any] | None = None,
    arithmetic: dict[str, Any] | None = None,
    **changes: Any,
) -> Program:
    """Return a program of one neuron, with some changes of its parts."""
    rules = {"current": WORD, "membrane": WORD, "decay_bits": 12} | (arithmetic or {})
    neuron = {"name": "n", "shape": (1,), "decay": whole(9)} | (population or {})
    wire = {"name": "w", "source": "x", "target": "n", "map": Dense(weight=whole([[1]]))}
    fields = {
        "name": "small",
        "target": "cpu",
        "arithmetic": Arithmetic(**rules),
        "inputs": (Input(name="x", shape=(1,)),),
        "populations": (Population(**neuron),),
        "projections": (Projection(**wire | (projection or {})),),
        "outputs": (Output(name="o", population="n", decode=Decode.COUNT),),
    }
    return Program(**fields | changes)


def convolution(**changes: Any) -> dict[str, Any]:
    kernel = {"weight": whole([[[[1]]]]), "source": (1, 1, 1)}
    return {"map": Convolution(**kernel | changes)}


SIDES = "; it has at most 8 sides of 1 or more\n  at: "
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "lag": (
        lambda: program({"lag": HUGE}),
        "error[SNN207]: a lag of 1048577 steps; it is 0 to 1048576\n  at: n",
    ),
    "negative lag": (
        lambda: program({"lag": -1}),
        "error[SNN207]: a lag of -1 steps; it is 0 to 1048576\n  at: n",
    ),
    "period": (
        lambda: program(period=HUGE),
        "error[SNN207]: a period of 1048577 steps; it is 1 to 1048576\n  at: small",
    ),
    "idle": (
        lambda: program(boundary=Boundary(between=Between.CONTINUOUS, idle=2**62)),
        "error[SNN207]: an idle time between samples of 4611686018427387904 steps; "
        "it is 0 to 1048576\n  at: small",
    ),
    "delay": (
        lambda: program(projection={"delay": whole(HUGE)}),
        "error[SNN206]: a delay of 1048577 steps; it is at most 1048576\n  at: w",
    ),
    "delay of an output": (
        lambda: program(
            outputs=(Output(name="o", population="n", decode=Decode.COUNT, delay=HUGE),)
        ),
        "error[SNN207]: the delay of an output of 1048577 steps; it is 0 to 1048576\n  at: o",
    ),
    "side": (
        lambda: program({"shape": (0,)}),
        f"error[SNN204]: a shape of 0{SIDES}n",
    ),
    "sides": (
        lambda: program(inputs=(Input(name="x", shape=(1,) * 40),)),
        f"error[SNN204]: a shape of 40 sides{SIDES}x",
    ),
    "neurons": (
        lambda: program({"shape": (2**23, 2)}),
        "error[SNN204]: 16777217 neurons and input values; a program has at most 16777216\n"
        "  at: n, the largest: 16777216\n"
        "  fix: SNN_DEPLOY_LIMITS=2 raises all limits on sizes, for a file that you trust",
    ),
    "sparse": (
        lambda: Sparse(
            post=whole([0]),
            pre=whole([0]),
            weight=whole([1]),
            post_shape=(2**16, 2**16),
            pre_shape=(1,),
        ),
        "error[SNN204]: a sparse map of 4294967296 neurons; its indices reach 2147483648",
    ),
    "padding": (
        lambda: program(
            projection=convolution(padding=(2**40, 0, 0, 0), stride=(2**41, 1)),
        ),
        "error[SNN204]: a padded input of 1 x 1099511627777 x 1; it has at most 16777216 values\n"
        "  at: w\n"
        "  fix: SNN_DEPLOY_LIMITS=1024 is the most that limits are raised by: make it smaller",
    ),
    "stride": (
        lambda: program(projection=convolution(stride=(1, 2**63))),
        "error[SNN204]: a stride or dilation of 9223372036854775808; it is at most 16777216\n"
        "  at: w",
    ),
    "weight": (
        lambda: program(projection={"map": Dense(weight=np.array([[2**31]]))}),
        "error[SNN207]: a weight of 2147483648; weights have 32 bits\n  at: w",
    ),
    "input": (
        lambda: program(inputs=(Input(name="x", shape=(1,), high=2**31),)),
        "error[SNN207]: an input from 0 to 2147483648; the ends are in order and in 32 bits\n"
        "  at: x",
    ),
    "no input": (
        lambda: program(inputs=(Input(name="x", shape=(1,), low=2),)),
        "error[SNN207]: an input from 2 to 1; the ends are in order and in 32 bits\n  at: x",
    ),
    "decay": (
        lambda: program({"decay": whole(32)}, arithmetic={"decay": Decay.SHIFT}),
        "error[SNN207]: a decay by a shift of 32 bits; it is 0 to 31\n  at: n",
    ),
    "real number": (
        lambda: Binary(mantissa=1, exponent=1024),
        "error[SNN207]: a real number beyond float64, in a program",
    ),
    "sum": (
        lambda: program(
            projection={"map": Dense(weight=whole([[-(2**31)]])), "shift": 2},
            inputs=(Input(name="x", shape=(1,), high=2**31 - 1),),
        ),
        "error[SNN303]: sums of the membrane may reach 1.84e+19, beyond 64 bits\n  at: n\n"
        "  fix: use smaller weights, shifts or payloads",
    ),
    "product": (
        lambda: program(
            {"gains": (Gain(into=State.MEMBRANE, multiplier=whole(2**31 - 1), shift=30),)},
            {"map": Dense(weight=whole([[5]])), "shift": 30},
        ),
        "error[SNN303]: sums of the membrane may reach 1.15e+19, beyond 64 bits\n  at: n\n"
        "  fix: use smaller weights, shifts or payloads",
    ),
    "payload": (
        lambda: program({"tables": (Table(what=Tabled.PAYLOAD, rows=whole([2])),)} | MANY),
        "error[SNN303]: payloads of 0 to 4294967294, but they have 32 bits\n  at: n\n"
        "  fix: use smaller weights, shifts or payloads",
    ),
}
MANY = {"fires": Fires.COUNT, "max_spikes": 2**31 - 1}


@pytest.mark.parametrize("what", REFUSED)
def test_a_number_beyond_its_limit_is_refused(what: str) -> None:
    make, text = REFUSED[what]
    with pytest.raises(DeployError) as problem:
        make()
    assert str(problem.value) == text


def test_the_limits_themselves_are_allowed() -> None:
    most = limits.MOST_STEPS
    edge = program(
        {"lag": most},
        {"delay": whole(most)},
        period=most,
        boundary=Boundary(between=Between.CONTINUOUS, idle=most),
        inputs=(Input(name="x", shape=(1,), low=-(2**31), high=2**31 - 1),),
    )
    assert edge.lag == most
    wide = {"map": Dense(weight=whole(np.ones((1, limits.MOST_NEURONS - 1))))}
    assert program({}, wide, inputs=(Input(name="x", shape=(limits.MOST_NEURONS - 1,)),))


def test_rows_of_weights_are_summed_only_as_far_as_they_go() -> None:
    weight = whole(np.full((1, 2**10), 1))
    weight[0, 0] = 2**31 - 1  # the largest weight times the fan-in would leave 64 bits
    full = {"map": Dense(weight=weight)}
    assert program({}, full, inputs=(Input(name="x", shape=(2**10,), high=2**31 - 1),))


@pytest.mark.parametrize("decay", [0, 4095, 4096])
def test_a_register_that_wraps_once_runs_away_alike_in_both_simulators(decay: int) -> None:
    weight = whole([[2**31 - 1]])
    runaway = program(
        {"current": Current(decay=whole(decay))},
        {"map": Dense(weight=weight)},
        {"current": ONCE},
        inputs=(Input(name="x", shape=(1,), high=2**30),),
    )
    given = (Values(name="x", values=np.full((1, 12, 1), 2**30, np.int32)),)
    with np.errstate(over="ignore"):
        wanted = ReferenceBackend().run(runaway, given, EVERYTHING)["n"]
    found = EventBackend().run(runaway, given, EVERYTHING)["n"]
    assert wanted.overflows == found.overflows > 0
    for state, values in wanted.states.items():
        np.testing.assert_array_equal(found.states[state], values)


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "room", lambda: 2**20)


LONG = np.zeros((1, 2, 2**10), np.int32)
ENTERING = (Values(name="x", values=LONG),)


@pytest.mark.usefixtures("small_machine")
@pytest.mark.parametrize(
    ("what", "run"),
    [
        ("all samples in a row would take 4 GiB", lambda: present(IDLE, ENTERING)),
        ("the input of a run would take 4 GiB", lambda: dilated(ENTERING, 2**19)),
        ("the encoded data would take 4 GiB", lambda: encode_current(LONG[0], 2**19)),
        ("the encoded data would take 1 GiB", lambda: encode_rate(LONG[0] / 1, 2**19, 0)),
        ("the inputs of a run would take 0.00391 GiB", lambda: run(lag=2**20 - 3)),
        ("the recorded states would take 0.00195 GiB", lambda: run(lag=2**18 - 3)),
        ("what is under way in a sample would take 0.00195 GiB", lambda: run(2**17 - 2, 2**20)),
    ],
)
def test_what_this_machine_has_no_memory_for_is_refused(
    what: str, run: Callable[[], object]
) -> None:
    with pytest.raises(DataError) as problem:
        run()
    assert str(problem.value) == (
        f"error[SNN208]: {what}; there is room for 0.000977\n"
        "  fix: run fewer samples or steps at once, or record less"
    )


IDLE = Boundary(between=Between.CONTINUOUS, idle=2**20 - 2)


def run(lag: int, delay: int = 0) -> None:
    late = program({"lag": lag}, {"delay": whole(delay)})
    ReferenceBackend().run(late, (Values(name="x", values=LONG[:, :, :1]),), EVERYTHING)


def test_there_is_room_on_this_machine() -> None:
    assert limits.room() > 2**28
    memory = Path("/proc/meminfo")
    if memory.exists():  # on Linux
        total = int(memory.read_text().split()[1]) * 1024
        assert abs(limits.room() / total - 0.5) < 0.01


EXTREMES = [
    *(-1, 0, 1, 2, 31, 32, 63, 64, 2**15, HUGE, 2**24, 2**30, 2**31 - 1, 2**31, -(2**31)),
    *(-(2**31) - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 10**400),
]


def numbers(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (holder, key) of each whole number in a JSON document."""
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in entries:
        if isinstance(value, dict | list):
            yield from numbers(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield document, key


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.sampled_from(EXTREMES), st.booleans())
def test_a_changed_number_gives_a_numbered_error_or_a_program_that_simulators_agree_on(
    seed: int, extreme: int, wild: bool
) -> None:
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        stored = dump_program(wild_program(rng) if wild else random_program(rng)[0])
    document, arrays = json.loads(stored.json), unpack(stored.npz)
    places = [(holder, key) for holder, key in numbers(document)]
    chosen = int(rng.integers(len(places) + len(arrays)))
    if chosen < len(places):
        holder, key = places[chosen]
        holder[key] = extreme
    elif -(2**31) <= extreme < 2**31:
        key = sorted(arrays)[chosen - len(places)]
        arrays[key] = arrays[key].copy()
        arrays[key].flat[rng.integers(max(1, arrays[key].size)) :][:1] = extreme
    damaged = ProgramFiles(json=json.dumps(document).encode(), npz=pack(arrays))
    tracemalloc.start()
    try:
        _check(damaged, rng)
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()


def _check(files: ProgramFiles, rng: np.random.Generator) -> None:
    try:
        read = load_program(files)
        if read.lag > 100 or sum(node.size for node in read.nodes) > 10**4:
            return  # a long run, but no hang
        given = wild_inputs(rng, read.inputs, 1, 5)
        wanted = ReferenceBackend().run(read, given, EVERYTHING)
    except DeployError:
        return
    found = EventBackend().run(read, given, EVERYTHING)
    for one, other in zip(wanted.populations, found.populations, strict=True):
        assert one.overflows == other.overflows
        for state, values in one.states.items():
            np.testing.assert_array_equal(other.states[state], values)


def test_a_run_that_records_nothing_needs_no_room_for_records(small_machine: None) -> None:
    given = (Values(name="x", values=LONG[:, :, :1]),)
    assert ReferenceBackend().run(program({"lag": 2000}), given, COUNTS).steps == 2002
    assert replace(program(), name="other").lag == 0
