"""Data sets of other libraries, such as tonic's: whatever gives (events or frames, label)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from snn_deploy.deploy.data import Data
from snn_deploy.deploy.datasets.binning import (
    Binning,
    Events,
    Sensor,
    bin_events,
    step_of,
    steps_of,
)
from snn_deploy.deploy.datasets.source import Entry, check_size, digest_of_arrays, numbered
from snn_deploy.errors import DataError, OptionError

PROBED = 16
"""Samples that stand for a data set in its digest: all of them would have to be made for it."""


@runtime_checkable
class Dataset(Protocol):
    """Samples by number; each is (events or frames, label)."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, index: int, /) -> Any:
        """Return a sample and its label."""


@runtime_checkable
class _OfSensor(Protocol):
    """A data set that says how large its sensor is, as tonic's do: (columns, rows, polarities)."""

    sensor_size: Sequence[int]


@dataclass(kw_only=True)
class Adapted:
    """The samples of a data set object.

    Events are a structured array with the fields x, y, t [us] and p (or `on`); anything else is
    an array [step, *shape]. They are read in this process, whoever runs them.
    """

    dataset: Dataset
    entry: Entry
    binning: Binning = field(default_factory=Binning)
    dt: float | None = None
    """Seconds of a step of the program."""

    labelled: bool = True
    classes: tuple[str, ...] = ()
    request: None = None

    def __post_init__(self) -> None:
        if not len(self.dataset):
            raise DataError("the data set has no samples", where=self.where)

    @property
    def where(self) -> str:
        """The data set's type."""
        return type(self.dataset).__qualname__

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.dataset)

    def read(self, start: int, stop: int) -> Data:
        """Return the samples `start` to `stop`.

        Raises:
            DataError: one is no pair of events or frames and a label, or samples differ in shape.
        """
        rows: list[np.ndarray] = []
        labels, late = np.zeros(self.samples, np.int64), 0
        for number in range(start, stop):
            values, labels[number] = self._sample(number)
            row, after = self._steps(values, number)
            if rows and row.shape != rows[0].shape:
                raise DataError(
                    f"a sample of shape {row.shape} follows others of shape {rows[0].shape}",
                    where=f"{self.where}[{number}]",
                    fix="give all samples as many steps: --steps T for events, "
                    "tonic.transforms.ToFrame(..., n_time_bins=T) for frames",
                )
            check_size(stop - start, row.nbytes, self.where)
            rows.append(row)
            late += after
        made = numbered(
            {self.entry.name: np.stack(rows)}, start=start, label=labels, where=self.where
        )
        return Data(arrays=made.arrays, label=made.label, number=made.number, late=late)

    def _sample(self, number: int) -> tuple[np.ndarray, int]:
        where = f"{self.where}[{number}]"
        found = self.dataset[number]
        if not (isinstance(found, tuple | list) and len(found) == 2):
            raise DataError("a sample is no pair (events or frames, label)", where=where)
        values, label = np.asarray(found[0]), np.asarray(found[1])
        if label.size != 1 or label.dtype.kind not in "iu":
            raise DataError(f"the label {label!r:.60} is no whole number", where=where)
        return values, int(label.reshape(()))

    def _steps(self, values: np.ndarray, number: int) -> tuple[np.ndarray, int]:
        if values.dtype.names is None:
            return values, 0
        where = f"{self.where}[{number}]"
        if self.binning.steps is None and self.samples > 1:
            raise OptionError(
                f"{self.samples} recordings differ in length, and samples do not",
                where="--steps",
                fix="--steps T: shorter ones end in silence, later events are left out",
            )
        events = _events(values, self._sensor(), where)
        step = step_of(self.binning, self.dt)
        return bin_events(
            events,
            self.binning,
            step=step,
            steps=steps_of(events, step, self.binning),
            shape=self.entry.shape,
            where=where,
        )

    def _sensor(self) -> Sensor | None:
        if not isinstance(self.dataset, _OfSensor):
            return None
        columns, rows = self.dataset.sensor_size[:2]
        return int(rows), int(columns)

    def digest(self) -> str:
        """Return the SHA-256 of the type, the number of samples and some samples.

        A change of others stays unseen.
        """
        chosen = np.unique(np.linspace(0, self.samples - 1, PROBED).round().astype(int))
        found = hashlib.sha256(f"{self.where} {self.samples}".encode())
        for number in chosen:
            values, label = self._sample(int(number))
            found.update(digest_of_arrays([(str(label), values)]).encode())
        return found.hexdigest()


def _events(values: np.ndarray, sensor: Sensor | None, where: str) -> Events:
    names = values.dtype.names or ()
    polarity = next((name for name in ("p", "on", "polarity") if name in names), None)
    if polarity is None or not {"x", "y", "t"} <= set(names):
        raise DataError(
            f"events have the fields x, y, t and p, not {', '.join(names)}", where=where
        )
    numbers = {name: values[name].astype(np.int64) for name in ("x", "y", "t")}
    if any(array.size and array.min() < 0 for array in numbers.values()):
        raise DataError("an event has a negative place or time", where=where)
    return Events(
        time=numbers["t"],
        x=numbers["x"],
        y=numbers["y"],
        polarity=(values[polarity] > 0).astype(np.int8),
        sensor=sensor,
    )
