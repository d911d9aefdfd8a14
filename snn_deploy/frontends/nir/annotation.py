"""What we add to a NIR file: everything it leaves open, as one JSON text in its metadata."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import msgspec
import nir

from snn_deploy.errors import FileDamagedError, ModelError
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
from snn_deploy.frontends.nir.cells import (
    READ_BACK,
    CellOrigins,
    CellRecord,
    population_in,
    record_of,
)
from snn_deploy.frontends.nir.file import write_graph
from snn_deploy.frontends.nir.nodes import digest, node_digest
from snn_deploy.ir.codecs import Encode, Encoding
from snn_deploy.ir.network import Arithmetic, Population
from snn_deploy.ir.neuron import Compare, Decode, Fires, State
from snn_deploy.ir.sizes import allowed, higher
from snn_deploy.ir.weighting import Weighting

KEY = "snn_deploy"
"""Of our text in the metadata of the root graph."""

SCHEMA = 1
"""Of that text."""

LARGEST_TEXT = 2**26
"""Characters of that text that are read."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What a NIR graph leaves open, decided."""

    dt: Choice[float]
    """Length of a step, in `unit`."""

    unit: Choice[Unit]
    arithmetic: Choice[Arithmetic]
    feedback_bias_at_start: Choice[bool]
    """Whether a bias on a feedback path acts before anything was fed back."""

    neurons: Mapping[str, Dynamics]
    """How NIR's equations are meant, by node name; a node `b` of an inner graph `a` is `a.b`."""

    cells: Mapping[str, Population] = field(default_factory=dict)
    """Neurons whose numbers are known, by node name: NIR's equations are not used for them."""

    cell_origins: Mapping[str, CellOrigins] = field(default_factory=dict)
    """Who decided the numbers of each cell; of one that is not named, the module did."""

    outputs: Mapping[str, Choice[Decode]] = field(default_factory=dict)
    """How each Output is read, by its name."""

    weights: Mapping[str, Weighting] = field(default_factory=dict)
    """What each step weighs in the answer of an Output, of those that are read so."""

    feedback: tuple[tuple[str, str], ...] = ()
    """(source, target) of the loops' edges that carry the payload of the step before."""

    encoding: Encoding = field(default_factory=Encoding)
    """How values become what enters the network."""

    into: Mapping[str, State] = field(default_factory=dict)
    """State of the neurons behind it that a linear node drives, where that is not the first."""


class _Firing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reset: ResetRule
    compare: Compare
    fires: Fires
    max_spikes: int
    floor: float | None
    late: int


class _Neuron(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    integration: Integration
    membrane_gain: Gain
    current_gain: Gain
    firing: _Firing | None


class _Encoding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    how: Encode
    steps: int | None
    seed: int
    low: int
    high: int
    unit: float


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    schema: int
    digest: str
    dt: float
    unit: Unit
    arithmetic: Arithmetic
    feedback_bias_at_start: bool
    neurons: dict[str, _Neuron]
    outputs: dict[str, Decode]
    feedback: list[tuple[str, str]]
    encoding: _Encoding
    cells: dict[str, CellRecord] = {}
    weights: dict[str, Weighting] = {}
    into: dict[str, State] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What the metadata of a file states, and whether it still belongs to the file."""

    annotation: Annotation
    untouched: bool
    """The nodes and edges are those that the metadata was written for."""

    changed: frozenset[str] = frozenset()
    """Neuron nodes that were changed since; what was stated of them is left out."""


def annotated(graph: nir.NIRGraph, annotation: Annotation) -> nir.NIRGraph:
    """Return a copy of `graph` whose metadata holds the annotation; other metadata stays."""
    record = _Record(
        schema=SCHEMA,
        digest=digest(graph),
        dt=annotation.dt.value,
        unit=annotation.unit.value,
        arithmetic=annotation.arithmetic.value,
        feedback_bias_at_start=annotation.feedback_bias_at_start.value,
        neurons={name: _neuron(each) for name, each in annotation.neurons.items()},
        cells={
            name: record_of(each, node_digest(graph.nodes[name]))
            for name, each in annotation.cells.items()
        },
        outputs={name: choice.value for name, choice in annotation.outputs.items()},
        weights=dict(annotation.weights),
        feedback=sorted(annotation.feedback),
        encoding=_Encoding(**asdict(annotation.encoding)),
        into=dict(annotation.into),
    )
    text = msgspec.json.encode(record, order="sorted").decode("utf-8")
    metadata = {**graph.metadata, KEY: text}
    return nir.NIRGraph(nodes=graph.nodes, edges=graph.edges, metadata=metadata, type_check=False)


def write_nir(graph: nir.NIRGraph, annotation: Annotation) -> bytes:
    """Return the NIR file of a graph and all that NIR leaves open about it.

    Equal arguments give equal bytes; what is read from them writes the same bytes again.
    """
    return write_graph(annotated(graph, annotation))


def stated_in(graph: nir.NIRGraph, where: str) -> Stated | None:
    """Return what the metadata of `graph` states; None: it has none of ours.

    Raises:
        FileDamagedError: the text is not of our schema.
    """
    text = graph.metadata.get(KEY)
    if text is None:
        return None
    where = f"{where}: metadata {KEY!r}"
    if not isinstance(text, str):
        raise FileDamagedError("our metadata is not a text", where=where)
    if len(text) > allowed(LARGEST_TEXT):
        raise FileDamagedError(
            f"our metadata has {len(text)} characters; at most {allowed(LARGEST_TEXT)} are read",
            where=where,
            fix=higher(len(text), LARGEST_TEXT),
        )
    schema = _schema(text, where)
    if schema != SCHEMA:
        raise FileDamagedError(
            f"our metadata is of schema {schema}, but this version reads {SCHEMA}",
            where=where,
            fix="use the version of snn-deploy that wrote it, or remove the metadata",
        )
    try:
        record = msgspec.json.decode(text, type=_Record)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileDamagedError(f"our metadata is damaged: {error}", where=where) from error
    changed = frozenset(
        name
        for name, cell in record.cells.items()
        if name not in graph.nodes or node_digest(graph.nodes[name]) != cell.node
    )
    return Stated(
        annotation=_annotation(record, changed, where),
        untouched=record.digest == digest(graph),
        changed=changed,
    )


def _schema(text: str, where: str) -> Any:
    try:
        content = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileDamagedError(f"our metadata is damaged: {error}", where=where) from error
    return content.get("schema") if isinstance(content, dict) else None


def _stated(value: T) -> Choice[T]:
    return Choice(value=value, origin=Origin.METADATA)


def _annotation(record: _Record, changed: frozenset[str], where: str) -> Annotation:
    counts = [n.firing.max_spikes for n in record.neurons.values() if n.firing]
    lates = [n.firing.late for n in record.neurons.values() if n.firing]
    sizes_fit = all(1 <= n < 2**31 for n in counts) and all(0 <= n < 2**16 for n in lates)
    if not (record.dt > 0 and sizes_fit and record.encoding.low <= record.encoding.high):
        raise FileDamagedError("our metadata holds a number out of range", where=where)
    return Annotation(
        dt=_stated(record.dt),
        unit=_stated(record.unit),
        arithmetic=_stated(record.arithmetic),
        feedback_bias_at_start=_stated(record.feedback_bias_at_start),
        neurons={name: _dynamics(each) for name, each in record.neurons.items()},
        cells={
            name: _cell(name, cell, where)
            for name, cell in record.cells.items()
            if name not in changed
        },
        cell_origins={name: READ_BACK for name in record.cells if name not in changed},
        outputs={name: _stated(decode) for name, decode in record.outputs.items()},
        weights=record.weights,
        feedback=tuple(record.feedback),
        encoding=Encoding(**msgspec.structs.asdict(record.encoding)),
        into=record.into,
    )


def _cell(name: str, record: CellRecord, where: str) -> Population:
    try:
        return population_in(name, record)
    except (ValueError, ModelError) as error:
        what = error.message if isinstance(error, ModelError) else str(error)
        raise FileDamagedError(
            f"our metadata states neurons that cannot be: {what}", where=f"{where}: {name}"
        ) from error


def _neuron(dynamics: Dynamics) -> _Neuron:
    firing = dynamics.firing
    return _Neuron(
        integration=dynamics.integration.value,
        membrane_gain=dynamics.membrane_gain.value,
        current_gain=dynamics.current_gain.value,
        firing=None
        if firing is None
        else _Firing(
            reset=firing.reset.value,
            compare=firing.compare.value,
            fires=firing.fires.value,
            max_spikes=firing.max_spikes.value,
            floor=firing.floor.value,
            late=firing.late.value,
        ),
    )


def _dynamics(neuron: _Neuron) -> Dynamics:
    firing = neuron.firing
    return Dynamics(
        integration=_stated(neuron.integration),
        membrane_gain=_stated(neuron.membrane_gain),
        current_gain=_stated(neuron.current_gain),
        firing=None
        if firing is None
        else Firing(
            reset=_stated(firing.reset),
            compare=_stated(firing.compare),
            fires=_stated(firing.fires),
            max_spikes=_stated(firing.max_spikes),
            floor=_stated(firing.floor),
            late=_stated(firing.late),
        ),
    )
