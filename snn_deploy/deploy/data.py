"""Data files: spikes, images and labels from NPZ and event files, checked before use."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Num

from snn_deploy.errors import DataError, FileMissingError
from snn_deploy.ir.codecs import Encode, Encoding, encode_current, encode_rate
from snn_deploy.ir.trace import Values

LARGEST_ARRAY = 8 * 2**30
"""Bytes that one array of a data file may unpack to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Samples for every input, with labels where there are any."""

    arrays: tuple[Values, ...]
    """As read: [sample, step, *shape] when recorded, else [sample, *shape]."""

    label: Int64[np.ndarray, " sample"] | None = None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.arrays[0].values.shape[0])

    def part(self, start: int, stop: int) -> "Data":
        """Return the samples `start` to `stop`."""
        return Data(
            arrays=tuple(Values(name=a.name, values=a.values[start:stop]) for a in self.arrays),
            label=None if self.label is None else self.label[start:stop],
        )

    def spread(self, samples: int) -> "Data":
        """Return at most `samples` samples, evenly spread: files are often sorted by label."""
        chosen = np.linspace(0, self.samples - 1, min(samples, self.samples)).round().astype(int)
        return Data(
            arrays=tuple(Values(name=a.name, values=a.values[chosen]) for a in self.arrays),
            label=None if self.label is None else self.label[chosen],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Encoded samples: what the real-valued network and the integer program receive."""

    real: tuple[Values, ...]
    whole: tuple[Values, ...]

    @property
    def steps(self) -> int:
        """Steps of each sample."""
        return int(self.whole[0].values.shape[1])


def read_data(path: Path, names: tuple[str, ...], *, bin_width: float | None = None) -> Data:
    """Return the samples in `path` for the inputs called `names`.

    NPZ files hold `input` (or one array per input name) and perhaps `label`. With `bin_width`
    the file is a recording of events (5 bytes each, as N-MNIST: x, y, polarity in the top bit of
    a 23-bit time in microseconds), which is counted into bins of that many seconds.

    Raises:
        FileMissingError: there is no such file.
        DataError: it cannot be used.
    """
    if not path.is_file():
        raise FileMissingError("there is no such data file", where=str(path))
    if bin_width is not None:
        return Data(arrays=(Values(name=names[0], values=read_events(path, bin_width)[None]),))
    return data_of(_read_npz(path), names, str(path))


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
    return Data(arrays=chosen, label=_label(arrays, chosen[0].values.shape[0], where))


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            largest = max((entry.file_size for entry in archive.infolist()), default=0)
        if largest > LARGEST_ARRAY:
            raise DataError(
                f"an array would unpack to {largest} bytes, at most {LARGEST_ARRAY} are read",
                where=str(path),
                fix="split the samples into several files",
            )
        with np.load(path, allow_pickle=False) as npz:
            return {key: npz[key] for key in npz.files}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as problem:
        raise DataError(
            f"not an NPZ file of plain arrays: {problem}",
            where=str(path),
            fix="np.savez(FILE, input=array); for recorded events add --bin-width SECONDS",
        ) from problem


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
    """Return the events of an N-MNIST recording, counted per bin of `bin_width` seconds.

    Raises:
        DataError: the file is no such recording, or an event lies outside `shape`.
    """
    raw = np.frombuffer(path.read_bytes(), np.uint8)
    if bin_width <= 0 or raw.size == 0 or raw.size % EVENT_BYTES:
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
    step = (time / (bin_width * 1e6)).astype(np.int64)
    counts = np.zeros((int(step.max()) + 1, 2, *shape), np.int32)
    np.add.at(counts, (step, polarity, y, x), 1)
    return counts


def encode(data: Data, encoding: Encoding, first_sample: int = 0) -> Steps:
    """Return `data` as steps, in real values and in integer payloads.

    Raises:
        DataError: a value cannot be encoded so.
    """
    real, whole = [], []
    for array in data.arrays:
        values = _steps(array.values, encoding, first_sample)
        if encoding.how is Encode.RATE:
            counts = values
        else:
            counts = np.rint(values / encoding.unit).astype(np.int64)
            if encoding.how is Encode.RECORDED and not np.array_equal(
                counts * encoding.unit, values
            ):
                raise DataError(
                    "an integer program reads whole numbers, and a recorded input has others",
                    where=array.name,
                    fix="export again with --input-unit U: the program reads rint(value / U)",
                )
        real.append(Values(name=array.name, values=values))
        whole.append(Values(name=array.name, values=counts))
    return Steps(real=tuple(real), whole=tuple(whole))


def _steps(values: np.ndarray, encoding: Encoding, first_sample: int) -> np.ndarray:
    if encoding.how is Encode.RECORDED:
        return values
    if encoding.steps is None:
        raise DataError(
            f"the {encoding.how.value} encoder needs a number of steps", fix="--steps T"
        )
    if encoding.how is Encode.CURRENT:
        return encode_current(values, encoding.steps)
    return encode_rate(values.astype(np.float64), encoding.steps, encoding.seed, first_sample)
