"""norse's neurons, read by their attributes: the updates that version 1.1.0 computes.

norse's own exporter is not used: it writes time constants a thousand times too small and loses
subtracting resets. All neurons compare by `v - v_th > 0`, start from `v_leak` (IAF from `v_reset`)
and reset in the step of the spike. Modules over a whole sequence (LIF, LI, IAF) compute what their
cells do step by step.
"""

from typing import Any

import numpy as np

from snn_deploy.errors import DynamicsError, GraphError, UnknownNodeError
from snn_deploy.frontends.dynamics import Unit
from snn_deploy.frontends.layers import Cell, Convolution, LayerGraph, Linear, Parameter
from snn_deploy.frontends.modules import read_nested
from snn_deploy.frontends.registry import Frontend
from snn_deploy.frontends.tensors import array_of, real_of, sides, single_of
from snn_deploy.frontends.torch_file import full_name
from snn_deploy.ir.network import Reset, Synapse
from snn_deploy.ir.neuron import Fires, ResetKind

_STEPS = ("super", "heaviside", "triangle", "tanh", "circ", "heavi_erfc")
"""Names of norse's spike functions: the forward of all of them is x > 0."""

_RESETS = {"reset_value": ResetKind.VALUE, "reset_subtract": ResetKind.SUBTRACT}


def _lif_box(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """v += dt / tau * (x + v_leak - v)"""
    return graph.add(name, Cell(**_leaking(graph, name, layer), **_firing(name, layer.p)), source)


def _lif(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """j = i + x; v += dt / tau_mem * (v_leak - v + j); i = j - dt / tau_syn * j

    With j as the state: j = (1 - dt / tau_syn) * j + x, and the membrane reads it.
    """
    synapse = _synapse(graph, name, layer)
    cell = Cell(synapse=synapse, **_leaking(graph, name, layer), **_firing(name, layer.p))
    return graph.add(name, cell, source)


def _lif_recurrent(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """As `_lif`, with input weights and, from the spikes of the step before, recurrent weights.

    Autapses were set to zero when the layer was made; its weights are what counts.
    """
    _lif(graph, name, layer, _weighted(graph, name, layer, source))
    recurrent = Linear(weight=array_of(layer.recurrent_weights))
    graph.feed_back(graph.add(f"{name}.recurrent", recurrent, name), name)
    return name


def _li_box(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """v += dt / tau * (v_leak - v + x)"""
    return graph.add(name, Cell(fires=Fires.NEVER, **_leaking(graph, name, layer)), source)


def _li(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """As `_lif`, without spikes."""
    synapse = _synapse(graph, name, layer)
    cell = Cell(fires=Fires.NEVER, synapse=synapse, **_leaking(graph, name, layer))
    return graph.add(name, cell, source)


def _li_linear(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """As `_li`, with input weights."""
    return _li(graph, name, layer, _weighted(graph, name, layer, source))


def _iaf(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """v += x, from v_reset; the time step has no part in it"""
    start = _number(layer.p.v_reset)
    cell = Cell(decay=np.ones(()), initial=start, **_firing(name, layer.p))
    return graph.add(name, cell, source)


def _convolution(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read a LConv2d: a convolution over height, width and one step."""
    kernel = Convolution(
        weight=array_of(layer.weight)[..., 0],
        stride=sides(layer.stride, 3)[:2],
        padding=sides(layer.padding, 3)[:2],
        dilation=sides(layer.dilation, 3)[:2],
        groups=int(layer.groups),
    )
    return graph.add(name, kernel, source)


def _recurrent_row(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Layers one after another; one of them gives the output, which is added to the next input.

    Raises:
        UnknownNodeError: several layers give the output.
        GraphError: nothing reads what is fed back.
    """
    row = list(layer.module.named_children())
    last = layer.output_modules
    if not isinstance(last, int):
        raise UnknownNodeError(
            f"RecurrentSequential with output_modules={last!r} is not read: norse cannot add "
            "several outputs to one input",
            where=name,
            fix="give one layer, such as output_modules=-1",
        )
    before = set(graph.nodes)
    given = source
    for child, module in row[: range(len(row))[last] + 1]:
        given = read_nested(graph, f"{name}.module.{child}", module, given)
    first = [n for n in graph.nodes if n not in before and source in graph.nodes[n].inputs]
    if not first:
        raise GraphError("a RecurrentSequential without any layer feeds itself", where=name)
    for node in first:
        graph.feed_back(given, node)
    return given


def _weighted(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Add the input weights of a layer."""
    return graph.add(f"{name}.input", Linear(weight=array_of(layer.input_weights)), source)


def _leaking(graph: LayerGraph, name: str, layer: Any) -> dict[str, Any]:
    """Return what v += dt / tau * (v_leak - v + what it integrates) says of a cell."""
    rate = _rate(graph, name, layer, layer.p.tau_mem_inv)
    leak = _number(layer.p.v_leak)
    return {
        "decay": np.asarray(1 - rate),
        "gain": rate,
        "bias": np.asarray(rate * leak),
        "initial": leak,
    }


def _synapse(graph: LayerGraph, name: str, layer: Any) -> Synapse:
    return Synapse(decay=np.asarray(1 - _rate(graph, name, layer, layer.p.tau_syn_inv)))


def _firing(name: str, parameters: Any) -> dict[str, Any]:
    """Return how a cell fires and resets; parameters without a `reset_method` reset to a value.

    Raises:
        UnknownNodeError: a spike function or reset method that is not norse's.
    """
    if parameters.method not in _STEPS:
        raise UnknownNodeError(
            f"the spike function {parameters.method!r} is not read",
            where=f"{name}.p.method",
            fix=f"known are {', '.join(_STEPS)}",
        )
    threshold = _number(parameters.v_th)
    kind = _reset_kind(name, parameters)
    amount = threshold if kind is ResetKind.SUBTRACT else _number(parameters.v_reset)
    return {"threshold": threshold, "reset": Reset(kind=kind, amount=amount)}


def _reset_kind(name: str, parameters: Any) -> ResetKind:
    method = getattr(parameters, "reset_method", None)
    if method is None:
        return ResetKind.VALUE
    package = full_name(method).partition(".")[0]
    if package != "norse" or method.__name__ not in _RESETS:
        raise UnknownNodeError(
            f"the reset method {method.__name__!r} is not read",
            where=f"{name}.p.reset_method",
            fix=f"known are {', '.join(_RESETS)}",
        )
    return _RESETS[method.__name__]


def _rate(graph: LayerGraph, name: str, layer: Any, inverse: Any) -> Parameter:
    """Return dt / tau, the float32 number that norse multiplies by.

    Raises:
        DynamicsError: the time constant is not positive, or the cell's step not the network's.
    """
    dt = float(layer.dt)
    if graph.unit is Unit.SECOND and graph.dt != dt:
        raise DynamicsError(
            f"cells have different time steps: {min(dt, graph.dt):g}, {max(dt, graph.dt):g} s",
            where=name,
            fix="give all cells the same dt",
        )
    graph.dt, graph.unit = dt, Unit.SECOND
    inverses = array_of(inverse)
    if np.any(inverses <= 0):
        raise DynamicsError(
            f"an inverse time constant of {inverses.min():g} 1/s, but it must be positive",
            where=name,
        )
    if isinstance(inverse, int | float):
        return single_of(dt * inverse)
    if inverses.dtype.kind != "f":
        inverses = inverses.astype(np.float32)
    return _number(inverses.dtype.type(dt) * inverses)


def _number(value: Any) -> Parameter:
    """Return a parameter as float32 states see it: scalars do not widen them, arrays do."""
    return single_of(value) if array_of(value).ndim == 0 else real_of(value)


_REASONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "its threshold or current follows its own activity by one more state",
        (
            *("LSNNCell", "LSNNRecurrentCell", "LSNN", "LSNNRecurrent"),
            *("LIFAdExCell", "LIFAdExRecurrentCell", "LIFAdEx", "LIFAdExRecurrent"),
            *("LIFAdExRefracCell", "LIFAdExRefracRecurrentCell", "LIFAdExRefracRecurrent"),
        ),
    ),
    (
        "its leak is not linear: it has an exponential of its membrane",
        ("LIFExCell", "LIFExRecurrentCell", "LIFEx", "LIFExRecurrent"),
    ),
    (
        "its leak is not linear: it has a square of its membrane",
        ("IzhikevichCell", "IzhikevichRecurrentCell", "Izhikevich", "IzhikevichRecurrent"),
    ),
    ("its conductances multiply its membrane", ("CobaLIFCell",)),
    (
        "it is silent for some time after each spike",
        ("LIFRefracCell", "LIFRefracRecurrentCell", "LIFRefracRecurrent"),
    ),
    (
        "its neurons pull at each other's membranes",
        ("LIFMCRecurrentCell", "LIFMCRefracRecurrentCell"),
    ),
    ("its weights change while it runs", ("LIFCorrelation",)),
    (
        "it makes spikes of values: give the network its spikes as the input",
        (
            *("ConstantCurrentLIFEncoder", "PoissonEncoder", "PoissonEncoderStep"),
            *("PopulationEncoder", "SignedPoissonEncoder", "SignedPoissonEncoderStep"),
            *("SpikeLatencyLIFEncoder", "SpikeLatencyEncoder"),
        ),
    ),
    ("it makes times of spikes: leave it out, and decode the spikes", ("SpikesToTimesDecoder",)),
    ("it counts spikes for the training: leave it out", ("RegularizationCell",)),
    (
        "its kernels are computed from other parameters",
        (
            *("SpatialReceptiveField2d", "SampledSpatialReceptiveField2d"),
            *("ParameterizedSpatialReceptiveField2d", "TemporalReceptiveField"),
        ),
    ),
)

FRONTEND = Frontend(
    name="norse",
    packages=("norse.torch.module",),
    containers=frozenset({"SequentialState", "Lift"}),
    layers={
        "LIFBoxCell": _lif_box,
        "LIFCell": _lif,
        "LIF": _lif,
        "LIFRecurrentCell": _lif_recurrent,
        "LIFRecurrent": _lif_recurrent,
        "LIBoxCell": _li_box,
        "LICell": _li,
        "LI": _li,
        "LILinearCell": _li_linear,
        "IAFCell": _iaf,
        "IAF": _iaf,
        "LConv2d": _convolution,
        "RecurrentSequential": _recurrent_row,
    },
    wrong={name: reason for reason, names in _REASONS for name in names},
)
"""norse's layers."""
