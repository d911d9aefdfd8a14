"""What a notebook shows of a result."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import snn_deploy
from snn_deploy.deploy import api
from snn_deploy.deploy.printing import printable
from snn_deploy.deploy.report.page import cell
from snn_deploy.deploy.results import Listing
from snn_deploy.deploy.shown import Shown

display = pytest.importorskip("IPython.core.formatters", reason="IPython is not installed")

LISTING = Listing(headings=("layer", "neurons"), rows=(("first<1>", "1152"), ("2", "64")))


def returned() -> Iterator[tuple[str, str, str]]:
    """Yield every public function with each type that it returns, and the type's module."""
    for file in sorted(Path(api.__file__).parent.glob("*.py")):
        tree = ast.parse(file.read_text())
        modules = {
            alias.name: node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name in snn_deploy.__all__:
                assert node.returns is not None
                for name in ast.unparse(node.returns).split(" | "):
                    yield node.name, name, modules[name] or ""


@pytest.mark.parametrize(("function", "name", "module"), list(returned()))
def test_a_notebook_shows_what_a_public_function_returns_as_its_command_does(
    function: str, name: str, module: str
) -> None:
    result = getattr(import_module(module), name)
    assert issubclass(result, Shown), function
    assert "__str__" in vars(result)
    assert callable(result._repr_html_)


def test_all_public_functions_were_looked_at() -> None:
    found = {function for function, _, _ in returned()}
    assert found == set(snn_deploy.__all__) - {"Simulator"}


def test_a_page_scrolls_a_table_and_breaks_none_of_its_lines() -> None:
    assert LISTING._repr_html_() == (
        '<pre style="white-space: pre; overflow-x: auto">'
        "layer     neurons\nfirst&lt;1&gt;  1152\n2         64</pre>"
    )


def test_ipython_shows_the_text_and_a_page_of_it() -> None:
    shown, _ = display.DisplayFormatter().format(LISTING)
    assert shown == {"text/plain": str(LISTING), "text/html": LISTING._repr_html_()}


def test_a_deployment_is_text_as_export_prints_it_and_a_report_on_a_page(
    demo_network: Path, tmp_path: Path
) -> None:
    deployment = snn_deploy.export(demo_network, output=tmp_path / "digits")
    assert str(deployment) == printable(deployment)
    assert f"wrote {tmp_path / 'digits'}: " in str(deployment)
    shown, _ = display.DisplayFormatter().format(deployment)
    assert shown == {"text/plain": str(deployment), "text/html": cell(deployment.report)}
