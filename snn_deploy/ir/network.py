"""The trained network as real-valued difference equations, with nothing left open.

Per step, each population computes, in this order (DESIGN section 3):

    a  = sum over projections of map(payload(t - delay)), one sum per state it drives
    i  = current_decay * i + input_gain * a + bias            where there is a synaptic current
    v  = decay * v + gain * (i or a) + bias                   i before or after its update
    v  = late reset of the last step's spikes
    v  = max(v, floor)                                        if before the test
    s  = fires(v, threshold), or fires(v - amount, threshold) if retested and v(t-1) fires
    v  = reset
    v  = max(v, floor)                                        if after the reset
"""

import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.errors import DynamicsError
from snn_deploy.ir.arrays import REAL
from snn_deploy.ir.checks import (
    check_finite,
    check_graph,
    check_neurons,
    check_parameters,
    check_projection,
)
from snn_deploy.ir.graph import named
from snn_deploy.ir.maps import LinearMap, Shape
from snn_deploy.ir.neuron import (
    Compare,
    Decode,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    When,
)

Parameter = Float[np.ndarray, "..."]
"""A real number, one per channel ([C, 1, 1]) or one per neuron: broadcasts to the shape."""


class Arithmetic(Enum):
    """The floating-point numbers that the training framework computed with."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"


class Between(Enum):
    """What happens to the states between two samples."""

    FRESH = "fresh"
    """Every sample starts from the initial states."""

    CONTINUOUS = "continuous"
    """A sample starts from where the last one ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """What a sample boundary does."""

    between: Between = Between.FRESH
    idle: int = 0
    """Steps without input between two samples of a continuous run [steps]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Where values enter the network, one array per step."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        """Number of values per step."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synapse:
    """The synaptic current between the input sum and the membrane."""

    decay: Parameter
    """Factor per step, 0..1."""

    gain: Parameter = field(default_factory=lambda: np.ones(()))
    """Factor on the input sum."""

    reads: Reads = Reads.NEW
    initial: Parameter = field(default_factory=lambda: np.zeros(()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """What a spike does to the membrane."""

    kind: ResetKind = ResetKind.NONE
    amount: Parameter = field(default_factory=lambda: np.zeros(()))
    """The value it is set to, or the amount that each spike subtracts."""

    when: When = When.NOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The membrane never ends below this value."""

    value: Parameter
    when: FloorWhen = FloorWhen.AFTER_RESET


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """A constant added to a state in every step from `start` on."""

    value: Parameter
    into: State = State.MEMBRANE
    """CURRENT adds it to the synaptic current, MEMBRANE to the membrane."""

    start: int = 0
    """First step in which it acts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Neurons of one kind. Parameters broadcast to `shape`."""

    name: str
    shape: Shape
    decay: Parameter
    """Factor on the membrane per step: 1 for IF, 1 - dt/tau or exp(-dt/tau) for LIF."""

    gain: Parameter = field(default_factory=lambda: np.ones(()))
    """Factor on what the membrane integrates."""

    synapse: Synapse | None = None
    fires: Fires = Fires.BINARY
    threshold: Parameter = field(default_factory=lambda: np.ones(()))
    compare: Compare = Compare.GREATER
    max_spikes: int = 1
    """Largest payload of a COUNT neuron, from 1 on."""

    reset: Reset = field(default_factory=Reset)
    floor: Floor | None = None
    biases: tuple[Bias, ...] = ()
    initial: Parameter = field(default_factory=lambda: np.zeros(()))
    """Membrane before the first step."""

    origin: float = 0.0
    """Membrane as trained where this one is 0; a pass that moves the zero says so here."""

    def __post_init__(self) -> None:
        check_parameters(self, REAL)
        check_neurons(self, current=self.synapse is not None)
        retested = self.reset.when is When.RETESTED
        if retested and (self.fires, self.reset.kind) != (Fires.BINARY, ResetKind.SUBTRACT):
            raise DynamicsError(
                "only a binary neuron whose spike subtracts can be tested again", where=self.name
            )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """One linear map from a source's payloads to the input sum of a population."""

    name: str
    source: str
    """An input or a population."""

    target: str
    map: LinearMap
    delay: Int[np.ndarray, "..."] = field(default_factory=lambda: np.zeros((), np.int32))
    """Steps from sending to arriving: a scalar, one per source ([pre], C order), or one per
    stored weight (the shape of `map.numbers()`)."""

    def __post_init__(self) -> None:
        check_projection(self)
        check_finite(self.map, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A population whose spikes or membrane are the answer."""

    name: str
    population: str
    decode: Decode = Decode.COUNT
    delay: int = 0
    """Steps between the population and the output, as the network was trained: of T steps the
    answer holds the population's first T - delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Populations joined by projections: one step function, nothing left open."""

    name: str
    inputs: tuple[Input, ...]
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[Output, ...]
    dt: float | None = None
    """Seconds per step, where it is known."""

    arithmetic: Arithmetic = Arithmetic.FLOAT64
    boundary: Boundary = field(default_factory=Boundary)

    def __post_init__(self) -> None:
        check_graph(self)

    def population(self, name: str) -> Population:
        """Return the population called `name`.

        Raises:
            KeyError: there is none.
        """
        return named(self.populations, name)

    def into(self, name: str) -> tuple[Projection, ...]:
        """Return the projections that end in the population `name`."""
        return tuple(p for p in self.projections if p.target == name)

    def source_shape(self, name: str) -> Shape:
        """Return the shape of the input or population `name`."""
        nodes: tuple[Input | Population, ...] = (*self.inputs, *self.populations)
        return named(nodes, name).shape
