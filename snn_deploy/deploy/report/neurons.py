"""What the neurons of a population compute, in a few words and whole numbers."""

from collections.abc import Iterator

import numpy as np

from snn_deploy.ir.arithmetic import Arithmetic, Decay
from snn_deploy.ir.neuron import CURRENTS, Compare, Fires, ResetKind, When
from snn_deploy.ir.program import Population, Reset


def dynamics_of(population: Population, arithmetic: Arithmetic) -> str:
    """Return leak, threshold, reset and the rest; a range where neurons differ."""
    if population.kind is not None:
        return f"neurons of the kind {population.kind.tag}"
    return "; ".join(_parts(population, arithmetic))


def _parts(population: Population, arithmetic: Arithmetic) -> Iterator[str]:
    for name, current in zip(CURRENTS, population.currents, strict=False):
        yield f"{name.value} {_decay(current.decay, arithmetic)}"
    yield f"membrane {_decay(population.decay, arithmetic)}"
    if population.fires is Fires.NEVER:
        yield "read, never fires"
    elif population.fires is Fires.GRADED:
        yield f"sends its membrane / 2**{population.payload_shift}"
    else:
        sign = ">" if population.compare is Compare.GREATER else population.compare.value
        yield f"fires ({population.fires.value}) where it is {sign} {_range(population.threshold)}"
        yield _reset(population.reset)
    if population.refractory is not None:
        yield "refractory"
    if population.floor is not None:
        yield f"floor {_range(population.floor.value)}"
    if population.biases:
        yield "bias " + ", ".join(_range(bias.value) for bias in population.biases)
    if population.tables:
        yield "parameters that change over time"


def _decay(decay: np.ndarray, arithmetic: Arithmetic) -> str:
    if arithmetic.decay is Decay.SHIFT:
        return f"less itself / 2**{_range(decay)}"
    whole = 1 << arithmetic.decay_bits
    if np.all(decay == whole):
        return "without leak"
    return f"times {_range(decay)} / {whole}"


def _reset(reset: Reset) -> str:
    if reset.kind is ResetKind.NONE:
        return "no reset"
    when = {When.NOW: "", When.NEXT: " in the next step", When.RETESTED: ", tested again"}
    done = "set to" if reset.kind is ResetKind.VALUE else "less"
    return f"then {done} {_range(reset.amount)}{when[reset.when]}"


def _range(values: np.ndarray) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"
