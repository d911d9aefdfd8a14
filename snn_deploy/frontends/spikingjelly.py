"""SpikingJelly's layers: neurons, containers and what it wraps of torch.nn.

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

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snn_deploy.errors import DynamicsError, UnknownNodeError
from snn_deploy.frontends.layers import (
    Cell,
    ChannelAffine,
    Convolution,
    Delay,
    Flatten,
    LayerGraph,
    Linear,
    Pool,
    Pooling,
    Scale,
    Unflatten,
)
from snn_deploy.frontends.modules import OUTPUT
from snn_deploy.frontends.nested import read_nested
from snn_deploy.frontends.registry import Frontend, Read, children_of, class_name, short_name
from snn_deploy.frontends.reparametrised import weight_of
from snn_deploy.frontends.tensors import array_of, real_of, single_of
from snn_deploy.frontends.torch_layers import (
    adaptive,
    batch_norm,
    convolution,
    flatten,
    linear,
    pooling,
    reader,
    transposed,
    unchanged,
    upsample,
)
from snn_deploy.frontends.torch_stub import full_name
from snn_deploy.ir.network import Floor, Reset, Synapse
from snn_deploy.ir.neuron import Compare, Decode, Fires, FloorWhen, ResetKind

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

ADDITIONS = frozenset(
    {
        "_operator.add",
        "torch._VariableFunctionsClass.add",
        "torch._C._VariableFunctionsClass.add",
    }
)
"""Functions of two values that give their sum: operator.add, and torch.add live and pickled."""


# ----------------------------------------------------------------- neurons


@dataclass(frozen=True, slots=True, kw_only=True)
class _Charge:
    """What a step adds up to before the test: decay * v + gain * x + bias."""

    decay: Real
    gain: Real = field(default_factory=lambda: np.ones(()))
    bias: Real = field(default_factory=lambda: np.zeros(()))

    def times(self, factor: Real) -> "_Charge":
        """Return a charge that ends `factor` times as high."""
        return _Charge(decay=factor * self.decay, gain=factor * self.gain, bias=factor * self.bias)


def _leak(layer: Any, share: Real) -> _Charge:
    """Return a leak of `share` towards v_reset."""
    rest = np.zeros(()) if layer.v_reset is None else single_of(layer.v_reset)
    return _Charge(
        decay=1.0 - share, gain=share if layer.decay_input else np.ones(()), bias=share * rest
    )


def _leak_by_tau(name: str, layer: Any) -> _Charge:
    return _leak(layer, 1.0 / _positive(name, "tau", single_of(layer.tau)))


def _integrate(name: str, layer: Any) -> Cell:
    """Read IFNode and its kin."""
    return _cell(name, layer, _Charge(decay=np.ones(())))


def _leaky(name: str, layer: Any) -> Cell:
    """Read LIFNode and its kin."""
    return _cell(name, layer, _leak_by_tau(name, layer))


def _parametric(name: str, layer: Any) -> Cell:
    """Read ParametricLIFNode: 1 / tau is the sigmoid of what was trained."""
    return _cell(name, layer, _leak(layer, _sigmoid(layer.w)))


def _current_based(name: str, layer: Any) -> Cell:
    """Read CUBALIFNode, whose membrane decays towards 0 whatever its reset."""
    synapse = Synapse(decay=single_of(layer.c_decay), initial=_initial(name, layer, "c"))
    return replace(_cell(name, layer, _Charge(decay=single_of(layer.v_decay))), synapse=synapse)


def _rectified(name: str, layer: Any) -> Cell:
    """Read KLIFNode, whose charged membrane becomes max(0, k * v).

    `scale_reset` then divides it by k again: it is a neuron with a threshold of 1 / k of its size.
    """
    charge, k = _leak_by_tau(name, layer), single_of(layer.k)
    floor = Floor(value=np.zeros(()), when=FloorWhen.BEFORE_TEST)
    if not layer.scale_reset:
        return replace(_cell(name, layer, charge.times(k)), floor=floor)
    threshold = single_of(layer.v_threshold) / _positive(name, "k", k)
    return replace(_cell(name, layer, charge, threshold, threshold), floor=floor)


def _normalised(name: str, layer: Any) -> Cell:
    """Read MPBNLIFNode, whose charged membrane is normalised per channel; once folded, the
    thresholds of the channels are normalised in its place.

    Raises:
        UnknownNodeError: it normalises only neurons that stay silent, or subtracts a threshold
            per channel along the last axis.
    """
    charge, plain = _leak_by_tau(name, layer), single_of(layer.v_threshold)
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
        gamma = _positive(name, "gamma", real_of(layer.gamma))
        threshold = (plain - real_of(layer.beta)) * deviation / gamma + real_of(layer.mu)
    elif short_name(layer.vbn) != "Identity":
        affine = batch_norm(f"{name}.vbn", layer.vbn)
        charge = charge.times(affine.scale)
        charge = replace(charge, bias=charge.bias + affine.shift)
    return replace(_cell(name, layer, charge, threshold, plain), per_channel=True)


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
        raise _places(name, layer, axis)
    cell = _cell(name, layer, _Charge(decay=np.ones(())), threshold - offset, threshold)
    return replace(cell, per_channel=axis == 1)


def _places(name: str, layer: Any, axis: int) -> UnknownNodeError:
    return UnknownNodeError(
        f"{short_name(layer)} with channel_dim={axis} has a number for each place, not channel",
        where=name,
        fix="use channel_dim=1, or count the axis from the end",
    )


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
    if short_name(counts) != LEVELS or not counts.spiking or not _is_home(counts):
        raise UnknownNodeError(
            f"ILIFNode with the surrogate function {short_name(counts)} is not read",
            where=f"{name}.surrogate_function",
            fix=f"set surrogate_function=surrogate.{LEVELS}(D)",
        )
    cell = _charged(name, layer, _leak_by_tau(name, layer))
    return replace(cell, fires=Fires.ROUNDED, max_spikes=int(counts.max_spike_count))


def _cell(
    name: str,
    layer: Any,
    charge: _Charge,
    threshold: Real | None = None,
    amount: Real | None = None,
) -> Cell:
    """Return neurons that fire from `threshold` on, v_threshold if there is none, and are then
    set to v_reset or, without one, lose `amount`.

    Raises:
        UnknownNodeError: an option that changes what is computed.
    """
    _check_surrogate(name, layer)
    return _charged(name, layer, charge, threshold, amount)


def _charged(
    name: str,
    layer: Any,
    charge: _Charge,
    threshold: Real | None = None,
    amount: Real | None = None,
) -> Cell:
    """Return neurons as `_cell` does, whatever their surrogate function gives forward.

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
        initial=_initial(name, layer, "v"),
    )


def _check_surrogate(name: str, layer: Any) -> None:
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
    elif not _is_home(surrogate) and full_name(surrogate) != (
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


def _is_home(surrogate: Any) -> bool:
    return class_name(surrogate).partition(".")[0] == PACKAGE


def _initial(name: str, layer: Any, state: str) -> np.ndarray:
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


def _positive(name: str, parameter: str, value: Real) -> Real:
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


def _sigmoid(w: Any) -> np.ndarray:
    """Return the logistic function as torch has it in float32: an ulp off the nearest number now
    and then, so a live tensor is given to torch, and a recorded one gets the nearest number."""
    detach = getattr(w, "detach", None)
    if detach is not None:
        return real_of(detach().float().sigmoid())
    return single_of(1.0 / (1.0 + np.exp(-real_of(w))))


def _dsr_integrate(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read DSRIFNode: spikes as large as its threshold, which come at `alpha` of it."""
    return _sized_spikes(graph, name, layer, source, _Charge(decay=np.ones(())))


def _dsr_leaky(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read DSRLIFNode: with a leak of exp(-delta_t / tau), its spikes count per delta_t."""
    kept = math.exp(-layer.delta_t / layer.tau)
    charge = _Charge(decay=single_of(kept), gain=single_of(1 - kept))
    return _sized_spikes(graph, name, layer, source, charge)


def _sized_spikes(graph: LayerGraph, name: str, layer: Any, source: str, charge: _Charge) -> str:
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
        share = 1.0 / _positive(name, "tau", single_of(layer.tau))
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
    _check_surrogate(name, layer)
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


# -------------------------------------------------------------- containers


def _recurrent(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read ElementWiseRecurrentContainer: its output of the step before joins its input.

    Raises:
        UnknownNodeError: they are joined by anything but an addition.
    """
    function = layer.element_wise_function
    if not _is_addition(function):
        raise UnknownNodeError(
            f"the element_wise_function {full_name(function)!r} is not known to be x + y",
            where=f"{name}.element_wise_function",
            fix="use torch.add, operator.add or lambda x, y: x + y; other functions have no "
            "counterpart on a chip",
        )
    return _fed_back(graph, f"{name}.sub_module", layer.sub_module, source, None)


def _linear_recurrent(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read LinearRecurrentContainer: `rc` reads input and last output side by side."""
    both = linear(f"{name}.rc", layer.rc)
    inputs = both.weight.shape[0]
    first, last = both.weight[:, :inputs], both.weight[:, inputs:]
    entry = graph.add(f"{name}.rc", Linear(weight=first, bias=both.bias), source)
    return _fed_back(graph, f"{name}.sub_module", layer.sub_module, entry, Linear(weight=last))


def _fed_back(graph: LayerGraph, name: str, inner: Any, source: str, way: Linear | None) -> str:
    """Read `inner`, and let what it gives, through `way`, reach it again in the next step."""
    before = set(graph.nodes)
    given = read_nested(graph, name, inner, source)
    entries = [n for n, node in graph.nodes.items() if n not in before and source in node.inputs]
    back = given if way is None else graph.add(f"{name}.last", way, given)
    for entry in entries:
        graph.feed_back(back, entry)
    return given


def _is_addition(function: Any) -> bool:
    """Return whether a function is known to add its two arguments: by its name, or because it is
    the same code as `lambda x, y: x + y`."""
    code = getattr(function, "__code__", None)
    if code is None:
        return full_name(function) in ADDITIONS
    wanted = ((lambda x, y: x + y).__code__, (lambda x, y: y + x).__code__)
    return code.co_argcount == 2 and any(code.co_code == known.co_code for known in wanted)


def _stateless(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read SeqToANNContainer and its kin, which give all steps to their layers at once, as if they
    were samples.

    Raises:
        UnknownNodeError: neurons among them, which would not remember the last step.
    """
    at_once = getattr(layer, "_step_mode", "m") == "m" and not getattr(layer, "stateful", False)
    if at_once:
        _check_stateless(name, layer, short_name(layer))
    for child_name, child in children_of(layer):
        source = read_nested(graph, f"{name}.{child_name}", child, source)
    return source


def _check_stateless(name: str, layer: Any, container: str) -> None:
    for child_name, child in children_of(layer):
        remembers = getattr(child, "_memories", None) and short_name(child) not in STATELESS
        if remembers or short_name(child) in _NEURONS:
            raise UnknownNodeError(
                f"{short_name(child)} in a {container} takes the steps for samples",
                where=f"{name}.{child_name}",
                fix="put neurons into a MultiStepContainer",
            )
        _check_stateless(f"{name}.{child_name}", child, container)


STATELESS = frozenset({"Dropout", "Dropout2d"})
"""Classes with a state that only training uses."""


# ------------------------------------------------------------------ layers


def _standardised(name: str, layer: Any) -> np.ndarray:
    """Return the weights of WSConv2d and WSLinear: per output, mean 0 and a norm of `gain`."""
    weight = real_of(weight_of(name, layer))
    inner = tuple(range(1, weight.ndim))
    fan_in = weight[0].size
    mean = weight.mean(axis=inner, keepdims=True)
    variance = weight.var(axis=inner, keepdims=True, ddof=1)
    made = (weight - mean) / np.sqrt(variance * fan_in + float(layer.eps))
    return made if layer.gain is None else made * real_of(layer.gain)


def _standardised_linear(name: str, layer: Any) -> Linear:
    bias = None if layer.bias is None else array_of(layer.bias)
    return Linear(weight=_standardised(name, layer), bias=bias)


def _standardised_convolution(name: str, layer: Any) -> Convolution:
    return replace(convolution(name, layer), weight=_standardised(name, layer))


def _temporal_norm(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read TemporalEffectiveBatchNorm, if it has one factor for all steps.

    Raises:
        UnknownNodeError: the factors of the steps differ.
    """
    scale = real_of(layer.scale)
    if np.any(scale != scale.flat[0]):
        raise UnknownNodeError(
            f"{short_name(layer)} with a scale for each step is not read: weights do not change "
            "with time",
            where=name,
            fix="train it with one scale for all steps, or use BatchNorm",
        )
    affine = batch_norm(name, layer)
    factor = scale.flat[0]
    return graph.add(
        name, ChannelAffine(scale=factor * affine.scale, shift=factor * affine.shift), source
    )


def _voting(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read VotingLayer: the mean of each `voting_size` neighbours."""
    size = (int(layer.voting_size),)
    line = graph.add(f"{name}.line", Unflatten(shape=(1, -1)), source)
    pool = Pool(pooling=Pooling.AVERAGE, kernel=size, stride=size, padding=(0,))
    return graph.add(f"{name}.flat", Flatten(), graph.add(name, pool, line))


def _delay(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read Delay."""
    steps = int(layer._delay_steps)
    return graph.add(name, Delay(steps=steps), source) if steps else source


def _scaler(name: str, layer: Any) -> Scale:
    """Read VoltageScaler."""
    return Scale(factor=single_of(layer.scale))


def _channel_scaler(name: str, layer: Any) -> Scale | ChannelAffine:
    """Read ChannelVoltageScaler.

    Raises:
        UnknownNodeError: its channels are another axis than the first behind the batch, or one
            counted from the end.
    """
    scale, axis = single_of(layer.scale), int(layer.channel_dim)
    if scale.ndim == 0:
        return Scale(factor=scale)
    if axis == 1:
        return ChannelAffine(scale=scale, shift=np.zeros_like(scale))
    if axis < 0:
        return Scale(factor=scale.reshape(-1, *(1,) * (-1 - axis)))
    raise _places(name, layer, axis)


_OTHER_STEPS = "it reads other steps than the present one"
_OF_THE_STEP = "it normalises by what the values of this very step are"
_PER_STEP = "its parameters differ from step to step"
_THREE_AXES = "kernels have one or two spatial axes here"
_PRODUCT = "it multiplies values of the step with each other"
_GATES = (
    "its products of spikes are followed in a module of one's own class, whose values keep the "
    "axes [step, sample, channel, height, width], and not here"
)
_MOVES = "it has no fixed connections: where values go depends on the values"
_STEPS = "it changes the number of steps"
_TABLE = "its thresholds and weights follow a table within a step"
_ENCODER = "an encoder is not a layer of the network: give the network its spikes as input"
_RANDOM = "it adds noise"
_NONLINEAR = "its membrane follows a non-linear equation"
_RECURRENT = "its gates are no spiking neurons of a chip"

_NEURONS: Mapping[str, Read] = {
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

FRONTEND = Frontend(
    name=PACKAGE,
    packages=(f"{PACKAGE}.activation_based",),
    containers=frozenset({"MultiStepContainer", "TLastMultiStepContainer", "OTTTSequential"}),
    layers={
        **_NEURONS,
        "SeqToANNContainer": _stateless,
        "TLastSeqToANNContainer": _stateless,
        "StepModeContainer": _stateless,
        "ElementWiseRecurrentContainer": _recurrent,
        "LinearRecurrentContainer": _linear_recurrent,
        "Linear": reader(linear),
        "Conv1d": reader(convolution),
        "Conv2d": reader(convolution),
        "WSLinear": reader(_standardised_linear),
        "WSConv2d": reader(_standardised_convolution),
        "ConvTranspose1d": reader(transposed),
        "ConvTranspose2d": reader(transposed),
        "BatchNorm1d": reader(batch_norm),
        "BatchNorm2d": reader(batch_norm),
        "ThresholdDependentBatchNorm1d": reader(batch_norm),
        "ThresholdDependentBatchNorm2d": reader(batch_norm),
        "TemporalEffectiveBatchNorm1d": _temporal_norm,
        "TemporalEffectiveBatchNorm2d": _temporal_norm,
        "AvgPool1d": pooling(Pooling.AVERAGE, 1),
        "AvgPool2d": pooling(Pooling.AVERAGE, 2),
        "MaxPool1d": pooling(Pooling.MAX, 1),
        "MaxPool2d": pooling(Pooling.MAX, 2),
        "AdaptiveAvgPool1d": adaptive(1),
        "AdaptiveAvgPool2d": adaptive(2),
        "Upsample": reader(upsample),
        "Flatten": reader(flatten),
        "Dropout": unchanged,
        "Dropout2d": unchanged,
        "PrintShapeModule": unchanged,
        "VotingLayer": _voting,
        "Delay": _delay,
        "VoltageHook": unchanged,
        "VoltageScaler": reader(_scaler),
        "ChannelVoltageScaler": reader(_channel_scaler),
    },
    wrong={
        "QIFNode": _NONLINEAR,
        "EIFNode": _NONLINEAR,
        "IzhikevichNode": _NONLINEAR,
        "RAFNode": "it resonates: two states turn around each other",
        "GatedLIFNode": f"{_PER_STEP}, and a spike takes away a share of the membrane",
        "ComplementaryLIFNode": "its reset depends on a second, non-linear state",
        "LIAFNode": "it sends a function of its membrane, not spikes",
        "STBIFNode": "its spikes are positive and negative, and bounded by what it sent so far",
        "PSN": _OTHER_STEPS,
        "MaskedPSN": _OTHER_STEPS,
        "SlidingPSN": _OTHER_STEPS,
        "FlexSN": "its step is a function of the user's",
        "FewSpikeNode": _TABLE,
        "OutlierAwareThresholdNode": _TABLE,
        "HGNode": _TABLE,
        "NoisyCUBALIFNode": _RANDOM,
        "NoisyILCCUBALIFNode": _RANDOM,
        "NoisyNonSpikingIFNode": _RANDOM,
        "SynapseFilter": "its current decays only in steps without a spike",
        "DropConnectLinear": "it draws its output at random, after training as well",
        "NeuNorm": "it subtracts a filtered sum over all channels",
        "GroupNorm": _OF_THE_STEP,
        "BatchNormThroughTime1d": _PER_STEP,
        "BatchNormThroughTime2d": _PER_STEP,
        "BatchNormThroughTime3d": _PER_STEP,
        "BatchNorm3d": _THREE_AXES,
        "ThresholdDependentBatchNorm3d": _THREE_AXES,
        "TemporalEffectiveBatchNorm3d": _THREE_AXES,
        "Conv3d": _THREE_AXES,
        "ConvTranspose3d": _THREE_AXES,
        "MaxPool3d": _THREE_AXES,
        "AvgPool3d": _THREE_AXES,
        "AdaptiveAvgPool3d": _THREE_AXES,
        "MaxUnpool1d": _MOVES,
        "MaxUnpool2d": _MOVES,
        "MaxUnpool3d": _MOVES,
        "SpikeCountToBinary": _STEPS,
        "TemporalBinSum": _STEPS,
        "TemporalWiseAttention": _PRODUCT,
        "MultiDimensionalAttention": _PRODUCT,
        "SpikingSelfAttention": _PRODUCT,
        "QKAttention": _PRODUCT,
        "TokenQKAttention": _PRODUCT,
        "ChannelQKAttention": _PRODUCT,
        "SpikeDrivenSelfAttention": _GATES,
        "GradwithTrace": "it exists for training only: OTTTSequential adds it by itself",
        "SpikeTraceOp": "it exists for training only: OTTTSequential adds it by itself",
        "SpikingLSTM": _RECURRENT,
        "SpikingGRU": _RECURRENT,
        "SpikingVanillaRNN": _RECURRENT,
        "PeriodicEncoder": _ENCODER,
        "LatencyEncoder": _ENCODER,
        "PoissonEncoder": _ENCODER,
        "WeightedPhaseEncoder": _ENCODER,
    },
)
