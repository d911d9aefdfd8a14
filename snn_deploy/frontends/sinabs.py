"""sinabs' layers: `IAF`, `LIF` and `ExpLeak`, recurrent and squeezed, and what stands between them.

Source: sinabs 3.1.3, `layers/functional/lif.py`, `activation/spike_generation.py` and
`activation/reset_mechanism.py`, run and compared spike by spike. Each step computes, in this order:

    i = alpha_syn * (i + x)              with tau_syn; else i = x
    v = alpha_mem * v + (1 - alpha_mem) * i     with norm_input; else + i
    s = trunc(v / threshold) where v > 0       MultiSpike; MaxSpike clamps it; SingleSpike: v >= th
    v = v - s * amount                   MembraneSubtract; MembraneReset: v * (s == 0) + value
    v = max(v, min_v_mem)

`alpha = exp(-1 / tau)`, tau in steps; IAF has alpha_mem = 1. The states of a layer that has run are
not read: every sample starts from 0, as after `reset_states()`.
"""

from typing import Any

import numpy as np

from snn_deploy.errors import DynamicsError, UnknownNodeError
from snn_deploy.frontends.decays import decay_of
from snn_deploy.frontends.layers import Cell, LayerGraph, Parameter, Pooling, Rectifier
from snn_deploy.frontends.modules import read_nested
from snn_deploy.frontends.registry import Frontend, class_name, short_name
from snn_deploy.frontends.tensors import array_of, expect, real_of, single_of
from snn_deploy.frontends.torch_file import full_name
from snn_deploy.frontends.torch_layers import windows
from snn_deploy.frontends.unbounded import largest_count
from snn_deploy.ir.network import Floor, Reset, Synapse
from snn_deploy.ir.neuron import Compare, Fires, FloorWhen, ResetKind

_ACTIVATION = "sinabs.activation."
"""Package of the spike functions and resets whose arithmetic is known."""


def _spiking(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read IAF, LIF and their squeezed forms."""
    return graph.add(name, _spiking_cell(graph, name, layer), source)


def _recurrent(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read IAFRecurrent and LIFRecurrent: the spikes of the step before, through any layers.

    In the first step nothing is fed back, not even the bias of those layers.
    """
    graph.add(name, _spiking_cell(graph, name, layer), source)
    back = read_nested(graph, f"{name}.rec_connect", layer.rec_connect, name)
    graph.feed_back(back, name)
    graph.bias_waits = True
    return name


def _leak(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read ExpLeak, which gives its membrane as it was before `min_v_mem` clips it."""
    decay, synapse = _decays(layer)
    floor = _floor(layer, np.zeros(()))
    clipped = floor is not None
    cell = Cell(
        decay=decay,
        gain=_gain(layer, decay),
        synapse=synapse,
        fires=Fires.GRADED if clipped else Fires.NEVER,
        floor=floor,
    )
    graph.add(name, cell, source)
    if not clipped:
        return name
    # What it sends is the membrane before the clip, what it keeps the one after it; neurons
    # without memory show what it sends.
    return graph.add(f"{name}.sent", Cell(decay=np.zeros(()), fires=Fires.NEVER), name)


def _spiking_cell(graph: LayerGraph, name: str, layer: Any) -> Cell:
    decay, synapse = _decays(layer)
    threshold = _number(layer, layer.spike_threshold)
    fires, most = _spikes(graph, name, layer)
    if fires is Fires.COUNT and np.any(threshold <= 0):
        raise DynamicsError(
            f"a threshold of {threshold.min():g}, by which the membrane is divided to count spikes",
            where=f"{name}.spike_threshold",
            fix="use positive thresholds, or SingleSpike",
        )
    reset, value = _reset(name, layer, threshold)
    return Cell(
        decay=decay,
        gain=_gain(layer, decay),
        synapse=synapse,
        fires=fires,
        threshold=threshold,
        compare=Compare.GREATER_EQUAL,
        max_spikes=most,
        reset=reset,
        floor=_floor(layer, value),
        bias=np.asarray(decay * value),
        initial=np.asarray(0 - value),
    )


def _decays(layer: Any) -> tuple[Parameter, Synapse | None]:
    """Return the factor on the membrane, and the synaptic current if there is one.

    The input decays in its first step together with the current that it joins.
    """
    trained = bool(layer.train_alphas)
    if short_name(layer).startswith("IAF"):
        membrane = np.ones(())
    else:
        membrane = real_of(layer.alpha_mem) if trained else _exponential(layer.tau_mem)
    held = layer.alpha_syn if trained else layer.tau_syn
    if held is None:
        return membrane, None
    current = real_of(held) if trained else _exponential(held)
    return membrane, Synapse(decay=current, gain=current)


def _exponential(time_constant: Any) -> Parameter:
    return decay_of(time_constant, 1.0).astype(np.float64)


def _gain(layer: Any, decay: Parameter) -> Parameter:
    """Return the factor on what the membrane integrates, rounded as sinabs rounds it."""
    if not layer.norm_input:
        return np.ones(())
    wide = _is_wide(layer)
    return np.asarray(1 - decay) if wide else single_of(1 - decay)


def _is_wide(layer: Any) -> bool:
    """Return whether a layer computes in float64."""
    return array_of(layer.v_mem).dtype == np.float64


def _number(layer: Any, value: Any) -> Parameter:
    """Return a parameter as the arithmetic of the layer sees it: a scalar does not widen it."""
    scalar = array_of(value).ndim == 0
    return single_of(value) if scalar and not _is_wide(layer) else real_of(value)


def _spikes(graph: LayerGraph, name: str, layer: Any) -> tuple[Fires, int]:
    """Return what the spike function sends, and the most spikes of one step.

    Raises:
        UnknownNodeError: a spike function that is not sinabs'.
        DynamicsError: a largest number of spikes that is no number of spikes.
    """
    kind = _activation(layer.spike_fn)
    if kind == "SingleSpike":
        return Fires.BINARY, 1
    if kind == "MultiSpike":
        return Fires.COUNT, largest_count(graph, "sinabs")
    if kind != "MaxSpike":
        raise UnknownNodeError(
            f"the spike function {_full_name(layer.spike_fn)} is not read",
            where=f"{name}.spike_fn",
            fix="known are MultiSpike, SingleSpike, MaxSpike",
        )
    most = layer.spike_fn.max_num_spikes_per_bin
    if most is None:
        return Fires.COUNT, largest_count(graph, "sinabs")
    if most != int(most) or most < 1:
        raise DynamicsError(
            f"MaxSpike allows {most} spikes in a step",
            where=f"{name}.spike_fn.max_num_spikes_per_bin",
            fix="use a whole number from 1 on",
        )
    return (Fires.BINARY, 1) if most == 1 else (Fires.COUNT, int(most))


def _reset(name: str, layer: Any, threshold: Parameter) -> tuple[Reset, Parameter]:
    """Return the reset, and how far our membrane lies below sinabs'.

    MembraneReset adds its value to every membrane in every step, whether it fired or not. Ours is
    therefore less by that value: it starts at -value, is reset to 0, and gets decay * value in
    every step.

    Raises:
        UnknownNodeError: a reset function that is not sinabs'.
    """
    kind = _activation(layer.reset_fn)
    if kind == "MembraneSubtract":
        amount = layer.reset_fn.subtract_value
        each = threshold if amount is None else _number(layer, amount)
        return Reset(kind=ResetKind.SUBTRACT, amount=each), np.zeros(())
    if kind == "MembraneReset":
        return Reset(kind=ResetKind.VALUE), _number(layer, layer.reset_fn.reset_value)
    raise UnknownNodeError(
        f"the reset function {_full_name(layer.reset_fn)} is not read",
        where=f"{name}.reset_fn",
        fix="known are MembraneSubtract, MembraneReset",
    )


def _floor(layer: Any, below: Parameter) -> Floor | None:
    """Return the floor of a membrane that lies `below` sinabs'."""
    if layer.min_v_mem is None:
        return None
    value = np.asarray(_number(layer, layer.min_v_mem) - below)
    return Floor(value=value, when=FloorWhen.AFTER_RESET)


def _full_name(value: Any) -> str:
    """Return the full name of a class, or of the class of an object."""
    return full_name(value) if isinstance(value, type) else class_name(value)


def _activation(value: Any) -> str:
    """Return the name of a spike function or reset of sinabs, without its module; else nothing."""
    name = _full_name(value)
    return name.rpartition(".")[2] if name.startswith(_ACTIVATION) else ""


def _sum_pool(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    expect(name, layer, "SumPool2d", ceil_mode=False, norm_type=1)
    return graph.add(name, windows(name, layer, Pooling.SUM, 2, (0, 0)), source)


def _rectifier(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read NeuromorphicReLU: floor(max(0, x)) is a neuron that keeps nothing."""
    if not layer.quantize:
        return graph.add(name, Rectifier(), source)
    expect(name, layer, "NeuromorphicReLU", stochastic_rounding=False)
    cell = Cell(
        decay=np.zeros(()),
        fires=Fires.COUNT,
        compare=Compare.GREATER_EQUAL,
        max_spikes=largest_count(graph, "sinabs"),
    )
    return graph.add(name, cell, source)


def _quantize(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read a QuantizeLayer that is switched off."""
    expect(name, layer, "QuantizeLayer", quantize=False)
    return source


def _unchanged(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read a layer that only joins or parts the axes of batch and time."""
    return source


def _network(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read sinabs' Network, which runs its spiking model."""
    return read_nested(graph, f"{name}.spiking_model", layer.spiking_model, source)


_ADAPTS = "its threshold rises with its own spikes"
_ENCODES = "it draws spikes at random: give the network spikes as the input"

FRONTEND = Frontend(
    name="sinabs",
    packages=("sinabs.layers", "sinabs.network"),
    containers=frozenset({"Repeat"}),
    layers={
        "IAF": _spiking,
        "IAFSqueeze": _spiking,
        "IAFRecurrent": _recurrent,
        "LIF": _spiking,
        "LIFSqueeze": _spiking,
        "LIFRecurrent": _recurrent,
        "ExpLeak": _leak,
        "ExpLeakSqueeze": _leak,
        "SumPool2d": _sum_pool,
        "NeuromorphicReLU": _rectifier,
        "QuantizeLayer": _quantize,
        "FlattenTime": _unchanged,
        "UnflattenTime": _unchanged,
        "Network": _network,
    },
    wrong={
        "ALIF": _ADAPTS,
        "ALIFSqueeze": _ADAPTS,
        "ALIFRecurrent": _ADAPTS,
        "SpikingMaxPooling2dLayer": "it passes the spikes of the input that has fired most so far",
        "Img2SpikeLayer": _ENCODES,
        "Sig2SpikeLayer": _ENCODES,
        "Merge": "it has two inputs: add them in the forward of a module, a + b",
        "Cropping2dLayer": "it drops the borders of its input: give the network the cropped input",
        "ChannelShift": "it puts empty channels before those of its input",
    },
)
"""sinabs' layers."""
