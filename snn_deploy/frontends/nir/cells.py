"""Neurons as our metadata in a NIR file states them: every number of a population, exactly."""

from dataclasses import dataclass, replace

import msgspec
import numpy as np

from snn_deploy.frontends.dynamics import Origin, Overrides, ResetRule
from snn_deploy.ir.arrays import REAL
from snn_deploy.ir.network import Bias, Chain, Floor, Population, Reset, Synapse
from snn_deploy.ir.neuron import (
    Compare,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.timing import Refractory, Restart, Table, Window


class _Array(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shape: tuple[int, ...]
    values: list[float]


_Parameter = float | _Array


class _Chain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gain: _Parameter
    reads: Reads


class _Synapse(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    decay: _Parameter
    gain: _Parameter
    reads: Reads
    initial: _Parameter
    into_membrane: int = 1
    chain: _Chain | None = None


class _Reset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: ResetKind
    amount: _Parameter
    when: When


class _Floor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: _Parameter
    when: FloorWhen


class _Bias(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    value: _Parameter
    into: State
    start: int
    waits: bool = False


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    what: Tabled
    rows: _Array
    into: State | None
    start: int
    repeats: bool


class CellRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One population, as JSON has it; what came later is left out where it has its default."""

    node: str
    """Digest of the NIR node that it belongs to."""

    shape: tuple[int, ...]
    decay: _Parameter
    gain: _Parameter
    synapse: _Synapse | None
    fires: Fires
    threshold: _Parameter
    compare: Compare
    max_spikes: int
    reset: _Reset
    floor: _Floor | None
    biases: list[_Bias]
    initial: _Parameter
    further: list[_Synapse] = []
    lower: _Parameter | None = None
    refractory: Refractory | None = None
    window: Window | None = None
    restart: Restart | None = None
    tables: list[_Table] = []


def record_of(population: Population, node: str) -> CellRecord:
    """Return the record of neurons that belong to the node of that digest."""
    synapse, floor = population.synapse, population.floor
    return CellRecord(
        node=node,
        shape=population.shape,
        decay=_stored(population.decay),
        gain=_stored(population.gain),
        synapse=None if synapse is None else _synapse_record(synapse),
        fires=population.fires,
        threshold=_stored(population.threshold),
        compare=population.compare,
        max_spikes=population.max_spikes,
        reset=_Reset(
            kind=population.reset.kind,
            amount=_stored(population.reset.amount),
            when=population.reset.when,
        ),
        floor=None if floor is None else _Floor(value=_stored(floor.value), when=floor.when),
        biases=[
            _Bias(value=_stored(b.value), into=b.into, start=b.start, waits=b.waits)
            for b in population.biases
        ],
        initial=_stored(population.initial),
        further=[_synapse_record(one) for one in population.further],
        lower=_stored(population.lower) if population.fires is Fires.TERNARY else None,
        refractory=population.refractory,
        window=population.window,
        restart=population.restart,
        tables=[
            _Table(what=t.what, rows=_array(t.rows), into=t.into, start=t.start, repeats=t.repeats)
            for t in population.tables
        ],
    )


def _synapse_record(synapse: Synapse) -> _Synapse:
    chain = synapse.chain
    return _Synapse(
        decay=_stored(synapse.decay),
        gain=_stored(synapse.gain),
        reads=synapse.reads,
        initial=_stored(synapse.initial),
        into_membrane=synapse.into_membrane,
        chain=None if chain is None else _Chain(gain=_stored(chain.gain), reads=chain.reads),
    )


def population_in(name: str, record: CellRecord) -> Population:
    """Return the neurons of a record.

    Raises:
        ValueError: an array has not as many numbers as its shape says.
        ModelError: parameters do not fit the shape or contradict each other.
    """
    synapse, floor = record.synapse, record.floor
    return Population(
        name=name,
        shape=record.shape,
        decay=_read(record.decay),
        gain=_read(record.gain),
        synapse=None if synapse is None else _synapse_in(synapse),
        fires=record.fires,
        threshold=_read(record.threshold),
        compare=record.compare,
        max_spikes=record.max_spikes,
        reset=Reset(
            kind=record.reset.kind, amount=_read(record.reset.amount), when=record.reset.when
        ),
        floor=None if floor is None else Floor(value=_read(floor.value), when=floor.when),
        biases=tuple(
            Bias(value=_read(b.value), into=b.into, start=b.start, waits=b.waits)
            for b in record.biases
        ),
        initial=_read(record.initial),
        further=tuple(_synapse_in(one) for one in record.further),
        lower=_read(-1.0 if record.lower is None else record.lower),
        refractory=record.refractory,
        window=record.window,
        restart=record.restart,
        tables=tuple(
            Table(what=t.what, rows=_read(t.rows), into=t.into, start=t.start, repeats=t.repeats)
            for t in record.tables
        ),
    )


def _synapse_in(record: _Synapse) -> Synapse:
    chain = record.chain
    return Synapse(
        decay=_read(record.decay),
        gain=_read(record.gain),
        reads=record.reads,
        initial=_read(record.initial),
        into_membrane=record.into_membrane,
        chain=None if chain is None else Chain(gain=_read(chain.gain), reads=chain.reads),
    )


def _stored(parameter: np.ndarray) -> _Parameter:
    return float(parameter) if parameter.ndim == 0 else _array(parameter)


def _array(parameter: np.ndarray) -> _Array:
    return _Array(shape=tuple(parameter.shape), values=parameter.ravel().tolist())


def _read(parameter: _Parameter) -> np.ndarray:
    if isinstance(parameter, _Array):
        return np.array(parameter.values, REAL).reshape(parameter.shape)
    return np.asarray(parameter, REAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOrigins:
    """Who decided the numbers of a cell, and what an option may change."""

    numbers: Origin = Origin.MODULE
    reset: Origin = Origin.MODULE
    compare: Origin = Origin.MODULE
    floor: Origin = Origin.MODULE


READ_BACK = CellOrigins(
    numbers=Origin.METADATA,
    reset=Origin.METADATA,
    compare=Origin.METADATA,
    floor=Origin.METADATA,
)
"""Of a cell that a NIR file states."""


def overridden(
    population: Population, origins: CellOrigins, options: Overrides
) -> tuple[Population, CellOrigins]:
    """Return neurons with what the user states about firing; those that do not fire stay."""
    if population.fires not in (Fires.BINARY, Fires.COUNT):
        return population, origins
    if options.compare is not None:
        population = replace(population, compare=options.compare)
        origins = replace(origins, compare=Origin.OVERRIDE)
    keeps = population.reset.kind is ResetKind.NONE and not np.any(population.decay)
    if options.reset is not None and not keeps:
        population = replace(population, reset=_reset_by(population, options.reset))
        origins = replace(origins, reset=Origin.OVERRIDE)
    if options.floor is not None and not keeps:
        low = None if options.floor == float("-inf") else options.floor
        floor = None if low is None else Floor(value=np.asarray(low, REAL))
        population = replace(population, floor=floor)
        origins = replace(origins, floor=Origin.OVERRIDE)
    return population, origins


def _reset_by(population: Population, rule: ResetRule) -> Reset:
    amount = np.zeros(())
    if rule.kind is ResetKind.SUBTRACT:
        amount = population.threshold
    elif rule.kind is ResetKind.VALUE and population.reset.kind is ResetKind.VALUE:
        amount = population.reset.amount
    return Reset(kind=rule.kind, amount=amount, when=rule.when)
