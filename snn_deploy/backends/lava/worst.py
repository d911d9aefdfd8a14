"""How far what arrives is shifted, and the largest sums that the declared payloads can make."""

import numpy as np

from snn_deploy.ir.kinds import Adaptive, Delta, Resonator
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, row_blocks, to_sparse
from snn_deploy.ir.program import Population, Program, Projection

ALIGNED = 6
"""Bits by which Lava's LIF and ATRLIF shift what arrives: activation << 6."""


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
    if isinstance(linear, Dense):
        return max(_most(part.weight) for _, part in row_blocks(linear))
    if isinstance(linear, Convolution):
        return _most(linear.weight)
    sparse = to_sparse(linear)
    into = np.bincount(sparse.post, np.abs(sparse.weight.astype(np.float64)))
    return int(into.max(initial=0))


def _most(weight: np.ndarray) -> int:
    """Return the largest sum of |weight| over all axes but the first."""
    sums = np.abs(weight.astype(np.int64)).sum(axis=tuple(range(1, weight.ndim)))
    return int(sums.max(initial=0))
