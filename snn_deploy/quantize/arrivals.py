"""What can arrive at each neuron in one step: intervals from weights and payload bounds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from snn_deploy.ir.maps import Dense, LinearMap, row_blocks
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Population, Program, Projection
from snn_deploy.quantize.intervals import Interval

BEYOND = 1 << 52
"""Sums from here on are not exact in float64; they stand for any larger one, and nothing that they
enter is proven."""

FOREVER = 1 << 62
"""A step that never comes."""

Payloads = Mapping[str, Interval]
"""What each neuron of an input or population can send, by name: [1] or [neuron], with 0 in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What projections bring to one state of each neuron, and when."""

    into: State
    low: np.ndarray
    """Smallest sum in one step [state units], [neuron]; at most 0."""

    high: np.ndarray
    """Largest sum; at least 0."""

    first: int = 0
    """First step of the population in which something can arrive."""

    last: int = FOREVER
    """Last one."""

    @property
    def sums(self) -> Interval:
        """Any sum of one step."""
        return Interval(self.low, self.high)


def arrivals(
    program: Program, population: Population, payloads: Payloads, steps: int | None
) -> tuple[Arrival, ...]:
    """Return what arrives at a population, one entry per state and time span.

    Args:
        program: Its program.
        population: Where it arrives.
        payloads: What its sources send; of a source that is not in it, anything that it can send.
        steps: Steps of a sample; None: any number.
    """
    found: dict[tuple[State, int, int], Interval] = {}
    for projection in program.into(population.name):
        key = (program.entry(projection), *_span(program, population, projection, steps))
        brought = _brought(projection, _sent(program, projection.source, payloads))
        found[key] = found[key] + brought if key in found else brought
    return tuple(
        Arrival(into=into, low=sums.low, high=sums.high, first=first, last=last)
        for (into, first, last), sums in found.items()
    )


def _span(
    program: Program, population: Population, projection: Projection, steps: int | None
) -> tuple[int, int]:
    """Return the first and last step of the population in which a projection can bring anything."""
    if program.period > 1 or not projection.delay.size:
        return 0, FOREVER
    earliest, latest = int(projection.delay.min()), int(projection.delay.max())
    if projection.source in {entry.name for entry in program.inputs}:
        end = FOREVER if steps is None else steps - 1 + latest - population.lag
        return max(0, earliest - population.lag), end
    start = program.population(projection.source).lag + earliest - population.lag
    return max(0, start), FOREVER


def _sent(program: Program, source: str, payloads: Payloads) -> Interval:
    """Return what each neuron of a source can send: [neuron]."""
    size = next(node.size for node in program.nodes if node.name == source)
    if source in payloads:
        given = payloads[source]
        return Interval(np.broadcast_to(given.low, size), np.broadcast_to(given.high, size))
    low, high = program.payload_range(source)
    return Interval(np.full(size, min(low, 0)), np.full(size, max(high, 0)))


def _brought(projection: Projection, sent: Interval) -> Interval:
    """Return the sums of one step, shifted: no synapse brings anything, all the worst, or between.

    Exact: products and sums of whole numbers below 2**53 in float64, or else `BEYOND`.
    """
    linear = projection.map
    parts = (part for _, part in row_blocks(linear)) if isinstance(linear, Dense) else [linear]
    low, high = zip(*(_into(part, sent) for part in parts), strict=True)
    unit = 2.0**projection.shift
    return Interval(_whole(np.concatenate(low) * unit), _whole(np.concatenate(high) * unit))


def _into(linear: LinearMap, sent: Interval) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest sums that the payloads can make of one step."""
    weight = linear.numbers().astype(np.float64)
    plus = linear.with_numbers(np.maximum(weight, 0.0))
    minus = linear.with_numbers(np.minimum(weight, 0.0))
    most, least = sent.high.astype(np.float64), sent.low.astype(np.float64)
    high, low = _sums(plus, most), _sums(minus, most)
    if np.any(least):
        high, low = high + _sums(minus, least), low + _sums(plus, least)
    return low, high


def _sums(linear: LinearMap, payload: Float[np.ndarray, " pre"]) -> Float[np.ndarray, " post"]:
    return linear.apply(payload.reshape(linear.in_shape)).ravel()


def _whole(value: Float[np.ndarray, " post"]) -> np.ndarray:
    return np.clip(value, -float(BEYOND), float(BEYOND)).astype(np.int64)
