"""Runs a framework's module step by step and compares every spike with our `Network`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import config

from snn_deploy.ir.network import Network
from snn_deploy.ir.neuron import Fires, State
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

Spikes = Mapping[str, np.ndarray]
"""Payloads [step, *shape] of each population, by its name in our network."""

NEAR = 1e-5
"""Relative distance of a membrane to its threshold below which float32 may decide otherwise."""

MOST_DIFFERENCES = 1e-6
"""Share of neurons and steps that may differ, if all are near the threshold."""


@contextmanager
def recorded(neurons: Mapping[str, Any]) -> Iterator[dict[str, list[np.ndarray]]]:
    """Record what torch modules give: per population, one array [*shape] per step.

    The module's output, or the first of a tuple, must be [1, *shape] (one sample, one step).
    """
    kept: dict[str, list[np.ndarray]] = {name: [] for name in neurons}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            kept[name].append(np.array(first.detach().cpu().numpy())[0])

        return hook

    handles = [neuron.register_forward_hook(keep(name)) for name, neuron in neurons.items()]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def unchecked() -> Iterator[None]:
    """Leave annotations unchecked: a long run of what other tests check takes five times less."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One payload that differs."""

    population: str
    step: int
    neuron: tuple[int, ...]
    ours: float
    theirs: float
    distance: float
    """Of our membrane before the test to the threshold, relative to it."""


def differences(network: Network, values: np.ndarray, theirs: Spikes) -> list[Difference]:
    """Return every payload in which our network differs from the recorded one.

    Args:
        network: Ours, with one input.
        values: What enters it, [step, *shape].
        theirs: What the framework's neurons sent.
    """
    entry = Values(name=network.inputs[0].name, values=values[None])
    with unchecked():
        trace = simulate(network, [entry], EVERYTHING)
    found = []
    for name, spikes in theirs.items():
        ours = trace[name].state(State.PAYLOAD)[0]
        given = np.asarray(spikes, np.float64).reshape(ours.shape)
        for index in np.argwhere(ours != given):
            step, *neuron = (int(i) for i in index)
            at = (step, *neuron)
            found.append(
                Difference(
                    population=name,
                    step=step,
                    neuron=tuple(neuron),
                    ours=float(ours[at]),
                    theirs=float(given[at]),
                    distance=_distance(network, trace, name, at),
                )
            )
    return found


def _distance(network: Network, trace: Any, name: str, at: tuple[int, ...]) -> float:
    """Return how far the membrane was from the threshold, relative to it: what the reset took
    away is put back."""
    population = network.population(name)
    _, *neuron = at
    threshold = float(np.broadcast_to(population.threshold, population.shape)[tuple(neuron)])
    membrane = float(trace[name].state(State.MEMBRANE)[0][at])
    amount = float(np.broadcast_to(population.reset.amount, population.shape)[tuple(neuron)])
    sent = float(trace[name].state(State.PAYLOAD)[0][at])
    tested = membrane + sent * amount if population.reset.kind.value == "subtract" else membrane
    nearest = threshold * max(1.0, np.rint(tested / threshold))
    return abs(tested - nearest) / abs(threshold)


def assert_same_spikes(
    network: Network, values: np.ndarray, theirs: Spikes, *, exact: bool
) -> None:
    """Check that our network sends what the framework's neurons sent, and that all are active.

    Args:
        network: Ours, with one input.
        values: What enters it, [step, *shape].
        theirs: What each population sent; every population that fires must be there.
        exact: Not one difference is allowed; else only near the threshold and very few.
    """
    linear = (Fires.NEVER, Fires.GRADED)
    firing = {p.name for p in network.populations if p.fires not in linear}
    assert firing <= set(theirs), f"not recorded: {sorted(firing - set(theirs))}"
    for name in sorted(firing):
        assert_active(name, np.asarray(theirs[name]))
    found = differences(network, values, theirs)
    if exact:
        assert not found, f"{len(found)} payloads differ, first {found[0]}"
        return
    total = sum(np.asarray(spikes).size for spikes in theirs.values())
    far = [d for d in found if d.distance > NEAR]
    assert not far, f"{len(far)} of {len(found)} differences far from the threshold: {far[0]}"
    assert len(found) <= max(1.0, MOST_DIFFERENCES * total), f"{len(found)} differ: {found[:5]}"


def assert_active(name: str, spikes: np.ndarray) -> None:
    """Check that a population fires in 2 to 60 % of its neurons' steps."""
    share = float(np.mean(spikes != 0))
    assert 0.02 <= share <= 0.6, f"{name} fires in {share:.1%} of steps: the test shows nothing"
