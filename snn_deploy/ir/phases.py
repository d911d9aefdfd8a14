"""Which neurons keep still by themselves between the steps of the network.

In a program of period P a population acts in every P-th step and holds its states in between. A
chip without such a gate computes every step; it does the same only for neurons that nothing moves
and that send nothing as long as nothing arrives, for all that arrives comes in a step of theirs.
"""

import numpy as np

from snn_deploy.ir.arithmetic import Arithmetic, Decay
from snn_deploy.ir.neuron import Compare, Fires, FloorWhen, Reads, ResetKind, When
from snn_deploy.ir.program import Population


def why_not_still(population: Population, arithmetic: Arithmetic) -> str:
    """Return what would move or fire a neuron in a step without input; empty: nothing.

    Nothing does in neurons without leak, bias and refractory steps whose currents last one step,
    and whose spike sets the membrane at once to a value that does not fire; or that never fire,
    or once. A window and a restart name the steps in which they act, so these need no gate.
    """
    if population.kind is not None:
        return f"neurons of kind {population.kind.tag}"
    reasons = (
        (_leaks(population, arithmetic), "a membrane that decays"),
        (_currents_last(population), "a current that lasts"),
        (any(np.any(b.value) for b in population.biases), "a bias"),
        (bool(population.tables), "parameters that change over time"),
        (population.fires is Fires.GRADED, "a membrane that is sent in every step"),
        (
            population.refractory is not None and population.refractory.steps is not None,
            "a refractory period",
        ),
        (_moves_again(population), "a reset after which it may move or fire again"),
    )
    return next((reason for moves, reason in reasons if moves), "")


def _leaks(population: Population, arithmetic: Arithmetic) -> bool:
    keeps = 1 << arithmetic.decay_bits
    return arithmetic.decay is not Decay.MULTIPLY or bool(np.any(population.decay != keeps))


def _currents_last(population: Population) -> bool:
    """Return whether the membrane reads a current in a later step than that of its input."""
    return any(
        np.any(current.decay != 0)
        or current.reads is Reads.OLD
        or (current.chain is not None and current.chain.reads is Reads.OLD)
        for current in population.currents
    )


def _moves_again(population: Population) -> bool:
    reset, floor = population.reset, population.floor
    if not population.fires.spiking:
        return False
    if reset.kind is not ResetKind.NONE and reset.when is not When.NOW:
        return True
    if population.refractory is not None and population.refractory.steps is None:
        return False  # it fires once
    if reset.kind is not ResetKind.VALUE:
        return True  # what is left may be above the threshold
    lifted = floor is not None and floor.when is FloorWhen.BEFORE_TEST
    if floor is not None and lifted and np.any(reset.amount < floor.value):
        return True
    return _fires_at(population, reset.amount)


def _fires_at(population: Population, v: np.ndarray) -> bool:
    threshold, lower = population.threshold, population.lower
    greater = population.compare is Compare.GREATER
    if population.fires is Fires.ROUNDED:
        return bool(np.any(2 * v.astype(np.int64) > threshold))
    above = v > threshold if greater else v >= threshold
    if population.fires is Fires.TERNARY:
        above = above | (v < lower if greater else v <= lower)
    return bool(np.any(above))
