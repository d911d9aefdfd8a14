"""Architecture files: which layers and neurons the weights of a state dict belong to.

A TOML file, read as data. Example:

    framework = "snntorch"                  # whose neurons; layers of torch.nn are always known
    input = [1, 28, 28]                     # of one sample in one step

    [[layers]]
    name = "conv1"                          # its tensors are conv1.weight and conv1.bias
    type = "Conv2d"
    stride = 2

    [[layers]]
    name = "lif1"                           # beta and threshold come from the state dict
    type = "Leaky"
    reset_mechanism = "zero"

A layer reads the one before it, or those that its `inputs` name; several add up. `fed_back`
names layers whose output of the step before adds up too. The type "Neurons" is a layer of
neurons in our own words: decay, threshold, reset ("none", "value", "subtract", "late-value",
"late-subtract"), compare, synapse_decay, fires = false for a readout, and others; a list of
numbers has one for each channel. `arch_own.py` lists all that can be said of them.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.errors import FileDamagedError, FileMissingError, UnknownNodeError
from snn_deploy.frontends.arch_kinds import KIND_BY_AXES, KINDS, TORCH, LayerKind
from snn_deploy.frontends.arch_own import OWN, own_layer
from snn_deploy.frontends.arch_table import Table, check_integers, escaped, quoted
from snn_deploy.frontends.dynamics import Unit
from snn_deploy.frontends.layers import LayerGraph, Sum
from snn_deploy.frontends.modules import INPUT, OUTPUT, is_readable
from snn_deploy.frontends.nested import read_nested
from snn_deploy.frontends.registry import children_of, class_name, is_container, short_name
from snn_deploy.frontends.torch_stub import Stub
from snn_deploy.ir.codecs import Encode, EncodingChanges
from snn_deploy.ir.neuron import Decode
from snn_deploy.ir.weighting import Weighting
from snn_deploy.ir.words import meant

LARGEST_FILE = 2**20
"""Bytes of an architecture file."""

MOST_LAYERS = 10_000

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchLayer:
    """One entry of `layers`."""

    name: str
    type: str | None
    """None: what the pickled module has under that name."""

    inputs: tuple[str, ...] | None
    """None: the layer before it."""

    fed_back: tuple[str, ...]
    options: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What an architecture file says."""

    framework: str
    input: tuple[int, ...]
    layers: tuple[ArchLayer, ...]
    output: str
    """Name of the layer that gives the output."""

    where: str
    dt: float | None = None
    """Seconds per step."""

    decode: Decode | None = None
    decode_weights: tuple[float, ...] | None = None
    """Of each step, where the decoder needs them."""

    bias_waits: bool = False
    """Whether a bias on a feedback path waits for what is fed back first."""

    ignore: tuple[str, ...] = ()
    """Tensors of the state dict, or their prefixes, that no layer needs."""

    encoding: EncodingChanges = field(default_factory=EncodingChanges)


# ------------------------------------------------------------------- the file


def read_architecture(path: Path) -> Architecture:
    """Return what an architecture file says.

    Raises:
        FileMissingError: it cannot be read.
        FileDamagedError: it is no TOML, or has an entry that means nothing.
        UnknownNodeError: a framework or a layer that nobody knows.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise FileMissingError(
            f"cannot read the architecture: {error.strerror}", where=str(path)
        ) from error
    return parse_architecture(content, path.name)


def parse_architecture(content: bytes, where: str) -> Architecture:
    """Return what the text of an architecture file says; see `read_architecture`."""
    if len(content) > LARGEST_FILE:
        raise FileDamagedError(
            f"an architecture of more than {LARGEST_FILE} bytes is not read", where=where
        )
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits
        raise FileDamagedError(f"the architecture is no TOML: {error}", where=where) from error
    check_integers(document, where)
    return _architecture(Table(document, where))


def _architecture(table: Table) -> Architecture:
    framework = table.take("framework", str, "torch")
    if framework not in KINDS:
        raise UnknownNodeError(
            f"{framework!r:.60} is no framework whose layers an architecture can name",
            where=table.where,
            fix=f"one of {', '.join(KINDS)}",
        )
    entries = table.take("layers", list, [])
    if not entries or len(entries) > MOST_LAYERS or not all(isinstance(e, dict) for e in entries):
        raise FileDamagedError(
            f"an architecture has 1 to {MOST_LAYERS} tables [[layers]]", where=table.where
        )
    layers = tuple(_layer(index, entry, table.where) for index, entry in enumerate(entries))
    shape = table.wholes("input", ())
    if not shape:
        raise FileDamagedError(
            "an architecture says the shape of its input",
            where=table.where,
            fix="input = [channels, height, width], without batch and time",
        )
    dt = table.take("dt", (int, float), None)
    if dt is not None and not (math.isfinite(dt) and dt > 0):
        raise FileDamagedError(f"dt = {dt} is no time", where=table.where)
    made = Architecture(
        framework=framework,
        input=shape,
        layers=layers,
        output=table.take("output", str, layers[-1].name),
        where=table.where,
        dt=None if dt is None else float(dt),
        decode=table.word("decode", Decode),
        decode_weights=_decode_weights(table),
        bias_waits=table.take("bias_waits", bool, False),
        ignore=table.texts("ignore") or (),
        encoding=_encoding(Table(table.take("encoding", dict, {}), f"{table.where}: encoding")),
    )
    table.finish()
    return made


def _decode_weights(table: Table) -> tuple[float, ...] | None:
    weights = table.numbers_if_any("decode_weights")
    return None if weights is None else tuple(weights.ravel().tolist())


def _encoding(table: Table) -> EncodingChanges:
    changes = EncodingChanges(
        how=table.word("how", Encode),
        steps=table.take("steps", int, None),
        seed=table.take("seed", int, None),
        low=table.take("low", int, None),
        high=table.take("high", int, None),
        unit=table.take("unit", (int, float), None),
    )
    table.finish()
    return changes


def _layer(index: int, entry: dict[str, Any], where: str) -> ArchLayer:
    table = Table(dict(entry), f"{where}: layers[{index}]")
    name = table.take("name", str, f"{index}")
    inputs = table.texts("inputs")
    if inputs == ():
        raise FileDamagedError(
            "inputs = [] names no layer",
            where=f"{where}: {name}",
            fix="leave it out: a layer reads the one before it",
        )
    return ArchLayer(
        name=name,
        type=table.take("type", str, None),
        inputs=inputs,
        fed_back=table.texts("fed_back") or (),
        options=table.entries,
        where=f"{where}: {name}",
    )


# ---------------------------------------------------------------- the network


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


# -------------------------------------------------------------------- a draft


def draft(tensors: Tensors) -> str:
    """Return an architecture file that fits a state dict as far as its keys tell.

    What they do not tell (neurons of most frameworks, strides, the input's shape) is left to
    the user, marked by a question mark; tensors without an owner are comments.
    """
    parts: dict[str, dict[str, np.ndarray]] = {}
    for key, value in tensors.items():
        owner, _, leaf = key.rpartition(".")
        if owner.endswith(".recurrent"):
            owner, leaf = owner.removesuffix(".recurrent"), f"recurrent.{leaf}"
        parts.setdefault(owner, {})[leaf] = value
    lines = ['framework = "?"                # snntorch, norse, sinabs, spikingjelly or torch']
    lines += ["input = [?]                    # shape of one sample in one step", ""]
    for owner, own in parts.items():
        shapes = ", ".join(f"{escaped(leaf)} {list(value.shape)}" for leaf, value in own.items())
        if owner:
            lines += ["[[layers]]", f"name = {quoted(owner)}", f"type = {_likely(own)}"]
        else:
            lines.append("# ? tensors that are in no layer, to be named by ignore = [...]:")
        lines += [f"# {shapes}", ""]
    return "\n".join(lines)


def _likely(own: Mapping[str, np.ndarray]) -> str:
    """Return the type of layer that tensors of these names most likely belong to."""
    if "beta" in own:
        recurrent = "R" if any(leaf.startswith("recurrent.") for leaf in own) else ""
        return f'"{recurrent}Synaptic"' if "alpha" in own else f'"{recurrent}Leaky"'
    if "running_mean" in own:
        return '"BatchNorm2d"           # ? or BatchNorm1d'
    if "recurrent_weights" in own:
        return '"LIFRecurrentCell"      # ? or LIFRecurrent'
    weight = own.get("weight")
    return f'"{KIND_BY_AXES.get(weight.ndim, "?") if weight is not None else "?"}"'
