"""Three rules that others quantize by, on the same integers and the same chip as ours.

Each takes one number c per layer from the weights into it; c becomes the largest stored number,
what is larger is clipped, all rounds to nearest. The threshold follows with the weights' scale.
"""

from dataclasses import replace
from enum import Enum

import numpy as np

from snn_deploy.ir.program import Binary, Population, Program, Projection
from snn_deploy.quantize import Options
from snn_deploy.quantize.rounding import bias_grid, on_grid, round_weights, weight_range, whole
from snn_deploy.quantize.torch_halves import Halves


class Rule(Enum):
    """What of a layer's weights becomes the largest stored number."""

    MAX = "max-abs"
    """The largest by size."""

    SIGMA = "2 sigma"
    """Two standard deviations: rockpool's "fuzzy" scaling."""

    PERCENTILE = "99th percentile"
    """The 99th percentile of their sizes: ml_genn_netx."""

    def clip(self, weight: np.ndarray) -> float:
        """Return that number."""
        if self is Rule.MAX:
            return float(np.abs(weight).max())
        if self is Rule.SIGMA:
            return 2 * float(weight.std())
        return float(np.percentile(np.abs(weight), 99))


def quantized(start: Halves, rule: Rule, bits: int) -> Program:
    """Return the network of `start` by a rule, before the chip's delays."""
    populations, projections = [], []
    for population in start.program.populations:
        into = start.program.into(population.name)
        scale = _scale(start, into, rule, bits)
        populations.append(_scaled(start, population, scale))
        projections += [_rounded(start, p, scale, bits) for p in into]
    order = [p.name for p in start.program.projections]
    projections.sort(key=lambda p: order.index(p.name))
    return replace(start.program, populations=tuple(populations), projections=tuple(projections))


def _real(start: Halves, projection: Projection) -> np.ndarray:
    """Return the trained weights of a projection, per payload of 1."""
    units = {entry.name: float(entry.unit) for entry in start.program.inputs}
    trained = next(p for p in start.network.projections if p.name == projection.name)
    return trained.map.numbers() * units.get(projection.source, 1.0)


def _scale(start: Halves, into: tuple[Projection, ...], rule: Rule, bits: int) -> float:
    """Return state units per real unit."""
    target = start.target
    clip = rule.clip(np.concatenate([_real(start, p).ravel() for p in into]))
    high = min(weight_range(target, p.sign, bits).high or 2**7 for p in into)
    return high * 2.0**target.weights.shift.value / clip


def _rounded(start: Halves, projection: Projection, scale: float, bits: int) -> Projection:
    shift = start.target.weights.shift.value
    stored = weight_range(start.target, projection.sign, bits)
    numbers, _ = round_weights(_real(start, projection), scale / 2.0**shift, stored)
    return replace(projection, map=projection.map.with_numbers(whole(numbers)), shift=shift)


def _scaled(start: Halves, population: Population, scale: float) -> Population:
    """Return neurons whose numbers, real ones at first, stand on another scale."""
    target = start.target
    trained = start.network.population(population.name)
    lattice = 1 << target.thresholds.shift.value
    threshold = np.asarray(target.highest_threshold)
    if np.any(population.threshold != threshold):
        most = target.highest_threshold
        threshold = on_grid(np.asarray(trained.threshold * scale), lattice).clip(lattice, most)
    biases = []
    for bias, real in zip(population.biases, trained.biases, strict=True):
        value = np.asarray(real.value * scale)
        grid = bias_grid(target, float(np.abs(value).max()), lowered=True)
        biases.append(replace(bias, value=whole(on_grid(value, grid))))
    amount = np.asarray(trained.reset.amount * scale)
    initial = np.asarray(trained.initial * scale)
    return replace(
        population,
        threshold=whole(np.asarray(threshold, np.float64)),
        biases=tuple(biases),
        reset=replace(population.reset, amount=whole(on_grid(amount, 1))),
        initial=whole(on_grid(initial, 1)),
        unit=Binary.of(1 / scale),
        unit_factor=np.ones((), np.int32),
    )


PLAIN = Options(search=False)
"""Of the program whose numbers the rules replace."""
