"""A program as flat tables: what the kernels read.

A population that convolutions drive is numbered channels last, so that one event adds contiguous
rows of weights; a population's `place` leads back to the program's own order.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from snn_deploy.backends.event.flat import LINE, Flat, Room
from snn_deploy.backends.event.parts import place_of
from snn_deploy.backends.event.stepwise.edges import Edges
from snn_deploy.backends.event.stepwise.neurons import Neurons, doors_of
from snn_deploy.backends.event.stepwise.tables import (
    DOORS,
    FEED,
    OVERFLOWS,
    POPULATION,
    RULES,
    SOURCE,
    Plan,
)
from snn_deploy.ir.arithmetic import Decay, Order, Register, Sums
from snn_deploy.ir.graph import step_order
from snn_deploy.ir.program import Input, Population, Program, Projection


def make_plan(program: Program, steps: int) -> Plan:
    """Return the plan of `program` for runs of `steps` steps; delays beyond them never matter."""
    order = [program.population(name) for name in step_order(program)]
    nodes: Sequence[Input | Population] = (*program.inputs, *order)
    places = {p.name: place_of(program, p) for p in order}
    places |= {entry.name: np.arange(entry.size) for entry in program.inputs}
    numbers, room = Flat(np.int32), Room(LINE // 8)
    inputs = np.zeros(len(program.inputs), SOURCE)
    populations = np.zeros(len(order), POPULATION)
    edges = Edges(places, numbers)
    neurons = Neurons(program, places, numbers, room)
    for record, population in zip(populations, order, strict=True):
        neurons.describe(record, population)
    inputs["size"] = [entry.size for entry in program.inputs]
    inputs["first"] = np.cumsum([0, *inputs["size"]])[:-1]
    records = dict(zip((node.name for node in nodes), (*inputs, *populations), strict=True))
    for node in nodes:
        edges.add_from(records[node.name], node.name, program.projections)
    arrivals = _Arrivals(program, steps, records, room)
    table, feeds = edges.made(), []
    if program.arithmetic.sums is Sums.BY_ROW:
        feeds = arrivals.feeds(
            edges, {n.name: numbers.put(np.argsort(places[n.name])) for n in nodes}
        )
    else:
        arrivals.add_rings(edges, table)
    return Plan(
        rules=_rules(program, max([1, *(node.size for node in nodes)]), room),
        inputs=inputs,
        populations=populations,
        edges=table,
        feeds=np.array(feeds, FEED),
        biases=neurons.biases,
        tables=neurons.tables,
        numbers=numbers.made(),
        weights=edges.weights.made(),
    )


def _rules(program: Program, widest: int, room: Room) -> np.ndarray:
    """Return the one row of rules; its places are the last cells that are taken."""

    def of(register: Register | None) -> tuple[int, int]:
        if register is None:
            return 0, 0
        return 1 << (register.bits - 1), OVERFLOWS[register.overflow]

    rules = np.zeros(1, RULES)
    arithmetic = program.arithmetic
    for name in ("current", "membrane", "accumulator", "change"):
        rules[f"{name}_half"], rules[f"{name}_overflow"] = of(getattr(arithmetic, name))
    rules["decay_bits"] = arithmetic.decay_bits
    rules["decays_by_shift"] = arithmetic.decay is Decay.SHIFT
    rules["adds_first"] = arithmetic.order is Order.ADD_FIRST
    rules["by_row"] = arithmetic.sums is Sums.BY_ROW
    rules["period"], rules["widest"] = program.period, widest
    for name in ("event", "value", "total", "entering", "added", "row"):
        rules[name] = room.take(widest)
    rules["old"] = room.take(len(DOORS) * widest)
    rules["cells"] = room.size
    return rules


class _Arrivals:
    """Where what arrives is summed: in rings of steps to come, or row by row from what was sent."""

    def __init__(
        self, program: Program, steps: int, records: dict[str, np.void], room: Room
    ) -> None:
        self._steps, self._records, self._room = steps, records, room
        self._program = program

    def _into(self, population: Population, door: int) -> list[Projection]:
        """Return what drives a door, in the program's order."""
        into = self._program.into(population.name)
        states = doors_of(population)
        return [p for p in into if states.index(self._program.entry(p)) == door]

    def _slots(self, projections: Iterable[Projection]) -> int:
        """Return how many steps to keep, this one included."""
        longest = max((int(p.delay.max(initial=0)) for p in projections), default=0)
        return max(1, min(longest + 1, self._steps))

    def add_rings(self, edges: Edges, table: np.ndarray) -> None:
        """Give a ring to each door that projections drive, and to each population's entry."""
        for population in self._program.populations:
            record = self._records[population.name]
            for number, door in enumerate(record["doors"]):
                driving = self._into(population, number)
                if not driving and number != record["entry"]:
                    continue
                slots = self._slots(driving)
                door["slots"] = slots
                door["ring"] = self._room.take(slots * population.size)
                door["arrived"] = self._room.take(slots)
                for projection in driving:
                    for name in ("slots", "ring", "arrived"):
                        table[name][edges.of[projection.name]] = door[name]

    def feeds(self, edges: Edges, orders: dict[str, int]) -> list[tuple[int, ...]]:
        """Return the table of feeds, and keep what every node sends."""
        projections = self._program.projections
        for name, record in self._records.items():
            record["kept"] = self._slots(p for p in projections if p.source == name)
            record["history"] = self._room.take(int(record["kept"] * record["size"]))
        rows: list[tuple[int, ...]] = []
        for population in self._program.populations:
            for number, door in enumerate(self._records[population.name]["doors"]):
                door["feed"] = len(rows)
                rows += [self._feed(p, edges, orders) for p in self._into(population, number)]
                door["feed_end"] = len(rows)
        return rows

    def _feed(
        self, projection: Projection, edges: Edges, orders: dict[str, int]
    ) -> tuple[int, ...]:
        source, of = self._records[projection.source], edges.of[projection.name]
        least = int(projection.delay.min(initial=2**31 - 1))
        kept = (int(source["size"]), orders[projection.source], least)
        return (of.start, of.stop, *kept, int(source["history"]), int(source["kept"]))
