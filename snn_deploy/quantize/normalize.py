"""Passes that say the same network in fewer words: without gains, shifted resets, old currents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from snn_deploy.ir.maps import LinearMap, to_sparse
from snn_deploy.ir.network import Bias, Floor, Network, Population, Projection, Reset, Synapse
from snn_deploy.ir.neuron import CURRENTS, Fires, Reads, ResetKind, State, Tabled
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
        projections = tuple(
            part
            for p in graph.projections
            for part in _scaled(p, _gain(graph.population(p.target), graph.entry(p)))
        )
        populations = tuple(_without_gains(p) for p in graph.populations)
        return Passed(graph=replace(graph, populations=populations, projections=projections))


def _gain(population: Population, into: State) -> Float[np.ndarray, "..."]:
    """Return the factor from what arrives at a state to the membrane, scalar or of full shape."""
    gain = np.asarray(population.gain)
    if into in CURRENTS:
        gain = np.asarray(gain * population.synapses[CURRENTS.index(into)].gain)
    return gain if gain.ndim == 0 else np.broadcast_to(gain, population.shape)


def _without_gains(population: Population) -> Population:
    """Return the population with currents in the unit of the membrane; chains keep their gain."""
    gain = population.gain
    biases = tuple(
        replace(b, value=np.asarray(gain * b.value)) if b.into in CURRENTS else b
        for b in population.biases
    )
    tables = tuple(
        replace(t, rows=_times(t.rows, gain)) if t.what is Tabled.BIAS and t.into in CURRENTS else t
        for t in population.tables
    )
    return replace(
        population,
        gain=ONE,
        synapse=population.synapse and _folded(population.synapse, gain),
        further=tuple(_folded(synapse, gain) for synapse in population.further),
        biases=biases,
        tables=tables,
    )


def _folded(synapse: Synapse, gain: np.ndarray) -> Synapse:
    return replace(synapse, gain=ONE, initial=np.asarray(gain * synapse.initial))


def _times(rows: np.ndarray, factor: np.ndarray) -> Float[np.ndarray, "..."]:
    """Return each row of a table times a parameter."""
    missing = max(0, np.ndim(factor) + 1 - rows.ndim)
    return np.asarray(rows.reshape(rows.shape[0], *(1,) * missing, *rows.shape[1:]) * factor)


def entering(population: Population, factors: Sequence[np.ndarray]) -> Population:
    """Return `population` with all that is added to each synaptic current times its factor.

    That is what arrives, what it takes from the current before it, and its biases.
    """
    by_state = dict(zip(CURRENTS, factors, strict=False))
    synapses = tuple(
        replace(
            synapse,
            gain=np.asarray(synapse.gain * factor),
            chain=synapse.chain
            and replace(synapse.chain, gain=np.asarray(synapse.chain.gain * factor)),
        )
        for synapse, factor in zip(population.synapses, factors, strict=True)
    )
    return replace(
        population,
        synapse=synapses[0] if synapses else None,
        further=synapses[1:],
        biases=tuple(
            replace(b, value=np.asarray(b.value * by_state[b.into])) if b.into in CURRENTS else b
            for b in population.biases
        ),
        tables=tuple(
            replace(t, rows=_times(t.rows, by_state[t.into]))
            if t.what is Tabled.BIAS and t.into in CURRENTS
            else t
            for t in population.tables
        ),
    )


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
    tables = tuple(
        replace(t, rows=np.asarray(t.rows - value)) if t.what is Tabled.THRESHOLD else t
        for t in population.tables
    )
    return replace(
        population,
        tables=tables,
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
        beside = {p.target for p in graph.projections if graph.entry(p) is State.MEMBRANE}
        moved = {p.name for p in graph.populations if _can_wait(p) and p.name not in beside}
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


def _can_wait(population: Population) -> bool:
    """Return whether every input may come a step later instead of the current being read late."""
    synapse = population.synapse
    if synapse is None or synapse.reads is Reads.NEW or np.any(synapse.initial):
        return False
    timed = any(t.what is Tabled.GAIN or t.into in CURRENTS for t in population.tables)
    waits = any(bias.waits for bias in population.biases)
    return not (population.further or timed or waits or population.restart)


def _later(population: Population) -> Population:
    assert population.synapse is not None
    biases = tuple(
        replace(b, start=b.start + 1) if b.into is State.CURRENT else b for b in population.biases
    )
    return replace(population, synapse=replace(population.synapse, reads=Reads.NEW), biases=biases)
