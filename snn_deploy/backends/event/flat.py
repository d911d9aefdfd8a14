"""Places in flat arrays, while these grow, and the records that keep them."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

LINE = 64
"""Bytes of a line of the caches, and of the machine's widest registers: what begins with a line is
read and added faster."""


def on_lines(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Return an array that begins with a line; its numbers are anything."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + LINE, np.uint8)
    begin = -room.ctypes.data % LINE
    return room[begin : begin + size].view(dtype).reshape(shape)


class Flat:
    """A flat array of numbers.

    Args:
        dtype: Of the numbers; None: int32 where none needs more, else int64.
        whole: What is put there begins at a multiple of so many.
    """

    def __init__(self, dtype: type[np.integer] | None = None, whole: int = 1) -> None:
        self._dtype, self._whole = dtype, whole
        self._parts: list[np.ndarray] = []
        self._size = 0

    def put(self, array: np.ndarray) -> int:
        """Append `array` in C order, and return where it begins."""
        missing = -self._size % self._whole
        if missing:
            self._parts.append(np.zeros(missing, self._dtype))
        begin = self._size + missing
        flat = array.ravel()
        self._parts.append(flat if self._dtype is None else flat.astype(self._dtype, copy=False))
        self._size = begin + array.size
        return begin

    def made(self) -> np.ndarray:
        """Return all of it."""
        wide = any(part.dtype == np.int64 for part in self._parts)
        dtype = self._dtype or (np.int64 if wide else np.int32)
        array = on_lines((self._size,), dtype)
        if self._parts:
            np.concatenate(self._parts, out=array)
        return array


class Room:
    """The cells of a run, of which nothing but their number is known beforehand.

    Args:
        whole: What takes cells begins at a multiple of so many.
    """

    def __init__(self, whole: int) -> None:
        self.size, self._whole = 0, whole

    def take(self, size: int) -> int:
        """Return the first of `size` new cells, or of a few more."""
        begin = self.size
        self.size += -(-size // self._whole) * self._whole
        return begin


def side_by_side(widths: Iterable[tuple[str, int]], whole: int = 1) -> dict[str, slice]:
    """Return the columns of things of some widths, each from a multiple of `whole` on."""
    columns: dict[str, slice] = {}
    end = 0
    for name, width in widths:
        columns[name] = slice(end, end + width)
        end += -(-width // whole) * whole
    return columns


def record(*names: str, **inner: tuple[Any, int]) -> np.dtype[Any]:
    """Return the type of a row of a table: 64-bit numbers, then arrays of (type, length)."""
    arrays = [(name, of, (length,)) for name, (of, length) in inner.items()]
    return np.dtype([*((name, np.int64) for name in names), *arrays])
