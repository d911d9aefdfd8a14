"""Random integer programs that do something: the test material of every backend.

`random_program` draws a `Program` with its inputs from a seeded numpy generator, and then moves
each population's thresholds until it is neither silent nor always on. `programs` wraps it for
Hypothesis. `statistics` counts what was drawn, so that a test can prove that nothing is missing.
What may be drawn stands in `program_traits`, the draws of maps and neurons in `program_maps` and
`program_neurons`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st
from jaxtyping import config
from program_draws import Draws, Sizes
from program_maps import Maps
from program_neurons import Drawn, Neurons, built, fixed, is_spiking, one
from program_traits import ANYTHING, LIF, LOIHI, Features, Formats, Trait, traits

from snn_deploy.backends import reference
from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.protocol import Backend
from snn_deploy.ir.arithmetic import Arithmetic, Decay, Order, Overflow, Register, Sums
from snn_deploy.ir.graph import lags
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Shape, Sparse, to_sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import CURRENTS, Decode, Fires, ResetKind, State
from snn_deploy.ir.program import (
    Bias,
    Binary,
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

__all__ = [
    "ANYTHING", "LIF", "LOIHI", "Case", "Features", "Formats", "Sizes", "Statistics", "Trait",
    "activity", "programs", "random_program", "seen_in", "statistics", "traits", "unchecked",
]  # fmt: skip

Case = tuple[Program, tuple[Values, ...]]

ACTIVE = (0.02, 0.60)
"""Share of neuron-steps with a spike that counts as active."""

_AIM = (0.04, 0.45)
_TUNING_ROUNDS = 14
_PUSHES = {4: 0.2, 8: 0.7}
"""Bias that is added after so many silent rounds, in units of the scale."""

_LARGEST_DELAY = 6
_LARGEST_IN_LOOP = 8
"""Largest payload of neurons that may reach themselves."""

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


class _Draft:
    """A program in the making."""

    def __init__(self, rng: np.random.Generator, features: Features, sizes: Sizes) -> None:
        self.draws = draws = Draws(rng, features, sizes)
        self.arithmetic = self._arithmetic()
        self.retimed = not draws.may(Trait.ZERO_DELAY, 0.5)
        self.extreme = draws.chance(0.35)
        self.period = draws.whole(2, 3) if draws.offered(Trait.PERIOD, 0.08) else 1
        self.steps = sizes.steps * self.period
        self.maps = Maps(draws)
        self.kinds = Neurons(draws, self.arithmetic, self.steps)
        self.sources: list[Input] = []
        self.neurons: list[Drawn] = []
        self.projections: list[Projection] = []
        self.outputs: list[Output] = []
        self.free_lags: dict[str, int] = {}

    def _arithmetic(self) -> Arithmetic:
        draws = self.draws
        if draws.loihi or draws.chance(0.5):
            rules = find_target("loihi2").arithmetic
        elif draws.chance(0.5):
            rules = find_target("cpu").arithmetic
        else:
            registers = [self._register(14), self._register(14)]
            rules = Arithmetic(
                current=registers[0], membrane=registers[1], decay_bits=draws.whole(4, 14)
            )
        if draws.offered(Trait.SHIFT_DECAY, 0.1):
            rules = replace(rules, decay=Decay.SHIFT)
        if draws.offered(Trait.ADD_FIRST, 0.1):
            rules = replace(rules, order=Order.ADD_FIRST)
        if draws.offered(Trait.BY_ROW, 0.1):
            rules = replace(rules, sums=Sums.BY_ROW)
        elif draws.offered(Trait.ACCUMULATOR, 0.12):
            rules = replace(rules, accumulator=self._register(12))
        if draws.offered(Trait.CHANGE, 0.1):
            rules = replace(rules, change=self._register(12))
        return rules

    def _register(self, least: int) -> Register:
        kinds = [Overflow.WRAP_ONCE, Overflow.SATURATE]
        allowed = self.draws.features.allowed
        kinds += [Overflow.WRAP] * (Trait.MODULO in allowed)
        kinds += [Overflow.SATURATE_FULL] * 2 * (Trait.FULL_SATURATION in allowed)
        bits = self.draws.whole(least, 32)
        return Register(bits=bits, overflow=kinds[self.draws.whole(0, len(kinds) - 1)])

    # -- the graph --------------------------------------------------------------------------

    def grow(self) -> None:
        """Draw inputs, populations and projections."""
        for index in range(2 if self.draws.may(Trait.SEVERAL_INPUTS, 0.25) else 1):
            self._add_input(f"in{index}")
        for index in range(self.draws.sizes.populations):
            self._add_population(f"p{index}", last=index == self.draws.sizes.populations - 1)
            if self.draws.may(Trait.RELAY, 0.12):
                self._add_relay(f"relay{index}")
        for entry in self.sources[1:]:
            self._connect(entry.name, self.neurons[0].base.name)
        for index, neurons in enumerate(self.neurons):
            name = neurons.base.name
            if self._may_loop(neurons) and self.draws.may(Trait.SELF_LOOP, 0.2):
                self._connect(name, name, minimum=1)
            if index and self.draws.may(Trait.LONG_LOOP, 0.15):
                self._close_loop(index)
            if self.draws.may(Trait.FAN_IN, 0.25):
                self._connect(self._earlier(index), name)
        if self.draws.may(Trait.CLOCK, 0.15):
            self._add_clock()
        self._add_outputs()
        if not self.retimed and self.draws.may(Trait.LAG, 0.3):
            self.free_lags = {n.base.name: self.draws.whole(0, 4) for n in self.neurons}

    def _add_input(self, name: str) -> None:
        low, high = 0, 1
        if self.draws.may(Trait.GRADED_INPUT, 0.25):
            high = int(self.draws.rng.choice([3, 7, 100]))
        if self.draws.may(Trait.SIGNED_INPUT, 0.25):
            low = -high
        if self.draws.chance(0.6):
            channels = self.draws.whole(1, 3)
            extent = self.draws.sizes.extent
            shape: Shape = (channels, self.draws.whole(3, extent), self.draws.whole(3, extent))
        else:
            shape = (self.draws.whole(1, self.draws.sizes.neurons + 4),)
        unit = Binary.of(float(self.draws.rng.choice([1.0, 0.25, 0.1])))
        self.sources.append(Input(name=name, shape=shape, low=low, high=high, unit=unit))

    def _shape_of(self, name: str) -> Shape:
        for entry in self.sources:
            if entry.name == name:
                return entry.shape
        return next(n.base.shape for n in self.neurons if n.base.name == name)

    def _earlier(self, index: int) -> str:
        """Return an input or a spiking population before the one at `index`."""
        spiking = [n.base.name for n in self.neurons[:index] if n.base.fires is not Fires.NEVER]
        if spiking and self.draws.chance(0.75):
            return (
                spiking[-1]
                if self.draws.chance(0.7)
                else spiking[self.draws.whole(0, len(spiking) - 1)]
            )
        return self.sources[self.draws.whole(0, len(self.sources) - 1)].name

    def _add_population(self, name: str, *, last: bool) -> None:
        source = self._earlier(len(self.neurons))
        fires = self.kinds.fires(last=last)
        extreme = self.extreme and (last or self.draws.chance(0.3))
        linear = self.maps.map(self._shape_of(source), None, excited=True, extreme=extreme)
        shape = linear.out_shape
        if len(shape) == 3 and self.draws.chance(0.2):
            shape = (prod(shape),)
        kind = self.kinds.kind()
        if kind is None:
            self.neurons.append(self.kinds.canonical(name, shape, fires, extreme=extreme))
        else:
            self.neurons.append(self.kinds.of_kind(name, shape, kind))
        self._join(source, name, linear, minimum=0, extreme=extreme)

    @staticmethod
    def _may_loop(neurons: Drawn) -> bool:
        """Return whether a loop does not grow without end."""
        return neurons.base.fires is not Fires.NEVER and neurons.largest <= _LARGEST_IN_LOOP

    def _connect(self, source: str, target: str, minimum: int = 0) -> None:
        linear = self.maps.map(self._shape_of(source), self._shape_of(target), excited=False)
        self._join(source, target, linear, minimum=minimum)

    def _close_loop(self, index: int) -> None:
        """Join the population at `index` to an earlier one, late enough for any retiming."""
        if not self._may_loop(self.neurons[index]):
            return
        target = self.neurons[self.draws.whole(0, index - 1)].base.name
        minimum = len(self.neurons) + 1 if self.retimed else 1
        self._connect(self.neurons[index].base.name, target, minimum=minimum)

    def _add_relay(self, name: str) -> None:
        """Repeat a population one step later, and send that to the next one."""
        source = self.neurons[-1].base
        if source.fires is not Fires.BINARY or source.kind is not None:
            return
        relay = Population(
            name=name, shape=source.shape, decay=one(1), threshold=one(0), role=Role.RELAY,
            reset=Reset(kind=ResetKind.VALUE),
        )  # fmt: skip
        self.neurons.append(fixed(relay))
        each = np.arange(source.size)
        linear = Sparse(
            post=each, pre=each, weight=np.ones(source.size, np.int32),
            post_shape=source.shape, pre_shape=source.shape,
        )  # fmt: skip
        self.projections.append(
            Projection(
                name=f"{source.name}>{name}", source=source.name, target=name, map=linear,
                shift=6, delay=one(1), sign=Sign.EXCITATORY,
            )
        )  # fmt: skip

    def _add_clock(self) -> None:
        """Add a neuron that fires in every step and carries a bias into another population."""
        target = self.neurons[self.draws.whole(0, len(self.neurons) - 1)]
        clock = Population(
            name="clock", shape=(1,), decay=one(1), threshold=one(0), role=Role.CLOCK,
            reset=Reset(kind=ResetKind.VALUE), biases=(Bias(value=one(64)),),
        )  # fmt: skip
        self.neurons.append(fixed(clock))
        weight = 2 * self.draws.rng.integers(-4, 9, (target.base.size, 1))
        self.projections.append(
            Projection(
                name=f"clock>{target.base.name}", source="clock", target=target.base.name,
                map=Dense(weight=weight.astype(np.int32)), shift=6 if self.draws.loihi else 2,
            )
        )  # fmt: skip

    def _add_outputs(self) -> None:
        chosen = [self.neurons[self.draws.sizes.populations - 1].base]
        if self.draws.may(Trait.SEVERAL_OUTPUTS, 0.15) and len(self.neurons) > 1:
            chosen = [n.base for n in self.neurons[:2]]
        for index, base in enumerate(chosen):
            spiking = base.fires is not Fires.NEVER
            decode = Decode.COUNT if spiking else Decode.MEMBRANE_MAX
            self.outputs.append(Output(name=f"out{index}", population=base.name, decode=decode))

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
                sign=_sign(linear.numbers(), self.draws.loihi),
                into=self._into(target),
            )
        )

    def _shift(self, source: str, linear: LinearMap, extreme: bool) -> int:
        """Return a shift with which the sum stays within four times its register."""
        bits = min(self.arithmetic.current.bits, self.arithmetic.membrane.bits)
        low = 6 if self.draws.loihi else 0
        wanted = bits - 11 if extreme else low + self.draws.whole(0, 2 if self.draws.loihi else 6)
        sums = np.zeros(linear.out_size, np.int64)
        sparse = to_sparse(linear)
        np.add.at(sums, sparse.post, np.abs(sparse.weight.astype(np.int64)))
        largest = int(sums.max(initial=0)) * self._highest(source)
        room = bits + 2 - largest.bit_length() if extreme else bits - 2 - largest.bit_length()
        return max(low, min(wanted, room, 13 if self.draws.loihi else 30))

    def _into(self, target: str) -> State | None:
        """Return a state to drive; None: the usual one."""
        draws, neurons = self.draws, next(n for n in self.neurons if n.base.name == target)
        if neurons.kind is not None:
            imaginary = draws.offered(Trait.RESONATOR, 0.4) and neurons.resonates
            return State.IMAGINARY if imaginary else None
        further = CURRENTS[1 : len(neurons.base.currents)]
        if further and draws.offered(Trait.INTO_FURTHER, 0.35):
            return further[draws.whole(0, len(further) - 1)]
        past = neurons.base.current is not None and draws.offered(Trait.INTO_MEMBRANE, 0.12)
        return State.MEMBRANE if past else None

    def _highest(self, source: str) -> int:
        for entry in self.sources:
            if entry.name == source:
                return max(abs(entry.low), entry.high)
        return next(n.largest for n in self.neurons if n.base.name == source)

    def _delay(self, linear: LinearMap, minimum: int) -> np.ndarray:
        shapes: dict[Shape, float] = {(): 0.3}
        several = (
            not isinstance(linear, Convolution) or Trait.KERNEL_DELAY in self.draws.features.allowed
        )
        if several and Trait.SOURCE_DELAY in self.draws.features.allowed:
            shapes[linear.in_size,] = 0.12
        if several and Trait.WEIGHT_DELAY in self.draws.features.allowed:
            shapes[linear.numbers().shape] = 0.12
        late = Trait.SCALAR_DELAY in self.draws.features.allowed
        if not late or self.draws.chance(0.35):
            return one(minimum)
        most = minimum + (_LARGEST_DELAY if self.draws.chance(0.9) else 20)
        delay = self.draws.rng.integers(minimum, most + 1, self.draws.pick(shapes))
        return np.asarray(np.minimum(delay, minimum + self.draws.sizes.steps // 3), np.int32)

    # -- putting it together ----------------------------------------------------------------

    def program(self) -> Program:
        """Return the program with the present scales, retimed where it is to be."""
        for neurons in self.neurons:
            if not neurons.scale:
                neurons.scale = self.guess(neurons.base)
        program = Program(
            name="random",
            target="loihi2" if self.draws.loihi else "cpu",
            arithmetic=self.arithmetic,
            inputs=tuple(self.sources),
            populations=tuple(
                built(n, self.arithmetic.membrane, loihi=self.draws.loihi) for n in self.neurons
            ),
            projections=tuple(self.projections),
            outputs=tuple(self.outputs),
            period=self.period,
        )
        program = _dilated(program)
        return _retimed(program) if self.retimed else _lagging(program, self.free_lags)

    def guess(self, base: Population) -> float:
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
        rng = self.draws.rng
        full = (self.draws.sizes.samples, self.steps, *entry.shape)
        values = rng.integers(entry.low, entry.high + 1, full)
        there = rng.random(full) < rng.uniform(0.1, 0.6)
        if self.period > 1:  # what comes in other steps is lost, unless a delay makes up for it
            others = np.arange(self.steps) % self.period != 0
            there[:, others] &= rng.random((full[0], int(others.sum()), *entry.shape)) < 0.3
        return Values(name=entry.name, values=(values * there).astype(np.int32))


def _sign(weight: np.ndarray, loihi: bool) -> Sign:
    """Return how weights are stored; on Loihi mixed ones are even."""
    if weight.size and weight.max() <= 0 and weight.min() < 0:
        return Sign.INHIBITORY
    if weight.size and weight.min() >= 0:
        return Sign.EXCITATORY
    assert not loihi or not np.any(weight % 2)
    return Sign.MIXED


def _dilated(program: Program) -> Program:
    """Return the program with delays in steps of its own, not of the network."""
    projections = tuple(
        replace(p, delay=np.asarray(p.delay * program.period)) for p in program.projections
    )
    return replace(program, projections=projections)


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


def _direction(shares: Mapping[str, float], neurons: Drawn) -> int:
    share = shares.get(neurons.base.name)
    if share is None:
        return 0
    return int(share > _AIM[1]) - int(share < _AIM[0])


def _adjust(draft: _Draft, neurons: Drawn, direction: int, share: float) -> None:
    if direction == -neurons.direction:
        neurons.factor **= 0.5
    neurons.direction = direction
    neurons.scale = max(float(neurons.grid), neurons.scale * neurons.factor**direction)
    neurons.silent_rounds += share == 0
    pushed = _PUSHES.get(neurons.silent_rounds)
    if pushed is not None and Trait.MEMBRANE_BIAS in draft.draws.features.allowed:
        neurons.relative.biases += ((np.asarray(pushed), Bias(value=one(0))),)
        neurons.push += pushed
        neurons.scale = max(neurons.scale, 64.0 * neurons.grid)
        if neurons.silent_rounds > min(_PUSHES):
            neurons.scale = max(neurons.scale, draft.guess(neurons.base))


def activity(program: Program, inputs: Sequence[Values], backend: Backend) -> dict[str, float]:
    """Return how active each spiking population of neurons is.

    That is the share of neuron-steps with a spike among those in which its neurons act and may
    fire; of neurons that fire once, half the share of those that do.
    """
    trace = backend.run(program, inputs, COUNTS)
    shares = {}
    for population in program.populations:
        if population.role is Role.NEURONS and is_spiking(population):
            events = trace[population.name].events
            chances = _chances(program, population, trace.steps)
            shares[population.name] = float(events.sum()) / (events.size * chances)
    return shares


def _chances(program: Program, population: Population, steps: int) -> int:
    """Return how often each neuron may fire in a run, at least 1; twice where it may once."""
    refractory, window = population.refractory, population.window
    if refractory is not None and refractory.steps is None and population.restart is None:
        return 2
    acting = range(population.lag, steps, program.period)
    return max(1, sum(window is None or step in window for step in acting))


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


_OVERFLOWS = {
    Overflow.WRAP_ONCE: Trait.WRAP,
    Overflow.WRAP: Trait.MODULO,
    Overflow.SATURATE: Trait.SATURATION,
    Overflow.SATURATE_FULL: Trait.FULL_SATURATION,
}


def seen_in(program: Program, inputs: Sequence[Values]) -> set[Trait]:
    """Return every trait of a program, those included that only a run shows."""
    return traits(program) | _observed(program, inputs)[0]


def _observed(program: Program, inputs: Sequence[Values]) -> tuple[set[Trait], dict[str, float]]:
    """Run the reference simulator and look at what only a run can show."""
    seen: set[Trait] = set()
    fires, held = reference._fires, Register.held

    def watched_fires(now: reference.Now, v: np.ndarray) -> np.ndarray:
        population = now.population
        if population.role is Role.NEURONS and is_spiking(population):
            reached = np.any((v == population.threshold) & (v != population.initial))
            seen.update({Trait.ON_THRESHOLD} if reached else ())
        return fires(now, v)

    def watched_held(register: Register, value: np.ndarray) -> np.ndarray:
        kept = held(register, value)
        if np.any(kept != value):
            seen.add(_OVERFLOWS[register.overflow])
        return kept

    with (
        unchecked(),
        patch.object(reference, "_fires", watched_fires),
        patch.object(Register, "held", watched_held),
    ):
        shares = activity(program, inputs, reference.ReferenceBackend())
    return seen, shares
