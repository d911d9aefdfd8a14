"""torch.export's .pt2 archives as operations and arrays: a zip of JSON and raw numbers.

torch's own loader unpickles; here a record that is a pickle is refused, and nothing is run.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from snn_deploy.errors import FileDamagedError, ShapeError, UnknownNodeError
from snn_deploy.frontends.torch_file import Archive, numbers, view
from snn_deploy.ir.sizes import allowed, higher

LARGEST_FILE = 2**31
"""Bytes of a file that is read."""

LARGEST_TEXT = 2**28
"""Bytes of the JSON that describes the operations."""

MODEL = "models/model.json"
WEIGHTS = ("data/weights", "model_weights_config.json")
CONSTANTS = ("data/constants", "model_constants_config.json")

SCHEMA = 8
"""Of the JSON: the major version that torch 2.5 to 2.13 write."""

KINDS = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
    13: "bfloat16",
}
"""torch's names of number types, by their numbers in the schema."""

EXPORT_AGAIN = "torch.export.save(torch.export.export(module.eval(), (sample,)), 'model.pt2')"

Argument = Mapping[str, Any]
"""One entry: the kind of the argument, such as `as_tensor` or `as_ints`, and its value."""


class _Named(msgspec.Struct):
    name: str
    arg: dict[str, Any]


class _Node(msgspec.Struct):
    target: str
    inputs: list[_Named]
    outputs: list[dict[str, Any]]


class _Graph(msgspec.Struct):
    nodes: list[_Node]
    outputs: list[dict[str, Any]]
    tensor_values: dict[str, dict[str, Any]]


class _Signature(msgspec.Struct):
    input_specs: list[dict[str, Any]]
    output_specs: list[dict[str, Any]]


class _Module(msgspec.Struct):
    graph: _Graph
    signature: _Signature


class _Model(msgspec.Struct):
    graph_module: _Module
    schema_version: dict[str, int]


class _Meta(msgspec.Struct):
    dtype: int
    sizes: list[dict[str, Any]]
    strides: list[dict[str, Any]]
    storage_offset: dict[str, Any]


class _Payload(msgspec.Struct):
    path_name: str
    use_pickle: bool
    tensor_meta: _Meta


class _Config(msgspec.Struct):
    config: dict[str, _Payload] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedOp:
    """One operation."""

    target: str
    """Such as `torch.ops.aten.relu.default`."""

    arguments: Mapping[str, Argument]
    outputs: tuple[str, ...]
    """Names of tensors and whole numbers that it gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A model: operations in the order in which they act."""

    ops: tuple[ExportedOp, ...]
    constants: Mapping[str, np.ndarray]
    """Parameters, buffers and constants by the names that operations use."""

    inputs: Mapping[str, tuple[int | None, ...]]
    """Shapes with the batch axis; None: any size."""

    outputs: tuple[str, ...]


def read_exported(content: bytes, where: str) -> Exported:
    """Return the operations of an archive.

    Raises:
        FileDamagedError: not such an archive, damaged, or hostile.
        UnknownNodeError: another version of the format, or numbers kept in a pickle.
    """
    if len(content) > allowed(LARGEST_FILE):
        raise FileDamagedError(
            f"the file has {len(content)} bytes; at most {allowed(LARGEST_FILE)} are read",
            where=where,
            fix=higher(len(content), LARGEST_FILE),
        )
    archive = Archive(content, where)
    if MODEL not in archive:
        raise FileDamagedError(
            "an archive without a model of torch.export", where=where, fix=EXPORT_AGAIN
        )
    model = _decoded(archive, MODEL, _Model, where)
    major = model.schema_version.get("major")
    if major != SCHEMA:
        raise UnknownNodeError(
            f"version {major} of torch.export's format is not read; {SCHEMA} is", where=where
        )
    try:
        return _exported(archive, model.graph_module, where)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FileDamagedError(
            "the description of the operations is damaged", where=where, fix=EXPORT_AGAIN
        ) from error


def _decoded(archive: Archive, name: str, kind: type[Any], where: str) -> Any:
    text = archive.read(name)
    if len(text) > allowed(LARGEST_TEXT):
        raise FileDamagedError(
            f"a description of {len(text)} bytes; at most {allowed(LARGEST_TEXT)} are read",
            where=f"{where}: {name}",
            fix=higher(len(text), LARGEST_TEXT),
        )
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileDamagedError(
            "a description that is damaged", where=f"{where}: {name}", fix=EXPORT_AGAIN
        ) from error


def _exported(archive: Archive, module: _Module, where: str) -> Exported:
    stored = {
        **_stored(archive, *WEIGHTS, where),
        **_stored(archive, *CONSTANTS, where),
    }
    constants: dict[str, np.ndarray] = {}
    inputs: dict[str, tuple[int | None, ...]] = {}
    names = {"parameter": "parameter_name", "buffer": "buffer_name"}
    names["tensor_constant"] = "tensor_constant_name"
    for spec in module.signature.input_specs:
        (kind, value), *_ = spec.items()
        if kind in names:
            constants[str(value["arg"]["name"])] = stored[value[names[kind]]]
        elif kind == "user_input" and "as_tensor" in value["arg"]:
            name = str(value["arg"]["as_tensor"]["name"])
            inputs[name] = _shape(module.graph.tensor_values[name]["sizes"], name, where)
        else:
            raise UnknownNodeError(f"an input of kind {kind[:40]} is not read", where=where)
    outputs = []
    for spec in module.signature.output_specs:
        (kind, value), *_ = spec.items()
        if kind != "user_output":
            raise UnknownNodeError(f"an output of kind {kind[:40]} is not read", where=where)
        outputs.append(str(value["arg"]["as_tensor"]["name"]))
    ops = [
        ExportedOp(
            target=node.target,
            arguments={named.name: named.arg for named in node.inputs},
            outputs=tuple(_outputs(node)),
        )
        for node in module.graph.nodes
    ]
    return Exported(ops=tuple(ops), constants=constants, inputs=inputs, outputs=tuple(outputs))


def _outputs(node: _Node) -> list[str]:
    found = []
    for output in node.outputs:
        ((kind, value),) = output.items()
        if kind == "as_tensor":
            found.append(str(value["name"]))
        elif kind == "as_sym_int":
            found.append(str(value["as_name"]))
        elif kind == "as_tensors":
            found += [str(each["name"]) for each in value]
        else:
            found.append("")
    return found


def _shape(sizes: list[dict[str, Any]], name: str, where: str) -> tuple[int | None, ...]:
    sides: list[int | None] = []
    for size in sizes:
        side = size.get("as_int")
        if side is not None and (type(side) is not int or side < 0):
            raise ShapeError(f"a side of {side!r}", where=f"{where}: {name[:80]}")
        sides.append(side)
    return tuple(sides)


def _stored(archive: Archive, folder: str, config: str, where: str) -> dict[str, np.ndarray]:
    """Return the arrays of a folder by the names that the module has for them."""
    if f"{folder}/{config}" not in archive:
        return {}
    payloads = _decoded(archive, f"{folder}/{config}", _Config, where).config
    return {
        name: _array(archive, folder, payload, f"{where}: {name[:80]}")
        for name, payload in payloads.items()
    }


def _array(archive: Archive, folder: str, payload: _Payload, where: str) -> np.ndarray:
    if payload.use_pickle:
        raise UnknownNodeError(
            "its numbers are kept as a pickle, which is not read", where=where, fix=EXPORT_AGAIN
        )
    meta = payload.tensor_meta
    if meta.dtype not in KINDS:
        raise UnknownNodeError(
            f"numbers of type {meta.dtype} of torch.export's format are not read", where=where
        )
    content = archive.read(f"{folder}/{payload.path_name}")
    values = numbers(content, KINDS[meta.dtype], big_endian=False, where=where)
    shape = [size["as_int"] for size in meta.sizes]
    if math.prod(shape) > values.size:
        raise FileDamagedError(
            f"a tensor of shape {tuple(shape)} of {values.size} stored numbers", where=where
        )
    strides = [step["as_int"] for step in meta.strides]
    return view(values, meta.storage_offset["as_int"], shape, strides, where)
