"""Correction of biases: what rounding took from the mean current is put back as a constant.

Nagel, van Baalen, Blankevoort and Welling 2019, "Data-free quantization through weight
equalization and bias correction", section 4.2, with means from calibration data: on average a
neuron then receives what it did, although its weights and the spikes of the layers below are
others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from snn_deploy.ir.maps import LinearMap
from snn_deploy.ir.network import Bias, Population
from snn_deploy.ir.neuron import State, Tabled
from snn_deploy.quantize.rounded import Rounded, Wire, by_weight

Means = Callable[[str], Float[np.ndarray, "step neuron"]]
"""Mean payload of each neuron of a source in each step."""


def missing_current(
    population: Population, wires: Sequence[Wire], made: Rounded, wanted: Means, sent: Means
) -> dict[State, Float[np.ndarray, "..."]]:
    """Return what each channel of `population` misses of its mean input, real units per step.

    By state, for each that something drives.

    Neurons that share their weights share what they miss: the mean over them. A table of gains
    acts on what arrives and not on a bias, so what is missing counts as often as it says.

    Args:
        population: As trained.
        wires: What drives it.
        made: The same, rounded.
        wanted: Of the real-valued network.
        sent: Of the rounded layers, as far as they are known.
    """
    missing: dict[State, np.ndarray] = {}
    for wire, whole in zip(wires, made.projections, strict=True):
        real = wire.projection.map.with_numbers(wire.projection.map.numbers() * wire.unit)
        scale = by_weight(whole.map, made.scale, population.shape)
        stored = whole.map.with_numbers(whole.map.numbers() * 2.0**whole.shift / scale)
        name = whole.source
        lost = real.apply(_frames(wanted(name), real)) - stored.apply(_frames(sent(name), stored))
        lost = lost.reshape(len(lost), -1)
        into = wire.projection.into or population.entry
        delay = round(float(np.mean(wire.projection.delay)))
        lost = np.mean(lost * gains_of(population, into, len(lost), delay), axis=0)
        missing[into] = missing.get(into, np.zeros(population.size)) + lost
    rows = min((w.projection.map.out_shape[0] for w in wires), default=population.size)
    if len(population.shape) < 2 or rows != population.shape[0]:
        return {into: lost.reshape(population.shape) for into, lost in missing.items()}
    column = (-1, *(1 for _ in population.shape[1:]))
    return {
        into: lost.reshape(rows, -1).mean(axis=1).reshape(column) for into, lost in missing.items()
    }


def _frames(means: np.ndarray, linear: LinearMap) -> np.ndarray:
    return means.reshape(len(means), *linear.in_shape)


def gains_of(
    population: Population, into: State, steps: int, delay: int
) -> Float[np.ndarray, "step neuron"]:
    """Return the gain on what arrives at `into`, for what was sent in each of `steps` steps.

    Args:
        population: Its tables.
        into: A state.
        steps: Of the sources, from 0 on.
        delay: From there to `population` [steps].
    """
    gains = np.ones((steps, population.size))
    for table in population.tables:
        if table.what is Tabled.GAIN and table.into is into:
            for step in range(steps):
                row = table.at(step + delay)
                if row is not None:
                    gains[step] = np.broadcast_to(row, population.shape).ravel()
    return gains


def corrected(
    population: Population, missing: Mapping[State, Float[np.ndarray, "..."]]
) -> Population:
    """Return `population` with `missing` added to its constant input, where weights enter it."""
    biases = list(population.biases)
    for into, lost in missing.items():
        for number, bias in enumerate(biases):
            if bias.into is into and bias.start == 0 and not bias.waits:
                biases[number] = replace(bias, value=np.asarray(bias.value + lost))
                break
        else:
            biases.append(Bias(value=lost, into=into))
    return replace(population, biases=tuple(biases))
