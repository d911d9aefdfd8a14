"""Neurons outside the canonical family, as the tables hold them.

A new kind needs its code here and its kernel in `kernels/kinds.py`.
"""

from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from typing import Any

import numpy as np

from snn_deploy.backends.event.stepwise.tables import ADAPTIVE, DELTA, RESONATOR, SIGMA, SIGMA_DELTA
from snn_deploy.ir.kinds import Adaptive, Delta, NeuronKind, Resonator, Sigma, SigmaDelta

_CODES: dict[type[NeuronKind], int] = {
    Adaptive: ADAPTIVE,
    Resonator: RESONATOR,
    Sigma: SIGMA,
    Delta: DELTA,
    SigmaDelta: SIGMA_DELTA,
}


def code_of(kind: NeuronKind) -> int:
    """Return the kernel of a kind.

    Raises:
        NotImplementedError: it has none: a gap in this package, since every simulator computes what
            the reference does.
    """
    if type(kind) not in _CODES:
        raise NotImplementedError(f"the event simulator has no kernel for neurons of {kind.tag!r}")
    return _CODES[type(kind)]


def parameters_of(kind: NeuronKind) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, parameter) for all that differs between neurons."""
    yield from enumerate(v for v in _values(kind) if isinstance(v, np.ndarray))


def options_of(kind: NeuronKind) -> list[int]:
    """Return what is the same for all neurons, in the order of the kind's fields."""
    rest = [value for value in _values(kind) if not isinstance(value, np.ndarray)]
    return [list(type(v)).index(v) if isinstance(v, Enum) else int(v) for v in rest]


def _values(kind: Any) -> list[Any]:
    return [getattr(kind, field.name) for field in fields(kind)]
