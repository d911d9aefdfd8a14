"""Histograms of weights before and after they became integers."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from snn_deploy.deploy.against import prepared
from snn_deploy.deploy.report.model import Histogram
from snn_deploy.ir.maps import Dense, LinearMap
from snn_deploy.ir.program import Program, Projection

if TYPE_CHECKING:
    from snn_deploy.deploy.deployment import Deployment

PROJECTIONS = 12
"""Projections that are shown."""

BINS = 48
"""Most bins of a histogram."""

COUNTED = 1_000_000
"""Most weights of a projection that are counted; of more, evenly spread ones are."""


def histograms(deployment: "Deployment") -> tuple[Histogram, ...]:
    """Return the weights of the first projections as trained and as stored.

    Of those that are one projection in both; one that was split behind relays is left out.
    """
    if deployment.nir is None:
        return ()
    units = {p["name"]: p["unit"] for layer in deployment.layers for p in layer["projections"]}
    trained = {p.name: p.map for p in prepared(deployment).projections}
    pairs = _pairs(deployment.program, trained, units)
    return tuple(one for one, _ in zip(pairs, range(PROJECTIONS), strict=False))


def _pairs(
    program: Program, trained: dict[str, LinearMap], units: dict[str, float | None]
) -> Iterator[Histogram]:
    for projection in program.projections:
        real, unit = trained.get(projection.name), units.get(projection.name)
        if real is None or not unit:
            continue
        if real.numbers().shape == projection.map.numbers().shape and real.numbers().size:
            yield _histogram(program, projection, real, unit)


def _histogram(program: Program, projection: Projection, real: LinearMap, unit: float) -> Histogram:
    """Return the weights of one projection; `unit` is the median real value of a step."""
    stored = projection.map.numbers()
    every = max(1, math.ceil(stored.size / COUNTED))
    steps = np.abs(stored.ravel()[::every]).astype(np.int64)
    spacing = max(1, int(np.gcd.reduce(steps)))
    before = real.numbers().ravel()[::every].astype(np.float64)
    after = (stored * _unit_of_each(program, projection, unit)).ravel()[::every]
    step = spacing * unit
    largest = float(max(np.abs(before).max(), np.abs(after).max(), step))
    width = step * max(1, math.ceil(2 * largest / step / BINS))
    half = math.ceil(largest / width) + 1
    low = -(half + 0.5) * width  # zero and all multiples of a step lie inside of bins
    edges = low + width * np.arange(2 * half + 2)
    counts = [np.histogram(weights, edges)[0] for weights in (before, after)]
    used = np.flatnonzero(counts[0] + counts[1])
    kept = slice(int(used[0]), int(used[-1]) + 1)
    return Histogram(
        projection=projection.name,
        low=low + kept.start * width,
        width=width,
        before=tuple(counts[0][kept].tolist()),
        after=tuple(counts[1][kept].tolist()),
        levels=int(np.unique(stored.ravel()[::every]).size),
        weights=int(stored.size),
        counted=int(steps.size),
    )


def _unit_of_each(
    program: Program, projection: Projection, unit: float
) -> Float64[np.ndarray, "..."]:
    """Return the real value of a stored weight of 1; broadcasts to the weights.

    Channels have units of their own in proportion to those of their membranes.
    """
    units = program.population(projection.target).units
    relative = units / np.median(units)
    linear = projection.map
    shape = linear.numbers().shape
    if relative.size == 1:
        return np.full(1, unit)
    if relative.ndim == 3 and relative.shape[1:] == (1, 1) and len(shape) == 4:
        return np.asarray(unit * relative.reshape(-1, 1, 1, 1), np.float64)
    population = program.population(projection.target)
    each = np.broadcast_to(relative, population.shape).ravel()
    if isinstance(linear, Dense):
        return np.asarray(unit * each[:, None], np.float64)
    triplets = linear.triplets()
    of_weight = np.ones(linear.numbers().size)
    of_weight[triplets.number] = each[triplets.post]
    return np.asarray(unit * of_weight.reshape(shape), np.float64)
