"""Reads a record from the tables of a TOML or JSON file by its dataclass, naming every mistake."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from snn_deploy.ir.words import nearest

SHOWN = 40
"""Characters of a wrong value that a problem quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong with one entry of a file."""

    path: str
    """Of the entry, such as `weights.bits.value` or `features[3].support`."""

    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def read_form(kind: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    """Return `value`, as TOML or JSON gives it, as a `kind`; None where something is wrong.

    Args:
        kind: A frozen dataclass, an enum, bool, int, float, str, a tuple of any length or an
            optional one of these.
        value: Tables are mappings, arrays lists.
        path: Of the entry, empty for the whole file.
        problems: Gets one problem for everything that is wrong.
    """
    if get_origin(kind) is UnionType:
        rest = [part for part in get_args(kind) if part is not NoneType]
        return None if value is None else read_form(rest[0], value, path, problems)
    if get_origin(kind) is tuple:
        return _entries(get_args(kind)[0], value, path, problems)
    if is_dataclass(kind):
        return _record(kind, value, path, problems)
    if issubclass(kind, Enum):
        return _member(kind, value, path, problems)
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        problems.append(_wrong(value, _WORDS[kind], path))
        return None
    return value


_WORDS = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "a text in quotes",
}


def _wrong(value: Any, wanted: str, path: str) -> Problem:
    return Problem(path=path, message=f"{shown(value)} is not {wanted}", fix=f"{path} is {wanted}")


def shown(value: Any) -> str:
    """Return a short text of a value from a file, safe to print."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**SHOWN:
        return f"a number of {value.bit_length()} bits"  # Python refuses to print the longest
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _entries(kind: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    if not isinstance(value, list):
        problems.append(_wrong(value, "an array", path))
        return None
    found = (read_form(kind, entry, f"{path}[{i}]", problems) for i, entry in enumerate(value))
    return tuple(found)


def _member(kind: type[Enum], value: Any, path: str, problems: list[Problem]) -> Any:
    for member in kind:
        if value == member.value:
            return member
    words = [str(member.value) for member in kind]
    problems.append(
        Problem(
            path=path,
            message=f"{shown(value)} is none of {', '.join(words)}",
            fix=f'{path} = "{_nearest(value, words) or words[0]}"',
        )
    )
    return None


def _record(kind: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(_wrong(value, "a table", path))
        return None
    known = {entry.name: entry for entry in fields(kind)}
    hints = get_type_hints(kind)
    before = len(problems)
    problems += _strangers(value, known, path)
    found = {}
    for name, entry in known.items():
        inner = _join(path, name)
        if name in value:
            found[name] = read_form(hints[name], value[name], inner, problems)
        elif _needed(entry):
            problems.append(
                Problem(path=inner, message="this entry is missing", fix=f"add {inner}")
            )
    return kind(**found) if len(problems) == before else None


def _needed(entry: Field[Any]) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def _strangers(value: Mapping[str, Any], known: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for name in value:
        if name not in known:
            near = _nearest(name, [n for n in known if n not in value])
            yield Problem(
                path=_join(path, name if name.isidentifier() else shown(name)),
                message="there is no such entry",
                fix=f"call it {near}" if near else "leave it out",
            )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _nearest(word: Any, words: list[str]) -> str:
    return nearest(str(word)[:SHOWN], words)
