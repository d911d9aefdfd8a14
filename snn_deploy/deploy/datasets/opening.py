"""Which reader a data set needs: by what a file begins with, by its name, by its type."""

import math
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from snn_deploy.deploy.data import Data, check_label, data_of
from snn_deploy.deploy.datasets import recordings
from snn_deploy.deploy.datasets.adapter import Adapted, Dataset
from snn_deploy.deploy.datasets.binning import Binning
from snn_deploy.deploy.datasets.npz import NpzSource
from snn_deploy.deploy.datasets.source import (
    Entry,
    Memory,
    Request,
    Source,
    WithLabels,
    unreadable,
)
from snn_deploy.errors import DataError, FileMissingError, OptionError
from snn_deploy.ir.paths import is_file, is_folder, meant_beside
from snn_deploy.ir.room import check_short

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@runtime_checkable
class _Array(Protocol):
    """What numpy can read as an array, such as a tensor."""

    def __array__(self) -> np.ndarray:
        """Return the array."""


def open_source(given: Any, request: Request) -> Source:
    """Return the data set that `given` is or names.

    Args:
        given: A path, `Data`, arrays by name, the only input's array, or a data set object with
            `__len__` and `__getitem__` that gives (events or frames, label).
        request: What is wanted of it; its path does not count.

    Raises:
        FileMissingError: there is no such file.
        DataError: it cannot be used.
        OptionError: an option is missing, or says something else than the data.
    """
    if isinstance(given, str | Path):
        return opened(replace(request, path=Path(given)), verify=True)
    source = _in_memory(given, request)
    if request.labels is None:
        return source
    return WithLabels(source=source, label=_labels(request.labels, source.samples), request=None)


def _in_memory(given: Any, request: Request) -> Source:
    if isinstance(given, Data):
        return Memory(data=given)
    if isinstance(given, Mapping):
        arrays = {name: np.asarray(array) for name, array in given.items()}
        return Memory(data=data_of(arrays, request.names))
    pairs = isinstance(given, list) and given and isinstance(given[0], tuple)
    if (
        isinstance(given, Dataset)
        and not isinstance(given, _Array)
        and (pairs or not isinstance(given, list | tuple))
    ):
        if len(request.inputs) != 1:
            raise DataError(
                f"a data set object feeds one input, and the program has {len(request.inputs)}"
            )
        return Adapted(
            dataset=given, entry=request.inputs[0], binning=request.binning, dt=request.dt
        )
    return Memory(data=data_of({"input": np.asarray(given)}, request.names))


@lru_cache(maxsize=4)
def reopened(request: Request) -> Source:
    """Return the data set that another process has opened and checked."""
    return opened(request, verify=False)


def opened(request: Request, *, verify: bool) -> Source:
    """Return the data set in a file or folder.

    Args:
        request: What is wanted.
        verify: Compare the whole file with its checksums, if it has any.

    Raises:
        FileMissingError: there is no such file.
        DataError: it cannot be used.
        OptionError: an option is missing, or says something else than the data.
    """
    source = _reader(request, verify)
    if request.labels is None:
        return source
    label = _labels(request.labels, source.samples)
    shared = None if source.request is None else request
    return WithLabels(source=source, label=label, request=shared)


def _reader(request: Request, verify: bool) -> Source:
    path = request.path
    if not is_folder(path) and not is_file(path):
        fix = meant_beside(path, "give the path of a file")
        raise FileMissingError("there is no such data file", where=str(path), fix=fix)
    holds = _held(path)
    if holds is _Holds.RECORDINGS:
        return recordings.Recordings(asked=request)
    if holds is not _Holds.NPZ:
        return _hdf5(request, holds)
    source = NpzSource(asked=request)
    if verify:
        source.verify()
    _check_dt(source.dt, request)
    return source


def holds_steps(path: Path) -> bool:
    """Return whether a file that was opened holds samples as arrays, and no events."""
    return _held(path) in (_Holds.NPZ, _Holds.HDF5)


class _Holds(Enum):
    """What lies in a file or folder."""

    RECORDINGS = "recordings of events"
    NIR_DATA = "NIRData"
    HDF5 = "arrays in HDF5"
    NPZ = "arrays in NPZ"


def _held(path: Path) -> _Holds:
    """Return what a file or folder holds.

    Raises:
        DataError: it cannot be read.
    """
    if is_folder(path) or path.suffix in recordings.READERS:
        return _Holds.RECORDINGS
    try:
        with path.open("rb") as file:
            start = file.read(len(HDF5_SIGNATURE))
    except OSError as problem:
        raise unreadable(problem, path) from problem
    if start != HDF5_SIGNATURE:
        return _Holds.NPZ
    from snn_deploy.deploy.datasets import hdf5  # noqa: PLC0415 - loads h5py

    return _Holds.NIR_DATA if hdf5.is_nir_data(path) else _Holds.HDF5


def _hdf5(request: Request, holds: _Holds) -> Source:
    from snn_deploy.deploy.datasets import hdf5  # noqa: PLC0415 - loads h5py

    if holds is _Holds.NIR_DATA:
        data = hdf5.NirDataSource(asked=request)
        _check_dt(data.dt, request)
        return data
    source = hdf5.Hdf5Source(asked=request)
    _check_dt(source.dt, request)
    return source


def _check_dt(dt: float | None, request: Request) -> None:
    """Refuse data whose steps have another length than the program's.

    Raises:
        DataError: they say no length.
        OptionError: they have.
    """
    if dt is not None and not (math.isfinite(dt) and dt > 0):
        raise DataError(
            f"a step of the data lasts {dt:g} s, but it takes a positive, finite time",
            where=f"{request.path}: dt",
            fix="write the seconds of a step, such as dt=1e-3, or no dt",
        )
    step = request.binning.step
    expected = request.dt if step is None else step * 1e-6
    if dt is None or expected is None or math.isclose(dt, expected, rel_tol=1e-6):
        return
    raise OptionError(
        f"a step of the data lasts {dt:g} s, one of the program {expected:g} s",
        where=str(request.path),
        fix=f"--step-us {dt * 1e6:g}, if a step of the data is to be one of the program even so",
    )


def _labels(path: Path, samples: int) -> np.ndarray:
    """Return the labels in a file of their own: NPY, or NPZ with `label`.

    Raises:
        FileMissingError: there is no such file.
        DataError: it holds no labels, or not so many.
    """
    if not is_file(path):
        raise FileMissingError("there is no such file of labels", where=str(path))
    try:
        found = np.load(path, allow_pickle=False)
        label = found if isinstance(found, np.ndarray) else found["label"]
    except (ValueError, OSError, KeyError, EOFError, MemoryError, SyntaxError) as problem:
        check_short(problem, path.stat().st_size)
        raise DataError(
            f"it holds no labels: {problem}",
            where=str(path),
            fix="np.save(FILE, labels) with a whole number for each sample",
        ) from problem
    check_label(label.dtype, label.shape, samples, str(path))
    return label.astype(np.int64)


def open_whole(path: Path, names: tuple[str, ...]) -> Data:
    """Return all samples in a data file for the inputs called `names`.

    Raises:
        FileMissingError: there is no such file.
        DataError: it cannot be used.
    """
    if path.suffix in recordings.READERS:
        raise DataError(
            "a recording of events becomes steps only by a stated step",
            where=str(path),
            fix="--bin-width SECONDS where the command has it; evaluate takes --step-us",
        )
    inputs = tuple(Entry(name=name) for name in names)
    source = opened(Request(path=path, inputs=inputs, binning=Binning()), verify=True)
    return source.read(0, source.samples)
