"""How kernels are compiled, and the arithmetic of one number that all of them share."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from snn_deploy.backends.event.stepwise.tables import (
    BINARY,
    COUNT,
    SATURATE,
    SUBTRACT,
    TO_VALUE,
    WRAP,
    WRAP_ONCE,
)
from snn_deploy.ir.room import COMPILER, look_for

look_for(COMPILER, "loading numba and compiling with it")

import numba  # noqa: E402 - without room it would not load, or its libraries would never end

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

Scalar = Any
"""A number, of the width that the compiler finds for it."""

as32: Any = np.int32
as64: Any = np.int64
"""Numbers of a stated width; of several that are added, the compiler else takes the widest."""


_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}
"""Nothing but compiled code calls these: to be called from Python, each would have to be compiled
together with the unpacking of all its arrays. No kernel makes an array, so none is counted:
counting references took half of the time."""


def compiled(kernel: Kernel) -> Kernel:
    """Compile a function when the first compiled one needs it."""
    return numba.njit(**_INNER)(kernel)


def entry(kernel: Kernel) -> Kernel:
    """Compile a function that the interpreter calls, once for all runs of this installation."""
    return numba.njit(nogil=True, cache=True, _nrt=False)(kernel)


def inlined(kernel: Kernel) -> Kernel:
    """Compile a function into each of those that call it."""
    return numba.njit(forceinline=True, **_INNER)(kernel)


def spliced(kernel: Kernel) -> Kernel:
    """Put a function's lines into those that call it: only so can it return an array."""
    return numba.njit(inline="always")(kernel)


@spliced
def part(array: np.ndarray, first: int, size: int) -> np.ndarray:
    """Return `size` items of an array; the compiler then knows that no index is negative."""
    return array[first : first + size]


@inlined
def scaled(value: int, multiplier: int, bits: int) -> int:
    """Return value * multiplier / 2**bits, rounded toward zero."""
    product = value * multiplier
    if product < 0:
        return -(-product >> bits)
    return product >> bits


@compiled
def rounded(value: int, bits: int) -> int:
    """Return value / 2**bits, rounded to the nearest; half upwards."""
    return (value + ((1 << bits) >> 1)) >> bits


@inlined
def decayed(value: int, parameter: int, bits: int, by_shift: bool) -> int:
    """Return a state after one step of decay."""
    if not by_shift:
        return scaled(value, parameter, bits)
    lost = value >> parameter
    return value - (1 if lost == 0 and value > 0 else lost)


@inlined
def held(value: int, half: int, overflow: int) -> tuple[int, bool]:
    """Return what a register keeps of `value`, and whether that is something else."""
    if overflow == WRAP_ONCE:
        if value > half:
            return value - 2 * half, True
        if value <= -half:
            return value + 2 * half, True
        return value, False
    if overflow == WRAP:
        kept = ((value + half) & (2 * half - 1)) - half
        return kept, kept != value
    lowest = 1 - half if overflow == SATURATE else -half
    kept = min(max(value, lowest), half - 1)
    return kept, kept != value


@inlined
def after_reset(v: int, kind: int, amount: int, spikes: int) -> int:
    """Return the membrane after a reset by so many spikes."""
    if kind == SUBTRACT:
        return v - spikes * amount
    if kind == TO_VALUE and spikes != 0:
        return amount
    return v


@inlined
def spikes_of(v: int, threshold: int, kind: int, greater: bool, most: int) -> int:
    """Return how many spikes a membrane of plain neurons is worth."""
    if kind == BINARY:
        return int(v > threshold if greater else v >= threshold)
    if kind == COUNT:
        reached = v - 1 if greater else v  # v > n * threshold is v - 1 >= n * threshold
        return min(max(reached // threshold, 0), most)
    return 0


@inlined
def signed_spikes_of(v: int, threshold: int, lower: int, greater: bool) -> int:
    """Return the spikes of a ternary neuron."""
    above = v > threshold if greater else v >= threshold
    below = v < lower if greater else v <= lower
    return int(above) - int(below)


@inlined
def rounded_spikes_of(v: int, threshold: int, most: int) -> int:
    """Return the whole number next to v / threshold, half to even, from 0 to `most`."""
    times = v // threshold
    left = v - times * threshold
    up = 2 * left > threshold or (2 * left == threshold and times % 2 == 1)
    return min(max(times + int(up), 0), most)
