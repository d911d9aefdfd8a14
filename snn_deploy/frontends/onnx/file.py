"""ONNX files as plain operations and arrays, read as untrusted input.

Nothing is run and nothing outside of the file is opened. Whatever the file claims is checked
against what it holds before memory is taken for it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import (
    DeployError,
    FileDamagedError,
    GraphError,
    OptionError,
    ShapeError,
    UnknownNodeError,
)
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.sizes import allowed, higher

LARGEST_FILE = 2**31 - 1
"""Bytes of a file: protobuf has no larger ones."""

MOST_NODES = 100_000
MOST_AXES = 8

OLDEST_OPSET = 7
"""Operators broadcast as numpy does from here on."""

EXPORT_AGAIN = "export it again, with all weights in the one file"

INSTALL = "pip install 'snn-deploy[onnx]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation."""

    name: str
    """Unique is what it gives, not its name: files leave names out."""

    kind: str
    domain: str
    """Empty for ONNX's own operators."""

    inputs: tuple[str, ...]
    """Values by name; empty where an optional one is left out."""

    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    """Numbers, texts, lists of them, and arrays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxGraph:
    """A model: operations, each behind those it reads."""

    ops: tuple[Op, ...]
    constants: Mapping[str, np.ndarray]
    inputs: Mapping[str, tuple[int | None, ...]]
    """Shapes with the batch axis; None: any size."""

    outputs: tuple[str, ...]
    opset: int


def read_file(content: bytes, where: str) -> OnnxGraph:
    """Return the operations of a model.

    Args:
        content: The whole file.
        where: Its name, for errors.

    Raises:
        OptionError: the onnx package is not installed.
        FileDamagedError: not ONNX, damaged, hostile, or with weights in other files.
        GraphError: a value that nobody gives, or a loop.
        UnknownNodeError: an opset, a type of numbers or a structure that is not read.
    """
    onnx = _package()
    if len(content) > LARGEST_FILE:
        raise FileDamagedError(
            f"the file has {len(content)} bytes; at most {LARGEST_FILE} are read", where=where
        )
    try:
        model = onnx.ModelProto.FromString(content)
        return _Reader(onnx=onnx, where=where).model(model)
    except DeployError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # the library raises whatever a damaged field makes it raise
        raise _damaged(where) from error


def _package() -> Any:
    try:
        import onnx  # noqa: PLC0415  an extra, needed only here
        import onnx.numpy_helper  # noqa: PLC0415
    except ImportError as error:
        raise OptionError(
            "ONNX files are read with the onnx package, which is not here", fix=INSTALL
        ) from error
    return onnx


def _damaged(where: str) -> FileDamagedError:
    return FileDamagedError(
        "the file is not ONNX, or it is truncated or damaged", where=where, fix=EXPORT_AGAIN
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads one model."""

    onnx: Any
    where: str

    def model(self, model: Any) -> OnnxGraph:
        graph = model.graph
        if not graph.node or not graph.output:
            raise _damaged(self.where)
        if model.functions:
            raise UnknownNodeError(
                "a model with functions of its own is not read",
                where=f"{self.where}: {model.functions[0].name[:40]}",
                fix="inline them: onnx.inliner.inline_local_functions(model)",
            )
        if len(graph.node) > allowed(MOST_NODES):
            raise FileDamagedError(
                f"{len(graph.node)} operations; at most {allowed(MOST_NODES)} are read",
                where=self.where,
                fix=higher(len(graph.node), MOST_NODES),
            )
        if graph.sparse_initializer:
            raise UnknownNodeError("sparse weights are not read", where=self.where)
        opset = self._opset(model)
        constants = {t.name: self._array(t, t.name) for t in graph.initializer}
        inputs = {i.name: self._shape(i) for i in graph.input if i.name not in constants}
        ops = [self._op(node) for node in graph.node]
        outputs = tuple(output.name for output in graph.output)
        texts = [text for op in ops for text in (op.name, op.kind, op.domain, *op.attributes)]
        texts += [text for op in ops for text in (*op.inputs, *op.outputs)]
        if not all(isinstance(text, str) for text in (*texts, *constants, *inputs, *outputs)):
            raise _damaged(self.where)  # what is not UTF-8 comes as bytes
        known = {*constants, *inputs, ""}
        return OnnxGraph(
            ops=tuple(self._sorted(ops, known, outputs)),
            constants=constants,
            inputs=inputs,
            outputs=outputs,
            opset=opset,
        )

    def _opset(self, model: Any) -> int:
        versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
        opset = max(versions, default=0)
        newest = int(self.onnx.defs.onnx_opset_version())
        if not OLDEST_OPSET <= opset <= newest:
            raise UnknownNodeError(
                f"opset {opset} is not read; {OLDEST_OPSET} to {newest} are",
                where=self.where,
                fix="onnx.version_converter.convert_version(model, 17) makes another",
            )
        return opset

    def _shape(self, value: Any) -> tuple[int | None, ...]:
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
            raise ShapeError("an input without a shape", where=f"{self.where}: {value.name[:40]}")
        sides = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
        if len(sides) > MOST_AXES or any(side is not None and side < 0 for side in sides):
            raise _damaged(self.where)
        return tuple(side or None for side in sides)

    def _array(self, tensor: Any, name: str) -> np.ndarray:
        """Return a tensor's numbers in a type that numpy has."""
        where = f"{self.where}: {name[:40]}"
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise FileDamagedError(
                "its values are kept in another file", where=where, fix=EXPORT_AGAIN
            )
        shape: Shape = tuple(tensor.dims)
        # Packed types hold two numbers a byte; nothing holds more numbers than half-bytes.
        if len(shape) > MOST_AXES or min(shape, default=1) < 0:
            raise _damaged(self.where)
        if math.prod(shape) > 2 * tensor.ByteSize():
            raise _damaged(self.where)
        if tensor.data_type not in self._types():
            known = self.onnx.TensorProto.DataType.Name(tensor.data_type)
            raise UnknownNodeError(f"numbers of type {known} are not read", where=where)
        array = np.asarray(self.onnx.numpy_helper.to_array(tensor))
        if array.dtype.kind in "iub" or array.dtype in (np.float32, np.float64):
            return array
        whole = np.dtype(array.dtype).name.startswith(("int", "uint"))
        return array.astype(np.int16 if whole else np.float32)

    def _types(self) -> frozenset[int]:
        kinds = self.onnx.TensorProto
        names = (
            "FLOAT DOUBLE FLOAT16 BFLOAT16 INT4 UINT4 INT8 UINT8 INT16 UINT16 INT32 UINT32 INT64 "
            "UINT64 BOOL"
        )
        return frozenset(getattr(kinds, name) for name in names.split())

    def _op(self, node: Any) -> Op:
        name = node.name or (node.output[0] if node.output else "")
        attributes: dict[str, Any] = {}
        kinds = self.onnx.AttributeProto
        for attribute in node.attribute:
            if attribute.type in (kinds.GRAPH, kinds.GRAPHS, kinds.SPARSE_TENSOR):
                raise UnknownNodeError(
                    f"{node.op_type[:40]} with a graph of its own is not read",
                    where=f"{self.where}: {name[:80]}",
                    fix="export a network without branches and loops",
                )
            value = self.onnx.helper.get_attribute_value(attribute)
            if attribute.type == kinds.TENSOR:
                value = self._array(value, name)
            elif isinstance(value, bytes):
                value = value.decode("utf-8")
            elif attribute.type in (kinds.INTS, kinds.FLOATS):
                value = list(value)
            attributes[attribute.name] = value
        domain = "" if node.domain == "ai.onnx" else node.domain
        return Op(
            name=name,
            kind=node.op_type,
            domain=domain,
            inputs=tuple(node.input),
            outputs=tuple(node.output),
            attributes=attributes,
        )

    def _sorted(self, ops: list[Op], known: set[str], outputs: tuple[str, ...]) -> list[Op]:
        """Return the operations that an output needs, each behind those it reads."""
        makers: dict[str, int] = {}
        for place, op in enumerate(ops):
            for name in op.outputs:
                if name and (name in makers or name in known):
                    raise GraphError(
                        "two operations give the same value", where=f"{self.where}: {name[:80]}"
                    )
                makers[name] = place
        ordered: list[int] = []
        state = [0] * len(ops)  # 1: what it reads is being visited, 2: done
        pending: list[int | None] = [self._maker(name, makers, known) for name in reversed(outputs)]
        while pending:
            index = pending[-1]
            if index is None or state[index] == 2:
                pending.pop()
                continue
            if state[index] == 1:
                state[index] = 2
                ordered.append(index)
                pending.pop()
                continue
            state[index] = 1
            for name in ops[index].inputs:
                source = self._maker(name, makers, known)
                if source is not None and state[source] == 1:
                    raise GraphError(
                        "a loop of operations", where=f"{self.where}: {ops[source].name[:80]}"
                    )
                if source is not None and state[source] == 0:
                    pending.append(source)
        return [ops[index] for index in ordered]

    def _maker(self, name: str, makers: Mapping[str, int], known: set[str]) -> int | None:
        if name in known:
            return None
        if name not in makers:
            raise GraphError(
                "a value is read that nobody gives", where=f"{self.where}: {name[:80]}"
            )
        return makers[name]
