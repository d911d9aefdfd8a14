"""What an evaluation would run and keep: what `evaluate --dry-run` returns."""

from dataclasses import dataclass
from pathlib import Path

from snn_deploy.deploy.evaluating_journal import finished
from snn_deploy.deploy.evaluating_work import Work, heading_of
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.ir.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan(ShownTable):
    """The result of `evaluate` where nothing is to be run yet."""

    name: str
    backend: str
    output: str
    """Name of the output that would be judged."""

    real: bool
    """Whether the real-valued network would be run too."""

    data: str
    """File or folder; empty: in memory."""

    first: int
    """Number of the first sample."""

    samples: int
    steps: int
    """Of the first sample, before the program's lag."""

    block: int
    """Samples of a block; the last one may have fewer."""

    blocks: int
    journal: str
    """File that would keep the finished blocks; empty: none."""

    finished: int | None
    """Blocks that the journal has; None: it would be made."""

    def __str__(self) -> str:
        values = "in integers and in real values" if self.real else "in integers"
        where = f" of {self.data}" if self.data else ""
        size = counted(self.block, "sample")
        return (
            f"{self.name}: would run samples {self.first} to {self.first + self.samples - 1}"
            f"{where}, {counted(self.steps, 'step')} each, {values} ({self.backend})\n"
            f"in {counted(self.blocks, 'block')} of {size}, for the answers of {self.output}\n"
            f"{self._kept()}"
        )

    def _kept(self) -> str:
        if not self.journal:
            return "would write nothing: --journal FILE keeps finished blocks"
        if self.finished is None:
            return f"would write {self.journal}: a line for each block"
        return f"would go on with {self.journal}: {self.finished} of {self.blocks} blocks are there"


def planned(work: Work, kept: Path | None) -> EvaluationPlan:
    """Return what `evaluate` would run and write; nothing is written.

    Raises:
        OptionError: the journal is of something else, or in use.
        DataError: it is no journal.
        CannotWriteError: it could not be written.
    """
    question, plan = work.question, work.plan
    return EvaluationPlan(
        name=work.deployment.program.name,
        backend=question.backend,
        output=question.output,
        real=question.real,
        data=work.source.where,
        first=plan.first,
        samples=plan.samples,
        steps=work.steps,
        block=plan.size,
        blocks=plan.blocks,
        journal="" if kept is None else str(kept),
        finished=None if kept is None else finished(kept, lambda: heading_of(work)),
    )
