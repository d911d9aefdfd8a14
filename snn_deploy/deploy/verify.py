"""Do two backends agree on every state of every neuron at every step; where not, where first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.ir.graph import named, step_order
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.trace import PopulationTrace, Trace, Values, by_name

SHOWN_SOURCES = 8
"""Inputs that are listed with a difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A payload that arrived at a neuron."""

    source: str
    neuron: tuple[int, ...]
    sent: int
    """Step of the chip in which it was sent."""

    own: int | None
    """The source's step of the network, which the chip computes then."""

    payload: int
    weight: int
    """As stored, before the projection's shift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first state on which two backends disagree."""

    population: str
    neuron: tuple[int, ...]
    sample: int
    step: int
    """Of the chip."""

    own: int | None
    """The population's step of the network, which the chip computes then; None: none, it only holds
    its states."""

    state: State
    expected: int
    """What the first backend computed."""

    got: int
    """What the second backend computed."""

    before: dict[str, int]
    """The neuron's recorded states at the end of the step before; empty in the first step."""

    arrived: tuple[Event, ...]
    """Payloads that reached the neuron in this step, at most `SHOWN_SOURCES`."""

    arrived_in_all: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result of one backend against another."""

    first: str
    second: str
    states: int
    """Numbers that were compared."""

    difference: Difference | None

    @property
    def equal(self) -> bool:
        """Whether all states agree."""
        return self.difference is None


def compare(
    program: Program,
    inputs: Sequence[Values],
    first: tuple[str, Trace],
    second: tuple[str, Trace],
) -> Comparison:
    """Compare all states of two runs of `program`, each given as (backend name, trace).

    The first difference is the one at the earliest step of the chip; within a step the populations
    come in the order in which they are computed, and current before membrane before payload.
    """
    states = 0
    earliest: tuple[tuple[int, int, int], str, State] | None = None
    for rank, name in enumerate(step_order(program)):
        one, two = first[1][name], second[1][name]
        for order, state in enumerate(State):
            a, b = one.state(state), two.state(state)
            if a is None or b is None:
                if (a is None) != (b is None):
                    missing = first[0] if a is None else second[0]
                    raise ValueError(f"{missing} did not record {state.value} of {name}")
                continue
            states += a.size
            step = _first_step(a, b)
            if step is not None and (earliest is None or (step, rank, order) < earliest[0]):
                earliest = (step, rank, order), name, state
    difference = None
    if earliest is not None:
        (step, _, _), name, state = earliest
        difference = _explain(program, inputs, first[1], second[1], name, state, step)
    return Comparison(first=first[0], second=second[0], states=states, difference=difference)


def _first_step(a: np.ndarray, b: np.ndarray) -> int | None:
    if a.shape != b.shape:
        return 0
    unequal = (a != b).reshape(a.shape[0], a.shape[1], -1).any(axis=(0, 2))
    return int(unequal.argmax()) if unequal.any() else None


def _explain(  # noqa: PLR0917 - one call, all of it context
    program: Program,
    inputs: Sequence[Values],
    expected: Trace,
    got: Trace,
    name: str,
    state: State,
    step: int,
) -> Difference:
    a, b = expected[name].state(state), got[name].state(state)
    assert a is not None
    assert b is not None
    if a.shape != b.shape:
        raise ValueError(f"{name}: {state.value} was recorded as {a.shape} and as {b.shape}")
    sample, *neuron = (int(i) for i in np.argwhere(a[:, step] != b[:, step])[0])
    where = (sample, step, *neuron)
    events = _arrived(program, inputs, expected, name, where)
    return Difference(
        population=name,
        neuron=tuple(neuron),
        sample=sample,
        step=step,
        own=_own_step(program, name, step),
        state=state,
        expected=int(a[where]),
        got=int(b[where]),
        before=_before(expected[name], where),
        arrived=tuple(events[:SHOWN_SOURCES]),
        arrived_in_all=len(events),
    )


def _before(trace: PopulationTrace, where: tuple[int, ...]) -> dict[str, int]:
    sample, step, *neuron = where
    if step == 0:
        return {}
    records = {state.value: trace.state(state) for state in State}
    return {
        key: int(record[(sample, step - 1, *neuron)])
        for key, record in records.items()
        if record is not None
    }


def _arrived(
    program: Program, inputs: Sequence[Values], trace: Trace, name: str, where: tuple[int, ...]
) -> list[Event]:
    sample, step, *neuron = where
    flat = int(np.ravel_multi_index(neuron, program.population(name).shape)) if neuron else 0
    events = []
    for projection in program.into(name):
        triplets = projection.map.triplets()
        synapse = np.flatnonzero(triplets.post == flat)
        pre, number = triplets.pre[synapse], triplets.number[synapse]
        delay = projection.delay
        if delay.ndim == 0:
            steps = np.full(pre.shape, int(delay))
        elif delay.shape == (projection.map.in_size,):
            steps = delay[pre]
        else:
            steps = delay.ravel()[number]
        sent = _sent(inputs, trace, projection.source)[sample]
        sent = sent.reshape(sent.shape[0], -1)
        shape = _shape(program, projection.source)
        for source, index, at in zip(pre, number, step - steps, strict=True):
            if not 0 <= at < sent.shape[0] or sent[at, source] == 0:
                continue
            events.append(
                Event(
                    source=projection.source,
                    neuron=tuple(int(i) for i in np.unravel_index(source, shape)),
                    sent=int(at),
                    own=_own_step(program, projection.source, int(at)),
                    payload=int(sent[at, source]),
                    weight=int(projection.map.numbers().flat[index]),
                )
            )
    return events


def _own_step(program: Program, name: str, step: int) -> int | None:
    """Return which step of the network an input or population computes in a step of the chip."""
    node = named(program.nodes, name)
    since = step - (node.lag if isinstance(node, Population) else 0)
    return since // program.period if since >= 0 and since % program.period == 0 else None


def _sent(inputs: Sequence[Values], trace: Trace, name: str) -> np.ndarray:
    if any(entry.name == name for entry in inputs):
        return by_name(inputs, name)
    payload = trace[name].payload
    assert payload is not None
    return payload


def _shape(program: Program, name: str) -> tuple[int, ...]:
    return named(program.nodes, name).shape
