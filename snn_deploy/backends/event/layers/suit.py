"""Which populations the kernels of layers compute: plain neurons whose numbers stay small."""

from dataclasses import dataclass

import numpy as np

from snn_deploy.backends.event.layers.tables import FRACTION
from snn_deploy.ir.arithmetic import Arithmetic, Decay, Order, Overflow, Sums
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse
from snn_deploy.ir.neuron import Fires, State, When
from snn_deploy.ir.program import Population, Program, Projection

_ROOM = 2**27
"""What is added to a register in one step stays below this. A 32-bit sum that leaves 32 bits is
then far from 0, and so is noticed (`SAFE_MEMBRANE` of the tables)."""


def is_plain(program: Program, population: Population, bounds: "Bounds") -> bool:
    """Return whether the kernels of layers compute a population, whatever enters it."""
    doors = {program.entry(projection) for projection in program.into(population.name)}
    current = population.current
    return (
        population.kind is None
        and _is_plain_arithmetic(program.arithmetic)
        and program.period == 1
        and doors <= {population.entry}
        and population.states <= {State.CURRENT, State.MEMBRANE, State.PAYLOAD}
        and not (population.gains or population.tables)
        and population.fires in (Fires.NEVER, Fires.BINARY, Fires.COUNT)
        and population.reset.when in (When.NOW, When.NEXT)
        and population.window is None
        and population.restart is None
        and (current is None or current.into_membrane == 1)
        and _is_small(program, population, bounds)
    )


def _is_plain_arithmetic(rules: Arithmetic) -> bool:
    ways = (rules.decay, rules.order, rules.sums)
    usual = ways == (Decay.MULTIPLY, Order.DECAY_FIRST, Sums.TOGETHER)
    registers = (rules.current, rules.membrane)
    return (
        usual
        and {r.overflow for r in registers} <= {Overflow.WRAP_ONCE, Overflow.SATURATE}
        and rules.decay_bits <= FRACTION
        and rules.accumulator is None
        and rules.change is None
    )


def _is_small(program: Program, population: Population, bounds: "Bounds") -> bool:
    """Return whether every number of a step fits 32 bits before its register holds it."""
    rules = program.arithmetic
    half = 1 << (rules.membrane.bits - 1)
    decays = [population.decay, *(current.decay for current in population.currents)]
    if not all(d.min(initial=0) >= 0 and d.max(initial=0) <= 1 << rules.decay_bits for d in decays):
        return False
    starts = [population.initial, *(current.initial for current in population.currents)]
    floor = [] if population.floor is None else [population.floor.value]
    if max(_largest(values) for values in (*starts, *floor)) >= half:
        return False
    spikes = population.max_spikes if population.fires is Fires.COUNT else 1
    if not 0 < spikes < _ROOM or _largest(population.reset.amount) * spikes >= _ROOM:
        return False
    if _largest(population.threshold) >= 2**31 - 1:
        return False
    biases = sum(_largest(bias.value) for bias in population.biases)
    into = program.into(population.name)
    arriving = sum(bounds.of(p) << p.shift for p in into)
    return biases + arriving < _ROOM


def _largest(values: np.ndarray) -> int:
    return max(abs(int(values.min(initial=0))), abs(int(values.max(initial=0))))


class Bounds:
    """How much each projection of a program adds to a neuron in one step at most.

    Args:
        program: Whose.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._known: dict[str, int] = {}

    def of(self, projection: Projection) -> int:
        """Return the bound of a projection, unshifted.

        With delays, payloads of several steps arrive together, but each synapse still adds one.
        """
        if projection.name not in self._known:
            low, high = self._program.payload_range(projection.source)
            sums = sums_of(projection.map)
            up = sums.positive * max(high, 0) + sums.negative * max(-low, 0)
            down = sums.negative * max(high, 0) + sums.positive * max(-low, 0)
            self._known[projection.name] = max(up, down)
        return self._known[projection.name]


@dataclass(frozen=True, slots=True)
class SignSums:
    """The largest sum, over all targets, of the weights of one sign into a target."""

    positive: int
    negative: int
    """Without its sign."""


def sums_of(linear: LinearMap) -> SignSums:
    """Return bounds of what the synapses of each sign add up to at one target."""
    weights = linear.numbers()
    sizes = np.abs(weights, dtype=np.int64 if weights.dtype == np.int64 else np.int32)
    if isinstance(linear, Sparse):
        begins = np.searchsorted(linear.post, np.arange(linear.out_size))
        filled = np.diff(begins, append=weights.size) > 0
        total, size = (
            np.add.reduceat(values, begins[filled], dtype=np.int64) if filled.any() else values
            for values in (weights, sizes)
        )
    else:
        assert isinstance(linear, Dense | Convolution)
        axes = tuple(range(1, weights.ndim))
        total, size = (values.sum(axis=axes, dtype=np.int64) for values in (weights, sizes))
    return SignSums(
        positive=int(((size + total) // 2).max(initial=0)),
        negative=int(((size - total) // 2).max(initial=0)),
    )
