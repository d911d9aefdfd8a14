"""Options of an export in a file: what tune writes, and `export --config` reads."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from snn_deploy.deploy.request import Request, shape_of
from snn_deploy.errors import DataError, FileMissingError, OptionError
from snn_deploy.ir.paths import is_file
from snn_deploy.ir.sizes import allowed
from snn_deploy.ir.words import nearest

SCHEMA = "snn-deploy/config/1"

PATHS = ("arch", "calibrate")
"""Options that are paths, in the file relative to its folder."""

LARGEST = 1 << 20
"""Bytes of such a file, far more than any has."""


def config_text(options: Mapping[str, Any], folder: Path, heading: str) -> str:
    """Return the file for some options.

    Args:
        options: By their names in Python; mappings become tables.
        folder: Where the file will be: paths are written relative to it.
        heading: Lines of a comment.
    """
    plain, tables = [], []
    for name, value in sorted(options.items()):
        if isinstance(value, Mapping):
            tables += ["", f"[export.{name}]"]
            tables += [f"{json.dumps(str(k))} = {_word(v)}" for k, v in value.items()]
        else:
            told = os.path.relpath(value, folder) if name in PATHS else value
            plain.append(f"{name} = {_word(told)}")
    comment = [f"# {line}".rstrip() for line in heading.splitlines()]
    lines = [*comment, f"schema = {json.dumps(SCHEMA)}", "", "[export]", *plain, *tables]
    return "\n".join(lines) + "\n"


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps("x".join(map(str, value)))
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def read_config(path: Path) -> dict[str, Any]:
    """Return the options that a file states; paths are relative to its folder there.

    Raises:
        FileMissingError: there is no such file.
        DataError: it is none of this schema.
        OptionError: an option that does not exist, or a value of another type.
    """
    if not is_file(path):
        raise FileMissingError("there is no such file", where=str(path))
    fix = "write one as snn-deploy tune does: docs/tuning.md"
    try:
        if path.stat().st_size > allowed(LARGEST):
            raise ValueError(f"{path.stat().st_size} bytes are no list of options")
        record = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as problem:
        text = f"this is no file of options: {problem}"
        raise DataError(text, where=str(path), fix=fix) from None
    options = record.get("export")
    if record.get("schema") != SCHEMA or not isinstance(options, dict):
        schema = f"{record.get('schema')!a:.60}"
        text = f"this is no file of options: its schema is {schema}, not {SCHEMA!r}"
        raise DataError(text, where=str(path), fix=fix)
    hints = get_type_hints(Request) | {"sample_shape": str | list[int]}  # as `shape_of` takes it
    known = [*(f.name for f in fields(Request)), "calibrate"]
    for name, value in options.items():
        if name not in known:
            near = nearest(name, known) or known[0]
            raise OptionError(
                f"export has no option {name!r}", where=str(path), fix=f"{near} = ..."
            )
        try:
            msgspec.convert(value, hints.get(name, str))
        except msgspec.ValidationError as problem:
            raise OptionError(
                f"{name} = {value!r:.60}: {problem}", where=str(path), fix=f"leave {name} out"
            ) from None
    return {
        name: str(path.parent / value) if name in PATHS else value
        for name, value in options.items()
    }


def with_config(path: Path, request: Request, calibrate: Any) -> tuple[Request, Any]:
    """Return a request and calibration data; what they leave at its default, a file states.

    Raises:
        DeployError: see `read_config`.
    """
    options = read_config(path)
    stated = options.pop("calibrate", None)
    if "sample_shape" in options:
        options["sample_shape"] = shape_of(options["sample_shape"])
    defaults = {f.name: f.default for f in fields(Request)}
    left = {n: v for n, v in options.items() if getattr(request, n) == defaults[n]}
    return replace(request, **left), stated if calibrate is None else calibrate
