"""norse's modules, read by their attributes: layers in a row become a NIR graph and its dynamics.

norse's own exporter is not used: norse 1.1.0 writes time constants a thousand times too small and
loses subtracting resets. Each update below is the one that norse's functional code computes.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import nir
import numpy as np

from snn_deploy.errors import DynamicsError, OptionError, ShapeError, UnknownNodeError
from snn_deploy.frontends.annotation import Annotation
from snn_deploy.frontends.dynamics import (
    Choice,
    Dynamics,
    Firing,
    Gain,
    Integration,
    Origin,
    ResetRule,
    Unit,
)
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Arithmetic
from snn_deploy.ir.neuron import Compare, Fires

T = TypeVar("T")

USUAL_DT = 1e-3
"""norse's step [s], for a network without any neuron that has one."""

CONTAINERS = ("Sequential", "SequentialState")
NOTHING = ("Dropout", "Dropout1d", "Dropout2d", "Identity")
"""Layers that pass their input unchanged once a network is trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleGraph:
    """What was read from a module."""

    graph: nir.NIRGraph
    annotation: Annotation


def is_module(model: object) -> bool:
    """Return whether `model` is a torch module; torch itself is not loaded."""
    return any(
        kind.__name__ == "Module" and kind.__module__.startswith("torch.nn")
        for kind in type(model).__mro__
    )


def read_module(module: Any, sample_shape: Shape | None = None) -> ModuleGraph:
    """Return the graph of a `Sequential` or `SequentialState` of layers, as in evaluation mode.

    Args:
        module: Of torch's Linear, Conv1d, Conv2d, AvgPool2d, Flatten, Dropout, Identity, and
            norse's LIFBoxCell, LIFCell, LIBoxCell, LICell, IAFCell.
        sample_shape: Shape of one sample's values in one step, without batch and time; None: the
            first layer says it, which only a Linear can.

    Raises:
        UnknownNodeError: a layer, or an option of one, that is not read.
        OptionError: `sample_shape` is needed.
        DynamicsError: cells of different time steps.
    """
    layers = list(_layers(module, ""))
    reading = _Reading()
    for name, layer in layers:
        reading.add(name, layer)
    shape = sample_shape if sample_shape is not None else _first_shape(reading.nodes)
    names = list(reading.nodes)
    nodes = {
        "input": nir.Input(input_type=np.array(shape)),
        **reading.nodes,
        "output": nir.Output(output_type=None),
    }
    ends = ["input", *names, "output"]
    graph = nir.NIRGraph(
        nodes=nodes,
        edges=list(itertools.pairwise(ends)),
        metadata={},
        type_check=False,
    )
    annotation = Annotation(
        dt=_known(reading.step()),
        unit=_known(Unit.SECOND),
        arithmetic=_known(Arithmetic.FLOAT64),
        feedback_bias_at_start=_known(True),
        neurons=reading.neurons,
    )
    return ModuleGraph(graph=graph, annotation=annotation)


def _known(value: T) -> Choice[T]:
    return Choice(value=value, origin=Origin.MODULE)


def _layers(module: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, layer) for each layer, in the order they act."""
    if type(module).__name__ not in CONTAINERS:
        yield prefix.rstrip(".") or "0", module
        return
    for name, child in module.named_children():
        yield from _layers(child, f"{prefix}{name}.")


def _first_shape(nodes: Mapping[str, nir.NIRNode]) -> Shape:
    first = next(iter(nodes.values()), None)
    if isinstance(first, nir.Affine | nir.Linear):
        return (int(first.weight.shape[-1]),)
    raise OptionError(
        "the shape of a sample is needed: the first layer takes inputs of any size",
        where="sample_shape",
        fix="sample_shape=(channels, height, width), without batch and time",
    )


@dataclass(slots=True)
class _Reading:
    """Nodes and dynamics, as they are found."""

    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    neurons: dict[str, Dynamics] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, layer: Any) -> None:
        """Read one layer.

        Raises:
            UnknownNodeError: of a type or with an option that is not read.
        """
        kind = type(layer).__name__
        if kind in NOTHING:
            return
        if kind in _LINEAR:
            self.nodes[name] = _LINEAR[kind](name, layer)
        elif kind in _CELLS:
            self.nodes[name], self.neurons[name] = _CELLS[kind](name, layer.p)
            if kind != "IAFCell":
                self.steps[name] = float(layer.dt)
        else:
            raise UnknownNodeError(
                f"a layer of type {kind} is not read",
                where=name,
                fix=f"known are {', '.join((*CONTAINERS, *_LINEAR, *NOTHING, *_CELLS))}",
            )

    def step(self) -> float:
        """Return the step of all cells [s].

        Raises:
            DynamicsError: they differ.
        """
        found = sorted(set(self.steps.values()))
        if len(found) > 1:
            first = next(name for name, dt in self.steps.items() if dt != found[0])
            raise DynamicsError(
                f"cells have different time steps: {', '.join(f'{dt:g}' for dt in found)} s",
                where=first,
                fix="give all cells the same dt",
            )
        return found[0] if found else USUAL_DT


def _array(tensor: Any) -> np.ndarray:
    """Return a tensor's numbers as an array of its own."""
    import torch  # noqa: PLC0415  only where a module is read

    return np.array(torch.as_tensor(tensor).detach().cpu().numpy())


def _expect(name: str, layer: Any, **wanted: object) -> None:
    """Refuse a layer that has an option other than the one we read."""
    for option, value in wanted.items():
        found = getattr(layer, option)
        if found != value:
            raise UnknownNodeError(
                f"{type(layer).__name__} with {option}={found!r} is not read",
                where=name,
                fix=f"use {option}={value!r}",
            )


def _linear(name: str, layer: Any) -> nir.NIRNode:
    if layer.bias is None:
        return nir.Linear(weight=_array(layer.weight))
    return nir.Affine(weight=_array(layer.weight), bias=_array(layer.bias))


def _convolution(name: str, layer: Any) -> nir.NIRNode:
    _expect(name, layer, padding_mode="zeros", transposed=False)
    weight = _array(layer.weight)
    bias = np.zeros(len(weight), weight.dtype) if layer.bias is None else _array(layer.bias)
    one_axis = weight.ndim == 3

    def side(value: Any) -> Any:
        return value[0] if one_axis and not isinstance(value, str) else value

    return (nir.Conv1d if one_axis else nir.Conv2d)(
        input_shape=None,
        weight=weight,
        stride=side(layer.stride),
        padding=side(layer.padding),
        dilation=side(layer.dilation),
        groups=layer.groups,
        bias=bias,
    )


def _pooling(name: str, layer: Any) -> nir.NIRNode:
    _expect(name, layer, ceil_mode=False, count_include_pad=True, divisor_override=None)
    return nir.AvgPool2d(
        kernel_size=_pair(layer.kernel_size),
        stride=_pair(layer.stride),
        padding=_pair(layer.padding),
    )


def _pair(value: int | Sequence[int]) -> np.ndarray:
    return np.array([value, value] if isinstance(value, int) else list(value))


def _flatten(name: str, layer: Any) -> nir.NIRNode:
    if layer.start_dim == 0:
        raise ShapeError(
            "Flatten with start_dim=0 flattens the batch as well",
            where=name,
            fix="use start_dim=1",
        )
    # torch counts a batch axis, NIR does not.
    start = layer.start_dim - 1 if layer.start_dim > 0 else layer.start_dim
    end = layer.end_dim - 1 if layer.end_dim > 0 else layer.end_dim
    return nir.Flatten(input_type=None, start_dim=start, end_dim=end)


_LINEAR: Mapping[str, Callable[[str, Any], nir.NIRNode]] = {
    "Linear": _linear,
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "AvgPool2d": _pooling,
    "Flatten": _flatten,
}


def _dynamics(
    membrane: Gain = Gain.INTEGRATED,
    current: Gain = Gain.INTEGRATED,
    reset: ResetRule | None = None,
) -> Dynamics:
    """Return Euler dynamics; without a reset rule, those of a neuron that never fires."""
    firing = None
    if reset is not None:
        firing = Firing(
            reset=_known(reset),
            compare=_known(Compare.GREATER),
            fires=_known(Fires.BINARY),
            max_spikes=_known(1),
            floor=_known(None),
            late=_known(0),
        )
    return Dynamics(
        integration=_known(Integration.EULER),
        membrane_gain=_known(membrane),
        current_gain=_known(current),
        firing=firing,
    )


def _parameters(name: str, **tensors: Any) -> dict[str, np.ndarray]:
    """Return cell parameters in float64, all of one shape."""
    arrays = {key: _array(value).astype(np.float64) for key, value in tensors.items()}
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
        raise ShapeError(f"the parameters differ in shape: {shapes}", where=name) from None
    return {key: np.array(np.broadcast_to(array, shape)) for key, array in arrays.items()}


def _time(name: str, inverse: np.ndarray) -> np.ndarray:
    if np.any(inverse <= 0):
        raise DynamicsError(
            f"an inverse time constant of {inverse.min():g} 1/s, but it must be positive",
            where=name,
        )
    return np.asarray(1.0 / inverse)


def _reset_rule(name: str, parameters: Any) -> ResetRule:
    """Return how a cell resets; parameters without a `reset_method` reset to a value."""
    if "reset_method" not in type(parameters)._fields:
        return ResetRule.VALUE
    method = parameters.reset_method.__name__
    known = {"reset_value": ResetRule.VALUE, "reset_subtract": ResetRule.SUBTRACT}
    if method not in known:
        raise UnknownNodeError(
            f"the reset method {method!r} is not read",
            where=f"{name}.p.reset_method",
            fix=f"known are {', '.join(known)}",
        )
    return known[method]


def _lif_box(name: str, p: Any) -> tuple[nir.NIRNode, Dynamics]:
    """v += dt / tau * (x + v_leak - v)"""
    values = _parameters(
        name, inverse=p.tau_mem_inv, v_leak=p.v_leak, v_threshold=p.v_th, v_reset=p.v_reset
    )
    tau = _time(name, values.pop("inverse"))
    node = nir.LIF(tau=tau, r=np.ones_like(tau), **values)
    return node, _dynamics(reset=_reset_rule(name, p))


def _lif(name: str, p: Any) -> tuple[nir.NIRNode, Dynamics]:
    """j = i + x; v += dt / tau_mem * (v_leak - v + j); i = j - dt / tau_syn * j

    With j as the state: j = (1 - dt / tau_syn) * j + x, and the membrane reads it.
    """
    values = _parameters(
        name,
        syn=p.tau_syn_inv,
        mem=p.tau_mem_inv,
        v_leak=p.v_leak,
        v_threshold=p.v_th,
        v_reset=p.v_reset,
    )
    syn, mem = _time(name, values.pop("syn")), _time(name, values.pop("mem"))
    ones = np.ones_like(mem)
    node = nir.CubaLIF(tau_syn=syn, tau_mem=mem, r=ones, w_in=ones, **values)
    return node, _dynamics(current=Gain.UNSCALED, reset=_reset_rule(name, p))


def _li_box(name: str, p: Any) -> tuple[nir.NIRNode, Dynamics]:
    """v += dt / tau * (v_leak - v + x)"""
    values = _parameters(name, inverse=p.tau_mem_inv, v_leak=p.v_leak)
    tau = _time(name, values["inverse"])
    return nir.LI(tau=tau, r=np.ones_like(tau), v_leak=values["v_leak"]), _dynamics()


def _li(name: str, p: Any) -> tuple[nir.NIRNode, Dynamics]:
    """As `_lif`, without spikes."""
    values = _parameters(name, syn=p.tau_syn_inv, mem=p.tau_mem_inv, v_leak=p.v_leak)
    syn, mem = _time(name, values["syn"]), _time(name, values["mem"])
    ones = np.ones_like(mem)
    node = nir.CubaLI(tau_syn=syn, tau_mem=mem, r=ones, w_in=ones, v_leak=values["v_leak"])
    return node, _dynamics(current=Gain.UNSCALED)


def _iaf(name: str, p: Any) -> tuple[nir.NIRNode, Dynamics]:
    """v += x, from v_reset; the time step has no part in it"""
    values = _parameters(name, v_threshold=p.v_th, v_reset=p.v_reset)
    node = nir.IF(r=np.ones_like(values["v_reset"]), **values)
    return node, _dynamics(membrane=Gain.UNSCALED, reset=_reset_rule(name, p))


_CELLS: Mapping[str, Callable[[str, Any], tuple[nir.NIRNode, Dynamics]]] = {
    "LIFBoxCell": _lif_box,
    "LIFCell": _lif,
    "LIBoxCell": _li_box,
    "LICell": _li,
    "IAFCell": _iaf,
}
