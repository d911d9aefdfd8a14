"""Runs a program: samples in blocks on threads, and what they leave as a trace."""

import queue
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from snn_deploy.backends.event.choices import Choices
from snn_deploy.backends.event.compiling import first_use
from snn_deploy.backends.event.records import Records, Room
from snn_deploy.backends.event.session import Machine, Session
from snn_deploy.backends.event.units import Sent, cache_folder
from snn_deploy.backends.protocol import Progress
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Recording, Trace, Values

_BLOCKS_PER_THREAD = 4
"""So that threads end together although samples differ in activity."""

_TOGETHER, _BYTES_TOGETHER = 32, 2**25
"""Most samples of a block, and most memory for their states and events: a call of the kernels costs
as much as a few steps of a small network."""


def run_program(
    program: Program,
    inputs: Sequence[Values],
    record: Recording,
    progress: Progress,
    *,
    threads: int,
    choices: Choices,
) -> Trace:
    """Run `program` on checked `inputs`, as many blocks of samples at once as threads."""
    samples, given_steps = inputs[0].values.shape[:2]
    steps = given_steps + program.lag
    machine = machine_of(program, steps, choices)
    order = [program.population(name) for name in machine.order]
    room = Room(order, record, samples, 0, steps)
    together = min(_TOGETHER, _BYTES_TOGETHER // machine.sample_bytes)
    block = max(1, min(together, samples // (threads * _BLOCKS_PER_THREAD)))
    work = _Work(machine, tuple(inputs), steps, room.records, queue.SimpleQueue())
    with first_use(machine.kernels, cache_folder()), ThreadPoolExecutor(threads) as pool:
        for done in pool.map(
            work.run, range(0, samples, block), [*range(block, samples, block), samples]
        ):
            progress(done, samples)
    traces = tuple(room.trace(population.name) for population in program.populations)
    return Trace(steps=steps, populations=traces)


_MACHINES: dict[tuple[int, int, Choices], tuple[weakref.ref[Program], Machine]] = {}


def machine_of(program: Program, horizon: int, choices: Choices) -> Machine:
    """Return the machine of a program; as long as the program lives, always the same one."""
    key = id(program), horizon, choices
    known = _MACHINES.get(key)
    if known is not None and known[0]() is program:
        return known[1]
    machine = Machine(program, horizon, choices)
    _MACHINES[key] = weakref.ref(program, lambda _: _MACHINES.pop(key, None)), machine
    return machine


@dataclass(frozen=True, slots=True)
class _Work:
    """What all threads share."""

    machine: Machine
    inputs: tuple[Values, ...]
    steps: int
    records: Records
    free: "queue.SimpleQueue[Session]"
    """Sessions of the usual number of samples that no thread uses now."""

    def run(self, first: int, end: int) -> int:
        """Run the samples from `first` to before `end`; return `end`."""
        try:
            session = self.free.get_nowait()
        except queue.Empty:
            session = Session(self.machine, end - first)
        if session.samples != end - first:
            session = Session(self.machine, end - first)
        session.reset()
        for begin in range(0, self.steps, self.machine.stretch):
            stretch = slice(begin, min(begin + self.machine.stretch, self.steps))
            now = given_in(self.inputs, slice(first, end), stretch)
            session.advance(now, first, self.records)
        self.free.put(session)
        return end


def given_in(inputs: Sequence[Values], samples: slice, steps: slice) -> Sent:
    """Return what enters in some steps, 0 after the inputs' own."""
    given = {}
    for values in inputs:
        part = values.values[samples, steps]
        part = part.reshape(*part.shape[:2], int(np.prod(part.shape[2:])))
        missing = steps.stop - steps.start - part.shape[1]
        if missing:
            part = np.pad(part, ((0, 0), (0, missing), (0, 0)))
        given[values.name] = part
    return given
