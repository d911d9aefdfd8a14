"""The rows of the benchmark as tables: means, paired intervals, losses."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rivals import Rule

RIVALS = tuple(rule.value for rule in Rule)
GOALS = {
    ("ours", 8): 0.2,
    ("ours", 4): 0.5,
    ("ours", 3): 2.0,
    ("fine-tuned", 3): 0.5,
    ("fine-tuned", 2): 2.0,
}
"""Largest loss of accuracy that is aimed at [points]."""

STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306,
           9: 2.262, 10: 2.228, 11: 2.201, 12: 2.179, 13: 2.160, 14: 2.145}  # fmt: skip
"""97.5 % quantile of Student's t by degrees of freedom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One program, measured."""

    task: str
    seed: int
    method: str
    bits: int
    target: str
    float_accuracy: float
    accuracy: float
    agreement: float
    mismatch: dict[str, float]
    overflows: int

    @property
    def change(self) -> float:
        """Accuracy above that of the real-valued network [points]."""
        return 100 * (self.accuracy - self.float_accuracy)

    @property
    def spikes(self) -> float:
        """Mean mismatch over the layers."""
        return float(np.mean([*self.mismatch.values()]))

    def record(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    def __str__(self) -> str:
        layers = " ".join(f"{share:.3f}" for share in self.mismatch.values())
        return (
            f"{self.task} {self.seed}, {self.bits} bits, {self.method}: {100 * self.accuracy:.2f} "
            f"% ({self.change:+.2f}), agreement {100 * self.agreement:.2f} %, mismatch {layers}"
        )


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return the mean of paired differences and half the width of its 95 % interval."""
    values = np.asarray(differences)
    if len(values) < 2:
        return float(values.mean()), math.nan
    quantile = STUDENT.get(len(values) - 1, 1.96)
    return float(values.mean()), quantile * float(values.std(ddof=1)) / math.sqrt(len(values))


def report(rows: Sequence[Row]) -> str:
    """Return all tables as markdown."""
    lines = [
        *_measured(rows),
        "",
        *_summary(rows),
        "",
        *_gains(rows),
        "",
        *_cells(rows),
        "",
        *_layers(rows),
    ]
    return "\n".join(lines) + "\n"


def _measured(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what was measured."""
    yield "# Integer weights of 8 to 2 bits"
    yield ""
    yield "Written by `run.py`; `README.md` says what is measured and how."
    yield ""
    for task in dict.fromkeys(row.task for row in rows):
        part = [row for row in rows if row.task == task]
        right = {row.seed: 100 * row.float_accuracy for row in part}
        each = ", ".join(f"{accuracy:.2f}" for _, accuracy in sorted(right.items()))
        yield f"- {task}: real-valued network {each} % (by seed)"


def _widths(rows: Sequence[Row]) -> list[int]:
    return sorted({row.bits for row in rows}, reverse=True)


def _methods(rows: Sequence[Row]) -> list[str]:
    """Return the rivals, then ours in the order of their first row."""
    named = dict.fromkeys(row.method for row in rows)
    return [m for m in RIVALS if m in named] + [m for m in named if m not in RIVALS]


def _mean(width: float, half: float) -> str:
    return f"{width:+.2f}" if math.isnan(half) else f"{width:+.2f} ± {half:.2f}"


def _summary(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the change of accuracy against the real-valued network, mean over all networks."""
    yield "## Change of accuracy against the real-valued network"
    yield ""
    yield (
        "Points, mean over all networks and seeds with its paired 95 % interval; then the worst "
        "task (mean over its seeds), the agreement with the real-valued network's answers and the "
        "mean mismatch of spikes; `over`: how often a register wrapped or saturated."
    )
    yield ""
    yield "| bits | method | networks | change | worst task | agreement | mismatch | over | goal |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for bits in _widths(rows):
        for method in _methods(rows):
            part = [r for r in rows if (r.bits, r.method) == (bits, method)]
            if part:
                yield _summary_line(part, bits, method)


def _summary_line(part: Sequence[Row], bits: int, method: str) -> str:
    mean, half = interval([r.change for r in part])
    tasks = dict.fromkeys(r.task for r in part)
    by_task = {t: float(np.mean([r.change for r in part if r.task == t])) for t in tasks}
    worst = min(by_task, key=lambda task: by_task[task])
    goal = GOALS.get((method, bits))
    reached = "" if goal is None else f"-{goal}: {'reached' if mean >= -goal else 'missed'}"
    return (
        f"| {bits} | {method} | {len(part)} | {_mean(mean, half)} | "
        f"{worst} {by_task[worst]:+.2f} | {100 * np.mean([r.agreement for r in part]):.1f} % | "
        f"{np.mean([r.spikes for r in part]):.3f} | "
        f"{sum(r.overflows for r in part)} | {reached} |"
    )


def _gains(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what our methods are better by than each rival, network by network."""
    yield "## Ours minus each of the three, paired by network and seed"
    yield ""
    yield "Points of accuracy, mean with its 95 % interval. Negative: worse."
    yield ""
    yield "| bits | method | " + " | ".join(f"- {rival}" for rival in RIVALS) + " |"
    yield "|---|---|" + "---|" * len(RIVALS)
    for bits in _widths(rows):
        for method in _methods(rows):
            if method in RIVALS:
                continue
            cells = [_mean(*interval(d)) for d in _paired(rows, bits, method) if d]
            if len(cells) == len(RIVALS):
                yield f"| {bits} | {method} | " + " | ".join(cells) + " |"


def _paired(rows: Sequence[Row], bits: int, method: str) -> Iterator[list[float]]:
    """Yield for each rival the differences over all networks."""
    found = {(r.task, r.seed, r.method): r.change for r in rows if r.bits == bits}
    for rival in RIVALS:
        yield [
            change - found[task, seed, rival]
            for (task, seed, name), change in found.items()
            if name == method and (task, seed, rival) in found
        ]


def _cells(rows: Sequence[Row]) -> Iterator[str]:
    """Yield one line per task, width and method of ours: win or loss against all three."""
    yield "## By task: better than each of the three?"
    yield ""
    yield (
        "Mean change of accuracy in points over the seeds, and in brackets the mean mismatch. "
        "`loss`: not better than each of the three; equal counts as a loss."
    )
    yield ""
    yield "| task | bits | " + " | ".join(_methods(rows)) + " | accuracy | spikes |"
    yield "|---|---|" + "---|" * (len(_methods(rows)) + 2)
    for task in dict.fromkeys(row.task for row in rows):
        for bits in _widths(rows):
            part = [r for r in rows if (r.task, r.bits) == (task, bits)]
            if part:
                yield _cell_line(part, task, bits, _methods(rows))


def _cell_line(part: Sequence[Row], task: str, bits: int, methods: Sequence[str]) -> str:
    change, spikes = (
        {m: float(np.mean([get(r) for r in part if r.method == m])) for m in methods
         if any(r.method == m for r in part)}
        for get in (lambda r: r.change, lambda r: r.spikes)
    )  # fmt: skip
    cells = [f"{change[m]:+.2f} ({spikes[m]:.3f})" if m in change else "" for m in methods]
    rivals, known = [m for m in RIVALS if m in change], "ours" in change
    accurate = known and all(change["ours"] > change[m] for m in rivals)
    faithful = known and all(spikes["ours"] < spikes[m] for m in rivals)
    verdicts = ["better" if good else "loss" for good in (accurate, faithful)]
    return f"| {task} | {bits} | " + " | ".join([*cells, *verdicts]) + " |"


def _layers(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the mismatch of every layer."""
    yield "## Mismatch of spikes by layer"
    yield ""
    yield (
        "Differing (step, neuron) entries over twice the spikes of the real-valued network, mean "
        "over the seeds, first layer first."
    )
    yield ""
    yield "| task | bits | " + " | ".join(_methods(rows)) + " |"
    yield "|---|---|" + "---|" * len(_methods(rows))
    for task in dict.fromkeys(row.task for row in rows):
        for bits in _widths(rows):
            part = [r for r in rows if (r.task, r.bits) == (task, bits)]
            if part:
                cells = [_by_layer([r for r in part if r.method == m]) for m in _methods(rows)]
                yield f"| {task} | {bits} | " + " | ".join(cells) + " |"


def _by_layer(part: Sequence[Row]) -> str:
    if not part:
        return ""
    means = np.mean([[*row.mismatch.values()] for row in part], axis=0)
    return " ".join(f"{mean:.3f}" for mean in means)
