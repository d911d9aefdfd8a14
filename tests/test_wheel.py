"""What is installed: the wheel and the source archive hold the whole package and nothing else."""

import re
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


USER = """
import snn_deploy

deployment = snn_deploy.export("model.nir", target="loihi2", dry_run=True)
reveal_type(deployment)
reveal_type(snn_deploy.verify(deployment, input="data.npz"))
reveal_type(snn_deploy.estimate(deployment, input="data.npz"))
reveal_type(snn_deploy.load("folder"))
snn_deploy.export("model.nir", target=3)
snn_deploy.verify(deployment, inputs="data.npz")
deployment.target = "loihi1"
"""


def test_a_users_file_is_checked_with_the_types_of_the_wheel(built: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    clean = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", clean], check=True)
    (wheel,) = built.glob("*.whl")
    (packages,) = clean.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)  # as pip unpacks a wheel of plain Python
    (tmp_path / "user.py").write_text(USER)
    options = ["--strict", "--no-error-summary", "--python-executable", clean / "bin" / "python"]
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "user.py"],
        cwd=tmp_path,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    told = re.sub(r"snn_deploy\.deploy\.[\w.]+\.", "", ran.stdout)
    assert re.findall(r"Revealed type is \"(.*)\"", told) == [
        "Deployment",
        "Verification | RealVerification",
        "EnergyEstimate | EarlyEstimate",
        "Deployment",
    ]
    assert re.findall(r"^user.py:(\d+): error: .*\[(.*)\]$", told, re.MULTILINE) == [
        ("9", "arg-type"),
        ("10", "call-arg"),
        ("11", "misc"),
        ("11", "assignment"),
    ]
