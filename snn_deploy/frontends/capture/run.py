"""Runs a module on a sample and writes down which layer got what, as formulas.

Layers that a frontend reads are watched by hooks (`called.py`), everything between them by
torch's function mode, which sees each call of a torch function (`trail.py`).
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import DeployError, GraphError, ModelError
from snn_deploy.frontends.capture.axes import Axes, Axis, Layout, Traced
from snn_deploy.frontends.capture.called import LayerCalls, times_in_words
from snn_deploy.frontends.capture.calls import WAY_OUT
from snn_deploy.frontends.capture.formulas import Formula, Formulas
from snn_deploy.frontends.capture.keep import unchanged
from snn_deploy.frontends.capture.leaves import JOINING, packages_of, reset
from snn_deploy.frontends.capture.outputs import Given, Outputs
from snn_deploy.frontends.capture.trail import Trail, is_ours
from snn_deploy.frontends.registry import short_name
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.words import counted

FEWEST_STEPS = 3
"""Steps that a run must have: fewer do not show whether every step computes the same."""


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
    steps = None if layout is Layout.CONSTANT else len(sample)
    trail = Trail(module=module, formulas=formulas, steps=steps)
    calls = LayerCalls(trail=trail)
    run = _Run(trail=trail, calls=calls, outputs=Outputs(trail=trail, layout=layout), layout=layout)
    try:
        with unchanged(module):
            reset(module)
            calls.watch()
            with trail.watching():
                return run.result(run.drive(sample))
    except DeployError as error:
        raise Refused(trail.error or error, calls.number) from error
    except Exception as error:  # whatever the user's module raises
        if trail.error is not None:
            raise Refused(trail.error, calls.number) from error
        if is_ours(error):
            raise
        refusal = ModelError(
            f"the module raises {type(error).__name__}: {error}",
            where=calls.last or type(module).__name__,
            fix=f"it was run on a sample of {counted(len(sample), 'step')}, {layout.value}; "
            "give sample= as it takes it, and layout= if that is not how",
        )
        raise Refused(refusal, calls.number) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One run of a module."""

    trail: Trail
    calls: LayerCalls
    outputs: Outputs
    layout: Layout

    def drive(self, sample: np.ndarray) -> list[Given]:
        """Run the module on a sample, [step, *shape]; return its outputs."""
        import torch  # noqa: PLC0415 - only where a module runs

        # rockpool's modules answer `parameters()` in their own way.
        parameters = torch.nn.Module.parameters(self.trail.module)
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
        self.trail.remember(
            entry, Traced(formula=self.trail.formulas.source("", step, shape), axes=axes)
        )
        given = self.call(entry)
        self._check_calls()
        return [
            self.outputs.over_time(place, tensor) for place, tensor in self.outputs.tensors(given)
        ]

    def call(self, entry: Any, **states: Any) -> Any:
        """Call the module."""
        from torch import nn  # noqa: PLC0415 - only where a module runs

        # rockpool's own call gives states and records beside the output.
        rockpool = "rockpool" in packages_of(type(self.trail.module))
        with self.trail.module_runs():
            if rockpool and short_name(self.trail.module) in JOINING:  # these have no forward
                return self.trail.module(entry, **states)[0]
            if rockpool:
                return nn.Module.__call__(self.trail.module, entry, **states)
            return self.trail.module(entry, **states)

    def _stepwise(self, values: Any, inner: Axes, shape: Shape) -> list[Given]:
        wanted = _state_parameters(self.trail.module)
        states: dict[str, Any] = dict.fromkeys(wanted)
        steps: list[list[tuple[str, Any]]] = []
        for step in range(len(values)):
            entry = values[step : step + 1]
            source = self.trail.formulas.source("", step, shape)
            self.trail.remember(entry, Traced(formula=source, axes=(Axis.SAMPLE, *inner)))
            given = self.call(entry, **states)
            if wanted and isinstance(given, tuple | list) and len(given) > 1:
                rest = given[1:]
                whole = len(wanted) == 1 and len(rest) > 1
                returned = (tuple(rest),) if whole else rest
                states = dict(zip(wanted, returned, strict=False))
                given = given[0]
            steps.append(self.outputs.tensors(given))
            self._check_step(step)
        self._check_calls()
        if len({len(outputs) for outputs in steps}) > 1:
            raise GraphError("the number of outputs changes from step to step", fix=WAY_OUT)
        return [self.outputs.each_step(column) for column in zip(*steps, strict=True)]

    def _check_step(self, step: int) -> None:
        for path, calls in self.calls.entered.items():
            if len(calls) != step + 1:
                times = len(calls) - step
                raise GraphError(
                    f"these neurons are called {times_in_words(times)} in step {step}, and keep "
                    "one state",
                    where=path,
                    fix="make a layer of neurons for each call, and call it in every step",
                )

    def _check_calls(self) -> None:
        """Refuse neurons that are not called once in every step."""
        counts = {path: len(calls) for path, calls in self.calls.entered.items()}
        if self.trail.steps is None:
            self.trail.steps = min(counts.values(), default=1)
        if self.trail.steps < FEWEST_STEPS:
            raise GraphError(
                f"the module computes {counted(self.trail.steps, 'step')} only, which does not "
                "show whether every step computes the same",
                where=type(self.trail.module).__name__,
                fix=f"let it compute at least {FEWEST_STEPS} steps",
            )
        for path, times in counts.items():
            if times != self.trail.steps:
                raise GraphError(
                    f"these neurons are called {times_in_words(times)} in "
                    f"{counted(self.trail.steps, 'step')}, and keep one state",
                    where=path,
                    fix="make a layer of neurons for each call, and call it in every step",
                )

    def result(self, outputs: list[Given]) -> Tracing:
        """Return what the run has shown.

        Raises:
            GraphError: a layer is fed otherwise in some steps.
        """
        entering = dict(self.calls.whole)
        for path, formulas in self.calls.entered.items():
            wrong = self.trail.unlike(formulas)
            if wrong is not None:
                raise GraphError(
                    f"in step {wrong}, these neurons are fed by other layers than in the last step",
                    where=path,
                    fix="let every step compute the same; nothing may depend on the values or on "
                    "the number of the step",
                )
            entering[path] = formulas[-1]
        if len(self.trail.waits) > 1:
            raise GraphError(
                "some biases act before the first values are fed back, others do not",
                where=type(self.trail.module).__name__,
                fix="start all of them from zeros that go through the layers, or none",
            )
        return Tracing(
            layout=self.layout,
            steps=self.trail.steps or 1,
            entering=entering,
            outputs=tuple(outputs),
            sent={path: np.concatenate(parts) for path, parts in self.calls.sent.items()},
            explicit=frozenset(self.calls.explicit),
            bias_waits=next(iter(self.trail.waits), None),
        )


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
