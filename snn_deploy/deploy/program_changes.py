"""What differs between two programs, part by part, down to the number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from snn_deploy.ir.graph import Named
from snn_deploy.ir.maps import LinearMap
from snn_deploy.ir.program import Binary, Program


class Part(Enum):
    """Which part of a program, or of an artifact, differs."""

    PROGRAM = "program"
    INPUT = "input"
    POPULATION = "population"
    PROJECTION = "projection"
    OUTPUT = "output"
    TARGET = "target"
    ENCODING = "encoding"
    OPTION = "option"
    PIPELINE = "pipeline"
    FINDING = "finding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that differs."""

    part: Part
    name: str
    """Of the population, projection, ...; empty for the whole program."""

    what: str
    """Field, such as `threshold` or `weights`; empty where the whole part is new or gone."""

    one: str
    """In the first program; empty where it is not there."""

    other: str
    changed: int | None = None
    """Numbers that differ, of an array."""

    numbers: int | None = None
    """Numbers that there are."""

    largest: float | None = None
    """Largest absolute change of one of them."""

    at: tuple[int, ...] | None = None
    """Where that is."""


def plain_change(part: Part, name: str, what: str, one: Any, other: Any) -> Change:
    """Return a change that its two values say."""
    return Change(part=part, name=name, what=what, one=_text(one), other=_text(other))


NAMED = {
    "inputs": Part.INPUT,
    "populations": Part.POPULATION,
    "projections": Part.PROJECTION,
    "outputs": Part.OUTPUT,
}
"""Parts of a program that have names."""


def changes_between(one: Program, other: Program) -> Iterator[Change]:
    """Yield every difference of two programs."""
    for field in fields(Program):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if field.name not in NAMED:
            yield from _values(Part.PROGRAM, "", field.name, first, second)
            continue
        part, have = NAMED[field.name], {item.name: item for item in second}
        for item in first:
            if item.name in have:
                yield from changed_records(part, item.name, "", item, have[item.name])
            else:
                yield Change(part=part, name=item.name, what="", one=_summary(item), other="")
        known = {item.name for item in first}
        for item in second:
            if item.name not in known:
                yield Change(part=part, name=item.name, what="", one="", other=_summary(item))


def _summary(item: Named) -> str:
    """Return an input, population, projection or output in a few words."""
    shape = getattr(item, "shape", None)
    if shape is not None:
        return "x".join(map(str, shape)) or "1"
    ends = [getattr(item, name, None) for name in ("source", "target", "population")]
    return " -> ".join(end for end in ends if end)


def changed_records(part: Part, name: str, path: str, one: Any, other: Any) -> Iterator[Change]:
    """Yield the differences of two records of the same type, field by field."""
    for field in fields(one):
        where = f"{path}.{field.name}" if path else field.name
        yield from _values(part, name, where, getattr(one, field.name), getattr(other, field.name))


def _values(part: Part, name: str, what: str, one: Any, other: Any) -> Iterator[Change]:
    """Yield the differences of two values of any field."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        yield from _arrays(part, name, what, one, other)
    elif isinstance(one, LinearMap) and isinstance(other, LinearMap):
        yield from _maps(part, name, one, other)
    elif isinstance(one, tuple) and any(map(is_dataclass, (*one, *other))):
        yield from _sequences(part, name, what, one, other)
    elif is_dataclass(one) and type(one) is type(other) and not isinstance(one, Binary):
        yield from changed_records(part, name, what, one, other)
    elif one != other:
        yield plain_change(part, name, what, one, other)


def _sequences(
    part: Part, name: str, what: str, one: Sequence[Any], other: Sequence[Any]
) -> Iterator[Change]:
    """Yield the differences of two sequences of records, by place."""
    if len(one) != len(other):
        few = max(len(one), len(other)) == 1  # which can be told in words
        sides = (one, other) if few else (len(one), len(other))
        yield plain_change(part, name, what, *sides)
        return
    for index, (first, second) in enumerate(zip(one, other, strict=True)):
        yield from _values(part, name, f"{what}[{index}]", first, second)


def _maps(part: Part, name: str, one: LinearMap, other: LinearMap) -> Iterator[Change]:
    if type(one) is not type(other) or one.numbers().shape != other.numbers().shape:
        yield plain_change(part, name, "map", _map(one), _map(other))
        return
    for field in fields(one):  # type: ignore[arg-type]  # every map is a dataclass
        what = "weights" if field.name in ("weight", "factor") else f"map.{field.name}"
        first, second = getattr(one, field.name), getattr(other, field.name)
        yield from _values(part, name, what, first, second)


def _map(linear: LinearMap) -> str:
    ends = " -> ".join("x".join(map(str, s)) for s in (linear.in_shape, linear.out_shape))
    return f"{type(linear).__name__.lower()} {ends}, {linear.numbers().size:,} weights"


def _arrays(
    part: Part, name: str, what: str, one: np.ndarray, other: np.ndarray
) -> Iterator[Change]:
    """Yield how many numbers differ, the largest change and where; nothing if they are equal."""
    try:
        first, second = np.broadcast_arrays(one, other)
    except ValueError:
        yield plain_change(part, name, what, one, other)
        return
    change = np.abs(second.astype(np.float64) - first.astype(np.float64))
    if not np.any(change):
        if one.shape != other.shape:
            yield plain_change(
                part, name, f"{what}, numbers stored", f"{one.size}", f"{other.size}"
            )
        return
    at = tuple(int(i) for i in np.unravel_index(int(change.argmax()), change.shape))
    single = change.size == 1
    yield Change(
        part=part,
        name=name,
        what=what,
        one=_text(first[at] if at else one),
        other=_text(second[at] if at else other),
        changed=None if single else int(np.count_nonzero(change)),
        numbers=None if single else change.size,
        largest=float(change.max()),
        at=None if single else at,
    )


def _text(value: Any) -> str:
    """Return a value in a word or two."""
    if isinstance(value, np.ndarray | np.generic):
        low, high = np.min(value), np.max(value)
        return f"{low}" if low == high else f"{low}..{high}"
    if isinstance(value, tuple):
        return "x".join(map(_text, value)) or "none"
    if is_dataclass(value) and not isinstance(value, Binary | type):
        inside = (f"{f.name} {_text(getattr(value, f.name))}" for f in fields(value))
        return ", ".join(inside)
    if isinstance(value, Binary):
        value = f"{float(value):g}"
    return str(value.value if isinstance(value, Enum) else "none" if value is None else value)
