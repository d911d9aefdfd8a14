"""Data files: spikes, images and labels from NPZ and event files, checked before use."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, Num

from snn_deploy.errors import ArtifactDamagedError, DataError, FileMissingError, OptionError
from snn_deploy.ir.codecs import Encode, Encoding, encode_current, encode_rate
from snn_deploy.ir.store import unpack
from snn_deploy.ir.trace import Values

LARGEST_ARRAY = 8 * 2**30
"""Bytes that one array of a data file may unpack to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Samples for every input, with labels where there are any."""

    arrays: tuple[Values, ...]
    """As read: [sample, step, *shape] when recorded, else [sample, *shape]."""

    label: Int64[np.ndarray, " sample"] | None = None
    number: Int64[np.ndarray, " sample"]
    """Number of each sample in its file: random encoders and reports go by it."""

    @classmethod
    def of(cls, arrays: tuple[Values, ...], label: np.ndarray | None = None) -> "Data":
        """Return all samples of a file, numbered from 0."""
        number = np.arange(arrays[0].values.shape[0], dtype=np.int64)
        return cls(arrays=arrays, label=label, number=number)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.arrays[0].values.shape[0])

    def chosen(self, index: slice | np.ndarray) -> "Data":
        """Return some of the samples, with their numbers."""
        return Data(
            arrays=tuple(Values(name=a.name, values=a.values[index]) for a in self.arrays),
            label=None if self.label is None else self.label[index],
            number=self.number[index],
        )

    def part(self, start: int, stop: int) -> "Data":
        """Return the samples `start` to `stop`."""
        return self.chosen(slice(start, stop))

    def spread(self, samples: int) -> "Data":
        """Return at most `samples` samples, evenly spread: files are often sorted by label."""
        most = min(samples, self.samples)
        return self.chosen(np.linspace(0, self.samples - 1, most).round().astype(int))


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Encoded samples: what the real-valued network and the integer program receive."""

    real: tuple[Values, ...]
    whole: tuple[Values, ...]

    @property
    def steps(self) -> int:
        """Steps of each sample."""
        return int(self.whole[0].values.shape[1])


def read_data(path: Path, names: tuple[str, ...]) -> Data:
    """Return the samples in an NPZ file for the inputs called `names`.

    It holds `input` (or one array per input name) and perhaps `label`.

    Raises:
        FileMissingError: there is no such file.
        DataError: it cannot be used.
    """
    if not path.is_file():
        raise FileMissingError("there is no such data file", where=str(path))
    return data_of(_read_npz(path), names, str(path))


def data_from(given: Any, names: tuple[str, ...]) -> Data:
    """Return the samples of `given`: a path, `Data`, arrays by name, or the only input's array.

    Raises:
        FileMissingError: there is no such file.
        DataError: it cannot be used.
    """
    if isinstance(given, Data):
        return given
    if isinstance(given, str | Path):
        return read_data(Path(given), names)
    arrays = given if isinstance(given, Mapping) else {"input": given}
    return data_of({name: np.asarray(array) for name, array in arrays.items()}, names)


def data_of(given: Mapping[str, np.ndarray], names: tuple[str, ...], where: str = "") -> Data:
    """Return the samples in arrays by name; the only input may be called `input`.

    Raises:
        DataError: an array is missing or cannot be used.
    """
    arrays = dict(given)
    if len(names) == 1 and names[0] not in arrays and "input" in arrays:
        arrays[names[0]] = arrays["input"]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(
            f"the data has no array {missing[0]!r}; it has {', '.join(arrays) or 'none'}",
            where=where,
            fix="np.savez(FILE, input=array) with an array [sample, step, ...shape]",
        )
    chosen = tuple(Values(name=name, values=_checked(arrays[name], name, where)) for name in names)
    if len({v.values.shape[0] for v in chosen}) != 1:
        raise DataError("the inputs have different numbers of samples", where=where)
    return Data.of(chosen, _label(arrays, chosen[0].values.shape[0], where))


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        return unpack(path.read_bytes(), LARGEST_ARRAY)
    except ArtifactDamagedError as problem:
        raise DataError(
            f"not an NPZ file of plain arrays: {problem.message}",
            where=str(path),
            fix="np.savez(FILE, input=array); for recorded events add --bin-width SECONDS",
        ) from problem
    except OSError as problem:
        raise DataError(f"it cannot be read: {problem.strerror}", where=str(path)) from problem


def _checked(array: np.ndarray, name: str, file: str) -> np.ndarray:
    where = f"{file}: {name}" if file else name
    if array.dtype.kind not in "iubf":
        raise DataError(f"values of type {array.dtype} are no numbers", where=where)
    if array.ndim < 2 or not array.shape[0]:
        raise DataError(f"an array of shape {array.shape} has no samples", where=where)
    if not np.all(np.isfinite(array)):
        raise DataError("an input value is not a finite number", where=where)
    return array


def _label(arrays: Mapping[str, np.ndarray], samples: int, where: str) -> np.ndarray | None:
    if "label" not in arrays:
        return None
    label = arrays["label"]
    if label.shape != (samples,) or label.dtype.kind not in "iu":
        raise DataError(
            f"`label` has shape {label.shape} of {label.dtype}, "
            f"expected whole numbers of shape ({samples},)",
            where=where,
        )
    return label.astype(np.int64)


EVENT_BYTES = 5
"""Bytes of one event in an N-MNIST recording (Orchard et al. 2015, section 2.2)."""


def read_events(
    path: Path, bin_width: float, shape: tuple[int, int] = (34, 34)
) -> Num[np.ndarray, "step polarity y x"]:
    """Return the events of a recording, counted per bin of `bin_width` seconds.

    Each event has 5 bytes, as N-MNIST has them: x, y, and a time of 23 bits in microseconds with
    the polarity in the bit above.

    Raises:
        FileMissingError: there is no such file.
        OptionError: the bin width is no time, or so short that the bins take too much memory.
        DataError: the file is no such recording, or an event lies outside `shape`.
    """
    if not path.is_file():
        raise FileMissingError("there is no such data file", where=str(path))
    if not (math.isfinite(bin_width) and bin_width > 0):
        raise OptionError(f"bins of {bin_width:g} s", where="--bin-width", fix="--bin-width 0.001")
    raw = np.frombuffer(path.read_bytes(), np.uint8)
    if raw.size == 0 or raw.size % EVENT_BYTES:
        raise DataError(
            f"{raw.size} bytes are no recording of {EVENT_BYTES}-byte events", where=str(path)
        )
    x, y, *rest = raw.reshape(-1, EVENT_BYTES).astype(np.int64).T
    polarity = rest[0] >> 7
    time = (rest[0] & 127) << 16 | rest[1] << 8 | rest[2]
    if x.max() >= shape[1] or y.max() >= shape[0]:
        raise DataError(
            f"an event at x={x.max()}, y={y.max()} lies outside {shape[1]} x {shape[0]}",
            where=str(path),
        )
    steps = math.floor(int(time.max()) / (bin_width * 1e6)) + 1
    if steps * 2 * math.prod(shape) * 4 > LARGEST_ARRAY:
        raise OptionError(
            f"bins of {bin_width:g} s make {steps:,} steps of this recording, which is too much",
            where="--bin-width",
            fix="--bin-width 0.001",
        )
    counts = np.zeros((steps, 2, *shape), np.int32)
    np.add.at(counts, ((time / (bin_width * 1e6)).astype(np.int64), polarity, y, x), 1)
    return counts


def encode(data: Data, encoding: Encoding) -> Steps:
    """Return `data` as steps, in real values and in integer payloads.

    Raises:
        DataError: a value cannot be encoded so, or a sample has no steps.
    """
    real, whole = [], []
    for stream, array in enumerate(data.arrays):
        values = _steps(array.values, encoding, data.number, stream)
        if values.ndim < 2 or values.shape[1] == 0:
            raise DataError("a sample has no steps", where=array.name)
        if encoding.how is Encode.RATE:
            counts, values = values, values * encoding.unit
        else:
            counts = _whole(values, encoding, array.name)
        real.append(Values(name=array.name, values=values))
        whole.append(Values(name=array.name, values=counts))
    return Steps(real=tuple(real), whole=tuple(whole))


NEARLY_WHOLE = 1e-3
"""A recorded value this near to a multiple of the unit is that multiple: 0.3 is 3 units of 0.1."""


def _whole(values: np.ndarray, encoding: Encoding, name: str) -> np.ndarray:
    """Return rint(values / unit); recorded values, and currents without a unit, must be whole."""
    counts = np.rint(values / encoding.unit).astype(np.int64)
    rounds = encoding.how is Encode.CURRENT and encoding.unit != 1
    if not rounds and np.any(np.abs(values / encoding.unit - counts) > NEARLY_WHOLE):
        raise DataError(
            "an integer program reads whole numbers, and these are others: "
            f"they are no multiples of {encoding.unit:g}",
            where=name,
            fix="export again with --input-unit U and --input-range LOW:HIGH: "
            "the program reads rint(value / U)",
        )
    return counts


def _steps(values: np.ndarray, encoding: Encoding, number: np.ndarray, stream: int) -> np.ndarray:
    if encoding.how is Encode.RECORDED:
        return values
    if encoding.steps is None:
        raise DataError(
            f"the {encoding.how.value} encoder needs a number of steps", fix="--steps T"
        )
    if encoding.how is Encode.CURRENT:
        return encode_current(values, encoding.steps)
    return encode_rate(
        values.astype(np.float64), encoding.steps, encoding.seed, numbers=number, stream=stream
    )
