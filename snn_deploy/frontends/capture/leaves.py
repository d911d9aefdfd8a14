"""Layers that a frontend reads, as a capture meets them: whether they keep a state, how their
framework calls them, and what they give."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from snn_deploy.frontends.layers import (
    Cell,
    ChannelAffine,
    Convolution,
    Delay,
    LayerGraph,
    Linear,
    Node,
    Rectifier,
    Scale,
    TransposedConvolution,
)
from snn_deploy.frontends.registry import (
    class_name,
    frontend_of,
    is_container,
    read_layer,
    short_name,
)
from snn_deploy.ir.neuron import Decode


class Takes(Enum):
    """What a layer with states takes in one call."""

    STEP = "one step, [sample, ...]"
    TIME_FIRST = "all steps, [step, sample, ...]"
    BATCH_FIRST = "all steps, [sample, step, ...]"
    FLAT = "all steps, [sample * step, ...]"


VIEWS = frozenset({"Flatten", "Unflatten", "FlattenTime", "UnflattenTime"})
"""Layers that only move axes: which ones, their forward says."""

JOINING = frozenset({"TorchResidual", "TorchFFwdStack"})
"""rockpool's classes that join others by code of their own, past the hooks of their own call."""

PROBE = "x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What reading a layer alone tells about it."""

    nodes: Mapping[str, Node]
    given: str
    """Node that gives its output; `PROBE` itself: the layer changes nothing."""

    decode: Decode | None
    """How its last layer is read, where it says so."""

    @property
    def transparent(self) -> bool:
        """Whether it passes its input on unchanged."""
        return self.given == PROBE

    @property
    def stateful(self) -> bool:
        """Whether what it gives depends on steps before."""
        return any(_remembers(node) for node in self.nodes.values())

    @property
    def biased(self) -> bool:
        """Whether it gives anything for zeros."""
        return any(_biased(node) for node in self.nodes.values())

    @property
    def elementwise(self) -> bool:
        """Whether it acts on the last axis only, or on each value alone."""
        kinds = (Linear, Rectifier, Cell, Scale)
        return all(isinstance(node.layer, kinds) for node in self.nodes.values())

    @property
    def cell(self) -> tuple[str, np.ndarray] | None:
        """Neurons whose payload, times a factor, is its output: their name and that factor."""
        name, factor = self.given, np.ones(())
        while name in self.nodes:
            node = self.nodes[name]
            if isinstance(node.layer, Cell):
                return name, factor
            if not isinstance(node.layer, Scale) or len(node.inputs) != 1:
                return None
            factor, name = np.asarray(factor * node.layer.factor), node.inputs[0]
        return None


def _remembers(node: Node) -> bool:
    if isinstance(node.layer, Delay) or node.fed_back:
        return True
    cell = node.layer
    if not isinstance(cell, Cell):
        return False
    return bool(np.any(cell.decay)) or cell.synapse is not None


def _biased(node: Node) -> bool:
    layer = node.layer
    if isinstance(layer, Linear | Convolution | TransposedConvolution):
        return layer.bias is not None
    return isinstance(layer, ChannelAffine | Cell)


def probe(module: Any, name: str) -> Probe:
    """Read a layer alone.

    Raises:
        ModelError: it, or an option of it, is not read.
    """
    graph = LayerGraph(inputs={PROBE: ()})
    given = read_layer(graph, name, module, PROBE)
    decode = next(iter(graph.decodes.values()), None)
    return Probe(nodes=graph.nodes, given=given, decode=decode)


def is_leaf(module: Any) -> bool:
    """Return whether a module is one layer, in whose forward nothing is followed."""
    found, name = frontend_of(module), short_name(module)
    if found is None or is_container(module) or name in VIEWS | JOINING:
        return False
    if name in found.layers or name in found.wrong:
        return True
    # A framework's class that nobody knows is refused by name, unless it only holds others.
    holds = next(iter(module.children()), None) is not None
    return not holds and name not in ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict")


def leaves(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield (path, layer) for each layer of a module, those inside of other layers left out."""
    inside: tuple[str, ...] = ()
    for path, child in module.named_modules():
        if any(path.startswith(outer) for outer in inside):
            continue
        if is_leaf(child):
            yield path, child
            inside = (*inside, f"{path}." if path else "")


def takes(module: Any) -> Takes:
    """Return what a layer with states takes in one call, by its framework's convention."""
    return _TAKES.get(class_name(module).partition(".")[0], _a_step)(module)


def _a_step(module: Any) -> Takes:
    return Takes.STEP


def _of_norse(module: Any) -> Takes:
    name = short_name(module)
    steps = name.endswith("Cell") or name == "RecurrentSequential"
    return Takes.STEP if steps else Takes.TIME_FIRST


def _of_sinabs(module: Any) -> Takes:
    return Takes.FLAT if "Squeeze" in short_name(module) else Takes.BATCH_FIRST


def _of_spikingjelly(module: Any) -> Takes:
    return Takes.TIME_FIRST if getattr(module, "step_mode", "s") == "m" else Takes.STEP


def _of_rockpool(module: Any) -> Takes:
    return Takes.BATCH_FIRST


_TAKES: Mapping[str, Callable[[Any], Takes]] = {
    "norse": _of_norse,
    "sinabs": _of_sinabs,
    "spikingjelly": _of_spikingjelly,
    "rockpool": _of_rockpool,
}

RESETS: Mapping[str, str] = {
    "snntorch": "reset_mem",
    "sinabs": "reset_states",
    "spikingjelly": "reset",
    "rockpool": "reset_state",
}
"""Methods that set the states of a framework's layers back, by its package."""

MEMBRANES = ("mem", "v", "v_mem", "vmem")
"""Names of the membrane among the states of the frameworks' layers."""


def packages_of(kind: type) -> frozenset[str]:
    """Return the packages that a class and its bases come from."""
    return frozenset(base.__module__.partition(".")[0] for base in kind.__mro__)


def reset(module: Any) -> None:
    """Set the states of all layers back, by the methods that their frameworks have for it."""
    for _, child in module.named_modules():
        for package, method in RESETS.items():
            act = getattr(child, method, None)
            if package in packages_of(type(child)) and act is not None:
                act()


def membrane_label(module: Any, index: int, count: int, field: str) -> str:
    """Return which state an extra output of a layer is.

    Args:
        module: The layer.
        index: Of the output, from 1 on; `count` are all of them.
        count: Outputs, the first included.
        field: Its name, where outputs have names.
    """
    if class_name(module).startswith("snntorch."):
        return "membrane" if index == count - 1 else "current"
    return "membrane" if field in MEMBRANES else field or "state"


def spiking(cell: Cell) -> bool:
    """Return whether neurons send spikes."""
    return cell.fires.spiking
