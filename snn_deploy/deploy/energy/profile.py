"""Profiles: what each event costs on a chip, with the source of every number."""

from dataclasses import dataclass
from enum import Enum

from snn_deploy.deploy.energy.events import Event, Span

JOULE = {"fJ": 1e-15, "pJ": 1e-12, "nJ": 1e-9, "uJ": 1e-6, "J": 1.0}
"""Of an event."""

WATT = {"uW": 1e-6, "mW": 1e-3, "W": 1.0}
"""Of `Event.STATIC`."""

SECOND = {"ps": 1e-12, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}

SCALE = JOULE | WATT | SECOND


class Grade(Enum):
    """How a number is known."""

    MEASURED = "measured"
    SIMULATED = "simulated"
    DERIVED = "derived"
    VENDOR = "vendor"


class Seen(Enum):
    """Where we saw a number."""

    READ = "read"
    """In the source itself."""

    QUOTED = "quoted"
    """In another text or program that quotes the source: `via` names it."""

    ABSTRACT = "abstract"
    """In an abstract or an excerpt of the source."""

    UNCHECKED = "unchecked"
    """Nowhere: it is common knowledge that we did not look up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Energy, power or time of one event, with the span of published figures."""

    event: Event
    value: float
    low: float
    high: float
    unit: str
    grade: Grade
    seen: Seen
    source: str
    via: str = ""
    """What quotes the source, where it was not read itself."""

    operating_point: str = ""
    """Where it is another one than the profile's."""

    @property
    def span(self) -> Span:
        """The price in J, W or s."""
        return Span(value=self.value, low=self.low, high=self.high) * SCALE[self.unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """Time in which all cores agree that a step is over, from so many routers and chips on."""

    tiles: int
    """Routers whose cores are in use."""

    chips: int = 1
    value: float
    low: float
    high: float
    unit: str
    grade: Grade
    seen: Seen
    source: str
    via: str = ""

    @property
    def span(self) -> Span:
        """The time [s]."""
        return Span(value=self.value, low=self.low, high=self.high) * SCALE[self.unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """How far an estimate was found to be off: added to both ends, as a share."""

    energy: float | None = None
    time: float | None = None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """Something that costs energy or time and that the estimate leaves out."""

    what: str
    reason: str
    events: tuple[Event, ...] = ()
    """That it speaks of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A table of prices."""

    name: str
    chip: str
    """Whose prices they are."""

    title: str
    operating_point: str = ""
    """Process and voltage at which they hold."""

    prices: tuple[Price, ...] = ()
    """Energy of events, and static power."""

    times: tuple[Price, ...] = ()
    """Time that a core takes for events, or the time of every step."""

    barriers: tuple[Barrier, ...] = ()
    serial: bool = False
    """Whether one core does everything, one event after another."""

    band: Band | None = None
    """None: nobody has compared estimates with the chip."""

    unpriced: tuple[Unpriced, ...] = ()

    def price(self, event: Event) -> Price | None:
        """Return the price of an event; None where there is none."""
        return next((price for price in self.prices if price.event is event), None)

    def time(self, event: Event) -> Price | None:
        """Return the time that an event takes; None where none is known."""
        return next((time for time in self.times if time.event is event), None)

    def barrier(self, tiles: int, chips: int) -> Barrier | None:
        """Return the barrier of so many routers on so many chips; None where none is known."""
        reached = [b for b in self.barriers if b.tiles <= tiles and b.chips <= chips]
        return max(reached, key=lambda b: (b.chips, b.tiles), default=None)

    @property
    def needs_cores(self) -> bool:
        """Whether the time of a step depends on which core does what."""
        return bool(self.times) and not self.serial and self.time(Event.STEP) is None
