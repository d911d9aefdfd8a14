"""Each wrong input gives one numbered error and writes nothing."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from snn_deploy.deploy.cli import run


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
        f"error[SNN201]: there is no such model file\n  at: {model}\n"
    )


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
        "error[SNN101]: no target is called 'loihi3'; there are cpu, loihi, loihi2\n"
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
            "first-spike, not 'mean'\n  fix: --decode count\n",
        ),
        (
            ("--input-range", "1"),
            "error[SNN102]: '1' is no range of whole numbers\n"
            "  at: --input-range\n  fix: --input-range 0:1\n",
        ),
        (
            ("--weight-bits", "9"),
            "error[SNN102]: weights of 9 bits; loihi2 stores 2..8\n  fix: --weight-bits 8\n",
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
