"""Delays longer than a chip's: chains of relays that repeat what a source sends, later."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Int

from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.graph import named
from snn_deploy.ir.maps import Sparse
from snn_deploy.ir.neuron import Compare, Fires, ResetKind
from snn_deploy.ir.program import Population, Program, Projection, Reset, Role, Sign
from snn_deploy.ir.timing import Restart
from snn_deploy.ir.words import counted
from snn_deploy.quantize.delay_parts import Part, Reach, from_some, split_by_hops, used_sources
from snn_deploy.quantize.passes import Passed
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRelays:
    """Pass: no projection takes longer than the target's longest delay.

    Behind each source with longer delays stands one chain of relays: populations that send what
    the one before them sent, `Reach.stride` steps later. Every projection, or every part of one
    whose synapses differ in their delays, starts from the relay that leaves it a delay that the
    chip has. A relay repeats only the neurons that someone listens to, or all where a kernel does.
    """

    name: ClassVar[str] = "add-relays"

    target: Target

    def __call__(self, graph: Program) -> Passed[Program]:
        """Return `graph`, which has been retimed, with delays that the target has.

        Raises:
            DoesNotFitError: the delays of the target do not add up to all longer ones.
            UnsupportedError: payloads that no relay of the target can repeat.
        """
        reach = Reach(delay=self.target.delay)
        parts = {
            p.name: split_by_hops(p, reach)
            for p in graph.projections
            if p.delay.max(initial=0) > reach.delay.high
        }
        if not parts:
            return Passed(graph=graph)
        sources = dict.fromkeys(p.source for p in graph.projections if p.name in parts)
        chains = {s: self._chain(graph, s, parts, reach) for s in sources}
        taken = _names(graph)
        projections = [
            wire
            for p in graph.projections
            for wire in (
                _wires(parts[p.name], chains[p.source], taken) if p.name in parts else (p,)
            )
        ]
        added = [relay for chain in chains.values() for relay in chain.relays]
        relayed = replace(
            graph,
            populations=(*graph.populations, *(relay.population for relay in added)),
            projections=(*projections, *(relay.hop for relay in added)),
        )
        findings = tuple(self._finding(chain, reach) for chain in chains.values() if chain.relays)
        return Passed(graph=relayed, findings=findings)

    def _chain(
        self, graph: Program, source: str, parts: dict[str, tuple[Part, ...]], reach: Reach
    ) -> "_Chain":
        mine = [p for several in parts.values() for p in several if p.of.source == source]
        node = named(graph.nodes, source)
        first = _Relay(name=source, shape=node.shape, kept=np.arange(node.size))
        lag = node.lag if isinstance(node, Population) else 0
        taken = _names(graph)
        relays: list[_Repeated] = []
        before = first
        for number in range(1, max((p.hops for p in mine), default=0) + 1):
            relay = _relay(before, number, source, [p for p in mine if p.hops >= number], taken)
            starts = _earlier(lag + number * reach.stride, graph)
            repeats = self._repeating(graph, mine[0].of, relay, starts)
            hop = self._hop(before, relay, repeats, reach)
            relays.append(_Repeated(population=repeats, hop=hop, relay=relay))
            before = relay
        return _Chain(source=first, relays=tuple(relays))

    def _repeating(
        self, graph: Program, projection: Projection, relay: "_Relay", lag: int
    ) -> Population:
        """Return neurons that send what they get and forget it.

        Raises:
            UnsupportedError: it cannot be sent.
        """
        low, high = graph.payload_range(projection.source)
        fires = _fires(low, high)
        if max(-low, high) * self._weight(fires) > self.target.highest_sum:
            raise UnsupportedError(
                f"a delay of {int(projection.delay.max())} steps needs relays, which send what "
                f"they get, but none can send {low}..{high}; {self.target.name} has delays of "
                f"{self.target.delay} steps",
                where=projection.name,
                fix="--target cpu, or a network with shorter delays",
            )
        one = self._weight(fires) << self.target.weights.shift.value
        counts = fires is Fires.COUNT
        return Population(
            name=relay.name,
            shape=relay.shape,
            decay=np.asarray(self.target.states.membrane_multiplier.high, np.int32),
            fires=fires,
            threshold=np.asarray(one if counts else 0, np.int32),
            lower=np.zeros((), np.int32),
            compare=Compare.GREATER_EQUAL if counts else Compare.GREATER,
            max_spikes=max(1, high),
            payload_shift=one.bit_length() - 1 if fires is Fires.GRADED else 0,
            reset=Reset(kind=ResetKind.VALUE),
            restart=Restart(interval=1) if fires is Fires.GRADED else None,  # no spike resets it
            lag=lag,
            role=Role.RELAY,
        )

    def _weight(self, fires: Fires) -> int:
        """Return the weight of a hop: the largest for spikes, else a power of two to count by."""
        rule = self.target.weights
        if fires in (Fires.BINARY, Fires.TERNARY):
            return rule.excitatory.high
        return 1 << max(
            math.ceil(math.log2(rule.excitatory.step)),
            self.target.thresholds.shift.value - rule.shift.value,
            0,
        )

    def _hop(
        self, before: "_Relay", relay: "_Relay", population: Population, reach: Reach
    ) -> Projection:
        weight = self._weight(population.fires)
        return Projection(
            name=relay.name,
            source=before.name,
            target=relay.name,
            map=Sparse(
                post=np.arange(relay.kept.size),
                pre=np.searchsorted(before.kept, relay.kept),
                weight=np.full(relay.kept.size, weight, np.int32),
                post_shape=relay.shape,
                pre_shape=before.shape,
            ),
            shift=self.target.weights.shift.value,
            delay=np.asarray(reach.stride, np.int32),
            sign=Sign.EXCITATORY,
        )

    def _finding(self, chain: "_Chain", reach: Reach) -> Finding:
        neurons = sum(r.population.size for r in chain.relays)
        verb = "repeats" if neurons == 1 else "repeat"
        return Finding(
            kind=Kind.RETIMED,
            layer=chain.source.name,
            amount=f"{counted(neurons, 'relay neuron')} {verb} what it sends up to "
            f"{counted(len(chain.relays) * reach.stride, 'step')} later",
            reason=f"{self.target.name} has delays of {reach.delay} steps; the spikes are the same",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Relay:
    """Some neurons of a source, or those that repeat them."""

    name: str
    shape: tuple[int, ...]
    kept: Int[np.ndarray, " some"]
    """Indices of the source's neurons, ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repeated:
    """A relay with what leads to it."""

    population: Population
    hop: Projection
    relay: _Relay


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chain:
    """A source and the relays behind it."""

    source: _Relay
    relays: tuple[_Repeated, ...]

    def after(self, hops: int) -> _Relay:
        """Return the relay `hops` behind the source."""
        return self.relays[hops - 1].relay if hops else self.source


def _fires(low: int, high: int) -> Fires:
    """Return what neurons do that send any whole number from `low` to `high`."""
    if low >= 0:
        return Fires.BINARY if high <= 1 else Fires.COUNT
    return Fires.TERNARY if low >= -1 and high <= 1 else Fires.GRADED


def _earlier(lag: int, graph: Program) -> int:
    """Return a lag in the same phase as `lag`, such that no run goes on for the sake of a relay."""
    later = max(0, lag - graph.lag)
    steps = -(-later // graph.period) * graph.period
    return lag - min(steps, lag // graph.period * graph.period)


def _relay(
    before: _Relay, number: int, source: str, parts: Sequence[Part], taken: set[str]
) -> _Relay:
    """Return the relay behind `before` that `parts`, or relays for them, start from."""
    name = _free(f"{source}.relay{number}", taken)
    used = np.flatnonzero(np.any([used_sources(p.map) for p in parts], axis=0))
    if used.size == before.kept.size:
        return replace(before, name=name)
    return _Relay(name=name, shape=(used.size,), kept=used)


def _wires(parts: Sequence[Part], chain: _Chain, taken: set[str]) -> Iterator[Projection]:
    for part in parts:
        start, name = chain.after(part.hops), part.of.name
        if part.hops:
            name = _free(f"{name}.relay{part.hops}", taken)
        yield from from_some(part, start.kept, start.name, name)


def _names(graph: Program) -> set[str]:
    return {x.name for x in (*graph.nodes, *graph.projections)}


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
