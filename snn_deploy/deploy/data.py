"""Samples, checked before use, and encoded as the network says."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, Num

from snn_deploy.errors import DataError, FileMissingError, OptionError
from snn_deploy.ir.codecs import Encode, Encoding, encode_current, encode_rate
from snn_deploy.ir.latency import encode_latency, linear_levels
from snn_deploy.ir.paths import is_file, meant_beside
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

    late: int = 0
    """Events of recordings that came after the last step, and are left out."""

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
    """Return all samples in a data file (NPZ, HDF5 or NIRData) for the inputs called `names`.

    Raises:
        FileMissingError: there is no such file.
        DataError: it cannot be used.
    """
    from snn_deploy.deploy.datasets.opening import open_whole  # noqa: PLC0415 - it imports `Data`

    return open_whole(path, names)


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
    keys = keys_of(names, given, where)
    check_shapes({name: given[key].shape for name, key in keys.items()}, where)
    chosen = tuple(
        Values(name=name, values=checked(given[key], name, where)) for name, key in keys.items()
    )
    if "label" not in given:
        return Data.of(chosen)
    label = given["label"]
    check_label(label.dtype, label.shape, len(chosen[0].values), where)
    return Data.of(chosen, label.astype(np.int64))


def keys_of(names: tuple[str, ...], there: Iterable[str], where: str) -> dict[str, str]:
    """Return the array that each input is read from; the only input's may be called `input`.

    Raises:
        DataError: one is missing.
    """
    known = list(there)
    if len(names) == 1 and names[0] not in known and "input" in known:
        return {names[0]: "input"}
    missing = [name for name in names if name not in known]
    if missing:
        raise DataError(
            f"the data has no array {missing[0]!r}; it has {', '.join(known) or 'none'}",
            where=where,
            fix="np.savez(FILE, input=array) with an array [sample, step, ...shape]",
        )
    return {name: name for name in names}


def check_shapes(shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Refuse arrays of inputs without samples, or with different numbers of them.

    Raises:
        DataError: they are such.
    """
    for name, shape in shapes.items():
        if len(shape) < 2 or not shape[0]:
            raise DataError(f"an array of shape {shape} has no samples", where=_at(where, name))
    if len({shape[0] for shape in shapes.values()}) != 1:
        raise DataError("the inputs have different numbers of samples", where=where)


def part_of(there: int, first: int, samples: int | None) -> int:
    """Return the number of samples from `first` on, of those there are: all of them or so many.

    Raises:
        OptionError: there are not so many.
    """
    if not 0 <= first < there:
        raise OptionError(
            f"no sample {first} of a data set with {there}, which begins with sample 0",
            where="--first",
            fix=f"--first N, a number of 0 to {there - 1}",
        )
    left = there - first
    if samples is not None and not 0 < samples <= left:
        raise OptionError(
            f"{samples} samples from sample {first} on, of a data set with {there}",
            where="--samples",
            fix=f"--samples N, a number of 1 to {left}; by default all",
        )
    return left if samples is None else samples


def check_label(dtype: np.dtype[Any], shape: tuple[int, ...], samples: int, where: str) -> None:
    """Refuse labels that are no whole numbers, one for each sample.

    Raises:
        DataError: they are none.
    """
    if shape != (samples,) or dtype.kind not in "iu":
        raise DataError(
            f"`label` has shape {shape} of {dtype}, expected whole numbers of shape ({samples},)",
            where=where,
        )


def check_classes(data: Data, classes: int, output: str, fix: str) -> None:
    """Refuse labels, where there are any, that no answer of an output can be equal to.

    Raises:
        DataError: the first such label.
    """
    if data.label is None:
        return
    wrong = np.flatnonzero((data.label < 0) | (data.label >= classes))
    if wrong.size:
        raise DataError(
            f"sample {data.number[wrong[0]]} has label {data.label[wrong[0]]}, "
            f"but output {output!r} has {classes} classes, 0 to {classes - 1}",
            fix=fix,
        )


def checked(array: np.ndarray, name: str, where: str) -> np.ndarray:
    """Return the values of an input if they are finite numbers.

    Raises:
        DataError: they are not.
    """
    if array.dtype.kind not in "iubf":
        raise DataError(f"values of type {array.dtype} are no numbers", where=_at(where, name))
    if not np.all(np.isfinite(array)):
        raise DataError("an input value is not a finite number", where=_at(where, name))
    return array


def _at(where: str, name: str) -> str:
    return f"{where}: {name}" if where else name


def read_events(
    path: Path, bin_width: float, shape: tuple[int, int] = (34, 34)
) -> Num[np.ndarray, "step polarity y x"]:
    """Return the events of a recording, counted per bin of `bin_width` seconds.

    Raises:
        FileMissingError: there is no such file.
        OptionError: the bin width is no time, or so short that the bins take too much memory.
        DataError: the file is no such recording, or an event lies outside `shape`.
    """
    from snn_deploy.deploy.datasets import binning, recordings  # noqa: PLC0415 - they import this

    if not is_file(path):
        fix = meant_beside(path, "give the path of a file")
        raise FileMissingError("there is no such data file", where=str(path), fix=fix)
    if not (math.isfinite(bin_width) and bin_width > 0):
        raise OptionError(f"bins of {bin_width:g} s", where="--bin-width", fix="--bin-width 0.001")
    step = bin_width * 1e6
    if path.suffix not in recordings.READERS:
        raise DataError(
            f"this is no recording of events: those end in {', '.join(recordings.READERS)}",
            where=str(path),
            fix="leave --bin-width out, if it holds steps",
        )
    events = recordings.READERS[path.suffix](path)
    how = binning.Binning(step=step, sensor=events.sensor or shape)
    try:
        steps = binning.steps_of(events, step, how)
    except OptionError:
        raise OptionError(
            f"bins of {bin_width:g} s make so many steps of this recording that it is too much",
            where="--bin-width",
            fix="--bin-width 0.001",
        ) from None
    try:
        counts, _ = binning.bin_events(
            events, how, step=step, steps=steps, shape=None, where=str(path)
        )
    except DataError as problem:
        fix = "snn-deploy evaluate reads it, with --sensor ROWSxCOLUMNS and --downscale N"
        raise DataError(problem.message, where=problem.where, fix=fix) from None
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
        if encoding.how in SPIKING:
            counts, values = values, values * encoding.unit
        else:
            counts = _whole(values, encoding, array.name)
        real.append(Values(name=array.name, values=values))
        whole.append(Values(name=array.name, values=counts))
    return Steps(real=tuple(real), whole=tuple(whole))


SPIKING = (Encode.RATE, Encode.LATENCY)
"""Encoders that make spikes: payloads of 1."""

BEYOND = 2.0**63
"""No payload is as large, and no 64-bit integer."""

NEARLY_WHOLE = 1e-3
"""A recorded value this near to a multiple of the unit is that multiple: 0.3 is 3 units of 0.1."""


def _whole(values: np.ndarray, encoding: Encoding, name: str) -> np.ndarray:
    """Return rint(values / unit); recorded values, and currents without a unit, must be whole."""
    scaled = np.rint(values / encoding.unit)
    most = float(np.abs(scaled).max(initial=0))
    if most >= BEYOND:
        raise DataError(
            f"a value of {most:g} times {encoding.unit:g} is too large for a payload",
            where=name,
            fix="export again with a larger --input-unit U: the program reads rint(value / U)",
        )
    counts = scaled.astype(np.int64)
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
            f"the {encoding.how.value} encoder needs a number of steps",
            where="--encode",
            fix=f"export again with --encode {encoding.how.value} --steps T",
        )
    if encoding.how is Encode.CURRENT:
        return encode_current(values, encoding.steps)
    if encoding.how is Encode.LATENCY:
        return encode_latency(values.astype(np.float64), linear_levels(encoding.steps))
    return encode_rate(
        values.astype(np.float64), encoding.steps, encoding.seed, numbers=number, stream=stream
    )
