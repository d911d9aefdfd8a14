"""The weights that a layer computes with, where it stores others: weight and spectral norms."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.registry import short_name
from snn_deploy.frontends.tensors import array_of, real_of


def weight_of(name: str, layer: Any) -> np.ndarray:
    """Return the weights of a layer as it uses them once trained.

    `torch.nn.utils.parametrizations` and the older hooks of `torch.nn.utils` both keep other
    parameters, and compute the weights whenever the layer runs; what they computed last may be
    stale. Reading must not run them: in training mode, a spectral norm changes its own state.

    Raises:
        UnknownNodeError: a parametrisation that only its own code can compute, of a module in
            training mode, or of anything but the weights.
    """
    made = getattr(layer, "parametrizations", None)
    if made is not None:
        return _parametrised(name, layer, dict(made.named_children()))
    for hook in dict(getattr(layer, "_forward_pre_hooks", None) or {}).values():
        if short_name(hook) in _HOOKS and hook.name == "weight":
            return _HOOKS[short_name(hook)](layer, hook)
    return array_of(layer.weight)


def _parametrised(name: str, layer: Any, parts: Mapping[str, Any]) -> np.ndarray:
    if set(parts) != {"weight"}:
        raise UnknownNodeError(
            f"{', '.join(sorted(set(parts) - {'weight'}))} of {short_name(layer)} is parametrised",
            where=name,
            fix="torch.nn.utils.parametrize.remove_parametrizations(layer, name)",
        )
    steps = [step for _, step in parts["weight"].named_children()]
    kind = short_name(steps[0])
    if len(steps) == 1 and kind in _PARAMETRISATIONS:
        return _PARAMETRISATIONS[kind](parts["weight"], steps[0])
    if layer.training:
        raise UnknownNodeError(
            f"a weight parametrised by {kind} in training mode is not read",
            where=name,
            fix="call eval() on the network",
        )
    return array_of(layer.weight)


def _scaled(direction: np.ndarray, length: np.ndarray, axis: int) -> np.ndarray:
    """Return vectors of a given length; one for each place along `axis`, one in all for -1."""
    others = tuple(other for other in range(direction.ndim) if other != axis)
    norm = np.sqrt(np.sum(direction**2, axis=others, keepdims=True))
    return direction * (length / norm)


def _spectral(weight: np.ndarray, left: np.ndarray, right: np.ndarray, axis: int) -> np.ndarray:
    """Return weights divided by their largest singular value, as training has estimated it."""
    matrix = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    return weight / (left @ (matrix @ right))


_PARAMETRISATIONS: Mapping[str, Callable[[Any, Any], np.ndarray]] = {
    "_WeightNorm": lambda stored, step: _scaled(
        real_of(stored.original1), real_of(stored.original0), int(step.dim)
    ),
    "_SpectralNorm": lambda stored, step: _spectral(
        real_of(stored.original), real_of(step._u), real_of(step._v), int(step.dim)
    ),
}
"""By the class of what makes the weight out of what is stored."""

_HOOKS: Mapping[str, Callable[[Any, Any], np.ndarray]] = {
    "WeightNorm": lambda layer, hook: _scaled(
        real_of(layer.weight_v), real_of(layer.weight_g), int(hook.dim)
    ),
    "SpectralNorm": lambda layer, hook: _spectral(
        real_of(layer.weight_orig), real_of(layer.weight_u), real_of(layer.weight_v), int(hook.dim)
    ),
}
"""By the class of what computes the weight before the layer runs."""
