"""From layers to a NIR graph and everything that NIR leaves open about it.

Every layer becomes nodes of NIR that other tools know. Sums are edges, and so are
concatenations: each part goes through a map that puts it in its place. What neurons compute goes
into the annotation, exactly; the node says what NIR can say of it.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import nir
import numpy as np

from snn_deploy.errors import GraphError, ShapeError, UnknownNodeError
from snn_deploy.frontends.annotation import Annotation
from snn_deploy.frontends.dynamics import Choice, Origin
from snn_deploy.frontends.layers import (
    AdaptiveAverage,
    Cell,
    ChannelAffine,
    Concatenation,
    Convolution,
    Delay,
    Flatten,
    Layer,
    LayerGraph,
    Linear,
    Node,
    Pool,
    Pooling,
    Rectifier,
    Scale,
    Sum,
    TransposedConvolution,
    Unflatten,
    Upsample,
    fitted,
)
from snn_deploy.frontends.nearest import nearest_node
from snn_deploy.frontends.resizing import adaptive_map, matrix_of, transposed_map, upsampled_map
from snn_deploy.ir.maps import Shape, Sparse
from snn_deploy.ir.network import Arithmetic, Population
from snn_deploy.ir.neuron import Fires

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
        GraphError: the same neurons are joined both within a step and over two.
    """
    lowering = _Lowering(graph=folded(graph))
    lowering.run()
    made = nir.NIRGraph(nodes=lowering.nodes, edges=lowering.edges, metadata={}, type_check=False)
    annotation = Annotation(
        dt=_known(graph.dt),
        unit=_known(graph.unit),
        arithmetic=_known(Arithmetic.FLOAT64),
        feedback_bias_at_start=_known(not graph.bias_waits),
        neurons={},
        cells=lowering.cells,
        outputs={name: _known(decode) for name, decode in graph.decodes.items()},
        feedback=lowering.feedback_pairs(),
    )
    return NirForm(graph=made, annotation=annotation)


def _known(value: T) -> Choice[T]:
    return Choice(value=value, origin=Origin.MODULE)


def folded(graph: LayerGraph) -> LayerGraph:
    """Return the graph with each normalisation folded into the kernel that alone feeds it."""
    readers = graph.consumers()
    nodes = dict(graph.nodes)
    renamed: dict[str, str] = {}
    for name, node in graph.nodes.items():
        if not isinstance(node.layer, ChannelAffine) or len(node.inputs) != 1 or node.fed_back:
            continue
        source = renamed.get(node.inputs[0], node.inputs[0])
        before = nodes.get(source)
        if before is None or len(readers[node.inputs[0]]) != 1:
            continue
        kernel = before.layer
        if isinstance(kernel, Linear | Convolution | TransposedConvolution):
            nodes[source] = replace(before, layer=_normalised(kernel, node.layer, name))
            renamed[name] = source
            del nodes[name]

    def now(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(renamed.get(n, n) for n in names)

    return replace(
        graph,
        nodes={
            name: replace(node, inputs=now(node.inputs), fed_back=now(node.fed_back))
            for name, node in nodes.items()
        },
        outputs={name: renamed.get(source, source) for name, source in graph.outputs.items()},
    )


def _normalised(
    kernel: Linear | Convolution | TransposedConvolution, affine: ChannelAffine, name: str
) -> Linear | Convolution | TransposedConvolution:
    """Return a kernel followed by a factor and a shift per channel of its output."""
    weight = np.asarray(kernel.weight, np.float64)
    channels = weight.shape[0]
    if isinstance(kernel, TransposedConvolution):
        channels = weight.shape[1] * kernel.groups
    if channels != affine.scale.size:
        raise ShapeError(
            f"it normalises {affine.scale.size} channels, but is given {channels}", where=name
        )
    bias = affine.shift + (0.0 if kernel.bias is None else affine.scale * kernel.bias)
    if isinstance(kernel, TransposedConvolution):
        # [in, out / groups, ...]: the input channels of group g make the outputs of group g.
        grouped = weight.reshape(kernel.groups, -1, *weight.shape[1:])
        factor = affine.scale.reshape(kernel.groups, 1, -1, *(1,) * (weight.ndim - 2))
        return replace(kernel, weight=(grouped * factor).reshape(weight.shape), bias=bias)
    factor = affine.scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return replace(kernel, weight=weight * factor, bias=bias)


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

    fed_back: list[tuple[str, str]] = field(default_factory=list)
    """NIR edges that carry the step before."""

    def run(self) -> None:
        graph = self.graph
        if not graph.inputs or not graph.outputs:
            raise GraphError("nothing enters the network, or nothing leaves it")
        for name, shape in graph.inputs.items():
            self.nodes[name] = nir.Input(input_type=np.array(shape))
            self.shapes[name], self.sources[name] = shape, [name]
            self.given[name] = shape
        entries: dict[str, list[str]] = {}
        for name, node in graph.nodes.items():
            entries[name] = self._node(name, node)
        for name, node in graph.nodes.items():
            for source in node.fed_back:
                self._feed_back(source, entries[name], name)
        for name, source in graph.outputs.items():
            self.nodes[name] = nir.Output(output_type=np.array(self.shapes[source]))
            self._join(self.sources[source], name)

    def feedback_pairs(self) -> tuple[tuple[str, str], ...]:
        """Return (source, target) of the neurons that each feedback edge joins.

        Raises:
            GraphError: the two are joined within a step as well, or nothing is fed back.
        """
        ahead, behind = _linear_walks(self.edges, self.cells)
        pairs = {
            (before, after)
            for source, target in self.fed_back
            for before in behind(source)
            for after in ahead(target)
        }
        direct = [edge for edge in self.edges if edge not in self.fed_back]
        ahead, _ = _linear_walks(direct, self.cells)
        for before, after in sorted(pairs):
            if any(after in ahead(target) for source, target in direct if source == before):
                raise GraphError(
                    "the same neurons are joined both within a step and over two",
                    where=f"{before} -> {after}",
                    fix="put one of the two paths into another layer of neurons",
                )
        return tuple(sorted(pairs))

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
            self.nodes[factor] = nir.Scale(scale=np.full(self.given[source], float(times)))
            self.edges += [(source, factor), (factor, target)]

    def _feed_back(self, source: str, entries: Sequence[str], name: str) -> None:
        for entry in entries:
            for sender in self.sources[source]:
                self.edges.append((sender, entry))
                self.fed_back.append((sender, entry))

    def _concatenate(self, name: str, layer: Concatenation, node: Node) -> list[str]:
        shapes = [self.shapes[source] for source in node.inputs]
        axis = layer.axis % len(shapes[0])
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
            chain = _placed(part, self.shapes[source], gives, axis, start)
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
        if isinstance(layer, Cell):
            return self._neurons(name, layer, reads), reads
        if isinstance(layer, Pool) and layer.pooling is Pooling.MAX:
            return self._any_spike(name, layer, reads, node)
        if isinstance(layer, Delay):
            delay = np.full(reads, layer.steps * self.graph.dt)
            return {name: nir.Delay(delay=delay)}, reads
        if isinstance(layer, Rectifier):
            raise UnknownNodeError(
                "this network has activations in place of neurons: it is an ANN",
                where=name,
                fix="--calibrate DATA, inputs like those to come: with them its activations become "
                "integrate-and-fire neurons (--steps says for how many steps)",
            )
        make = _CHAINS[type(layer)]
        return make(name, layer, reads)

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
        total, gives = _pool(f"{name}.sum", replace(layer, pooling=Pooling.SUM), reads)
        either = Cell(decay=np.zeros(()), threshold=np.full((), 0.5), fires=Fires.BINARY)
        return {**total, **self._neurons(name, either, gives)}, gives


def binary(graph: LayerGraph, name: str) -> bool:
    """Return whether a node gives 0 or 1 only, being neurons that send one spike a step."""
    node = graph.nodes.get(name)
    if node is None:
        return False
    if isinstance(node.layer, Cell):
        return node.layer.fires is Fires.BINARY
    is_max = isinstance(node.layer, Pool) and node.layer.pooling is Pooling.MAX
    if is_max or isinstance(node.layer, Flatten | Unflatten | Upsample | Delay | Concatenation):
        joined = isinstance(node.layer, Concatenation) or len(node.inputs) == 1
        return joined and all(binary(graph, source) for source in node.inputs)
    return False


def _linear_walks(
    edges: Sequence[tuple[str, str]], cells: Mapping[str, Population]
) -> tuple[Callable[[str], set[str]], Callable[[str], set[str]]]:
    """Return functions that give the neurons ahead of a node, and behind it, itself included."""
    after: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    for source, target in edges:
        after.setdefault(source, []).append(target)
        before.setdefault(target, []).append(source)

    def reached(start: str, following: Mapping[str, list[str]]) -> set[str]:
        found, pending, seen = set(), [start], {start}
        while pending:
            name = pending.pop()
            if name in cells:
                found.add(name)
                continue
            new = [n for n in following.get(name, []) if n not in seen]
            seen.update(new)
            pending += new
        return found

    return (lambda start: reached(start, after)), (lambda start: reached(start, before))


Chain = tuple[dict[str, nir.NIRNode], Shape]


def _linear(name: str, layer: Linear, reads: Shape) -> Chain:
    weight = layer.weight
    if reads[-1] != weight.shape[1] or len(reads) != 1:
        raise ShapeError(
            f"a weight of shape {weight.shape} reads {weight.shape[1]} values, "
            f"but is given {reads}",
            where=name,
            fix="flatten before it" if len(reads) > 1 else "",
        )
    made = (
        nir.Linear(weight=weight)
        if layer.bias is None
        else nir.Affine(weight=weight, bias=layer.bias)
    )
    return {name: made}, (int(weight.shape[0]),)


def _convolution(name: str, layer: Convolution, reads: Shape) -> Chain:
    axes = layer.weight.ndim - 2
    if len(reads) != axes + 1:
        raise ShapeError(f"a kernel of {axes} axes is given values of shape {reads}", where=name)
    one = axes == 1
    weight = layer.weight

    def side(value: Any) -> Any:
        return value[0] if one and not isinstance(value, str) else value

    node = (nir.Conv1d if one else nir.Conv2d)(
        input_shape=None,
        weight=weight,
        stride=side(layer.stride),
        padding=side(layer.padding),
        dilation=side(layer.dilation),
        groups=layer.groups,
        bias=np.zeros(len(weight), weight.dtype) if layer.bias is None else layer.bias,
    )
    node.input_shape = reads[1] if one else reads[1:]
    if reads[0] != weight.shape[1] * layer.groups:
        raise ShapeError(
            f"it reads {weight.shape[1] * layer.groups} channels, but is given {reads}", where=name
        )
    sides = [_extent(layer, axis, reads[1 + axis], name) for axis in range(axes)]
    return {name: node}, (len(weight), *sides)


def _extent(layer: Convolution, axis: int, side: int, name: str) -> int:
    reach = layer.dilation[axis] * (layer.weight.shape[2 + axis] - 1) + 1
    if layer.padding == "same":
        return math.ceil(side / layer.stride[axis])
    around = 0 if isinstance(layer.padding, str) else 2 * layer.padding[axis]
    extent = (side + around - reach) // layer.stride[axis] + 1
    if extent < 1:
        raise ShapeError(f"its kernel is larger than its input of {side}", where=name)
    return extent


def _depthwise(weight: np.ndarray, shift: np.ndarray | None, stride: Any, padding: Any) -> Layer:
    """Return a convolution that keeps channels apart; weight [channel, *kernel]."""
    return Convolution(
        weight=weight[:, None],
        bias=shift,
        stride=stride,
        padding=padding,
        dilation=(1,) * (weight.ndim - 1),
        groups=len(weight),
    )


def _channel_affine(name: str, layer: ChannelAffine, reads: Shape) -> Chain:
    axes = len(reads) - 1
    scale, shift = layer.scale, layer.shift
    if scale.size != reads[0]:
        raise ShapeError(f"it normalises {scale.size} channels, but is given {reads}", where=name)
    if axes:
        weight = scale.reshape(-1, *(1,) * axes)
        kernel = _depthwise(weight, shift, (1,) * axes, (0,) * axes)
        assert isinstance(kernel, Convolution)
        return _convolution(name, kernel, reads)
    if not np.any(shift):
        return {name: nir.Scale(scale=scale)}, reads
    return {name: nir.Affine(weight=np.diag(scale), bias=shift)}, reads


def _pool(name: str, layer: Pool, reads: Shape) -> Chain:
    axes = len(layer.kernel)
    if len(reads) != axes + 1:
        raise ShapeError(f"a window of {axes} axes is given values of shape {reads}", where=name)
    average = layer.pooling is Pooling.AVERAGE
    each = 1.0 / math.prod(layer.kernel) if average else 1.0
    kernel = _depthwise(np.full((reads[0], *layer.kernel), each), None, layer.stride, layer.padding)
    assert isinstance(kernel, Convolution)
    chain, gives = _convolution(name, kernel, reads)
    if axes == 1:
        return chain, gives
    make = nir.AvgPool2d if average else nir.SumPool2d
    node = make(
        kernel_size=np.array(layer.kernel),
        stride=np.array(layer.stride),
        padding=np.array(layer.padding),
    )
    return {name: node}, gives


def _adaptive(name: str, layer: AdaptiveAverage, reads: Shape) -> Chain:
    sides = reads[1:]
    if len(layer.size) != len(sides):
        raise ShapeError(
            f"it pools {len(layer.size)} axes, but is given values of shape {reads}", where=name
        )
    size = [
        side if wanted is None else wanted for side, wanted in zip(sides, layer.size, strict=True)
    ]
    if all(side % wanted == 0 for side, wanted in zip(sides, size, strict=True)):
        window = tuple(side // wanted for side, wanted in zip(sides, size, strict=True))
        if all(side == 1 for side in window):
            return {}, reads
        pool = Pool(
            pooling=Pooling.AVERAGE, kernel=window, stride=window, padding=(0,) * len(window)
        )
        return _pool(name, pool, reads)
    return _matrix(name, adaptive_map(reads, size, name), None)


def _upsample(name: str, layer: Upsample, reads: Shape) -> Chain:
    axes = len(reads) - 1
    if layer.size is not None:
        size = layer.size if len(layer.size) == axes else layer.size * axes
    else:
        factors = layer.factors or (1,)
        factors = factors if len(factors) == axes else factors * axes
        size = tuple(side * factor for side, factor in zip(reads[1:], factors, strict=True))
    return _matrix(name, upsampled_map(reads, size, name), None)


def _transposed(name: str, layer: TransposedConvolution, reads: Shape) -> Chain:
    return _matrix(name, transposed_map(layer, reads, name), layer.bias)


def _matrix(name: str, linear: Sparse, bias: np.ndarray | None) -> Chain:
    """Return a map as a matrix, in a shape that later layers know again."""
    chain: dict[str, nir.NIRNode] = {}
    if len(linear.in_shape) > 1:
        chain |= _flatten(f"{name}.flat", Flatten(), linear.in_shape)[0]
    chain[f"{name}.matrix"] = nir.Linear(weight=matrix_of(linear, name))
    return {**chain, **_shaped(name, linear.out_shape, bias)}, linear.out_shape


def _shaped(name: str, shape: Shape, bias: np.ndarray | None) -> dict[str, nir.NIRNode]:
    """Return a node that gives values in C order a shape, and each channel a bias.

    A kernel of 1 that says its input's shape is how NIR can do that.
    """
    axes = len(shape) - 1
    if axes == 0:
        return {}
    kernel = _depthwise(np.ones((shape[0], *(1,) * axes)), bias, (1,) * axes, (0,) * axes)
    assert isinstance(kernel, Convolution)
    return _convolution(name, kernel, shape)[0]


def _flatten(name: str, layer: Flatten, reads: Shape) -> Chain:
    rank = len(reads)
    start, end = layer.start % rank, layer.end % rank
    if start >= end:
        return {}, reads
    gives = (*reads[:start], math.prod(reads[start : end + 1]), *reads[end + 1 :])
    return {name: nir.Flatten(input_type=None, start_dim=start, end_dim=end)}, gives


def _unflatten(name: str, layer: Unflatten, reads: Shape) -> Chain:
    known = math.prod(side for side in layer.shape if side != -1)
    rest = math.prod(reads) // max(known, 1)
    gives = tuple(rest if side == -1 else side for side in layer.shape)
    if math.prod(gives) != math.prod(reads):
        raise ShapeError(f"values of shape {reads} cannot take shape {layer.shape}", where=name)
    if gives == reads:
        return {}, reads
    if len(gives) == 1:
        return _flatten(name, Flatten(), reads)
    return _shaped(name, gives, None), gives


def _scale(name: str, layer: Scale, reads: Shape) -> Chain:
    factor = fitted(layer.factor, reads)
    return {name: nir.Scale(scale=np.array(np.broadcast_to(factor, reads)))}, reads


def _placed(name: str, reads: Shape, gives: Shape, axis: int, start: int) -> dict[str, nir.NIRNode]:
    """Return a map that puts values at `start` of an axis, zeros beside them."""
    if axis == 0 and len(reads) > 1:
        weight = np.zeros((gives[0], *reads[:1], *(1,) * (len(reads) - 1)))
        weight[start + np.arange(reads[0]), np.arange(reads[0])] = 1.0
        rank = len(reads) - 1
        kernel = Convolution(
            weight=weight, stride=(1,) * rank, padding=(0,) * rank, dilation=(1,) * rank
        )
        return _convolution(name, kernel, reads)[0]
    index = list(np.indices(reads))
    index[axis] = index[axis] + start
    post = np.ravel_multi_index(tuple(index), gives).ravel()
    place = Sparse(
        post=post,
        pre=np.arange(post.size),
        weight=np.ones(post.size),
        post_shape=gives,
        pre_shape=reads,
    )
    if len(reads) == 1:
        return {name: nir.Linear(weight=matrix_of(place, name))}
    return _matrix(name, place, None)[0]


_CHAINS: Mapping[type[Layer], Callable[[str, Any, Shape], Chain]] = {
    Linear: _linear,
    Convolution: _convolution,
    TransposedConvolution: _transposed,
    ChannelAffine: _channel_affine,
    Pool: _pool,
    AdaptiveAverage: _adaptive,
    Upsample: _upsample,
    Flatten: _flatten,
    Unflatten: _unflatten,
    Scale: _scale,
}
