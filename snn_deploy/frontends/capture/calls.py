"""One call of a torch function, who follows it, and what both know of tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.capture.axes import Assembled, Lost, Traced
from snn_deploy.frontends.capture.formulas import Formula, Formulas, Op, sources_of
from snn_deploy.frontends.layers import (
    Flatten,
    Layer,
    Unflatten,
)
from snn_deploy.ir.maps import Shape

WAY_OUT = (
    "use layers that are read, sums, factors, concatenations and views only, or write the network "
    "as NIR and load that"
)


Known = Traced | Lost | Assembled
Result = Traced | Lost | Sequence[Traced | Lost | None] | None
"""What a handler knows of a function's result; None: nothing, or it is no value of the network."""


@runtime_checkable
class Follower(Protocol):
    """Who knows which tensor is what."""

    formulas: Formulas

    @property
    def inside(self) -> str:
        """Path of the module whose forward runs."""

    def known(self, tensor: Any) -> Traced | Lost | None:
        """Return what is known of a tensor; None: it does not come from the network."""

    def assembled(self, tensor: Any) -> Assembled | None:
        """Return what is known of a tensor that is filled step by step."""

    def remember(self, tensor: Any, value: Known) -> None:
        """Keep what is known of a tensor."""

    def layer(self, path: str) -> Any:
        """Return the layer at a path of the module."""

    def sequence(self, values: Sequence[Traced], function: str) -> Formula | Lost:
        """Return the formula of every step of values, one per step."""

    def expect_steps(self, steps: int) -> bool:
        """Return whether a run has that many steps; one of unknown length has them from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a torch function."""

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any

    def arg(self, index: int, name: str, default: Any = None) -> Any:
        """Return an argument by place or name."""
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[index] if index < len(self.args) else default


Handler = Callable[[Follower, Call], Result]


def is_tensor(value: Any) -> bool:
    """Return whether a value is a torch tensor; torch itself is not loaded."""
    return hasattr(value, "data_ptr") and hasattr(value, "detach")


def is_zero(tensor: Any) -> bool:
    """Return whether a tensor holds nothing but zeros, or nothing at all."""
    return tensor.numel() == 0 or not bool(tensor.any())


def membrane_of(formula: Formula) -> str | None:
    """Return the layer whose state a formula reads; None: it reads no states."""
    return next((source.name for source in sources_of(formula) if source.state), None)


def lost(call: Call, reason: str = "") -> Lost:
    """Return that what a function made cannot be followed."""
    return Lost(function=call.name, reason=reason)


def plain(follower: Follower, call: Call, tensor: Any) -> Traced | Lost:
    """Return a value with which the network computes: no state of a layer, nothing over time."""
    value = follower.known(tensor)
    assert value is not None  # who calls it has looked
    if isinstance(value, Lost):
        return value
    if value.over is not None:
        return lost(call, f"it computes with the {value.over.value} over all steps")
    owner = membrane_of(value.formula)
    if owner is not None:
        return lost(call, f"it computes with a state of {owner!r}")
    return value


def settled(follower: Follower, formula: Formula, shape: Shape) -> Formula:
    """Return a value in another shape of as many numbers."""
    if formula.shape == shape:
        return formula
    layer: Layer = Flatten() if len(shape) == 1 else Unflatten(shape=shape)
    op = follower.formulas.op(
        ("shape", shape, follower.inside),
        lambda: Op(named(follower, "flatten" if len(shape) == 1 else "reshape"), layer, False),
    )
    return follower.formulas.applied(op, formula, shape)


def named(follower: Follower, function: str) -> str:
    """Return the name of a function's node: after the module in which it is called."""
    return f"{follower.inside}.{function}" if follower.inside else function


def name_of(function: Any) -> str:
    """Return the name of a torch function; of an attribute, that of the attribute."""
    name = getattr(function, "__name__", str(function))
    if name in ("__get__", "__set__"):
        return str(getattr(getattr(function, "__self__", None), "__name__", name))
    return str(name)


def taken_out(call: Call, where: str) -> UnknownNodeError:
    """Return the error of a function that gives values of the network to Python or numpy."""
    return UnknownNodeError(
        f"the module reads values of the network with {call.name!r}: what follows from them "
        "cannot be followed",
        where=where,
        fix=WAY_OUT,
    )
