"""ONNX models as layers of an ANN."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from snn_deploy.errors import FileDamagedError, GraphError, ShapeError, UnknownNodeError
from snn_deploy.frontends.ann import Builder
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.onnx.call import Call, Reading, Value, unknown
from snn_deploy.frontends.onnx.file import OnnxGraph, Op, read_file
from snn_deploy.frontends.onnx.fold import fold
from snn_deploy.frontends.onnx.layout import LAYOUT
from snn_deploy.frontends.onnx.ops import LAYERS
from snn_deploy.frontends.onnx.quantised import quantised_operations, quantised_weights

OPERATIONS: Mapping[tuple[str, str], Callable[[Call], Value]] = {
    **{("", kind): read for kind, read in {**LAYOUT, **LAYERS}.items()},
    **quantised_operations(LAYERS),
}
"""By domain and kind."""


def read_onnx(content: bytes, where: str, *, optimise: bool = False) -> LayerGraph:
    """Return the layers of an ONNX model.

    Args:
        content: The whole file.
        where: Its name, for errors.
        optimise: Let onnxscript's optimiser clean the model first: for exports with operations
            around every layer.

    Raises:
        OptionError: the onnx package, or with `optimise` onnxscript, is not installed.
        FileDamagedError: not ONNX, damaged, or hostile.
        UnknownNodeError: an operation, or an option of one, that is not read.
        ShapeError: shapes do not fit together.
        NotFiniteError: a weight is NaN or infinite.
        GraphError: no input, or an output that does not depend on one.
    """
    if optimise:
        from snn_deploy.frontends.onnx.optimise import optimised  # noqa: PLC0415  needs an extra

        content = optimised(content, where)
    with np.errstate(all="ignore"):  # what is not finite is refused where a layer gets it
        return _Reader(model=read_file(content, where), where=where).run()


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Walks one model, operation by operation."""

    model: OnnxGraph
    where: str
    values: dict[str, Value] = field(default_factory=dict)

    def run(self) -> LayerGraph:
        """Return the layers."""
        model = self.model
        if not model.inputs:
            raise GraphError("nothing enters the network", where=self.where)
        reading = self._reading()
        names = {output: reading.build.output(output) for output in dict.fromkeys(model.outputs)}
        self.values |= {"": None, **model.constants}
        self._inputs(reading)
        for op in model.ops:
            self._operation(reading, op)
        return reading.build.finished(names, self.values)

    def _reading(self) -> Reading:
        model = self.model
        uses = Counter(model.outputs)
        readers: dict[str, list[str]] = {}
        for op in model.ops:
            uses.update(op.inputs)
            for name in op.inputs:
                readers.setdefault(name, []).append(op.kind)
        batches = [shape[0] or 1 for shape in model.inputs.values() if shape]
        return Reading(
            build=Builder(where=self.where),
            uses=uses,
            readers=readers,
            outputs=model.outputs,
            batch=max(batches, default=1),
        )

    def _inputs(self, reading: Reading) -> None:
        for name, shape in self.model.inputs.items():
            if len(shape) < 2:
                raise ShapeError(
                    "an input without a batch axis, which comes first",
                    where=f"{self.where}: {name[:80]}",
                    fix="export with a sample of shape (1, ...)",
                )
            known = [side for side in shape[1:] if side is not None]
            if len(known) < len(shape) - 1 or (shape[0] or reading.batch) != reading.batch:
                raise ShapeError(
                    f"an input of shape {shape}; only the size of the batch may be open",
                    where=f"{self.where}: {name[:80]}",
                    fix="export with a sample of a fixed shape",
                )
            self.values[name] = reading.build.input(name, tuple(known))

    def _operation(self, reading: Reading, op: Op) -> None:
        where = f"{self.where}: {op.name[:80]}"
        inputs = [self.values[name] for name in op.inputs]
        constants = [value for value in inputs if value is None or isinstance(value, np.ndarray)]
        if len(constants) == len(inputs):
            made = fold(op, tuple(constants), self.model.opset, where)
            if made is None:
                made = quantised_weights(op, constants, where)
            if made is None:
                raise unknown(op, where, of_constants=True)
            self._gives(reading, op, made, where)
            return
        read = OPERATIONS.get((op.domain, op.kind))
        if read is None:
            raise unknown(op, where)
        call = Call(reading=reading, op=op, inputs=inputs, where=where)
        try:
            value = read(call)
        except (IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise FileDamagedError(
                f"{op.kind} has options or inputs that it cannot have", where=where
            ) from error
        self._gives(reading, op, value, where)

    def _gives(self, reading: Reading, op: Op, value: Value, where: str) -> None:
        self.values[op.outputs[0]] = value
        for output in op.outputs[1:]:
            if output and reading.uses[output]:
                raise UnknownNodeError(f"a second output of {op.kind} is not read", where=where)
            self.values[output] = None
