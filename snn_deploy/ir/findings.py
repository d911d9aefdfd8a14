"""Findings: what was guessed, given up or changed on the way, each with layer, amount, reason."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What sort of thing a finding tells."""

    GUESSED = "guessed"
    """The file does not say; we chose, and the choice may be wrong."""

    ROUNDED = "rounded"
    """A number is nearest, not equal, to what was trained."""

    CHANGED = "changed"
    """The network computes something else than what was trained."""

    RETIMED = "retimed"
    """The same spikes, later, or with helper neurons that were not in the network."""

    SIMULATED = "simulated"
    """Runs in a simulator, not natively on the chip."""

    UNPROVEN = "unproven"
    """A bound that could not be proven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a user should know before trusting the result."""

    kind: Kind
    layer: str
    """Population or projection; empty for the whole network."""

    amount: str
    """How much, with its unit, such as `0.4 % of the time constant`."""

    reason: str
    """Why, and what would avoid it."""

    def __str__(self) -> str:
        return f"{self.kind.value:9}  {self.layer or '(network)'}: {self.amount}; {self.reason}"
