"""Which neurons of a time-dilated program a chip cannot hold between the steps of the network."""

from dataclasses import dataclass
from typing import ClassVar

from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.phases import why_not_still
from snn_deploy.ir.program import Program
from snn_deploy.quantize.passes import Passed
from snn_deploy.targets import Feature, Support, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPhases:
    """Pass: the same program, with a finding for neurons that would move between its steps.

    A chip that holds neurons until their lag can hold them between steps too.
    """

    name: ClassVar[str] = "check-phases"

    target: Target

    def __call__(self, graph: Program) -> Passed[Program]:
        """Return `graph`."""
        gated = self.target.support(Feature.START_GATE) is Support.NATIVE
        if graph.period == 1 or gated:
            return Passed(graph=graph)
        reasons = {p.name: why_not_still(p, graph.arithmetic) for p in graph.populations}
        findings = tuple(
            Finding(
                kind=Kind.SIMULATED,
                layer=name,
                amount=f"{reason} must wait between the steps of the network",
                reason=f"{self.target.title} has no neurons that wait, its simulators have",
            )
            for name, reason in reasons.items()
            if reason
        )
        return Passed(graph=graph, findings=findings)
