"""Functions whose value is the chip's and whose gradient is that of the real-valued one.

The states are whole numbers in float64, which holds every product of a register and a decay.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from snn_deploy.ir.arithmetic import Overflow, Register
from snn_deploy.ir.neuron import Compare, Fires

SLOPE = 4.0
"""Sharpness of the surrogate gradient 1 / (1 + (SLOPE * (v / threshold - 1))**2)."""


class _Decayed(torch.autograd.Function):  # type: ignore[misc]  # torch has no types here
    """A product rounded toward zero, with the gradient of the product: the straight-through
    estimator of Bengio et al. 2013, arXiv 1308.3432."""

    @staticmethod
    def forward(ctx: Any, value: Any, factor: Any) -> Any:
        """Return the product."""
        ctx.save_for_backward(factor)
        return (value * factor).trunc_()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Return the gradient for `value`."""
        (factor,) = ctx.saved_tensors
        return grad * factor, None


class _Held(torch.autograd.Function):  # type: ignore[misc]  # torch has no types here
    """What a register keeps of a number, with the number's gradient."""

    @staticmethod
    def forward(ctx: Any, value: Any, register: Register) -> Any:
        """Return what is kept."""
        half = 1 << (register.bits - 1)
        if register.overflow is Overflow.WRAP:
            return (value + half).remainder(2 * half) - half
        if register.overflow is Overflow.WRAP_ONCE:
            wrapped = torch.where(value > half, value - 2 * half, value)
            return torch.where(value <= -half, value + 2 * half, wrapped)
        return value.clamp(register.low, register.high)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Return the gradient for `value`."""
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
    def forward(ctx: Any, v: Any, threshold: Any, greater: bool, most: int) -> Any:
        """Return the payloads; of a neuron that counts not, `most` is 0."""
        ctx.save_for_backward(v, threshold)
        ctx.most = max(1, most)
        if not most:
            return (v > threshold if greater else v >= threshold).to(v.dtype)
        return ((v - 1 if greater else v) / threshold).floor_().clamp_(0, most)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Return the gradients: steepest where the membrane is at a threshold or a multiple."""
        v, threshold = ctx.saved_tensors
        # a threshold of 0 or less has no size to compare with: one state unit stands for it
        size = threshold.clamp(min=1.0)
        excess = (v - threshold) / size
        if ctx.most > 1:
            excess = excess - excess.round().clamp_(0, ctx.most - 1)
        of_v = grad / ((excess * SLOPE).square_().add_(1) * size)
        of_threshold = None
        if ctx.needs_input_grad[1]:
            of_threshold = _summed_to(-of_v * v / size, threshold)
        return of_v, of_threshold, None, None


def _summed_to(grad: Tensor, parameter: Tensor) -> Tensor:
    """Return a gradient summed over the axes that `parameter` was broadcast along."""
    while grad.dim() > parameter.dim():
        grad = grad.sum(dim=0)
    axes = [n for n, size in enumerate(parameter.shape) if size == 1 and grad.shape[n] > 1]
    return grad.sum(dim=axes, keepdim=True) if axes else grad


def rounded(real: Tensor, low: float, high: float) -> Tensor:
    """Return the whole number of `low`..`high` nearest to `real`, half to even.

    The gradient is that of `real`, but for numbers outside the range that would move away.
    """
    return _Rounded.apply(real, low, high)


def decayed(value: Tensor, factor: Tensor) -> Tensor:
    """Return value * factor rounded toward zero, with the gradient of the product.

    `factor` is a whole number over a power of two, so that the product is exact.
    """
    return _Decayed.apply(value, factor)


def held(value: Tensor, register: Register) -> Tensor:
    """Return what a register keeps of `value`, with the gradient of `value`."""
    return _Held.apply(value, register)


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
    counted = most if fires is Fires.COUNT else 0
    return _Spikes.apply(v, threshold, compare is Compare.GREATER, counted)


def as_tensor(numbers: np.ndarray) -> Tensor:
    """Return whole numbers as float64."""
    return torch.tensor(np.asarray(numbers), dtype=torch.float64)
