"""SpikingJelly's layers without neurons that torch.nn does not have."""

from dataclasses import replace
from typing import Any

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.layers import (
    ChannelAffine,
    Convolution,
    Delay,
    Flatten,
    LayerGraph,
    Linear,
    Pool,
    Pooling,
    Scale,
    Unflatten,
)
from snn_deploy.frontends.registry import short_name
from snn_deploy.frontends.reparametrised import weight_of
from snn_deploy.frontends.spikingjelly.cells import places
from snn_deploy.frontends.tensors import array_of, real_of, single_of
from snn_deploy.frontends.torch_layers import batch_norm, convolution


def _standardised(name: str, layer: Any) -> np.ndarray:
    """Return the weights of WSConv2d and WSLinear: per output, mean 0 and a norm of `gain`."""
    weight = real_of(weight_of(name, layer))
    inner = tuple(range(1, weight.ndim))
    fan_in = weight[0].size
    mean = weight.mean(axis=inner, keepdims=True)
    variance = weight.var(axis=inner, keepdims=True, ddof=1)
    made = (weight - mean) / np.sqrt(variance * fan_in + float(layer.eps))
    return made if layer.gain is None else made * real_of(layer.gain)


def standardised_linear(name: str, layer: Any) -> Linear:
    """Read WSLinear."""
    bias = None if layer.bias is None else array_of(layer.bias)
    return Linear(weight=_standardised(name, layer), bias=bias)


def standardised_convolution(name: str, layer: Any) -> Convolution:
    """Read WSConv2d."""
    return replace(convolution(name, layer), weight=_standardised(name, layer))


def temporal_norm(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read TemporalEffectiveBatchNorm, if it has one factor for all steps.

    Raises:
        UnknownNodeError: the factors of the steps differ.
    """
    scale = real_of(layer.scale)
    if np.any(scale != scale.flat[0]):
        raise UnknownNodeError(
            f"{short_name(layer)} with a scale for each step is not read: weights do not change "
            "with time",
            where=name,
            fix="train it with one scale for all steps, or use BatchNorm",
        )
    affine = batch_norm(name, layer)
    factor = scale.flat[0]
    return graph.add(
        name, ChannelAffine(scale=factor * affine.scale, shift=factor * affine.shift), source
    )


def voting(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read VotingLayer: the mean of each `voting_size` neighbours."""
    size = (int(layer.voting_size),)
    line = graph.add(f"{name}.line", Unflatten(shape=(1, -1)), source)
    pool = Pool(pooling=Pooling.AVERAGE, kernel=size, stride=size, padding=(0,))
    return graph.add(f"{name}.flat", Flatten(), graph.add(name, pool, line))


def delay(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read Delay."""
    steps = int(layer._delay_steps)
    return graph.add(name, Delay(steps=steps), source) if steps else source


def scaler(name: str, layer: Any) -> Scale:
    """Read VoltageScaler."""
    return Scale(factor=single_of(layer.scale))


def channel_scaler(name: str, layer: Any) -> Scale | ChannelAffine:
    """Read ChannelVoltageScaler.

    Raises:
        UnknownNodeError: its channels are another axis than the first behind the batch, or one
            counted from the end.
    """
    scale, axis = single_of(layer.scale), int(layer.channel_dim)
    if scale.ndim == 0:
        return Scale(factor=scale)
    if axis == 1:
        return ChannelAffine(scale=scale, shift=np.zeros_like(scale))
    if axis < 0:
        return Scale(factor=scale.reshape(-1, *(1,) * (-1 - axis)))
    raise places(name, layer, axis)
