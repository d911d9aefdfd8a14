"""Energy: counted events times prices, and static power times time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from snn_deploy.deploy.energy.events import (
    NOTHING,
    PLACED,
    SYNAPTIC,
    Event,
    LayerCount,
    Span,
)
from snn_deploy.deploy.energy.latency import Latency
from snn_deploy.deploy.energy.memory import Memory
from snn_deploy.deploy.energy.profile import Profile, Unpriced


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEnergy:
    """Energy of one layer, mean per sample [J]."""

    count: LayerCount
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Energy and time of a program on some samples, mean per sample [J]."""

    profile: Profile
    note: str
    samples: int
    steps: int
    """Steps of a sample that each population computes."""

    layers: tuple[LayerEnergy, ...]
    by_event: dict[Event, float]
    """Energy of each kind of event that has a price, static power too [J]."""

    latency: Latency | None = None
    """None: the profile has no times, or it needs a map of cores and there is none."""

    static: Span | None = None
    """Static power of all chips for the time of a sample [J]; None: no power or time is known."""

    memory: Memory | None = None
    unpriced: tuple[Unpriced, ...] = ()
    """What costs energy or time and is not in it."""

    @property
    def span(self) -> Span:
        """Energy of a sample with its ends [J]; NaN where nothing that was counted has a price.

        The ends are those of the prices, further apart by the share by which estimates of this
        profile were found to be off.
        """
        if not self.by_event:
            return Span(value=math.nan, low=math.nan, high=math.nan)
        total = self.static or NOTHING
        for layer in self.layers:
            total += Span(value=layer.value, low=layer.low, high=layer.high)
        band = self.profile.band
        return total.widened(0.0 if band is None else band.energy or 0.0)

    @property
    def value(self) -> float:
        """Energy of a sample [J]."""
        return self.span.value

    @property
    def low(self) -> float:
        """The least that it may be [J]."""
        return self.span.low

    @property
    def high(self) -> float:
        """The most that it may be [J]."""
        return self.span.high

    @property
    def dynamic(self) -> float:
        """Energy of events alone, without static power [J]."""
        return math.fsum(layer.value for layer in self.layers)


def estimate(
    layers: Sequence[LayerCount],
    profile: Profile,
    *,
    note: str,
    samples: int,
    steps: int,
    latency: Latency | None = None,
    chips: int = 1,
    memory: Memory | None = None,
) -> Estimate:
    """Return the energy of counted events at the prices of `profile`.

    Args:
        layers: Events per sample.
        profile: What they cost.
        note: What a reader must know of the profile.
        samples: Number of samples that were counted.
        steps: Steps of each.
        latency: Time of a sample, for static power.
        chips: Chips whose static power counts.
        memory: What the network takes.
    """
    priced = []
    by_event: dict[Event, float] = {}
    for layer in layers:
        total = NOTHING
        for event, number in layer.counts.items():
            price = profile.price(event)
            if price is None:
                continue
            energy = price.span * number
            by_event[event] = by_event.get(event, 0.0) + energy.value
            total += energy
        priced.append(LayerEnergy(count=layer, value=total.value, low=total.low, high=total.high))
    static = _static(profile, latency, chips)
    if static is not None:
        by_event[Event.STATIC] = static.value
    return Estimate(
        profile=profile,
        note=note,
        samples=samples,
        steps=steps,
        layers=tuple(priced),
        by_event=by_event,
        latency=latency,
        static=static,
        memory=memory,
        unpriced=_unpriced(layers, profile, latency),
    )


def _static(profile: Profile, latency: Latency | None, chips: int) -> Span | None:
    power = profile.price(Event.STATIC)
    if power is None or latency is None:
        return None
    time, watts = latency.sample, power.span * chips
    return Span(
        value=watts.value * time.value, low=watts.low * time.low, high=watts.high * time.high
    )


_WORDS = {
    Event.MULTIPLY: "multiplications by payloads other than 1 and -1",
    Event.NEURON_ACCESS: "neurons in every step",
    Event.NEURON_UPDATE: "neuron updates",
    Event.SPIKE: "spike generation",
    Event.MESSAGE: "messages",
    Event.MESSAGE_CHIP: "messages to other chips",
    Event.HOP_EAST_WEST: "hops on the mesh, east-west",
    Event.HOP_NORTH_SOUTH: "hops on the mesh, north-south",
    **dict.fromkeys(SYNAPTIC, "synaptic operations"),
}
"""What must have a price where it happens."""


def _unpriced(
    layers: Sequence[LayerCount], profile: Profile, latency: Latency | None
) -> tuple[Unpriced, ...]:
    """Return what the profile says that it lacks, and what it lacks without saying so."""
    happened = {event for layer in layers for event, number in layer.counts.items() if number}
    explained = {event for item in profile.unpriced for event in item.events}
    if profile.price(Event.SYNAPSE_STORED):
        explained.update(SYNAPTIC)
    counted = {event for layer in layers for event in layer.counts}
    found = [
        item for item in profile.unpriced if not item.events or happened.intersection(item.events)
    ]
    missing: dict[str, Event] = {}
    for event, what in _WORDS.items():
        if event in happened and profile.price(event) is None and event not in explained:
            missing.setdefault(what, event)
    found += [
        Unpriced(what=what, reason="the profile has no price for it", events=(event,))
        for what, event in missing.items()
    ]
    hops = [event for event in PLACED if profile.price(event) and event not in counted]
    if hops:
        found.append(
            Unpriced(what="hops on the mesh", reason="no map of cores", events=tuple(hops))
        )
    if latency is None and Event.STEP not in explained:
        static = profile.price(Event.STATIC)
        what = "time" if static is None else "time, and with it static power"
        why = "no map of cores" if profile.needs_cores else "the profile has no times"
        found.append(Unpriced(what=what, reason=why))
    return tuple(found)
