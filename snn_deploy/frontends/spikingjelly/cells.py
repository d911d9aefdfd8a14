"""The step of SpikingJelly's neurons as ours: what is charged, what is tested, what a spike takes.

Source: spikingjelly 2.0.0, `activation_based/functional/neuron.py` and `_ops/*/cpu.py`, run and
compared spike by spike. Each step computes, with q = 1 / tau and r = v_reset, or 0 without one:

    v = v + x                                            IFNode
    v = v + (x - (v - r)) * q                            LIFNode, ParametricLIFNode
    v = v - (v - r) * q + x                              the same, decay_input=False
    c = c * c_decay + x; v = v * v_decay + c             CUBALIFNode
    s = v >= v_threshold
    s = (v >= v_threshold) - (v <= -v_threshold)         TernaryIFNode, TernaryLIFNode
    s = round(clip(v / v_threshold, 0, D)), half to even ILIFNode, without a v_reset
    v = v_reset where s; v - v_threshold * s without one

A sample starts from what `functional.reset_net` sets. Both step modes compute the same; a
surrogate function shapes gradients only.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snn_deploy.errors import DynamicsError, UnknownNodeError
from snn_deploy.frontends.layers import Cell
from snn_deploy.frontends.registry import class_name, short_name
from snn_deploy.frontends.tensors import real_of, single_of
from snn_deploy.frontends.torch_file import full_name
from snn_deploy.ir.network import Reset
from snn_deploy.ir.neuron import Compare, ResetKind

PACKAGE = "spikingjelly"

Real = np.ndarray | np.floating[Any]
"""A parameter; numpy makes plain numbers of sums and products of arrays without axes."""

LEVELS = "MultiLevelSpikeCount"
"""Surrogate function of neurons that send several spikes a step."""

NOT_A_STEP = {
    LEVELS: "counts several spikes",
    "PoissonPass": "fires at random",
}
"""Surrogate functions whose forward is not `v >= v_threshold`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a step adds up to before the test: decay * v + gain * x + bias."""

    decay: Real
    gain: Real = field(default_factory=lambda: np.ones(()))
    bias: Real = field(default_factory=lambda: np.zeros(()))

    def times(self, factor: Real) -> "Charge":
        """Return a charge that ends `factor` times as high."""
        return Charge(decay=factor * self.decay, gain=factor * self.gain, bias=factor * self.bias)


def leak(layer: Any, share: Real) -> Charge:
    """Return a leak of `share` towards v_reset."""
    rest = np.zeros(()) if layer.v_reset is None else single_of(layer.v_reset)
    return Charge(
        decay=1.0 - share, gain=share if layer.decay_input else np.ones(()), bias=share * rest
    )


def leak_by_tau(name: str, layer: Any) -> Charge:
    """Return the leak of a time constant.

    Raises:
        DynamicsError: it is not positive.
    """
    return leak(layer, 1.0 / positive(name, "tau", single_of(layer.tau)))


def places(name: str, layer: Any, axis: int) -> UnknownNodeError:
    """Return the refusal of numbers along an axis that is no channel."""
    return UnknownNodeError(
        f"{short_name(layer)} with channel_dim={axis} has a number for each place, not channel",
        where=name,
        fix="use channel_dim=1, or count the axis from the end",
    )


def cell_of(
    name: str,
    layer: Any,
    charge: Charge,
    threshold: Real | None = None,
    amount: Real | None = None,
) -> Cell:
    """Return neurons that fire from `threshold` on, v_threshold if there is none, and are then
    set to v_reset or, without one, lose `amount`.

    Raises:
        UnknownNodeError: an option that changes what is computed.
    """
    check_surrogate(name, layer)
    return charged(name, layer, charge, threshold, amount)


def charged(
    name: str,
    layer: Any,
    charge: Charge,
    threshold: Real | None = None,
    amount: Real | None = None,
) -> Cell:
    """Return neurons as `cell_of` does, whatever their surrogate function gives forward.

    Raises:
        UnknownNodeError: an option that changes what is computed.
    """
    precision = getattr(layer, "_neuron_precision", None)
    if precision is not None:
        raise UnknownNodeError(
            f"{short_name(layer)} with a neuron precision of {precision!r} is not read",
            where=name,
            fix="convert the network back to full precision",
        )
    plain = single_of(layer.v_threshold)
    lost = plain if amount is None else np.asarray(amount)
    reset = Reset(kind=ResetKind.SUBTRACT, amount=lost)
    if layer.v_reset is not None:
        reset = Reset(kind=ResetKind.VALUE, amount=single_of(layer.v_reset))
    return Cell(
        decay=np.asarray(charge.decay),
        gain=np.asarray(charge.gain),
        bias=np.asarray(charge.bias),
        threshold=plain if threshold is None else np.asarray(threshold),
        compare=Compare.GREATER_EQUAL,
        reset=reset,
        initial=initial(name, layer, "v"),
    )


def check_surrogate(name: str, layer: Any) -> None:
    """Refuse a surrogate function whose forward is not a step.

    Raises:
        UnknownNodeError: with its class.
    """
    surrogate = layer.surrogate_function
    kind = short_name(surrogate)
    if kind in NOT_A_STEP:
        reason = NOT_A_STEP[kind]
    elif getattr(surrogate, "spiking", True) is False:
        reason = "is set to spiking=False, and gives no spikes"
    elif not is_home(surrogate) and full_name(surrogate) != (
        f"{PACKAGE}.activation_based.surrogate.heaviside"
    ):
        reason = "is not one of SpikingJelly's, and what it gives forward is not known"
    else:
        return
    raise UnknownNodeError(
        f"the surrogate function {kind} {reason}",
        where=f"{name}.surrogate_function",
        fix="set surrogate_function=surrogate.Sigmoid(), if its forward is a step at 0",
    )


def is_home(surrogate: Any) -> bool:
    """Return whether a surrogate function is one of SpikingJelly's."""
    return class_name(surrogate).partition(".")[0] == PACKAGE


def initial(name: str, layer: Any, state: str) -> np.ndarray:
    """Return what a state is reset to before a sample.

    Raises:
        UnknownNodeError: a tensor, which counts only for samples of its own shape.
    """
    value = layer._memories_rv[state]
    if not isinstance(value, int | float):
        raise UnknownNodeError(
            f"{short_name(layer)} whose state {state} is reset to a tensor is not read",
            where=name,
            fix=f"set_reset_value({state!r}, a number)",
        )
    return single_of(value)


def positive(name: str, parameter: str, value: Real) -> Real:
    """Return a parameter by which something is divided.

    Raises:
        DynamicsError: it is not positive.
    """
    if not np.all(value > 0):
        raise DynamicsError(
            f"{parameter} is {np.min(value):g}, but it must be positive",
            where=f"{name}.{parameter}",
        )
    return value


def sigmoid(w: Any) -> np.ndarray:
    """Return the logistic function as torch has it in float32: an ulp off the nearest number now
    and then, so a live tensor is given to torch, and a recorded one gets the nearest number."""
    detach = getattr(w, "detach", None)
    if detach is not None:
        return real_of(detach().float().sigmoid())
    return single_of(1.0 / (1.0 + np.exp(-real_of(w))))
