"""How a chip computes with integers: widths, overflow, decays, and the order of its sums.

All that tells one chip's integers from another's stands here, and nowhere else: a simulator asks
an `Arithmetic`, never which chip it is for.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.errors import DynamicsError

Wholes = Int[np.ndarray, "..."]


class Overflow(Enum):
    """What a register does with a number that is too large for it."""

    WRAP_ONCE = "wrap-once"
    """x > 2^(bits-1) loses 2^bits once, x <= -2^(bits-1) gains it once: Lava's u."""

    WRAP = "wrap"
    """Two's complement: what is left of x modulo 2^bits, in -2^(bits-1)..2^(bits-1) - 1."""

    SATURATE = "saturate"
    """Clipped to +-(2^(bits-1) - 1): Lava's v."""

    SATURATE_FULL = "saturate-full"
    """Clipped to -2^(bits-1)..2^(bits-1) - 1: two's complement with saturation."""


class Decay(Enum):
    """What a decay parameter m does to a state x."""

    MULTIPLY = "multiply"
    """sign(x m) * ((|x| * |m|) >> decay_bits): rounds toward zero; 2**decay_bits keeps all."""

    SHIFT = "shift"
    """x - (x >> m), and x - 1 where x > 0 and that shift gives 0: m = 1 halves, a large m takes one
    per step."""


class Order(Enum):
    """Whether a synaptic current decays before or after it receives the step's input."""

    DECAY_FIRST = "decay-first"
    ADD_FIRST = "add-first"


class Sums(Enum):
    """How the payloads that arrive in a step are added up."""

    TOGETHER = "together"
    """All of them; the sum then enters the state, which overflows once if it does."""

    BY_ROW = "by-row"
    """One source neuron after another, projections in the program's order and sources in C order;
    the state overflows after each of them."""


WIDEST = 32
"""Bits of the widest register: a state times a decay multiplier then fits 64 bits."""

MOST_DECAY_BITS = 30

LONGEST = 100.0
"""Logarithm of a time constant in steps that stands for an infinite one; float64 has up to 37."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Width of a state and what it does beyond it."""

    bits: int
    """Width with sign [bits]."""

    overflow: Overflow

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= WIDEST:
            raise DynamicsError(f"a register of {self.bits} bits; it has 2 to {WIDEST}")

    @property
    def low(self) -> int:
        """Smallest number that it surely keeps as it is."""
        half = 1 << (self.bits - 1)
        return -half if self.overflow in (Overflow.WRAP, Overflow.SATURATE_FULL) else 1 - half

    @property
    def high(self) -> int:
        """Largest number that it surely keeps as it is."""
        half = 1 << (self.bits - 1)
        return half if self.overflow is Overflow.WRAP_ONCE else half - 1

    def held(self, value: Wholes) -> Wholes:
        """Return what it keeps of `value`."""
        half = 1 << (self.bits - 1)
        if self.overflow is Overflow.WRAP_ONCE:
            wrapped = np.where(value > half, value - 2 * half, value)
            return np.where(value <= -half, value + 2 * half, wrapped)
        if self.overflow is Overflow.WRAP:
            return (value + half) % (2 * half) - half
        return np.clip(value, self.low, self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """How a chip computes with integers."""

    current: Register
    """Of every synaptic current."""

    membrane: Register
    decay_bits: int
    """Fraction bits of a decay multiplier: one means factor 1 / 2**decay_bits."""

    decay: Decay = Decay.MULTIPLY
    order: Order = Order.DECAY_FIRST
    sums: Sums = Sums.TOGETHER
    accumulator: Register | None = None
    """Holds the sum of all that arrives at one state in one step, shifts included; None: wide
    enough for any. Only with `Sums.TOGETHER`."""

    change: Register | None = None
    """Holds by how much the membrane moves in one step, first leak and currents, then the bias
    too; None: the membrane adds them up itself."""

    def __post_init__(self) -> None:
        if not 0 <= self.decay_bits <= MOST_DECAY_BITS:
            raise DynamicsError(
                f"decays of {self.decay_bits} fraction bits; they have 0 to {MOST_DECAY_BITS}"
            )
        if self.sums is Sums.BY_ROW and self.accumulator is not None:
            raise DynamicsError("where each row enters the state there is no accumulator")

    def factors(self, decay: np.ndarray) -> Float[np.ndarray, "..."]:
        """Return the share of a state that each decay parameter keeps, but for rounding: 0..1."""
        if self.decay is Decay.MULTIPLY:
            return np.asarray(decay / (1 << self.decay_bits))
        return np.asarray(1 - np.ldexp(1.0, -decay))

    def nearest(
        self, factor: Float[np.ndarray, "..."], low: int, high: int
    ) -> Float[np.ndarray, "..."]:
        """Return the decay parameters from `low` to `high`, whole, that come nearest to `factor`.

        Multipliers are rounded, half to even; of shifts, the one whose time constant has the
        smallest ratio to the wanted one.
        """
        if self.decay is Decay.MULTIPLY:
            return np.asarray(np.clip(np.rint(factor * (1 << self.decay_bits)), low, high))
        shifts = np.arange(low, high + 1)
        with np.errstate(divide="ignore"):
            wanted = np.log(-np.log(np.clip(factor, 0.0, 1.0)))  # infinite at both ends
            offered = np.log(-np.log(self.factors(shifts)))
        ends = (-LONGEST, LONGEST)
        distance = np.abs(np.clip(wanted, *ends)[..., None] - np.clip(offered, *ends))
        return np.asarray(shifts[distance.argmin(axis=-1)], np.float64)

    def staying(self, decay: np.ndarray) -> Float[np.ndarray, "..."]:
        """Return the share of what arrives at a current that its step ends with."""
        return self.factors(decay) if self.order is Order.ADD_FIRST else np.ones(np.shape(decay))

    def factor_text(self, decay: int) -> str:
        """Return the factor of a decay parameter as it is stored, such as 4000/4096."""
        if self.decay is Decay.MULTIPLY:
            return f"{decay}/{1 << self.decay_bits}"
        return f"1 - 2**-{decay}"

    def decayed(self, value: Wholes, decay: np.ndarray) -> Wholes:
        """Return `value` after one step of decay by the parameter `decay`."""
        if self.decay is Decay.MULTIPLY:
            return scaled(value, decay, self.decay_bits)
        lost = value >> decay
        return value - np.where((lost == 0) & (value > 0), 1, lost)


def scaled(value: Wholes, multiplier: np.ndarray, bits: int) -> Wholes:
    """Return value * multiplier / 2**bits, rounded toward zero."""
    product = value * multiplier.astype(np.int64)
    return np.sign(product) * (np.abs(product) >> bits)


def rounded(value: Wholes, bits: int) -> Wholes:
    """Return value / 2**bits, rounded to the nearest; half upwards."""
    return (value + ((1 << bits) >> 1)) >> bits
