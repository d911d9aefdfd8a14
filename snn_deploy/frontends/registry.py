"""Who reads a layer: the frontends of all frameworks, found by the class of a layer.

A third party adds one by an entry point of the group `snn_deploy.frontends` that names a
`Frontend`. A frontend is imported only when a layer of its packages turns up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from snn_deploy.errors import FileDamagedError, UnknownNodeError
from snn_deploy.frontends.layers import Cell, LayerGraph
from snn_deploy.frontends.torch_file import Stub, full_name

GROUP = "snn_deploy.frontends"

PARAMETRISED = "torch.nn.utils.parametrize"
"""Where the classes are said to be that torch makes for layers with parametrised weights."""

Read = Callable[[LayerGraph, str, Any, str], str]
"""(graph, name, layer, source) -> name of the node that gives the layer's output.

Adds to `graph` what the layer called `name` does with what `source` gives. Only attributes of the
layer are read: it may be a live torch module or the inert record of a pickled one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontend:
    """What one framework brings."""

    name: str
    """As on the command line, such as `snntorch`."""

    packages: tuple[str, ...]
    """Where the classes are defined that it reads, such as `torch.nn.modules`: modules, or
    packages with all that is in them. A class of the same name elsewhere may compute anything."""

    layers: Mapping[str, Read]
    """By the name of the class, without its module."""

    containers: frozenset[str] = frozenset()
    """Classes whose children act one after another, in order."""

    wrong: Mapping[str, str] = field(default_factory=dict)
    """Classes that are known and refused: the reason, by the name of the class."""


def class_name(layer: object) -> str:
    """Return the full name of a layer's class, such as `torch.nn.modules.linear.Linear`.

    The record of a pickled layer says it by `type_name`; no class of a file is ever made. A layer
    with a parametrised weight is what it was before torch made a class of its own for it.
    """
    recorded = getattr(type(layer), "type_name", None)
    if recorded is not None:
        return str(layer.type_name)  # type: ignore[attr-defined]
    kind = type(layer)
    if kind.__module__ == PARAMETRISED and kind.__bases__:
        kind = kind.__bases__[0]
    return full_name(kind)


@cache
def _frontends() -> Mapping[str, Any]:
    """Return the entry points by name; loading one imports its file."""
    return {point.name: point for point in entry_points(group=GROUP)}


@cache
def frontend(name: str) -> Frontend:
    """Return the frontend registered as `name`.

    Raises:
        KeyError: there is none.
    """
    found = _frontends()[name].load()
    assert isinstance(found, Frontend), f"{name} is not a Frontend"
    return found


def frontend_of(layer: object) -> Frontend | None:
    """Return the frontend that reads classes of the layer's package; None: nobody does.

    An entry point's name is the package it reads; a frontend of several packages has one
    entry point for each.
    """
    package = class_name(layer).partition(".")[0]
    return frontend(package) if package in _frontends() else None


def is_container(layer: object) -> bool:
    """Return whether the children of a layer act one after another, in order."""
    found = frontend_of(layer)
    if found is None or short_name(layer) not in found.containers:
        return False
    return is_home(found, layer)


def is_home(found: Frontend, layer: object) -> bool:
    """Return whether a layer's class is defined where the frontend reads classes."""
    name = class_name(layer)
    return any(name.startswith(f"{package}.") for package in found.packages)


def children_of(container: Any) -> list[tuple[str, Any]]:
    """Return the children of a container in the order they act; one that acts twice is there
    twice, which torch's `named_children` hides.

    Raises:
        FileDamagedError: the record of a pickled one has something else in the place of children.
    """
    members = getattr(container, "_modules", None)
    if not isinstance(members, dict):
        raise FileDamagedError(f"a {class_name(container)} without a list of what it holds")
    return [(str(name), child) for name, child in members.items() if child is not None]


def short_name(layer: object) -> str:
    """Return the name of a layer's class, without its module."""
    return class_name(layer).rpartition(".")[2]


def read_layer(graph: LayerGraph, name: str, layer: object, source: str) -> str:
    """Add what `layer` does with what `source` gives; return the node that gives its output.

    Raises:
        UnknownNodeError: nobody reads this class, or its neurons act elsewhere in the step too,
            where both times they would move the same states.
        FileDamagedError: the record of a pickled layer lacks an attribute, or has one of a type
            that its class never gives it.
        ModelError: its frontend refuses it.
    """
    found = frontend_of(layer)
    kind = short_name(layer)
    if found is None:
        raise UnknownNodeError(
            f"a layer of class {class_name(layer)} is not read",
            where=name,
            fix=f"layers of {', '.join(sorted(_frontends()))} are read, and torch modules that "
            "are made of them",
        )
    if kind in found.wrong:
        raise UnknownNodeError(f"{kind}: {found.wrong[kind]}", where=name)
    if kind not in found.layers or not is_home(found, layer):
        known = f"known of {found.name} are {', '.join(found.layers)}"
        raise UnknownNodeError(
            f"a layer of class {class_name(layer)} is not read",
            where=name,
            fix=f"use the {kind} of {' or '.join(found.packages)}"
            if kind in found.layers
            else known,
        )
    before = len(graph.nodes)
    given = _read(found.layers[kind], graph, name, layer, source)
    added = list(graph.nodes.values())[before:]
    if any(isinstance(node.layer, Cell) for node in added):
        first, _ = graph.owners.setdefault(id(layer), (name, layer))
        if first != name:
            raise UnknownNodeError(
                f"the same {kind} is {first!r} too: its neurons would act twice in a step",
                where=name,
                fix="make two of them",
            )
    return given


def _read(read: Read, graph: LayerGraph, name: str, layer: object, source: str) -> str:
    """Run a reader; what it cannot do with the record of a pickled layer is the file's fault."""
    if not isinstance(layer, Stub):
        return read(graph, name, layer, source)
    kind = short_name(layer)
    try:
        return read(graph, name, layer, source)
    except _UNREADABLE as error:
        raise FileDamagedError(
            f"the record of a {kind} is not what its class makes: {error}", where=name
        ) from error


_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a reader meets in the record of a layer that lacks an attribute, or has another's."""
