"""What few neurons have, in whole numbers: further currents, tables, gains, a lower threshold."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from snn_deploy.errors import DoesNotFitError, UnsupportedError
from snn_deploy.ir import network as real
from snn_deploy.ir.arithmetic import Arithmetic, Decay
from snn_deploy.ir.checks import spike_range
from snn_deploy.ir.network import Population, Synapse
from snn_deploy.ir.neuron import Fires, State, Tabled
from snn_deploy.ir.program import Chain, Current, Gain
from snn_deploy.ir.program import Population as WholePopulation
from snn_deploy.ir.timing import Table
from snn_deploy.quantize.limits import usual_state
from snn_deploy.quantize.rounding import on_grid, whole
from snn_deploy.quantize.task import Task
from snn_deploy.targets import Target

Scale = Float[np.ndarray, "..."]
"""State units per real unit: one number, or of a shape that broadcasts to the neurons'."""

Rounding = Callable[[np.ndarray], np.ndarray]

LARGEST_MULTIPLIER = 2**31 - 1
"""Of a chain, in units of 1 / 2**decay_bits: a program stores 32 bits."""

GAIN_BITS = 15
"""Bits of the multiplier of a gain, sign apart."""

MOST_PAYLOAD_BITS = 8
"""As many as a weight usually has, so that neither's steps are much coarser than the other's."""

PAYLOAD_ROOM = 2
"""Bits of a membrane that several graded inputs in one step may fill."""


def whole_current(synapse: Synapse, target: Target, *, state: Rounding, decay: Rounding) -> Current:
    """Return a synaptic current in whole numbers.

    Args:
        synapse: Whose gain is 1.
        target: The chip.
        state: From real to state units.
        decay: From factors per step to the decays of the chip.

    Raises:
        UnsupportedError: the chip multiplies nothing, and the current takes from another.
        DoesNotFitError: it takes more of the other than a multiplier says.
    """
    chain = synapse.chain
    if chain is not None and target.arithmetic.decay is not Decay.MULTIPLY:
        raise UnsupportedError(
            f"a synaptic current that takes from another needs a multiplier; {target.name} shifts",
            fix="--target cpu",
        )
    return Current(
        decay=decay(synapse.decay),
        reads=synapse.reads,
        initial=state(synapse.initial),
        into_membrane=synapse.into_membrane,
        chain=None
        if chain is None
        else Chain(multiplier=_chain_multiplier(chain.gain, target), reads=chain.reads),
    )


def _chain_multiplier(gain: np.ndarray, target: Target) -> np.ndarray:
    multiplier = np.rint(gain * target.decay_one)
    largest = float(np.abs(multiplier).max(initial=0.0))
    if largest > LARGEST_MULTIPLIER:
        raise DoesNotFitError(
            f"a synaptic current takes {largest / target.decay_one:.6g} times another in each "
            f"step; a multiplier says up to {LARGEST_MULTIPLIER / target.decay_one:.6g} times",
            fix="train a smaller factor, with larger weights into the first current",
        )
    return whole(np.asarray(multiplier))


def extras(population: Population, target: Target, scale: Scale) -> dict[str, Any]:
    """Return the fields of a whole population that its real one may leave at their defaults.

    Raises:
        UnsupportedError: payloads over time that are no whole numbers.
    """
    return {
        "gains": tuple(_gains(population)),
        "lower": _lower(population, target, scale),
        "refractory": population.refractory,
        "window": population.window,
        "restart": population.restart,
        "tables": tuple(_table(population, table, target, scale) for table in population.tables),
    }


def payload_bits(target: Target) -> int:
    """Return the bits of what a graded neuron sends, sign apart, for the largest membrane.

    No more than leave the weights behind it all their bits in the membrane that they enter.
    """
    weights = target.weights
    room = target.states.membrane.bits - 1 - weights.shift.value - weights.bits.value
    return max(1, min(MOST_PAYLOAD_BITS, room - PAYLOAD_ROOM))


def payloads_of(population: Population, target: Target) -> tuple[int, int]:
    """Return the smallest and the largest payload that neurons will usually send."""
    if population.fires is Fires.GRADED:
        most = 1 << payload_bits(target)
        return -most, most
    ends = spike_range(population)
    tabled = [t.rows for t in population.tables if t.what is Tabled.PAYLOAD]
    factors = [1, *(int(end) for rows in tabled for end in (rows.min(), rows.max()))]
    sent = [factor * end for factor in factors for end in ends]
    return min(sent), max(sent)


def payload_shift(task: Task, scale: Scale) -> int:
    """Return by how many bits a graded neuron divides its membrane to send it; others: 0."""
    if task.population.fires is not Fires.GRADED:
        return 0
    expected = float(np.max(task.largest_seen))
    if not expected:
        expected = float(np.max(usual_state(task)))
    states = max(1.0, expected * float(np.max(scale)))
    return max(0, math.ceil(math.log2(states)) - payload_bits(task.target))


def gain_shift(rows: np.ndarray) -> int:
    """Return the fraction bits with which the largest gain of a table still fits its multiplier."""
    largest = max(1.0, float(np.abs(rows).max()))
    return max(0, GAIN_BITS - 1 - math.floor(math.log2(largest)))


def _gains(population: Population) -> list[Gain]:
    found = []
    for table in population.tables:
        if table.what is Tabled.GAIN:
            assert table.into is not None
            shift = gain_shift(table.rows)
            one = np.asarray(1 << shift, np.int32)
            found.append(Gain(into=table.into, multiplier=one, shift=shift))
    return found


def _lower(population: Population, target: Target, scale: Scale) -> np.ndarray:
    if population.fires is not Fires.TERNARY:
        return np.asarray(-1, np.int32)
    lattice = 1 << target.thresholds.shift.value
    return whole(on_grid(np.asarray(population.lower * scale), lattice))


def _table(population: Population, table: Table, target: Target, scale: Scale) -> Table:
    rows = np.asarray(table.rows)
    if table.what is Tabled.GAIN:
        rows = np.rint(rows * (1 << gain_shift(rows)))
    elif table.what is Tabled.PAYLOAD:
        if np.any(rows != np.rint(rows)):
            raise UnsupportedError(
                "a spike is worth a fraction in some steps; a program sends whole numbers",
                where=f"{population.name}.tables",
                fix="multiply the table by a whole number, and divide the weights behind it",
            )
    else:
        missing = max(0, np.ndim(scale) + 1 - rows.ndim)
        rows = rows.reshape(rows.shape[0], *(1,) * missing, *rows.shape[1:])
        lattice = 1 if table.what is Tabled.BIAS else 1 << target.thresholds.shift.value
        rows = on_grid(np.asarray(rows * scale), lattice)
    return Table(
        what=table.what,
        rows=whole(np.asarray(rows)),
        into=table.into,
        start=table.start,
        repeats=table.repeats,
    )


def real_current(current: Current, rules: Arithmetic) -> Synapse:
    """Return a synaptic current whose numbers are state units, as a real-valued one.

    It decays first, whatever the order of the chip.
    """
    chain = current.chain
    one = 1 << rules.decay_bits
    return Synapse(
        decay=rules.factors(current.decay),
        reads=current.reads,
        initial=current.initial.astype(np.float64),
        into_membrane=current.into_membrane,
        chain=None
        if chain is None
        else real.Chain(gain=np.asarray(chain.multiplier / one), reads=chain.reads),
    )


def real_extras(made: WholePopulation, rules: Arithmetic) -> dict[str, Any]:
    """Return those fields of the real-valued population whose numbers are state units."""
    shifts = {gain.into: gain.shift for gain in made.gains}

    def table(given: Table) -> Table:
        rows = given.rows.astype(np.float64)
        if given.what is Tabled.GAIN:
            assert isinstance(given.into, State)
            rows = rows / (1 << shifts[given.into])
        return Table(
            what=given.what, rows=rows, into=given.into, start=given.start, repeats=given.repeats
        )

    return {
        "further": tuple(real_current(current, rules) for current in made.further),
        "lower": made.lower.astype(np.float64),
        "refractory": made.refractory,
        "window": made.window,
        "restart": made.restart,
        "tables": tuple(table(given) for given in made.tables),
    }
