"""Which features a program needs, and how its target runs them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.arithmetic import Arithmetic, Decay
from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.kinds import Adaptive, Delta, Resonator, Sigma, SigmaDelta
from snn_deploy.ir.neuron import Compare, Fires, Reads, ResetKind, State, When
from snn_deploy.ir.program import Population, Program
from snn_deploy.quantize.passes import Passed
from snn_deploy.targets import Basic, Feature, Support, Target, other_target

WORDS = {
    Feature.GREATER_EQUAL: "a spike where the membrane equals the threshold (>=)",
    Feature.COUNT_SPIKES: "several spikes in a step",
    Feature.RESET_VALUE: "a reset to another value than 0",
    Feature.RESET_SUBTRACT: "a reset that subtracts",
    Feature.RESET_NONE: "no reset",
    Feature.RESET_LATE: "a reset in the step after the spike",
    Feature.FLOOR: "a floor under the membrane",
    Feature.OLD_CURRENT: "a membrane that reads the old current",
    Feature.START_GATE: "states that wait for the first input of a late layer",
    Feature.BIAS_GATE: "a bias that starts late",
    Feature.READOUT: "a neuron that never fires",
    Feature.FURTHER_CURRENTS: "several synaptic currents",
    Feature.DIRECT_DRIVE: "input to the membrane beside a synaptic current",
    Feature.TABLES: "parameters that change over time",
    Feature.REFRACTORY: "a refractory period",
    Feature.WINDOW: "steps outside of which nothing fires",
    Feature.RESTART: "states that restart in regular steps",
    Feature.TERNARY: "spikes of both signs",
    Feature.ROUNDED: "a number of spikes that is rounded",
    Feature.GRADED: "neurons that send their membrane",
    Feature.RESET_RETESTED: "a reset that is tested again in the next step",
    Feature.WAITING_BIAS: "a bias that starts with the first input",
    Feature.SIGNED_DECAY: "a state that changes its sign in every step",
    Feature.ADAPTIVE: "a threshold that adapts to spikes",
    Feature.RESONATOR: "resonators",
    Feature.SIGMA_DELTA: "sigma-delta neurons",
}

BASICS = {
    Basic.GREATER: "a spike only where the membrane exceeds the threshold (>)",
    Basic.RESET_TO_ZERO: "a reset to a value",
    Basic.RESET_AMOUNT: "a reset that subtracts another amount than the threshold",
    Basic.DIRECT_INPUT: "a neuron without a synaptic current",
    Basic.INITIAL_STATE: "states that do not start at 0",
}

REMEDIES = {
    Basic.RESET_TO_ZERO: "--reset subtract, if the network works with it, or --target cpu",
    Basic.DIRECT_INPUT: "train neurons with a synaptic current, or --target cpu",
}
"""Ways out of a basic that a target lacks; other targets where there is no entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFeatures:
    """Pass: the same program, with a finding for all that does not run on the chip itself."""

    name: ClassVar[str] = "check-features"

    target: Target

    def __call__(self, graph: Program) -> Passed[Program]:
        """Return `graph`.

        Raises:
            UnsupportedError: the target has a needed feature not even in simulation.
        """
        findings = [f for p in graph.populations for f in self._findings(graph, p)]
        return Passed(graph=graph, findings=tuple(findings))

    def _findings(self, graph: Program, population: Population) -> Iterator[Finding]:
        for basic in needed_basics(population):
            if not self.target.has(basic):
                raise UnsupportedError(
                    f"{self.target.name} does not have {BASICS[basic]}",
                    where=population.name,
                    fix=REMEDIES.get(basic) or self._elsewhere(graph),
                )
        simulated = []
        for feature in needed_features(graph, population):
            support = self.target.support(feature)
            if support is None and feature is not Feature.BIAS_GATE:
                raise UnsupportedError(
                    f"{self.target.name} does not have {WORDS[feature]}",
                    where=population.name,
                    fix=self._elsewhere(graph),
                )
            if support is not Support.NATIVE:
                simulated.append(WORDS[feature])
        groups = parameter_groups(population)
        if groups > self.target.parameter_groups.value:
            simulated.append(
                f"{groups} different sets of parameters in one layer "
                f"({self.target.parameter_groups.value} run on the chip)"
            )
        if simulated:
            yield Finding(
                kind=Kind.SIMULATED,
                layer=population.name,
                amount=" and ".join(simulated),
                reason=f"{self.target.title} runs that in its simulator only",
            )

    def _elsewhere(self, graph: Program) -> str:
        """Return the targets that have all that `graph` needs."""
        basics = {need for p in graph.populations for need in needed_basics(p)}
        features = {need for p in graph.populations for need in needed_features(graph, p)}
        features -= {Feature.BIAS_GATE}

        def able(other: Target) -> bool:
            return all(map(other.has, basics)) and None not in map(other.support, features)

        return other_target(self.target, able)


def needed_features(program: Program, population: Population) -> tuple[Feature, ...]:
    """Return what a population needs beyond a leaky integrator with a hard reset to 0."""
    if population.kind is not None:
        return (KINDS[type(population.kind)],)
    needs = {**_of_firing(population), **_of_currents(program, population)}
    needs |= {
        Feature.FLOOR: population.floor is not None,
        Feature.START_GATE: moves_before_lag(population, program.arithmetic),
        Feature.BIAS_GATE: any(b.start > population.lag for b in population.biases),
        Feature.WAITING_BIAS: any(b.waits for b in population.biases),
        Feature.TABLES: bool(population.tables or population.gains),
        Feature.REFRACTORY: population.refractory is not None,
        Feature.WINDOW: population.window is not None,
        Feature.RESTART: population.restart is not None,
    }
    return tuple(feature for feature in Feature if needs.get(feature))


def _of_firing(population: Population) -> dict[Feature, bool]:
    reset, how = population.reset, population.fires
    fires = how.spiking
    compares = fires and how is not Fires.ROUNDED
    late = reset.kind is not ResetKind.NONE and reset.when is When.NEXT
    return {
        Feature.READOUT: how is Fires.NEVER,
        Feature.GRADED: how is Fires.GRADED,
        Feature.COUNT_SPIKES: how is Fires.COUNT,
        Feature.ROUNDED: how is Fires.ROUNDED,
        Feature.TERNARY: how is Fires.TERNARY,
        Feature.GREATER_EQUAL: compares and population.compare is Compare.GREATER_EQUAL,
        Feature.RESET_VALUE: fires and reset.kind is ResetKind.VALUE and bool(np.any(reset.amount)),
        Feature.RESET_SUBTRACT: fires and reset.kind is ResetKind.SUBTRACT,
        Feature.RESET_NONE: fires and reset.kind is ResetKind.NONE,
        Feature.RESET_LATE: fires and late,
        Feature.RESET_RETESTED: fires and reset.when is When.RETESTED,
    }


def _of_currents(program: Program, population: Population) -> dict[Feature, bool]:
    currents = population.currents
    decays = [population.decay, *(current.decay for current in currents)]
    beside = any(program.entry(p) is State.MEMBRANE for p in program.into(population.name))
    multiplies = program.arithmetic.decay is Decay.MULTIPLY
    return {
        Feature.OLD_CURRENT: any(current.reads is Reads.OLD for current in currents),
        Feature.FURTHER_CURRENTS: len(currents) > 1
        or any(current.into_membrane != 1 for current in currents),
        Feature.DIRECT_DRIVE: bool(currents) and beside,
        Feature.SIGNED_DECAY: multiplies and any(bool(np.any(decay < 0)) for decay in decays),
    }


KINDS = {
    Adaptive: Feature.ADAPTIVE,
    Resonator: Feature.RESONATOR,
    Sigma: Feature.SIGMA_DELTA,
    Delta: Feature.SIGMA_DELTA,
    SigmaDelta: Feature.SIGMA_DELTA,
}
"""The feature of each kind of neurons outside the canonical family."""


def needed_basics(population: Population) -> tuple[Basic, ...]:
    """Return what a population needs of what nearly every chip has."""
    reset, fires = population.reset, population.fires is not Fires.NEVER
    subtracts = fires and reset.kind is ResetKind.SUBTRACT
    needs = {
        Basic.GREATER: fires and population.compare is Compare.GREATER,
        Basic.RESET_TO_ZERO: fires and reset.kind is ResetKind.VALUE,
        Basic.RESET_AMOUNT: subtracts and bool(np.any(reset.amount != population.threshold)),
        Basic.DIRECT_INPUT: population.current is None,
        Basic.INITIAL_STATE: any(np.any(v) for v in population.initial_states.values()),
    }
    return tuple(basic for basic, needed in needs.items() if needed)


def moves_before_lag(population: Population, arithmetic: Arithmetic) -> bool:
    """Return whether a state would change, or a spike go out, before the lag without a gate.

    Inputs never arrive before the lag: with lags L, a projection of at least 0 steps from A to B
    takes at least L(B) - L(A).
    """
    if population.lag == 0:
        return False
    initial, threshold = population.initial, population.threshold
    started = any(
        np.any(b.value) for b in population.biases if b.start <= population.lag and not b.waits
    )
    current = any(bool(np.any(current.initial)) for current in population.currents)
    leaks = bool(np.any((initial != 0) & (arithmetic.factors(population.decay) != 1)))
    greater = population.compare is Compare.GREATER
    spikes = population.fires is not Fires.NEVER and bool(
        np.any(initial > threshold if greater else initial >= threshold)
    )
    if population.fires is Fires.TERNARY:
        spikes = spikes or bool(np.any(initial <= population.lower))
    lifted = population.floor is not None and bool(np.any(initial < population.floor.value))
    return started or current or leaks or spikes or lifted


def parameter_groups(population: Population) -> int:
    """Return how many different sets of decay, threshold and reset the neurons have."""
    parameters = [population.decay, population.threshold, population.reset.amount]
    parameters += [current.decay for current in population.currents]
    if population.fires is Fires.TERNARY:
        parameters.append(population.lower)
    if all(p.ndim == 0 for p in parameters):
        return 1
    rows = np.stack([per_neuron(p, population.shape).ravel() for p in parameters], axis=1)
    return len(np.unique(rows, axis=0))
