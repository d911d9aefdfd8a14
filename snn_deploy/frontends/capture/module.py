"""From a module of the user's own class to layers: it is run, and what its layers got is followed.

`run.py` runs it and writes down formulas, `graph.py` makes layers of them. A run on
a second sample must give the same formulas, and `comparison.py` compares the spikes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import GraphError, OptionError
from snn_deploy.frontends.capture.axes import Layout
from snn_deploy.frontends.capture.formulas import Formulas
from snn_deploy.frontends.capture.graph import build
from snn_deploy.frontends.capture.leaves import Takes, leaves, takes
from snn_deploy.frontends.capture.run import FEWEST_STEPS, Refused, Tracing, trace
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.ir.arrays import REAL
from snn_deploy.ir.maps import Shape

SAMPLE_STEPS = 16
"""Steps of a sample that is made from its shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The layers of a module that was run."""

    graph: LayerGraph
    layout: Layout
    """How the module takes a sample."""

    steps: int
    """That its layers have computed."""


def capture(module: Any, sample: np.ndarray, *, layout: Layout | None = None) -> Captured:
    """Return the layers of a torch module, found by running it. The module stays as it was.

    Args:
        module: Of any class; its layers are of those that frontends read.
        sample: What enters it, [step, *shape].
        layout: How the module takes it; None: by the conventions of its layers' frameworks, or
            the first that can be followed.

    Raises:
        OptionError: a sample that cannot be one.
        ModelError: the module raises, or what it does cannot be followed.
    """
    values = checked_sample(sample)
    formulas = Formulas()
    seen = attempt(module, values, layout, formulas)
    again = _again(module, _other(values), seen, formulas)
    if again != _identity(seen):
        raise GraphError(
            "the module computes something else for another sample",
            where=type(module).__name__,
            fix="let nothing that is computed depend on the values: no branches, no random choices",
        )
    shape = tuple(int(side) for side in values.shape[1:])
    graph = build(module, seen, formulas, shape)
    return Captured(graph=graph, layout=seen.layout, steps=seen.steps)


def attempt(module: Any, sample: np.ndarray, layout: Layout | None, formulas: Formulas) -> Tracing:
    """Return what a run of a module shows, in the first layout in which it can be followed.

    Raises:
        ModelError: of the layout in which the run came furthest.
    """
    refusals: list[Refused] = []
    for candidate in candidates(module) if layout is None else (layout,):
        try:
            return trace(module, sample, candidate, formulas)
        except Refused as refused:
            refusals.append(refused)
    furthest = max(refusals, key=lambda refused: refused.progress)
    raise furthest.error from furthest


def candidates(module: Any) -> Sequence[Layout]:
    """Return the layouts that a module may take, the likeliest first."""
    wanted = {takes(layer) for _, layer in leaves(module)}
    if Takes.FLAT in wanted:
        return (Layout.BATCH_FIRST, Layout.FLAT, Layout.TIME_FIRST, Layout.STEPWISE)
    if Takes.BATCH_FIRST in wanted:
        return (Layout.BATCH_FIRST, Layout.TIME_FIRST, Layout.STEPWISE, Layout.CONSTANT)
    if Takes.TIME_FIRST in wanted:
        return (Layout.TIME_FIRST, Layout.BATCH_FIRST, Layout.CONSTANT, Layout.STEPWISE)
    return (Layout.STEPWISE, Layout.TIME_FIRST, Layout.BATCH_FIRST, Layout.CONSTANT)


def sample_of(shape: Shape, steps: int = SAMPLE_STEPS) -> np.ndarray:
    """Return a sample made by a seeded generator: half of its values are zero, the others in
    0..1, as float32 has them; [step, *shape]."""
    generator = np.random.default_rng(0)
    values = generator.random((steps, *shape)) * (generator.random((steps, *shape)) < 0.5)
    return values.astype(np.float32).astype(np.float64)


def checked_sample(sample: np.ndarray) -> np.ndarray:
    """Return a sample as real numbers, [step, *shape].

    Raises:
        OptionError: it has too few steps, no values, or some that are not finite numbers.
    """
    values = np.asarray(sample)
    if values.ndim < 2 or values.size == 0 or values.dtype.kind not in "biuf":
        raise OptionError(
            f"a sample of shape {values.shape} and type {values.dtype}",
            where="sample",
            fix="give numbers [step, ...shape of a step]",
        )
    if len(values) < FEWEST_STEPS:
        raise OptionError(
            f"a sample of {len(values)} steps does not show whether every step computes the same",
            where="sample",
            fix=f"give at least {FEWEST_STEPS} steps",
        )
    real = values.astype(REAL)
    if not np.all(np.isfinite(real)):
        raise OptionError("a sample with numbers that are not finite", where="sample")
    return real


def _other(sample: np.ndarray) -> np.ndarray:
    """Return another sample of the same numbers."""
    return np.random.default_rng(1).permutation(sample.ravel()).reshape(sample.shape)


def _again(
    module: Any, sample: np.ndarray, seen: Tracing, formulas: Formulas
) -> tuple[object, ...]:
    try:
        return _identity(trace(module, sample, seen.layout, formulas))
    except Refused as refused:
        raise refused.error from refused


def _identity(tracing: Tracing) -> tuple[object, ...]:
    """Return what two runs of the same network have in common."""
    entering = tuple(sorted((path, f.number) for path, f in tracing.entering.items()))
    outputs = tuple((given.formula.number, given.over) for given in tracing.outputs)
    return (entering, outputs, tracing.steps, tracing.explicit, tracing.bias_waits)
