"""How well each layer became integers: numbers for the report, none of them used to compute."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Reals = Float[np.ndarray, "..."] | np.floating
"""An array, or the scalar that numpy makes of arithmetic with an array without axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionReport:
    """How well the weights of one projection became integers."""

    name: str
    snr_db: float
    """Power of the weights over power of their error [dB]; infinite: they fit exactly."""

    clipped: float
    """Share of the stored weights that were too large and became the largest, 0..1."""

    zeroed: float
    """Share of the stored weights that were not 0 and became 0, 0..1."""

    unit: float
    """Real value of a stored weight of 1; of several the median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """How well one population and what drives it became integers."""

    name: str
    """The population."""

    scale: float
    """State units per real unit; of several the median."""

    threshold_error: float
    """Largest relative error of a threshold, 0..1."""

    decay_error: float
    """Largest relative change of a membrane time constant; infinite: one appears or is lost."""

    current_decay_error: float
    """The same for the synaptic current; 0 where there is none."""

    bias_error: float
    """Largest error of a bias, in thresholds per step."""

    projections: tuple[ProjectionReport, ...]

    scales: int = 1
    """Different scales: one, or some of channels."""

    agreement: float | None = None
    """Share of steps and neurons that send what the real-valued network sends, on the calibration
    data and fed by the rounded layers below; None without calibration data."""


def projection_report(
    name: str,
    real: Float[np.ndarray, "..."],
    whole: Float[np.ndarray, "..."],
    clipped: int,
    unit: Reals | float,
) -> ProjectionReport:
    """Return the report of weights `real` that became `whole` steps of `unit`, one or of each."""
    power = float(np.sum(np.square(real)))
    noise = float(np.sum(np.square(whole * unit - real)))
    return ProjectionReport(
        name=name,
        snr_db=10 * math.log10(power / noise) if power and noise else math.inf,
        clipped=clipped / max(1, real.size),
        zeroed=int(np.count_nonzero((whole == 0) & (real != 0))) / max(1, real.size),
        unit=float(np.median(unit)),
    )


def relative_error(value: Reals, wanted: Reals) -> float:
    """Return the largest |value - wanted| / |wanted|; where only `wanted` is 0, infinity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(value == wanted, 0.0, np.abs(value - wanted) / np.abs(wanted))
    return float(np.max(error, initial=0.0))


def time_constant_errors(decay: Reals, wanted: Reals) -> Float[np.ndarray, "..."]:
    """Return the relative change of each time constant tau = -1 / ln(decay).

    1 where an infinite time constant becomes finite or a finite one 0, infinity the other way.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(wanted) / np.log(decay)  # new tau over old tau
    ratio = np.where(decay == wanted, 1.0, ratio)
    ratio = np.where((decay == 1) & (wanted != 1), np.inf, ratio)
    return np.asarray(np.abs(ratio - 1))
