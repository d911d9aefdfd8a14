"""What a run leaves, flat, for compiled code to write; and as a trace."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64

from snn_deploy.ir.limits import check_room
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Population
from snn_deploy.ir.trace import PopulationTrace, Recording

REGISTER_OF = {state: row for row, state in enumerate(State)}
"""Number of each state, among a population's registers and in what a run records."""

ABSENT = -1
"""An offset of what is not there."""


class Records(NamedTuple):
    """What a run leaves, flat; each population has a block of its own, in the order of the plan."""

    first: int
    """Step that the record begins with."""

    steps: int
    """Steps that it has."""

    states: Int32[np.ndarray, " number"]
    """All that is wanted, each [sample, step, neuron]."""

    blocks: Int64[np.ndarray, "population state"]
    """Where a state of a population begins; `ABSENT`: it is not wanted."""

    events: Int64[np.ndarray, " number"]
    spikes: Int64[np.ndarray, " number"]
    count_block: Int64[np.ndarray, " population"]
    """Where the counts [sample, neuron] of a population begin."""

    overflows: Int64[np.ndarray, "population sample"]

    def of(self, rows: slice) -> "Records":
        """Return the part of some populations; kernels are compiled anew for arrays with gaps."""
        return self._replace(
            blocks=self.blocks[rows],
            count_block=self.count_block[rows],
            overflows=self.overflows[rows],
        )


class Room:
    """The arrays that a run fills, and each population's part of them."""

    def __init__(
        self, order: Sequence[Population], record: Recording, samples: int, first: int, steps: int
    ) -> None:
        self._order = {p.name: (row, p) for row, p in enumerate(order)}
        self._samples, self._steps = samples, steps
        blocks = np.full((len(order), len(REGISTER_OF)), ABSENT, np.int64)
        end = 0
        for row, population in enumerate(order):
            for state, column in REGISTER_OF.items():
                if state in population.states and record.wants(population.name, state):
                    blocks[row, column] = end
                    end += samples * steps * population.size
        check_room("the recorded states", (end,))
        counts = np.cumsum([0, *(samples * p.size for p in order)])
        self.records = Records(
            first=first,
            steps=steps,
            states=np.zeros(end, np.int32),
            blocks=blocks,
            events=np.zeros(counts[-1], np.int64),
            spikes=np.zeros(counts[-1], np.int64),
            count_block=counts[:-1].astype(np.int64),
            overflows=np.zeros((len(order), samples), np.int64),
        )

    def trace(self, name: str) -> PopulationTrace:
        """Return the record of one population."""
        row, population = self._order[name]
        begin = int(self.records.count_block[row])
        counts = slice(begin, begin + self._samples * population.size)
        shape = (self._samples, *population.shape)
        return PopulationTrace(
            name=name,
            events=self.records.events[counts].reshape(shape),
            spikes=self.records.spikes[counts].reshape(shape),
            states={
                state: kept
                for state in State
                if (kept := self._state(row, population, state)) is not None
            },
            overflows=int(self.records.overflows[row].sum()),
        )

    def _state(self, row: int, population: Population, state: State) -> np.ndarray | None:
        begin = int(self.records.blocks[row, REGISTER_OF[state]])
        if begin < 0:
            return None
        size = self._samples * self._steps * population.size
        return self.records.states[begin : begin + size].reshape(
            self._samples, self._steps, *population.shape
        )
