"""The modules of benchmarks/simulator, which is no package: its files import each other by name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "simulator"
PATHS = (FOLDER, FOLDER / "children")


@pytest.fixture(autouse=True)
def simulator_modules() -> Iterator[Path]:
    """Let `import networks` and its like find the benchmark's modules, in these tests alone."""
    names = {file.stem for path in PATHS for file in path.glob("*.py")}
    other = {name: sys.modules.pop(name) for name in names & sys.modules.keys()}
    sys.path[:0] = [str(path) for path in PATHS]
    yield FOLDER
    del sys.path[: len(PATHS)]
    for name in names & sys.modules.keys():
        del sys.modules[name]
    sys.modules.update(other)
