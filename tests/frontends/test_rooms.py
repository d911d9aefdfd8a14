"""The packages of `snn_deploy.frontends`: each has one door, its `__init__.py`."""

import ast
import functools
import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = "snn_deploy.frontends"
DOORS = {
    door.parent.name: importlib.import_module(f"{HOUSE}.{door.parent.name}")
    for door in sorted((ROOT / "snn_deploy/frontends").glob("*/__init__.py"))
}


@functools.cache
def entered() -> frozenset[tuple[str, str, str]]:
    """Return (file, room, what the file takes from it), of all files outside of the room."""
    return frozenset(
        (path.relative_to(ROOT).as_posix(), room, taken)
        for folder in ("snn_deploy", "examples", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        for room, taken in taken_by(path.read_text())
        if path.parent != ROOT / "snn_deploy/frontends" / room
    )


def taken_by(text: str) -> Iterator[tuple[str, str]]:
    """Yield (room, what is taken from it) of the imports in a file."""
    for node in ast.walk(ast.parse(text if HOUSE in text else "")):
        if isinstance(node, ast.Import | ast.ImportFrom):
            home = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for one in node.names:
                inner = f"{home}{one.name}".partition(f"{HOUSE}.")[2]
                room, _, taken = inner.partition(".")
                if room in DOORS:
                    yield room, taken


def test_a_room_is_entered_by_its_door_only() -> None:
    assert {"arch", "capture", "nir", "onnx"} <= {room for _, room, _ in entered()}
    assert [one for one in sorted(entered()) if one[2] not in DOORS[one[1]].__all__] == []


@pytest.mark.parametrize("room", DOORS)
def test_a_door_offers_what_others_use_and_says_what_it_promises(room: str) -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    used = {f"{HOUSE}.{other}:{taken}" for _, other, taken in entered() if other == room}
    used |= {point for point in points[HOUSE].values() if point.startswith(f"{HOUSE}.{room}:")}
    assert {f"{HOUSE}.{room}:{name}" for name in DOORS[room].__all__} == used
    assert "\nPromises: " in (DOORS[room].__doc__ or "")


@pytest.mark.parametrize("room", DOORS)
def test_no_name_of_a_door_hides_a_module_behind_it(room: str) -> None:
    behind = {path.stem for path in (ROOT / "snn_deploy/frontends" / room).glob("*.py")}
    assert behind & set(DOORS[room].__all__) == set()
