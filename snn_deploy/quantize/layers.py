"""Chips with neurons for hidden layers and others for the output: what fits, and what changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import ClassVar

import numpy as np

from snn_deploy.errors import DoesNotFitError, UnsupportedError
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import to_sparse
from snn_deploy.ir.network import Input, Network, Population
from snn_deploy.ir.neuron import Fires, State, When
from snn_deploy.ir.program import Program, Projection
from snn_deploy.ir.words import counted
from snn_deploy.quantize.passes import Passed
from snn_deploy.targets import Basic, Layers, Target


class Place(Enum):
    """Which neurons of such a chip a population, or an input, takes."""

    INPUT = "input"
    HIDDEN = "hidden"
    OUTPUT = "output"


ROUTES = (
    (Place.INPUT, Place.HIDDEN),
    (Place.HIDDEN, Place.HIDDEN),
    (Place.HIDDEN, Place.OUTPUT),
)
"""Who may drive whom."""


def places(graph: Network | Program) -> dict[str, Place]:
    """Return the place of each input and population: outputs are those whose answer is read."""
    read = {output.population for output in graph.outputs}
    found = {entry.name: Place.INPUT for entry in graph.inputs}
    for population in graph.populations:
        found[population.name] = Place.OUTPUT if population.name in read else Place.HIDDEN
    return found


def _rules(target: Target) -> Layers:
    assert target.layers is not None, target.name
    return target.layers


def _nodes(graph: Network) -> tuple[Input | Population, ...]:
    return (*graph.inputs, *graph.populations)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitLayers:
    """Pass: the network in the chip's hidden and output neurons, which send what those send.

    Projections come in the order in which the chip adds them: those of inputs first, then those
    of hidden neurons, as they are declared.
    """

    name: ClassVar[str] = "fit-layers"

    target: Target

    def __call__(self, graph: Network) -> Passed[Network]:
        """Return `graph` with the spikes of the chip.

        Raises:
            UnsupportedError: neurons drive others that they do not reach on the chip, a bias enters
                a current, or neurons cannot send several spikes in a step.
            DoesNotFitError: there are more inputs or neurons than the chip has.
        """
        place = places(graph)
        self._check_routes(graph, place)
        self._check_sizes(graph, place)
        made = [self._neurons(p, place[p.name]) for p in graph.populations]
        order = {node.name: k for k, node in enumerate(_nodes(graph))}
        return Passed(
            graph=replace(
                graph,
                populations=tuple(population for population, _ in made),
                projections=tuple(sorted(graph.projections, key=lambda p: order[p.source])),
            ),
            findings=tuple(finding for _, findings in made for finding in findings),
        )

    def _check_routes(self, graph: Network, place: dict[str, Place]) -> None:
        for p in graph.projections:
            ends = place[p.source], place[p.target]
            if ends not in ROUTES:
                raise UnsupportedError(
                    f"{self.target.name} has no way from {ends[0].value} to {ends[1].value} "
                    "neurons: inputs drive hidden neurons, these each other and the output",
                    where=p.name,
                    fix="put a hidden layer between them, or --target cpu",
                )
        pairs = [(p.source, p.target) for p in graph.projections]
        for p in graph.projections:
            if pairs.count((p.source, p.target)) > 1:
                raise UnsupportedError(
                    f"two projections lead from {p.source} to {p.target}; {self.target.name} has "
                    "one synapse for each pair of neurons",
                    where=p.name,
                    fix="add their weights up, or --target cpu",
                )
        for population in graph.populations:
            if any(b.into is State.CURRENT and np.any(b.value) for b in population.biases):
                raise UnsupportedError(
                    f"{self.target.name} has no bias that enters a synaptic current",
                    where=population.name,
                    fix="train without that bias, or --target cpu",
                )

    def _check_sizes(self, graph: Network, place: dict[str, Place]) -> None:
        rules, used = _rules(self.target), dict.fromkeys(Place, 0)
        for node in _nodes(graph):
            used[place[node.name]] += node.size
        limits = ((Place.INPUT, rules.inputs), (Place.HIDDEN, rules.hidden),
                  (Place.OUTPUT, rules.outputs))  # fmt: skip
        beyond = [
            f"{counted(used[kind], limit.unit)} of {limit.value}"
            for kind, limit in limits
            if used[kind] > limit.value
        ]
        if beyond:
            raise DoesNotFitError(
                f"{self.target.name} is too small: the network has {', '.join(beyond)}",
                where=graph.name,
                fix="make these layers smaller, or --target cpu",
            )

    def _neurons(
        self, population: Population, place: Place
    ) -> tuple[Population, tuple[Finding, ...]]:
        rules = _rules(self.target)
        if population.fires not in (Fires.BINARY, Fires.COUNT):
            return population, ()
        most = (rules.hidden_spikes if place is Place.HIDDEN else rules.output_spikes).value
        sends = population.max_spikes if population.fires is Fires.COUNT else 1
        if sends == most or (sends < most and self.target.has(Basic.FEWER_SPIKES)):
            return population, ()
        if most > 1:
            self._check_several(population, most)
        made = replace(
            population,
            fires=Fires.COUNT if most > 1 else Fires.BINARY,
            max_spikes=most if most > 1 else 1,
        )
        finding = Finding(
            kind=Kind.CHANGED,
            layer=population.name,
            amount=f"a neuron sends up to {counted(most, 'spike')} in a step, where it sent up to "
            f"{sends}",
            reason=f"so do the {place.value} neurons of {self.target.name}",
        )
        return made, (finding,)

    def _check_several(self, population: Population, most: int) -> None:
        """Refuse neurons that cannot send several spikes in a step, as those of the chip do.

        Raises:
            UnsupportedError: their reset is tested again, or their threshold is not positive.
        """
        sends = f"{self.target.name} sends up to {counted(most, 'spike')} in a step"
        if population.reset.when is When.RETESTED:
            raise UnsupportedError(
                f"{sends}, and does not have a reset that is tested again in the next step",
                where=population.name,
                fix="--reset subtract, if the network works with it, or --target cpu",
            )
        lowest = float(population.threshold.min())
        if lowest <= 0:
            raise UnsupportedError(
                f"a threshold of {lowest:g}, but {sends}: as many as the threshold goes into the "
                "membrane, which needs a positive one",
                where=f"{population.name}.threshold",
                fix="train with a threshold above 0, or --target cpu",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareExponents:
    """Pass: all projections between two kinds of neurons get the largest exponent among them.

    Their weights become as many times smaller, and are rounded to the nearest, half to even.
    """

    name: ClassVar[str] = "share-exponents"

    target: Target

    def __call__(self, graph: Program) -> Passed[Program]:
        """Return `graph` with one exponent for each route."""
        place = places(graph)
        shared: dict[tuple[Place, Place], int] = {}
        for p in graph.projections:
            route = place[p.source], place[p.target]
            shared[route] = max(shared.get(route, 0), p.shift)
        projections, findings = [], []
        for p in graph.projections:
            most = shared[place[p.source], place[p.target]]
            made, finding = self._shifted(p, most)
            projections.append(made)
            findings += finding
        return Passed(
            graph=replace(graph, projections=tuple(projections)), findings=tuple(findings)
        )

    def _shifted(self, projection: Projection, shift: int) -> tuple[Projection, list[Finding]]:
        extra = shift - projection.shift
        if not extra:
            return projection, []
        weight = projection.map.numbers()
        rounded = np.rint(weight / (1 << extra)).astype(np.int32)
        made = replace(projection, map=projection.map.with_numbers(rounded), shift=shift)
        lost = int(np.count_nonzero(rounded << extra != weight))
        if not lost:
            return made, []
        return made, [
            Finding(
                kind=Kind.ROUNDED,
                layer=projection.name,
                amount=f"{lost} of {counted(weight.size, 'weight')} rounded to multiples of "
                f"{1 << extra}",
                reason=f"{self.target.name} has one weight exponent for all projections of its "
                "kind; layers of more equal weights lose less",
            )
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLayers:
    """Pass: the same program, if the chip's hidden and output neurons hold it."""

    name: ClassVar[str] = "check-layers"

    target: Target

    def __call__(self, graph: Program) -> Passed[Program]:
        """Return `graph`.

        Raises:
            DoesNotFitError: more synapses than the chip has, or a delay that no input has.
        """
        place = places(graph)
        recurrent = [
            p for p in graph.projections
            if (place[p.source], place[p.target]) == (Place.HIDDEN, Place.HIDDEN)
        ]  # fmt: skip
        self._check_delays(graph, place)
        self._check_synapses(graph, recurrent)
        return Passed(graph=graph)

    def _check_delays(self, graph: Program, place: dict[str, Place]) -> None:
        allowed = self.target.input_delay or self.target.delay
        for p in graph.projections:
            if place[p.source] is Place.INPUT and p.delay.size:
                for steps in (int(p.delay.min()), int(p.delay.max())):
                    if steps not in allowed:
                        raise DoesNotFitError(
                            f"what enters takes {counted(steps, 'step')} to {p.target}, but "
                            f"{self.target.name} has {allowed} from its inputs",
                            where=p.name,
                            fix="let inputs drive the first hidden layer only, or --target cpu",
                        )

    def _check_synapses(self, graph: Program, recurrent: Sequence[Projection]) -> None:
        rules = _rules(self.target)
        fan_out = {p.name: np.zeros(p.size, np.int64) for p in graph.populations}
        total = 0
        for p in recurrent:
            synapses = to_sparse(p.map)
            fan_out[p.source] += np.bincount(synapses.pre, minlength=p.map.in_size)
            total += synapses.weight.size
        beyond = list(self._beyond(fan_out))
        if total > rules.hidden_synapses.value:
            beyond.append(
                f"{total} synapses between hidden neurons of {rules.hidden_synapses.value}"
            )
        if beyond:
            raise DoesNotFitError(
                f"{self.target.name} is too small: {', '.join(beyond)}",
                where=graph.name,
                fix="prune the weights between hidden layers, or --target cpu",
            )

    def _beyond(self, fan_out: dict[str, np.ndarray]) -> Iterator[str]:
        most = _rules(self.target).hidden_fan_out
        for name, number in fan_out.items():
            if number.size and number.max() > most.value:
                worst = int(number.argmax())
                yield (
                    f"neuron {worst} of {name} drives {number[worst]} hidden neurons of "
                    f"{most.value}"
                )
