"""Energy and time of a run at the prices of every profile."""

from typing import TYPE_CHECKING, Any

from snn_deploy.deploy import analysis, energy
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.report.model import Bounds, Cost, LayerCost, Other
from snn_deploy.errors import OptionError

if TYPE_CHECKING:
    from snn_deploy.deploy.deployment import Deployment


def cost_of(deployment: "Deployment", data: Data) -> Cost | str:
    """Return the cost at the target's own prices, or why there are none."""
    try:
        found = analysis.estimate(deployment, data, None).estimate
    except OptionError as problem:
        return f"Energy was not estimated: {problem.message}."
    profile = found.profile
    return Cost(
        profile=profile.name,
        title=profile.title,
        chip=profile.chip,
        note=found.note,
        energy=_bounds(found),
        step=None,
        sample=None,
        slowest="",
        layers=tuple(_layer(layer, found) for layer in found.layers),
        kinds=_kinds(found),
        prices=profile.prices,
        unpriced=profile.unpriced,
    )


def other_costs(deployment: "Deployment", data: Data) -> tuple[Other, ...]:
    """Return what the same run costs at the prices of all other profiles."""
    own = deployment.target.energy_profile
    found = []
    for profile in energy.profiles():
        if profile.name == own:
            continue
        estimate = analysis.estimate(deployment, data, profile.name).estimate
        note = "; ".join(item.what for item in profile.unpriced)
        found.append(
            Other(
                short=profile.name,
                title=profile.title,
                energy=_bounds(estimate),
                note=f"not in it: {note}" if note else "",
            )
        )
    return tuple(found)


def _bounds(found: Any) -> Bounds:
    return Bounds(value=found.value, low=found.low, high=found.high)


def _layer(layer: energy.LayerEnergy, found: energy.Estimate) -> LayerCost:
    alone = energy.estimate(
        [layer.count], found.profile, note="", samples=found.samples, steps=found.steps
    )
    return LayerCost(
        layer=layer.count.layer,
        value=layer.value,
        low=layer.low,
        high=layer.high,
        synaptic=layer.count.synaptic,
        kinds=_kinds(alone),
    )


def _kinds(found: energy.Estimate) -> dict[str, float]:
    return {event.value: joule for event, joule in found.by_event.items() if joule}
