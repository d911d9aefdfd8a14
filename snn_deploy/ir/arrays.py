"""Arrays that enter the program: contiguous, of one dtype, read-only."""

from typing import Any

import numpy as np

REAL = np.dtype(np.float64)
WHOLE = np.dtype(np.int32)


def frozen(values: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """Return `values` as a read-only, C-contiguous array of `dtype`.

    A copy is made unless the array is already read-only and of that dtype.

    Raises:
        ValueError: a value does not survive the conversion to an integer dtype.
    """
    array = np.asarray(values)
    if array.dtype == dtype and not array.flags.writeable and array.flags.c_contiguous:
        return array
    converted = np.array(array, dtype=dtype, order="C")
    if dtype.kind in "iu" and not np.array_equal(converted, array):
        raise ValueError(f"not every value is a whole number that fits {dtype}")
    converted.flags.writeable = False
    return converted


def per_neuron(parameter: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return `parameter` (scalar, per channel or per neuron) at the full `shape`, read-only."""
    return np.broadcast_to(parameter, shape)


def fits(parameter: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Return whether `parameter` broadcasts to exactly `shape`."""
    try:
        return np.broadcast_shapes(parameter.shape, shape) == shape
    except ValueError:
        return False
