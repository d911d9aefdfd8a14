"""Random neurons: all potentials are relative to a scale that is found when they are tuned."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from program_draws import Draws
from program_traits import Trait

from snn_deploy.ir.arithmetic import Arithmetic, Decay, Register, Sums
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
from snn_deploy.ir.limits import WORD_HIGH
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.neuron import (
    CURRENTS,
    Compare,
    During,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.program import Bias, Chain, Current, Floor, Gain, Population, Reset, Role
from snn_deploy.ir.timing import Refractory, Restart, Table, Window

Potential = Callable[[np.ndarray], np.ndarray]
"""Makes whole numbers of potentials that are relative to the scale."""

Near = Callable[..., np.ndarray]
"""Draws a relative potential between two numbers."""

SPIKING = (Fires.BINARY, Fires.COUNT, Fires.TERNARY, Fires.ROUNDED)
KINDS = (Trait.ADAPTIVE, Trait.RESONATOR, Trait.SIGMA, Trait.DELTA, Trait.SIGMA_DELTA)
LARGEST_MESSAGE = 16
"""About the largest number that graded neurons and encoders of changes send."""

LARGEST_SUM = 1000
"""About the largest number that decoders of changes send."""


def one(number: int) -> np.ndarray:
    return np.asarray(number, np.int32)


def nothing() -> np.ndarray:
    return np.zeros(())


@dataclass(slots=True, kw_only=True)
class Relative:
    """What canonical neurons have in units of the scale."""

    threshold: np.ndarray = field(default_factory=nothing)
    lower: np.ndarray = field(default_factory=nothing)
    amount: np.ndarray = field(default_factory=nothing)
    initial: np.ndarray = field(default_factory=nothing)
    current_initials: tuple[np.ndarray, ...] = ()
    floor: tuple[np.ndarray, FloorWhen] | None = None
    biases: tuple[tuple[np.ndarray, Bias], ...] = ()
    """The value of each, and all else."""

    tables: tuple[tuple[np.ndarray, Table], ...] = ()
    """The rows of each, and all else."""


@dataclass(slots=True, kw_only=True)
class Drawn:
    """A population whose thresholds are not final."""

    base: Population
    """Everything that has no unit of potential."""

    grid: int = 1
    """Potentials are multiples of this."""

    relative: Relative = field(default_factory=Relative)
    kind: Callable[[Potential, int], NeuronKind] | None = None
    """Makes neurons of another kind, given the shift of what they send."""

    push: float = 0.0
    """What is added to their bias, where they have one."""

    resonates: bool = False
    """Whether that kind has an imaginary part to be driven."""

    largest: int = 1
    """About the largest payload."""

    scale: float = 0.0
    """State units; 0: not yet chosen."""

    tuned: bool = True
    factor: float = 3.0
    direction: int = 0
    silent_rounds: int = 0


def fixed(base: Population) -> Drawn:
    """Return neurons that stay as they are."""
    return Drawn(base=base, scale=1.0, tuned=False)


def is_spiking(population: Population) -> bool:
    """Return whether the neurons send something now and then, depending on a threshold."""
    if population.kind is not None:
        return not isinstance(population.kind, Sigma)
    return population.fires in SPIKING


# -- the population at its present scale ------------------------------------------------------


def built(neurons: Drawn, membrane: Register, *, loihi: bool) -> Population:
    """Return the population at its present scale."""
    base, grid, scale, relative = neurons.base, neurons.grid, neurons.scale, neurons.relative
    if base.role is not Role.NEURONS:
        return base
    half = min(1 << (membrane.bits - 1), 1 << 29)  # so that three times as much fits an integer
    highest = half - 64  # so that there is something above it
    if loihi:
        highest = min(highest, 131071 << 6)

    def potential(given: np.ndarray) -> np.ndarray:
        whole = grid * np.rint(np.asarray(given) * scale / grid)
        return np.asarray(np.clip(whole, -highest, highest), np.int32)

    shift = max(0, int(scale).bit_length() - 3)
    if neurons.kind is not None:
        kind = neurons.kind(potential, shift)
        if isinstance(kind, Adaptive):
            kind = replace(kind, bias=kind.bias + potential(np.asarray(neurons.push)))
        return replace(base, kind=kind)
    counts = base.fires in (Fires.COUNT, Fires.ROUNDED)
    least = int(membrane.high > WORD_HIGH)  # of 32 bits that wrap once, half is a payload
    threshold = np.asarray(np.maximum(potential(relative.threshold), grid * counts))
    subtract = base.reset.kind is ResetKind.SUBTRACT and np.all(relative.amount == 1)
    return replace(
        base,
        **_currents(base, relative, potential),
        threshold=threshold,
        lower=potential(relative.lower) if base.fires is Fires.TERNARY else base.lower,
        payload_shift=max(shift, least) if base.fires is Fires.GRADED else 0,
        reset=replace(base.reset, amount=threshold if subtract else potential(relative.amount)),
        initial=potential(relative.initial),
        floor=None if relative.floor is None else _floor_of(relative.floor, potential),
        biases=tuple(
            replace(bias, value=_bias_of(potential(value), loihi))
            for value, bias in relative.biases
        ),
        tables=base.tables
        + tuple(_table_of(rows, table, potential, counts) for rows, table in relative.tables),
    )


def _currents(base: Population, relative: Relative, potential: Potential) -> dict[str, Any]:
    pairs = zip(base.currents, relative.current_initials, strict=True)
    currents = [replace(current, initial=potential(start)) for current, start in pairs]
    return {"current": currents[0] if currents else None, "further": tuple(currents[1:])}


def _floor_of(floor: tuple[np.ndarray, FloorWhen], potential: Potential) -> Floor:
    return Floor(value=potential(floor[0]), when=floor[1])


def _table_of(rows: np.ndarray, table: Table, potential: Potential, counts: bool) -> Table:
    whole = potential(rows)
    positive = counts and table.what is Tabled.THRESHOLD
    return replace(table, rows=np.asarray(np.maximum(whole, 1)) if positive else whole)


def _bias_of(value: np.ndarray, loihi: bool) -> np.ndarray:
    """Return a bias; on Loihi 12 bits and a sign, times up to 2**7."""
    return np.asarray(np.clip(value, -(4095 << 7), 4095 << 7) // 128 * 128) if loihi else value


# -- draws ------------------------------------------------------------------------------------


class Neurons:
    """Draws populations."""

    def __init__(self, draws: Draws, arithmetic: Arithmetic, steps: int) -> None:
        self.draws = draws
        self.rules = arithmetic
        self.steps = steps

    def fires(self, *, last: bool) -> Fires:
        """Return what neurons send; only the last population may be a readout."""
        draws = self.draws
        if last and draws.may(Trait.READOUT, 0.25):
            return Fires.NEVER
        if draws.may(Trait.COUNT, 0.2):
            return Fires.COUNT
        for trait, fires in (
            (Trait.TERNARY, Fires.TERNARY),
            (Trait.ROUNDED, Fires.ROUNDED),
            (Trait.GRADED, Fires.GRADED),
        ):
            if draws.offered(trait, 0.08):
                return fires
        return Fires.BINARY

    def canonical(self, name: str, shape: Shape, fires: Fires, *, extreme: bool) -> Drawn:
        """Return neurons of the canonical family."""
        draws = self.draws
        lattice = draws.chance(0.4) and self.rules.decay is Decay.MULTIPLY
        grid = 64 if draws.loihi or lattice else 1
        reset = self._reset_kind(fires)

        def near(low: float, high: float, chance: float = 1.0) -> np.ndarray:
            if not draws.chance(chance):
                return nothing()
            return draws.parameter(shape, lambda full: draws.rng.uniform(low, high, full))

        currents = self._currents(shape, lattice, extreme)
        amount = near(0.6, 1.3, 0.4) if reset[0] is ResetKind.SUBTRACT else near(-0.5, 0.3, 0.4)
        if reset[0] is ResetKind.SUBTRACT and not amount.any():
            amount = np.ones(())
        several = fires in (Fires.COUNT, Fires.ROUNDED)
        base = Population(
            name=name, shape=shape, decay=self._membrane_decay(shape, lattice),
            current=currents[0] if currents else None, further=currents[1:],
            fires=fires, max_spikes=draws.whole(2, 8) if several else 1,
            compare=self._compare(), reset=Reset(kind=reset[0], when=reset[1]),
        )  # fmt: skip
        may_start = bool(currents) and Trait.INITIAL_CURRENT in draws.features.allowed
        threshold = draws.parameter(shape, lambda full: draws.rng.uniform(0.7, 1.4, full))
        may_charge = Trait.INITIAL_MEMBRANE in draws.features.allowed
        initial = near(-0.5, 1.1, 0.25 * may_charge)
        start = near(-0.3, 0.6, 0.3 * may_start)
        relative = Relative(
            threshold=threshold,
            amount=amount,
            initial=initial,
            current_initials=(start,) if currents else (),
            floor=self._floor(near),
            biases=self._biases(near, currents, extreme),
        )
        neurons = Drawn(base=base, grid=grid, relative=relative, largest=base.highest_payload)
        if extreme:
            half = 1 << (self.rules.membrane.bits - 1)
            neurons.scale = half * draws.rng.uniform(0.3, 0.99)
            narrow = self.rules.accumulator is not None or self.rules.change is not None
            neurons.tuned = draws.chance(0.5) or narrow or len(currents) > 1
        self._add_beyond_lif(neurons, near)
        return neurons

    def _reset_kind(self, fires: Fires) -> tuple[ResetKind, When]:
        kinds = {
            Trait.RESET_NONE: (ResetKind.NONE, When.NOW),
            Trait.RESET_VALUE_NOW: (ResetKind.VALUE, When.NOW),
            Trait.RESET_VALUE_NEXT: (ResetKind.VALUE, When.NEXT),
            Trait.RESET_SUBTRACT_NOW: (ResetKind.SUBTRACT, When.NOW),
            Trait.RESET_SUBTRACT_NEXT: (ResetKind.SUBTRACT, When.NEXT),
        }
        if fires is Fires.BINARY:
            kinds[Trait.RESET_RETESTED] = (ResetKind.SUBTRACT, When.RETESTED)
        allowed = self.draws.features.allowed
        return self.draws.pick({v: 1.0 for k, v in kinds.items() if k in allowed})

    def _compare(self) -> Compare:
        greater_equal = self.draws.may(Trait.GREATER_EQUAL, 0.4)
        return Compare.GREATER_EQUAL if greater_equal else Compare.GREATER

    def _floor(self, near: Near) -> tuple[np.ndarray, FloorWhen] | None:
        when = {
            FloorWhen.BEFORE_TEST: Trait.FLOOR_BEFORE_TEST,
            FloorWhen.AFTER_RESET: Trait.FLOOR_AFTER_RESET,
        }
        chosen = list(FloorWhen)[self.draws.whole(0, 1)]
        if not self.draws.may(when[chosen], 0.35):
            return None
        return near(-0.8, 0.2, 0.6), chosen

    def _decay(self, shape: Shape, share: tuple[float, float], low: int, high: int) -> np.ndarray:
        """Return decays that keep a share between two ends, as the arithmetic has them."""
        draws = self.draws
        if self.rules.decay is Decay.SHIFT:
            return draws.parameter(shape, lambda full: draws.rng.integers(0, 9, full))
        whole = 1 << self.rules.decay_bits

        def draw(full: Shape) -> np.ndarray:
            drawn = np.rint(draws.rng.uniform(*share, full) * whole)
            return np.clip(drawn, low, high).astype(np.int32)

        decay = draws.parameter(shape, draw)
        return np.asarray(-decay) if draws.offered(Trait.SIGNED_DECAY, 0.06) else decay

    def _membrane_decay(self, shape: Shape, lattice: bool) -> np.ndarray:
        whole = 1 << self.rules.decay_bits
        if lattice:
            return one(whole)
        share = self.draws.pick({(0.5, 0.99): 0.6, (0.0, 0.4): 0.2, (1.0, 1.0): 0.2})
        return self._decay(shape, share, 1 if self.draws.loihi else 0, whole)

    def _currents(self, shape: Shape, lattice: bool, extreme: bool) -> tuple[Current, ...]:
        draws = self.draws
        wanted = 0.9 if extreme else 0.25 if lattice else 0.6
        forced = Trait.NO_CURRENT not in draws.features.allowed
        if not (draws.may(Trait.CURRENT, wanted) or forced):
            return ()
        first = self._current(shape, lattice, extreme)
        if not draws.offered(Trait.SEVERAL_CURRENTS, 0.3):
            return (first,)
        currents = [first]
        for _ in range(draws.whole(1, len(CURRENTS) - 1)):
            further = self._current(shape, lattice, extreme)
            currents.append(replace(further, chain=self._chain(shape)))
        for number in range(len(currents)):
            into = 1
            if number and draws.offered(Trait.SUBTRACTED_CURRENT, 0.3):
                into = -1
            elif number < len(currents) - 1 and draws.offered(Trait.HIDDEN_CURRENT, 0.25):
                into = 0
            currents[number] = replace(currents[number], into_membrane=into)
        return tuple(currents)

    def _current(self, shape: Shape, lattice: bool, extreme: bool) -> Current:
        draws = self.draws
        whole = 1 << self.rules.decay_bits
        kept = {(0.1, 0.9): 0.2 if extreme else 0.7, (0.9, 1.0): 0.2, (0.0, 0.0): 0.1}
        share = (0.0, 0.0) if lattice and not extreme else draws.pick(kept)
        reads = Reads.OLD if draws.may(Trait.OLD_CURRENT, 0.35) else Reads.NEW
        decay = self._decay(shape, share, 0, whole - 1 if draws.loihi else whole)
        return Current(decay=decay, reads=reads)

    def _chain(self, shape: Shape) -> Chain | None:
        draws, whole = self.draws, 1 << self.rules.decay_bits
        reads = [
            way
            for way, trait in ((Reads.NEW, Trait.CHAIN_NEW), (Reads.OLD, Trait.CHAIN_OLD))
            if trait in draws.features.allowed
        ]
        if not reads or draws.chance(0.35):
            return None
        low, high = (-0.5, 0.0) if draws.chance(0.2) else (0.1, 1.2)
        multiplier = draws.parameter(
            shape,
            lambda full: np.rint(draws.rng.uniform(low, high, full) * whole).astype(np.int32),
        )
        return Chain(multiplier=multiplier, reads=reads[draws.whole(0, len(reads) - 1)])

    def _biases(
        self, near: Near, currents: tuple[Current, ...], extreme: bool
    ) -> tuple[tuple[np.ndarray, Bias], ...]:
        draws = self.draws
        size = 0.5 if extreme else 0.12
        biases = []
        for state, trait, probability in (
            (State.MEMBRANE, Trait.MEMBRANE_BIAS, 0.35),
            (State.CURRENT, Trait.CURRENT_BIAS, 0.3 * bool(currents)),
        ):
            if draws.may(trait, probability):
                late = draws.may(Trait.LATE_BIAS, 0.5)
                start = draws.whole(1, max(1, self.steps // 2)) if late else 0
                bias = Bias(value=one(0), into=state, start=start)
                biases.append((near(-size / 3, size), bias))
        for state in CURRENTS[1 : len(currents)]:
            if draws.offered(Trait.FURTHER_BIAS, 0.25):
                biases.append((near(-size / 3, size), Bias(value=one(0), into=state)))
        return tuple(biases)

    # -- beyond leaky integrate-and-fire ----------------------------------------------------

    def _add_beyond_lif(self, neurons: Drawn, near: Near) -> None:
        """Add what counts steps, changes with them, or scales what arrives."""
        draws, base, relative = self.draws, neurons.base, neurons.relative
        may_start = Trait.INITIAL_CURRENT in draws.features.allowed
        starts = tuple(near(-0.3, 0.6, 0.3 * may_start) for _ in base.further)
        relative.current_initials += starts
        if base.fires is Fires.TERNARY:
            relative.lower = near(-1.4, -0.5)
        if base.fires is Fires.GRADED:
            neurons.largest, neurons.tuned = LARGEST_MESSAGE, False
        doors = (State.MEMBRANE, *CURRENTS[: len(base.currents)])
        for into in doors:
            if draws.offered(Trait.WAITING_BIAS, 0.06):
                late = draws.offered(Trait.LATE_BIAS, 0.4)
                start = draws.whole(0, self.steps // 4) if late else 0
                bias = Bias(value=one(0), into=into, start=start, waits=True)
                relative.biases += ((near(-0.05, 0.2), bias),)
        base = replace(base, refractory=self._refractory(base), window=self._window())
        if draws.offered(Trait.RESTART, 0.08):
            interval = draws.whole(3, max(4, self.steps // 2))
            offset = draws.whole(0, interval - 1)
            base = replace(base, restart=Restart(interval=interval, offset=offset))
        base = replace(base, **self._gains(base, doors))
        factors = self._table(Trait.PAYLOAD_TABLE, 0.08, Tabled.PAYLOAD)
        if factors is not None:
            rows = draws.rng.integers(-2, 4, factors.rows.shape).astype(np.int32)
            base = replace(base, tables=(*base.tables, replace(factors, rows=rows)))
            neurons.largest *= 3
        neurons.base = base
        relative.tables = self._relative_tables(base, doors)

    def _refractory(self, base: Population) -> Refractory | None:
        draws = self.draws
        options = [During.HELD, During.INTEGRATES]
        options += [During.CLAMPED] * (base.reset.kind is ResetKind.VALUE)
        traits = {
            During.HELD: Trait.REFRACTORY_HELD,
            During.INTEGRATES: Trait.REFRACTORY_INTEGRATES,
            During.CLAMPED: Trait.REFRACTORY_CLAMPED,
        }
        for during in options:
            if draws.offered(traits[during], 0.25 if during is During.CLAMPED else 0.07):
                once = draws.offered(Trait.FIRES_ONCE, 0.3)
                steps = None if once else draws.whole(1, 5)
                return Refractory(steps=steps, during=during)
        return None

    def _window(self) -> Window | None:
        if not self.draws.offered(Trait.WINDOW, 0.08):
            return None
        first = self.draws.whole(0, self.steps // 3)
        return Window(first=first, behind=first + self.draws.whole(self.steps // 3, self.steps))

    def _gains(self, base: Population, doors: tuple[State, ...]) -> dict[str, Any]:
        draws = self.draws
        gains, tables = [], []
        for into in doors if self.rules.sums is Sums.TOGETHER else ():
            if not draws.offered(Trait.GAIN, 0.08):
                continue
            shift = draws.whole(0, 8)

            def factor(full: Shape, unit: int = 1 << shift) -> np.ndarray:
                drawn = np.rint(draws.rng.uniform(0.3, 2.0, full) * unit)
                return np.where(draws.rng.random(full) < 0.1, -drawn, drawn).astype(np.int32)

            gains.append(
                Gain(into=into, multiplier=draws.parameter(base.shape, factor), shift=shift)
            )
            table = self._table(Trait.GAIN_TABLE, 0.6, Tabled.GAIN, into)
            if table is not None:
                shape = base.shape if draws.chance(0.3) else ()
                tables.append(replace(table, rows=factor((len(table.rows), *shape))))
        return {"gains": tuple(gains), "tables": tuple(tables)}

    def _table(
        self, trait: Trait, probability: float, what: Tabled, into: State | None = None
    ) -> Table | None:
        """Return a table with the number of rows that it is to have, or None."""
        draws = self.draws
        if not draws.offered(trait, probability):
            return None
        return Table(
            what=what,
            into=into,
            rows=np.zeros(draws.whole(2, 8), np.int32),
            start=draws.whole(0, max(1, self.steps // 3)) if draws.chance(0.5) else 0,
            repeats=draws.offered(Trait.REPEATED_TABLE, 0.5),
        )

    def _relative_tables(
        self, base: Population, doors: tuple[State, ...]
    ) -> tuple[tuple[np.ndarray, Table], ...]:
        draws = self.draws
        wanted: list[tuple[Table | None, float, float]] = [
            (self._table(Trait.BIAS_TABLE, 0.04, Tabled.BIAS, into), -0.1, 0.2) for into in doors
        ]
        if base.fires in SPIKING:
            table = self._table(Trait.THRESHOLD_TABLE, 0.1, Tabled.THRESHOLD)
            wanted.append((table, 0.5, 1.6))
        if base.fires is Fires.TERNARY:
            wanted.append((self._table(Trait.LOWER_TABLE, 0.4, Tabled.LOWER), -1.6, -0.4))
        tables = []
        for table, low, high in wanted:
            if table is not None:
                shape = base.shape if draws.chance(0.3) else ()
                tables.append((draws.rng.uniform(low, high, (len(table.rows), *shape)), table))
        return tuple(tables)

    # -- other kinds ------------------------------------------------------------------------

    def kind(self) -> Trait | None:
        """Return which other kind of neurons to draw; None: the canonical one."""
        for trait in KINDS:
            if self.draws.offered(trait, 0.045):
                return trait
        return None

    def of_kind(self, name: str, shape: Shape, trait: Trait) -> Drawn:
        """Return neurons of another kind."""
        draws = self.draws
        base = Population(name=name, shape=shape, decay=one(0))
        makers = {
            Trait.ADAPTIVE: self._adaptive,
            Trait.RESONATOR: self._resonator,
            Trait.SIGMA: self._sigma,
            Trait.DELTA: self._delta,
            Trait.SIGMA_DELTA: self._sigma_delta,
        }

        def some(low: float, high: float, chance: float = 1.0) -> np.ndarray:
            if not draws.chance(chance):
                return nothing()
            return draws.parameter(shape, lambda full: draws.rng.uniform(low, high, full))

        largest = {Trait.ADAPTIVE: 1, Trait.RESONATOR: 1, Trait.SIGMA: LARGEST_SUM}
        return Drawn(
            base=base,
            kind=makers[trait](some),
            resonates=trait is Trait.RESONATOR,
            largest=largest.get(trait, LARGEST_MESSAGE),
            tuned=trait is not Trait.SIGMA,
        )

    def _adaptive(self, some: Near) -> Callable[[Potential, int], NeuronKind]:
        whole = 1 << self.rules.decay_bits
        ends = ((0.0, 0.9), (0.5, 1.0), (0.5, 1.0), (0.2, 0.95))
        decays = [np.rint(some(*end) * whole).astype(np.int32) for end in ends]
        base, increase, bias = some(0.5, 1.2), some(0.0, 0.5), some(-0.05, 0.2, 0.4)
        starts = [some(-0.3, 0.6, 0.3) for _ in range(3)]
        return lambda potential, _: Adaptive(
            current_decay=decays[0],
            decay=decays[1],
            threshold_decay=decays[2],
            refraction_decay=decays[3],
            base=potential(base),
            increase=potential(increase),
            bias=potential(bias),
            initial_current=potential(starts[0]),
            initial_membrane=potential(starts[1]),
            initial_refraction=potential(starts[2]),
        )

    def _resonator(self, some: Near) -> Callable[[Potential, int], NeuronKind]:
        draws = self.draws
        bits = 12 if draws.chance(0.7) else draws.whole(6, 14)
        kept, angle = some(0.7, 1.0), float(draws.rng.uniform(0.2, 2.5))
        cosine = np.rint(kept * np.cos(angle) * 2**bits).astype(np.int32)
        sine = np.rint(kept * np.sin(angle) * 2**bits).astype(np.int32)
        threshold, starts = some(0.4, 1.2), [some(-0.3, 0.6, 0.3) for _ in range(2)]
        fires_at = list(Resonance)[draws.whole(0, 1)]
        return lambda potential, _: Resonator(
            cosine=cosine,
            sine=sine,
            threshold=potential(threshold),
            fires_at=fires_at,
            decay_bits=bits,
            initial_real=potential(starts[0]),
            initial_imaginary=potential(starts[1]),
        )

    def _sigma(self, some: Near) -> Callable[[Potential, int], NeuronKind]:
        start = some(-0.3, 0.6, 0.3)
        return lambda potential, _: Sigma(initial_sigma=potential(start))

    def _delta(self, some: Near) -> Callable[[Potential, int], NeuronKind]:
        threshold, cumulative = some(0.2, 1.0), self.draws.chance(0.4)
        return lambda potential, shift: Delta(
            threshold=potential(threshold), payload_shift=min(shift, 31), cumulative=cumulative
        )

    def _sigma_delta(self, some: Near) -> Callable[[Potential, int], NeuronKind]:
        threshold, bias, start = some(0.2, 1.0), some(-0.2, 0.4, 0.5), some(-0.3, 0.6, 0.3)
        activation = list(Activation)[self.draws.whole(0, 1)]
        cumulative = self.draws.chance(0.4)
        return lambda potential, shift: SigmaDelta(
            threshold=potential(threshold),
            bias=potential(bias),
            activation=activation,
            payload_shift=min(shift, 31),
            cumulative=cumulative,
            initial_sigma=potential(start),
        )
