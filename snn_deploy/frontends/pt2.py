"""torch.export's .pt2 archives as layers of an ANN."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snn_deploy.errors import FileDamagedError, GraphError, ShapeError, UnknownNodeError
from snn_deploy.frontends.ann_builder import Builder, Margins, Tensor
from snn_deploy.frontends.layers import LayerGraph, Pooling, Sides
from snn_deploy.frontends.pt2_file import Exported, ExportedOp, read_exported
from snn_deploy.ir.findings import Kind

Value = np.ndarray | Tensor | int
"""A constant, what a layer gives, or a size that was computed."""

PREFIX = "torch.ops.aten."


def read_pt2(content: bytes, where: str) -> LayerGraph:
    """Return the layers of an archive of torch.export.

    Args:
        content: The whole file.
        where: Its name, for errors.

    Raises:
        FileDamagedError: not such an archive, damaged, or hostile.
        UnknownNodeError: an operation, or an option of one, that is not read.
        ShapeError: shapes do not fit together.
        NotFiniteError: a weight is NaN or infinite.
        GraphError: no input, or an output that does not depend on one.
    """
    with np.errstate(all="ignore"):  # what is not finite is refused where a layer gets it
        return _Reader(model=read_exported(content, where), where=where).run()


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Walks one model, operation by operation."""

    model: Exported
    where: str
    values: dict[str, Value] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    batch: int = 1
    build: Builder = field(init=False)

    def __post_init__(self) -> None:
        self.build = Builder(where=self.where)

    def run(self) -> LayerGraph:
        """Return the layers."""
        model, build = self.model, self.build
        if not model.inputs or not model.outputs:
            raise GraphError("nothing enters the network, or nothing leaves it", where=self.where)
        self.uses.update(model.outputs)
        for op in model.ops:
            for argument in op.arguments.values():
                self.uses.update(_names(argument))
        names = {output: build.name(f"{output}.out") for output in model.outputs}
        build.reserved |= set(names.values())
        self.values |= model.constants
        self._inputs()
        for op in model.ops:
            self._operation(op)
        for output, name in names.items():
            value = self.values.get(output)
            if not isinstance(value, Tensor):
                raise GraphError(
                    "an output that is no layer's", where=f"{self.where}: {output[:80]}"
                )
            build.graph.outputs[name] = value.node
        return build.graph

    def _inputs(self) -> None:
        shapes = self.model.inputs.values()
        self.batch = max(((shape[0] or 1) for shape in shapes if shape), default=1)
        for name, shape in self.model.inputs.items():
            known = [side for side in shape[1:] if side is not None]
            if len(shape) < 2 or len(known) < len(shape) - 1:
                raise ShapeError(
                    f"an input of shape {shape}; the batch comes first, and only its size may be "
                    "open",
                    where=f"{self.where}: {name[:80]}",
                )
            self.values[name] = self.build.input(name, tuple(known))

    def _operation(self, op: ExportedOp) -> None:
        name = op.outputs[0] if op.outputs else op.target
        where = f"{self.where}: {name[:80]}"
        read = _OPERATIONS.get(op.target.removeprefix(PREFIX))
        if read is None:
            raise UnknownNodeError(
                f"the operation {op.target[:80]} is not read",
                where=where,
                fix="networks of convolutions, matrix products, sums, poolings and ReLU are read",
            )
        call = Call(reader=self, op=op, name=name, where=where)
        try:
            value = read(call)
        except (IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise FileDamagedError(
                f"{op.target[:80]} has arguments that it cannot have", where=where
            ) from error
        self.values[op.outputs[0]] = value
        if any(self.uses[output] for output in op.outputs[1:] if output):
            raise UnknownNodeError(f"a second output of {op.target[:80]} is not read", where=where)


def _names(argument: Mapping[str, Any]) -> list[str]:
    """Return the tensors that an argument names."""
    found = []
    for kind, value in argument.items():
        if kind == "as_tensor" and isinstance(value, dict):
            found.append(str(value.get("name")))
        elif kind == "as_tensors" and isinstance(value, list):
            found += [str(each.get("name")) for each in value if isinstance(each, dict)]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation and what it is given."""

    reader: _Reader
    op: ExportedOp
    name: str
    where: str

    @property
    def build(self) -> Builder:
        """Where layers go."""
        return self.reader.build

    def option(self, name: str, default: Any) -> Any:
        """Return an argument that is no tensor; a size that was computed as a number."""
        argument = self.op.arguments.get(name)
        if argument is None:
            return default
        ((kind, value),) = argument.items()
        if kind == "as_none":
            return None
        if kind == "as_sym_int":
            return self._size(value)
        if kind == "as_sym_ints":
            return [self._size(each) for each in value]
        if kind in ("as_int", "as_float", "as_bool", "as_string", "as_ints", "as_floats"):
            return value
        raise UnknownNodeError(
            f"{self.op.target[:80]} with {name} as {kind[:40]} is not read", where=self.where
        )

    def _size(self, value: Mapping[str, Any]) -> int:
        if "as_int" in value:
            return int(value["as_int"])
        size = self.reader.values[value["as_name"]]
        if not isinstance(size, int):
            raise TypeError("no size")
        return size

    def expect(self, **wanted: Any) -> None:
        """Refuse an argument with another value than the one that is read.

        Raises:
            UnknownNodeError: with both values.
        """
        for name, value in wanted.items():
            found = self.option(name, value)
            if found != value:
                raise UnknownNodeError(
                    f"{self.op.target[:80]} with {name}={str(found)[:40]} is not read",
                    where=self.where,
                )

    def value(self, name: str) -> Value:
        """Return a tensor argument, or a number as a constant."""
        argument = self.op.arguments[name]
        if "as_tensor" not in argument:
            return np.asarray(float(self.option(name, None)))
        return self.reader.values[argument["as_tensor"]["name"]]

    def tensor(self, name: str) -> Tensor:
        """Return an argument that a layer gives.

        Raises:
            UnknownNodeError: it is a constant.
        """
        found = self.value(name)
        if not isinstance(found, Tensor):
            raise UnknownNodeError(
                f"{self.op.target[:80]} of constants is not read", where=self.where
            )
        return found

    def alone(self, name: str) -> bool:
        """Return whether only this operation reads an argument."""
        return self.reader.uses[self.op.arguments[name]["as_tensor"]["name"]] == 1

    def constant(self, name: str) -> np.ndarray:
        """Return an argument that is a constant.

        Raises:
            UnknownNodeError: a layer gives it.
        """
        found = self.value(name)
        if not isinstance(found, np.ndarray):
            raise UnknownNodeError(
                f"{self.op.target[:80]} with weights that depend on the input is not read",
                where=self.where,
            )
        return found

    def given(self, name: str) -> np.ndarray | None:
        """Return an optional constant."""
        argument = self.op.arguments.get(name)
        if argument is None or "as_none" in argument:
            return None
        return self.constant(name)

    def sides(self, name: str, axes: int, default: Sequence[int]) -> Sides:
        """Return one whole number per spatial axis."""
        found = self.option(name, None)
        found = list(default) if found is None or found == [] else found
        found = [found] if isinstance(found, int) else found
        found = found * axes if len(found) == 1 else found
        if len(found) != axes:
            raise ValueError("other axes")
        return tuple(int(side) for side in found)

    @property
    def given_shape(self) -> list[int]:
        """Sides of `self` with the batch."""
        return [self.reader.batch, *self.tensor("self").shape]


def _convolution(call: Call) -> Tensor:
    call.expect(transposed=False)
    weight = call.constant("weight")
    axes = weight.ndim - 2
    ones, zeros = [1] * axes, [0] * axes
    dilation = call.sides("dilation", axes, ones)
    if isinstance(call.option("padding", 0), str):
        margins = _named_margins(call, weight, dilation)
    else:
        padding = call.sides("padding", axes, zeros)
        margins = Margins(begin=padding, end=padding)
    return call.build.convolution(
        call.name,
        call.tensor("input"),
        weight,
        call.given("bias"),
        stride=call.sides("stride", axes, ones),
        margins=margins,
        dilation=dilation,
        groups=int(call.option("groups", 1)),
    )


def _named_margins(call: Call, weight: np.ndarray, dilation: Sides) -> Margins:
    """Return the margins of padding="same", the odd one at the end, or "valid"."""
    padding = call.option("padding", "")
    if padding == "valid":
        return Margins(begin=(0,) * len(dilation), end=(0,) * len(dilation))
    if padding != "same":
        raise ValueError("no such padding")
    spare = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    return Margins(begin=tuple(s // 2 for s in spare), end=tuple(s - s // 2 for s in spare))


def _linear(call: Call) -> Tensor:
    return call.build.linear(
        call.name, call.tensor("input"), call.constant("weight"), call.given("bias")
    )


def _addmm(call: Call) -> Tensor:
    call.expect(beta=1, alpha=1)
    weight, bias = call.constant("mat2").T, call.constant("self")
    bias = np.broadcast_to(bias, (1, weight.shape[0]))[0]
    return call.build.linear(call.name, call.tensor("mat1"), weight, bias)


def _product(first: str, second: str) -> Callable[[Call], Tensor]:
    def read(call: Call) -> Tensor:
        weight = call.constant(second)
        return call.build.linear(call.name, call.tensor(first), weight.T)

    return read


def _transposed(call: Call) -> Value:
    weight = call.constant("self")
    order = call.option("dims", None)
    return np.transpose(weight, order)


def _batch_norm(call: Call) -> Tensor:
    call.expect(training=False)
    x = call.tensor("input")
    mean, variance = (
        call.constant(name).astype(np.float64) for name in ("running_mean", "running_var")
    )
    scale, shift = call.given("weight"), call.given("bias")
    with np.errstate(all="ignore"):
        factor = (1.0 if scale is None else scale) / np.sqrt(variance + call.option("eps", 1e-5))
    if factor.shape != (x.shape[0],) or mean.shape != factor.shape:
        raise ShapeError(
            f"normalisations of {factor.size} channels for values of shape {x.shape}",
            where=call.where,
        )
    offset = (0.0 if shift is None else shift) - mean * factor
    channels = (-1, *(1,) * (len(x.shape) - 1))
    return call.build.scaled(
        call.name,
        x,
        factor.reshape(channels),
        offset.reshape(channels),
        alone=call.alone("input"),
    )


def _relu(call: Call) -> Tensor:
    return call.build.rectifier(call.name, call.tensor("self"), alone=call.alone("self"))


def _clamp(low: str, high: str, default: tuple[float | None, float | None]) -> Any:
    def read(call: Call) -> Tensor:
        lower, upper = call.option(low, default[0]), call.option(high, default[1])
        if lower is None or lower != 0:
            raise UnknownNodeError(
                f"an activation between {lower} and {upper} is not read",
                where=call.where,
                fix="use a lower limit of 0: a ReLU",
            )
        ceiling = None if upper is None or upper == math.inf else float(upper)
        x = call.tensor("self")
        return call.build.rectifier(call.name, x, ceiling, alone=call.alone("self"))

    return read


def _pool(pooling: Pooling, axes: int) -> Callable[[Call], Tensor]:
    def read(call: Call) -> Tensor:
        call.expect(ceil_mode=False, divisor_override=None)
        ones, zeros = [1] * axes, [0] * axes
        if any(side != 1 for side in call.sides("dilation", axes, ones)):
            raise UnknownNodeError("a pooling with a dilation is not read", where=call.where)
        kernel = call.sides("kernel_size", axes, [])
        padding = call.sides("padding", axes, zeros)
        return call.build.pool(
            call.name,
            call.tensor("self"),
            pooling,
            kernel=kernel,
            stride=call.sides("stride", axes, kernel),
            margins=Margins(begin=padding, end=padding),
            whole=bool(call.option("count_include_pad", True)),
        )

    return read


def _adaptive(axes: int) -> Callable[[Call], Tensor]:
    def read(call: Call) -> Tensor:
        size = call.sides("output_size", axes, [])
        return call.build.adaptive(call.name, call.tensor("self"), tuple(size))

    return read


def _pad(call: Call) -> Tensor:
    call.expect(value=0)
    x, pad = call.tensor("self"), [int(side) for side in call.option("pad", [])]
    axes = len(x.shape) - 1
    pad += [0] * (2 * axes - len(pad))  # pairs from the last axis on; those left out are 0
    if len(pad) != 2 * axes:
        raise UnknownNodeError("padding of channels is not read", where=call.where)
    margins = Margins(begin=tuple(pad[-2::-2]), end=tuple(pad[::-2]))
    return call.build.pad(call.name, x, margins)


def _mean(call: Call) -> Tensor:
    x = call.tensor("self")
    rank = len(x.shape) + 1
    given = call.option("dim", None)
    over = sorted({axis % rank for axis in (range(rank) if given is None else given)})
    if not over or over[0] == 0:
        raise UnknownNodeError("a mean over the batch is not read", where=call.where)
    kept = call.build.average(call.name, x, [axis - 1 for axis in over])
    if call.option("keepdim", False):
        return kept
    shape = tuple(side for axis, side in enumerate(kept.shape) if axis + 1 not in over)
    return call.build.reshaped(f"{call.name}.flat", kept, shape)


def _with_batch(call: Call, sides: Sequence[int]) -> Tensor:
    """Give `self` another shape, whose first side must be the batch."""
    x = call.tensor("self")
    if len(sides) < 2 or sides[0] != call.reader.batch:
        raise UnknownNodeError(
            f"{call.op.target[:80]} from {tuple(call.given_shape)} to {tuple(sides)} mixes samples",
            where=call.where,
            fix="keep the batch as the first axis",
        )
    return call.build.reshaped(call.name, x, tuple(sides[1:]))


def _flatten(call: Call) -> Tensor:
    sides = call.given_shape
    start = call.option("start_dim", 0) % len(sides)
    end = call.option("end_dim", -1) % len(sides)
    flat = [*sides[:start], math.prod(sides[start : end + 1]), *sides[end + 1 :]]
    return _with_batch(call, flat if start <= end else sides)


def _view(name: str) -> Callable[[Call], Tensor]:
    def read(call: Call) -> Tensor:
        sides = [int(side) for side in call.option(name, [])]
        if sides.count(-1) == 1:
            known = math.prod(side for side in sides if side != -1)
            sides[sides.index(-1)] = math.prod(call.given_shape) // known if known else 0
        return _with_batch(call, sides)

    return read


def _unsqueeze(call: Call) -> Tensor:
    sides = call.given_shape
    sides.insert(call.option("dim", 0) % (len(sides) + 1), 1)
    return _with_batch(call, sides)


def _squeeze(call: Call) -> Tensor:
    sides = call.given_shape
    given = call.option("dim", None)
    axes = {axis % len(sides) for axis in ([given] if isinstance(given, int) else given)}
    kept = [side for axis, side in enumerate(sides) if axis not in axes or side != 1]
    if 0 in axes:
        raise UnknownNodeError("a squeeze of the batch is not read", where=call.where)
    return _with_batch(call, kept)


def _permuted(call: Call) -> Value:
    if isinstance(call.value("self"), np.ndarray):
        return _transposed(call)
    sides, order = call.given_shape, [int(axis) for axis in call.option("dims", [])]
    if sorted(axis % len(sides) for axis in order) != list(range(len(sides))):
        raise ValueError("no permutation")
    moving = [axis for axis in order if axis and sides[axis] > 1]
    if order[0] != 0 or moving != sorted(moving):
        raise UnknownNodeError(
            f"a permutation by {order} of values of shape {tuple(sides)} is not read",
            where=call.where,
            fix="export a network with channels first",
        )
    return _with_batch(call, [sides[axis] for axis in order])


def _sum(sign: float) -> Callable[[Call], Tensor]:
    def read(call: Call) -> Tensor:
        call.expect(alpha=1)
        first, second = call.value("self"), call.value("other")
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            if sign < 0:
                minus = np.full((), sign)
                name = f"{call.name}.negative"
                second = call.build.scaled(name, second, minus, None, alone=False)
            return call.build.total(call.name, [first, second])
        if isinstance(first, Tensor):
            shift = np.asarray(sign * call.constant("other"))
            return _scaled(call, "self", None, shift)
        return _scaled(call, "other", np.full((), sign), call.constant("self"))

    return read


def _scaled(call: Call, name: str, factor: np.ndarray | None, shift: np.ndarray | None) -> Tensor:
    x = call.tensor(name)
    return call.build.scaled(call.name, x, factor, shift, alone=call.alone(name))


def _times(call: Call) -> Tensor:
    if isinstance(call.value("self"), np.ndarray):
        return _scaled(call, "other", call.constant("self"), None)
    return _scaled(call, "self", call.constant("other"), None)


def _quotient(call: Call) -> Tensor:
    with np.errstate(divide="ignore"):
        factor = np.asarray(1.0 / call.constant("other").astype(np.float64))
    return _scaled(call, "self", factor, None)


def _negative(call: Call) -> Tensor:
    return _scaled(call, "self", np.full((), -1.0), None)


def _concatenation(call: Call) -> Tensor:
    names = [each["name"] for each in call.op.arguments["tensors"]["as_tensors"]]
    parts = [call.reader.values[name] for name in names]
    tensors = [part for part in parts if isinstance(part, Tensor)]
    axis = int(call.option("dim", 0)) % (len(tensors[0].shape) + 1)
    if len(tensors) < len(parts) or axis == 0:
        raise UnknownNodeError("a cat of samples or constants is not read", where=call.where)
    return call.build.concatenation(call.name, tensors, axis - 1)


def _same(name: str) -> Callable[[Call], Value]:
    def read(call: Call) -> Value:
        return call.value(name)

    return read


def _dropout(call: Call) -> Value:
    call.expect(train=False)
    return call.value("input")


def _size(call: Call) -> int:
    return call.given_shape[int(call.option("dim", 0))]


def _softmax(call: Call) -> Tensor:
    output = call.op.outputs[0]
    if output not in call.reader.model.outputs or call.reader.uses[output] != 1:
        raise UnknownNodeError("a softmax within a network is not read", where=call.where)
    call.build.note(
        Kind.CHANGED,
        call.name,
        "the softmax at the end is left out",
        "the largest output stays the largest; the others are no probabilities now",
    )
    return call.tensor("self")


_OPERATIONS: Mapping[str, Callable[[Call], Value]] = {
    **dict.fromkeys(
        (
            "conv1d.default",
            "conv2d.default",
            "conv1d.padding",
            "conv2d.padding",
            "convolution.default",
        ),
        _convolution,
    ),
    "linear.default": _linear,
    "addmm.default": _addmm,
    "mm.default": _product("self", "mat2"),
    "matmul.default": _product("self", "other"),
    "t.default": _transposed,
    "numpy_T.default": _transposed,
    "permute.default": _permuted,
    "batch_norm.default": _batch_norm,
    "_native_batch_norm_legit_no_training.default": _batch_norm,
    **dict.fromkeys(("relu.default", "relu_.default"), _relu),
    **dict.fromkeys(
        ("hardtanh.default", "hardtanh_.default"), _clamp("min_val", "max_val", (-1.0, 1.0))
    ),
    **dict.fromkeys(("relu6.default", "relu6_.default"), _clamp("", "", (0.0, 6.0))),
    **dict.fromkeys(("clamp.default", "clamp_.default"), _clamp("min", "max", (None, None))),
    "clamp_min.default": _clamp("min", "", (None, None)),
    "max_pool1d.default": _pool(Pooling.MAX, 1),
    "max_pool2d.default": _pool(Pooling.MAX, 2),
    "max_pool2d_with_indices.default": _pool(Pooling.MAX, 2),
    "avg_pool1d.default": _pool(Pooling.AVERAGE, 1),
    "avg_pool2d.default": _pool(Pooling.AVERAGE, 2),
    "adaptive_avg_pool1d.default": _adaptive(1),
    "adaptive_avg_pool2d.default": _adaptive(2),
    "_adaptive_avg_pool2d.default": _adaptive(2),
    "constant_pad_nd.default": _pad,
    "mean.dim": _mean,
    "flatten.using_ints": _flatten,
    "view.default": _view("size"),
    "_unsafe_view.default": _view("size"),
    "reshape.default": _view("shape"),
    "unsqueeze.default": _unsqueeze,
    "squeeze.dim": _squeeze,
    "squeeze.dims": _squeeze,
    **dict.fromkeys(("add.Tensor", "add_.Tensor"), _sum(1.0)),
    **dict.fromkeys(("sub.Tensor", "sub_.Tensor"), _sum(-1.0)),
    **dict.fromkeys(("mul.Tensor", "mul_.Tensor", "mul.Scalar"), _times),
    **dict.fromkeys(("div.Tensor", "div_.Tensor", "div.Scalar"), _quotient),
    "neg.default": _negative,
    "cat.default": _concatenation,
    **dict.fromkeys(("dropout.default", "dropout_.default", "feature_dropout.default"), _dropout),
    **dict.fromkeys(
        ("alias.default", "clone.default", "contiguous.default", "detach.default"), _same("self")
    ),
    "sym_size.int": _size,
    **dict.fromkeys(("softmax.int", "log_softmax.int", "_softmax.default"), _softmax),
}
