"""What all tests share: type-checked imports, published data, golden files."""

import contextlib
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from annotations import check_imports, start_again
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

INNER = {
    "bound_firing",
    "bound_parts",
    "bound_step",
    "bound_walk",
    "bounded",
    "bounds",
    "conditions",
    "intervals",
}
"""Modules of the range proof whose functions are too many and too small to be wrapped."""

CHECKED = (
    "snn_deploy.ir",
    "snn_deploy.targets",
    "snn_deploy.frontends",
    *(
        f"snn_deploy.quantize.{entry.stem}"
        for entry in (ROOT / "snn_deploy" / "quantize").iterdir()
        if entry.stem not in {*INNER, "__init__", "__pycache__"}
    ),
    "snn_deploy.backends.protocol",
    "snn_deploy.backends.reference",
    "snn_deploy.deploy",
)
"""Modules whose annotations are checked while the tests run; numba compiles the others."""

check_imports(CHECKED)

settings.register_profile(
    "same", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("new", settings.get_profile("same"), derandomize=False)
settings.load_profile("same")  # --hypothesis-profile=new draws what no run has drawn before


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check in some tests the annotations of every function; draw torch weights from 0 in each."""
    start_again(item.nodeid)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden texts")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that compares a text with the golden file named after the test."""
    name = request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")
    file = request.path.parent / "golden" / f"{name}.txt"

    def check(text: str) -> None:
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert file.exists(), f"no golden file {file}: make golden writes it"
        assert text == file.read_text()

    return check


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of published networks and recordings, or skip the test, loudly."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"published networks are not here: {folder}")
    return folder


@pytest.fixture(scope="session")
def fill() -> Callable[[Path], Path]:
    """Return a function that fills a folder with a small network, data and broken files."""

    def filled(folder: Path) -> Path:
        with contextlib.chdir(folder):
            runpy.run_path(str(ROOT / "examples" / "broken" / "make.py"), run_name="__main__")
        return folder

    return filled


@pytest.fixture
def filled(fill: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, filled."""
    monkeypatch.chdir(tmp_path)
    return fill(tmp_path)


@pytest.fixture(scope="session")
def demo_network() -> Path:
    """Return the NIR file of the demo network, trained by `examples/mnist/train.py`."""
    return ROOT / "examples" / "mnist" / "mnist.nir"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, loudly, the tests that need Lava where there is no environment for it."""
    from snn_deploy.backends.lava.environment import find_environment

    if find_environment() is not None:
        return
    for item in items:
        if item.get_closest_marker("lava"):
            item.add_marker(pytest.mark.skip(reason="no Lava environment: snn-deploy lava setup"))
