"""Configuration files: which one is read, what it states, and on which line."""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn_deploy.errors import ConfigurationError
from snn_deploy.ir.paths import is_file
from snn_deploy.ir.words import nearest

NAME = "snn-deploy.toml"
"""The file that is looked for."""

ROOT_MARKS = (".git", "pyproject.toml")
"""What stands in the root of a project, above which no file is looked for."""

SCHEMA = "snn-deploy/config/1"

LARGEST = 1 << 20
"""Bytes of such a file, far more than any has."""

NAMED_ONLY = ("module", "dask", "force")
"""Options that run code, talk to other machines or replace files.

A file that was merely found, perhaps with a model from elsewhere, must not state them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The value that a file states for an option."""

    value: Any
    """Text, number, truth, list or table, as TOML has it."""

    line: int
    """In the file, from 1; 0: it could not be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a file states."""

    path: Path
    commands: Mapping[str, Mapping[str, Stated]]
    """By command, such as `lava setup`, and option, such as `max_drop`."""

    def place(self, stated: Stated) -> str:
        """Return where a value is stated."""
        return f"{self.path}:{stated.line}" if stated.line else str(self.path)


def found() -> Path | None:
    """Return the nearest file, from the current folder up to the project's root; None: no file.

    Outside of a project only the current folder is looked at.
    """
    here = Path.cwd()
    folders = [here, *here.parents]
    roots = (i for i, f in enumerate(folders) if any((f / mark).exists() for mark in ROOT_MARKS))
    for folder in folders[: next(roots, 0) + 1]:
        if is_file(folder / NAME):
            return Path(NAME) if folder == here else folder / NAME
    return None


def read_configuration(
    path: Path, known: Mapping[str, Collection[str]], *, named: bool
) -> Configuration:
    """Return what a file states.

    Args:
        path: The file.
        known: The options of each command.
        named: The user named the file, so that it may state everything.

    Raises:
        ConfigurationError: it cannot be read, or states what there is not.
    """
    text, record = _read(path)
    commands: dict[str, dict[str, Stated]] = {}
    wrong: list[tuple[str, int, str]] = []
    for keys, value in _options(record, known):
        line = line_of(text, keys if keys[-1] else keys[:-1])
        command, option = " ".join(keys[:-1]), keys[-1].replace("-", "_")
        problem = _problem(command, option, value, known, named=named)
        if problem:
            wrong.append((problem[0], line, problem[1]))
        elif option in commands.get(command, {}):
            wrong.append((f"{command} states {option!r} twice", line, "leave one of the two out"))
        else:
            commands.setdefault(command, {})[option] = Stated(value=value, line=line)
    if wrong:
        raise ConfigurationError(
            "; ".join(message for message, _, _ in wrong),
            where="; ".join(f"{path}:{line}" if line else str(path) for _, line, _ in wrong),
            fix="; ".join(dict.fromkeys(fix for _, _, fix in wrong)),
        )
    return Configuration(path=path, commands=commands)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    if not is_file(path):
        raise ConfigurationError(
            "there is no such configuration file",
            where=str(path),
            fix="give the path of a file, or leave --config and SNN_DEPLOY_CONFIG out",
        )
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path.stat().st_size} bytes are no list of options")
        text = path.read_text(encoding="utf-8")
        record = tomllib.loads(text)
        if record.pop("schema", SCHEMA) != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA!r}")
    except (ValueError, RecursionError, OSError) as problem:
        raise ConfigurationError(
            f"this is no configuration file: {problem}",
            where=str(path),
            fix='write tables of options: [export], target = "loihi2"',
        ) from None
    return text, record


def _options(
    record: Mapping[str, Any], known: Mapping[str, Collection[str]], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the keys of each option, those of its command before it, and what it states.

    Of an empty table that is none of a command the last key is empty.
    """
    for key, value in record.items():
        if not isinstance(value, Mapping) or " ".join(above) in known:
            yield (*above, key), value
        elif value or " ".join((*above, key)) in known:
            yield from _options(value, known, (*above, key))
        else:
            yield (*above, key, ""), value


def _problem(
    command: str, option: str, value: Any, known: Mapping[str, Collection[str]], *, named: bool
) -> tuple[str, str] | None:
    """Return what is wrong with an option, and the way out; None: nothing."""
    if command not in known:
        if not command:
            return f"{option!r} stands in no command's table", f"[export], then {option} = ..."
        near = nearest(command, known)
        there = f"there are {', '.join(name for name in known if known[name])}"
        return f"there is no command {command!r}", f"[{near.replace(' ', '.')}]" if near else there
    if option not in known[command]:
        near = nearest(option, known[command])
        fix = f"{near} = ..." if near else f"snn-deploy config show {command}"
        return f"{command} has no option {option!r}", fix
    if option in NAMED_ONLY and not named:
        fix = f"give --{option} on the command line, or name the file with --config"
        return f"{option!r} is not taken from a file that was only found", fix
    if isinstance(value, str | bool | int | float | Mapping) or _is_list(value):
        return None
    return f"{option} = {value!r:.60} is no value of an option", f'{option} = "..."'


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str | int | float) for part in value)


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """Return the line of a TOML text that states a key; 0: it could not be told.

    Args:
        text: The file, which TOML's own reader has read.
        keys: The names of the tables and of the key.
    """
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+([^\]]*)\]", line)
        stated = re.match(r"\s*([^=#\[]+?)\s*=", line)
        if header:
            table = _parts(header[1])
        here = table if header else (*table, *_parts(stated[1])) if stated else ()
        if here[: len(keys)] == keys:
            return number
    return 0


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
