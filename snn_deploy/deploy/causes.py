"""Why a layer of integers sends something else than the layer as it was trained.

A layer is held twice, as trained and as stored (`as_stored`). One thing at a time is put back to
what was trained (`putting_back`); where that makes a divergence go away, it is its cause.
"""

from enum import Enum


class Cause(Enum):
    """What makes a spike differ."""

    UPSTREAM = "upstream"
    """What the layer receives differs already; fed with what was trained, it sends the same."""

    INPUT = "input rounding"
    """Input values are no whole multiples of the input's unit."""

    WEIGHT_ROUNDING = "weight rounding"
    WEIGHT_CLIPPING = "weight clipping"
    """Weights beyond the largest that is stored."""

    GAIN = "gain rounding"
    """Of what arrives, in tables, and from one current to the next."""

    THRESHOLD = "threshold rounding"
    DECAY = "decay rounding"
    """Factors of the membrane and of the current."""

    BIAS = "bias rounding"
    RESET = "reset"
    """What a spike does to the membrane: its amount, kind or time."""

    FLOOR = "floor rounding"
    INITIAL = "initial state rounding"
    COMPARISON = "comparison"
    """> in place of >=, or another number of spikes in a step."""

    TIMES = "refractory, window or restart"

    DELAY = "delay"
    STATE_ROUNDING = "state rounding"
    """A state is a whole number; what decays is rounded toward zero in every step."""

    OVERFLOW = "overflow"
    """A register wrapped or saturated."""

    REWRITING = "rewriting for the chip"
    """Real-valued already: in the form that is rounded the layer sends something else."""

    FLOATING_POINT = "floating point"
    """Real-valued already: in float64 the layer sends something else than in the framework's
    numbers."""

    SEVERAL = "several together"
    """None of them alone."""


STORED = (
    *(Cause.WEIGHT_ROUNDING, Cause.WEIGHT_CLIPPING, Cause.GAIN, Cause.THRESHOLD, Cause.DECAY),
    *(Cause.BIAS, Cause.RESET, Cause.FLOOR, Cause.INITIAL, Cause.COMPARISON, Cause.TIMES),
    *(Cause.DELAY, Cause.INPUT),
)
"""Causes that lie in what is stored or enters, not in how the chip computes with it."""
