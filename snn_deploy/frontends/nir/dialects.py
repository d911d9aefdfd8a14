"""What each framework means by the NIR files it writes, and how to tell them apart.

The update of each framework was measured bit by bit; the classes below restate it in the terms
of `dynamics.py`. Where a framework has options that its exporter drops, its default is taken.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import nir
import numpy as np

from snn_deploy.frontends.dynamics import Gain, Integration, ResetRule, Unit
from snn_deploy.ir.neuron import Compare, Fires

SPIKE_CAP = 255
"""Most spikes of one step that we let a multi-spike neuron send. The frameworks have no bound, or
one of 65536; a number is needed to size a chip's messages, and 255 fits eight bits."""

SAME_DT = 1e-4
"""Relative spread of time steps derived from single neurons that still counts as one step."""


class Dialect(Enum):
    """Who wrote a NIR file; the words of `--dialect`."""

    NIR = "nir"
    """The canonical reading: explicit Euler, >, one spike a step, reset to `v_reset` at once."""

    SNNTORCH = "snntorch"
    NORSE = "norse"
    SINABS = "sinabs"
    SPIKINGJELLY = "spikingjelly"
    ROCKPOOL = "rockpool"
    SPYX = "spyx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a dialect says about every neuron of a file."""

    integration: Integration = Integration.EULER
    leaky_gain: Gain = Gain.INTEGRATED
    """Into the membrane of a neuron with a leak."""

    plain_gain: Gain = Gain.INTEGRATED
    """Into the membrane of a neuron without one: I and IF."""

    current_gain: Gain = Gain.INTEGRATED
    reset: ResetRule = ResetRule.VALUE
    compare: Compare = Compare.GREATER
    fires: Fires = Fires.BINARY
    floor_is_lost: bool = False
    """The framework has a floor, which its exporter does not write."""

    late: int = 0
    """Steps between crossing the threshold and sending the spike [steps]."""

    unit: Unit = Unit.SECOND
    dt: float | None = None
    """The step that the exporter writes into every file; None: the user's own."""

    likely_dt: float = 1e-4
    """Where nothing tells the step."""

    feedback_bias_at_start: bool = True
    """A bias on a feedback path acts in step 0, before anything was fed back."""

    @property
    def max_spikes(self) -> int:
        """Most spikes of one step."""
        return SPIKE_CAP if self.fires is Fires.COUNT else 1


RULES: Mapping[Dialect, Rules] = {
    Dialect.NIR: Rules(),
    # v = beta v + x - (spike of the last step) * threshold: the default of every neuron class.
    Dialect.SNNTORCH: Rules(reset=ResetRule.LATE_SUBTRACT, dt=1e-4),
    # LIFCell: the membrane reads the current after the jump and before its decay. IAF: no dt.
    Dialect.NORSE: Rules(current_gain=Gain.UNSCALED, plain_gain=Gain.UNSCALED, dt=1e-3),
    Dialect.SINABS: Rules(
        integration=Integration.EXPONENTIAL,
        reset=ResetRule.SUBTRACT,
        compare=Compare.GREATER_EQUAL,
        fires=Fires.COUNT,
        floor_is_lost=True,
        unit=Unit.STEP,
        dt=1.0,
        likely_dt=1.0,
        feedback_bias_at_start=False,
    ),
    Dialect.SPIKINGJELLY: Rules(compare=Compare.GREATER_EQUAL),
    # r holds tau / dt * exp(-dt / tau): a unit input moves the membrane by one.
    Dialect.ROCKPOOL: Rules(
        integration=Integration.EXPONENTIAL,
        leaky_gain=Gain.IMPULSE,
        current_gain=Gain.DECAYED,
        reset=ResetRule.SUBTRACT,
        compare=Compare.GREATER_EQUAL,
        fires=Fires.COUNT,
        likely_dt=1e-3,
    ),
    # r holds the decay, and is ignored; the spike is that of the last step's membrane.
    Dialect.SPYX: Rules(
        leaky_gain=Gain.ONE,
        plain_gain=Gain.ONE,
        current_gain=Gain.ONE,
        reset=ResetRule.LATE_SUBTRACT,
        late=1,
        likely_dt=1.0,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A conclusion about a file, and the sign it rests on."""

    dialect: Dialect
    because: str


def guess_dialect(neurons: Mapping[str, nir.NIRNode]) -> Guess:
    """Return who most likely wrote a file, from its neuron nodes by name."""
    if any(re.fullmatch(r"\d+_\w+Torch", name) for name in neurons):
        return Guess(dialect=Dialect.ROCKPOOL, because="node names such as '1_LIFTorch'")
    resistances = [np.ravel(node.r) for node in neurons.values() if isinstance(node, nir.IF)]
    if resistances:
        r = np.concatenate(resistances)
        if np.all(r == 1):
            return Guess(dialect=Dialect.SINABS, because="IF neurons with r = 1")
        if np.allclose(r, 1e4, rtol=1e-6):
            return Guess(dialect=Dialect.SPIKINGJELLY, because="IF neurons with r = 1 / 1e-4")
    dt = unscaled_dt(neurons)
    if dt is not None and math.isclose(dt, 1e-4, rel_tol=SAME_DT):
        return Guess(dialect=Dialect.SNNTORCH, because="r = tau / dt with dt = 1e-4")
    return Guess(dialect=Dialect.NIR, because="no sign of a framework")


def derived_dt(dialect: Dialect, neurons: Mapping[str, nir.NIRNode]) -> float | None:
    """Return the step that the file's resistances imply under `dialect`; None: they do not.

    Dialect       what its exporter writes        so dt is
    rockpool      r = tau / dt * exp(-dt / tau)   tau * W(1 / r), W of Lambert
    spyx          r = 1 - dt / tau                tau * (1 - r)
    spikingjelly  IF with r = 1 / dt              1 / r
    nir, snntorch r = tau / dt (unscaled input)   tau / r
    norse, sinabs r = 1                           not in the file
    """
    if dialect in (Dialect.NORSE, Dialect.SINABS):
        return None
    if dialect is Dialect.ROCKPOOL:
        return _one([tau * _lambert_w(1 / r) for tau, r in _leaky(neurons) if np.all(r > 0)])
    if dialect is Dialect.SPYX:
        return _one([tau * (1 - r) for tau, r in _leaky(neurons)])
    if dialect is Dialect.SPIKINGJELLY:
        plain = [np.ravel(node.r) for node in neurons.values() if isinstance(node, nir.IF)]
        return _one([1 / r for r in plain if np.all(r > 0)])
    return unscaled_dt(neurons)


def unscaled_dt(neurons: Mapping[str, nir.NIRNode]) -> float | None:
    """Return the one dt with r = tau / dt in every leaky neuron; None: there is none, or r = 1."""
    pairs = list(_leaky(neurons))
    if all(np.all(r == 1) for _, r in pairs):
        return None
    return _one([tau / r for tau, r in pairs if np.all(r > 0)])


def _leaky(neurons: Mapping[str, nir.NIRNode]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (tau of the membrane, r), flat and of one length, for each neuron with a leak."""
    for node in neurons.values():
        if isinstance(node, nir.LIF | nir.LI):
            tau, r = np.broadcast_arrays(node.tau, node.r)
        elif isinstance(node, nir.CubaLIF | nir.CubaLI):
            tau, r = np.broadcast_arrays(node.tau_mem, node.r)
        else:
            continue
        yield np.ravel(tau).astype(np.float64), np.ravel(r).astype(np.float64)


def _one(steps: list[np.ndarray]) -> float | None:
    """Return the median of all candidates, if they agree and are positive.

    float32 parameters make each candidate uncertain by some 1e-7, so the median is rounded to
    six digits: the step that a person wrote.
    """
    if not steps:
        return None
    each = np.concatenate(steps)
    if not each.size or not np.all(np.isfinite(each)):
        return None
    middle = float(np.median(each))
    if middle <= 0 or np.any(np.abs(each - middle) > SAME_DT * middle):
        return None
    return float(f"{middle:.6g}")


def _lambert_w(x: np.ndarray) -> np.ndarray:
    """Return w with w * exp(w) = x for x > 0, by Newton's method."""
    w = np.log1p(x)
    for _ in range(50):  # converges quadratically from above; 50 is far more than needed
        w = w - (w * np.exp(w) - x) / (np.exp(w) * (1 + w))
    return w
