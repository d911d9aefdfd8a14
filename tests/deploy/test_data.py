"""Data files are checked before use, and encoded as the network says."""

import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.deploy.data import Data, encode, read_data, read_events
from snn_deploy.errors import DataError, FileMissingError, OptionError
from snn_deploy.ir.codecs import Encode, Encoding
from snn_deploy.ir.trace import Values


def test_an_npz_with_labels_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", input=np.ones((2, 3, 4)), label=np.array([1, 0]))
    data = read_data(tmp_path / "d.npz", ("pixels",))
    assert data.samples == 2
    assert data.arrays[0].name == "pixels"
    assert data.label is not None
    assert data.label.tolist() == [1, 0]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError) as problem:
        read_data(tmp_path / "no.npz", ("input",))
    assert str(problem.value) == (
        f"error[SNN201]: there is no such data file\n  at: {tmp_path / 'no.npz'}\n"
        "  fix: give the path of a file"
    )


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", input=np.array([{"a": 1}], object))
    with pytest.raises(DataError, match=r"not an NPZ file of plain arrays"):
        read_data(tmp_path / "d.npz", ("input",))


def test_a_file_that_is_no_npz_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "d.npz").write_bytes(b"hello")
    with pytest.raises(DataError) as problem:
        read_data(tmp_path / "d.npz", ("input",))
    assert str(problem.value) == (
        "error[SNN208]: not an NPZ file of plain arrays: File is not a zip file\n"
        f"  at: {tmp_path / 'd.npz'}\n"
        "  fix: np.savez(FILE, input=array); recordings of events end in .bin, .aedat4 or .raw"
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([["a"]]), "are no numbers"),
        (np.zeros((0, 3)), "has no samples"),
        (np.array([[np.nan]]), "not a finite number"),
    ],
)
def test_useless_arrays_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "d.npz", input=array)
    with pytest.raises(DataError, match=message):
        read_data(tmp_path / "d.npz", ("input",))


def test_labels_must_match_the_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", input=np.ones((2, 3)), label=np.array([1, 2, 3]))
    with pytest.raises(DataError, match=r"`label` has shape \(3,\)"):
        read_data(tmp_path / "d.npz", ("input",))


def event(x: int, y: int, polarity: int, microsecond: int) -> bytes:
    high = polarity << 7 | microsecond >> 16
    return bytes([x, y, high, microsecond >> 8 & 255, microsecond & 255])


def test_events_are_counted_per_bin(tmp_path: Path) -> None:
    raw = event(3, 4, 1, 999) + event(3, 4, 1, 10) + event(0, 33, 0, 70_000)
    (tmp_path / "e.bin").write_bytes(raw)
    counts = read_events(tmp_path / "e.bin", 1e-3)
    assert counts.shape == (71, 2, 34, 34)
    assert counts[0, 1, 4, 3] == 2
    assert counts[70, 0, 33, 0] == 1
    assert counts.sum() == 3


def test_half_an_event_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.bin").write_bytes(b"1234")
    with pytest.raises(DataError, match="4 bytes are no recording of 5-byte events"):
        read_events(tmp_path / "e.bin", 1e-3)


def images(values: np.ndarray) -> Data:
    return Data.of((Values(name="input", values=values),))


def test_a_current_is_rounded_for_the_program_only() -> None:
    encoding = Encoding(how=Encode.CURRENT, steps=2, unit=0.25, high=4)
    steps = encode(images(np.array([[0.3, 1.0]])), encoding)
    assert steps.real[0].values.tolist() == [[[0.3, 1.0], [0.3, 1.0]]]
    assert steps.whole[0].values.tolist() == [[[1, 4], [1, 4]]]


def test_rates_do_not_depend_on_the_block_of_a_sample() -> None:
    values = np.linspace(0, 1, 40).reshape(4, 10)
    encoding = Encoding(how=Encode.RATE, steps=20, seed=3)
    whole = encode(images(values), encoding).whole[0].values
    last = encode(images(values).part(3, 4), encoding).whole[0].values
    spread = encode(images(values).spread(2), encoding).whole[0].values
    assert np.array_equal(whole[3:], last)
    assert np.array_equal(whole[[0, 3]], spread)
    assert whole[0, :, 0].max() == 0
    assert whole[3, :, 9].min() == 1


def test_a_recording_of_fractions_needs_a_unit() -> None:
    with pytest.raises(DataError, match="--input-unit"):
        encode(images(np.full((1, 2, 1), 0.5)), Encoding())
    half = encode(images(np.full((1, 2, 1), 0.5)), Encoding(unit=0.5))
    assert half.whole[0].values.tolist() == [[[1], [1]]]


def test_an_encoder_without_steps_is_refused() -> None:
    with pytest.raises(DataError, match="--steps T"):
        encode(images(np.ones((1, 2))), Encoding(how=Encode.RATE))


def test_spread_takes_samples_from_the_whole_file() -> None:
    data = Data.of((Values(name="input", values=np.arange(100)[:, None]),), np.arange(100))
    label = data.spread(5).label
    assert label is not None
    assert label.tolist() == [0, 25, 50, 74, 99]


def test_two_inputs_do_not_fire_together() -> None:
    half = np.full((1, 200), 0.5)
    data = Data.of((Values(name="a", values=half), Values(name="b", values=half)))
    steps = encode(data, Encoding(how=Encode.RATE, steps=10))
    assert not np.array_equal(steps.whole[0].values, steps.whole[1].values)


def test_a_rate_of_worthier_spikes_is_the_same_in_reals_and_integers() -> None:
    steps = encode(images(np.full((1, 50), 0.5)), Encoding(how=Encode.RATE, steps=4, unit=0.25))
    assert np.array_equal(steps.real[0].values, steps.whole[0].values * 0.25)
    assert steps.whole[0].values.max() == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pixels_of_255_levels_are_whole_in_their_unit(dtype: type) -> None:
    levels = np.arange(256)
    values = (levels / 255).astype(dtype)[None, None]
    steps = encode(images(values), Encoding(unit=1 / 255, high=255))
    assert np.array_equal(steps.whole[0].values.ravel(), levels)


def test_currents_are_not_rounded_without_a_stated_unit() -> None:
    with pytest.raises(DataError) as problem:
        encode(images(np.array([[0.5]])), Encoding(how=Encode.CURRENT, steps=2))
    assert str(problem.value) == (
        "error[SNN208]: an integer program reads whole numbers, and these are others: "
        "they are no multiples of 1\n"
        "  at: input\n"
        "  fix: export again with --input-unit U and --input-range LOW:HIGH: "
        "the program reads rint(value / U)"
    )


def test_samples_without_steps_are_refused() -> None:
    with pytest.raises(DataError, match="a sample has no steps"):
        encode(images(np.zeros((2, 0, 3), np.uint8)), Encoding())


@pytest.mark.parametrize("width", [0.0, -1.0, np.nan, np.inf, 1e-12])
def test_bins_must_be_a_time(tmp_path: Path, width: float) -> None:
    (tmp_path / "e.bin").write_bytes(event(1, 1, 1, 70_000))
    with pytest.raises(OptionError, match="bins of"):
        read_events(tmp_path / "e.bin", width)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_npz_is_a_numbered_error_or_read(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    np.savez_compressed(tmp_path / "good.npz", input=rng.integers(0, 2, (3, 4, 5)))
    raw = bytearray((tmp_path / "good.npz").read_bytes())
    for _ in range(60):
        bad = bytearray(raw)
        for place in rng.integers(0, len(raw), 3):
            bad[place] = rng.integers(0, 256)
        (tmp_path / "bad.npz").write_bytes(bad)
        with suppress(DataError):
            read_data(tmp_path / "bad.npz", ("input",))


def test_members_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("input", b"hello")
    with pytest.raises(DataError, match="not an NPZ file of plain arrays"):
        read_data(tmp_path / "d.npz", ("input",))


def test_the_latency_encoder_sends_larger_values_earlier_and_once() -> None:
    data = images(np.array([[1.0, 0.75, 0.3, 0.25, 0.2, 0.0]]))
    steps = encode(data, Encoding(how=Encode.LATENCY, steps=4, unit=0.5))
    spikes = steps.whole[0].values[0]
    assert spikes.sum(axis=0).tolist() == [1, 1, 1, 1, 0, 0]
    assert spikes[:, :4].argmax(axis=0).tolist() == [0, 1, 3, 3]
    assert np.array_equal(steps.real[0].values, 0.5 * steps.whole[0].values)
