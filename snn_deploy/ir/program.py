"""The integer program: the one meaning that every backend must compute, bit for bit.

Per step t, each population computes, in this order; after every line that changes a register
the register's overflow rule applies (`Arithmetic`):

    t < lag: all states stay initial, nothing is sent
    a = sum over projections of (map(payload(t - delay)) << shift)
    i = decay(i) + a + biases into the current that have started      where there is a current
    v = decay(v) + (i or a) + biases into the membrane that have started
    v = v - amount * (payload of t-1), or = amount where it was not 0 late reset
    v = max(v, floor)                                                 if before the test
    s = 0 | [v > th] | floor(v / th) ...                              `Fires`, `Compare`
    v = v - amount * s, or = amount where s is not 0                  reset now
    v = max(v, floor)                                                 if after the reset

where decay(x) = sign(x) * ((|x| * multiplier) >> decay_bits), toward zero. A population without
a current integrates `a` itself. No number in it is a float: even scales are two integers.
"""

import hashlib
import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.errors import DynamicsError, ShapeError
from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.checks import check_graph, check_neurons, check_parameters, check_projection
from snn_deploy.ir.graph import named
from snn_deploy.ir.maps import Composition, LinearMap, Scale, Shape
from snn_deploy.ir.network import Boundary, Output
from snn_deploy.ir.neuron import (
    Compare,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    When,
)

Whole = Int[np.ndarray, "..."]
"""A whole number, one per channel ([C, 1, 1]) or one per neuron: broadcasts to the shape."""


def _zero() -> np.ndarray:
    return np.zeros((), WHOLE)


class Overflow(Enum):
    """What a register does with a number that is too large for it."""

    WRAP_ONCE = "wrap-once"
    """x > 2^(bits-1) loses 2^bits once, x <= -2^(bits-1) gains it once: Lava's u."""

    SATURATE = "saturate"
    """Clipped to +-(2^(bits-1) - 1): Lava's v."""


WIDEST = 32
"""Bits of the widest register: a state times a decay multiplier then fits 64 bits."""

MOST_DECAY_BITS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Width of a state and what it does beyond it."""

    bits: int
    """Width with sign [bits]."""

    overflow: Overflow

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= WIDEST:
            raise DynamicsError(f"a register of {self.bits} bits; it has 2 to {WIDEST}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """How a chip computes with integers."""

    current: Register
    membrane: Register
    decay_bits: int
    """Fraction bits of a decay multiplier: one means factor 1 / 2**decay_bits."""

    def __post_init__(self) -> None:
        if not 0 <= self.decay_bits <= MOST_DECAY_BITS:
            raise DynamicsError(
                f"decays of {self.decay_bits} fraction bits; they have 0 to {MOST_DECAY_BITS}"
            )


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
class Current:
    """The synaptic current of a population."""

    decay: Whole
    """Multiplier, 0..2**decay_bits; 0 keeps nothing of the last step."""

    reads: Reads = Reads.NEW
    initial: Whole = field(default_factory=_zero)


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
    """Multiplier on the membrane, 0..2**decay_bits."""

    current: Current | None = None
    fires: Fires = Fires.BINARY
    threshold: Whole = field(default_factory=lambda: np.ones((), WHOLE))
    compare: Compare = Compare.GREATER
    max_spikes: int = 1
    """Largest payload of a COUNT neuron."""

    reset: Reset = field(default_factory=Reset)
    floor: Floor | None = None
    biases: tuple[Bias, ...] = ()
    initial: Whole = field(default_factory=_zero)
    """Membrane before the first step."""

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
        check_neurons(self, current=self.current is not None)
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
    def units(self) -> Float[np.ndarray, "..."]:
        """Real membrane per integer step; broadcasts to the shape."""
        return np.asarray(float(self.unit) * self.unit_factor)

    @property
    def highest_payload(self) -> int:
        """Largest number that a neuron sends."""
        return {Fires.NEVER: 0, Fires.BINARY: 1, Fires.COUNT: self.max_spikes}[self.fires]


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

    def __post_init__(self) -> None:
        check_projection(self)
        if isinstance(self.map, Composition | Scale) or self.map.numbers().dtype.kind not in "iu":
            raise ShapeError(
                "a program's map is Dense, Sparse or Convolution, of integers", where=self.name
            )
        if self.shift < 0:
            raise ShapeError("a shift to the right would lose bits", where=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """Seconds per step, where it is known."""

    def __post_init__(self) -> None:
        check_graph(self)

    @property
    def lag(self) -> int:
        """Steps to run beyond the samples' own, so that every population sees all of them."""
        return max((p.lag for p in self.populations), default=0)

    @property
    def digest(self) -> str:
        """SHA-256 of the program's two files: equal programs have equal digests."""
        from snn_deploy.ir.store import dump_program  # noqa: PLC0415 - store imports this module

        files = dump_program(self)
        return hashlib.sha256(files.json + files.npz).hexdigest()

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
        return 0, self.population(name).highest_payload
