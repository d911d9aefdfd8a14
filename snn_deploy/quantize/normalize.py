"""Passes that say the same network in fewer words: without gains, shifted resets, old currents."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from snn_deploy.ir.maps import LinearMap, to_sparse
from snn_deploy.ir.network import Bias, Floor, Network, Population, Projection, Reset, Synapse
from snn_deploy.ir.neuron import Fires, Reads, ResetKind, State
from snn_deploy.quantize.fold import scale_targets
from snn_deploy.quantize.passes import Passed

ONE = np.ones(())


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldGains:
    """Pass: gains of synapses and membranes go into weights, biases and initial currents.

    Afterwards a synaptic current has the unit of the membrane. A gain that differs within a
    channel turns a convolution into single synapses.
    """

    name: ClassVar[str] = "fold-gains"

    def __call__(self, graph: Network) -> Passed[Network]:
        """Return `graph` with all gains 1."""
        into = {p.name: _gain(p) for p in graph.populations}
        projections = tuple(part for p in graph.projections for part in _scaled(p, into[p.target]))
        populations = tuple(_without_gains(p) for p in graph.populations)
        return Passed(graph=replace(graph, populations=populations, projections=projections))


def _gain(population: Population) -> Float[np.ndarray, "..."]:
    """Return the factor from the input sum to the membrane, a scalar or of the full shape."""
    synapse = population.synapse
    gain = np.asarray(population.gain * (ONE if synapse is None else synapse.gain))
    return gain if gain.ndim == 0 else np.broadcast_to(gain, population.shape)


def _without_gains(population: Population) -> Population:
    synapse, gain = population.synapse, population.gain
    if synapse is None:
        return replace(population, gain=ONE)
    synapse = replace(synapse, gain=ONE, initial=np.asarray(gain * synapse.initial))
    biases = tuple(
        replace(b, value=np.asarray(gain * b.value)) if b.into is State.CURRENT else b
        for b in population.biases
    )
    return replace(population, gain=ONE, synapse=synapse, biases=biases)


def _scaled(projection: Projection, gain: Float[np.ndarray, "..."]) -> Iterator[Projection]:
    if gain.ndim == 0 and gain == 1:
        yield projection
        return
    scaled = scale_targets(projection.map, gain)
    if scaled is not None:
        yield replace(projection, map=scaled)
        return
    for part in _by_delay(projection):
        sparse = scale_targets(to_sparse(part.map), gain)
        assert sparse is not None
        yield replace(part, map=sparse)


def _by_delay(projection: Projection) -> Iterator[Projection]:
    """Yield the projection in parts of one delay each, where it has one for every weight."""
    delay, linear = projection.delay, projection.map
    if delay.ndim == 0 or delay.shape == (linear.in_size,):
        yield projection
        return
    for steps in np.unique(delay):
        part: LinearMap = linear.with_numbers(linear.numbers() * (delay == steps))
        yield replace(
            projection, name=f"{projection.name}.delay{steps}", map=part, delay=np.asarray(steps)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResetToZero:
    """Pass: a hard reset to v_r != 0 becomes one to 0 of the membrane v - v_r.

    Threshold, floor and initial membrane move by v_r, and a leak toward 0 becomes a bias of
    (decay - 1) * v_r. The population remembers v_r as its origin. Left as they are: a reset value
    that differs between neurons, and neurons that count how often the threshold fits.
    """

    name: ClassVar[str] = "move-reset-to-zero"

    def __call__(self, graph: Network) -> Passed[Network]:
        """Return `graph` with hard resets to 0."""
        return Passed(graph=replace(graph, populations=tuple(_moved(p) for p in graph.populations)))


def _moved(population: Population) -> Population:
    reset = population.reset
    if reset.kind is not ResetKind.VALUE or population.fires is not Fires.BINARY:
        return population
    value = float(reset.amount.flat[0])
    if value == 0 or np.any(reset.amount != value):
        return population
    biases = population.biases
    if np.any(population.decay != 1):
        biases = (*biases, Bias(value=np.asarray((population.decay - 1) * value)))
    floor = population.floor
    return replace(
        population,
        threshold=np.asarray(population.threshold - value),
        reset=Reset(kind=ResetKind.VALUE, when=reset.when),
        floor=None
        if floor is None
        else Floor(value=np.asarray(floor.value - value), when=floor.when),
        biases=biases,
        initial=np.asarray(population.initial - value),
        origin=population.origin + value,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadNewCurrent:
    """Pass: a membrane that integrates the old current integrates a new one, driven later.

    The current that the last step left is the new current of a synapse whose every input takes
    one step more. That needs an initial current of 0; others stay as they are. The recorded
    current is then the one of the step before.
    """

    name: ClassVar[str] = "read-new-current"

    def __call__(self, graph: Network) -> Passed[Network]:
        """Return `graph` with new currents read."""
        moved = {p.name for p in graph.populations if _reads_old_from_zero(p.synapse)}
        return Passed(
            graph=replace(
                graph,
                populations=tuple(_later(p) if p.name in moved else p for p in graph.populations),
                projections=tuple(
                    replace(p, delay=np.asarray(p.delay + 1)) if p.target in moved else p
                    for p in graph.projections
                ),
            )
        )


def _reads_old_from_zero(synapse: Synapse | None) -> bool:
    return synapse is not None and synapse.reads is Reads.OLD and not np.any(synapse.initial)


def _later(population: Population) -> Population:
    assert population.synapse is not None
    biases = tuple(
        replace(b, start=b.start + 1) if b.into is State.CURRENT else b for b in population.biases
    )
    return replace(population, synapse=replace(population.synapse, reads=Reads.NEW), biases=biases)
