"""The reference simulator: the specification of `ir/program.py` as plainly as numpy says it.

Nothing here is fast. Every other backend is compared with it, state for state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from snn_deploy.backends.protocol import Progress, padded, silent
from snn_deploy.backends.reference_kinds import step_of_kind
from snn_deploy.ir.arithmetic import Order, Register, Sums, rounded, scaled
from snn_deploy.ir.delays import History, rows_arriving, sums_arriving
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.graph import step_order
from snn_deploy.ir.neuron import (
    CURRENTS,
    Compare,
    During,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.program import Population, Program
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
        inputs = padded(program, inputs)
        samples, steps = inputs[0].values.shape[:2]
        order = [program.population(name) for name in step_order(program)]
        neurons = {p.name: Neurons.start(p, samples) for p in order}
        history = History.of(program)
        recorder = Recorder(program.populations, record, samples, steps, np.dtype(np.int32))
        for step in range(steps):
            for entry in program.inputs:
                values = by_name(inputs, entry.name)[:, step]
                history.send(entry.name, step, values.astype(np.int64))
            for population in order:
                state = neurons[population.name]
                state.overflows = 0
                state.values[State.PAYLOAD] = np.zeros_like(state.fired)
                if program.acts(population, step):
                    arrivals = _arrivals(program, population, history, step)
                    now = Now(program, population, step, state, arrivals)
                    advance = _advance if population.kind is None else step_of_kind(population.kind)
                    advance(now)
                history.send(population.name, step, state.values[State.PAYLOAD])
                recorder.keep(population.name, step, state.values, overflows=state.overflows)
            progress(step + 1, steps)
        return recorder.trace(steps)


@dataclass(slots=True)
class Neurons:
    """The registers of one population, [sample, *shape]."""

    initial: Mapping[State, Wholes]
    values: dict[State, Wholes]
    fired: Wholes
    """Spikes of the last step in which the population acted."""

    overflows: int = 0
    """How often a register kept another number than it was given, in this step."""

    @classmethod
    def start(cls, population: Population, samples: int) -> "Neurons":
        """Return the neurons of `population` before the first step."""
        full = (samples, *population.shape)
        first = {state: np.zeros(full, np.int64) for state in population.states}
        for state, value in population.initial_states.items():
            first[state] = first[state] + value
        return cls(initial=first, values=dict(first), fired=np.zeros(full, np.int64))

    def restart(self) -> None:
        """Make every state initial again."""
        self.values.update(self.initial)
        self.fired = np.zeros_like(self.fired)

    def held(self, value: Wholes, register: Register | None) -> Wholes:
        """Return what a register keeps of `value`, and count where that is another number."""
        if register is None:
            return value
        kept = register.held(value)
        self.overflows += int(np.count_nonzero(kept != value))
        return kept


@dataclass(frozen=True, slots=True)
class Now:
    """One step of one population, about to be computed."""

    program: Program
    population: Population
    step: int
    neurons: Neurons
    arrivals: Mapping[State, Sequence[Wholes]]
    """What arrives at each state: a single sum, or one per source neuron where the chip adds
    them one by one."""

    def arriving(self, into: State) -> Wholes:
        """Return the sum of all that arrives at a state, no register in between."""
        return sum(self.arrivals.get(into, ()), np.zeros_like(self.neurons.fired))

    def row(self, what: Tabled, into: State | None = None) -> np.ndarray | None:
        """Return the row that replaces a parameter in this step; None: nothing does."""
        for table in self.population.tables:
            if (table.what, table.into) == (what, into):
                return table.at(self.step, self.program.period)
        return None


def _arrivals(
    program: Program, population: Population, history: History, step: int
) -> Mapping[State, Sequence[Wholes]]:
    """Return all projections' maps of what arrives in `step`, shifted left."""
    rows: dict[State, list[Wholes]] = {}
    by_row = program.arithmetic.sums is Sums.BY_ROW
    for p in program.into(population.name):
        for given in (rows_arriving if by_row else sums_arriving)(p, history, step):
            value = given.reshape(-1, *population.shape) << p.shift
            rows.setdefault(program.entry(p), []).append(value)
    return rows


def _advance(now: Now) -> None:
    """Compute one step of one population in place: the lines of `ir/program.py`."""
    neurons, population = now.neurons, now.population
    if population.restart is not None and now.step in population.restart:
        neurons.restart()
    old = dict(neurons.values)
    if State.STARTED in old:
        there = np.any([now.arriving(into) != 0 for into in now.arrivals], axis=0)
        neurons.values[State.STARTED] = np.maximum(old[State.STARTED], there)
    _integrate_currents(now, old)
    v = _integrate_membrane(now, old)
    v, blocked = _refractory(now, old, v)
    v, fired, tested = _fire(now, old, v, blocked)
    neurons.fired = fired
    neurons.values[State.MEMBRANE] = v
    _count_down(now, old, fired)
    factor = now.row(Tabled.PAYLOAD)
    sent = fired if factor is None else fired * factor
    graded = population.fires is Fires.GRADED
    neurons.values[State.PAYLOAD] = rounded(tested, population.payload_shift) if graded else sent


def _integrate_currents(now: Now, old: Mapping[State, Wholes]) -> None:
    rules, neurons = now.program.arithmetic, now.neurons
    for number, current in enumerate(now.population.currents):
        name = CURRENTS[number]
        i = old[name]
        if rules.order is Order.DECAY_FIRST:
            i = rules.decayed(i, current.decay)
        i = _entered(now, i, name, rules.current)
        if current.chain is not None:
            read = neurons.values if current.chain.reads is Reads.NEW else old
            before = read[CURRENTS[number - 1]]
            i = i + scaled(before, current.chain.multiplier, rules.decay_bits)
        i = neurons.held(i + _biases(now, name), rules.current)
        if rules.order is Order.ADD_FIRST:
            i = rules.decayed(i, current.decay)
        neurons.values[name] = i


def _integrate_membrane(now: Now, old: Mapping[State, Wholes]) -> Wholes:
    rules, neurons, before = now.program.arithmetic, now.neurons, old[State.MEMBRANE]
    kept = rules.decayed(before, now.population.decay)
    integrated = np.zeros_like(before)
    for number, current in enumerate(now.population.currents):
        read = neurons.values if current.reads is Reads.NEW else old
        integrated = integrated + current.into_membrane * read[CURRENTS[number]]
    if rules.change is None:
        return _moved(now, kept + integrated, rules.membrane)
    change = neurons.held(kept - before + integrated, rules.change)
    return neurons.held(before + _moved(now, change, rules.change), rules.membrane)


def _moved(now: Now, value: Wholes, register: Register) -> Wholes:
    """Return the membrane, or its change, after all that arrives at it and its biases."""
    value = _entered(now, value, State.MEMBRANE, register)
    return now.neurons.held(value + _biases(now, State.MEMBRANE), register)


def _entered(now: Now, value: Wholes, into: State, register: Register) -> Wholes:
    """Return a state after all that arrives at it; of a sum, `register` does not hold it yet."""
    rules, neurons = now.program.arithmetic, now.neurons
    if rules.sums is Sums.BY_ROW:
        for row in now.arrivals.get(into, ()):
            value = neurons.held(value + row, register)
        return value
    total = neurons.held(now.arriving(into), rules.accumulator)
    for gain in now.population.gains:
        if gain.into is into:
            tabled = now.row(Tabled.GAIN, into)
            factor = gain.multiplier if tabled is None else tabled
            total = rounded(total * factor.astype(np.int64), gain.shift)
    return value + total


def _biases(now: Now, into: State) -> Wholes:
    """Return the sum of the biases that act on a state in this step."""
    total = np.zeros_like(now.neurons.fired)
    for bias in now.population.biases:
        if bias.into is into and now.step >= bias.start:
            acts = now.neurons.values[State.STARTED] if bias.waits else 1
            total = total + bias.value.astype(np.int64) * acts
    row = now.row(Tabled.BIAS, into)
    return total if row is None else total + row


def _refractory(now: Now, old: Mapping[State, Wholes], v: Wholes) -> tuple[Wholes, np.ndarray]:
    """Return the membrane, and which neurons cannot fire."""
    refractory = now.population.refractory
    if refractory is None:
        return v, np.zeros(v.shape, bool)
    blocked = old[State.COUNTDOWN] > 0
    if refractory.during is During.HELD:
        v = np.where(blocked, old[State.MEMBRANE], v)
    if refractory.during is During.CLAMPED:
        v = np.where(blocked, now.population.reset.amount, v)
    return v, blocked


def _fire(
    now: Now, old: Mapping[State, Wholes], v: Wholes, blocked: np.ndarray
) -> tuple[Wholes, Wholes, Wholes]:
    """Return the membrane after late reset, floor, test and reset; the spikes; what was tested."""
    population, neurons = now.population, now.neurons
    register = now.program.arithmetic.membrane
    reset, floor, window = population.reset, population.floor, population.window
    if reset.when is When.NEXT:
        v = neurons.held(_after_reset(population, v, neurons.fired), register)
    if floor is not None and floor.when is FloorWhen.BEFORE_TEST:
        v = np.maximum(v, floor.value)
    tested = v
    if reset.when is When.RETESTED:
        tested = _after_reset(population, v, _fires(now, old[State.MEMBRANE]))
    shut = window is not None and now.step not in window
    fired = np.where(blocked | shut, 0, _fires(now, tested))
    if reset.when is not When.NEXT:
        v = neurons.held(_after_reset(population, v, fired), register)
    if floor is not None and floor.when is FloorWhen.AFTER_RESET:
        v = np.maximum(v, floor.value)
    return v, fired, tested


def _fires(now: Now, v: Wholes) -> Wholes:
    """Return how many spikes a membrane is worth, refractory or not."""
    population = now.population
    if not population.fires.spiking:
        return np.zeros_like(v)
    row = now.row(Tabled.THRESHOLD)
    threshold = (population.threshold if row is None else row).astype(np.int64)
    greater = population.compare is Compare.GREATER
    above = v > threshold if greater else v >= threshold
    if population.fires is Fires.BINARY:
        return above.astype(np.int64)
    if population.fires is Fires.TERNARY:
        row = now.row(Tabled.LOWER)
        lower = population.lower if row is None else row
        below = v < lower if greater else v <= lower
        return above.astype(np.int64) - below
    if population.fires is Fires.COUNT:
        reached = v - 1 if greater else v  # v > n * threshold is v - 1 >= n * threshold
        return np.clip(reached // threshold, 0, population.max_spikes)
    times, left = np.divmod(v, threshold)
    up = (2 * left > threshold) | ((2 * left == threshold) & (times % 2 == 1))
    return np.clip(times + up, 0, population.max_spikes)


def _after_reset(population: Population, v: Wholes, fired: Wholes) -> Wholes:
    amount = population.reset.amount.astype(np.int64)
    if population.reset.kind is ResetKind.SUBTRACT:
        return v - fired * amount
    if population.reset.kind is ResetKind.VALUE:
        return np.where(fired != 0, amount, v)
    return v


def _count_down(now: Now, old: Mapping[State, Wholes], fired: Wholes) -> None:
    refractory = now.population.refractory
    if refractory is None:
        return
    left = old[State.COUNTDOWN]
    if refractory.steps is not None:
        left = np.maximum(left - 1, 0)
    steps = 1 if refractory.steps is None else refractory.steps
    now.neurons.values[State.COUNTDOWN] = np.where(fired != 0, steps, left)
