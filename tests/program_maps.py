"""Random integer maps: shapes, kinds and weights."""

from math import prod

import numpy as np
from program_draws import Draws
from program_traits import Trait

from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Shape, Sparse
from snn_deploy.ir.program import Sign


class Maps:
    """Draws maps."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws

    def map(
        self, source: Shape, target: Shape | None, *, excited: bool, extreme: bool = False
    ) -> LinearMap:
        """Return a random map that reads `source`, and gives `target` where that is fixed."""
        linear = self._shaped(source, target)
        kind = Sign.MIXED
        if self.draws.may(Trait.ONE_SIGNED, 0.25):
            kind = Sign.EXCITATORY if excited or self.draws.chance(0.5) else Sign.INHIBITORY
        count = linear.numbers().shape
        if isinstance(linear, Convolution) and _constant(linear):
            weight = np.broadcast_to(np.abs(self._weights((1,), kind, excited, extreme)), count)
            return linear.with_numbers(np.maximum(weight, 1))
        return linear.with_numbers(self._weights(count, kind, excited, extreme))

    def _weights(self, shape: Shape, kind: Sign, excited: bool, extreme: bool) -> np.ndarray:
        if extreme:
            weight = self.draws.rng.choice([128, 128, 128, 64, 2, 254, -128, -256], shape)
        else:
            limit = int(
                self.draws.rng.choice([4, 30, 120] if self.draws.loihi else [3, 20, 127, 500])
            )
            weight = 2 * self.draws.rng.integers(-(limit // 2) - 1, limit // 2 + 1, shape)
            if not self.draws.loihi or kind is not Sign.MIXED:
                weight += self.draws.rng.integers(0, 2, shape)
            weight = np.where(
                excited & (self.draws.rng.random(shape) < 0.6), np.abs(weight), weight
            )
        if kind is Sign.EXCITATORY:
            weight = np.abs(weight)
        if kind is Sign.INHIBITORY:
            weight = -np.abs(weight)
        if self.draws.loihi and (weight.min(initial=0) >= 0 or weight.max(initial=0) <= 0):
            weight = np.clip(weight, -255, 255)  # only a matrix of both signs stores -256
        return weight.astype(np.int32)

    def _shaped(self, source: Shape, target: Shape | None) -> LinearMap:
        """Return a map of the right shapes; its weights say only whether it is a pool."""
        kinds: dict[Trait, float] = {Trait.DENSE: 0.35, Trait.SPARSE: 0.25}
        if target is None or _same_extent(source, target):
            kinds[Trait.CONVOLUTION] = 0.5 if len(source) == 3 else 0.15
        if target is None and len(source) == 3:
            kinds[Trait.POOL] = 0.25
        kind = self.draws.pick({k: p for k, p in kinds.items() if k in self.draws.features.allowed})
        if kind is Trait.CONVOLUTION:
            return self._convolution(source) if target is None else self._same(source, target)
        if kind is Trait.POOL:
            return self._pool(source)
        out = target if target is not None else self._any_shape()
        if kind is Trait.DENSE:
            return Dense(weight=np.zeros((prod(out), prod(source)), np.int32))
        return self._sparse(source, out)

    def _any_shape(self) -> Shape:
        if self.draws.chance(0.3):
            return (self.draws.whole(1, 3), self.draws.whole(1, 3), self.draws.whole(1, 3))
        return (self.draws.whole(1, self.draws.sizes.neurons),)

    def _sparse(self, source: Shape, out: Shape) -> Sparse:
        size = prod(source)
        there = self.draws.rng.random(prod(out) * size) < self.draws.rng.uniform(0.15, 0.7)
        post, pre = np.divmod(np.flatnonzero(there), size)
        return Sparse(
            post=post, pre=pre, weight=np.zeros(post.size, np.int32),
            post_shape=out, pre_shape=source,
        )  # fmt: skip

    def _padding(self, most: int) -> tuple[int, int, int, int]:
        top, left = self.draws.whole(0, most), self.draws.whole(0, most)
        if self.draws.may(Trait.ASYMMETRIC_PADDING, 0.5):
            return (top, self.draws.whole(0, most), left, self.draws.whole(0, most))
        return (top, top, left, left)

    def _convolution(self, source: Shape) -> Convolution:
        channels, height, width = source if len(source) == 3 else (1, 1, prod(source))
        reach = (min(3, height), min(3, width))
        kernel = (self.draws.whole(1, reach[0]), self.draws.whole(1, reach[1]))
        dilation = [1, 1]
        for axis, extent in enumerate((height, width)):
            if 2 * (kernel[axis] - 1) + 1 <= extent and self.draws.may(Trait.DILATION, 0.4):
                dilation[axis] = 2
        stride = [2 if self.draws.may(Trait.STRIDE, 0.35) else 1 for _ in range(2)]
        groups = channels if self.draws.may(Trait.GROUPS, 0.35) else 1
        out = groups * self.draws.whole(1, max(1, 4 // groups))
        return Convolution(
            weight=np.zeros((out, channels // groups, *kernel), np.int32),
            source=(channels, height, width),
            stride=(stride[0], stride[1]),
            padding=self._padding(2 if len(source) == 3 else 0),
            dilation=(dilation[0], dilation[1]),
            groups=groups,
        )

    def _same(self, source: Shape, target: Shape) -> Convolution:
        """Return a convolution that keeps height and width."""
        side = int(self.draws.rng.choice([1, 3]))
        groups = (
            source[0] if target[0] % source[0] == 0 and self.draws.may(Trait.GROUPS, 0.3) else 1
        )
        weight = np.zeros((target[0], source[0] // groups, side, side), np.int32)
        margin = side // 2
        shape = (source[0], source[1], source[2])
        return Convolution(weight=weight, source=shape, padding=(margin,) * 4, groups=groups)

    def _pool(self, source: Shape) -> Convolution:
        channels, height, width = source
        side = min(self.draws.whole(2, 3), height, width)
        stride = self.draws.whole(1, side) if Trait.STRIDE in self.draws.features.allowed else 1
        return Convolution(
            weight=np.ones((channels, 1, side, side), np.int32),
            source=(channels, height, width),
            stride=(stride, stride),
            padding=self._padding(1) if self.draws.chance(0.4) else (0, 0, 0, 0),
            groups=channels,
        )


def _constant(linear: LinearMap) -> bool:
    return bool(linear.numbers().size and np.all(linear.numbers() == 1))


def _same_extent(source: Shape, target: Shape) -> bool:
    return len(source) == len(target) == 3 and source[1:] == target[1:]
