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
"late-subtract"), compare, synapse_decay, fires = false for a readout, and others.
"""

import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from snn_deploy.errors import FileDamagedError, FileMissingError, UnknownNodeError
from snn_deploy.frontends.arch_kinds import KINDS, TORCH, LayerKind
from snn_deploy.frontends.dynamics import ResetRule, Unit
from snn_deploy.frontends.layers import Cell, Concatenation, LayerGraph, Sum
from snn_deploy.frontends.modules import INPUT, OUTPUT
from snn_deploy.frontends.nested import read_nested
from snn_deploy.frontends.torch_stub import Stub
from snn_deploy.ir.codecs import Encode, EncodingChanges
from snn_deploy.ir.network import Floor, Reset, Synapse
from snn_deploy.ir.neuron import Compare, Decode, Fires, ResetKind

LARGEST_FILE = 2**20
"""Bytes of an architecture file."""

MOST_LAYERS = 10_000

Tensors = Mapping[str, np.ndarray]
Member = TypeVar("Member", bound=Enum)


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
        content = path.read_bytes()
    except OSError as error:
        raise FileMissingError(
            f"cannot read the architecture: {error.strerror}", where=str(path)
        ) from error
    return parse_architecture(content, path.name)


def parse_architecture(content: bytes, where: str) -> Architecture:
    """Return what the text of an architecture file says; see `read_architecture`."""
    if len(content) > LARGEST_FILE:
        raise FileDamagedError(
            f"an architecture of {len(content)} bytes; at most {LARGEST_FILE} are read",
            where=where,
        )
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileDamagedError(f"the architecture is no TOML: {error}", where=where) from error
    return _architecture(_Table(document, where))


@dataclass(slots=True)
class _Table:
    """A table of the file whose entries are taken one by one; what is left means nothing."""

    entries: dict[str, Any]
    where: str
    known: list[str] = field(default_factory=list)

    def take(self, key: str, kinds: type | tuple[type, ...], default: Any) -> Any:
        self.known.append(key)
        value = self.entries.pop(key, default)
        if value is default:
            return default
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in _all(kinds)):
            names = " or ".join(kind.__name__ for kind in _all(kinds))
            raise FileDamagedError(f"{key} = {value!r:.60} is no {names}", where=self.where)
        return value

    def word(self, key: str, kind: type[Member]) -> Member | None:
        value = self.take(key, str, None)
        words = {member.value: member for member in kind}
        if value is None:
            return None
        if value not in words:
            raise FileDamagedError(
                f"{key} = {value!r:.60}", where=self.where, fix=f"one of {', '.join(words)}"
            )
        return words[value]

    def numbers(self, key: str, default: Any = None) -> np.ndarray:
        value = self.take(key, (int, float, list), default)
        try:
            array = np.array(value, np.float64)
        except (TypeError, ValueError):
            array = np.array(math.nan)
        if not np.all(np.isfinite(array)):
            raise FileDamagedError(f"{key} = {value!r:.60} is no number", where=self.where)
        return array

    def wholes(self, key: str, default: Any) -> tuple[int, ...]:
        value = self.take(key, list, default)
        if value is default:
            return default
        if not value or not all(type(v) is int and v > 0 for v in value):
            raise FileDamagedError(
                f"{key} = {value!r:.60} is no list of positive whole numbers", where=self.where
            )
        return tuple(value)

    def texts(self, key: str) -> tuple[str, ...] | None:
        value = self.take(key, list, None)
        if value is not None and not all(isinstance(v, str) for v in value):
            raise FileDamagedError(f"{key} = {value!r:.60} is no list of names", where=self.where)
        return None if value is None else tuple(value)

    def finish(self) -> None:
        for key in self.entries:
            close = difflib.get_close_matches(key, self.known, n=1)
            raise FileDamagedError(
                f"an architecture has no entry {key!r}",
                where=self.where,
                fix=f"is {close[0]!r} meant?" if close else f"known are {', '.join(self.known)}",
            )


def _all(kinds: type | tuple[type, ...]) -> tuple[type, ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)


def _architecture(table: _Table) -> Architecture:
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
        bias_waits=table.take("bias_waits", bool, False),
        ignore=table.texts("ignore") or (),
        encoding=_encoding(_Table(table.take("encoding", dict, {}), f"{table.where}: encoding")),
    )
    table.finish()
    return made


def _encoding(table: _Table) -> EncodingChanges:
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
    table = _Table(dict(entry), f"{where}: layers[{index}]")
    name = table.take("name", str, f"{index}")
    return ArchLayer(
        name=name,
        type=table.take("type", str, None),
        inputs=table.texts("inputs"),
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
    if not isinstance(weights, Stub):
        _check_claimed(architecture, weights)
    for layer in architecture.layers:
        names = (before,) if layer.inputs is None else layer.inputs
        sources = [_end(ends, name, layer.where) for name in names]
        ends[layer.name] = before = _add(graph, architecture, layer, sources, weights)
    for layer in architecture.layers:
        for name in layer.fed_back:
            graph.feed_back(_end(ends, name, layer.where), layer.name)
    graph.outputs[OUTPUT] = _end(ends, architecture.output, architecture.where)
    if architecture.decode is not None:
        graph.decodes[OUTPUT] = architecture.decode
    return graph


def _end(ends: Mapping[str, str], name: str, where: str) -> str:
    if name not in ends:
        close = difflib.get_close_matches(name, ends, n=1)
        raise UnknownNodeError(
            f"there is no layer {name!r} before it",
            where=where,
            fix=f"is {close[0]!r} meant?" if close else f"there are {', '.join(ends)}",
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
    if layer.type == "Neurons":
        return graph.add(layer.name, _neurons(layer), *sources)
    if layer.type in ("Sum", "Concatenation"):
        join = Sum() if layer.type == "Sum" else Concatenation(axis=layer.options.get("axis", 0))
        return graph.add(layer.name, join, *sources)
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
    part: Any = root
    for step in layer.name.split("."):
        children = dict(part.named_children()) if isinstance(part, Stub) else {}
        if step not in children:
            raise UnknownNodeError(
                f"the pickled module has no part {layer.name!r}",
                where=layer.where,
                fix=f"it has {', '.join(children) or 'none there'}",
            )
        part = children[step]
    if layer.type is not None or layer.options:
        raise UnknownNodeError(
            "the pickled module says what this layer is; the architecture only joins it",
            where=layer.where,
            fix="leave its type and options out",
        )
    return part


def _record(architecture: Architecture, layer: ArchLayer, tensors: Tensors) -> Stub:
    prefix = f"{layer.name}."
    own = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
    for option in layer.options:
        if option in own:
            raise UnknownNodeError(
                f"the file of weights and the architecture both say {option!r}",
                where=layer.where,
                fix="leave it out of the architecture",
            )
    given: dict[str, Any] = dict(layer.options)
    given |= _nested(own, layer.where)
    return _kind(architecture, layer).record(layer.where, given)


def _nested(own: Mapping[str, np.ndarray], where: str) -> dict[str, Any]:
    """Return tensors by attribute; those of an inner layer become the record of it."""
    plain = {key: value for key, value in own.items() if "." not in key}
    inner: dict[str, dict[str, np.ndarray]] = {}
    for key, value in own.items():
        head, dot, rest = key.partition(".")
        if dot:
            inner.setdefault(head, {})[rest] = value
    made: dict[str, Any] = dict(plain)
    for head, members in inner.items():
        kind = KIND_BY_AXES.get(members["weight"].ndim if "weight" in members else 0)
        if kind is None:
            raise UnknownNodeError(
                f"the inner layer {head!r} is neither Linear nor a convolution", where=where
            )
        made[head] = TORCH[kind].record(f"{where}.{head}", members)
    return made


KIND_BY_AXES = {2: "Linear", 3: "Conv1d", 4: "Conv2d"}
"""The layer that a weight of so many axes belongs to, where nothing else says it."""


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
        known = ["Neurons", "Sum", "Concatenation", *kinds]
        close = difflib.get_close_matches(short, known, n=1)
        raise UnknownNodeError(
            f"{layer.type!r:.60} is no layer of {framework} that an architecture can name",
            where=layer.where,
            fix=f"is {close[0]!r} meant?" if close else f"known are {', '.join(known)}",
        )
    return kinds[short]


def _check_claimed(architecture: Architecture, tensors: Tensors) -> None:
    """Refuse tensors that no layer has: a part of the network would be left out."""
    names = [layer.name for layer in architecture.layers]
    for key in tensors:
        parts = key.split(".")
        prefixes = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
        if not prefixes & {*names, *architecture.ignore}:
            raise UnknownNodeError(
                f"no layer of the architecture has the tensor {key!r}",
                where=architecture.where,
                fix=f"name its layer, or leave it out on purpose: ignore = [{key!r}]".replace(
                    "'", '"'
                ),
            )


def _neurons(layer: ArchLayer) -> Cell:
    """Return a layer of neurons in our own words."""
    table = _Table(dict(layer.options), layer.where)
    rule = table.word("reset", ResetRule) or ResetRule.VALUE
    threshold = table.numbers("threshold", 1.0)
    reset_to = table.numbers("reset_to", 0.0)
    synapse_decay = table.take("synapse_decay", (int, float, list), None)
    floor = table.take("floor", (int, float), None)
    most = table.take("max_spikes", int, 1)
    fires = Fires.BINARY if most == 1 else Fires.COUNT
    if not table.take("fires", bool, True):
        fires = Fires.NEVER
    amount = threshold if rule.kind is ResetKind.SUBTRACT else reset_to
    cell = Cell(
        decay=table.numbers("decay", 1.0),
        gain=table.numbers("gain", 1.0),
        synapse=None
        if synapse_decay is None
        else Synapse(
            decay=np.array(synapse_decay, np.float64), gain=table.numbers("synapse_gain", 1.0)
        ),
        fires=fires,
        threshold=threshold,
        compare=table.word("compare", Compare) or Compare.GREATER,
        max_spikes=most,
        reset=Reset()
        if fires is Fires.NEVER
        else Reset(kind=rule.kind, amount=amount, when=rule.when),
        floor=None if floor is None else Floor(value=np.asarray(float(floor))),
        bias=table.numbers("bias", 0.0),
        initial=table.numbers("initial", 0.0),
    )
    table.finish()
    return cell


# -------------------------------------------------------------------- a draft


def draft(tensors: Tensors) -> str:
    """Return an architecture file that fits a state dict as far as its keys tell.

    What they do not tell (neurons of most frameworks, strides, the input's shape) is left to
    the user, marked by a question mark.
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
        shapes = ", ".join(f"{leaf} {list(value.shape)}" for leaf, value in own.items())
        lines += ["[[layers]]", f'name = "{owner}"', f'type = "{_likely(own)}"', f"# {shapes}", ""]
    return "\n".join(lines)


def _likely(own: Mapping[str, np.ndarray]) -> str:
    """Return the type of layer that tensors of these names most likely belong to."""
    if "beta" in own:
        recurrent = "R" if any(leaf.startswith("recurrent.") for leaf in own) else ""
        return f"{recurrent}Synaptic" if "alpha" in own else f"{recurrent}Leaky"
    if "running_mean" in own:
        return "BatchNorm2d"
    if "recurrent_weights" in own:
        return "LIFRecurrentCell"
    weight = own.get("weight")
    return KIND_BY_AXES.get(weight.ndim, "?") if weight is not None else "?"
