"""Layers with weights in lava-dl files: each becomes a map, a delay and a bias."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from snn_deploy.errors import DoesNotFitError, DynamicsError, ShapeError, UnknownNodeError
from snn_deploy.frontends.lava_dl.fields import Fields
from snn_deploy.frontends.lava_dl.weights import Weights, stored
from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Shape
from snn_deploy.ir.netx import LARGEST_GEOMETRY, LONGEST_DELAY, STATE_SHIFT, netx_keeps
from snn_deploy.ir.program import Sign

LARGEST_BIAS = 2**15 - 1
"""Lava keeps the mantissa of a bias in 16 bits, and wraps others in silence."""

NETX_DIFFERS = (
    "lava-dl's netx computes with other weights than the file's: it shifts them until Lava, "
    "which stores 0..255 of one sign, clips or cuts them"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One connection into a layer."""

    map: LinearMap
    sign: Sign
    delay: Int32[np.ndarray, "..."]
    """Steps, the one of every connection included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a layer with weights becomes."""

    shape: Shape
    """Of its neurons."""

    way: Way
    recurrent: Way | None = None
    imaginary: Way | None = None
    """Into the imaginary part of resonators; `way` then enters the real one."""

    notes: tuple[str, ...] = ()


def dense(layer: Fields, reads: Shape) -> Made:
    """Return a fully connected layer; netx computes its delays, so do we.

    Args:
        layer: The group of the file.
        reads: Shape of the values that come; without an axis, they are not known.

    Raises:
        ShapeError: weights or delays that do not fit.
        DoesNotFitError: a weight that is not stored.
        DynamicsError: a delay below 0.
    """
    if layer.is_group("weight"):
        return _complex(layer, reads)
    weight = _matrix(layer, "weight")
    _check_reads(layer, weight, reads)
    kept = _stored(layer, "weight", weight)
    way = Way(map=Dense(weight=kept.weight), sign=kept.sign, delay=_delay(layer, kept.weight))
    notes = () if netx_keeps((kept.weight,)) else (NETX_DIFFERS,)
    return Made(shape=(weight.shape[0],), way=way, notes=notes)


def _complex(layer: Fields, reads: Shape) -> Made:
    """Return a fully connected layer with real and imaginary weights; netx has no delays there."""
    ways, parts = [], []
    for name in ("weight/real", "weight/imag"):
        weight = _matrix(layer, name)
        _check_reads(layer, weight, reads)
        kept = _stored(layer, name, weight)
        ways.append(Way(map=Dense(weight=kept.weight), sign=kept.sign, delay=_one_step()))
        parts.append(kept.weight)
    if parts[0].shape != parts[1].shape:
        raise ShapeError(
            f"real weights of shape {parts[0].shape}, imaginary ones of {parts[1].shape}",
            where=layer.at("weight"),
        )
    notes = () if all(netx_keeps((part,)) for part in parts) else (NETX_DIFFERS,)
    return Made(shape=(len(parts[0]),), way=ways[0], imaginary=ways[1], notes=notes)


def dense_rec(layer: Fields, reads: Shape) -> Made:
    """Return a fully connected layer whose spikes come back to it one step later.

    Raises:
        ShapeError: weights that do not fit.
        UnknownNodeError: complex weights, or delays.
        DoesNotFitError: a weight that is not stored.
    """
    if layer.has("delay"):
        raise UnknownNodeError(
            "a recurrent layer with delays: netx multiplies its weights by a power of two by "
            "mistake, and slayer delays its output, not its loop",
            where=layer.at("delay"),
            fix="train the layer with delay=False",
        )
    weight, back = _matrix(layer, "weight"), _matrix(layer, "weight_rec")
    _check_reads(layer, weight, reads)
    if back.shape != (weight.shape[0],) * 2:
        raise ShapeError(
            f"{weight.shape[0]} neurons, but recurrent weights of shape {back.shape}",
            where=layer.at("weight_rec"),
        )
    kept, kept_back = _stored(layer, "weight", weight), _stored(layer, "weight_rec", back)
    notes = () if netx_keeps((kept.weight, kept_back.weight)) else (NETX_DIFFERS,)
    return Made(
        shape=(weight.shape[0],),
        way=Way(map=Dense(weight=kept.weight), sign=kept.sign, delay=_one_step()),
        recurrent=Way(map=Dense(weight=kept_back.weight), sign=kept_back.sign, delay=_one_step()),
        notes=notes,
    )


def conv(layer: Fields, reads: Shape) -> Made:
    """Return a convolution; its kernel has torch's order and orientation.

    Raises:
        ShapeError: a kernel, or the layer's shape, that does not fit.
        UnknownNodeError: complex weights.
        DoesNotFitError: a weight that is not stored.
        FileDamagedError: a geometry that does not exist.
    """
    weight = _kernel(layer)
    if layer.has("delay") and np.any(layer.whole("delay")):
        layer.found(
            f"its delays of up to {int(layer.whole('delay').max())} steps are not kept",
            "lava-dl's netx passes over the delays of convolutions",
        )
    kept, source = _stored(layer, "weight", weight), _channels(layer, reads)
    try:
        linear = Convolution(
            weight=kept.weight,
            source=source,
            stride=layer.pair("stride", 1, LARGEST_GEOMETRY),
            padding=_sides(layer.pair("padding", 0, LARGEST_GEOMETRY)),
            dilation=layer.pair("dilation", 1, LARGEST_GEOMETRY),
            groups=layer.one("groups", 1),
        )
    except ShapeError as error:
        raise ShapeError(error.message, where=layer.where) from None
    return Made(shape=linear.out_shape, way=Way(map=linear, sign=kept.sign, delay=_one_step()))


def pool(layer: Fields, reads: Shape) -> Made:
    """Return a pooling: the sum of each window, weighted, into its own neuron.

    netx has no pooling. slayer's is a sum of windows beside each other, where the windows fill
    the image; else it mixes channels at their borders, and is refused.

    Raises:
        ShapeError: a kernel, or the layer's shape, that does not fit.
        UnknownNodeError: complex weights, delays, or windows that overlap or leave a rest.
        DoesNotFitError: a weight that is not stored.
        FileDamagedError: a geometry that does not exist.
    """
    window = _kernel(layer)
    if window.shape[:2] != (1, 1):
        raise ShapeError(
            f"a pooling kernel of shape {window.shape}; it is (1, 1, height, width)",
            where=layer.at("weight"),
        )
    source = _channels(layer, reads)
    size = (window.shape[2], window.shape[3])
    plain = layer.pair("stride", 1, LARGEST_GEOMETRY) == size
    plain &= layer.pair("padding", 0, LARGEST_GEOMETRY) == (0, 0)
    plain &= layer.pair("dilation", 1, LARGEST_GEOMETRY) == (1, 1)
    if not plain or source[1] % size[0] or source[2] % size[1]:
        raise UnknownNodeError(
            f"windows of {size[0]}x{size[1]} that overlap or do not fill an image of "
            f"{source[1]}x{source[2]}; slayer's pooling then mixes channels",
            where=layer.where,
            fix="use a convolution with a stride (slayer.block.cuba.Conv)",
        )
    if layer.has("delay") and np.any(layer.whole("delay")):
        raise UnknownNodeError("a pooling layer with delays", where=layer.at("delay"))
    layer.found(
        "lava-dl's netx cannot run it; it is computed as slayer trains it",
        "a pooling is the weighted sum of each window, then the layer's neurons",
    )
    kept = _stored(layer, "weight", window)
    weight = np.repeat(kept.weight, source[0], axis=0)
    linear = Convolution(weight=weight, source=source, stride=size, groups=source[0])
    return Made(shape=linear.out_shape, way=Way(map=linear, sign=kept.sign, delay=_one_step()))


def bias(layer: Fields, shape: Shape) -> Int32[np.ndarray, "..."] | None:
    """Return the bias of a layer in state units; None: it has none, or zeros.

    Raises:
        ShapeError: it is neither one number, nor per channel, nor per neuron.
        DoesNotFitError: Lava would wrap it.
    """
    if not layer.has("bias"):
        return None
    values = layer.truncated("bias")
    if np.abs(values).max() > LARGEST_BIAS:
        raise DoesNotFitError(
            f"biases of {values.min()}..{values.max()}; Lava stores at most {LARGEST_BIAS} in size",
            where=layer.at("bias"),
            fix="scale bias, weights and threshold of the layer down together",
        )
    if not np.any(values):
        return None
    if values.size == 1:
        values = values.reshape(())
    elif values.shape == shape[::-1] and len(shape) > 1:
        values = values.transpose()  # per neuron: netx holds images as width, height, channels
    elif values.size == shape[0]:
        values = values.reshape(-1, *(1 for _ in shape[1:]))
    else:
        raise ShapeError(
            f"biases of shape {values.shape}; a layer of shape {shape} has one, one per channel, "
            f"or one per neuron in the shape {shape[::-1]}",
            where=layer.at("bias"),
        )
    return np.asarray(values << STATE_SHIFT, WHOLE)


def _one_step() -> Int32[np.ndarray, ""]:
    return np.ones((), WHOLE)


def _sides(pair: tuple[int, int]) -> tuple[int, int, int, int]:
    return pair[0], pair[0], pair[1], pair[1]


def _check_real(layer: Fields, name: str) -> None:
    if layer.is_group(name):
        raise UnknownNodeError(
            f"complex weights of a {layer.text('type')} layer; netx has them in dense ones only",
            where=layer.at(name),
            fix="train the layer with CUBA neurons (slayer.block.cuba)",
        )


def _matrix(layer: Fields, name: str) -> Int64[np.ndarray, "post pre"]:
    """Return the weights of a dense layer; a flat array holds row after row."""
    _check_real(layer, name)
    weight = layer.truncated(name)
    neurons = 1
    for axis in layer.shape():
        neurons *= axis
    if weight.ndim == 1 and weight.size % neurons == 0:
        weight = weight.reshape(neurons, -1)
    if weight.ndim != 2 or weight.shape[0] != neurons:
        raise ShapeError(
            f"weights of shape {weight.shape} for {neurons} neurons; they are [neuron, input]",
            where=layer.at(name),
        )
    return weight


def _kernel(layer: Fields) -> Int64[np.ndarray, "out into height width"]:
    _check_real(layer, "weight")
    weight = layer.truncated("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:  # slayer's axis of time
        weight = weight[..., 0]
    if weight.ndim != 4:
        raise ShapeError(
            f"a kernel of shape {weight.shape}; it is [out, in, height, width]",
            where=layer.at("weight"),
        )
    return weight


def _stored(layer: Fields, name: str, weight: Int64[np.ndarray, "..."]) -> Weights:
    kept = stored(weight, layer.at(name))
    if kept.clipped:
        layer.found(
            f"{kept.clipped} of {weight.size} values of {name} are cut to -256..254",
            "the chip stores no larger ones; lava-dl's netx cuts them too",
        )
    return kept


def _check_reads(layer: Fields, weight: Int64[np.ndarray, "post pre"], reads: Shape) -> None:
    if len(reads) == 0:
        return
    if len(reads) > 1:
        raise ShapeError(
            f"a dense layer reads flat values, but {reads} come",
            where=layer.where,
            fix="put a flatten layer in between",
        )
    if weight.shape[1] != reads[0]:
        raise ShapeError(
            f"{reads[0]} values come, but the weights read {weight.shape[1]}",
            where=layer.at("weight"),
        )


def _channels(layer: Fields, reads: Shape) -> tuple[int, int, int]:
    if len(reads) == 0:
        raise ShapeError(
            "the file does not say how large its input images are",
            where=layer.where,
            fix="--sample-shape CHANNELSxHEIGHTxWIDTH, such as 2x34x34",
        )
    if len(reads) != 3:
        raise ShapeError(
            f"a {layer.text('type')} layer reads channels, height, width, but {reads} come",
            where=layer.where,
        )
    return reads[0], reads[1], reads[2]


def _delay(layer: Fields, weight: Int32[np.ndarray, "post pre"]) -> Int32[np.ndarray, "..."]:
    """Return the steps of each synapse: one, and the file's, which netx clamps."""
    if not layer.has("delay"):
        return _one_step()
    delay = layer.truncated("delay")
    if delay.min() < 0:
        raise DynamicsError(f"a delay of {delay.min()} steps is negative", where=layer.at("delay"))
    if delay.max() > LONGEST_DELAY:
        layer.found(
            f"{np.count_nonzero(delay > LONGEST_DELAY)} of {delay.size} delays are cut to "
            f"{LONGEST_DELAY} steps; the longest is {delay.max()}",
            "the chip has no longer ones; lava-dl's netx cuts them too",
        )
    steps = np.asarray(np.minimum(delay, LONGEST_DELAY) + 1, WHOLE)
    if steps.ndim == 0 or steps.shape == weight.shape:
        return steps
    if steps.shape == weight.shape[:1]:  # before inputs, where there are as many: as netx
        return np.array(np.broadcast_to(steps[:, None], weight.shape))
    if steps.shape == weight.shape[1:]:
        return steps
    raise ShapeError(
        f"delays of shape {delay.shape}; weights of shape {weight.shape} have one, one per "
        f"neuron, per input or per weight",
        where=layer.at("delay"),
    )
