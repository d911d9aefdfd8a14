"""A setting of the knobs: what an export is told beside what it is told anyway."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from snn_deploy.deploy.request import Request


class Knob(Enum):
    """What tuning may turn."""

    BITS = "bits"
    """Bits of the stored weights."""

    THRESHOLDS = "thresholds"
    """Factors on the thresholds of the network as trained."""

    STEPS = "steps"
    """Steps of a sample, where an encoder makes them."""

    EXIT = "exit"
    """Early exit: whoever runs the program leaves a sample as soon as one class leads."""


FIELDS = {
    Knob.BITS: ("bits",),
    Knob.THRESHOLDS: ("thresholds",),
    Knob.STEPS: ("steps",),
    Knob.EXIT: ("exit_lead", "exit_after"),
}
"""Fields of a setting, and options of an export, that belong to a knob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Options of an export; None: as the request has it."""

    bits: Mapping[str, int] | None = None
    """By layer."""

    thresholds: Mapping[str, float] | None = None
    """Factors by layer."""

    steps: int | None = None
    exit_lead: float | None = None
    exit_after: int | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options that are set, by their names in Python."""
        names = [name for fields in FIELDS.values() for name in fields]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @property
    def turned(self) -> tuple[Knob, ...]:
        """The knobs that are not where the request leaves them."""
        given = self.options
        return tuple(knob for knob in Knob if any(name in given for name in FIELDS[knob]))

    def without(self, knob: Knob) -> "Setting":
        """Return the setting with one knob put back."""
        return replace(self, **dict.fromkeys(FIELDS[knob]))

    def applied(self, request: Request) -> Request:
        """Return a request with this setting."""
        return replace(request, **self.options)

    @property
    def flags(self) -> str:
        """The options as a command line has them."""
        words = []
        for name, value in self.options.items():
            text = value
            if isinstance(value, Mapping):
                text = ",".join(f"{layer}={number:g}" for layer, number in value.items())
            words.append(f"--{name.replace('_', '-')} {text}")
        return " ".join(words)
