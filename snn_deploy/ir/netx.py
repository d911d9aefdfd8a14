"""Numbers of lava-dl's `.net` files as its netx takes them; reader and writer share them.

What netx does was read in lava-dl 0.6.0 (netx/hdf5.py, netx/utils.py) and measured by running it on
lava-nc 0.10.0.
"""

import numpy as np
from jaxtyping import Int

DECAY_BITS = 12
"""Decays of a file are in 1/4096."""

DECAY_ONE = 1 << DECAY_BITS

STATE_SHIFT = 6
"""A threshold, a bias and an input sum of 1 are 64 state units."""

UNREACHABLE = 1 << 17
"""A threshold that Lava's membrane of 24 bits never passes: shifted, it is 2**23."""

SILENT = (1 << 18) - 1
"""The threshold that slayer gives layers without spikes; its low 17 bits, which are all that the
chip has, are the highest threshold."""

LONGEST_DELAY = 62
"""Steps beyond the one of every connection; netx clamps to it."""

LARGEST_GEOMETRY = 127
"""Lava keeps stride, padding and dilation in 8 bits with sign."""

MIXED = (-256, 254)
"""Weights of both signs; even ones, and in Lava's simulator odd ones too."""

EXCITATORY = (0, 255)
INHIBITORY = (-255, 0)
STORED_BITS = 8


def netx_keeps(parts: tuple[Int[np.ndarray, "..."], ...]) -> bool:
    """Return whether netx, run in Lava, computes with the weights of a layer as they are.

    netx shifts a weight matrix to the left as far as 8 bits allow (optimize_weight_bits), and Lava
    shifts each sum back. Lava's Dense then decides the sign mode anew, clips to it and cuts low
    bits; for some matrices of one sign that destroys weights which the chip could store.

    Args:
        parts: The matrices of the layer, within what the chip stores: the weights and, of a
            recurrent layer, the recurrent ones. netx shifts them together.
    """
    low = min(int(part.min()) for part in parts)
    high = max(int(part.max()) for part in parts)
    if low == high == 0:
        return False  # netx divides by the largest weight
    signed = low < 0 <= high
    if signed:
        shift = _most_shift((high, MIXED[1]), (-low, -MIXED[0]))
    elif low >= 0:
        shift = _most_shift((high, EXCITATORY[1]))
    else:
        shift = _most_shift((-low, -MIXED[0]))
    if shift < 0:
        return False
    zeros = min(_low_zeros(part) for part in parts)
    for part in parts:
        largest = int(np.abs(part).max())
        one_sign = not part.min() < 0 < part.max()
        # of one sign, Lava stores 0..255, and cuts one bit less than netx has counted
        if one_sign and largest and (largest << shift > EXCITATORY[1] or shift + zeros < signed):
            return False
    return True


def _most_shift(*ends: tuple[int, int]) -> int:
    """Return the largest shift that keeps each number within its bound; -1: none does."""
    for shift in range(STORED_BITS, -1, -1):
        if all(number << shift <= bound for number, bound in ends):
            return shift
    return -1


def _low_zeros(weight: Int[np.ndarray, "..."]) -> int:
    """Return how many low bits are 0 in every weight, at most 8."""
    bits = int(np.bitwise_or.reduce(np.abs(weight), axis=None))
    return STORED_BITS if bits == 0 else min(STORED_BITS, (bits & -bits).bit_length() - 1)
