"""Layers inside layers: the module that a recurrent or wrapping layer holds."""

from typing import Any

from snn_deploy.errors import GraphError
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.registry import children_of, is_container, read_layer


def read_nested(graph: LayerGraph, name: str, module: Any, source: str) -> str:
    """Add what a module inside another does with what `source` gives: a layer, or a row of them.

    Returns:
        The node that gives its output.

    Raises:
        GraphError: a layer before it has already made one value of all steps.
        ModelError: a layer, or an option of one, that is not read.
    """
    if graph.decodes:
        raise GraphError(
            f"it follows a layer that gives one value for all steps, {source!r}",
            where=name,
            fix="end the network there, or let that layer give its membrane in every step",
        )
    if not is_container(module):
        return read_layer(graph, name, module, source)
    for child, layer in children_of(module):
        source = read_nested(graph, f"{name}.{child}", layer, source)
    return source
