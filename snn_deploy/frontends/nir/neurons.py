"""NIR's neuron equations as difference equations: a node and its `Dynamics` give a `Population`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import nir
import numpy as np
from jaxtyping import Float

from snn_deploy.errors import DynamicsError
from snn_deploy.frontends.dynamics import Dynamics, Gain, Integration
from snn_deploy.frontends.nir.nodes import SPIKING, node_type, stored_fields
from snn_deploy.ir.arrays import REAL
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Bias, Floor, Population, Reset, Synapse
from snn_deploy.ir.neuron import Fires, ResetKind

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
    parameters = {
        field: np.broadcast_to(np.asarray(value).astype(REAL), shape)
        for field, value in stored_fields(node)
    }
    given = _Given(name=name, kind=node_type(node), parameters=parameters, dynamics=dynamics, dt=dt)
    membrane = given.membrane()
    leak = parameters.get("v_leak", np.zeros(shape))
    pull = membrane.share * leak
    neurons = Population(
        name=name,
        shape=shape,
        decay=compact(membrane.decay, shape),
        gain=compact(membrane.gain, shape),
        synapse=given.synapse(shape),
        fires=Fires.NEVER,
        biases=(Bias(value=compact(pull, shape)),) if np.any(pull) else (),
        initial=compact(leak if given.leaks() else parameters.get("v_reset", leak), shape),
    )
    return _firing(neurons, parameters, dynamics) if isinstance(node, SPIKING) else neurons


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What one step does to a state."""

    decay: Values
    share: Values
    """1 - decay, or dt where nothing leaks: what a constant input adds."""

    gain: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A neuron node's parameters in float64 at full size, and how they are meant."""

    name: str
    kind: str
    parameters: Mapping[str, Values]
    dynamics: Dynamics
    dt: float

    def leaks(self) -> bool:
        return "v_leak" in self.parameters

    def membrane(self) -> _Step:
        if self.kind == "Threshold":
            ones = np.ones_like(self.parameters["threshold"])
            return _Step(decay=0 * ones, share=ones, gain=ones)
        r, how = self.parameters["r"], self.dynamics.membrane_gain.value
        if not self.leaks():
            dt = np.full_like(r, self.dt)
            return _Step(
                decay=np.ones_like(r), share=dt, gain=_gain(how, r, np.ones_like(r), dt, dt)
            )
        return self._leak("tau" if "tau" in self.parameters else "tau_mem", r, how)

    def synapse(self, shape: Shape) -> Synapse | None:
        if "tau_syn" not in self.parameters:
            return None
        how = self.dynamics.current_gain.value
        step = self._leak("tau_syn", self.parameters["w_in"], how)
        return Synapse(decay=compact(step.decay, shape), gain=compact(step.gain, shape))

    def _leak(self, field: str, parameter: Values, how: Gain) -> _Step:
        """Return the step of a state with a time constant, and the gain on `parameter`."""
        tau = self.parameters[field]
        ratio = self.dt / tau
        if self.dynamics.integration.value is Integration.EXPONENTIAL:
            decay, share = np.exp(-ratio), -np.expm1(-ratio)
        else:
            _check_step(self.dt, tau, f"{self.name}.{field}")
            share = np.minimum(ratio, 1.0)
            decay = 1.0 - share
        return _Step(decay=decay, share=share, gain=_gain(how, parameter, decay, share, ratio))


def _check_step(dt: float, tau: Values, where: str) -> None:
    """Refuse an explicit step that is longer than a time constant.

    Raises:
        DynamicsError: with the first neuron that has one.
    """
    wrong = np.argwhere(dt / tau > 1 + ROUNDING)
    if len(wrong):
        first = tuple(int(i) for i in wrong[0])
        raise DynamicsError(
            f"a step of {dt:g} is longer than the time constant {tau[first]:g}",
            where=f"{where}{list(first)}, first of {len(wrong)}",
            fix=f"state the step that it was trained with, such as --dt {tau[first] / 10:.1g} "
            "(norse 1.1.0 writes time constants 1000 times too small: --dt 1e-6)",
        )


def _gain(how: Gain, parameter: Values, decay: Values, share: Values, ratio: Values) -> Values:
    """Return the factor on an input; `Gain` gives the formulas.

    A factor that float32 rounding of r = tau / dt keeps from 1 is 1: that is what the framework
    computed with, and neurons that are equal stay equal.
    """
    gain = np.ones_like(parameter)
    if how is Gain.INTEGRATED:
        gain = share * parameter
    elif how is Gain.UNSCALED:
        gain = parameter
    elif how is Gain.DECAYED:
        gain = decay * parameter
    elif how is Gain.IMPULSE:
        gain = ratio * parameter / decay
    return np.where(np.abs(gain - 1) < ROUNDING, 1.0, gain)


def _firing(
    neurons: Population, parameters: Mapping[str, Values], dynamics: Dynamics
) -> Population:
    firing = dynamics.firing
    assert firing is not None, "decide gives every spiking node a Firing"
    is_gate = "threshold" in parameters
    threshold = parameters["threshold" if is_gate else "v_threshold"]
    kind = ResetKind.NONE if is_gate else firing.reset.value.kind
    amount = np.zeros(())
    if kind is not ResetKind.NONE:
        amount = threshold if kind is ResetKind.SUBTRACT else parameters["v_reset"]
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
