"""snnTorch's neurons, read by their attributes: the updates that version 1.0.0 computes.

All of them compare by `mem - threshold > 0`, start from zero and clamp their decays to [0, 1].
Before each step they look whether the membrane of the step before lies above the threshold; that
is the delayed reset. How a spike is differentiated (`spike_grad`) changes no spike.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

from snn_deploy.errors import DynamicsError, UnknownNodeError
from snn_deploy.frontends.layers import Cell, Layer, LayerGraph, Parameter, Scale
from snn_deploy.frontends.registry import Frontend, frontend_of, is_home, short_name
from snn_deploy.frontends.tensors import array_of, expect, real_of, single_of
from snn_deploy.frontends.torch_file import full_name
from snn_deploy.frontends.torch_layers import convolution, linear
from snn_deploy.ir.network import Reset, Synapse
from snn_deploy.ir.neuron import Reads, ResetKind, When


class _Mechanism(Enum):
    """What a spike does to the membrane; the values are those of `reset_mechanism_val`."""

    SUBTRACT = 0
    ZERO = 1
    NONE = 2


_COMPUTES = {
    "_base_sub": _Mechanism.SUBTRACT,
    "_base_zero": _Mechanism.ZERO,
    "_base_int": _Mechanism.NONE,
}
"""What the method does that a layer chose when it was made."""


def _leaky(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """U = beta * U + x; a reset to zero acts before the leak, so that no input is dropped."""
    decay = _decay(layer, layer.beta)
    return _neurons(graph, name, layer, source, decay=decay, zero=When.NOW)


def _leaky_recurrent(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """U = beta * U + x + recurrent(spikes of the step before)"""
    sent = _neurons(graph, name, layer, source, decay=_decay(layer, layer.beta))
    return _fed_back(graph, name, layer, sent)


def _synaptic(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """I = alpha * I + x; U = beta * U + I"""
    synapse = Synapse(decay=_decay(layer, layer.alpha))
    decay = _decay(layer, layer.beta)
    return _neurons(graph, name, layer, source, decay=decay, synapse=synapse)


def _synaptic_recurrent(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """I = alpha * I + x + recurrent(spikes of the step before); U = beta * U + I"""
    # Version 1.0.0 divides an argument that it does not have, and drops what it computes of it.
    expect(name, layer, short_name(layer), reset_delay=True)
    return _fed_back(graph, name, layer, _synaptic(graph, name, layer, source))


def _lapicque(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """U = x * R * (1 / (R * C)) * step + (1 - step / (R * C)) * U; `beta` has no part in it"""
    resistance, capacitance, step = (
        array_of(value).astype(np.float32) for value in (layer.R, layer.C, layer.time_step)
    )
    time = resistance * capacitance
    gain = np.asarray(real_of(resistance) * real_of(1 / time) * real_of(step))
    return _neurons(graph, name, layer, source, decay=real_of(1 - step / time), gain=gain)


def _alpha(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """E = alpha * E + x; I = beta * I - x; U = tau * (E + I)

    The same as E = alpha * E + x; U = beta * U + tau * (alpha - beta) * (E before this step).

    Raises:
        UnknownNodeError: a spike resets it, and with it the synaptic currents.
    """
    mechanism = _mechanism(name, layer)
    if mechanism is not _Mechanism.NONE:
        raise UnknownNodeError(
            f"Alpha with reset_mechanism={mechanism.name.lower()!r} is not read: a spike changes "
            "its synaptic currents as well",
            where=name,
            fix="use reset_mechanism='none', or Synaptic",
        )
    alpha, beta = _decay(layer, layer.alpha), _decay(layer, layer.beta)
    with np.errstate(divide="ignore"):  # a decay of 0 has a logarithm of -infinity
        logs = np.log(alpha.astype(np.float32)), np.log(beta.astype(np.float32))
    tau = real_of(logs[0] / (logs[1] - logs[0]) + 1)
    synapse = Synapse(decay=alpha, reads=Reads.OLD)
    gain = np.asarray(tau * (alpha - beta))
    return _neurons(graph, name, layer, source, decay=beta, gain=gain, synapse=synapse)


def _graded_spikes(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """y = weights * x, one weight per row of the last two axes"""
    return graph.add(name, Scale(factor=real_of(layer.weights)), source)


def _neurons(
    graph: LayerGraph,
    name: str,
    layer: Any,
    source: str,
    *,
    decay: Parameter,
    gain: Parameter | None = None,
    synapse: Synapse | None = None,
    zero: When = When.NEXT,
) -> str:
    """Add the neurons of a layer and, where its spikes are graded, their factor.

    Args:
        zero: When a delayed reset to zero acts.
    """
    _check(name, layer)
    threshold = _number(layer, layer.threshold)
    reset = _reset(name, layer, threshold, zero)
    cell = Cell(
        decay=decay,
        gain=np.ones(()) if gain is None else gain,
        synapse=synapse,
        threshold=threshold,
        reset=reset,
    )
    sent = graph.add(name, cell, source)
    factor = _number(layer, layer.graded_spikes_factor)
    if np.all(factor == 1):
        return sent
    return graph.add(f"{name}.graded", Scale(factor=factor), sent)


def _check(name: str, layer: Any) -> None:
    """Refuse what a neuron of ours does not compute.

    Raises:
        UnknownNodeError: an option that is not read.
        DynamicsError: spikes without a size where the reset divides by it.
    """
    kind = short_name(layer)
    expect(name, layer, kind, inhibition=False)
    if layer.state_quant:
        raise UnknownNodeError(
            f"{kind} with state_quant is not read: its states are rounded while it is trained",
            where=name,
            fix="use state_quant=False: the target has its own state widths",
        )
    if not (layer.surrogate_disable or _is_step(layer.spike_grad)):
        raise UnknownNodeError(
            f"{kind} with a spike_grad of your own is not read: it may fire otherwise",
            where=name,
            fix="train with it, then set spike_grad=snntorch.surrogate.heaviside()",
        )
    if not _delayed(layer) and np.any(real_of(layer.graded_spikes_factor) == 0):
        raise DynamicsError(
            "a graded_spikes_factor of 0 makes the membrane 0 / 0 without reset_delay",
            where=name,
            fix="use reset_delay=True",
        )


def _is_step(function: Any) -> bool:
    """Return whether a spike function is of snnTorch: the forward of all of them is x > 0."""
    owner = getattr(function, "__self__", None)
    return any(full_name(given).startswith("snntorch.") for given in (function, owner))


def _delayed(layer: Any) -> bool:
    """Return whether a reset waits for the next step; Lapicque and Alpha always do."""
    return bool(getattr(layer, "reset_delay", True))


def _mechanism(name: str, layer: Any) -> _Mechanism:
    """Return what a spike does.

    Raises:
        UnknownNodeError: the layer computes another reset than it names, or names none.
    """
    number = array_of(layer.reset_mechanism_val)
    if number.ndim or number not in [known.value for known in _Mechanism]:
        raise UnknownNodeError(
            f"reset_mechanism_val is {number}, which names no reset",
            where=name,
            fix=f"one of {', '.join(f'{m.value} ({m.name.lower()})' for m in _Mechanism)}",
        )
    named = _Mechanism(int(number))
    method = getattr(getattr(layer, "state_function", None), "__name__", "")
    computed = _COMPUTES.get(method, named)
    if computed is not named:
        raise UnknownNodeError(
            f"the layer was made with reset_mechanism={computed.name.lower()!r} and computes it "
            f"still, but says {named.name.lower()!r} since",
            where=name,
            fix=f"make it with reset_mechanism={named.name.lower()!r}, or set it back",
        )
    return named


def _reset(name: str, layer: Any, threshold: Parameter, zero: When) -> Reset:
    """Return what a spike does to the membrane, and when.

    Raises:
        UnknownNodeError: the layer computes another reset than it names.
        DynamicsError: a threshold below zero resets without a spike.
    """
    mechanism, delayed = _mechanism(name, layer), _delayed(layer)
    if mechanism is _Mechanism.NONE:
        return Reset()
    if np.any(threshold < 0):
        raise DynamicsError(
            f"a threshold of {threshold.min():g}: below zero, snnTorch resets neurons that have "
            "not fired",
            where=f"{name}.threshold",
            fix="use thresholds from 0 on, or reset_mechanism='none'",
        )
    if mechanism is _Mechanism.ZERO:
        return Reset(kind=ResetKind.VALUE, when=zero if delayed else When.NOW)
    when = When.NEXT if delayed else When.RETESTED
    return Reset(kind=ResetKind.SUBTRACT, amount=threshold, when=when)


def _fed_back(graph: LayerGraph, name: str, layer: Any, sent: str) -> str:
    """Feed what neurons send back to them, one step later; return what they send.

    The bias of the recurrent connections acts from the first step on.

    Raises:
        UnknownNodeError: they are not snnTorch's own.
    """
    recurrent, where = layer.recurrent, f"{name}.recurrent"
    kind = short_name(recurrent)
    known: dict[str, Callable[[], Layer]] = {
        "Linear": lambda: linear(where, recurrent),
        "Conv2d": lambda: convolution(where, recurrent),
        "RecurrentOneToOne": lambda: Scale(factor=_number(layer, recurrent.V)),
    }
    home = frontend_of(recurrent)
    if kind not in known or home is None or not is_home(home, recurrent):
        raise UnknownNodeError(
            f"recurrent connections of class {kind} are not read",
            where=where,
            fix=f"known are {', '.join(known)}",
        )
    graph.feed_back(graph.add(where, known[kind](), sent), name)
    return sent


def _decay(layer: Any, value: Any) -> Parameter:
    """Return a decay as the forward pass clamps it."""
    return np.asarray(np.clip(_number(layer, value), 0, 1))


def _number(layer: Any, value: Any) -> Parameter:
    """Return a parameter as the arithmetic of the layer sees it.

    A scalar in float64, which torch makes of numpy's numbers, does not widen float32 states.
    """
    scalar = array_of(value).ndim == 0
    wide = array_of(layer.mem).dtype == np.float64
    return single_of(value) if scalar and not wide else real_of(value)


_WHOLE_SEQUENCE = "it takes all steps of a sequence at once, and its spikes reset nothing"

FRONTEND = Frontend(
    name="snntorch",
    packages=("snntorch._neurons", "snntorch._layers"),
    layers={
        "Leaky": _leaky,
        "RLeaky": _leaky_recurrent,
        "Synaptic": _synaptic,
        "RSynaptic": _synaptic_recurrent,
        "Lapicque": _lapicque,
        "Alpha": _alpha,
        "GradedSpikes": _graded_spikes,
    },
    wrong={
        "StateLeaky": _WHOLE_SEQUENCE,
        "LinearLeaky": _WHOLE_SEQUENCE,
        "LeakyParallel": _WHOLE_SEQUENCE,
        "AssociativeLeaky": "its state is a matrix with products of its inputs",
        "DeltaLeaky": "it fires on changes of its membrane, in either direction",
        "SLSTM": "its gates multiply states with each other",
        "SConv2dLSTM": "its gates multiply states with each other",
    },
)
"""snnTorch's layers."""
