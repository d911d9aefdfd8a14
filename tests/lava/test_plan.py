"""Which Lava process is chosen for what, and the reason where it is not native. No Lava needed."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snn_deploy.backends.lava import LavaBackend, make_plan
from snn_deploy.backends.lava.plan import Connection, Guard, Neuron
from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.maps import Convolution, Dense, to_sparse
from snn_deploy.ir.neuron import Compare, Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.program import Bias, Current, Floor, Program, Reset, Sign
from snn_deploy.targets import find_target

Make = Callable[..., Program]
LOIHI2 = find_target("loihi2")
KERNEL = np.arange(-18, 18, 2).reshape(2, 1, 3, 3)


def w(number: Any) -> np.ndarray:
    return np.asarray(number, np.int32)


def conv(**changes: Any) -> Convolution:
    return Convolution(**({"weight": KERNEL, "source": (1, 6, 6)} | changes))


def neurons_of(program: Program) -> tuple[Neuron, str]:
    chosen = make_plan(program).populations[0]
    return chosen.process, chosen.reason


def connection_of(program: Program) -> tuple[Connection, str]:
    chosen = make_plan(program).projections[0]
    return chosen.process, chosen.reason


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"current": Current(decay=w(4095))},
        {"current": Current(decay=w(0)), "decay": w(1)},
        {"biases": (Bias(value=w(-4095 * 128)), Bias(value=w(128)))},
        {"initial": w(-77)},
        {"lag": 1},
        {"lag": 1, "initial": w(64 * 100), "decay": w(4096)},
        {"threshold": w(131071 * 64)},
        {"compare": Compare.GREATER_EQUAL, "decay": w(4096), "threshold": w(1)},
        {"compare": Compare.GREATER_EQUAL, "decay": w(4096), "biases": (Bias(value=w(64)),)},
        {"fires": Fires.NEVER, "reset": Reset()},
        {"fires": Fires.NEVER, "reset": Reset(kind=ResetKind.SUBTRACT, amount=w(5))},
        {"decay": w([4000, 3000, 4000])},
    ],
)
def test_lava_lif_computes(one_layer: Make, changes: dict[str, Any]) -> None:
    assert neurons_of(one_layer(**changes)) == (Neuron.LIF, "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fires": Fires.COUNT}, "Lava's LIF sends one spike a step at most"),
        ({"reset": Reset()}, "Lava's LIF resets to 0 and nothing else"),
        (
            {"reset": Reset(kind=ResetKind.SUBTRACT, amount=w(6400))},
            "Lava's LIF resets to 0 and nothing else",
        ),
        (
            {"reset": Reset(kind=ResetKind.VALUE, amount=w([0, 0, 1]))},
            "Lava's LIF resets to 0 and nothing else",
        ),
        (
            {"reset": Reset(kind=ResetKind.VALUE, when=When.NEXT)},
            "Lava's LIF resets in the step of the spike",
        ),
        ({"floor": Floor(value=w(0), when=FloorWhen.BEFORE_TEST)}, "Lava's LIF has no floor"),
        ({"threshold": w(6401)}, "the threshold is no multiple of 64"),
        (
            {"threshold": w(-64)},
            "the threshold is too low for the unsigned threshold of Lava's LIF",
        ),
        ({"threshold": w(131072 * 64)}, "the threshold exceeds 8388544"),
        (
            {"compare": Compare.GREATER_EQUAL},
            "Lava's LIF compares by >, and the states need not be multiples of 64",
        ),
        (
            {"compare": Compare.GREATER_EQUAL, "decay": w(4096), "current": Current(decay=w(9))},
            "Lava's LIF compares by >, and the states need not be multiples of 64",
        ),
        (
            {"compare": Compare.GREATER_EQUAL, "decay": w(4096), "threshold": w(0)},
            "the threshold is too low for the unsigned threshold of Lava's LIF",
        ),
        ({"decay": w(0)}, "the decay of v lies outside 1..4096 / 4096"),
        ({"current": Current(decay=w(4096))}, "the decay of u lies outside 0..4095 / 4096"),
        (
            {"current": Current(decay=w(9), reads=Reads.OLD)},
            "Lava's LIF integrates the new current",
        ),
        (
            {"current": Current(decay=w(9)), "biases": (Bias(value=w(1), into=State.CURRENT),)},
            "the bias of Lava's LIF enters v, not the current",
        ),
        ({"biases": (Bias(value=w(1), start=1),)}, "the bias of Lava's LIF acts from step 0 on"),
        ({"biases": (Bias(value=w(1)),), "lag": 1}, "the bias of Lava's LIF acts from step 0 on"),
        (
            {"biases": (Bias(value=w(4097)),)},
            "the biases are no mantissas of -4095..4095 times one of 2**(0..7)",
        ),
        (
            {"biases": (Bias(value=w(4095 << 8)),)},
            "the biases are no mantissas of -4095..4095 times one of 2**(0..7)",
        ),
        ({"lag": 2}, "input arrives before step 2, when the population starts"),
        ({"lag": 1, "initial": w(9)}, "its initial state must hold until step 1"),
        (
            {"lag": 1, "initial": w(6401), "decay": w(4096)},
            "its initial state must hold until step 1",
        ),
        (
            {"lag": 1, "current": Current(decay=w(9), initial=w([0, 0, 1]))},
            "its initial state must hold until step 1",
        ),
        (
            {"high": 2**16},
            "a sum of up to 562036736 in one step would wrap the current that LIF always has",
        ),
        (
            {"shift": 5},
            "way is shifted by less than the 6 bits that Lava's LIF shifts",
        ),
        (
            {"map": Dense(weight=w(2 * np.ones((9, 2)))), "threshold": w(64 * np.arange(1, 10))},
            "9 different sets of parameters, and at most 8 become groups of LIF",
        ),
        (
            {"map": Dense(weight=w([[3, -4]]))},
            "way is no stock connection: mixed weights are -256..254 in steps of 2 in Lava, "
            "these lie in -4..3",
        ),
    ],
)
def test_our_own_neuron_is_taken_because(
    one_layer: Make, changes: dict[str, Any], reason: str
) -> None:
    assert neurons_of(one_layer(**changes)) == (Neuron.OWN, reason)


def test_a_program_with_other_registers_runs_in_our_own_neuron(one_layer: Make) -> None:
    from dataclasses import replace

    program = replace(one_layer(), arithmetic=find_target("cpu").arithmetic)
    assert neurons_of(program) == (
        Neuron.OWN,
        "the program's registers are not those of Lava's LIF",
    )


def test_neurons_of_equal_parameters_become_one_group_of_lif(one_layer: Make) -> None:
    program = one_layer(
        decay=w([4000, 3000, 4000]),
        current=Current(decay=w(1000)),
        threshold=w([640, 640, 640]),
        biases=(Bias(value=w([4095 * 4, 1, 8])),),
    )
    groups = make_plan(program).populations[0].groups
    assert [(g.neurons, g.du, g.dv, g.vth, g.bias_exponent) for g in groups] == [
        (((0, 1), (2, 3)), 3095, 96, 10, 2),
        (((1, 2),), 3095, 1096, 10, 0),
    ]


def test_a_threshold_compared_by_greater_equal_is_stored_one_unit_lower(one_layer: Make) -> None:
    program = one_layer(compare=Compare.GREATER_EQUAL, decay=w(4096), threshold=w([64, 65, 128]))
    assert [g.vth for g in make_plan(program).populations[0].groups] == [0, 1]


def test_what_cannot_be_known_before_a_run_is_watched_in_it(one_layer: Make) -> None:
    def guard(**changes: Any) -> Guard:
        return make_plan(one_layer(**changes)).populations[0].guard

    assert guard() is Guard.NONE
    assert guard(fires=Fires.NEVER) is Guard.SILENT
    assert guard(compare=Compare.GREATER_EQUAL, decay=w(4096)) is Guard.LATTICE
    assert guard(fires=Fires.COUNT) is Guard.NONE


SPARSE = to_sparse(Dense(weight=w([[20, 0], [0, 90]])))


@pytest.mark.parametrize(
    ("changes", "process", "reason"),
    [
        ({}, Connection.DENSE, ""),
        ({"delay": 2}, Connection.DELAY_DENSE, ""),
        ({"delay": 63}, Connection.DELAY_DENSE, ""),
        ({"delay": [1, 2]}, Connection.DELAY_DENSE, ""),
        ({"delay": [1, 1]}, Connection.DENSE, ""),
        ({"shift": 13}, Connection.DENSE, ""),
        ({"map": SPARSE}, Connection.SPARSE, ""),
        ({"map": SPARSE, "delay": [5, 3]}, Connection.DELAY_SPARSE, ""),
        ({"map": Dense(weight=w([[255, 3]])), "sign": Sign.EXCITATORY}, Connection.DENSE, ""),
        ({"map": Dense(weight=w([[-255, 0]])), "sign": Sign.INHIBITORY}, Connection.DENSE, ""),
        ({"map": conv()}, Connection.CONV, ""),
        ({"map": conv(padding=(1, 1, 2, 2), stride=(2, 1), dilation=(1, 2))}, Connection.CONV, ""),
        ({"map": conv(), "shift": 9}, Connection.CONV, ""),
        ({"map": conv(), "low": -300, "high": 300}, Connection.CONV, ""),
        (
            {"map": conv(), "shift": 11},
            Connection.SPARSE,
            "unrolled: Lava's Conv ignores the weight exponent",
        ),
        (
            {"map": conv(), "delay": 2},
            Connection.DELAY_SPARSE,
            "unrolled: Lava's Conv has no delay",
        ),
        (
            {"map": conv(padding=(0, 1, 0, 1))},
            Connection.SPARSE,
            "unrolled: Lava's Conv pads both sides alike",
        ),
        (
            {"map": conv(source=(1, 6, 200), padding=(0, 0, 64, 64))},
            Connection.SPARSE,
            "unrolled: Lava's Conv computes its geometry in 8 bits",
        ),
        (
            {"map": conv(), "high": 2**17},
            Connection.SPARSE,
            "unrolled: Lava's Conv wraps its sum to 24 bits",
        ),
        (
            {"map": conv(), "threshold": w([640, 64]).reshape(2, 1, 1)},
            Connection.SPARSE,
            "unrolled: its neurons are split into groups",
        ),
        ({"delay": 64}, Connection.OWN, "a delay of 64 steps exceeds 63"),
        ({"shift": 14}, Connection.OWN, "a weight exponent of 8 exceeds 7"),
        ({"shift": 0}, Connection.OWN, "a shift of 0 is less than Lava's 6"),
        (
            {"map": Dense(weight=w([[-256, 256]]))},
            Connection.OWN,
            "mixed weights are -256..254 in steps of 2 in Lava, these lie in -256..256",
        ),
        (
            {"map": Dense(weight=w([[-1, 5]])), "sign": Sign.EXCITATORY},
            Connection.OWN,
            "excitatory weights are 0..255 in steps of 1 in Lava, these lie in -1..5",
        ),
        (
            {"high": 2**23},
            Connection.OWN,
            "a sum of up to 71940702208 exceeds the 32 bits that Lava's connections send",
        ),
    ],
)
def test_a_projection_becomes(
    one_layer: Make, changes: dict[str, Any], process: Connection, reason: str
) -> None:
    assert connection_of(one_layer(**changes)) == (process, reason)


@pytest.mark.parametrize(
    ("low", "high", "bits"), [(0, 1, 0), (0, 0, 0), (-1, 1, 1), (0, 2, 2), (-256, 3, 9), (1, 1, 1)]
)
def test_only_sources_of_0_and_1_send_binary_spikes(
    one_layer: Make, low: int, high: int, bits: int
) -> None:
    assert make_plan(one_layer(low=low, high=high)).projections[0].message_bits == bits


def test_what_is_simulated_is_a_finding_with_layer_and_reason(one_layer: Make) -> None:
    program = one_layer(fires=Fires.COUNT, delay=70)
    assert [str(finding) for finding in LavaBackend().supports(program, LOIHI2)] == [
        "simulated  out: runs as FixedPointNeuron in Lava's simulator only; "
        "Lava's LIF sends one spike a step at most",
        "simulated  way: runs as FixedPointConnection in Lava's simulator only; "
        "a delay of 70 steps exceeds 63",
    ]


def test_a_native_program_has_no_findings(one_layer: Make) -> None:
    assert LavaBackend().supports(one_layer(), LOIHI2) == ()


def test_a_projection_without_delay_is_refused(one_layer: Make) -> None:
    with pytest.raises(UnsupportedError) as caught:
        make_plan(one_layer(delay=0))
    assert str(caught.value) == (
        "error[SNN301]: 1 of 1 projections have no delay, "
        "but in Lava each takes one step at least\n"
        "  at: way\n"
        "  fix: export with --target loihi, which retimes the network"
    )


def test_a_program_that_lava_cannot_run_gets_no_files_but_a_finding(one_layer: Make) -> None:
    program = one_layer(delay=0)
    assert LavaBackend().emit(program, LOIHI2) == {}
    assert [str(finding) for finding in LavaBackend().supports(program, LOIHI2)] == [
        "simulated  way: does not run in Lava; it has no delay, and in Lava each projection takes "
        "a step"
    ]


def test_the_same_program_gives_the_same_files(one_layer: Make) -> None:
    files = LavaBackend().emit(one_layer(), LOIHI2)
    assert files == LavaBackend().emit(one_layer(), LOIHI2)
    assert sorted(files) == [
        "lava_plan.json",
        "run_lava.py",
        *(
            f"snn_lava/{name}.py"
            for name in (
                "__init__",
                "build",
                "files",
                "hardware",
                "kinds",
                "maps",
                "processes/__init__",
                "processes/connection",
                "processes/neuron",
                "record",
                "session",
                "step",
                "stock",
                "table",
            )
        ),
    ]


def test_the_plan_is_written_as_plain_json(one_layer: Make) -> None:
    plan = json.loads(LavaBackend().emit(one_layer(), LOIHI2)["lava_plan.json"])
    assert plan == {
        "schema": "snn-deploy/lava-plan/1",
        "populations": [
            {
                "name": "out",
                "process": "LIF",
                "support": "native",
                "reason": "",
                "input_shift": 6,
                "groups": [
                    {
                        "neurons": [[0, 3]],
                        "bias_exponent": 0,
                        "du": 4095,
                        "dv": 196,
                        "vth": 100,
                        "vth_lo": 0,
                    }
                ],
                "guard": "",
            }
        ],
        "projections": [
            {
                "name": "way",
                "process": "Dense",
                "support": "native",
                "reason": "",
                "weight_exponent": 0,
                "message_bits": 0,
            }
        ],
    }
