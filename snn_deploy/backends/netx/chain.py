"""Which programs are a chain of layers, which is all that a `.net` file can hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from snn_deploy.backends.netx.features import LAVA, check_known
from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.graph import shortest_delay
from snn_deploy.ir.maps import Convolution
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Input, Population, Program, Projection, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One layer: neurons, what they read, and what they add in every step."""

    population: Population
    way: Projection
    """From the layer before, or from the input."""

    loop: Projection | None
    """From the layer to itself."""

    bias: Int64[np.ndarray, "..."]
    """Of each neuron, into the membrane [state units]."""

    start: int
    """First step in which the bias acts."""

    @property
    def is_image(self) -> bool:
        """Whether the layer is a convolution, which gives channels, height and width."""
        return isinstance(self.way.map, Convolution)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A program as a chain of layers."""

    entry: Input
    links: tuple[Link, ...]

    @property
    def projections(self) -> tuple[Projection, ...]:
        """Every projection between layers, in their order."""
        return tuple(p for k in self.links for p in (k.way, k.loop) if p is not None)


def chain_of(program: Program) -> Chain:
    """Return a program as a chain of layers.

    Clock neurons, which carry biases, are no layers: what they add becomes a bias again.

    Raises:
        UnsupportedError: it is none, or has what no `.net` file has.
    """
    check_known(program)
    entry = _only_input(program)
    clocks = frozenset(p.name for p in program.populations if p.role is Role.CLOCK)
    links: list[Link] = []
    here = entry.name
    while way := _onward(program, here):
        if any(link.population.name == way.target for link in links):
            raise _joins(program, way.target)
        links.append(_link(program, way, clocks))
        here = way.target
    reached = {link.population.name for link in links} | clocks
    missed = [p.name for p in program.populations if p.name not in reached]
    if missed or not links:
        raise UnsupportedError(
            f"the input does not reach it through a chain of layers: {', '.join(missed[:4])}",
            where=missed[0],
            fix=LAVA,
        )
    _check_outputs(program, links[-1].population.name)
    return Chain(entry=entry, links=tuple(links))


def _only_input(program: Program) -> Input:
    if len(program.inputs) != 1:
        raise UnsupportedError(
            f"{len(program.inputs)} inputs, but a .net file has one",
            where=", ".join(entry.name for entry in program.inputs),
            fix=f"join them into one before the network; or {LAVA}",
        )
    return program.inputs[0]


def _onward(program: Program, name: str) -> Projection | None:
    """Return the projection from `name` to the next layer; None: there is no further one."""
    found = [p for p in program.projections if p.source == name and p.target != name]
    if len({p.target for p in found}) > 1:
        raise UnsupportedError(
            f"it feeds {_listed([p.target for p in found])}, but a .net file is a chain: each "
            "layer feeds the next one",
            where=name,
            fix=LAVA,
        )
    if len(found) > 1:
        raise UnsupportedError(
            f"{len(found)} projections lead from {name} to {found[0].target}, but a layer of a "
            ".net file has one",
            where=", ".join(p.name for p in found),
            fix=f"add their weights up before the export; or {LAVA}",
        )
    return found[0] if found else None


def _joins(program: Program, name: str) -> UnsupportedError:
    sources = _listed([p.source for p in program.into(name)])
    return UnsupportedError(
        f"it reads {sources}, but a layer of a .net file reads the one before it, and perhaps "
        "itself",
        where=name,
        fix=LAVA,
    )


def _link(program: Program, way: Projection, clocks: frozenset[str]) -> Link:
    population = program.population(way.target)
    into = [p for p in program.into(population.name) if p.source not in clocks]
    loops = [p for p in into if p.source == population.name]
    if len(into) > 1 + len(loops):
        raise _joins(program, population.name)
    if len(loops) > 1:
        raise UnsupportedError(
            f"{len(loops)} projections lead from it to itself, but a layer of a .net file has one",
            where=population.name,
            fix=f"add their weights up before the export; or {LAVA}",
        )
    for projection in into:
        if program.entry(projection) is not population.entry:
            raise UnsupportedError(
                f"it drives the {program.entry(projection).value} of {population.name}, past the "
                f"current, but in netx all input enters the {population.entry.value}",
                where=projection.name,
                fix=LAVA,
            )
    _check_start(program, population, into)
    wires = [p for p in program.into(population.name) if p.source in clocks]
    bias, start = _bias(program, population, wires)
    return Link(
        population=population, way=way, loop=next(iter(loops), None), bias=bias, start=start
    )


def _check_start(program: Program, population: Population, into: Sequence[Projection]) -> None:
    """Refuse what would move before its lag: a LIF of netx runs from step 0 on."""
    lag = {p.name: p.lag for p in program.populations}
    early = [p for p in into if lag.get(p.source, 0) + shortest_delay(p) < population.lag]
    if early:
        raise UnsupportedError(
            f"what arrives before step {population.lag} is dropped, but neurons of a .net file "
            "have no such start",
            where=early[0].name,
            fix=LAVA,
        )


def _bias(
    program: Program, population: Population, wires: Sequence[Projection]
) -> tuple[Int64[np.ndarray, "..."], int]:
    """Return what is added to each membrane in every step, and from which step on."""
    if wires and population.current is not None:
        raise UnsupportedError(
            "its bias enters the current, but the bias of netx's LIF enters the membrane",
            where=population.name,
            fix=f"train it without a bias; or {LAVA}",
        )
    total, starts = np.zeros(population.shape, np.int64), set[int]()
    for bias in population.biases:
        if bias.into is not State.MEMBRANE:
            raise UnsupportedError(
                "its bias enters the current, but the bias of netx's LIF enters the membrane",
                where=population.name,
                fix=f"train it without a bias; or {LAVA}",
            )
        if np.any(bias.value):
            total += per_neuron(bias.value, population.shape)
            starts.add(max(bias.start, population.lag))
    for wire in wires:
        ones = np.ones((1, *wire.map.in_shape), np.int64)
        given = wire.map.apply(ones).reshape(population.shape) << wire.shift
        total += given
        clock = program.population(wire.source)
        starts |= {clock.lag + int(step) for step in np.unique(wire.delay)}
    if len(starts) > 1:
        raise UnsupportedError(
            f"its biases start in the steps {_listed(sorted(map(str, starts)))}; those of netx's "
            "LIF start together",
            where=population.name,
            fix=LAVA,
        )
    return total, next(iter(starts), 0)


def _check_outputs(program: Program, last: str) -> None:
    for output in program.outputs:
        if output.population != last:
            raise UnsupportedError(
                f"it reads {output.population}, but netx gives out its last layer, {last}",
                where=output.name,
                fix=LAVA,
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
