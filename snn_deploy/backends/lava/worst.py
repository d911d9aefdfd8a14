"""How far what arrives is shifted, and the largest sums that the declared payloads can make."""

import numpy as np

from snn_deploy.ir.kinds import Adaptive, Delta, Resonator
from snn_deploy.ir.maps import LinearMap, Sparse
from snn_deploy.ir.program import Population, Program, Projection

ALIGNED = 6
"""Bits by which Lava's LIF and ATRLIF shift what arrives: activation << 6."""

ROWS = 2**20
"""Weights that are added up at a time: their copies need no more memory than these."""


def own_shift(program: Program, name: str) -> int:
    """Return by how much Lava's process for neurons of another kind shifts what arrives."""
    kind = program.population(name).kind
    if isinstance(kind, Adaptive):
        return ALIGNED
    if isinstance(kind, Resonator | Delta):
        return min((p.shift for p in program.into(name)), default=0)
    return 0


def most_through(program: Program, projection: Projection) -> int:
    """Return the largest |sum| before the shift that a projection can give one neuron."""
    low, high = program.payload_range(projection.source)
    return _heaviest(projection.map) * max(abs(low), abs(high))


def most_per_step(program: Program, name: str) -> int:
    """Return the largest |a| that can reach a neuron of the population `name` [state units]."""
    return sum(most_through(program, p) << p.shift for p in program.into(name))


def largest_current(program: Program, population: Population) -> float:
    """Return a bound on |current|, biases into it aside; infinite where it never decays."""
    most = most_per_step(program, population.name)
    current = population.current
    if current is None or not most:
        initial = 0 if current is None else int(np.abs(current.initial).max(initial=0))
        return float(max(most, initial))
    kept = float(program.arithmetic.factors(current.decay).max(initial=0.0))
    sums = most / (1 - kept) if kept < 1 else np.inf  # decays round toward zero
    return float(max(sums, np.abs(current.initial).max(initial=0)))


def _heaviest(linear: LinearMap) -> int:
    """Return the largest sum of |weight| into one neuron; for a convolution a bound on it."""
    numbers = linear.numbers()
    if isinstance(linear, Sparse):
        sums = np.bincount(linear.post, np.abs(numbers.astype(np.float64)))
        return int(sums.max(initial=0))
    rows = numbers.reshape(len(numbers), -1)  # of a matrix or a kernel: a row per target
    step = max(1, ROWS // max(1, rows.shape[1]))
    blocks = (rows[at : at + step].astype(np.int64) for at in range(0, len(rows), step))
    return max((int(np.abs(block).sum(axis=1).max(initial=0)) for block in blocks), default=0)
