"""Runs over many samples in blocks: what comes in, what is recorded, what the answer is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from snn_deploy.backends.protocol import Backend, Progress
from snn_deploy.deploy.data import Data, encode
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.progress import bar
from snn_deploy.errors import DataError
from snn_deploy.ir.codecs import Encode, decode, needs
from snn_deploy.ir.limits import check_room
from snn_deploy.ir.network import Between, Boundary, Network, Output
from snn_deploy.ir.network import Input as Entry
from snn_deploy.ir.neuron import State
from snn_deploy.ir.presentation import dilated, present, windows
from snn_deploy.ir.program import Input, Program
from snn_deploy.ir.telling import Advance
from snn_deploy.ir.trace import EVERYTHING, PopulationTrace, Trace, Values

BLOCK_VALUES = 50_000_000
"""Recorded values per block of samples: bounds the memory of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some consecutive samples, as they are run together."""

    inputs: tuple[Values, ...]
    """As presented to the simulator, in its steps."""

    number: Int64[np.ndarray, " sample"]
    """Number of each sample in its file."""

    steps: int
    """Steps of one sample, in those of the network."""

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.number)


def blocks(
    data: Data, deployment: Deployment, values_per_step: int, *, real: bool = False
) -> Iterator[Block]:
    """Yield the samples of `data` in blocks of bounded size; a continuous run is one block.

    Raises:
        DataError: a value cannot be encoded, a sample has another shape than the program reads, or
            there is no memory for the states of one.
    """
    check_sample_shapes(data, deployment.encoding.how, deployment.program.inputs)
    boundary = deployment.program.boundary
    size = data.samples
    if boundary.between is Between.FRESH:
        steps = encode(data.part(0, 1), deployment.encoding).steps
        one = steps * deployment.program.period + deployment.program.lag
        check_room("the states of one sample", (one, values_per_step))
        size = max(1, min(size, BLOCK_VALUES // max(1, one * values_per_step)))
    for first in range(0, data.samples, size):
        part = data.part(first, first + size)
        encoded = encode(part, deployment.encoding)
        inputs = present(boundary, encoded.real if real else encoded.whole)
        if not real:
            inputs = dilated(inputs, deployment.program.period)
        yield Block(inputs=inputs, number=part.number, steps=encoded.steps)


def check_sample_shapes(data: Data, how: Encode, inputs: Sequence[Input | Entry]) -> None:
    """Refuse data that has steps already where the encoder is to make them, and other shapes.

    Args:
        data: Not encoded yet.
        how: The encoder.
        inputs: Of the program, or of the network.

    Raises:
        DataError: a sample to be encoded has not the shape of one step.
    """
    if how is Encode.RECORDED:
        return  # whoever runs it checks the shape of each step
    shapes = {entry.name: entry.shape for entry in inputs}
    for array in data.arrays:
        found, wanted = array.values.shape[1:], shapes[array.name]
        if found != wanted:
            has_steps = found[1:] == wanted
            raise DataError(
                f"each sample of the data has shape {found}, but the {how.value} encoder makes "
                f"steps of shape {wanted} from samples of that shape",
                where=array.name,
                fix="export again with --encode recorded: this data has steps already"
                if has_steps
                else f"give an array of shape [sample, {', '.join(map(str, wanted))}]",
            )


def program_answer(
    program: Program, output: Output, trace: Trace, block: Block
) -> Float[np.ndarray, "sample ..."]:
    """Return the decoded answer of an integer run, one number per output neuron.

    Membranes are in the population's `unit`, so proportional to real values.
    """
    population = program.population(output.population)
    own = slice(population.lag, None, program.period)
    answer = _answer(program.boundary, output, trace[output.population], block, own)
    return answer * population.unit_factor if needs(output.decode) is State.MEMBRANE else answer


def network_answer(
    network: Network, output: Output, trace: Trace, block: Block
) -> Float[np.ndarray, "sample ..."]:
    """Return the decoded answer of a real-valued run, one number per output neuron."""
    return _answer(network.boundary, output, trace[output.population], block, slice(None))


def _answer(
    boundary: Boundary, output: Output, trace: PopulationTrace, block: Block, own: slice
) -> Float[np.ndarray, "sample ..."]:
    """Return the decoded answer; `own` are the steps of the run that are the network's."""
    if block.steps <= output.delay:
        raise DataError(
            f"output {output.name!r} comes {output.delay} steps late in the network as trained, "
            f"and the samples have {block.steps}",
            fix="give longer samples",
        )
    rows = []
    for row, start in windows(boundary, block.samples, block.steps):
        one = PopulationTrace(
            name=trace.name,
            events=trace.events[row : row + 1],
            spikes=trace.spikes[row : row + 1],
            states={state: kept[row : row + 1, own] for state, kept in trace.states.items()},
        )
        steps = block.steps - output.delay
        rows.append(decode(one, output.decode, start, steps, output.weights))
    return np.concatenate(rows)


def recorded_width(program: Program) -> int:
    """Return the values per sample and step of a full recording."""
    states = sum(p.size * len(p.states) for p in program.populations)
    return states + sum(i.size for i in program.inputs)


def full_runs(
    backends: Sequence[Backend], deployment: Deployment, data: Data
) -> Iterator[tuple[Block, tuple[Trace, ...]]]:
    """Yield each block with the full trace of every backend."""
    width = recorded_width(deployment.program) * len(backends)
    names = ", ".join(backend.name for backend in backends)
    with bar(names, data.samples * len(backends)) as advance:
        for block in blocks(data, deployment, width):
            traces = []
            for backend in backends:
                report = _shares(advance, block.samples)
                traces.append(backend.run(deployment.program, block.inputs, EVERYTHING, report))
                report(1, 1)
            yield block, tuple(traces)


def _shares(advance: Advance, amount: float) -> Progress:
    """Return what a backend reports to: its share of an amount goes to `advance`."""
    done = 0.0

    def report(now: int, total: int) -> None:
        nonlocal done
        share = amount * now / max(1, total)
        advance(share - done)
        done = share

    return report
