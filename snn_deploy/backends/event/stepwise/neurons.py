"""The neurons of a plan: their states, doors, parameters, and what changes these over time."""

from collections.abc import Iterator, Mapping

import numpy as np

from snn_deploy.backends.event.flat import Flat, Room
from snn_deploy.backends.event.records import ABSENT, REGISTER_OF
from snn_deploy.backends.event.rest import FOREVER, rests
from snn_deploy.backends.event.stepwise.kinds import code_of, options_of, parameters_of
from snn_deploy.backends.event.stepwise.tables import (
    AFTER_RESET,
    AMOUNT,
    BEFORE_TEST,
    BIAS,
    BIAS_ROW,
    BINARY,
    CHAIN,
    CLAMPED,
    COUNT,
    DECAY,
    DOOR_OF,
    DOORS,
    FACTOR,
    FIRED,
    FLOOR,
    GAIN,
    GENERAL,
    GRADED,
    HELD,
    INTEGRATES,
    LOWER,
    NEVER,
    NEXT,
    NO_FLOOR,
    NO_RESET,
    NOT_REFRACTORY,
    NOW,
    RETESTED,
    ROUNDED,
    SUBTRACT,
    TABLE,
    TERNARY,
    THRESHOLD,
    TO_VALUE,
)
from snn_deploy.ir.arithmetic import Sums
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
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.timing import Table

_FIRES = {
    Fires.NEVER: NEVER,
    Fires.BINARY: BINARY,
    Fires.COUNT: COUNT,
    Fires.GRADED: GRADED,
    Fires.ROUNDED: ROUNDED,
    Fires.TERNARY: TERNARY,
}
_RESETS = {ResetKind.NONE: NO_RESET, ResetKind.VALUE: TO_VALUE, ResetKind.SUBTRACT: SUBTRACT}
_WHEN = {When.NOW: NOW, When.NEXT: NEXT, When.RETESTED: RETESTED}
_FLOORS = {FloorWhen.BEFORE_TEST: BEFORE_TEST, FloorWhen.AFTER_RESET: AFTER_RESET}
_DURING = {During.INTEGRATES: INTEGRATES, During.HELD: HELD, During.CLAMPED: CLAMPED}
_TABLED = {
    Tabled.THRESHOLD: THRESHOLD,
    Tabled.LOWER: LOWER,
    Tabled.GAIN: GAIN,
    Tabled.BIAS: BIAS,
    Tabled.PAYLOAD: FACTOR,
}


def _kernel(population: Population) -> int:
    """Return which kernel computes a population."""
    return GENERAL if population.kind is None else code_of(population.kind)


def doors_of(population: Population) -> tuple[State, ...]:
    """Return the states that projections may drive, in the order of a population's doors."""
    kind = population.kind
    if kind is None:
        return DOORS[: 1 + len(population.currents)]
    others = (state for state in State if state in kind.entries and state is not kind.entry)
    return (kind.entry, *others)


class Neurons:
    """The tables of all neurons, while they grow; they point into `numbers` and `room`."""

    def __init__(
        self, program: Program, places: Mapping[str, np.ndarray], numbers: Flat, room: Room
    ) -> None:
        self._program, self._places = program, places
        self._numbers, self._room = numbers, room
        self._tables: list[tuple[int, ...]] = []
        self._biases: list[tuple[int, ...]] = []

    def describe(self, record: np.void, population: Population) -> None:
        """Fill a population's row of the table."""
        place = self._places[population.name]
        _describe(record, self._program, population)
        record["place"] = self._numbers.put(place)
        self._add_states(record, population, place)
        self._add_doors(record, population)
        record["parameters"] = record["tabled"] = ABSENT
        for number, parameter in _parameters(population):
            record["parameters"][number] = self._numbers.put(_spread(parameter, population, place))
        if population.kind is not None:
            options = options_of(population.kind)
            record["options"][: len(options)] = options
            return
        self._add_currents(record, population)
        self._add_biases(record, population, place)
        for table in population.tables:
            self._add_table(record, table, population, place)

    @property
    def biases(self) -> np.ndarray:
        """The table of biases."""
        return np.array(self._biases, BIAS_ROW)

    @property
    def tables(self) -> np.ndarray:
        """The table of tables."""
        return np.array(self._tables, TABLE)

    def _add_states(self, record: np.void, population: Population, place: np.ndarray) -> None:
        """Give cells to the states, and after them to the spikes where these are no state."""
        given = population.initial_states
        record["registers"] = ABSENT
        record["register"] = begin = self._room.size
        spread: dict[int, np.ndarray] = {}
        for state, number in REGISTER_OF.items():
            if state in population.states:
                record["registers"][number] = at = self._room.take(population.size)
                spread[at - begin] = _spread(given.get(state), population, place)
        if record["kernel"] == GENERAL:
            record["registers"][FIRED] = self._room.take(population.size)
        record["registers_end"] = self._room.size
        initial = np.zeros(self._room.size - begin, np.int32)
        for at, values in spread.items():
            initial[at : at + population.size] = values
        record["initial"] = self._numbers.put(initial)
        record["moving"] = self._room.take(1)

    def _add_doors(self, record: np.void, population: Population) -> None:
        for name in ("register", "bias", "waiting"):
            record["doors"][name] = ABSENT
        states = doors_of(population)
        record["door_end"], record["entry"] = len(states), states.index(population.entry)
        for number, state in enumerate(states):
            door = record["doors"][number]
            door["register"] = record["registers"][REGISTER_OF[state]]
            door["bias"] = self._room.take(population.size)
            if any(bias.waits and bias.into is state for bias in population.biases):
                door["waiting"] = self._room.take(population.size)

    def _add_currents(self, record: np.void, population: Population) -> None:
        for number, current in enumerate(population.currents, 1):
            door = record["doors"][number]
            door["reads_old"] = current.reads is Reads.OLD
            door["into_membrane"] = current.into_membrane
            if current.chain is not None:
                door["chained"] = True
                door["chain_old"] = current.chain.reads is Reads.OLD
        for gain in population.gains:
            record["doors"][DOOR_OF[gain.into]]["gain_shift"] = gain.shift

    def _add_biases(self, record: np.void, population: Population, place: np.ndarray) -> None:
        for bias in population.biases:
            sums = record["doors"][DOOR_OF[bias.into]]["waiting" if bias.waits else "bias"]
            values = self._numbers.put(_spread(bias.value, population, place))
            self._biases.append((int(sums), population.size, values, bias.start))

    def _add_table(
        self, record: np.void, table: Table, population: Population, place: np.ndarray
    ) -> None:
        number = _TABLED[table.what] + (0 if table.into is None else DOOR_OF[table.into])
        record["tabled"][number] = len(self._tables)
        rows, stride = table.rows, int(table.rows[0].size > 1)
        if stride:
            rows = np.stack([_spread(row, population, place) for row in table.rows])
        values, width = self._numbers.put(rows), rows.size // len(rows)
        self._tables.append((table.start, table.repeats, len(rows), values, width, stride))


def _spread(parameter: np.ndarray | None, population: Population, place: np.ndarray) -> np.ndarray:
    """Return one number per neuron, in the plan's order; zeros for None."""
    if parameter is None:
        return np.zeros(population.size, np.int32)
    return np.broadcast_to(parameter, population.shape).ravel()[place]


def _parameters(population: Population) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, parameter) for all that neurons of this population have."""
    if population.kind is not None:
        yield from parameters_of(population.kind)
        return
    yield DECAY, population.decay
    yield THRESHOLD, population.threshold
    yield AMOUNT, population.reset.amount
    if population.fires is Fires.TERNARY:
        yield LOWER, population.lower
    if population.floor is not None:
        yield FLOOR, population.floor.value
    for door, current in enumerate(population.currents, 1):
        yield DECAY + door, current.decay
        if current.chain is not None:
            yield CHAIN + door, current.chain.multiplier
    for gain in population.gains:
        yield GAIN + DOOR_OF[gain.into], gain.multiplier


def _describe(record: np.void, program: Program, population: Population) -> None:
    """Fill a population's row with what is the same for all its neurons."""
    record["size"] = population.size
    floor, reset, refractory = population.floor, population.reset, population.refractory
    window, restart = population.window, population.restart
    record["kernel"] = _kernel(population)
    record["lag"] = population.lag
    record["fires"] = _FIRES[population.fires]
    record["greater"] = population.compare is Compare.GREATER
    record["most"] = population.max_spikes
    record["payload_shift"] = population.payload_shift
    record["reset"], record["when"] = _RESETS[reset.kind], _WHEN[reset.when]
    record["floor"] = NO_FLOOR if floor is None else _FLOORS[floor.when]
    record["during"] = NOT_REFRACTORY if refractory is None else _DURING[refractory.during]
    record["refractory"] = 0 if refractory is None else refractory.steps or 0
    record["opens"] = 0 if window is None else window.first
    record["shuts"] = FOREVER if window is None else window.behind
    record["restart_every"] = 0 if restart is None else restart.interval
    record["restart_at"] = 0 if restart is None else restart.offset
    record["waits"] = State.STARTED in population.states
    together = program.arithmetic.sums is Sums.TOGETHER
    record["rests"] = population.kind is None and together and rests(population)
    record["sent"] = ABSENT
    acting = [bias.start for bias in population.biases if not bias.waits]
    record["first_bias"] = min(acting, default=FOREVER)
