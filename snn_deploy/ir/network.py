"""The trained network as real-valued difference equations, with nothing left open.

Per step, each population computes, in this order (DESIGN section 3):

    all states are initial again                              in the steps of a restart
    a_k = sum over projections into state k of map(payload(t - delay)), times its gain table
    i_k = decay_k * i_k + input_gain_k * a_k + chain * i_(k-1) + bias  for each synaptic current
    v  = decay * v + gain * (sum of +-i_k + a_v) + bias       each i_k before or after its update
    v  = as it was | the reset value                          refractory: held | clamped
    v  = late reset of the last step's spikes
    v  = max(v, floor)                                        if before the test
    s  = fires(v, threshold), or fires(v - amount, threshold) if retested and v(t-1) fires
    s  = 0                                                    if refractory or outside its window
    v  = reset
    v  = max(v, floor)                                        if after the reset
    payload = s * payload table; s of a graded neuron is v as it is tested

A table replaces its parameter in its rows' steps. A bias acts from its start on, or, where it
waits, from the step on in which the first sum that is not 0 arrives at its neuron.
"""

import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.ir.arrays import REAL
from snn_deploy.ir.checks import (
    check_finite,
    check_graph,
    check_neurons,
    check_parameters,
    check_projection,
    states_of,
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
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.weighting import Weighting

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
class Chain:
    """What a synaptic current takes from the one before it in every step."""

    gain: Parameter
    reads: Reads = Reads.NEW
    """The one before as this step leaves it, or as the last one left it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synapse:
    """A synaptic current between an input sum and the membrane."""

    decay: Parameter
    """Factor per step, at most 1 in size; 1: latched."""

    gain: Parameter = field(default_factory=lambda: np.ones(()))
    """Factor on the input sum."""

    reads: Reads = Reads.NEW
    initial: Parameter = field(default_factory=lambda: np.zeros(()))
    into_membrane: int = 1
    """1: the membrane adds it; -1: subtracts it; 0: only the next current reads it."""

    chain: Chain | None = None
    """The first current has none."""


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

    waits: bool = False
    """It acts on each neuron from the step on in which something arrives there first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Neurons of one kind. Parameters are float64 and broadcast to `shape`.

    Membranes, currents and thresholds are in the unit of the network as trained; times are steps.

    Raises:
        ShapeError: a parameter does not broadcast to `shape` (SNN204).
        NotFiniteError: a parameter is NaN or infinite (SNN205).
        DynamicsError: parameters that contradict each other (SNN207).
    """

    name: str
    shape: Shape
    """Of one sample in one step: (features,), (channels, length) or (channels, height, width)."""

    decay: Parameter
    """Factor on the membrane per step: 1 for IF, 1 - dt/tau or exp(-dt/tau) for LIF."""

    gain: Parameter = field(default_factory=lambda: np.ones(()))
    """Factor on what the membrane integrates."""

    synapse: Synapse | None = None
    """The first synaptic current; None: what arrives enters the membrane."""

    further: tuple[Synapse, ...] = ()
    """Synaptic currents behind the first one; at most four in all."""

    fires: Fires = Fires.BINARY
    """What is sent: spikes of 0 and 1, of either sign, several at once, or the membrane itself."""

    threshold: Parameter = field(default_factory=lambda: np.ones(()))
    lower: Parameter = field(default_factory=lambda: -np.ones(()))
    """Threshold below which a TERNARY neuron sends -1."""

    compare: Compare = Compare.GREATER
    """Whether a membrane that equals the threshold fires."""

    max_spikes: int = 1
    """Largest payload of a COUNT or ROUNDED neuron, from 1 on."""

    reset: Reset = field(default_factory=Reset)
    """What a spike does to the membrane, and when."""

    refractory: Refractory | None = None
    """None: it may fire again in the next step."""

    window: Window | None = None
    """None: it may fire in every step."""

    restart: Restart | None = None
    """When all states become initial again within a sample; None: never."""

    floor: Floor | None = None
    """Lowest membrane; None: there is none."""

    biases: tuple[Bias, ...] = ()
    """Constants added in every step, to the membrane or to a current."""

    tables: tuple[Table, ...] = ()
    """Parameters that change from step to step."""

    initial: Parameter = field(default_factory=lambda: np.zeros(()))
    """Membrane before the first step."""

    origin: float = 0.0
    """Membrane as trained where this one is 0; a pass that moves the zero says so here."""

    def __post_init__(self) -> None:
        check_parameters(self, REAL)
        check_neurons(self, self.synapses)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """All synaptic currents, first to last."""
        return () if self.synapse is None else (self.synapse, *self.further)

    @property
    def states(self) -> frozenset[State]:
        """The states that its neurons have."""
        return states_of(self)

    @property
    def entry(self) -> State:
        """The state that a projection drives where it states none."""
        return State.MEMBRANE if self.synapse is None else State.CURRENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """One linear map from a source's payloads to the input sum of a population.

    Raises:
        ShapeError: the delay is neither scalar, nor per source, nor per stored weight (SNN204).
        NotFiniteError: a weight is NaN or infinite (SNN205).
        GraphError: a delay is negative (SNN206).
    """

    name: str
    source: str
    """An input or a population."""

    target: str
    """A population."""

    map: LinearMap
    """It reads as many values as the source has, and gives as many as the target has."""

    delay: Int[np.ndarray, "..."] = field(default_factory=lambda: np.zeros((), np.int32))
    """Steps from sending to arriving: a scalar, one per source ([pre], C order), or one per
    stored weight (the shape of `map.numbers()`)."""

    into: State | None = None
    """The state that it drives: a synaptic current or the membrane. None: the first current, or
    the membrane of neurons that have none."""

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

    weights: Weighting | None = None
    """Of each step that the answer holds; of the decoders that need them only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Populations joined by projections: one step function, nothing left open.

    Raises:
        GraphError: a name is used twice, an endpoint does not exist, nothing leaves, a loop has no
            delay, or an output reads what its population does not have (SNN206).
        ShapeError: a map does not fit the populations it joins (SNN204).
    """

    name: str
    inputs: tuple[Input, ...]
    """Where values enter: name, and shape of one sample in one step."""

    populations: tuple[Population, ...]
    """In any order."""

    projections: tuple[Projection, ...]
    """Those of loops among them; each carries what was sent `delay` steps ago."""

    outputs: tuple[Output, ...]
    """What is read as the answer, and how."""

    dt: float | None = None
    """Seconds per step, where it is known."""

    arithmetic: Arithmetic = Arithmetic.FLOAT64
    """What the training framework computed with."""

    boundary: Boundary = field(default_factory=Boundary)
    """What happens between two samples."""

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

    def entry(self, projection: Projection) -> State:
        """Return the state that `projection` drives."""
        return projection.into or self.population(projection.target).entry

    def source_shape(self, name: str) -> Shape:
        """Return the shape of the input or population `name`."""
        nodes: tuple[Input | Population, ...] = (*self.inputs, *self.populations)
        return named(nodes, name).shape
