"""One population taken out of its network or program and fed with what others are said to send.

So a layer is judged by itself: what goes wrong in it did not come from a layer before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Num

from snn_deploy.backends.protocol import Backend
from snn_deploy.ir import network as real
from snn_deploy.ir import program as whole
from snn_deploy.ir.graph import named
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Network
from snn_deploy.ir.neuron import Decode
from snn_deploy.ir.presentation import dilated
from snn_deploy.ir.program import Program, Role
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, PopulationTrace, Trace, Values

Payloads = Mapping[str, Num[np.ndarray, "..."]]
"""What every input and population sends, in the steps of the network: [sample, step, *shape]."""

NOTHING = "nothing"
"""Input of a population that no other feeds: a network needs one."""


def fed(source: str) -> str:
    """Return the name of the input that stands for `source`, which may be the population itself."""
    return f"from {source}"


def given(sources: Sequence[str], sent: Payloads) -> list[Values]:
    """Return what enters a population that `sources` feed, one record for each."""
    if not sources:
        rows, steps = next(iter(sent.values())).shape[:2]
        return [Values(name=NOTHING, values=np.zeros((rows, steps, 1), np.int64))]
    return [Values(name=fed(source), values=sent[source]) for source in sources]


def isolated(network: Network, name: str) -> Network:
    """Return the population `name` of `network` with an input in place of all that feeds it."""
    into = network.into(name)
    shapes = {p.source: network.source_shape(p.source) for p in into}
    return replace(
        network,
        inputs=inputs_for(shapes),
        populations=(network.population(name),),
        projections=tuple(replace(p, source=fed(p.source)) for p in into),
        outputs=(output_of(name),),
    )


def inputs_for(shapes: Mapping[str, Shape]) -> tuple[real.Input, ...]:
    """Return one input for each source, of its shape; one of nothing where there are none."""
    inputs = tuple(real.Input(name=fed(name), shape=shape) for name, shape in shapes.items())
    return inputs or (real.Input(name=NOTHING, shape=(1,)),)


def run_real(network: Network, name: str, sent: Payloads) -> PopulationTrace:
    """Return the trace of the population `name` of `network`, fed with `sent` alone.

    Its own spikes too come back to it as `sent` has them, where it has a loop.
    """
    sources = tuple(dict.fromkeys(p.source for p in network.into(name)))
    return simulate(isolated(network, name), given(sources, sent), EVERYTHING)[name]


def output_of(population: str) -> real.Output:
    """Return an output: a network needs one."""
    return real.Output(name="output", population=population, decode=Decode.MEMBRANE_END)


def program_alone(program: Program, name: str) -> tuple[Program, tuple[str, ...]]:
    """Return the population `name` with its clocks and relays, and the sources that feed it.

    Each source becomes an input without lag, so its projections take its lag more.
    """
    kept = _with_helpers(program, name)
    projections, sources = [], dict[str, None]()
    for projection in program.projections:
        if projection.target not in kept:
            continue
        source = projection.source
        if source in kept and source != name:
            projections.append(projection)
            continue
        sources[source] = None
        delay = np.asarray(projection.delay + lag_of(program, source))
        projections.append(replace(projection, source=fed(source), delay=delay))
    inputs = tuple(_input(program, source) for source in sources)
    part = replace(
        program,
        inputs=inputs or (whole.Input(name=NOTHING, shape=(1,)),),
        populations=tuple(p for p in program.populations if p.name in kept),
        projections=tuple(projections),
        outputs=(output_of(name),),
    )
    return part, tuple(sources)


def _input(program: Program, source: str) -> whole.Input:
    low, high = program.payload_range(source)
    shape = named(program.nodes, source).shape
    return whole.Input(name=fed(source), shape=shape, low=min(low, 0), high=max(high, 0))


def _with_helpers(program: Program, name: str) -> set[str]:
    """Return `name` and every clock and relay that leads to it."""
    helpers = {p.name for p in program.populations if p.role is not Role.NEURONS}
    kept, wave = {name}, {name}
    while wave:
        before = {p.source for p in program.projections if p.target in wave}
        wave = (before & helpers) - kept
        kept |= wave
    return kept


def lag_of(program: Program, source: str) -> int:
    """Return how far an input or a population runs behind the network [steps]."""
    return next((p.lag for p in program.populations if p.name == source), 0)


def run_whole(program: Program, name: str, sent: Payloads, backend: Backend) -> PopulationTrace:
    """Return the trace of the population `name` of `program`, fed with `sent` alone.

    In the steps of the network: the first is the population's own first.
    """
    part, sources = program_alone(program, name)
    inputs = given(sources, sent)
    steps = inputs[0].values.shape[1]
    entering = dilated(inputs, program.period)
    return in_own_steps(part, backend.run(part, entering, EVERYTHING), name, steps)


def in_own_steps(program: Program, trace: Trace, name: str, steps: int) -> PopulationTrace:
    """Return the record of one population in the steps of the network."""
    record, lag = trace[name], program.population(name).lag
    own = slice(lag, lag + steps * program.period, program.period)
    return replace(record, states={state: kept[:, own] for state, kept in record.states.items()})
