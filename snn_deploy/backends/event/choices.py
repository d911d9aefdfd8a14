"""How the event simulator runs a program."""

from dataclasses import dataclass
from enum import Enum


class Rows(Enum):
    """Which rows of weights a layer adds whose sources all reach all of its neurons."""

    FEWER = "fewer"
    """Those of the sources that sent a spike; where more than half did, all but those of the rest,
    so that a step never costs more than half of all rows."""

    SENT = "sent"
    SILENT = "silent"
    """Always the sum of all rows, less those of sources that sent nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How a program is run; no result depends on it."""

    layers: bool = True
    """Plain neurons run layer by layer; otherwise as all others."""

    narrow: bool = True
    """Weights add up in 16 bits where these suffice."""

    rows: Rows = Rows.FEWER
    chunk: int = 64
    """Most steps that a unit runs before the next one does; 1: all units step by step."""
