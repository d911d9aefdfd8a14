"""Layers as HDF5, laid out as lava-dl's slayer does: equal layers, equal bytes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import h5py
import numpy as np

TYPE_TEXT = "S10"
"""slayer's type of the text that names a layer's type, which netx reads as its first element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One dataset of a layer."""

    path: str
    """Below the layer, such as `neuron/vThMant`."""

    value: np.ndarray | str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLayer:
    """One layer of a file."""

    kind: str
    members: tuple[Member, ...]


def hdf5_bytes(layers: Sequence[FileLayer]) -> bytes:
    """Return a file of these layers."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for index, layer in enumerate(layers):
            group = file.create_group(f"layer/{index}")
            kind = np.array([layer.kind.encode()], TYPE_TEXT)
            group.create_dataset("type", data=kind, track_times=False)
            for member in layer.members:
                group.create_dataset(member.path, data=member.value, track_times=False)
    return content.getvalue()
