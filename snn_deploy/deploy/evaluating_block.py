"""One block of an evaluation: which samples, and what was found of them, in whole numbers only.

Blocks are run in any order, by any process; what they find is added up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from snn_deploy.backends.event import EventBackend
from snn_deploy.deploy import runs
from snn_deploy.deploy.analysis import backend_named
from snn_deploy.deploy.data import Data, check_classes, encode
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.early_exit import answered
from snn_deploy.deploy.windows import has_signs, own_steps, spikes_in
from snn_deploy.errors import OptionError
from snn_deploy.ir.codecs import needs, predict
from snn_deploy.ir.network import Between, Boundary, Output
from snn_deploy.ir.neuron import State
from snn_deploy.ir.presentation import dilated, present
from snn_deploy.ir.program import Program
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import Recording, Trace

BLOCK_SAMPLES = 256
"""Samples of a block at most: so many are lost when a run is ended."""

BLOCK_VALUES = 8_000_000
"""Values of a block at most, that enter or are recorded: bounds the memory of a run."""

TILE = 16
"""Samples that the real-valued network runs at once, by their number in the data: sums of floats
depend on how many rows a matrix has, and answers must not depend on the blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of every sample."""

    output: str
    """Name of the output that is judged."""

    backend: str
    real: bool
    """Run the real-valued network too."""

    samples: int
    """Of all blocks together."""

    first: int
    """Number of the first of them."""

    threads: int | None = None
    """Of the event simulator; None: all processors. Answers do not depend on it."""

    time_limit: float | None = None


class LayerCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one population did in a block, in its own steps."""

    spikes: int
    """Sum of payloads; of spikes with a sign, their number."""

    events: int
    """Neurons and steps in which something was sent."""

    overflows: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a block of samples showed."""

    block: int
    """Its number."""

    label: tuple[int, ...]
    predicted: tuple[int, ...]
    """Class by the integer program."""

    real: tuple[int, ...] | None
    """Class by the real-valued network."""

    layers: tuple[LayerCounts, ...]
    """In the order of the program's populations."""

    steps: int
    """Of each sample."""

    slots: int
    """Steps in which each population acted, of all samples together."""

    late: int
    """Events that came after the last step."""


def block_size(deployment: Deployment, question: Question, steps: int, asked: int | None) -> int:
    """Return how many samples are run at once, so that memory stays bounded.

    A run that goes on from sample to sample is one block.

    Args:
        deployment: The program.
        question: What is asked.
        steps: Of a sample.
        asked: Samples of a block, if the user says it.

    Raises:
        OptionError: the user says none.
    """
    if asked is not None and asked < 1:
        raise OptionError(f"blocks of {asked} samples", where="--block", fix="--block 16")
    program = deployment.program
    if program.boundary.between is not Between.FRESH:
        return question.samples
    if asked is not None:
        return min(asked, question.samples)
    recorded = _recording(program, _output(program, question))
    values = sum(entry.size for entry in program.inputs)
    for population in program.populations:
        states = [s for s in population.states if recorded.wants(population.name, s)]
        values += population.size * len(states)
    one = steps * program.period + program.lag
    fits = BLOCK_VALUES // max(1, one * values)
    return max(1, min(question.samples, fits, BLOCK_SAMPLES))


def run_block(deployment: Deployment, question: Question, block: int, data: Data) -> Found:
    """Return what the samples of one block show.

    Raises:
        DataError: they have no labels, a label is no class, or they cannot be encoded.
    """
    assert data.label is not None
    program = deployment.program
    output = _output(program, question)
    classes = program.population(output.population).size
    fix = "give labels from 0 on; --output NAME judges another output"
    check_classes(data, classes, output.name, fix)
    encoded = encode(data, deployment.encoding)
    inputs = dilated(present(program.boundary, encoded.whole), program.period)
    made = runs.Block(inputs=inputs, number=data.number, steps=encoded.steps)
    backend = backend_named(question.backend, question.time_limit)
    if isinstance(backend, EventBackend):
        backend = replace(backend, threads=question.threads)
    trace = backend.run(program, inputs, _recording(program, output))
    rows, presented = inputs[0].values.shape[:2]
    answer = answered(program, output, trace, made, deployment.early_exit).answer
    return Found(
        block=block,
        label=tuple(data.label.tolist()),
        predicted=tuple(predict(answer).tolist()),
        real=_real_answers(deployment, question, data) if question.real else None,
        layers=_counts(program, trace, presented),
        steps=encoded.steps,
        slots=rows * (presented // program.period),
        late=data.late,
    )


def _output(program: Program, question: Question) -> Output:
    return next(output for output in program.outputs if output.name == question.output)


def _recording(program: Program, output: Output) -> Recording:
    """Return what has to be recorded: the output, and payloads that idle steps may follow."""
    ends_early = [p.name for p in program.populations if p.lag < program.lag]
    states = {needs(output.decode), *([State.PAYLOAD] if ends_early else [])}
    return Recording(states=frozenset(states), populations=(output.population, *ends_early))


def _counts(program: Program, trace: Trace, presented: int) -> tuple[LayerCounts, ...]:
    """Return what each population did in its own steps, `presented` in number from its lag on."""
    counts = []
    for population in program.populations:
        record = trace[population.name]
        if population.lag < program.lag:
            sent = own_steps(population, record.payload, presented)
            spikes, events = spikes_in(population, sent), np.count_nonzero(sent)
        else:
            events = record.events.sum()
            spikes = events if has_signs(population) else record.spikes.sum()
        counts.append(
            LayerCounts(spikes=int(spikes), events=int(events), overflows=record.overflows)
        )
    return tuple(counts)


def _real_answers(deployment: Deployment, question: Question, data: Data) -> tuple[int, ...]:
    """Return the class of every sample by the real-valued network."""
    network = deployment.network
    output = next(o for o in network.outputs if o.name == question.output)
    record = Recording(states=frozenset({needs(output.decode)}), populations=(output.population,))
    found = np.empty(data.samples, np.int64)
    for part, rows, tile in _tiles(network.boundary, question, data):
        encoded = encode(tile, deployment.encoding)
        inputs = present(network.boundary, encoded.real)
        made = runs.Block(inputs=inputs, number=tile.number, steps=encoded.steps)
        trace = simulate(network, inputs, record)
        found[part] = predict(runs.network_answer(network, output, trace, made))[rows]
    return tuple(found.tolist())


def _tiles(
    boundary: Boundary, question: Question, data: Data
) -> Iterator[tuple[slice, slice, Data]]:
    """Yield samples in batches of one size, each sample in the row that its number gives it.

    Yields:
        Which samples of `data`, in which rows of the batch, and the batch. Rows that belong to
        samples of other blocks hold copies of the first sample.
    """
    if boundary.between is not Between.FRESH:
        yield slice(None), slice(None), data
        return
    size = min(TILE, question.samples)
    at = 0
    while at < data.samples:
        row = int(data.number[at] - question.first) % size
        count = min(size - row, data.samples - at)
        index = np.full(size, at)
        index[row : row + count] = np.arange(at, at + count)
        yield slice(at, at + count), slice(row, row + count), data.chosen(index)
        at += count
