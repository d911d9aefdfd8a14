"""Profiles: prices per event, each with its source."""

from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources

import msgspec

from snn_deploy.deploy.energy.events import Event
from snn_deploy.errors import UnknownNameError


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
    folder = resources.files("snn_deploy.deploy.energy") / "profiles"
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
