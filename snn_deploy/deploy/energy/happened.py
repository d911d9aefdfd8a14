"""What every input and neuron did in each step of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from snn_deploy.deploy.energy.arrivals import arrived
from snn_deploy.deploy.energy.updates import updated
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.trace import Trace, Values, by_name

Mask = Bool[np.ndarray, "sample run _neuron"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Masks of all steps of a run, those before a population's lag and after its samples too."""

    sent: Mapping[str, Mask]
    """Where an input or a neuron sends something."""

    graded: Mapping[str, Mask]
    """Where what it sends is neither 1 nor -1; absent for those that never send such."""

    updated: Mapping[str, Mask]
    """Where a neuron of a population is updated."""

    @classmethod
    def of(cls, program: Program, inputs: Sequence[Values], trace: Trace) -> "Happened":
        """Return what happened in a run.

        Args:
            program: What was run.
            inputs: What it was given, [sample, step, *shape].
            trace: Its trace, with every state.

        Raises:
            ValueError: a state was not recorded.
        """
        sent, graded = {}, {}
        for node in program.nodes:
            if isinstance(node, Population):
                payload = trace[node.name].payload
                if payload is None:
                    raise ValueError(f"a state of {node.name} was not recorded")
            else:
                given = by_name(inputs, node.name)
                payload = np.zeros((len(given), trace.steps, *given.shape[2:]), given.dtype)
                payload[:, : given.shape[1]] = given
            payload = payload.reshape(*payload.shape[:2], -1)
            sent[node.name] = payload != 0
            several = (payload > 1) | (payload < -1)
            if several.any():
                graded[node.name] = several
        moved = {
            p.name: updated(program, p, trace[p.name], arrived(program, p, sent))
            for p in program.populations
        }
        return cls(sent=sent, graded=graded, updated=moved)
