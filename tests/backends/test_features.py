"""What each feature of a neuron means, in numbers that anyone can check by hand.

Every case runs twice: as a real-valued network and as an integer program, whose numbers are the
same because no decay of these neurons rounds.
"""

from typing import Any

import numpy as np
import pytest

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir import network as real
from snn_deploy.ir import program as whole
from snn_deploy.ir.maps import Dense
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
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.targets import find_target

CPU = find_target("cpu")
ONE = CPU.decay_one
Found = dict[State, list[int]]


class Integers:
    """The classes of `ir/program.py`, called with the real factor of every decay and chain."""

    @staticmethod
    def current(decay: int, chain: tuple[int, Reads] | None = None, **fields: Any) -> whole.Current:
        made = chain and whole.Chain(multiplier=np.asarray(chain[0] * ONE), reads=chain[1])
        return whole.Current(decay=np.asarray(decay * ONE), chain=made or None, **fields)

    @staticmethod
    def reset(kind: ResetKind, amount: int, when: When = When.NOW) -> whole.Reset:
        return whole.Reset(kind=kind, amount=np.asarray(amount), when=when)

    @staticmethod
    def bias(value: int, **fields: Any) -> whole.Bias:
        return whole.Bias(value=np.asarray(value), **fields)

    @staticmethod
    def table(rows: list[int], what: Tabled, **fields: Any) -> Table:
        return Table(what=what, rows=np.asarray(rows), **fields)

    @staticmethod
    def population(currents: tuple[whole.Current, ...], **fields: Any) -> whole.Population:
        return whole.Population(
            name="n", shape=(1,), decay=np.asarray(ONE),
            current=currents[0] if currents else None, further=currents[1:],
            gains=tuple(
                whole.Gain(into=t.into, multiplier=np.asarray(1))
                for t in fields.get("tables", ()) if t.what is Tabled.GAIN
            ), **fields,
        )  # fmt: skip


class Reals:
    """The same of `ir/network.py`."""

    @staticmethod
    def current(decay: int, chain: tuple[int, Reads] | None = None, **fields: Any) -> real.Synapse:
        made = chain and real.Chain(gain=np.asarray(float(chain[0])), reads=chain[1])
        return real.Synapse(decay=np.asarray(float(decay)), chain=made or None, **fields)

    @staticmethod
    def reset(kind: ResetKind, amount: int, when: When = When.NOW) -> real.Reset:
        return real.Reset(kind=kind, amount=np.asarray(float(amount)), when=when)

    @staticmethod
    def bias(value: int, **fields: Any) -> real.Bias:
        return real.Bias(value=np.asarray(float(value)), **fields)

    @staticmethod
    def table(rows: list[int], what: Tabled, **fields: Any) -> Table:
        return Table(what=what, rows=np.asarray(rows, float), **fields)

    @staticmethod
    def population(currents: tuple[real.Synapse, ...], **fields: Any) -> real.Population:
        for name in ("threshold", "lower"):
            if name in fields:
                fields[name] = np.asarray(float(fields[name]))
        return real.Population(
            name="n", shape=(1,), decay=np.ones(()),
            synapse=currents[0] if currents else None, further=currents[1:], **fields,
        )  # fmt: skip


def run(make: Any, drives: dict[State | None, list[int]]) -> Found:
    """Return the states of one neuron, in reals and in integers, which must be equal.

    Args:
        make: Called with `Reals` and with `Integers`: (currents, other fields).
        drives: What arrives at each state in each step; None: where it enters by default.
    """
    found = [
        _run_one(kit, module, make, drives) for kit, module in ((Reals, real), (Integers, whole))
    ]
    assert found[0] == found[1]
    return found[0]


def _run_one(kit: Any, module: Any, make: Any, drives: dict[State | None, list[int]]) -> Found:
    currents, fields = make(kit)
    if kit is Integers:
        for name in ("threshold", "lower"):
            if name in fields:
                fields[name] = np.asarray(fields[name])
    population = kit.population(currents, **fields)
    names = [f"to {state and state.value}" for state in drives]
    ends: dict[str, Any] = {"low": -1000, "high": 1000} if module is whole else {}
    one = np.ones((1, 1), int if module is whole else float)
    sign = {"sign": whole.Sign.EXCITATORY} if module is whole else {}
    graph = {
        "name": "one neuron",
        "inputs": tuple(module.Input(name=n, shape=(1,), **ends) for n in names),
        "populations": (population,),
        "projections": tuple(
            module.Projection(name=n, source=n, target="n", map=Dense(weight=one), into=s, **sign)
            for n, s in zip(names, drives, strict=True)
        ),
        "outputs": (real.Output(name="y", population="n", decode=Decode.MEMBRANE_END),),
    }
    inputs = [
        Values(name=n, values=np.asarray(given).reshape(1, -1, 1))
        for n, given in zip(names, drives.values(), strict=True)
    ]
    if module is whole:
        program = whole.Program(target="cpu", arithmetic=CPU.arithmetic, **graph)
        trace = ReferenceBackend().run(program, inputs, EVERYTHING)["n"]
    else:
        trace = simulate(real.Network(**graph), inputs, EVERYTHING)["n"]
    return {state: [int(x) for x in record.ravel()] for state, record in trace.states.items()}


def neuron(*currents: Any, **fields: Any) -> Any:
    """Return a maker; values that are functions are called with the kit."""

    def make(kit: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def made(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(made(item) for item in value)
            return value(kit) if callable(value) else value

        return made(currents), {name: made(value) for name, value in fields.items()}

    return make


def v(found: Found) -> list[int]:
    return found[State.MEMBRANE]


def s(found: Found) -> list[int]:
    return found[State.PAYLOAD]


HARD = {"reset": lambda kit: kit.reset(ResetKind.VALUE, 0), "threshold": 10}
SOFT = {"reset": lambda kit: kit.reset(ResetKind.SUBTRACT, 10), "threshold": 10}


def test_a_latched_current_ramps_the_membrane():
    found = run(neuron(lambda kit: kit.current(1), fires=Fires.NEVER), {None: [1, 0, 2, 0]})
    assert found[State.CURRENT] == [1, 1, 3, 3]
    assert v(found) == [1, 2, 5, 8]


def test_currents_enter_the_membrane_with_their_signs():
    currents = (
        lambda kit: kit.current(0),
        lambda kit: kit.current(0, into_membrane=-1),
        lambda kit: kit.current(0, into_membrane=0),
    )
    drives = {State.CURRENT: [5, 0, 0], State.CURRENT_2: [0, 2, 0], State.CURRENT_3: [9, 9, 9]}
    found = run(neuron(*currents, fires=Fires.NEVER), drives)
    assert v(found) == [5, 3, 3]
    assert found[State.CURRENT_3] == [9, 9, 9]


@pytest.mark.parametrize(
    ("reads", "second"), [(Reads.NEW, [3, 0, 6, 0]), (Reads.OLD, [0, 3, 0, 6])]
)
def test_a_chained_current_reads_the_one_before(reads, second):
    currents = (
        lambda kit: kit.current(0, into_membrane=0),
        lambda kit: kit.current(0, chain=(3, reads)),
    )
    found = run(neuron(*currents, fires=Fires.NEVER), {State.CURRENT: [1, 0, 2, 0]})
    assert found[State.CURRENT_2] == second


def test_what_arrives_at_the_membrane_passes_the_currents_by():
    found = run(
        neuron(lambda kit: kit.current(1), fires=Fires.NEVER),
        {State.CURRENT: [1, 0, 0], State.MEMBRANE: [0, 100, 0]},
    )
    assert found[State.CURRENT] == [1, 1, 1]
    assert v(found) == [1, 102, 103]


def test_an_old_current_arrives_a_step_later():
    found = run(
        neuron(lambda kit: kit.current(0, reads=Reads.OLD), fires=Fires.NEVER), {None: [4, 0, 1, 0]}
    )
    assert v(found) == [0, 4, 4, 5]


@pytest.mark.parametrize(
    ("during", "membrane"),
    [
        (During.HELD, [0, 0, 0, 6, 0]),
        (During.INTEGRATES, [0, 6, 12, 0, 6]),
        (During.CLAMPED, [0, 0, 0, 6, 0]),
    ],
)
def test_a_refractory_neuron_does_not_fire_for_two_steps(during, membrane):
    found = run(
        neuron(**HARD, refractory=Refractory(steps=2, during=during)), {None: [11, 6, 6, 6, 6]}
    )
    assert v(found) == membrane
    fired = [1, 0, 0, 1, 0] if during is During.INTEGRATES else [1, 0, 0, 0, 1]
    assert s(found) == fired
    assert found[State.COUNTDOWN][:3] == [2, 1, 0]


def test_a_neuron_may_fire_once():
    found = run(neuron(**SOFT, refractory=Refractory(steps=None)), {None: [11, 11, 11]})
    assert s(found) == [1, 0, 0]
    assert v(found) == [1, 12, 23]
    assert found[State.COUNTDOWN] == [1, 1, 1]


def test_outside_its_window_a_neuron_integrates_but_does_not_fire():
    found = run(neuron(**SOFT, window=Window(first=1, behind=3)), {None: [11] * 5})
    assert s(found) == [0, 1, 1, 0, 0]
    assert v(found) == [11, 12, 13, 24, 35]


def test_a_restart_comes_before_what_arrives():
    found = run(
        neuron(
            lambda kit: kit.current(1), fires=Fires.NEVER, restart=Restart(interval=3, offset=2)
        ),
        {None: [1, 1, 1, 0, 0, 0]},
    )
    assert found[State.CURRENT] == [1, 2, 1, 1, 1, 0]
    assert v(found) == [1, 3, 1, 2, 3, 0]


def test_tables_replace_a_parameter_in_their_steps():
    tables = (
        lambda kit: kit.table([3, 20], Tabled.THRESHOLD, start=1),
        lambda kit: kit.table([2, 3], Tabled.GAIN, into=State.MEMBRANE, start=2),
        lambda kit: kit.table([100], Tabled.BIAS, into=State.MEMBRANE, start=4),
        lambda kit: kit.table([5, 7], Tabled.PAYLOAD, repeats=True),
    )
    found = run(neuron(**HARD, tables=tables), {None: [4, 0, 4, 4, 0, 1]})
    # thresholds 10 3 20 10 10 10, gains 1 1 2 3 1 1, payloads 5 7 5 7 5 7
    assert v(found) == [4, 0, 8, 0, 0, 1]
    assert s(found) == [0, 7, 0, 7, 5, 0]


def test_a_repeated_table_begins_again_and_not_before_its_start():
    table = (
        lambda kit: kit.table([1, 2], Tabled.BIAS, into=State.MEMBRANE, start=1, repeats=True),
    )
    found = run(neuron(fires=Fires.NEVER, tables=table), {None: [0] * 5})
    assert v(found) == [0, 1, 3, 4, 6]


@pytest.mark.parametrize(
    ("compare", "sent"),
    [(Compare.GREATER, [0, 1, 0, -1, 0]), (Compare.GREATER_EQUAL, [1, 1, -1, -1, 0])],
)
def test_a_ternary_neuron_has_two_thresholds(compare, sent):
    fields = {"threshold": 10, "lower": -5, "fires": Fires.TERNARY, "compare": compare}
    reset = lambda kit: kit.reset(ResetKind.VALUE, 0, When.NOW)  # noqa: E731
    each = [10, 11, -5, -6, 9]
    found = [s(run(neuron(**fields, reset=reset), {None: [drive]}))[0] for drive in each]
    assert found == sent


def test_a_ternary_spike_subtracts_with_its_sign():
    fields = {"threshold": 10, "lower": -10, "fires": Fires.TERNARY}
    found = run(
        neuron(**fields, reset=lambda kit: kit.reset(ResetKind.SUBTRACT, 10)), {None: [13, -30, 0]}
    )
    assert v(found) == [3, -17, -7]
    assert s(found) == [1, -1, -1]


def test_halves_round_to_the_even_number_of_spikes():
    fields = {"threshold": 4, "fires": Fires.ROUNDED, "max_spikes": 4}
    drives = [1, 2, 3, 6, 10, 14, 15, 99, -9]
    found = [s(run(neuron(**fields), {None: [drive]}))[0] for drive in drives]
    assert found == [0, 0, 1, 2, 2, 4, 4, 4, 0]


def test_a_graded_neuron_sends_its_membrane():
    assert s(run(neuron(fires=Fires.GRADED), {None: [5, -7, 1]})) == [5, -2, -1]


@pytest.mark.parametrize(
    ("given", "shift", "sent"), [(5, 1, 3), (-5, 1, -2), (6, 2, 2), (-6, 2, -1)]
)
def test_a_graded_payload_is_rounded_half_upwards(given, shift, sent):
    def make(kit: Any) -> Any:
        return (), {"fires": Fires.GRADED, "payload_shift": shift}

    assert _run_one(Integers, whole, make, {None: [given]})[State.PAYLOAD] == [sent]


def test_a_retested_neuron_is_lowered_once_more_for_the_next_test():
    found = run(
        neuron(threshold=10, reset=lambda kit: kit.reset(ResetKind.SUBTRACT, 10, When.RETESTED)),
        {None: [25, 0, 0, 0]},
    )
    # 25 fires: 15, above the threshold still; so the next test sees 5, and the one behind it 5
    assert s(found) == [1, 0, 0, 0]
    assert v(found) == [15, 15, 15, 15]


def test_a_waiting_bias_starts_with_the_first_sum_that_is_not_0():
    bias = (lambda kit: kit.bias(3, waits=True),)
    found = run(neuron(fires=Fires.NEVER, biases=bias), {None: [0, 0, -1, 0]})
    assert v(found) == [0, 0, 2, 5]
    assert found[State.STARTED] == [0, 0, 1, 1]


@pytest.mark.parametrize("state", [State.CURRENT, State.CURRENT_2])
def test_a_bias_enters_the_current_it_names(state):
    currents = (lambda kit: kit.current(0), lambda kit: kit.current(0))
    bias = (lambda kit: kit.bias(3, into=state, start=1),)
    found = run(neuron(*currents, fires=Fires.NEVER, biases=bias), {None: [0, 0, 0]})
    assert found[state] == [0, 3, 3]
    assert v(found) == [0, 3, 6]
