"""What a pass is, and a pipeline of them that can be listed, printed, hashed and replayed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import msgspec
import numpy as np

from snn_deploy.ir.findings import Finding
from snn_deploy.ir.trace import Values
from snn_deploy.quantize.report import LayerReport
from snn_deploy.targets import Target

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed(Generic[Out_co]):
    """What a pass gives back."""

    graph: Out_co
    findings: tuple[Finding, ...] = ()
    layers: tuple[LayerReport, ...] = ()
    """How well each layer became integers; only the pass that rounds has any."""


@runtime_checkable
class Pass(Protocol[In_contra, Out_co]):
    """A frozen dataclass that is called; everything that it decides is one of its fields."""

    @property
    def name(self) -> str:
        """Its name in the printed pipeline."""

    def __call__(self, graph: In_contra, /) -> Passed[Out_co]:
        """Return a new graph and what should be known about it. `graph` stays as it is."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Passes, first to last; itself a function from graph to graph."""

    passes: tuple[Pass[Any, Any], ...]

    def __call__(self, graph: Any) -> Passed[Any]:
        """Return `graph` after all passes, with the findings of all of them."""
        findings: list[Finding] = []
        layers: list[LayerReport] = []
        for step in self.passes:
            done = step(graph)
            graph = done.graph
            findings += done.findings
            layers += done.layers
        return Passed(graph=graph, findings=tuple(findings), layers=tuple(layers))

    def __iter__(self) -> Iterator[Pass[Any, Any]]:
        return iter(self.passes)

    def __str__(self) -> str:
        return "\n".join(_line(step, _text) for step in self.passes)

    @property
    def digest(self) -> str:
        """SHA-256 over all passes and all that they decide, whole target and data included."""
        lines = "\n".join(_line(step, _identity) for step in self.passes)
        return hashlib.sha256(lines.encode()).hexdigest()


def _line(step: Any, show: Any) -> str:
    inside = ", ".join(f"{f.name}={show(getattr(step, f.name))}" for f in fields(step))
    return f"{step.name}({inside})"


def _text(value: Any) -> str:
    """Return a short text of a field: what tells it from others, not all that is in it."""
    if isinstance(value, Target):
        return value.name
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Values):
        return f"{value.name}{list(value.values.shape)}"
    if isinstance(value, tuple):
        return "(" + ", ".join(_text(item) for item in value) + ")"
    if hasattr(value, "__dataclass_fields__"):
        inside = ", ".join(f"{f.name}={_text(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__name__}({inside})"
    return repr(value)


def _identity(value: Any) -> str:
    """Return a text that differs wherever the field differs."""
    if isinstance(value, Target):
        return hashlib.sha256(msgspec.json.encode(value)).hexdigest()
    if isinstance(value, Values):
        data = np.ascontiguousarray(value.values)
        key = f"{value.name} {data.dtype.str} {data.shape} ".encode()
        return hashlib.sha256(key + data.tobytes()).hexdigest()
    if isinstance(value, tuple):
        return "(" + ", ".join(_identity(item) for item in value) + ")"
    return _text(value)
