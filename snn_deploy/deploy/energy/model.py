"""Energy: counted events times prices."""

from collections.abc import Sequence
from dataclasses import dataclass

from snn_deploy.deploy.energy.events import Event, LayerCount
from snn_deploy.deploy.energy.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEnergy:
    """Energy of one layer, mean per sample [J]."""

    count: LayerCount
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Energy of a program on some samples, mean per sample [J]."""

    profile: Profile
    note: str
    samples: int
    steps: int
    """Steps of a sample that each population computes."""

    layers: tuple[LayerEnergy, ...]
    by_event: dict[Event, float]

    @property
    def value(self) -> float:
        """Sum over the layers [J]."""
        return sum(layer.value for layer in self.layers)

    @property
    def low(self) -> float:
        """Sum of the low ends [J]."""
        return sum(layer.low for layer in self.layers)

    @property
    def high(self) -> float:
        """Sum of the high ends [J]."""
        return sum(layer.high for layer in self.layers)


def estimate(
    layers: Sequence[LayerCount], profile: Profile, *, note: str, samples: int, steps: int
) -> Estimate:
    """Return the energy of counted events at the prices of `profile`."""
    priced = []
    by_event: dict[Event, float] = {}
    for layer in layers:
        value = low = high = 0.0
        for event, number in layer.counts.items():
            price = profile.price(event)
            if price is None:
                continue
            scale = _joule(price.unit) * number
            by_event[event] = by_event.get(event, 0.0) + price.value * scale
            value += price.value * scale
            low += price.low * scale
            high += price.high * scale
        priced.append(LayerEnergy(count=layer, value=value, low=low, high=high))
    return Estimate(
        profile=profile,
        note=note,
        samples=samples,
        steps=steps,
        layers=tuple(priced),
        by_event=by_event,
    )


def _joule(unit: str) -> float:
    return {"pJ": 1e-12, "nJ": 1e-9, "J": 1.0}[unit]
