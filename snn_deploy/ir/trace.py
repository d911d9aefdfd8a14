"""What a run leaves behind: recorded states, payloads and counts, step by step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64, Num, Shaped

from snn_deploy.ir.graph import named
from snn_deploy.ir.neuron import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Which states a simulator keeps for every neuron and step."""

    states: frozenset[State] = frozenset()
    populations: tuple[str, ...] | None = None
    """None: all of them."""

    def wants(self, population: str, state: State) -> bool:
        """Return whether that state of that population is to be kept."""
        chosen = self.populations is None or population in self.populations
        return chosen and state in self.states


EVERYTHING = Recording(states=frozenset(State))
PAYLOADS = Recording(states=frozenset({State.PAYLOAD}))
COUNTS = Recording()


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What enters one input, or comes out of it: an array per sample and step."""

    name: str
    values: Shaped[np.ndarray, "sample step ..."]


Record = Num[np.ndarray, "sample step ..."]


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationTrace:
    """The record of one population; a state that was not asked for is None."""

    name: str
    events: Int64[np.ndarray, "sample ..."]
    """Steps in which each neuron sent something, summed over all steps of the run."""

    spikes: Int64[np.ndarray, "sample ..."]
    """Payload that each neuron sent, summed over all steps of the run."""

    states: Mapping[State, Record] = field(default_factory=dict)
    """The record of each state that was asked for and that the neurons have."""

    overflows: int = 0
    """Times that a register of this population wrapped or saturated."""

    def state(self, state: State) -> Record | None:
        """Return the record of one state."""
        return self.states.get(state)

    @property
    def current(self) -> Record | None:
        """The first synaptic current."""
        return self.state(State.CURRENT)

    @property
    def membrane(self) -> Record | None:
        """The membrane."""
        return self.state(State.MEMBRANE)

    @property
    def payload(self) -> Record | None:
        """What the neurons sent."""
        return self.state(State.PAYLOAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The record of a run."""

    steps: int
    """Steps that were run for each sample, the program's lag included."""

    populations: tuple[PopulationTrace, ...]

    def __getitem__(self, name: str) -> PopulationTrace:
        return named(self.populations, name)


def by_name(values: Iterable[Values], name: str) -> np.ndarray:
    """Return the array for the input called `name`.

    Raises:
        KeyError: there is none.
    """
    return named(values, name).values
