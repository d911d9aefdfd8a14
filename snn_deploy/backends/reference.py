"""The reference simulator: the specification of `ir/program.py` as plainly as numpy says it.

Nothing here is fast. Every other backend is compared with it, state for state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from snn_deploy.backends.protocol import Progress, checked, silent
from snn_deploy.ir.delays import History, arriving
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.graph import step_order
from snn_deploy.ir.neuron import Compare, Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.program import Arithmetic, Overflow, Population, Program, Register
from snn_deploy.ir.recorder import Recorder
from snn_deploy.ir.trace import Recording, Trace, Values, by_name
from snn_deploy.targets import Target

Wholes = Int[np.ndarray, "sample ..."]


@dataclass(frozen=True, slots=True)
class ReferenceBackend:
    """The plainest simulator of programs."""

    name: str = "reference"

    def emit(self, program: Program, target: Target) -> Mapping[str, bytes]:
        """Return nothing: it runs the program itself."""
        return {}

    def supports(self, program: Program, target: Target) -> Sequence[Finding]:
        """Return nothing: it runs every program."""
        return ()

    def run(
        self,
        program: Program,
        inputs: Sequence[Values],
        record: Recording,
        progress: Progress = silent,
    ) -> Trace:
        """Run `program`; see `Backend.run`."""
        inputs = checked(program, inputs)
        samples, steps = inputs[0].values.shape[:2]
        order = [program.population(name) for name in step_order(program)]
        neurons = {p.name: _Neurons.start(p, samples) for p in order}
        history = History.of(program)
        recorder = Recorder(program.populations, record, samples, steps, np.dtype(np.int32))
        for step in range(steps):
            for entry in program.inputs:
                values = by_name(inputs, entry.name)[:, step]
                history.send(entry.name, step, values.astype(np.int64))
            for population in order:
                state = neurons[population.name]
                overflows = 0
                if step >= population.lag:
                    drive = _drive(program, population, history, step, samples)
                    overflows = _advance(population, state, drive, step, program.arithmetic)
                history.send(population.name, step, state.payload)
                recorder.keep(
                    population.name,
                    step,
                    current=state.current,
                    membrane=state.membrane,
                    payload=state.payload,
                    overflows=overflows,
                )
            progress(step + 1, steps)
        return recorder.trace(steps)


@dataclass(slots=True)
class _Neurons:
    """The registers of one population, [sample, *shape]."""

    current: Wholes | None
    membrane: Wholes
    payload: Wholes

    @classmethod
    def start(cls, population: Population, samples: int) -> "_Neurons":
        full = (samples, *population.shape)

        def initial(parameter: np.ndarray) -> Wholes:
            return np.array(np.broadcast_to(parameter, full), np.int64)

        current = population.current
        return cls(
            current=None if current is None else initial(current.initial),
            membrane=initial(population.initial),
            payload=np.zeros(full, np.int64),
        )


def _drive(
    program: Program, population: Population, history: History, step: int, samples: int
) -> Wholes:
    """Return a: the sum over projections of the map of what arrives, shifted left."""
    drive = np.zeros((samples, *population.shape), np.int64)
    for projection in program.into(population.name):
        given = arriving(projection.map, projection.delay, history, projection.source, step)
        if given is not None:
            drive += given.reshape(drive.shape) << projection.shift
    return drive


def _advance(
    population: Population, state: _Neurons, drive: Wholes, step: int, arithmetic: Arithmetic
) -> int:
    """Compute one step of one population in place; return how often a register overflowed."""
    overflows = 0
    integrated = drive
    if population.current is not None and state.current is not None:
        old = state.current
        u = decayed(old, population.current.decay, arithmetic.decay_bits) + drive
        u = u + _biases(population, State.CURRENT, step)
        state.current, lost = _held(u, arithmetic.current)
        overflows += lost
        integrated = state.current if population.current.reads is Reads.NEW else old

    v = decayed(state.membrane, population.decay, arithmetic.decay_bits) + integrated
    v, lost = _held(v + _biases(population, State.MEMBRANE, step), arithmetic.membrane)
    overflows += lost

    reset, floor = population.reset, population.floor
    if reset.when is When.NEXT:
        v, lost = _held(_after_reset(population, v, state.payload), arithmetic.membrane)
        overflows += lost
    if floor is not None and floor.when is FloorWhen.BEFORE_TEST:
        v = np.maximum(v, floor.value)
    payload = _fires(population, v)
    if reset.when is When.NOW:
        v, lost = _held(_after_reset(population, v, payload), arithmetic.membrane)
        overflows += lost
    if floor is not None and floor.when is FloorWhen.AFTER_RESET:
        v = np.maximum(v, floor.value)
    state.membrane, state.payload = v, payload
    return overflows


def _held(value: Wholes, register: Register) -> tuple[Wholes, int]:
    """Return what a register keeps of `value`, and of how many numbers it keeps another."""
    kept = overflow(value, register)
    return kept, int(np.count_nonzero(kept != value))


def decayed(value: Wholes, multiplier: np.ndarray, bits: int) -> Wholes:
    """Return sign(x) * ((|x| * multiplier) >> bits): rounds toward zero."""
    return np.sign(value) * ((np.abs(value) * multiplier.astype(np.int64)) >> bits)


def overflow(value: Wholes, register: Register) -> Wholes:
    """Return what a register keeps of `value`."""
    half = 1 << (register.bits - 1)
    if register.overflow is Overflow.SATURATE:
        return np.clip(value, -(half - 1), half - 1)
    wrapped = np.where(value > half, value - 2 * half, value)
    return np.where(value <= -half, value + 2 * half, wrapped)


def _biases(population: Population, into: State, step: int) -> np.ndarray:
    started = [b.value for b in population.biases if b.into is into and step >= b.start]
    return np.asarray(sum(value.astype(np.int64) for value in started))


def _fires(population: Population, v: Wholes) -> Wholes:
    threshold = population.threshold.astype(np.int64)
    greater = population.compare is Compare.GREATER
    if population.fires is Fires.NEVER:
        return np.zeros_like(v)
    if population.fires is Fires.BINARY:
        return (v > threshold if greater else v >= threshold).astype(np.int64)
    reached = v - 1 if greater else v  # v > n * threshold is v - 1 >= n * threshold
    return np.clip(reached // threshold, 0, population.max_spikes)


def _after_reset(population: Population, v: Wholes, payload: Wholes) -> Wholes:
    amount = population.reset.amount.astype(np.int64)
    if population.reset.kind is ResetKind.SUBTRACT:
        return v - payload * amount
    if population.reset.kind is ResetKind.VALUE:
        return np.where(payload != 0, amount, v)
    return v
