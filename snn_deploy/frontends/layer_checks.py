"""What the arrays and options of layers must be; each check raises a `ShapeError` that says why."""

import numpy as np

from snn_deploy.errors import ShapeError

Array = np.ndarray
"""Of whatever a file holds, until `Layer.check` has seen it: then of numbers."""

Sides = tuple[int, ...]
"""One whole number per spatial axis."""

LARGEST_SIDE = 2**31 - 1
"""Of a stride, a padding, a window: what a 32-bit index can count."""


def check_numbers(where: str, what: str, values: Array, *axes: int) -> None:
    """Refuse an array that holds no numbers, or has another number of axes than one of `axes`."""
    if values.dtype.kind not in "biuf" or (axes and values.ndim not in axes) or 0 in values.shape:
        wanted = f" with {' or '.join(map(str, axes))} axes" if axes else ""
        raise ShapeError(
            f"a {what} of {values.dtype} and shape {values.shape} where numbers{wanted} belong",
            where=where,
        )


def check_bias(where: str, bias: Array | None, channels: int) -> None:
    """Refuse a bias that has not one number for each output."""
    if bias is None:
        return
    check_numbers(where, "bias", bias, 1)
    if len(bias) != channels:
        raise ShapeError(f"a bias of {len(bias)} numbers for {channels} outputs", where=where)


def check_delays(where: str, delays: Array | None, weight: Array) -> None:
    """Refuse delays that are not one whole number for each weight."""
    if delays is None:
        return
    if delays.shape != weight.shape or delays.dtype.kind not in "iu" or np.any(delays < 0):
        raise ShapeError(
            f"delays of {delays.dtype} and shape {delays.shape} where whole numbers from 0 on of "
            f"shape {weight.shape} belong",
            where=where,
        )


def check_sides(where: str, axes: int, least: int, **sides: Sides | str) -> None:
    """Refuse options that have not one whole number in range for each axis."""
    for option, value in sides.items():
        if isinstance(value, str):
            continue
        if len(value) != axes or not all(least <= side <= LARGEST_SIDE for side in value):
            raise ShapeError(
                f"{option} is {value}, but has {axes} whole numbers from {least} on", where=where
            )


def check_groups(where: str, groups: int, channels: int) -> None:
    """Refuse groups that do not divide the channels."""
    if groups < 1 or channels % groups:
        raise ShapeError(f"{channels} channels in {groups} groups", where=where)
