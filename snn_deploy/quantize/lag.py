"""How late each population will run on a chip, and which biases a clock neuron must carry."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.ir.graph import Node, lags, least_period
from snn_deploy.ir.network import Bias as RealBias
from snn_deploy.ir.network import Network
from snn_deploy.ir.network import Population as RealPopulation
from snn_deploy.ir.neuron import State, Tabled
from snn_deploy.ir.program import Bias, Input, Population, Program
from snn_deploy.targets import Feature, Support, Target

CLOCK = "clock"
"""Name of the population that carries biases."""


def must_lower(
    population: Population | RealPopulation,
    bias: Bias | RealBias,
    lag: int,
    target: Target,
    period: int = 1,
) -> bool:
    """Return whether a clock neuron must carry a bias, for the chip has no gate for it.

    The native bias of a chip without gates enters the membrane in every step from step 0 on. Some
    biases cannot come as weights; they stay, and a simulator gates them: one into the membrane of
    a neuron that has a current, for weights enter the current; one of a neuron that multiplies
    what arrives; and one of a neuron where a bias waits for what arrives first.

    Args:
        population: Whose bias it is.
        bias: Its start counts from the population's own first step.
        lag: Of the population [steps].
        target: The chip.
        period: Steps of the chip for each step of the network.
    """
    if target.support(Feature.BIAS_GATE) is Support.NATIVE or not np.any(bias.value):
        return False
    if _minds_arrivals(population):
        return False
    if bias.into is not State.MEMBRANE:
        return True
    has_current = (
        population.synapse if isinstance(population, RealPopulation) else population.current
    ) is not None
    return not has_current and (lag + bias.start > 0 or period > 1)


def _minds_arrivals(population: Population | RealPopulation) -> bool:
    """Return whether a bias that arrives would do something else than one that is just there."""
    gains = isinstance(population, Population) and bool(population.gains)
    tabled = any(table.what is Tabled.GAIN for table in population.tables)
    return gains or tabled or any(bias.waits for bias in population.biases)


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


def chip_period(graph: Network | Program, target: Target, dilation: int | None) -> int:
    """Return the steps of the chip for each step of the network; None: the fewest that suffice."""
    return least_period(graph, target.delay.low) if dilation is None else dilation


def chip_lags(graph: Network | Program, target: Target, dilation: int | None = 1) -> dict[str, int]:
    """Return the lag of each input and population, the clock's wires included [steps].

    A bias that starts in step b of its population arrives from a clock that fires from step 0 on:
    a wire of delay b.

    Args:
        graph: Not retimed yet.
        target: The chip.
        dilation: Steps of the chip for each step of the network; None: the fewest that suffice.

    Raises:
        LoopTooShortError: a loop has less delay than the chip needs.
    """
    least, period = target.delay.low, chip_period(graph, target, dilation)
    entering = None if target.input_delay is None else target.input_delay.low
    lag = lags(graph, least, entering, period=period)
    wires = [
        _Edge(
            name=f"{CLOCK}.{population.name}",
            source=CLOCK,
            target=population.name,
            delay=np.asarray(bias.start),
        )
        for population in graph.populations
        for bias in population.biases
        if must_lower(population, bias, lag[population.name], target, period)
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
    return lags(timing, least, entering, period=period)
