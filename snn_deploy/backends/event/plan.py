"""A program as flat tables: what the kernels read.

Neurons of all populations are numbered through, population after population in the order of a
step. A population that convolutions drive is numbered channels last, so that one event adds
contiguous rows of weights; `Plan.place` leads back to the program's own order.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.graph import step_order
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse
from snn_deploy.ir.neuron import Compare, Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.program import Input, Population, Program, Projection

NEVER, BINARY, COUNT = range(3)
"""Codes of `Fires`."""

NO_RESET, TO_VALUE, SUBTRACT = range(3)
"""Codes of `ResetKind`."""

NO_FLOOR, BEFORE_TEST, AFTER_RESET = range(3)
"""Codes of `FloorWhen`."""

FOREVER = 2**62
"""A step that never comes."""

_FIRES = {Fires.NEVER: NEVER, Fires.BINARY: BINARY, Fires.COUNT: COUNT}
_RESETS = {ResetKind.NONE: NO_RESET, ResetKind.VALUE: TO_VALUE, ResetKind.SUBTRACT: SUBTRACT}
_FLOORS = {FloorWhen.BEFORE_TEST: BEFORE_TEST, FloorWhen.AFTER_RESET: AFTER_RESET}


class Way(IntEnum):
    """How an edge's weights are laid out."""

    DENSE = 0
    """One row of all targets per source."""

    ROWS = 1
    """Per source its own list of targets."""

    KERNEL = 2
    """A convolution: one row of output channels per input channel and tap."""


def _record(*names: str) -> np.dtype[Any]:
    return np.dtype([(name, np.int64) for name in names])


SOURCE = _record("first", "size", "edge", "edge_end")
"""An input: its first column, its size, and its edges from `edge` to `edge_end`."""

POPULATION = _record(
    *("first", "size", "edge", "edge_end", "lag"),
    *("fires", "greater", "most", "reset", "late", "floor", "has_current", "reads_old"),
    *("slots", "ring", "arrived", "rests", "first_bias"),
)
"""A population. `first` is its first neuron. What arrives is summed in a ring of `slots` steps
at `ring`, with one flag per step at `arrived`. `rests`: all states 0 and no input stays so
until `first_bias`, the first step in which a bias acts."""

EDGE = _record(
    *("way", "target", "size", "weight", "row", "delay", "delay_stride"),
    *("point", "per_group", "outs", "kernel_y", "kernel_x", "stride_y", "stride_x"),
    *("dilation_y", "dilation_x", "top", "left", "height", "width"),
    *("step_o", "step_y", "step_x"),
)
"""A projection, or the part of it with one delay. `target` is a row of the populations, `size`
its neurons; `weight`, `row`, `delay` and `point` are where its own begin in the flat arrays.
A kernel reads `per_group` channels and gives `outs` in each group; one channel, row or column
further in its target is `step_o`, `step_y` or `step_x` neurons further."""

BIAS = _record("first", "size", "value", "into_current", "start")
"""A bias on the `size` neurons from `first` on; its values begin at `value`."""

RULES = _record("current_half", "current_wraps", "membrane_half", "membrane_wraps", "decay_bits")
"""The arithmetic; half is 2**(bits - 1)."""


class Plan(NamedTuple):
    """A program for the kernels: tables, and flat arrays that they point into."""

    rules: np.ndarray
    inputs: np.ndarray
    populations: np.ndarray
    edges: np.ndarray
    biases: np.ndarray
    weights: np.ndarray
    """Weights, already shifted; int32 where all of them fit, else int64."""

    posts: Int[np.ndarray, " synapse"]
    rows: Int[np.ndarray, " row"]
    delays: Int[np.ndarray, " delay"]
    points: Int[np.ndarray, "source 3"]
    """Channel, row and column of each source of a kernel."""

    bias_values: Int[np.ndarray, " value"]
    decay: Int[np.ndarray, " neuron"]
    current_decay: Int[np.ndarray, " neuron"]
    threshold: Int[np.ndarray, " neuron"]
    amount: Int[np.ndarray, " neuron"]
    floor: Int[np.ndarray, " neuron"]
    initial: Int[np.ndarray, " neuron"]
    current_initial: Int[np.ndarray, " neuron"]
    place: Int[np.ndarray, " neuron"]
    """Position of each neuron within its population, in the program's order."""


def make_plan(program: Program, steps: int) -> Plan:
    """Return the plan of `program` for runs of `steps` steps; delays beyond them never matter."""
    order = [program.population(name) for name in step_order(program)]
    places = {p.name: _place(program, p) for p in order}
    places |= {entry.name: np.arange(entry.size) for entry in program.inputs}
    edges = _Edges(places, {p.name: row for row, p in enumerate(order)})
    inputs = np.zeros(len(program.inputs), SOURCE)
    populations = np.zeros(len(order), POPULATION)
    edges.add_from(inputs, program.inputs, program.projections)
    edges.add_from(populations, order, program.projections)
    _fill_populations(populations, program, order, steps)

    def each(parameter: Callable[[Population], np.ndarray | None]) -> np.ndarray:
        return _flat((_spread(parameter(p), p, places[p.name]) for p in order), np.int32)

    biases, bias_values = _biases(order, populations, places)
    return Plan(
        rules=_rules(program.arithmetic),
        inputs=inputs,
        populations=populations,
        edges=edges.made(),
        biases=biases,
        weights=_smallest(edges.weights),
        posts=_flat(edges.posts, np.int32),
        rows=_flat(edges.rows, np.int64),
        delays=_flat(edges.delays, np.int32),
        points=np.concatenate([np.zeros((0, 3), np.int32), *edges.points]),
        bias_values=bias_values,
        decay=each(lambda p: p.decay),
        current_decay=each(lambda p: None if p.current is None else p.current.decay),
        threshold=each(lambda p: p.threshold),
        amount=each(lambda p: p.reset.amount),
        floor=each(lambda p: None if p.floor is None else p.floor.value),
        initial=each(lambda p: p.initial),
        current_initial=each(lambda p: None if p.current is None else p.current.initial),
        place=_flat((places[p.name] for p in order), np.int32),
    )


def _place(program: Program, population: Population) -> np.ndarray:
    """Return the population's neurons in the order that the plan gives them."""
    neurons = np.arange(population.size)
    driving = {p.map.out_shape for p in program.into(population.name) if _is_kernel(p.map)}
    if len(driving) != 1:
        return neurons
    return neurons.reshape(driving.pop()).transpose(1, 2, 0).ravel()


def _is_kernel(linear: LinearMap) -> bool:
    return isinstance(linear, Convolution)


def _spread(parameter: np.ndarray | None, population: Population, place: np.ndarray) -> np.ndarray:
    """Return one number per neuron, in the plan's order; zeros for None."""
    if parameter is None:
        return np.zeros(population.size, np.int32)
    return np.broadcast_to(parameter, population.shape).ravel()[place]


def _flat(arrays: Iterable[np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *(a.ravel().astype(dtype) for a in arrays)])


def _smallest(weights: list[np.ndarray]) -> np.ndarray:
    wide = any(w.dtype == np.int64 for w in weights)
    return _flat(weights, np.int64 if wide else np.int32)


def _rules(arithmetic: Arithmetic) -> np.ndarray:
    def of(register: Register) -> tuple[int, int]:
        return 1 << (register.bits - 1), int(register.overflow is Overflow.WRAP_ONCE)

    row = (*of(arithmetic.current), *of(arithmetic.membrane), arithmetic.decay_bits)
    return np.array([row], RULES)


def _fill_populations(
    table: np.ndarray, program: Program, order: list[Population], steps: int
) -> None:
    ring = arrived = 0
    for row, population in zip(table, order, strict=True):
        current, floor, reset = population.current, population.floor, population.reset
        longest = max(
            (int(p.delay.max(initial=0)) for p in program.into(population.name)), default=0
        )
        row["lag"] = population.lag
        row["fires"] = _FIRES[population.fires]
        row["greater"] = population.compare is Compare.GREATER
        row["most"] = population.max_spikes
        row["reset"] = _RESETS[reset.kind]
        row["late"] = reset.when is When.NEXT
        row["floor"] = NO_FLOOR if floor is None else _FLOORS[floor.when]
        row["has_current"] = current is not None
        row["reads_old"] = current is not None and current.reads is Reads.OLD
        row["slots"] = max(1, min(longest + 1, steps))
        row["ring"], row["arrived"] = ring, arrived
        row["rests"] = _rests(population)
        row["first_bias"] = min((b.start for b in population.biases), default=FOREVER)
        ring += int(row["slots"]) * population.size
        arrived += int(row["slots"])


def _rests(population: Population) -> bool:
    """Return whether a neuron with all states 0, no input and no bias stays as it is."""
    equal = population.compare is Compare.GREATER_EQUAL
    lowest = int(population.threshold.min(initial=2**31 - 1))
    fires = population.fires is Fires.BINARY and lowest < (1 if equal else 0)
    lifted = population.floor is not None and int(population.floor.value.max(initial=0)) > 0
    return not fires and not lifted


def _biases(
    order: list[Population], populations: np.ndarray, places: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    rows, values, at = [], [], 0
    for row, population in zip(populations, order, strict=True):
        for bias in population.biases:
            into_current = bias.into is State.CURRENT
            rows.append((row["first"], population.size, at, into_current, max(0, bias.start)))
            values.append(_spread(bias.value, population, places[population.name]))
            at += population.size
    return np.array(rows, BIAS), _flat(values, np.int32)


@dataclass(frozen=True, slots=True)
class _Part:
    """A map of which all synapses, or all of one source, have the same delay."""

    linear: LinearMap
    delay: np.ndarray
    """One number, or one per source."""


def _parts(projection: Projection) -> Iterator[_Part]:
    """Yield the parts of a projection; more than one only for delays per weight."""
    linear, delay = projection.map, projection.delay
    if delay.ndim == 0 or delay.shape == (linear.in_size,):
        yield _Part(linear, delay)
        return
    for steps in np.unique(delay):
        mask = delay == steps
        if isinstance(linear, Convolution):
            part: LinearMap = linear.with_numbers(linear.numbers() * mask)
        else:
            part = _selected(linear, mask)
        yield _Part(part, np.asarray(steps))


def _selected(linear: LinearMap, mask: np.ndarray) -> Sparse:
    """Return the synapses whose stored weight is within `mask`."""
    triplets = linear.triplets()
    kept = mask.ravel()[triplets.number]
    return Sparse(
        post=triplets.post[kept],
        pre=triplets.pre[kept],
        weight=linear.numbers().ravel()[triplets.number[kept]],
        post_shape=linear.out_shape,
        pre_shape=linear.in_shape,
    )


class _Edges:
    """The edges of a plan, and the flat arrays they point into, while they grow."""

    def __init__(self, places: Mapping[str, np.ndarray], row_of: Mapping[str, int]) -> None:
        self.places = places
        self.row_of = row_of
        self.table: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        self.posts: list[np.ndarray] = []
        self.rows: list[np.ndarray] = []
        self.delays: list[np.ndarray] = []
        self.points: list[np.ndarray] = []
        self._begin = dict.fromkeys(("weight", "post", "row", "delay", "point"), 0)

    def made(self) -> np.ndarray:
        """Return the table of edges."""
        return np.concatenate([np.zeros(0, EDGE), *self.table])

    def add_from(
        self,
        table: np.ndarray,
        nodes: Sequence[Input | Population],
        projections: Sequence[Projection],
    ) -> None:
        """Append the edges that start from `nodes`, and write down where in their `table`."""
        first = 0
        for row, node in zip(table, nodes, strict=True):
            row["first"], row["size"], row["edge"] = first, node.size, len(self.table)
            for projection in projections:
                if projection.source == node.name:
                    for part in _parts(projection):
                        self._add_part(projection, part)
            row["edge_end"] = len(self.table)
            first += node.size

    def _add_part(self, projection: Projection, part: _Part) -> None:
        edge = np.zeros(1, EDGE)
        source, target = self.places[projection.source], self.places[projection.target]
        edge["target"], edge["size"] = self.row_of[projection.target], target.size
        per_source = part.delay.ndim > 0
        delay = part.delay[source] if per_source else part.delay.reshape(1)
        edge["delay"], edge["delay_stride"] = self._put("delay", self.delays, delay), per_source
        if isinstance(part.linear, Dense):
            self._add_dense(edge, part.linear, projection.shift, source, target)
        elif isinstance(part.linear, Convolution):
            self._add_kernel(edge, part.linear, projection.shift, source, target)
        else:
            assert isinstance(part.linear, Sparse)
            self._add_rows(edge, part.linear, projection.shift, source, target)
        self.table.append(edge)

    def _put(self, name: str, arrays: list[np.ndarray], array: np.ndarray) -> int:
        """Append `array`, and return where it begins in the flat array."""
        begin = self._begin[name]
        arrays.append(array)
        self._begin[name] += len(array)
        return begin

    def _put_weight(self, weight: np.ndarray, shift: int) -> int:
        flat = weight.ravel()
        largest = max(abs(int(flat.min(initial=0))), abs(int(flat.max(initial=0))))
        dtype = np.dtype(np.int32 if largest << shift < 2**31 else np.int64)
        return self._put("weight", self.weights, np.left_shift(flat.astype(dtype), shift))

    def _add_dense(
        self, edge: np.ndarray, linear: Dense, shift: int, source: np.ndarray, target: np.ndarray
    ) -> None:
        edge["way"] = Way.DENSE
        edge["weight"] = self._put_weight(linear.weight.T[np.ix_(source, target)], shift)

    def _add_rows(
        self, edge: np.ndarray, linear: Sparse, shift: int, source: np.ndarray, target: np.ndarray
    ) -> None:
        pre, post = np.argsort(source)[linear.pre], np.argsort(target)[linear.post]
        order = np.lexsort((post, pre))
        begin = self._put("post", self.posts, post[order])
        row = np.searchsorted(pre[order], np.arange(source.size + 1)) + begin
        edge["way"] = Way.ROWS
        edge["row"] = self._put("row", self.rows, row)
        # A synapse's weight is at `weight + synapse`, where `synapse` counts the posts.
        edge["weight"] = self._put_weight(linear.weight[order], shift) - begin

    def _add_kernel(
        self,
        edge: np.ndarray,
        linear: Convolution,
        shift: int,
        source: np.ndarray,
        target: np.ndarray,
    ) -> None:
        outs, per_group = linear.weight.shape[0] // linear.groups, linear.weight.shape[1]
        grouped = linear.weight.reshape(linear.groups, outs, *linear.weight.shape[1:])
        points = np.stack(np.unravel_index(source, linear.in_shape), axis=1).astype(np.int32)
        channels, height, width = linear.out_shape
        last = not np.array_equal(target, np.arange(target.size)) or channels == 1
        edge["way"] = Way.KERNEL
        edge["weight"] = self._put_weight(grouped.transpose(0, 2, 3, 4, 1), shift)
        edge["point"] = self._put("point", self.points, points)
        edge["per_group"], edge["outs"] = per_group, outs
        edge["kernel_y"], edge["kernel_x"] = linear.weight.shape[2:]
        edge["stride_y"], edge["stride_x"] = linear.stride
        edge["dilation_y"], edge["dilation_x"] = linear.dilation
        edge["top"], edge["left"] = linear.padding[0], linear.padding[2]
        edge["height"], edge["width"] = height, width
        steps = (1, width * channels, channels) if last else (height * width, width, 1)
        edge["step_o"], edge["step_y"], edge["step_x"] = steps
