"""What `tune` returns: the front, the chosen setting, and what each knob of it saves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from snn_deploy.deploy.evaluating_results import interval
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.deploy.tuning.measuring import Measured
from snn_deploy.deploy.tuning.setting import Knob, Setting
from snn_deploy.ir.words import counted

UNPRICED = {
    Knob.BITS: "no price depends on the width of a weight: bits save memory, and energy only "
    "where they change spikes",
}
"""Knobs that no price of energy depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A setting of the front."""

    trial: int
    setting: Setting
    flags: str
    chosen_on: Measured
    """On the data that settings were chosen on: its accuracy is too good, for that is why it is
    here."""

    test: Measured
    """On data that nothing was chosen on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What one knob of the chosen setting saves: measured with it put back, all others kept."""

    knob: Knob
    turned: bool
    """Whether the chosen setting turns it at all; if not, it saves nothing."""

    energy: float
    """[J] per sample; negative: it costs."""

    memory: int
    """[bit]"""

    latency: float
    """[steps of the chip] per sample."""

    accuracy: float
    """Points that it costs on the test data; negative: it gains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning(ShownTable):
    """The result of `tune`."""

    name: str
    target: str
    profile: str
    aims: tuple[str, ...]
    max_drop: float
    chosen_on: str
    """The data that settings were chosen on, in words."""

    tested_on: str
    trials: int
    refused: Mapping[str, int]
    """Trials without a program, by what is wrong."""

    default: Point
    """The request's own setting."""

    chosen: Point
    front: tuple[Point, ...]
    savings: tuple[Saving, ...]
    folder: str
    files: tuple[str, ...]

    derived: ClassVar[tuple[str, ...]] = ("saved", "drop")

    @property
    def saved(self) -> float:
        """Share of the default's energy that the chosen setting saves on the test data."""
        return 1 - self.chosen.test.energy / self.default.test.energy

    @property
    def drop(self) -> float:
        """Points of accuracy that it loses on the test data."""
        return self.default.test.accuracy - self.chosen.test.accuracy

    def __str__(self) -> str:
        head = [
            f"{self.name} for {self.target}, prices of {self.profile}",
            f"chosen on {self.chosen_on}; tested on {self.tested_on}",
            f"{counted(self.trials, 'trial')}, {len(self.front)} on the front of accuracy against "
            f"{', '.join(self.aims)}",
        ]
        head += [f"{counted(n, 'trial')} refused: {why}" for why, n in self.refused.items()]
        parts = ["\n".join(head), self._front(), self._chosen(), self._savings(), self._end()]
        return "\n\n".join(parts)

    def _front(self) -> str:
        rows = [("", "accuracy", "", "energy", "memory", "latency", "options"), _HEADINGS]
        rows.append(("default", *_numbers(self.default.test), self.default.flags))
        for point in self.front:
            mark = "chosen" if point.trial == self.chosen.trial else f"{point.trial}"
            rows.append((mark, *_numbers(point.test), point.flags))
        return "on the test data\n" + aligned(rows, right=(1, 3, 4, 5))

    def _chosen(self) -> str:
        point, least = self.chosen, self.max_drop
        return (
            f"chosen: trial {point.trial}, the least {self.aims[0]} that loses at most {least:g} "
            f"points on the data it was chosen on\n"
            f"on the test data it loses {self.drop:.2f} points and saves {self.saved:.1%} of the "
            f"energy: {1e6 * self.default.test.energy:.3f} -> {1e6 * point.test.energy:.3f} uJ\n"
            f"samples run {point.test.steps:.2f} steps in the mean, "
            f"{self.default.test.steps:.2f} before"
            + (
                "\nearly exit is no feature of the chip: who runs it reads the output after each "
                "step\nand goes on to the next sample; energy is counted for the steps that "
                "ran, reading is not priced"
                if Knob.EXIT in point.setting.turned
                else ""
            )
        )

    def _savings(self) -> str:
        rows = [("knob", "energy", "of default", "memory", "latency", "accuracy")]
        whole = self.default.test.energy
        for one in self.savings:
            if not one.turned:
                rows.append((one.knob.value, "0", "0", "0", "0", "not turned"))
                continue
            rows.append(
                (
                    one.knob.value,
                    f"{1e6 * one.energy:.3f} uJ",
                    f"{one.energy / whole:.1%}",
                    f"{one.memory:,} bit",
                    f"{one.latency:.2f} steps",
                    f"{0.0 - one.accuracy:+.2f} points",
                )
            )
        title = (
            "what each knob saves: the chosen setting against itself with that knob put back\n"
            "(knobs overlap: the parts need not add up to the whole)\n"
        )
        notes = [
            f"\nnote: {why}"
            for knob, why in UNPRICED.items()
            if any(one.knob is knob and one.turned for one in self.savings)
        ]
        return title + aligned(rows, right=(1, 2, 3, 4, 5)) + "".join(notes)

    def _end(self) -> str:
        lines = [f"wrote {self.folder}: {', '.join(self.files)}", self._command()]
        if "front.svg" not in self.files:
            lines.insert(1, "no picture of the front: pip install 'snn-deploy[report]' draws one")
        return "\n".join(lines)

    def _command(self) -> str:
        return f"snn-deploy export MODEL --config {self.folder}/chosen.toml"


_HEADINGS = ("", "", "95 % interval", "uJ", "bit", "steps", "")


def _numbers(found: Measured) -> tuple[Any, ...]:
    low, high = interval(found.correct, found.samples)
    return (
        f"{found.accuracy:.2f} %",
        f"{low:.1%} to {high:.1%}",
        f"{1e6 * found.energy:.3f}",
        f"{found.memory:,}",
        f"{found.latency:.2f}",
    )
