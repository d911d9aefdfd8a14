"""What a part of a population needs of one projection that ends in it: axons, memory, work."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from snn_deploy.deploy.mapping.bits import Format, format_of
from snn_deploy.deploy.mapping.core_map import Encoding, Part
from snn_deploy.ir.maps import Convolution, Dense, to_sparse
from snn_deploy.ir.program import Projection
from snn_deploy.targets import Resource, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one part needs of one projection."""

    axons: int
    bits: int
    lists: int
    index_bits: int
    messages: float
    """That arrive in a step."""

    operations: float
    """Synapses that they reach in a step."""


class Wiring(ABC):
    """One projection, ready to be cut.

    Args:
        projection: The projection.
        target: The chip.
        rates: Messages of each source neuron in a step.
    """

    encoding: Encoding

    def __init__(
        self, projection: Projection, target: Target, rates: Float64[np.ndarray, " source"]
    ) -> None:
        self.projection = projection
        self.rates = rates
        self.format: Format = format_of(projection, target)
        neurons = target.limit(Resource.NEURONS)
        self._most = self.format.index_bits(1 << 12 if neurons is None else neurons.value)
        self._needs: dict[tuple[object, ...], Need] = {}

    def need(self, part: Part, *, alone: bool = True) -> Need:
        """Return what a part needs. `alone`: no other part is on its core."""
        key = (part.channels, part.places, alone)
        if key not in self._needs:
            self._needs[key] = self._need(part, alone)
        return self._needs[key]

    @abstractmethod
    def _need(self, part: Part, alone: bool) -> Need:
        """Return what `need` keeps."""

    @abstractmethod
    def sources(self, part: Part) -> Bool[np.ndarray, " source"]:
        """Return which source neurons send to the part."""

    @abstractmethod
    def arriving(self) -> Float64[np.ndarray, " neuron"]:
        """Return the synapses of each neuron that messages reach in a step."""


class DenseWiring(Wiring):
    """Every source to every neuron."""

    encoding = Encoding.DENSE

    def _need(self, part: Part, alone: bool) -> Need:
        index = 0 if alone else self._most
        sources, messages = self.rates.size, float(self.rates.sum())
        return Need(
            axons=sources,
            bits=sources * int(self.format.list_bits(part.neurons, index)),
            lists=sources,
            index_bits=index,
            messages=messages,
            operations=messages * part.neurons,
        )

    def sources(self, part: Part) -> Bool[np.ndarray, " source"]:
        """Return all of them."""
        return np.ones(self.rates.size, bool)

    def arriving(self) -> Float64[np.ndarray, " neuron"]:
        """Return the messages of a step."""
        return np.full(self.projection.map.out_size, self.rates.sum())


class SparseWiring(Wiring):
    """Synapses one by one; a convolution that cannot share its kernel too."""

    encoding = Encoding.SPARSE

    def __init__(
        self, projection: Projection, target: Target, rates: Float64[np.ndarray, " source"]
    ) -> None:
        super().__init__(projection, target, rates)
        sparse = to_sparse(projection.map, keep_zeros=True)
        self._pre = sparse.pre
        self._first = np.searchsorted(sparse.post, np.arange(sparse.out_size + 1))

    def _counts(self, part: Part) -> np.ndarray:
        runs = [self._pre[self._first[s.first] : self._first[s.end]] for s in part.slices]
        pre = runs[0] if len(runs) == 1 else np.concatenate(runs)
        return np.bincount(pre, minlength=self.rates.size)

    def _need(self, part: Part, alone: bool) -> Need:
        counts = self._counts(part)
        reached = counts[counts > 0]
        # beside others a neuron's index on the core may need more bits than within its part
        index = self.format.index_bits(part.neurons) if alone else self._most
        return Need(
            axons=reached.size,
            bits=int(self.format.list_bits(reached, index).sum()),
            lists=reached.size,
            index_bits=index,
            messages=float(self.rates[counts > 0].sum()),
            operations=float(self.rates @ counts),
        )

    def sources(self, part: Part) -> Bool[np.ndarray, " source"]:
        """Return those with a synapse into the part."""
        return self._counts(part) > 0

    def arriving(self) -> Float64[np.ndarray, " neuron"]:
        """Return the synapses of each neuron that messages reach in a step."""
        before = np.concatenate([[0.0], np.cumsum(self.rates[self._pre])])
        return np.diff(before[self._first])


class SharedWiring(Wiring):
    """A convolution whose kernel all places of the source share."""

    encoding = Encoding.SHARED

    def __init__(
        self, projection: Projection, target: Target, rates: Float64[np.ndarray, " source"]
    ) -> None:
        super().__init__(projection, target, rates)
        assert isinstance(projection.map, Convolution)
        self._map = projection.map
        self._place = place_of_tap(projection.map)
        self._rates = rates.reshape(projection.map.source[0], -1)

    def _groups(self, part: Part) -> np.ndarray:
        """Return how many channels of the part belong to each group of the convolution."""
        each = self._map.out_shape[0] // self._map.groups
        return np.bincount(np.arange(*part.channels) // each, minlength=self._map.groups)

    def _taps(self, part: Part) -> Bool[np.ndarray, "tap place"]:
        low, high = part.places
        return (self._place >= low) & (self._place < high)

    def _need(self, part: Part, alone: bool) -> Need:
        del alone  # it always is
        taps = self._taps(part)
        reached = taps.sum(axis=0)
        held = self._groups(part)
        channels = self._map.weight.shape[1]
        index = self.format.index_bits(part.neurons)
        if self.format.packing is None:
            kernel = channels * self._map.weight[0, 0].size * int(held.sum())
            bits, lists = int(self.format.list_bits(kernel, 0)), channels * np.count_nonzero(held)
        else:
            lengths = np.multiply.outer(_distinct(taps), held[held > 0])
            bits = channels * int(self.format.list_bits(lengths.ravel(), index).sum())
            lists = channels * lengths.size
        rate = self._rates.reshape(self._map.groups, channels, -1).sum(axis=1)
        return Need(
            axons=int(np.count_nonzero(reached)),
            bits=bits,
            lists=int(lists),
            index_bits=index,
            messages=float(rate[held > 0][:, reached > 0].sum()),
            operations=float(held @ (rate @ reached)),
        )

    def sources(self, part: Part) -> Bool[np.ndarray, " source"]:
        """Return every channel of the groups that the part has, at the places that it sees."""
        channels = np.repeat(self._groups(part) > 0, self._map.weight.shape[1])
        return (channels[:, None] & self._taps(part).any(axis=0)).ravel()

    def arriving(self) -> Float64[np.ndarray, " neuron"]:
        """Return the synapses of each neuron that messages reach in a step."""
        channels, height, width = self._map.out_shape
        rate = self._rates.reshape(self._map.groups, self._map.weight.shape[1], -1).sum(axis=1)
        reached = np.zeros((self._map.groups, height * width))
        for place in self._place:
            seen = place >= 0
            reached[:, place[seen]] += rate[:, seen]  # a tap reaches a place from one other only
        return np.repeat(reached, channels // self._map.groups, axis=0).ravel()


def place_of_tap(linear: Convolution) -> np.ndarray:
    """Return the place of the output that each tap takes each place of the source to; -1: none."""
    _, height, width = linear.out_shape
    rows = _target(linear, 0, height)
    columns = _target(linear, 1, width)
    y, x = rows[:, None, :, None], columns[None, :, None, :]
    place = np.where((y >= 0) & (x >= 0), y * width + x, -1)
    return place.reshape(rows.shape[0] * columns.shape[0], -1).astype(np.int32)


def _target(linear: Convolution, axis: int, extent: int) -> np.ndarray:
    """Return the output row (or column) of each tap and each source row; -1: none."""
    tap = np.arange(linear.weight.shape[2 + axis])[:, None] * linear.dilation[axis]
    moved = np.arange(linear.source[1 + axis]) + linear.padding[2 * axis] - tap
    row, rest = np.divmod(moved, linear.stride[axis])
    return np.where((rest == 0) & (row >= 0) & (row < extent), row, -1)


def _distinct(taps: Bool[np.ndarray, "tap place"]) -> np.ndarray:
    """Return the number of taps of each different set of taps that some place has."""
    seen = taps[:, taps.any(axis=0)]
    codes = [_CODE[: group.shape[0]] @ group for group in np.split(seen, range(63, len(seen), 63))]
    _, where = np.unique(
        codes[0] if len(codes) == 1 else np.stack(codes), axis=-1, return_index=True
    )
    return seen[:, where].sum(axis=0)


_CODE = 1 << np.arange(63)
"""Of each tap in a set of taps."""


def wire(
    projection: Projection,
    target: Target,
    rates: Float64[np.ndarray, " source"],
    *,
    grid: tuple[int, int],
) -> Wiring:
    """Return the wiring of a projection into a population of this grid."""
    if isinstance(projection.map, Dense):
        return DenseWiring(projection, target, rates)
    if shares(projection, grid):
        return SharedWiring(projection, target, rates)
    return SparseWiring(projection, target, rates)


def shares(projection: Projection, grid: tuple[int, int]) -> bool:
    """Return whether all places can share the kernel of a projection into such a population."""
    linear = projection.map
    if not isinstance(linear, Convolution) or np.ptp(projection.delay) > 0:
        return False
    channels, height, width = linear.out_shape
    return (channels, height * width) == grid
