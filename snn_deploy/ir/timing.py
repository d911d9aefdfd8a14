"""What a neuron does at stated times: refractory, window, restart, and parameters over time.

Networks and programs share these; a program counts its own steps, lag and phases included.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from snn_deploy.ir.neuron import During, State, Tabled


@dataclass(frozen=True, slots=True, kw_only=True)
class Refractory:
    """A neuron does not fire in the steps after a spike."""

    steps: int | None
    """How many steps, the one behind the spike first; None: it fires once and never again."""

    during: During = During.INTEGRATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The steps in which a neuron may fire."""

    first: int
    behind: int
    """The first step after them."""

    def __contains__(self, step: int) -> bool:
        return self.first <= step < self.behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """All states return to their initial values before what arrives in some steps."""

    interval: int
    """Steps from one restart to the next."""

    offset: int = 0
    """The steps t with t % interval == offset."""

    def __contains__(self, step: int) -> bool:
        return step % self.interval == self.offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A parameter that changes from step to step; outside its rows it is as it always is."""

    what: Tabled
    rows: Shaped[np.ndarray, "_row ..."]  # not bound: a program has tables of several lengths
    """Row r acts in the r-th step from `start` on; each broadcasts to the population's shape."""

    into: State | None = None
    """GAIN and BIAS: the state that they act on. The others have none."""

    start: int = 0
    repeats: bool = False
    """After the last row comes the first again."""

    def at(self, step: int, period: int = 1) -> np.ndarray | None:
        """Return the row of a step; None: none. `period` is the steps from one row to the next."""
        row = (step - self.start) // period
        if self.repeats and row >= 0:
            row %= len(self.rows)
        return self.rows[row, ...] if 0 <= row < len(self.rows) else None
