"""What lies at a path that a user gives: as `pathlib` asks it, but any string can be asked.

A name that is too long, or a folder that may not be looked into, holds nothing for us; pathlib
raises an error there.
"""

import os
from pathlib import Path


def is_file(path: Path) -> bool:
    """Return whether a file is there, or a link to one."""
    return os.path.isfile(path)  # noqa: PTH113 - that of pathlib raises errors


def is_folder(path: Path) -> bool:
    """Return whether a folder is there, or a link to one."""
    return os.path.isdir(path)  # noqa: PTH112 - the same


def is_there(path: Path) -> bool:
    """Return whether anything is there, a link that leads nowhere included."""
    return os.path.lexists(path)
