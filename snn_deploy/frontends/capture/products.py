"""Products of two values of the network: of spikes of 0 and 1 they are neurons that fire where both
do; of anything else they are refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from snn_deploy.frontends.capture.axes import Axes, Axis, Lost, Traced
from snn_deploy.frontends.capture.calls import Call, Follower, Result, lost, named, plain, settled
from snn_deploy.frontends.capture.formulas import Applied, Formula, Joined, Op, Source, Zero
from snn_deploy.frontends.capture.leaves import PROBE, probe
from snn_deploy.frontends.layers import (
    Cell,
    Delay,
    Flatten,
    Layer,
    Pool,
    Pooling,
    Unflatten,
    Upsample,
)

BOTH = Cell(decay=np.zeros(()), threshold=np.full((), 1.5))
"""Neurons that keep nothing: they fire where two spikes arrive, in the step in which they do."""


def product(follower: Follower, call: Call, left: Any, right: Any) -> Result:
    """Follow a product of two values of the network."""
    first, second = plain(follower, call, left), plain(follower, call, right)
    for value in (first, second):
        if isinstance(value, Lost):
            return value
    assert isinstance(first, Traced)
    assert isinstance(second, Traced)
    for value in (first, second):
        if not is_binary(follower, value.formula):
            return lost(
                call,
                "it multiplies two values of the network with each other, and not both are known "
                "to be spikes of 0 and 1, straight from neurons: of those a product is followed",
            )
    axes = _together(first.axes, second.axes)
    if axes is None:
        return lost(call, "it multiplies a value of one step with values of all steps")
    places = [d for d, axis in enumerate(axes) if axis is Axis.VALUE]
    sides = [_padded(tensor.shape, len(axes)) for tensor in (left, right)]
    shape = tuple(int(call.result.shape[d]) for d in places)
    factors = []
    for value, each in zip((first, second), sides, strict=True):
        own = settled(follower, value.formula, tuple(each[d] for d in places))
        factor = _repeated(follower, own, shape)
        if factor is None:
            return lost(call, "it repeats a value for all channels")
        factors.append(factor)
    if factors[0] is factors[1]:
        return Traced(formula=factors[0], axes=axes)
    op = follower.formulas.op(
        ("both", shape, follower.inside), lambda: Op(named(follower, "both"), BOTH, False)
    )
    total = follower.formulas.total(*factors)
    return Traced(formula=follower.formulas.applied(op, total, shape), axes=axes)


def _together(one: Axes, other: Axes) -> Axes | None:
    """Return what the axes of a product mean; None: only one of its factors has all steps."""
    rank = max(len(one), len(other))
    pairs = zip(*((*(Axis.SINGLE,) * (rank - len(a)), *a) for a in (one, other)), strict=True)
    found = []
    for pair in pairs:
        kinds = set(pair) - {Axis.SINGLE}
        if len(kinds) > 1 or (Axis.STEP in kinds and Axis.SINGLE in pair):
            return None
        found.append(kinds.pop() if kinds else Axis.SINGLE)
    return tuple(found)


def _padded(shape: Sequence[int], rank: int) -> tuple[int, ...]:
    return (*(1,) * (rank - len(shape)), *(int(side) for side in shape))


def _repeated(follower: Follower, formula: Formula, shape: tuple[int, ...]) -> Formula | None:
    """Return values repeated along the axes behind the channels; None: that would not do."""
    if formula.shape == shape:
        return formula
    if formula.shape[:1] != shape[:1]:
        return None
    op = follower.formulas.op(
        ("repeated", shape, follower.inside),
        lambda: Op(named(follower, "repeated"), Upsample(size=shape[1:]), False),
    )
    return follower.formulas.applied(op, formula, shape)


def is_binary(follower: Follower, formula: Formula) -> bool:
    """Return whether a value is 0 or 1 in every step: neurons send it, one spike at most."""
    if isinstance(formula, Zero):
        return True
    if isinstance(formula, Source):
        return bool(formula.name) and not formula.state and _fires(follower, formula.name)
    if isinstance(formula, Joined):
        return all(is_binary(follower, part) for part in formula.parts)
    if not isinstance(formula, Applied):
        return False
    if formula.op.layer is not None:
        chain: tuple[Layer, ...] = (formula.op.layer,)
    else:
        chain = tuple(
            node.layer for node in probe(formula.op.object, formula.op.name).nodes.values()
        )
    if len(chain) == 1 and isinstance(chain[0], Cell):
        return chain[0].binary
    return all(_keeps(layer) for layer in chain) and is_binary(follower, formula.value)


def _fires(follower: Follower, path: str) -> bool:
    read = probe(follower.layer(path), path)
    node = read.nodes.get(read.given)
    return (
        read.given != PROBE
        and node is not None
        and isinstance(node.layer, Cell)
        and node.layer.binary
    )


def _keeps(layer: Layer) -> bool:
    """Return whether a layer gives 0 and 1 where it is given nothing else."""
    if isinstance(layer, Pool):
        return layer.pooling is Pooling.MAX
    return isinstance(layer, Flatten | Unflatten | Upsample | Delay)
