"""The reference steps of neurons outside the canonical family, one function per kind."""

from collections.abc import Callable
from typing import Any

from snn_deploy.ir.kinds import NeuronKind

Step = Callable[..., None]
"""Takes a `reference.Now` and computes its step in place."""

STEPS: dict[type[NeuronKind], Step] = {}


def step_of_kind(kind: Any) -> Step:
    """Return the step of a kind of neuron."""
    return STEPS[type(kind)]
