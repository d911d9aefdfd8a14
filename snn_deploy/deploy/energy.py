"""Energy as an estimate: counted events times published prices per event, each with its source.

What is counted, per layer and sample (SANA-FE's categories, Boyle et al. 2025):

    synapse-*       synapses that a sent payload reaches, stored zeros of a kernel included
    neuron-access   neurons times steps of the chip
    neuron-update   neurons and steps in which a register is not 0 before or after, a bias acts or
                    something is sent; none in steps in which a dilated program holds its states
    spike           neurons and steps in which something is sent; none for inputs
    message         sent payloads times the populations they go to: one core for each, the least
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources

import msgspec
import numpy as np
from jaxtyping import Bool

from snn_deploy.deploy.windows import own_steps
from snn_deploy.errors import UnknownNameError
from snn_deploy.ir.kinds import Adaptive, SigmaDelta
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, fan_out
from snn_deploy.ir.neuron import State, Tabled
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.trace import PopulationTrace, Trace, Values, by_name


class Event(Enum):
    """Something on a chip that costs energy each time."""

    SYNAPSE_DENSE = "synapse-dense"
    SYNAPSE_SPARSE = "synapse-sparse"
    SYNAPSE_CONVOLUTION = "synapse-convolution"
    NEURON_ACCESS = "neuron-access"
    NEURON_UPDATE = "neuron-update"
    SPIKE = "spike"
    MESSAGE = "message"


SYNAPTIC = (Event.SYNAPSE_DENSE, Event.SYNAPSE_SPARSE, Event.SYNAPSE_CONVOLUTION)


class Grade(Enum):
    """How a price is known."""

    MEASURED = "measured"
    SIMULATED = "simulated"
    DERIVED = "derived"
    VENDOR = "vendor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Energy of one event, with the span of published figures."""

    event: Event
    value: float
    low: float
    high: float
    unit: str
    grade: Grade
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """Something that costs energy and that the estimate leaves out."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A table of prices."""

    name: str
    chip: str
    """Whose prices they are."""

    title: str
    prices: tuple[Price, ...]
    unpriced: tuple[Unpriced, ...] = ()

    def price(self, event: Event) -> Price | None:
        """Return the price of an event; None where there is none."""
        return next((price for price in self.prices if price.event is event), None)


@cache
def profiles() -> tuple[Profile, ...]:
    """Return the price tables that come with the package."""
    folder = resources.files("snn_deploy.deploy") / "profiles"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(msgspec.toml.decode(file.read_bytes(), type=Profile) for file in files)


def find_profile(name: str) -> Profile:
    """Return the price table called `name`.

    Raises:
        UnknownNameError: there is none.
    """
    for profile in profiles():
        if profile.name == name:
            return profile
    names = ", ".join(profile.name for profile in profiles())
    raise UnknownNameError(
        f"no energy profile is called {name!r}; there are {names}",
        fix=f"--profile {profiles()[0].name}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCount:
    """Events of one input or population, mean per sample.

    Synaptic operations are those of the projections that end in it.
    """

    layer: str
    neurons: int
    counts: dict[Event, float]

    @property
    def synaptic(self) -> float:
        """Synaptic operations of all kinds."""
        return sum(self.counts.get(event, 0.0) for event in SYNAPTIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEnergy:
    """Energy of one layer, mean per sample [J]."""

    count: LayerCount
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Energy of a program on some samples, mean per sample [J]."""

    profile: Profile
    note: str
    samples: int
    steps: int
    """Steps of a sample that each population computes."""

    layers: tuple[LayerEnergy, ...]
    by_event: dict[Event, float]

    @property
    def value(self) -> float:
        """Sum over the layers [J]."""
        return sum(layer.value for layer in self.layers)

    @property
    def low(self) -> float:
        """Sum of the low ends [J]."""
        return sum(layer.low for layer in self.layers)

    @property
    def high(self) -> float:
        """Sum of the high ends [J]."""
        return sum(layer.high for layer in self.layers)


def synapse_event(linear: LinearMap) -> Event:
    """Return which synaptic event a projection's map causes."""
    if isinstance(linear, Dense):
        return Event.SYNAPSE_DENSE
    return Event.SYNAPSE_CONVOLUTION if isinstance(linear, Convolution) else Event.SYNAPSE_SPARSE


def count(
    program: Program, inputs: Sequence[Values], trace: Trace, steps: int
) -> tuple[LayerCount, ...]:
    """Return the events of a run, mean per sample.

    Args:
        program: What was run.
        inputs: What it was given, [sample, step, *shape].
        trace: Its trace, with every state.
        steps: Steps of a sample on the chip; a population's own are `lag` to `lag + steps`.
    """
    samples = inputs[0].values.shape[0]
    sent = {i.name: np.count_nonzero(by_name(inputs, i.name), axis=1) for i in program.inputs}
    for population in program.populations:
        window = own_steps(population, trace[population.name].payload, steps)
        sent[population.name] = np.count_nonzero(window, axis=1)
    layers = []
    for entry in program.nodes:
        counts: dict[Event, float] = {}
        targets = len({p.target for p in program.projections if p.source == entry.name})
        fired = float(sent[entry.name].sum())
        counts[Event.MESSAGE] = fired * targets
        if isinstance(entry, Population):
            counts[Event.SPIKE] = fired
            counts[Event.NEURON_ACCESS] = float(entry.size * steps * samples)
            counts[Event.NEURON_UPDATE] = _updates(program, entry, trace[entry.name], steps)
        for projection in program.into(entry.name):
            source = sent[projection.source].reshape(samples, -1).sum(axis=0)
            event = synapse_event(projection.map)
            reached = float(fan_out(projection.map) @ source)
            counts[event] = counts.get(event, 0.0) + reached
        mean = {event: number / samples for event, number in counts.items()}
        layers.append(LayerCount(layer=entry.name, neurons=entry.size, counts=mean))
    return tuple(layers)


def _updates(program: Program, population: Population, trace: PopulationTrace, steps: int) -> float:
    """Return the neurons and steps in which something moves, over all samples."""
    acts = range(population.lag, population.lag + steps, program.period)
    own = slice(acts.start, acts.stop, acts.step)
    payload = own_steps(population, trace.payload, steps)[:, :: program.period]
    busy = payload != 0
    for state in population.states & _REGISTERS:
        record = trace.state(state)
        if record is None:
            raise ValueError(f"{state.value} of {population.name} was not recorded")
        first = population.initial_states.get(state, np.zeros(()))
        after = record[:, own]
        initial = np.broadcast_to(first, after[:, :1].shape)
        before = np.concatenate([initial, after[:, :-1]], axis=1)
        rest = first if state is State.THRESHOLD else 0  # it returns to its base, not to 0
        busy = busy | (after != rest) | (before != rest)
    return float(np.count_nonzero(busy | _pushed(population, trace, acts, program.period)))


_REGISTERS = frozenset(State) - {State.PAYLOAD, State.STARTED}
"""What an update may change; a neuron that has ever received anything stays started."""


def _pushed(
    population: Population, trace: PopulationTrace, acts: range, period: int
) -> Bool[np.ndarray, "sample own ..."]:
    """Return where a bias that is not 0 acts, or a row of a table of biases."""
    samples = trace.events.shape[0]
    pushed = np.zeros((samples, len(acts), *population.shape), bool)
    started = trace.state(State.STARTED)
    for bias in population.biases:
        since = np.asarray([step >= bias.start for step in acts])
        acting = since.reshape(1, -1, *(1 for _ in population.shape)) & (bias.value != 0)
        if bias.waits and started is not None:
            acting = acting & (started[:, acts.start : acts.stop : acts.step] != 0)
        pushed |= acting
    for table in population.tables:
        if table.what is Tabled.BIAS:
            for number, step in enumerate(acts):
                row = table.at(step, period)
                pushed[:, number] |= False if row is None else row != 0
    if isinstance(population.kind, Adaptive | SigmaDelta):
        pushed |= population.kind.bias != 0
    return pushed


def estimate(
    layers: Sequence[LayerCount], profile: Profile, *, note: str, samples: int, steps: int
) -> Estimate:
    """Return the energy of counted events at the prices of `profile`."""
    priced = []
    by_event: dict[Event, float] = {}
    for layer in layers:
        value = low = high = 0.0
        for event, number in layer.counts.items():
            price = profile.price(event)
            if price is None:
                continue
            scale = _joule(price.unit) * number
            by_event[event] = by_event.get(event, 0.0) + price.value * scale
            value += price.value * scale
            low += price.low * scale
            high += price.high * scale
        priced.append(LayerEnergy(count=layer, value=value, low=low, high=high))
    return Estimate(
        profile=profile,
        note=note,
        samples=samples,
        steps=steps,
        layers=tuple(priced),
        by_event=by_event,
    )


def _joule(unit: str) -> float:
    return {"pJ": 1e-12, "nJ": 1e-9, "J": 1.0}[unit]
