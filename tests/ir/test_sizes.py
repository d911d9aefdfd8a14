"""One variable raises every limit on sizes, and every error of a limit says how."""

import re
from pathlib import Path

import pytest

from snn_deploy.errors import DeployError, OptionError, ShapeError
from snn_deploy.frontends import files
from snn_deploy.ir import sizes

ROOT = Path(__file__).parents[2]


def test_limits_are_as_stated_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sizes.VARIABLE, raising=False)
    assert sizes.allowed(7) == 7
    monkeypatch.setenv(sizes.VARIABLE, "")
    assert sizes.allowed(7) == 7


@pytest.mark.parametrize("said", ["0", "-1", "1025", "x", "1.5", "9" * 5000, "\N{SUPERSCRIPT TWO}"])
def test_what_is_no_factor_is_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(sizes.VARIABLE, said)
    with pytest.raises(OptionError) as caught:
        sizes.allowed(1)
    assert str(caught.value) == (
        f"error[SNN102]: SNN_DEPLOY_LIMITS is {said[:20]!a}; it is a whole number from 1 to 1024\n"
        "  at: environment\n"
        "  fix: SNN_DEPLOY_LIMITS=2 doubles all limits on sizes"
    )


@pytest.mark.parametrize("got", [11, 20, 21, 10 * 1024])
def test_what_the_way_out_says_is_enough(monkeypatch: pytest.MonkeyPatch, got: int) -> None:
    said = re.fullmatch(r"SNN_DEPLOY_LIMITS=(\d+) raises all .*", sizes.higher(got, 10))
    assert said is not None
    monkeypatch.setenv(sizes.VARIABLE, said[1])
    assert sizes.allowed(10) >= got
    assert sizes.allowed(10) < got + 10


def test_beyond_the_highest_factor_nothing_is_offered() -> None:
    assert sizes.higher(10 * 1024 + 1, 10) == (
        "SNN_DEPLOY_LIMITS=1024 is the most that limits are raised by: make it smaller"
    )


def test_a_file_beyond_a_limit_is_read_once_the_limit_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST_FILE", 10)
    path = tmp_path / "model.nir"
    path.write_bytes(bytes(25))
    with pytest.raises(DeployError) as caught:
        files.read_bytes(path)
    assert str(caught.value) == (
        "error[SNN202]: the file has 25 bytes; at most 10 are read\n"
        "  at: model.nir\n"
        "  fix: SNN_DEPLOY_LIMITS=3 raises all limits on sizes, for a file that you trust"
    )
    monkeypatch.setenv(sizes.VARIABLE, "3")
    assert files.read_bytes(path) == bytes(25)


FIXED = {
    "snn_deploy/frontends/onnx/file.py:LARGEST_FILE",  # of the format
    "snn_deploy/frontends/onnx/fold.py:LARGEST_CONSTANT",  # what is larger is not folded
}
"""Limits on sizes that no variable raises."""

LIMIT = re.compile(
    r"> *(?:allowed\()?((?:LARGEST|MOST)_(?:FILE|CONTENT|MEMBERS|TEXT|RECORDS|NODES|EDGES|LAYER|"
    r"LAYERS|MADE|NEURONS|TENSORS|ROUTES|WEIGHTS|MATRIX|ARRAY|CHUNK|CONSTANT))\b"
)


def test_every_comparison_with_a_limit_on_sizes_can_be_raised() -> None:
    plain = set()
    for path in sorted((ROOT / "snn_deploy").rglob("*.py")):
        for found in LIMIT.finditer(path.read_text()):
            if "allowed(" not in found[0]:
                plain.add(f"{path.relative_to(ROOT).as_posix()}:{found[1]}")
    assert plain == FIXED | {"snn_deploy/ir/limits.py:MOST_NEURONS"}  # of a stride


def test_a_layer_beyond_its_limit_says_how_to_raise_it() -> None:
    from snn_deploy.frontends.nir import check_size
    from snn_deploy.frontends.nir.shapes import LARGEST_LAYER

    with pytest.raises(ShapeError, match="SNN_DEPLOY_LIMITS=2 raises all limits"):
        check_size((LARGEST_LAYER + 1,), "x")
