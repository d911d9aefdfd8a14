"""A population's own steps of a run: as many as the samples have, from its lag on."""

import numpy as np
from jaxtyping import Num

from snn_deploy.ir.neuron import Fires
from snn_deploy.ir.program import Population


def own_steps(
    population: Population, record: Num[np.ndarray, "sample run ..."] | None, steps: int
) -> Num[np.ndarray, "sample own ..."]:
    """Return the steps of a record that belong to the samples; after them it runs on idle.

    Raises:
        ValueError: the state was not recorded.
    """
    if record is None:
        raise ValueError(f"a state of {population.name} was not recorded")
    return record[:, population.lag : population.lag + steps]


def spikes_in(population: Population, sent: Num[np.ndarray, "sample own ..."]) -> int:
    """Return how many spikes payloads are: their sum, but of those with a sign their number."""
    return int(np.count_nonzero(sent) if has_signs(population) else sent.sum(dtype=np.int64))


def has_signs(population: Population) -> bool:
    """Return whether neurons send spikes of both signs, which would cancel in a sum."""
    return population.kind is None and population.fires is Fires.TERNARY
