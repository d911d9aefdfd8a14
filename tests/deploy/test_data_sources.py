"""Data sets of every kind give the samples that were written, in any parts, and nothing else."""

import contextlib
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from snn_deploy.deploy import data as samples_of
from snn_deploy.deploy.data import Data, read_data
from snn_deploy.deploy.datasets import camera, npz
from snn_deploy.deploy.datasets.binning import Binning, Events
from snn_deploy.deploy.datasets.opening import open_source, reopened
from snn_deploy.deploy.datasets.source import Entry, Request, Source
from snn_deploy.errors import DataError, DeployError, FileMissingError, OptionError

RNG = np.random.default_rng(0)
ARRAY = RNG.integers(0, 3, (11, 4, 2, 3)).astype(np.uint8)
LABEL = np.arange(11) % 5


def asked(path: Path = Path(), **changes: Any) -> Request:
    return replace(Request(path=path, inputs=(Entry(name="in", shape=(2, 3)),)), **changes)


def npz_stored(path: Path) -> Path:
    np.savez(path, input=ARRAY, label=LABEL)
    return path.with_suffix(".npz")


def npz_packed(path: Path) -> Path:
    np.savez_compressed(path, input=ARRAY, label=LABEL)
    return path.with_suffix(".npz")


def npz_fortran(path: Path) -> Path:
    np.savez(path, input=np.asfortranarray(ARRAY), label=LABEL)
    return path.with_suffix(".npz")


def npz_by_name(path: Path) -> Path:
    with zipfile.ZipFile(path.with_suffix(".npz"), "w", zipfile.ZIP_STORED) as archive:
        for name, array in (("other", LABEL), ("in", ARRAY), ("label", LABEL)):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array)
    return path.with_suffix(".npz")


def hdf5_plain(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["input"], file["label"] = ARRAY, LABEL
    return path


def hdf5_packed(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("in", data=ARRAY, compression="gzip", chunks=(3, 4, 2, 3))
        file["label"] = LABEL.astype(np.uint8)
    return path


KINDS = [npz_stored, npz_packed, npz_fortran, npz_by_name, hdf5_plain, hdf5_packed]


@pytest.mark.parametrize("write", KINDS)
def test_every_part_of_a_file_is_what_was_written(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path / "d")
    source = open_source(path, asked())
    assert (source.samples, source.labelled) == (11, True)
    for start, stop in ((0, 11), (3, 5), (10, 11), (0, 1), (4, 9)):  # backwards too
        part = source.read(start, stop)
        assert np.array_equal(part.arrays[0].values, ARRAY[start:stop])
        assert part.arrays[0].name == "in"
        assert part.label is not None
        assert part.label.tolist() == LABEL[start:stop].tolist()
        assert part.number.tolist() == list(range(start, stop))
    whole = read_data(path, ("in",))
    assert np.array_equal(whole.arrays[0].values, ARRAY)


def test_only_what_can_be_read_in_parts_is_left_to_other_processes(tmp_path: Path) -> None:
    for write in KINDS:
        source = open_source(write(tmp_path / write.__name__), asked())
        assert (source.request is None) == (write in (npz_packed, npz_fortran)), write
        if source.request is not None:
            assert np.array_equal(reopened(source.request).read(2, 4).arrays[0].values, ARRAY[2:4])


@pytest.mark.parametrize("write", [npz_stored, hdf5_plain])
def test_the_digest_is_that_of_the_content(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    first = open_source(write(tmp_path / "d"), asked()).digest()
    assert open_source(write(tmp_path / "d"), asked()).digest() == first
    changed = bytearray((path := write(tmp_path / "d")).read_bytes())
    place = changed.index(ARRAY.tobytes()[:16])
    changed[place] ^= 1
    path.write_bytes(changed)
    if write is hdf5_plain:  # has no checksum
        assert open_source(path, asked()).digest() != first
    else:
        with pytest.raises(DataError, match="not an NPZ file of plain arrays: Bad CRC-32"):
            open_source(path, asked())


def test_a_large_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset("input", (4000, 25, 1000), np.uint8, chunks=(8, 25, 1000))
    with zipfile.ZipFile(tmp_path / "d.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = {"descr": "|u1", "fortran_order": False, "shape": (4000, 25, 1000)}
        with archive.open("input.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, header)
            for _ in range(100):
                member.write(bytes(10**6))
    for path in (tmp_path / "d.h5", tmp_path / "d.npz"):
        tracemalloc.start()
        source = open_source(path, asked(inputs=(Entry(name="in"),)))
        rows = sum(source.read(n, n + 100).samples for n in range(0, 4000, 100))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows == 4000
        assert peak < 30 * 2**20, path  # the array has 95 MiB, a part 2.4


def test_more_than_can_be_held_at_once_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snn_deploy.deploy.datasets import source

    monkeypatch.setattr(source, "LARGEST_ARRAY", 100)
    for write in KINDS:
        with pytest.raises(DataError, match="are more than the 100 bytes that are read at once"):
            read_data(write(tmp_path / write.__name__), ("in",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": ARRAY, "label": LABEL[:3]}, r"`label` has shape \(3,\)"),
        ({"input": ARRAY.astype("S1")}, "are no numbers"),
        ({"input": ARRAY[:0]}, "has no samples"),
        ({"x": ARRAY}, "the data has no array 'in'; it has x"),
        ({"input": np.full((2, 3, 2, 3), np.nan)}, "not a finite number"),
    ],
)
@pytest.mark.parametrize("kind", ["npz", "h5", "memory"])
def test_useless_data_are_refused_alike(
    tmp_path: Path, kind: str, change: dict[str, np.ndarray], message: str
) -> None:
    given: Any = change
    if kind == "npz":
        np.savez(tmp_path / "d.npz", **change)
        given = tmp_path / "d.npz"
    if kind == "h5":
        given = tmp_path / "d.h5"
        with h5py.File(given, "w") as file:
            for name, array in change.items():
                file[name] = array
    with pytest.raises(DataError, match=message):
        open_source(given, asked()).read(0, 2)


@pytest.mark.parametrize(
    ("shape", "version", "message"),
    [
        ((10**9, 4), (1, 0), r"has \d+ bytes, not \d+"),
        ((-1, 4), (1, 0), "d.npz"),
        ((2, 4), (2, 0), None),
        ((2, 4), (3, 0), "an array of version"),
    ],
)
def test_members_that_lie_about_their_size_are_refused(
    tmp_path: Path, shape: tuple[int, ...], version: tuple[int, int], message: str | None
) -> None:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    raw = b"\x93NUMPY" + bytes(version) + length + text + bytes(8)
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("input.npy", raw)
    if message is None:
        assert open_source(tmp_path / "d.npz", asked()).samples == 2
        return
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / "d.npz", asked())


def test_a_file_that_is_cut_off_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    source = open_source(npz_stored(tmp_path / "d"), asked())
    (tmp_path / "d.npz").write_bytes((tmp_path / "d.npz").read_bytes()[:400])
    with pytest.raises(DataError, match=r"input\.npy ends before its time"):
        source.read(5, 11)


def damaged_hdf5(path: Path, how: str) -> None:
    with h5py.File(path.with_suffix(".other"), "w") as file:
        file["input"] = ARRAY
    with h5py.File(path, "w") as file:
        if how == "external link":
            file["input"] = h5py.ExternalLink(str(path.with_suffix(".other")), "input")
        if how == "external storage":
            outside = [(str(path.with_suffix(".other")), 0, h5py.h5f.UNLIMITED)]
            file.create_dataset("input", ARRAY.shape, np.uint8, external=outside)
        if how == "virtual":
            layout = h5py.VirtualLayout(ARRAY.shape, np.uint8)
            layout[:] = h5py.VirtualSource(str(path.with_suffix(".other")), "input", ARRAY.shape)
            file.create_virtual_dataset("input", layout)
        if how == "group":
            file.create_group("input")
        if how == "chunk":
            file.create_dataset("input", (2**12, 2**20), np.uint8, chunks=(2**11, 2**20))
        if how == "text":
            file["input"] = ["a", "b"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("external link", "'input' lies in another file"),
        ("external storage", "'input' is no array of this file"),
        ("virtual", "'input' is no array of this file"),
        ("group", "'input' is no array of this file"),
        ("chunk", "a chunk of 'input' has 2,147,483,648 bytes, which is too much"),
        ("text", "values of type object are no numbers"),
    ],
)
def test_hdf5_that_reaches_elsewhere_or_for_all_memory_is_refused(
    tmp_path: Path, how: str, message: str
) -> None:
    damaged_hdf5(tmp_path / "d.h5", how)
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / "d.h5", asked())


@pytest.mark.parametrize("seed", range(10))
def test_damaged_hdf5_is_a_numbered_error_or_read(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw = hdf5_packed(tmp_path / "good.h5").read_bytes()
    for _ in range(20):
        bad = bytearray(raw)
        for place in rng.integers(8, len(raw), 3):
            bad[place] = rng.integers(0, 256)
        (tmp_path / "bad.h5").write_bytes(bad[: rng.integers(8, len(raw) + 1)])
        try:
            open_source(tmp_path / "bad.h5", asked()).read(0, 11)
        except DeployError as problem:
            assert problem.code in ("SNN208", "SNN102")  # noqa: PT017 - either is fine


def test_missing_files_are_named(tmp_path: Path) -> None:
    for given, changes in (
        (tmp_path / "no.npz", {}),
        (npz_stored(tmp_path / "d"), {"labels": tmp_path / "no.npy"}),
    ):
        with pytest.raises(FileMissingError):
            open_source(given, asked(**changes))


# --- NIRData ---------------------------------------------------------------------------------


def write_nir(path: Path, found: Any, node: str = "in") -> Path:
    data = nir.NIRGraphData({node: nir.NIRNodeData({"spikes": found})})
    nir.write_data(path, data)
    return path


GRID = RNG.integers(0, 2, (5, 30, 6)).astype(bool)


@pytest.mark.parametrize("node", ["in", "input"])
def test_gridded_nir_data_are_read_in_c_order(tmp_path: Path, node: str) -> None:
    path = write_nir(tmp_path / "d.nir", nir.TimeGriddedData(GRID, 1e-3), node)
    source = open_source(path, asked(dt=1e-3))
    assert not source.labelled
    assert np.array_equal(source.read(1, 4).arrays[0].values, GRID[1:4].reshape(3, 30, 2, 3))


@pytest.mark.parametrize("dt", [1e-3, 0.1, 1 / 3])
def test_events_of_nir_data_give_the_grid_that_they_came_from(tmp_path: Path, dt: float) -> None:
    grid = nir.TimeGriddedData(GRID, dt)
    path = write_nir(tmp_path / "d.nir", grid.to_event(200))
    source = open_source(path, asked(dt=dt))
    data = source.read(0, 5)
    assert np.array_equal(data.arrays[0].values.reshape(GRID.shape), GRID)
    short = open_source(path, asked(dt=dt, binning=Binning(steps=20))).read(0, 5)
    assert np.array_equal(short.arrays[0].values.reshape(5, 20, 6), GRID[:, :20])
    assert (data.late, short.late) == (0, int(GRID[:, 20:].sum()))


def test_values_of_events_are_added_up_within_a_step(tmp_path: Path) -> None:
    found = nir.ValuedEventData(
        idx=np.array([[0, 0, 5, -1]]),
        time=np.array([[0.0, 0.5, 1.0, np.inf]]),
        value=np.array([[1.5, 2.0, -1.0, 7.0]]),
        n_neurons=6,
        t_max=2.0,
    )
    path = write_nir(tmp_path / "d.nir", found)
    values = open_source(path, asked(dt=1.0)).read(0, 1).arrays[0].values.reshape(2, 6)
    assert values[0, 0] == 3.5
    assert values[1, 5] == -1
    once = open_source(path, asked(dt=1.0, binning=Binning(binary=True))).read(0, 1)
    assert once.arrays[0].values.sum() == 2


@pytest.mark.parametrize(
    ("index", "time", "message"),
    [
        ([[6]], [[0.0]], "an event is of neuron 6, but there are 6"),
        ([[0]], [[-1.0]], "an event's time is negative or not a finite number"),
        ([[0]], [[np.inf]], "an event's time is negative or not a finite number"),
    ],
)
def test_impossible_events_of_nir_data_are_refused(
    tmp_path: Path, index: Any, time: Any, message: str
) -> None:
    found = nir.EventData(np.array(index), np.array(time), 6, 2.0)
    path = write_nir(tmp_path / "d.nir", found)
    with pytest.raises(DataError, match=message):
        open_source(path, asked(dt=1.0)).read(0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t_max": np.inf}, "error[SNN208]: 6 neurons for inf s"),
        ({"t_max": np.nan}, "error[SNN208]: 6 neurons for nan s"),
        ({"t_max": 0.2}, "error[SNN208]: 6 neurons for 0.2 s"),
        ({"n_neurons": 0}, "error[SNN208]: 0 neurons for 2 s"),
    ],
)
def test_nir_data_of_no_steps_or_neurons_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write_nir(tmp_path / "d.nir", nir.EventData(np.array([[0]]), np.array([[0.0]]), 6, 2.0))
    with h5py.File(path, "a") as file:
        (group,) = [g for g in walked(file) if "n_neurons" in g.attrs]
        group.attrs.update(change)
    with pytest.raises(DataError) as problem:
        open_source(path, asked(dt=1.0)).read(0, 1)
    assert str(problem.value) == f"{message}\n  at: {path}"


def walked(group: h5py.Group) -> list[h5py.Group]:
    found: list[h5py.Group] = []
    group.visititems(lambda _, item: found.append(item))
    return found


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("idx", "the HDF5 file cannot be used: /nodes/in/observables/spikes has no array 'idx'"),
        ("time", "the HDF5 file cannot be used: /nodes/in/observables/spikes has no array 'time'"),
    ],
)
def test_events_without_an_array_name_it(tmp_path: Path, lost: str, message: str) -> None:
    path = write_nir(tmp_path / "d.nir", nir.EventData(np.array([[0]]), np.array([[0.0]]), 6, 2.0))
    with h5py.File(path, "a") as file:
        del file[f"nodes/in/observables/spikes/{lost}"]
    with pytest.raises(DataError) as problem:
        open_source(path, asked(dt=1.0)).read(0, 1)
    assert str(problem.value) == f"error[SNN208]: {message}\n  at: {path}"


def test_events_and_times_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    path = write_nir(tmp_path / "d.nir", nir.EventData(np.array([[0]]), np.array([[0.0]]), 6, 2.0))
    with h5py.File(path, "a") as file:
        del file["nodes/in/observables/spikes/time"]
        file["nodes/in/observables/spikes/time"] = np.zeros((1, 3))
    with pytest.raises(DataError) as problem:
        open_source(path, asked(dt=1.0)).read(0, 1)
    assert str(problem.value) == (f"error[SNN208]: (1, 1) events have (1, 3) times\n  at: {path}")


def test_two_inputs_have_steps_of_one_length(tmp_path: Path) -> None:
    path = tmp_path / "d.nir"
    nodes = {
        name: nir.NIRNodeData({"spikes": nir.TimeGriddedData(GRID, dt)})
        for name, dt in (("a", 1e-3), ("b", 2e-3))
    }
    nir.write_data(path, nir.NIRGraphData(nodes))
    entries = tuple(Entry(name=name, shape=(6,)) for name in "ab")
    with pytest.raises(DataError) as problem:
        open_source(path, replace(asked(), inputs=entries))
    assert str(problem.value) == (
        f"error[SNN208]: inputs with steps of [0.001, 0.002] s\n  at: {path}"
    )


def test_nir_data_of_another_size_name_both(tmp_path: Path) -> None:
    path = write_nir(tmp_path / "d.nir", nir.TimeGriddedData(GRID[..., :5], 1e-3))
    with pytest.raises(DataError) as problem:
        open_source(path, asked()).read(0, 1)
    assert str(problem.value) == (
        "error[SNN208]: a step of the data has 5 neurons, but the program reads (2, 3), which are "
        f"6\n  at: {path}: in"
    )


def test_nir_data_of_other_nodes_are_refused(tmp_path: Path) -> None:
    path = write_nir(tmp_path / "d.nir", nir.TimeGriddedData(GRID, 1e-3), "hidden")
    with pytest.raises(DataError, match="the data has no array 'in'; it has hidden"):
        open_source(path, asked())
    twice = {"a": nir.TimeGriddedData(GRID, 1e-3), "b": nir.TimeGriddedData(GRID, 1e-3)}
    nir.write_data(path, nir.NIRGraphData({"in": nir.NIRNodeData(twice)}))
    with pytest.raises(DataError, match="node 'in' has 2 observables: a, b"):
        open_source(path, asked())


@pytest.mark.parametrize("kind", ["npz", "h5", "nir"])
def test_steps_of_another_length_are_refused_unless_that_is_meant(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"d.{kind}"
    if kind == "npz":
        np.savez(path, input=ARRAY, dt=np.float32(0.002))
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["input"], file["dt"] = ARRAY, 0.002
    else:
        write_nir(path, nir.TimeGriddedData(GRID, 0.002))
    with pytest.raises(OptionError) as problem:
        open_source(path, asked(dt=1e-3))
    assert str(problem.value) == (
        "error[SNN102]: a step of the data lasts 0.002 s, one of the program 0.001 s\n"
        f"  at: {path}\n"
        "  fix: --step-us 2000, if a step of the data is to be one of the program even so"
    )
    for changes in ({"dt": 2e-3}, {"dt": None}, {"dt": 1e-3, "binning": Binning(step=2000.0)}):
        assert open_source(path, asked(**changes)).samples == (5 if kind == "nir" else 11)


# --- labels, data set objects -----------------------------------------------------------------


def test_labels_may_lie_in_a_file_of_their_own(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", input=ARRAY)
    np.save(tmp_path / "l.npy", LABEL)
    np.savez(tmp_path / "l.npz", label=LABEL)
    plain = open_source(tmp_path / "d.npz", asked())
    assert not plain.labelled
    for given in (tmp_path / "d.npz", {"input": ARRAY}):
        for labels in (tmp_path / "l.npy", tmp_path / "l.npz"):
            source = open_source(given, asked(labels=labels))
            found = source.read(3, 6).label
            assert found is not None
            assert found.tolist() == LABEL[3:6].tolist()
            assert source.digest() != plain.digest()
    np.save(tmp_path / "short.npy", LABEL[:3])
    with pytest.raises(DataError, match=r"expected whole numbers of shape \(11,\)"):
        open_source(tmp_path / "d.npz", asked(labels=tmp_path / "short.npy"))
    with pytest.raises(DataError, match="it holds no labels"):
        open_source(tmp_path / "d.npz", asked(labels=tmp_path / "d.npz"))


EVENT = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])


class Recorded:
    """A data set as tonic has them."""

    sensor_size = (3, 2, 2)

    def __init__(self, count: int = 4) -> None:
        rng = np.random.default_rng(1)
        self.rows = []
        for _ in range(count):
            events = np.zeros(30, EVENT)
            events["x"], events["y"] = rng.integers(0, 3, 30), rng.integers(0, 2, 30)
            events["t"], events["p"] = np.sort(rng.integers(0, 5000, 30)), rng.integers(0, 2, 30)
            self.rows.append(events)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.rows[index], index % 2


def of_events(**changes: Any) -> Request:
    return asked(inputs=(Entry(name="in", shape=(2, 2, 3)),), **changes)


def test_events_of_a_data_set_object_become_steps() -> None:
    binning = Binning(step=1000.0, steps=4)
    source = open_source(Recorded(), of_events(binning=binning))
    data = source.read(1, 3)
    rows = Recorded().rows
    assert data.late == sum(int((r["t"] >= 4000).sum()) for r in rows[1:3])
    assert data.label is not None
    assert data.label.tolist() == [1, 0]
    expected = sum((rows[1]["t"] // 1000 == 2) & (rows[1]["x"] == 1) & ~rows[1]["p"])
    assert data.arrays[0].values[0, 2, 0, :, 1].sum() == expected
    with pytest.raises(OptionError, match="4 recordings differ in length"):
        open_source(Recorded(), of_events(binning=Binning(step=1000.0))).read(0, 1)


def test_a_list_of_frames_and_labels_is_a_data_set() -> None:
    pairs = [(frames, np.int64(label)) for frames, label in zip(ARRAY, LABEL, strict=True)]
    data = open_source(pairs, asked()).read(2, 9)
    assert np.array_equal(data.arrays[0].values, ARRAY[2:9])
    assert data.label is not None
    assert data.label.tolist() == LABEL[2:9].tolist()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(ARRAY[0], 1), (ARRAY[0][:2], 1)], r"a sample of shape \(2, 2, 3\) follows others of"),
        ([(ARRAY[0], 1.5)], "is no whole number"),
        ([(ARRAY[0], 1, 2)], "a sample is no pair"),
        ([(np.zeros(3, [("x", int), ("t", int)]), 1)], "have the fields x, y, t and p, not x, t"),
        ([(np.array([(-1, 0, 0, True)], EVENT), 1)], "negative place or time"),
    ],
)
def test_useless_samples_of_a_data_set_are_refused(pairs: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(pairs, asked(binning=Binning(steps=2, step=1.0))).read(0, len(pairs))


def test_the_digest_of_a_data_set_object_is_that_of_its_samples() -> None:
    request = of_events(binning=Binning(step=1000.0, steps=4))
    one = Recorded()
    assert open_source(one, request).digest() == open_source(Recorded(), request).digest()
    one.rows[0]["x"][0] ^= 1
    assert open_source(one, request).digest() != open_source(Recorded(), request).digest()


def test_arrays_tensors_and_nested_lists_are_arrays() -> None:
    for given in (ARRAY, ARRAY.tolist(), {"in": ARRAY}, Data.of(read_values(ARRAY))):
        assert np.array_equal(open_source(given, asked()).read(0, 11).arrays[0].values, ARRAY)


def read_values(array: np.ndarray) -> Any:
    from snn_deploy.ir.trace import Values

    return (Values(name="in", values=array),)


# --- recordings in files ----------------------------------------------------------------------


def nmnist(rows: list[tuple[int, int, int, int]]) -> bytes:
    """Return events (x, y, polarity, microseconds) as N-MNIST stores them."""
    return b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, p, t in rows)


def folder(root: Path, names: list[str]) -> Path:
    for index, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for number in range(2):
            rows = [(index, number, 1, 100), (2, 1, 0, 2500)]
            (root / name / f"{number}.bin").write_bytes(nmnist(rows))
    return root


def test_a_folder_of_recordings_has_its_folders_as_labels(tmp_path: Path) -> None:
    binning = Binning(step=1000.0, steps=3)
    numbers = open_source(folder(tmp_path / "n", ["10", "2"]), of_events(binning=binning))
    assert (numbers.samples, numbers.classes) == (4, ())
    data = numbers.read(0, 4)
    assert data.label is not None
    assert data.label.tolist() == [2, 2, 10, 10]
    assert data.arrays[0].values[0].nonzero() == (
        *(pytest.approx(x) for x in ([0, 2], [1, 0], [0, 1], [1, 2])),
    )
    words = open_source(folder(tmp_path / "w", ["cat", "ant"]), of_events(binning=binning))
    assert words.classes == ("ant", "cat")
    found = words.read(1, 3).label
    assert found is not None
    assert found.tolist() == [0, 1]
    before = words.digest()
    (tmp_path / "w" / "cat" / "1.bin").write_bytes(nmnist([(0, 0, 0, 0)]))
    assert words.digest() != before


def test_a_folder_that_mixes_or_has_nothing_is_refused(tmp_path: Path) -> None:
    binning = Binning(step=1000.0, steps=3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"\(\.bin, \.aedat4, \.raw\) has none"):
        open_source(tmp_path / "empty", of_events(binning=binning))
    root = folder(tmp_path / "n", ["0"])
    (root / "loose.bin").write_bytes(nmnist([(0, 0, 0, 0)]))
    with pytest.raises(DataError, match="some in folders of classes and some beside them"):
        open_source(root, of_events(binning=binning))


def test_several_recordings_need_a_number_of_steps(tmp_path: Path) -> None:
    root = folder(tmp_path / "n", ["0"])
    with pytest.raises(OptionError) as problem:
        open_source(root, of_events(binning=Binning(step=1000.0)))
    assert str(problem.value) == (
        "error[SNN102]: 2 recordings differ in length, and samples do not\n  at: --steps\n"
        "  fix: --steps T: shorter ones end in silence, later events are left out"
    )
    alone = open_source(root / "0" / "0.bin", of_events(binning=Binning(step=1000.0)))
    assert alone.read(0, 1).arrays[0].values.shape == (1, 3, 2, 2, 3)


def test_an_event_in_row_240_only_makes_time_later(tmp_path: Path) -> None:
    rows = [(0, 0, 1, 100), (0, 240, 0, 0), (1, 1, 1, 200)]
    (tmp_path / "r.bin").write_bytes(nmnist(rows))
    source = open_source(tmp_path / "r.bin", of_events(binning=Binning(step=8192.0)))
    values = source.read(0, 1).arrays[0].values[0]
    assert values.shape[0] == 2
    assert values[1].sum() == values[1, 1, 1, 1] == 1


@pytest.mark.shared
def test_the_real_recording_is_binned_as_before(shared_data: Path) -> None:
    path = shared_data / "events" / "sample_nmnist.bin"
    request = asked(
        inputs=(Entry(name="in", shape=(2, 34, 34)),), binning=Binning(step=1000.0, steps=300)
    )
    data = open_source(path, request).read(0, 1)
    whole = samples_of.read_events(path, 1e-3)
    assert np.array_equal(data.arrays[0].values[0], whole[:300])
    assert data.late == whole[300:].sum()


# --- cameras ----------------------------------------------------------------------------------


def random_events(count: int = 500) -> Events:
    rng = np.random.default_rng(5)
    return Events(
        time=np.sort(rng.integers(0, 200_000, count)),
        x=rng.integers(0, 34, count),
        y=rng.integers(0, 34, count),
        polarity=rng.integers(0, 2, count),
        sensor=(34, 34),
    )


def evt2(events: Events, header: str = "% evt 2.0\n% geometry 34x34\n% end\n") -> bytes:
    """Return a RAW file: words of 32 bits, in which the upper 28 bits of time come before."""
    words, high = [], -1
    columns = (events.time, events.x, events.y, events.polarity)
    for t, x, y, p in zip(*(c.tolist() for c in columns), strict=True):
        if t >> 6 != high:
            high = t >> 6
            words.append(8 << 28 | high)
        words.append(p << 28 | (t & 63) << 22 | x << 11 | y)
    return header.encode() + struct.pack(f"<{len(words)}I", *words)


def by_faery(path: Path, events: Events) -> None:
    faery = pytest.importorskip("faery")
    rows = np.zeros(
        events.time.size, [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")]
    )
    rows["t"], rows["x"], rows["y"], rows["on"] = events.time, events.x, events.y, events.polarity
    stream = faery.events_stream_from_array(rows, (34, 34))
    stream.to_file(str(path), **({"version": "evt3"} if path.suffix == ".raw" else {}))


def same(one: Events, other: Events) -> bool:
    names = ("time", "x", "y", "polarity")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


def test_evt2_is_read_as_its_specification_says(tmp_path: Path) -> None:
    pytest.importorskip("faery")
    (tmp_path / "r.raw").write_bytes(evt2(random_events()))
    found = camera.read(tmp_path / "r.raw")
    assert same(found, random_events())
    assert found.sensor == (34, 34)


@pytest.mark.parametrize("name", ["r.raw", "r.aedat4"])
def test_evt3_and_aedat4_are_read_as_they_were_written(tmp_path: Path, name: str) -> None:
    by_faery(tmp_path / name, random_events())
    found = camera.read(tmp_path / name)
    assert same(found, random_events())
    assert found.sensor == (34, 34)


@pytest.mark.parametrize("name", ["r.raw", "r.aedat4"])
def test_bins_of_a_cameras_recording_hold_its_events(tmp_path: Path, name: str) -> None:
    by_faery(tmp_path / name, random_events())
    request = asked(inputs=(Entry(name="in", shape=(2, 34, 34)),), binning=Binning(step=1000.0))
    data = open_source(tmp_path / name, request).read(0, 1)
    counts = samples_of.read_events(tmp_path / name, 1e-3)
    assert np.array_equal(counts, data.arrays[0].values[0])
    assert counts.sum() == 500


def test_a_raw_file_that_says_no_sensor_has_none(tmp_path: Path) -> None:
    pytest.importorskip("faery")
    (tmp_path / "r.raw").write_bytes(evt2(random_events(), "% evt 2.0\n% end\n"))
    assert camera.read(tmp_path / "r.raw").sensor is None


def test_a_raw_file_that_says_no_encoding_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("faery")
    (tmp_path / "r.raw").write_bytes(evt2(random_events(), "% geometry 34x34\n% end\n"))
    with pytest.raises(DataError) as problem:
        camera.read(tmp_path / "r.raw")
    assert str(problem.value) == (
        "error[SNN208]: its header does not say that its events are EVT 2 or EVT 3\n"
        f"  at: {tmp_path / 'r.raw'}\n"
        "  fix: the first lines should have one of: % evt 2.0, % evt 3.0, % format EVT2, "
        "% format EVT3"
    )


@pytest.mark.parametrize("name", ["r.raw", "r.aedat4"])
def test_damaged_recordings_are_numbered_errors_or_read(tmp_path: Path, name: str) -> None:
    by_faery(tmp_path / name, random_events())
    raw = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(2)
    for _ in range(12):
        bad = bytearray(raw)
        for place in rng.integers(0, len(raw), 3):
            bad[place] = rng.integers(0, 256)
        (tmp_path / f"bad{name}").write_bytes(bad[: rng.integers(1, len(raw))])
        with contextlib.suppress(DataError):
            camera.read(tmp_path / f"bad{name}")
    assert same(camera.read(tmp_path / name), random_events())


def test_a_reader_that_dies_is_an_error_and_the_next_file_is_read(tmp_path: Path) -> None:
    by_faery(tmp_path / "r.aedat4", random_events())
    camera.read(tmp_path / "r.aedat4")
    assert camera._READER.child is not None
    camera._READER.child.kill()
    with pytest.raises(DataError) as problem:
        camera.read(tmp_path / "r.aedat4")
    assert str(problem.value) == (
        "error[SNN208]: the file is damaged: the library that reads it ended with status -9\n"
        f"  at: {tmp_path / 'r.aedat4'}"
    )
    assert same(camera.read(tmp_path / "r.aedat4"), random_events())


def test_without_the_library_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faery", None)
    monkeypatch.setattr(camera.importlib.util, "find_spec", lambda name: None)
    (tmp_path / "r.aedat4").write_bytes(b"")
    with pytest.raises(DeployError) as problem:
        camera.read(tmp_path / "r.aedat4")
    assert str(problem.value) == (
        "error[SNN103]: .aedat4 files are read by faery, which is not installed\n"
        f"  at: {tmp_path / 'r.aedat4'}\n  fix: pip install 'snn-deploy[events]'"
    )


def test_the_reader_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    by_faery(tmp_path / "r.aedat4", random_events())
    code = (
        "from pathlib import Path; from snn_deploy.deploy.datasets import camera;"
        f"print(camera.read(Path({str(tmp_path / 'r.aedat4')!r})).time.size)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "500\n", "")


def test_a_source_is_one(tmp_path: Path) -> None:
    assert isinstance(open_source(npz_stored(tmp_path / "d"), asked()), Source)
    assert isinstance(open_source(npz_stored(tmp_path / "d"), asked()), npz.NpzSource)
