"""Which axis of a tensor means what: steps, the sample, values; and how views move them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from snn_deploy.frontends.capture.formulas import Formula
from snn_deploy.ir.maps import Shape


class Axis(Enum):
    """What an axis of a tensor counts."""

    STEP = "step"
    SAMPLE = "sample"
    """Always one sample."""

    VALUE = "value"
    SINGLE = "single"
    """Of length 1, put in between: it means nothing."""


Axes = tuple[Axis, ...]


class Over(Enum):
    """What was made of the values of all steps."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    LAST = "last"


class Layout(Enum):
    """How a module takes the steps of a sample. A batch is always one sample."""

    STEPWISE = "stepwise"
    """It is called once per step with [sample, ...] and keeps its states."""

    TIME_FIRST = "time-first"
    """It is called once with [step, sample, ...]."""

    BATCH_FIRST = "batch-first"
    """It is called once with [sample, step, ...]."""

    FLAT = "flat"
    """It is called once with [sample * step, ...]."""

    CONSTANT = "constant"
    """It is called once with [sample, ...], and shows that to its layers in each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What is known of a tensor.

    With a step axis, the formula is that of every step, relative to it; without one, it is that
    of a certain step.
    """

    formula: Formula
    axes: Axes
    over: Over | None = None
    """What was made of all steps; the formula is then that of every step."""

    @property
    def sequence(self) -> bool:
        """Whether it holds all steps."""
        return Axis.STEP in self.axes

    def moved(self, axes: Axes) -> "Traced":
        """Return the same values with other axes."""
        return replace(self, axes=axes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A tensor that cannot be followed any more."""

    function: str
    """That made it."""

    reason: str = ""
    """Why it cannot be followed, where it is known."""


@dataclass(slots=True, kw_only=True)
class Assembled:
    """A tensor of all steps that is being filled, step by step."""

    axis: int
    rank: int
    entries: dict[int, Traced]


def value_shape(axes: Axes, shape: Sequence[int]) -> Shape:
    """Return the shape of one sample's values in one step."""
    return tuple(int(side) for axis, side in zip(axes, shape, strict=True) if axis is Axis.VALUE)


def reshaped(axes: Axes, old: Sequence[int], new: Sequence[int], values: Shape) -> Axes | None:
    """Return what the axes of a reshaped tensor mean; None: steps and values are mixed.

    Args:
        axes: Of the tensor before.
        old: Its shape.
        new: Its shape afterwards; as many numbers.
        values: Shape of one sample's values in one step before.
    """
    groups = _groups(old, new)
    meaning: dict[int, Axis] = {}
    for before, after in groups:
        kinds = {axes[index] for index in before}
        if Axis.STEP in kinds and (len(before) > 1 or len(after) > 1):
            return None
        for index in after:
            meaning[index] = Axis.STEP if Axis.STEP in kinds else Axis.VALUE
    rest = len(new) - len(values)
    unchanged = (
        rest >= 0
        and tuple(new[rest:]) == values
        and Axis.STEP not in {meaning.get(index) for index in range(rest, len(new))}
    )
    firsts = [index for index, side in enumerate(new) if side != 1]
    values_from = next((i for i in firsts if meaning[i] is Axis.VALUE), len(new))
    steps_at = next((i for i in firsts if meaning[i] is Axis.STEP), None)
    sampled = False
    found = []
    for index, side in enumerate(new):
        leading = index < (rest if unchanged else values_from)
        may_sample = Axis.SAMPLE in axes or steps_at is None or index < steps_at
        if side != 1:
            found.append(meaning[index])
        elif leading and may_sample and not sampled:
            sampled = True
            found.append(Axis.SAMPLE)
        else:
            found.append(Axis.VALUE if unchanged and index >= rest else Axis.SINGLE)
    return tuple(found)


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return which axes become which, axes of length 1 left out."""
    assert math.prod(old) == math.prod(new)
    before = [index for index, side in enumerate(old) if side != 1]
    after = [index for index, side in enumerate(new) if side != 1]
    groups = []
    while before and after:
        left, right = [before.pop(0)], [after.pop(0)]
        while True:
            have = math.prod(old[index] for index in left)
            want = math.prod(new[index] for index in right)
            if have == want:
                break
            if have < want:
                left.append(before.pop(0))
            else:
                right.append(after.pop(0))
        groups.append((left, right))
    return groups
