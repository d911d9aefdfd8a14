"""Neurons outside the canonical family: what every kind of them says of itself.

A kind is a frozen dataclass with the parameters of its neurons, arrays that broadcast to the
population's shape. How it steps stands with the simulators.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from snn_deploy.ir.arithmetic import Register
from snn_deploy.ir.neuron import State


class NeuronKind:
    """A kind of neuron with a step of its own."""

    __slots__ = ()

    tag: ClassVar[str]
    """Its name in program files and texts."""

    states: ClassVar[frozenset[State]]
    """The states that its neurons have."""

    entry: ClassVar[State] = State.MEMBRANE
    """The state that a projection drives where it states none."""

    @property
    def initial(self) -> Mapping[State, np.ndarray]:
        """States before the first step; those that are not here are 0."""
        return {}

    def payload_range(self, membrane: Register) -> tuple[int, int]:
        """Return the smallest and the largest number that a neuron sends."""
        raise NotImplementedError


KINDS: dict[str, type[NeuronKind]] = {}
"""All kinds, by tag."""
