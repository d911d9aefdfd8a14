"""Projections in parts, for delays of single weights; and neurons in the order of a plan."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snn_deploy.ir.maps import Convolution, LinearMap, Sparse
from snn_deploy.ir.program import Population, Program, Projection


@dataclass(frozen=True, slots=True)
class Part:
    """A map of which all synapses, or all of one source, have the same delay."""

    linear: LinearMap
    delay: np.ndarray
    """One number, or one per source."""


def parts_of(projection: Projection, linear: LinearMap) -> Iterator[Part]:
    """Yield the parts of a projection; more than one only for delays per weight.

    Args:
        projection: Its delays.
        linear: Its map, or one with other numbers.
    """
    delay = projection.delay
    if delay.ndim == 0 or delay.shape == (linear.in_size,):
        yield Part(linear, delay)
        return
    for steps in np.unique(delay):
        mask = delay == steps
        if isinstance(linear, Convolution):
            part: LinearMap = linear.with_numbers(linear.numbers() * mask)
        else:
            part = _selected(linear, mask)
        yield Part(part, np.asarray(steps))


def _selected(linear: LinearMap, mask: np.ndarray) -> Sparse:
    """Return the synapses whose stored weight is within `mask`."""
    triplets = linear.triplets()
    kept = mask.ravel()[triplets.number]
    return Sparse(
        post=triplets.post[kept],
        pre=triplets.pre[kept],
        weight=linear.numbers().ravel()[triplets.number[kept]],
        post_shape=linear.out_shape,
        pre_shape=linear.in_shape,
    )


def place_of(program: Program, population: Population) -> np.ndarray:
    """Return the population's neurons in the order that a plan gives them.

    Channels last where convolutions of one shape drive it, so that an event adds contiguous rows.
    """
    neurons = np.arange(population.size)
    maps = [p.map for p in program.into(population.name)]
    shapes = {linear.out_shape for linear in maps if isinstance(linear, Convolution)}
    if len(shapes) != 1:
        return neurons
    return neurons.reshape(shapes.pop()).transpose(1, 2, 0).ravel()
