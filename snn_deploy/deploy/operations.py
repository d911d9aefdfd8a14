"""Operations in the layers with weights, as NeuroBench counts them: of a network or a program.

A layer is a dense or sparse map or a convolution. Pooling (a depthwise kernel, all of whose weights
are equal), factors of single values and clock neurons, which carry biases, are none. What counts is
what arrives within the steps of the samples; a layer behind pooling reads what the pooling gives.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Int, Int64, Num

from snn_deploy.deploy.synapses import network_delay
from snn_deploy.ir.maps import Composition, Convolution, Dense, LinearMap, Scale, Sparse
from snn_deploy.ir.network import Network
from snn_deploy.ir.neuron import Fires, Tabled
from snn_deploy.ir.program import Population, Program, Projection, Role

Sent = Mapping[str, Num[np.ndarray, "sample step ..."]]
"""What each input and population sends, in the steps of the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Operations of a layer, summed over steps and samples.

    A step of a sample in which all that a layer reads is 0, 1 or -1 needs additions alone: ACs.
    Any other step needs a multiplication for each: MACs.
    """

    effective_macs: int = 0
    """Values that are not 0 times weights that are not 0."""

    effective_acs: int = 0
    macs: int = 0
    """As papers count: weights of 0 too, and counts of spikes are not multiplied."""

    acs: int = 0
    """As papers count: weights of 0 too, and for a count of spikes one addition for each."""

    dense: int = 0
    """All values times all weights, zeros included; what a kernel reads beyond the edge is not."""

    def __add__(self, other: "Operations") -> "Operations":
        return Operations(
            effective_macs=self.effective_macs + other.effective_macs,
            effective_acs=self.effective_acs + other.effective_acs,
            macs=self.macs + other.macs,
            acs=self.acs + other.acs,
            dense=self.dense + other.dense,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Synapses of one delay, counted by the value that they read."""

    steps: int
    """Their delay [steps of the network]."""

    nonzero: Int64[np.ndarray, " pre"]
    """Weights that are not 0."""

    stored: Int64[np.ndarray, " pre"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One map with weights."""

    before: tuple[LinearMap, ...]
    """What the values pass since the layer before it, or since the source: pooling, factors."""

    parts: tuple[Part, ...]
    weights: int
    """Of the trained matrix or kernel, each once."""

    zeros: int
    """Weights that are 0."""

    dense: int
    """Operations of a step in which nothing is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The layers of one projection, first to last."""

    source: str
    target: str
    delay: Int[np.ndarray, "..."]
    """Of what the first of them reads, in steps of the network: a scalar, or one per source."""

    layers: tuple[Layer, ...]
    counts: bool = False
    """Its source sends how often it fired in a step."""


def is_layer(linear: LinearMap) -> bool:
    """Return whether a map is a layer with weights; pooling and factors are none."""
    if isinstance(linear, Convolution):
        out, per_group = linear.weight.shape[:2]
        depthwise = per_group == 1 and out == linear.groups
        return not (depthwise and np.all(linear.weight == linear.weight.ravel()[0]))
    return isinstance(linear, Dense | Sparse)


def reached(linear: LinearMap) -> Int64[np.ndarray, " pre"]:
    """Return how many synapses whose weight is not 0 read each value; nothing is unrolled."""
    if isinstance(linear, Dense):
        return np.count_nonzero(linear.weight, axis=0).astype(np.int64)
    if isinstance(linear, Convolution):
        return _reached_by_kernel(linear)
    assert isinstance(linear, Sparse | Scale)
    if isinstance(linear, Scale):
        return (linear.factor != 0).ravel().astype(np.int64)
    kept = linear.pre[linear.weight != 0]
    return np.bincount(kept, minlength=linear.in_size).astype(np.int64)


def _reached_by_kernel(linear: Convolution) -> Int64[np.ndarray, " pre"]:
    channels, rows, columns = linear.source
    _, out_rows, out_columns = linear.out_shape
    taps = linear.weight.reshape(linear.groups, -1, *linear.weight.shape[1:])
    used = np.count_nonzero(taps, axis=1).reshape(channels, *linear.weight.shape[2:])
    top, bottom, left, right = linear.padding
    total = np.zeros((channels, rows + top + bottom, columns + left + right), np.int64)
    for row, column in np.ndindex(*linear.weight.shape[2:]):
        y, x = row * linear.dilation[0], column * linear.dilation[1]
        total[
            :,
            y : y + linear.stride[0] * (out_rows - 1) + 1 : linear.stride[0],
            x : x + linear.stride[1] * (out_columns - 1) + 1 : linear.stride[1],
        ] += used[:, row, column, None, None]
    return total[:, top : top + rows, left : left + columns].ravel()


def ways_of_network(network: Network) -> tuple[Way, ...]:
    """Return the layers of a real-valued network.

    A sparse map counts as the full matrix: that is how the layer was trained.
    """
    return tuple(
        _way(p.source, p.target, p.map, p.delay, full=True)
        for p in network.projections
        if any(is_layer(linear) for linear in _stages(p.map))
    )


def ways_of_program(program: Program) -> tuple[Way, ...]:
    """Return the layers of a program, with delays in steps of the network.

    What clock neurons send is a bias, and what a relay repeats no layer.
    """
    roles = {p.name: p.role for p in program.populations}
    counts = {p.name for p in program.populations if _counts(p)}
    return tuple(
        replace(
            _way(p.source, p.target, p.map, _delay(program, p), full=False),
            counts=p.source in counts,
        )
        for p in program.projections
        if is_layer(p.map)
        and roles.get(p.source) is not Role.CLOCK
        and roles[p.target] is not Role.RELAY
    )


def _counts(population: Population) -> bool:
    several = population.fires in (Fires.COUNT, Fires.ROUNDED) and population.kind is None
    return several and all(table.what is not Tabled.PAYLOAD for table in population.tables)


def _delay(program: Program, projection: Projection) -> Int[np.ndarray, "..."]:
    return np.asarray(np.maximum(network_delay(program, projection, projection.source), 0))


def _stages(linear: LinearMap) -> tuple[LinearMap, ...]:
    return linear.stages if isinstance(linear, Composition) else (linear,)


def _way(source: str, target: str, linear: LinearMap, delay: np.ndarray, *, full: bool) -> Way:
    by_source = delay.ndim == 0 or delay.shape == (linear.in_size,)
    layers: list[Layer] = []
    before: list[LinearMap] = []
    for stage in _stages(linear):
        if is_layer(stage):
            each = np.zeros((), np.int32) if by_source else delay
            layers.append(_layer(tuple(before), stage, each, full=full))
            before = []
        before.append(stage)
    return Way(
        source=source,
        target=target,
        delay=delay if by_source else np.zeros((), np.int32),
        layers=tuple(layers),
    )


def _layer(
    before: tuple[LinearMap, ...], linear: LinearMap, delay: np.ndarray, *, full: bool
) -> Layer:
    weight = linear.numbers()
    ones = linear.with_numbers(np.ones_like(weight))
    matrix = full and isinstance(linear, Sparse)
    weights = linear.in_size * linear.out_size if matrix else weight.size
    return Layer(
        before=before,
        parts=tuple(_parts(linear, ones, delay)),
        weights=weights,
        zeros=weights - int(np.count_nonzero(weight)),
        dense=weights if matrix else int(reached(ones).sum()),
    )


def _parts(linear: LinearMap, ones: LinearMap, delay: np.ndarray) -> Iterator[Part]:
    found = np.unique(delay)
    if found.size == 1:
        yield Part(steps=int(found[0]), nonzero=reached(linear), stored=reached(ones))
        return
    for steps in found:
        there = delay == steps
        yield Part(
            steps=int(steps),
            nonzero=reached(linear.with_numbers(linear.numbers() * there)),
            stored=reached(ones.with_numbers(ones.numbers() * there)),
        )


@dataclass(slots=True)
class Tally:
    """Operations of the layers into each population, added up block by block."""

    ways: Sequence[Way]
    total: dict[str, Operations] = field(default_factory=dict)

    def add(self, sent: Sent) -> None:
        """Count the operations that payloads cause, [sample, step, *shape] of each source."""
        for way in self.ways:
            found = self.total.get(way.target, Operations())
            for values in _pieces(way, sent[way.source]):
                found = sum(_operations(way, values), found)
            self.total[way.target] = found

    @property
    def sum(self) -> Operations:
        """All layers together."""
        return sum(self.total.values(), Operations())


def _pieces(
    way: Way, sent: Num[np.ndarray, "sample step ..."]
) -> Iterator[Num[np.ndarray, "piece step pre"]]:
    """Yield what is counted at once: samples one by one where maps give values between layers."""
    flat = sent.reshape(*sent.shape[:2], -1)
    one_by_one = any(layer.before for layer in way.layers)
    yield from (row[None] for row in flat) if one_by_one else (flat,)


def _operations(way: Way, sent: Num[np.ndarray, "sample step pre"]) -> Iterator[Operations]:
    values = _arriving(sent, way.delay)
    for layer in way.layers:
        for linear in layer.before:
            values = _passed(linear, values)
        yield Operations(dense=layer.dense * values.shape[0] * values.shape[1])
        for part in layer.parts:
            arrived = values[:, : max(0, values.shape[1] - part.steps)]
            multiplied, added = _active(arrived)
            found = Operations(
                effective_macs=int(multiplied @ part.nonzero),
                effective_acs=int(added @ part.nonzero),
                macs=int(multiplied @ part.stored),
                acs=int(added @ part.stored),
            )
            if way.counts:
                spikes = arrived.sum(axis=(0, 1), dtype=np.int64)
                found = replace(found, macs=0, acs=int(spikes @ part.stored))
            yield found


def _arriving(
    values: Num[np.ndarray, "sample step pre"], delay: np.ndarray
) -> Num[np.ndarray, "sample step pre"]:
    """Return what arrives in each step; nothing does before the first payload."""
    if not delay.any():
        return values
    late = np.zeros_like(values)
    for steps in np.unique(delay):
        there = np.broadcast_to(delay == steps, values.shape[2:])
        late[:, steps:, there] = values[:, : max(0, values.shape[1] - steps), there]
    return late


def _passed(
    linear: LinearMap, values: Num[np.ndarray, "sample step pre"]
) -> Num[np.ndarray, "sample step post"]:
    samples, steps, _ = values.shape
    return linear.apply(values.reshape(samples, steps, *linear.in_shape)).reshape(
        samples, steps, -1
    )


def _active(
    values: Num[np.ndarray, "sample step pre"],
) -> tuple[Int64[np.ndarray, " pre"], Int64[np.ndarray, " pre"]]:
    """Return how often each value is not 0: in steps with numbers beside 0, 1 and -1, in others."""
    every = np.count_nonzero(values, axis=(0, 1)).astype(np.int64)
    if values.dtype.kind in "iub" and -1 <= values.min(initial=0) <= values.max(initial=0) <= 1:
        return np.zeros_like(every), every
    graded: Bool[np.ndarray, "sample step"] = np.any((values != 0) & (np.abs(values) != 1), axis=2)
    multiplied = np.count_nonzero(values[graded], axis=0).astype(np.int64)
    return multiplied, every - multiplied
