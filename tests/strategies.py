"""Random integer programs that do something: the test material of every backend.

`random_program` draws a `Program` with its inputs from a seeded numpy generator, and then moves
each population's thresholds until it is neither silent nor always on. `programs` wraps it for
Hypothesis. `statistics` counts what was drawn, so that a test can prove that nothing is missing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from math import prod
from typing import TypeVar
from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st
from jaxtyping import config

from snn_deploy.backends import reference
from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.protocol import Backend
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.graph import lags
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Shape, Sparse, to_sparse
from snn_deploy.ir.network import Output
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
from snn_deploy.ir.program import (
    Bias,
    Binary,
    Current,
    Floor,
    Input,
    Population,
    Program,
    Projection,
    Reset,
    Role,
    Sign,
)
from snn_deploy.ir.trace import COUNTS, Values
from snn_deploy.targets import find_target


class Trait(Enum):
    """Something that a program may have; each is drawn, counted and can be forbidden."""

    DENSE = "dense"
    SPARSE = "sparse"
    CONVOLUTION = "convolution"
    POOL = "pool"
    STRIDE = "stride"
    ASYMMETRIC_PADDING = "asymmetric padding"
    DILATION = "dilation"
    GROUPS = "groups"
    SELF_LOOP = "self loop"
    LONG_LOOP = "long loop"
    FAN_IN = "fan-in"
    ONE_SIGNED = "one-signed weights"
    SCALAR_DELAY = "scalar delay"
    SOURCE_DELAY = "delay per source"
    WEIGHT_DELAY = "delay per weight"
    KERNEL_DELAY = "convolution with several delays"
    RESET_NONE = "no reset"
    RESET_VALUE_NOW = "reset to a value now"
    RESET_VALUE_NEXT = "reset to a value late"
    RESET_SUBTRACT_NOW = "subtract now"
    RESET_SUBTRACT_NEXT = "subtract late"
    GREATER = ">"
    GREATER_EQUAL = ">="
    BINARY = "binary"
    COUNT = "count"
    READOUT = "readout"
    FLOOR_BEFORE_TEST = "floor before test"
    FLOOR_AFTER_RESET = "floor after reset"
    CURRENT = "current"
    NO_CURRENT = "no current"
    OLD_CURRENT = "old current"
    MEMBRANE_BIAS = "bias on membrane"
    CURRENT_BIAS = "bias on current"
    LATE_BIAS = "bias with a later start"
    INITIAL_MEMBRANE = "initial membrane"
    INITIAL_CURRENT = "initial current"
    LAG = "lag"
    ZERO_DELAY = "zero delay"
    PER_CHANNEL = "per channel"
    PER_NEURON = "per neuron"
    GRADED_INPUT = "graded input"
    SIGNED_INPUT = "signed input"
    SEVERAL_INPUTS = "several inputs"
    SEVERAL_OUTPUTS = "several outputs"
    CLOCK = "clock"
    RELAY = "relay"
    ON_THRESHOLD = "v on the threshold"
    SATURATION = "v saturates"
    WRAP = "u wraps"


class Formats(Enum):
    """Which numbers a program may hold."""

    ANY = "any"
    LOIHI = "loihi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What random programs may have."""

    formats: Formats
    allowed: frozenset[Trait] = frozenset(Trait)

    def without(self, *traits: Trait) -> "Features":
        """Return the same, with `traits` forbidden: none is drawn, save what a graph implies.

        A loop makes fan-in, a relay is sparse, retiming gives lags, a pool has groups.
        """
        return replace(self, allowed=self.allowed - set(traits))

    def including(self, *traits: Trait) -> "Features":
        """Return the same, with `traits` allowed too."""
        return replace(self, allowed=self.allowed | set(traits))


ANYTHING = Features(formats=Formats.ANY)
"""Everything that the type `Program` allows."""

LOIHI = Features(formats=Formats.LOIHI).without(
    Trait.ZERO_DELAY, Trait.OLD_CURRENT, Trait.CURRENT_BIAS, Trait.LATE_BIAS
)
"""What the target loihi2 lists, natively or in simulation, in its number formats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large a random program is."""

    populations: int
    """Populations besides clocks and relays, 1 or more."""

    neurons: int
    """Neurons of a population without channels, at most."""

    extent: int
    """Height and width of inputs with channels, at most; at least 3."""

    samples: int
    steps: int

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Sizes":
        """Return sizes of which none is a bother to run."""
        return cls(
            populations=int(rng.integers(1, 5)),
            neurons=int(rng.integers(2, 17)),
            extent=int(rng.integers(3, 8)),
            samples=int(rng.integers(1, 4)),
            steps=int(rng.integers(16, 33)),
        )


Case = tuple[Program, tuple[Values, ...]]
Choice = TypeVar("Choice")

ACTIVE = (0.02, 0.60)
"""Share of neuron-steps with a spike that counts as active."""

_AIM = (0.04, 0.45)
_TUNING_ROUNDS = 14
_LARGEST_DELAY = 6
_SPIKING_SHARE = 0.15
"""Guess of a population's activity, before any trial run."""


@contextmanager
def unchecked() -> Iterator[None]:
    """Switch the type checks of the test run off: for what runs in bulk, and elsewhere checked.

    They cost ten times what they check, and they draw random numbers, which Hypothesis forbids.
    """
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)


def random_program(
    rng: np.random.Generator, features: Features = ANYTHING, sizes: Sizes | None = None
) -> Case:
    """Return a random program and integer inputs [sample, step, *shape] that make it active.

    Equal states of `rng` give equal programs.
    """
    with unchecked():
        draft = _Draft(rng, features, sizes or Sizes.random(rng))
        draft.grow()
        program = draft.program()
        inputs = draft.inputs()
        return _tuned(draft, program, inputs), inputs


@st.composite
def programs(draw: st.DrawFn, features: Features = ANYTHING) -> Case:
    """Draw an active random program with inputs; sizes shrink, the seed holds the rest."""
    sizes = Sizes(
        populations=draw(st.integers(1, 4)),
        neurons=draw(st.integers(1, 16)),
        extent=draw(st.integers(3, 7)),
        samples=draw(st.integers(1, 3)),
        steps=draw(st.integers(4, 32)),
    )
    seed = draw(st.integers(0, 2**32 - 1))
    return random_program(np.random.default_rng(seed), features, sizes)


@dataclass(slots=True, kw_only=True)
class _Neurons:
    """A population whose thresholds are not final: all potentials are in units of `scale`."""

    base: Population
    """Everything that has no unit of potential."""

    grid: int
    """Potentials are multiples of this."""

    threshold: np.ndarray
    amount: np.ndarray
    initial: np.ndarray
    current_initial: np.ndarray
    floor: tuple[np.ndarray, FloorWhen] | None
    biases: tuple[tuple[np.ndarray, State, int], ...]
    scale: float = 0.0
    """State units; 0: not yet chosen."""

    tuned: bool = True
    factor: float = 3.0
    direction: int = 0
    silent_rounds: int = 0


class _Draft:
    """A program in the making."""

    def __init__(self, rng: np.random.Generator, features: Features, sizes: Sizes) -> None:
        self.rng = rng
        self.features = features
        self.sizes = sizes
        self.loihi = features.formats is Formats.LOIHI
        self.arithmetic = self._arithmetic()
        self.retimed = not self.may(Trait.ZERO_DELAY, 0.5)
        self.extreme = self.chance(0.35)
        self.sources: list[Input] = []
        self.neurons: list[_Neurons] = []
        self.projections: list[Projection] = []
        self.outputs: list[Output] = []
        self.free_lags: dict[str, int] = {}

    # -- small draws ------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def may(self, trait: Trait, probability: float) -> bool:
        """Return whether to use a trait: never where it is forbidden."""
        wanted = self.chance(probability)
        return wanted and trait in self.features.allowed

    def pick(self, weights: Mapping[Choice, float]) -> Choice:
        share = np.array(list(weights.values()))
        return list(weights)[int(self.rng.choice(len(share), p=share / share.sum()))]

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def parameter(self, shape: Shape, draw: Callable[[Shape], np.ndarray]) -> np.ndarray:
        """Return a parameter: one number, one per channel, or one per neuron."""
        if len(shape) == 3 and self.may(Trait.PER_CHANNEL, 0.15):
            return draw((shape[0], 1, 1))
        return np.asarray(draw(shape if self.may(Trait.PER_NEURON, 0.12) else ()))

    def _arithmetic(self) -> Arithmetic:
        if self.loihi or self.chance(0.5):
            return find_target("loihi2").arithmetic
        if self.chance(0.5):
            return find_target("cpu").arithmetic

        def register() -> Register:
            return Register(
                bits=self.whole(14, 32),
                overflow=(Overflow.WRAP_ONCE, Overflow.SATURATE)[self.whole(0, 1)],
            )

        return Arithmetic(current=register(), membrane=register(), decay_bits=self.whole(4, 14))

    # -- the graph --------------------------------------------------------------------------

    def grow(self) -> None:
        """Draw inputs, populations and projections."""
        for index in range(2 if self.may(Trait.SEVERAL_INPUTS, 0.25) else 1):
            self._add_input(f"in{index}")
        for index in range(self.sizes.populations):
            self._add_population(f"p{index}", last=index == self.sizes.populations - 1)
            if self.may(Trait.RELAY, 0.12):
                self._add_relay(f"relay{index}")
        for entry in self.sources[1:]:
            self._connect(entry.name, self.neurons[0].base.name)
        for index, neurons in enumerate(self.neurons):
            name = neurons.base.name
            if neurons.base.fires is not Fires.NEVER and self.may(Trait.SELF_LOOP, 0.2):
                self._connect(name, name, minimum=1)
            if index and self.may(Trait.LONG_LOOP, 0.15):
                self._close_loop(index)
            if self.may(Trait.FAN_IN, 0.25):
                self._connect(self._earlier(index), name)
        if self.may(Trait.CLOCK, 0.15):
            self._add_clock()
        self._add_outputs()
        if not self.retimed and self.may(Trait.LAG, 0.3):
            self.free_lags = {n.base.name: self.whole(0, 4) for n in self.neurons}

    def _add_input(self, name: str) -> None:
        low, high = 0, 1
        if self.may(Trait.GRADED_INPUT, 0.25):
            high = int(self.rng.choice([3, 7, 100]))
        if self.may(Trait.SIGNED_INPUT, 0.25):
            low = -high
        if self.chance(0.6):
            channels = self.whole(1, 3)
            extent = self.sizes.extent
            shape: Shape = (channels, self.whole(3, extent), self.whole(3, extent))
        else:
            shape = (self.whole(1, self.sizes.neurons + 4),)
        unit = Binary.of(float(self.rng.choice([1.0, 0.25, 0.1])))
        self.sources.append(Input(name=name, shape=shape, low=low, high=high, unit=unit))

    def _shape_of(self, name: str) -> Shape:
        for entry in self.sources:
            if entry.name == name:
                return entry.shape
        return next(n.base.shape for n in self.neurons if n.base.name == name)

    def _earlier(self, index: int) -> str:
        """Return an input or a spiking population before the one at `index`."""
        spiking = [n.base.name for n in self.neurons[:index] if n.base.fires is not Fires.NEVER]
        if spiking and self.chance(0.75):
            return spiking[-1] if self.chance(0.7) else spiking[self.whole(0, len(spiking) - 1)]
        return self.sources[self.whole(0, len(self.sources) - 1)].name

    def _add_population(self, name: str, *, last: bool) -> None:
        source = self._earlier(len(self.neurons))
        fires = self._fires(last)
        extreme = self.extreme and (last or self.chance(0.3))
        linear = self._map(self._shape_of(source), None, excited=True, extreme=extreme)
        shape = linear.out_shape
        if len(shape) == 3 and self.chance(0.2):
            shape = (prod(shape),)
        self.neurons.append(self._neurons(name, shape, fires, extreme))
        self._join(source, name, linear, minimum=0, extreme=extreme)

    def _fires(self, last: bool) -> Fires:
        if last and self.may(Trait.READOUT, 0.25):
            return Fires.NEVER
        return Fires.COUNT if self.may(Trait.COUNT, 0.2) else Fires.BINARY

    def _connect(self, source: str, target: str, minimum: int = 0) -> None:
        linear = self._map(self._shape_of(source), self._shape_of(target), excited=False)
        self._join(source, target, linear, minimum=minimum)

    def _close_loop(self, index: int) -> None:
        """Join the population at `index` to an earlier one, late enough for any retiming."""
        if self.neurons[index].base.fires is Fires.NEVER:
            return
        target = self.neurons[self.whole(0, index - 1)].base.name
        minimum = len(self.neurons) + 1 if self.retimed else 1
        self._connect(self.neurons[index].base.name, target, minimum=minimum)

    def _add_relay(self, name: str) -> None:
        """Repeat a population one step later, and send that to the next one."""
        source = self.neurons[-1].base
        if source.fires is not Fires.BINARY:
            return
        relay = Population(
            name=name, shape=source.shape, decay=_one(1), threshold=_one(0), role=Role.RELAY,
            reset=Reset(kind=ResetKind.VALUE),
        )  # fmt: skip
        self.neurons.append(_fixed(relay))
        each = np.arange(source.size)
        linear = Sparse(
            post=each, pre=each, weight=np.ones(source.size, np.int32),
            post_shape=source.shape, pre_shape=source.shape,
        )  # fmt: skip
        self.projections.append(
            Projection(
                name=f"{source.name}>{name}", source=source.name, target=name, map=linear,
                shift=6, delay=_one(1), sign=Sign.EXCITATORY,
            )
        )  # fmt: skip

    def _add_clock(self) -> None:
        """Add a neuron that fires in every step and carries a bias into another population."""
        target = self.neurons[self.whole(0, len(self.neurons) - 1)]
        clock = Population(
            name="clock", shape=(1,), decay=_one(1), threshold=_one(0), role=Role.CLOCK,
            reset=Reset(kind=ResetKind.VALUE), biases=(Bias(value=_one(64)),),
        )  # fmt: skip
        self.neurons.append(_fixed(clock))
        weight = 2 * self.rng.integers(-4, 9, (target.base.size, 1))
        self.projections.append(
            Projection(
                name=f"clock>{target.base.name}", source="clock", target=target.base.name,
                map=Dense(weight=weight.astype(np.int32)), shift=6 if self.loihi else 2,
            )
        )  # fmt: skip

    def _add_outputs(self) -> None:
        chosen = [self.neurons[self.sizes.populations - 1].base]
        if self.may(Trait.SEVERAL_OUTPUTS, 0.15) and len(self.neurons) > 1:
            chosen = [n.base for n in self.neurons[:2]]
        for index, base in enumerate(chosen):
            spiking = base.fires is not Fires.NEVER
            decode = Decode.COUNT if spiking else Decode.MEMBRANE_MAX
            self.outputs.append(Output(name=f"out{index}", population=base.name, decode=decode))

    # -- maps -------------------------------------------------------------------------------

    def _map(
        self, source: Shape, target: Shape | None, *, excited: bool, extreme: bool = False
    ) -> LinearMap:
        """Return a random map that reads `source`, and gives `target` where that is fixed."""
        linear = self._shaped(source, target)
        kind = Sign.MIXED
        if self.may(Trait.ONE_SIGNED, 0.25):
            kind = Sign.EXCITATORY if excited or self.chance(0.5) else Sign.INHIBITORY
        count = linear.numbers().shape
        if isinstance(linear, Convolution) and _constant(linear):
            weight = np.broadcast_to(np.abs(self._weights((1,), kind, excited, extreme)), count)
            return linear.with_numbers(np.maximum(weight, 1))
        return linear.with_numbers(self._weights(count, kind, excited, extreme))

    def _weights(self, shape: Shape, kind: Sign, excited: bool, extreme: bool) -> np.ndarray:
        if extreme:
            weight = self.rng.choice([128, 128, 128, 64, 2, 254, -128, -256], shape)
        else:
            limit = int(self.rng.choice([4, 30, 120] if self.loihi else [3, 20, 127, 500]))
            weight = 2 * self.rng.integers(-(limit // 2) - 1, limit // 2 + 1, shape)
            if not self.loihi or kind is not Sign.MIXED:
                weight += self.rng.integers(0, 2, shape)
            weight = np.where(excited & (self.rng.random(shape) < 0.6), np.abs(weight), weight)
        if kind is Sign.EXCITATORY:
            weight = np.abs(weight)
        if kind is Sign.INHIBITORY:
            weight = -np.abs(weight)
        if self.loihi and (weight.min(initial=0) >= 0 or weight.max(initial=0) <= 0):
            weight = np.clip(weight, -255, 255)  # only a matrix of both signs stores -256
        return weight.astype(np.int32)

    def _shaped(self, source: Shape, target: Shape | None) -> LinearMap:
        """Return a map of the right shapes; its weights say only whether it is a pool."""
        kinds: dict[Trait, float] = {Trait.DENSE: 0.35, Trait.SPARSE: 0.25}
        if target is None or _same_extent(source, target):
            kinds[Trait.CONVOLUTION] = 0.5 if len(source) == 3 else 0.15
        if target is None and len(source) == 3:
            kinds[Trait.POOL] = 0.25
        kind = self.pick({k: p for k, p in kinds.items() if k in self.features.allowed})
        if kind is Trait.CONVOLUTION:
            return self._convolution(source) if target is None else self._same(source, target)
        if kind is Trait.POOL:
            return self._pool(source)
        out = target if target is not None else self._any_shape()
        if kind is Trait.DENSE:
            return Dense(weight=np.zeros((prod(out), prod(source)), np.int32))
        return self._sparse(source, out)

    def _any_shape(self) -> Shape:
        if self.chance(0.3):
            return (self.whole(1, 3), self.whole(1, 3), self.whole(1, 3))
        return (self.whole(1, self.sizes.neurons),)

    def _sparse(self, source: Shape, out: Shape) -> Sparse:
        size = prod(source)
        there = self.rng.random(prod(out) * size) < self.rng.uniform(0.15, 0.7)
        post, pre = np.divmod(np.flatnonzero(there), size)
        return Sparse(
            post=post, pre=pre, weight=np.zeros(post.size, np.int32),
            post_shape=out, pre_shape=source,
        )  # fmt: skip

    def _padding(self, most: int) -> tuple[int, int, int, int]:
        top, left = self.whole(0, most), self.whole(0, most)
        if self.may(Trait.ASYMMETRIC_PADDING, 0.5):
            return (top, self.whole(0, most), left, self.whole(0, most))
        return (top, top, left, left)

    def _convolution(self, source: Shape) -> Convolution:
        channels, height, width = source if len(source) == 3 else (1, 1, prod(source))
        reach = (min(3, height), min(3, width))
        kernel = (self.whole(1, reach[0]), self.whole(1, reach[1]))
        dilation = [1, 1]
        for axis, extent in enumerate((height, width)):
            if 2 * (kernel[axis] - 1) + 1 <= extent and self.may(Trait.DILATION, 0.4):
                dilation[axis] = 2
        stride = [2 if self.may(Trait.STRIDE, 0.35) else 1 for _ in range(2)]
        groups = channels if self.may(Trait.GROUPS, 0.35) else 1
        out = groups * self.whole(1, max(1, 4 // groups))
        return Convolution(
            weight=np.zeros((out, channels // groups, *kernel), np.int32),
            source=(channels, height, width),
            stride=(stride[0], stride[1]),
            padding=self._padding(2 if len(source) == 3 else 0),
            dilation=(dilation[0], dilation[1]),
            groups=groups,
        )

    def _same(self, source: Shape, target: Shape) -> Convolution:
        """Return a convolution that keeps height and width."""
        side = int(self.rng.choice([1, 3]))
        groups = source[0] if target[0] % source[0] == 0 and self.may(Trait.GROUPS, 0.3) else 1
        weight = np.zeros((target[0], source[0] // groups, side, side), np.int32)
        margin = side // 2
        shape = (source[0], source[1], source[2])
        return Convolution(weight=weight, source=shape, padding=(margin,) * 4, groups=groups)

    def _pool(self, source: Shape) -> Convolution:
        channels, height, width = source
        side = min(self.whole(2, 3), height, width)
        stride = self.whole(1, side) if Trait.STRIDE in self.features.allowed else 1
        return Convolution(
            weight=np.ones((channels, 1, side, side), np.int32),
            source=(channels, height, width),
            stride=(stride, stride),
            padding=self._padding(1) if self.chance(0.4) else (0, 0, 0, 0),
            groups=channels,
        )

    # -- projections ------------------------------------------------------------------------

    def _join(
        self, source: str, target: str, linear: LinearMap, *, minimum: int, extreme: bool = False
    ) -> None:
        name = f"{source}>{target}"
        if any(p.name == name for p in self.projections):
            return
        self.projections.append(
            Projection(
                name=name,
                source=source,
                target=target,
                map=linear,
                shift=self._shift(source, linear, extreme),
                delay=self._delay(linear, minimum),
                sign=_sign(linear.numbers(), self.loihi),
            )
        )

    def _shift(self, source: str, linear: LinearMap, extreme: bool) -> int:
        """Return a shift with which the sum stays within four times its register."""
        bits = min(self.arithmetic.current.bits, self.arithmetic.membrane.bits)
        low = 6 if self.loihi else 0
        wanted = bits - 11 if extreme else low + self.whole(0, 2 if self.loihi else 6)
        sums = np.zeros(linear.out_size, np.int64)
        sparse = to_sparse(linear)
        np.add.at(sums, sparse.post, np.abs(sparse.weight.astype(np.int64)))
        largest = int(sums.max(initial=0)) * self._highest(source)
        room = bits + 2 - largest.bit_length() if extreme else bits - 2 - largest.bit_length()
        return max(low, min(wanted, room, 13 if self.loihi else 30))

    def _highest(self, source: str) -> int:
        for entry in self.sources:
            if entry.name == source:
                return max(abs(entry.low), entry.high)
        return next(n.base.highest_payload for n in self.neurons if n.base.name == source)

    def _delay(self, linear: LinearMap, minimum: int) -> np.ndarray:
        shapes: dict[Shape, float] = {(): 0.3}
        several = not isinstance(linear, Convolution) or Trait.KERNEL_DELAY in self.features.allowed
        if several and Trait.SOURCE_DELAY in self.features.allowed:
            shapes[linear.in_size,] = 0.12
        if several and Trait.WEIGHT_DELAY in self.features.allowed:
            shapes[linear.numbers().shape] = 0.12
        late = Trait.SCALAR_DELAY in self.features.allowed
        if not late or self.chance(0.35):
            return _one(minimum)
        most = minimum + (_LARGEST_DELAY if self.chance(0.9) else 20)
        delay = self.rng.integers(minimum, most + 1, self.pick(shapes))
        return np.asarray(np.minimum(delay, minimum + self.sizes.steps // 3), np.int32)

    # -- neurons ----------------------------------------------------------------------------

    def _neurons(self, name: str, shape: Shape, fires: Fires, extreme: bool) -> _Neurons:
        lattice = self.chance(0.4)
        grid = 64 if self.loihi or lattice else 1
        reset = self._reset_kind()

        def near(low: float, high: float, chance: float = 1.0) -> np.ndarray:
            if not self.chance(chance):
                return np.zeros(())
            return self.parameter(shape, lambda full: self.rng.uniform(low, high, full))

        current = self._current(shape, lattice, extreme)
        amount = near(0.6, 1.3, 0.4) if reset[0] is ResetKind.SUBTRACT else near(-0.5, 0.3, 0.4)
        if reset[0] is ResetKind.SUBTRACT and not amount.any():
            amount = np.ones(())
        base = Population(
            name=name, shape=shape, decay=self._membrane_decay(shape, lattice), current=current,
            fires=fires, max_spikes=self.whole(2, 8) if fires is Fires.COUNT else 1,
            compare=self._compare(), reset=Reset(kind=reset[0], when=reset[1]),
        )  # fmt: skip
        neurons = _Neurons(
            base=base,
            grid=grid,
            threshold=self.parameter(shape, lambda full: self.rng.uniform(0.7, 1.4, full)),
            amount=amount,
            initial=near(-0.5, 1.1, 0.25 * (Trait.INITIAL_MEMBRANE in self.features.allowed)),
            current_initial=near(-0.3, 0.6, 0.3 * self._may_start_with(current)),
            floor=self._floor(near),
            biases=self._biases(near, current is not None, extreme),
        )
        if extreme:
            half = 1 << (self.arithmetic.membrane.bits - 1)
            neurons.scale = half * self.rng.uniform(0.3, 0.99)
            neurons.tuned = self.chance(0.5)
        return neurons

    def _reset_kind(self) -> tuple[ResetKind, When]:
        kinds = {
            Trait.RESET_NONE: (ResetKind.NONE, When.NOW),
            Trait.RESET_VALUE_NOW: (ResetKind.VALUE, When.NOW),
            Trait.RESET_VALUE_NEXT: (ResetKind.VALUE, When.NEXT),
            Trait.RESET_SUBTRACT_NOW: (ResetKind.SUBTRACT, When.NOW),
            Trait.RESET_SUBTRACT_NEXT: (ResetKind.SUBTRACT, When.NEXT),
        }
        return self.pick({v: 1.0 for k, v in kinds.items() if k in self.features.allowed})

    def _compare(self) -> Compare:
        return Compare.GREATER_EQUAL if self.may(Trait.GREATER_EQUAL, 0.4) else Compare.GREATER

    def _floor(self, near: Callable[..., np.ndarray]) -> tuple[np.ndarray, FloorWhen] | None:
        when = {
            FloorWhen.BEFORE_TEST: Trait.FLOOR_BEFORE_TEST,
            FloorWhen.AFTER_RESET: Trait.FLOOR_AFTER_RESET,
        }
        chosen = list(FloorWhen)[self.whole(0, 1)]
        if not self.may(when[chosen], 0.35):
            return None
        return near(-0.8, 0.2, 0.6), chosen

    def _membrane_decay(self, shape: Shape, lattice: bool) -> np.ndarray:
        one = 1 << self.arithmetic.decay_bits
        if lattice:
            return _one(one)
        low = 1 if self.loihi else 0
        share = self.pick({(0.5, 0.99): 0.6, (0.0, 0.4): 0.2, (1.0, 1.0): 0.2})

        def draw(full: Shape) -> np.ndarray:
            return np.maximum(np.rint(self.rng.uniform(*share, full) * one), low).astype(np.int32)

        return self.parameter(shape, draw)

    def _current(self, shape: Shape, lattice: bool, extreme: bool) -> Current | None:
        wanted = 0.9 if extreme else 0.25 if lattice else 0.6
        forced = Trait.NO_CURRENT not in self.features.allowed
        if not (self.may(Trait.CURRENT, wanted) or forced):
            return None
        one = 1 << self.arithmetic.decay_bits
        high = one - 1 if self.loihi else one
        kept = {(0.1, 0.9): 0.2 if extreme else 0.7, (0.9, 1.0): 0.2, (0.0, 0.0): 0.1}
        share = (0.0, 0.0) if lattice and not extreme else self.pick(kept)

        def draw(full: Shape) -> np.ndarray:
            return np.minimum(np.rint(self.rng.uniform(*share, full) * one), high).astype(np.int32)

        reads = Reads.OLD if self.may(Trait.OLD_CURRENT, 0.35) else Reads.NEW
        return Current(decay=self.parameter(shape, draw), reads=reads)

    def _may_start_with(self, current: Current | None) -> bool:
        return current is not None and Trait.INITIAL_CURRENT in self.features.allowed

    def _biases(
        self, near: Callable[..., np.ndarray], has_current: bool, extreme: bool
    ) -> tuple[tuple[np.ndarray, State, int], ...]:
        size = 0.5 if extreme else 0.12
        biases = []
        for state, trait, probability in (
            (State.MEMBRANE, Trait.MEMBRANE_BIAS, 0.35),
            (State.CURRENT, Trait.CURRENT_BIAS, 0.3 * has_current),
        ):
            if self.may(trait, probability):
                late = self.may(Trait.LATE_BIAS, 0.5)
                start = self.whole(1, max(1, self.sizes.steps // 2)) if late else 0
                biases.append((near(-size / 3, size), state, start))
        return tuple(biases)

    # -- putting it together ----------------------------------------------------------------

    def program(self) -> Program:
        """Return the program with the present scales, retimed where it is to be."""
        for neurons in self.neurons:
            if not neurons.scale:
                neurons.scale = self._guess(neurons.base)
        program = Program(
            name="random",
            target="loihi2" if self.loihi else "cpu",
            arithmetic=self.arithmetic,
            inputs=tuple(self.sources),
            populations=tuple(_built(n, self) for n in self.neurons),
            projections=tuple(self.projections),
            outputs=tuple(self.outputs),
        )
        return _retimed(program) if self.retimed else _lagging(program, self.free_lags)

    def _guess(self, base: Population) -> float:
        """Return about what one step's input amounts to."""
        power = 0.0
        for projection in self.projections:
            if projection.target == base.name:
                sparse = to_sparse(projection.map)
                square = float(np.square(sparse.weight.astype(np.float64)).sum()) / base.size
                size = self._highest(projection.source) * 2.0**projection.shift
                power += _SPIKING_SHARE * square * size**2
        return max(1.0, 1.5 * power**0.5)

    def inputs(self) -> tuple[Values, ...]:
        """Return values for each input, more zeros than not."""
        return tuple(self._values(entry) for entry in self.sources)

    def _values(self, entry: Input) -> Values:
        full = (self.sizes.samples, self.sizes.steps, *entry.shape)
        values = self.rng.integers(entry.low, entry.high + 1, full)
        there = self.rng.random(full) < self.rng.uniform(0.1, 0.6)
        return Values(name=entry.name, values=(values * there).astype(np.int32))


def _one(number: int) -> np.ndarray:
    return np.asarray(number, np.int32)


def _fixed(base: Population) -> _Neurons:
    zero = np.zeros(())
    return _Neurons(
        base=base, grid=1, threshold=zero, amount=zero, initial=zero, current_initial=zero,
        floor=None, biases=(), scale=1.0, tuned=False,
    )  # fmt: skip


def _constant(linear: LinearMap) -> bool:
    return bool(linear.numbers().size and np.all(linear.numbers() == 1))


def _same_extent(source: Shape, target: Shape) -> bool:
    return len(source) == len(target) == 3 and source[1:] == target[1:]


def _sign(weight: np.ndarray, loihi: bool) -> Sign:
    """Return how weights are stored; on Loihi mixed ones are even."""
    if weight.size and weight.max() <= 0 and weight.min() < 0:
        return Sign.INHIBITORY
    if weight.size and weight.min() >= 0:
        return Sign.EXCITATORY
    assert not loihi or not np.any(weight % 2)
    return Sign.MIXED


def _built(neurons: _Neurons, draft: _Draft) -> Population:
    """Return the population at its present scale."""
    base, grid, scale = neurons.base, neurons.grid, neurons.scale
    if base.role is not Role.NEURONS:
        return base
    highest = min((1 << (draft.arithmetic.membrane.bits - 1)) - 1, 131071 << 6)

    def potential(relative: np.ndarray, step: int = grid) -> np.ndarray:
        whole = step * np.rint(np.asarray(relative) * scale / step)
        return np.asarray(np.clip(whole, -highest, highest), np.int32)

    least = 1 if base.fires is Fires.COUNT else 0
    threshold = np.asarray(np.maximum(potential(neurons.threshold), grid * least))
    subtract = base.reset.kind is ResetKind.SUBTRACT and np.all(neurons.amount == 1)
    amount = threshold if subtract else potential(neurons.amount)
    current = base.current
    if current is not None:
        current = replace(current, initial=potential(neurons.current_initial))
    return replace(
        base,
        threshold=threshold,
        reset=replace(base.reset, amount=amount),
        current=current,
        initial=potential(neurons.initial),
        floor=None if neurons.floor is None else _floor_of(neurons.floor, potential),
        biases=tuple(
            Bias(value=_bias_of(potential(value), draft.loihi), into=into, start=start)
            for value, into, start in neurons.biases
        ),
    )


def _floor_of(
    floor: tuple[np.ndarray, FloorWhen], potential: Callable[[np.ndarray], np.ndarray]
) -> Floor:
    return Floor(value=potential(floor[0]), when=floor[1])


def _bias_of(value: np.ndarray, loihi: bool) -> np.ndarray:
    """Return a bias; on Loihi 12 bits and a sign, times up to 2**7."""
    return np.asarray(np.clip(value, -(4095 << 7), 4095 << 7) // 128 * 128) if loihi else value


def _retimed(program: Program) -> Program:
    lag = lags(program, 1)
    populations = tuple(replace(p, lag=lag[p.name]) for p in program.populations)
    projections = tuple(
        replace(p, delay=np.asarray(p.delay + (lag[p.target] - lag[p.source])))
        for p in program.projections
    )
    return replace(program, populations=populations, projections=projections)


def _lagging(program: Program, lag: Mapping[str, int]) -> Program:
    populations = tuple(replace(p, lag=lag.get(p.name, 0)) for p in program.populations)
    return replace(program, populations=populations)


def _tuned(draft: _Draft, program: Program, inputs: tuple[Values, ...]) -> Program:
    """Return the program with thresholds at which its populations are active, if they can be.

    The event simulator tries them, because it is quick; what is made of the program afterwards
    does not depend on it.
    """
    for _ in range(_TUNING_ROUNDS):
        shares = activity(program, inputs, EventBackend(threads=1))
        wrong = [n for n in draft.neurons if n.tuned and _direction(shares, n) != 0]
        if not wrong:
            break
        for neurons in wrong:
            _adjust(draft, neurons, _direction(shares, neurons), shares[neurons.base.name])
        program = draft.program()
    return program


def _direction(shares: Mapping[str, float], neurons: _Neurons) -> int:
    share = shares.get(neurons.base.name)
    if share is None:
        return 0
    return int(share > _AIM[1]) - int(share < _AIM[0])


def _adjust(draft: _Draft, neurons: _Neurons, direction: int, share: float) -> None:
    if direction == -neurons.direction:
        neurons.factor **= 0.5
    neurons.direction = direction
    neurons.scale = max(float(neurons.grid), neurons.scale * neurons.factor**direction)
    neurons.silent_rounds += share == 0
    if neurons.silent_rounds == 4 and Trait.MEMBRANE_BIAS in draft.features.allowed:
        neurons.biases = (*neurons.biases, (np.asarray(0.2), State.MEMBRANE, 0))
        neurons.scale = max(neurons.scale, 64.0 * neurons.grid)


def activity(program: Program, inputs: Sequence[Values], backend: Backend) -> dict[str, float]:
    """Return the share of active neuron-steps of each spiking population of neurons."""
    trace = backend.run(program, inputs, COUNTS)
    shares = {}
    for population in program.populations:
        if population.role is Role.NEURONS and population.fires is not Fires.NEVER:
            events = trace[population.name].events
            shares[population.name] = float(events.sum()) / (
                events.size * max(1, trace.steps - population.lag)
            )
    return shares


# -- statistics -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What a set of random programs has."""

    programs: int
    active: int
    """Programs in which every spiking population is within `ACTIVE`."""

    counts: Mapping[Trait, int]
    """Programs with each trait."""

    def share(self, trait: Trait) -> float:
        """Return the share of programs with a trait."""
        return self.counts[trait] / self.programs

    def __str__(self) -> str:
        lines = [
            f"{self.programs} programs, {100 * self.active / self.programs:.0f} % with "
            f"{100 * ACTIVE[0]:.0f}..{100 * ACTIVE[1]:.0f} % activity in every population"
        ]
        lines += [f"{100 * self.share(t):5.1f} %  {t.value}" for t in Trait if self.counts[t]]
        return "\n".join(lines)


def statistics(cases: Sequence[Case]) -> Statistics:
    """Return how often each trait occurs, and how many programs are active."""
    counts = dict.fromkeys(Trait, 0)
    active = 0
    for program, inputs in cases:
        seen, shares = _observed(program, inputs)
        active += all(ACTIVE[0] <= share <= ACTIVE[1] for share in shares.values())
        for trait in traits(program) | seen:
            counts[trait] += 1
    return Statistics(programs=len(cases), active=active, counts=counts)


def seen_in(program: Program, inputs: Sequence[Values]) -> set[Trait]:
    """Return every trait of a program, those included that only a run shows."""
    return traits(program) | _observed(program, inputs)[0]


def _observed(program: Program, inputs: Sequence[Values]) -> tuple[set[Trait], dict[str, float]]:
    """Run the reference simulator and look at what only a run can show."""
    seen: set[Trait] = set()
    fires, held = reference._fires, Register.held

    def watched_fires(now: reference.Now, v: np.ndarray) -> np.ndarray:
        population = now.population
        if population.role is Role.NEURONS and population.fires is not Fires.NEVER:
            reached = np.any((v == population.threshold) & (v != population.initial))
            seen.update({Trait.ON_THRESHOLD} if reached else ())
        return fires(now, v)

    def watched_held(register: Register, value: np.ndarray) -> np.ndarray:
        kept = held(register, value)
        wraps = register.overflow is Overflow.WRAP_ONCE
        if np.any(kept != value):
            seen.add(Trait.WRAP if wraps else Trait.SATURATION)
        return kept

    with (
        unchecked(),
        patch.object(reference, "_fires", watched_fires),
        patch.object(Register, "held", watched_held),
    ):
        shares = activity(program, inputs, reference.ReferenceBackend())
    return seen, shares


def traits(program: Program) -> set[Trait]:
    """Return what can be seen in a program without running it."""
    found: set[Trait] = set()
    for population in program.populations:
        if population.role is Role.NEURONS:
            found |= _traits_of_population(program, population)
        else:
            found.add(Trait.CLOCK if population.role is Role.CLOCK else Trait.RELAY)
    for projection in program.projections:
        found |= _traits_of_projection(program, projection)
    if len(program.inputs) > 1:
        found.add(Trait.SEVERAL_INPUTS)
    if len(program.outputs) > 1:
        found.add(Trait.SEVERAL_OUTPUTS)
    for entry in program.inputs:
        found.update({Trait.GRADED_INPUT} if entry.high > 1 else ())
        found.update({Trait.SIGNED_INPUT} if entry.low < 0 else ())
    return found


_RESETS = {
    (ResetKind.VALUE, When.NOW): Trait.RESET_VALUE_NOW,
    (ResetKind.VALUE, When.NEXT): Trait.RESET_VALUE_NEXT,
    (ResetKind.SUBTRACT, When.NOW): Trait.RESET_SUBTRACT_NOW,
    (ResetKind.SUBTRACT, When.NEXT): Trait.RESET_SUBTRACT_NEXT,
}
_FIRES = {Fires.NEVER: Trait.READOUT, Fires.BINARY: Trait.BINARY, Fires.COUNT: Trait.COUNT}
_FLOORS = {
    FloorWhen.BEFORE_TEST: Trait.FLOOR_BEFORE_TEST,
    FloorWhen.AFTER_RESET: Trait.FLOOR_AFTER_RESET,
}


def _traits_of_population(program: Program, population: Population) -> set[Trait]:
    found = {_FIRES[population.fires]}
    if population.fires is not Fires.NEVER:
        equal = population.compare is Compare.GREATER_EQUAL
        found.add(Trait.GREATER_EQUAL if equal else Trait.GREATER)
        found.add(_RESETS.get((population.reset.kind, population.reset.when), Trait.RESET_NONE))
    if population.floor is not None:
        found.add(_FLOORS[population.floor.when])
    if population.current is None:
        found.add(Trait.NO_CURRENT)
    else:
        found.add(Trait.CURRENT)
        found.update({Trait.OLD_CURRENT} if population.current.reads is Reads.OLD else ())
        found.update({Trait.INITIAL_CURRENT} if population.current.initial.any() else ())
    for bias in population.biases:
        into = Trait.MEMBRANE_BIAS if bias.into is State.MEMBRANE else Trait.CURRENT_BIAS
        found.update({into} if bias.value.any() else ())
        found.update({Trait.LATE_BIAS} if bias.start else ())
    found.update({Trait.INITIAL_MEMBRANE} if population.initial.any() else ())
    found.update({Trait.LAG} if population.lag else ())
    found.update({Trait.FAN_IN} if len(program.into(population.name)) > 1 else ())
    for parameter in (population.decay, population.threshold, population.reset.amount):
        if parameter.ndim == 3 and parameter.shape[1:] == (1, 1) != population.shape[1:]:
            found.add(Trait.PER_CHANNEL)
        elif parameter.size > 1 and population.shape[1:] != (1, 1):
            found.add(Trait.PER_NEURON)
    return found


def _traits_of_projection(program: Program, projection: Projection) -> set[Trait]:
    linear, delay = projection.map, projection.delay
    found = {Trait.DENSE} if isinstance(linear, Dense) else set()
    if isinstance(linear, Sparse):
        found.add(Trait.SPARSE)
    if isinstance(linear, Convolution):
        found |= _traits_of_convolution(linear)
    if projection.sign is not Sign.MIXED:
        found.add(Trait.ONE_SIGNED)
    names = [entry.name for entry in program.inputs] + [p.name for p in program.populations]
    if projection.source == projection.target:
        found.add(Trait.SELF_LOOP)
    elif names.index(projection.source) > names.index(projection.target) and (
        projection.source != "clock"
    ):
        found.add(Trait.LONG_LOOP)
    lag = {p.name: p.lag for p in program.populations}
    trained = delay - lag[projection.target] + lag.get(projection.source, 0)
    found.update({Trait.ZERO_DELAY} if delay.size and delay.min() == 0 else ())
    found.update({Trait.SCALAR_DELAY} if delay.ndim == 0 and trained > 0 else ())
    if delay.size > 1 and delay.min() != delay.max():
        per_source = delay.shape == (linear.in_size,)
        found.add(Trait.SOURCE_DELAY if per_source else Trait.WEIGHT_DELAY)
        found.update({Trait.KERNEL_DELAY} if isinstance(linear, Convolution) else ())
    return found


def _traits_of_convolution(linear: Convolution) -> set[Trait]:
    weight, padding = linear.weight, linear.padding
    depthwise = linear.groups == linear.source[0] and weight.shape[1] == 1
    constant = weight.size > 1 and np.all(weight == weight.flat[0])
    found = {Trait.POOL if depthwise and constant else Trait.CONVOLUTION}
    found.update({Trait.STRIDE} if max(linear.stride) > 1 else ())
    found.update({Trait.DILATION} if max(linear.dilation) > 1 else ())
    found.update({Trait.GROUPS} if linear.groups > 1 else ())
    asymmetric = padding[0] != padding[1] or padding[2] != padding[3]
    found.update({Trait.ASYMMETRIC_PADDING} if asymmetric else ())
    return found
