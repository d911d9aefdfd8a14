"""What tests of the deployment share."""

import importlib
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import pytest

import snn_deploy


@pytest.fixture(scope="module")
def place(fill: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of files, some of them wrong, and an artifact, `ready`."""
    folder = fill(tmp_path_factory.mktemp("place"))
    snn_deploy.export(folder / "model.nir", output=folder / "ready")
    return folder


@pytest.fixture(scope="session")
def two_layers() -> nir.NIRGraph:
    """Return two layers, neurons without leak: 5 inputs, 6 and 4 neurons; `dt` is not said."""
    rng = np.random.default_rng(7)
    six, four = np.ones(6), np.ones(4)
    nodes = {
        "input": nir.Input(np.array([5])),
        "fc": nir.Linear(rng.normal(0.4, 0.5, (6, 5))),
        "if": nir.IF(r=six, v_threshold=six),
        "fc2": nir.Linear(rng.normal(0.3, 0.6, (4, 6))),
        "if2": nir.IF(r=four, v_threshold=four),
        "output": nir.Output(np.array([4])),
    }
    return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False)


@pytest.fixture
def example(request, monkeypatch):
    """Import a module of the folder EXAMPLES of a test file; no other test sees it."""
    folder = request.module.EXAMPLES
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)

    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (folder / f"{name}.py").exists():
            del sys.modules[name]
