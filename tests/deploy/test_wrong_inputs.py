"""Each wrong input gives one numbered error and writes nothing."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.errors import DataError


@pytest.fixture
def damaged(tmp_path: Path, demo_network: Path) -> Callable[[Callable[[h5py.File], None]], Path]:
    """Return a function that writes the demo network with one change, and gives its path."""

    def write(change: Callable[[h5py.File], None]) -> Path:
        path = tmp_path / "net.nir"
        path.write_bytes(demo_network.read_bytes())
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return write


def refused(
    model: Path | str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> str:
    """Export to a folder that must not appear; return what was complained of."""
    before = sorted(tmp_path.iterdir())
    output = tmp_path / "out"
    status = run(["export", str(model), "--output", str(output), *more])
    printed = capsys.readouterr()
    assert status in (1, 2), printed
    assert printed.out == ""
    assert printed.err.startswith("error[SNN")
    assert printed.err.count("error[") == 1
    assert "Traceback" not in printed.err
    assert sorted(tmp_path.iterdir()) == before
    return printed.err


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "none.nir"
    assert refused(model, tmp_path, capsys) == (
        f"error[SNN201]: there is no such model file in '{tmp_path}'\n"
        f"  at: {model}\n"
        "  fix: give the path of a file\n"
    )


def test_a_misspelt_file_is_told_the_nearest_one_in_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], demo_network: Path
) -> None:
    meant = tmp_path / "digits.nir"
    meant.write_bytes(demo_network.read_bytes())
    (tmp_path / "other.pt").write_bytes(b"")
    wrong = tmp_path / "digit.nir"
    assert refused(wrong, tmp_path, capsys) == (
        f"error[SNN201]: there is no such model file in '{tmp_path}'\n"
        f"  at: {wrong}\n"
        f"  fix: is '{meant}' meant?\n"
    )
    assert run(["inspect", str(meant)]) == 0


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--input-unit", "0", "a unit of 0\n  fix: --input-unit U, a number above 0"),
        ("--input-unit", "nan", "a unit of nan\n  fix: --input-unit U, a number above 0"),
        ("--steps", "-1", "-1 steps per sample\n  fix: --steps T, a number of 1 to 1048576"),
        ("--seed", "-2", f"a seed of -2\n  fix: --seed N, a number of 0 to {2**63 - 1}"),
        (
            "--input-range",
            "0:9999999999",
            "payloads from 0 to 9999999999\n"
            "  fix: --input-range LOW:HIGH, the lower end first and both in 32 bits",
        ),
    ],
)
def test_an_option_of_the_encoder_that_makes_no_sense_is_told_how_it_must_be(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    demo_network: Path,
    option: str,
    value: str,
    text: str,
) -> None:
    given = f"{option}={value}"
    found = refused(demo_network, tmp_path, capsys, given)
    assert found == f"error[SNN102]: no encoder has {text}\n"


def test_a_file_that_is_not_hdf5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "net.nir"
    model.write_text("not a network")
    assert refused(model, tmp_path, capsys).startswith("error[SNN202]: ")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], demo_network: Path, share: float
) -> None:
    whole = demo_network.read_bytes()
    model = tmp_path / "net.nir"
    model.write_bytes(whole[: int(len(whole) * share)])
    assert refused(model, tmp_path, capsys).startswith("error[SNN202]: ")


def test_an_unknown_node(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damaged: Callable[[Callable[[h5py.File], None]], Path],
) -> None:
    def change(file: h5py.File) -> None:
        del file["node/nodes/lif2/type"]
        file["node/nodes/lif2/type"] = "Lif"

    complaint = refused(damaged(change), tmp_path, capsys)
    assert complaint.startswith("error[SNN203]: ")
    assert "lif2" in complaint
    assert "LIF" in complaint


def test_shapes_that_do_not_fit(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damaged: Callable[[Callable[[h5py.File], None]], Path],
) -> None:
    def change(file: h5py.File) -> None:
        del file["node/nodes/fc2/weight"]
        file["node/nodes/fc2/weight"] = np.ones((10, 63), np.float32)

    complaint = refused(damaged(change), tmp_path, capsys)
    assert complaint.startswith("error[SNN204]: ")
    assert "fc2" in complaint


def test_a_weight_that_is_nan(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damaged: Callable[[Callable[[h5py.File], None]], Path],
) -> None:
    def change(file: h5py.File) -> None:
        file["node/nodes/fc1/weight"][3, 5] = np.nan

    complaint = refused(damaged(change), tmp_path, capsys)
    assert complaint.startswith("error[SNN205]: ")
    assert "fc1" in complaint
    assert "[3, 5]" in complaint


def test_an_unknown_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], demo_network: Path
) -> None:
    assert refused(demo_network, tmp_path, capsys, "--target", "loihi3") == (
        "error[SNN101]: no target is called 'loihi3'; there are cpu, loihi, loihi1, loihi2, "
        "netx, xylo, xylo-audio-2\n"
        "  fix: --target loihi\n"
    )


def test_an_unknown_dialect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], demo_network: Path
) -> None:
    complaint = refused(demo_network, tmp_path, capsys, "--dialect", "sinab")
    assert complaint.startswith("error[SNN101]: ")
    assert "fix: --dialect sinabs" in complaint


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ("--reset", "soft"),
            "error[SNN102]: --reset is one of none, value, subtract, late-value, late-subtract, "
            "not 'soft'\n  fix: --reset none\n",
        ),
        (
            ("--decode", "mean"),
            "error[SNN102]: --decode is one of count, membrane-end, membrane-mean, membrane-max, "
            "first-spike, weighted-count, membrane-weighted, spike-time, not 'mean'\n"
            "  fix: --decode count\n",
        ),
        (
            ("--input-range", "1"),
            "error[SNN102]: '1' is no range of whole numbers\n"
            "  at: --input-range\n  fix: --input-range 0:1\n",
        ),
        (
            ("--bits", "9"),
            "error[SNN102]: weights of 9 bits; loihi2 stores 2..8\n  fix: --bits 8\n",
        ),
    ],
)
def test_options_that_do_not_exist(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    demo_network: Path,
    words: tuple[str, ...],
    complaint: str,
) -> None:
    assert refused(demo_network, tmp_path, capsys, *words) == complaint


def test_an_existing_output_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], demo_network: Path
) -> None:
    (tmp_path / "out").mkdir()
    assert refused(demo_network, tmp_path, capsys).startswith("error[SNN601]: ")
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_calibration_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], demo_network: Path
) -> None:
    complaint = refused(demo_network, tmp_path, capsys, "--calibrate", str(tmp_path / "no.npz"))
    assert complaint.startswith("error[SNN201]: ")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return an artifact of one LIF neuron for Loihi, and a data file of five steps for it."""
    folder = tmp_path_factory.mktemp("small")
    one = np.ones(1)
    nodes = {
        "input": nir.Input(np.array([1])),
        "fc": nir.Linear(np.array([[0.5]])),
        "lif": nir.LIF(tau=one, r=one, v_leak=0 * one, v_threshold=one),
        "output": nir.Output(np.array([1])),
    }
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))
    snn_deploy.export(graph, dialect="nir", dt=0.1, output=folder / "net")
    np.savez(folder / "data.npz", input=np.ones((1, 5, 1), np.uint8))
    return str(folder / "net"), str(folder / "data.npz")


def test_lava_without_an_environment(
    small: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SNN_DEPLOY_LAVA_PYTHON", str(tmp_path / "python"))
    artifact, data = small
    assert run(["verify", artifact, "--input", data, "--against", "lava"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error[SNN501]: ")
    assert "lava setup" in printed.err


def test_a_lava_that_hangs_is_stopped(
    small: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hangs = tmp_path / "python"
    hangs.write_text("#!/bin/sh\nsleep 600\n")
    hangs.chmod(0o755)
    monkeypatch.setenv("SNN_DEPLOY_LAVA_PYTHON", str(hangs))
    artifact, data = small
    start = time.monotonic()
    words = ["verify", artifact, "--input", data, "--against", "lava", "--time-limit", "1"]
    assert run(words) == 1
    assert time.monotonic() - start < 60
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error[SNN502]: ")
    assert "1 s" in printed.err


def test_outputs_that_differ_exit_with_3(
    small: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from snn_deploy.ir.arithmetic import Arithmetic

    monkeypatch.setattr(Arithmetic, "decayed", lambda rules, value, decay: value)
    artifact, data = small
    assert run(["verify", artifact, "--input", data]) == 3
    assert "event / reference  DIFFERENT" in capsys.readouterr().out


def test_arrays_are_given_from_python(small: tuple[str, str]) -> None:
    spikes = np.ones((2, 5, 1), np.uint8)
    plain = snn_deploy.simulate(small[0], input=spikes)
    named = snn_deploy.simulate(small[0], input={"input": spikes})
    assert plain == named
    assert plain.samples == 2
    with pytest.raises(DataError, match="the data has no array 'input'; it has pixels"):
        snn_deploy.simulate(small[0], input={"pixels": spikes})


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.full((1, 5, 1), 2), "SNN504"),
        (np.ones((1, 5, 2)), "SNN208"),
        (np.full((1, 5, 1), 0.5), "SNN208"),
    ],
)
def test_inputs_that_the_program_does_not_read(
    small: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    array: np.ndarray,
    code: str,
) -> None:
    np.savez(tmp_path / "data.npz", input=array)
    assert run(["simulate", small[0], "--input", str(tmp_path / "data.npz")]) == 1
    assert capsys.readouterr().err.startswith(f"error[{code}]: ")
