"""Archives of a few operations, as torch.export saves them: quicker than an export, free to lie.

What they compute is said by torch's own operators.
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

FLOAT = 7
"""float32 in the schema."""

Entry = dict[str, Any]


@dataclass(frozen=True)
class Ref:
    """A tensor, by its name."""

    name: str


@dataclass(frozen=True)
class Raw:
    """An argument as it stands in the file."""

    entry: Entry


@dataclass(frozen=True)
class Op:
    """One operation of `torch.ops.aten`."""

    name: str
    """Of what it gives; of several things separated by blanks."""

    target: str
    arguments: Mapping[str, Any]


def op(name: str, target: str, **arguments: Any) -> Op:
    """Return an operation; a `Ref` is a tensor, a text a text."""
    return Op(name, target, arguments)


X = Ref("x")


def archive(
    ops: Sequence[Op],
    constants: Mapping[str, np.ndarray] | None = None,
    shape: Sequence[int] = (1, 2, 6, 6),
    *,
    outputs: Sequence[str] = ("y",),
    change: Callable[[Entry, Entry], object] = lambda model, weights: None,
) -> bytes:
    """Return the bytes of a model that reads "x" and gives `outputs`.

    Args:
        ops: In the order in which they act.
        constants: Parameters of float32.
        shape: Of "x".
        outputs: Names.
        change: Changes the description of the model and that of its weights, in place.
    """
    constants = constants or {}
    model = {
        "schema_version": {"major": 8, "minor": 1},
        "graph_module": {
            "graph": {
                "nodes": [_node(each) for each in ops],
                "outputs": [{"as_tensor": {"name": name}} for name in outputs],
                "tensor_values": {"x": _meta(shape)},
            },
            "signature": {
                "input_specs": [
                    *({"parameter": {"arg": {"name": n}, "parameter_name": n}} for n in constants),
                    {"user_input": {"arg": {"as_tensor": {"name": "x"}}}},
                ],
                "output_specs": [
                    {"user_output": {"arg": {"as_tensor": {"name": name}}}} for name in outputs
                ],
            },
        },
    }
    weights = {
        "config": {
            name: {"path_name": name, "use_pickle": False, "tensor_meta": _meta(value.shape)}
            for name, value in constants.items()
        }
    }
    change(model, weights)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/models/model.json", json.dumps(model))
        made.writestr("archive/data/weights/model_weights_config.json", json.dumps(weights))
        for name, value in constants.items():
            made.writestr(f"archive/data/weights/{name}", value.astype(np.float32).tobytes())
    return file.getvalue()


def expected(ops: Sequence[Op], constants: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return what torch's operators give for "x", of the last operation."""
    values = {name: torch.from_numpy(value) for name, value in constants.items()}
    values["x"] = given = torch.from_numpy(x)

    def plain(argument: Any) -> Any:
        if isinstance(argument, Ref):
            return values[argument.name]
        return [plain(each) for each in argument] if isinstance(argument, list) else argument

    for each in ops:
        kind, overload = each.target.split(".")
        operator = getattr(getattr(torch.ops.aten, kind), overload)
        given = operator(**{name: plain(value) for name, value in each.arguments.items()})
        values[each.name.split()[0]] = given if isinstance(given, torch.Tensor) else given[0]
    return values[ops[-1].name.split()[0]].numpy()


def _node(each: Op) -> Entry:
    return {
        "target": f"torch.ops.aten.{each.target}",
        "inputs": [{"name": name, "arg": _entry(arg)} for name, arg in each.arguments.items()],
        "outputs": [{"as_tensor": {"name": name}} for name in each.name.split()],
    }


def _entry(argument: Any) -> Entry:
    if isinstance(argument, Raw):
        return argument.entry
    if isinstance(argument, Ref):
        return {"as_tensor": {"name": argument.name}}
    if isinstance(argument, list):
        if argument and isinstance(argument[0], Ref):
            return {"as_tensors": [{"name": each.name} for each in argument]}
        return {"as_ints": argument}
    if argument is None:
        return {"as_none": True}
    kinds = {bool: "as_bool", int: "as_int", float: "as_float", str: "as_string"}
    return {kinds[type(argument)]: argument}


def _meta(shape: Sequence[int]) -> Entry:
    strides = [int(np.prod(shape[axis + 1 :], dtype=int)) for axis in range(len(shape))]
    return {
        "dtype": FLOAT,
        "sizes": [{"as_int": side} for side in shape],
        "strides": [{"as_int": stride} for stride in strides],
        "storage_offset": {"as_int": 0},
    }
