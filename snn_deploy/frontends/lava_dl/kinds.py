"""Neurons of lava-dl files that are no leaky integrators: sigma-delta neurons and resonators.

What netx makes of them (lava-dl 0.6.0, netx/hdf5.py: get_neuron_params) and Lava computes (lava-nc
0.10.0, proc/sdn, proc/rf, proc/rf_iz): states of sigma-delta neurons have 12 fraction bits, of
which a message keeps 6; resonators take their inputs in 64 state units, as LIF does.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from snn_deploy.errors import DoesNotFitError, DynamicsError, ShapeError, UnknownNodeError
from snn_deploy.frontends.lava_dl.fields import Fields
from snn_deploy.frontends.lava_dl.neurons import check_plain_spikes, spread
from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.kinds import Delta, NeuronKind, Resonance, Resonator, Sigma, SigmaDelta
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.netx import DECAY_BITS, DECAY_ONE, STATE_SHIFT, UNREACHABLE

SPIKE_SHIFT = 6
"""Fraction bits of a message: netx's spike_exp."""

DELTA_SHIFT = SPIKE_SHIFT + STATE_SHIFT
"""Fraction bits of the states of sigma-delta neurons."""

LARGEST_DELTA = (2**31 - 1) >> DELTA_SHIFT
"""Of a threshold, so that its state fits 32 bits."""

SIGMA_DELTA = "SDNN"
_OF_SDNN = ("type", "activation", "vThMant", "sigma_output")
_OF_RF = ("type", "sinDecay", "cosDecay", "vThMant", "gradedSpike", "refDelay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinded:
    """Neurons of another kind, and how weights enter them."""

    kind: NeuronKind
    shift: int
    """A sum of weights enters shifted left by this."""


def is_resonator(kind: str) -> bool:
    """Return whether netx makes resonators of neurons that a file calls so, and they are some."""
    return "RF" in kind and "ADRF" not in kind


def read_kind(layer: Fields, shape: Shape, added: Int32[np.ndarray, "..."] | None) -> Kinded | None:
    """Return the neurons of a layer that are no integrators; None: they are.

    Args:
        layer: The layer.
        shape: Of the layer.
        added: Its bias, in 64 state units; None: it has none.

    Raises:
        UnknownNodeError: what netx cannot load, or what its neurons do not have.
        DynamicsError: a decay or threshold that no neuron has.
        DoesNotFitError: a threshold that Lava does not store.
        ShapeError: a parameter that does not fit the layer.
        FileDamagedError: a parameter is missing or no whole number.
    """
    fields = layer.inner("neuron")
    kind = "" if fields is None else fields.text("type")
    is_complex = layer.is_group("weight")
    if fields is not None and is_resonator(kind):
        if not is_complex:
            raise UnknownNodeError(
                "resonators with real weights: netx joins them by complex ones only",
                where=fields.at("type"),
                fix="train the layer with slayer.block.rf or rf_iz",
            )
        return Kinded(kind=_resonator(layer, fields, kind, shape), shift=STATE_SHIFT)
    if is_complex:
        raise UnknownNodeError(
            f"complex weights into {kind or 'integrator'} neurons; only resonators take them",
            where=layer.at("weight"),
            fix="train the layer with slayer.block.rf or rf_iz",
        )
    if fields is None or kind != SIGMA_DELTA:
        return None
    return _sigma_delta(layer, fields, added)


def read_input_delta(layer: Fields) -> Kinded | None:
    """Return the encoder of changes in an input layer; None: its neurons are integrators.

    Raises:
        UnknownNodeError: resonators, which netx does not feed.
        FileDamagedError, DynamicsError, DoesNotFitError, ShapeError: as `read_kind`.
    """
    fields = layer.inner("neuron")
    kind = "" if fields is None else fields.text("type")
    if fields is None or kind != SIGMA_DELTA:
        if is_resonator(kind):
            raise UnknownNodeError("resonators in an input layer", where=layer.at("neuron/type"))
        return None
    _check_sdnn_fields(fields)
    delta = Delta(threshold=_delta_threshold(fields), payload_shift=STATE_SHIFT)
    return Kinded(kind=delta, shift=DELTA_SHIFT)


def _sigma_delta(layer: Fields, fields: Fields, added: np.ndarray | None) -> Kinded:
    """Return what decodes sums, and encodes their changes unless it gives the output."""
    if layer.text("type") == "dense_rec":
        raise UnknownNodeError(
            "a recurrent layer of sigma-delta neurons, which slayer does not have",
            where=layer.where,
        )
    _check_sdnn_fields(fields)
    if fields.has("sigma_output"):
        if added is not None:
            raise UnknownNodeError(
                "a bias of an output layer of sigma neurons, which netx cannot load",
                where=layer.at("bias"),
                fix="train the layer without a bias",
            )
        return Kinded(kind=Sigma(), shift=0)
    if fields.has("activation") and fields.text("activation") != "relu":
        fields.found(
            f"its activation {fields.text('activation')!r} is taken as a ReLU",
            "lava-dl's netx has no other",
        )
    bias = np.zeros((), WHOLE) if added is None else np.asarray(added << SPIKE_SHIFT, WHOLE)
    threshold = _delta_threshold(fields)
    kind = SigmaDelta(threshold=threshold, bias=bias, payload_shift=STATE_SHIFT)
    return Kinded(kind=kind, shift=0)


def _check_sdnn_fields(fields: Fields) -> None:
    if fields.has("messageBits"):  # its NetDict gives a group where a number is asked for
        raise UnknownNodeError(
            "message bits of its own, with which netx fails to load the file",
            where=fields.at("messageBits"),
            fix="write the file without the field: netx then takes 16 bits",
        )
    fields.report_unused(_OF_SDNN)


def _delta_threshold(fields: Fields) -> Int32[np.ndarray, ""]:
    """Return a threshold in state units; netx takes one for the whole layer."""
    number = _one_threshold(fields)
    if number > LARGEST_DELTA:
        raise DoesNotFitError(
            f"a threshold of {number}; sigma-delta neurons in Lava have at most {LARGEST_DELTA}",
            where=fields.at("vThMant"),
        )
    return np.asarray(number << DELTA_SHIFT, WHOLE)


def _one_threshold(fields: Fields) -> int:
    values = fields.whole("vThMant")
    if values.size != 1:
        raise ShapeError(
            f"{values.size} thresholds; such a layer has one", where=fields.at("vThMant")
        )
    number = int(values.flat[0])
    if number < 0:
        raise DynamicsError(f"a threshold of {number}; it is 0 or more", where=fields.at("vThMant"))
    return number


def _resonator(layer: Fields, fields: Fields, kind: str, shape: Shape) -> Resonator:
    for name, what in (("bias", "bias is"), ("delay", "delays are")):
        if layer.has(name) and np.any(layer.truncated(name)):
            layer.found(f"its {what} not kept", "netx passes over them in complex layers")
    check_plain_spikes(fields)
    fields.report_unused(_OF_RF)
    sine, cosine = (_part(fields, name, shape) for name in ("sinDecay", "cosDecay"))
    if np.any(sine.astype(np.int64) ** 2 + cosine.astype(np.int64) ** 2 > DECAY_ONE**2):
        raise DynamicsError(
            f"a resonator that grows: sinDecay and cosDecay lie beyond a circle of {DECAY_ONE}",
            where=fields.where,
        )
    if sine.ndim or cosine.ndim:
        layer.found(
            "its neurons have decays of their own", "Lava's resonators, and netx, take one for all"
        )
    layer.found(
        "sinDecay and cosDecay are used as they stand",
        "netx takes them apart into period and damping, and cuts what it puts together again: some "
        "become 1 smaller in size, which ones depends on its numpy",
    )
    threshold = min(_one_threshold(fields), 2 * UNREACHABLE) << STATE_SHIFT
    return Resonator(
        cosine=cosine,
        sine=sine,
        threshold=np.asarray(threshold, WHOLE),
        fires_at=Resonance.CROSSING if "PHASE" in kind else Resonance.LEVEL,
        decay_bits=DECAY_BITS,
    )


def _part(fields: Fields, name: str, shape: Shape) -> Int32[np.ndarray, "..."]:
    values = spread(fields, name, shape)
    wrong = values[np.abs(values) > DECAY_ONE]
    if wrong.size:
        raise DynamicsError(
            f"a decay of {int(wrong.flat[0])}; its size is at most {DECAY_ONE}",
            where=fields.at(name),
        )
    return np.asarray(values, WHOLE)
