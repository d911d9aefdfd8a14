"""How the emulators that others wrote are run: in a child with a time limit, many networks each.

They live in an environment of their own: the one of `make oracles`, or the Python that
SNN_DEPLOY_ORACLES_PYTHON names. Where there is none, their tests are skipped, loudly.
"""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_deploy.backends.lava.child import run_child

VARIABLE = "SNN_DEPLOY_ORACLES_PYTHON"
ROOT = Path(__file__).parents[2]
TIME_LIMIT = 300.0

Oracle = Callable[[Sequence[Any]], Mapping[str, np.ndarray]]
"""Runs all the cases that it is given as records; returns arrays by `CASE/POPULATION/key`."""


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Oracle]:
    """Return a function that finds the oracle of a package, or skips the test, loudly."""

    def find(package: str, script: str) -> Oracle:
        python = _python_with(package)

        def run(cases: Sequence[Any]) -> Mapping[str, np.ndarray]:
            folder = tmp_path_factory.mktemp(package)
            (folder / "cases.json").write_text(json.dumps(list(cases)))
            run_child(
                [python, Path(__file__).parent / script, "cases.json", "found.npz"],
                folder=folder,
                time_limit=TIME_LIMIT,
                what=package,
                fix="make oracles",
                variables={"TMPDIR": str(folder), "HOME": str(folder)},
            )
            return dict(np.load(folder / "found.npz"))

        return run

    return find


def _python_with(package: str) -> Path:
    python = Path(os.environ.get(VARIABLE) or ROOT / ".venv-oracles" / "bin" / "python")
    if not python.is_file():
        pytest.skip(f"no {package}: {VARIABLE} is unset, and `make oracles` was not run")
    look = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({package!r}))"
    if subprocess.run([python, "-c", look], check=False, timeout=60).returncode:
        pytest.skip(f"no {package} in {python.parent.parent}: `make oracles` could not install it")
    return python
