"""safetensors files: eight bytes that say how long a text is, JSON that says what lies where,
and the bytes of all tensors, one behind the other.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from snn_deploy.errors import FileDamagedError
from snn_deploy.frontends.torch_file.storages import damaged, item_size, numbers, sizes
from snn_deploy.ir.sizes import allowed, higher

LENGTH_SIZE: Final = 8

LONGEST_HEADER: Final = 2**26
"""Bytes of JSON."""

MOST_TENSORS: Final = 200_000

METADATA: Final = "__metadata__"

KINDS: Final = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}
"""torch's types of numbers by their names in the format."""


def read_safetensors(
    content: bytes, where: str
) -> tuple[Mapping[str, np.ndarray], Mapping[str, str]]:
    """Return the tensors of a file by name, read-only, and its remarks.

    Raises:
        FileDamagedError: the header is none, or the tensors do not fill the file exactly.
        UnknownNodeError: numbers of a type that we do not read.
    """
    size = int.from_bytes(content[:LENGTH_SIZE], "little")
    start = LENGTH_SIZE + size
    if size > LONGEST_HEADER or start > len(content):
        raise damaged("a header that is longer than the file, or than any header", where)
    header = _header(content[LENGTH_SIZE:start], where)
    remarks = header.pop(METADATA, {})
    if not isinstance(remarks, dict) or not all(isinstance(v, str) for v in remarks.values()):
        raise damaged("remarks that are no texts", where)
    if len(header) > allowed(MOST_TENSORS):
        raise FileDamagedError(
            f"{len(header)} tensors; at most {allowed(MOST_TENSORS)} are read",
            where=where,
            fix=higher(len(header), MOST_TENSORS),
        )
    body = memoryview(content)[start:]
    placed = sorted((_placed(header[name], name, where) for name in header), key=_order)
    tensors, end = {}, 0
    for first, last, name, kind, shape in placed:
        inner = f"{where}: {name}"
        if first != end or last > len(body):
            raise damaged("a tensor that does not follow the one before, or the file's end", inner)
        if last - first != math.prod(shape) * item_size(kind, inner):
            raise damaged(f"{last - first} bytes for {kind} values of shape {shape}", inner)
        values = numbers(body[first:last], kind, big_endian=False, where=inner)
        tensors[name] = values.reshape(shape)
        end = last
    if end != len(body):
        raise damaged(f"{len(body) - end} bytes behind the last tensor", where)
    return {name: tensors[name] for name in header}, remarks


def _order(placed: tuple[int, int, str, str, tuple[int, ...]]) -> tuple[int, int]:
    return placed[:2]


def _header(text: bytes, where: str) -> dict[str, Any]:
    try:
        header = json.loads(str(text, "utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise damaged("a header that is no JSON, or has a name twice", where) from error
    if not isinstance(header, dict):
        raise damaged("a header that is no table of tensors", where)
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _placed(entry: Any, name: str, where: str) -> tuple[int, int, str, str, tuple[int, ...]]:
    """Return first and last byte, name, type and shape of a tensor."""
    where = f"{where}: {name}"
    match entry:
        case {"dtype": str() as dtype, "shape": list() as shape, "data_offsets": [first, last]}:
            first, last = sizes([first, last], where)
            return first, last, name, KINDS.get(dtype, dtype), sizes(shape, where)
    raise damaged("a tensor without dtype, shape and data_offsets", where)
