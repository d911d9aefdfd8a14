"""What lies at a path that a user gives: as `pathlib` asks it, but any string can be asked.

A name that is too long, or a folder that may not be looked into, holds nothing for us; pathlib
raises an error there.
"""

import os
from itertools import islice
from pathlib import Path

from snn_deploy.ir.words import nearest

MOST_NAMES = 4096
"""Entries of a folder that are looked at for the nearest name."""


def is_file(path: Path) -> bool:
    """Return whether a file is there, or a link to one."""
    return os.path.isfile(path)  # noqa: PTH113 - that of pathlib raises errors


def is_folder(path: Path) -> bool:
    """Return whether a folder is there, or a link to one."""
    return os.path.isdir(path)  # noqa: PTH112 - the same


def is_there(path: Path) -> bool:
    """Return whether anything is there, a link that leads nowhere included."""
    return os.path.lexists(path)


def meant_beside(path: Path, otherwise: str) -> str:
    """Return the way out for a path without file or folder: what lies there with a like name."""
    if is_there(path):  # a pipe, a device, a link that leads nowhere
        return "give a plain file: pipes and devices are not read"
    folder = path.parent
    try:
        names = sorted(entry.name for entry in islice(folder.iterdir(), MOST_NAMES))
    except (OSError, ValueError):  # no folder, or not one to look into
        return otherwise
    near = nearest(path.name, names)
    return f"is {str(path.with_name(near))!r} meant?" if near else otherwise
