"""The NIR node that comes nearest to neurons, and what of them it cannot say."""

import nir
import numpy as np

from snn_deploy.ir.arrays import REAL
from snn_deploy.ir.network import Population
from snn_deploy.ir.neuron import Compare, Fires, ResetKind, State

SLOWEST = 1e9
"""Time constant, in steps, that stands for no leak beside neurons that have one."""


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
        below = np.nextafter(threshold.astype(np.float32), np.float32(-np.inf))
        threshold = below.astype(REAL)
    gain, reset = full(population.gain), np.zeros(shape)
    if population.reset.kind is ResetKind.VALUE:
        reset = full(population.reset.amount)
    firing = {"v_threshold": threshold, "v_reset": reset} if fires else {}
    plain = population.synapse is None
    if plain and _is_gate(population):
        return nir.Threshold(threshold=threshold)
    if plain and np.all(population.decay == 1):
        return (nir.IF if fires else nir.I)(r=gain / dt, **firing)
    tau, share = _leak(full(population.decay), dt)
    pull = sum((full(b.value) for b in population.biases if b.into is State.MEMBRANE), np.zeros(()))
    leaky = {"r": gain / share, "v_leak": np.array(np.broadcast_to(pull / share, shape)), **firing}
    if population.synapse is None:
        return (nir.LIF if fires else nir.LI)(tau=tau, **leaky)
    tau_syn, share = _leak(full(population.synapse.decay), dt)
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


def _leak(decay: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the time constant, and dt by it, of factors per step; those outside 0..1 are moved
    into it."""
    share = np.clip(1.0 - decay, 1.0 / SLOWEST, 1.0)
    return dt / share, share
