"""Factors per step out of time constants, with the very bits that torch computes."""

from typing import Any

import numpy as np

from snn_deploy.frontends.tensors import array_of


def decay_of(time_constant: Any, step: float) -> np.ndarray:
    """Return exp(-step / time_constant) as torch computes it, in the dtype of `time_constant`.

    Torch's exponential is that of the library it was built with, and an ulp off the nearest number
    now and then, so a live tensor is given to torch. The record of a pickled one, for which torch
    is not needed, gets the nearest number.

    Args:
        time_constant: A torch tensor, or its numbers as an array.
        step: In the unit of `time_constant`.
    """
    detach = getattr(time_constant, "detach", None)
    if detach is not None:
        return array_of((-step / detach()).exp())
    # torch divides a number by a tensor as a product with its reciprocal
    numbers = np.asarray(time_constant)
    kind = numbers.dtype.type
    with np.errstate(divide="ignore", over="ignore"):  # a time constant of 0 leaves nothing
        exponent = kind(1) / numbers * kind(-step)
        return np.asarray(np.exp(exponent.astype(np.float64)).astype(kind))
