"""A layer as stored, with one thing at a time as it was trained."""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from snn_deploy.deploy.alone import fed, inputs_for, output_of
from snn_deploy.deploy.as_stored import Layer, Pair
from snn_deploy.deploy.causes import STORED, Cause
from snn_deploy.ir.network import Arithmetic, Network, Population, Projection
from snn_deploy.ir.neuron import Tabled


def put_back(layer: Layer, causes: Collection[Cause]) -> Network:
    """Return the layer alone as stored, but for `causes`, in which it is as trained."""
    population = layer.stored
    for cause in causes:
        population = _population_with(population, layer.trained, cause)
    return Network(
        name=layer.name,
        inputs=inputs_for(dict(layer.shapes)),
        populations=(population,),
        projections=tuple(_projection_with(pair, causes) for pair in layer.pairs),
        outputs=(output_of(layer.name),),
        arithmetic=Arithmetic.FLOAT64,
    )


FIELDS: Mapping[Cause, tuple[str, ...]] = {
    Cause.THRESHOLD: ("threshold", "lower"),
    Cause.DECAY: ("decay",),
    Cause.BIAS: ("biases",),
    Cause.RESET: ("reset",),
    Cause.FLOOR: ("floor",),
    Cause.INITIAL: ("initial",),
    Cause.COMPARISON: ("compare", "fires", "max_spikes"),
    Cause.TIMES: ("refractory", "window", "restart"),
}
"""Fields of a population that belong to a cause."""

CURRENT_FIELDS: Mapping[Cause, str] = {
    Cause.DECAY: "decay",
    Cause.INITIAL: "initial",
    Cause.GAIN: "chain",
}
"""Fields of its synaptic currents."""

TABLES: Mapping[Cause, tuple[Tabled, ...]] = {
    Cause.THRESHOLD: (Tabled.THRESHOLD, Tabled.LOWER),
    Cause.BIAS: (Tabled.BIAS,),
    Cause.GAIN: (Tabled.GAIN, Tabled.PAYLOAD),
}
"""What its tables replace."""


def _population_with(population: Population, trained: Population, cause: Cause) -> Population:
    """Return `population` with one group of parameters from `trained`."""
    changed = {field: getattr(trained, field) for field in FIELDS.get(cause, ())}
    if cause in CURRENT_FIELDS:
        field = CURRENT_FIELDS[cause]
        both = zip(population.synapses, trained.synapses, strict=True)
        synapses = [replace(mine, **{field: getattr(own, field)}) for mine, own in both]
        changed |= {"synapse": synapses[0] if synapses else None, "further": tuple(synapses[1:])}
    if cause in TABLES:
        what = TABLES[cause]
        kept = tuple(table for table in population.tables if table.what not in what)
        changed["tables"] = kept + tuple(t for t in trained.tables if t.what in what)
    return replace(population, **changed)


def _projection_with(pair: Pair, causes: Collection[Cause]) -> Projection:
    trained, stored = pair.trained.map.numbers(), pair.stored.map.numbers()
    numbers = stored
    if Cause.WEIGHT_ROUNDING in causes:
        numbers = np.where(pair.clipped, numbers, trained)
    if Cause.WEIGHT_CLIPPING in causes:
        numbers = np.where(pair.clipped, trained, numbers)
    chosen = pair.trained if Cause.DELAY in causes else pair.stored
    return replace(chosen, source=fed(chosen.source), map=pair.stored.map.with_numbers(numbers))


def differing(layer: Layer) -> tuple[Cause, ...]:
    """Return the causes in which the layer as stored is not as trained; INPUT is not among them."""
    plain = put_back(layer, ())
    return tuple(
        cause
        for cause in STORED
        if cause is not Cause.INPUT and not same(put_back(layer, (cause,)), plain)
    )


def same(one: Any, other: Any) -> bool:
    """Return whether two records are equal, arrays inside them by what they broadcast to."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return bool(np.all(one == other))
    if is_dataclass(one) and type(one) is type(other):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
