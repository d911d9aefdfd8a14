"""What each core does in each step of a run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from snn_deploy.deploy.energy.arrivals import expanded
from snn_deploy.deploy.energy.counting import Wiring
from snn_deploy.deploy.energy.events import SYNAPTIC, Event
from snn_deploy.deploy.energy.happened import Happened
from snn_deploy.deploy.energy.placement import OUTSIDE
from snn_deploy.deploy.energy.reach import Reach

CELLS = 1 << 19
"""Pairs of a step and a core that are held together: bounds the memory."""

Work = Mapping[Event, Float64[np.ndarray, "step core"]]


@dataclass(frozen=True, slots=True)
class _Order:
    """Neurons of one population in the order of their cores, those outside left out."""

    neuron: Int64[np.ndarray, " neuron"]
    core: Int64[np.ndarray, " held"]
    first: Int64[np.ndarray, " held"]

    @classmethod
    def of(cls, core: Int64[np.ndarray, " neuron"]) -> "_Order":
        (inside,) = np.nonzero(core != OUTSIDE)
        neuron = inside[np.argsort(core[inside], kind="stable")]
        held, first = np.unique(core[neuron], return_index=True)
        return cls(neuron, held, first)

    def count(self, mask: Bool[np.ndarray, "step neuron"], into: np.ndarray) -> None:
        """Add to each step and core how many of its neurons are set."""
        if self.neuron.size:
            moved = np.asarray(mask[:, self.neuron], np.int64)
            into[:, self.core] += np.add.reduceat(moved, self.first, axis=1)


def work(wiring: Wiring, happened: Happened) -> Iterator[Work]:
    """Yield the events of every core and step of a placed program, some steps at a time."""
    placement = wiring.placement
    assert placement is not None
    orders = {name: _Order.of(core) for name, core in placement.core.items()}
    samples, run = next(iter(happened.sent.values())).shape[:2]
    widest = max(core.size for core in placement.core.values())
    length = max(1, CELLS // max(placement.cores, widest))
    for sample in range(samples):
        for begin in range(0, run, length):
            yield _some(wiring, orders, happened, (sample, slice(begin, begin + length)))


def _some(
    wiring: Wiring, orders: Mapping[str, _Order], happened: Happened, where: tuple[int, slice]
) -> Work:
    """Return the events of some steps of a sample."""
    placement = wiring.placement
    assert placement is not None
    cores = placement.cores
    count = next(iter(happened.sent.values()))[where].shape[0]
    found = {event: np.zeros((count, cores)) for event in _COUNTED}
    for population in wiring.program.populations:
        name = population.name
        order = orders[name]
        size = np.diff(np.append(order.first, order.neuron.size))
        found[Event.NEURON_ACCESS][:, order.core] += size
        order.count(happened.updated[name][where], found[Event.NEURON_UPDATE])
        order.count(happened.sent[name][where], found[Event.SPIKE])
    for name, reach in wiring.reaches.items():
        step, neuron = np.nonzero(happened.sent[name][where])
        core = placement.core[name][neuron]
        inside = core != OUTSIDE
        found[Event.MESSAGE] += _summed(
            step[inside] * cores + core[inside], wiring.messages[name][neuron[inside]], count, cores
        )
        _receive(found, reach, step, neuron)
    return found


_COUNTED = (
    *(Event.NEURON_ACCESS, Event.NEURON_UPDATE, Event.SPIKE, Event.MESSAGE, Event.MESSAGE_IN),
    *SYNAPTIC,
)


def _receive(
    found: Mapping[Event, np.ndarray], reach: Reach, step: np.ndarray, neuron: np.ndarray
) -> None:
    """Add the messages that arrive at each core, and the synapses that they reach."""
    count, cores = found[Event.MESSAGE_IN].shape
    rows = reach.degree.size
    pair, number = np.unique(step * rows + reach.row[neuron], return_counts=True)
    step, row = np.divmod(pair, rows)
    length = reach.degree[row]
    entry = expanded(reach.first[row], length)
    place = np.repeat(step, length) * cores + reach.core[entry]
    times = np.repeat(number, length)
    found[Event.MESSAGE_IN][:] += _summed(place, times, count, cores)
    for event, synapses in reach.synapses.items():
        found[event][:] += _summed(place, times * synapses[entry], count, cores)


def _summed(
    place: np.ndarray, number: np.ndarray, count: int, cores: int
) -> Float64[np.ndarray, "step core"]:
    found = np.bincount(place, weights=number, minlength=count * cores)
    return np.asarray(found, np.float64).reshape(count, cores)  # of nothing it counts whole numbers
