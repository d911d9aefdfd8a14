"""Many random programs at once for Lava: neurons of all its kinds, and programs joined into one.

A Lava of its own costs each program more than its steps do. `joined` puts any number of programs
side by side into one; the runner runs what is not connected one after the other in one child.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from strategies import LOIHI, Case, Sizes, Trait, random_program, unchecked

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.kinds import (
    Activation,
    Adaptive,
    Delta,
    NeuronKind,
    Resonance,
    Resonator,
    Sigma,
    SigmaDelta,
)
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Shape, to_sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, Fires, ResetKind, State
from snn_deploy.ir.program import (
    Bias,
    Current,
    Input,
    Population,
    Program,
    Projection,
    Reset,
    Sign,
)
from snn_deploy.ir.timing import Restart
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.targets import find_target

SAMPLES, STEPS = 2, 24
CHIP = find_target("loihi2")
UNIT = 64
FOREIGN_TO_LIF = (
    Trait.FLOOR_BEFORE_TEST,
    Trait.FLOOR_AFTER_RESET,
    Trait.RESET_NONE,
    Trait.RESET_VALUE_NEXT,
    Trait.RESET_SUBTRACT_NOW,
    Trait.RESET_SUBTRACT_NEXT,
    Trait.COUNT,
)
"""What random programs have and no LIF of Lava has."""


def w(number: Any) -> np.ndarray:
    return np.asarray(number, np.int32)


# -- side by side ---------------------------------------------------------------------------------


def joined(cases: Sequence[Case]) -> Case:
    """Return programs of equal arithmetic and period as one, each as "number.name" in it.

    Their inputs are followed by zeros up to the longest one and the largest number of samples.
    """
    first = cases[0][0]
    rules = {(program.arithmetic, program.period) for program, _ in cases}
    assert len(rules) == 1, rules
    given = [values.values.shape for _, inputs in cases for values in inputs]
    samples, steps = max(shape[0] for shape in given), max(shape[1] for shape in given)
    parts: dict[str, list[Any]] = {"inputs": [], "populations": [], "projections": []}
    outputs: list[Output] = []
    padded: list[Values] = []
    for number, (program, inputs) in enumerate(cases):
        for field, found in parts.items():
            found += [_renamed(node, number) for node in getattr(program, field)]
        outputs += [_renamed(output, number) for output in program.outputs]
        for values in inputs:
            whole = np.zeros((samples, steps, *values.values.shape[2:]), np.int32)
            whole[: values.values.shape[0], : values.values.shape[1]] = values.values
            padded.append(Values(name=f"{number}.{values.name}", values=whole))
    program = replace(
        first,
        **{field: tuple(found) for field, found in parts.items()},
        outputs=tuple(outputs),
    )
    return program, tuple(padded)


def _renamed(node: Any, number: int) -> Any:
    names = ("name", "source", "target", "population")
    there = {name: getattr(node, name) for name in names if hasattr(node, name)}
    return replace(node, **{field: f"{number}.{name}" for field, name in there.items()})


# -- what is run ----------------------------------------------------------------------------------


def random_case(number: int) -> Case:
    """Return program `number` of all that are compared.

    Four of six are of all kinds of neurons, one is of whatever canonical neurons loihi2 runs, one
    of mostly what LIF computes.
    """
    rng = np.random.default_rng([20, number])
    if number % 6 > 1:
        return random_kinds(rng)
    sizes = Sizes(
        populations=int(rng.integers(1, 4)),
        neurons=int(rng.integers(2, 11)),
        extent=int(rng.integers(3, 6)),
        samples=SAMPLES,
        steps=STEPS,
    )
    if number % 6 == 0:
        return random_program(rng, LOIHI, sizes)
    program, inputs = random_program(rng, LOIHI.without(*FOREIGN_TO_LIF), sizes)
    return with_the_reset_of_lif(program), inputs


def with_the_reset_of_lif(program: Program) -> Program:
    """Return the program with resets to 0."""
    changed = [replace(p, reset=replace(p.reset, amount=w(0))) for p in program.populations]
    return replace(program, populations=tuple(changed))


# -- neurons of all kinds -------------------------------------------------------------------------


def random_kinds(rng: np.random.Generator) -> Case:
    """Return one to three populations of neurons that Lava has, in a row, with loops and joins."""
    with unchecked():
        return _Draft(rng).grown()


class _Draft:
    """A program in the making: each population gets its threshold when all before it has one."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        image = self.chance(0.4)
        shape = (2, self.whole(3, 5), self.whole(3, 5)) if image else (self.whole(3, 8),)
        low = self.whole(-3, 0)
        self.entry = Input(name="in", shape=shape, low=low, high=self.whole(1, 5))
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        full = (SAMPLES, STEPS, *shape)
        values = rng.integers(low, self.entry.high + 1, full) * (rng.random(full) < 0.5)
        self.inputs = (Values(name="in", values=values.astype(np.int32)),)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def grown(self) -> Case:
        changing = False  # whether the last population sends numbers, not spikes
        for index in range(self.whole(1, 3)):
            makers = CHANGES if changing else (*SPIKES, *CHANGES) if index else (*SPIKES, "delta")
            make = makers[self.whole(0, len(makers) - 1)]
            self.add(f"p{index}", make)
            changing = make in CHANGES
        return self.program(), self.inputs

    def program(self) -> Program:
        """Return all that there is so far."""
        last = self.populations[-1].name
        return Program(
            name="kinds",
            target=CHIP.name,
            arithmetic=CHIP.arithmetic,
            inputs=(self.entry,),
            populations=tuple(self.populations),
            projections=tuple(self.projections),
            outputs=(Output(name="y", population=last, decode=Decode.COUNT),),
        )

    def add(self, name: str, make: str) -> None:
        """Add a population behind the last one, with a threshold at which it is active."""
        nodes = [self.entry, *self.populations]
        source = nodes[-1]
        linear = self.map(source.shape)
        neurons = self.neurons(name, linear.out_shape, make)
        least, most = {"delta": (3, 7), "sigma": (0, 3), "sigma-delta": (0, 3)}.get(make, (6, 8))
        if make.startswith("resonator"):
            least = 2
        ways = [self.way(source.name, neurons, linear, self.whole(least, most))]
        if isinstance(neurons.kind, Resonator) and self.chance(0.8):
            other = self.map(source.shape, linear.out_shape)
            ways.append(
                self.way(source.name, neurons, other, self.whole(least, most), State.IMAGINARY)
            )
        if len(nodes) > 1 and self.chance(0.25):
            skip = self.map(nodes[0].shape, linear.out_shape)
            ways.append(self.way(nodes[0].name, neurons, skip, self.whole(least, most)))
        if make in SPIKES and self.chance(0.4):
            loop = self.map(linear.out_shape, linear.out_shape)
            ways.append(self.way(name, neurons, loop, self.whole(least, most)))
        ways = [replace(way, name=f"{name}.{number}") for number, way in enumerate(ways)]
        if self.chance(0.15):
            neurons = replace(neurons, lag=self.latest(ways))
        self.projections += ways
        self.populations.append(neurons)
        self.populations[-1] = self.tuned(neurons)

    def latest(self, ways: Sequence[Projection]) -> int:
        """Return the latest start before which nothing arrives."""
        lag = {p.name: p.lag for p in self.populations}
        outside = [way for way in ways if way.source != way.target]
        return min(lag.get(way.source, 0) + int(way.delay.min()) for way in outside)

    # -- one population -------------------------------------------------------------------------

    def neurons(self, name: str, shape: Shape, make: str) -> Population:
        """Return neurons that never fire: their threshold comes later."""
        if make in LIFS:
            return self.lif(name, shape, make)
        return Population(name=name, shape=shape, decay=w(0), kind=self.kind(shape, make))

    def lif(self, name: str, shape: Shape, make: str) -> Population:
        initial = self.some(shape, 2000) if make != "restarted" else w(0)
        current = None
        if self.chance(0.5):
            start = self.some(shape, 900) if make != "restarted" else w(0)
            current = Current(decay=w(self.whole(0, 4095)), initial=start)
        ends = {}
        if make == "ternary":
            ends = {"fires": Fires.TERNARY, "lower": w(-UNIT * HIGHEST)}
        if make == "restarted":
            interval = self.whole(3, 9)
            ends = {"restart": Restart(interval=interval, offset=self.whole(0, interval - 1))}
        return Population(
            name=name,
            shape=shape,
            decay=w(self.whole(2000, 4096)),
            current=current,
            threshold=w(UNIT * HIGHEST),
            reset=Reset(kind=ResetKind.VALUE),
            biases=(Bias(value=self.some(shape, 300)),),
            initial=initial,
            **ends,
        )

    def some(self, shape: Shape, size: int) -> np.ndarray:
        """Return zero, one number for all neurons or one for each."""
        if self.chance(0.5):
            return w(0)
        return w(self.rng.integers(-size, size + 1, shape if self.chance(0.6) else ()))

    def kind(self, shape: Shape, make: str) -> NeuronKind:
        kinds: dict[str, Callable[[], NeuronKind]] = {
            "adaptive": lambda: Adaptive(
                current_decay=w(self.whole(0, 4095)),
                decay=w(self.whole(2000, 4096)),
                threshold_decay=w(self.whole(2000, 4096)),
                refraction_decay=w(self.whole(1000, 4000)),
                base=w(UNIT * HIGHEST),
                increase=w(UNIT * self.whole(0, 60)),
                bias=self.some(shape, 300),
                initial_current=self.some(shape, 900),
                initial_membrane=self.some(shape, 900),
                initial_refraction=self.some(shape, 300),
            ),
            "resonator": lambda: self.resonator(Resonance.CROSSING),
            "resonator at a level": lambda: self.resonator(Resonance.LEVEL),
            "delta": lambda: Delta(
                threshold=w(0), payload_shift=self.whole(0, 3), cumulative=self.chance(0.3)
            ),
            "sigma": Sigma,
            "sigma-delta": lambda: SigmaDelta(
                threshold=w(0),
                bias=self.some(shape, 300),
                activation=Activation.RELU if self.chance(0.6) else Activation.UNIT,
                payload_shift=self.whole(0, 6),
                cumulative=self.chance(0.3),
            ),
        }
        return kinds[make]()

    def resonator(self, fires_at: Resonance) -> Resonator:
        bits = 12 if self.chance(0.7) else self.whole(6, 14)
        left, angle = self.rng.uniform(0.6, 1.0), self.rng.uniform(0.2, 2.5)
        return Resonator(
            cosine=w(int(left * np.cos(angle) * 2**bits)),
            sine=w(int(left * np.sin(angle) * 2**bits)),
            decay_bits=bits,
            fires_at=fires_at,
            threshold=w(UNIT * HIGHEST),
        )

    # -- what joins them ------------------------------------------------------------------------

    def map(self, source: Shape, target: Shape | None = None) -> LinearMap:
        """Return a map from `source`, to `target` if it is given."""
        sign = (-1, 0, 0, 0, 0, 1)[self.whole(0, 5)]
        low, high = {-1: (-99, 1), 0: (-40, 56), 1: (0, 100)}[sign]

        def weight(shape: tuple[int, ...]) -> np.ndarray:
            drawn = self.rng.integers(low, high, shape)
            return w(drawn if sign else 2 * drawn)

        if target is None and len(source) == 3 and self.chance(0.7):
            return self.convolution(source, weight)
        posts = int(np.prod(target)) if target is not None else self.whole(2, 8)
        pres = int(np.prod(source))
        dense = weight((posts, pres))
        if self.chance(0.5):
            return Dense(weight=dense)
        return to_sparse(Dense(weight=dense * (self.rng.random(dense.shape) < 0.5)))

    def convolution(self, source: Shape, weight: Callable[..., np.ndarray]) -> LinearMap:
        channels, height, width = source
        size = min(height, width, self.whole(1, 3))
        groups = channels if self.chance(0.3) else 1
        top, left = self.whole(0, 1), self.whole(0, 1)
        stride = self.whole(1, 2) if min(height, width) > 3 else 1
        return Convolution(
            weight=weight((groups * self.whole(1, 2), channels // groups, size, size)),
            source=(channels, height, width),
            stride=(stride, 1),
            padding=(top, top, left, left if self.chance(0.8) else 1 - left),
            groups=groups,
        )

    def way(
        self,
        source: str,
        neurons: Population,
        linear: LinearMap,
        shift: int,
        into: State | None = None,
    ) -> Projection:
        numbers = linear.numbers()
        low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
        sign = Sign.EXCITATORY if low >= 0 else Sign.INHIBITORY if high <= 0 else Sign.MIXED
        delay = w(1)
        if self.chance(0.35):
            delay = w(self.rng.integers(1, 7, numbers.shape if self.chance(0.6) else ()))
        return Projection(
            name="", source=source, target=neurons.name, map=linear, shift=shift, delay=delay,
            sign=sign, into=into,
        )  # fmt: skip

    # -- thresholds -----------------------------------------------------------------------------

    def tuned(self, neurons: Population) -> Population:
        """Return the neurons with a threshold that they reach now and then as they are driven."""
        trace = ReferenceBackend().run(self.program(), self.inputs, EVERYTHING)[neurons.name]
        kind = neurons.kind
        if isinstance(kind, Sigma):
            return neurons
        if isinstance(kind, Delta | SigmaDelta):
            states = trace.states[State.ACTIVATION].astype(np.int64)
            reached = self.level(np.abs(np.diff(states, axis=1)), neurons.shape)
            return replace(neurons, kind=replace(kind, threshold=w(np.minimum(reached, 2**28))))
        imaginary = isinstance(kind, Resonator) and kind.fires_at is Resonance.LEVEL
        state = State.IMAGINARY if imaginary else State.MEMBRANE
        reached = self.level(trace.states[state].astype(np.int64), neurons.shape)
        if isinstance(kind, Resonator):
            return replace(neurons, kind=replace(kind, threshold=w(reached)))
        whole = w(np.clip(reached // UNIT, 1, HIGHEST) * UNIT)
        if isinstance(kind, Adaptive):
            return replace(neurons, kind=replace(kind, base=whole))
        if neurons.fires is Fires.TERNARY:
            below = self.level(-trace.states[state].astype(np.int64), ())
            lower = w(-UNIT * np.clip(below // UNIT, 0, HIGHEST))
            return replace(neurons, threshold=whole, lower=lower)
        return replace(neurons, threshold=whole)

    def level(self, values: np.ndarray, shape: Shape) -> np.ndarray:
        """Return what some of the positive values exceed; for some populations two levels."""
        positive = values[values > 0]
        if not positive.size:
            return w(1)
        ends = np.quantile(positive, self.rng.uniform(0.5, 0.95, 2)).astype(np.int64)
        if shape and self.chance(0.15):
            return ends[self.rng.integers(0, 2, shape)]
        return ends[0]


HIGHEST = 131071
"""The highest threshold that a LIF of Lava stores."""

LIFS = ("plain", "restarted", "ternary")
SPIKES = (*LIFS, "adaptive", "resonator", "resonator at a level")
"""What sends spikes."""

CHANGES = ("delta", "sigma-delta", "sigma")
"""What sends numbers of 32 bits, and reads such."""
