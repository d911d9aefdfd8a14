"""The neurons of a program as netx's LIF computes them, or why it does not.

u = sign(u) * ((|u| * (4096 - iDecay)) >> 12) + (a << 6)        wraps once at 24 bits
v = sign(v) * ((|v| * (4096 - vDecay)) >> 12) + u + (bias << 6)    clipped to 24 bits
s = v > vThMant << 6, and v = 0 where it fires
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from snn_deploy.backends.lava.worst import most_per_step
from snn_deploy.backends.netx.chain import Link
from snn_deploy.backends.netx.features import CHIP, LAVA, NETX
from snn_deploy.errors import DoesNotFitError, UnsupportedError
from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.netx import DECAY_ONE, SILENT, STATE_SHIFT
from snn_deploy.ir.neuron import Compare, Fires, Reads, ResetKind, When
from snn_deploy.ir.program import Population, Program
from snn_deploy.targets import find_target

UNIT = 1 << STATE_SHIFT
"""State units of a threshold, a bias or a weight of 1."""

_FIRING = (Fires.NEVER, Fires.BINARY)

Values = Int64[np.ndarray, "..."]
"""One number, or one per channel of an image or per neuron of a flat layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neurons:
    """The group `neuron` of a layer, and its bias."""

    i_decay: Values
    v_decay: Values
    threshold: Values
    bias: Values | None
    """Of an image whose channels do not share it: [width, height, channel]."""

    findings: tuple[Finding, ...]


def neurons_of(program: Program, link: Link) -> Neurons:
    """Return the neurons of a layer as netx's LIF.

    Raises:
        UnsupportedError: a feature that LIF lacks.
        DoesNotFitError: a threshold or bias that a file cannot hold.
    """
    population = link.population
    _check_features(population)
    u = np.zeros((), np.int64) if population.current is None else population.current.decay
    i_decay = _parameter(link, DECAY_ONE - u.astype(np.int64), "the decay of u")
    v_decay = _parameter(link, DECAY_ONE - population.decay.astype(np.int64), "its decay")
    return Neurons(
        i_decay=i_decay,
        v_decay=v_decay,
        threshold=_parameter(link, _threshold(link), "its threshold"),
        bias=_bias(link),
        findings=tuple(_findings(program, link, i_decay, v_decay)),
    )


def _check_features(population: Population) -> None:
    reset, current = population.reset, population.current
    fires = population.fires is not Fires.NEVER
    initial = np.any(population.initial) or (current is not None and np.any(current.initial))
    decays = [population.decay, *(() if current is None else (current.decay,))]
    reasons = {
        "a floor below its membrane": population.floor is not None,
        "several spikes in a step": population.fires is Fires.COUNT,
        f"{population.fires.value} spikes": population.fires not in _FIRING,
        "a reset other than to 0": fires
        and (reset.kind is not ResetKind.VALUE or bool(np.any(reset.amount))),
        "a reset in the step behind the spike": fires and reset.when is not When.NOW,
        "a membrane that integrates the current of the step before": current is not None
        and current.reads is not Reads.NEW,
        "an initial state other than 0": bool(initial),
        f"a decay outside 0..{DECAY_ONE}": any(
            decay.min(initial=0) < 0 or decay.max(initial=0) > DECAY_ONE for decay in decays
        ),
    }
    for reason, applies in reasons.items():
        if applies:
            raise UnsupportedError(
                f"it has {reason}, which netx's LIF lacks", where=population.name, fix=LAVA
            )


def _threshold(link: Link) -> Values:
    """Return vThMant such that v > vThMant << 6 is the population's comparison.

    On multiples of 64, v > th is v > 64 * floor(th / 64), and v >= th is v > th - 1.
    """
    population = link.population
    if population.fires is Fires.NEVER:
        return np.asarray(SILENT, np.int64)
    threshold = population.threshold.astype(np.int64)
    greater = population.compare is Compare.GREATER
    if not _on_lattice(link):
        if not greater:
            raise UnsupportedError(
                "it fires at v >= threshold, but netx's LIF at v > threshold, and its states are "
                f"no multiples of {UNIT}, on which both can be the same",
                where=population.name,
                fix=f"train it with >; or {LAVA}",
            )
        _check_grid(threshold, f"{population.name}.threshold", "a threshold")
    mantissa = np.asarray((threshold if greater else threshold - 1) >> STATE_SHIFT)
    highest = find_target(CHIP).thresholds.mantissa.high
    if mantissa.size and not 0 <= mantissa.min() <= mantissa.max() <= highest:
        raise DoesNotFitError(
            f"thresholds of {mantissa.min()}..{mantissa.max()}, in {UNIT} state units; the chip "
            f"stores 0..{highest}",
            where=f"{population.name}.threshold",
            fix=NETX,
        )
    return mantissa


def _on_lattice(link: Link) -> bool:
    """Return whether u and v are multiples of 64 in every step, as all that arrives is."""
    population = link.population
    decays = [population.decay]
    if population.current is not None:
        decays.append(population.current.decay)
    whole = all(np.all((decay == 0) | (decay == DECAY_ONE)) for decay in decays)
    return whole and not np.any(link.bias % UNIT)


def _check_grid(values: np.ndarray, where: str, what: str) -> None:
    off = values[values % UNIT != 0]
    if off.size:
        raise DoesNotFitError(
            f"{what} of {int(off.flat[0])} state units is no multiple of {UNIT}, which a .net "
            "file counts in",
            where=where,
            fix=NETX,
        )


def _bias(link: Link) -> Values | None:
    """Return the bias as the file holds it; None: there is none."""
    population, bias = link.population, link.bias
    if not np.any(bias):
        return None
    where = f"{population.name}.bias"
    _check_grid(bias, where, "a bias")
    mantissa, allowed = bias >> STATE_SHIFT, find_target(CHIP).biases.mantissa
    if mantissa.min() < allowed.low or mantissa.max() > allowed.high:
        raise DoesNotFitError(
            f"biases of {mantissa.min()}..{mantissa.max()}, in {UNIT} state units; the chip "
            f"stores {allowed}",
            where=where,
            fix=NETX,
        )
    if not link.is_image:
        return mantissa.reshape(-1)
    channel = mantissa[:, :1, :1]
    return channel.reshape(-1) if np.all(mantissa == channel) else mantissa.transpose()


def _parameter(link: Link, values: Values, what: str) -> Values:
    """Return a parameter as one number, or one per channel of an image or neuron of a flat layer.

    Raises:
        UnsupportedError: it differs within a channel.
    """
    full = per_neuron(np.asarray(values), link.population.shape)
    if np.all(full == full.flat[0]):
        return np.asarray(full.flat[0], np.int64)
    if not link.is_image:
        return full.reshape(-1)
    if np.all(full == full[:, :1, :1]):
        return full[:, 0, 0]
    raise UnsupportedError(
        f"{what} differs within a channel, but a .net file has one number per channel",
        where=link.population.name,
        fix=LAVA,
    )


def _findings(program: Program, link: Link, i_decay: Values, v_decay: Values) -> list[Finding]:
    population, found = link.population, []

    def find(kind: Kind, amount: str, reason: str) -> None:
        found.append(Finding(kind=kind, layer=population.name, amount=amount, reason=reason))

    if i_decay.ndim or v_decay.ndim or _threshold(link).ndim:
        find(
            Kind.SIMULATED,
            "its neurons have decays or thresholds of their own",
            "Lava's LIF takes arrays in its simulator; for the chip they are documented as scalars",
        )
    if i_decay.min() == 0 or v_decay.max() == DECAY_ONE:
        find(
            Kind.SIMULATED,
            "a current that never decays, or a membrane that keeps nothing",
            "lava-dl has such layers, and Lava's simulator runs them; Loihi's decays of 12 bits "
            "cannot say it",
        )
    negative = link.bias.min() < 0 or any(
        p.map.numbers().min(initial=0) < 0 for p in program.into(population.name)
    )
    inclusive = population.compare is Compare.GREATER_EQUAL and population.fires is Fires.BINARY
    if inclusive and negative:
        find(
            Kind.UNPROVEN,
            "v >= threshold is written as v > threshold - 64",
            "the same while the membrane does not saturate below, at -(2**23 - 1)",
        )
    most = most_per_step(program, population.name)
    if population.current is None and most >= 1 << 23:
        find(
            Kind.UNPROVEN,
            f"a sum of up to {most} state units in one step would wrap",
            "netx's LIF always has a current, of 24 bits; the program has none",
        )
    return found
