"""How often each neuron sends: what the load of a core is estimated from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Trace, Values, by_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Messages that each input value and each neuron sends in a step, on average."""

    rates: Mapping[str, Float64[np.ndarray, " neuron"]]
    """By input or population, in C order."""

    measured: bool = True


def measured(
    program: Program, inputs: Sequence[Values], trace: Trace, steps: int | None = None
) -> Activity:
    """Return the activity of a run.

    Args:
        program: What was run.
        inputs: What it was given, [sample, step, *shape].
        trace: Its trace.
        steps: Steps of a sample; None: all that were run.
    """
    whole = trace.steps if steps is None else steps
    rates = {}
    for entry in program.inputs:
        values = by_name(inputs, entry.name)
        sent = np.count_nonzero(values, axis=(0, 1)).ravel()
        rates[entry.name] = sent / (values.shape[0] * whole)
    for population in program.populations:
        rates[population.name] = trace[population.name].events.mean(axis=0).ravel() / whole
    return Activity(rates=rates)


ASSUMED_RATE = 0.1
"""Messages of a neuron in a step where nothing was measured. Only relations between cores count;
this one is between work per neuron and work per message."""


def assumed(program: Program) -> Activity:
    """Return an activity that is the same for every source."""
    rates = {node.name: np.full(node.size, ASSUMED_RATE) for node in program.nodes}
    return Activity(rates=rates, measured=False)
