"""Delays that a chip has: the same spikes, each population some steps later."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.words import counted
from snn_deploy.quantize.lag import chip_lags
from snn_deploy.quantize.passes import Passed
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Retime:
    """Pass: every projection takes at least the target's shortest delay.

    A population with lag L does in step t + L what it did in step t. A projection from a
    population of lag A to one of lag B gets B - A steps more, which lengthens the short branches
    of a join; biases start L steps later. Loops keep their delay. What becomes longer than the
    target's delays is left to `AddRelays`.
    """

    name: ClassVar[str] = "retime"

    target: Target

    def __call__(self, graph: Program) -> Passed[Program]:
        """Return `graph` with lags. All its lags are 0 so far.

        Raises:
            LoopTooShortError: a loop has less delay than the chip needs.
        """
        lag = chip_lags(graph, self.target)
        retimed = replace(
            graph,
            populations=tuple(_later(p, lag[p.name]) for p in graph.populations),
            projections=tuple(
                replace(p, delay=np.asarray(p.delay + lag[p.target] - lag[p.source]))
                for p in graph.projections
            ),
        )
        findings = [
            Finding(
                kind=Kind.RETIMED,
                layer=output.population,
                amount=f"output {output.name!r} comes "
                f"{counted(lag[output.population], 'step')} later",
                reason=f"{self.target.name} needs {counted(self.target.delay.low, 'step')} per "
                "projection; the spikes are the same",
            )
            for output in graph.outputs
            if lag[output.population]
        ]
        return Passed(graph=retimed, findings=tuple(findings))


def _later(population: Population, lag: int) -> Population:
    biases = tuple(replace(b, start=b.start + lag) for b in population.biases)
    return replace(population, biases=biases, lag=population.lag + lag)
