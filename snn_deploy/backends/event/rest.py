"""Which neurons stay as they are while nothing arrives, so that nobody has to compute them."""

import numpy as np

from snn_deploy.ir.neuron import Compare, Fires, Tabled
from snn_deploy.ir.program import Population

FOREVER = 2**62
"""A step that never comes."""


def rests(population: Population) -> bool:
    """Return whether a neuron with all states 0, no input and no bias stays as it is.

    Decays, gains, rounding and registers keep a 0; so do tests of which 0 is not above, and a
    restart where every initial state is 0. A bias that waits acts only where a state is not 0.
    """
    equal = population.compare is Compare.GREATER_EQUAL
    lowest = _ends(population, Tabled.THRESHOLD, population.threshold)[0]
    highest = _ends(population, Tabled.LOWER, population.lower)[1]
    above = lowest <= 0 if equal else lowest < 0
    below = highest >= 0 if equal else highest > 0
    ternary = population.fires is Fires.TERNARY
    fires = population.fires in (Fires.BINARY, Fires.TERNARY) and above
    lifted = population.floor is not None and int(population.floor.value.max(initial=0)) > 0
    returns = population.restart is not None and any(
        initial.any() for initial in population.initial_states.values()
    )
    driven = any(table.what is Tabled.BIAS for table in population.tables)
    return not (fires or (ternary and below) or lifted or returns or driven)


def _ends(population: Population, what: Tabled, always: np.ndarray) -> tuple[int, int]:
    """Return the smallest and the largest value that a parameter ever has."""
    rows = [table.rows for table in population.tables if table.what is what]
    values = np.concatenate([always.ravel(), *(row.ravel() for row in rows)])
    return int(values.min(initial=2**31 - 1)), int(values.max(initial=-(2**31)))
