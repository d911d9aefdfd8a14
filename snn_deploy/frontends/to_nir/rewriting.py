"""Layers rewritten before they become NIR: normalisations folded, delays of synapses apart."""

from dataclasses import replace

import numpy as np

from snn_deploy.errors import ShapeError
from snn_deploy.frontends.layers import (
    ChannelAffine,
    Convolution,
    Delay,
    LayerGraph,
    Linear,
    Node,
    Scale,
    Sum,
    TransposedConvolution,
)


def folded(graph: LayerGraph) -> LayerGraph:
    """Return the graph with each normalisation folded into the kernel that alone feeds it."""
    readers = graph.consumers()
    nodes = dict(graph.nodes)
    renamed: dict[str, str] = {}
    for name, node in graph.nodes.items():
        if not isinstance(node.layer, ChannelAffine) or len(node.inputs) != 1 or node.fed_back:
            continue
        source = renamed.get(node.inputs[0], node.inputs[0])
        before = nodes.get(source)
        shown = node.inputs[0] in graph.outputs.values()
        if before is None or shown or len(readers[node.inputs[0]]) != 1:
            continue
        kernel = before.layer
        if isinstance(kernel, Linear | Convolution | TransposedConvolution):
            nodes[source] = replace(before, layer=_normalised(kernel, node.layer, name))
            renamed[name] = source
            del nodes[name]

    def now(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(renamed.get(n, n) for n in names)

    return replace(
        graph,
        nodes={
            name: replace(node, inputs=now(node.inputs), fed_back=now(node.fed_back))
            for name, node in nodes.items()
        },
        outputs={name: renamed.get(source, source) for name, source in graph.outputs.items()},
    )


def undelayed(graph: LayerGraph) -> LayerGraph:
    """Return the graph with each kernel that has delays as one kernel behind a `Delay` for each."""
    nodes: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        kernel = node.layer
        if not isinstance(kernel, Linear | Convolution) or kernel.delays is None:
            nodes[name] = node
            continue
        source, fed_back = node.inputs, node.fed_back
        if len(source) + len(fed_back) > 1:
            total = Scale(factor=np.ones(()))
            nodes[f"{name}.sum"] = Node(layer=total, inputs=source, fed_back=fed_back)
            source = (f"{name}.sum",)
        parts: list[str] = []
        for steps in np.unique(kernel.delays):
            weight = np.where(kernel.delays == steps, kernel.weight, 0.0)
            bias = None if parts else kernel.bias
            part = replace(kernel, weight=weight, bias=bias, delays=None)
            entry = source
            if steps:
                late = f"{name}.late{steps}"
                nodes[late] = Node(layer=Delay(steps=int(steps)), inputs=source)
                entry = (late,)
            parts.append(f"{name}.by{steps}")
            nodes[parts[-1]] = Node(layer=part, inputs=entry)
        nodes[name] = Node(layer=Sum(), inputs=tuple(parts))
    return replace(graph, nodes=nodes)


def _normalised(
    kernel: Linear | Convolution | TransposedConvolution, affine: ChannelAffine, name: str
) -> Linear | Convolution | TransposedConvolution:
    """Return a kernel followed by a factor and a shift per channel of its output."""
    weight = np.asarray(kernel.weight, np.float64)
    channels = weight.shape[0]
    if isinstance(kernel, TransposedConvolution):
        channels = weight.shape[1] * kernel.groups
    if channels != affine.scale.size:
        raise ShapeError(
            f"it normalises {affine.scale.size} channels, but is given {channels}", where=name
        )
    bias = affine.shift + (0.0 if kernel.bias is None else affine.scale * kernel.bias)
    if isinstance(kernel, TransposedConvolution):
        # [in, out / groups, ...]: the input channels of group g make the outputs of group g.
        grouped = weight.reshape(kernel.groups, -1, *weight.shape[1:])
        factor = affine.scale.reshape(kernel.groups, 1, -1, *(1,) * (weight.ndim - 2))
        return replace(kernel, weight=(grouped * factor).reshape(weight.shape), bias=bias)
    factor = affine.scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return replace(kernel, weight=weight * factor, bias=bias)
