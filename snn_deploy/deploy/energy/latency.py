"""Time of steps and samples: each step takes as long as its slowest core, and a barrier.

A core updates its neurons and sends on one side, receives and looks up synapses on the other, both
at once: the "simple" timing model of SANA-FE (Boyle et al. 2025).
"""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from jaxtyping import Float64

from snn_deploy.deploy.energy.events import NOTHING, SYNAPTIC, Event, LayerCount, Span
from snn_deploy.deploy.energy.placement import Placement
from snn_deploy.deploy.energy.profile import Price, Profile
from snn_deploy.deploy.energy.work import Work

SHOWN = 3
"""Slowest cores that are named."""


class Phase(Enum):
    """What a core is busy with."""

    GENERATION = "generation"
    """Updating its neurons and sending their messages."""

    PROCESSING = "processing"
    """Receiving messages and looking up their synapses."""


GENERATION = (Event.NEURON_ACCESS, Event.NEURON_UPDATE, Event.SPIKE, Event.MESSAGE)
PROCESSING = (Event.MESSAGE_IN, *SYNAPTIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowest:
    """A core that others wait for."""

    core: int
    layers: tuple[str, ...]
    """That it holds neurons of."""

    phase: Phase
    steps: float
    """Share of the steps in which it is the slowest one in this phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long steps and samples take."""

    step: Span
    """Mean time of a step [s]."""

    sample: Span
    """Time from a sample's first step to the last one of its outputs [s]."""

    steps: float
    """Steps that a sample takes on the chip, the lag of its outputs included."""

    queued: float | None = None
    """Time of a sample where messages wait for each other at their cores [s]; None: it does not
    depend on cores. The prices alone are in it, no ends."""

    barrier: Span | None = None
    """Part of each step in which cores only wait for each other [s]; None: none is known."""

    slowest: tuple[Slowest, ...] = ()
    """Cores that others wait for most often; empty where it does not depend on cores."""


@dataclass(slots=True)
class Clock:
    """Adds up the time of a placed network, step by step."""

    profile: Profile
    placement: Placement
    steps: int = 0
    total: Span = NOTHING
    queued: float = 0.0
    waits: dict[tuple[int, Phase], int] = field(default_factory=dict)

    @property
    def barrier(self) -> Span | None:
        """The barrier that ends each step [s]."""
        found = self.profile.barrier(self.placement.tiles, self.placement.chips)
        return None if found is None else found.span

    def add(self, work: Work) -> None:
        """Add some steps."""
        ends = []
        for end in ("value", "low", "high"):
            phases = (GENERATION, PROCESSING)
            both = np.stack([_time(self.profile, work, phase, end) for phase in phases])
            longest = both.max(axis=(0, 2))
            ends.append(float(longest.sum()))
            if end == "value":
                self._blame(both, longest)
        steps = longest.size
        self.steps += steps
        self.total += Span(value=ends[0], low=ends[1], high=ends[2])
        self.total += (self.barrier or NOTHING) * steps

    def add_queued(self, steps: Float64[np.ndarray, " step"]) -> None:
        """Add the times of some steps in which messages wait [s]."""
        barrier = 0.0 if self.barrier is None else self.barrier.value
        self.queued += float(steps.sum()) + barrier * steps.size

    def _blame(
        self, both: Float64[np.ndarray, "phase step core"], longest: Float64[np.ndarray, " step"]
    ) -> None:
        flat = both.transpose(1, 0, 2).reshape(longest.size, -1)
        for worst in flat.argmax(axis=1)[longest > 0].tolist():
            phase, core = divmod(worst, both.shape[2])
            key = (core, list(Phase)[phase])
            self.waits[key] = self.waits.get(key, 0) + 1

    def latency(self, samples: int) -> Latency:
        """Return the mean of all steps, and per sample."""
        often = sorted(self.waits.items(), key=lambda item: (-item[1], item[0][0]))
        return _latency(
            self.profile,
            self.total * (1 / samples),
            self.steps / samples,
            queued=self.queued / samples,
            barrier=self.barrier,
            slowest=tuple(
                Slowest(
                    core=core,
                    layers=self.placement.layers(core),
                    phase=phase,
                    steps=number / self.steps,
                )
                for (core, phase), number in often[:SHOWN]
            ),
        )


def _time(
    profile: Profile, work: Work, events: tuple[Event, ...], end: str
) -> Float64[np.ndarray, "step core"]:
    """Return the time of each core and step that some events take [s]."""
    total = np.zeros_like(work[Event.NEURON_ACCESS])
    for event in events:
        price = profile.time(event)
        if price is not None:
            total += work[event] * getattr(price.span, end)
    return total


def fixed_latency(profile: Profile, steps: float) -> Latency | None:
    """Return the time of a chip whose steps all take as long; None: they do not."""
    price = profile.time(Event.STEP)
    return None if price is None else _latency(profile, price.span * steps, steps)


def serial_latency(
    profile: Profile, layers: tuple[LayerCount, ...], steps: float
) -> Latency | None:
    """Return the time of a chip that does one event after another; None: it does not."""
    if not profile.serial:
        return None
    total = NOTHING
    for layer in layers:
        for event, number in layer.counts.items():
            price: Price | None = profile.time(event)
            if price is not None:
                total += price.span * number
    return _latency(profile, total, steps)


def _latency(profile: Profile, sample: Span, steps: float, **rest: object) -> Latency:
    share = 0.0 if profile.band is None else profile.band.time or 0.0
    whole = sample.widened(share)
    return Latency(step=whole * (1 / steps), sample=whole, steps=steps, **rest)  # type: ignore[arg-type]
