"""Linear maps: what a projection does to payloads, in numbers of any dtype, never unrolled.

A map reads arrays of shape [..., *in_shape] and gives [..., *out_shape]. Maps are joined by
size, not shape: values are C-ordered, so a flatten is no map at all.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int, Num

from snn_deploy.errors import ShapeError
from snn_deploy.ir.arrays import WHOLE, frozen

Shape = tuple[int, ...]

MOST_INDICES = 2**31
"""Neurons on one side of a sparse map: its indices have 32 bits."""


BLOCK = 2**18
"""Weights of a large matrix that are worked on at a time."""


class LinearMap(ABC):
    """One linear map between two sets of neurons."""

    __slots__ = ()

    @property
    @abstractmethod
    def in_shape(self) -> Shape:
        """Shape of the values it reads."""

    @property
    @abstractmethod
    def out_shape(self) -> Shape:
        """Shape of the values it gives."""

    @abstractmethod
    def apply(self, values: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
        """Return the map of `values` [..., *in_shape], in their dtype: [..., *out_shape]."""

    @abstractmethod
    def numbers(self) -> Num[np.ndarray, "..."]:
        """Return the stored weights, each once."""

    @abstractmethod
    def with_numbers(self, numbers: Num[np.ndarray, "..."]) -> "LinearMap":
        """Return the same map with other stored weights, of the shape of `numbers()`."""

    @abstractmethod
    def triplets(self) -> "Triplets":
        """Return every synapse as (post, pre, index into the flat `numbers()`)."""

    @property
    def in_size(self) -> int:
        """Number of values it reads."""
        return math.prod(self.in_shape)

    @property
    def out_size(self) -> int:
        """Number of values it gives."""
        return math.prod(self.out_shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Triplets:
    """All synapses of a map, sorted by (post, pre)."""

    post: Int[np.ndarray, " synapse"]
    pre: Int[np.ndarray, " synapse"]
    number: Int[np.ndarray, " synapse"]
    """Index of the synapse's weight in the flat `numbers()` of the map."""


def _sorted_triplets(post: np.ndarray, pre: np.ndarray, number: np.ndarray) -> Triplets:
    order = np.lexsort((pre, post))
    return Triplets(post=post[order], pre=pre[order], number=number[order])


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense(LinearMap):
    """Every source to every target."""

    weight: Num[np.ndarray, "post pre"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen(self.weight, self.weight.dtype))

    @property
    def in_shape(self) -> Shape:
        """Shape of the values it reads."""
        return (int(self.weight.shape[1]),)

    @property
    def out_shape(self) -> Shape:
        """Shape of the values it gives."""
        return (int(self.weight.shape[0]),)

    def apply(self, values: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
        """Return `values @ weight.T`, in the dtype of `values`."""
        return values @ self.weight.T.astype(values.dtype, copy=False)

    def numbers(self) -> Num[np.ndarray, "..."]:
        """Return the weights [post, pre]."""
        return self.weight

    def with_numbers(self, numbers: Num[np.ndarray, "..."]) -> "Dense":
        """Return the same map with other weights [post, pre]."""
        return Dense(weight=numbers)

    def triplets(self) -> Triplets:
        """Return every synapse."""
        post, pre = np.divmod(np.arange(self.weight.size), max(1, self.in_size))
        return Triplets(post=post, pre=pre, number=np.arange(self.weight.size))


def row_blocks(linear: Dense) -> Iterator[tuple[slice, Dense]]:
    """Yield a matrix by rows, `BLOCK` weights at a time, so that a large one is not copied whole.

    Yields:
        Which rows, and the map into them. Of a matrix without rows, one block without any.
    """
    each = max(1, BLOCK // max(1, linear.in_size))
    for first in range(0, max(1, linear.out_size), each):
        rows = slice(first, min(first + each, linear.out_size))
        yield rows, Dense(weight=linear.weight[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparse(LinearMap):
    """Synapses one by one, sorted by (post, pre); no pair twice."""

    post: Int[np.ndarray, " synapse"]
    pre: Int[np.ndarray, " synapse"]
    weight: Num[np.ndarray, " synapse"]
    post_shape: Shape
    pre_shape: Shape

    def __post_init__(self) -> None:
        for name, dtype in (("post", WHOLE), ("pre", WHOLE), ("weight", self.weight.dtype)):
            object.__setattr__(self, name, frozen(getattr(self, name), dtype))
        if not self.post.size == self.pre.size == self.weight.size:
            raise ShapeError("a sparse map needs as many posts and pres as weights")
        if max(self.out_size, self.in_size) > MOST_INDICES:
            raise ShapeError(
                f"a sparse map of {max(self.out_size, self.in_size)} neurons; "
                f"its indices reach {MOST_INDICES}"
            )
        for index, size in ((self.post, self.out_size), (self.pre, self.in_size)):
            if index.size and not (index.min() >= 0 and index.max() < size):
                raise ShapeError(f"a sparse map has an index outside 0..{size - 1}")
        key = self.post.astype(np.int64) * self.in_size + self.pre
        if not np.all(np.diff(key) > 0):
            raise ShapeError("the synapses of a sparse map are not sorted, or one stands twice")

    @property
    def in_shape(self) -> Shape:
        """Shape of the values it reads."""
        return self.pre_shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the values it gives."""
        return self.post_shape

    def apply(self, values: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
        """Return the sum over the synapses, in the dtype of `values`."""
        lead = values.shape[: values.ndim - len(self.pre_shape)]
        flat = values.reshape(-1, self.in_size)
        out = np.zeros((self.out_size, flat.shape[0]), values.dtype)
        products = flat.T[self.pre] * self.weight.astype(values.dtype)[:, None]
        np.add.at(out, self.post, products)
        return out.T.reshape(*lead, *self.post_shape)

    def numbers(self) -> Num[np.ndarray, "..."]:
        """Return the weights [synapse]."""
        return self.weight

    def with_numbers(self, numbers: Num[np.ndarray, "..."]) -> "Sparse":
        """Return the same synapses with other weights [synapse]."""
        return replace(self, weight=numbers)

    def triplets(self) -> Triplets:
        """Return every synapse."""
        return Triplets(post=self.post, pre=self.pre, number=np.arange(self.weight.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(LinearMap):
    """Two-dimensional cross-correlation, as torch's conv2d; a conv1d has height 1.

    Pooling is a convolution too: depthwise (`groups` = channels), all weights equal.
    """

    weight: Num[np.ndarray, "out in_per_group height width"]
    source: tuple[int, int, int]
    """Channels, height, width of the input."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Zeros added at top, bottom, left, right."""

    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen(self.weight, self.weight.dtype))
        out_channels, per_group = self.weight.shape[:2]
        if self.groups < 1 or out_channels % self.groups:
            raise ShapeError(f"{out_channels} output channels in {self.groups} groups")
        if self.source[0] != per_group * self.groups:
            raise ShapeError(
                f"the kernel reads {per_group} channels x {self.groups} groups, "
                f"the input has {self.source[0]} channels"
            )
        if min(*self.stride, *self.dilation) < 1 or min(self.padding) < 0:
            raise ShapeError("stride and dilation are at least 1, padding at least 0")
        if min(self._out_extent()) < 1:
            raise ShapeError(
                f"a kernel of {self.weight.shape[2]}x{self.weight.shape[3]} "
                f"(dilation {self.dilation}) is larger than its padded input {self.source}"
            )

    def _out_extent(self) -> tuple[int, int]:
        sizes = []
        for axis in (0, 1):
            reach = self.dilation[axis] * (self.weight.shape[2 + axis] - 1) + 1
            padded = self.source[1 + axis] + self.padding[2 * axis] + self.padding[2 * axis + 1]
            sizes.append((padded - reach) // self.stride[axis] + 1)
        return sizes[0], sizes[1]

    @property
    def in_shape(self) -> Shape:
        """Shape of the values it reads: channels, height, width."""
        return self.source

    @property
    def out_shape(self) -> Shape:
        """Shape of the values it gives: channels, height, width."""
        return (int(self.weight.shape[0]), *self._out_extent())

    def apply(self, values: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
        """Return the sum over kernel taps, in the dtype of `values`."""
        lead = values.shape[:-3]
        top, bottom, left, right = self.padding
        margins = ((0, 0), (0, 0), (top, bottom), (left, right))
        padded = np.pad(values.reshape(-1, *self.source), margins)
        height, width = self._out_extent()
        per_group = self.weight.shape[1]
        grouped = padded.reshape(padded.shape[0], self.groups, per_group, *padded.shape[2:])
        weight = self.weight.astype(values.dtype).reshape(self.groups, -1, *self.weight.shape[1:])
        each = (self.groups, weight.shape[1], height * width)
        out = np.zeros((padded.shape[0], *each), values.dtype)
        for row, column in np.ndindex(*self.weight.shape[2:]):
            y, x = row * self.dilation[0], column * self.dilation[1]
            seen = grouped[
                ...,
                y : y + self.stride[0] * (height - 1) + 1 : self.stride[0],
                x : x + self.stride[1] * (width - 1) + 1 : self.stride[1],
            ]
            flat = seen.reshape(*seen.shape[:3], height * width)
            out += np.matmul(weight[..., row, column], flat)
        return out.reshape(*lead, *self.out_shape)

    def numbers(self) -> Num[np.ndarray, "..."]:
        """Return the kernel [out, in_per_group, height, width]."""
        return self.weight

    def with_numbers(self, numbers: Num[np.ndarray, "..."]) -> "Convolution":
        """Return the same convolution with another kernel."""
        return replace(self, weight=numbers)

    def triplets(self) -> Triplets:
        """Return every synapse; those that would read the padding do not exist."""
        channels, height, width = self.out_shape
        per_group = self.weight.shape[1]
        out, within, row, column = (a.ravel() for a in np.indices(self.weight.shape))
        into = out // (channels // self.groups) * per_group + within
        y, x = (a.ravel()[:, None] for a in np.indices((height, width)))
        source_y = y * self.stride[0] - self.padding[0] + row * self.dilation[0]
        source_x = x * self.stride[1] - self.padding[2] + column * self.dilation[1]
        inside = (source_y >= 0) & (source_y < self.source[1])
        inside &= (source_x >= 0) & (source_x < self.source[2])
        post = (out * height + y) * width + x
        pre = (into * self.source[1] + source_y) * self.source[2] + source_x
        number = np.broadcast_to(np.arange(self.weight.size), post.shape)
        return _sorted_triplets(post[inside], pre[inside], number[inside])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale(LinearMap):
    """Each value times its own factor; the identity is a factor of 1."""

    factor: Num[np.ndarray, "..."]
    """Of the full shape."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", frozen(self.factor, self.factor.dtype))

    @property
    def in_shape(self) -> Shape:
        """Shape of the values it reads."""
        return tuple(self.factor.shape)

    @property
    def out_shape(self) -> Shape:
        """Shape of the values it gives."""
        return tuple(self.factor.shape)

    def apply(self, values: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
        """Return `factor * values`, in the dtype of `values`."""
        return values * self.factor.astype(values.dtype)

    def numbers(self) -> Num[np.ndarray, "..."]:
        """Return the factors."""
        return self.factor

    def with_numbers(self, numbers: Num[np.ndarray, "..."]) -> "Scale":
        """Return a map with other factors."""
        return Scale(factor=numbers)

    def triplets(self) -> Triplets:
        """Return every synapse: one per value."""
        each = np.arange(self.factor.size)
        return Triplets(post=each, pre=each, number=each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition(LinearMap):
    """One map after another, first to last; only in a Network, folded before a chip sees it."""

    stages: tuple[LinearMap, ...]

    def __post_init__(self) -> None:
        for first, second in zip(self.stages, self.stages[1:], strict=False):
            if first.out_size != second.in_size:
                raise ShapeError(
                    f"a map that gives {first.out_shape} is followed by "
                    f"one that reads {second.in_shape}"
                )

    @property
    def in_shape(self) -> Shape:
        """Shape of the values it reads."""
        return self.stages[0].in_shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the values it gives."""
        return self.stages[-1].out_shape

    def apply(self, values: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
        """Return the maps of `values` one after another."""
        lead = values.shape[: values.ndim - len(self.in_shape)]
        for stage in self.stages:
            values = stage.apply(values.reshape(*lead, *stage.in_shape))
        return values

    def numbers(self) -> Num[np.ndarray, "..."]:
        """Refuse: a composition stores no weights of its own."""
        raise TypeError("a composition has no weights of its own: fold it first")

    def with_numbers(self, numbers: Num[np.ndarray, "..."]) -> "LinearMap":
        """Refuse: a composition stores no weights of its own."""
        raise TypeError("a composition has no weights of its own: fold it first")

    def triplets(self) -> Triplets:
        """Refuse: a composition stores no weights of its own."""
        raise TypeError("a composition has no weights of its own: fold it first")


def to_sparse(linear: LinearMap, *, keep_zeros: bool = False) -> Sparse:
    """Return the same map, synapse by synapse. Zero weights are dropped unless `keep_zeros`."""
    if isinstance(linear, Composition):
        return _compose_sparse([to_sparse(stage, keep_zeros=keep_zeros) for stage in linear.stages])
    triplets = linear.triplets()
    weight = linear.numbers().ravel()[triplets.number]
    keep = np.ones(weight.shape, bool) if keep_zeros else weight != 0
    return Sparse(
        post=triplets.post[keep],
        pre=triplets.pre[keep],
        weight=weight[keep],
        post_shape=linear.out_shape,
        pre_shape=linear.in_shape,
    )


def _compose_sparse(stages: Sequence[Sparse]) -> Sparse:
    total = stages[0]
    for stage in stages[1:]:
        total = _sparse_product(stage, total)
    return total


def _sparse_product(outer: Sparse, inner: Sparse) -> Sparse:
    """Return the map `outer` after `inner`: row-by-row product of two sparse matrices."""
    row_start = np.searchsorted(inner.post, np.arange(inner.out_size + 1))
    length = np.diff(row_start)[outer.pre]
    first = np.repeat(row_start[outer.pre], length)
    offset = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    taken = first + offset
    post = np.repeat(outer.post.astype(np.int64), length)
    key = post * inner.in_size + inner.pre[taken]
    product = np.repeat(outer.weight, length) * inner.weight[taken]
    unique, position = np.unique(key, return_inverse=True)
    weight = np.zeros(unique.size, product.dtype)
    np.add.at(weight, position, product)
    post, pre = np.divmod(unique, inner.in_size)
    return Sparse(
        post=post.astype(np.int32),
        pre=pre.astype(np.int32),
        weight=weight,
        post_shape=outer.post_shape,
        pre_shape=inner.pre_shape,
    )


def dense_matrix(linear: LinearMap) -> Num[np.ndarray, "post pre"]:
    """Return the map as a full matrix [post, pre], whatever its kind."""
    if isinstance(linear, Dense):
        return linear.weight
    sparse = to_sparse(linear)
    matrix = np.zeros((linear.out_size, linear.in_size), sparse.weight.dtype)
    matrix[sparse.post, sparse.pre] = sparse.weight
    return matrix


def fan_out(linear: LinearMap) -> Int[np.ndarray, " pre"]:
    """Return how many stored synapses each source reaches; stored zeros of a kernel count."""
    return np.bincount(linear.triplets().pre, minlength=linear.in_size).astype(np.int64)
