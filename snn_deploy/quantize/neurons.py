"""The neurons of a population on a chosen scale: thresholds, decays, resets, biases."""

import numpy as np
from jaxtyping import Float

from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.network import Population, Synapse
from snn_deploy.ir.neuron import Fires, ResetKind
from snn_deploy.ir.program import Bias, Binary, Current, Floor, Reset
from snn_deploy.ir.program import Population as WholePopulation
from snn_deploy.quantize.extras import extras, payload_shift, whole_current
from snn_deploy.quantize.rounding import bias_grid, on_grid, whole
from snn_deploy.quantize.task import Task
from snn_deploy.targets import SourcedRange, Target

Scale = Float[np.ndarray, "..."]
"""State units per real unit: one number, or of a shape that broadcasts to the neurons'."""

FACTOR_BITS = 16
"""Bits below the smallest unit of a neuron in which the units of the others are told."""


def whole_population(task: Task, scale: Scale) -> WholePopulation:
    """Return the neurons of `task` at `scale` state units per real unit.

    Raises:
        DoesNotFitError: a threshold that the target cannot store.
    """
    population, target = task.population, task.target
    states, rules = target.states, target.arithmetic
    synapse, floor = population.synapse, population.floor
    unit, factor = _units(scale)

    def state(value: np.ndarray) -> np.ndarray:
        return _compact(whole(on_grid(np.asarray(value * scale), 1)))

    def decay(value: np.ndarray, allowed: SourcedRange) -> np.ndarray:
        return whole(rules.nearest(value, allowed.low, allowed.high))

    def current(one: Synapse) -> Current:
        return whole_current(
            one, target, state=state, decay=lambda value: decay(value, states.current_multiplier)
        )

    return WholePopulation(
        name=population.name,
        shape=population.shape,
        decay=decay(population.decay, states.membrane_multiplier),
        current=None if synapse is None else current(synapse),
        further=tuple(current(one) for one in population.further),
        fires=population.fires,
        threshold=_threshold(population, target, scale),
        compare=population.compare,
        max_spikes=population.max_spikes,
        reset=Reset(
            kind=population.reset.kind,
            amount=state(population.reset.amount),
            when=population.reset.when,
        ),
        floor=None if floor is None else Floor(value=state(floor.value), when=floor.when),
        biases=_biases(task, scale),
        initial=state(population.initial),
        payload_shift=payload_shift(task, scale),
        **extras(population, target, scale),
        unit=unit,
        unit_factor=factor,
        origin=Binary.of(population.origin),
    )


def _units(scale: Scale) -> tuple[Binary, np.ndarray]:
    """Return the real membrane per state unit, as one number times a whole one per neuron."""
    if np.ndim(scale) == 0:
        return Binary.of(1 / float(scale)), np.ones((), np.int32)
    finest = float(np.max(scale)) * 2.0**FACTOR_BITS
    return Binary.of(1 / finest), whole(np.rint(finest / scale))


def _threshold(population: Population, target: Target, scale: Scale) -> np.ndarray:
    """Return the thresholds as multiples of the target's lattice; a readout has the highest.

    A neuron that counts divides by its threshold, so that is one lattice step at least.

    Raises:
        DoesNotFitError: the target cannot store one of them.
    """
    lattice = 1 << target.thresholds.shift.value
    if not population.fires.spiking:
        return np.asarray(target.highest_threshold, np.int32)
    threshold = on_grid(np.asarray(population.threshold * scale), lattice)
    if population.fires in (Fires.COUNT, Fires.ROUNDED):
        threshold = np.asarray(np.maximum(threshold, lattice))
    low = target.thresholds.mantissa.low * lattice
    wrong = np.argwhere(threshold < low)
    if len(wrong):
        raise _too_low(population, target, threshold, low, wrong)
    return _compact(whole(threshold))


def _compact(values: np.ndarray) -> np.ndarray:
    """Return one number where all are equal."""
    equal = values.size > 0 and bool(np.all(values == values.flat[0]))
    return np.asarray(values.flat[0]) if equal else values


def _too_low(
    population: Population, target: Target, threshold: np.ndarray, low: int, wrong: np.ndarray
) -> DoesNotFitError:
    """Return the error for thresholds below `low`; a hard reset to 0 may be one that was moved."""
    first = tuple(int(i) for i in wrong[0])
    value = float(np.broadcast_to(population.threshold, threshold.shape)[first])
    reset = population.reset
    what, least = f"a threshold of {value:.6g}", "0"
    if reset.kind is ResetKind.VALUE and not np.any(reset.amount):
        side = "below" if value < 0 else "above"
        what, least = f"a threshold {abs(value):.6g} {side} the reset value", "the reset value"
    if value > 0:
        remedy = "train with weights and biases that are smaller beside the threshold"
    else:
        remedy = f"train with a threshold that is {'above' if low > 0 else 'not below'} {least}"
    place = f"{list(first)}, first of {len(wrong)}" if first else ""
    return DoesNotFitError(
        f"{what} becomes {threshold[first]:.0f} state units, but {target.name} stores "
        f"{low}..{target.highest_threshold}",
        where=f"{population.name}.threshold{place}",
        fix=f"--target cpu, or {remedy}",
    )


def _biases(task: Task, scale: Scale) -> tuple[Bias, ...]:
    made = []
    for bias, lowered in zip(task.population.biases, task.lowered, strict=True):
        value = np.asarray(bias.value * scale)
        grid = bias_grid(task.target, float(np.abs(value).max(initial=0.0)), lowered)
        stored = _compact(whole(on_grid(value, grid)))
        made.append(Bias(value=stored, into=bias.into, start=bias.start, waits=bias.waits))
    return tuple(made)
