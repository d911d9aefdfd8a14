"""Layers of torch.nn that an architecture file can name."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.arch.kind import LayerKind
from snn_deploy.frontends.arch.options import checked
from snn_deploy.frontends.torch_file import Stub


def _torch(name: str, needs: tuple[str, ...] = (), **defaults: Any) -> tuple[str, LayerKind]:
    return name, LayerKind(path=f"torch.nn.modules.{name}", needs=needs, defaults=defaults)


_KERNEL: Mapping[str, Any] = {
    "bias": None,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "padding_mode": "zeros",
}

_NORMALISED: Mapping[str, Any] = {
    "weight": None,
    "bias": None,
    "eps": 1e-5,
    "num_batches_tracked": None,
}

_STATISTICS = ("running_mean", "running_var")

_AVERAGE: Mapping[str, Any] = {
    "stride": None,
    "padding": 0,
    "ceil_mode": False,
    "count_include_pad": True,
    "divisor_override": None,
}

_LARGEST: Mapping[str, Any] = {
    "stride": None,
    "padding": 0,
    "dilation": 1,
    "ceil_mode": False,
    "return_indices": False,
}

TORCH: Mapping[str, LayerKind] = dict(
    (
        _torch("Linear", ("weight",), bias=None),
        _torch("Conv1d", ("weight",), **_KERNEL),
        _torch("Conv2d", ("weight",), **_KERNEL),
        _torch("ConvTranspose1d", ("weight",), **_KERNEL, output_padding=0),
        _torch("ConvTranspose2d", ("weight",), **_KERNEL, output_padding=0),
        _torch("BatchNorm1d", _STATISTICS, **_NORMALISED),
        _torch("BatchNorm2d", _STATISTICS, **_NORMALISED),
        _torch("AvgPool1d", ("kernel_size",), **_AVERAGE),
        _torch("AvgPool2d", ("kernel_size",), **_AVERAGE),
        _torch("MaxPool1d", ("kernel_size",), **_LARGEST),
        _torch("MaxPool2d", ("kernel_size",), **_LARGEST),
        _torch("AdaptiveAvgPool1d", ("output_size",)),
        _torch("AdaptiveAvgPool2d", ("output_size",)),
        _torch("Upsample", size=None, scale_factor=None, mode="nearest"),
        _torch("Flatten", start_dim=1, end_dim=-1),
        _torch("Unflatten", ("unflattened_size",), dim=1),
        _torch("Dropout", p=0.5),
        _torch("Identity"),
        _torch("ReLU"),
        _torch("ReLU6"),
        _torch("Hardtanh", min_val=-1.0, max_val=1.0),
    )
)

KIND_BY_AXES = {2: "Linear", 3: "Conv1d", 4: "Conv2d"}
"""The layer that a weight of so many axes belongs to, where nothing else says it."""


def weights_kind(where: str, given: Mapping[str, Any]) -> Stub:
    """Return a Linear or a convolution, whichever fits its weights.

    Raises:
        UnknownNodeError: neither does.
    """
    kind = KIND_BY_AXES.get(len(weight_shape(where, given)))
    if kind is None:
        raise UnknownNodeError("it is neither Linear nor a convolution", where=where)
    return TORCH[kind].record(where, given)


def weight_shape(where: str, given: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the shape of a layer's weights, or () where it has none.

    Raises:
        FileDamagedError: they are no numbers.
    """
    weight = given.get("weight")
    return () if weight is None else np.shape(checked("weight", weight, where))
