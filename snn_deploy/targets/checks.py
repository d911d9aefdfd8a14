"""What must be true of a chip's numbers, beyond their types, for every pass to compute with them.

The bounds are those of our own integers: a program stores int32, a state times a decay
multiplier must fit 64 bits. No number of a file may make us shift or allocate without end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from snn_deploy.ir.arithmetic import MOST_DECAY_BITS, WIDEST, Decay, Sums
from snn_deploy.ir.checks import LARGEST
from snn_deploy.targets.form import Problem, shown
from snn_deploy.targets.sourced import Sourced, SourcedList, SourcedRange
from snn_deploy.targets.target import Target, WeightRange

LONGEST_TEXT = 500
"""Characters of a source, a unit or a title."""

MOST_WEIGHT_BITS = 16
MOST_SHIFT = 24
"""Bits that one shift may have: a weight of 16 bits shifted twice by it still fits 64 bits."""

SMALLEST = -LARGEST - 1


def target_problems(target: Target) -> list[Problem]:
    """Return everything that is wrong with the numbers and texts of `target`."""
    return [
        *_texts(target, ""),
        *_weights(target),
        *_states(target),
        *_levels(target),
        *_counts(target),
        *([] if target.cores is None else _cores(target.cores, "cores")),
    ]


def _texts(record: Any, path: str) -> Iterator[Problem]:
    """Yield texts that are empty or that a terminal should not see; sources among them."""
    for entry in fields(record):
        value = getattr(record, entry.name)
        inner = f"{path}.{entry.name}" if path else entry.name
        if is_dataclass(value):
            yield from _texts(value, inner)
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if is_dataclass(item):
                    yield from _texts(item, f"{inner}[{index}]")
        elif isinstance(value, str):
            yield from _text(value, inner, empty=entry.default == "")


def _text(text: str, path: str, *, empty: bool) -> Iterator[Problem]:
    if not text.strip() and not empty:
        what = "say where the number was read" if path.endswith("source") else "fill it in"
        yield Problem(path=path, message="this text is empty", fix=what)
    elif len(text) > LONGEST_TEXT:
        yield Problem(
            path=path,
            message=f"a text of {len(text)} characters; at most {LONGEST_TEXT} are read",
            fix="shorten it",
        )
    elif not text.isprintable():
        yield Problem(
            path=path,
            message=f"{shown(text)} has characters that cannot be printed on a line",
            fix="use one line of plain text",
        )


def _within(path: str, value: int, low: int, high: int) -> Iterator[Problem]:
    if not low <= value <= high:
        nearest = low if value < low else high
        yield Problem(
            path=path,
            message=f"{shown(value)} lies outside {low}..{high}",
            fix=f"{path} = {nearest}",
        )


def _range(
    path: str, numbers: SourcedRange | WeightRange, low: int, high: int
) -> Iterator[Problem]:
    yield from _within(f"{path}.low", numbers.low, low, high)
    yield from _within(f"{path}.high", numbers.high, low, high)
    if numbers.low > numbers.high:
        yield Problem(
            path=path,
            message=f"low is {shown(numbers.low)}, above high, {shown(numbers.high)}",
            fix="exchange them",
        )


def _weights(target: Target) -> Iterator[Problem]:
    rule = target.weights
    yield from _within("weights.bits.value", rule.bits.value, 2, MOST_WEIGHT_BITS)
    most = 1 << MOST_WEIGHT_BITS
    for name, low, high in (
        ("mixed", -most, most),
        ("excitatory", 0, most),
        ("inhibitory", -most, 0),
    ):
        numbers: WeightRange = getattr(rule, name)
        yield from _range(f"weights.{name}", numbers, low, high)
        yield from _within(f"weights.{name}.step", numbers.step, 1, most)
    yield from _within("weights.shift.value", rule.shift.value, 0, MOST_SHIFT)
    yield from _range("weights.exponent", rule.exponent, 0, MOST_SHIFT)


def _states(target: Target) -> Iterator[Problem]:
    rule = target.states
    for name in ("current", "membrane", "arrivals", "change"):
        register = getattr(rule, name)
        if register is not None:
            yield from _within(f"states.{name}.bits", register.bits, 2, WIDEST)
    yield from _within("states.accumulator.value", rule.accumulator.value, 2, WIDEST)
    bits = rule.decay_bits.value
    yield from _within("states.decay_bits.value", bits, 0, MOST_DECAY_BITS)
    multiplies = rule.rules is None or rule.rules.decay is Decay.MULTIPLY
    one = 1 << min(max(bits, 0), MOST_DECAY_BITS) if multiplies else WIDEST - 1
    for name in ("current_multiplier", "membrane_multiplier"):
        yield from _range(f"states.{name}", getattr(rule, name), -one if multiplies else 0, one)

    if rule.arrivals is not None and rule.rules is not None and rule.rules.sums is Sums.BY_ROW:
        yield Problem(
            path="states.arrivals",
            message="where each row enters the state on its own there is no register of their sum",
            fix="leave it out",
        )


def _levels(target: Target) -> Iterator[Problem]:
    thresholds, biases = target.thresholds, target.biases
    yield from _within("thresholds.shift.value", thresholds.shift.value, 0, MOST_SHIFT)
    room = min(max(thresholds.shift.value, 0), MOST_SHIFT)
    yield from _range(
        "thresholds.mantissa", thresholds.mantissa, -(LARGEST >> room), LARGEST >> room
    )
    yield from _range("biases.exponent", biases.exponent, 0, MOST_SHIFT)
    room = min(max(biases.exponent.high, 0), MOST_SHIFT)
    yield from _range("biases.mantissa", biases.mantissa, -(LARGEST >> room), LARGEST >> room)


def _counts(target: Target) -> Iterator[Problem]:
    yield from _range("delay", target.delay, 0, LARGEST)
    if target.input_delay is not None:
        yield from _range("input_delay", target.input_delay, 0, LARGEST)
    if target.layers is not None:
        for entry in fields(target.layers):
            number: Sourced = getattr(target.layers, entry.name)
            yield from _within(f"layers.{entry.name}.value", number.value, 1, LARGEST)
    yield from _range("payload", target.payload, SMALLEST, LARGEST)
    yield from _within("parameter_groups.value", target.parameter_groups.value, 1, LARGEST)
    for index, limit in enumerate(target.limits):
        yield from _within(f"limits[{index}].value", limit.value, 1, 2**62)
    yield from _twice("features", "feature", (rule.feature.value for rule in target.features))
    yield from _twice("lacks", "basic", (lack.basic.value for lack in target.lacks))
    yield from _twice(
        "limits", "resource", (f"{r.resource.value} per {r.per.value}" for r in target.limits)
    )


def _cores(record: Any, path: str) -> Iterator[Problem]:
    """Yield numbers of a core or board that are below 1 or beyond 64 bits, or not ascending."""
    for entry in fields(record):
        value, inner = getattr(record, entry.name), f"{path}.{entry.name}"
        if isinstance(value, Sourced):
            lowest = 0 if entry.name in _MAY_BE_NONE or path == "cores.costs" else 1
            yield from _within(f"{inner}.value", value.value, lowest, LARGEST)
        elif isinstance(value, SourcedList):
            yield from _ascending(f"{inner}.values", value.values, 0, MOST_SHIFT)
        elif isinstance(value, tuple):
            chips = tuple(board.chips for board in value)
            yield from _ascending(f"{inner}[].chips", chips, 1, LARGEST)
        elif is_dataclass(value):
            yield from _cores(value, inner)


_MAY_BE_NONE = ("header", "offset", "delay")
"""Of packing and sharing."""


def _ascending(path: str, values: tuple[int, ...], low: int, high: int) -> Iterator[Problem]:
    for value in values:
        yield from _within(path, value, low, high)
    if not values or list(values) != sorted(set(values)):
        yield Problem(path=path, message="these are not ascending", fix="sort them, each once")


def _twice(table: str, key: str, names: Iterable[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Problem(
                path=f"{table}[{index}].{key}",
                message=f"{name} stands there twice",
                fix="leave one of them out",
            )
        seen.add(name)
