"""HDF5 files of arrays, and NIRData, read by slices."""

import math
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snn_deploy.deploy.data import Data, check_label, check_shapes, keys_of
from snn_deploy.deploy.datasets.binning import step_of
from snn_deploy.deploy.datasets.source import (
    Entry,
    Request,
    check_size,
    digest_of_files,
    numbered,
    unreadable,
)
from snn_deploy.errors import DataError
from snn_deploy.frontends.hdf5 import SIGNATURE, is_safe
from snn_deploy.ir.room import check_short
from snn_deploy.ir.sizes import allowed, or_higher

__all__ = ["SIGNATURE", "Hdf5Source", "NirDataSource", "is_nir_data"]

LARGEST_CHUNK = 1 << 30
"""Bytes of a chunk, which the library unpacks as a whole to read any part of it."""

NEARLY = 1e-6
"""Part of a step: a time this near to a step's start belongs to it, as 0.3 s to the third of 0.1
s."""


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file to read; what the library says of a damaged one gets a number.

    Raises:
        DataError: it is damaged or hostile.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, MemoryError) as problem:
        if isinstance(problem, OSError) and problem.errno is not None:
            raise unreadable(problem, path) from problem
        check_short(problem, path.stat().st_size)
        raise _damaged(str(problem), path) from problem


def _damaged(what: str, path: Path) -> DataError:
    return DataError(f"the HDF5 file cannot be used: {what}", where=str(path))


def _check_image(path: Path) -> None:
    """Refuse what would keep the library busy for ever.

    Raises:
        DataError: the file is such.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
        if not is_safe(image):
            raise _damaged("it is damaged, or hostile", path)


def _array(group: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """Return an array that lies in this very file.

    Raises:
        DataError: there is none, or it lies elsewhere.
    """
    link = group.get(name, getlink=True)
    if link is None:
        raise _damaged(f"{group.name} has no array {name!r}", path)
    if isinstance(link, h5py.ExternalLink):
        raise _damaged(f"{name!r} lies in another file", path)
    found = group[name]
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise _damaged(f"{name!r} is no array of this file", path)
    if found.dtype.kind not in "iubf":
        raise DataError(f"values of type {found.dtype} are no numbers", where=f"{path}: {name}")
    chunk = math.prod(found.chunks) * found.dtype.itemsize if found.chunks else 0
    if chunk > allowed(LARGEST_CHUNK):
        raise DataError(
            f"a chunk of {name!r} has {chunk:,} bytes, which is too much",
            where=str(path),
            fix=or_higher("write it with smaller chunks", chunk, LARGEST_CHUNK),
        )
    return found


def _rows(array: h5py.Dataset, start: int, stop: int, path: Path) -> np.ndarray:
    row_bytes = math.prod(array.shape[1:]) * array.dtype.itemsize
    check_size(stop - start, row_bytes, str(path))
    return np.asarray(array[start:stop])


def _labels(group: h5py.Group, samples: int, path: Path) -> np.ndarray | None:
    if "label" not in group:
        return None
    label = _array(group, "label", path)
    check_label(label.dtype, label.shape, samples, str(path))
    return np.asarray(label[()]).astype(np.int64)


def is_nir_data(path: Path) -> bool:
    """Return whether an HDF5 file says that it is NIRData.

    Raises:
        DataError: it is damaged.
    """
    _check_image(path)
    with opened(path) as file:
        return _kind(file) == "NIRGraphData"


def _kind(group: h5py.Group) -> str:
    kind = group.attrs.get("__type__", "")
    return kind.decode() if isinstance(kind, bytes) else str(kind)


@dataclass(kw_only=True)
class Hdf5Source:
    """The samples of an HDF5 file: `input`, or an array for each input; perhaps `label`, `dt`."""

    asked: Request
    samples: int = field(init=False)
    keys: dict[str, str] = field(init=False)
    label: np.ndarray | None = field(init=False)
    dt: float | None = field(init=False)
    """Seconds of a step, where the file says it."""

    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        path = self.asked.path
        with opened(path) as file:
            self.keys = keys_of(self.asked.names, file, self.where)
            arrays = {name: _array(file, key, path) for name, key in self.keys.items()}
            check_shapes({name: array.shape for name, array in arrays.items()}, self.where)
            self.samples = next(iter(arrays.values())).shape[0]
            self.label = _labels(file, self.samples, path)
            dt = _array(file, "dt", path) if "dt" in file else None
            self.dt = None if dt is None or dt.shape else float(dt[()])

    @property
    def where(self) -> str:
        """The file."""
        return str(self.asked.path)

    @property
    def labelled(self) -> bool:
        """Whether samples come with labels."""
        return self.label is not None

    @property
    def request(self) -> Request:
        """What another process opens."""
        return self.asked

    def read(self, start: int, stop: int) -> Data:
        """Return the samples `start` to `stop`."""
        path = self.asked.path
        with opened(path) as file:
            arrays = {
                name: _rows(_array(file, key, path), start, stop, path)
                for name, key in self.keys.items()
            }
        return numbered(arrays, start=start, label=self.label, where=self.where)

    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        return digest_of_files([(self.asked.path.name, self.asked.path)])


@dataclass(kw_only=True)
class NirDataSource:
    """The samples of a NIRData file, `nir.write_data`: gridded in time, or events.

    Neurons have one axis there; where the input has several, they are in C order.
    """

    asked: Request
    samples: int = field(init=False)
    dt: float | None = field(init=False)
    """Seconds of a step of gridded data."""

    groups: dict[str, str] = field(init=False)
    """Where the data of each input are in the file."""

    labelled: bool = False
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        path = self.asked.path
        with opened(path) as file:
            self.groups = {e.name: self._found(file, e.name) for e in self.asked.inputs}
            grids = [file[g] for g in self.groups.values() if _kind(file[g]) == "TimeGriddedData"]
            steps = {float(grid.attrs["dt"]) for grid in grids}
            if len(steps) > 1:
                raise DataError(f"inputs with steps of {sorted(steps)} s", where=self.where)
            self.dt = next(iter(steps), None)
            shapes = {
                name: _array(file[g], "data" if "data" in file[g] else "idx", path).shape
                for name, g in self.groups.items()
            }
            check_shapes(shapes, self.where)
            self.samples = next(iter(shapes.values()))[0]

    def _found(self, file: h5py.File, name: str) -> str:
        """Return the path of the only observable of the node called as the input, or `input`."""
        nodes = file["nodes"]
        key = keys_of((name,), nodes, self.where)[name] if len(self.asked.inputs) == 1 else name
        if key not in nodes or "observables" not in nodes[key]:
            raise DataError(
                f"the data has no node {name!r}; it has {', '.join(nodes) or 'none'}",
                where=self.where,
                fix=f"nir.NIRGraphData({{{name!r}: nir.NIRNodeData({{'spikes': ...}})}})",
            )
        observed = list(nodes[key]["observables"])
        if len(observed) != 1:
            raise DataError(
                f"node {key!r} has {len(observed)} observables: {', '.join(observed)}",
                where=self.where,
                fix="write a file in which the input's node has only what enters it",
            )
        return f"nodes/{key}/observables/{observed[0]}"

    @property
    def where(self) -> str:
        """The file."""
        return str(self.asked.path)

    @property
    def request(self) -> Request:
        """What another process opens."""
        return self.asked

    def read(self, start: int, stop: int) -> Data:
        """Return the samples `start` to `stop`.

        Raises:
            DataError: they are damaged, or of another size than the input.
            OptionError: nobody says how long a step is.
        """
        with opened(self.asked.path) as file:
            found = {e.name: self._values(file, e, start, stop) for e in self.asked.inputs}
        arrays = {name: values for name, (values, _) in found.items()}
        data = numbered(arrays, start=start, label=None, where=self.where)
        return replace(data, late=sum(late for _, late in found.values()))

    def _values(
        self, file: h5py.File, entry: Entry, start: int, stop: int
    ) -> tuple[np.ndarray, int]:
        """Return [sample, step, *shape], and how many events came later."""
        path, group = self.asked.path, file[self.groups[entry.name]]
        late = 0
        if _kind(group) == "TimeGriddedData":
            values = _rows(_array(group, "data", path), start, stop, path)
        else:
            values, late = self._gridded(group, start, stop)
        shape = entry.shape
        if shape is None:
            return values, late
        if math.prod(shape) != values.shape[2]:
            raise DataError(
                f"a step of the data has {values.shape[2]} neurons, "
                f"but the program reads {shape}, which are {math.prod(shape)}",
                where=f"{self.where}: {entry.name}",
            )
        return values.reshape(*values.shape[:2], *shape), late

    def _gridded(self, group: h5py.Group, start: int, stop: int) -> tuple[np.ndarray, int]:
        """Return counts of events, or sums of their values, per step and neuron; those later."""
        path = self.asked.path
        step = step_of(self.asked.binning, self.asked.dt) * 1e-6
        neurons, last = int(group.attrs["n_neurons"]), float(group.attrs["t_max"])
        whole = math.floor(last / step + NEARLY) if math.isfinite(last / step) else 0
        steps = self.asked.binning.steps or whole
        if not (math.isfinite(last) and steps >= 1 and neurons >= 1):
            raise DataError(f"{neurons} neurons for {last:g} s", where=self.where)
        check_size(stop - start, steps * neurons * 8, self.where)
        index = _rows(_array(group, "idx", path), start, stop, path).astype(np.int64)
        time = _rows(_array(group, "time", path), start, stop, path).astype(np.float64)
        there = index >= 0
        _check_events(index, time, there, neurons, self.where)
        at = np.floor(np.where(there, time, 0) / step + NEARLY).astype(np.int64)
        late = int(np.count_nonzero(there & (at >= steps)))
        there &= at < steps
        row = np.nonzero(there)[0]
        place = (row * steps + at[there]) * neurons + index[there]
        size = (stop - start) * steps * neurons
        weight: Any = None
        if "value" in group:
            weight = _rows(_array(group, "value", path), start, stop, path)[there]
        counts = np.bincount(place, weight, minlength=size)
        if self.asked.binning.binary:
            counts = counts != 0
        dtype = np.int32 if weight is None or self.asked.binning.binary else np.float64
        return counts.astype(dtype).reshape(stop - start, steps, neurons), late

    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        return digest_of_files([(self.asked.path.name, self.asked.path)])


def _check_events(
    index: np.ndarray, time: np.ndarray, there: np.ndarray, neurons: int, where: str
) -> None:
    if index.shape != time.shape:
        raise DataError(f"{index.shape} events have {time.shape} times", where=where)
    if np.any(there & ~((time >= 0) & np.isfinite(time))):
        raise DataError("an event's time is negative or not a finite number", where=where)
    if np.any(index >= neurons):
        raise DataError(
            f"an event is of neuron {index.max()}, but there are {neurons}", where=where
        )
