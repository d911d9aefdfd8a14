"""report.json: sorted keys, a line for each record that fits on one; same report, same bytes."""

from typing import Any

import msgspec

from snn_deploy.deploy.report.model import Report

WIDTH = 100
"""Characters of a record that stays on one line."""


def json_of(report: Report) -> bytes:
    """Return a report as JSON."""
    return f"{_text(msgspec.to_builtins(report, order='sorted'), 0)}\n".encode()


def _text(value: Any, depth: int) -> str:
    """Return a value as JSON: on a line if it fits or is a list of numbers, else entry by entry."""
    line = _line(value)
    numbers = isinstance(value, list | tuple) and all(isinstance(v, int | float) for v in value)
    if len(line) + 2 * depth <= WIDTH or numbers or not isinstance(value, dict | list | tuple):
        return line
    inner = "  " * (depth + 1)
    if isinstance(value, dict):
        rows = [f"{inner}{_line(k)}: {_text(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + "  " * depth + "}"
    rows = [f"{inner}{_text(v, depth + 1)}" for v in value]
    return "[\n" + ",\n".join(rows) + "\n" + "  " * depth + "]"


def _line(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=0).decode()
