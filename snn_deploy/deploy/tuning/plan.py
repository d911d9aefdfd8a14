"""What a search would do: what `tune --dry-run` returns."""

from dataclasses import dataclass

from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningPlan(ShownTable):
    """The result of `tune` where nothing is to be searched yet."""

    name: str
    target: str
    aims: tuple[str, ...]
    max_drop: float
    """Accuracy that the chosen setting may lose [points]."""

    trials: int
    sampler: str
    knobs: tuple[str, ...]
    """What is turned, and how far."""

    chosen_on: str
    tested_on: str
    folder: str
    files: tuple[str, ...]
    """What the search would write there."""

    goes_on: bool
    """Whether a search was begun in the folder, whose trials would count."""

    def __str__(self) -> str:
        rows = [("knobs" if not n else "", knob) for n, knob in enumerate(self.knobs)]
        rows += [("chosen on", self.chosen_on), ("tested on", self.tested_on)]
        rows.append(("allowed", f"{self.max_drop:g} points of accuracy less"))
        begin = "go on with the search in" if self.goes_on else "write"
        aims = ", ".join(self.aims)
        return (
            f"{self.name} for {self.target}: would try {counted(self.trials, 'setting')} "
            f"({self.sampler}) for less {aims}\n\n{aligned(rows)}\n\n"
            f"would {begin} {self.folder}: {', '.join(self.files)}"
        )
