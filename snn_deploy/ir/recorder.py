"""Collects what a simulator was asked to record, one step at a time."""

from collections.abc import Iterable

import numpy as np

from snn_deploy.ir.graph import Node
from snn_deploy.ir.neuron import State
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
        populations: Iterable[Node],
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
        for population in populations:
            for state in State:
                if record.wants(population.name, state):
                    full = (samples, steps, *population.shape)
                    self._states[population.name, state] = np.zeros(full, dtype)
            self._events[population.name] = np.zeros((samples, *population.shape), np.int64)
            self._spikes[population.name] = np.zeros((samples, *population.shape), np.int64)
        self._has_current: set[str] = set()

    def keep(
        self,
        name: str,
        step: int,
        *,
        current: np.ndarray | None,
        membrane: np.ndarray,
        payload: np.ndarray,
        overflows: int = 0,
    ) -> None:
        """Take over the states of one population after one step, [sample, *shape]."""
        if current is not None:
            self._has_current.add(name)
        kept = {State.CURRENT: current, State.MEMBRANE: membrane, State.PAYLOAD: payload}
        for state, values in kept.items():
            if (name, state) in self._states and values is not None:
                self._states[name, state][:, step] = values
        self._events[name] += payload != 0
        self._spikes[name] += payload.astype(np.int64)
        self._overflows[name] += overflows

    def trace(self, steps: int) -> Trace:
        """Return everything that was kept."""
        return Trace(steps=steps, populations=tuple(self._one(name) for name in self._names))

    def _one(self, name: str) -> PopulationTrace:
        current = self._states.get((name, State.CURRENT))
        return PopulationTrace(
            name=name,
            events=self._events[name],
            spikes=self._spikes[name],
            current=current if name in self._has_current else None,
            membrane=self._states.get((name, State.MEMBRANE)),
            payload=self._states.get((name, State.PAYLOAD)),
            overflows=self._overflows[name],
        )
