"""What runs show: activity, agreement of simulators; findings as text."""

from dataclasses import dataclass
from typing import ClassVar

from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.verify import Comparison, Difference
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerActivity:
    """How active one population was, mean per sample."""

    layer: str
    neurons: int
    spikes: float
    """Payload sent per sample; of spikes with a sign, their number."""

    active: float
    """Share of neurons and steps in which something was sent, 0..1."""

    overflows: int
    """Times that a register wrapped or saturated, over all samples."""

    proven: bool
    """Whether none can in as many steps, whatever comes in: the range proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification(ShownTable):
    """The result of `verify`: every state of every neuron and step, backend by backend."""

    artifact: str
    samples: int
    steps: int
    comparisons: tuple[Comparison, ...]
    overflows: int
    """Times that a register wrapped or saturated; all backends agree on the states even so."""

    derived: ClassVar[tuple[str, ...]] = ("equal",)

    @property
    def equal(self) -> bool:
        """Whether every backend agrees on every state."""
        return all(comparison.equal for comparison in self.comparisons)

    def __str__(self) -> str:
        width = max(len(c.second) for c in self.comparisons)
        lines = [f"{counted(self.samples, 'sample')}, {counted(self.steps, 'step')} each"]
        for comparison in self.comparisons:
            title = f"{comparison.first} = {comparison.second:{width}}"
            if comparison.difference is None:
                lines.append(f"{title}  bit-exact over {comparison.states:,} states")
            else:
                lines.append(f"{title}  DIFFERENT".replace(" = ", " / ", 1))
                lines += _difference(comparison, comparison.difference, self.artifact)
        if self.overflows:
            lines.append(f"note: registers wrapped or saturated {self.overflows:,} times")
        return "\n".join(lines)


def _difference(comparison: Comparison, found: Difference, artifact: str) -> list[str]:
    lines = [
        f"  first at  {found.population}{list(found.neuron)}, sample {found.sample}, "
        f"{_step(found.step, found.own)}, {found.state.value}",
        f"  {comparison.first:9} {found.expected}",
        f"  {comparison.second:9} {found.got}",
    ]
    if found.before:
        states = ", ".join(f"{name} {value}" for name, value in found.before.items())
        lines.append(f"  step before: {states}")
    lines.append(f"  arrived: {found.arrived_in_all} payloads")
    lines += [
        f"    {e.source}{list(e.neuron)} sent {e.payload} in {_step(e.sent, e.own)}, "
        f"weight {e.weight}"
        for e in found.arrived
    ]
    lines.append(
        f"  replay: snn-deploy verify {artifact} --input FILE --against {comparison.second} "
        f"--first {found.sample} --samples 1"
    )
    return lines


def _step(step: int, own: int | None) -> str:
    """Return a step of the network, and of the chip where that has another number."""
    if own == step:
        return f"step {step}"
    if own is None:
        return f"step {step} on the chip, which is none of the network"
    return f"step {own} ({step} on the chip)"


def findings_text(findings: tuple[Finding, ...]) -> str:
    """Return the findings as lines under a heading; nothing where there are none."""
    if not findings:
        return ""
    lines = [f"\n\n{counted(len(findings), 'finding')}"]
    for found in findings:
        lines.append(f"  {found.kind.value:9}  {found.layer or '(network)'}: {found.amount}")
        lines.append(f"             {found.reason}")
    return "\n".join(lines)
