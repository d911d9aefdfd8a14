"""Functions whose value is the chip's and whose gradient is that of the real-valued one.

The states are whole numbers in float64, which holds every product of a register and a decay.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from snn_deploy.ir.neuron import Compare, Fires
from snn_deploy.ir.program import Overflow, Register

SLOPE = 4.0
"""Sharpness of the surrogate gradient 1 / (1 + (SLOPE * (v / threshold - 1))**2)."""


class _Instead(torch.autograd.Function):  # type: ignore[misc]  # torch has no types here
    """Gives one tensor and passes the gradient to another: the straight-through estimator of
    Bengio et al. 2013, arXiv 1308.3432."""

    @staticmethod
    def forward(ctx: Any, real: Any, whole: Any) -> Any:
        """Return `whole`."""
        return whole.clone()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Return the gradient for `real`."""
        return grad, None


class _Rounded(torch.autograd.Function):  # type: ignore[misc]  # torch has no types here
    """The nearest whole number in a range; its gradient moves none farther out of the range."""

    @staticmethod
    def forward(ctx: Any, real: Any, low: float, high: float) -> Any:
        """Return `real` rounded half to even, from `low` to `high`."""
        ctx.save_for_backward(real)
        ctx.range = low, high
        return real.round().clamp(low, high)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Return the gradient for `real`."""
        (real,) = ctx.saved_tensors
        low, high = ctx.range
        outward = ((real < low) & (grad > 0)) | ((real > high) & (grad < 0))
        return grad.masked_fill(outward, 0.0), None, None


class _Spikes(torch.autograd.Function):  # type: ignore[misc]  # torch has no types here
    """Spikes of membranes, with a surrogate gradient: Neftci et al. 2019, arXiv 1901.09948."""

    @staticmethod
    def forward(ctx: Any, ratio: Any, payload: Any, most: int) -> Any:
        """Return `payload`; `ratio` is the membrane in thresholds."""
        ctx.save_for_backward(ratio)
        ctx.most = most
        return payload.clone()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Return the gradient for `ratio`: steepest at the nearest number of spikes."""
        (ratio,) = ctx.saved_tensors
        level = ratio.round().clamp(1, ctx.most)
        return grad / (1 + (SLOPE * (ratio - level)) ** 2), None, None


def instead(real: Tensor, whole: Tensor) -> Tensor:
    """Return `whole`, exactly, with the gradient of `real`."""
    return _Instead.apply(real, whole)


def rounded(real: Tensor, low: float, high: float) -> Tensor:
    """Return the whole number of `low`..`high` nearest to `real`, half to even.

    The gradient is that of `real`, but for numbers outside the range that would move away.
    """
    return _Rounded.apply(real, low, high)


def decayed(value: Tensor, multiplier: Tensor, one: int) -> Tensor:
    """Return sign(value) * ((|value| * multiplier) / one), rounded toward zero."""
    real = value * (multiplier / one)
    with torch.no_grad():
        whole = torch.trunc(value * multiplier / one)
    return instead(real, whole)


def held(value: Tensor, register: Register) -> Tensor:
    """Return what a register keeps of `value`, with the gradient of `value`."""
    half = 1 << (register.bits - 1)
    with torch.no_grad():
        if register.overflow is Overflow.SATURATE:
            kept = value.clamp(1 - half, half - 1)
        else:
            kept = torch.where(value > half, value - 2 * half, value)
            kept = torch.where(value <= -half, value + 2 * half, kept)
        if torch.equal(kept, value):
            return value
    return instead(value, kept)


def spikes(v: Tensor, threshold: Tensor, *, fires: Fires, compare: Compare, most: int) -> Tensor:
    """Return the payloads that membranes `v` send, with a surrogate gradient.

    Args:
        v: Membranes, whole numbers in float64 [..., *shape].
        threshold: Broadcasts to `shape`.
        fires: NEVER, BINARY or COUNT.
        compare: With the threshold.
        most: Largest payload of a neuron that counts.
    """
    if fires is Fires.NEVER:
        return torch.zeros_like(v)
    greater = compare is Compare.GREATER
    with torch.no_grad():
        if fires is Fires.BINARY:
            payload = (v > threshold if greater else v >= threshold).to(v.dtype)
        else:
            payload = torch.floor((v - 1 if greater else v) / threshold).clamp(0, most)
    # a threshold of 0 or less has no size to compare with: one state unit stands for it
    size = threshold.clamp(min=1.0)
    return _Spikes.apply(v / size + (1 - threshold / size), payload, most)


def as_tensor(numbers: np.ndarray) -> Tensor:
    """Return whole numbers as float64."""
    return torch.tensor(np.asarray(numbers), dtype=torch.float64)
