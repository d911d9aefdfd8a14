"""What a random program may have, and what a given program has."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from snn_deploy.ir.arithmetic import Decay, Order, Sums
from snn_deploy.ir.kinds import Adaptive, Delta, NeuronKind, Resonator, Sigma, SigmaDelta
from snn_deploy.ir.maps import Convolution, Dense, Sparse
from snn_deploy.ir.neuron import (
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
from snn_deploy.ir.program import Current, Population, Program, Projection, Role, Sign


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

    FULL_SATURATION = "saturates in two's complement"
    MODULO = "wraps in two's complement"
    SHIFT_DECAY = "decay by shift"
    ADD_FIRST = "adds before it decays"
    BY_ROW = "sums row by row"
    ACCUMULATOR = "accumulator"
    CHANGE = "register of the membrane's change"
    PERIOD = "several steps for one of the network"
    SEVERAL_CURRENTS = "several currents"
    CHAIN_NEW = "chain to the new current"
    CHAIN_OLD = "chain to the old current"
    SUBTRACTED_CURRENT = "subtracted current"
    HIDDEN_CURRENT = "current that the membrane does not read"
    INTO_FURTHER = "projection into a further current"
    INTO_MEMBRANE = "projection past the currents"
    FURTHER_BIAS = "bias on a further current"
    WAITING_BIAS = "bias that waits for input"
    SIGNED_DECAY = "decay that changes the sign"
    GAIN = "gain"
    THRESHOLD_TABLE = "thresholds over time"
    LOWER_TABLE = "lower thresholds over time"
    GAIN_TABLE = "gains over time"
    BIAS_TABLE = "biases over time"
    PAYLOAD_TABLE = "payloads over time"
    REPEATED_TABLE = "repeated table"
    REFRACTORY_HELD = "refractory and held"
    REFRACTORY_INTEGRATES = "refractory and integrating"
    REFRACTORY_CLAMPED = "refractory and clamped"
    FIRES_ONCE = "fires once"
    WINDOW = "window"
    RESTART = "restart"
    RESET_RETESTED = "subtract, tested again"
    TERNARY = "ternary"
    ROUNDED = "rounded"
    GRADED = "graded"
    ADAPTIVE = "adaptive threshold"
    RESONATOR = "resonator"
    SIGMA = "sigma"
    DELTA = "delta"
    SIGMA_DELTA = "sigma-delta"


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


BEYOND_LIF = frozenset(list(Trait)[list(Trait).index(Trait.FULL_SATURATION) :])
"""What neither leaky integrate-and-fire neurons of one current nor the integers of Loihi 2 have.

A feature of these that is forbidden draws no random numbers: what has none of them stays the same
when more are added.
"""

ANYTHING = Features(formats=Formats.ANY)
"""Everything that the type `Program` allows."""

LIF = ANYTHING.without(*BEYOND_LIF)
"""Leaky integrate-and-fire neurons with at most one current, in any number format."""

LOIHI = Features(formats=Formats.LOIHI).without(
    Trait.ZERO_DELAY, Trait.OLD_CURRENT, Trait.CURRENT_BIAS, Trait.LATE_BIAS, *BEYOND_LIF
)
"""What the target loihi2 lists, natively or in simulation, in its number formats."""


def traits(program: Program) -> set[Trait]:
    """Return what can be seen in a program without running it."""
    found: set[Trait] = set()
    for population in program.populations:
        if population.role is Role.NEURONS:
            found |= _traits_of_population(program, population)
            found |= _traits_of_times(population)
        else:
            found.add(Trait.CLOCK if population.role is Role.CLOCK else Trait.RELAY)
    for projection in program.projections:
        found |= _traits_of_projection(program, projection)
    if len(program.inputs) > 1:
        found.add(Trait.SEVERAL_INPUTS)
    if len(program.outputs) > 1:
        found.add(Trait.SEVERAL_OUTPUTS)
    found |= _traits_of_arithmetic(program)
    for entry in program.inputs:
        found.update({Trait.GRADED_INPUT} if entry.high > 1 else ())
        found.update({Trait.SIGNED_INPUT} if entry.low < 0 else ())
    return found


_RESETS = {
    (ResetKind.VALUE, When.NOW): Trait.RESET_VALUE_NOW,
    (ResetKind.VALUE, When.NEXT): Trait.RESET_VALUE_NEXT,
    (ResetKind.SUBTRACT, When.NOW): Trait.RESET_SUBTRACT_NOW,
    (ResetKind.SUBTRACT, When.NEXT): Trait.RESET_SUBTRACT_NEXT,
    (ResetKind.SUBTRACT, When.RETESTED): Trait.RESET_RETESTED,
}
_FIRES = {
    Fires.NEVER: Trait.READOUT,
    Fires.BINARY: Trait.BINARY,
    Fires.COUNT: Trait.COUNT,
    Fires.TERNARY: Trait.TERNARY,
    Fires.ROUNDED: Trait.ROUNDED,
    Fires.GRADED: Trait.GRADED,
}
_KINDS: dict[type[NeuronKind], Trait] = {
    Adaptive: Trait.ADAPTIVE,
    Resonator: Trait.RESONATOR,
    Sigma: Trait.SIGMA,
    Delta: Trait.DELTA,
    SigmaDelta: Trait.SIGMA_DELTA,
}
_TABLES = {
    Tabled.THRESHOLD: Trait.THRESHOLD_TABLE,
    Tabled.LOWER: Trait.LOWER_TABLE,
    Tabled.GAIN: Trait.GAIN_TABLE,
    Tabled.BIAS: Trait.BIAS_TABLE,
    Tabled.PAYLOAD: Trait.PAYLOAD_TABLE,
}
_DURING = {
    During.HELD: Trait.REFRACTORY_HELD,
    During.INTEGRATES: Trait.REFRACTORY_INTEGRATES,
    During.CLAMPED: Trait.REFRACTORY_CLAMPED,
}
_BIASED = {State.MEMBRANE: Trait.MEMBRANE_BIAS, State.CURRENT: Trait.CURRENT_BIAS}
_FLOORS = {
    FloorWhen.BEFORE_TEST: Trait.FLOOR_BEFORE_TEST,
    FloorWhen.AFTER_RESET: Trait.FLOOR_AFTER_RESET,
}


def _traits_of_arithmetic(program: Program) -> set[Trait]:
    rules = program.arithmetic
    there = {
        Trait.SHIFT_DECAY: rules.decay is Decay.SHIFT,
        Trait.ADD_FIRST: rules.order is Order.ADD_FIRST,
        Trait.BY_ROW: rules.sums is Sums.BY_ROW,
        Trait.ACCUMULATOR: rules.accumulator is not None,
        Trait.CHANGE: rules.change is not None,
        Trait.PERIOD: program.period > 1,
    }
    return {trait for trait, has in there.items() if has}


def _traits_of_times(population: Population) -> set[Trait]:
    """Return what a population has that counts steps."""
    found = {_TABLES[table.what] for table in population.tables}
    found.update({Trait.REPEATED_TABLE} if any(t.repeats for t in population.tables) else ())
    refractory = population.refractory
    if refractory is not None:
        found.add(_DURING[refractory.during])
        found.update({Trait.FIRES_ONCE} if refractory.steps is None else ())
    found.update({Trait.WINDOW} if population.window is not None else ())
    found.update({Trait.RESTART} if population.restart is not None else ())
    found.update({Trait.WAITING_BIAS} if any(b.waits for b in population.biases) else ())
    return found


def _traits_of_currents(population: Population) -> set[Trait]:
    found = {Trait.CURRENT} if population.currents else {Trait.NO_CURRENT}
    found.update({Trait.SEVERAL_CURRENTS} if population.further else ())
    for current in population.currents:
        found |= _traits_of_current(current)
    return found


def _traits_of_current(current: Current) -> set[Trait]:
    there = {
        Trait.OLD_CURRENT: current.reads is Reads.OLD,
        Trait.INITIAL_CURRENT: bool(current.initial.any()),
        Trait.SUBTRACTED_CURRENT: current.into_membrane < 0,
        Trait.HIDDEN_CURRENT: current.into_membrane == 0,
        Trait.SIGNED_DECAY: bool(np.any(current.decay < 0)),
        Trait.CHAIN_NEW: current.chain is not None and current.chain.reads is Reads.NEW,
        Trait.CHAIN_OLD: current.chain is not None and current.chain.reads is Reads.OLD,
    }
    return {trait for trait, has in there.items() if has}


def _traits_of_place(program: Program, population: Population) -> set[Trait]:
    """Return what a population of any kind has from its place in the program."""
    found = {Trait.LAG} if population.lag else set()
    found.update({Trait.FAN_IN} if len(program.into(population.name)) > 1 else ())
    return found


def _traits_of_population(program: Program, population: Population) -> set[Trait]:
    found = _traits_of_place(program, population)
    if population.kind is not None:
        return found | {_KINDS[type(population.kind)]}
    found |= {_FIRES[population.fires]} | _traits_of_currents(population)
    if population.fires not in (Fires.NEVER, Fires.GRADED):
        equal = population.compare is Compare.GREATER_EQUAL
        found.add(Trait.GREATER_EQUAL if equal else Trait.GREATER)
        found.add(_RESETS.get((population.reset.kind, population.reset.when), Trait.RESET_NONE))
    if population.floor is not None:
        found.add(_FLOORS[population.floor.when])
    found.update({Trait.GAIN} if population.gains else ())
    found.update({Trait.SIGNED_DECAY} if np.any(population.decay < 0) else ())
    for bias in population.biases:
        into = _BIASED.get(bias.into, Trait.FURTHER_BIAS)
        found.update({into} if bias.value.any() and not bias.waits else ())
        found.update({Trait.LATE_BIAS} if bias.start else ())
    found.update({Trait.INITIAL_MEMBRANE} if population.initial.any() else ())
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
    canonical = program.population(projection.target).kind is None
    if projection.into is not None and canonical:
        past = projection.into is State.MEMBRANE
        found.add(Trait.INTO_MEMBRANE if past else Trait.INTO_FURTHER)
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
