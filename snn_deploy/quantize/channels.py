"""A scale for each channel, or each neuron of a dense layer.

Thresholds, biases, resets and initial states are per neuron in a program, so each channel may have
its own state unit and needs nothing else for it: spikes have none. The exponents of the
projections are those of the whole layer.
"""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.maps import Shape
from snn_deploy.quantize.estimate import Choice, Terms
from snn_deploy.quantize.limits import LARGEST_SCALE, Limits
from snn_deploy.quantize.neurons import FACTOR_BITS
from snn_deploy.quantize.options import Objective
from snn_deploy.quantize.scale import NOTHING, PROOF_PRICE, kept_share
from snn_deploy.quantize.task import Task

Channels = Float[np.ndarray, " channel"]

STEPS = 24
"""Scales per octave that are tried for a channel."""

FINEST = 0.5
"""Smallest scale that is tried, in parts of the one at which nothing is clipped."""

COARSEST = 4.0
"""The largest; at 2 bits and many weights the best lies near 3."""

WHOLE = 256
"""Most steps of a weight for which scales that make the largest weight a whole number of them are
tried besides."""

FINE = 512
"""Steps of a threshold from which on it does not matter that it is rounded."""

SPREAD = 2.0**14
"""Largest ratio of two scales of a population: its `unit_factor` then keeps 16 bits."""


def channel_count(task: Task) -> int:
    """Return the channels of a population: as many as its projections tell apart."""
    return math.gcd(*(drive.rows for drive in task.drives)) if task.drives else 1


def channel_choice(task: Task, layer: Choice, most: int) -> Choice:
    """Return a choice with at most `most` different scales, or `layer` where that is better.

    Args:
        task: Its drives hold all rows.
        layer: The choice for the whole layer.
        most: Different scales that the target can have.
    """
    count = channel_count(task)
    if min(count, most) < 2:
        return layer
    terms, limits = Terms.of(task), Limits.of(task)
    caps = [cap.reshape(count, -1).min(axis=1) for cap in (limits.provable, limits.highest)]
    found: list[list[Choice]] = [[], []]
    for down in range(min(layer.exponents.values(), default=0) + 1):
        exponents = {name: exponent - down for name, exponent in layer.exponents.items()}
        tried = _candidates(task, layer, exponents, caps[1])
        errors = np.stack([terms.channels(scale, exponents) for scale in tried])
        for kept, cap in zip(found, caps, strict=True):
            kept.append(
                _best(
                    terms=terms,
                    exponents=exponents,
                    tried=tried,
                    errors=errors,
                    cap=cap,
                    most=most,
                )
            )
    proven, free = (min(each, key=lambda choice: choice.error) for each in found)
    safe = not task.allow_overflow and proven.error <= free.error * PROOF_PRICE + NOTHING
    best = proven if task.prove or safe else free
    searched = task.objective in (Objective.MSE, Objective.MEMBRANE, Objective.ACTIVITY)
    before = float(np.mean(terms.channels(np.full(count, float(layer.scale)), layer.exponents)))
    return layer if searched and before <= best.error else best


def _best(
    *,
    terms: Terms,
    exponents: Mapping[str, int],
    tried: Float[np.ndarray, "candidate channel"],
    errors: Float[np.ndarray, "candidate channel"],
    cap: Channels,
    most: int,
) -> Choice:
    """Return the best of the scales `tried` for each channel, none above `cap`."""
    below = np.where(tried <= cap, errors, np.inf)
    scale = tried[np.argmin(below, axis=0), np.arange(len(cap))]
    scale = np.minimum(scale, cap)
    if most < len(scale):
        scale = _grouped(terms, exponents, scale, cap, most)
    scale = _on_units(scale)
    error = float(np.mean(terms.channels(scale, exponents)))
    shape = terms.task.population.shape
    return Choice(scale=_spread(scale, shape), exponents=exponents, error=error)


def _candidates(
    task: Task, layer: Choice, exponents: Mapping[str, int], cap: Channels
) -> Float[np.ndarray, "candidate channel"]:
    """Return the scales to try for each channel, and next to each one that suits its threshold."""
    full = _full_scales(task, exponents, len(cap))
    full = np.where(full > LARGEST_SCALE, float(layer.scale), full)
    tried = np.minimum(full * _multiples(task)[:, None], cap)
    thresholds = np.abs(task.neurons(task.population.threshold)).reshape(len(cap), -1).max(axis=1)
    if not task.fires or not np.any(thresholds):
        return tried
    lattice = float(1 << task.target.thresholds.shift.value)
    if np.all(tried * thresholds > FINE * lattice):
        return tried
    wholes = np.maximum(1.0, np.floor(tried * thresholds / lattice)) * lattice
    with np.errstate(divide="ignore"):
        snapped = np.where(thresholds > 0, wholes / thresholds, tried)
    return np.concatenate([tried, np.where(snapped <= cap, snapped, tried)])


def _full_scales(task: Task, exponents: Mapping[str, int], count: int) -> Channels:
    """Return the scale of each channel at which its largest weight is the largest stored one."""
    full = np.full(count, np.inf)
    for drive in task.drives:
        share = kept_share(task, drive)
        unit = 2.0 ** (task.target.weights.shift.value + exponents[drive.name])
        full = np.minimum(full, drive.room.reshape(count, -1).min(axis=1) * unit / share)
    return full


def _multiples(task: Task) -> Float[np.ndarray, " candidate"]:
    """Return the candidates in parts of the scale at which nothing is clipped."""
    if task.objective in (Objective.MAX, Objective.PERCENTILE, Objective.SIGMA):
        return np.ones(1)
    octaves = math.log2(COARSEST / FINEST)
    plain = FINEST * 2.0 ** (np.arange(int(octaves * STEPS) + 1) / STEPS)
    steps = min(
        (max(d.stored.high, -d.stored.low) // d.stored.step for d in task.drives), default=1
    )
    wholes = np.arange(steps // 2 + 1, steps + 1) / steps if steps <= WHOLE else np.ones(1)
    return np.unique(np.concatenate([plain, wholes]))


def _grouped(
    terms: Terms, exponents: Mapping[str, int], scale: Channels, cap: Channels, most: int
) -> Channels:
    """Return `most` different scales: neighbours by size share one, the best for them together."""
    size = np.log2(scale)
    edges = np.linspace(size.min(), size.max(), most + 1)
    group = np.clip(np.searchsorted(edges, size, side="right") - 1, 0, most - 1)
    shared = scale.copy()
    for number in np.unique(group):
        own = group == number
        tried = np.unique(scale[own])
        tried = tried[np.linspace(0, len(tried) - 1, min(len(tried), STEPS)).round().astype(int)]
        tried = np.unique(np.minimum(tried, cap[own].min()))
        errors = [_shared_error(terms, exponents, shared, own, each) for each in tried]
        shared[own] = tried[int(np.argmin(errors))]
    return shared


def _shared_error(
    terms: Terms,
    exponents: Mapping[str, int],
    scale: Channels,
    own: Bool[np.ndarray, " channel"],
    each: float,
) -> float:
    return float(np.sum(terms.channels(np.where(own, each, scale), exponents)[own]))


def _on_units(scale: Channels) -> Channels:
    """Return scales that are a whole number of times smaller than one common large scale."""
    within = np.minimum(scale, scale.min() * SPREAD)
    finest = within.max() * 2.0**FACTOR_BITS
    return np.asarray(finest / np.rint(finest / within))


def _spread(scale: Channels, shape: Shape) -> Float[np.ndarray, "..."]:
    """Return a scale per channel in a shape that broadcasts to the neurons'."""
    if shape and shape[0] == len(scale):
        return scale.reshape(-1, *(1 for _ in shape[1:]))
    size = math.prod(shape)
    return np.array(per_neuron(np.repeat(scale, size // len(scale)).reshape(shape), shape))
