"""Shapes of all nodes, inferred forward from the inputs and the parameters.

nir's own inference is wrong for kernels that are not square, for groups and for strided 'same'
padding, so nothing of it is used.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import nir
import numpy as np

from snn_deploy.errors import GraphError, ShapeError
from snn_deploy.frontends.nir.flat import FlatGraph
from snn_deploy.frontends.nir.nodes import NEURONS
from snn_deploy.ir.arrays import fits
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.sizes import allowed, higher

LARGEST_LAYER = 2**26
"""Values of one layer, its padding included; more come from a damaged or hostile file."""

Padding = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Of each node: what it reads and what it gives."""

    reads: Mapping[str, Shape]
    gives: Mapping[str, Shape]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A convolution or pooling in two dimensions; a Conv1d has height 1."""

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding
    """Zeros at top, bottom, left, right."""

    dilation: tuple[int, int]

    def extent(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the result; below 1: the kernel does not fit."""
        sides = []
        for axis, side in enumerate((height, width)):
            reach = self.dilation[axis] * (self.size[axis] - 1) + 1
            padded = side + self.padding[2 * axis] + self.padding[2 * axis + 1]
            sides.append((padded - reach) // self.stride[axis] + 1)
        return sides[0], sides[1]


def kernel_of(node: nir.NIRNode, name: str) -> Kernel:
    """Return the kernel of a convolution or pooling node.

    'same' pads as torch does: dilation * (size - 1) zeros along each axis, the odd one at the end.

    Raises:
        ShapeError: a stride, dilation or size below 1, a negative padding, or other than one or
            two numbers where two belong.
    """
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    if isinstance(node, nir.Conv1d):
        size = (1, int(node.weight.shape[2]))
        stride, dilation = (
            (1, *_numbers(getattr(node, f), name, f, 1)) for f in ("stride", "dilation")
        )
    elif isinstance(node, nir.Conv2d):
        size = (int(node.weight.shape[2]), int(node.weight.shape[3]))
        stride, dilation = (_numbers(getattr(node, f), name, f, 2) for f in ("stride", "dilation"))
    else:
        size = _numbers(node.kernel_size, name, "kernel_size", 2)
        stride, dilation = _numbers(node.stride, name, "stride", 2), (1, 1)
    for what, values in (("kernel size", size), ("stride", stride), ("dilation", dilation)):
        if min(values) < 1:
            raise ShapeError(f"a {what} of {min(values)}; it must be at least 1", where=name)
    padding = _padding(node, size, dilation, name)
    if min(padding) < 0:
        raise ShapeError(f"a padding of {min(padding)}; it must be at least 0", where=name)
    return Kernel(
        size=(size[0], size[1]),
        stride=(stride[0], stride[1]),
        padding=padding,
        dilation=(dilation[0], dilation[1]),
    )


def _numbers(value: object, name: str, field: str, count: int) -> tuple[int, ...]:
    numbers = np.ravel(np.asarray(value)).tolist()
    if len(numbers) == 1:
        numbers *= count
    if len(numbers) != count:
        raise ShapeError(
            f"{len(numbers)} numbers where 1 or {count} belong", where=f"{name}.{field}"
        )
    return tuple(int(n) for n in numbers)


def _padding(
    node: nir.NIRNode, size: tuple[int, ...], dilation: tuple[int, ...], name: str
) -> Padding:
    if isinstance(node.padding, str):
        if node.padding == "valid":
            return (0, 0, 0, 0)
        spare = [d * (k - 1) for d, k in zip(dilation, size, strict=True)]
        top, left = spare[0] // 2, spare[1] // 2
        return (top, spare[0] - top, left, spare[1] - left)
    if isinstance(node, nir.Conv1d):
        (side,) = _numbers(node.padding, name, "padding", 1)
        return (0, 0, side, side)
    vertical, horizontal = _numbers(node.padding, name, "padding", 2)
    return (vertical, vertical, horizontal, horizontal)


def infer_shapes(flat: FlatGraph) -> Shapes:
    """Return what every node reads and gives.

    Axes of length 1 in front (the batch and time axes that exporters leave in) are dropped where
    the next node has none, with a finding; so are longer ones in front of an Input's shape if
    what remains is just what its readers read. Values of another shape but the same number are
    read in C order, with a finding.

    Raises:
        ShapeError: the number of values does not fit, or a kernel does not fit its input.
        GraphError: no input reaches a node whose shape depends on it.
    """
    return _Inference(flat).run()


class _Inference:
    def __init__(self, flat: FlatGraph) -> None:
        self.flat = flat
        self.before = flat.predecessors()
        self.after = flat.successors()
        self.reads: dict[str, Shape] = {}
        self.gives: dict[str, Shape] = {}
        self.findings: list[Finding] = []

    def run(self) -> Shapes:
        ready: list[str] = []
        for name, node in self.flat.nodes.items():
            shape = self._port(name, node) if isinstance(node, nir.Input) else intrinsic(node)
            if shape is not None:
                self.reads[name], self.gives[name] = shape, _gives(node, shape)
                ready.append(name)
        self._spread(ready)
        for name, node in self.flat.nodes.items():
            shape = parameter_shape(node)
            if name not in self.gives and shape is not None:
                self.reads[name] = self.gives[name] = shape
                self._spread([name])
            if name not in self.gives:
                raise GraphError(
                    "no input reaches this node, so its shape is not known",
                    where=name,
                    fix="join it to an Input, or take it out",
                )
        for source, target in self.flat.edges:
            self._check_edge(source, target)
        for name, shape in self.gives.items():
            check_size(shape, name)
        for name, node in self.flat.nodes.items():
            if isinstance(node, nir.Output):
                self._check_output(name, node)
        return Shapes(reads=self.reads, gives=self.gives, findings=tuple(self.findings))

    def _spread(self, ready: list[str]) -> None:
        while ready:
            name = ready.pop(0)
            for target in self.after[name]:
                if target not in self.gives:
                    self._infer(target, self.gives[name], name)
                    ready.append(target)

    def _port(self, name: str, node: nir.Input) -> Shape:
        """Return an Input's shape without the batch axes that its readers do not know."""
        declared = _as_shape(node.input_type["input"])
        readers = [self.flat.nodes[target] for target in self.after[name]]
        for drop in range(len(declared)):
            rest = declared[drop:]
            if readers and all(_reads_exactly(reader, rest) for reader in readers):
                if drop:
                    self._guessed(name, f"shape {declared} read as {rest}")
                return rest
        return declared

    def _infer(self, name: str, shape: Shape, source: str) -> None:
        node = self.flat.nodes[name]
        if isinstance(node, nir.Conv1d | nir.Conv2d | nir.SumPool2d | nir.AvgPool2d):
            self.reads[name] = self._with_channels(name, node, shape, source)
        else:
            self.reads[name] = self._broadcast(name, node, shape)
        self.gives[name] = _kernel_gives(node, self.reads[name], name)

    def _broadcast(self, name: str, node: nir.NIRNode, shape: Shape) -> Shape:
        """Return the input's shape for a node whose parameters are given once for several."""
        given = parameter_shape(node)
        if given is None or not given:
            return shape
        if not fits(np.empty(given), shape):
            return given
        if given == (1,) and math.prod(shape) > 1:
            self._guessed(name, f"one parameter for all {math.prod(shape)} values")
        return shape

    def _check_output(self, name: str, node: nir.Output) -> None:
        given = self.gives[name]
        if node.output_type["output"] is None:
            return
        declared = _as_shape(node.output_type["output"])
        if math.prod(declared) != math.prod(given):
            raise ShapeError(
                f"it declares shape {declared}, but is given {given}",
                where=name,
                fix="nir infers wrong shapes for kernels that are not square; "
                "correct the Output's shape",
            )
        if declared != given:
            self._guessed(name, f"shape {declared} read as {given}")

    def _with_channels(self, name: str, node: nir.NIRNode, shape: Shape, source: str) -> Shape:
        """Return `shape` as channels and axes, which a kernel needs."""
        axes = 2 if isinstance(node, nir.Conv1d) else 3
        wanted = _kernel_reads(node, name)
        options = [shape[drop:] for drop in range(len(shape)) if math.prod(shape[:drop]) == 1]
        options += [(1, *shape)]
        for option in options:
            if len(option) == axes and (wanted is None or wanted[0] == option[0]):
                self._check_declared(name, node, option)
                return option
        declared = _declared(node)
        if wanted is not None and declared and wanted[0] * math.prod(declared) == math.prod(shape):
            return (wanted[0], *declared)
        channels = "any number of" if wanted is None else wanted[0]
        raise ShapeError(
            f"it reads {channels} channels of {axes - 1} axes, but {source} gives shape {shape}",
            where=name,
        )

    def _check_declared(self, name: str, node: nir.NIRNode, shape: Shape) -> None:
        declared = _declared(node)
        if declared and declared != shape[1:]:
            raise ShapeError(
                f"it declares an input of {declared}, but is given {shape[1:]} in each channel",
                where=f"{name}.input_shape",
            )

    def _check_edge(self, source: str, target: str) -> None:
        given, read = self.gives[source], self.reads[target]
        if math.prod(given) != math.prod(read):
            raise ShapeError(
                f"{source} gives {math.prod(given)} values {given}, "
                f"but {target} reads {math.prod(read)} {read}",
                where=f"{source} -> {target}",
            )
        if _without_ones(given) != _without_ones(read):
            self._guessed(
                target, f"values of shape {given} from {source} read as {read}, in C order"
            )

    def _guessed(self, layer: str, amount: str) -> None:
        self.findings.append(
            Finding(
                kind=Kind.GUESSED,
                layer=layer,
                amount=amount,
                reason="the shapes in the file do not agree; this is the only way they fit",
            )
        )


def check_size(shape: Shape, name: str) -> None:
    """Refuse a layer too large to be one.

    Raises:
        ShapeError: it has more than `LARGEST_LAYER` values.
    """
    size = math.prod(shape)
    if size > allowed(LARGEST_LAYER):
        raise ShapeError(
            f"a layer of {size} values {shape}; at most {allowed(LARGEST_LAYER)} are read",
            where=name,
            fix=higher(size, LARGEST_LAYER),
        )


def intrinsic(node: nir.NIRNode) -> Shape | None:
    """Return what a node reads if its parameters alone say so: an axis of 1 may stand for more."""
    if isinstance(node, nir.Affine | nir.Linear):
        return (*_as_shape(node.weight.shape[:-2]), int(node.weight.shape[-1]))
    shape = parameter_shape(node)
    return shape if shape and 1 not in shape else None


def parameter_shape(node: nir.NIRNode) -> Shape | None:
    """Return the shape of an elementwise node's parameters; None: it is not elementwise."""
    if isinstance(node, nir.Threshold):
        return _as_shape(node.threshold.shape)
    if isinstance(node, nir.Scale):
        return _as_shape(node.scale.shape)
    if isinstance(node, nir.Delay):
        return _as_shape(node.delay.shape)
    return _as_shape(node.r.shape) if isinstance(node, NEURONS) else None


def _gives(node: nir.NIRNode, reads: Shape) -> Shape:
    if isinstance(node, nir.Affine | nir.Linear):
        return (*reads[:-1], int(node.weight.shape[-2]))
    return reads


def _kernel_reads(node: nir.NIRNode, name: str) -> Shape | None:
    """Return (channels,) of a convolution; None for pooling, which takes any number."""
    if not isinstance(node, nir.Conv1d | nir.Conv2d):
        return None
    axes = 3 if isinstance(node, nir.Conv1d) else 4
    if node.weight.ndim != axes or 0 in node.weight.shape:
        raise ShapeError(
            f"a kernel of shape {node.weight.shape} where {axes} axes belong",
            where=f"{name}.weight",
        )
    groups = int(np.asarray(node.groups).ravel()[0])
    if groups < 1 or node.weight.shape[0] % groups:
        raise ShapeError(
            f"{node.weight.shape[0]} output channels cannot form {groups} groups",
            where=f"{name}.groups",
        )
    return (int(node.weight.shape[1]) * groups,)


def _kernel_gives(node: nir.NIRNode, reads: Shape, name: str) -> Shape:
    if isinstance(node, nir.Flatten):
        return _flattened(node, reads, name)
    if not isinstance(node, nir.Conv1d | nir.Conv2d | nir.SumPool2d | nir.AvgPool2d):
        return reads
    kernel = kernel_of(node, name)
    one_axis = isinstance(node, nir.Conv1d)
    channels = reads[0] if isinstance(node, nir.SumPool2d | nir.AvgPool2d) else node.weight.shape[0]
    top, bottom, left, right = kernel.padding
    check_size(
        (reads[0], (1 if one_axis else reads[1]) + top + bottom, reads[-1] + left + right), name
    )
    height, width = kernel.extent(1 if one_axis else reads[1], reads[-1])
    if min(height, width) < 1:
        raise ShapeError(
            f"a kernel of {kernel.size[0]}x{kernel.size[1]} (dilation {kernel.dilation}, "
            f"padding {kernel.padding}) is larger than its input {reads}",
            where=name,
        )
    return (int(channels), width) if one_axis else (int(channels), height, width)


def _flattened(node: nir.Flatten, reads: Shape, name: str) -> Shape:
    axes = len(reads)
    start, end = node.start_dim, node.end_dim
    first = start + axes if start < 0 else start
    last = end + axes if end < 0 else end
    if first >= axes:  # the default start of 1 on a single axis: nothing to flatten
        return reads
    if not 0 <= first <= last < axes:
        raise ShapeError(f"it flattens axes {start} to {end} of a shape {reads}", where=name)
    return (*reads[:first], math.prod(reads[first : last + 1]), *reads[last + 1 :])


def _reads_exactly(reader: nir.NIRNode, shape: Shape) -> bool:
    """Return whether `shape` is just what `reader` wants; a node that takes all wants all."""
    known = intrinsic(reader)
    if known is not None:
        return known == shape
    if isinstance(reader, nir.Conv1d):
        return len(shape) == 2 and shape[0] % reader.weight.shape[1] == 0
    if isinstance(reader, nir.Conv2d):
        return len(shape) == 3 and shape[0] % reader.weight.shape[1] == 0
    if isinstance(reader, nir.SumPool2d | nir.AvgPool2d):
        return len(shape) == 3
    return True


def _declared(node: nir.NIRNode) -> Shape:
    """Return the spatial shape that a convolution says it reads; () where it does not."""
    if not isinstance(node, nir.Conv1d | nir.Conv2d) or node.input_shape is None:
        return ()
    return _as_shape(np.ravel(node.input_shape))


def _as_shape(sizes: object) -> Shape:
    return tuple(int(n) for n in np.ravel(np.asarray(sizes, np.int64)))


def _without_ones(shape: Shape) -> Shape:
    return tuple(side for side in shape if side != 1)
