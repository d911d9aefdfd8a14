"""The range proof: interval arithmetic over every accumulator and state of a program.

All inputs within the declared bounds, in any order, for runs of any length: what is bounded here
never wraps and never saturates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.neuron import Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.program import Population, Program, Projection
from snn_deploy.ir.words import counted
from snn_deploy.quantize.passes import Passed
from snn_deploy.quantize.rounding import weight_range
from snn_deploy.targets import Target

Bound = Float[np.ndarray, " neuron"]
"""Whole numbers below 2**53, or infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What a quantity of each neuron can be."""

    low: Bound
    high: Bound

    def __add__(self, other: "Interval") -> "Interval":
        return Interval(low=self.low + other.low, high=self.high + other.high)

    def including(self, value: np.ndarray) -> "Interval":
        """Return the smallest interval that also holds `value`."""
        return Interval(low=np.minimum(self.low, value), high=np.maximum(self.high, value))

    @property
    def size(self) -> Bound:
        """Largest absolute value."""
        return np.maximum(-self.low, self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The proven intervals of one population; infinite where there is no bound."""

    drive: Interval
    """Sum over all projections, shifted: what one step can bring."""

    current: Interval | None
    membrane: Interval
    """Before the threshold test, so the largest that its register ever holds."""

    current_step: Bound
    """How far the current can move in one step."""

    membrane_step: Bound
    """How far the membrane can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRanges:
    """Pass: the same program, with a finding for every population that may leave its registers."""

    name: ClassVar[str] = "check-ranges"

    target: Target

    def __call__(self, graph: Program) -> Passed[Program]:
        """Return `graph`.

        Raises:
            DoesNotFitError: a single weight, threshold or delay lies outside what the target
                stores.
        """
        for projection in graph.projections:
            self._check_weights(projection)
        findings = [f for p in graph.populations for f in self._findings(graph, p)]
        return Passed(graph=graph, findings=tuple(findings))

    def _check_weights(self, projection: Projection) -> None:
        stored = weight_range(self.target, projection.sign, None)
        weight = projection.map.numbers()
        wrong = (weight < stored.low) | (weight > stored.high) | (weight % stored.step != 0)
        if np.any(wrong):
            first = [int(i) for i in np.argwhere(wrong)[0]]
            raise DoesNotFitError(
                f"the weight {int(weight[tuple(first)])} is none that {self.target.name} stores: "
                f"{stored.low}..{stored.high} in steps of {stored.step} ({projection.sign.value})",
                where=f"{projection.name}.weight{first}, first of {int(wrong.sum())}",
                fix="make the program with compile_network",
            )

    def _findings(self, graph: Program, population: Population) -> Iterator[Finding]:
        bounds = state_bounds(graph, population)
        shift = self.target.weights.shift.value
        sums = bounds.drive.size / (1 << shift)
        yield from self._finding(
            population, "the sum of weights", sums, self.target.highest_sum, sums
        )
        if bounds.current is not None:
            highest = (1 << (self.target.states.current.bits - 1)) - 1
            yield from self._finding(
                population, "the current", bounds.current.size, highest, bounds.current_step
            )
        highest = self.target.highest_state
        if population.fires is Fires.NEVER:
            highest = min(highest, self.target.highest_threshold)
        yield from self._finding(
            population, "the membrane", bounds.membrane.size, highest, bounds.membrane_step
        )

    def _finding(
        self,
        population: Population,
        what: str,
        size: Bound,
        highest: int,
        per_step: Bound,
    ) -> Iterator[Finding]:
        wrong = np.flatnonzero(size > highest)
        if not wrong.size:
            return
        reason = "for the worst input that the program admits; --prove may help"
        worst = int(np.argmax(size))
        bound = f"may reach {size[worst]:.0f}"
        if np.isinf(size[worst]):
            reason = "nothing pulls it back while its input pushes; simulators count what happens"
            worst = int(wrong[np.argmax(per_step[wrong])])
            bound = "has no bound, for its current has none"
            if np.isfinite(per_step[worst]):
                bound = f"has no bound and moves by up to {per_step[worst]:.0f} in a step"
        neuron = [int(i) for i in np.unravel_index(worst, population.shape)]
        yield Finding(
            kind=Kind.UNPROVEN,
            layer=population.name,
            amount=f"{what} of neuron {neuron} {bound}; the register holds {highest} "
            f"({wrong.size} of {counted(population.size, 'neuron')})",
            reason=reason,
        )


def state_bounds(program: Program, population: Population) -> Bounds:
    """Return the intervals of `population` in `program`."""
    one = 1 << program.arithmetic.decay_bits
    drive = _drive(program, population)
    integrated, current, current_step = drive, None, drive
    if population.current is not None:
        current_step = drive + _biases(population, State.CURRENT)
        initial = _flat(population.current.initial, population)
        current = _leaky(current_step, _flat(population.current.decay, population) / one, initial)
        integrated = current
        if population.current.reads is Reads.OLD:
            integrated = current.including(initial)
    step = integrated + _biases(population, State.MEMBRANE)
    return Bounds(
        drive=drive,
        current=current,
        membrane=_membrane(population, step, one),
        current_step=current_step.size,
        membrane_step=step.size,
    )


def _flat(parameter: np.ndarray, population: Population) -> Bound:
    return per_neuron(parameter, population.shape).ravel().astype(np.float64)


def _drive(program: Program, population: Population) -> Interval:
    low, high = np.zeros(population.size), np.zeros(population.size)
    for projection in program.into(population.name):
        first, last = program.payload_range(projection.source)
        weight = projection.map.numbers().astype(np.float64) * (1 << projection.shift)
        ends = weight * min(first, 0), weight * max(last, 0)
        ones = np.ones(projection.map.in_shape)
        low += projection.map.with_numbers(np.minimum(*ends)).apply(ones).ravel()
        high += projection.map.with_numbers(np.maximum(*ends)).apply(ones).ravel()
    return Interval(low=low, high=high)


def _biases(population: Population, into: State) -> Interval:
    """Return what the biases can add: any that have started, the others not."""
    values = [_flat(b.value, population) for b in population.biases if b.into is into]
    zero = np.zeros(population.size)
    return Interval(
        low=sum((np.minimum(v, 0) for v in values), zero),
        high=sum((np.maximum(v, 0) for v in values), zero),
    )


def _leaky(step: Interval, decay: Bound, initial: Bound) -> Interval:
    """Return the bound of x = decay(x) + step: the fixed point, or the start if that is larger."""
    return Interval(
        low=np.minimum(-_fixed_point(-step.low, decay), initial),
        high=np.maximum(_fixed_point(step.high, decay), initial),
    )


def _fixed_point(step: Bound, decay: Bound) -> Bound:
    """Return the least x >= 0 with decay * x + step <= x; infinite where there is none."""
    up = np.maximum(step, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = np.ceil(up / (1 - decay))
    return np.where(up == 0, 0.0, np.where(decay < 1, bound, np.inf))


def _membrane(population: Population, step: Interval, one: int) -> Interval:
    """Return the bound of the membrane before its reset, from that of the step before."""
    decay = _flat(population.decay, population) / one
    initial = _flat(population.initial, population)
    high = _highest_kept(population, step, decay)
    low, dropped = -_fixed_point(-step.low, decay), _lowest_reset(population, step, decay)
    low = np.minimum(low, dropped)
    if population.floor is not None:
        floor = _flat(population.floor.value, population)
        high = np.maximum(high, floor)
        under = population.floor.when is FloorWhen.BEFORE_TEST and population.reset.when is When.NOW
        low = np.maximum(low, np.minimum(floor, dropped) if under else floor)
    kept = Interval(low=low, high=high).including(initial).including(np.zeros_like(initial))
    before = Interval(low=decay * kept.low + step.low, high=decay * kept.high + step.high)
    return before.including(kept.low).including(kept.high)


def _highest_kept(population: Population, step: Interval, decay: Bound) -> Bound:
    """Return the highest membrane that a step ends with, if it began below that.

    With f(x) = decay * x + step: one that does not fire ends at f(x), or at its threshold if that
    is lower; one that sends s ends at the reset value, or s amounts lower. Where the reset is
    late, all that comes one f later.
    """
    free = _fixed_point(step.high, decay)
    reset = population.reset
    if population.fires is Fires.NEVER or reset.kind is ResetKind.NONE:
        return free
    amount = _flat(reset.amount, population)
    quiet = np.maximum(_flat(population.threshold, population), 0.0)
    excess = quiet
    if reset.when is When.NEXT:
        quiet, excess = decay * quiet + step.high, decay * quiet
    if reset.kind is ResetKind.VALUE:
        return np.maximum(amount, np.minimum(free, quiet))
    most = population.highest_payload
    bound = quiet + (most - 1) * np.maximum(excess - amount, 0.0)
    bound = np.maximum(bound, _fixed_point(step.high - most * amount, decay))
    return np.where(amount >= 0, np.minimum(free, bound), bound)


def _lowest_reset(population: Population, step: Interval, decay: Bound) -> Bound:
    """Return the lowest membrane that a reset leaves behind, 0 if it leaves none below.

    A neuron that sends s was at s thresholds at least. The 1 is what a decay may round off.
    """
    reset = population.reset
    if population.fires is Fires.NEVER or reset.kind is ResetKind.NONE:
        return np.zeros(population.size)
    amount = _flat(reset.amount, population)
    if reset.kind is ResetKind.VALUE:
        return np.minimum(amount, 0.0)
    fired, threshold = np.zeros(population.size), _flat(population.threshold, population)
    if reset.when is When.NEXT:
        fired, threshold = step.low - 1, decay * threshold
    left = threshold - amount
    return np.minimum(0.0, fired + np.minimum(left, population.highest_payload * left))
