"""How large a program may be, so that a simulator can hold it and every sum of it fits 64 bits.

Programs come from files that anybody may have written. What is larger than any simulator of ours
can hold is refused when the program is made; what only a run of too many steps or samples makes too
large is refused before that run.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from snn_deploy.errors import (
    DataError,
    DynamicsError,
    GraphError,
    OverflowPossibleError,
    ShapeError,
)
from snn_deploy.ir.arithmetic import Arithmetic, Decay, Overflow
from snn_deploy.ir.kinds import Adaptive, NeuronKind, Resonator
from snn_deploy.ir.maps import Convolution, LinearMap, Sparse
from snn_deploy.ir.neuron import CURRENTS, Fires, State, Tabled
from snn_deploy.ir.sizes import allowed, higher

if TYPE_CHECKING:
    from snn_deploy.ir.program import Population, Program

MOST_NEURONS = 2**24
"""Neurons and input values of a program, padding of a convolution included: sixteen chips of
Loihi 2. A simulator keeps several numbers of 8 bytes for each of them."""

MOST_AXES = 8
"""Of the shape of a population or input."""

MOST_STEPS = 2**20
"""Of a lag, a delay, a period and of the idle steps between samples: 17 minutes at 1 ms."""

MOST_DECAY_SHIFT = 31
"""Bits that a decay by a shift moves a state to the right: more leaves nothing of a register."""

WORD_LOW, WORD_HIGH = -(2**31), 2**31 - 1
"""Of weights, parameters and payloads, and of all states that are recorded."""

STATE = 2**31
"""No state is larger before a step. Only one whose register wraps once may become so: where more
arrives in every step than one wrap takes back, it runs away, and its overflows are counted."""

LARGEST_SUM = 2**63 - 1
"""Simulators add up in 64 bits."""

SMALLER = "use smaller weights, shifts or payloads"


def check_sizes(program: "Program") -> None:
    """Refuse a program that no simulator can hold.

    Raises:
        ShapeError: a shape has a side below 1 or too many axes, or all have too many neurons.
        DynamicsError: a lag, period, number of idle steps or decay is out of bounds.
        GraphError: a delay is too long.
    """
    for node in program.nodes:
        if len(node.shape) > MOST_AXES or any(side < 1 for side in node.shape):
            raise ShapeError(
                f"a shape of {_short(node.shape)}; it has at most {MOST_AXES} sides of 1 or more",
                where=node.name,
            )
    neurons = sum(node.size for node in program.nodes)
    if neurons > allowed(MOST_NEURONS):
        largest = max(program.nodes, key=lambda node: node.size)
        raise ShapeError(
            f"{neurons} neurons and input values; a program has at most {allowed(MOST_NEURONS)}",
            where=f"{largest.name}, the largest: {largest.size}",
            fix=higher(neurons, MOST_NEURONS),
        )
    for name, what, steps, least in _times(program):
        if not least <= steps <= MOST_STEPS:
            raise DynamicsError(
                f"{what} of {steps} steps; it is {least} to {MOST_STEPS}", where=name
            )
    for entry in program.inputs:
        if not WORD_LOW <= entry.low <= entry.high <= WORD_HIGH:
            raise DynamicsError(
                f"an input from {entry.low} to {entry.high}; the ends are in order and in 32 bits",
                where=entry.name,
            )
    for projection in program.projections:
        longest = int(projection.delay.max(initial=0))
        if longest > MOST_STEPS:
            raise GraphError(
                f"a delay of {longest} steps; it is at most {MOST_STEPS}", where=projection.name
            )
        _check_map(projection.map, projection.name)


def _times(program: "Program") -> Iterator[tuple[str, str, int, int]]:
    """Yield (where, what, steps, least) of all numbers of steps that a run is made longer by."""
    yield program.name, "a period", program.period, 1
    yield program.name, "an idle time between samples", program.boundary.idle, 0
    for population in program.populations:
        yield population.name, "a lag", population.lag, 0
    for output in program.outputs:
        yield output.name, "the delay of an output", output.delay, 0


def _check_map(linear: LinearMap, where: str) -> None:
    if isinstance(linear, Convolution):
        channels, height, width = linear.source
        top, bottom, left, right = linear.padding
        padded = (channels, height + top + bottom, width + left + right)
        if math.prod(padded) > allowed(MOST_NEURONS):
            raise ShapeError(
                f"a padded input of {_short(padded)}; it has at most "
                f"{allowed(MOST_NEURONS)} values",
                where=where,
                fix=higher(math.prod(padded), MOST_NEURONS),
            )
        farthest = max(*linear.stride, *linear.dilation)
        if farthest > MOST_NEURONS:
            raise ShapeError(
                f"a stride or dilation of {farthest}; it is at most {MOST_NEURONS}", where=where
            )
    low, high = _ends(linear.numbers())
    if low < WORD_LOW or high > WORD_HIGH:
        raise DynamicsError(
            f"a weight of {low if low < WORD_LOW else high}; weights have 32 bits", where=where
        )


def _short(shape: Sequence[int]) -> str:
    return f"{len(shape)} sides" if len(shape) > MOST_AXES else " x ".join(map(str, shape))


def _ends(numbers: np.ndarray) -> tuple[int, int]:
    """Return the smallest and the largest of `numbers` and 0."""
    return int(numbers.min(initial=0)), int(numbers.max(initial=0))


def _largest(numbers: np.ndarray) -> int:
    low, high = _ends(numbers)
    return max(-low, high)


def check_sums(program: "Program") -> None:
    """Refuse a program in which some sum or payload may leave what simulators hold it in.

    Raises:
        DynamicsError: a decay by a shift is no number of bits of a register.
        OverflowPossibleError: some payloads within their bounds make a sum leave 64 bits, or a
            payload leave 32.
    """
    for population in program.populations:
        if population.kind is None and program.arithmetic.decay is Decay.SHIFT:
            _check_shifts(population)
        low, high = _payloads(program, population.name)
        if low < WORD_LOW or high > WORD_HIGH:
            raise OverflowPossibleError(
                f"payloads of {low} to {high}, but they have 32 bits",
                where=population.name,
                fix=SMALLER,
            )
        arriving = _arriving(program, population)
        for into, total in arriving.items():
            _check_sum(total, into, population.name)
        for into, product in _gained(program.arithmetic, population, arriving).items():
            _check_sum(product, into, population.name)
        for line in _lines(program.arithmetic, population, arriving):
            _check_sum(line.bound, line.state, population.name)


def _check_shifts(population: "Population") -> None:
    for decay in (population.decay, *(current.decay for current in population.currents)):
        low, high = int(decay.min(initial=0)), int(decay.max(initial=0))
        if low < 0 or high > MOST_DECAY_SHIFT:
            raise DynamicsError(
                f"a decay by a shift of {low if low < 0 else high} bits; "
                f"it is 0 to {MOST_DECAY_SHIFT}",
                where=population.name,
            )


def _check_sum(bound: int, state: State, name: str) -> None:
    """Refuse a sum that may be as large as `bound`."""
    if bound > LARGEST_SUM:
        raise OverflowPossibleError(
            f"sums of the {state.value} may reach {bound:.3g}, beyond 64 bits",
            where=name,
            fix=SMALLER,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line of the step: state = decayed state + what is added, before the register holds it."""

    state: State
    factor: int
    """Largest size of the multiplier of its own old value."""

    bits: int
    """Fraction bits of the multiplier."""

    added: int
    """Bound of the size of all else."""

    @property
    def bound(self) -> int:
        """Bound of the size of the sum."""
        return (STATE * self.factor >> self.bits) + self.added


def _payloads(program: "Program", name: str) -> tuple[int, int]:
    """Return the ends of all payloads that `name` may send, whatever its first state was."""
    low, high = program.payload_range(name)
    if any(entry.name == name for entry in program.inputs):
        return low, high
    population = program.population(name)
    if population.kind is None and population.fires is Fires.GRADED:
        most = max(0, STATE - 1 >> population.payload_shift)
        return min(low, -most - 1), max(high, most)
    return low, high


def _arriving(program: "Program", population: "Population") -> Mapping[State, int]:
    """Return the bound of the sum that arrives at each state in a step."""
    sums: dict[State, int] = {}
    for projection in program.into(population.name):
        low, high = _payloads(program, projection.source)
        sent = max(-low, high) << projection.shift
        reached = _largest(projection.map.numbers()) * _fan_in(projection.map)
        if sent * reached > WORD_HIGH:  # else it is small, whatever the weights are one by one
            reached = _row_sum(projection.map)
        into = program.entry(projection)
        sums[into] = sums.get(into, 0) + sent * reached
    return sums


def _fan_in(linear: LinearMap) -> int:
    """Return the most synapses that one target may have."""
    if isinstance(linear, Convolution):
        return math.prod(linear.weight.shape[1:])
    return min(linear.in_size, linear.numbers().size)


def _row_sum(linear: LinearMap) -> int:
    """Return the largest sum of the sizes of one target's weights, padding or not."""
    sizes = np.abs(linear.numbers().astype(np.int64))
    if not isinstance(linear, Sparse):
        return int(sizes.reshape(len(sizes), -1).sum(axis=1).max(initial=0))
    begins = np.flatnonzero(np.diff(linear.post, prepend=-1))  # sorted by target
    return int(np.add.reduceat(sizes, begins).max()) if len(begins) else 0


def _lines(
    rules: Arithmetic, population: "Population", arriving: Mapping[State, int]
) -> Iterator[_Line]:
    """Yield the lines of a population's step that a sum enters."""
    if population.kind is not None:
        yield from _lines_of_kind(rules, population.kind, arriving)
        return
    bits = rules.decay_bits if rules.decay is Decay.MULTIPLY else 0
    currents = population.currents
    chains = [0 if c.chain is None else _largest(c.chain.multiplier) for c in currents]
    for number, current in enumerate(currents):
        name = CURRENTS[number]
        yield _Line(
            state=name,
            factor=_factor(rules, current.decay),
            bits=bits,
            added=_entering(rules, population, name, arriving)
            + (STATE * chains[number] >> rules.decay_bits),
        )
    yield _Line(
        state=State.MEMBRANE,
        factor=_factor(rules, population.decay),
        bits=bits,
        added=_entering(rules, population, State.MEMBRANE, arriving)
        + STATE * (len(currents) + (rules.change is not None)),
    )


def _factor(rules: Arithmetic, decay: np.ndarray) -> int:
    return _largest(decay) if rules.decay is Decay.MULTIPLY else 1


def _entering(
    rules: Arithmetic, population: "Population", into: State, arriving: Mapping[State, int]
) -> int:
    """Return the bound of input and biases that enter a state, after its gain."""
    total = _accumulated(rules, arriving.get(into, 0))
    products = _gained(rules, population, arriving)
    for gain in population.gains:
        if gain.into is into:
            total = products[into] >> gain.shift
    biases = [bias.value for bias in population.biases if bias.into is into]
    rows = [t.rows for t in population.tables if t.what is Tabled.BIAS and t.into is into]
    return total + sum(_largest(numbers) for numbers in (*biases, *rows))


def _accumulated(rules: Arithmetic, total: int) -> int:
    """Return the bound of a sum of the size `total` after the accumulator."""
    held = rules.accumulator
    if held is None or held.overflow is Overflow.WRAP_ONCE:
        return total
    return min(total, 1 << (held.bits - 1))


def _gained(
    rules: Arithmetic, population: "Population", arriving: Mapping[State, int]
) -> Mapping[State, int]:
    """Return the bound of the product of each gain, before it is shifted."""
    products = {}
    for gain in population.gains:
        same = [t for t in population.tables if (t.what, t.into) == (Tabled.GAIN, gain.into)]
        factor = max(_largest(numbers) for numbers in (gain.multiplier, *(t.rows for t in same)))
        total = _accumulated(rules, arriving.get(gain.into, 0))
        products[gain.into] = total * factor + (1 << gain.shift)
    return products


def _lines_of_kind(
    rules: Arithmetic, kind: NeuronKind, arriving: Mapping[State, int]
) -> Iterator[_Line]:
    sums = {state: _accumulated(rules, arriving.get(state, 0)) for state in kind.entries}
    if isinstance(kind, Adaptive):
        yield _Line(
            state=State.CURRENT,
            factor=_largest(kind.current_decay),
            bits=rules.decay_bits,
            added=sums[State.CURRENT],
        )
        yield _Line(
            state=State.MEMBRANE,
            factor=_largest(kind.decay),
            bits=rules.decay_bits,
            added=STATE + _largest(kind.bias),
        )
    elif isinstance(kind, Resonator):
        for state in (State.MEMBRANE, State.IMAGINARY):
            yield _Line(  # either state is added to the other
                state=state,
                factor=_largest(kind.cosine) + _largest(kind.sine),
                bits=kind.decay_bits,
                added=sums[state],
            )
    else:
        for state, total in sums.items():  # with a bias, what was sent and what is left of it
            yield _Line(state=state, factor=1, bits=0, added=total + 3 * STATE)


def room() -> int:
    """Return what one array may take [bytes]: half of the memory, for it is copied at times."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def check_room(what: str, sides: Sequence[int], item: int = 4) -> None:
    """Refuse an array that this machine has no room for.

    Args:
        what: What is to be kept, as the subject of a sentence.
        sides: Shape of the array.
        item: Bytes of each number.

    Raises:
        DataError: it is larger than `room`.
    """
    needed, there = math.prod(sides) * item, room()
    if needed > there:
        raise DataError(
            f"{what} would take {needed / 2**30:.3g} GiB; there is room for {there / 2**30:.3g}",
            fix="run fewer samples or steps at once, or record less",
        )
