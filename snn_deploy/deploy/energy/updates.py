"""Counts the steps in which something moves in a neuron."""

import numpy as np
from jaxtyping import Bool

from snn_deploy.deploy.windows import own_steps
from snn_deploy.ir.kinds import Adaptive, SigmaDelta
from snn_deploy.ir.neuron import State, Tabled
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.trace import PopulationTrace


def updates(program: Program, population: Population, trace: PopulationTrace, steps: int) -> float:
    """Return the neurons and steps in which something moves, over all samples."""
    acts = range(population.lag, population.lag + steps, program.period)
    own = slice(acts.start, acts.stop, acts.step)
    payload = own_steps(population, trace.payload, steps)[:, :: program.period]
    busy = payload != 0
    for state in population.states & _REGISTERS:
        record = trace.state(state)
        if record is None:
            raise ValueError(f"{state.value} of {population.name} was not recorded")
        first = population.initial_states.get(state, np.zeros(()))
        after = record[:, own]
        initial = np.broadcast_to(first, after[:, :1].shape)
        before = np.concatenate([initial, after[:, :-1]], axis=1)
        rest = first if state is State.THRESHOLD else 0  # it returns to its base, not to 0
        busy = busy | (after != rest) | (before != rest)
    return float(np.count_nonzero(busy | _pushed(population, trace, acts, program.period)))


_REGISTERS = frozenset(State) - {State.PAYLOAD, State.STARTED}
"""What an update may change; a neuron that has ever received anything stays started."""


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
