"""Numbers out of whatever a layer holds: torch tensors, numpy arrays, plain numbers."""

from typing import Any, Literal

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
    """Return what float32 arithmetic makes of `value`, in float64; infinite if it is too large."""
    with np.errstate(over="ignore"):
        return array_of(value).astype(np.float32).astype(np.float64)


def whole(value: Any, where: str = "") -> int:
    """Return an option that is a whole number.

    Raises:
        UnknownNodeError: it is another number, or none.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise UnknownNodeError(f"{value!r:.60} is no whole number", where=where)
    return int(value)


def sides(value: Any, axes: int | None, where: str = "") -> tuple[int, ...]:
    """Return one whole number per axis of an option such as a stride: 2, (2,) or (2, 2).

    Args:
        value: The option.
        axes: How many there are; None: as many as the option has.
        where: What the error says of its place.

    Raises:
        UnknownNodeError: they are not whole, or not one for each axis.
    """
    if not isinstance(value, tuple | list):
        return (whole(value, where),) * (1 if axes is None else axes)
    found = tuple(whole(side, where) for side in value)
    if len(found) == 1 and axes is not None:
        return found * axes
    if not found or axes not in (None, len(found)):
        raise UnknownNodeError(f"{value!r:.60} has not one whole number for each axis", where=where)
    return found


def padding_of(
    value: Any, axes: int, where: str = ""
) -> tuple[int, ...] | Literal["same", "valid"]:
    """Return the padding of a convolution: the word same, valid, or as `sides`.

    Raises:
        UnknownNodeError: it is neither.
    """
    if value == "same":
        return "same"
    return "valid" if value == "valid" else sides(value, axes, where)


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
