"""The real-valued simulator of a `Network`: the step of `ir/network.py`, line by line.

All layers act within one step, as the frameworks compute; it is what the integers are
compared with, and what calibration runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from snn_deploy.ir.delays import History, sums_arriving
from snn_deploy.ir.graph import step_order
from snn_deploy.ir.network import Network, Population
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
from snn_deploy.ir.recorder import Recorder
from snn_deploy.ir.trace import PAYLOADS, Recording, Trace, Values, by_name

Reals = Float[np.ndarray, "sample ..."]


def simulate(network: Network, inputs: Sequence[Values], record: Recording = PAYLOADS) -> Trace:
    """Run `network` on `inputs`, every sample from its initial states.

    Args:
        network: What to run.
        inputs: One `Values` per input, [sample, step, *shape], any real dtype.
        record: Which states to keep.

    Returns:
        The trace, in the network's floating-point type.
    """
    dtype = np.dtype(network.arithmetic.value)
    samples, steps = inputs[0].values.shape[:2]
    order = [network.population(name) for name in step_order(network)]
    neurons = {p.name: _Neurons.start(p, samples, dtype) for p in order}
    history = History.of(network)
    recorder = Recorder(network.populations, record, samples, steps, dtype)
    for step in range(steps):
        for entry in network.inputs:
            values = by_name(inputs, entry.name)[:, step]
            history.send(entry.name, step, values.astype(dtype))
        for population in order:
            state = neurons[population.name]
            arrivals = arrivals_at(network, population, history, step)
            _advance(_Now(population, step, state, arrivals, dtype))
            history.send(population.name, step, state.values[State.PAYLOAD])
            recorder.keep(population.name, step, state.values)
    return recorder.trace(steps)


@dataclass(slots=True)
class _Neurons:
    """The states of one population, [sample, *shape]."""

    initial: Mapping[State, Reals]
    values: dict[State, Reals]
    fired: Reals
    """Spikes of the last step."""

    @classmethod
    def start(cls, population: Population, samples: int, dtype: np.dtype[Any]) -> "_Neurons":
        full = (samples, *population.shape)
        first = {state: np.zeros(full, dtype) for state in population.states}
        first[State.MEMBRANE] += population.initial.astype(dtype)
        for name, synapse in zip(CURRENTS, population.synapses, strict=False):
            first[name] += synapse.initial.astype(dtype)
        return cls(initial=first, values=dict(first), fired=np.zeros(full, dtype))

    def restart(self) -> None:
        """Make every state initial again."""
        self.values.update(self.initial)
        self.fired = np.zeros_like(self.fired)


@dataclass(frozen=True, slots=True)
class _Now:
    """One step of one population, about to be computed."""

    population: Population
    step: int
    neurons: _Neurons
    arrivals: dict[State, Reals]
    """The sum of what arrives at each state that is driven."""

    dtype: np.dtype[Any]

    def real(self, parameter: np.ndarray) -> Float[np.ndarray, "..."]:
        """Return a parameter in the network's floating-point type."""
        return np.asarray(parameter, self.dtype)

    def row(self, what: Tabled, into: State | None = None) -> Float[np.ndarray, "..."] | None:
        """Return the row that replaces a parameter in this step; None: nothing does."""
        for table in self.population.tables:
            if (table.what, table.into) == (what, into):
                row = table.at(self.step)
                return None if row is None else self.real(row)
        return None


def arrivals_at(
    network: Network, population: Population, history: History, step: int
) -> dict[State, Reals]:
    """Return the sum of what arrives at each state that is driven, [sample, *shape].

    Args:
        network: With all that leads into the neurons.
        population: The neurons.
        history: What their sources have sent.
        step: In which it arrives.
    """
    sums: dict[State, Reals] = {}
    for projection in network.into(population.name):
        into = network.entry(projection)
        for given in sums_arriving(projection, history, step):
            value = given.reshape(-1, *population.shape)
            sums[into] = sums[into] + value if into in sums else value
    return sums


def _advance(now: _Now) -> None:
    """Compute one step of one population, in place: the lines of `ir/network.py`."""
    neurons, population = now.neurons, now.population
    if population.restart is not None and now.step in population.restart:
        neurons.restart()
    old = dict(neurons.values)
    if State.STARTED in old:
        there = np.any([given != 0 for given in now.arrivals.values()], axis=0)
        neurons.values[State.STARTED] = np.maximum(old[State.STARTED], there)
    for into in now.arrivals:
        factor = now.row(Tabled.GAIN, into)
        if factor is not None:
            now.arrivals[into] = now.arrivals[into] * factor
    _integrate_currents(now, old)
    v = _integrate_membrane(now, old)
    v, blocked = _refractory(now, old, v)
    v, fired = _fire(now, old, v, blocked)
    neurons.fired = fired
    neurons.values[State.MEMBRANE] = v
    _count_down(now, old, fired)
    factor = now.row(Tabled.PAYLOAD)
    sent = fired if factor is None else fired * factor
    neurons.values[State.PAYLOAD] = sent


def _integrate_currents(now: _Now, old: Mapping[State, Reals]) -> None:
    for number, synapse in enumerate(now.population.synapses):
        name = CURRENTS[number]
        i = now.real(synapse.decay) * old[name]
        if name in now.arrivals:
            i = i + now.real(synapse.gain) * now.arrivals[name]
        if synapse.chain is not None:
            read = now.neurons.values if synapse.chain.reads is Reads.NEW else old
            i = i + now.real(synapse.chain.gain) * read[CURRENTS[number - 1]]
        now.neurons.values[name] = _biased(now, i, name)


def _integrate_membrane(now: _Now, old: Mapping[State, Reals]) -> Reals:
    given = [
        (now.neurons.values if synapse.reads is Reads.NEW else old)[name] * synapse.into_membrane
        for name, synapse in zip(CURRENTS, now.population.synapses, strict=False)
        if synapse.into_membrane
    ]
    if State.MEMBRANE in now.arrivals:
        given.append(now.arrivals[State.MEMBRANE])
    v = now.real(now.population.decay) * old[State.MEMBRANE]
    if given:
        v = v + now.real(now.population.gain) * sum(given[1:], given[0])
    return _biased(now, v, State.MEMBRANE)


def _biased(now: _Now, value: Reals, into: State) -> Reals:
    """Return a state after the biases that act on it in this step."""
    for bias in now.population.biases:
        if bias.into is into and now.step >= bias.start:
            given = now.real(bias.value)
            started = now.neurons.values.get(State.STARTED)
            value = value + (given * started if bias.waits and started is not None else given)
    row = now.row(Tabled.BIAS, into)
    return value if row is None else value + row


def _refractory(now: _Now, old: Mapping[State, Reals], v: Reals) -> tuple[Reals, np.ndarray]:
    """Return the membrane, and which neurons cannot fire."""
    refractory = now.population.refractory
    if refractory is None:
        return v, np.zeros(v.shape, bool)
    blocked = old[State.COUNTDOWN] > 0
    if refractory.during is During.HELD:
        v = np.where(blocked, old[State.MEMBRANE], v)
    if refractory.during is During.CLAMPED:
        v = np.where(blocked, now.real(now.population.reset.amount), v)
    return v, blocked


def _fire(
    now: _Now, old: Mapping[State, Reals], v: Reals, blocked: np.ndarray
) -> tuple[Reals, Reals]:
    """Return the membrane after late reset, floor, test and reset, and the spikes."""
    population = now.population
    reset, floor, window = population.reset, population.floor, population.window
    if reset.when is When.NEXT:
        v = _after_reset(now, v, now.neurons.fired)
    if floor is not None and floor.when is FloorWhen.BEFORE_TEST:
        v = np.maximum(v, now.real(floor.value))
    tested = v
    if reset.when is When.RETESTED:
        tested = _after_reset(now, v, _fires(now, old[State.MEMBRANE]))
    shut = window is not None and now.step not in window
    fired = np.where(blocked | shut, now.dtype.type(0), _fires(now, tested))
    if reset.when is not When.NEXT:
        v = _after_reset(now, v, fired)
    if floor is not None and floor.when is FloorWhen.AFTER_RESET:
        v = np.maximum(v, now.real(floor.value))
    return v, fired


def _fires(now: _Now, v: Reals) -> Reals:
    """Return how many spikes a membrane is worth, refractory or not."""
    population = now.population
    if population.fires is Fires.NEVER:
        return np.zeros_like(v)
    if population.fires is Fires.GRADED:
        return v
    row = now.row(Tabled.THRESHOLD)
    threshold = now.real(population.threshold) if row is None else row
    greater = population.compare is Compare.GREATER
    above = now.real(v > threshold if greater else v >= threshold)
    if population.fires is Fires.BINARY:
        return above
    if population.fires is Fires.TERNARY:
        row = now.row(Tabled.LOWER)
        lower = now.real(population.lower) if row is None else row
        return above - now.real(v < lower if greater else v <= lower)
    if population.fires is Fires.ROUNDED:
        count = np.rint(v / threshold)
    elif greater:
        count = np.ceil(v / threshold) - 1
    else:
        count = np.floor(v / threshold)
    return now.real(np.clip(count, 0, population.max_spikes))


def _after_reset(now: _Now, v: Reals, fired: Reals) -> Reals:
    amount = now.real(now.population.reset.amount)
    if now.population.reset.kind is ResetKind.SUBTRACT:
        return v - fired * amount
    if now.population.reset.kind is ResetKind.VALUE:
        return np.where(fired != 0, amount, v)
    return v


def _count_down(now: _Now, old: Mapping[State, Reals], fired: Reals) -> None:
    refractory = now.population.refractory
    if refractory is None:
        return
    left = old[State.COUNTDOWN]
    if refractory.steps is not None:
        left = np.maximum(left - 1, 0)
    steps = now.dtype.type(1 if refractory.steps is None else refractory.steps)
    now.neurons.values[State.COUNTDOWN] = np.where(fired != 0, steps, left)
