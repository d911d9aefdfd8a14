"""NIR's HDF5 files, read as untrusted input and written so that equal graphs give equal bytes.

A file is read into memory whole, so that nothing it names outside of itself can be opened. Links
other than plain ones, data kept elsewhere, unknown filters, foreign types and anything larger
than the limits below are refused before they are read.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import h5py
import nir
import numpy as np

from snn_deploy.errors import FileDamagedError, GraphError, UnknownNodeError
from snn_deploy.frontends.hdf5_guard import check_image, damaged
from snn_deploy.frontends.nir_nodes import (
    FIELDS,
    Stored,
    check_name,
    make_node,
    node_type,
    stored_fields,
)

FORMAT_VERSION = "1.0.8"
"""The NIR release whose node types and fields we write."""

LARGEST_FILE = 2**31
"""Bytes of a file that is read."""

LARGEST_CONTENT = 2**32
"""Bytes of all arrays of a file, once unpacked."""

UNPACKS_TO = 1100
"""Times its size that a file can unpack to, rounded up: deflate packs 1032 zeros into a byte."""

SMALL_CONTENT = 2**24
"""Bytes of arrays that any file may have."""

MOST_NODES = 100_000
MOST_EDGES = 1_000_000
DEEPEST = 32
"""Graphs within graphs."""

KNOWN_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""HDF5's own filters (deflate, shuffle, checksum, szip, nbit, scaleoffset) and lzf; another one
would make the library load a plug-in."""

EDGE_TEXT = 2**28
"""Bytes that one reading of edge names may take."""


TEXT_REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("object", "<u4")])
"""What a dataset of texts of variable length holds for each: where the text lies."""


@contextmanager
def _hdf5(where: str) -> Iterator[None]:
    """Turn what the HDF5 library raises on a damaged file into one error."""
    try:
        yield
    except (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        OverflowError,
        NotImplementedError,
        MemoryError,
    ) as error:
        raise damaged(where) from error


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
    if len(image) > LARGEST_FILE:
        raise FileDamagedError(
            f"the file has {len(image)} bytes; at most {LARGEST_FILE} are read", where=where
        )
    check_image(image, where)
    with _hdf5(where):
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_fapl_core(backing_store=False)
        access.set_file_image(image)
        name = _no_file().encode()
        file = h5py.File(h5py.h5f.open(name, h5py.h5f.ACC_RDONLY, fapl=access))
    try:
        return _Reader(where=where, image=image).root(file)
    finally:
        file.close()


@dataclass(slots=True)
class _Reader:
    """Walks one file and keeps account of what was read."""

    where: str
    image: bytes
    content: int = 0
    nodes: int = 0
    _open: list[str] = field(default_factory=list)

    def root(self, file: h5py.File) -> nir.NIRGraph:
        group = self._child(file, "node", self.where)
        if not isinstance(group, h5py.Group):
            raise FileDamagedError("an HDF5 file, but not a NIR graph", where=self.where)
        graph = self._node(group, self.where)
        if not isinstance(graph, nir.NIRGraph):
            raise FileDamagedError(
                f"the file holds a single {node_type(graph)} node, not a graph", where=self.where
            )
        return graph

    def _child(self, group: h5py.Group, name: str, where: str) -> Any:
        """Return a member of a group, which must be a plain link to something in the file."""
        with _hdf5(where):
            link = group.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise FileDamagedError(
                f"{name!r} is a link that leads elsewhere, which NIR files never have", where=where
            )
        with _hdf5(where):
            return group[name]

    def _names(self, group: h5py.Group, where: str) -> list[str]:
        with _hdf5(where):
            if len(group) > MOST_NODES:
                raise FileDamagedError(
                    f"a group of {len(group)} members; at most {MOST_NODES} are read", where=where
                )
            names = list(group)
        if not all(isinstance(name, str) for name in names):  # h5py leaves other bytes as they are
            raise FileDamagedError("a name that is not UTF-8", where=where)
        return names

    def _node(self, group: h5py.Group, where: str) -> nir.NIRNode:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise FileDamagedError(f"more than {MOST_NODES} nodes", where=self.where)
        kind = self._value(group, "type", where)
        if not isinstance(kind, str):
            raise FileDamagedError("a node without a type", where=where)
        names = [name for name in self._names(group, where) if name not in ("type", "metadata")]
        if kind == "NIRGraph":
            node = self._graph(group, names, where)
        else:
            if kind not in FIELDS:
                make_node(kind, {}, where)
            fields = {name: self._required(group, name, where) for name in names}
            node = make_node(kind, fields, where)
        metadata = self._child(group, "metadata", where)
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
        members = self._child(group, "nodes", where)
        if not isinstance(members, h5py.Group):
            raise FileDamagedError("a graph without nodes", where=where)
        self._open.append(where)
        nodes = {}
        for name in self._names(members, where):
            check_name(name, where)
            inner = f"{where}: {name}" if where == self.where else f"{where}.{name}"
            member = self._child(members, name, inner)
            if not isinstance(member, h5py.Group):
                raise FileDamagedError("a dataset where a node belongs", where=inner)
            nodes[name] = self._node(member, inner)
        self._open.pop()
        edges = self._edges(group, where)
        return nir.NIRGraph(nodes=nodes, edges=edges, metadata={}, type_check=False)

    def _edges(self, group: h5py.Group, where: str) -> list[tuple[str, str]]:
        dataset = self._child(group, "edges", where)
        if not isinstance(dataset, h5py.Dataset):
            raise FileDamagedError("a graph without edges", where=where)
        if dataset.size == 0:
            return []
        with _hdf5(where):
            is_text = h5py.check_string_dtype(dataset.dtype) is not None
            pairs = dataset.ndim == 2 and dataset.shape[1] == 2
        if not is_text or not pairs or dataset.shape[0] > MOST_EDGES:
            raise FileDamagedError(
                f"edges are {dataset.dtype} of shape {dataset.shape}; "
                f"they must be at most {MOST_EDGES} pairs of names",
                where=where,
            )
        self._check_storage(dataset, where)
        # Names lie outside the dataset, and many may share one long text: read few at a time.
        block = max(1, EDGE_TEXT // (2 * len(self.image)))
        rows: list[Any] = []
        for start in range(0, dataset.shape[0], block):
            with _hdf5(where):
                rows += dataset[start : start + block].tolist()
        return [(_text(source, where), _text(target, where)) for source, target in rows]

    def _required(self, group: h5py.Group, name: str, where: str) -> Stored:
        value = self._value(group, name, where)
        if value is None:
            raise FileDamagedError(f"{name!r} is a group where a number belongs", where=where)
        return value

    def _value(self, group: h5py.Group, name: str, where: str) -> Stored | None:
        """Return a dataset as an array or text; None: it is not there, or it is a group."""
        dataset = self._child(group, name, where)
        if not isinstance(dataset, h5py.Dataset):
            return None
        where = f"{where}.{name}"
        self._check_storage(dataset, where)
        if h5py.check_string_dtype(dataset.dtype) is not None:
            return self._texts(dataset, where)
        if dataset.dtype.kind not in "iufb":
            raise FileDamagedError(f"{dataset.dtype} is no type of number", where=where)
        with _hdf5(where):
            return np.asarray(dataset[()])

    def _texts(self, dataset: h5py.Dataset, where: str) -> Stored:
        if dataset.shape not in ((), (1,)):
            raise FileDamagedError(f"text of shape {dataset.shape}", where=where)
        with _hdf5(where):
            value = dataset[()]
        return _text(value if dataset.shape == () else value[0], where)

    def _check_storage(self, dataset: h5py.Dataset, where: str) -> None:
        """Refuse a dataset that is kept elsewhere, needs a plug-in, or is too large."""
        with _hdf5(where):
            if dataset.shape is None:
                raise FileDamagedError("an empty dataset without a shape", where=where)
            elsewhere = dataset.external is not None or dataset.is_virtual
            plist = dataset.id.get_create_plist()
            filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
            chunk = np.prod(dataset.chunks or (0,), dtype=object)
            size = int(max(np.prod(dataset.shape, dtype=object), chunk)) * dataset.dtype.itemsize
            text = h5py.check_string_dtype(dataset.dtype)
            offset = dataset.id.get_offset()
        if text is not None and text.length is None and offset is not None and dataset.size:
            self._check_lengths(offset, dataset.size, where)
        if elsewhere:
            raise FileDamagedError("its values are kept in another file", where=where)
        if not filters <= KNOWN_FILTERS:
            raise FileDamagedError(
                f"HDF5 filter {min(filters - KNOWN_FILTERS)} is not a standard one", where=where
            )
        self.content += size
        limit = min(LARGEST_CONTENT, max(SMALL_CONTENT, UNPACKS_TO * len(self.image)))
        if self.content > limit:
            raise FileDamagedError(f"its arrays take more than {limit} bytes", where=where)

    def _check_lengths(self, offset: int, count: int, where: str) -> None:
        """Refuse texts longer than the file: the library would make room for them first."""
        end = offset + count * TEXT_REFERENCE.itemsize
        if end > len(self.image):
            raise damaged(where)
        references = np.frombuffer(self.image, TEXT_REFERENCE, count, offset)
        if references["length"].max(initial=0) > len(self.image):
            raise damaged(where)

    def _metadata(self, group: h5py.Group, where: str, depth: int) -> dict[str, Any]:
        """Return metadata: texts, numbers, and groups of them; arrays of texts become lists."""
        if depth == 0:
            raise FileDamagedError(f"metadata more than {DEEPEST} deep", where=where)
        found: dict[str, Any] = {}
        for name in self._names(group, where):
            member = self._child(group, name, where)
            if isinstance(member, h5py.Group):
                found[name] = self._metadata(member, f"{where}.{name}", depth - 1)
            else:
                found[name] = self._metadatum(group, name, where)
        return found

    def _metadatum(self, group: h5py.Group, name: str, where: str) -> Any:
        dataset = self._child(group, name, where)
        with _hdf5(where):
            texts = h5py.check_string_dtype(dataset.dtype) is not None and dataset.shape != ()
        if not texts:
            return self._required(group, name, where)
        self._check_storage(dataset, where)
        if dataset.size * len(self.image) > LARGEST_CONTENT:
            raise FileDamagedError(f"{dataset.size} texts of metadata", where=where)
        with _hdf5(where):
            return [_text(value, where) for value in np.ravel(dataset[()]).tolist()]


def _text(value: Any, where: str) -> str:
    try:
        return value if isinstance(value, str) else bytes(value).decode("utf-8")
    except (UnicodeDecodeError, TypeError) as error:
        raise FileDamagedError("text that is not UTF-8", where=where) from error


def _no_file() -> str:
    """Return a name that no file has: libhdf5 looks for one even where it works in memory."""
    return f"{uuid.uuid4()}.nir"


def write_graph(graph: nir.NIRGraph) -> bytes:
    """Return the NIR file of a graph: HDF5 as `nir.read` reads it. Equal graphs, equal bytes.

    Arrays keep their dtype and are stored plainly: how a compressor packs them differs from
    one machine to the next.
    """
    with h5py.File(
        _no_file(), "w", driver="core", backing_store=False, libver=("v108", "v108")
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
        texts = np.array([_text(item, name) for item in array.ravel().tolist()], object)
        group.create_dataset(name, data=texts, dtype=h5py.string_dtype(), track_times=False)
    elif array.dtype.kind in "iufb":
        group.create_dataset(name, data=array, track_times=False)
    else:
        raise GraphError(f"metadata {name!r} is neither text nor numbers", where=group.name)


def _write_text(group: h5py.Group, name: str, text: str) -> None:
    group.create_dataset(name, data=text, dtype=h5py.string_dtype(), track_times=False)
