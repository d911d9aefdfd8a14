"""NIR's neuron equations as difference equations: a node and its `Dynamics` give a `Population`."""

from collections.abc import Iterable
from dataclasses import replace

import nir
import numpy as np
from jaxtyping import Float

from snn_deploy.errors import DynamicsError
from snn_deploy.frontends.dynamics import Dynamics, Gain, Integration
from snn_deploy.frontends.nir_nodes import SPIKING
from snn_deploy.ir.arrays import REAL
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Bias, Floor, Population, Reset, Synapse
from snn_deploy.ir.neuron import Fires, ResetKind, State

Values = Float[np.ndarray, "..."]

ROUNDING = 1e-6
"""Relative difference that the float32 numbers in files explain. A dt that exceeds a time constant
by less gives a decay of 0."""


def population_of(
    name: str, node: nir.NIRNode, shape: Shape, dynamics: Dynamics, dt: float
) -> Population:
    """Return the neurons of a node, without what projections bring.

    Euler or exponential decay per time constant. The membrane starts at `v_leak`, without a leak
    at `v_reset`; the current at 0. The leak towards `v_leak` is a bias.

    Raises:
        DynamicsError: a step is longer than a time constant, or a multi-spike neuron has a
            threshold that is not positive.
    """
    decay, share, ratio = _membrane_decay(name, node, dynamics, dt)
    leak = _real(node.v_leak) if _leaks(node) else np.zeros(())
    gain = (
        np.ones(())
        if isinstance(node, nir.Threshold)
        else _gain(dynamics.membrane_gain.value, _real(node.r), decay, share, ratio)
    )
    pull = share * leak
    biases = (Bias(value=compact(pull, shape)),) if np.any(pull) else ()
    neurons = Population(
        name=name,
        shape=shape,
        decay=compact(decay, shape),
        gain=compact(gain, shape),
        synapse=_synapse(name, node, shape, dynamics, dt),
        fires=Fires.NEVER,
        biases=biases,
        initial=compact(_initial(node), shape),
    )
    return _firing(neurons, node, dynamics)


def _initial(node: nir.NIRNode) -> Values:
    """Return the membrane before the first step: at rest, or where a reset leaves it."""
    if _leaks(node):
        return _real(node.v_leak)
    return _real(node.v_reset) if isinstance(node, nir.IF) else np.zeros(())


def _leaks(node: nir.NIRNode) -> bool:
    return isinstance(node, nir.LI | nir.LIF | nir.CubaLI | nir.CubaLIF)


def _membrane_decay(
    name: str, node: nir.NIRNode, dynamics: Dynamics, dt: float
) -> tuple[Values, Values, Values]:
    """Return the decay of a step, what a constant input leaves behind, and dt / tau."""
    if isinstance(node, nir.Threshold):
        return np.zeros(()), np.ones(()), np.ones(())
    if not _leaks(node):
        return np.ones(()), np.full((), dt), np.full((), dt)
    field = "tau" if isinstance(node, nir.LI | nir.LIF) else "tau_mem"
    tau = _real(getattr(node, field))
    decay, share = _decay(tau, dt, dynamics.integration.value, f"{name}.{field}")
    return decay, share, dt / tau


def _decay(tau: Values, dt: float, how: Integration, where: str) -> tuple[Values, Values]:
    """Return (decay, 1 - decay) of one step."""
    ratio = dt / tau
    if how is Integration.EXPONENTIAL:
        return np.exp(-ratio), -np.expm1(-ratio)
    if np.any(ratio > 1 + ROUNDING):
        first = tuple(int(i) for i in np.argwhere(ratio > 1 + ROUNDING)[0])
        raise DynamicsError(
            f"a step of {dt:g} is longer than the time constant {tau[first]:g}",
            where=f"{where}{list(first)}",
            fix="state the step that the network was trained with: --dt "
            f"{float(f'{tau[first] / 10:.1g}'):g}, say "
            "(norse 1.1.0 writes time constants 1000 times too small: --dt 1e-6)",
        )
    ratio = np.minimum(ratio, 1.0)
    return 1.0 - ratio, ratio


def _gain(how: Gain, parameter: Values, decay: Values, share: Values, ratio: Values) -> Values:
    """Return the factor on an input; `Gain` gives the formulas.

    A factor that float32 rounding of r = tau / dt keeps from 1 is 1: that is what the framework
    computed with, and neurons that are equal stay equal.
    """
    gain = np.ones(())
    if how is Gain.INTEGRATED:
        gain = share * parameter
    elif how is Gain.UNSCALED:
        gain = parameter
    elif how is Gain.DECAYED:
        gain = decay * parameter
    elif how is Gain.IMPULSE:
        gain = ratio * parameter / decay
    return np.where(np.abs(gain - 1) < ROUNDING, 1.0, gain)


def _synapse(
    name: str, node: nir.NIRNode, shape: Shape, dynamics: Dynamics, dt: float
) -> Synapse | None:
    if not isinstance(node, nir.CubaLI | nir.CubaLIF):
        return None
    tau = _real(node.tau_syn)
    decay, share = _decay(tau, dt, dynamics.integration.value, f"{name}.tau_syn")
    gain = _gain(dynamics.current_gain.value, _real(node.w_in), decay, share, dt / tau)
    return Synapse(decay=compact(decay, shape), gain=compact(gain, shape))


def _firing(neurons: Population, node: nir.NIRNode, dynamics: Dynamics) -> Population:
    firing = dynamics.firing
    if firing is None or not isinstance(node, SPIKING):
        return neurons
    is_gate = isinstance(node, nir.Threshold)
    threshold = _real(node.threshold if is_gate else node.v_threshold)
    if firing.fires.value is Fires.COUNT and np.any(threshold <= 0):
        raise DynamicsError(
            f"a threshold of {threshold.min():g}, but a neuron that sends several spikes a step "
            "needs a positive one",
            where=f"{neurons.name}.v_threshold",
        )
    kind = ResetKind.NONE if is_gate else firing.reset.value.kind
    amount = np.zeros(())
    if kind is not ResetKind.NONE:
        amount = threshold if kind is ResetKind.SUBTRACT else _real(node.v_reset)
    floor = firing.floor.value
    shape = neurons.shape
    return replace(
        neurons,
        fires=firing.fires.value,
        threshold=compact(threshold, shape),
        compare=firing.compare.value,
        max_spikes=firing.max_spikes.value,
        reset=Reset(kind=kind, amount=compact(amount, shape), when=firing.reset.value.when),
        floor=None if floor is None else Floor(value=np.asarray(floor, REAL)),
    )


def with_biases(neurons: Population, added: Iterable[tuple[int, Values]]) -> Population:
    """Return the population with more biases: (first step, sum that arrives).

    A sum broadcasts to the population's shape. Each enters where projections enter, times the
    gain there; those of one start become one.
    """
    synapse = neurons.synapse
    into = State.MEMBRANE if synapse is None else State.CURRENT
    gain = neurons.gain if synapse is None else synapse.gain
    sums: dict[tuple[State, int], Values] = {}
    for bias in neurons.biases:
        sums[bias.into, bias.start] = np.asarray(bias.value)
    for start, value in added:
        sums[into, start] = sums.get((into, start), np.zeros(())) + gain * value
    biases = tuple(
        Bias(value=compact(sums[key], neurons.shape), into=key[0], start=key[1])
        for key in sorted(sums, key=lambda key: (key[1], key[0].value))
        if np.any(sums[key])
    )
    return replace(neurons, biases=biases)


def compact(values: Values, shape: Shape) -> Values:
    """Return a parameter as one number, one per channel ([C, 1, ...]) or one per neuron.

    The form with the fewest numbers that broadcasts to `shape` and loses nothing.
    """
    full = np.broadcast_to(np.asarray(values, REAL), shape)
    if full.size and np.all(full == full.flat[0]):
        return np.asarray(full.flat[0])
    if full.ndim > 1:
        first = full[(slice(None), *(slice(0, 1) for _ in shape[1:]))]
        if np.all(full == first):
            return np.array(first)
    return np.array(full)


def _real(values: np.ndarray) -> Values:
    return np.asarray(values).astype(REAL)
