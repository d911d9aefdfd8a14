"""Delayed payloads: what a projection sees at a step, for every form of delay."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Num

from snn_deploy.ir.graph import Graph
from snn_deploy.ir.maps import LinearMap

Apply = Callable[[np.ndarray], np.ndarray]


@dataclass(slots=True)
class History:
    """The last payloads of every input and population, [sample, *shape] per step."""

    longest: int
    """Steps that may still be asked for."""

    _sent: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph) -> "History":
        """Return an empty history, long enough for the delays of `graph`."""
        return cls(max((int(p.delay.max(initial=0)) for p in graph.projections), default=0))

    def send(self, name: str, step: int, payload: Num[np.ndarray, "sample ..."]) -> None:
        """Remember what `name` sends in `step`, and forget what is too old."""
        self._sent[name, step] = payload
        self._sent.pop((name, step - self.longest - 1), None)

    def at(self, name: str, step: int) -> Num[np.ndarray, "sample ..."] | None:
        """Return what `name` sent in `step`; None before the first step."""
        return self._sent.get((name, step))


def arriving(
    linear: LinearMap,
    delay: np.ndarray,
    history: History,
    source: str,
    step: int,
) -> Num[np.ndarray, "sample ..."] | None:
    """Return the sum that a projection gives its target in `step`; None: nothing arrives yet.

    The sum over distinct delays d of (the part of the map with delay d) applied to the payload
    of step - d.
    """
    total: np.ndarray | None = None
    for part, steps in parts(linear, delay):
        payload = history.at(source, step - steps)
        if payload is None:
            continue
        if not payload.any():  # of layers that take turns most are silent in most steps
            given = np.zeros((payload.shape[0], *linear.out_shape), payload.dtype)
        else:
            given = part(payload.reshape(payload.shape[0], *linear.in_shape))
        total = given if total is None else total + given
    return total


def sums_arriving(
    projection: Any, history: History, step: int
) -> Iterator[Num[np.ndarray, "sample ..."]]:
    """Yield the sum that `projection` gives its target in `step`, if anything arrives yet."""
    linear, delay = projection.map, projection.delay
    given = arriving(linear, delay, history, projection.source, step)
    if given is not None:
        yield given


def rows_arriving(
    projection: Any, history: History, step: int
) -> Iterator[Num[np.ndarray, "sample ..."]]:
    """Yield what each source neuron of `projection` on its own gives in `step`, in C order."""
    linear: LinearMap = projection.map
    sent = [
        (part, history.at(projection.source, step - steps))
        for part, steps in parts(linear, projection.delay)
    ]
    there = [(part, payload) for part, payload in sent if payload is not None]
    for index in range(linear.in_size if there else 0):
        row = []
        for part, payload in there:
            alone = np.zeros((payload.shape[0], linear.in_size), payload.dtype)
            alone[:, index] = payload.reshape(alone.shape)[:, index]
            row.append(part(alone.reshape(-1, *linear.in_shape)))
        yield np.sum(row, axis=0)


def parts(linear: LinearMap, delay: np.ndarray) -> Iterator[tuple[Apply, int]]:
    """Yield (map, steps) for each distinct delay of a projection; the maps add up to `linear`."""
    if delay.ndim == 0:
        yield linear.apply, int(delay)
        return
    per_source = delay.shape == (linear.in_size,)
    for steps in np.unique(delay):
        mask = delay == steps
        if per_source:
            yield _of_sources(linear, mask.reshape(linear.in_shape)), int(steps)
        else:
            yield linear.with_numbers(linear.numbers() * mask).apply, int(steps)


def _of_sources(linear: LinearMap, mask: np.ndarray) -> Apply:
    return lambda values: linear.apply(values * mask.astype(values.dtype))
