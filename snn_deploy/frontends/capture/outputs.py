"""What a module returns: values of every step, or what it makes of all steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import GraphError
from snn_deploy.frontends.capture.axes import Layout, Lost, Over, Traced, value_shape
from snn_deploy.frontends.capture.called import array_of_tensor, by_step
from snn_deploy.frontends.capture.calls import WAY_OUT, membrane_of
from snn_deploy.frontends.capture.formulas import Applied, Formula, sources_of, terms_of
from snn_deploy.frontends.capture.trail import Trail, not_followed, tensors_in
from snn_deploy.frontends.layers import Scale


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
class Outputs:
    """Finds out what a module returns."""

    trail: Trail
    layout: Layout

    @property
    def _where(self) -> str:
        return type(self.trail.module).__name__

    def tensors(self, given: Any) -> list[tuple[str, Any]]:
        """Return the outputs: tensors that are no layer's states, if there are others.

        Raises:
            GraphError: no layer made what the module returns.
        """
        found: list[tuple[str, Any]] = []
        parts = given if isinstance(given, tuple) else (given,)
        for place, part in enumerate(parts):
            found += [(f"output {place}", tensor) for tensor in self._joined(part)]
        values = [(place, self.trail.known(tensor), tensor) for place, tensor in found]
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
                where=self._where,
                fix=WAY_OUT,
            )
        return chosen

    def _joined(self, part: Any) -> list[Any]:
        """Return the tensors of a part of what a module returns: a list of all steps is one."""
        import torch  # noqa: PLC0415 - only where a module runs

        tensors = [tensor for _, tensor in tensors_in(part)]
        is_list = isinstance(part, list) and len(part) == len(tensors) == self.trail.steps
        if (
            self.layout is Layout.STEPWISE
            or not is_list
            or any(self.trail.known(t) is None for t in tensors)
        ):
            return tensors
        with self.trail.module_runs():
            return [torch.stack(tensors)]

    def each_step(self, column: Sequence[tuple[str, Any]]) -> Given:
        """Return an output of a module that is called once per step.

        Raises:
            GraphError: it cannot be followed, or is not of the present step.
        """
        values = []
        for place, tensor in column:
            value = self.trail.known(tensor)
            assert value is not None  # `tensors` has chosen what is known
            if isinstance(value, Lost):
                raise not_followed(value, place, self._where)
            if value.over is not None or value.sequence:
                raise GraphError(f"{place} is not of one step", where=self._where)
            values.append(value)
        formula = self.trail.sequence(values, "forward")
        if isinstance(formula, Lost):
            raise not_followed(formula, column[0][0], self._where)
        if self.trail.formulas.latest(formula) not in (0, None):
            raise GraphError(f"{column[0][0]} is what the step before gave", where=self._where)
        arrays = [
            array_of_tensor(tensor).reshape(value_shape(value.axes, tensor.shape))
            for (_, tensor), value in zip(column, values, strict=True)
        ]
        return Given(formula=formula, over=None, values=np.stack(arrays))

    def over_time(self, place: str, tensor: Any) -> Given:
        """Return an output of a module that is called once with all steps.

        Raises:
            GraphError: it cannot be followed, or does not read the present step.
        """
        where = self._where
        value = self.trail.known(tensor)
        assert value is not None  # `tensors` has chosen what is known
        if isinstance(value, Lost):
            raise not_followed(value, place, where)
        if value.sequence:
            given = Given(formula=value.formula, over=None, values=by_step(tensor, value.axes))
        else:
            formula, over = value.formula, value.over
            if over is None:
                formula, over = self._gathered(value, place)
            array = array_of_tensor(tensor).reshape(value_shape(value.axes, tensor.shape))
            given = Given(formula=formula, over=over, values=array)
        if self.trail.formulas.latest(given.formula) not in (0, None):
            raise GraphError(f"{place} does not read the present step", where=where, fix=WAY_OUT)
        return given

    def _gathered(self, value: Traced, place: str) -> tuple[Formula, Over]:
        """Return what a value of no step in particular is: a sum over all steps, or the last."""
        steps = self.trail.steps or 1
        formula = value.formula
        while isinstance(formula, Applied) and isinstance(formula.op.layer, Scale):
            if formula.op.layer.factor.ndim or not np.all(formula.op.layer.factor > 0):
                break
            formula = formula.value
        of_step: dict[int, list[Formula]] = {}
        for term in terms_of(formula):
            of_step.setdefault(self.trail.formulas.latest(term) or 0, []).append(term)
        if sorted(of_step) == list(range(steps)) and steps > 1:
            relative = [
                self.trail.formulas.at(self.trail.formulas.total(*of_step[step]), -step)
                for step in range(steps)
            ]
            if self.trail.unlike(relative) is None:
                return relative[-1], Over.SUM
        last = self.trail.formulas.at(value.formula, 1 - steps)
        if self.trail.formulas.latest(last) == 0 and all(s.step == 0 for s in sources_of(last)):
            return last, Over.LAST
        raise GraphError(
            f"{place} is neither of the last step nor a sum over all steps",
            where=self._where,
            fix="return what the layers gave in every step, or its sum or mean over the steps",
        )
