"""Where a projection of the network ended up in a program: as it is, or split behind relays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.deploy.alone import lag_of
from snn_deploy.ir.maps import Sparse
from snn_deploy.ir.network import Projection
from snn_deploy.ir.program import Program, Role
from snn_deploy.ir.program import Projection as WholeProjection

RELAYED = (".relay", ".later")
"""What follows the name of a projection in the names of its parts."""


def is_part(name: str, of: str) -> bool:
    """Return whether the projection `name` of a program is (a part of) that called `of`."""
    return name == of or any(name.startswith(f"{of}{mark}") for mark in RELAYED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a relay repeats."""

    source: str
    """An input or a population that is no relay."""

    neuron: Int[np.ndarray, " relay"]
    """Neuron of the source that each relay neuron repeats."""

    delay: int
    """Steps from the source's sending to the relay's."""


def origin_of(program: Program, source: str) -> Origin:
    """Return what feeds a chain of relays; of anything else itself."""
    node = next(n for n in program.nodes if n.name == source)
    population = next((p for p in program.populations if p.name == source), None)
    if population is None or population.role is not Role.RELAY:
        return Origin(source=source, neuron=np.arange(node.size), delay=0)
    (hop,) = program.into(source)
    before, triplets = origin_of(program, hop.source), hop.map.triplets()
    neuron = np.zeros(node.size, np.int64)
    neuron[triplets.post] = before.neuron[triplets.pre]
    return Origin(source=before.source, neuron=neuron, delay=before.delay + int(hop.delay))


def network_delay(
    program: Program, part: WholeProjection, source: str, behind: int = 0
) -> Int[np.ndarray, "..."]:
    """Return the delay of a projection in the steps of the network.

    Args:
        program: Where it stands.
        part: The projection.
        source: What it comes from, relays left out.
        behind: Steps that the relays between take.
    """
    lag = lag_of(program, part.target) - lag_of(program, source)
    return np.asarray((part.delay + behind - lag) // program.period, np.int32)


def each_synapse(trained: Projection) -> tuple[Projection, Int[np.ndarray, " synapse"]]:
    """Return a projection with its synapses listed one by one, each with its delay.

    Returns:
        The projection, and (post * sources + pre) of each synapse, ascending.
    """
    linear, triplets = trained.map, trained.map.triplets()
    delay = trained.delay
    if delay.ndim == 0:
        steps = np.full(triplets.post.shape, int(delay))
    elif delay.shape == (linear.in_size,):
        steps = delay[triplets.pre]
    else:
        steps = delay.ravel()[triplets.number]
    weight = linear.numbers().ravel()[triplets.number]
    key = triplets.post.astype(np.int64) * linear.in_size + triplets.pre
    if key.size == linear.in_size < linear.in_size * linear.out_size:
        key, weight, steps = _one_more(key, weight, steps)
    return _listed(trained, key, weight, steps), key


def _one_more(
    key: Int[np.ndarray, " synapse"],
    weight: Float[np.ndarray, " synapse"],
    steps: Int[np.ndarray, " synapse"],
) -> tuple[Int[np.ndarray, " more"], Float[np.ndarray, " more"], Int[np.ndarray, " more"]]:
    """Add a synapse of weight 0: delays, one per synapse, would be read as one per source."""
    gaps = np.flatnonzero(key != np.arange(key.size))
    place = int(gaps[0]) if gaps.size else key.size
    return np.insert(key, place, place), np.insert(weight, place, 0), np.insert(steps, place, 0)


def _listed(
    projection: Projection,
    key: Int[np.ndarray, " synapse"],
    weight: Float[np.ndarray, " synapse"],
    steps: Int[np.ndarray, " synapse"],
) -> Projection:
    linear = projection.map
    post, pre = np.divmod(key, linear.in_size)
    sparse = Sparse(
        post=post,
        pre=pre,
        weight=weight,
        post_shape=linear.out_shape,
        pre_shape=linear.in_shape,
    )
    return replace(projection, map=sparse, delay=steps.astype(np.int32))


def gathered(
    program: Program, parts: Sequence[WholeProjection], trained: Projection
) -> tuple[Projection, Projection]:
    """Return a projection as trained and as stored in `parts`, both synapse by synapse.

    Weights as stored are in state units, and 0 where no part has the synapse; delays are in the
    steps of the network.
    """
    listed, key = each_synapse(trained)
    weight = np.zeros(key.size)
    delay = np.array(listed.delay)
    for part in parts:
        origin = origin_of(program, part.source)
        steps = network_delay(program, part, origin.source, origin.delay)
        numbers = part.map.numbers() * float(1 << part.shift)
        one = replace(listed, map=part.map.with_numbers(numbers), delay=steps)
        some, keys = each_synapse(one)
        post, pre = np.divmod(keys, part.map.in_size)
        found = np.searchsorted(key, post * trained.map.in_size + origin.neuron[pre])
        there = some.map.numbers() != 0
        weight[found[there]] = some.map.numbers()[there]
        delay[found[there]] = some.delay[there]
    return listed, replace(listed, map=listed.map.with_numbers(weight), delay=delay)
