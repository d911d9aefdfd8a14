"""Plain populations as flat tables: what the kernels of layers read.

A population that convolutions drive is numbered channels last, so that one event adds contiguous
rows of weights; a population's `place` leads back to the program's own order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.backends.event.choices import Choices
from snn_deploy.backends.event.ends import Ends
from snn_deploy.backends.event.flat import LINE, Flat, Room, on_lines, side_by_side
from snn_deploy.backends.event.layers.edges import (
    NOTHING,
    Edges,
    Narrow,
    Scaled,
    is_binary,
    most_shift,
)
from snn_deploy.backends.event.layers.suit import Bounds
from snn_deploy.backends.event.layers.tables import (
    AMOUNT,
    BEGINS,
    BINARY,
    BLOCK,
    CELLS,
    CHUNK,
    COUNT,
    CURRENT_DECAY,
    CURRENT_OVERFLOW,
    DECAY,
    EPOCH,
    EVENTS,
    FLOOR_AFTER,
    FLOOR_BEFORE,
    FRACTION,
    HALF_CURRENT,
    HALF_MEMBRANE,
    LAYER,
    MARKS,
    MEMBRANE_OVERFLOW,
    MOST_SAFE_CURRENT,
    MOST_SAFE_MEMBRANE,
    NODE,
    PARAMETERS,
    RULES,
    SAFE_CURRENT,
    SAFE_MEMBRANE,
    SILENT,
    THRESHOLD,
    WIDEST,
    LayerPlan,
    Streams,
)
from snn_deploy.backends.event.parts import place_of
from snn_deploy.backends.event.records import ABSENT
from snn_deploy.backends.event.rest import FOREVER, rests
from snn_deploy.backends.event.stepwise.tables import OVERFLOWS
from snn_deploy.ir.neuron import Compare, Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.program import Input, Population, Program

_SENDS = {Fires.NEVER: SILENT, Fires.BINARY: BINARY, Fires.COUNT: COUNT}
_LOWEST, _HIGHEST = -(2**31), 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Layers that are ready to run, and how their program's names lead into the tables."""

    plan: LayerPlan
    places: Mapping[str, np.ndarray]
    """The program's number of each neuron, in the plan's order."""

    spikes: Mapping[str, slice]
    """Columns of `Given.spikes` that a node outside has."""

    values: Mapping[str, slice]
    """The same of `Given.values`."""

    sent: Mapping[str, slice]
    """Columns of `Given.sent` of the populations that others read."""

    @property
    def sample_bytes(self) -> int:
        """Memory of `streams` for one sample."""
        one = self.plan.rules
        return int(4 * one[CELLS] + one[MARKS] + 8 * one[EVENTS] + 8 * one[BEGINS])

    def streams(self, samples: int) -> Streams:
        """Return room for some samples; `KERNELS.initialize` fills it."""
        rules = self.plan.rules
        return Streams(
            cells=on_lines((samples, rules[CELLS]), np.int32),
            marks=on_lines((samples, rules[MARKS]), np.uint8),
            events=np.empty((samples, rules[EVENTS]), np.int32),
            values=np.empty((samples, rules[EVENTS]), np.int32),
            begins=np.empty((samples, rules[BEGINS]), np.int64),
        )


def make_layers(
    program: Program, ends: Ends, bounds: Bounds, horizon: int, choices: Choices
) -> Layers:
    """Return the layers of a unit of a program.

    Args:
        program: Whose.
        ends: The unit.
        bounds: Of the program's projections.
        horizon: No run has more steps.
        choices: How to run them.
    """
    chunk = max(1, min(choices.chunk, horizon))
    names = ends.unit.names
    order = [program.population(name) for name in names]
    outside = [node for node in program.nodes if node.name in ends.reads]
    nodes = {node.name: number for number, node in enumerate((*outside, *order))}
    places = {node.name: np.arange(node.size) for node in outside}
    places |= {p.name: place_of(program, p) for p in order}
    numbers = Flat(np.int32)
    edges = Edges(nodes, places, numbers, horizon, choices.rows)
    maker = _Maker(program, nodes, places, edges, bounds)
    layers = np.zeros(len(order), LAYER)
    for row, population in enumerate(order):
        maker.describe(layers[row], population, row, narrow=choices.narrow)
    tables = _node_table(program, (*outside, *order), chunk, horizon)
    made = edges.tables()
    rules = np.array(_rules(program, maker, tables, chunk), np.int64)
    borders = np.cumsum([0, *(len(group) for group in ends.unit.groups)])
    plan = LayerPlan(
        layers=layers,
        edges=made[0],
        epochs=np.array(maker.epochs, EPOCH),
        nodes=tables,
        groups=np.stack([borders[:-1], borders[1:]], axis=1),
        rules=rules,
        numbers=numbers.made(),
        bytes=made[1],
        words=made[2],
    )
    columns = _columns(program, outside, tables)
    sent = side_by_side((p.name, p.size) for p in order if p.name in ends.gives)
    for record, population in zip(layers, order, strict=True):
        record["sent"] = sent[population.name].start if population.name in sent else ABSENT
    return Layers(plan=plan, places=places, spikes=columns[0], values=columns[1], sent=sent)


def _columns(
    program: Program, outside: Sequence[Input | Population], nodes: np.ndarray
) -> tuple[dict[str, slice], dict[str, slice]]:
    """Give what enters its columns: spikes, and values."""
    binary = {node.name for node in outside if is_binary(program, node.name)}
    spikes = side_by_side(((n.name, n.size) for n in outside if n.name in binary), whole=LINE)
    values = side_by_side(
        ((n.name, n.size) for n in outside if n.name not in binary), whole=LINE // 4
    )
    nodes["column"] = ABSENT
    for record, node in zip(nodes, outside, strict=False):
        record["column"] = (spikes | values)[node.name].start
    return spikes, values


def _node_table(
    program: Program, nodes: Sequence[Input | Population], chunk: int, horizon: int
) -> np.ndarray:
    table = np.zeros(len(nodes), NODE)
    events = begins = 0
    for record, node in zip(table, nodes, strict=True):
        delays = [int(p.delay.max(initial=0)) for p in program.projections if p.source == node.name]
        steps = min(max(delays, default=0), horizon) + chunk
        record["size"], record["history"] = node.size, steps - chunk
        record["events"], record["room"] = events, steps * node.size + LINE
        record["begins"] = begins
        record["binary"] = is_binary(program, node.name)
        events, begins = events + int(record["room"]), begins + steps + 1
    return table


def _rules(program: Program, maker: "_Maker", nodes: np.ndarray, chunk: int) -> list[int]:
    """Return the rules in their order."""
    arithmetic = program.arithmetic
    halves = [1 << (register.bits - 1) for register in (arithmetic.current, arithmetic.membrane)]
    last = nodes[-1]
    given = {
        HALF_CURRENT: halves[0],
        SAFE_CURRENT: min(halves[0], MOST_SAFE_CURRENT) - 1,
        CURRENT_OVERFLOW: OVERFLOWS[arithmetic.current.overflow],
        HALF_MEMBRANE: halves[1],
        SAFE_MEMBRANE: min(halves[1], MOST_SAFE_MEMBRANE) - 1,
        MEMBRANE_OVERFLOW: OVERFLOWS[arithmetic.membrane.overflow],
        WIDEST: int(nodes["size"].max(initial=0)),
        CELLS: maker.room.size,
        MARKS: maker.marks.size,
        EVENTS: int(last["events"] + last["room"]),
        CHUNK: chunk,
        BEGINS: int(last["begins"] + last["history"]) + chunk + 1,
    }
    return [given[rule] for rule in range(len(RULES))]


class _Maker:
    """Describes layers, and gives their states room."""

    def __init__(
        self,
        program: Program,
        nodes: Mapping[str, int],
        places: Mapping[str, np.ndarray],
        edges: Edges,
        bounds: Bounds,
    ) -> None:
        self._program, self._nodes, self._places = program, nodes, places
        self._edges, self._numbers, self._bounds = edges, edges.numbers, bounds
        self.room, self.marks = Room(LINE // 4), Room(LINE)
        self.epochs: list[tuple[int, int, int]] = []

    def describe(self, record: np.void, population: Population, row: int, *, narrow: bool) -> None:
        """Fill a population's row of the table."""
        place, current, reset = self._places[population.name], population.current, population.reset
        record["node"], record["row"] = self._nodes[population.name], row
        record["size"], record["lag"] = population.size, population.lag
        record["place"] = self._numbers.put(place)
        record["has_current"] = current is not None
        record["reads_old"] = current is not None and current.reads is Reads.OLD
        record["late"], record["hard"] = reset.when is When.NEXT, reset.kind is ResetKind.VALUE
        keeps = 1 << self._program.arithmetic.decay_bits
        record["leaks"] = bool(np.any(population.decay != keeps))
        record["floors"] = population.floor is not None
        record["sends"] = _SENDS[population.fires]
        record["greater"] = population.compare is Compare.GREATER
        record["most_spikes"] = population.max_spikes
        record["rests"] = rests(population)
        self._add_states(record, population, place)
        self._add_parameters(record, population, place)
        self._add_epochs(record, population, place)
        self._add_edges(record, population, narrow=narrow)

    def _add_states(self, record: np.void, population: Population, place: np.ndarray) -> None:
        for name in ("membrane", "current"):
            record[name] = self.room.take(population.size)
        shows = population.fires is not Fires.COUNT and population.reset.when is not When.NEXT
        record["payload"] = ABSENT if shows else self.room.take(population.size)
        record["marks"] = self.marks.take(population.size)
        record["quiet"] = self.room.take(-(-population.size // BLOCK))
        record["initial"] = self._numbers.put(_spread(population.initial, population, place))
        for current in population.currents:
            self._numbers.put(_spread(current.initial, population, place))

    def _add_parameters(self, record: np.void, population: Population, place: np.ndarray) -> None:
        equal_fires = population.compare is Compare.GREATER_EQUAL
        threshold = population.threshold
        if population.fires is Fires.NEVER:
            threshold = np.asarray(_HIGHEST)
        elif population.fires is Fires.BINARY and equal_fires:
            threshold = threshold.astype(np.int64) - 1
        floor, reset = population.floor, population.reset
        keeps = reset.kind is ResetKind.NONE
        floors = {FloorWhen.BEFORE_TEST: _LOWEST, FloorWhen.AFTER_RESET: _LOWEST}
        lowest: dict[FloorWhen, np.ndarray | int] = {**floors}
        if floor is not None:
            lowest[floor.when] = floor.value
        left = FRACTION - self._program.arithmetic.decay_bits
        given: dict[int, np.ndarray | int] = {
            DECAY: population.decay << left,
            CURRENT_DECAY: population.current.decay << left if population.current else 0,
            THRESHOLD: threshold,
            AMOUNT: 0 if keeps else reset.amount,
            FLOOR_BEFORE: lowest[FloorWhen.BEFORE_TEST],
            FLOOR_AFTER: lowest[FloorWhen.AFTER_RESET],
        }
        for number in range(PARAMETERS):
            values = np.asarray(given[number])
            same = values.size == 1
            spread = np.full(BLOCK, values.item()) if same else _spread(values, population, place)
            record["parameters"][number] = self._numbers.put(spread)
            record["strides"][number] = 0 if same else BLOCK

    def _add_epochs(self, record: np.void, population: Population, place: np.ndarray) -> None:
        starts = sorted({0, *(bias.start for bias in population.biases)})
        record["epoch"] = len(self.epochs)
        record["first_bias"] = min((b.start for b in population.biases), default=FOREVER)
        for start in starts:
            at: list[int] = []
            for state in (State.CURRENT, State.MEMBRANE):
                total = np.zeros(population.size, np.int64)
                for bias in population.biases:
                    if bias.into is state and bias.start <= start:
                        total += _spread(bias.value, population, place)
                at.append(self._numbers.put(total))
            self.epochs.append((start, at[0], at[1]))
        record["epoch_end"] = len(self.epochs)

    def _add_edges(self, record: np.void, population: Population, *, narrow: bool) -> None:
        into = [Scaled.of(p, self._bounds) for p in self._program.into(population.name)]
        small = Narrow.among(self._program, into) if narrow else NOTHING
        large = [scaled for scaled in into if not any(scaled is other for other in small.group)]
        spills = small.most < FOREVER
        record["edge"] = self._edges.count
        record["spills"] = spills
        record["narrow_shift"], record["most"] = most_shift(small.group), small.most
        together = (*large, *small.group) if spills else large
        record["wide_shift"] = most_shift(together)
        record["spill"] = record["narrow_shift"] - record["wide_shift"] if spills else 0
        for group, shift, is_narrow in (
            (small.group, record["narrow_shift"], True),
            (large, record["wide_shift"], False),
        ):
            for scaled in group:
                self._edges.add(scaled, scaled.shift - int(shift), narrow=is_narrow)
        record["edge_end"] = self._edges.count


def _spread(parameter: np.ndarray, population: Population, place: np.ndarray) -> np.ndarray:
    """Return one number per neuron, in the plan's order."""
    return np.broadcast_to(parameter, population.shape).ravel()[place]
