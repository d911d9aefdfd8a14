"""Measure a program against the real-valued network that it was made of: accuracy, agreement and
the spikes of every layer, on the event simulator."""

from dataclasses import dataclass

import numpy as np

from snn_deploy.backends.event import EventBackend
from snn_deploy.ir.codecs import Encoding, decode, needs, predict
from snn_deploy.ir.network import Network
from snn_deploy.ir.neuron import Fires, State
from snn_deploy.ir.program import Program
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import Recording, Values

BLOCK = 100
"""Samples that are simulated at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One trained network with the data that it is measured on."""

    name: str
    seed: int
    network: Network
    encoding: Encoding
    calibration: tuple[Values, ...]
    """Real-valued training data."""

    train: np.ndarray
    """Real-valued inputs [sample, step, *shape]."""

    train_label: np.ndarray
    test: np.ndarray
    test_label: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the real-valued network does with the test data."""

    predicted: np.ndarray
    """[sample]."""

    payload: dict[str, np.ndarray]
    """By population that fires, [sample, step, neuron] of bool."""

    accuracy: float
    """0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a program does with the test data."""

    accuracy: float
    """0..1."""

    agreement: float
    """Share of the samples with the answer of the real-valued network, 0..1."""

    mismatch: dict[str, float]
    """By layer, (step, neuron) entries that differ over twice the real-valued network's spikes."""

    overflows: int
    """Times that a register wrapped or saturated."""


def wanted(case: Case) -> Wanted:
    """Return what the real-valued network does, block by block."""
    network, output = case.network, case.network.outputs[0]
    firing = [p.name for p in network.populations if p.fires is not Fires.NEVER]
    record = Recording(states=frozenset({State.PAYLOAD, needs(output.decode)}))
    answers, payloads = [], {name: [] for name in firing}
    for start in range(0, len(case.test), BLOCK):
        block = case.test[start : start + BLOCK].astype(np.float64)
        trace = simulate(network, [Values(name=network.inputs[0].name, values=block)], record)
        steps = block.shape[1]
        answers.append(predict(decode(trace[output.population], output.decode, 0, steps)))
        for name in firing:
            payloads[name].append(_flat(trace[name].payload) != 0)
    predicted = np.concatenate(answers)
    return Wanted(
        predicted=predicted,
        payload={name: np.concatenate(parts) for name, parts in payloads.items()},
        accuracy=float(np.mean(predicted == case.test_label)),
    )


def score(case: Case, want: Wanted, program: Program) -> Score:
    """Return what a program for the chip does with the same samples."""
    output = program.outputs[0]
    readout = program.population(output.population)
    record = Recording(
        states=frozenset({State.PAYLOAD, needs(output.decode)}),
        populations=(*want.payload, output.population),
    )
    answers, overflows = [], 0
    differs = dict.fromkeys(want.payload, 0)
    for start in range(0, len(case.test), BLOCK):
        part = slice(start, start + BLOCK)
        whole = np.rint(case.test[part] / case.encoding.unit).astype(np.int32)
        entry = Values(name=program.inputs[0].name, values=whole)
        trace = EventBackend(threads=1).run(program, [entry], record)
        steps = case.test.shape[1]
        answer = decode(trace[output.population], output.decode, readout.lag, steps)
        answers.append(predict(answer * readout.unit_factor))
        overflows += sum(p.overflows for p in trace.populations)
        for name in differs:
            lag = program.population(name).lag
            sent = _flat(trace[name].payload)[:, lag : lag + steps] != 0
            differs[name] += int(np.count_nonzero(sent != want.payload[name][part]))
    predicted = np.concatenate(answers)
    return Score(
        accuracy=float(np.mean(predicted == case.test_label)),
        agreement=float(np.mean(predicted == want.predicted)),
        mismatch={
            name: count / max(1, 2 * int(want.payload[name].sum()))
            for name, count in differs.items()
        },
        overflows=overflows,
    )


def _flat(payload: np.ndarray | None) -> np.ndarray:
    assert payload is not None
    return payload.reshape(*payload.shape[:2], -1)
