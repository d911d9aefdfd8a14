"""The network of an architecture file and its weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.arch.file import Architecture, ArchLayer, Tensors
from snn_deploy.frontends.arch.kind import LayerKind
from snn_deploy.frontends.arch.kinds import KINDS
from snn_deploy.frontends.arch.own import OWN, own_layer
from snn_deploy.frontends.arch.table import quoted
from snn_deploy.frontends.arch.torch import TORCH
from snn_deploy.frontends.dynamics import Unit
from snn_deploy.frontends.layers import LayerGraph, Sum
from snn_deploy.frontends.modules import INPUT, OUTPUT, is_readable, read_nested
from snn_deploy.frontends.registry import children_of, class_name, is_container, short_name
from snn_deploy.frontends.torch_file import Stub
from snn_deploy.ir.weighting import Weighting
from snn_deploy.ir.words import meant


def build(architecture: Architecture, weights: Tensors | Stub) -> LayerGraph:
    """Return the network of an architecture and its weights.

    Args:
        architecture: Layers by name.
        weights: Tensors of a state dict by key, or the record of a pickled module, whose parts
            have the names of the layers.

    Raises:
        ModelError: a layer lacks a tensor, a tensor belongs to no layer, or a layer cannot be
            read.
    """
    graph = LayerGraph(inputs={INPUT: architecture.input}, bias_waits=architecture.bias_waits)
    if architecture.dt is not None:
        graph.dt, graph.unit = architecture.dt, Unit.SECOND
    before = INPUT
    ends: dict[str, str] = {INPUT: INPUT}
    if isinstance(weights, Stub):
        _check_parts(architecture, weights)
    else:
        _check_claimed(architecture, weights)
    for layer in architecture.layers:
        sources = [before]
        if layer.inputs is not None:
            sources = [_end(ends, name, layer.where) for name in layer.inputs]
        ends[layer.name] = before = _add(graph, architecture, layer, sources, weights)
    for layer in architecture.layers:
        for name in layer.fed_back:
            graph.feed_back(_end(ends, name, layer.where), layer.name)
    graph.outputs[OUTPUT] = _end(ends, architecture.output, architecture.where)
    if architecture.decode is not None:
        graph.decodes[OUTPUT] = architecture.decode
    if architecture.decode_weights is not None:
        graph.weights[OUTPUT] = Weighting.of(architecture.decode_weights)
    return graph


def _end(ends: Mapping[str, str], name: str, where: str) -> str:
    if name not in ends:
        raise UnknownNodeError(
            f"there is no layer {name!r} before it",
            where=where,
            fix=meant(name, ends, f"there are {', '.join(ends)}"),
        )
    return ends[name]


def _add(
    graph: LayerGraph,
    architecture: Architecture,
    layer: ArchLayer,
    sources: Sequence[str],
    weights: Tensors | Stub,
) -> str:
    """Add one layer; return the node that gives its output."""
    if layer.type is not None and layer.type in OWN:
        own = own_layer(layer.type, layer.options, layer.where)
        return graph.add(layer.name, own, *sources)
    source = sources[0]
    if len(sources) > 1:
        source = graph.add(f"{layer.name}.sum", Sum(), *sources)
    if isinstance(weights, Stub):
        record = _part(weights, layer)
    else:
        record = _record(architecture, layer, weights)
    return read_nested(graph, layer.name, record, source)


def _part(root: Stub, layer: ArchLayer) -> Any:
    """Return the part of a pickled module that has the name of a layer."""
    part = _found(root, layer.name)
    if part is None:
        owner, _, _ = layer.name.rpartition(".")
        holder = _found(root, owner) if owner else root
        children = dict(children_of(holder)) if isinstance(holder, Stub) else {}
        raise UnknownNodeError(
            f"the pickled module has no part {layer.name!r}",
            where=layer.where,
            fix=f"it has {', '.join(children) or 'none there'}",
        )
    if layer.type is not None or layer.options:
        raise UnknownNodeError(
            "the pickled module says what this layer is; the architecture only joins it",
            where=layer.where,
            fix="leave its type and options out",
        )
    return part


def _found(root: Stub, name: str) -> Any:
    """Return the part of a pickled module at a dotted name; None: there is none."""
    part: Any = root
    for step in name.split("."):
        part = dict(children_of(part)).get(step) if isinstance(part, Stub) else None
    return part


def _check_parts(architecture: Architecture, root: Stub) -> None:
    """Refuse parts of a pickled module that no layer is: the network would go without them."""
    named: set[int] = set()
    for layer in architecture.layers:
        part = _found(root, layer.name)
        if layer.type not in OWN:
            named.add(id(part))
        elif part is not None:
            raise UnknownNodeError(
                f"the pickled module has a part of this name, a {class_name(part)}",
                where=layer.where,
                fix="leave the type and the options out, or give the layer another name",
            )
    rest: list[tuple[str, Any]] = [("", root)]
    while rest:
        name, part = rest.pop()
        if id(part) in named or _is_ignored(architecture, name):
            continue
        named.add(id(part))
        if _is_needed(part):
            raise UnknownNodeError(
                f"no layer of the architecture is the part {name or 'on top'!r} of the pickled "
                f"module, a {class_name(part)}",
                where=architecture.where,
                fix=f'name it, or leave it out on purpose: ignore = ["{name}"]',
            )
        children = children_of(part) if isinstance(part, Stub) else []
        rest += [(f"{name}.{child}".lstrip("."), inner) for child, inner in reversed(children)]


def _is_needed(part: Any) -> bool:
    """Return whether a part of a module holds numbers, or is a layer that acts when it is used."""
    held = (getattr(part, home, None) for home in ("_parameters", "_buffers"))
    if any(value is not None for members in held for value in dict(members or {}).values()):
        return True
    return not is_container(part) and is_readable(part) and short_name(part) not in IDLE


IDLE = frozenset({"Dropout", "Dropout1d", "Dropout2d", "AlphaDropout", "Identity"})
"""Layers that change nothing once a network is trained."""


def _record(architecture: Architecture, layer: ArchLayer, tensors: Tensors) -> Stub:
    prefix = f"{layer.name}."
    own = {
        key[len(prefix) :]: value
        for key, value in tensors.items()
        if key.startswith(prefix) and not _is_ignored(architecture, key)
    }
    for option in layer.options:
        if option in own:
            raise UnknownNodeError(
                f"the file of weights and the architecture both say {option!r}",
                where=layer.where,
                fix="leave it out of the architecture",
            )
    return _kind(architecture, layer).record(layer.where, {**layer.options, **own})


def _kind(architecture: Architecture, layer: ArchLayer) -> LayerKind:
    if layer.type is None:
        raise UnknownNodeError(
            "a state dict does not say what a layer is",
            where=layer.where,
            fix=f"type = ..., such as {', '.join(sorted(TORCH)[:4])}",
        )
    package, _, short = layer.type.rpartition(".")
    framework = package or architecture.framework
    kinds = {**TORCH, **KINDS.get(framework, {})} if not package else KINDS.get(framework, {})
    if short not in kinds:
        known = [*OWN, *kinds]
        raise UnknownNodeError(
            f"{layer.type!r:.60} is no layer of {framework} that an architecture can name",
            where=layer.where,
            fix=meant(short, known),
        )
    return kinds[short]


def _check_claimed(architecture: Architecture, tensors: Tensors) -> None:
    """Refuse tensors that no layer has: a part of the network would be left out."""
    types = {layer.name: layer.type for layer in architecture.layers}
    for key in tensors:
        claims = _prefixes(key) & types.keys()
        if _is_ignored(architecture, key) or any(types[name] not in OWN for name in claims):
            continue
        ignore = f"leave it out on purpose: ignore = [{quoted(key)}]"
        if claims:
            raise UnknownNodeError(
                f"a layer of type {types[claims.pop()]} has no tensors, but there is {key!r}",
                where=architecture.where,
                fix=f"give the layer the type of its framework, or {ignore}",
            )
        raise UnknownNodeError(
            f"no layer of the architecture has the tensor {key!r}",
            where=architecture.where,
            fix=f"name its layer, or {ignore}",
        )


def _prefixes(key: str) -> set[str]:
    parts = key.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts) + 1)}


def _is_ignored(architecture: Architecture, key: str) -> bool:
    return not _prefixes(key).isdisjoint(architecture.ignore)
