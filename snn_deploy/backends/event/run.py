"""Runs a plan: samples in blocks on threads, and what they leave as a trace."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from snn_deploy.backends.event.kernels.loop import SOURCES, run_samples
from snn_deploy.backends.event.plan import make_plan
from snn_deploy.backends.event.tables import ABSENT, REGISTER_OF, Records
from snn_deploy.backends.protocol import Progress
from snn_deploy.ir.graph import step_order
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.trace import PopulationTrace, Recording, Trace, Values

_BLOCKS_PER_THREAD = 8
"""So that threads end together although samples differ in activity."""


def run_plan(
    program: Program,
    inputs: Sequence[Values],
    record: Recording,
    threads: int,
    progress: Progress,
) -> Trace:
    """Run `program` on checked, padded `inputs`, as many blocks of samples at once as threads."""
    samples, steps = inputs[0].values.shape[:2]
    payloads = [
        given.values.reshape(samples, steps, entry.size)
        for entry, given in zip(program.inputs, inputs, strict=True)
    ]
    together = payloads[0] if len(payloads) == 1 else np.concatenate(payloads, axis=2)
    plan = make_plan(program, steps)
    order = [program.population(name) for name in step_order(program)]
    room = _Room(order, record, samples, steps)
    block = max(1, samples // (threads * _BLOCKS_PER_THREAD))
    with ThreadPoolExecutor(threads) as pool:
        running = [
            pool.submit(
                run_samples, plan, together, first, min(first + block, samples), room.records
            )
            for first in range(0, samples, block)
        ]
        for done, future in enumerate(running, 1):
            assert future.result() == SOURCES, "kernels compiled from other sources"
            progress(min(done * block, samples), samples)
    traces = tuple(room.trace(population.name) for population in program.populations)
    return Trace(steps=steps, populations=traces)


class _Room:
    """The arrays that a run fills, and each population's part of them."""

    def __init__(
        self, order: Sequence[Population], record: Recording, samples: int, steps: int
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
        counts = np.cumsum([0, *(samples * p.size for p in order)])
        self.records = Records(
            states=np.zeros(end, np.int32),
            blocks=blocks,
            events=np.zeros(counts[-1], np.int64),
            spikes=np.zeros(counts[-1], np.int64),
            count_block=counts[:-1].astype(np.int64),
            overflows=np.zeros((samples, len(order)), np.int64),
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
            overflows=int(self.records.overflows[:, row].sum()),
        )

    def _state(self, row: int, population: Population, state: State) -> np.ndarray | None:
        begin = int(self.records.blocks[row, REGISTER_OF[state]])
        if begin < 0:
            return None
        size = self._samples * self._steps * population.size
        return self.records.states[begin : begin + size].reshape(
            self._samples, self._steps, *population.shape
        )
