"""Delays that a chip has: the same spikes, each population some steps later."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from snn_deploy.errors import LoopTooShortError
from snn_deploy.ir.checks import LARGEST
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.timing import Restart, Window
from snn_deploy.ir.words import counted
from snn_deploy.quantize.lag import chip_lags, chip_period
from snn_deploy.quantize.passes import Passed
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Retime:
    """Pass: every projection takes at least the target's shortest delay.

    A population with lag L does in step t + L what it did in step t. A projection from a
    population of lag A to one of lag B gets B - A steps more, which lengthens the short branches
    of a join; biases, tables, windows and restarts come L steps later. Loops keep their delay. What
    becomes longer than the target's delays is left to `AddRelays`.

    Where each step of the network takes P steps of the chip, all delays and times are P times as
    long before that, so that loops get the delay that they lack.
    """

    name: ClassVar[str] = "retime"

    target: Target
    dilation: int | None = 1
    """Steps of the chip for each step of the network; None: the fewest that its loops need."""

    def __call__(self, graph: Program) -> Passed[Program]:
        """Return `graph` with lags. All its lags are 0 so far.

        Raises:
            LoopTooShortError: a loop has less delay than the chip needs.
        """
        period = chip_period(graph, self.target, self.dilation)
        lag = chip_lags(graph, self.target, period)
        retimed = replace(
            graph,
            populations=tuple(_later(p, lag[p.name], period) for p in graph.populations),
            projections=tuple(
                replace(p, delay=np.asarray(period * p.delay + lag[p.target] - lag[p.source]))
                for p in graph.projections
            ),
            period=period,
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
        return Passed(graph=retimed, findings=(*self._dilated(graph, period), *findings))

    def _dilated(self, graph: Program, period: int) -> Iterator[Finding]:
        """Yield what a network whose steps take several on the chip should tell."""
        if period == 1:
            return
        reason = "as asked for"
        try:
            chip_lags(graph, self.target, period - 1)
        except LoopTooShortError as short:
            reason = f"the loop {short.where} has too little delay for {self.target.name}"
        yield Finding(
            kind=Kind.RETIMED,
            layer="",
            amount=f"each step of the network takes {period} on the chip, so that it runs "
            f"{period} times as long",
            reason=f"{reason}; the spikes are the same",
        )


def _later(population: Population, lag: int, period: int) -> Population:
    """Return the population with all its times in steps of the chip, `lag` later."""

    def moved(step: int) -> int:
        return period * step + lag

    window, restart = population.window, population.restart
    if window is not None:
        window = Window(
            first=min(moved(window.first), LARGEST), behind=min(moved(window.behind), LARGEST)
        )
    if restart is not None:
        interval = period * restart.interval
        restart = Restart(interval=interval, offset=moved(restart.offset) % interval)
    return replace(
        population,
        biases=tuple(replace(b, start=moved(b.start)) for b in population.biases),
        tables=tuple(replace(t, start=moved(t.start)) for t in population.tables),
        window=window,
        restart=restart,
        lag=lag,
    )
