"""Recordings of events in files: one, or a folder with a folder for each class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from snn_deploy.deploy.data import Data
from snn_deploy.deploy.datasets import camera, nmnist
from snn_deploy.deploy.datasets.binning import Events, bin_events, step_of, steps_of
from snn_deploy.deploy.datasets.source import Entry, Request, check_size, digest_of_files, numbered
from snn_deploy.errors import DataError, OptionError
from snn_deploy.ir.paths import is_file

READERS: Mapping[str, Callable[[Path], Events]] = {
    ".bin": nmnist.read,
    **dict.fromkeys(camera.SUFFIXES, camera.read),
}
"""What reads a recording, by the end of its name."""


@dataclass(kw_only=True)
class Recordings:
    """Recordings of events, a sample each."""

    asked: Request
    files: tuple[Path, ...] = field(init=False)
    label: np.ndarray | None = field(init=False)
    classes: tuple[str, ...] = field(init=False)
    """Names of the folders, where they are no numbers."""

    entry: Entry = field(init=False)
    step: float = field(init=False)
    """Microseconds."""

    def __post_init__(self) -> None:
        if len(self.asked.inputs) != 1:
            raise DataError(
                f"a recording enters one input, and the program has {len(self.asked.inputs)}",
                where=self.where,
            )
        self.entry = self.asked.inputs[0]
        self.files, self.label, self.classes = _found(self.asked.path)
        self.step = step_of(self.asked.binning, self.asked.dt)
        if self.asked.binning.steps is None and self.samples > 1:
            raise OptionError(
                f"{self.samples} recordings differ in length, and samples do not",
                where="--steps",
                fix="--steps T: shorter ones end in silence, later events are left out",
            )

    @property
    def where(self) -> str:
        """File or folder."""
        return str(self.asked.path)

    @property
    def samples(self) -> int:
        """Number of recordings."""
        return len(self.files)

    @property
    def labelled(self) -> bool:
        """Whether they lie in folders of classes."""
        return self.label is not None

    @property
    def request(self) -> Request:
        """What another process opens."""
        return self.asked

    def read(self, start: int, stop: int) -> Data:
        """Return the recordings `start` to `stop` as steps.

        Raises:
            DataError: one is damaged, or of another shape than the input.
            OptionError: nobody says how large the sensor is.
        """
        rows, late = [], 0
        for path in self.files[start:stop]:
            row, after = self._steps(path)
            check_size(stop - start, row.nbytes, self.where)
            rows.append(row)
            late += after
        made = numbered(
            {self.entry.name: np.stack(rows)}, start=start, label=self.label, where=self.where
        )
        return Data(arrays=made.arrays, label=made.label, number=made.number, late=late)

    def _steps(self, path: Path) -> tuple[np.ndarray, int]:
        events = READERS[path.suffix](path)
        binning = self.asked.binning
        return bin_events(
            events,
            binning,
            step=self.step,
            steps=steps_of(events, self.step, binning),
            shape=self.entry.shape,
            where=str(path),
        )

    def digest(self) -> str:
        """Return the SHA-256 of names and contents of all files."""
        root = self.asked.path
        named = ((str(f.relative_to(root) if f != root else f.name), f) for f in self.files)
        return digest_of_files(named)


def _found(path: Path) -> tuple[tuple[Path, ...], np.ndarray | None, tuple[str, ...]]:
    """Return recordings, labels and names of classes; files with other endings do not count."""
    if is_file(path):
        return (path,), None, ()
    folders = sorted((f for f in path.iterdir() if f.is_dir() and f.name[0] != "."), key=_order)
    by_class = [_recordings(folder) for folder in folders]
    loose = _recordings(path)
    files = tuple(file for group in by_class for file in group)
    if not (files or loose) or (files and loose):
        what = "some in folders of classes and some beside them" if files else "none"
        raise DataError(
            f"a folder of recordings ({', '.join(READERS)}) has {what}",
            where=str(path),
            fix="give a folder that has a folder for each class, and the recordings in these",
        )
    if loose:
        return loose, None, ()
    names = [folder.name for folder in folders]
    numbers = all(name.isdecimal() for name in names)
    labels = [int(name) if numbers else index for index, name in enumerate(names)]
    sizes = [len(group) for group in by_class]
    return files, np.repeat(np.array(labels, np.int64), sizes), () if numbers else tuple(names)


def _recordings(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(f for f in folder.iterdir() if f.suffix in READERS and f.is_file()))


def _order(folder: Path) -> tuple[int, str]:
    return (int(folder.name) if folder.name.isdecimal() else 0), folder.name
