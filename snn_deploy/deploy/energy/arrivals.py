"""Where anything arrives: in which steps a payload reaches a synapse of each neuron."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
from jaxtyping import Bool, Int, Int64

from snn_deploy.ir.maps import Convolution, Dense, LinearMap, to_sparse
from snn_deploy.ir.program import Population, Program, Projection

PAIRS = 1 << 22
"""Pairs of a payload and a synapse that are looked at together."""


def arrived(
    program: Program, population: Population, sent: Mapping[str, Bool[np.ndarray, "sample run ..."]]
) -> Bool[np.ndarray, "sample run neuron"]:
    """Return where a payload reaches a stored synapse, whatever its weight.

    Args:
        program: What was run.
        population: The neurons that receive.
        sent: Where each input and each population sends something.
    """
    samples, steps = next(iter(sent.values())).shape[:2]
    found = np.zeros((samples, steps, population.size), bool)
    for projection in program.into(population.name):
        for mask, delay in _parts(projection):
            if delay < steps:
                source = sent[projection.source][:, : steps - delay]
                reached = _way(projection.map, mask)
                for row in range(samples):
                    found[row, delay:] |= reached(source[row].reshape(steps - delay, -1))
    return found


def _parts(projection: Projection) -> Iterator[tuple[Bool[np.ndarray, "..."] | None, int]]:
    """Yield the stored weights of each distinct delay; None: all of them."""
    delay, linear = projection.delay, projection.map
    if delay.ndim == 0 or np.ptp(delay) == 0:
        yield None, int(delay.max(initial=0))
        return
    for steps in np.unique(delay):
        here = delay == steps
        if delay.shape == (linear.in_size,):
            sparse = to_sparse(linear, keep_zeros=True)
            yield here[sparse.pre], int(steps)
        else:
            yield here.ravel()[linear.triplets().number], int(steps)


Way = Callable[[Bool[np.ndarray, "step pre"]], Bool[np.ndarray, "step post"]]
"""Says which neurons the payloads of each step reach."""


def _way(linear: LinearMap, mask: Bool[np.ndarray, " synapse"] | None) -> Way:
    """Return the way through a map; `mask`: through these synapses only."""
    if mask is None and isinstance(linear, Dense):
        return partial(_to_all, linear)
    if mask is None and isinstance(linear, Convolution):
        return partial(_by_kernel, linear)
    sparse = to_sparse(linear, keep_zeros=True)
    chosen = np.arange(sparse.pre.size) if mask is None else np.flatnonzero(mask)
    order = chosen[np.argsort(sparse.pre[chosen], kind="stable")]
    first = np.searchsorted(sparse.pre[order], np.arange(sparse.in_size + 1))
    return partial(_by_synapse, sparse.out_size, sparse.post[order], first)


def _to_all(linear: Dense, sent: Bool[np.ndarray, "step pre"]) -> Bool[np.ndarray, "step post"]:
    return np.repeat(sent.any(axis=1, keepdims=True), linear.out_size, axis=1)


def _by_kernel(
    linear: Convolution, sent: Bool[np.ndarray, "step pre"]
) -> Bool[np.ndarray, "step post"]:
    """All channels of a group reach the same places: a kernel of ones for each group says which."""
    channels, height, width = linear.source
    groups = linear.groups
    grouped = sent.reshape(-1, groups, channels // groups, height, width).any(axis=2)
    ones = Convolution(
        weight=np.ones((groups, 1, *linear.weight.shape[2:]), np.int32),
        source=(groups, height, width),
        stride=linear.stride,
        padding=linear.padding,
        dilation=linear.dilation,
        groups=groups,
    )
    places = ones.apply(np.asarray(grouped, np.float32)) > 0
    return np.repeat(places, linear.out_shape[0] // groups, axis=1).reshape(len(sent), -1)


def _by_synapse(
    size: int,
    post: Int[np.ndarray, " synapse"],
    first: Int64[np.ndarray, " behind"],
    sent: Bool[np.ndarray, "step pre"],
) -> Bool[np.ndarray, "step post"]:
    """Go from each source's synapses, from `first` on, to their neurons."""
    found = np.zeros((len(sent), size), bool)
    step, neuron = np.nonzero(sent)
    fan = np.diff(first)[neuron]
    ends = np.cumsum(fan)
    begin = 0
    while begin < step.size:
        base = int(ends[begin - 1]) if begin else 0
        behind = max(begin + 1, int(np.searchsorted(ends, base + PAIRS, side="right")))
        some = slice(begin, behind)
        entry = expanded(first[neuron[some]], fan[some])
        found[np.repeat(step[some], fan[some]), post[entry]] = True
        begin = behind
    return found


def expanded(
    first: Int64[np.ndarray, " run"], length: Int64[np.ndarray, " run"]
) -> Int64[np.ndarray, " entry"]:
    """Return the numbers from each `first` on, `length` of them, one run after another."""
    ends = np.cumsum(length)
    within = np.arange(int(ends[-1]) if ends.size else 0) - np.repeat(ends - length, length)
    return np.repeat(first, length) + within
