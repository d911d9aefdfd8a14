"""The NIR node that comes nearest to neurons, and the numbers that NIR's nodes take."""

import nir
import numpy as np
from jaxtyping import Float

from snn_deploy.ir.arrays import REAL
from snn_deploy.ir.network import Population
from snn_deploy.ir.neuron import Compare, Fires, ResetKind, State

Values = Float[np.ndarray, "..."]

SLOWEST = 2.0**56
"""Time constant, in steps, that stands for no leak beside neurons that have one: the factor of a
step is then 1 in float64 too, and a power of two loses nothing of the gain."""


def nearest_node(population: Population, dt: float) -> nir.NIRNode:
    """Return the NIR node whose Euler steps of `dt` come nearest to what the neurons compute.

    NIR fires above the threshold only; the next smaller float32 number stands for one that fires
    at the threshold.
    """
    shape = population.shape

    def full(parameter: np.ndarray) -> np.ndarray:
        return np.array(np.broadcast_to(parameter, shape), REAL)

    fires = population.fires in (Fires.BINARY, Fires.COUNT)
    threshold = full(population.threshold)
    if fires and population.compare is Compare.GREATER_EQUAL:
        threshold = next_smaller(threshold)
    gain, reset = full(population.gain), np.zeros(shape)
    if population.reset.kind is ResetKind.VALUE:
        reset = full(population.reset.amount)
    firing = {"v_threshold": threshold, "v_reset": reset} if fires else {}
    plain = population.synapse is None
    if plain and _is_gate(population):
        return nir.Threshold(threshold=threshold)
    if plain and np.all(population.decay == 1):
        return (nir.IF if fires else nir.I)(r=gain / dt, **firing)
    tau, share = time_constant(full(population.decay), dt)
    pull = sum((full(b.value) for b in population.biases if b.into is State.MEMBRANE), np.zeros(()))
    leaky = {"r": gain / share, "v_leak": np.array(np.broadcast_to(pull / share, shape)), **firing}
    if population.synapse is None:
        return (nir.LIF if fires else nir.LI)(tau=tau, **leaky)
    tau_syn, share = time_constant(full(population.synapse.decay), dt)
    w_in = full(population.synapse.gain) / share
    make = nir.CubaLIF if fires else nir.CubaLI
    return make(tau_syn=tau_syn, tau_mem=tau, w_in=w_in, **leaky)


def _is_gate(population: Population) -> bool:
    """Return whether the neurons keep nothing: NIR's Threshold."""
    return bool(
        population.fires is Fires.BINARY
        and not np.any(population.decay)
        and np.all(population.gain == 1)
        and population.reset.kind is ResetKind.NONE
        and population.floor is None
        and not population.biases
    )


def next_smaller(threshold: Values) -> Values:
    """Return the next smaller float32 numbers: above them is at the threshold, or over it."""
    return np.nextafter(threshold.astype(np.float32), np.float32(-np.inf)).astype(REAL)


def time_constant(decay: Values, dt: float) -> tuple[Values, Values]:
    """Return the time constants of factors per step, and what a step of `dt` makes of them.

    Of the float64 numbers next to dt / (1 - decay), that which gives the factor back best. A
    factor outside 0..1 is moved into it.

    Returns:
        tau, and dt / tau as a reader computes it.
    """
    share = np.clip(1.0 - decay, 1.0 / SLOWEST, 1.0)
    middle = dt / share
    near = np.stack([middle, np.nextafter(middle, np.inf), np.nextafter(middle, 0.0)])
    read = np.minimum(dt / near, 1.0)
    best = np.argmin(np.abs(read - share), axis=0)[None]
    return (
        np.take_along_axis(near, best, axis=0)[0],
        np.take_along_axis(read, best, axis=0)[0],
    )
