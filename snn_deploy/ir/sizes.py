"""Limits on the sizes of what is read, which keep a small or hostile file from taking all memory.

Each module states its own; one variable of the environment raises them all.
"""

import math
import os

from snn_deploy.errors import OptionError

VARIABLE = "SNN_DEPLOY_LIMITS"
"""A whole number: every limit is so many times higher."""

HIGHEST = 1024
"""What it may say: a limit that is higher still guards nothing."""


def factor() -> int:
    """Return how many times higher than stated the limits are.

    Raises:
        OptionError: the variable says no whole number from 1 to `HIGHEST`.
    """
    said = os.environ.get(VARIABLE) or "1"
    if not (said.isascii() and said.isdecimal() and 1 <= int(said[:9]) <= HIGHEST):
        raise OptionError(
            f"{VARIABLE} is {said[:20]!a}; it is a whole number from 1 to {HIGHEST}",
            where="environment",
            fix=f"{VARIABLE}=2 doubles all limits on sizes",
        )
    return int(said)


def allowed(limit: int) -> int:
    """Return a limit, raised as the user says.

    Raises:
        OptionError: see `factor`.
    """
    return limit * factor()


def higher(got: int, limit: int) -> str:
    """Return the way out for a size beyond its limit."""
    times = _times(got, limit)
    if times > HIGHEST:
        return f"{VARIABLE}={HIGHEST} is the most that limits are raised by: make it smaller"
    return f"{VARIABLE}={times} raises all limits on sizes, for a file that you trust"


def or_higher(fix: str, got: int, limit: int) -> str:
    """Return a way out, and that of raising the limit where it can be raised so far."""
    return fix if _times(got, limit) > HIGHEST else f"{fix}. Or {higher(got, limit)}"


def _times(got: int, limit: int) -> int:
    """Return how many times higher than stated a limit must be, and at least than it is now."""
    return max(factor() + 1, math.ceil(got / max(limit, 1)))
