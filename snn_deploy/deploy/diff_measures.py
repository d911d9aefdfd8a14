"""What two deployments do with the same data, side by side: accuracy, energy, map of cores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import fsum

import numpy as np

from snn_deploy.deploy import analysis
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.energy import Estimate, Event
from snn_deploy.deploy.mapping import CoreMap
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.words import counted

SAMPLES = "samples"
"""Unit of what counts single samples: their ratio would say nothing."""


class About(Enum):
    """What a measure is about."""

    ANSWERS = "answers"
    ENERGY = "energy"
    TIME = "time"
    MAP = "map of cores"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of both sides."""

    about: About
    what: str
    one: float | None
    """Of the first; None: it has none."""

    other: float | None
    unit: str = ""

    @property
    def ratio(self) -> float | None:
        """The second over the first; None where there is none."""
        if self.one is None or self.other is None or not self.one:
            return None
        return self.other / self.one


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures(ShownTable):
    """What was measured of two deployments on the same data."""

    samples: int | None
    """Of the data; None: none was given."""

    profiles: tuple[str, str] | None
    """Tables of prices, one for each side; None: without data."""

    measures: tuple[Measure, ...]

    def __str__(self) -> str:
        parts = []
        for about in About:
            chosen = [measure for measure in self.measures if measure.about is about]
            if chosen:
                rows = [_row(measure) for measure in chosen]
                table = aligned(rows, right=(1, 3, 4))
                lines = [f"  {line}" for line in table.splitlines()]
                parts.append("\n".join((self._title(about), *lines)))
        return "\n\n".join(parts)

    def _title(self, about: About) -> str:
        if about is About.MAP or self.samples is None:
            return about.value
        title = f"{about.value}, {counted(self.samples, 'sample')}"
        if about in (About.ENERGY, About.TIME) and self.profiles is not None:
            names = dict.fromkeys(self.profiles)
            title += f", mean of each, prices of {' and '.join(names)}"
        return title


def _row(measure: Measure) -> tuple[str, ...]:
    unit = measure.unit
    sides = [_text(value, unit) for value in (measure.one, measure.other)]
    change = ""
    if measure.one is None or measure.other is None or measure.one == measure.other:
        pass
    elif unit == "%":
        change = f"{measure.other - measure.one:+.2f} points"
    elif unit != SAMPLES and measure.ratio is not None:
        change = f"{100 * (measure.ratio - 1):+.1f} %"
    return measure.what, sides[0], "->", sides[1], change


def _text(value: float | None, unit: str) -> str:
    if value is None:
        return "none"
    if unit == "%":
        return f"{value:.2f} %"
    shown = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}"
    return f"{shown} {unit}".rstrip()


def measures(
    one: Deployment, other: Deployment, data: tuple[Data, Data] | None, profile: str | None
) -> Measures:
    """Return what two deployments do with data, and how they lie on cores.

    Args:
        one: A deployment.
        other: Another.
        data: The same samples for each of them; None: only their maps are compared.
        profile: Table of prices for both; None: each target's own.

    Raises:
        OptionError: a target names no table of prices, and none is given.
        DataError: the data does not suit a program.
    """
    found: list[Measure] = []
    names = None
    if data is not None:
        estimates = [
            analysis.estimate(side, own, profile).estimate
            for side, own in zip((one, other), data, strict=True)
        ]
        names = estimates[0].profile.name, estimates[1].profile.name
        found += _answers(one, other, data)
        found += _energy(estimates)
        found += _time(estimates)
    found += (m for m in _maps(one, other) if m.one != m.other)
    samples = None if data is None else data[0].samples
    return Measures(samples=samples, profiles=names, measures=tuple(found))


def _answers(one: Deployment, other: Deployment, data: tuple[Data, Data]) -> Iterator[Measure]:
    """Yield how often the first outputs are right, and how often they agree."""
    runs = [
        analysis.simulate(side, own, "event") for side, own in zip((one, other), data, strict=True)
    ]
    classes = [np.asarray(run.answers[0].predicted) for run in runs]
    label = data[0].label
    if label is not None:
        right = [classes[0] == label, classes[1] == label]
        shares = [100 * float(np.mean(r)) for r in right]
        yield Measure(
            about=About.ANSWERS, what="accuracy", one=shares[0], other=shares[1], unit="%"
        )
        only = [float(np.count_nonzero(a & ~b)) for a, b in ((right[0], right[1]), right[::-1])]
        yield Measure(
            about=About.ANSWERS, what="right here alone", one=only[0], other=only[1], unit=SAMPLES
        )
    same = 100 * float(np.mean(classes[0] == classes[1]))
    yield Measure(about=About.ANSWERS, what="same class", one=same, other=same, unit="%")
    steps = [float(run.steps) for run in runs]
    yield Measure(about=About.ANSWERS, what="steps", one=steps[0], other=steps[1])
    spikes = [fsum(layer.spikes for layer in run.activity) for run in runs]
    yield Measure(about=About.ANSWERS, what="spikes a sample", one=spikes[0], other=spikes[1])


MICRO = 1e6


def _energy(found: Sequence[Estimate]) -> Iterator[Measure]:
    for what, values in (
        ("estimate", [e.value for e in found]),
        ("lowest prices", [e.low for e in found]),
        ("highest prices", [e.high for e in found]),
    ):
        first, second = (MICRO * value for value in values)
        yield Measure(about=About.ENERGY, what=what, one=first, other=second, unit="uJ")
    for event in Event:
        totals = [fsum(layer.count.counts.get(event, 0.0) for layer in e.layers) for e in found]
        if any(totals):
            yield Measure(about=About.ENERGY, what=event.value, one=totals[0], other=totals[1])


def _time(found: Sequence[Estimate]) -> Iterator[Measure]:
    """Yield the time of a step and of a sample, if both sides have it."""
    first, second = (estimate.latency for estimate in found)
    if first is None or second is None:
        return
    for what, one, other in (
        ("a step", first.step, second.step),
        ("a sample", first.sample, second.sample),
    ):
        for which, ends in (
            ("", (one.value, other.value)),
            (", lowest", (one.low, other.low)),
            (", highest", (one.high, other.high)),
        ):
            yield Measure(
                about=About.TIME,
                what=f"{what}{which}",
                one=MICRO * ends[0],
                other=MICRO * ends[1],
                unit="us",
            )


def _maps(one: Deployment, other: Deployment) -> Iterator[Measure]:
    maps = (one.core_map, other.core_map)
    for what, unit, values in (
        ("cores", "", [None if m is None else float(len(m.cores)) for m in maps]),
        ("chips", "", [None if m is None else float(m.chips) for m in maps]),
        ("slowest core, a step", "ns", [None if m is None else m.step_time for m in maps]),
        ("mean core, a step", "ns", [None if m is None else _mean_time(m) for m in maps]),
        ("messages a step", "", [None if m is None else m.messages for m in maps]),
        ("hops a step", "", [None if m is None else m.hops for m in maps]),
        ("synapse memory", "bit", [None if m is None else _memory(m) for m in maps]),
    ):
        yield Measure(about=About.MAP, what=what, one=values[0], other=values[1], unit=unit)
    for name in dict.fromkeys(
        p.name for p in (*one.program.populations, *other.program.populations)
    ):
        held = [None if m is None else _cores_of(m, name) for m in maps]
        yield Measure(about=About.MAP, what=f"cores of {name}", one=held[0], other=held[1])


def _mean_time(core_map: CoreMap) -> float:
    return sum(core.load.time for core in core_map.cores) / len(core_map.cores)


def _memory(core_map: CoreMap) -> float:
    return float(sum(sum(core.synapse_bits.values()) for core in core_map.cores))


def _cores_of(core_map: CoreMap, population: str) -> float | None:
    held = sum(any(p.population == population for p in core.parts) for core in core_map.cores)
    return float(held) if held else None
