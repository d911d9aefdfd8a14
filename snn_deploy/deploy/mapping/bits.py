"""Bits that synapse lists take in the memory of a chip."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64

from snn_deploy.ir.program import Projection, Sign
from snn_deploy.targets import Target
from snn_deploy.targets.cores import Packing


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """Widths of the synapses of one projection [bit]."""

    weight: int
    delay: int
    packing: Packing | None

    def index_bits(self, neurons: int) -> int:
        """Return the width of an index into `neurons` neurons; 0 where none is counted."""
        if self.packing is None:
            return 0
        width = self.packing.index.at_least((neurons - 1).bit_length())
        return self.packing.index.values[-1] if width is None else width

    def list_bits(
        self, synapses: Int[np.ndarray, "..."] | int, index: int
    ) -> Int64[np.ndarray, "..."]:
        """Return the bits of lists of so many synapses, each with an index of `index` bits."""
        count = np.asarray(synapses, np.int64)
        width = self.weight + self.delay + index
        rule = self.packing
        if rule is None:
            return np.asarray(count * width)
        block, header, word = rule.block.value, rule.header.value, rule.word.value
        full, rest = np.divmod(count, block)
        whole = -(-(block * width + header) // word) * word
        last = -(-(rest * width + header) // word) * word
        return np.asarray(full * whole + np.where(rest > 0, last, 0))


def format_of(projection: Projection, target: Target) -> Format:
    """Return the narrowest format that holds the weights and delays of a projection."""
    packing = None if target.cores is None else target.cores.packing
    extra = int(projection.delay.max(initial=0)) - target.delay.low
    return Format(
        weight=_weight_bits(projection, target, packing),
        delay=max(0, extra).bit_length(),
        packing=packing,
    )


def _weight_bits(projection: Projection, target: Target, packing: Packing | None) -> int:
    """Return how many upper bits of the stored weights are in use."""
    full = target.weights.bits.value
    if packing is None:
        return full
    rule = {
        Sign.MIXED: target.weights.mixed,
        Sign.EXCITATORY: target.weights.excitatory,
        Sign.INHIBITORY: target.weights.inhibitory,
    }[projection.sign]
    weights = np.abs(projection.map.numbers().astype(np.int64))
    used = int(np.bitwise_or.reduce(weights, axis=None)) if weights.size else 0
    lowest = (used & -used).bit_length() - 1 if used else full
    spare = max(0, lowest - (rule.step.bit_length() - 1))
    return packing.weight.at_least(max(1, full - spare)) or full
