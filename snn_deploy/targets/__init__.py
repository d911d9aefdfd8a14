"""The chips we compile for: one TOML file each, found by name, alias or path."""

import difflib
import re
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec

from snn_deploy.errors import TargetError, UnknownNameError
from snn_deploy.targets.target import (
    Feature,
    Sourced,
    SourcedRange,
    Support,
    Target,
    WeightRange,
)

__all__ = [
    "Feature",
    "Sourced",
    "SourcedRange",
    "Support",
    "Target",
    "WeightRange",
    "find_target",
    "shipped_targets",
]


NAME = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)
"""Of a target: part of the names of folders."""


def read_target(text: bytes, where: str) -> Target:
    """Return the target that a TOML text describes.

    Raises:
        TargetError: the text is no TOML, a field is missing, unknown or of a wrong type, or the
            name could lead out of a folder.
    """
    try:
        target = msgspec.toml.decode(text, type=Target)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise TargetError(f"not a target description: {problem}", where=where) from problem
    for name in (target.name, *target.aliases):
        if not NAME.fullmatch(name):
            raise TargetError(
                f"a target cannot be called {name!r}",
                where=where,
                fix="lower-case letters, digits, - and _, the first a letter or digit, such as "
                "my-chip",
            )
    return target


@cache
def shipped_targets() -> tuple[Target, ...]:
    """Return the targets that come with the package, by name."""
    folder = resources.files("snn_deploy.targets")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(read_target(file.read_bytes(), file.name) for file in files)


def find_target(name: str) -> Target:
    """Return the target with this name or alias, or the one in the TOML file of this path.

    Raises:
        UnknownNameError: no target has the name, and there is no such file.
        TargetError: the file does not describe a target.
    """
    for target in shipped_targets():
        if name == target.name or name in target.aliases:
            return target
    if name.endswith(".toml") and Path(name).is_file():
        return read_target(Path(name).read_bytes(), name)
    names = [n for t in shipped_targets() for n in (t.name, *t.aliases)]
    near = difflib.get_close_matches(name, names, n=1)
    raise UnknownNameError(
        f"no target is called {name!r}; there are {', '.join(sorted(names))}",
        fix=f"--target {near[0]}" if near else "snn-deploy targets",
    )
