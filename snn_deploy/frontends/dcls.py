"""Layers with learned delays of DCLS: positions and weights become delays of whole steps.

DCLS (Khalfaoui-Hassani et al. 2023, "Dilated convolution with learnable spacings") gives each
synapse a weight and a position in a kernel over time. As Hammouamri et al. 2024 ("Learning delays
in spiking neural networks using dilated convolutions with learnable spacings") deploy it: positions
are rounded, halves to even, and kept within half of the kernel; the kernel of the version `max` is
then one weight at each synapse's own place. Behind zeros for all steps before the first, place k of
K is a delay of K - 1 - k steps.
"""

from typing import Any

import numpy as np

from snn_deploy.errors import DynamicsError, ShapeError
from snn_deploy.frontends.layers import Linear
from snn_deploy.frontends.tensors import array_of, real_of

SHARE = 1.0 / (1.0 + 1e-7)
"""Of its weight that a synapse keeps: DCLS divides a kernel by its sum and 1e-7."""


def linear(weight: Any, position: Any, *, size: int, bias: Any = None) -> Linear:
    """Return the layer of a `Dcls1d` without groups, as it is after training.

    Args:
        weight: Its `weight`, [post, pre, 1] or [post, pre].
        position: Its `P`, [1, post, pre, 1] or [post, pre], in steps from the middle of the kernel.
        size: Its `dilated_kernel_size` [steps]; delays are 0 to size - 1.
        bias: Its `bias`, [post].

    Raises:
        ShapeError: several places for a synapse, or positions for other synapses.
        DynamicsError: a kernel of no step, or a position that is not a number.
    """
    weights, places = real_of(weight), real_of(position)
    if weights.ndim == 3 and weights.shape[2] > 1:
        raise ShapeError(
            f"{weights.shape[2]} weights for a synapse",
            where="weight",
            fix="one layer for each of them, weight[..., i] and P[..., i], and the sum of them",
        )
    if weights.ndim == 3:
        weights = weights[..., 0]
    if places.ndim == 4 and places.shape[0] == places.shape[3] == 1:
        places = places[0, ..., 0]
    if weights.ndim != 2 or places.shape != weights.shape:
        raise ShapeError(
            f"positions of shape {np.shape(real_of(position))} for weights of shape "
            f"{np.shape(real_of(weight))}",
            where="position",
            fix="give weight [post, pre, 1] and P [1, post, pre, 1], as Dcls1d has them",
        )
    if size < 1 or not np.all(np.isfinite(places)):
        raise DynamicsError(f"positions that are no numbers, or a kernel of {size} steps")
    middle = size // 2
    delays = (size - 1 - middle - np.clip(np.rint(places), -middle, middle)).astype(np.int64)
    outside = delays < 0  # the last place of an even kernel lies behind it: nothing is there
    return Linear(
        weight=np.where(outside, 0.0, SHARE * weights),
        bias=None if bias is None else array_of(bias),
        delays=np.maximum(delays, 0),
    )
