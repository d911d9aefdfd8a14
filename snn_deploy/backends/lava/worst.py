"""The largest sums that the declared payloads of a program can make."""

import numpy as np

from snn_deploy.ir.maps import Convolution, LinearMap, to_sparse
from snn_deploy.ir.program import Program, Projection


def most_through(program: Program, projection: Projection) -> int:
    """Return the largest |sum| before the shift that a projection can give one neuron."""
    low, high = program.payload_range(projection.source)
    return _heaviest(projection.map) * max(abs(low), abs(high))


def most_per_step(program: Program, name: str) -> int:
    """Return the largest |a| that can reach a neuron of the population `name` [state units]."""
    return sum(most_through(program, p) << p.shift for p in program.into(name))


def _heaviest(linear: LinearMap) -> int:
    """Return the largest sum of |weight| into one neuron; for a convolution a bound on it."""
    weight = np.abs(linear.numbers().astype(np.int64))
    if isinstance(linear, Convolution):
        return int(weight.sum(axis=(1, 2, 3)).max(initial=0))
    sparse = to_sparse(linear)
    into = np.bincount(sparse.post, np.abs(sparse.weight.astype(np.float64)))
    return int(into.max(initial=0))
