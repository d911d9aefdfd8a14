"""The options of an export that change its result, and what their words mean."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from snn_deploy.errors import OptionError
from snn_deploy.ir.checks import LARGEST
from snn_deploy.ir.words import nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of an export that change its result; see `snn_deploy.export`."""

    target: str = "loihi"
    dialect: str | None = None
    dt: float | None = None
    reset: str | None = None
    compare: str | None = None
    floor: float | None = None
    encode: str | None = None
    steps: int | None = None
    seed: int | None = None
    decode: str | None = None
    input_range: str | None = None
    input_unit: float | None = None
    bits: Any = None
    preset: str | None = None
    objective: str | None = None
    rounding: str | None = None
    bias_correction: bool | None = None
    per_channel: bool | None = None
    max_drop: float | None = None
    least: str | None = None
    search: str | bool = True
    prove: bool = False
    allow_overflow: bool = False
    time_dilation: str | None = None
    cores: Any = None
    optimize: str | None = None
    chips: int | None = None
    thresholds: Any = None
    exit_lead: float | None = None
    exit_after: int | None = None
    sample_shape: tuple[int, ...] | None = None
    arch: str | None = None
    module: str | None = None
    layers: int | None = None
    reset_interval: int | None = None
    reset_offset: int = 0
    name: str | None = None

    @property
    def chosen(self) -> Mapping[str, Any]:
        """The options that are not left at their default."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name == "target" or getattr(self, f.name) != f.default
        }


def shape_of(text: Any) -> tuple[int, ...] | None:
    """Return the shape that a text such as `1x28x28` says; a sequence of sizes stays one.

    Raises:
        OptionError: it says none.
    """
    if text is None:
        return None
    try:
        if isinstance(text, str):
            shape = tuple(int(size) for size in text.replace("*", "x").split("x"))
        else:
            shape = tuple(operator.index(size) for size in text)
    except (ValueError, TypeError):
        shape = ()
    if not shape or not 1 <= min(shape) <= max(shape) <= LARGEST:
        raise OptionError(
            f"{text!r} is no shape",
            where="--sample-shape",
            fix="--sample-shape 1x28x28; in Python sample_shape=(1, 28, 28), without batch and "
            "time",
        )
    return shape


def range_of(text: str) -> tuple[int, int]:
    """Return the ends of a range such as `0:1`.

    Raises:
        OptionError: it is none of whole numbers.
    """
    low, colon, high = text.partition(":")
    try:
        limits = int(low), int(high)
    except ValueError:
        limits = 1, 0
    if not colon or limits[0] > limits[1]:
        raise OptionError(
            f"{text!r} is no range of whole numbers", where="--input-range", fix="--input-range 0:1"
        )
    return limits


def choose(kind: type[Any], word: str | None, option: str) -> Any:
    """Return the member of the enum `kind` whose value is `word`; None for None.

    Raises:
        OptionError: there is none.
    """
    if word is None:
        return None
    for member in kind:
        if member.value == word:
            return member
    words = [member.value for member in kind]
    raise OptionError(
        f"{option} is one of {', '.join(words)}, not {word!r}",
        fix=f"{option} {nearest(word, words) or words[0]}",
    )
