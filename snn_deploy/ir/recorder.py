"""Collects what a simulator was asked to record, one step at a time."""

from collections.abc import Mapping, Sequence

import numpy as np

from snn_deploy.ir.limits import check_room
from snn_deploy.ir.network import Population as RealPopulation
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Population
from snn_deploy.ir.trace import PopulationTrace, Recording, Trace


class Recorder:
    """Filled by a simulator during a run; `trace` gives the result.

    Args:
        populations: What may be recorded.
        record: What is to be kept.
        samples: Samples of the run.
        steps: Steps of the run.
        dtype: Of the recorded states.
    """

    def __init__(
        self,
        populations: Sequence[Population | RealPopulation],
        record: Recording,
        samples: int,
        steps: int,
        dtype: np.dtype[np.generic],
    ) -> None:
        self._names = [p.name for p in populations]
        self._states: dict[tuple[str, State], np.ndarray] = {}
        self._events: dict[str, np.ndarray] = {}
        self._spikes: dict[str, np.ndarray] = {}
        self._overflows = dict.fromkeys(self._names, 0)
        kept = [
            (population, state)
            for population in populations
            for state in State
            if state in population.states and record.wants(population.name, state)
        ]
        numbers = sum(population.size for population, _ in kept)
        check_room("the recorded states", (samples, steps, numbers), dtype.itemsize)
        for population, state in kept:
            full = (samples, steps, *population.shape)
            self._states[population.name, state] = np.zeros(full, dtype)
        for population in populations:
            self._events[population.name] = np.zeros((samples, *population.shape), np.int64)
            self._spikes[population.name] = np.zeros((samples, *population.shape), np.int64)

    def keep(
        self, name: str, step: int, states: Mapping[State, np.ndarray], *, overflows: int = 0
    ) -> None:
        """Take over the states of one population after one step, [sample, *shape]."""
        for state, values in states.items():
            if (name, state) in self._states:
                self._states[name, state][:, step] = values
        payload = states[State.PAYLOAD]
        self._events[name] += payload != 0
        self._spikes[name] += payload.astype(np.int64)
        self._overflows[name] += overflows

    def trace(self, steps: int) -> Trace:
        """Return everything that was kept."""
        return Trace(steps=steps, populations=tuple(self._one(name) for name in self._names))

    def _one(self, name: str) -> PopulationTrace:
        return PopulationTrace(
            name=name,
            events=self._events[name],
            spikes=self._spikes[name],
            states={state: kept for (owner, state), kept in self._states.items() if owner == name},
            overflows=self._overflows[name],
        )
