"""Weights of lava-dl files: what the chip stores of them, and whether netx keeps them.

What netx does was read in lava-dl 0.6.0 (netx/utils.py: optimize_weight_bits) and measured by
running it on lava-nc 0.10.0: it shifts a weight matrix to the left as far as 8 bits allow, and
Lava shifts each sum back. Lava's Dense then decides the sign mode anew, clips to it and cuts low
bits; for some matrices of one sign that destroys weights which the chip could store.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int32, Int64

from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.program import Sign

MIXED = (-256, 254)
"""Weights of both signs; even ones, and in Lava's simulator odd ones too."""

EXCITATORY = (0, 255)
INHIBITORY = (-255, 0)
STORED_BITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One weight array as the program carries it."""

    weight: Int32[np.ndarray, "..."]
    sign: Sign
    clipped: int = 0
    """Weights that were too large and became the largest, as netx does."""


def stored(weight: Int64[np.ndarray, "..."], where: str) -> Weights:
    """Return weights as the chip stores them.

    Those of both signs are clipped, as by netx. Of one sign they must fit: netx would turn all
    of them into 0.

    Raises:
        DoesNotFitError: a weight lies outside what is stored.
    """
    low, high = int(weight.min()), int(weight.max())
    if low < 0 < high:
        kept = np.clip(weight, *MIXED)
        clipped = int(np.count_nonzero(kept != weight))
        return Weights(weight=kept.astype(WHOLE), sign=Sign.MIXED, clipped=clipped)
    if low >= EXCITATORY[0] and high <= EXCITATORY[1]:
        return Weights(weight=weight.astype(WHOLE), sign=Sign.EXCITATORY)
    if low >= INHIBITORY[0] and high <= INHIBITORY[1]:
        return Weights(weight=weight.astype(WHOLE), sign=Sign.INHIBITORY)
    if low >= MIXED[0] and high <= MIXED[1] and not np.any(weight % 2):
        return Weights(weight=weight.astype(WHOLE), sign=Sign.MIXED)
    raise DoesNotFitError(
        f"weights of {low}..{high}; the chip stores {EXCITATORY[0]}..{EXCITATORY[1]}, "
        f"{INHIBITORY[0]}..{INHIBITORY[1]}, or {MIXED[0]}..{MIXED[1]} in even numbers",
        where=where,
        fix="export with slayer's quantization, which keeps weights within -256..254",
    )


def netx_keeps(parts: tuple[Int[np.ndarray, "..."], ...]) -> bool:
    """Return whether netx, run in Lava, computes with the weights of a layer as they are.

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
