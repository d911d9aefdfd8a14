"""In which steps something moves in a neuron."""

import numpy as np
from jaxtyping import Bool

from snn_deploy.ir.kinds import Adaptive, SigmaDelta
from snn_deploy.ir.neuron import State, Tabled
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.trace import PopulationTrace

_REGISTERS = frozenset(State) - {State.PAYLOAD, State.STARTED}
"""What an update may change; a neuron that has ever received anything stays started."""


def updated(
    program: Program,
    population: Population,
    trace: PopulationTrace,
    arrived: Bool[np.ndarray, "sample run neuron"],
) -> Bool[np.ndarray, "sample run neuron"]:
    """Return where a neuron is updated.

    It is if a register is not 0 before or after, a bias acts, something arrives or is sent; never
    before its lag, nor in steps in which a dilated program holds its states.

    Args:
        program: What was run.
        population: Its neurons.
        trace: Their record, with every state.
        arrived: Where a payload reaches each of them.

    Raises:
        ValueError: a state was not recorded.
    """
    samples, steps = arrived.shape[:2]
    acts = range(population.lag, steps, program.period)
    own = slice(acts.start, acts.stop, acts.step)
    busy = arrived.reshape(samples, steps, *population.shape)[:, own]
    for state in population.states & (_REGISTERS | {State.PAYLOAD}):
        record = trace.state(state)
        if record is None:
            raise ValueError(f"{state.value} of {population.name} was not recorded")
        after = record[:, own]
        if state is State.PAYLOAD:
            busy = busy | (after != 0)
            continue
        first = population.initial_states.get(state, np.zeros(()))
        initial = np.broadcast_to(first, after[:, :1].shape)
        before = np.concatenate([initial, after[:, :-1]], axis=1)
        rest = first if state is State.THRESHOLD else 0  # it returns to its base, not to 0
        busy = busy | (after != rest) | (before != rest)
    busy = busy | _pushed(population, trace, acts, program.period)
    found = np.zeros_like(arrived)
    found[:, own] = busy.reshape(samples, len(acts), -1)
    return found


def _pushed(
    population: Population, trace: PopulationTrace, acts: range, period: int
) -> Bool[np.ndarray, "sample own ..."]:
    """Return where a bias that is not 0 acts, or a row of a table of biases."""
    samples = trace.events.shape[0]
    pushed = np.zeros((samples, len(acts), *population.shape), bool)
    started = trace.state(State.STARTED)
    for bias in population.biases:
        since = np.asarray([step >= bias.start for step in acts])
        acting = since.reshape(1, -1, *(1 for _ in population.shape)) & (bias.value != 0)
        if bias.waits and started is not None:
            acting = acting & (started[:, acts.start : acts.stop : acts.step] != 0)
        pushed |= acting
    for table in population.tables:
        if table.what is Tabled.BIAS:
            for number, step in enumerate(acts):
                row = table.at(step, period)
                pushed[:, number] |= False if row is None else row != 0
    if isinstance(population.kind, Adaptive | SigmaDelta):
        pushed |= population.kind.bias != 0
    return pushed
