"""From a module to layers: containers whose children act one after another."""

from collections.abc import Iterator
from typing import Any

from snn_deploy.errors import OptionError
from snn_deploy.frontends.layers import LayerGraph, Linear
from snn_deploy.frontends.registry import (
    frontend_of,
    is_container,
    read_layer,
    short_name,
)
from snn_deploy.ir.maps import Shape

INPUT, OUTPUT = "input", "output"
"""Names of the ports of a network whose module does not name them."""


def is_module(model: object) -> bool:
    """Return whether `model` is a torch module; torch itself is not loaded."""
    return any(
        kind.__name__ == "Module" and kind.__module__.startswith("torch.nn")
        for kind in type(model).__mro__
    )


def is_readable(module: object) -> bool:
    """Return whether a module is a layer that a frontend reads, or a row of such."""
    if is_container(module):
        return all(is_readable(child) for _, child in _children(module))
    found = frontend_of(module)
    return found is not None and short_name(module) in {*found.layers, *found.wrong}


def read_module(module: Any, sample_shape: Shape | None = None) -> LayerGraph:
    """Return the layers of a module, as in evaluation mode.

    Args:
        module: A layer, or containers of layers that act one after another; a live torch module
            or the record of a pickled one.
        sample_shape: Shape of one sample's values in one step, without batch and time; None: the
            first layer says it, which only a Linear can.

    Raises:
        UnknownNodeError: a layer, or an option of one, that is not read.
        OptionError: `sample_shape` is needed.
        ModelError: its layers cannot be one network.
    """
    layers = list(_layers(module, ""))
    graph = LayerGraph(inputs={INPUT: sample_shape or _first_shape(layers)})
    source = INPUT
    for name, layer in layers:
        source = read_layer(graph, name, layer, source)
    graph.outputs[OUTPUT] = source
    return graph


def _children(module: Any) -> list[tuple[str, Any]]:
    return list(module.named_children())


def _layers(module: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, layer) for each layer, in the order they act."""
    if not is_container(module):
        yield prefix.rstrip(".") or "0", module
        return
    for name, child in _children(module):
        yield from _layers(child, f"{prefix}{name}.")


def _first_shape(layers: list[tuple[str, Any]]) -> Shape:
    for name, layer in layers:
        graph = LayerGraph(inputs={INPUT: ()})
        if read_layer(graph, name, layer, INPUT) == INPUT:
            continue
        first = next(iter(graph.nodes.values())).layer
        if isinstance(first, Linear):
            return (int(first.weight.shape[1]),)
        break
    raise OptionError(
        "the shape of a sample is needed: the first layer takes inputs of any size",
        where="sample_shape",
        fix="sample_shape=(channels, height, width), without batch and time",
    )
