"""What is installed: the wheel and the source archive hold the whole package and nothing else."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[1]

IMPORT_ALL = """
import importlib, pkgutil, sys
import snn_deploy
assert snn_deploy.__file__.startswith(sys.argv[1]), snn_deploy.__file__
for module in pkgutil.walk_packages(snn_deploy.__path__, "snn_deploy."):
    if ".lava.runner" in module.name:
        continue  # for Lava's Python
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as missing:
        if missing.name.startswith("snn_deploy"):
            raise
        print(module.name, "needs", missing.name)
"""

BLOCKED = ("torch", "onnx", "optuna", "matplotlib", "jinja2", "distributed", "faery", "norse")
"""What extras bring: the core is imported as if none was there."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel and the source archive."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return folder


def test_the_wheel_holds_every_file_of_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("snn_deploy/")}
    listed = subprocess.run(
        ["git", "ls-files", "snn_deploy"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert held == set(listed.stdout.split())
    assert "snn_deploy/py.typed" in held


def test_the_source_archive_holds_what_the_tests_need(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        held = {name.split("/", 1)[-1] for name in packed.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "tests/test_wheel.py"} <= held
    assert not [name for name in held if name.startswith((".venv", "build/"))]


def test_every_module_of_the_wheel_is_imported_without_any_extra(
    built: Path, tmp_path: Path
) -> None:
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    blocking = "".join(f"sys.modules[{name!r}] = None\n" for name in BLOCKED)
    ran = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys\n{blocking}{IMPORT_ALL}", str(tmp_path)],
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    needs = {line.split()[2] for line in ran.stdout.splitlines()}
    assert needs <= set(BLOCKED), ran.stdout
