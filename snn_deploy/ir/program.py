"""The integer program: the one meaning that every backend must compute, bit for bit.

Per step t, each population computes, in this order; after every line that changes a register
the register's overflow rule applies (`Arithmetic`):

    t < lag, or (t - lag) % period is not 0: all states stay, nothing is sent
    restart: all states are initial again                             in its steps
    a_k = sum over projections into state k of (map(payload(t - delay)) << shift)
    a_k = rounded(a_k * gain(t) / 2**gain shift)                      where it has a gain
    i_k = decay(i_k) + a_k + scaled(i_(k-1)) + biases into it         for each synaptic current
    v = decay(v) + sum of +-i_k + a_v + biases into the membrane      i_k new or old, as stated
    v = as it was | the reset value                                   refractory: held | clamped
    v = v - amount * (s of t-1), or = amount where that was not 0     late reset
    v = max(v, floor)                                                 if before the test
    s = 0 | [v > th] | floor(v / th) ...                              `Fires`, `Compare`
    s = 0                                                             refractory, outside its window
    v = v - amount * s, or = amount where s is not 0                  reset now
    v = max(v, floor)                                                 if after the reset
    countdown = steps where s is not 0, else one less, not below 0    where it is refractory
    payload = s * payload(t), or rounded(v / 2**payload shift)        graded: v as it is tested

A bias acts from its start on, or, where it waits, from the step on in which the first sum that is
not 0 arrives at its neuron (at any state, before any gain). A table replaces its parameter in its
rows' steps. A population without a current integrates its `a` itself. Where rows are summed one by
one (`Sums.BY_ROW`), each enters its state on its own, and where a current adds first
(`Order.ADD_FIRST`), it decays after all that is added to it. Where a register holds the membrane's
change (`Arithmetic.change`), leak and currents overflow there, then the biases. Other kinds of
neurons (`kind`) have their own step. No number in it is a float: even scales are two integers.
"""

import hashlib
import math
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.errors import DynamicsError, ShapeError
from snn_deploy.ir.arithmetic import Arithmetic, Register, Sums
from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.checks import (
    check_graph,
    check_neurons,
    check_parameters,
    check_projection,
    entries,
    spike_range,
    states_of,
)
from snn_deploy.ir.graph import named
from snn_deploy.ir.kinds import NeuronKind
from snn_deploy.ir.limits import check_sizes, check_sums
from snn_deploy.ir.maps import Composition, LinearMap, Scale, Shape
from snn_deploy.ir.network import Boundary, Output
from snn_deploy.ir.neuron import (
    CURRENTS,
    Compare,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.timing import Refractory, Restart, Table, Window

Whole = Int[np.ndarray, "..."]
"""A whole number, one per channel ([C, 1, 1]) or one per neuron: broadcasts to the shape."""


MOST_SHIFT = 30
SHIFTS = f"a shift is 0 to {MOST_SHIFT} bits"


def _zero() -> np.ndarray:
    return np.zeros((), WHOLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """An exact real number, mantissa * 2**exponent, so that a program needs no float."""

    mantissa: int
    exponent: int

    @classmethod
    def of(cls, number: float) -> "Binary":
        """Return the float `number` exactly."""
        numerator, denominator = float(number).as_integer_ratio()
        return cls(mantissa=numerator, exponent=-(denominator.bit_length() - 1))

    def __post_init__(self) -> None:
        try:
            float(self)
        except OverflowError:
            raise DynamicsError("a real number beyond float64, in a program") from None

    def __float__(self) -> float:
        return math.ldexp(self.mantissa, self.exponent)


ONE = Binary(mantissa=1, exponent=0)
ZERO = Binary(mantissa=0, exponent=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Where integers enter, one array per step."""

    name: str
    shape: Shape
    low: int = 0
    """Smallest value that may come."""

    high: int = 1
    """Largest value that may come."""

    unit: Binary = ONE
    """Real value of a payload of 1."""

    @property
    def size(self) -> int:
        """Number of values per step."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What a synaptic current takes from the one before it in every step."""

    multiplier: Whole
    """Units of 1 / 2**decay_bits, of any sign; the product is rounded toward zero."""

    reads: Reads = Reads.NEW
    """The one before as this step leaves it, or as the last one left it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """A synaptic current of a population."""

    decay: Whole
    """As the arithmetic has it: a multiplier, of which 0 keeps nothing of the last step and
    2**decay_bits all, or a shift."""

    reads: Reads = Reads.NEW
    initial: Whole = field(default_factory=_zero)
    into_membrane: int = 1
    """1: the membrane adds it; -1: subtracts it; 0: only the next current reads it."""

    chain: Chain | None = None
    """The first current has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A factor on all that arrives at one state in a step: multiplier / 2**shift."""

    into: State
    multiplier: Whole
    shift: int = 0
    """The product is rounded to the nearest, half upwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """What a spike does to the membrane."""

    kind: ResetKind = ResetKind.NONE
    amount: Whole = field(default_factory=_zero)
    """The value it is set to, or the amount that each spike subtracts."""

    when: When = When.NOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The membrane never ends below this value."""

    value: Whole
    when: FloorWhen = FloorWhen.AFTER_RESET


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """A constant added to a state in every step from `start` on."""

    value: Whole
    into: State = State.MEMBRANE
    start: int = 0
    """First step of the program, not of the population, in which it acts."""

    waits: bool = False
    """It acts on each neuron from the step on in which something arrives there first."""


class Role(Enum):
    """Why a population exists."""

    NEURONS = "neurons"
    """It was in the network."""

    CLOCK = "clock"
    """One neuron that fires every step from its lag on, to carry biases."""

    RELAY = "relay"
    """Repeats its input later, to make a longer delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Integer neurons of one kind. Parameters broadcast to `shape`."""

    name: str
    shape: Shape
    decay: Whole
    """Of the membrane, as the arithmetic has it: a multiplier, of which 2**decay_bits keeps all,
    or a shift."""

    current: Current | None = None
    further: tuple[Current, ...] = ()
    """Synaptic currents behind the first one; at most four in all."""

    gains: tuple[Gain, ...] = ()
    """At most one per state."""

    fires: Fires = Fires.BINARY
    threshold: Whole = field(default_factory=lambda: np.ones((), WHOLE))
    lower: Whole = field(default_factory=lambda: -np.ones((), WHOLE))
    """Threshold below which a TERNARY neuron sends -1."""

    compare: Compare = Compare.GREATER
    max_spikes: int = 1
    """Largest payload of a COUNT or ROUNDED neuron."""

    payload_shift: int = 0
    """A GRADED neuron sends its membrane / 2**this, as it is where others test it."""

    reset: Reset = field(default_factory=Reset)
    refractory: Refractory | None = None
    window: Window | None = None
    """None: it may fire in every step."""

    restart: Restart | None = None
    floor: Floor | None = None
    biases: tuple[Bias, ...] = ()
    tables: tuple[Table, ...] = ()
    initial: Whole = field(default_factory=_zero)
    """Membrane before the first step."""

    kind: NeuronKind | None = None
    """None: the neuron of this module. Another kind has its own parameters, and of these fields
    only name, shape, lag, role, unit and origin count."""

    lag: int = 0
    """Steps that this population runs behind the network as trained [steps]."""

    role: Role = Role.NEURONS
    unit: Binary = ONE
    """Real membrane per integer step: v_real = unit * unit_factor * v + origin."""

    unit_factor: Whole = field(default_factory=lambda: np.ones((), WHOLE))
    """Of each channel or neuron, at least 1: not all of them need the same scale."""

    origin: Binary = ZERO
    """Real membrane at integer 0."""

    def __post_init__(self) -> None:
        check_parameters(self, WHOLE)
        check_neurons(self, self.currents)
        _check_gains(self)
        if np.any(self.unit_factor < 1):
            raise DynamicsError(
                f"a unit times {self.unit_factor.min()}; factors are 1 or more",
                where=f"{self.name}.unit_factor",
            )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def currents(self) -> tuple[Current, ...]:
        """All synaptic currents, first to last."""
        return () if self.current is None else (self.current, *self.further)

    @property
    def states(self) -> frozenset[State]:
        """The states that its neurons have."""
        return states_of(self) if self.kind is None else self.kind.states

    @property
    def initial_states(self) -> Mapping[State, Whole]:
        """States before the first step; those that are not here are 0."""
        if self.kind is not None:
            return self.kind.initial
        currents = zip(CURRENTS, self.currents, strict=False)
        return {State.MEMBRANE: self.initial, **{name: i.initial for name, i in currents}}

    @property
    def entry(self) -> State:
        """The state that a projection drives where it states none."""
        if self.kind is not None:
            return self.kind.entry
        return State.MEMBRANE if self.current is None else State.CURRENT

    @property
    def units(self) -> Float[np.ndarray, "..."]:
        """Real membrane per integer step; broadcasts to the shape."""
        return np.asarray(float(self.unit) * self.unit_factor)

    @property
    def highest_payload(self) -> int:
        """Most spikes of a step; what is sent may be a multiple of it (`payload_range`)."""
        return spike_range(self)[1]

    def payload_range(self, membrane: Register) -> tuple[int, int]:
        """Return the smallest and the largest number that a neuron sends.

        Args:
            membrane: The register that holds what a graded neuron sends.
        """
        if self.kind is not None:
            return self.kind.payload_range(membrane)
        if self.fires is Fires.GRADED:
            half = (1 << self.payload_shift) >> 1
            low, high = membrane.low + half, membrane.high + half
            return low >> self.payload_shift, high >> self.payload_shift
        lowest, highest = spike_range(self)
        rows = [table.rows for table in self.tables if table.what is Tabled.PAYLOAD]
        factors = [1, *(int(end) for row in rows for end in (row.min(), row.max()))]
        ends = [factor * spikes for factor in factors for spikes in (lowest, highest)]
        return min(ends), max(ends)


def _check_gains(population: Population) -> None:
    """Refuse two gains of one state, and one of a state at which nothing arrives."""
    states = [gain.into for gain in population.gains]
    tabled = {t.into for t in population.tables if t.what is Tabled.GAIN}
    for wrong, what in (
        (len(set(states)) < len(states), "two gains act on one state"),
        (not tabled <= set(states), "a table of gains needs a gain, whose shift it shares"),
        (any(g.shift < 0 or g.shift > MOST_SHIFT for g in population.gains), SHIFTS),
        (not 0 <= population.payload_shift <= MOST_SHIFT, SHIFTS),
        (population.kind is None and not set(states) <= entries(population), "a gain of no state"),
    ):
        if wrong:
            raise DynamicsError(what, where=population.name)


class Sign(Enum):
    """How a chip stores the signs of a weight matrix."""

    MIXED = "mixed"
    EXCITATORY = "excitatory"
    INHIBITORY = "inhibitory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """One integer linear map from a source's payloads to the input sum of a population."""

    name: str
    source: str
    target: str
    map: LinearMap
    """Dense, Sparse or Convolution, with weights as the chip stores them."""

    shift: int = 0
    """The map's sum is shifted left by this: state units per weight step are 2**shift."""

    delay: Int[np.ndarray, "..."] = field(default_factory=_zero)
    """Steps from sending to arriving: a scalar, one per source ([pre], C order), or one per
    stored weight."""

    sign: Sign = Sign.MIXED
    into: State | None = None
    """The state that it drives: a synaptic current or the membrane. None: the first current, or
    the membrane of neurons that have none."""

    def __post_init__(self) -> None:
        check_projection(self)
        if isinstance(self.map, Composition | Scale) or self.map.numbers().dtype.kind not in "iu":
            raise ShapeError(
                "a program's map is Dense, Sparse or Convolution, of integers", where=self.name
            )
        if self.shift < 0:
            raise ShapeError("a shift to the right would lose bits", where=self.name)
        if self.shift > MOST_SHIFT:
            raise DynamicsError(f"a shift of {self.shift} bits; {SHIFTS}", where=self.name)


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Program:
    """Integer populations joined by projections, for one target."""

    name: str
    target: str
    arithmetic: Arithmetic
    inputs: tuple[Input, ...]
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[Output, ...]
    boundary: Boundary = field(default_factory=Boundary)
    dt: Binary | None = None
    """Seconds per step of the network, where it is known."""

    period: int = 1
    """Steps of the program per step of the network. A population acts in its lag, and then in
    every `period`-th step; what enters the network in its step n enters here in n * period."""

    def __post_init__(self) -> None:
        check_sizes(self)
        check_graph(self)
        check_sums(self)
        if self.arithmetic.sums is Sums.BY_ROW:
            gains = [p.name for p in self.populations if p.gains]
            if gains:
                message = "no gain acts on rows that are summed one by one"
                raise DynamicsError(message, where=gains[0])

    @property
    def lag(self) -> int:
        """Steps to run beyond the samples' own, so that every population sees all of them."""
        return max((p.lag for p in self.populations), default=0)

    @property
    def digest(self) -> str:
        """SHA-256 of the program's two files: equal programs have equal digests."""
        from snn_deploy.ir.store import dump_program  # noqa: PLC0415 - store imports this module

        key = id(self)
        if key in _DIGESTS:
            return _DIGESTS[key][1]
        files = dump_program(self)
        found = hashlib.sha256(files.json)
        found.update(files.npz)
        _DIGESTS[key] = weakref.ref(self, lambda _: _DIGESTS.pop(key, None)), found.hexdigest()
        return _DIGESTS[key][1]

    def population(self, name: str) -> Population:
        """Return the population called `name`.

        Raises:
            KeyError: there is none.
        """
        return named(self.populations, name)

    @property
    def nodes(self) -> tuple[Input | Population, ...]:
        """The inputs, then the populations."""
        return (*self.inputs, *self.populations)

    def into(self, name: str) -> tuple[Projection, ...]:
        """Return the projections that end in the population `name`."""
        return tuple(p for p in self.projections if p.target == name)

    def payload_range(self, name: str) -> tuple[int, int]:
        """Return the smallest and largest payload that the input or population `name` sends."""
        for source in self.inputs:
            if source.name == name:
                return source.low, source.high
        return self.population(name).payload_range(self.arithmetic.membrane)

    def entry(self, projection: Projection) -> State:
        """Return the state that `projection` drives."""
        return projection.into or self.population(projection.target).entry

    def acts(self, population: Population, step: int) -> bool:
        """Return whether a population acts in a step of the program, or only holds its states."""
        return step >= population.lag and (step - population.lag) % self.period == 0


_DIGESTS: dict[int, tuple[weakref.ref[Program], str]] = {}
"""Digests of the programs that are alive: that of a large one takes half a minute."""
