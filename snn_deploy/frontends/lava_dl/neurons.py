"""Leaky integrators of lava-dl files, as lava-dl's netx gives them to Lava.

Lava's LIF with du = iDecay - 1 and dv = vDecay multiplies u by 4096 - (du + 1) and v by 4096 - dv,
both over 4096, shifts threshold and input sums by 6 bits, and resets to 0.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from snn_deploy.errors import DynamicsError, ShapeError, UnknownNodeError
from snn_deploy.frontends.lava_dl.fields import Fields
from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.netx import DECAY_BITS, DECAY_ONE, STATE_SHIFT, UNREACHABLE
from snn_deploy.ir.neuron import Fires, ResetKind
from snn_deploy.ir.program import Current, Reset
from snn_deploy.ir.words import meant

INTEGRATORS = ("CUBA", "LOIHI")
"""Types that netx makes LIF processes of."""

ADAPTIVE = ("ALIF", "ADRF_PHASE", "ADRF_IZHIKEVICH")
"""Types that slayer trains and netx does not run as they are."""

OTHERS = ("SDNN", "RF_PHASE", "RF_IZHIKEVICH")
"""Types that netx makes other processes of."""

_COMMON = ("type", "iDecay", "vDecay", "vThMant", "refDelay", "gradedSpike")
_TRAINING = ("theta", "scaleRho", "tauRho")
"""Of the surrogate gradient; nothing on the chip."""

_EXPONENTS = ("wgtExp", "weight_exp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neurons:
    """The neuron parameters of one layer; arrays broadcast to its shape."""

    kind: str
    """What the file calls them."""

    decay: Int32[np.ndarray, "..."]
    """Multiplier on the membrane."""

    current: Current
    threshold: Int32[np.ndarray, "..."]
    """In state units."""

    fires: Fires
    reset: Reset


def read_neurons(layer: Fields, shape: Shape, decay_bits: int) -> Neurons:
    """Return the neurons of a layer.

    Args:
        layer: The layer; without a group `neuron` it gets netx's integrator.
        shape: Of the layer; parameters may differ per channel or per neuron of a flat layer.
        decay_bits: Fraction bits of the program's decays, 12 or more.

    Raises:
        UnknownNodeError: a neuron type, or graded spikes, that programs do not have.
        DynamicsError: a decay or threshold that no neuron has.
        ShapeError: a parameter that does not fit the layer.
        FileDamagedError: a parameter is missing or no whole number.
    """
    fields = layer.inner("neuron")
    if fields is None:
        layer.found(
            "its neurons never fire; their current adds up what comes and never decays, and the "
            "membrane is the current",
            "the file gives the layer no neuron, and netx then takes this one",
        )
        decays, kind = (np.asarray(0), np.asarray(DECAY_ONE)), "integrator"
        threshold = np.asarray(UNREACHABLE)
    else:
        kind = _kind(fields)
        decays = _decay(fields, "iDecay", shape), _decay(fields, "vDecay", shape)
        threshold = _threshold(fields, shape)
        _report_ignored(fields)
    extra = decay_bits - DECAY_BITS
    u, v = (np.asarray((DECAY_ONE - decay) << extra, WHOLE) for decay in decays)
    silent = bool(np.all(threshold >= UNREACHABLE))
    return Neurons(
        kind=kind,
        decay=v,
        current=Current(decay=u),
        threshold=np.asarray(threshold << STATE_SHIFT, WHOLE),
        fires=Fires.NEVER if silent else Fires.BINARY,
        reset=Reset() if silent else Reset(kind=ResetKind.VALUE),
    )


def _kind(fields: Fields) -> str:
    kind = fields.text("type")
    if kind in INTEGRATORS:
        return kind
    if kind in ADAPTIVE or "ADRF" in kind:
        raise UnknownNodeError(
            f"{kind} neurons adapt: netx cannot load ALIF, and takes ADRF for resonators that "
            "do not",
            where=fields.at("type"),
            fix="train the layer with CUBA neurons (slayer.block.cuba)",
        )
    known = (*INTEGRATORS, *OTHERS)
    raise UnknownNodeError(
        f"neuron type {kind!r} is none of lava-dl's that we read",
        where=fields.at("type"),
        fix=meant(kind, (*known, *ADAPTIVE), f"known are {', '.join(known)}"),
    )


def _decay(fields: Fields, name: str, shape: Shape) -> np.ndarray:
    values = spread(fields, name, shape)
    wrong = values[(values < 0) | (values > DECAY_ONE)]
    if wrong.size:
        raise DynamicsError(
            f"a decay of {int(wrong.flat[0])}; 0 keeps all, and {DECAY_ONE} nothing",
            where=fields.at(name),
        )
    return values


def _threshold(fields: Fields, shape: Shape) -> np.ndarray:
    values = spread(fields, "vThMant", shape)
    if values.min() < 0:
        raise DynamicsError(
            f"a threshold of {int(values.min())}; it is 0 or more", where=fields.at("vThMant")
        )
    return np.asarray(np.minimum(values, 2 * UNREACHABLE))  # shifted, it stays within 32 bits


def spread(fields: Fields, name: str, shape: Shape) -> np.ndarray:
    """Return a parameter so that it broadcasts to the layer: scalar, or one per channel.

    Raises:
        ShapeError: it has another number of values.
        FileDamagedError: it is missing, or no whole number.
    """
    values = fields.whole(name)
    if values.size == 1:
        return values.reshape(())
    if values.size != shape[0]:
        raise ShapeError(
            f"{values.size} values; a layer of shape {shape} has 1 or {shape[0]}",
            where=fields.at(name),
        )
    return values.reshape(-1, *(1 for _ in shape[1:]))


def _report_ignored(fields: Fields) -> None:
    """Note what netx passes over although it would matter."""
    check_plain_spikes(fields)
    if fields.has("refDelay"):
        steps = fields.whole("refDelay")
        if np.any(steps != 1):
            fields.found(
                f"the refractory period of {int(steps.max())} steps is not kept",
                "lava-dl's netx passes over refDelay, and Lava's LIF has no such period",
            )
    for name in _EXPONENTS:
        if fields.has(name) and np.any(fields.whole(name) != 0):
            fields.found(
                f"the weight exponent {name} = {int(fields.whole(name).flat[0])} is not applied",
                "lava-dl's netx passes over it",
            )
    fields.report_unused((*_COMMON, *_TRAINING, *_EXPONENTS))


def check_plain_spikes(fields: Fields) -> None:
    """Refuse graded spikes.

    Raises:
        UnknownNodeError: the neurons send more than 0 and 1.
    """
    if "messageBits" in fields.names or _flag(fields, "gradedSpike"):
        raise UnknownNodeError(
            "its spikes are graded, and these neurons of programs send 0 or 1",
            where=fields.where,
            fix="train the layer without graded spikes",
        )


def _flag(fields: Fields, name: str) -> bool:
    return fields.has(name) and bool(np.any(fields.whole(name)))
