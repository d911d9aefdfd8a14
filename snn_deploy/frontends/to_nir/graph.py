"""From layers to a NIR graph and everything that NIR leaves open about it.

Every layer becomes nodes of NIR that other tools know. Sums are edges, and so are
concatenations: each part goes through a map that puts it in its place. What neurons compute goes
into the annotation, exactly; the node says what NIR can say of it.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import nir
import numpy as np

from snn_deploy.errors import GraphError, ShapeError, UnknownNodeError
from snn_deploy.frontends.dynamics import Choice, Origin
from snn_deploy.frontends.layers import (
    Cell,
    Concatenation,
    Delay,
    Flatten,
    Into,
    Layer,
    LayerGraph,
    Node,
    Pool,
    Pooling,
    Rectifier,
    Sum,
    Unflatten,
    Upsample,
)
from snn_deploy.frontends.nir import Annotation, check_size
from snn_deploy.frontends.to_nir.chains import axis_in, chain_of, placed, pool
from snn_deploy.frontends.to_nir.nearest import nearest_node
from snn_deploy.frontends.to_nir.rewriting import folded, undelayed
from snn_deploy.frontends.to_nir.ways import Ways
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Arithmetic, Population
from snn_deploy.ir.neuron import State

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class NirForm:
    """A network as NIR says it, and what it leaves open."""

    graph: nir.NIRGraph
    annotation: Annotation


def to_nir(graph: LayerGraph) -> NirForm:
    """Return the NIR form of a network of layers.

    Raises:
        UnknownNodeError: a layer that only an ANN has, or a max-pooling of values that are not
            binary spikes.
        ShapeError: layers do not fit together.
        GraphError: two nodes have the same name, or nothing enters or leaves the network.
    """
    lowering = _Lowering(graph=_with_free_ports(undelayed(folded(graph))))
    lowering.run()
    made = nir.NIRGraph(nodes=lowering.nodes, edges=lowering.edges, metadata={}, type_check=False)
    annotation = Annotation(
        dt=_known(graph.dt),
        unit=_known(graph.unit),
        arithmetic=_known(Arithmetic.FLOAT64),
        feedback_bias_at_start=_known(not graph.bias_waits),
        neurons={},
        cells=lowering.cells,
        outputs={name: _known(how) for name, how in lowering.graph.decodes.items()},
        weights=lowering.graph.weights,
        feedback=tuple(sorted(lowering.pairs)),
        into=lowering.into,
    )
    return NirForm(graph=made, annotation=annotation)


def _known(value: T) -> Choice[T]:
    return Choice(value=value, origin=Origin.MODULE)


def _with_free_ports(graph: LayerGraph) -> LayerGraph:
    """Return the graph with outputs called otherwise where a layer has their name."""
    names = {
        name: f"{name}_port" if name in graph.nodes or name in graph.inputs else name
        for name in graph.outputs
    }
    return replace(
        graph,
        outputs={names[name]: source for name, source in graph.outputs.items()},
        decodes={names.get(name, name): how for name, how in graph.decodes.items()},
        weights={names.get(name, name): each for name, each in graph.weights.items()},
    )


@dataclass(slots=True)
class _Lowering:
    """NIR nodes and edges, as they are made."""

    graph: LayerGraph
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    cells: dict[str, Population] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    """Of what each node or input of the layers gives."""

    sources: dict[str, list[str]] = field(default_factory=dict)
    """NIR nodes whose sum is what each node or input of the layers gives."""

    given: dict[str, Shape] = field(default_factory=dict)
    """Shape of what a NIR node gives, of those that end a layer."""

    pairs: set[tuple[str, str]] = field(default_factory=set)
    """(source, target) of neurons whose edge carries the step before."""

    into: dict[str, State] = field(default_factory=dict)
    """State that each NIR node drives, of those that stand for an `Into`."""

    def run(self) -> None:
        graph = self.graph
        if not graph.inputs or not graph.outputs:
            raise GraphError("nothing enters the network, or nothing leaves it")
        _check_entrances(graph)
        for name, shape in graph.inputs.items():
            self.nodes[name] = nir.Input(input_type=np.array(shape))
            self.shapes[name], self.sources[name] = shape, [name]
            self.given[name] = shape
        for shape in graph.inputs.values():
            check_size(shape, "input")
        entries: dict[str, list[str]] = {}
        for name, node in graph.nodes.items():
            entries[name] = self._node(name, node)
            check_size(self.shapes[name], name)
        for name, source in graph.outputs.items():
            port = nir.Output(output_type=np.array(self.shapes[source]))
            self._put(name, {name: port})
            self._join(self.sources[source], name)
        walk = Ways(self.nodes, self.edges, self.cells)
        for name, node in graph.nodes.items():
            for source in node.fed_back:
                for entry in entries[name]:
                    self._feed_back(self.sources[source], entry, walk)

    def _feed_back(self, senders: Sequence[str], entry: str, walk: "Ways") -> None:
        """Add edges that carry the step before.

        Between neurons that nothing else joins, an edge that closes a loop does so by itself, as
        other tools read it too; elsewhere a Delay node says it.
        """
        for sender, times in Counter(senders).items():
            before, after = walk.behind(sender), walk.ahead(entry)
            pairs = {(b, a) for b in before.neurons for a in after.neurons}
            plain = times == 1 and pairs and not (before.others or after.others)
            if plain and all(walk.closes(b, a) for b, a in pairs):
                self.edges.append((sender, entry))
                self.pairs |= pairs
                continue
            late = f"{entry}.{sender}.before"
            delay = np.full(self.given[sender], self.graph.dt)
            self._put(late, {late: nir.Delay(delay=delay)})
            self._join([sender] * times, late)
            self.edges.append((late, entry))

    def _node(self, name: str, node: Node) -> list[str]:
        """Add a node; return the NIR nodes that read what enters it."""
        if isinstance(node.layer, Concatenation):
            return self._concatenate(name, node.layer, node)
        entering = [s for source in node.inputs for s in self.sources[source]]
        shape = self._entering_shape(name, node)
        if isinstance(node.layer, Sum):
            if node.fed_back:
                raise GraphError("values are fed back into a sum", where=name)
            self.shapes[name], self.sources[name] = shape, entering
            return []
        chain, gives = self._chain(name, node.layer, shape, node)
        if not chain:
            if node.fed_back:
                raise GraphError("values are fed back into a layer that does nothing", where=name)
            self.shapes[name], self.sources[name] = gives, entering
            return []
        self._put(name, chain)
        names = list(chain)
        self._join(entering, names[0])
        self.edges += itertools.pairwise(names)
        self.shapes[name], self.sources[name] = gives, [names[-1]]
        self.given[names[-1]] = gives
        return [names[0]]

    def _put(self, name: str, chain: Mapping[str, nir.NIRNode]) -> None:
        taken = sorted(chain.keys() & self.nodes.keys())
        if taken:
            raise GraphError(f"two layers have the same name {taken[0]!r}", where=name)
        self.nodes |= chain

    def _entering_shape(self, name: str, node: Node) -> Shape:
        shapes = [self.shapes[source] for source in node.inputs]
        if not shapes:
            raise GraphError("nothing enters it but what is fed back", where=name)
        if len(set(shapes)) > 1:
            raise ShapeError(
                f"values of different shapes are added: {', '.join(map(str, shapes))}", where=name
            )
        return shapes[0]

    def _join(self, sources: Sequence[str], target: str) -> None:
        """Add edges; a source that stands several times goes through a factor."""
        for source, times in Counter(sources).items():
            if times == 1:
                self.edges.append((source, target))
                continue
            factor = f"{target}.{source}.times"
            scale = nir.Scale(scale=np.full(self.given[source], float(times)))
            self._put(factor, {factor: scale})
            self.edges += [(source, factor), (factor, target)]

    def _concatenate(self, name: str, layer: Concatenation, node: Node) -> list[str]:
        shapes = [self.shapes[source] for source in node.inputs]
        axis = axis_in(layer.axis, len(shapes[0]), name)
        rests = {(shape[:axis], shape[axis + 1 :]) for shape in shapes}
        if len(rests) > 1 or node.fed_back:
            raise ShapeError(
                f"values of shapes {', '.join(map(str, shapes))} do not fit side by side",
                where=name,
            )
        sides = [shape[axis] for shape in shapes]
        gives = (*shapes[0][:axis], sum(sides), *shapes[0][axis + 1 :])
        made, start = [], 0
        for index, (source, side) in enumerate(zip(node.inputs, sides, strict=True)):
            part = f"{name}.{index}"
            chain = placed(part, self.shapes[source], gives, axis, start)
            self._put(name, chain)
            names = list(chain)
            self._join(self.sources[source], names[0])
            self.edges += itertools.pairwise(names)
            made.append(names[-1])
            self.given[names[-1]] = gives
            start += side
        self.shapes[name], self.sources[name] = gives, made
        return []

    def _chain(
        self, name: str, layer: Layer, reads: Shape, node: Node
    ) -> tuple[dict[str, nir.NIRNode], Shape]:
        """Return the NIR nodes of a layer, one after another, and what the last one gives."""
        if isinstance(layer, Into):
            self.into[name] = layer.state
            return {name: nir.Scale(scale=np.ones(reads))}, reads
        if isinstance(layer, Cell):
            return self._neurons(name, layer, reads), reads
        if isinstance(layer, Pool) and layer.pooling is Pooling.MAX:
            return self._any_spike(name, layer, reads, node)
        if isinstance(layer, Delay):
            delay = np.full(reads, layer.steps * self.graph.dt)
            return {name: nir.Delay(delay=delay)}, reads
        if isinstance(layer, Rectifier):
            if _idle(self.graph, node):
                return {}, reads  # 0 and 1 stay what they are
            if self.cells:
                raise UnknownNodeError(
                    "an activation between neurons, of values that are not single spikes",
                    where=name,
                    fix="take it out, or put neurons in its place",
                )
            raise UnknownNodeError(
                "this network has activations in place of neurons: it is an ANN",
                where=name,
                fix="snn-deploy export with --calibrate DATA, inputs like those to come: with them "
                "its activations become integrate-and-fire neurons (--steps says for how many "
                "steps)",
            )
        return chain_of(name, layer, reads)

    def _neurons(self, name: str, cell: Cell, shape: Shape) -> dict[str, nir.NIRNode]:
        population = cell.population(name, shape)
        self.cells[name] = population
        return {name: nearest_node(population, self.graph.dt)}

    def _any_spike(
        self, name: str, layer: Pool, reads: Shape, node: Node
    ) -> tuple[dict[str, nir.NIRNode], Shape]:
        """Return a max-pooling of binary spikes: a neuron that fires if any of a window does."""
        if not all(binary(self.graph, source) for source in node.inputs) or len(node.inputs) != 1:
            raise UnknownNodeError(
                "a max-pooling is read only right behind neurons that send one spike a step",
                where=name,
                fix="put it behind the neurons, or use an average pooling",
            )
        total, gives = pool(f"{name}.sum", replace(layer, pooling=Pooling.SUM), reads)
        either = Cell(decay=np.zeros(()), threshold=np.full((), 0.5))
        return {**total, **self._neurons(name, either, gives)}, gives


def _check_entrances(graph: LayerGraph) -> None:
    """Refuse an `Into` that something else than neurons reads.

    Raises:
        GraphError: with what reads it.
    """
    for name, readers in graph.consumers().items():
        node = graph.nodes.get(name)
        if node is None or not isinstance(node.layer, Into):
            continue
        others = [each for each in readers if not isinstance(graph.nodes[each].layer, Cell)]
        others += [port for port, source in graph.outputs.items() if source == name]
        if others:
            raise GraphError(
                f"what it reads enters the {node.layer.state.value} of neurons, but "
                f"{others[0]} has none",
                where=name,
                fix="put it right before the neurons",
            )


def _idle(graph: LayerGraph, node: Node) -> bool:
    """Return whether a rectifier changes nothing: it reads single spikes, not more than its
    ceiling at once."""
    assert isinstance(node.layer, Rectifier)
    most = node.layer.ceiling
    within = most is None or most >= len(node.inputs)
    return within and all(binary(graph, source) for source in node.inputs)


def binary(graph: LayerGraph, name: str) -> bool:
    """Return whether a node gives 0 or 1 only, being neurons that send one spike a step."""
    node = graph.nodes.get(name)
    if node is None:
        return False
    if isinstance(node.layer, Cell):
        return node.layer.binary
    if isinstance(node.layer, Rectifier):
        return len(node.inputs) == 1 and _idle(graph, node)
    is_max = isinstance(node.layer, Pool) and node.layer.pooling is Pooling.MAX
    if is_max or isinstance(node.layer, Flatten | Unflatten | Upsample | Delay | Concatenation):
        joined = isinstance(node.layer, Concatenation) or len(node.inputs) == 1
        return joined and all(binary(graph, source) for source in node.inputs)
    return False
