"""From a NIR graph to a `Network`: dynamics are decided, linear parts become projections."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import nir
import numpy as np

from snn_deploy.errors import FileDamagedError, GraphError, ShapeError
from snn_deploy.frontends.dynamics import Choice, Origin, Overrides, Unit
from snn_deploy.frontends.nir.annotation import KEY, Annotation, Stated, annotated, stated_in
from snn_deploy.frontends.nir.biases import with_biases
from snn_deploy.frontends.nir.decisions import decide
from snn_deploy.frontends.nir.dialects import Dialect
from snn_deploy.frontends.nir.file import write_graph
from snn_deploy.frontends.nir.flat import FlatGraph, complete_ports, flatten, natural
from snn_deploy.frontends.nir.imported import Imported
from snn_deploy.frontends.nir.maps import Stage, stage_of
from snn_deploy.frontends.nir.neurons import population_of
from snn_deploy.frontends.nir.nodes import NEURONS
from snn_deploy.frontends.nir.routes import (
    Route,
    arriving_biases,
    depth_first,
    later,
    projections_of,
    routes_from,
    useful_nodes,
    ways_of,
)
from snn_deploy.frontends.nir.shapes import Shapes, infer_shapes
from snn_deploy.ir.checks import entries
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.graph import shortest_delay
from snn_deploy.ir.maps import Scale, Shape
from snn_deploy.ir.network import Bias, Input, Network, Output, Population, Projection
from snn_deploy.ir.neuron import Decode, Fires, State

Pair = tuple[str, str]


def import_graph(
    graph: nir.NIRGraph,
    *,
    name: str,
    where: str,
    dialect: Dialect | None = None,
    overrides: Overrides | None = None,
    annotation: Annotation | None = None,
) -> Imported:
    """Return the network of a checked NIR graph.

    Args:
        graph: As `read_graph` or `checked_graph` return it.
        name: Of the network.
        where: What to call the graph in errors.
        dialect: Who wrote it, where its metadata does not say; None: guess.
        overrides: Single things that the user states.
        annotation: What is known of a graph that was made from a module; its metadata is then
            not read.

    Raises:
        ModelError: the graph cannot be read as a network.
        OptionError: an override contradicts the graph.
    """
    stated = (
        Stated(annotation=annotation, untouched=True)
        if annotation is not None
        else stated_in(graph, where)
    )
    flat = complete_ports(flatten(graph))
    shapes = infer_shapes(flat)
    neurons = {n: node for n, node in flat.nodes.items() if isinstance(node, NEURONS)}
    decision = decide(neurons, stated, dialect, overrides or Overrides())
    assembly = _Assembly.of(flat, shapes, decision.annotation, overrides or Overrides())
    network = assembly.network(name)
    findings = [*decision.findings, *flat.findings, *assembly.findings]
    if stated is None or not stated.untouched:
        findings[len(decision.findings) : len(decision.findings)] = shapes.findings
    complete = annotated(_canonical(flat, shapes, graph), assembly.annotation)
    return Imported(
        network=network,
        graph=complete,
        annotation=assembly.annotation,
        findings=tuple(findings),
        nir_bytes=write_graph(complete),
        encoding=assembly.annotation.encoding,
    )


@dataclass(slots=True)
class _Assembly:
    """The pieces of a network on their way to become one."""

    flat: FlatGraph
    shapes: Shapes
    annotation: Annotation
    overrides: Overrides
    stages: dict[str, Stage]
    successors: Mapping[str, Sequence[str]]
    useful: frozenset[str]
    findings: list[Finding]

    @classmethod
    def of(
        cls, flat: FlatGraph, shapes: Shapes, annotation: Annotation, overrides: Overrides
    ) -> "_Assembly":
        stages: dict[str, Stage] = {}
        findings: list[Finding] = []
        dt = annotation.dt.value
        ends = [n for n, node in flat.nodes.items() if isinstance(node, (*NEURONS, nir.Output))]
        useful = useful_nodes(ends, flat.predecessors())
        following = flat.successors()
        for name, node in flat.nodes.items():
            if not isinstance(node, (*NEURONS, nir.Input, nir.Output)):
                stages[name], found = stage_of(name, node, shapes, dt)
                findings += found
            if name in annotation.into:
                _check_entrance(name, annotation.into[name], following[name], flat.nodes)
                stages[name] = _passing(stages[name])
            if name not in useful:
                findings.append(
                    Finding(
                        kind=Kind.CHANGED,
                        layer=name,
                        amount="left out",
                        reason="no neuron and no output comes after it",
                    )
                )
        return cls(
            flat=flat,
            shapes=shapes,
            annotation=annotation,
            overrides=overrides,
            stages=stages,
            successors=following,
            useful=useful,
            findings=findings,
        )

    def network(self, name: str) -> Network:
        routes = [route for source in self._sources() for route in self._routes(source)]
        populations = {n: self._population(n) for n in self._names(*NEURONS)}
        outputs, readouts = self._outputs(routes, populations)
        populations |= {population.name: population for population in readouts}
        inner = [route for route in routes if route.target in populations]
        for route in inner:
            _check_state(route, populations[route.target])
        senders = {route.source for route in inner}
        populations = {n: _sending(p, senders) for n, p in populations.items()}
        late = self._late()
        sizes = {n: math.prod(self.shapes.gives[n]) for n in self._sources()}
        projections, feedback = self._delay_loops(projections_of(inner, sizes, late))
        populations = self._add_biases(populations, inner, feedback)
        chosen = {o.name: self._decode(o.name, o.decode) for o in outputs}
        self.annotation = replace(self.annotation, outputs=chosen, feedback=tuple(sorted(feedback)))
        order = self._order(projections, populations, feedback)
        place = {population: index for index, population in enumerate(order)}
        seconds = self.annotation.unit.value is Unit.SECOND
        return Network(
            name=name,
            inputs=tuple(Input(name=n, shape=self.shapes.gives[n]) for n in self._names(nir.Input)),
            populations=tuple(populations[n] for n in order),
            projections=tuple(
                sorted(projections, key=lambda p: place[p.target])  # stable: natural order
            ),
            outputs=tuple(self._decoded(o, chosen[o.name].value) for o in outputs),
            dt=self.annotation.dt.value if seconds else None,
            arithmetic=self.annotation.arithmetic.value,
        )

    def _names(self, *types: type) -> list[str]:
        return [name for name, node in self.flat.nodes.items() if isinstance(node, types)]

    def _sources(self) -> list[str]:
        return [*self._names(nir.Input), *self._names(*NEURONS)]

    def _routes(self, start: str) -> list[Route]:
        into = self.annotation.into
        if not into:
            return routes_from(start, self.successors, self.stages, self.useful)
        return [
            replace(route, into=into.get(route.stages[-1].name if route.stages else start))
            for route in routes_from(start, self.successors, self.stages, self.useful)
        ]

    def _population(self, name: str) -> Population:
        node, shape = self.flat.nodes[name], self.shapes.reads[name]
        stated = self.annotation.cells.get(name)
        if stated is not None:
            if stated.shape != shape:
                raise ShapeError(
                    f"neurons of shape {stated.shape} are given values of shape {shape}", where=name
                )
            return stated
        dynamics = self.annotation.neurons[name]
        return population_of(name, node, shape, dynamics, self.annotation.dt.value)

    def _late(self) -> dict[str, int]:
        neurons = self.annotation.neurons
        return {n: d.firing.late.value for n, d in neurons.items() if d.firing is not None}

    def _outputs(
        self, routes: Sequence[Route], populations: Mapping[str, Population]
    ) -> tuple[list[Output], list[Population]]:
        """Return the outputs, and readout neurons for those that are not just a neuron's."""
        outputs, readouts = [], []
        for name in self._names(nir.Output):
            arriving = [route for route in routes if route.target == name]
            direct = _direct(arriving)
            if direct is not None and arriving[0].source in populations:
                source = populations[arriving[0].source]
                spiking = source.fires.spiking
                decode = Decode.COUNT if spiking else Decode.MEMBRANE_END
                late = direct + self._late().get(source.name, 0)
                outputs.append(Output(name=name, population=source.name, decode=decode, delay=late))
            else:
                readouts.append(
                    Population(
                        name=name,
                        shape=self.shapes.reads[name],
                        decay=np.zeros(()),
                        fires=Fires.NEVER,
                    )
                )
                outputs.append(Output(name=name, population=name, decode=Decode.MEMBRANE_MEAN))
        return outputs, readouts

    def _decode(self, name: str, likely: Decode) -> Choice[Decode]:
        if self.overrides.decode is not None:
            return Choice(value=self.overrides.decode, origin=Origin.OVERRIDE)
        stated = self.annotation.outputs.get(name)
        if stated is not None:
            return stated
        if likely is not Decode.COUNT:
            self.findings.append(
                Finding(
                    kind=Kind.GUESSED,
                    layer=name,
                    amount=f"read as {likely.value}",
                    reason="NIR does not say how an output that does not fire is read; "
                    "--decode does",
                )
            )
        return Choice(value=likely, origin=Origin.GUESSED)

    def _decoded(self, output: Output, decode: Decode) -> Output:
        weights = self.annotation.weights.get(output.name) if decode.weighted else None
        return replace(output, decode=decode, weights=weights)

    def _delay_loops(self, projections: Sequence[Projection]) -> tuple[list[Projection], set[Pair]]:
        """Return the projections, those that close a loop delayed by a step, and their ends."""
        ends = {(p.source, p.target) for p in projections if shortest_delay(p) == 0}
        feedback = {pair for pair in self.annotation.feedback if pair in ends}
        feedback |= {pair for pair in ends if pair[0] == pair[1]}
        walk = self._walk(ends - feedback)
        for source, target in walk.closing:
            self.findings.append(
                Finding(
                    kind=Kind.GUESSED,
                    layer=f"{source} -> {target}",
                    amount="carries the spikes of the step before",
                    reason="it closes a loop without delay, and NIR does not say where the step "
                    "ends; a Delay node in the loop does",
                )
            )
        feedback |= set(walk.closing)
        delayed = [
            replace(p, delay=later(p.delay, 1))
            if (p.source, p.target) in feedback and shortest_delay(p) == 0
            else p
            for p in projections
        ]
        return delayed, feedback

    def _walk(self, ends: set[Pair]) -> "_Walk":
        following: dict[str, list[str]] = {}
        for source, target in sorted(ends, key=lambda pair: natural(pair[1]), reverse=True):
            following.setdefault(source, []).append(target)
        walk = depth_first(
            [*self._sources(), *self._names(nir.Output)], lambda n: following.get(n, [])
        )
        return _Walk(order=walk.order, closing=walk.closing)

    def _order(
        self,
        projections: Sequence[Projection],
        populations: Mapping[str, Population],
        feedback: set[Pair],
    ) -> list[str]:
        """Return the populations from inputs to outputs; feedback does not count."""
        ends = {(p.source, p.target) for p in projections} - feedback
        return [name for name in self._walk(ends).order if name in populations]

    def _add_biases(
        self,
        populations: Mapping[str, Population],
        routes: Sequence[Route],
        feedback: set[Pair],
    ) -> dict[str, Population]:
        arriving: dict[str, list[Bias]] = {name: [] for name in populations}
        for name, stage in self.stages.items():
            if stage.bias is None or name not in self.useful:
                continue
            for route in self._routes(name):
                if route.target not in populations:
                    continue
                silent = self._silent(name, route.target, routes, feedback)
                for bias in arriving_biases(stage, [route], silent):
                    target = populations[bias.target]
                    arriving[bias.target].append(
                        Bias(
                            value=_shaped(bias.value, bias.shape, target.shape),
                            into=bias.into or target.entry,
                            start=bias.start,
                        )
                    )
        return {n: with_biases(p, arriving[n]) for n, p in populations.items()}

    def _silent(self, name: str, target: str, routes: Sequence[Route], feedback: set[Pair]) -> int:
        """Return the steps before a linear node's bias acts on a population: it waits for the
        first input that it passes on there, if so stated."""
        if self.annotation.feedback_bias_at_start.value:
            return 0
        late = self._late()
        waits = []
        for route in routes:
            names = [stage.name for stage in route.stages]
            if name in names and route.target == target:
                before = Route(
                    source=route.source,
                    stages=route.stages[: names.index(name)],
                    target=route.target,
                )
                closes = (route.source, route.target) in feedback
                first = min(int(way.delay().min()) for way in ways_of(before))
                waits.append(first + late.get(route.source, 0) + closes)
        return min(waits, default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    order: list[str]
    closing: list[Pair]


def _check_entrance(
    name: str, state: State, following: Sequence[str], nodes: Mapping[str, nir.NIRNode]
) -> None:
    """Refuse a node that drives a state of neurons, but leads to something else too.

    Raises:
        FileDamagedError: with what it leads to.
    """
    for target in following:
        if not isinstance(nodes[target], NEURONS):
            raise FileDamagedError(
                f"our metadata says that it drives the {state.value} of neurons, but {target} is "
                "none",
                where=name,
            )


def _check_state(route: Route, population: Population) -> None:
    """Refuse a way into a state that the neurons at its end do not have.

    Raises:
        GraphError: with the states that they have.
    """
    known = entries(population)
    if route.into is None or route.into in known:
        return
    raise GraphError(
        f"it enters the state {route.into.value!r}, which {population.name} does not have",
        where=route.stages[-1].name if route.stages else route.source,
        fix=f"one of {', '.join(sorted(state.value for state in known))}",
    )


def _passing(stage: Stage) -> Stage:
    """Return a stage without its map, where that changes nothing."""
    linear = stage.map
    same = isinstance(linear, Scale) and bool(np.all(linear.factor == 1))
    return replace(stage, map=None) if same else stage


def _sending(population: Population, senders: set[str]) -> Population:
    """Return neurons that never fire as ones that send their membrane, if anything reads them."""
    if population.fires is not Fires.NEVER or population.name not in senders:
        return population
    return replace(population, fires=Fires.GRADED)


def _direct(routes: Sequence[Route]) -> int | None:
    """Return the delay of the only route if it does nothing else; None: it does, or there are
    several."""
    if len(routes) != 1:
        return None
    (way, *others) = ways_of(routes[0])
    if others or way.maps or way.per_source is not None:
        return None
    return None if any(s.bias is not None for s in routes[0].stages) else way.steps


def _shaped(value: np.ndarray, shape: Shape, wanted: Shape) -> np.ndarray:
    return value if shape == wanted else np.broadcast_to(value, shape).reshape(wanted)


def _canonical(flat: FlatGraph, shapes: Shapes, graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return the flat graph with every shape filled in and every parameter at full size."""
    nodes = {}
    for name, node in flat.nodes.items():
        reads, gives = np.array(shapes.reads[name]), np.array(shapes.gives[name])
        nodes[name] = _filled(node, reads, gives)
    metadata = {key: value for key, value in graph.metadata.items() if key != KEY}
    return nir.NIRGraph(nodes=nodes, edges=flat.edges, metadata=metadata, type_check=False)


def _filled(node: nir.NIRNode, reads: np.ndarray, gives: np.ndarray) -> nir.NIRNode:
    if isinstance(node, nir.Input):
        copy = nir.Input(input_type=reads)
    elif isinstance(node, nir.Output):
        copy = nir.Output(output_type=reads)
    elif isinstance(node, nir.Flatten):
        copy = nir.Flatten(input_type=None, start_dim=node.start_dim, end_dim=node.end_dim)
    elif isinstance(node, nir.Conv1d | nir.Conv2d):
        fields = ("weight", "stride", "padding", "dilation", "groups", "bias")
        copy = type(node)(input_shape=None, **{f: getattr(node, f) for f in fields})
        copy.input_shape = reads[1] if isinstance(node, nir.Conv1d) else reads[1:]
    elif isinstance(node, (*NEURONS, nir.Scale, nir.Delay)):
        fields = tuple(vars(node).keys() - {"input_type", "output_type", "metadata"})
        full = {f: np.array(np.broadcast_to(getattr(node, f), tuple(reads))) for f in fields}
        copy = type(node)(**full)
    else:
        copy = type(node)(
            **{f: v for f, v in vars(node).items() if not f.endswith("_type") and f != "metadata"}
        )
    copy.input_type, copy.output_type = {"input": reads}, {"output": gives}
    copy.metadata = dict(node.metadata)
    return copy
