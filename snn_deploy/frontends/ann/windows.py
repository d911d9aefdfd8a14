"""Windows and the zeros around their input, where both ends may differ."""

from dataclasses import dataclass

import numpy as np

from snn_deploy.errors import ShapeError, UnknownNodeError
from snn_deploy.frontends.layer_checks import Sides
from snn_deploy.frontends.nir import check_size
from snn_deploy.ir.maps import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """Values added around each spatial axis."""

    begin: Sides
    end: Sides

    @property
    def symmetric(self) -> bool:
        """Whether both ends have as many."""
        return self.begin == self.end


def check_window(where: str, shape: Shape, kernel: Sides, margins: Margins) -> None:
    """Refuse windows and margins that no one means, before they take memory.

    Args:
        where: Whose they are, for the error.
        shape: Of what the window moves over, [channel, *side].
        kernel: Sides of the window.
        margins: Around the spatial axes.

    Raises:
        ShapeError: they do not fit each other, or the padded input would be too large.
    """
    sides = (*margins.begin, *margins.end)
    if len(shape) != len(kernel) + 1 or len(sides) != 2 * len(kernel):
        raise ShapeError(
            f"it reads channels of {len(kernel)} axes, but is given {shape}", where=where
        )
    if min(sides) < 0:
        raise ShapeError(f"a padding of {min(sides)}; it must be at least 0", where=where)
    padded = [
        side + begin + end
        for side, begin, end in zip(shape[1:], margins.begin, margins.end, strict=True)
    ]
    check_size((shape[0], *padded), where)
    if any(k > side for k, side in zip(kernel, padded, strict=True)) or min(kernel) < 1:
        raise ShapeError(
            f"a window of {kernel} does not fit its padded input {tuple(padded)}", where=where
        )


def centred(
    where: str, weight: np.ndarray, margins: Margins, dilation: Sides
) -> tuple[np.ndarray, Sides]:
    """Return a kernel and equal margins at both ends that do the same.

    A tap of weight 0 in front moves the window back by one dilation: margin by margin.

    Raises:
        UnknownNodeError: the ends differ by no multiple of the dilation.
    """
    padding, growth = [], []
    for begin, end, step in zip(margins.begin, margins.end, dilation, strict=True):
        if step < 1 or abs(end - begin) % step:
            raise UnknownNodeError(
                f"paddings of {begin} and {end} with a dilation of {step}",
                where=where,
                fix="pad both ends alike",
            )
        taps = (end - begin) // step
        growth.append((max(0, taps), max(0, -taps)))
        padding.append(max(begin, end))
    if any(before or behind for before, behind in growth):
        weight = np.pad(weight, ((0, 0), (0, 0), *growth))
    return weight, tuple(padding)
