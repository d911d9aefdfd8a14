"""torch's types of numbers and their storages: bytes of a file become read-only arrays.

Arrays are views of the file's bytes. Only what numpy has no type for, what has another order of
bytes or lies at an odd address is copied, once per storage.
"""

import math
from typing import Final, final

import numpy as np

from snn_deploy.errors import FileDamagedError, UnknownNodeError

MOST_AXES: Final = 32
"""Axes of a tensor; numpy allows 64."""

LARGEST_SIZE: Final = 2**40
"""Of one axis, a stride or an offset, and of all axes together."""

STORED: Final = {
    "float64": "f8",
    "float32": "f4",
    "float16": "f2",
    "bfloat16": "u2",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint64": "u8",
    "uint32": "u4",
    "uint16": "u2",
    "uint8": "u1",
    "bool": "u1",
    "complex128": "c16",
    "complex64": "c8",
}
"""How numbers lie in a file, by torch's name of their type."""

STORAGES: Final = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "QInt8Storage": "int8",
    "QUInt8Storage": "uint8",
    "QInt32Storage": "int32",
    "UntypedStorage": "uint8",
}
"""Types of numbers by the class of their storage."""


def item_size(kind: str, where: str) -> int:
    """Return the bytes that a number of torch's type `kind` takes in a file.

    Raises:
        UnknownNodeError: we do not read such numbers.
    """
    if kind not in STORED:
        raise UnknownNodeError(
            f"numbers of type {kind} are not read",
            where=where,
            fix="convert them with tensor.float() before they are saved",
        )
    return np.dtype(STORED[kind]).itemsize


def numbers(content: memoryview, kind: str, *, big_endian: bool, where: str) -> np.ndarray:
    """Return the numbers of a storage [number]: read-only, native, bfloat16 as float32.

    Raises:
        FileDamagedError: bytes that are no whole number of them, or a truth value that is
            neither 0 nor 1.
        UnknownNodeError: we do not read such numbers.
    """
    size = item_size(kind, where)
    if len(content) % size:
        raise damaged(f"{len(content)} bytes are no whole number of {kind} values", where)
    stored = np.dtype(STORED[kind]).newbyteorder(">" if big_endian else "<")
    values = np.frombuffer(content, stored)
    if not (stored.isnative and values.flags.aligned):
        values = values.astype(stored.newbyteorder("="))
    if kind == "bfloat16":
        wide = values.astype(np.uint32)
        wide <<= 16
        values = wide.view(np.float32)
    if kind == "bool":
        if values.max(initial=0) > 1:
            raise damaged("a truth value that is neither 0 nor 1", where)
        values = values.view(np.bool_)
    return frozen_view(values)


@final
class Storage:
    """A row of numbers of the file that tensors are views of."""

    __slots__ = ("_big_endian", "_content", "_kind", "_values")

    def __init__(self, content: memoryview | None, *, big_endian: bool = False) -> None:
        self._content = content
        """None: not known yet. The legacy format has the bytes behind the pickle."""

        self._big_endian = big_endian
        self._kind = ""
        self._values: np.ndarray | None = None

    def numbers(self, kind: str, where: str) -> np.ndarray | None:
        """Return its numbers [number], which are of torch's type `kind`; None: not known yet.

        Raises:
            FileDamagedError: they were of another type before, or are none of that type.
            UnknownNodeError: we do not read such numbers.
        """
        if self._kind not in ("", kind):
            raise damaged(f"one storage has both {self._kind} and {kind} values", where)
        self._kind = kind
        if self._values is None and self._content is not None:
            self._values = numbers(self._content, kind, big_endian=self._big_endian, where=where)
        item_size(kind, where)
        return self._values


def view(
    values: np.ndarray | None, offset: object, size: object, stride: object, where: str
) -> np.ndarray:
    """Return the tensor that lies among the numbers of a storage, read-only.

    Args:
        values: The numbers of the storage; None: not known yet, the tensor is empty.
        offset: The first of them.
        size: Its shape.
        stride: How many numbers further the next one along each axis is.
        where: For errors.

    Raises:
        FileDamagedError: sizes that are no sizes, or that lead out of the storage.
    """
    shape, steps, (start,) = sizes(size, where), sizes(stride, where), sizes((offset,), where)
    if math.prod(n for n in shape if n) > LARGEST_SIZE:
        raise damaged(f"a tensor of shape {shape} is beyond any memory", where)
    if len(shape) != len(steps):
        raise damaged(f"a tensor of {len(shape)} sizes but {len(steps)} strides", where)
    if values is None:
        return np.empty(0)
    if 0 in shape:
        return frozen_view(np.empty(shape, values.dtype))
    last = start + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    if last >= len(values):
        raise damaged(
            f"a tensor of shape {shape} reaches number {last} of a storage of {len(values)}", where
        )
    step = values.itemsize
    return np.ndarray(
        shape, values.dtype, values, start * step, tuple(each * step for each in steps)
    )


def sizes(given: object, where: str) -> tuple[int, ...]:
    """Return a shape or strides of a file.

    Raises:
        FileDamagedError: they are none, or beyond any memory.
    """
    if not isinstance(given, tuple | list) or len(given) > MOST_AXES:
        raise damaged("a shape or stride that is none", where)
    for size in given:
        if type(size) is not int or not 0 <= size <= LARGEST_SIZE:
            raise damaged("a size, stride or offset that is none", where)
    return tuple(given)


def frozen_view(values: np.ndarray) -> np.ndarray:
    """Return an array that no one else holds, read-only."""
    values.flags.writeable = False
    return values


def damaged(what: str, where: str) -> FileDamagedError:
    """Return the error for a file that is not what its format says."""
    return FileDamagedError(
        what,
        where=where,
        fix="copy or download the file again, or save its state dict again with torch.save",
    )
