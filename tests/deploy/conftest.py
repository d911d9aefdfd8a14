"""What tests of the deployment share."""

import importlib
import sys

import pytest


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
