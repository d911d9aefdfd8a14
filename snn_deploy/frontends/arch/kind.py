"""What a class of layers that an architecture file can name is, and what it is by default.

A layer of the file becomes a record with the attributes that the framework's constructor would
have set; the framework's own reader then reads it like any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.arch.options import checked
from snn_deploy.frontends.torch_file import Stub, set_state

Attributes = dict[str, Any]

SINGLE = np.zeros((), np.float32)
"""A state whose dtype says that the layer computes in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKind:
    """A class of layers."""

    path: str
    """Full name of the class."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What its constructor sets without being told."""

    needs: tuple[str, ...] = ()
    """Options or tensors without which it is no layer."""

    inner: Mapping[str, "Inner"] = field(default_factory=dict)
    """Layers that it holds: what makes each of them out of its own options and tensors."""

    finish: Callable[[str, Attributes], Attributes] = lambda where, given: given
    """Turns options of the file into what the constructor makes of them."""

    def record(self, where: str, given: Mapping[str, Any]) -> Stub:
        """Return the layer with options and tensors, those of an inner layer by dotted names or
        in a table of its name.

        Raises:
            UnknownNodeError: an option that it does not have, or one that it lacks.
            FileDamagedError: one of another type.
        """
        known = {*self.defaults, *self.needs}
        given = self._with_inner(where, given)
        for option in given:
            if option not in known:
                raise UnknownNodeError(
                    f"{self.path.rpartition('.')[2]} has no option or tensor {option!r}",
                    where=where,
                    fix=f"known are {', '.join(sorted(known))}",
                )
        for option in self.needs:
            if option not in given:
                raise UnknownNodeError(
                    f"{self.path.rpartition('.')[2]} needs {option!r}, and neither the file of "
                    "weights nor the architecture has it",
                    where=where,
                    fix=f"{option} = ... in the architecture file",
                )
        stub = Stub(self.path)
        own = {option: checked(option, value, where) for option, value in given.items()}
        set_state(stub, self.finish(where, {**self.defaults, **own}))
        return stub

    def _with_inner(self, where: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options and tensors, those of an inner layer put together to the record of it."""
        made: dict[str, Any] = {}
        members: dict[str, dict[str, Any]] = {}
        for option, value in given.items():
            head, dot, rest = option.partition(".")
            if head in self.inner and dot:
                members.setdefault(head, {})[rest] = value
            elif head in self.inner and isinstance(value, dict):
                members.setdefault(head, {}).update(value)
            else:
                made[option] = value
        for head, own in members.items():
            made[head] = self.inner[head](f"{where}.{head}", own)
        return made


Inner = Callable[[str, Mapping[str, Any]], Stub]
"""(where, options and tensors) -> the record of an inner layer."""
