"""The numbers of a population as the range proof reads them, one row per different neuron.

Most neurons of a convolution have equal numbers: those inside it differ from each other in
nothing, those at its borders only in how many synapses they have. They are bounded once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from snn_deploy.ir.neuron import CURRENTS, State
from snn_deploy.ir.program import Population
from snn_deploy.ir.timing import Table
from snn_deploy.quantize.arrivals import Arrival
from snn_deploy.quantize.intervals import Wholes

SEED = 20
"""Of the random numbers that tell rows apart; equal rows are compared number for number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synaptic:
    """The arrays of one synaptic current: [1] or [row]."""

    state: State
    decay: Wholes
    initial: Wholes
    chain: Wholes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A bias: [1] or [row]."""

    value: Wholes
    into: State
    start: int
    waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Everything about a population that has a number per neuron: [1] where all have the same."""

    population: Population
    synapses: tuple[Synaptic, ...]
    decay: Wholes
    initial: Wholes
    threshold: Wholes
    lower: Wholes
    amount: Wholes
    floor: Wholes | None
    gains: tuple[Wholes, ...]
    biases: tuple[Added, ...]
    tables: tuple[Wholes, ...]
    """[table row, 1] or [table row, row], in the order of `population.tables`."""

    arrivals: tuple[Arrival, ...]


def numbers_of(population: Population, arriving: Sequence[Arrival]) -> Numbers:
    """Return the numbers of all neurons, one row each."""

    def flat(value: np.ndarray) -> Wholes:
        wide = value.astype(np.int64)
        if wide.size == 1:
            return wide.reshape(1)
        return np.broadcast_to(wide, population.shape).ravel()

    floor = population.floor
    return Numbers(
        population=population,
        synapses=tuple(
            Synaptic(
                state=state,
                decay=flat(current.decay),
                initial=flat(current.initial),
                chain=None if current.chain is None else flat(current.chain.multiplier),
            )
            for state, current in zip(CURRENTS, population.currents, strict=False)
        ),
        decay=flat(population.decay),
        initial=flat(population.initial),
        threshold=flat(population.threshold),
        lower=flat(population.lower),
        amount=flat(population.reset.amount),
        floor=None if floor is None else flat(floor.value),
        gains=tuple(flat(gain.multiplier) for gain in population.gains),
        biases=tuple(
            Added(value=flat(b.value), into=b.into, start=b.start, waits=b.waits)
            for b in population.biases
        ),
        tables=tuple(_rows(table, population) for table in population.tables),
        arrivals=tuple(arriving),
    )


def _rows(table: Table, population: Population) -> Wholes:
    """Return the rows of a table: [table row, 1] or [table row, neuron]."""
    rows = table.rows.astype(np.int64)
    if rows[0].size == 1:
        return rows.reshape(len(rows), 1)
    full = [np.broadcast_to(row, population.shape).ravel() for row in rows]
    return np.stack(full)


def distinct(numbers: Numbers) -> tuple[Numbers, np.ndarray]:
    """Return one row per different neuron, and the row of each neuron."""
    size = numbers.population.size
    columns = list(_columns(numbers, size))
    if not columns:
        return _of_chosen(numbers, size, np.zeros(1, np.intp)), np.zeros(size, np.intp)
    rng = np.random.default_rng(SEED)
    mark = np.zeros(size, np.uint64)
    for column in columns:
        factors = rng.integers(0, 2**63, (len(column), 1), np.uint64) * np.uint64(2) + np.uint64(1)
        mark += (column.astype(np.uint64) * factors).sum(axis=0, dtype=np.uint64)
    _, first, row = np.unique(mark, return_index=True, return_inverse=True)
    if not all(np.array_equal(column[:, first][:, row], column) for column in columns):
        first = row = np.arange(size)  # two different rows had one mark
    return _of_chosen(numbers, size, first), row


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some rows of a population."""

    numbers: Numbers
    rows: int


def parts(numbers: Numbers, rows: int, most: int) -> Iterator[Part]:
    """Yield the `rows` rows of `numbers` in order, at most `most` together."""
    for first in range(0, rows, most):
        chosen = np.arange(first, min(first + most, rows))
        yield Part(numbers=_of_chosen(numbers, rows, chosen), rows=chosen.size)


def _columns(owner: Any, size: int) -> Iterator[np.ndarray]:
    """Yield every array with a number per neuron, as [k, neuron]."""
    if isinstance(owner, np.ndarray):
        if owner.ndim and owner.shape[-1] == size:
            yield owner.reshape(-1, size)
    elif isinstance(owner, tuple):
        for item in owner:
            yield from _columns(item, size)
    elif isinstance(owner, Numbers | Synaptic | Added | Arrival):
        for entry in fields(owner):
            yield from _columns(getattr(owner, entry.name), size)


def _of_chosen(owner: Any, size: int, chosen: np.ndarray) -> Any:
    """Return a record, or an array, with the chosen neurons' numbers alone."""
    if isinstance(owner, np.ndarray):
        return owner[..., chosen] if owner.ndim and owner.shape[-1] == size else owner
    if isinstance(owner, tuple):
        return tuple(_of_chosen(item, size, chosen) for item in owner)
    if isinstance(owner, Numbers | Synaptic | Added | Arrival):
        inside = {f.name: _of_chosen(getattr(owner, f.name), size, chosen) for f in fields(owner)}
        return replace(owner, **inside)
    return owner
