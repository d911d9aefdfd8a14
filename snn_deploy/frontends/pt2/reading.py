"""torch.export's .pt2 archives as layers of an ANN."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from snn_deploy.errors import FileDamagedError, GraphError, ShapeError, UnknownNodeError
from snn_deploy.frontends.ann import Builder
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.pt2.call import Call, Reading, Value
from snn_deploy.frontends.pt2.file import Exported, ExportedOp, read_exported
from snn_deploy.frontends.pt2.layout import LAYOUT
from snn_deploy.frontends.pt2.ops import LAYERS
from snn_deploy.frontends.pt2.shared import check_shared, names

PREFIX = "torch.ops.aten."

OPERATIONS: Mapping[str, Callable[[Call], Value]] = {**LAYOUT, **LAYERS}
"""By name."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Walks one model, operation by operation."""

    model: Exported
    where: str

    def run(self) -> LayerGraph:
        """Return the layers."""
        model = self.model
        if not model.inputs or not model.outputs:
            raise GraphError("nothing enters the network, or nothing leaves it", where=self.where)
        check_shared(model.ops, model.outputs, PREFIX, self.where)
        reading = self._reading()
        outputs = dict.fromkeys(model.outputs)
        given = {output: reading.build.output(f"{output}.out") for output in outputs}
        self._inputs(reading)
        for op in model.ops:
            self._operation(reading, op)
        return reading.build.finished(given, reading.values)

    def _reading(self) -> Reading:
        model = self.model
        uses = Counter(model.outputs)
        for op in model.ops:
            for argument in op.arguments.values():
                uses.update(names(argument))
        batches = [shape[0] or 1 for shape in model.inputs.values() if shape]
        return Reading(
            build=Builder(where=self.where),
            values=dict(model.constants),
            uses=uses,
            outputs=model.outputs,
            batch=max(batches, default=1),
        )

    def _inputs(self, reading: Reading) -> None:
        for name, shape in self.model.inputs.items():
            known = [side for side in shape[1:] if side is not None]
            if len(shape) < 2 or len(known) < len(shape) - 1:
                raise ShapeError(
                    f"an input of shape {shape}; the batch comes first, and only its size may be "
                    "open",
                    where=f"{self.where}: {name[:80]}",
                )
            reading.values[name] = reading.build.input(name, tuple(known))

    def _operation(self, reading: Reading, op: ExportedOp) -> None:
        name = op.outputs[0] if op.outputs else op.target
        where = f"{self.where}: {name[:80]}"
        read = OPERATIONS.get(op.target.removeprefix(PREFIX))
        if read is None:
            raise UnknownNodeError(
                f"the operation {op.target[:80]} is not read",
                where=where,
                fix="networks of convolutions, matrix products, sums, poolings and ReLU are read",
            )
        call = Call(reading=reading, op=op, name=name, where=where)
        try:
            value = read(call)
        except (IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise FileDamagedError(
                f"{op.target[:80]} has arguments that it cannot have", where=where
            ) from error
        reading.values[op.outputs[0]] = value
        if any(reading.uses[output] for output in op.outputs[1:] if output):
            raise UnknownNodeError(f"a second output of {op.target[:80]} is not read", where=where)
