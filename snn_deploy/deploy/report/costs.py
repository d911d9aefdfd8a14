"""Energy and time of a run at the prices of every profile, and as an ANN."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from snn_deploy.deploy import energy
from snn_deploy.deploy.ann import AnnComparison, compare_with_ann
from snn_deploy.deploy.energy.text import PHASES
from snn_deploy.deploy.neurobench import WatchedProgram
from snn_deploy.deploy.report.model import Cost, LayerCost, Other
from snn_deploy.ir.trace import Trace, Values

if TYPE_CHECKING:
    from snn_deploy.deploy.deployment import Deployment


class Counter:
    """Counts the events of a run for all profiles at once.

    Args:
        deployment: What is run.
    """

    def __init__(self, deployment: "Deployment") -> None:
        self._deployment = deployment
        program, core_map = deployment.program, deployment.core_map
        placement = None if core_map is None else energy.Placement.of(program, core_map)
        self._tally = energy.Tally(program, energy.profiles(), placement)
        self._watched = WatchedProgram.of(program)

    def add(self, inputs: Sequence[Values], trace: Trace, steps: int) -> None:
        """Count a block; `steps` are those of a sample on the chip."""
        self._tally.add(inputs, trace, steps)
        self._watched.add(inputs, trace, steps)

    def costs(self, samples: int, steps: int) -> tuple[Cost | str, tuple[Other, ...]]:
        """Return the cost at the target's own prices, or why there is none; and all others.

        Args:
            samples: Samples that were counted.
            steps: Steps of each, in those of the network.
        """
        deployment = self._deployment
        target, own = deployment.target, deployment.target.energy_profile
        memory = energy.memory_of(deployment.program, target, deployment.core_map)
        found = self._tally.estimates(samples=samples, steps=steps, memory=memory)
        done = self._watched.watched.tally.total
        ann = compare_with_ann(deployment, done, samples=samples, steps=steps)
        mine = next((one for one in found if one.profile.name == own), None)
        others = (_other(one) for one in found if one is not mine and not math.isnan(one.value))
        cost: Cost | str = (
            f"Energy was not estimated: {target.name} names no table of prices"
            f"{': ' if target.energy_note else ''}{target.energy_note}."
        )
        if mine is not None:
            note = target.energy_note and f"{mine.profile.chip} prices: {target.energy_note}"
            cost = _cost(mine, note)
            if math.isnan(mine.value):
                cost = "Energy was not estimated: nothing that was counted has a price."
        return cost, (*others, *_as_ann(ann))


def _cost(found: energy.Estimate, note: str) -> Cost:
    profile, latency = found.profile, found.latency
    return Cost(
        profile=profile.name,
        title=profile.title,
        chip=profile.chip,
        note=note,
        samples=found.samples,
        energy=found.span,
        static=found.static,
        step=None if latency is None else latency.step,
        sample=None if latency is None else latency.sample,
        barrier=None if latency is None else latency.barrier,
        slowest=() if latency is None else tuple(map(_slow, latency.slowest)),
        layers=tuple(_layer(layer, profile) for layer in found.layers),
        kinds=_kinds(found.by_event),
        memory=found.memory,
        prices=profile.prices,
        times=profile.times,
        unpriced=found.unpriced,
    )


def _slow(core: energy.Slowest) -> str:
    layers = ", ".join(core.layers)
    return f"core {core.core} ({layers}) in {core.steps:.0%} of the steps: {PHASES[core.phase]}"


def _layer(layer: energy.LayerEnergy, profile: energy.Profile) -> LayerCost:
    priced = ((event, profile.price(event)) for event in layer.count.counts)
    return LayerCost(
        layer=layer.count.layer,
        value=layer.value,
        low=layer.low,
        high=layer.high,
        synaptic=layer.count.synaptic,
        kinds=_kinds({e: p.span.value * layer.count.counts[e] for e, p in priced if p}),
    )


def _kinds(found: dict[energy.Event, float]) -> dict[str, float]:
    return {event.value: joule for event, joule in found.items() if joule}


def _other(found: energy.Estimate) -> Other:
    missing = "; ".join(item.what for item in found.unpriced)
    return Other(
        short=found.profile.name,
        title=found.profile.title,
        energy=found.span,
        sample=None if found.latency is None else found.latency.sample,
        note=f"not in it: {missing}" if missing else "",
    )


def _as_ann(found: AnnComparison) -> tuple[Other, ...]:
    """Return the same layers as an ANN, by the conventions of papers."""
    often = "" if found.times == 1 else f", in each of {found.times} steps"
    counted = f"{found.ann_macs:,} MACs{often}"
    rows = [("as an ANN, 45 nm", "The same layers as an ANN, 45 nm", found.ann_energy, counted)]
    rows += [
        (
            f"as an ANN, {one.device.name}",
            f"The same layers as an ANN on {one.device.title}",
            one.value,
            f"{counted} and updates of {found.ann_neurons:,} neurons",
        )
        for one in found.devices
    ]
    return tuple(
        Other(
            short=short,
            title=title,
            energy=energy.Span(value=value, low=value, high=value),
            sample=None,
            note=f"{what}; {found.note}",
        )
        for short, title, value, what in rows
        if value > 0
    )
