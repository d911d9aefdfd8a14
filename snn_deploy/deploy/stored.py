"""A population of a program in the words of a network: whole numbers as real ones, in state units.

Steps are those of the network: lag and period are taken off. All that a chip does to numbers is
left out: rounding toward zero, overflow, the order of sums.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from snn_deploy.deploy.synapses import origin_of
from snn_deploy.ir import network as real
from snn_deploy.ir import program as whole
from snn_deploy.ir.arithmetic import Arithmetic, Decay, Order
from snn_deploy.ir.neuron import CURRENTS, State, Tabled
from snn_deploy.ir.program import Program, Role
from snn_deploy.ir.timing import Restart, Table, Window

Reals = Float[np.ndarray, "..."]


def real_form(program: Program, name: str) -> real.Population:
    """Return the population `name` as a real-valued one, its clocks' wires as biases."""
    made = program.population(name)
    arithmetic, reset, floor = program.arithmetic, made.reset, made.floor
    currents = tuple(_synapse(program, made, number) for number in range(len(made.currents)))
    return real.Population(
        name=name,
        shape=made.shape,
        decay=_factor(made.decay, arithmetic),
        synapse=currents[0] if currents else None,
        further=currents[1:],
        fires=made.fires,
        threshold=_real(made.threshold),
        lower=_real(made.lower),
        compare=made.compare,
        max_spikes=made.max_spikes,
        reset=real.Reset(kind=reset.kind, amount=_real(reset.amount), when=reset.when),
        refractory=made.refractory,
        window=None if made.window is None else _window(program, made, made.window),
        restart=None if made.restart is None else _restart(program, made, made.restart),
        floor=None if floor is None else real.Floor(value=_real(floor.value), when=floor.when),
        biases=_biases(program, made),
        tables=tuple(_table(program, made, table) for table in made.tables),
        initial=_real(made.initial),
    )


def _real(parameter: np.ndarray) -> Reals:
    return np.asarray(parameter, np.float64)


def _factor(decay: np.ndarray, arithmetic: Arithmetic) -> Reals:
    """Return what is left of a state after a step."""
    if arithmetic.decay is Decay.SHIFT:
        return np.asarray(1 - 0.5 ** decay.astype(np.float64))
    return np.asarray(decay / (1 << arithmetic.decay_bits))


def _synapse(program: Program, made: whole.Population, number: int) -> real.Synapse:
    current, chain = made.currents[number], made.currents[number].chain
    decay = _factor(current.decay, program.arithmetic)
    taken = _late(decay, program.arithmetic)
    one = 1 << program.arithmetic.decay_bits
    return real.Synapse(
        decay=decay,
        reads=current.reads,
        initial=_real(current.initial),
        into_membrane=current.into_membrane,
        chain=None
        if chain is None
        else real.Chain(gain=np.asarray(chain.multiplier / one * taken), reads=chain.reads),
    )


def _late(decay: Reals, arithmetic: Arithmetic) -> Reals:
    """Return what is left of what enters a current at the end of the same step."""
    return decay if arithmetic.order is Order.ADD_FIRST else np.ones(())


def entering(program: Program, made: whole.Population, into: State) -> Reals:
    """Return by how much a sum of 1 that arrives at a state moves it, outside any table."""
    gains = [g.multiplier / (1 << g.shift) for g in made.gains if g.into is into]
    factor = np.asarray(gains[0]) if gains else np.ones(())
    if into in CURRENTS:
        current = made.currents[CURRENTS.index(into)]
        factor = factor * _late(_factor(current.decay, program.arithmetic), program.arithmetic)
    return np.asarray(factor)


def _own(program: Program, made: whole.Population, step: int) -> int:
    """Return the first step of the network that is not before a step of the program."""
    return -(-(step - made.lag) // program.period)


def _window(program: Program, made: whole.Population, window: Window) -> Window:
    return Window(
        first=_own(program, made, window.first), behind=_own(program, made, window.behind)
    )


def _restart(program: Program, made: whole.Population, restart: Restart) -> Restart:
    interval = restart.interval // program.period
    offset = ((restart.offset - made.lag) % restart.interval) // program.period
    return Restart(interval=interval, offset=offset % interval)


def _table(program: Program, made: whole.Population, table: Table) -> Table:
    rows = _real(table.rows)
    if table.what is Tabled.GAIN:
        rows = rows / next(g.multiplier for g in made.gains if g.into is table.into)
    if table.what is Tabled.BIAS and table.into is not None:
        rows = rows * _added(program, made, table.into)
    return replace(table, rows=rows, start=_own(program, made, table.start))


def _added(program: Program, made: whole.Population, into: State) -> Reals:
    """Return by how much a bias of 1 moves a state: it passes no gain."""
    if into not in CURRENTS:
        return np.ones(())
    current = made.currents[CURRENTS.index(into)]
    return _late(_factor(current.decay, program.arithmetic), program.arithmetic)


def _biases(program: Program, made: whole.Population) -> tuple[real.Bias, ...]:
    """Return the biases of a population, those that a clock carries among them."""
    biases = [
        real.Bias(
            value=np.asarray(_real(b.value) * _added(program, made, b.into)),
            into=b.into,
            start=max(0, _own(program, made, b.start)),
            waits=b.waits,
        )
        for b in made.biases
    ]
    for wire in program.into(made.name):
        onset = clock_onset(program, wire.source)
        if onset is None:
            continue
        into = program.entry(wire)
        value = wire.map.apply(np.ones((1, *wire.map.in_shape)))[0] * float(1 << wire.shift)
        biases.append(
            real.Bias(
                value=np.asarray(value.reshape(made.shape) * entering(program, made, into)),
                into=into,
                start=max(0, _own(program, made, onset + int(wire.delay))),
            )
        )
    return merged(biases)


def merged(biases: Sequence[real.Bias]) -> tuple[real.Bias, ...]:
    """Return one bias for each state, first step and manner, in order; none of 0."""
    total: dict[tuple[str, int, bool], real.Bias] = {}
    for bias in biases:
        key = bias.into.value, bias.start, bias.waits
        before = total.get(key)
        value = bias.value if before is None else before.value + bias.value
        total[key] = replace(bias, value=np.asarray(value))
    return tuple(total[key] for key in sorted(total) if np.any(total[key].value))


def clock_onset(program: Program, source: str) -> int | None:
    """Return the step from which a clock, or a relay behind it, sends in every step; else None."""
    origin = origin_of(program, source)
    clocks = (p for p in program.populations if p.role is Role.CLOCK and p.name == origin.source)
    return next((clock.lag + origin.delay for clock in clocks), None)
