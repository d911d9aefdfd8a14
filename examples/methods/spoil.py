"""Ways to read a network wrongly, which verification must see."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from snn_deploy.frontends.layers import Cell, LayerGraph
from snn_deploy.ir.network import Reset
from snn_deploy.ir.neuron import Compare, ResetKind


def every_cell(change: Callable[[Cell], Cell]) -> Callable[[LayerGraph], None]:
    """Return what changes all neurons of a graph."""

    def spoil(graph: LayerGraph) -> None:
        for name, node in graph.nodes.items():
            if isinstance(node.layer, Cell):
                graph.nodes[name] = replace(node, layer=change(node.layer))

    return spoil


def reset_by(amount: float | str | None) -> Callable[[LayerGraph], None]:
    """Return what lets each spike subtract another amount; None: it resets the membrane to 0."""

    def change(cell: Cell) -> Cell:
        kind = ResetKind.VALUE if amount is None else ResetKind.SUBTRACT
        wrong = cell.threshold if amount == "threshold" else np.asarray(amount or 0.0)
        return replace(cell, reset=Reset(kind=kind, amount=wrong))

    return every_cell(change)


def compared_by(compare: Compare) -> Callable[[LayerGraph], None]:
    """Return what compares membranes with thresholds otherwise."""
    return every_cell(lambda cell: replace(cell, compare=compare))
