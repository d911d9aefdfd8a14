"""The node types of NIR: their fields, what each may hold, and how one is checked and made.

A node is checked once, when it enters: whatever a file or a caller put into it, behind this
module every array has a real dtype and finite values, and every size is a whole number.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import nir
import numpy as np

from snn_deploy.errors import (
    DynamicsError,
    FileDamagedError,
    GraphError,
    NotFiniteError,
    ShapeError,
    UnknownNodeError,
)
from snn_deploy.ir.words import meant

Stored = np.ndarray | str
"""One field as a file holds it."""

LONGEST_NAME = 200
"""Characters of a node's name; longer ones are no names."""

LARGEST_SIZE = 2**31 - 1
"""Of an axis, a stride, a padding: what a 32-bit index can count."""


class Holds(Enum):
    """What a field may hold."""

    REALS = "real numbers"
    WHOLES = "whole numbers"
    PADDING = "whole numbers, 'same' or 'valid'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a node type."""

    name: str
    holds: Holds = Holds.REALS
    optional: bool = False
    default: int | None = None
    """Of a WHOLES field that a file may leave out."""


def _reals(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name) for name in names)


_OPTIONAL_RESET = Field(name="v_reset", optional=True)
_OPTIONAL_INPUT_WEIGHT = Field(name="w_in", optional=True)
_SHAPE = (Field(name="shape", holds=Holds.WHOLES),)
_CONVOLUTION = (
    Field(name="input_shape", holds=Holds.WHOLES, optional=True),
    *_reals("weight"),
    Field(name="stride", holds=Holds.WHOLES),
    Field(name="padding", holds=Holds.PADDING),
    Field(name="dilation", holds=Holds.WHOLES),
    Field(name="groups", holds=Holds.WHOLES),
    *_reals("bias"),
)
_POOLING = tuple(Field(name=n, holds=Holds.WHOLES) for n in ("kernel_size", "stride", "padding"))

FIELDS: Mapping[str, tuple[Field, ...]] = {
    "Input": _SHAPE,
    "Output": (Field(name="shape", holds=Holds.WHOLES, optional=True),),
    "Affine": _reals("weight", "bias"),
    "Linear": _reals("weight"),
    "Scale": _reals("scale"),
    "Conv1d": _CONVOLUTION,
    "Conv2d": _CONVOLUTION,
    "SumPool2d": _POOLING,
    "AvgPool2d": _POOLING,
    "Flatten": (
        Field(name="input_type", holds=Holds.WHOLES, optional=True),
        Field(name="start_dim", holds=Holds.WHOLES, optional=True, default=1),
        Field(name="end_dim", holds=Holds.WHOLES, optional=True, default=-1),
    ),
    "Delay": _reals("delay"),
    "Threshold": _reals("threshold"),
    "I": _reals("r"),
    "IF": (*_reals("r", "v_threshold"), _OPTIONAL_RESET),
    "LI": _reals("tau", "r", "v_leak"),
    "LIF": (*_reals("tau", "r", "v_leak", "v_threshold"), _OPTIONAL_RESET),
    "CubaLI": (*_reals("tau_syn", "tau_mem", "r", "v_leak"), _OPTIONAL_INPUT_WEIGHT),
    "CubaLIF": (
        *_reals("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
        _OPTIONAL_RESET,
        _OPTIONAL_INPUT_WEIGHT,
    ),
}
"""Fields of each node type but NIRGraph, as NIR 1.0.8 names them in a file."""

NEURONS = (nir.Threshold, nir.I, nir.IF, nir.LI, nir.LIF, nir.CubaLI, nir.CubaLIF)
"""Node types with a state or a non-linearity; the others are linear maps, ports and graphs."""

SPIKING = (nir.Threshold, nir.IF, nir.LIF, nir.CubaLIF)
"""Node types that send spikes."""


def node_type(node: nir.NIRNode) -> str:
    """Return the name of a node's type, as a file has it."""
    return type(node).__name__


def stored_fields(node: nir.NIRNode) -> Iterator[tuple[str, Stored]]:
    """Yield (name, value) for each field of a node that is not left open, as a file holds it."""
    for field in FIELDS[node_type(node)]:
        value = _attribute(node, field.name)
        if value is not None:
            yield field.name, value if isinstance(value, str) else np.asarray(value)


def _attribute(node: nir.NIRNode, field: str) -> Any:
    if field == "shape":
        is_input = isinstance(node, nir.Input)
        return node.input_type["input"] if is_input else node.output_type["output"]
    if field == "input_type":
        return node.input_type["input"]
    return getattr(node, field)


def make_node(kind: str, fields: Mapping[str, Stored], where: str) -> nir.NIRNode:
    """Return a node of type `kind` from checked or unchecked fields, whichever they are.

    Parameters of one neuron are brought to one shape; a missing `v_reset` is 0, a missing
    `w_in` is 1. The shapes that nir itself derives are not used: they are wrong for kernels
    that are not square and for groups.

    Raises:
        UnknownNodeError: `kind` or a field is not known.
        FileDamagedError: a field is missing or of a wrong type.
        NotFiniteError: a number is NaN or infinite.
        ShapeError: parameters of one neuron do not broadcast, or a size is out of range.
    """
    _refuse_unknown(kind, fields, where)
    checked: dict[str, Any] = {}
    for field in FIELDS[kind]:
        if field.name in fields:
            checked[field.name] = _checked(field, fields[field.name], f"{where}.{field.name}")
        elif field.default is not None:
            checked[field.name] = np.asarray(field.default)
        elif not field.optional:
            raise FileDamagedError(
                f"a {kind} node lacks its field '{field.name}'",
                where=where,
                fix="write the file again with nir 1.0 or newer",
            )
    return _construct(kind, checked, where)


def _refuse_unknown(kind: str, fields: Mapping[str, Stored], where: str) -> None:
    if kind not in FIELDS:
        raise UnknownNodeError(
            f"node type {kind!r} is not one of NIR's that we read",
            where=where,
            fix=meant(kind, [*FIELDS, "NIRGraph"]),
        )
    known = [field.name for field in FIELDS[kind]]
    for name in fields:
        if name not in known:
            raise UnknownNodeError(
                f"a {kind} node has no field {name!r}", where=where, fix=meant(name, known)
            )


def _checked(field: Field, value: Stored, where: str) -> Stored:
    """Return a field's value once it is known to be what the field holds."""
    if isinstance(value, str):
        if field.holds is Holds.PADDING and value in ("same", "valid"):
            return value
        raise FileDamagedError(f"{value[:40]!r} where {field.holds.value} belong", where=where)
    if field.holds is Holds.REALS:
        return _finite(value, where)
    if value.dtype.kind not in "iuf" or value.ndim > 1 or value.size > 32:
        raise FileDamagedError(
            f"{value.dtype} of shape {value.shape} where {field.holds.value} belong", where=where
        )
    whole = value.astype(np.float64)
    if not np.all(np.isfinite(whole)) or np.any(whole != np.rint(whole)):
        raise ShapeError(f"{value.tolist()} where {field.holds.value} belong", where=where)
    if np.any(np.abs(whole) > LARGEST_SIZE):
        raise ShapeError(f"{value.tolist()} exceeds {LARGEST_SIZE}", where=where)
    return value if value.dtype.kind in "iu" else value.astype(np.int64)


def _finite(value: np.ndarray, where: str) -> np.ndarray:
    if value.dtype.kind not in "iuf" or value.dtype.itemsize > 8:
        raise FileDamagedError(
            f"{value.dtype} where real numbers of at most 64 bits belong", where=where
        )
    wrong = np.argwhere(~np.isfinite(value))
    if len(wrong):
        first = [int(i) for i in wrong[0]]
        raise NotFiniteError(
            f"{len(wrong)} of {value.size} values are NaN or infinite",
            where=f"{where}{first if first else ''}, first of {len(wrong)}",
            fix="train again, or repair the file: no chip stores NaN",
        )
    return value


def _construct(kind: str, fields: dict[str, Any], where: str) -> nir.NIRNode:
    make = getattr(nir, kind)
    if kind == "Input":
        return make(input_type=_shape(fields["shape"], where))
    if kind == "Output":
        return make(output_type=_shape(fields["shape"], where) if "shape" in fields else None)
    if kind == "Flatten":
        return _flatten(fields)
    if kind in ("Conv1d", "Conv2d"):
        input_shape = fields.pop("input_shape", None)
        node = make(input_shape=None, **fields)
        node.input_shape = input_shape
        return node
    if kind in ("Affine", "Linear") and fields["weight"].ndim < 2:
        raise ShapeError(
            f"a weight of shape {fields['weight'].shape} where (..., out, in) belongs",
            where=f"{where}.weight",
        )
    if issubclass(make, NEURONS):
        fields = _of_one_shape(kind, fields, where)
    return make(**fields)


def _shape(value: np.ndarray, where: str) -> np.ndarray:
    sizes = np.atleast_1d(value)
    if not sizes.size or np.any(sizes < 1):
        raise ShapeError(
            f"shape {sizes.tolist()}, but every axis has at least one value", where=f"{where}.shape"
        )
    return sizes


def _flatten(fields: dict[str, Any]) -> nir.Flatten:
    node = nir.Flatten(
        input_type=None, start_dim=int(fields["start_dim"]), end_dim=int(fields["end_dim"])
    )
    node.input_type = {"input": fields.get("input_type")}
    return node


def _of_one_shape(kind: str, fields: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a neuron's parameters, all of one shape, with the optional ones filled in."""
    try:
        shape = np.broadcast_shapes(*(value.shape for value in fields.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in fields.items())
        raise ShapeError(f"the parameters differ in shape: {shapes}", where=where) from None
    template = next(iter(fields.values()))
    for field in FIELDS[kind]:
        if field.optional and field.name not in fields:
            fields[field.name] = np.asarray(1.0 if field.name == "w_in" else 0.0, template.dtype)
    return {name: np.array(np.broadcast_to(value, shape)) for name, value in fields.items()}


def check_name(name: str, where: str) -> None:
    """Refuse a node name that cannot be stored or shown.

    Raises:
        GraphError: it is empty, too long, a dot, has a slash or a character that does not print.
    """
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or "/" in name or name == ".":
        raise GraphError(
            f"the node name {name[:40]!r} cannot be used",
            where=where,
            fix=f"name nodes with 1 to {LONGEST_NAME} printable characters other than '/'",
        )


def check_positive(node: nir.NIRNode, name: str) -> None:
    """Refuse a time constant, delay or threshold that no neuron can have.

    Raises:
        DynamicsError: with the first value that is wrong.
    """
    for field in ("tau", "tau_mem", "tau_syn"):
        values = getattr(node, field, None)
        if values is not None and np.any(values <= 0):
            first = tuple(int(i) for i in np.argwhere(values <= 0)[0])
            raise DynamicsError(
                f"a time constant of {values[first]:g} s, but it must be positive",
                where=f"{name}.{field}{list(first)}",
            )
    if isinstance(node, nir.Delay) and np.any(node.delay < 0):
        first = tuple(int(i) for i in np.argwhere(node.delay < 0)[0])
        raise DynamicsError(
            f"a delay of {node.delay[first]:g}, but nothing arrives before it is sent",
            where=f"{name}.delay{list(first)}",
        )


def digest(graph: nir.NIRGraph) -> str:
    """Return the SHA-256 of everything NIR defines in a graph: nodes, fields, edges.

    Node order, names of files and metadata have no part in it.
    """
    total = hashlib.sha256()
    for name in sorted(graph.nodes):
        node = graph.nodes[name]
        total.update(f"{name}/".encode())
        _feed(total, node)
    for source, target in sorted(graph.edges):
        total.update(f"{source}/{target}/".encode())
    return f"sha256:{total.hexdigest()}"


def node_digest(node: nir.NIRNode) -> str:
    """Return the SHA-256 of a node's type and fields; of a graph, that of its nodes and edges."""
    total = hashlib.sha256()
    _feed(total, node)
    return f"sha256:{total.hexdigest()}"


def _feed(total: Any, node: nir.NIRNode) -> None:
    """Add a node's type and fields to a hash."""
    total.update(f"{node_type(node)}/".encode())
    if isinstance(node, nir.NIRGraph):
        total.update(digest(node).encode())
        return
    for field, value in stored_fields(node):
        array = np.asarray(value)
        kind = "text" if array.dtype.kind == "U" else array.dtype.newbyteorder("<").str
        total.update(f"{field}/{kind}/{array.shape}/".encode())
        total.update(_canonical_bytes(array))


def _canonical_bytes(array: np.ndarray) -> bytes:
    if array.dtype.kind == "U":
        return str(array).encode()
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
