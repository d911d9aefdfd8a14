"""Places in flat arrays, while these grow, and the records that keep them."""

from collections.abc import Iterable
from typing import Any

import numpy as np


class Flat:
    """A flat array of numbers.

    Args:
        dtype: Of the numbers; None: int32 where none needs more, else int64.
    """

    def __init__(self, dtype: type[np.integer] | None = None) -> None:
        self._dtype = dtype
        self._parts: list[np.ndarray] = []
        self._size = 0

    def put(self, array: np.ndarray) -> int:
        """Append `array` in C order, and return where it begins."""
        begin = self._size
        flat = array.ravel()
        self._parts.append(flat if self._dtype is None else flat.astype(self._dtype, copy=False))
        self._size += array.size
        return begin

    def made(self) -> np.ndarray:
        """Return all of it."""
        wide = any(part.dtype == np.int64 for part in self._parts)
        dtype = self._dtype or (np.int64 if wide else np.int32)
        return np.concatenate([np.zeros(0, dtype), *self._parts], dtype=dtype)


_TOGETHER = 8
"""Cells of one cache line: what begins with a line is added faster."""


class Room:
    """The cells of a run, of which nothing but their number is known beforehand.

    Args:
        whole: What takes cells begins at a multiple of so many.
    """

    def __init__(self, whole: int = _TOGETHER) -> None:
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
