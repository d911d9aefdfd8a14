"""What the commands return: one documented record each, for JSON, and from it the human text."""

from dataclasses import dataclass
from typing import Any, ClassVar

from snn_deploy.deploy.ann import AnnComparison
from snn_deploy.deploy.core_choices import Choices
from snn_deploy.deploy.energy import Estimate
from snn_deploy.deploy.energy.text import estimate_text
from snn_deploy.deploy.neurobench import NeuroBench
from snn_deploy.deploy.outcomes import LayerActivity, findings_text
from snn_deploy.deploy.ranges import Ranges
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one output says of every sample."""

    output: str
    predicted: tuple[int, ...]
    """Class of each sample."""

    correct: int | None
    """Samples with the right class, where the data has labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation(ShownTable):
    """The result of `simulate`."""

    backend: str
    samples: int
    steps: int
    lag: int
    activity: tuple[LayerActivity, ...]
    answers: tuple[Answer, ...]
    left_after: float | None = None
    """Steps after which samples were left in the mean, with early exit; activity is of all."""

    def __str__(self) -> str:
        rows = [("layer", "neurons", "spikes/sample", "active", "overflows", "ruled out")]
        rows += [
            (
                *(a.layer, f"{a.neurons}", f"{a.spikes:.1f}", f"{a.active:.1%}"),
                *(f"{a.overflows}", "proven" if a.proven else "no"),
            )
            for a in self.activity
        ]
        lines = [
            f"{counted(self.samples, 'sample')} of {counted(self.steps, 'step')} (+{self.lag} lag) "
            f"on {self.backend}",
            "",
            aligned(rows, right=(1, 2, 3, 4)),
            "",
        ]
        for answer in self.answers:
            name = f" of {answer.output}" if len(self.answers) > 1 else ""
            shown = " ".join(map(str, answer.predicted[:20]))
            lines.append(f"class{name}    {shown}{' ...' if self.samples > 20 else ''}")
            if answer.correct is not None:
                lines.append(f"correct{name}  {answer.correct} of {self.samples}")
        if self.left_after is not None:
            lines.append(
                f"early exit after {self.left_after:.2f} steps in the mean; activity is of all "
                f"{self.steps}"
            )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyEstimate(ShownTable):
    """The result of `estimate`."""

    estimate: Estimate
    ann: AnnComparison
    neurobench: NeuroBench | None = None
    """None: it was not asked for."""

    derived: ClassVar[tuple[str, ...]] = ("value", "low", "high")

    @property
    def value(self) -> float:
        """Mean per sample [J]."""
        return self.estimate.value

    @property
    def low(self) -> float:
        """The least that it may be [J]."""
        return self.estimate.low

    @property
    def high(self) -> float:
        """The most that it may be [J]."""
        return self.estimate.high

    def __str__(self) -> str:
        lines = [estimate_text(self.estimate), "", str(self.ann)]
        if self.neurobench is not None:
            lines += ["", str(self.neurobench)]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(ShownTable):
    """Rows under headings, such as the targets."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __str__(self) -> str:
        table = aligned([self.headings, *self.rows])
        return f"{table}\n\n{self.note}" if self.note else table


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(ShownTable):
    """A result that is a text."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection(ShownTable):
    """The result of `inspect`: a model or an artifact as text."""

    title: str
    text: str
    findings: tuple[Finding, ...]
    ranges: Ranges | None = None
    """The range proof of an artifact's program; None: the file holds none."""

    choices: Choices | None = None
    """The numbers of cores that an artifact can be mapped to, where they were asked for."""

    def __str__(self) -> str:
        parts = (self.text.rstrip(), self.choices, self.ranges)
        shown = "\n\n".join(str(part) for part in parts if part is not None)
        return f"{self.title}\n\n{shown}{findings_text(self.findings)}"


LAYER_HEADINGS = (
    "layer",
    "projection",
    "weights",
    "clipped",
    "zeroed",
    "threshold off",
    "decay off",
    "same spikes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The result of `export`, as printed."""

    name: str
    target: str
    folder: str
    written: bool
    digest: str
    files: dict[str, int]
    """Bytes of each file."""

    lag: int
    layers: tuple[dict[str, Any], ...]
    findings: tuple[Finding, ...]
    ranges: Ranges
    cores: str = ""
    """The map of cores in two lines; empty: there is none."""

    left_out: str = ""
    """What is not among the files, and how to have it; empty: nothing."""

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [LAYER_HEADINGS]
        for layer in self.layers:
            rows += layer_rows(layer)
        did = "wrote" if self.written else "would write"
        total = sum(self.files.values())
        lines = [
            f"{self.name} for {self.target}, program {self.digest[:12]}, output lag {self.lag}",
            "",
            *([aligned(rows, right=(2, 3, 4, 5, 6, 7))] if self.layers else []),
            *(["", self.cores, ""] if self.cores else []),
            findings_text(self.findings).lstrip("\n"),
            "",
            f"{did} {self.folder or '(memory)'}: {len(self.files)} files, {total:,} bytes",
            *([self.left_out] if self.left_out else []),
        ]
        return "\n".join(lines)


def layer_rows(layer: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of one population in the export's table, one per projection into it."""
    agreement = layer.get("agreement")
    rows: list[tuple[str, ...]] = []
    for index, projection in enumerate(layer["projections"]):
        snr = projection["snr_db"]
        rows.append(
            (
                layer["name"] if index == 0 else "",
                projection["name"],
                "exact" if snr is None else f"{snr:.1f} dB",
                f"{projection['clipped']:.1%}",
                f"{projection['zeroed']:.1%}",
                _percent(layer["threshold_error"]) if index == 0 else "",
                _percent(layer["decay_error"]) if index == 0 else "",
                "" if agreement is None or index else f"{agreement:.2%}",
            )
        )
    return rows


def _percent(error: float | None) -> str:
    return "lost" if error is None else f"{error:.3%}"
