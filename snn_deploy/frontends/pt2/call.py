"""One operation of a model of torch.export and what it is given, as its reader sees it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.ann import Builder, Tensor
from snn_deploy.frontends.layer_checks import Sides
from snn_deploy.frontends.pt2.file import ExportedOp

Value = np.ndarray | Tensor | int
"""A constant, what a layer gives, or a size that was computed."""


@dataclass(slots=True, kw_only=True)
class Reading:
    """A model while it is read."""

    build: Builder
    values: dict[str, Value]
    """What each tensor of the model is, by its name."""

    uses: Counter[str]
    """How often each tensor is read, an output of the model counting too."""

    outputs: tuple[str, ...]
    batch: int
    """Samples that the model declares; 1 where it leaves that open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation and what it is given."""

    reading: Reading
    op: ExportedOp
    name: str
    where: str

    @property
    def build(self) -> Builder:
        """Where layers go."""
        return self.reading.build

    def option(self, name: str, default: Any) -> Any:
        """Return an argument that is no tensor; a size that was computed as a number.

        Raises:
            UnknownNodeError: it is of a kind that is not read.
        """
        argument = self.op.arguments.get(name)
        if argument is None:
            return default
        ((kind, value),) = argument.items()
        if kind == "as_none":
            return None
        if kind == "as_sym_int":
            return self._size(value)
        if kind == "as_sym_ints":
            return [self._size(each) for each in value]
        if kind in ("as_int", "as_float", "as_bool", "as_string", "as_ints", "as_floats"):
            return value
        raise UnknownNodeError(
            f"{self.op.target[:80]} with {name} as {kind[:40]} is not read", where=self.where
        )

    def _size(self, value: Mapping[str, Any]) -> int:
        if "as_int" in value:
            return int(value["as_int"])
        size = self.reading.values[value["as_name"]]
        if not isinstance(size, int):
            raise TypeError("no size")
        return size

    def expect(self, **wanted: Any) -> None:
        """Refuse an argument with another value than the one that is read.

        Raises:
            UnknownNodeError: with both values.
        """
        for name, value in wanted.items():
            found = self.option(name, value)
            if found != value:
                raise UnknownNodeError(
                    f"{self.op.target[:80]} with {name}={str(found)[:40]} is not read",
                    where=self.where,
                )

    def value(self, name: str) -> Value:
        """Return a tensor argument, or a number as a constant."""
        argument = self.op.arguments[name]
        if "as_tensor" not in argument:
            return np.asarray(float(self.option(name, None)))
        return self.reading.values[argument["as_tensor"]["name"]]

    def tensor(self, name: str) -> Tensor:
        """Return an argument that a layer gives.

        Raises:
            UnknownNodeError: it is a constant.
        """
        found = self.value(name)
        if not isinstance(found, Tensor):
            raise UnknownNodeError(
                f"{self.op.target[:80]} of constants is not read", where=self.where
            )
        return found

    def alone(self, name: str) -> bool:
        """Return whether only this operation reads an argument."""
        return self.reading.uses[self.op.arguments[name]["as_tensor"]["name"]] == 1

    def constant(self, name: str) -> np.ndarray:
        """Return an argument that is a constant.

        Raises:
            UnknownNodeError: a layer gives it.
        """
        found = self.value(name)
        if not isinstance(found, np.ndarray):
            raise UnknownNodeError(
                f"{self.op.target[:80]} with weights that depend on the input is not read",
                where=self.where,
            )
        return found

    def given(self, name: str) -> np.ndarray | None:
        """Return an optional constant."""
        argument = self.op.arguments.get(name)
        if argument is None or "as_none" in argument:
            return None
        return self.constant(name)

    def sides(self, name: str, axes: int, default: Sequence[int]) -> Sides:
        """Return one whole number per spatial axis."""
        found = self.option(name, None)
        found = list(default) if found is None or found == [] else found
        found = [found] if isinstance(found, int) else found
        found = found * axes if len(found) == 1 else found
        if len(found) != axes:
            raise ValueError("other axes")
        return tuple(int(side) for side in found)

    @property
    def given_shape(self) -> list[int]:
        """Sides of `self` with the batch."""
        return [self.reading.batch, *self.tensor("self").shape]
