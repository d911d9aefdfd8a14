"""Follows the tensors of a run through torch's functions, by their identity."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snn_deploy.errors import DeployError, UnknownNodeError
from snn_deploy.frontends.capture.axes import Assembled, Axis, Lost, Traced
from snn_deploy.frontends.capture.calls import (
    WAY_OUT,
    Call,
    Known,
    is_tensor,
    lost,
    name_of,
    taken_out,
)
from snn_deploy.frontends.capture.formulas import Formula, Formulas
from snn_deploy.frontends.capture.functions import HANDLERS, HARMLESS


@dataclass(slots=True, kw_only=True)
class Trail:
    """Follows the values of one run; a `Follower`."""

    module: Any
    formulas: Formulas
    steps: int | None = None
    """Of the run; None: not known yet."""

    values: dict[int, Known] = field(default_factory=dict)
    alive: dict[int, dict[int, Any]] = field(default_factory=dict)
    """Tensors that are known, by the memory that holds their numbers, and by their identity, which
    must not be given to others."""

    paths: list[str] = field(default_factory=list)
    """Modules whose forward runs, the innermost last."""

    leaf: str | None = None
    """Layer that runs: what happens inside of it is not followed."""

    ours: bool = True
    """Whether torch is called by us, and not by the module."""

    error: DeployError | None = None
    """The first refusal, whatever the module makes of it."""

    waits: set[bool] = field(default_factory=set)
    """Whether biases waited for the first values fed back, where that could be seen."""

    @property
    def inside(self) -> str:
        """Path of the module whose forward runs."""
        return self.paths[-1] if self.paths else ""

    def known(self, tensor: Any) -> Traced | Lost | None:
        """Return what is known of a tensor; None: it does not come from the network."""
        value = self.values.get(id(tensor))
        if not isinstance(value, Assembled):
            return value
        made = self._filled(value, tensor)
        if isinstance(made, Traced):
            self.remember(tensor, made)
        return made

    def _filled(self, value: Assembled, tensor: Any) -> Traced | Lost:
        steps = tensor.shape[value.axis]
        if len(value.entries) < steps or not self.expect_steps(steps):
            return Lost(function="__setitem__", reason="it does not fill every step")
        entries = [value.entries[step] for step in range(steps)]
        axes = entries[0].axes
        if len(axes) + 1 != value.rank:
            return Lost(function="__setitem__", reason="it broadcasts")
        formula = self.sequence(entries, "__setitem__")
        if isinstance(formula, Lost):
            return formula
        axes = (*axes[: value.axis], Axis.STEP, *axes[value.axis :])
        return Traced(formula=formula, axes=axes)

    def assembled(self, tensor: Any) -> Assembled | None:
        """Return what is known of a tensor that is filled step by step."""
        value = self.values.get(id(tensor))
        return value if isinstance(value, Assembled) else None

    def remember(self, tensor: Any, value: Known) -> None:
        """Keep what is known of a tensor."""
        self.values[id(tensor)] = value
        self.alive.setdefault(_memory(tensor), {})[id(tensor)] = tensor

    def layer(self, path: str) -> Any:
        """Return the layer at a path of the module."""
        return self.module.get_submodule(path)

    def expect_steps(self, steps: int) -> bool:
        """Return whether the run has that many steps; one of unknown length has from now on."""
        if self.steps is None:
            self.steps = steps
        return self.steps == steps

    def sequence(self, values: Sequence[Traced], function: str) -> Formula | Lost:
        """Return the formula of every step of values, one per step."""
        relative = [self.formulas.at(value.formula, -step) for step, value in enumerate(values)]
        wrong = self.unlike(relative)
        if wrong is None:
            return relative[-1]
        return Lost(function=function, reason=f"step {wrong} is computed otherwise than later ones")

    def unlike(self, relative: Sequence[Formula]) -> int | None:
        """Return the first step whose formula is not the last one's, but for what lies before
        step 0; None: there is none."""
        reference = relative[-1]
        for step, formula in enumerate(relative):
            if formula is reference:
                continue
            kinds = {
                waits
                for waits in (False, True)
                if self.formulas.begun(reference, step, bias_waits=waits) is formula
            }
            if not kinds:
                return step
            if len(kinds) == 1:
                self.waits |= kinds
        return None

    # ------------------------------------------------------------- watching

    def function(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call a torch function and keep what is known of its result."""
        met = self._met(args, kwargs)
        name = name_of(func)
        if name in HARMLESS or not (met or name == "__setitem__"):
            return of_module(func, args, kwargs)
        if "input" in kwargs:
            named = {key: value for key, value in kwargs.items() if key != "input"}
            args, kwargs = (kwargs["input"], *args), named
        if name in _IN_PLACE or (name.endswith("_") and not name.endswith("__")):
            return self._in_place(func, Call(name=name, args=args, kwargs=kwargs, result=args[0]))
        result = of_module(func, args, kwargs)
        call = Call(name=name, args=args, kwargs=kwargs, result=result)
        kind = getattr(func, "__name__", "")
        if kind == "__set__":
            self.remember(args[0], lost(call, "it writes into a tensor"))
        elif is_tensor(result):
            written = kwargs.get("out") is not None
            self._keep(result, lost(call, "it writes") if written else self._made(call, met))
        elif not self._several(call, met):
            self._plain(call, about=kind == "__get__")
        return result

    def _in_place(self, func: Any, call: Call) -> Any:
        """Call a function that writes into its first argument, and keep what is then known."""
        met = self._met(call.args, call.kwargs)
        made = self._made(call, met)  # before it writes: zeros are zeros still
        part = lost(call, "it writes into a part of a tensor")
        if made is not None and id(getattr(call.args[0], "_base", None)) in self.values:
            made = part
        if call.name not in _WITHOUT_WRITING:
            self.values |= dict.fromkeys(self._sharing(call.args[0]), part)
        result = of_module(func, call.args, call.kwargs)
        self._keep(call.args[0], made)
        return result

    def _sharing(self, tensor: Any) -> list[int]:
        """Return the identities of other known tensors that show the same memory."""
        return [other for other in self.alive.get(_memory(tensor), ()) if other != id(tensor)]

    def _several(self, call: Call, met: Sequence[Known]) -> bool:
        """Keep what is known of several results; return whether they are tensors."""
        parts = list(call.result) if isinstance(call.result, tuple | list) else []
        if not parts or not all(is_tensor(part) for part in parts):
            return False
        made = self._made(call, met)
        several = made if isinstance(made, list) else [made] * len(parts)
        for part, value in zip(parts, several, strict=True):
            self._keep(part, value)
        return True

    def _plain(self, call: Call, *, about: bool) -> None:
        """Refuse a result that is no tensor, unless it only tells `about` one.

        Raises:
            UnknownNodeError: numbers of the network go where nobody can follow them.
        """
        if about or any(arg is None for arg in call.args) or call.name in _WITHOUT_VALUE:
            return
        self.error = self.error or taken_out(call, self.place)
        raise self.error

    def _met(self, *arguments: Any) -> list[Known]:
        """Return what is known of the tensors among arguments."""
        return [self.values[id(t)] for _, t in tensors_in(arguments) if id(t) in self.values]

    def _made(self, call: Call, met: Sequence[Known]) -> Any:
        gone = next((value for value in met if isinstance(value, Lost)), None)
        if gone is not None and call.name != "__setitem__":
            return gone
        handler = HANDLERS.get(call.name)
        return lost(call) if handler is None else handler(self, call)

    def _keep(self, tensor: Any, value: Any) -> None:
        if value is not None:
            self.remember(tensor, value)

    @property
    def place(self) -> str:
        """Path of the module whose forward runs, or the class of all."""
        return self.inside or type(self.module).__name__

    @contextmanager
    def module_runs(self) -> Iterator[None]:
        """Let the module call torch's functions, in place of us."""
        self.ours = False
        try:
            yield
        finally:
            self.ours = True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch torch's functions."""
        from torch.overrides import TorchFunctionMode  # noqa: PLC0415 - only where a module runs

        trail = self

        class Watch(TorchFunctionMode):  # type: ignore[misc]
            def __torch_function__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                if trail.leaf is not None or trail.ours:
                    return of_module(func, args, kwargs or {})
                return trail.function(func, args, kwargs or {})

        with Watch():
            yield


_IN_PLACE = frozenset({"__iadd__", "__isub__", "__imul__", "__itruediv__", "__setitem__"})

_WITHOUT_WRITING = frozenset({"requires_grad_", "detach_"})

_WITHOUT_VALUE = frozenset({"backward", "requires_grad_"})


def _memory(tensor: Any) -> int:
    return int(tensor.untyped_storage().data_ptr())


def of_module(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call a function that the module calls: what it raises is the module's own."""
    return func(*args, **kwargs)


def is_ours(error: BaseException) -> bool:
    """Return whether an exception was raised by our code, and not by the module's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None  # it was caught
    code = trace.tb_frame.f_code
    inside = Path(code.co_filename).parent == Path(__file__).parent
    return inside and code.co_name != of_module.__name__


def tensors_in(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Return (name, tensor) for each tensor in nested tuples, lists and dictionaries."""
    if is_tensor(value):
        return [(name, value)]
    if isinstance(value, Mapping):
        return [found for key, part in value.items() for found in tensors_in(part, str(key))]
    if isinstance(value, tuple | list):
        fields = getattr(value, "_fields", ("",) * len(value))
        return [
            found
            for key, part in zip(fields, value, strict=True)
            for found in tensors_in(part, key)
        ]
    return []


def not_followed(value: Lost, what: str, where: str) -> UnknownNodeError:
    """Return the error of a value that is needed and was lost."""
    reason = f": {value.reason}" if value.reason else ""
    return UnknownNodeError(
        f"{what} is made by {value.function!r}, which cannot be followed{reason}",
        where=where,
        fix=WAY_OUT,
    )
