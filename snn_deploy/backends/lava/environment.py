"""Where Lava lives: a Python 3.10 environment of its own, found, made and described."""

import os
from pathlib import Path

from snn_deploy.errors import LavaMissingError

VARIABLE = "SNN_DEPLOY_LAVA_PYTHON"
"""Environment variable with the path of a Python that has lava-nc."""


def find_environment() -> Path | None:
    """Return the Python of the Lava environment; None: there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return None


def required_environment(python: Path | None) -> Path:
    """Return `python`, or the one that `find_environment` finds.

    Raises:
        LavaMissingError: there is none.
    """
    found = python or find_environment()
    if found is None or not found.exists():
        raise LavaMissingError("missing", fix="snn-deploy lava setup")
    return found
