"""How late each population will run on a chip, and which biases a clock neuron must carry."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.ir.graph import Node, lags
from snn_deploy.ir.network import Bias as RealBias
from snn_deploy.ir.network import Network
from snn_deploy.ir.network import Population as RealPopulation
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Bias, Input, Population, Program
from snn_deploy.targets import Feature, Support, Target

CLOCK = "clock"
"""Name of the population that carries biases."""


def must_lower(
    population: Population | RealPopulation, bias: Bias | RealBias, lag: int, target: Target
) -> bool:
    """Return whether a clock neuron must carry a bias, for the chip has no gate for it.

    The native bias of a chip without gates enters the membrane from step 0 on. A bias into the
    membrane of a neuron that has a current cannot come as weights, for those enter the current: it
    stays, and a simulator gates it.

    Args:
        population: Whose bias it is.
        bias: Its start counts from the population's own first step.
        lag: Of the population [steps].
        target: The chip.
    """
    if target.support(Feature.BIAS_GATE) is Support.NATIVE or not np.any(bias.value):
        return False
    if bias.into is State.CURRENT:
        return True
    has_current = (
        population.synapse if isinstance(population, RealPopulation) else population.current
    ) is not None
    return not has_current and lag + bias.start > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edge:
    """A projection without a map: only its ends and its delay."""

    name: str
    source: str
    target: str
    delay: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timing:
    """A graph without maps."""

    inputs: Sequence[Node]
    populations: Sequence[Node]
    projections: Sequence[_Edge]
    outputs: Sequence[Node] = ()


def chip_lags(graph: Network | Program, target: Target) -> dict[str, int]:
    """Return the lag of each input and population, the clock's wires included [steps].

    A bias that starts in step b of its population arrives from a clock that fires from step 0 on:
    a wire of delay b.

    Raises:
        LoopTooShortError: a loop has less delay than the chip needs.
    """
    least = target.delay.low
    lag = lags(graph, least)
    wires = [
        _Edge(
            name=f"{CLOCK}.{population.name}",
            source=CLOCK,
            target=population.name,
            delay=np.asarray(bias.start),
        )
        for population in graph.populations
        for bias in population.biases
        if must_lower(population, bias, lag[population.name], target)
    ]
    if not wires:
        return lag
    edges = [
        _Edge(name=p.name, source=p.source, target=p.target, delay=p.delay)
        for p in graph.projections
    ]
    timing = _Timing(
        inputs=(*graph.inputs, Input(name=CLOCK, shape=(1,))),
        populations=graph.populations,
        projections=(*edges, *wires),
    )
    return lags(timing, least)
