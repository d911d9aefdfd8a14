"""A population's own steps of a run: as many as the samples have, from its lag on."""

import numpy as np
from jaxtyping import Num

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
