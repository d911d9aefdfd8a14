"""Layers of an ANN from tensor operations: every value has a shape, and constants are folded in.

Files of operations (ONNX, torch.export) say what is computed, not which layer it was. Values
here are single samples; the batch axis of such files is theirs to take away.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snn_deploy.errors import GraphError, ShapeError, UnknownNodeError
from snn_deploy.frontends.ann.evaluation import affine
from snn_deploy.frontends.ann.folding import along, broadcasts, check_finite, trimmed, with_factor
from snn_deploy.frontends.ann.windows import Margins, centred, check_window
from snn_deploy.frontends.layer_checks import Sides
from snn_deploy.frontends.layers import (
    AdaptiveAverage,
    ChannelAffine,
    Concatenation,
    Convolution,
    Flatten,
    Layer,
    LayerGraph,
    Linear,
    Pool,
    Pooling,
    Rectifier,
    Scale,
    Sum,
    Unflatten,
)
from snn_deploy.frontends.nir import check_size
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.sizes import allowed, higher

LONGEST_NAME = 80

MOST_MADE = 2**26
"""Numbers that all layers may hold that the file does not: uniform windows, padded kernels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """What a node of the graph gives for one sample."""

    node: str
    shape: Shape


@dataclass(slots=True, kw_only=True)
class Builder:
    """Adds layers to a graph; methods return what the new layer gives.

    `alone` says that nothing else reads the value: its layer may then take in what follows.
    """

    where: str
    graph: LayerGraph = field(default_factory=LayerGraph)
    reserved: set[str] = field(default_factory=set)
    """Names of outputs, which no layer may have."""

    made: int = 0
    """Numbers made so far that the file does not hold."""

    def _make(self, where: str, *sides: int) -> None:
        """Keep account of numbers before they are made.

        Raises:
            ShapeError: too many.
        """
        self.made += math.prod(sides)
        if self.made > allowed(MOST_MADE):
            raise ShapeError(
                f"windows and paddings of more than {allowed(MOST_MADE)} numbers",
                where=where,
                fix=higher(self.made, MOST_MADE),
            )

    def input(self, name: str, shape: Shape) -> Tensor:
        """Add an input.

        Raises:
            ShapeError: it is empty or too large.
        """
        unique = self.name(name)
        check_size(shape, f"{self.where}: {name}")
        if min(shape, default=1) < 1:
            raise ShapeError(f"an input of shape {shape}", where=f"{self.where}: {name}")
        self.graph.inputs[unique] = shape
        return Tensor(node=unique, shape=shape)

    def name(self, wanted: str) -> str:
        """Return a name like `wanted` that no node, input or output has."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", wanted).strip("_")[-LONGEST_NAME:] or "layer"
        taken = {*self.graph.inputs, *self.graph.nodes, *self.reserved}
        if plain not in taken:
            return plain
        number = 2
        while f"{plain}_{number}" in taken:
            number += 1
        return f"{plain}_{number}"

    def output(self, wanted: str) -> str:
        """Return a name like `wanted`, which is kept for an output."""
        name = self.name(wanted)
        self.reserved.add(name)
        return name

    def finished(self, outputs: Mapping[str, str], values: Mapping[str, Any]) -> LayerGraph:
        """Return the graph.

        Args:
            outputs: Names that were kept for outputs, by those of the file.
            values: What the file's names stand for.

        Raises:
            GraphError: an output is no layer's.
        """
        for given, name in outputs.items():
            value = values.get(given)
            if not isinstance(value, Tensor):
                raise GraphError(
                    "an output that is no layer's", where=f"{self.where}: {given[:80]}"
                )
            self.graph.outputs[name] = value.node
        return self.graph

    def note(self, kind: Kind, layer: str, amount: str, reason: str) -> None:
        """Keep a finding."""
        self.graph.findings.append(Finding(kind=kind, layer=layer, amount=amount, reason=reason))

    def linear(
        self, name: str, x: Tensor, weight: np.ndarray, bias: np.ndarray | None = None
    ) -> Tensor:
        """Add weight x + bias on the last axis; `weight` is [post, pre].

        Raises:
            ShapeError: it does not fit.
            NotFiniteError: a weight is NaN or infinite.
        """
        where = f"{self.where}: {name}"
        if weight.ndim != 2:
            raise ShapeError(f"weights of shape {weight.shape}, not a matrix", where=where)
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ShapeError(
                f"a bias of shape {bias.shape} for {weight.shape[0]} values", where=where
            )
        return self._affine_node(name, Linear(weight=weight, bias=bias), x)

    def convolution(
        self,
        name: str,
        x: Tensor,
        weight: np.ndarray,
        bias: np.ndarray | None,
        *,
        stride: Sides,
        margins: Margins,
        dilation: Sides,
        groups: int,
    ) -> Tensor:
        """Add a cross-correlation; `weight` is [out, in / groups, *kernel].

        Margins that differ at both ends become equal ones, and zeros at one end of the kernel.

        Raises:
            ShapeError: it does not fit.
            UnknownNodeError: such margins with a dilation that does not divide their difference.
            NotFiniteError: a weight is NaN or infinite.
        """
        where = f"{self.where}: {name}"
        axes = weight.ndim - 2
        if axes not in (1, 2) or 0 in weight.shape:
            raise ShapeError(
                f"a kernel of shape {weight.shape}; it has 1 or 2 spatial axes", where=where
            )
        sides = (stride, dilation, margins.begin, margins.end)
        if any(len(side) != axes for side in sides):
            raise ShapeError(
                f"strides, dilations and paddings of another number than {axes} axes", where=where
            )
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ShapeError(
                f"a bias of shape {bias.shape} for {weight.shape[0]} channels", where=where
            )
        check_window(where, x.shape, weight.shape[2:], margins)
        if not margins.symmetric:
            most = max((*margins.begin, *margins.end))
            self._make(where, *weight.shape[:2], *(side + most for side in weight.shape[2:]))
        kernel, padding = centred(where, weight, margins, dilation)
        layer = Convolution(
            weight=kernel,
            bias=bias,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )
        return self._affine_node(name, layer, x)

    def pad(self, name: str, x: Tensor, margins: Margins) -> Tensor:
        """Add zeros around the spatial axes.

        Raises:
            ShapeError: there are no such axes, or the result is too large.
        """
        axes = len(x.shape) - 1
        ones = (1,) * axes
        weight = np.ones((x.shape[0], 1, *ones))
        return self.convolution(
            name, x, weight, None, stride=ones, margins=margins, dilation=ones, groups=x.shape[0]
        )

    def pool(
        self,
        name: str,
        x: Tensor,
        pooling: Pooling,
        *,
        kernel: Sides,
        stride: Sides,
        margins: Margins,
        whole: bool = True,
    ) -> Tensor:
        """Add a pooling.

        Args:
            name: Of the layer.
            x: What it reads.
            pooling: What a window becomes.
            kernel: Its sides.
            stride: From window to window.
            margins: Around the input; a maximum never takes them.
            whole: Whether an average counts its margins.

        Raises:
            ShapeError: it does not fit.
            UnknownNodeError: a maximum with other margins at one end than at the other.
        """
        where = f"{self.where}: {name}"
        if len(stride) != len(kernel) or min(stride) < 1:
            raise ShapeError(f"strides {stride} of a window {kernel}", where=where)
        check_window(where, x.shape, kernel, margins)
        if pooling is Pooling.MAX and not margins.symmetric:
            raise UnknownNodeError(
                f"a max-pooling with paddings {margins.begin} and {margins.end}",
                where=where,
                fix="pad both ends alike",
            )
        margins_alike = margins.symmetric
        padded = any((*margins.begin, *margins.end))
        if pooling is Pooling.MAX or (margins_alike and (whole or not padded)):
            layer = Pool(pooling=pooling, kernel=kernel, stride=stride, padding=margins.begin)
            return self._pool_node(name, layer, x)
        return self._average_of_inside(name, x, kernel, stride, margins, whole=whole)

    def _average_of_inside(
        self,
        name: str,
        x: Tensor,
        kernel: Sides,
        stride: Sides,
        margins: Margins,
        *,
        whole: bool,
    ) -> Tensor:
        """Add sums over windows, then a factor for each place: how many values it averages."""
        ones = (1,) * len(kernel)
        self._make(f"{self.where}: {name}", x.shape[0], *kernel)
        summed = self.convolution(
            f"{name}.sum" if not whole else name,
            x,
            np.full((x.shape[0], 1, *kernel), 1.0 / math.prod(kernel)),
            None,
            stride=stride,
            margins=margins,
            dilation=ones,
            groups=x.shape[0],
        )
        if whole:
            return summed
        inside = np.ones(())
        self._make(f"{self.where}: {name}", *summed.shape)
        axes = zip(summed.shape[1:], x.shape[1:], kernel, stride, margins.begin, strict=True)
        for places, side, taps, step, begin in axes:
            start = np.arange(places) * step - begin
            count = np.minimum(start + taps, side) - np.maximum(start, 0)
            inside = np.multiply.outer(inside, count / taps)
        if np.any(inside <= 0):
            raise UnknownNodeError("an average over padding alone", where=f"{self.where}: {name}")
        factor = np.broadcast_to(1.0 / inside, summed.shape)
        return self._node(name, Scale(factor=factor), summed, summed.shape)

    def _pool_node(self, name: str, layer: Pool, x: Tensor) -> Tensor:
        sides = [
            (side + 2 * pad - k) // step + 1
            for side, pad, k, step in zip(
                x.shape[1:], layer.padding, layer.kernel, layer.stride, strict=True
            )
        ]
        return self._node(name, layer, x, (x.shape[0], *sides))

    def average(self, name: str, x: Tensor, over: Sequence[int]) -> Tensor:
        """Add the mean over whole spatial axes, which count from 1; they keep a side of 1.

        Raises:
            UnknownNodeError: other axes.
        """
        if not over or min(over) < 1 or max(over) >= len(x.shape):
            raise UnknownNodeError(
                f"a mean over axes {tuple(over)} of a shape {x.shape}",
                where=f"{self.where}: {name}",
                fix="means over spatial axes are read",
            )
        size = tuple(1 if axis in over else None for axis in range(1, len(x.shape)))
        gives = (x.shape[0], *(side or x.shape[1 + i] for i, side in enumerate(size)))
        return self._node(name, AdaptiveAverage(size=size), x, gives)

    def adaptive(self, name: str, x: Tensor, size: tuple[int | None, ...]) -> Tensor:
        """Add an adaptive average pooling.

        Raises:
            ShapeError: it does not fit.
        """
        if len(size) != len(x.shape) - 1 or any(side is not None and side < 1 for side in size):
            raise ShapeError(
                f"it pools to {size}, but is given {x.shape}", where=f"{self.where}: {name}"
            )
        gives = tuple(s if w is None else w for s, w in zip(x.shape[1:], size, strict=True))
        return self._node(name, AdaptiveAverage(size=size), x, (x.shape[0], *gives))

    def rectifier(
        self, name: str, x: Tensor, ceiling: float | None = None, *, alone: bool
    ) -> Tensor:
        """Add max(0, x), and a ceiling; one right behind another joins it.

        Raises:
            UnknownNodeError: the ceiling is not above 0.
        """
        if ceiling is not None and not 0 < ceiling < math.inf:
            raise UnknownNodeError(
                f"an activation between 0 and {ceiling:g}", where=f"{self.where}: {name}"
            )
        before = self.graph.nodes.get(x.node)
        if alone and before is not None and isinstance(before.layer, Rectifier):
            known = [c for c in (before.layer.ceiling, ceiling) if c is not None]
            joined = Rectifier(ceiling=min(known, default=None))
            self.graph.nodes[x.node] = replace(before, layer=joined)
            return x
        return self._node(name, Rectifier(ceiling=ceiling), x, x.shape)

    def total(self, name: str, terms: Sequence[Tensor]) -> Tensor:
        """Add the sum of values of one shape.

        Raises:
            ShapeError: their shapes differ.
        """
        if len({term.shape for term in terms}) > 1:
            shapes = " and ".join(str(term.shape) for term in terms)
            raise ShapeError(f"values of shapes {shapes} are added", where=f"{self.where}: {name}")
        unique = self.name(name)
        self.graph.add(unique, Sum(), *(term.node for term in terms))
        return Tensor(node=unique, shape=terms[0].shape)

    def concatenation(self, name: str, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Put values side by side along an axis, which counts without the batch.

        Raises:
            ShapeError: they do not fit.
        """
        shapes = [part.shape for part in parts]
        rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
        if not shapes or len(rests) > 1 or not 0 <= axis < len(shapes[0]):
            raise ShapeError(
                f"values of shapes {', '.join(map(str, shapes))} side by side along axis {axis}",
                where=f"{self.where}: {name}",
            )
        side = sum(shape[axis] for shape in shapes)
        gives = (*shapes[0][:axis], side, *shapes[0][axis + 1 :])
        check_size(gives, f"{self.where}: {name}")
        unique = self.name(name)
        self.graph.add(unique, Concatenation(axis=axis), *(part.node for part in parts))
        return Tensor(node=unique, shape=gives)

    def reshaped(self, name: str, x: Tensor, shape: Shape) -> Tensor:
        """Give values another shape, C order.

        Raises:
            ShapeError: another number of values.
        """
        if math.prod(shape) != math.prod(x.shape):
            raise ShapeError(
                f"values of shape {x.shape} cannot take shape {shape}",
                where=f"{self.where}: {name}",
            )
        if shape == x.shape:
            return x
        layer: Layer = Flatten() if len(shape) == 1 else Unflatten(shape=shape)
        return self._node(name, layer, x, shape)

    def with_batch(
        self, name: str, x: Tensor, sides: Sequence[int], *, batch: int, what: str, where: str
    ) -> Tensor:
        """Give values another shape, whose first side must be the batch.

        Args:
            name: Of the layer.
            x: The values.
            sides: What the file says, with the batch.
            batch: Samples that the model declares.
            what: The operation, as the file calls it.
            where: It stands there.

        Raises:
            UnknownNodeError: samples are mixed.
            ShapeError: another number of values.
        """
        if len(sides) < 2 or sides[0] != batch:
            raise UnknownNodeError(
                f"{what} from {(batch, *x.shape)} to {tuple(sides)} mixes samples",
                where=where,
                fix="keep the batch as the first axis",
            )
        return self.reshaped(name, x, tuple(sides[1:]))

    def scaled(
        self,
        name: str,
        x: Tensor,
        factor: np.ndarray | None,
        shift: np.ndarray | None,
        *,
        alone: bool,
    ) -> Tensor:
        """Add factor * x + shift; both broadcast to the shape, aligned at the last axis.

        Right behind a kernel that nothing else reads they are folded into it.

        Raises:
            UnknownNodeError: a shift that differs within a channel.
            ShapeError: they do not broadcast.
            NotFiniteError: a number is NaN or infinite.
        """
        where = f"{self.where}: {name}"
        factor = np.ones(()) if factor is None else factor
        shift = np.zeros(()) if shift is None else shift
        for numbers in (factor, shift):
            check_finite(numbers, where)
            if not broadcasts(numbers, x.shape):
                raise ShapeError(
                    f"numbers of shape {numbers.shape} for values of shape {x.shape}", where=where
                )
        before = self.graph.nodes.get(x.node)
        if alone and before is not None:
            folded = with_factor(before.layer, factor, shift, x.shape)
            if folded is not None:
                check_finite(folded.weight, where)
                if folded.bias is not None:
                    check_finite(folded.bias, where)
                self.graph.nodes[x.node] = replace(before, layer=folded)
                return x
        return self._scaled_node(name, x, factor, shift)

    def _scaled_node(self, name: str, x: Tensor, factor: np.ndarray, shift: np.ndarray) -> Tensor:
        per_channel = [along(numbers, x.shape, 0) for numbers in (factor, shift)]
        if per_channel[0] is not None and per_channel[1] is not None:
            layer: Layer = ChannelAffine(scale=per_channel[0], shift=per_channel[1])
            if not np.any(shift):
                layer = Scale(factor=trimmed(factor, x.shape))
            return self._node(name, layer, x, x.shape)
        if np.any(shift):
            raise UnknownNodeError(
                "a constant is added that differs within a channel",
                where=f"{self.where}: {name}",
                fix="add one number per channel",
            )
        return self._node(name, Scale(factor=trimmed(factor, x.shape)), x, x.shape)

    def _affine_node(self, name: str, layer: Linear | Convolution, x: Tensor) -> Tensor:
        where = f"{self.where}: {name}"
        for numbers in (layer.weight, layer.bias):
            if numbers is not None:
                check_finite(numbers, where)
        _, _, gives = affine(where, layer, x.shape)
        return self._node(name, layer, x, gives)

    def _node(self, name: str, layer: Layer, x: Tensor, gives: Shape) -> Tensor:
        check_size(gives, f"{self.where}: {name}")
        unique = self.name(name)
        self.graph.add(unique, layer, x.node)
        return Tensor(node=unique, shape=gives)
