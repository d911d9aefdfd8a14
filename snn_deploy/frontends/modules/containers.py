"""From a module to layers: containers whose children act one after another."""

from collections.abc import Iterator
from typing import Any

from snn_deploy.errors import OptionError
from snn_deploy.frontends.layers import LayerGraph, Linear
from snn_deploy.frontends.modules.intact import check_intact
from snn_deploy.frontends.modules.nested import read_nested
from snn_deploy.frontends.registry import (
    children_of,
    frontend_of,
    is_container,
    is_home,
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
        return all(is_readable(child) for _, child in children_of(module))
    found = frontend_of(module)
    if found is None:
        return False
    kind = short_name(module)
    return kind in found.wrong or (kind in found.layers and is_home(found, module))


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
    check_intact(module)
    port = _free_port(module)
    graph = LayerGraph(inputs={port: sample_shape or _first_shape(module, port)})
    graph.outputs[OUTPUT] = _read(graph, module, port)
    return graph


def _free_port(module: Any) -> str:
    """Return a name for the input that no layer has."""
    taken = {name for name, _ in _leaves(module)}
    return f"{INPUT}_port" if INPUT in taken else INPUT


def _read(graph: LayerGraph, module: Any, source: str) -> str:
    """Add all layers of a module, behind `source`; return the node that gives its output."""
    if not is_container(module):
        return read_layer(graph, "0", module, source)
    for name, child in children_of(module):
        source = read_nested(graph, name, child, source)
    return source


def _leaves(module: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, layer) for each layer in containers, in the order they act."""
    if not is_container(module):
        yield prefix.rstrip("."), module
        return
    for name, child in children_of(module):
        yield from _leaves(child, f"{prefix}{name}.")


def first_foreign(module: Any, name: str = "") -> tuple[str, Any] | None:
    """Return the first part of a module, and its name, that no frontend reads; None: all are."""
    if not is_container(module):
        return None if is_readable(module) else (name.rstrip("."), module)
    found = (first_foreign(child, f"{name}{key}.") for key, child in children_of(module))
    return next((part for part in found if part is not None), None)


def _first_shape(module: Any, port: str) -> Shape:
    """Return the shape that the first layer reads, where its weights say it."""
    graph = LayerGraph(inputs={port: ()})
    _read(graph, module, port)
    first = next(iter(graph.nodes.values()), None)
    if first is not None and isinstance(first.layer, Linear):
        return (int(first.layer.weight.shape[1]),)
    raise OptionError(
        "the shape of a sample is needed: the first layer takes inputs of any size",
        where="sample_shape",
        fix="--sample-shape CHANNELSxHEIGHTxWIDTH; in Python sample_shape=(channels, height, "
        "width), without batch and time",
    )
