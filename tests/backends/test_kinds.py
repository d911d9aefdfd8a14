"""Neurons of other kinds, computed once more by hand, one number at a time, with Python's own."""

import numpy as np
import pytest

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.arithmetic import Overflow, Register
from snn_deploy.ir.kinds import (
    Activation,
    Adaptive,
    Delta,
    NeuronKind,
    Resonance,
    Resonator,
    Sigma,
    SigmaDelta,
)
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, State
from snn_deploy.ir.program import Input, Population, Program, Projection
from snn_deploy.ir.store import dump_program, load_program
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.targets import find_target

LOIHI = find_target("loihi2").arithmetic
ONE = 4096
STEPS = 200


def number(value: int) -> np.ndarray:
    return np.asarray(value, np.int32)


def trunc(product: int, bits: int = 12) -> int:
    return -(-product >> bits) if product < 0 else product >> bits


def clipped(value: int) -> int:
    return max(-(2**23) + 1, min(2**23 - 1, value))


def program_of(kind: NeuronKind, drives: dict[State, int]) -> Program:
    """Return one neuron of `kind`, each driven state with an input of its own."""
    return Program(
        name="kind",
        target="loihi2",
        arithmetic=LOIHI,
        inputs=tuple(Input(name=s.value, shape=(1,), low=-300, high=300) for s in drives),
        populations=(Population(name="n", shape=(1,), decay=number(0), kind=kind),),
        projections=tuple(
            Projection(
                name=s.value, source=s.value, target="n", into=s, shift=shift,
                map=Dense(weight=np.array([[1]], np.int32)),
            )
            for s, shift in drives.items()
        ),
        outputs=(Output(name="y", population="n", decode=Decode.COUNT),),
    )  # fmt: skip


def run(kind: NeuronKind, drives: dict[State, int], values: np.ndarray) -> dict[State, list[int]]:
    """Return every state of the neuron; `values` [drive, step]."""
    program = program_of(kind, drives)
    assert load_program(dump_program(program)).digest == program.digest
    inputs = [
        Values(name=s.value, values=row[None, :, None])
        for s, row in zip(drives, values, strict=True)
    ]
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)["n"]
    assert set(trace.states) == kind.states
    return {state: [int(x) for x in record.ravel()] for state, record in trace.states.items()}


def drawn(seed: int, rows: int, largest: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(-largest, largest + 1, (rows, STEPS)) * (rng.random((rows, STEPS)) < 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_an_adaptive_neuron_raises_its_threshold_and_its_refraction(seed):
    given = drawn(seed, 1, 60) + 4
    kind = Adaptive(
        current_decay=number(3000), decay=number(3500), threshold_decay=number(4000),
        refraction_decay=number(2500), base=number(320), increase=number(200), bias=number(7),
        initial_membrane=number(500),
    )  # fmt: skip
    found = run(kind, {State.CURRENT: 6}, given)
    i, v, theta, r = 0, 500, 320, 0
    expected: dict[State, list[int]] = {state: [] for state in kind.states}
    for a in given[0]:
        i = trunc(i * 3000) + int(a) * 64
        v = clipped(trunc(v * 3500) + i + 7)
        theta = trunc((theta - 320) * 4000) + 320
        r = trunc(r * 2500)
        s = v - r >= theta
        if s:
            r += 2 * theta
            theta += 200
        states = {State.CURRENT: i, State.MEMBRANE: v, State.THRESHOLD: theta}
        states |= {State.REFRACTION: r, State.PAYLOAD: int(s)}
        for state, value in states.items():
            expected[state].append(value)
    assert found == expected
    assert 0.05 < np.mean(expected[State.PAYLOAD]) < 0.8


@pytest.mark.parametrize("fires_at", Resonance)
@pytest.mark.parametrize("seed", range(3))
def test_a_resonator_turns_and_fires(seed, fires_at):
    given = drawn(seed, 2, 100)
    cosine, sine = int(0.98 * np.cos(0.4) * ONE), int(0.98 * np.sin(0.4) * ONE)
    kind = Resonator(
        cosine=number(cosine), sine=number(sine), threshold=number(5000), fires_at=fires_at
    )
    found = run(kind, {State.MEMBRANE: 6, State.IMAGINARY: 5}, given)
    re = im = 0
    expected: dict[State, list[int]] = {state: [] for state in kind.states}
    for a, b in given.T:
        before = im
        re, im = (
            clipped(trunc(re * cosine) - trunc(im * sine) + int(a) * 64),
            clipped(trunc(re * sine) + trunc(im * cosine) + int(b) * 32),
        )
        if fires_at is Resonance.CROSSING:
            s = re >= 5000 and im >= 0 > before
        else:
            s = im >= 5000
            re, im = (0, 4999) if s else (re, im)
        for state, value in {
            State.MEMBRANE: re, State.IMAGINARY: im, State.PAYLOAD: int(s)
        }.items():  # fmt: skip
            expected[state].append(value)
    assert found == expected
    assert 0.01 < np.mean(expected[State.PAYLOAD]) < 0.5


@pytest.mark.parametrize("cumulative", [False, True])
def test_a_sigma_neuron_gives_back_what_a_delta_neuron_sends_in_parts(cumulative):
    given = np.cumsum(drawn(7, 1, 9), axis=1)
    delta = Delta(threshold=number(11 << 6), payload_shift=6, cumulative=cumulative)
    sent = run(delta, {State.ACTIVATION: 6}, given)
    total = np.cumsum(sent[State.PAYLOAD])
    assert len(set(sent[State.PAYLOAD])) > 5
    assert np.array_equal(total + np.array(sent[State.RESIDUE]) // 64, given[0])
    decoded = run(Sigma(), {State.SIGMA: 0}, np.array([sent[State.PAYLOAD]]))
    assert decoded[State.PAYLOAD] == decoded[State.SIGMA] == total.tolist()


@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize("activation", Activation)
def test_a_sigma_delta_neuron_sends_the_changes_of_its_activation(activation, cumulative):
    given = drawn(11, 1, 9)
    kind = SigmaDelta(
        threshold=number(700), bias=number(-90), activation=activation, payload_shift=3,
        cumulative=cumulative, initial_sigma=number(40),
    )  # fmt: skip
    found = run(kind, {State.SIGMA: 6}, given)
    sigma, act, residue, error = 40, 0, 0, 0
    expected: dict[State, list[int]] = {state: [] for state in kind.states}
    for a in given[0]:
        sigma += int(a) * 64
        x = sigma - 90
        x = max(0, x) if activation is Activation.RELU else x
        change = x - act + residue
        error = error + change if cumulative else 0
        out = change if abs(error if cumulative else change) >= 700 else 0
        error = 0 if out else error
        act, residue = x, change - out
        states = {State.SIGMA: sigma, State.ACTIVATION: act, State.RESIDUE: residue}
        for state, value in (states | {State.ERROR: error, State.PAYLOAD: out // 8}).items():
            expected[state].append(value)
    assert found == expected
    assert len(set(expected[State.PAYLOAD])) > 5


def test_every_state_has_a_name_that_no_other_has():
    assert len({state.value for state in State}) == len(State)


@pytest.mark.parametrize("kind", [Sigma(), Delta(threshold=number(1), payload_shift=6)])
def test_what_is_sent_lies_in_the_range_that_is_stated(kind):
    low, high = kind.payload_range(Register(bits=24, overflow=Overflow.SATURATE))
    ends = np.array([[2**31 - 1, -(2**31)]]) >> (0 if isinstance(kind, Sigma) else 6)
    assert [high, low] == ends[0].tolist()
