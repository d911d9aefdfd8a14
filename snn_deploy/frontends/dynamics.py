"""What NIR leaves open about a neuron and a network: the choices, and who made each.

NIR gives differential equations. A network computes difference equations, and frameworks make
them in different ways; a `Dynamics` says which way, for one neuron node.
"""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from snn_deploy.errors import OptionError
from snn_deploy.ir.codecs import EncodingChanges
from snn_deploy.ir.neuron import Compare, Decode, Fires, ResetKind, When

T = TypeVar("T")


class Origin(Enum):
    """Who decided what the file does not say."""

    METADATA = "metadata"
    """Our own metadata in the file."""

    MODULE = "module"
    """The attributes of a framework's module that was read directly."""

    DIALECT = "dialect"
    """The dialect that the user named."""

    GUESSED = "guessed"
    """Nobody: the likeliest choice was taken."""

    OVERRIDE = "override"
    """An option of the user for this one thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Generic[T]):
    """A value and who decided it."""

    value: T
    origin: Origin


class Integration(Enum):
    """How the leak of one step follows from a time constant."""

    EULER = "euler"
    """decay = 1 - dt / tau"""

    EXPONENTIAL = "exponential"
    """decay = exp(-dt / tau)"""


class Gain(Enum):
    """The factor on what enters a state in one step; p is NIR's parameter, `r` or `w_in`."""

    INTEGRATED = "integrated"
    """(1 - decay) * p, the differential equation; dt * p where nothing leaks."""

    UNSCALED = "unscaled"
    """p: the input is an impulse that makes the state jump."""

    DECAYED = "decayed"
    """decay * p: the jump comes first, then the decay of this step."""

    IMPULSE = "impulse"
    """dt / tau * p / decay: a jump by one, if p was written as tau / dt * decay."""

    ONE = "one"
    """1: the framework ignores p."""


class ResetRule(Enum):
    """What a spike does to the membrane, and when; the words of `--reset`."""

    NONE = "none"
    VALUE = "value"
    """To NIR's `v_reset`, in the step of the spike."""

    SUBTRACT = "subtract"
    """By the threshold, in the step of the spike."""

    LATE_VALUE = "late-value"
    """To `v_reset` in the next step, after its leak and input: that input is dropped."""

    LATE_SUBTRACT = "late-subtract"
    """By the threshold in the next step, after its leak and input."""

    @property
    def kind(self) -> ResetKind:
        """What the reset does."""
        if self is ResetRule.NONE:
            return ResetKind.NONE
        subtracts = self in (ResetRule.SUBTRACT, ResetRule.LATE_SUBTRACT)
        return ResetKind.SUBTRACT if subtracts else ResetKind.VALUE

    @property
    def when(self) -> When:
        """When it does it."""
        late = self in (ResetRule.LATE_VALUE, ResetRule.LATE_SUBTRACT)
        return When.NEXT if late else When.NOW


class Unit(Enum):
    """What NIR's time constants and delays are counted in."""

    SECOND = "second"
    STEP = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """How a neuron fires."""

    reset: Choice[ResetRule]
    compare: Choice[Compare]
    fires: Choice[Fires]
    max_spikes: Choice[int]
    """Most spikes of one step; 1 unless `fires` is COUNT."""

    floor: Choice[float | None]
    """Lowest membrane after a reset; None: there is none."""

    late: Choice[int]
    """Steps between crossing the threshold and sending the spike [steps]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """How one neuron node of NIR becomes a difference equation."""

    integration: Choice[Integration]
    membrane_gain: Choice[Gain]
    current_gain: Choice[Gain]
    """Of the synaptic current of CubaLI and CubaLIF; unused elsewhere."""

    firing: Firing | None
    """None for nodes that never fire: I, LI, CubaLI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Things the user states one by one, whatever file and dialect say; None leaves it to them."""

    dt: float | None = None
    """Length of a step, in the unit of the file's time constants."""

    reset: ResetRule | None = None
    compare: Compare | None = None
    floor: float | None = None
    """Lowest membrane after a reset; minus infinity: none."""

    decode: Decode | None = None
    """How every output is read."""

    encoding: EncodingChanges = field(default_factory=EncodingChanges)

    def __post_init__(self) -> None:
        if self.dt is not None and not (math.isfinite(self.dt) and self.dt > 0):
            raise OptionError(
                f"dt is {self.dt:g}, but a step takes a positive, finite time",
                where="--dt",
                fix="--dt 1e-3, or whatever the network was trained with",
            )
        if self.floor is not None and (math.isnan(self.floor) or self.floor == math.inf):
            raise OptionError(
                f"floor is {self.floor:g}, but the lowest membrane is a number",
                where="--floor",
                fix="--floor=-1, or --floor=-inf for none",
            )
