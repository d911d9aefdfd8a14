"""Time of steps, message by message: each waits at its core until those before it are processed.

A core updates its neurons one after another and sends each one's messages when it is done with it;
messages take the time of their hops; a core processes them in the order in which they come. The
mesh itself is taken to have room for all of them: nobody waits for a link.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from snn_deploy.deploy.energy.arrivals import expanded
from snn_deploy.deploy.energy.counting import Wiring
from snn_deploy.deploy.energy.events import Event
from snn_deploy.deploy.energy.happened import Happened
from snn_deploy.deploy.energy.placement import OUTSIDE, Placement
from snn_deploy.deploy.energy.profile import Profile

MESSAGES = 1 << 20
"""Messages, and pairs of a step and a neuron, that are looked at together: bounds the memory."""


@dataclass(frozen=True, slots=True)
class _Messages:
    """Messages of some steps."""

    step: Int64[np.ndarray, " message"]
    core: Int64[np.ndarray, " message"]
    """Where it goes."""

    arrives: Float64[np.ndarray, " message"]
    """Time since the begin of the step [s]."""

    takes: Float64[np.ndarray, " message"]
    """Time to process it [s]."""


def queued(
    wiring: Wiring, profile: Profile, happened: Happened
) -> Iterator[Float64[np.ndarray, " step"]]:
    """Yield the time of each step of a placed program, its barrier left out [s]."""
    placement = wiring.placement
    assert placement is not None
    samples, run = next(iter(happened.sent.values())).shape[:2]
    neurons = sum(core.size for core in placement.core.values())
    for sample in range(samples):
        load = np.full(run, float(neurons))
        for name, degree in wiring.messages.items():
            load += happened.sent[name][sample] @ degree
        piece = (np.cumsum(load) // MESSAGES).astype(np.int64)
        for begin, end in _runs(piece):
            yield _steps(wiring, placement, profile, happened, (sample, slice(begin, end)))


def _runs(piece: Int64[np.ndarray, " step"]) -> Iterator[tuple[int, int]]:
    """Yield where each run of equal numbers begins, and ends."""
    begins = np.flatnonzero(np.diff(piece, prepend=-1))
    yield from zip(begins.tolist(), [*begins[1:].tolist(), piece.size], strict=True)


def _steps(
    wiring: Wiring,
    placement: Placement,
    profile: Profile,
    happened: Happened,
    where: tuple[int, slice],
) -> Float64[np.ndarray, " step"]:
    done, last = _generated(wiring, placement, profile, happened, where)
    longest = last
    parts = []
    for name, reach in wiring.reaches.items():
        step, neuron = np.nonzero(happened.sent[name][where])
        row = reach.row[neuron]
        degree = reach.degree[row]
        entry = expanded(reach.first[row], degree)
        step, neuron = np.repeat(step, degree), np.repeat(neuron, degree)
        ends = np.cumsum(degree)
        behind = np.repeat(ends, degree) - 1 - np.arange(entry.size)
        here, there = placement.core[name][neuron], reach.core[entry]
        takes = np.full(entry.size, _seconds(profile, Event.MESSAGE_IN))
        for event, synapses in reach.synapses.items():
            takes += _seconds(profile, event) * synapses[entry]
        sent = done[name][step, neuron] - behind * _seconds(profile, Event.MESSAGE)
        way = _way(placement, profile, here, there)
        arrives = np.where(here == OUTSIDE, 0.0, sent + way)
        parts.append(_Messages(step, there, arrives, takes))
    _process(parts, placement.cores, longest)
    return longest


def _seconds(profile: Profile, event: Event) -> float:
    price = profile.time(event)
    return 0.0 if price is None else price.span.value


def _way(
    placement: Placement, profile: Profile, here: np.ndarray, there: np.ndarray
) -> Float64[np.ndarray, " message"]:
    """Return the time of the hops of messages that stay on their chip."""
    columns = np.abs(placement.x[there] - placement.x[here])
    rows = np.abs(placement.y[there] - placement.y[here])
    time = columns * _seconds(profile, Event.HOP_EAST_WEST)
    time = time + rows * _seconds(profile, Event.HOP_NORTH_SOUTH)
    return np.asarray(time * (placement.chip[there] == placement.chip[here]))


def _generated(
    wiring: Wiring,
    placement: Placement,
    profile: Profile,
    happened: Happened,
    where: tuple[int, slice],
) -> tuple[dict[str, Float64[np.ndarray, "step _neuron"]], Float64[np.ndarray, " step"]]:
    """Return when each neuron has sent its messages, and when the last neuron of a step is done."""
    times = []
    for node in wiring.program.nodes:
        sent = happened.sent[node.name][where]
        degree = wiring.messages.get(node.name, np.zeros(node.size, np.int64))
        time = sent * (degree * _seconds(profile, Event.MESSAGE))
        if node.name in happened.updated:
            time += _seconds(profile, Event.NEURON_ACCESS)
            time += happened.updated[node.name][where] * _seconds(profile, Event.NEURON_UPDATE)
            time += sent * _seconds(profile, Event.SPIKE)
        times.append(time)
    core = np.concatenate([placement.core[node.name] for node in wiring.program.nodes])
    order = np.argsort(core, kind="stable")
    total = np.cumsum(np.concatenate(times, axis=1)[:, order], axis=1)
    _, first = np.unique(core[order], return_index=True)
    before = np.concatenate([np.zeros((len(total), 1)), total[:, first[1:] - 1]], axis=1)
    total -= np.repeat(before, np.diff(np.append(first, core.size)), axis=1)
    total[:, core[order] == OUTSIDE] = 0
    back = np.empty_like(total)
    back[:, order] = total
    ends = np.cumsum([node.size for node in wiring.program.nodes])[:-1]
    names = [node.name for node in wiring.program.nodes]
    return dict(zip(names, np.split(back, ends, axis=1), strict=True)), total.max(axis=1)


def _process(parts: list[_Messages], cores: int, longest: Float64[np.ndarray, " step"]) -> None:
    """Raise the time of each step to that in which its last message is processed.

    A core is done with the i-th message at the largest, over all j up to i, of the arrival of j
    plus the work from j to i: it was idle last just before that j.
    """
    arrives = np.concatenate([part.arrives for part in parts])
    if not arrives.size:
        return
    place = np.concatenate([part.step * cores + part.core for part in parts])
    order = np.lexsort((arrives, place))
    place, arrives = place[order], arrives[order]
    takes = np.concatenate([part.takes for part in parts])[order]
    total = np.cumsum(takes)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    last = np.append(first[1:], place.size) - 1
    done = total[last] + np.maximum.reduceat(arrives - (total - takes), first)
    np.maximum.at(longest, place[first] // cores, done)
