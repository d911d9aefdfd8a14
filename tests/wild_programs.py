"""Random programs with everything that their type allows, likely or not.

`random_program` draws networks that do something; here their neurons get further currents, tables,
refractory steps, narrow registers of every kind and whatever else there is, so that overflow and
odd combinations are common.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from strategies import LIF, LOIHI, Sizes, random_program

from snn_deploy.ir.arithmetic import Arithmetic, Decay, Order, Overflow, Register, Sums
from snn_deploy.ir.neuron import CURRENTS, During, Fires, Reads, ResetKind, State, Tabled, When
from snn_deploy.ir.program import (
    Bias,
    Chain,
    Current,
    Gain,
    Input,
    Population,
    Program,
    Refractory,
    Reset,
    Restart,
    Role,
    Table,
    Window,
)
from snn_deploy.ir.trace import Values

STEPS = 16
"""Steps in which windows, tables and biases begin."""


def wild_program(rng: np.random.Generator) -> Program:
    """Return a program of one to three populations; equal states of `rng` give equal programs."""
    features = LOIHI if rng.random() < 0.3 else LIF
    count = int(rng.integers(1, 4))
    sizes = Sizes(populations=count, neurons=6, extent=4, samples=2, steps=STEPS)
    program, _ = random_program(rng, features, sizes)
    return _Wild(rng).program(program) if rng.random() < 0.8 else program


def wild_inputs(
    rng: np.random.Generator, inputs: Sequence[Input], samples: int, steps: int
) -> tuple[Values, ...]:
    """Return inputs within their bounds: sparse, dense, extreme, or the same in every step."""
    found = []
    for entry in inputs:
        full = (steps, *entry.shape)
        values = []
        for _ in range(samples):
            value = rng.integers(entry.low, entry.high + 1, full)
            kind = rng.integers(4)
            if kind == 0:
                value = np.where(rng.random(full) < rng.random(), value, entry.low)
            elif kind == 1:
                value = np.where(rng.random(full) < rng.random(), entry.low, entry.high)
            elif kind == 2:
                chosen = np.where(rng.random(entry.shape) < 0.5, entry.low, entry.high)
                value = np.broadcast_to(chosen, full)
            values.append(value)
        found.append(Values(name=entry.name, values=np.stack(values).astype(np.int32)))
    return tuple(found)


def whole(value: Any) -> np.ndarray:
    """Return a parameter of a program."""
    return np.asarray(value, np.int32)


class _Wild:
    """Draws what a program and its populations may have besides."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def one_of(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def below(self, behind: int, first: int = 0) -> int:
        return int(self.rng.integers(first, behind))

    def register(self, bits: int) -> Register:
        return Register(bits=self.below(33, bits), overflow=self.one_of(list(Overflow)))

    def program(self, program: Program) -> Program:
        rules = self.rules(program.arithmetic)
        populations = tuple(self.population(p, rules) for p in program.populations)
        doors = {p.name: self.doors(p) for p in populations}
        return replace(
            program,
            arithmetic=rules,
            populations=populations,
            projections=tuple(
                replace(p, into=self.one_of(doors[p.target]) if self.chance(0.5) else None)
                for p in program.projections
            ),
            period=self.below(4, 1) if self.chance(0.15) else 1,
        )

    def rules(self, rules: Arithmetic) -> Arithmetic:
        if self.chance(0.3):
            rules = replace(rules, order=Order.ADD_FIRST)
        if self.chance(0.2):
            rules = replace(rules, sums=Sums.BY_ROW)
        elif self.chance(0.2):
            rules = replace(rules, accumulator=self.register(10))
        if self.chance(0.4):
            rules = replace(rules, current=self.register(10), membrane=self.register(10))
        if self.chance(0.2):
            rules = replace(rules, change=self.register(8))
        return replace(rules, decay=Decay.SHIFT) if self.chance(0.15) else rules

    @staticmethod
    def doors(population: Population) -> tuple[State, ...]:
        return (State.MEMBRANE, *CURRENTS[: len(population.currents)])

    def population(self, base: Population, rules: Arithmetic) -> Population:
        if base.role is not Role.NEURONS:
            return base if rules.decay is Decay.MULTIPLY else replace(base, decay=whole(1))
        draw = _Numbers(self, base, rules)
        made = replace(base, **self.currents(base, draw))
        made = replace(made, **self.firing(made, draw))
        return replace(made, **self.times(made, draw))

    def currents(self, base: Population, draw: "_Numbers") -> dict[str, Any]:
        shifts = draw.rules.decay is Decay.SHIFT
        current = base.current
        if current is not None and shifts:
            current = replace(current, decay=draw.decay())
        if current is None and self.chance(0.2):
            current = Current(decay=draw.decay())
        if current is not None and self.chance(0.2):
            current = replace(current, into_membrane=self.below(2, -1))
        further = ()
        if current is not None and self.chance(0.4):
            further = tuple(draw.current() for _ in range(self.below(4, 1)))
        decay = draw.decay() if shifts or self.chance(0.1) else base.decay
        return {"decay": decay, "current": current, "further": further}

    def firing(self, base: Population, draw: "_Numbers") -> dict[str, Any]:
        fires, reset = base.fires, base.reset
        if fires is not Fires.NEVER and self.chance(0.5):
            fires = self.one_of([f for f in Fires if f is not Fires.NEVER])
        if fires is Fires.BINARY and self.chance(0.2):
            amount = draw.near(-0.2, 1.2)
            reset = Reset(kind=ResetKind.SUBTRACT, amount=amount, when=When.RETESTED)
        change: dict[str, Any] = {"fires": fires, "reset": reset}
        if fires in (Fires.COUNT, Fires.ROUNDED):
            change["max_spikes"] = self.below(6, 1)
            change["threshold"] = whole(np.maximum(base.threshold, 1))
        if fires is Fires.TERNARY:
            change["lower"] = whole(np.minimum(base.threshold, draw.near(-1.5, 0.5)))
        if fires is Fires.GRADED:
            change["payload_shift"] = self.below(12)
        if self.chance(0.4):
            options = [During.HELD, During.INTEGRATES]
            options += [During.CLAMPED] * (reset.kind is ResetKind.VALUE)
            steps = None if self.chance(0.3) else self.below(5, 1)
            change["refractory"] = Refractory(steps=steps, during=self.one_of(options))
        return change

    def times(self, base: Population, draw: "_Numbers") -> dict[str, Any]:
        doors, change, tables = self.doors(base), dict[str, Any](), list[Table]()
        if self.chance(0.2):
            first = self.below(10)
            change["window"] = Window(first=first, behind=first + self.below(15))
        if self.chance(0.15):
            interval = self.below(12, 1)
            change["restart"] = Restart(interval=interval, offset=self.below(interval))
        if self.chance(0.25) and draw.rules.sums is Sums.TOGETHER:
            change["gains"] = gains = tuple(
                Gain(into=into, multiplier=whole(self.below(30, -10)), shift=self.below(6))
                for into in doors
                if self.chance(0.6)
            )
            tables += [
                draw.table(Tabled.GAIN, -10, 30, gain.into) for gain in gains if self.chance(0.5)
            ]
        quarter = draw.scale // 4
        least = 1 if base.fires in (Fires.COUNT, Fires.ROUNDED) else -quarter
        if self.chance(0.25):
            tables.append(draw.table(Tabled.BIAS, -quarter, quarter, self.one_of(doors)))
        if self.chance(0.25) and base.fires is not Fires.TERNARY:
            tables.append(draw.table(Tabled.THRESHOLD, least, 2 * draw.scale))
        if self.chance(0.3) and base.fires is Fires.TERNARY:
            tables.append(draw.table(Tabled.LOWER, -3 * draw.scale, -2 * draw.scale))
        if self.chance(0.2):
            tables.append(draw.table(Tabled.PAYLOAD, -3, 5))
        biases = tuple(b for b in base.biases if b.into in doors)
        if self.chance(0.3):
            value, into = draw.near(-0.2, 0.3), self.one_of(doors)
            start, waits = self.below(9), self.chance(0.5)
            biases = (*biases, Bias(value=value, into=into, start=start, waits=waits))
        return {**change, "tables": tuple(tables), "biases": biases}


class _Numbers:
    """Draws numbers of the size that a population has already."""

    def __init__(self, wild: _Wild, base: Population, rules: Arithmetic) -> None:
        self.wild, self.base, self.rules = wild, base, rules
        self.scale = max(4, int(np.abs(base.threshold).max()))

    def shape(self) -> tuple[int, ...]:
        return self.base.shape if self.wild.chance(0.2) else ()

    def near(self, low: float, high: float) -> np.ndarray:
        """Return numbers from `low` to `high` thresholds."""
        ends = int(low * self.scale), int(high * self.scale) + 1
        return whole(self.wild.rng.integers(*ends, self.shape()))

    def decay(self) -> np.ndarray:
        if self.rules.decay is Decay.SHIFT:
            return whole(self.wild.rng.integers(0, 7, self.shape()))
        sign = -1 if self.wild.chance(0.2) else 1
        one = 1 << self.rules.decay_bits
        return whole(sign * self.wild.rng.integers(0, one + 1, self.shape()))

    def current(self) -> Current:
        wild, one = self.wild, 1 << self.rules.decay_bits
        chain = None
        if wild.chance(0.6):
            multiplier = whole(wild.below(one + 1, -one))
            chain = Chain(multiplier=multiplier, reads=wild.one_of(list(Reads)))
        return Current(
            decay=self.decay(),
            reads=wild.one_of(list(Reads)),
            initial=self.near(-0.5, 0.5) if wild.chance(0.3) else whole(0),
            into_membrane=wild.below(2, -1),
            chain=chain,
        )

    def table(self, what: Tabled, low: int, high: int, into: State | None = None) -> Table:
        rng, count, shape = self.wild.rng, self.wild.below(8, 1), self.shape()
        return Table(
            what=what,
            into=into,
            rows=whole(rng.integers(low, high + 1, (count, *shape))),
            start=self.wild.below(12),
            repeats=self.wild.chance(0.5),
        )
