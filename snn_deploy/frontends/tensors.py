"""Numbers out of whatever a layer holds: torch tensors, numpy arrays, plain numbers."""

from typing import Any

import numpy as np

from snn_deploy.errors import UnknownNodeError


def array_of(value: Any) -> np.ndarray:
    """Return the numbers of `value` as an array of its own, in their own dtype.

    Args:
        value: A torch tensor on any device, a numpy array, or a number.
    """
    detach = getattr(value, "detach", None)
    if detach is not None:
        value = detach().cpu()
        # numpy has no bfloat16; every one of its numbers is a float32.
        value = value.float() if "bfloat16" in str(value.dtype) else value
        value = value.numpy()
    return np.array(value)


def real_of(value: Any) -> np.ndarray:
    """Return the numbers of `value` in float64: each number of a narrower type stays what it is.

    A Python float counts as one that torch uses at full width.
    """
    return array_of(value).astype(np.float64)


def single_of(value: Any) -> np.ndarray:
    """Return what float32 arithmetic makes of `value`, in float64."""
    return array_of(value).astype(np.float32).astype(np.float64)


def sides(value: Any, axes: int) -> tuple[int, ...]:
    """Return one whole number per axis of an option such as a stride: 2, (2,) or (2, 2)."""
    if isinstance(value, int | np.integer):
        return (int(value),) * axes
    return tuple(int(side) for side in value)


def expect(name: str, layer: Any, kind: str, **wanted: object) -> None:
    """Refuse a layer that has an option other than the one we read.

    Raises:
        UnknownNodeError: with the option and its value.
    """
    for option, value in wanted.items():
        found = getattr(layer, option, value)
        if found != value:
            raise UnknownNodeError(
                f"{kind} with {option}={found!r} is not read",
                where=name,
                fix=f"use {option}={value!r}",
            )
