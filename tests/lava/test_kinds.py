"""Every neuron process of Lava, and ours for the rest: the states of the reference simulator."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snn_deploy.backends.lava import LavaBackend, make_plan
from snn_deploy.backends.lava.plan import Neuron
from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.arithmetic import Overflow, Register, Sums
from snn_deploy.ir.kinds import (
    KINDS,
    Activation,
    Adaptive,
    Delta,
    Resonance,
    Resonator,
    Sigma,
    SigmaDelta,
)
from snn_deploy.ir.maps import Dense, LinearMap, Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import (
    Compare,
    Decode,
    During,
    Fires,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.program import (
    Bias,
    Chain,
    Current,
    Gain,
    Input,
    Population,
    Program,
    Projection,
    Reset,
    Sign,
)
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.trace import Trace, Values
from snn_deploy.targets import find_target

LOIHI2 = find_target("loihi2")
HARD = Reset(kind=ResetKind.VALUE)
SOFT = Reset(kind=ResetKind.SUBTRACT, amount=np.asarray(64 * 200, np.int32))
Equal = Callable[[Program, Sequence[Values]], Trace]


def w(number: Any) -> np.ndarray:
    return np.asarray(number, np.int32)


def lif(name: str, **changes: Any) -> Population:
    standard: dict[str, Any] = {"decay": w(3800), "threshold": w(64 * 200), "reset": HARD}
    return Population(name=name, shape=(4,), **(standard | changes))


def other(name: str, kind: Any) -> Population:
    return Population(name=name, shape=(4,), decay=w(0), kind=kind)


def program_of(
    populations: Sequence[Population], extra: Sequence[tuple[str, str, State | None, int]] = ()
) -> Program:
    """Return a program in which each population hears the input through weights of its own.

    Args:
        populations: Of four neurons each.
        extra: Further projections (source, target, state, shift); the input is "in".
    """
    rng = np.random.default_rng(len(populations))
    ways = [("in", p.name, None, 6) for p in populations if p.name.startswith("n")]
    projections = []
    for number, (source, target, into, shift) in enumerate([*ways, *extra]):
        weight = 2 * rng.integers(-40, 60, (4, 5 if source == "in" else 4))
        linear: LinearMap = Dense(weight=w(weight))
        sign = Sign.MIXED if source == "in" else Sign.EXCITATORY
        if source != "in":
            each = np.arange(4)
            linear = Sparse(post=each, pre=each, weight=w([1] * 4), post_shape=(4,), pre_shape=(4,))
        projections.append(
            Projection(
                name=f"{number}", source=source, target=target, map=linear, shift=shift,
                delay=w(1), into=into, sign=sign,
            )
        )  # fmt: skip
    return Program(
        name="kinds",
        target="loihi2",
        arithmetic=LOIHI2.arithmetic,
        inputs=(Input(name="in", shape=(5,), low=-3, high=5),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="y", population=populations[0].name, decode=Decode.COUNT),),
    )


def inputs(seed: int = 0) -> tuple[Values, ...]:
    rng = np.random.default_rng(seed)
    values = rng.integers(-3, 6, (2, 40, 5)) * (rng.random((2, 40, 5)) < 0.6)
    return (Values(name="in", values=values.astype(np.int32)),)


def resonator(**changes: Any) -> Resonator:
    turn = {"cosine": w(int(0.97 * np.cos(0.7) * 4096)), "sine": w(int(0.97 * np.sin(0.7) * 4096))}
    return Resonator(**({**turn, "threshold": w(64 * 90)} | changes))


ADAPTIVE = Adaptive(
    current_decay=w(2000), decay=w(3500), threshold_decay=w(3900), refraction_decay=w(3000),
    base=w(64 * 150), increase=w(64 * 40), bias=w([130, -70, 0, 20]), initial_membrane=w(900),
    initial_current=w(-50), initial_refraction=w(77),
)  # fmt: skip
STOCK = {
    "n-lif": (lif("n-lif"), Neuron.LIF),
    "n-ternary": (
        lif("n-ternary", fires=Fires.TERNARY, lower=w(-64 * 150), biases=(Bias(value=w(90)),)),
        Neuron.TERNARY_LIF,
    ),
    "n-restart": (
        lif("n-restart", restart=Restart(interval=7, offset=3), current=Current(decay=w(2500))),
        Neuron.LIF_RESET,
    ),
    "n-adaptive": (other("n-adaptive", ADAPTIVE), Neuron.ATRLIF),
    "n-grouped": (
        other("n-grouped", replace(ADAPTIVE, base=w([64, 64 * 90, 64, 64 * 200]))),
        Neuron.ATRLIF,
    ),
    "n-rf": (other("n-rf", resonator()), Neuron.RF),
    "n-rf-iz": (other("n-rf-iz", resonator(fires_at=Resonance.LEVEL)), Neuron.RF_IZ),
    "n-delta": (other("n-delta", Delta(threshold=w(64 * 99), payload_shift=4)), Neuron.DELTA),
    "n-cumulative": (
        other("n-cumulative", Delta(threshold=w(64 * 99), payload_shift=6, cumulative=True)),
        Neuron.DELTA,
    ),
    "relu": (
        other("relu", SigmaDelta(threshold=w([500] * 3 + [900]), bias=w(48), payload_shift=4)),
        Neuron.SIGMA_DELTA,
    ),
    "unit": (
        other(
            "unit",
            SigmaDelta(threshold=w(300), activation=Activation.UNIT, cumulative=True),
        ),
        Neuron.SIGMA_DELTA,
    ),
    "sum": (other("sum", Sigma()), Neuron.SIGMA),
}
WIRES = (
    ("in", "n-rf", State.IMAGINARY, 7),
    ("n-delta", "relu", None, 4),
    ("n-cumulative", "unit", None, 0),
    ("relu", "sum", None, 0),
)


@pytest.mark.lava
def test_every_stock_neuron_of_lava_has_the_states_of_the_reference(equal_in_lava: Equal) -> None:
    program = program_of([population for population, _ in STOCK.values()], WIRES)
    plan = {p.name: (p.process, p.reason) for p in make_plan(program).populations}
    assert plan == {name: (process, "") for name, (_, process) in STOCK.items()}
    trace = equal_in_lava(program, inputs())
    for population in trace.populations:
        assert population.payload is not None
        assert len(np.unique(population.payload)) > 1, population.name


SHORT = Register(bits=16, overflow=Overflow.WRAP)
OWN = {
    "n-currents": lif(
        "n-currents",
        current=Current(decay=w(2000), into_membrane=0),
        further=(
            Current(decay=w(3000), chain=Chain(multiplier=w(1500)), initial=w(40)),
            Current(decay=w(4096), into_membrane=-1, reads=Reads.OLD),
            Current(decay=w(-1000), chain=Chain(multiplier=w(-700), reads=Reads.OLD)),
        ),
        biases=(Bias(value=w(30), into=State.CURRENT_3, start=4),),
    ),
    "n-direct": lif("n-direct", current=Current(decay=w(2500))),
    "n-held": lif("n-held", refractory=Refractory(steps=3, during=During.HELD)),
    "n-integrates": lif("n-integrates", refractory=Refractory(steps=2), reset=SOFT),
    "n-clamped": lif(
        "n-clamped",
        refractory=Refractory(steps=4, during=During.CLAMPED),
        reset=Reset(kind=ResetKind.VALUE, amount=w(-500)),
    ),
    "n-once": lif("n-once", refractory=Refractory(steps=None), restart=Restart(interval=11)),
    "n-window": lif("n-window", window=Window(first=5, behind=21)),
    "n-tables": lif(
        "n-tables",
        gains=(Gain(into=State.MEMBRANE, multiplier=w([8, 9, 10, 11]), shift=3),),
        tables=(
            Table(what=Tabled.THRESHOLD, rows=w([[3000], [9000], [20000]]), start=3, repeats=True),
            Table(what=Tabled.GAIN, rows=w([[5], [7], [0], [12]]), into=State.MEMBRANE, start=9),
            Table(what=Tabled.BIAS, rows=w([[900], [-900]]), into=State.MEMBRANE, repeats=True),
            Table(what=Tabled.PAYLOAD, rows=w([[2], [-3]]), start=1, repeats=True),
        ),
    ),
    "n-ternary": lif(
        "n-ternary", fires=Fires.TERNARY, compare=Compare.GREATER_EQUAL, lower=w(-9000), reset=SOFT
    ),
    "n-rounded": lif("n-rounded", fires=Fires.ROUNDED, max_spikes=4, reset=SOFT),
    "n-graded": lif("n-graded", fires=Fires.GRADED, payload_shift=5, reset=Reset()),
    "n-retested": lif("n-retested", reset=replace(SOFT, when=When.RETESTED)),
    "n-waits": lif("n-waits", biases=(Bias(value=w(500), waits=True),)),
    "n-resonator": other("n-resonator", resonator(initial_real=w(300), initial_imaginary=w(-9))),
    "n-sigma": other("n-sigma", Sigma(initial_sigma=w(5))),
    "n-relu": other("n-relu", SigmaDelta(threshold=w(9000), initial_sigma=w(64), bias=w(-100))),
    "n-delta": other("n-delta", Delta(threshold=w(500), payload_shift=7)),
    "n-adaptive": other("n-adaptive", replace(ADAPTIVE, base=w(1001), increase=w(10))),
}


@pytest.mark.lava
def test_what_lava_has_no_neuron_for_runs_in_ours(equal_in_lava: Equal) -> None:
    wires = (
        ("in", "n-currents", State.CURRENT_3, 6), ("in", "n-currents", State.MEMBRANE, 7),
        ("n-held", "n-direct", State.MEMBRANE, 10), ("n-graded", "n-direct", None, 3),
    )  # fmt: skip
    program = program_of(list(OWN.values()), wires)
    assert {p.process for p in make_plan(program).populations} == {Neuron.OWN}
    trace = equal_in_lava(program, inputs(1))
    for population in trace.populations:
        assert population.payload is not None
        assert len(np.unique(population.payload)) > 1, population.name


@pytest.mark.lava
def test_an_accumulator_and_a_phase_run_in_our_neurons(equal_in_lava: Equal) -> None:
    program = program_of([lif("n-a", current=Current(decay=w(2000))), lif("n-b")])
    narrow = replace(program.arithmetic, accumulator=SHORT)
    trace = equal_in_lava(replace(program, arithmetic=narrow), inputs(2))
    assert trace["n-a"].overflows
    slow = replace(program, period=3)
    slow = replace(slow, projections=tuple(replace(p, delay=w(3)) for p in slow.projections))
    assert [p.process for p in make_plan(slow).populations] == [Neuron.OWN, Neuron.OWN]
    equal_in_lava(slow, inputs(3))


@pytest.mark.parametrize(
    ("changes", "process"),
    [
        ({}, Neuron.LIF),
        ({"fires": Fires.TERNARY, "lower": w(-64)}, Neuron.TERNARY_LIF),
        ({"decay": w(3800)}, Neuron.OWN),
        ({"biases": (Bias(value=w(64)),)}, Neuron.OWN),
        ({"current": Current(decay=w(0))}, Neuron.OWN),
        ({"restart": Restart(interval=3)}, Neuron.OWN),
    ],
)
def test_only_a_neuron_that_keeps_still_between_its_steps_is_a_lif_in_a_dilated_program(
    changes: dict[str, Any], process: Neuron
) -> None:
    program = replace(program_of([lif("n", **{"decay": w(4096)} | changes)]), period=3)
    plan = make_plan(program).populations[0]
    assert plan.process is process
    assert plan.reason == ("Lava's LIF acts in every step" if process is Neuron.OWN else "")


def changed(name: str, **changes: Any) -> tuple[str, str]:
    population = STOCK[name][0]
    kind = population.kind
    made = replace(population, kind=replace(kind, **changes)) if kind else population
    return why(made if kind else replace(population, **changes))


def why(population: Population, shift: int = 6, **changes: Any) -> tuple[str, str]:
    program = program_of([population])
    way = replace(program.projections[0], shift=shift)
    if population.lag:
        way = replace(way, delay=w(population.lag))
    if "decay_bits" in changes:
        changes = {"arithmetic": replace(program.arithmetic, **changes)}
    plan = make_plan(replace(program, projections=(way,), **changes)).populations[0]
    return plan.process.value, plan.reason


def early(population: Population) -> tuple[str, str]:
    plan = make_plan(program_of([replace(population, lag=9)])).populations[0]
    return plan.process.value, plan.reason


def late(population: Population, **changes: Any) -> tuple[str, str]:
    kind = replace(population.kind, **changes)
    return why(replace(population, kind=kind, lag=9))


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (changed("n-adaptive", base=w(65)), "a threshold, or what a spike adds to it, is no "
         "multiple of 64"),
        (changed("n-adaptive", current_decay=w(4096)), "the decay of its current lies outside "
         "0..4095 / 4096"),
        (changed("n-adaptive", bias=w(2**22 + 1)), "the biases are no mantissas of -4095..4095 "
         "times one power of 2"),
        (why(STOCK["n-adaptive"][0], shift=5), "0 is shifted by less than the 6 bits of ATRLIF"),
        (changed("n-rf", initial_real=w(1)), "Lava's resonators start at 0"),
        (late(other("n", Adaptive(current_decay=w(0), decay=w(0), threshold_decay=w(0),
         refraction_decay=w(0), base=w(0), increase=w(0)))), "it would fire before step 9"),
        (late(STOCK["n-adaptive"][0], bias=w(64)), "its states must hold until step 9"),
        (late(STOCK["n-rf"][0], threshold=w(0)), "it would fire before step 9"),
        (why(STOCK["n-rf"][0], period=3), "Lava's neurons act in every step"),
        (why(STOCK["n-adaptive"][0], decay_bits=11), "the program's registers are not those of "
         "Lava's neurons"),
        (why(STOCK["n-adaptive"][0], shift=24), "a sum of up to 24662507520 in one step exceeds "
         "the 32 bits that ATRLIF adds in"),
        (why(STOCK["n-rf"][0], shift=24), "a sum of up to 24662507520 in one step exceeds the 32 "
         "bits of Lava's connections"),
        (early(STOCK["n-rf"][0]), "input arrives before step 9, when the population starts"),
        (why(STOCK["n-delta"][0], shift=2), "what arrives is shifted by 2 bits, less than the 4 "
         "of what is sent"),
        (why(other("n", Sigma(initial_sigma=w(1)))), "Lava's sigma starts at 0"),
        (changed("n-ternary", lower=w(-65)), "a threshold is no multiple of 64"),
        (changed("n-ternary", compare=Compare.GREATER_EQUAL), "Lava's TernaryLIF compares by > "
         "and <"),
        (changed("n-ternary", restart=Restart(interval=5)), "Lava's TernaryLIF does not restart"),
        (changed("n-restart", initial=w(3)), "Lava's LIFReset returns to 0, not to initial states"),
        (changed("n-lif", window=Window(first=0, behind=3)), "Lava's LIF fires in any step"),
    ],
)  # fmt: skip
def test_what_a_stock_neuron_lacks_is_told(found: tuple[str, str], reason: str) -> None:
    assert found == ("FixedPointNeuron", reason)


def test_rows_that_are_added_one_by_one_do_not_run_in_lava() -> None:
    program = program_of([lif("n")])
    program = replace(program, arithmetic=replace(program.arithmetic, sums=Sums.BY_ROW))
    assert LavaBackend().emit(program, LOIHI2) == {}
    assert [str(finding) for finding in LavaBackend().supports(program, LOIHI2)] == [
        "simulated  kinds: does not run in Lava; each source neuron enters a state on its own, "
        "and Lava's channels carry sums"
    ]
    with pytest.raises(UnsupportedError) as caught:
        make_plan(program)
    assert str(caught.value) == (
        "error[SNN301]: each source neuron enters the state on its own, but Lava's connections "
        "send sums\n  at: kinds\n"
        "  fix: run it in the event or reference simulator, or export for another --target"
    )


def test_the_runner_knows_every_kind(lava_files: dict[str, bytes]) -> None:
    text = lava_files["snn_lava/kinds.py"].decode()
    for tag in KINDS:
        assert f'"{tag}": ' in text


@pytest.fixture
def lava_files() -> dict[str, bytes]:
    return dict(LavaBackend().emit(program_of([lif("n")]), LOIHI2))
