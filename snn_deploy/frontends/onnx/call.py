"""One operation of an ONNX model and what it is given, as its reader sees it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import FileDamagedError, UnknownNodeError
from snn_deploy.frontends.ann import Builder, Tensor
from snn_deploy.frontends.onnx.file import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """Whole numbers of a quantiser; kept as the real values that they stand for."""

    tensor: Tensor
    step: float
    """Real value from one whole number to the next."""

    zero: int
    """The whole number that stands for 0."""

    limits: tuple[int, int]
    """Smallest and largest whole number."""

    settled: bool
    """Whether the limits are in the layers already; those of the next Clip come first."""


Value = np.ndarray | Tensor | Quantised | None
"""A constant, what a layer gives, or None: an optional input that is left out."""


@dataclass(slots=True, kw_only=True)
class Reading:
    """A model while it is read."""

    build: Builder
    uses: Counter[str]
    """How often each value is read, an output of the model counting too."""

    readers: Mapping[str, list[str]]
    """Kinds of the operations that read each value."""

    outputs: tuple[str, ...]
    batch: int
    """Samples that the model declares; 1 where it leaves that open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation and what it is given."""

    reading: Reading
    op: Op
    inputs: list[Value]
    where: str

    @property
    def build(self) -> Builder:
        """Where layers go."""
        return self.reading.build

    @property
    def name(self) -> str:
        """Of the layer that it becomes."""
        return self.op.name

    def option(self, name: str, default: Any) -> Any:
        """Return an attribute."""
        return self.op.attributes.get(name, default)

    def expect(self, **wanted: Any) -> None:
        """Refuse an attribute with another value than the one that is read.

        Raises:
            UnknownNodeError: with both values.
        """
        for name, value in wanted.items():
            found = self.option(name, value)
            if found != value:
                raise UnknownNodeError(
                    f"{self.op.kind} with {name}={str(found)[:40]} is not read",
                    where=self.where,
                    fix=f"use {name}={value}",
                )

    def tensor(self, index: int = 0) -> Tensor:
        """Return an input that is no constant.

        Raises:
            UnknownNodeError: it is one, or whole numbers of a quantiser.
            FileDamagedError: it is left out.
        """
        value = self.inputs[index]
        if value is None:
            raise FileDamagedError(f"{self.op.kind} lacks an input", where=self.where)
        if not isinstance(value, Tensor):
            raise UnknownNodeError(
                f"{self.op.kind} of a constant and a value of the network, in this order, is not "
                "read"
                if isinstance(value, np.ndarray)
                else f"{self.op.kind} of quantised numbers is not read",
                where=self.where,
            )
        return value

    def alone(self, index: int = 0) -> bool:
        """Return whether only this operation reads an input."""
        return self.reading.uses[self.op.inputs[index]] == 1

    def constant(self, index: int) -> np.ndarray:
        """Return an input that is a constant.

        Raises:
            UnknownNodeError: it is not.
            FileDamagedError: it is left out.
        """
        value = self.given(index)
        if value is None:
            raise FileDamagedError(f"{self.op.kind} lacks an input", where=self.where)
        return value

    def given(self, index: int) -> np.ndarray | None:
        """Return an optional input that must be a constant.

        Raises:
            UnknownNodeError: it is not.
        """
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Tensor | Quantised):
            raise UnknownNodeError(
                f"{self.op.kind} with weights that depend on the input is not read",
                where=self.where,
            )
        return value

    def one(self, index: int, default: float) -> float:
        """Return an optional constant of one number."""
        value = self.given(index)
        return default if value is None else float(value.reshape(()))


def unknown(op: Op, where: str, *, of_constants: bool = False) -> UnknownNodeError:
    """Return the error for an operation that no network here can compute."""
    kind = f"{op.domain}::{op.kind}"[:80] if op.domain else op.kind[:80]
    fix = _FIXES.get(op.kind, _KNOWN_OPERATIONS)
    if of_constants:
        fix = "let onnxscript compute it first: optimise=True"
    return UnknownNodeError(f"the operation {kind} is not read", where=where, fix=fix)


_FIXES = {
    "MultiThreshold": "export the network before FINN streamlines it",
    "Sigmoid": "train it with ReLU, whose values spike counts can stand for",
    "Tanh": "train it with ReLU, whose values spike counts can stand for",
    "LeakyRelu": "train it with ReLU, whose values spike counts can stand for",
    "ArgMax": "leave it out of the network that is exported",
}

_KNOWN_OPERATIONS = "networks of convolutions, matrix products, sums, poolings and ReLU are read"
