"""A layer twice, as trained and as stored, both in state units and in the network's steps."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from snn_deploy.deploy.stored import clock_onset, entering, merged, real_form
from snn_deploy.deploy.synapses import gathered, is_part, network_delay
from snn_deploy.ir.arrays import fits
from snn_deploy.ir.graph import named
from snn_deploy.ir.maps import LinearMap, Shape
from snn_deploy.ir.network import Network, Population, Projection
from snn_deploy.ir.neuron import Fires, Tabled
from snn_deploy.ir.program import Input, Program, Sign
from snn_deploy.ir.program import Population as WholePopulation
from snn_deploy.ir.program import Projection as WholeProjection
from snn_deploy.quantize.fold import scale_targets
from snn_deploy.targets import Target

SAME = 1e-9
"""Relative difference below which a scaled number is the stored one: that of float64 products."""

SAME_BY_CHANNEL = 2.0**-16
"""The same where units differ by channel: they are told to so many bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A projection as trained and as stored, in state units and in the network's steps."""

    trained: Projection
    stored: Projection
    clipped: Bool[np.ndarray, "..."]
    """Weights that would be larger than what is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One population and what drives it, as trained and as stored, in state units."""

    trained: Population
    stored: Population
    pairs: tuple[Pair, ...]
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    """Of each source, in the order of their inputs."""

    units: tuple[tuple[str, float], ...]
    """Real value of a payload of 1, by source."""

    @property
    def name(self) -> str:
        """The population."""
        return self.stored.name

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of what feeds it."""
        return tuple(name for name, _ in self.shapes)

    def unit(self, source: str) -> float:
        """Return the real value of a payload of 1 of `source`."""
        return dict(self.units)[source]


def layer_of(program: Program, prepared: Network, name: str, target: Target) -> Layer | None:
    """Return the layer `name`; None where its parts are not those of the network.

    Args:
        program: As stored.
        prepared: As trained, in the form that was rounded.
        name: A population of both.
        target: The chip.
    """
    made, wanted, into = program.population(name), prepared.population(name), prepared.into(name)
    wires = [p for p in program.into(name) if clock_onset(program, p.source) is None]
    parts = {q.name: [p for p in wires if is_part(p.name, q.name)] for q in into}
    if made.kind is not None or not _plain(wanted) or sum(map(len, parts.values())) != len(wires):
        return None
    stored, units = (
        real_form(program, name),
        {q.source: payload_unit(program, q.source) for q in into},
    )
    pairs = [_pair(program, parts[q.name], q, units[q.source], target) for q in into]
    if len(stored.synapses) != len(wanted.synapses) or None in pairs:
        return None
    return Layer(
        trained=_snapped(scaled(wanted, np.asarray(1 / made.units)), stored, _tolerance(made)),
        stored=stored,
        pairs=tuple(pair for pair in pairs if pair is not None),
        shapes=tuple((s, named(program.nodes, s).shape) for s in units),
        units=tuple(units.items()),
    )


def _plain(population: Population) -> bool:
    """Return whether all gains are in the weights already."""
    gains = (population.gain, *(synapse.gain for synapse in population.synapses))
    return all(bool(np.all(gain == 1)) for gain in gains)


def _tolerance(made: WholePopulation) -> float:
    return SAME if made.unit_factor.ndim == 0 else SAME_BY_CHANNEL


def payload_unit(program: Program, source: str) -> float:
    """Return the real value of a payload of 1."""
    node = named(program.nodes, source)
    if isinstance(node, Input):
        return float(node.unit)
    if node.fires is Fires.GRADED:
        return float(node.units.flat[0]) * (1 << node.payload_shift)
    return 1.0


def _pair(
    program: Program,
    parts: Sequence[WholeProjection],
    wanted: Projection,
    unit: float,
    target: Target,
) -> Pair | None:
    """Return a projection twice; None where a kernel cannot have the scale of its neurons.

    Args:
        program: As stored.
        parts: The projection as stored.
        wanted: As trained.
        unit: Real value of a payload of 1.
        target: The chip.
    """
    made = program.population(wanted.target)
    grown = _scaled_map(wanted.map, np.asarray(unit / made.units), made.shape)
    factor = entering(program, made, wanted.into or made.entry)
    if grown is None:
        return None
    trained = replace(wanted, map=grown)
    if [p.name for p in parts] == [wanted.name] and parts[0].source == wanted.source:
        (part,) = parts
        numbers = part.map.numbers() * float(1 << part.shift)
        stored = replace(
            wanted,
            map=part.map.with_numbers(numbers),
            delay=network_delay(program, part, wanted.source),
        )
    else:
        trained, stored = gathered(program, parts, trained)
    steps = trained.map.numbers() / _typical(factor)
    beyond = clipped(stored.map.numbers(), steps, parts, target)
    effective = _scaled_map(stored.map, factor, made.shape)
    if effective is None:
        return None
    near = _near(trained.map.numbers(), effective.numbers(), _tolerance(made))
    return Pair(
        trained=replace(trained, map=trained.map.with_numbers(near)),
        stored=replace(stored, map=effective),
        clipped=beyond,
    )


def _typical(factor: Float[np.ndarray, "..."]) -> float:
    """Return one factor for all, to tell what is clipped; 0 counts as 1."""
    return float(np.abs(factor).max()) or 1.0


def _scaled_map(
    linear: LinearMap, factor: Float[np.ndarray, "..."], shape: Shape
) -> LinearMap | None:
    """Return a map times a factor for each of its targets; None where a kernel cannot have it."""
    if factor.ndim and np.all(factor == factor.flat[0]):
        factor = np.asarray(factor.flat[0])
    return scale_targets(linear, factor if factor.ndim == 0 else np.broadcast_to(factor, shape))


def clipped(
    stored: Float[np.ndarray, "..."],
    wanted: Float[np.ndarray, "..."],
    parts: Sequence[WholeProjection],
    target: Target,
) -> Bool[np.ndarray, "..."]:
    """Return which weights were too large for what is stored.

    Those that hold the largest (or smallest) number of their projection and would lie more than
    half a step beyond it. The step is the power of two that divides all of them, at the limits of
    the chip its own.

    Args:
        stored: Weights as stored, in state units.
        wanted: As trained, in state units.
        parts: The projection as stored.
        target: The chip.
    """
    if not stored.size or not parts:
        return np.zeros(stored.shape, bool)
    rules = target.weights
    rule = {
        Sign.MIXED: rules.mixed,
        Sign.EXCITATORY: rules.excitatory,
        Sign.INHIBITORY: rules.inhibitory,
    }[parts[0].sign]
    state = float(1 << parts[0].shift)
    divisor = int(np.gcd.reduce(stored.astype(np.int64).ravel()))
    limits = (stored == rule.low * state) | (stored == rule.high * state)
    half = np.where(limits, rule.step * state, float(divisor & -divisor)) / 2
    high = (stored == stored.max()) & (stored > 0) & (wanted > stored + half)
    low = (stored == stored.min()) & (stored < 0) & (wanted < stored - half)
    return np.asarray(high | low)


def scaled(population: Population, scale: Float[np.ndarray, "..."]) -> Population:
    """Return a population whose states are `scale` times as large. Its gains are 1."""

    def grown(value: np.ndarray) -> np.ndarray:
        return np.asarray(value * scale)

    floor, reset = population.floor, population.reset
    synapses = [replace(s, initial=grown(s.initial)) for s in population.synapses]
    return replace(
        population,
        threshold=grown(population.threshold),
        lower=grown(population.lower),
        reset=replace(reset, amount=grown(reset.amount)),
        floor=None if floor is None else replace(floor, value=grown(floor.value)),
        biases=merged([replace(b, value=grown(b.value)) for b in population.biases]),
        tables=tuple(
            replace(t, rows=grown(t.rows)) if t.what in STATE_TABLES else t
            for t in population.tables
        ),
        initial=grown(population.initial),
        synapse=synapses[0] if synapses else None,
        further=tuple(synapses[1:]),
        origin=0.0,
    )


STATE_TABLES = (Tabled.THRESHOLD, Tabled.LOWER, Tabled.BIAS)
"""Tables whose numbers are states; the others are factors."""


def _near(trained: np.ndarray, stored: np.ndarray, tolerance: float) -> np.ndarray:
    """Return `trained`, but the stored number wherever it is the same but for the scaling."""
    if not fits(stored, np.broadcast_shapes(trained.shape, stored.shape)):
        return trained
    near = np.abs(trained - stored) <= tolerance * np.abs(stored)
    return np.asarray(np.where(near, stored, trained))


def _snapped(trained: Any, stored: Any, tolerance: float) -> Any:
    """Return the record `trained` with every number that is nearly the stored one equal to it."""
    if isinstance(trained, np.ndarray) and isinstance(stored, np.ndarray):
        return _near(trained, stored, tolerance)
    if isinstance(trained, tuple) and isinstance(stored, tuple) and len(trained) == len(stored):
        return tuple(_snapped(t, s, tolerance) for t, s in zip(trained, stored, strict=True))
    if not is_dataclass(trained) or type(trained) is not type(stored):
        return trained
    values = {
        field.name: _snapped(getattr(trained, field.name), getattr(stored, field.name), tolerance)
        for field in fields(trained)
    }
    return replace(trained, **values)  # type: ignore[type-var]  # an instance, not a class
