"""Projections split by how far their synapses reach back in time, so that delays fit a chip.

A delay that no single connection has is one of `hops` steps of a relay chain and a rest that one
connection has. All synapses with equally many hops form one part, which starts from one relay.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse, to_sparse
from snn_deploy.ir.program import Projection
from snn_deploy.quantize.fold import source_channel
from snn_deploy.targets import SourcedRange

Delay = Int[np.ndarray, "..."]
"""Steps: one number, one per source or one per stored weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The delays of one connection of a chip, and the stride of its relay chains."""

    delay: SourcedRange

    @property
    def stride(self) -> int:
        """Steps from one relay to the next: what is left of any delay is then a delay [steps]."""
        return min(self.delay.high, self.delay.high - self.delay.low + 1)

    @property
    def chains(self) -> bool:
        """Whether relays can make every longer delay."""
        return self.stride > 0 and self.stride in self.delay

    def hops(self, delay: Delay) -> Delay:
        """Return how many relays lie between the source and the end of each delay."""
        beyond = np.maximum(0, delay.astype(np.int64) - self.delay.high)
        return np.asarray(-(-beyond // max(1, self.stride)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The synapses of a projection that start from one relay, or from the source itself."""

    of: Projection
    hops: int
    """Number of the relay, from 1 on; 0: the source itself."""

    map: LinearMap
    """Reads all of the source; what other parts hold is 0 or left out."""

    delay: Delay
    """What the relays leave to the connection [steps]."""

    per_weight: bool
    """Whether a delay that is no scalar has one step per stored weight, not per source."""


def used_sources(linear: LinearMap) -> Bool[np.ndarray, " pre"]:
    """Return from which sources a synapse starts that is not 0; a kernel reads all or none."""
    if isinstance(linear, Convolution):
        return np.full(linear.in_size, np.any(linear.weight))
    if isinstance(linear, Dense):
        return np.asarray(np.any(linear.weight != 0, axis=0))
    mask = np.zeros(linear.in_size, bool)
    mask[to_sparse(linear).pre] = True
    return mask


def split_by_hops(projection: Projection, reach: Reach) -> tuple[Part, ...]:
    """Return the parts of a projection, fewest hops first, without synapses of weight 0.

    Kernels stay kernels where a delay belongs to a kernel weight or to a whole source channel;
    where it belongs to single neurons, the synapses are listed one by one.

    Raises:
        DoesNotFitError: a delay is too long, and the chip's delays add up to none so long.
    """
    delay, linear = projection.delay, projection.map
    longest = int(delay.max(initial=0))
    if longest > reach.delay.high and not reach.chains:
        raise DoesNotFitError(
            f"a delay of {longest} steps, but one connection has {reach.delay}, and relays "
            "that far apart cannot make every longer one",
            where=projection.name,
            fix="--target cpu, or a network with shorter delays",
        )
    hops, per_source = reach.hops(delay), delay.shape == (linear.in_size,)
    if delay.ndim == 0:
        parts = iter([_part(projection, int(hops), linear, delay, reach, per_weight=False)])
    elif per_source:
        parts = _parts_of_sources(projection, hops, reach)
    else:
        parts = _parts_of_weights(projection, hops, reach)
    used = tuple(part for part in parts if np.any(used_sources(part.map)))
    # where nothing ever arrives, any delay will do
    return used or (_part(projection, 0, linear, delay, reach, per_weight=not per_source),)


def _parts_of_sources(projection: Projection, hops: Delay, reach: Reach) -> Iterator[Part]:
    linear, delay = projection.map, projection.delay
    used = used_sources(linear)
    numbers = _numbers(hops, used)
    for number in numbers:
        mask = (hops == number) & used
        part = linear if len(numbers) == 1 else _from_sources(linear, mask)
        steps = _simple(delay, mask)
        yield _part(projection, number, part, steps, reach, per_weight=False)


def _parts_of_weights(projection: Projection, hops: Delay, reach: Reach) -> Iterator[Part]:
    linear, delay = projection.map, projection.delay
    stored = linear.numbers() != 0
    numbers = _numbers(hops, stored)
    for number in numbers:
        mask = (hops == number) & stored
        part, steps = linear, _simple(delay, mask)
        if len(numbers) > 1 and isinstance(linear, Convolution):
            part = linear.with_numbers(linear.weight * mask)
        elif len(numbers) > 1:
            part, steps = _synapses(linear, mask), _simple(delay[mask], mask[mask])
        yield _part(projection, number, part, steps, reach, per_weight=True)


def _numbers(hops: Delay, used: Bool[np.ndarray, "..."]) -> list[int]:
    """Return the different numbers of hops of what is used."""
    return [int(n) for n in np.unique(hops[used])]


def _part(
    projection: Projection,
    hops: int,
    linear: LinearMap,
    delay: Delay,
    reach: Reach,
    *,
    per_weight: bool,
) -> Part:
    left = (delay - hops * reach.stride).clip(reach.delay.low, reach.delay.high)
    return Part(
        of=projection,
        hops=hops,
        map=linear,
        delay=np.asarray(left, np.int32),
        per_weight=per_weight,
    )


def _simple(delay: Delay, mask: Bool[np.ndarray, "..."]) -> Delay:
    """Return the one delay that all of `mask` have, or else `delay` as it is."""
    steps = np.unique(delay[mask])
    return steps.reshape(()) if steps.size == 1 else delay


def _from_sources(linear: LinearMap, mask: Bool[np.ndarray, " pre"]) -> LinearMap:
    """Return the synapses of `linear` that start from the sources in `mask`."""
    if isinstance(linear, Convolution):
        channels = mask.reshape(linear.source)
        if np.all(channels == channels[:, :1, :1]):
            kernels = channels[:, 0, 0][source_channel(linear)]
            return linear.with_numbers(linear.weight * kernels[..., None, None])
    sparse = to_sparse(linear)
    keep = mask[sparse.pre]
    return replace(sparse, post=sparse.post[keep], pre=sparse.pre[keep], weight=sparse.weight[keep])


def _synapses(linear: LinearMap, mask: Bool[np.ndarray, "..."]) -> Sparse:
    """Return the synapses of a Dense or Sparse map whose stored weights are in `mask`, in order."""
    triplets = linear.triplets()
    keep = mask.ravel()[triplets.number]
    return Sparse(
        post=triplets.post[keep],
        pre=triplets.pre[keep],
        weight=linear.numbers().ravel()[triplets.number][keep],
        post_shape=linear.out_shape,
        pre_shape=linear.in_shape,
    )


def from_some(
    part: Part, kept: Int[np.ndarray, " some"], source: str, name: str
) -> Iterator[Projection]:
    """Yield the projections of `part`, which now reads the sources `kept` of its former source.

    Two instead of one where a list of delays would have as many entries as there are sources,
    and would be read as one per source.

    Args:
        part: What starts there.
        kept: Indices of the sources, ascending; every source that `part` uses is among them.
        source: Name of the new source.
        name: Of the projection.
    """
    linear, delay = part.map, part.delay
    base = replace(part.of, name=name, source=source)
    if kept.size < linear.in_size:
        linear, delay = _restricted(linear, delay, kept, per_weight=part.per_weight)
    if not isinstance(linear, Sparse) or not part.per_weight or delay.shape != (linear.in_size,):
        yield replace(base, map=linear, delay=delay)
    elif np.array_equal(np.sort(linear.pre), np.arange(linear.in_size)):
        yield replace(base, map=linear, delay=delay[np.argsort(linear.pre)])
    else:
        yield from _told_apart(base, linear, delay)


def _restricted(
    linear: LinearMap, delay: Delay, kept: Int[np.ndarray, " some"], *, per_weight: bool
) -> tuple[LinearMap, Delay]:
    """Return a Dense or Sparse map that reads only the sources `kept`, and its delays."""
    each = bool(delay.ndim)
    if isinstance(linear, Dense):
        return Dense(weight=linear.weight[:, kept]), delay[..., kept] if each else delay
    sparse = to_sparse(linear, keep_zeros=True)
    place = np.searchsorted(kept, sparse.pre).clip(max=kept.size - 1)
    there = kept[place] == sparse.pre
    restricted = Sparse(
        post=sparse.post[there],
        pre=place[there],
        weight=sparse.weight[there],
        post_shape=sparse.post_shape,
        pre_shape=(kept.size,),
    )
    return restricted, delay[there if per_weight else kept] if each else delay


def _told_apart(base: Projection, linear: Sparse, delay: Delay) -> Iterator[Projection]:
    """Yield the synapses of one delay, and those of all others."""
    first = delay == delay.min()
    for suffix, mask in (("", first), (".later", ~first)):
        steps = np.unique(delay[mask])
        yield replace(
            base,
            name=base.name + suffix,
            map=_synapses(linear, mask),
            delay=steps.reshape(()) if steps.size == 1 else delay[mask],
        )
