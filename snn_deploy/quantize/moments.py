"""What arrives at the weights of a neuron: the second moment of what its sources send.

A membrane adds up what arrives over many steps, and so it does the errors of the weights. The
moment is therefore that of the payloads as the membrane adds them up: each is filtered by the
decays of the current and of the membrane. For an error e of the weights of one neuron, e H e is
the mean square error of its membrane, resets aside.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from snn_deploy.ir.maps import Convolution, Dense, LinearMap
from snn_deploy.ir.network import Population

Moment = Float[np.ndarray, "group fan fan"]
"""One matrix for each group of a convolution, a single one for a dense map."""

MEMORY = 32.0
"""Most steps over which an error of the drive adds up before the neuron forgets or resets."""

WIDEST = 4096
"""Weights of one neuron above which no moment is taken: its matrix would be too large."""

WORK = 2**33
"""Multiplications that one moment may cost."""

ROOM = 2**22
"""Numbers that a moment may be taken over at once; of more some samples are left out."""

ENOUGH = 4
"""Rows per row of the moment that are looked at in any case."""


def memory_decays(population: Population) -> tuple[float, ...]:
    """Return the factors per step by which a population forgets what arrived: current, membrane.

    Of neurons that differ the mean. A reset forgets too, so none remembers longer than MEMORY.
    """
    decays = [population.decay]
    if population.synapse is not None:
        decays.append(population.synapse.decay)
    return tuple(min(float(np.mean(decay)), 1 - 1 / MEMORY) for decay in decays)


def second_moment(
    linear: LinearMap,
    payload: Float[np.ndarray, "sample step ..."],
    decays: Sequence[float],
) -> Moment | None:
    """Return the second moment of what arrives at the weights of one row of `linear`.

    Args:
        linear: Dense, Convolution or Sparse.
        payload: What the source sends.
        decays: Factors per step by which the target forgets.

    Returns:
        The moment, or None: a sparse map has another one for each row, and one row of more than
        WIDEST weights has too large a one.
    """
    if isinstance(linear, Dense) and 0 < linear.in_size <= WIDEST:
        kept = _thinned(payload, linear.in_size, 1)
        frames = _filtered(kept.reshape(*kept.shape[:2], -1), decays)
        return _moment(frames.reshape(-1, linear.in_size))[None]
    if isinstance(linear, Convolution) and 0 < linear.weight[0].size <= WIDEST:
        kept = _thinned(payload, linear.weight[0].size, linear.out_size // linear.out_shape[0])
        frames = _filtered(kept.reshape(*kept.shape[:2], *linear.source), decays)
        return _unfolded_moment(linear, frames.reshape(-1, *linear.source))
    return None


def _thinned(payload: np.ndarray, fan: int, positions: int) -> np.ndarray:
    """Return some of the samples, evenly spread: as many as the work for them allows."""
    rows = max(min(WORK // fan**2, ROOM // fan), ENOUGH * fan)
    samples = -(-rows // (payload.shape[1] * positions))
    if samples >= len(payload):
        return payload
    return payload[np.linspace(0, len(payload) - 1, samples).round().astype(int)]


def _filtered(
    payload: Float[np.ndarray, "sample step ..."], decays: Sequence[float]
) -> Float[np.ndarray, "sample step ..."]:
    states = np.array(payload, np.float64)
    for decay in decays:
        for step in range(1, states.shape[1]):
            states[:, step] += decay * states[:, step - 1]
    return states


def _moment(rows: Float[np.ndarray, "row fan"]) -> Float[np.ndarray, "fan fan"]:
    return rows.T @ rows / max(1, len(rows))


def _unfolded_moment(
    linear: Convolution, frames: Float[np.ndarray, "frame channel height width"]
) -> Moment:
    """Return the moment of the patches that a kernel sees, by group."""
    top, bottom, left, right = linear.padding
    padded = np.pad(frames, ((0, 0), (0, 0), (top, bottom), (left, right)))
    reach = [d * (n - 1) + 1 for d, n in zip(linear.dilation, linear.weight.shape[2:], strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    seen = seen[
        :, :, :: linear.stride[0], :: linear.stride[1], :: linear.dilation[0], :: linear.dilation[1]
    ]
    per_group = linear.weight.shape[1]
    moments = []
    for group in range(linear.groups):
        own = seen[:, group * per_group : (group + 1) * per_group]
        patches = own.transpose(0, 2, 3, 1, 4, 5).reshape(-1, linear.weight[0].size)
        moments.append(_moment(patches))
    return np.stack(moments)
