"""The range proof: whether some input that a program admits drives a register out of its range.

For all inputs within the declared bounds, in any order, and for runs of so many steps or of any
length. `bounds` computes what each state can be; here it is compared with what registers keep.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.arithmetic import Overflow, Register
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.network import Between
from snn_deploy.ir.neuron import CURRENTS, Fires, State
from snn_deploy.ir.program import Population, Program, Projection
from snn_deploy.ir.words import counted
from snn_deploy.quantize.arrivals import BEYOND, FOREVER, Arrival, arrivals
from snn_deploy.quantize.bound_walk import Helper, Limits
from snn_deploy.quantize.bounds import Bounds, sent_by, state_bounds
from snn_deploy.quantize.intervals import LARGEST, Interval
from snn_deploy.quantize.passes import Passed
from snn_deploy.quantize.rounding import weight_range
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterProof:
    """Whether one register of all neurons of a population stays in its range."""

    part: State | Helper
    """What it holds."""

    reach: int | None
    """Largest number, by size, that some input may give the worst neuron; None: no bound is
    known. State units; of a sum, units of the smallest weight."""

    holds: int
    """Largest number, by size and of the sign of `reach`, that is in range."""

    neuron: tuple[int, ...]
    """The worst neuron: the first to leave the range, or else the one that comes nearest."""

    unproven: int
    """Neurons that may leave the range."""

    neurons: int
    steps: int | None
    """Steps of a run within which none does; None: of any run."""

    overflow: Overflow | None
    """What the register does then; None: the target does not say."""

    @property
    def proven(self) -> bool:
        """Whether no neuron may leave the range in the runs that were asked about."""
        return self.unproven == 0

    @property
    def name(self) -> str:
        """What the register holds, in words."""
        if self.part is Helper.SUM:
            return "the sum of weights"
        if self.part is Helper.CHANGE:
            return "the change of the membrane"
        return f"the {self.part.value.replace('-', ' ')}"

    def __str__(self) -> str:
        if self.proven:
            return "proven"
        reach = "without bound" if self.reach is None else f"up to {self.reach}"
        return f"{reach} of {self.holds} at neuron {list(self.neuron)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is proven of one population."""

    population: str
    registers: tuple[RegisterProof, ...]
    reason: str = ""
    """Why nothing is proven of its states; empty: they are among the registers."""

    @property
    def proven(self) -> bool:
        """Whether none of its registers may leave its range."""
        return not self.reason and all(register.proven for register in self.registers)

    @property
    def steps(self) -> int | None:
        """Steps of a run within which no register leaves its range; None: of any run."""
        limited = [r.steps for r in self.registers if r.steps is not None]
        return 0 if self.reason else min(limited, default=None)


def prove(program: Program, target: Target, steps: int | None) -> tuple[Proof, ...]:
    """Return what is proven of each population of a program.

    Args:
        program: The integers.
        target: Its limits: of sums, and of the membrane of a readout.
        steps: Of a sample; None: any number. Where samples follow each other without a reset, a
            run has any number all the same.
    """
    if program.boundary.between is not Between.FRESH:
        steps = None
    unbounded: set[str] = set()
    while True:
        proofs, sent = _proofs(program, target, steps, unbounded)
        wrong = {name for name, payload in sent.items() if not _admitted(program, name, payload)}
        if wrong <= unbounded:
            return proofs
        unbounded |= wrong  # a loop took for granted what does not hold


def _admitted(program: Program, name: str, payload: Interval) -> bool:
    """Return whether a population sends no more than a program says of such neurons."""
    low, high = program.payload_range(name)
    return bool(np.all(payload.low >= min(low, 0)) and np.all(payload.high <= max(high, 0)))


def _proofs(
    program: Program, target: Target, steps: int | None, unbounded: set[str]
) -> tuple[tuple[Proof, ...], dict[str, Interval]]:
    """Return the proofs, and what each population sends.

    A source inside a loop sends what the program says of such neurons, or anything if it is among
    `unbounded`.
    """
    everything = Interval(np.full(1, -BEYOND), np.full(1, BEYOND))
    payloads = dict.fromkeys(unbounded, everything)
    found: dict[str, Proof] = {}
    sent: dict[str, Interval] = {}
    for population in _sources_first(program):
        arriving = arrivals(program, population, payloads, steps)
        if population.kind is not None:
            found[population.name] = _of_kind(population, arriving, program, target)
            continue
        limits = _limits(program, population, target)
        bounds = state_bounds(
            population,
            arriving,
            _own_steps(program, population, steps),
            program.arithmetic,
            limits=limits,
            period=program.period,
        )
        payloads[population.name] = sent[population.name] = sent_by(population, bounds)
        registers = (
            _sum_proof(population, arriving, program, target),
            *_state_proofs(program, population, bounds, limits),
        )
        found[population.name] = Proof(population=population.name, registers=registers)
    return tuple(found[p.name] for p in program.populations), sent


def _sources_first(program: Program) -> Iterator[Population]:
    """Yield the populations, each behind its sources as far as loops allow."""
    waiting = {p.name: p for p in program.populations}
    while waiting:
        ready = [
            name
            for name in waiting
            if all(p.source not in waiting or p.source == name for p in program.into(name))
        ]
        for name in ready or [next(iter(waiting))]:
            yield waiting.pop(name)


def _own_steps(program: Program, population: Population, steps: int | None) -> int | None:
    """Return how many steps a population takes in a run over samples of `steps` steps."""
    if steps is None:
        return None
    return max(0, -((population.lag - program.lag) // program.period) + steps)


def _run_steps(program: Program, population: Population, own: int) -> int:
    """Return the longest sample in whose run a population takes no more than `own` steps."""
    return max(0, own + (population.lag - program.lag) // program.period)


def _registers(program: Program) -> dict[State | Helper, Register]:
    """Return the registers behind the accumulators, in the order in which a step writes them."""
    rules = program.arithmetic
    found: dict[State | Helper, Register] = dict.fromkeys(CURRENTS, rules.current)
    if rules.change is not None:
        found[Helper.CHANGE] = rules.change
    return {**found, State.MEMBRANE: rules.membrane}


def _limits(program: Program, population: Population, target: Target) -> Limits:
    """Return what each register keeps; the membrane of a readout must not reach its threshold."""
    limits = {part: (kept.low, kept.high) for part, kept in _registers(program).items()}
    if population.fires is Fires.NEVER:
        low, high = limits[State.MEMBRANE]
        most = target.highest_threshold
        limits[State.MEMBRANE] = max(low, -most), min(high, most)
    return limits


def _state_proofs(
    program: Program, population: Population, bounds: Bounds, limits: Limits
) -> Iterator[RegisterProof]:
    """Yield the proof of each register that the neurons have behind their accumulators."""
    for part, register in _registers(program).items():
        if part in bounds.within:
            first = int(bounds.within[part].min(initial=FOREVER))
            yield _register_proof(
                population,
                bounds.written[part],
                limits[part],
                part=part,
                overflow=register.overflow,
                steps=None if first >= FOREVER else _run_steps(program, population, first),
                within=bounds.within[part],
            )


def _register_proof(
    population: Population,
    written: Interval,
    limit: tuple[int, int],
    *,
    part: State | Helper,
    overflow: Overflow | None,
    steps: int | None,
    within: np.ndarray,
) -> RegisterProof:
    below, above = limit[0] - written.low, written.high - limit[1]
    excess = np.maximum(below, above)
    soon = np.flatnonzero(within == within.min())
    neuron = int(soon[np.argmax(excess[soon])])
    low = below[neuron] > above[neuron]
    reach = int(-written.low[neuron] if low else written.high[neuron])
    return RegisterProof(
        part=part,
        reach=None if reach >= LARGEST else reach,
        holds=-limit[0] if low else limit[1],
        neuron=tuple(int(i) for i in np.unravel_index(neuron, population.shape)),
        unproven=int(np.count_nonzero(excess > 0)),
        neurons=population.size,
        steps=steps,
        overflow=overflow,
    )


def _sum_proof(
    population: Population, arriving: Sequence[Arrival], program: Program, target: Target
) -> RegisterProof:
    """Return the proof of the accumulators: what arrives at one state in one step."""
    register, unit = program.arithmetic.accumulator, target.weights.shift.value
    low, high = -target.highest_sum, target.highest_sum
    if register is not None:
        low, high = register.low >> unit, register.high >> unit
    least = most = np.zeros(population.size, np.int64)
    for state in {arrival.into for arrival in arriving}:
        least = np.minimum(least, sum(a.low for a in arriving if a.into is state))
        most = np.maximum(most, sum(a.high for a in arriving if a.into is state))
    sums = Interval(least >> unit, -(-most >> unit))
    wrong = (sums.low < low) | (sums.high > high)
    return _register_proof(
        population,
        sums,
        (low, high),
        part=Helper.SUM,
        overflow=None if register is None else register.overflow,
        steps=0 if wrong.any() else None,
        within=np.where(wrong, 0, FOREVER),
    )


def _of_kind(
    population: Population, arriving: Sequence[Arrival], program: Program, target: Target
) -> Proof:
    """Return what is proven of neurons with a step of their own: only what arrives."""
    assert population.kind is not None
    return Proof(
        population=population.name,
        registers=(_sum_proof(population, arriving, program, target),),
        reason=f"no bound is known for neurons of the kind {population.kind.tag}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRanges:
    """Pass: the same program, with a finding for every register that may leave its range."""

    name: ClassVar[str] = "check-ranges"

    target: Target
    steps: int | None = None
    """Of a sample; None: any number."""

    def __call__(self, graph: Program) -> Passed[Program]:
        """Return `graph`.

        Raises:
            DoesNotFitError: a single weight, threshold or delay lies outside what the target
                stores.
        """
        for projection in graph.projections:
            self._check_weights(projection)
        findings = [f for p in prove(graph, self.target, self.steps) for f in _findings(p)]
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


DOES = {
    None: "is too large",
    Overflow.WRAP: "wraps",
    Overflow.WRAP_ONCE: "wraps",
    Overflow.SATURATE: "saturates",
    Overflow.SATURATE_FULL: "saturates",
}


def _findings(proof: Proof) -> Iterator[Finding]:
    if proof.reason:
        yield Finding(
            kind=Kind.UNPROVEN,
            layer=proof.population,
            amount="nothing is proven of its states",
            reason=f"{proof.reason}; simulators count what happens",
        )
    for register in proof.registers:
        if register.proven:
            continue
        reach = "has no bound" if register.reach is None else f"may reach {register.reach}"
        reason = "for the worst input that the program admits"
        if register.steps:
            reason += f", but in no run of up to {counted(register.steps, 'step')}"
        else:
            reason += "; --prove may help"
        yield Finding(
            kind=Kind.UNPROVEN,
            layer=proof.population,
            amount=f"{register.name} of neuron {list(register.neuron)} {reach} and "
            f"{DOES[register.overflow]}; the register holds {register.holds} "
            f"({register.unproven} of {counted(register.neurons, 'neuron')})",
            reason=reason,
        )
