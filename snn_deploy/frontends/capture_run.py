"""Runs a module on a sample and writes down which layer got what, as formulas.

Layers that a frontend reads are watched by hooks; everything between them by torch's function
mode, which sees each call of a torch function. Tensors are known by their identity.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from snn_deploy.errors import DeployError, GraphError, ModelError, UnknownNodeError
from snn_deploy.frontends.capture_axes import (
    Assembled,
    Axes,
    Axis,
    Lost,
    Over,
    Traced,
    value_shape,
)
from snn_deploy.frontends.capture_formulas import (
    Applied,
    Formula,
    Formulas,
    Op,
    Source,
    sources_of,
    terms_of,
)
from snn_deploy.frontends.capture_functions import (
    HANDLERS,
    HARMLESS,
    WAY_OUT,
    Call,
    Known,
    after_layer,
    is_tensor,
    is_zero,
    lost,
    membrane_of,
    name_of,
    settled,
    taken_out,
)
from snn_deploy.frontends.capture_keep import unchanged
from snn_deploy.frontends.capture_leaves import (
    MEMBRANES,
    Probe,
    Takes,
    leaves,
    membrane_label,
    packages_of,
    probe,
    reset,
    takes,
)
from snn_deploy.frontends.layers import Scale
from snn_deploy.frontends.registry import short_name
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.words import counted

FEWEST_STEPS = 3
"""Steps that a run must have: fewer do not show whether every step computes the same."""

ROOT = "0"
"""Name of a module that is itself a layer."""


class Layout(Enum):
    """How a module takes the steps of a sample. A batch is always one sample."""

    STEPWISE = "stepwise"
    """It is called once per step with [sample, ...] and keeps its states."""

    TIME_FIRST = "time-first"
    """It is called once with [step, sample, ...]."""

    BATCH_FIRST = "batch-first"
    """It is called once with [sample, step, ...]."""

    FLAT = "flat"
    """It is called once with [sample * step, ...]."""

    CONSTANT = "constant"
    """It is called once with [sample, ...], and shows that to its layers in each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One output of a module."""

    formula: Formula
    """Of every step."""

    over: Over | None
    """What the module makes of all steps; None: it gives every step."""

    values: np.ndarray
    """[step, *shape]; [*shape] of something over all steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """What a run has shown."""

    layout: Layout
    steps: int
    entering: Mapping[str, Formula]
    """What enters each layer with states in every step, by its path."""

    outputs: tuple[Given, ...]
    sent: Mapping[str, np.ndarray]
    """What each layer with states gave, [step, *shape], by its path."""

    explicit: frozenset[str]
    """Layers whose first states the module made itself, of zeros."""

    bias_waits: bool | None
    """Whether a bias on a feedback path waits for the first values fed back; None: there is no
    such bias."""


class Refused(Exception):  # noqa: N818 - an attempt that failed, with its reason
    """A run that cannot be followed."""

    def __init__(self, error: DeployError, progress: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.progress = progress
        """Calls of layers that could be followed before."""


def trace(module: Any, sample: np.ndarray, layout: Layout, formulas: Formulas) -> Tracing:
    """Run a module on a sample and return what the run has shown. The module stays as it was.

    Args:
        module: The torch module.
        sample: [step, *shape].
        layout: How the module takes it.
        formulas: Those of earlier runs: equal formulas are the same objects.

    Raises:
        Refused: the run cannot be followed, or the module raises.
    """
    run = _Run(module=module, layout=layout, formulas=formulas)
    run.steps = None if layout is Layout.CONSTANT else len(sample)
    try:
        with unchanged(module), run.watching():
            reset(module)
            outputs = run.drive(sample)
            return run.result(outputs)
    except DeployError as error:
        raise Refused(run.error or error, run.progress) from error
    except Exception as error:  # whatever the user's module raises
        if run.error is not None:
            raise Refused(run.error, run.progress) from error
        refusal = ModelError(
            f"the module raises {type(error).__name__}: {error}",
            where=run.last or type(module).__name__,
            fix=f"it was run on a sample of {counted(len(sample), 'step')}, {layout.value}; "
            "give sample= as it takes it, and layout= if that is not how",
        )
        raise Refused(refusal, run.progress) from error


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run of a module; a `Follower`."""

    module: Any
    layout: Layout
    formulas: Formulas
    steps: int | None = None
    values: dict[int, Known] = field(default_factory=dict)
    alive: list[Any] = field(default_factory=list)
    """Tensors that are known: their identity must not be given to others."""

    paths: list[str] = field(default_factory=list)
    """Modules whose forward runs, the innermost last."""

    leaf: str | None = None
    """Layer that runs: what happens inside of it is not followed."""

    last: str = ""
    """Layer that ran last."""

    ours: bool = True
    """Whether torch is called by this run, and not by the module."""

    progress: int = 0
    error: DeployError | None = None
    probes: dict[str, Probe] = field(default_factory=dict)
    calls: dict[str, list[Formula]] = field(default_factory=dict)
    """What entered a layer with states in each step, relative to the step."""

    whole: dict[str, Formula] = field(default_factory=dict)
    """What entered a layer with states that took all steps at once."""

    sent: dict[str, list[np.ndarray]] = field(default_factory=dict)
    explicit: set[str] = field(default_factory=set)
    left: dict[str, list[tuple[Any, int]]] = field(default_factory=dict)
    """States that a layer held after its last call, and how often each was written to."""

    waits: set[bool] = field(default_factory=set)

    # ------------------------------------------------------------ following

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
        self.alive.append(tensor)

    def expect_steps(self, steps: int) -> bool:
        """Return whether the run has that many steps; one of unknown length has from now on."""
        if self.steps is None:
            self.steps = steps
        return self.steps == steps

    def sequence(self, values: Sequence[Traced], function: str) -> Formula | Lost:
        """Return the formula of every step of values, one per step."""
        relative = [self.formulas.at(value.formula, -step) for step, value in enumerate(values)]
        wrong = self._unlike(relative)
        if wrong is None:
            return relative[-1]
        return Lost(function=function, reason=f"step {wrong} is computed otherwise than later ones")

    def _unlike(self, relative: Sequence[Formula]) -> int | None:
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

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the layers, the modules around them, and torch's functions."""
        from torch.overrides import TorchFunctionMode  # noqa: PLC0415 - the same

        run = self

        class Watch(TorchFunctionMode):  # type: ignore[misc]
            def __torch_function__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                if run.leaf is not None or run.ours:
                    return func(*args, **(kwargs or {}))
                return run.function(func, args, kwargs or {})

        found = dict(leaves(self.module))
        for path, child in self.module.named_modules():
            if path in found:
                self._watch_leaf(child, path or ROOT)
            elif not any(not leaf or path.startswith(f"{leaf}.") for leaf in found):
                self._watch_module(child, path)
        with Watch():
            yield

    def _watch_module(self, module: Any, path: str) -> None:
        def enter(*_: Any) -> None:
            if self.leaf is None:
                self.paths.append(path)

        def leave(*_: Any) -> None:
            if self.leaf is None:
                self.paths.pop()

        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)

    def _watch_leaf(self, module: Any, path: str) -> None:
        def enter(module: Any, *_: Any) -> None:
            if self.leaf is not None:
                return
            self.leaf = path
            if path in self.left and not _same_tensors(self.left[path], _states(module)):
                self.error = GraphError(
                    "the states of these neurons are changed between two steps",
                    where=path,
                    fix="reset states before a sample only",
                )
                raise self.error

        def leave(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            if self.leaf != path:
                return
            try:
                self.layer(path, module, (args, kwargs), output)
            except DeployError as error:
                self.error = self.error or error
                raise
            self.last = path
            self.leaf = None
            self.progress += 1

        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave, with_kwargs=True)

    def function(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call a torch function and keep what is known of its result."""
        met = [self.values[id(t)] for _, t in tensors_in((args, kwargs)) if id(t) in self.values]
        name = name_of(func)
        if not met and name != "__setitem__":
            return func(*args, **kwargs)
        if name in HARMLESS:
            return func(*args, **kwargs)
        in_place = name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))
        if in_place:
            call = Call(name=name, args=args, kwargs=kwargs, result=args[0])
            made = self._made(call, met)
            if made is not None and id(getattr(args[0], "_base", None)) in self.values:
                made = lost(call, "it writes into a part of a tensor")
            result = func(*args, **kwargs)
            if made is not None:
                self._keep(args[0], made)
            return result
        result = func(*args, **kwargs)
        call = Call(name=name, args=args, kwargs=kwargs, result=result)
        if is_tensor(result):
            if kwargs.get("out") is not None:
                self.remember(result, lost(call, "it writes into a tensor"))
                return result
            self._keep(result, self._made(call, met))
            return result
        parts = list(result) if isinstance(result, tuple | list) else []
        if parts and all(is_tensor(part) for part in parts):
            made = self._made(call, met)
            several = made if isinstance(made, list) else [made] * len(parts)
            for part, value in zip(parts, several, strict=True):
                self._keep(part, value)
            return result
        about = getattr(func, "__name__", "") == "__get__"  # an attribute that is no tensor
        if about or any(arg is None for arg in args) or name in _WITHOUT_VALUE:
            return result
        self.error = self.error or taken_out(call, self._place())
        raise self.error

    def _made(self, call: Call, met: Sequence[Known]) -> Any:
        gone = next((value for value in met if isinstance(value, Lost)), None)
        if gone is not None and call.name != "__setitem__":
            return gone
        handler = HANDLERS.get(call.name)
        return lost(call) if handler is None else handler(self, call)

    def _keep(self, tensor: Any, value: Any) -> None:
        if value is not None:
            self.remember(tensor, value)

    def _place(self) -> str:
        return self.inside or type(self.module).__name__

    # --------------------------------------------------------------- layers

    def probe(self, path: str, module: Any) -> Probe:
        """Return what reading a layer alone tells."""
        if path not in self.probes:
            self.probes[path] = probe(module, path)
        return self.probes[path]

    def layer(self, path: str, module: Any, arguments: Any, output: Any) -> None:
        """Keep what a layer was given, and what is known of its output."""
        entering = [tensor for _, tensor in tensors_in(arguments)]
        given = tensors_in(output)
        if not entering or not given:
            raise GraphError(
                f"{short_name(module)} is called without a tensor, or gives none",
                where=path,
                fix=WAY_OUT,
            )
        read = self.probe(path, module)
        if read.stateful:
            self._stateful(path, module, read, entering, given)
        else:
            self._stateless(path, module, read, entering, given[0][1])

    def _value(self, path: str, tensor: Any) -> Traced | None:
        """Return what enters a layer; None: nothing that the network made.

        Raises:
            ModelError: it cannot be followed.
        """
        value = self.known(tensor)
        if isinstance(value, Lost):
            raise _not_followed(value, f"what enters {path!r}", path)
        if value is None:
            if not is_zero(tensor):
                return None
            axes = (Axis.SAMPLE, *(Axis.VALUE,) * (tensor.ndim - 1))
            return Traced(formula=self.formulas.zero(tuple(tensor.shape[1:])), axes=axes)
        owner = membrane_of(value.formula)
        if owner is not None:
            raise GraphError(
                f"a state of {owner!r} enters this layer, but neurons send spikes only",
                where=path,
                fix="give it the spikes, or put neurons between that never fire",
            )
        return value

    def _stateless(
        self, path: str, module: Any, read: Probe, entering: Sequence[Any], output: Any
    ) -> None:
        value = self._value(path, entering[0])
        if value is None:
            return
        if any(self.known(tensor) is not None for tensor in entering[1:]):
            raise GraphError(
                f"{short_name(module)} takes several values of the network",
                where=path,
                fix="add or concatenate them before it",
            )
        if value.over not in (None, Over.MEAN):
            assert value.over is not None
            raise _over_steps(value.over, path)
        if read.transparent:
            self.remember(output, value)
            return
        lead = 1
        if takes(module) is Takes.TIME_FIRST or short_name(module) == "SeqToANNContainer":
            lead = 2
        elif read.elementwise:
            lead = len(value.axes) - len(value.formula.shape)
        made = after_layer(value, lead, output.shape)
        if isinstance(made, str):
            raise GraphError(
                f"{short_name(module)} is given a tensor of shape {tuple(entering[0].shape)}, "
                f"[{', '.join(axis.value for axis in value.axes)}]: {made}",
                where=path,
                fix="give it [sample, ...] of one step, or join samples and steps before it",
            )
        axes, shape = made
        op = self.formulas.op(("module", path), lambda: Op(path, None, read.biased, module))
        inner = settled(self, value.formula, tuple(entering[0].shape[lead:]))
        formula = self.formulas.applied(op, inner, shape)
        self.remember(output, Traced(formula=formula, axes=axes, over=value.over))

    def _stateful(
        self,
        path: str,
        module: Any,
        read: Probe,
        entering: Sequence[Any],
        given: Sequence[tuple[str, Any]],
    ) -> None:
        value = self._value(path, entering[0])
        if value is None:
            raise UnknownNodeError(
                "what enters this layer was not made by the network: torch does not show where "
                "it comes from",
                where=path,
                fix=WAY_OUT,
            )
        if value.over is not None:
            raise _over_steps(value.over, path)
        whole = self._takes_all(path, module, value)
        step = len(self.calls.get(path, ()))
        if path in self.whole or (whole and step):
            raise GraphError(
                "these neurons are called several times and keep one state",
                where=path,
                fix="make a layer of neurons for each call",
            )
        self._check_states(path, entering[1:], step, whole=whole)
        shape = tuple(entering[0].shape)
        formula = settled(self, value.formula, value_shape(value.axes, shape))
        if whole:
            self.whole[path] = formula
        else:
            self.calls.setdefault(path, []).append(self.formulas.at(formula, -step))
        self._sends(path, module, read, value, given, None if whole else step)

    def _takes_all(self, path: str, module: Any, value: Traced) -> bool:
        """Return whether a layer takes all steps in this call.

        Raises:
            GraphError: it takes steps for samples, or samples for steps.
        """
        wanted = takes(module)
        at = value.axes.index(Axis.STEP) if value.sequence else None
        place = {Takes.TIME_FIRST: 0, Takes.BATCH_FIRST: 1, Takes.FLAT: 0}.get(wanted)
        if wanted is Takes.FLAT and at is None:
            return False
        if wanted is Takes.BATCH_FIRST and short_name(module).endswith("Torch"):
            place = min(1, len(value.axes) - 2)  # rockpool takes [step, ...] as well
        if place is not None and at is None and value.axes[place] is Axis.SINGLE:
            return False  # a sequence of one step
        if at != place:
            axes = ", ".join(axis.value for axis in value.axes)
            raise GraphError(
                f"{short_name(module)} takes {wanted.value}, but is given [{axes}]",
                where=path,
                fix="call it as its framework does, or say how the module takes a sample: layout=",
            )
        return at is not None

    def _check_states(self, path: str, states: Sequence[Any], step: int, *, whole: bool) -> None:
        """Refuse states that are not the layer's own of the step before."""
        for tensor in states:
            value = self.known(tensor)
            if value is None and is_zero(tensor) and (step == 0 or whole):
                self.explicit.add(path)
                continue
            source = value.formula if isinstance(value, Traced) else None
            own = isinstance(source, Source) and (source.name, source.step) == (path, step - 1)
            if not own:
                raise GraphError(
                    f"in step {step}, these neurons are given a state that is not their own of "
                    "the step before",
                    where=path,
                    fix="start from zeros, and give back the states that the last call gave",
                )

    def _sends(
        self,
        path: str,
        module: Any,
        read: Probe,
        value: Traced,
        given: Sequence[tuple[str, Any]],
        step: int | None,
    ) -> None:
        """Keep what neurons gave: their output, then their states.

        Args:
            step: None: all steps at once.
        """
        output = given[0][1]
        axes = self._axes_given(path, value.axes, output)
        over = None
        if step is None and Axis.STEP in value.axes and read.decode is not None:
            over = _DECODED[read.decode.value]
        shape = value_shape(axes, output.shape)
        now = 0 if step is None else step
        made = Traced(formula=self.formulas.source(path, now, shape), axes=axes, over=over)
        self._record(path, output, axes, step)
        end = (self.steps or 1) - 1 if step is None else step
        for index, (name, tensor) in enumerate(given[1:], 1):
            label = membrane_label(module, index, len(given), name)
            self._keep_state(path, tensor, label, axes, output, end)
        for name, tensor in _held(module):
            if name in MEMBRANES and id(tensor) not in self.values:
                self._keep_state(path, tensor, "membrane", axes, output, end)
        self.left[path] = _states(module)
        self.remember(output, made)

    def _axes_given(self, path: str, axes: Axes, output: Any) -> Axes:
        rank = output.ndim
        if rank == len(axes):
            return axes
        if rank == len(axes) + 1 and Axis.SAMPLE not in axes:
            return (Axis.SAMPLE, *axes)  # rockpool adds it
        if Axis.STEP in axes and rank == len(axes) - 1:
            return tuple(axis for axis in axes if axis is not Axis.STEP)
        raise GraphError(
            f"it gives a tensor of shape {tuple(output.shape)} for values of {len(axes)} axes",
            where=path,
            fix=WAY_OUT,
        )

    def _keep_state(
        self, path: str, tensor: Any, label: str, axes: Axes, output: Any, step: int
    ) -> None:
        """Keep that a tensor is a state of a layer, if it has the shape of one step or of all."""
        without = tuple(axis for axis in axes if axis is not Axis.STEP)
        if tuple(tensor.shape) == tuple(output.shape) and Axis.STEP in axes:
            kept, at = axes, 0
        elif tensor.ndim == len(without):
            kept, at = without, step
        else:
            return
        shape = value_shape(kept, tensor.shape)
        formula = self.formulas.source(path, at, shape, label)
        self.remember(tensor, Traced(formula=formula, axes=kept))

    def _record(self, path: str, output: Any, axes: Axes, step: int | None) -> None:
        if step is None and Axis.STEP not in axes:
            return  # only what became of all steps
        self.sent.setdefault(path, []).append(_by_step(output, axes))

    # -------------------------------------------------------------- driving

    def drive(self, sample: np.ndarray) -> list[Given]:
        """Run the module on a sample, [step, *shape]; return its outputs."""
        import torch  # noqa: PLC0415 - only where a module runs

        # rockpool's modules answer `parameters()` in their own way.
        parameters = torch.nn.Module.parameters(self.module)
        like = next((p for p in parameters if p.is_floating_point()), None)
        values = torch.as_tensor(
            np.array(sample, np.float64),
            dtype=torch.float32 if like is None else like.dtype,
            device=None if like is None else like.device,
        )
        inner = (Axis.VALUE,) * (sample.ndim - 1)
        shape = tuple(int(side) for side in sample.shape[1:])
        if self.layout is Layout.STEPWISE:
            return self._stepwise(values, inner, shape)
        entry, axes, step = {
            Layout.TIME_FIRST: (values[:, None], (Axis.STEP, Axis.SAMPLE, *inner), 0),
            Layout.BATCH_FIRST: (values[None], (Axis.SAMPLE, Axis.STEP, *inner), 0),
            Layout.FLAT: (values, (Axis.STEP, *inner), 0),
            Layout.CONSTANT: (values[:1], (Axis.SAMPLE, *inner), None),
        }[self.layout]
        self.remember(entry, Traced(formula=self.formulas.source("", step, shape), axes=axes))
        given = self.call(entry)
        self._check_calls()
        return [self._over_time(place, tensor) for place, tensor in self._outputs(given)]

    def call(self, entry: Any, **states: Any) -> Any:
        """Call the module."""
        from torch import nn  # noqa: PLC0415 - only where a module runs

        # rockpool's own call gives states and records beside the output.
        rockpool = "rockpool" in packages_of(type(self.module))
        self.ours = False
        try:
            if rockpool:
                return nn.Module.__call__(self.module, entry, **states)
            return self.module(entry, **states)
        finally:
            self.ours = True

    def _stepwise(self, values: Any, inner: Axes, shape: Shape) -> list[Given]:
        wanted = _state_parameters(self.module)
        states: dict[str, Any] = dict.fromkeys(wanted)
        steps: list[list[tuple[str, Any]]] = []
        for step in range(len(values)):
            entry = values[step : step + 1]
            source = self.formulas.source("", step, shape)
            self.remember(entry, Traced(formula=source, axes=(Axis.SAMPLE, *inner)))
            given = self.call(entry, **states)
            if wanted and isinstance(given, tuple | list) and len(given) > 1:
                rest = given[1:]
                whole = len(wanted) == 1 and len(rest) > 1
                returned = (tuple(rest),) if whole else rest
                states = dict(zip(wanted, returned, strict=False))
                given = given[0]
            steps.append(self._outputs(given))
            self._check_step(step)
        self._check_calls()
        if len({len(outputs) for outputs in steps}) > 1:
            raise GraphError("the number of outputs changes from step to step", fix=WAY_OUT)
        return [self._each_step(column) for column in zip(*steps, strict=True)]

    def _check_step(self, step: int) -> None:
        for path, calls in self.calls.items():
            if len(calls) != step + 1:
                times = len(calls) - step
                raise GraphError(
                    f"these neurons are called {_times(times)} in step {step}, and keep one state",
                    where=path,
                    fix="make a layer of neurons for each call, and call it in every step",
                )

    def _check_calls(self) -> None:
        """Refuse neurons that are not called once in every step."""
        counts = {path: len(calls) for path, calls in self.calls.items()}
        if self.steps is None:
            self.steps = min(counts.values(), default=1)
        if self.steps < FEWEST_STEPS:
            raise GraphError(
                f"the module computes {counted(self.steps, 'step')} only, which does not show "
                "whether every step computes the same",
                where=type(self.module).__name__,
                fix=f"let it compute at least {FEWEST_STEPS} steps",
            )
        for path, times in counts.items():
            if times != self.steps:
                raise GraphError(
                    f"these neurons are called {_times(times)} in "
                    f"{counted(self.steps, 'step')}, and keep one state",
                    where=path,
                    fix="make a layer of neurons for each call, and call it in every step",
                )

    def _outputs(self, given: Any) -> list[tuple[str, Any]]:
        """Return the outputs: tensors that are no layer's states, if there are others."""
        found: list[tuple[str, Any]] = []
        parts = given if isinstance(given, tuple) else (given,)
        for place, part in enumerate(parts):
            found += [(f"output {place}", tensor) for tensor in self._joined(part)]
        values = [(place, self.known(tensor), tensor) for place, tensor in found]
        signals = [
            (place, tensor)
            for place, value, tensor in values
            if value is not None
            and not (isinstance(value, Traced) and membrane_of(value.formula) is not None)
        ]
        states = [
            (place, tensor)
            for place, value, tensor in values
            if isinstance(value, Traced) and membrane_of(value.formula) is not None
        ]
        chosen = signals or states[-1:]
        if not chosen:
            raise GraphError(
                "what the module returns is not made by its layers",
                where=type(self.module).__name__,
                fix=WAY_OUT,
            )
        return chosen

    def _joined(self, part: Any) -> list[Any]:
        """Return the tensors of a part of what a module returns: a list of all steps is one."""
        import torch  # noqa: PLC0415 - only where a module runs

        tensors = [tensor for _, tensor in tensors_in(part)]
        is_list = isinstance(part, list) and len(part) == len(tensors) == self.steps
        if (
            self.layout is Layout.STEPWISE
            or not is_list
            or any(self.known(t) is None for t in tensors)
        ):
            return tensors
        self.ours = False
        try:
            return [torch.stack(tensors)]
        finally:
            self.ours = True

    def _each_step(self, column: Sequence[tuple[str, Any]]) -> Given:
        """Return an output of a module that is called once per step."""
        values = []
        for place, tensor in column:
            value = self.known(tensor)
            if isinstance(value, Lost) or value is None:
                raise _not_followed(value, place, type(self.module).__name__)
            if value.over is not None or value.sequence:
                raise GraphError(f"{place} is not of one step", where=type(self.module).__name__)
            values.append(value)
        formula = self.sequence(values, "forward")
        if isinstance(formula, Lost):
            raise _not_followed(formula, column[0][0], type(self.module).__name__)
        if self.formulas.latest(formula) not in (0, None):
            raise GraphError(
                f"{column[0][0]} is what the step before gave", where=type(self.module).__name__
            )
        arrays = [
            _array(tensor).reshape(value_shape(value.axes, tensor.shape))
            for (_, tensor), value in zip(column, values, strict=True)
        ]
        return Given(formula=formula, over=None, values=np.stack(arrays))

    def _over_time(self, place: str, tensor: Any) -> Given:
        """Return an output of a module that is called once with all steps."""
        where = type(self.module).__name__
        value = self.known(tensor)
        if isinstance(value, Lost) or value is None:
            raise _not_followed(value, place, where)
        if value.sequence:
            given = Given(formula=value.formula, over=None, values=_by_step(tensor, value.axes))
        else:
            formula, over = value.formula, value.over
            if over is None:
                formula, over = self._gathered(value, place)
            array = _array(tensor).reshape(value_shape(value.axes, tensor.shape))
            given = Given(formula=formula, over=over, values=array)
        if self.formulas.latest(given.formula) not in (0, None):
            raise GraphError(f"{place} does not read the present step", where=where, fix=WAY_OUT)
        return given

    def _gathered(self, value: Traced, place: str) -> tuple[Formula, Over]:
        """Return what a value of no step in particular is: a sum over all steps, or the last."""
        steps = self.steps or 1
        formula = value.formula
        while isinstance(formula, Applied) and isinstance(formula.op.layer, Scale):
            if formula.op.layer.factor.ndim or not np.all(formula.op.layer.factor > 0):
                break
            formula = formula.value
        of_step: dict[int, list[Formula]] = {}
        for term in terms_of(formula):
            of_step.setdefault(self.formulas.latest(term) or 0, []).append(term)
        if sorted(of_step) == list(range(steps)) and steps > 1:
            relative = [
                self.formulas.at(self.formulas.total(*of_step[step]), -step)
                for step in range(steps)
            ]
            if self._unlike(relative) is None:
                return relative[-1], Over.SUM
        last = self.formulas.at(value.formula, 1 - steps)
        if self.formulas.latest(last) == 0 and all(s.step == 0 for s in sources_of(last)):
            return last, Over.LAST
        raise GraphError(
            f"{place} is neither of the last step nor a sum over all steps",
            where=type(self.module).__name__,
            fix="return what the layers gave in every step, or its sum or mean over the steps",
        )

    def result(self, outputs: list[Given]) -> Tracing:
        """Return what the run has shown.

        Raises:
            GraphError: a layer is fed otherwise in some steps.
        """
        entering = dict(self.whole)
        for path, formulas in self.calls.items():
            wrong = self._unlike(formulas)
            if wrong is not None:
                raise GraphError(
                    f"in step {wrong}, these neurons are fed by other layers than in the last step",
                    where=path,
                    fix="let every step compute the same; nothing may depend on the values or on "
                    "the number of the step",
                )
            entering[path] = formulas[-1]
        if len(self.waits) > 1:
            raise GraphError(
                "some biases act before the first values are fed back, others do not",
                where=type(self.module).__name__,
                fix="start all of them from zeros that go through the layers, or none",
            )
        return Tracing(
            layout=self.layout,
            steps=self.steps or 1,
            entering=entering,
            outputs=tuple(outputs),
            sent={path: np.concatenate(parts) for path, parts in self.sent.items()},
            explicit=frozenset(self.explicit),
            bias_waits=next(iter(self.waits), None),
        )


_IN_PLACE = frozenset({"__iadd__", "__isub__", "__imul__", "__itruediv__", "__setitem__"})

_WITHOUT_VALUE = frozenset({"backward", "requires_grad_"})

_DECODED = {
    "membrane-max": Over.MAX,
    "membrane-mean": Over.MEAN,
    "membrane-end": Over.LAST,
}


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


def _held(module: Any) -> list[tuple[str, Any]]:
    """Return the tensors among a layer's attributes, SpikingJelly's memories included."""
    held = vars(module)
    homes = (held, held.get("_buffers", {}), held.get("_memories", {}))
    return [
        (name, value)
        for home in homes
        for name, value in home.items()
        if hasattr(value, "data_ptr")
    ]


def _states(module: Any) -> list[tuple[Any, int]]:
    """Return the tensors that a layer holds beside its parameters, and their versions."""
    return [(tensor, tensor._version) for _, tensor in _held(module)]


def _same_tensors(before: list[tuple[Any, int]], now: list[tuple[Any, int]]) -> bool:
    return len(before) == len(now) and all(
        one is other and version == later
        for (one, version), (other, later) in zip(before, now, strict=True)
    )


def _array(tensor: Any) -> np.ndarray:
    return np.array(tensor.detach().cpu().double().numpy())


def _by_step(tensor: Any, axes: Axes) -> np.ndarray:
    """Return [step, *shape] of a tensor; of a value of one step [1, *shape]."""
    shape = value_shape(axes, tensor.shape)
    array = _array(tensor)
    if Axis.STEP in axes:
        array = np.moveaxis(array, axes.index(Axis.STEP), 0)
        return array.reshape(len(array), *shape)
    return array.reshape(1, *shape)


def _state_parameters(module: Any) -> list[str]:
    """Return the parameters of a module's forward that take the states of the step before."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())[1:]
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        p.name
        for p in parameters
        if p.kind in kinds and (p.default is None or p.default is inspect.Parameter.empty)
    ]


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _not_followed(value: Lost | None, what: str, where: str) -> UnknownNodeError:
    if value is None:
        message = f"{what} is not made by the network's layers"
    else:
        reason = f": {value.reason}" if value.reason else ""
        message = f"{what} is made by {value.function!r}, which cannot be followed{reason}"
    return UnknownNodeError(message, where=where, fix=WAY_OUT)


def _over_steps(over: Over, path: str) -> GraphError:
    return GraphError(
        f"the {over.value} over all steps enters this layer, which a chip that works step by step "
        "cannot compute",
        where=path,
        fix="apply the layer in every step, and return the sum or mean of what it gives",
    )
