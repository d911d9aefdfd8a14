"""Target descriptions as files: those that come with the package, and a user's own by path."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from snn_deploy.errors import TargetError, UnknownNameError
from snn_deploy.ir.paths import is_file
from snn_deploy.ir.schemas import Schema
from snn_deploy.ir.words import nearest
from snn_deploy.targets.checks import target_problems
from snn_deploy.targets.form import Problem, read_form
from snn_deploy.targets.own_file import content_of, refusal
from snn_deploy.targets.target import Target

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
"""Of a target: part of the names of folders."""

ENDING = ".toml"

SCHEMA = Schema(name="target", unnamed=1, error=TargetError)
"""A file need not say it; without, it is of number 1."""

IDEAL = "cpu"
"""The target that has everything."""


def read_target(text: bytes, where: str) -> Target:
    """Return the target that a TOML text describes.

    Args:
        text: Content of the file.
        where: The file, for errors.

    Raises:
        TargetError: the text is no TOML, or an entry is missing, unknown, of a wrong type, out of
            range or without a source. All of them are listed.
    """
    try:
        tables = msgspec.toml.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise TargetError(
            f"not a target description: {problem}",
            where=where,
            fix="write it like docs/targets.md; the format is TOML",
        ) from problem
    return _target(tables, where)


def read_stored_target(content: bytes, where: str) -> Target:
    """Return the target in the JSON file of an artifact, held to the rules of a TOML file.

    Raises:
        TargetError: it describes none.
    """
    try:
        tables = msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise TargetError(f"not a target description: {problem}", where=where) from problem
    return _target(tables, where)


def _target(tables: Any, where: str) -> Target:
    problems: list[Problem] = []
    if isinstance(tables, Mapping):
        tables = {k: v for k, v in SCHEMA.upgraded(tables, where).items() if k != "schema"}
    target = read_form(Target, tables, "", problems)
    if target is not None:
        _check_names(target, where)
        problems = target_problems(target)
    if problems:
        fix = (
            "docs/targets.md explains every entry; "
            "snn-deploy targets cpu --sources shows an example"
        )
        raise refusal(problems, where, "target description", TargetError, fix)
    assert isinstance(target, Target)
    return target


def _check_names(target: Target, where: str) -> None:
    for name in (target.name, *target.aliases):
        if not NAME.fullmatch(name):
            raise TargetError(
                f"a target cannot be called {name!a}",
                where=where,
                fix="lower-case letters, digits, - and _, the first a letter or digit, such as "
                "my-chip",
            )


@cache
def shipped_targets() -> tuple[Target, ...]:
    """Return the targets that come with the package, by name."""
    folder = resources.files("snn_deploy.targets")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(ENDING)), key=lambda f: f.name)
    return tuple(read_target(file.read_bytes(), file.name) for file in files)


def find_target(name: str) -> Target:
    """Return the target with this name or alias, or the one in the TOML file of this path.

    Raises:
        UnknownNameError: no target has the name, and there is no such file.
        TargetError: the file does not describe a target, or takes the name of a shipped one.
    """
    for target in shipped_targets():
        if name in (target.name, *target.aliases):
            return target
    if name.endswith(ENDING):
        return read_own(Path(name))
    names = [n for t in shipped_targets() for n in (t.name, *t.aliases)]
    near = nearest(name, names)
    raise UnknownNameError(
        f"no target is called {name!r}; there are {', '.join(sorted(names))}",
        fix=f"--target {near}" if near else "snn-deploy targets",
    )


def other_target(target: Target, able: Callable[[Target], bool]) -> str:
    """Return the way out for what `target` cannot have, as options of the command line.

    Args:
        target: The chip.
        able: Whether another one can have it. One that computes as `target` does, with the same
            registers and delays, is named first; the ideal target always can.
    """

    def alike(other: Target) -> bool:
        own, its = target.delay, other.delay
        same_delays = (own.low, own.high) == (its.low, its.high)
        return same_delays and other.arithmetic == target.arithmetic

    others = [t for t in shipped_targets() if t.name not in (target.name, IDEAL)]
    same = [other.name for other in others if alike(other) and able(other)]
    return "".join(f"--target {name}, or " for name in same) + f"--target {IDEAL}"


def read_own(path: Path) -> Target:
    """Return the target that a user's own file describes.

    Raises:
        UnknownNameError: there is no such file.
        TargetError: it cannot be read, does not describe a target, or takes the name of a
            shipped one and is another.
    """
    if not is_file(path):
        raise UnknownNameError(
            f"there is no target description {str(path)!r}",
            fix="give the path of a TOML file, or a name: snn-deploy targets",
        )
    fix = "give the TOML file of a target"
    content = content_of(path, "a target description", TargetError, fix)
    target = read_target(content, str(path))
    _check_own(target, str(path))
    return target


def _check_own(target: Target, where: str) -> None:
    """Refuse a chip that could be mistaken for a shipped one."""
    for shipped in shipped_targets():
        taken = {shipped.name, *shipped.aliases}
        for name in (target.name, *target.aliases):
            if name in taken and target != shipped:
                raise TargetError(
                    f"a target called {name} comes with this program, and this one differs",
                    where=where,
                    fix=f'name = "my-{name}" in the file, and no alias of that name',
                )
