"""NIR's HDF5 files, read as untrusted input and written so that equal graphs give equal bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import nir
import numpy as np

from snn_deploy.errors import FileDamagedError, GraphError, UnknownNodeError
from snn_deploy.frontends.hdf5 import LARGEST_CONTENT, Hdf5File, as_text, no_file
from snn_deploy.frontends.nir.nodes import (
    FIELDS,
    Stored,
    check_name,
    make_node,
    node_type,
    stored_fields,
)
from snn_deploy.ir.sizes import allowed, higher

FORMAT_VERSION = "1.0.8"
"""The NIR release whose node types and fields we write."""

MOST_NODES = 100_000
MOST_EDGES = 1_000_000
DEEPEST = 32
"""Graphs within graphs."""

EDGE_TEXT = 2**28
"""Bytes that one reading of edge names may take."""


def read_graph(image: bytes, where: str) -> nir.NIRGraph:
    """Return the graph of a NIR file.

    Args:
        image: The bytes of the file.
        where: What to call the file in errors.

    Raises:
        FileDamagedError: not HDF5, truncated, of another layout, too large, or hostile.
        UnknownNodeError: a node type or field that NIR does not have.
        NotFiniteError: a number is NaN or infinite.
        ShapeError: parameters that do not fit together.
        GraphError: a name that cannot be used.
    """
    source = Hdf5File(where=where, image=image, kind="NIR files", writer="nir.write")
    with source.opened() as file:
        return _Reader(source=source, where=where).root(file)


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Walks one file."""

    source: Hdf5File
    where: str
    nodes: int = 0
    _open: list[str] = field(default_factory=list)

    def root(self, file: h5py.File) -> nir.NIRGraph:
        group = self.source.child(file, "node", self.where)
        if not isinstance(group, h5py.Group):
            raise FileDamagedError("an HDF5 file, but not a NIR graph", where=self.where)
        graph = self._node(group, self.where)
        if not isinstance(graph, nir.NIRGraph):
            raise FileDamagedError(
                f"the file holds a single {node_type(graph)} node, not a graph", where=self.where
            )
        return graph

    def _node(self, group: h5py.Group, where: str) -> nir.NIRNode:
        self.nodes += 1
        if self.nodes > allowed(MOST_NODES):
            raise FileDamagedError(
                f"more than {allowed(MOST_NODES)} nodes",
                where=self.where,
                fix=higher(self.nodes, MOST_NODES),
            )
        kind = self._value(group, "type", where)
        if not isinstance(kind, str):
            raise FileDamagedError("a node without a type", where=where)
        names = [
            name for name in self.source.names(group, where) if name not in ("type", "metadata")
        ]
        if kind == "NIRGraph":
            node = self._graph(group, names, where)
        else:
            if kind not in FIELDS:
                make_node(kind, {}, where)
            fields = {name: self._required(group, name, where) for name in names}
            node = make_node(kind, fields, where)
        metadata = self.source.child(group, "metadata", where)
        if isinstance(metadata, h5py.Group):
            node.metadata = self._metadata(metadata, f"{where}.metadata", DEEPEST)
        return node

    def _graph(self, group: h5py.Group, names: list[str], where: str) -> nir.NIRGraph:
        for name in names:
            if name not in ("nodes", "edges"):
                raise UnknownNodeError(
                    f"a NIRGraph node has no field {name!r}",
                    where=where,
                    fix="known are nodes, edges",
                )
        if len(self._open) >= DEEPEST:
            raise FileDamagedError(f"more than {DEEPEST} graphs within graphs", where=where)
        members = self.source.child(group, "nodes", where)
        if not isinstance(members, h5py.Group):
            raise FileDamagedError("a graph without nodes", where=where)
        self._open.append(where)
        nodes = {}
        for name in self.source.names(members, where):
            check_name(name, where)
            inner = f"{where}: {name}" if where == self.where else f"{where}.{name}"
            member = self.source.child(members, name, inner)
            if not isinstance(member, h5py.Group):
                raise FileDamagedError("a dataset where a node belongs", where=inner)
            nodes[name] = self._node(member, inner)
        self._open.pop()
        edges = self._edges(group, where)
        return nir.NIRGraph(nodes=nodes, edges=edges, metadata={}, type_check=False)

    def _edges(self, group: h5py.Group, where: str) -> list[tuple[str, str]]:
        dataset = self.source.child(group, "edges", where)
        if not isinstance(dataset, h5py.Dataset):
            raise FileDamagedError("a graph without edges", where=where)
        if dataset.size == 0:
            return []
        with self.source.guarded(where):
            is_text = h5py.check_string_dtype(dataset.dtype) is not None
            pairs = dataset.ndim == 2 and dataset.shape[1] == 2
        if not is_text or not pairs or dataset.shape[0] > allowed(MOST_EDGES):
            raise FileDamagedError(
                f"edges are {dataset.dtype} of shape {dataset.shape}; "
                f"they must be at most {allowed(MOST_EDGES)} pairs of names",
                where=where,
                fix=higher(dataset.shape[0], MOST_EDGES) if is_text and pairs else "",
            )
        self.source.check_storage(dataset, where)
        # Names lie outside the dataset, and many may share one long text: read few at a time.
        block = max(1, EDGE_TEXT // (2 * len(self.source.image)))
        rows: list[Any] = []
        for start in range(0, dataset.shape[0], block):
            with self.source.guarded(where):
                rows += dataset[start : start + block].tolist()
        return [(as_text(source, where), as_text(target, where)) for source, target in rows]

    def _required(self, group: h5py.Group, name: str, where: str) -> Stored:
        value = self._value(group, name, where)
        if value is None:
            raise FileDamagedError(f"{name!r} is a group where a number belongs", where=where)
        return value

    def _value(self, group: h5py.Group, name: str, where: str) -> Stored | None:
        """Return a dataset as an array or text; None: it is not there, or it is a group."""
        dataset = self.source.child(group, name, where)
        if not isinstance(dataset, h5py.Dataset):
            return None
        return self.source.value(dataset, f"{where}.{name}")

    def _metadata(self, group: h5py.Group, where: str, depth: int) -> dict[str, Any]:
        """Return metadata: texts, numbers, and groups of them; arrays of texts become lists."""
        if depth == 0:
            raise FileDamagedError(f"metadata more than {DEEPEST} deep", where=where)
        found: dict[str, Any] = {}
        for name in self.source.names(group, where):
            member = self.source.child(group, name, where)
            if isinstance(member, h5py.Group):
                found[name] = self._metadata(member, f"{where}.{name}", depth - 1)
            else:
                found[name] = self._metadatum(group, name, where)
        return found

    def _metadatum(self, group: h5py.Group, name: str, where: str) -> Any:
        dataset = self.source.child(group, name, where)
        with self.source.guarded(where):
            texts = h5py.check_string_dtype(dataset.dtype) is not None and dataset.shape != ()
        if not texts:
            return self._required(group, name, where)
        self.source.check_storage(dataset, where)
        most = dataset.size * len(self.source.image)
        if most > allowed(LARGEST_CONTENT):
            raise FileDamagedError(
                f"{dataset.size} texts of metadata",
                where=where,
                fix=higher(most, LARGEST_CONTENT),
            )
        with self.source.guarded(where):
            return [as_text(value, where) for value in np.ravel(dataset[()]).tolist()]


def write_graph(graph: nir.NIRGraph) -> bytes:
    """Return the NIR file of a graph: HDF5 as `nir.read` reads it. Equal graphs, equal bytes.

    Arrays keep their dtype and are stored plainly: how a compressor packs them differs from
    one machine to the next.
    """
    with h5py.File(
        no_file(), "w", driver="core", backing_store=False, libver=("v108", "v108")
    ) as file:
        _write_text(file, "version", FORMAT_VERSION)
        _write_node(file.create_group("node"), graph)
        file.flush()
        return file.id.get_file_image()


def _write_node(group: h5py.Group, node: nir.NIRNode) -> None:
    _write_text(group, "type", node_type(node))
    if isinstance(node, nir.NIRGraph):
        members = group.create_group("nodes")
        for name in sorted(node.nodes):
            check_name(name, "a node of the graph")
            _write_node(members.create_group(name), node.nodes[name])
        _write_edges(group, node.edges)
    else:
        for name, value in stored_fields(node):
            _write_value(group, name, value)
    if node.metadata:
        _write_metadata(group.create_group("metadata"), node.metadata)


def _write_edges(group: h5py.Group, edges: list[tuple[str, str]]) -> None:
    pairs = np.empty((len(edges), 2), object)
    for row, (source, target) in enumerate(edges):
        pairs[row] = source, target
    group.create_dataset("edges", data=pairs, dtype=h5py.string_dtype(), track_times=False)


def _write_metadata(group: h5py.Group, metadata: Mapping[str, Any]) -> None:
    for name in sorted(metadata):
        value = metadata[name]
        if isinstance(value, Mapping):
            _write_metadata(group.create_group(name), value)
        else:
            _write_value(group, name, value)


def _write_value(group: h5py.Group, name: str, value: Any) -> None:
    if isinstance(value, str):
        _write_text(group, name, value)
        return
    array = np.asarray(value)
    if array.dtype.kind in "US":
        texts = np.array([as_text(item, name) for item in array.ravel().tolist()], object)
        group.create_dataset(name, data=texts, dtype=h5py.string_dtype(), track_times=False)
    elif array.dtype.kind in "iufb":
        group.create_dataset(name, data=array, track_times=False)
    else:
        raise GraphError(f"metadata {name!r} is neither text nor numbers", where=group.name)


def _write_text(group: h5py.Group, name: str, text: str) -> None:
    group.create_dataset(name, data=text, dtype=h5py.string_dtype(), track_times=False)
