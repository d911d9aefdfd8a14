"""Measure whether a hypergraph partitioner cuts recurrent networks better than slices do.

    python -m pip install mtkahypar==1.7.post1
    python benchmarks/mapping/partition.py

Each network is one population of neurons that drive each other. Mt-KaHyPar, with its deterministic
preset, gets a hyperedge for each source neuron (itself and all that it drives) and the load of each
neuron as its weight; it makes as many blocks as there are cores. Neurons are then numbered block by
block, so that each block is a slice, and both maps are counted by the same code.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from snn_deploy.deploy.mapping.activity import assumed
from snn_deploy.deploy.mapping.layer import Layer, Usage
from snn_deploy.deploy.mapping.mapper import map_program
from snn_deploy.errors import CoresError
from snn_deploy.ir.maps import Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.program import Input, Population, Program, Projection
from snn_deploy.targets import Target, find_target

IMBALANCE = 0.03
"""Share by which Mt-KaHyPar may make a block heavier than the mean."""


@dataclass(frozen=True, kw_only=True)
class Net:
    """Synapses from `pre` to `post` within one population."""

    name: str
    neurons: int
    pre: np.ndarray
    post: np.ndarray


def communities(neurons: int, fan_in: int, groups: int, within: float, *, shuffled: bool) -> Net:
    """Return neurons that mostly listen to their own group."""
    rng = np.random.default_rng(0)
    group = np.arange(neurons) * groups // neurons
    post = np.repeat(np.arange(neurons), fan_in)
    members = [np.flatnonzero(group == g) for g in range(groups)]
    near = np.concatenate([rng.choice(members[group[n]], fan_in) for n in range(neurons)])
    far = rng.integers(0, neurons, post.size)
    pre = np.where(rng.random(post.size) < within, near, far)
    order = rng.permutation(neurons) if shuffled else np.arange(neurons)
    share = f"{within:.0%} within {groups} groups"
    name = f"{neurons} neurons, {share}, {'hidden' if shuffled else 'in order'}"
    return _net(name, neurons, order[pre], order[post])


def random(neurons: int, fan_in: int) -> Net:
    """Return neurons that listen to any others."""
    rng = np.random.default_rng(0)
    post = np.repeat(np.arange(neurons), fan_in)
    pre = rng.integers(0, neurons, post.size)
    return _net(f"{neurons} neurons, random", neurons, pre, post)


def hubs(neurons: int, fan_in: int) -> Net:
    """Return neurons of which few send to many: out-degrees fall off by a power law."""
    rng = np.random.default_rng(0)
    post = np.repeat(np.arange(neurons), fan_in)
    chance = rng.permutation(np.arange(1, neurons + 1) ** -0.8)
    pre = rng.choice(neurons, post.size, p=chance / chance.sum())
    return _net(f"{neurons} neurons, hubs", neurons, pre, post)


def _net(name: str, neurons: int, pre: np.ndarray, post: np.ndarray) -> Net:
    synapses = np.unique(np.stack([post, pre], axis=1), axis=0)
    return Net(name=name, neurons=neurons, pre=synapses[:, 1], post=synapses[:, 0])


def program_of(net: Net, target: Target, order: np.ndarray | None = None) -> Program:
    """Return a program; `order` gives the new number of each neuron."""
    number = np.arange(net.neurons) if order is None else order
    post, pre = number[net.post], number[net.pre]
    by = np.lexsort((pre, post))
    shape = (net.neurons,)
    recurrent = Sparse(
        post=post[by].astype(np.int32),
        pre=pre[by].astype(np.int32),
        weight=np.full(by.size, 2, np.int32),
        post_shape=shape,
        pre_shape=shape,
    )
    each = np.arange(net.neurons, dtype=np.int32)
    entry = Sparse(
        post=each, pre=each, weight=np.full(each.size, 2, np.int32), post_shape=shape,
        pre_shape=shape,
    )  # fmt: skip
    links = (("in", "loop", entry), ("loop", "loop", recurrent))
    return Program(
        name="net",
        target=target.name,
        arithmetic=target.arithmetic,
        inputs=(Input(name="in", shape=shape),),
        populations=(Population(name="loop", shape=shape, decay=np.asarray(4000, np.int32)),),
        projections=tuple(
            Projection(name=f"{a}-{b}", source=a, target=b, map=m, delay=np.asarray(1, np.int32))
            for a, b, m in links
        ),
        outputs=(Output(name="out", population="loop"),),
    )


def blocks_of(net: Net, cores: int) -> np.ndarray:
    """Return the block of each neuron, by Mt-KaHyPar."""
    import mtkahypar  # noqa: PLC0415 - not an ordinary requirement

    start = mtkahypar.initialize(1, False)
    mtkahypar.set_seed(0)
    context = start.context_from_preset(mtkahypar.PresetType.DETERMINISTIC)
    context.set_partitioning_parameters(cores, IMBALANCE, mtkahypar.Objective.KM1)
    context.logging = False
    by = np.argsort(net.pre, kind="stable")
    ends = np.cumsum(np.bincount(net.pre, minlength=net.neurons))
    edges = [
        sorted({source, *posts.tolist()})
        for source, posts in enumerate(np.split(net.post[by], ends[:-1]))
    ]
    kept = [edge for edge in edges if len(edge) > 1]
    load = 1 + np.bincount(net.post, minlength=net.neurons)
    graph = start.create_hypergraph(
        context, net.neurons, len(kept), kept, load.tolist(), [1] * len(kept)
    )
    return np.asarray(graph.partition(context).get_partition())


def usages(net: Net, target: Target, block: np.ndarray, cores: int) -> list[Usage]:
    """Return what each block needs of its core, neurons numbered block by block."""
    order = np.empty(net.neurons, np.int64)
    order[np.argsort(block, kind="stable")] = np.arange(net.neurons)
    program = program_of(net, target, order)
    layer = Layer(program, program.populations[0], target, assumed(program))
    ends = np.concatenate([[0], np.cumsum(np.bincount(block, minlength=cores))])
    parts = [layer.part((0, 1), (int(a), int(b))) for a, b in pairwise(ends)]
    for number, part in enumerate(parts):
        for wiring in layer.wirings:
            if wiring.projection.source == "loop":
                layer.add_reach(wiring.sources(part), shared=False, mark=number + 1)
    return [layer.usage(part) for part in parts]


def row(net: Net, target: Target, cores: int) -> Iterator[str]:
    """Yield the cells of one network: slices, then blocks, on equally many cores."""
    yield net.name
    begun = time.perf_counter()
    try:
        core_map = map_program(program_of(net, target), target, cores=cores)
    except CoresError as problem:
        yield problem.message
        return
    took = time.perf_counter() - begun
    cores = len(core_map.cores)
    most = {use.resource.value: use.most for use in core_map.uses}
    yield f"{cores}"
    yield f"{core_map.messages:.0f}"
    yield f"{core_map.step_time * 1e-3:.2f}"
    yield f"{most['input-axons']}"
    yield f"{took:.1f}"
    begun = time.perf_counter()
    found = usages(net, target, blocks_of(net, cores), cores)
    took = time.perf_counter() - begun
    legal = all(next(usage.beyond(_limits(target)), None) is None for usage in found)
    counts = [{r.value: n for r, n in usage.counts.items()} for usage in found]
    yield f"{sum(usage.load.messages_in for usage in found):.0f}"
    yield f"{max(usage.load.time for usage in found) * 1e-3:.2f}"
    yield f"{max(count['input-axons'] for count in counts)}"
    yield f"{took:.1f}"
    yield "yes" if legal else "no"


def _limits(target: Target) -> dict:
    from snn_deploy.deploy.mapping.layer import limits_of  # noqa: PLC0415

    return limits_of(target)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=16)
    cores = parser.parse_args().cores
    target = find_target("loihi1")
    print(
        "| network | cores | slices: messages | us a step | input axons | s |"
        " blocks: messages | us a step | input axons | s | legal |"
    )
    print("|---|" + "---|" * 10)
    for net in (
        communities(4000, 50, 16, 0.9, shuffled=True),
        communities(4000, 50, 16, 0.9, shuffled=False),
        communities(4000, 50, 40, 0.7, shuffled=True),
        hubs(4000, 50),
        random(4000, 50),
    ):
        print(f"| {' | '.join(row(net, target, cores))} |", flush=True)


if __name__ == "__main__":
    main()
