"""What every framework's network is read into: named layers, joined, with numpy arrays only.

A frontend adds one node per layer that it finds; `to_nir` turns the graph into NIR and its
annotation. Shapes are those of one sample in one step, without batch and time: (features,),
(channels, length) or (channels, height, width). Arrays hold numbers of any dtype, delays
whole ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal

import numpy as np
from jaxtyping import Float

from snn_deploy.errors import GraphError, ShapeError
from snn_deploy.frontends.dynamics import Unit
from snn_deploy.frontends.layer_checks import (
    Array,
    Sides,
    check_bias,
    check_delays,
    check_groups,
    check_numbers,
    check_sides,
)
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Bias, Floor, Population, Reset, Synapse
from snn_deploy.ir.neuron import CURRENTS, Compare, Decode, Fires, State, Tabled
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.weighting import Weighting

Parameter = Float[np.ndarray, "..."]
"""Broadcasts to the layer's shape, aligned at the last axis; leading axes of 1 may be there."""


def _one() -> np.ndarray:
    return np.ones(())


def _zero() -> np.ndarray:
    return np.zeros(())


class Layer:
    """What one node does with the sum of what enters it."""

    __slots__ = ()

    def check(self, where: str) -> None:
        """Refuse arrays that cannot be what they are called.

        Raises:
            ShapeError: with what is wrong (SNN204).
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Layer):
    """y = weight x + bias, of a vector."""

    weight: Array
    """[post, pre]"""

    bias: Array | None = None
    """[post]"""

    delays: Array | None = None
    """Steps that each weight's value takes to arrive, whole numbers of the weight's shape."""

    def check(self, where: str) -> None:
        """See `Layer.check`."""
        check_numbers(where, "weight", self.weight, 2)
        check_delays(where, self.delays, self.weight)
        check_bias(where, self.bias, len(self.weight))


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(Layer):
    """Cross-correlation over one or two axes, as torch's Conv1d and Conv2d, zeros around."""

    weight: Array
    """[out, in / groups, *kernel]"""

    bias: Array | None = None
    """[out]"""

    stride: Sides
    """Of each axis, as are the following."""

    padding: Sides | Literal["same", "valid"]
    """Zeros at either end, or one of torch's words."""

    dilation: Sides
    groups: int = 1
    delays: Array | None = None
    """Steps that each weight's value takes to arrive, whole numbers of the weight's shape."""

    def check(self, where: str) -> None:
        """See `Layer.check`."""
        check_numbers(where, "weight", self.weight, 3, 4)
        check_delays(where, self.delays, self.weight)
        axes = self.weight.ndim - 2
        check_sides(where, axes, 1, stride=self.stride, dilation=self.dilation)
        check_sides(where, axes, 0, padding=self.padding)
        check_bias(where, self.bias, len(self.weight))
        check_groups(where, self.groups, len(self.weight))


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposedConvolution(Layer):
    """The adjoint of a convolution, as torch's ConvTranspose1d and ConvTranspose2d."""

    weight: Array
    """[in, out / groups, *kernel]"""

    bias: Array | None = None
    """[out]"""

    stride: Sides
    """Of each axis, as are the following."""

    padding: Sides
    output_padding: Sides
    dilation: Sides
    groups: int = 1

    def check(self, where: str) -> None:
        """See `Layer.check`."""
        check_numbers(where, "weight", self.weight, 3, 4)
        axes = self.weight.ndim - 2
        check_sides(where, axes, 1, stride=self.stride, dilation=self.dilation)
        check_sides(where, axes, 0, padding=self.padding, output_padding=self.output_padding)
        check_bias(where, self.bias, self.weight.shape[1] * self.groups)
        check_groups(where, self.groups, len(self.weight))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAffine(Layer):
    """y = scale * x + shift per channel, or per feature: a batch normalisation after training."""

    scale: Array
    """[channel]"""

    shift: Array
    """[channel]"""

    def check(self, where: str) -> None:
        """See `Layer.check`."""
        check_numbers(where, "factor", self.scale, 1)
        check_bias(where, self.shift, len(self.scale))


class Pooling(Enum):
    """What a window becomes."""

    SUM = "sum"
    AVERAGE = "average"
    """Over the whole window, its padding included."""

    MAX = "max"
    """Of binary spikes: whether any of them fired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Layer):
    """Windows of each channel become one value; zeros around."""

    pooling: Pooling
    kernel: Sides
    """Sides of a window along each axis, as are the following."""

    stride: Sides
    padding: Sides

    def check(self, where: str) -> None:
        """See `Layer.check`."""
        axes = len(self.kernel)
        check_sides(where, axes, 1, kernel=self.kernel, stride=self.stride)
        check_sides(where, axes, 0, padding=self.padding)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveAverage(Layer):
    """The mean of windows that cut each spatial axis into `size` parts, as torch cuts them."""

    size: tuple[int | None, ...]
    """None: as many as there are."""

    def check(self, where: str) -> None:
        """See `Layer.check`."""
        known = tuple(side for side in self.size if side is not None)
        check_sides(where, len(known), 1, size=known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsample(Layer):
    """Each value repeated along the spatial axes: nearest neighbour."""

    factors: Sides | None = None
    size: Sides | None = None
    """Exactly one of both is given."""

    def check(self, where: str) -> None:
        """See `Layer.check`."""
        given = self.factors if self.size is None else self.size
        if given is None or (self.size is not None and self.factors is not None):
            raise ShapeError("it is told neither a size nor factors, or both", where=where)
        check_sides(where, len(given), 1, size=given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten(Layer):
    """Axes `start` to `end` become one, C order; both count without the batch."""

    start: int = 0
    end: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Unflatten(Layer):
    """All values take another shape, C order."""

    shape: Shape
    """One side may be -1: as large as the values make it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale(Layer):
    """y = factor * x."""

    factor: Parameter

    def check(self, where: str) -> None:
        """See `Layer.check`."""
        check_numbers(where, "factor", self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(Layer):
    """What entered some steps ago; 0 in the first steps."""

    steps: int
    """At least 1 [steps]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum(Layer):
    """The sum of all its inputs, which have one shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Into(Layer):
    """What it reads enters another state of the neurons behind it than the first one.

    Elsewhere a connection enters the first synaptic current, or the membrane of neurons that have
    none. Only neurons read it.
    """

    state: State
    """A synaptic current, or the membrane."""

    def check(self, where: str) -> None:
        """See `Layer.check`.

        Raises:
            GraphError: no connection drives that state (SNN206).
        """
        if self.state not in (*CURRENTS, State.MEMBRANE):
            known = ", ".join(state.value for state in (*CURRENTS, State.MEMBRANE))
            raise GraphError(
                f"no connection drives the state {self.state.value!r}",
                where=where,
                fix=f"one of {known}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Concatenation(Layer):
    """Its inputs side by side along one axis, which counts without the batch."""

    axis: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectifier(Layer):
    """max(0, x), and min(that, ceiling) where there is one: no spike, an ANN's activation."""

    ceiling: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell(Layer):
    """Neurons: the fields of `ir.network.Population`, whose step they compute exactly.

    Membranes, currents and thresholds are in the network's own unit; times are steps. One that
    never fires but has layers behind it sends its membrane (`Fires.GRADED`).
    """

    decay: Parameter
    gain: Parameter = field(default_factory=_one)
    synapse: Synapse | None = None
    fires: Fires = Fires.BINARY
    threshold: Parameter = field(default_factory=_one)
    compare: Compare = Compare.GREATER
    max_spikes: int = 1
    reset: Reset = field(default_factory=Reset)
    floor: Floor | None = None
    bias: Parameter = field(default_factory=_zero)
    """Added to the membrane in every step."""

    current_bias: Parameter = field(default_factory=_zero)
    """Added to the synaptic current in every step."""

    initial: Parameter = field(default_factory=_zero)
    further: tuple[Synapse, ...] = ()
    """Synaptic currents behind the first one; each may take from the one before (`Chain`)."""

    lower: Parameter = field(default_factory=lambda: np.full((), -1.0))
    """Threshold below which a TERNARY neuron sends -1."""

    refractory: Refractory | None = None
    """`Refractory(steps=None)`: it fires once."""

    window: Window | None = None
    restart: Restart | None = None
    biases: tuple[Bias, ...] = ()
    """Beside `bias` and `current_bias`: those that start late, wait or enter a further current."""

    tables: tuple[Table, ...] = ()
    """Parameters over time; rows are [row, *parameter]."""

    per_channel: bool = False
    """Whether parameters of one axis have a number for each channel, which is the first axis;
    else they are aligned at the last one."""

    @property
    def binary(self) -> bool:
        """Whether they send 0 or 1 in every step."""
        sized = any(table.what is Tabled.PAYLOAD for table in self.tables)
        return self.fires is Fires.BINARY and not sized

    def population(self, name: str, shape: Shape) -> Population:
        """Return these neurons as a population of `shape`.

        Raises:
            ShapeError: a parameter does not broadcast to `shape` (SNN204).
            NotFiniteError: a parameter is NaN or infinite (SNN205).
            DynamicsError: parameters that contradict each other (SNN207).
        """

        def placed(values: Array) -> np.ndarray:
            array = np.asarray(values)
            if self.per_channel and array.ndim == 1:
                array = array.reshape(-1, *(1,) * (len(shape) - 1))
            return fitted(array, shape)

        def current(one: Synapse) -> Synapse:
            chain = one.chain
            return replace(
                one,
                decay=placed(one.decay),
                gain=placed(one.gain),
                initial=placed(one.initial),
                chain=None if chain is None else replace(chain, gain=placed(chain.gain)),
            )

        biases = []
        for value, into in ((self.bias, State.MEMBRANE), (self.current_bias, State.CURRENT)):
            if np.any(value):
                biases.append(Bias(value=placed(value), into=into))
        biases += [replace(bias, value=placed(bias.value)) for bias in self.biases]
        tables = [
            replace(table, rows=np.stack([placed(np.asarray(row)) for row in table.rows]))
            for table in self.tables
        ]
        floor = self.floor
        return Population(
            name=name,
            shape=shape,
            decay=placed(self.decay),
            gain=placed(self.gain),
            synapse=None if self.synapse is None else current(self.synapse),
            further=tuple(current(one) for one in self.further),
            fires=self.fires,
            threshold=placed(self.threshold),
            lower=placed(self.lower),
            compare=self.compare,
            max_spikes=self.max_spikes,
            reset=replace(self.reset, amount=placed(self.reset.amount)),
            refractory=self.refractory,
            window=self.window,
            restart=self.restart,
            floor=None if floor is None else replace(floor, value=placed(floor.value)),
            biases=tuple(biases),
            tables=tuple(tables),
            initial=placed(self.initial),
        )


def fitted(values: Array, shape: Shape) -> np.ndarray:
    """Return a parameter without leading axes of 1 that `shape` has not: a batch axis, say."""
    array = np.asarray(values, np.float64)
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    return array


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A layer and where its input comes from."""

    layer: Layer
    inputs: tuple[str, ...]
    """Nodes or inputs of the graph. Several add up, but for a `Concatenation`."""

    fed_back: tuple[str, ...] = ()
    """Nodes whose output of the step before adds up too. In the first step it is what they give if
    nothing enters: 0, and their biases unless these wait (`LayerGraph.bias_waits`)."""


@dataclass(slots=True)
class LayerGraph:
    """A network on its way in, filled node by node, each behind those it reads."""

    inputs: dict[str, Shape] = field(default_factory=dict)
    """Shape of each input, by its name."""

    nodes: dict[str, Node] = field(default_factory=dict)
    """Layers by name; `add` fills it."""

    outputs: dict[str, str] = field(default_factory=dict)
    """Node that each output reads, by the output's name."""

    decodes: dict[str, Decode] = field(default_factory=dict)
    """How an output is read, by its name, where the model says it."""

    weights: dict[str, Weighting] = field(default_factory=dict)
    """What each step weighs in an answer, by the output's name, where its decoder needs that."""

    dt: float = 1.0
    """Length of a step, in `unit`."""

    unit: Unit = Unit.STEP

    bias_waits: bool = False
    """Whether a bias on a feedback path waits for the first spikes that are fed back."""

    findings: list[Finding] = field(default_factory=list)
    """What was guessed or given up while it was read."""

    owners: dict[int, tuple[str, object]] = field(default_factory=dict, repr=False, compare=False)
    """Where each object that has neurons was read, by its identity: it acts once in a step. The
    object is kept, so that no other takes its identity."""

    def add(self, name: str, layer: Layer, *inputs: str) -> str:
        """Add a layer that reads `inputs`; return its name.

        Raises:
            GraphError: the name is taken, or an input does not exist (SNN206).
            ShapeError: the layer's arrays cannot be what they are called (SNN204).
        """
        if name in self.nodes or name in self.inputs:
            what = "an input of the network" if name in self.inputs else "another layer"
            raise GraphError(f"{what} has this name already", where=name, fix="rename the layer")
        for source in inputs:
            self._check_source(source, name)
        layer.check(name)
        self.nodes[name] = Node(layer=layer, inputs=inputs)
        return name

    def feed_back(self, source: str, target: str) -> None:
        """Let `target` also read what `source` gave in the step before.

        Biases on that way act in the first step already, unless `bias_waits` is set.

        Raises:
            GraphError: one of them does not exist (SNN206).
        """
        self._check_source(source, target)
        if target not in self.nodes:
            raise GraphError(f"{source!r} is fed back to no layer", where=target)
        node = self.nodes[target]
        self.nodes[target] = replace(node, fed_back=(*node.fed_back, source))

    def _check_source(self, source: str, name: str) -> None:
        if source not in self.nodes and source not in self.inputs:
            raise GraphError(f"a layer reads {source!r}, which does not exist", where=name)

    def consumers(self) -> Mapping[str, list[str]]:
        """Return which nodes read each node or input, feedback included."""
        readers: dict[str, list[str]] = {name: [] for name in (*self.inputs, *self.nodes)}
        for name, node in self.nodes.items():
            for source in (*node.inputs, *node.fed_back):
                readers[source].append(name)
        return readers
