"""Neurons with equal parameters: Lava's neurons have one of each for a whole process."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from snn_deploy.ir.arrays import per_neuron


def distinct(
    columns: Sequence[np.ndarray], shape: tuple[int, ...]
) -> tuple[Int[np.ndarray, "group parameter"], Int[np.ndarray, " neuron"]]:
    """Return the different sets of parameters, and the set of each neuron.

    Args:
        columns: Parameters, each of which broadcasts to `shape`.
        shape: Of the population.
    """
    rows = np.stack([per_neuron(np.asarray(c), shape).ravel() for c in columns], axis=1)
    parameters, member = np.unique(rows, axis=0, return_inverse=True)
    return parameters, member.ravel()


def in_order(member: Int[np.ndarray, " neuron"], count: int) -> list[int]:
    """Return the groups in the order of their first neurons."""
    return sorted(range(count), key=lambda index: int(np.argmax(member == index)))


def ranges(inside: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return the ranges [first, behind last) in which a mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    return tuple((int(first), int(behind)) for first, behind in edges.reshape(-1, 2))
