"""Weights of lava-dl files: what the chip stores of them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.netx import EXCITATORY, INHIBITORY, MIXED
from snn_deploy.ir.program import Sign


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
