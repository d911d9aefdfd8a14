"""Published measurements of chips, and what our model says of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.deploy import energy
from snn_deploy.deploy.energy import Event, Latency, LayerCount, Profile, Span

NOTES = {
    "loihi1-davies": "its band of 24.5 % is this case",
    "horowitz-45nm": "arithmetic only",
}

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number, predicted and measured."""

    case: str
    what: str
    profile: str
    unit: str
    predicted: float | None
    """None: only a range can be said."""

    low: float | None
    high: float | None
    """None: no ends are stated."""

    measured: float
    note: str = ""

    @property
    def error(self) -> float | None:
        """Of the prediction, as a share of what was measured."""
        return None if self.predicted is None else self.predicted / self.measured - 1

    @property
    def inside(self) -> bool | None:
        """Whether what was measured lies between the ends that we state; None: we state none."""
        if self.low is None or self.high is None:
            return None
        return bool(self.low <= self.measured <= self.high)


def priced(profile: Profile, counts: Mapping[Event, float], seconds: float = 0.0) -> Span:
    """Return the energy of some events [J], and of static power for a time [s]."""
    layer = LayerCount(layer="all", neurons=0, counts=dict(counts))
    time = Span(value=seconds, low=seconds, high=seconds)
    latency = Latency(step=time, sample=time, steps=1) if seconds else None
    return energy.estimate([layer], profile, note="", samples=1, steps=1, latency=latency).span


def rows() -> Iterator[Row]:
    """Yield every case."""
    cases = json.loads((HERE / "hardware.json").read_text())
    yield from truenorth(cases["truenorth"])
    yield from odin(cases["odin"])
    yield from nearest(cases["knn"])
    yield from keywords(cases["keywords"])


def truenorth(case: Mapping[str, Any]) -> Iterator[Row]:
    """Predict each point of the sweep from the other two, and all by the profile."""
    rate = np.asarray(case["rate_hz"])
    events = rate * case["neurons"] * case["synapses"]
    watts = np.asarray(case["measured_w"])
    for point in range(3):
        others = [i for i in range(3) if i != point]
        slope, base = np.polyfit(events[others], watts[others], 1)
        found = float(slope * events[point] + base)
        yield Row(
            case=case["title"],
            what=f"power at {rate[point]:g} Hz",
            profile="line through the other two points",
            unit="W",
            predicted=found,
            low=None,
            high=None,
            measured=float(watts[point]),
        )
    for point in range(3):
        span = priced(
            energy.find_profile("truenorth"), {Event.SYNAPSE_DENSE: events[point]}, seconds=1
        )
        yield Row(
            case=case["title"],
            what=f"power at {rate[point]:g} Hz",
            profile="truenorth",
            unit="W",
            predicted=span.value,
            low=span.low,
            high=span.high,
            measured=float(watts[point]),
            note="" if point == 1 else "the profile was fitted to this point",
        )


def odin(case: Mapping[str, Any]) -> Iterator[Row]:
    """Predict both points by the profile of their clock."""
    for operations, name, clock, measured in zip(
        *(case[key] for key in ("operations_per_s", "profile", "clock", "measured_w")), strict=True
    ):
        path = HERE / name if name.endswith(".toml") else name
        span = priced(energy.find_profile(str(path)), {Event.SYNAPSE_DENSE: operations}, seconds=1)
        yield Row(
            case=case["title"],
            what=f"power at {clock}",
            profile=name.removesuffix(".toml"),
            unit="W",
            predicted=span.value,
            low=span.low,
            high=span.high,
            measured=measured,
        )


def nearest(case: Mapping[str, Any]) -> Iterator[Row]:
    """Predict the query: every neuron in every step, and each input spike to all of them."""
    accesses = float(case["neurons"] * case["steps"])
    operations = float(case["input_spikes"] * case["fan_out"])
    for name in ("loihi1-davies", "loihi1-sanafe", "kerasspiking-loihi", "horowitz-45nm"):
        counts = {
            Event.NEURON_ACCESS: accesses,
            Event.NEURON_UPDATE: accesses,
            Event.SYNAPSE_DENSE: operations,
        }
        span = priced(energy.find_profile(name), counts)
        yield Row(
            case=case["title"],
            what="energy of a query",
            profile=name,
            unit="J",
            predicted=span.value,
            low=span.low,
            high=span.high,
            measured=case["measured_j"],
            note=NOTES.get(name, "synapses and neurons only"),
        )


def keywords(case: Mapping[str, Any]) -> Iterator[Row]:
    """Give the range between few and many spikes and steps: they are not published."""
    sizes = case["layers"]
    synapses = sum(a * b for a, b in pairwise(sizes))
    neurons = sum(sizes[1:])
    for name in ("loihi1-davies", "loihi1-sanafe"):
        ends = []
        for steps, rate in zip(case["steps"], case["rate"], strict=True):
            fired = neurons * rate * steps
            counts = {
                Event.NEURON_ACCESS: float(neurons * steps),
                Event.NEURON_UPDATE: float(neurons * steps),
                Event.SYNAPSE_DENSE: synapses * rate * steps,
                Event.SPIKE: fired,
                Event.MESSAGE: fired + sizes[0] * rate * steps,
            }
            ends.append(priced(energy.find_profile(name), counts))
        (low, high), (few, many) = case["rate"], case["steps"]
        yield Row(
            case=case["title"],
            what="dynamic energy of an inference",
            profile=name,
            unit="J",
            predicted=None,
            low=ends[0].low,
            high=ends[1].high,
            measured=case["measured_j"],
            note=f"{few} steps of {low:.0%} spikes to {many} of {high:.0%}",
        )
