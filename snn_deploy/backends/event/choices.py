"""How the event simulator runs a program."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How a program is run; no result depends on it."""

    layers: bool = True
    """Plain neurons run layer by layer."""

    narrow: bool = True
    """Sums are of 16 bits where these suffice."""

    chunk: int = 64
    """Most steps that a unit runs before the next one does; 1: all units step by step."""
