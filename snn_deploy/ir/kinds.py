"""Neurons outside the canonical family: what every kind of them is, and what it says of itself.

A kind is a frozen dataclass with the parameters of its neurons, arrays that broadcast to the
population's shape. Its docstring is its step, for whole numbers; `scaled` and `rounded` are those
of `ir/arithmetic.py`. How simulators compute it stands with them.

The kinds here are those of lava-nc 0.10.0 with fixed-point models (proc/atrlif, proc/rf,
proc/rf_iz, proc/sdn), bit for bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

import numpy as np
from jaxtyping import Int

from snn_deploy.errors import DynamicsError
from snn_deploy.ir.arithmetic import MOST_DECAY_BITS, Overflow, Register
from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.neuron import State

Whole = Int[np.ndarray, "..."]

WORD = Register(bits=32, overflow=Overflow.WRAP)
"""Holds the states that no register of the chip's arithmetic is stated for."""


def _zero() -> np.ndarray:
    return np.zeros((), WHOLE)


class NeuronKind:
    """A kind of neuron with a step of its own."""

    __slots__ = ()

    tag: ClassVar[str]
    """Its name in program files and texts."""

    states: ClassVar[frozenset[State]]
    """The states that its neurons have."""

    entry: ClassVar[State]
    """The state that a projection drives where it states none."""

    entries: ClassVar[frozenset[State]]
    """The states that projections may drive."""

    @property
    def initial(self) -> Mapping[State, np.ndarray]:
        """States before the first step; those that are not here are 0."""
        return {}

    def payload_range(self, membrane: Register) -> tuple[int, int]:
        """Return the smallest and the largest number that a neuron sends.

        Args:
            membrane: The register of membranes.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive(NeuronKind):
    """A leaky neuron whose threshold and refraction grow with its spikes: Lava's ATRLIF.

    Per step, with a the sum that arrives:

        i = scaled(i, current_decay) + a                             held as a current
        v = scaled(v, decay) + i + bias                              held as a membrane
        theta = scaled(theta - base, threshold_decay) + base         held in 32 bits, as is r
        r = scaled(r, refraction_decay)
        s = v - r >= theta
        r = r + 2 theta, then theta = theta + increase               where s

    The membrane is not reset.
    """

    tag: ClassVar[str] = "adaptive"
    states: ClassVar[frozenset[State]] = frozenset(
        {State.CURRENT, State.MEMBRANE, State.THRESHOLD, State.REFRACTION, State.PAYLOAD}
    )
    entry: ClassVar[State] = State.CURRENT
    entries: ClassVar[frozenset[State]] = frozenset({State.CURRENT})

    current_decay: Whole
    """Multipliers of 1 / 2**decay_bits, this and the next three."""

    decay: Whole
    threshold_decay: Whole
    refraction_decay: Whole
    base: Whole
    """Threshold at rest, and before the first step."""

    increase: Whole
    """What a spike adds to the threshold."""

    bias: Whole = field(default_factory=_zero)
    initial_current: Whole = field(default_factory=_zero)
    initial_membrane: Whole = field(default_factory=_zero)
    initial_refraction: Whole = field(default_factory=_zero)

    @property
    def initial(self) -> Mapping[State, np.ndarray]:
        """States before the first step."""
        return {
            State.CURRENT: self.initial_current,
            State.MEMBRANE: self.initial_membrane,
            State.THRESHOLD: self.base,
            State.REFRACTION: self.initial_refraction,
        }

    def payload_range(self, membrane: Register) -> tuple[int, int]:
        """Return 0 and 1."""
        return 0, 1


class Resonance(Enum):
    """When a resonator fires, and what a spike does."""

    CROSSING = "crossing"
    """Where the imaginary part turns from negative to not negative, with the real part at or above
    the threshold; nothing is reset: Lava's RF."""

    LEVEL = "level"
    """Where the imaginary part is at or above the threshold; then the real part becomes 0 and the
    imaginary one threshold - 1: Lava's RF_IZ (Izhikevich)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resonator(NeuronKind):
    """A damped oscillator that fires: resonate-and-fire (Izhikevich 2001).

    Per step, with a and b the sums that arrive at the real and the imaginary part, and
    scaled(x, m) = sign(x m) * (|x m| >> decay_bits):

        re = scaled(re, cosine) - scaled(im, sine) + a               both held as membranes,
        im = scaled(re, sine) + scaled(im, cosine) + b               re the old one
        s, re, im: see `Resonance`
    """

    tag: ClassVar[str] = "resonator"
    states: ClassVar[frozenset[State]] = frozenset({State.MEMBRANE, State.IMAGINARY, State.PAYLOAD})
    entry: ClassVar[State] = State.MEMBRANE
    entries: ClassVar[frozenset[State]] = frozenset({State.MEMBRANE, State.IMAGINARY})

    cosine: Whole
    """(1 - damping) * cos(2 pi / period), times 2**decay_bits."""

    sine: Whole
    threshold: Whole
    fires_at: Resonance = Resonance.CROSSING
    decay_bits: int = 12
    """Fraction bits of `cosine` and `sine`, whatever the program's are."""

    initial_real: Whole = field(default_factory=_zero)
    initial_imaginary: Whole = field(default_factory=_zero)

    def __post_init__(self) -> None:
        if not 0 <= self.decay_bits <= MOST_DECAY_BITS:
            raise DynamicsError(
                f"decays of {self.decay_bits} fraction bits; they have 0 to {MOST_DECAY_BITS}"
            )

    @property
    def initial(self) -> Mapping[State, np.ndarray]:
        """States before the first step."""
        return {State.MEMBRANE: self.initial_real, State.IMAGINARY: self.initial_imaginary}

    def payload_range(self, membrane: Register) -> tuple[int, int]:
        """Return 0 and 1."""
        return 0, 1


class Activation(Enum):
    """What a sigma-delta neuron makes of the sum that it has decoded."""

    UNIT = "unit"
    RELU = "relu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigma(NeuronKind):
    """A decoder of changes: sends the sum of all that ever arrived. Lava's Sigma.

    sigma = sigma + a                                            held in 32 bits
    payload = sigma
    """

    tag: ClassVar[str] = "sigma"
    states: ClassVar[frozenset[State]] = frozenset({State.SIGMA, State.PAYLOAD})
    entry: ClassVar[State] = State.SIGMA
    entries: ClassVar[frozenset[State]] = frozenset({State.SIGMA})

    initial_sigma: Whole = field(default_factory=_zero)

    @property
    def initial(self) -> Mapping[State, np.ndarray]:
        """States before the first step."""
        return {State.SIGMA: self.initial_sigma}

    def payload_range(self, membrane: Register) -> tuple[int, int]:
        """Return the ends of 32 bits."""
        return WORD.low, WORD.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta(NeuronKind):
    """An encoder of changes: sends how far its input moved, once that is enough. Lava's Delta.

    Per step, with x what arrives; all states are held in 32 bits:

        d = x - activation + residue
        out = d if |d| >= threshold else 0                           not cumulative
        error = error + d; out = d if |error| >= threshold else 0    cumulative, and then
        error = 0                                                    where out is not 0
        residue = d - out, activation = x
        payload = out >> payload_shift                               floor; those bits are lost
    """

    tag: ClassVar[str] = "delta"
    states: ClassVar[frozenset[State]] = frozenset(
        {State.ACTIVATION, State.RESIDUE, State.ERROR, State.PAYLOAD}
    )
    entry: ClassVar[State] = State.ACTIVATION
    entries: ClassVar[frozenset[State]] = frozenset({State.ACTIVATION})

    threshold: Whole
    payload_shift: int = 0
    cumulative: bool = False

    def __post_init__(self) -> None:
        _check_shift(self.payload_shift)

    def payload_range(self, membrane: Register) -> tuple[int, int]:
        """Return the ends of 32 bits, shifted."""
        return WORD.low >> self.payload_shift, WORD.high >> self.payload_shift


@dataclass(frozen=True, slots=True, kw_only=True)
class SigmaDelta(NeuronKind):
    """A decoder, an activation and an encoder of changes in one. Lava's SigmaDelta.

    Per step, with a the sum that arrives; all states are held in 32 bits:

        sigma = sigma + a
        x = sigma + bias, or 0 where that is negative and it is a RELU
        the rest as `Delta` does
    """

    tag: ClassVar[str] = "sigma-delta"
    states: ClassVar[frozenset[State]] = frozenset(
        {State.SIGMA, State.ACTIVATION, State.RESIDUE, State.ERROR, State.PAYLOAD}
    )
    entry: ClassVar[State] = State.SIGMA
    entries: ClassVar[frozenset[State]] = frozenset({State.SIGMA})

    threshold: Whole
    bias: Whole = field(default_factory=_zero)
    activation: Activation = Activation.RELU
    payload_shift: int = 0
    cumulative: bool = False
    initial_sigma: Whole = field(default_factory=_zero)

    def __post_init__(self) -> None:
        _check_shift(self.payload_shift)

    @property
    def initial(self) -> Mapping[State, np.ndarray]:
        """States before the first step."""
        return {State.SIGMA: self.initial_sigma}

    def payload_range(self, membrane: Register) -> tuple[int, int]:
        """Return the ends of 32 bits, shifted."""
        return WORD.low >> self.payload_shift, WORD.high >> self.payload_shift


def _check_shift(shift: int) -> None:
    if not 0 <= shift < WORD.bits:
        raise DynamicsError(f"a payload shifted by {shift} bits; it is 0 to {WORD.bits - 1}")


KINDS: dict[str, type[NeuronKind]] = {
    kind.tag: kind for kind in (Adaptive, Resonator, Sigma, Delta, SigmaDelta)
}
"""All kinds, by tag."""
