"""Readers of SpikingJelly's neurons, by class."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.layers import Cell, LayerGraph, Linear, Scale
from snn_deploy.frontends.modules import OUTPUT
from snn_deploy.frontends.registry import Read, short_name
from snn_deploy.frontends.reparametrised import weight_of
from snn_deploy.frontends.spikingjelly.cells import (
    LEVELS,
    Charge,
    Real,
    cell_of,
    charged,
    check_surrogate,
    initial,
    is_home,
    leak,
    leak_by_tau,
    places,
    positive,
    sigmoid,
)
from snn_deploy.frontends.tensors import array_of, real_of, single_of
from snn_deploy.frontends.torch_layers import batch_norm, reader
from snn_deploy.ir.network import Floor, Reset, Synapse
from snn_deploy.ir.neuron import Compare, Decode, Fires, FloorWhen, ResetKind


def _integrate(name: str, layer: Any) -> Cell:
    """Read IFNode and its kin."""
    return cell_of(name, layer, Charge(decay=np.ones(())))


def _leaky(name: str, layer: Any) -> Cell:
    """Read LIFNode and its kin."""
    return cell_of(name, layer, leak_by_tau(name, layer))


def _parametric(name: str, layer: Any) -> Cell:
    """Read ParametricLIFNode: 1 / tau is the sigmoid of what was trained."""
    return cell_of(name, layer, leak(layer, sigmoid(layer.w)))


def _current_based(name: str, layer: Any) -> Cell:
    """Read CUBALIFNode, whose membrane decays towards 0 whatever its reset."""
    synapse = Synapse(decay=single_of(layer.c_decay), initial=initial(name, layer, "c"))
    return replace(cell_of(name, layer, Charge(decay=single_of(layer.v_decay))), synapse=synapse)


def _rectified(name: str, layer: Any) -> Cell:
    """Read KLIFNode, whose charged membrane becomes max(0, k * v).

    `scale_reset` then divides it by k again: it is a neuron with a threshold of 1 / k of its size.
    """
    charge, k = leak_by_tau(name, layer), single_of(layer.k)
    floor = Floor(value=np.zeros(()), when=FloorWhen.BEFORE_TEST)
    if not layer.scale_reset:
        return replace(cell_of(name, layer, charge.times(k)), floor=floor)
    threshold = single_of(layer.v_threshold) / positive(name, "k", k)
    return replace(cell_of(name, layer, charge, threshold, threshold), floor=floor)


def _normalised(name: str, layer: Any) -> Cell:
    """Read MPBNLIFNode, whose charged membrane is normalised per channel; once folded, the
    thresholds of the channels are normalised in its place.

    Raises:
        UnknownNodeError: it normalises only neurons that stay silent, or subtracts a threshold
            per channel along the last axis.
    """
    charge, plain = leak_by_tau(name, layer), single_of(layer.v_threshold)
    if layer.normalize_residual:
        raise UnknownNodeError(
            "MPBNLIFNode with normalize_residual=True normalises only neurons that stay silent",
            where=name,
            fix="call re_parameterize_v_threshold(normalize_residual=False)",
        )
    if plain.ndim and layer.v_reset is None:
        raise UnknownNodeError(
            "MPBNLIFNode with a threshold per channel and v_reset=None subtracts it along the last "
            "axis, which are no channels",
            where=name,
            fix="set v_reset=0.0",
        )
    threshold = np.exp(real_of(layer.a)) if layer.learnable_vth else plain
    if layer.fold_bn:
        deviation = np.sqrt(real_of(layer.sigma2) + float(layer.eps))
        gamma = positive(name, "gamma", real_of(layer.gamma))
        threshold = (plain - real_of(layer.beta)) * deviation / gamma + real_of(layer.mu)
    elif short_name(layer.vbn) != "Identity":
        affine = batch_norm(f"{name}.vbn", layer.vbn)
        charge = charge.times(affine.scale)
        charge = replace(charge, bias=charge.bias + affine.shift)
    return replace(cell_of(name, layer, charge, threshold, plain), per_channel=True)


def _offset(name: str, layer: Any) -> Cell:
    """Read ActivationAwareIFNode, which tests v + v_offset and subtracts v_threshold.

    Raises:
        UnknownNodeError: its parameters are for places rather than channels.
    """
    threshold, offset = single_of(layer.v_threshold), single_of(layer.v_offset)
    axis = int(layer.channel_dim)
    if axis < 0:
        shape = (-1, *(1,) * (-1 - axis))
        threshold, offset = (p.reshape(shape) if p.ndim else p for p in (threshold, offset))
    elif axis != 1 and (threshold.ndim or offset.ndim):
        raise places(name, layer, axis)
    cell = cell_of(name, layer, Charge(decay=np.ones(())), threshold - offset, threshold)
    return replace(cell, per_channel=axis == 1)


def _ternary_integrate(name: str, layer: Any) -> Cell:
    """Read TernaryIFNode."""
    return _ternary(_integrate(name, layer))


def _ternary_leaky(name: str, layer: Any) -> Cell:
    """Read TernaryLIFNode."""
    return _ternary(_leaky(name, layer))


def _ternary(cell: Cell) -> Cell:
    """Return neurons that send -1 from minus the threshold on; a soft reset takes the sign."""
    return replace(cell, fires=Fires.TERNARY, lower=np.asarray(-cell.threshold))


def _several_levels(name: str, layer: Any) -> Cell:
    """Read ILIFNode, which sends the whole number nearest to its membrane, in thresholds.

    Raises:
        UnknownNodeError: a surrogate function that gives something else forward.
    """
    counts = layer.surrogate_function
    if short_name(counts) != LEVELS or not counts.spiking or not is_home(counts):
        raise UnknownNodeError(
            f"ILIFNode with the surrogate function {short_name(counts)} is not read",
            where=f"{name}.surrogate_function",
            fix=f"set surrogate_function=surrogate.{LEVELS}(D)",
        )
    cell = charged(name, layer, leak_by_tau(name, layer))
    return replace(cell, fires=Fires.ROUNDED, max_spikes=int(counts.max_spike_count))


def _dsr_integrate(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read DSRIFNode: spikes as large as its threshold, which come at `alpha` of it."""
    return _sized_spikes(graph, name, layer, source, Charge(decay=np.ones(())))


def _dsr_leaky(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read DSRLIFNode: with a leak of exp(-delta_t / tau), its spikes count per delta_t."""
    kept = math.exp(-layer.delta_t / layer.tau)
    charge = Charge(decay=single_of(kept), gain=single_of(1 - kept))
    return _sized_spikes(graph, name, layer, source, charge)


def _sized_spikes(graph: LayerGraph, name: str, layer: Any, source: str, charge: Charge) -> str:
    """Add neurons that lose their threshold by a spike, and send it."""
    threshold = np.maximum(single_of(layer.v_threshold), single_of(layer.v_threshold_lower_bound))
    cell = Cell(
        decay=np.asarray(charge.decay),
        gain=np.asarray(charge.gain),
        threshold=np.asarray(single_of(layer.alpha) * threshold),
        compare=Compare.GREATER_EQUAL,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=np.asarray(threshold)),
    )
    size = threshold / single_of(getattr(layer, "delta_t", 1.0))
    graph.add(name, cell, source)
    return (
        name
        if np.all(size == 1)
        else graph.add(f"{name}.size", Scale(factor=np.asarray(size)), name)
    )


DECODES: Mapping[str | None, Decode] = {
    "max-mem": Decode.MEMBRANE_MAX,
    "mean-mem": Decode.MEMBRANE_MEAN,
    "last_mem": Decode.MEMBRANE_END,
}
"""What the last layer makes of its membrane over time, by SpikingJelly's name."""


def _readout(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read NonSpikingIFNode and NonSpikingLIFNode: without a decode, all membranes are given."""
    share: Real = np.ones(())
    leaks = short_name(layer) == "NonSpikingLIFNode"
    if leaks:
        share = 1.0 / positive(name, "tau", single_of(layer.tau))
    if layer.decode is not None:
        if layer.decode not in DECODES:
            raise UnknownNodeError(
                f"{short_name(layer)} with decode={layer.decode!r} is not read",
                where=name,
                fix=f"known are {', '.join(str(known) for known in DECODES)}",
            )
        graph.decodes[OUTPUT] = DECODES[layer.decode]
    kept = np.asarray(1.0 - share) if leaks else np.ones(())
    cell = Cell(decay=kept, gain=np.asarray(share), fires=Fires.NEVER)
    return graph.add(name, cell, source)


def _inner_loop(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read ILCIFNode, ILCLIFNode and ILCCUBALIFNode: spikes of the step before reach the neurons
    of their own group through `conn`, and so does its bias, from the second step on."""
    check_surrogate(name, layer)
    if layer.v_reset is None:
        raise UnknownNodeError(
            f"{short_name(layer)} with v_reset=None does not run in SpikingJelly either",
            where=name,
            fix="set v_reset=0.0",
        )
    kernel = weight_of(f"{name}.conn", layer.conn)[:, 0]
    group = np.arange(len(kernel)) // kernel.shape[1]
    weight = np.zeros((len(kernel), len(kernel)), kernel.dtype)
    for post, pre in enumerate(group * kernel.shape[1]):
        weight[post, pre : pre + kernel.shape[1]] = kernel[post]
    rest = single_of(layer.v_reset)
    decay = getattr(layer, "v_decay", 1.0)
    current = getattr(layer, "c_decay", None)
    cell = Cell(
        decay=single_of(decay),
        synapse=None if current is None else Synapse(decay=single_of(current)),
        threshold=single_of(layer.v_threshold),
        compare=Compare.GREATER_EQUAL,
        reset=Reset(kind=ResetKind.VALUE, amount=rest),
        initial=rest,
    )
    graph.add(name, cell, source)
    bias = None if layer.conn.bias is None else array_of(layer.conn.bias)
    back = graph.add(f"{name}.conn", Linear(weight=weight, bias=bias), name)
    graph.feed_back(back, name)
    graph.bias_waits = True
    return name


NEURONS: Mapping[str, Read] = {
    "IFNode": reader(_integrate),
    "SimpleIFNode": reader(_integrate),
    "HalfThresholdIFNode": reader(_integrate),
    "ActivationAwareIFNode": reader(_offset),
    "LIFNode": reader(_leaky),
    "SimpleLIFNode": reader(_leaky),
    "OTTTLIFNode": reader(_leaky),
    "SLTTLIFNode": reader(_leaky),
    "ParametricLIFNode": reader(_parametric),
    "CUBALIFNode": reader(_current_based),
    "KLIFNode": reader(_rectified),
    "MPBNLIFNode": reader(_normalised),
    "DSRIFNode": _dsr_integrate,
    "DSRLIFNode": _dsr_leaky,
    "NonSpikingIFNode": _readout,
    "NonSpikingLIFNode": _readout,
    "ILIFNode": reader(_several_levels),
    "TernaryIFNode": reader(_ternary_integrate),
    "TernaryLIFNode": reader(_ternary_leaky),
    "ILCIFNode": _inner_loop,
    "ILCLIFNode": _inner_loop,
    "ILCCUBALIFNode": _inner_loop,
}
