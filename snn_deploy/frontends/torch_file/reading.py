"""torch's files, read without torch: state dicts, checkpoints and whole pickled modules.

A file is data. What it names is neither imported nor called; what cannot be read so is refused
with the way out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from snn_deploy.errors import FileDamagedError, UnknownNodeError
from snn_deploy.frontends.torch_file.archive import ArchiveKind, archive_kind
from snn_deploy.frontends.torch_file.safetensors import read_safetensors
from snn_deploy.frontends.torch_file.saved import SAVE_STATE, read_legacy, read_zipped
from snn_deploy.frontends.torch_file.storages import damaged
from snn_deploy.frontends.torch_file.stub import Stub, attributes, entries
from snn_deploy.frontends.torch_file.tree import MODULES, check_tree
from snn_deploy.ir.sizes import allowed, higher, or_higher

LARGEST_FILE: Final = 2**31
"""Bytes of a file that is read."""

MOST_TENSORS: Final = 200_000

STATE_DICT_KEYS: Final = ("state_dict", "model_state_dict", "model", "net", "network", "module")
"""Where checkpoints keep the state dict; Lightning's is the first."""

NUMBERS: Final = "biufc"
"""numpy's kinds of them; a text is no tensor."""

TRAINING_KEYS: Final = ("optim", "lr_sched", "scheduler", "scaler")
"""What the keys of a checkpoint start with whose tensors belong to the training alone."""

REFUSED: Final = {
    ArchiveKind.SCRIPT: "export the model to ONNX, or " + SAVE_STATE,
    ArchiveKind.EXPORTED: "name it model.pt2: such archives are read by that name",
    ArchiveKind.PACKAGE: "load the package and " + SAVE_STATE,
    ArchiveKind.TAR: "load it with the torch that wrote it and " + SAVE_STATE,
    ArchiveKind.PICKLE: SAVE_STATE,
    ArchiveKind.NUMPY: SAVE_STATE,
    ArchiveKind.UNKNOWN: "give a file of torch.save or of safetensors, or a .nir or .onnx file",
}
"""The way out, by what else a file can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDict:
    """Named tensors: of a state dict, a checkpoint or a safetensors file."""

    tensors: Mapping[str, np.ndarray]
    """Read-only, in the order of the file. Names of dicts within dicts are joined by dots."""

    extras: Mapping[str, Any]
    """What else the file has beside them: hyper-parameters, counters, remarks; data only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PickledModule:
    """A whole module, as the record that the file has of it."""

    root: Stub


TorchFile = StateDict | PickledModule


def read_torch_file(content: bytes, where: str) -> TorchFile:
    """Return what a file of torch.save or of safetensors holds.

    Args:
        content: The whole file.
        where: Its name, for errors.

    Raises:
        FileDamagedError: not such a file, truncated, damaged or hostile.
        UnknownNodeError: numbers of a type that we do not read, or no model in it.
    """
    if len(content) > allowed(LARGEST_FILE):
        raise FileDamagedError(
            f"the file has {len(content)} bytes; at most {allowed(LARGEST_FILE)} are read",
            where=where,
            fix=or_higher(SAVE_STATE, len(content), LARGEST_FILE),
        )
    kind = archive_kind(content)
    if kind in REFUSED:
        raise FileDamagedError(f"the file is {kind.value}", where=where, fix=REFUSED[kind])
    if kind is ArchiveKind.SAFETENSORS:
        tensors, remarks = read_safetensors(content, where)
        return StateDict(tensors=MappingProxyType(tensors), extras=MappingProxyType(remarks))
    read = read_zipped if kind is ArchiveKind.TORCH else read_legacy
    root = read(content, where)
    check_tree(root, where)
    return _sorted_out(root, where)


def _sorted_out(root: Any, where: str) -> TorchFile:
    """Return a module or a state dict, wherever in the file it is."""
    if isinstance(root, Stub) and MODULES in attributes(root):
        return PickledModule(root=root)
    table = entries(root) if isinstance(root, Stub) else root
    if not isinstance(table, dict):
        raise UnknownNodeError(
            f"the file holds {_described(root)}, neither a module nor a state dict",
            where=where,
            fix=SAVE_STATE,
        )
    for key in STATE_DICT_KEYS:
        inner = table.get(key)
        extras = {name: table[name] for name in table if name != key and isinstance(name, str)}
        if isinstance(inner, Stub) and MODULES in attributes(inner):
            return PickledModule(root=inner)
        if isinstance(inner, dict):
            tensors, others = _tensors(inner, where)
            if tensors:
                _check_alone(table, key, tensors, where)
                return _state_dict(tensors, others | extras)
    tensors, extras = _tensors(table, where)
    if not tensors:
        raise UnknownNodeError(
            f"the file holds {_described(table)}, but no tensor", where=where, fix=SAVE_STATE
        )
    return _state_dict(tensors, extras)


def _check_alone(
    table: dict[Any, Any], chosen: str, tensors: Mapping[str, np.ndarray], where: str
) -> None:
    """Refuse a checkpoint with the weights of the same network twice, such as their averages.

    Raises:
        UnknownNodeError: with the names of both.
    """
    for key, value in table.items():
        if key == chosen or not isinstance(key, str) or not isinstance(value, dict):
            continue
        if value.keys() >= tensors.keys():
            raise UnknownNodeError(
                f"the checkpoint has the weights of this network twice: {chosen!r} and "
                f"{key[:80]!r}",
                where=where,
                fix=f"torch.save(checkpoint[{chosen!r}], ...), or the other one",
            )


def _state_dict(tensors: dict[str, np.ndarray], extras: dict[str, Any]) -> StateDict:
    return StateDict(tensors=MappingProxyType(tensors), extras=MappingProxyType(extras))


def _tensors(table: dict[Any, Any], where: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors below a dict by their joined names, and what else it has."""
    tensors: dict[str, np.ndarray] = {}
    extras: dict[str, Any] = {}
    for key, value in table.items():
        if not isinstance(key, str):
            continue
        if isinstance(value, dict) and not key.startswith(TRAINING_KEYS):
            inner, others = _tensors(value, where)
            _add(tensors, {f"{key}.{name}": each for name, each in inner.items()}, where)
            if others or not inner:
                extras[key] = others if inner else value
        elif isinstance(value, np.ndarray) and value.dtype.kind in NUMBERS:
            _add(tensors, {key: value}, where)
        else:
            extras[key] = value
    return tensors, extras


def _add(tensors: dict[str, np.ndarray], more: dict[str, np.ndarray], where: str) -> None:
    twice = tensors.keys() & more.keys()
    if twice:
        raise damaged(f"two tensors of the name {min(twice)[:80]!r}", where)
    tensors |= more
    if len(tensors) > allowed(MOST_TENSORS):
        raise FileDamagedError(
            f"{len(tensors)} tensors; at most {allowed(MOST_TENSORS)} are read",
            where=where,
            fix=higher(len(tensors), MOST_TENSORS),
        )


def _described(value: Any) -> str:
    """Return what a value is, in words."""
    match value:
        case Stub():
            return f"a {value.type_name}"
        case np.ndarray():
            return "a single tensor"
        case dict():
            keys = [key[:40] for key in value if isinstance(key, str)][:5]
            return f"a dict of {', '.join(keys)}" if keys else "a dict"
    return f"a {type(value).__name__}"
