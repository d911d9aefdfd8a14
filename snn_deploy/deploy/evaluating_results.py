"""What `evaluate` returns: answers counted, classes confused, layers' activity."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from snn_deploy.deploy.outcomes import LayerActivity
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.words import counted

Z95 = 1.959963984540054
"""Of the standard normal distribution, 95 % lies within plus and minus this."""

MATRIX_CLASSES = 12
"""With more classes only the most frequent confusions are shown."""

PAIRS = 10
"""How many of them."""


def interval(right: int, samples: int) -> tuple[float, float]:
    """Return the 95 % interval of a share: Wilson's score interval.

    Wilson 1927, Journal of the American Statistical Association 22:209-212; recommended by Brown,
    Cai and DasGupta 2001, Statistical Science 16:101-133, for few and for many samples.

    Args:
        right: Samples that count.
        samples: All samples, at least one.

    Returns:
        Lower and upper end, 0..1.
    """
    share, square = right / samples, Z95**2 / samples
    middle = (share + square / 2) / (1 + square)
    half = Z95 * math.sqrt(share * (1 - share) / samples + square / (4 * samples)) / (1 + square)
    low = 0.0 if right == 0 else max(0.0, middle - half)  # where rounding would miss the end
    return low, 1.0 if right == samples else min(1.0, middle + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How often samples of one class were answered with one class."""

    label: int
    predicted: int
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(ShownTable):
    """The result of `evaluate`."""

    samples: int
    steps: int
    """Of each sample."""

    backend: str
    output: str
    """Name of the output that was judged."""

    correct: int
    """By the integer program."""

    correct_real: int | None
    """By the real-valued network, if it was run."""

    same: int | None
    """Samples for which both give the same class."""

    confusion: tuple[Answered, ...]
    """By the integer program; pairs that never occurred are not in it."""

    classes: tuple[str, ...]
    """Names of the classes, by label, where the data have names for them."""

    activity: tuple[LayerActivity, ...]
    """Of the integer program."""

    late: int
    """Events of recordings that came after the last step, and were left out."""

    derived: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "interval",
        "accuracy_real",
        "interval_real",
    )

    @property
    def accuracy(self) -> float:
        """Share of samples that the integer program gets right, 0..1."""
        return self.correct / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """In which the accuracy on all such data lies with 95 % confidence, 0..1."""
        return interval(self.correct, self.samples)

    @property
    def accuracy_real(self) -> float | None:
        """Share of samples that the real-valued network gets right, 0..1."""
        return None if self.correct_real is None else self.correct_real / self.samples

    @property
    def interval_real(self) -> tuple[float, float] | None:
        """As `interval`, of the real-valued network."""
        return None if self.correct_real is None else interval(self.correct_real, self.samples)

    def __str__(self) -> str:
        parts = [self._accuracy(), self._confusion(), self._activity()]
        if self.late:
            parts.append(f"note: {counted(self.late, 'event')} came after the last step")
        return "\n\n".join(part for part in parts if part)

    def _accuracy(self) -> str:
        rows = [("accuracy", counted(self.samples, "sample"), "95 % interval")]
        if self.correct_real is not None:
            rows.append(("real values", *_share(self.correct_real, self.samples)))
        rows.append((f"integers ({self.backend})", *_share(self.correct, self.samples)))
        if self.correct_real is not None and self.same is not None:
            points = 100 * (self.correct - self.correct_real) / self.samples
            rows.append(("change", f"{points:+.2f} points", ""))
            rows.append(("same class", f"{self.same / self.samples:.2%}", ""))
        return aligned(rows, right=(1, 2))

    def _name(self, label: int) -> str:
        return self.classes[label] if label < len(self.classes) else str(label)

    def _confusion(self) -> str:
        found = {(pair.label, pair.predicted): pair.samples for pair in self.confusion}
        seen = sorted({end for pair in found for end in pair})
        if len(seen) > MATRIX_CLASSES:
            return self._pairs()
        rows = [("label", "", *(self._name(answer) for answer in seen))]
        for label in seen:
            row = [found.get((label, answer), 0) for answer in seen]
            rows.append((self._name(label), "|", *(str(n) if n else "." for n in row)))
        return f"answers of {self.output}, integers\n" + aligned(
            rows, right=tuple(range(2, len(seen) + 2))
        )

    def _pairs(self) -> str:
        """Return the most frequent confusions."""
        totals: Counter[int] = Counter()
        for pair in self.confusion:
            totals[pair.label] += pair.samples
        wrong = [pair for pair in self.confusion if pair.label != pair.predicted]
        if not wrong:
            return ""
        wrong.sort(key=lambda pair: (-pair.samples, pair.label, pair.predicted))
        rows = [("label", "answer", "samples", "of the label's")]
        rows += [
            (
                *(self._name(pair.label), self._name(pair.predicted), f"{pair.samples}"),
                f"{pair.samples / totals[pair.label]:.1%}",
            )
            for pair in wrong[:PAIRS]
        ]
        title = f"most frequent wrong answers of {self.output}, integers: {len(rows) - 1} of "
        return f"{title}{counted(len(wrong), 'pair')}\n" + aligned(rows, right=(2, 3))

    def _activity(self) -> str:
        rows = [
            (
                *("layer", "neurons", "spikes/sample", "spikes/neuron/step", "active"),
                *("overflows", "ruled out"),
            )
        ]
        rows += [
            (
                *(a.layer, f"{a.neurons}", f"{a.spikes:.1f}"),
                f"{a.spikes / (a.neurons * self.steps):.4f}",
                *(f"{a.active:.1%}", f"{a.overflows}", "proven" if a.proven else "no"),
            )
            for a in self.activity
        ]
        return aligned(rows, right=(1, 2, 3, 4, 5))


def _share(right: int, samples: int) -> tuple[str, str]:
    low, high = interval(right, samples)
    return f"{right / samples:.2%}", f"{low:.2%} to {high:.2%}"
