"""The five networks that are timed: programs of random integers, and the inputs they run on.

Weights, thresholds and inputs come from seeds alone. Thresholds are searched, layer after layer,
until the share of neurons that fire in a step is the one that the layer names.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

import numpy as np

from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import ResetKind
from snn_deploy.ir.program import Input, Population, Program, Projection, Reset
from snn_deploy.ir.trace import Values
from snn_deploy.targets import find_target

CHIP = "loihi2"
SHIFT = 6
"""The chip adds a weight sum to the membrane shifted left by this; thresholds are multiples."""

ONE = 4096
"""Decay that keeps all of the membrane."""

LEAK = 3700
"""Decay of leaky neurons [1/4096]: a time constant of ten steps."""

LARGEST = 127
"""Stored weights are twice a number from -128 to this."""

CALIBRATION = 2
"""Samples, the last ones, on which thresholds are searched."""


class Kind(Enum):
    """What joins a layer to the one before."""

    DENSE = "dense"
    CONVOLUTION = "convolution"
    SPARSE = "sparse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer as everybody builds it: pool, linear map, neurons that fire once and go to 0."""

    name: str
    kind: Kind
    shape: tuple[int, ...]
    weight: np.ndarray
    """[post, pre], [out, in, height, width], or of a sparse one [synapse]."""

    decay: int
    """[1/4096]"""

    threshold: int = 1
    """The membrane fires above it [weight steps]."""

    pool: int = 1
    """Spikes of squares of this many by this many neurons are added up before the map."""

    stride: int = 1
    padding: int = 0
    index: np.ndarray | None = None
    """Of a sparse map: [post and pre, synapse], sorted."""

    recurrent: np.ndarray | None = None
    """From the layer to itself, a step later: weight [post, pre], or [synapse]."""

    recurrent_index: np.ndarray | None = None
    activity: float | None = 0.05
    """Wanted spikes per neuron and step; None: the threshold is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network with what it runs on."""

    name: str
    title: str
    steps: int
    shape: tuple[int, ...]
    """Of the input."""

    layers: tuple[Layer, ...]
    inputs: np.ndarray
    """[sample, step, *shape], uint8; larger batches take the samples again from the start."""

    high: int = 1
    """Largest value of the input."""

    checked: int | None = None
    """Steps of the first sample that the reference simulator runs; None: all."""

    constant: bool = False
    """The input is the same in every step."""

    @property
    def program(self) -> Program:
        """The program of it for the chip: one step of delay per projection."""
        return _program(self)

    def batch(self, samples: int) -> tuple[Values, ...]:
        """Return the input of as many samples."""
        taken = np.arange(samples) % len(self.inputs)
        return (Values(name="input", values=self.inputs[taken]),)


def linear_map(layer: Layer, source: tuple[int, ...]) -> LinearMap:
    """Return the pooling and the map of a layer as one map."""
    if layer.kind is Kind.SPARSE:
        return _sparse(layer.weight, layer.index, layer.shape, source)
    if layer.kind is Kind.CONVOLUTION:
        return Convolution(
            weight=_widened(layer.weight, layer.pool),
            source=(source[0], source[1], source[2]),
            stride=(layer.stride * layer.pool,) * 2,
            padding=(layer.padding * layer.pool,) * 4,
        )
    if layer.pool > 1:
        pooled = (source[0], source[1] // layer.pool, source[2] // layer.pool)
        weight = _widened(layer.weight.reshape(-1, *pooled), layer.pool)
        return Dense(weight=weight.reshape(len(weight), -1))
    return Dense(weight=layer.weight)


def feedback_map(layer: Layer) -> LinearMap | None:
    """Return the map from a layer to itself, if it has one."""
    if layer.recurrent is None:
        return None
    if layer.recurrent_index is None:
        return Dense(weight=layer.recurrent)
    return _sparse(layer.recurrent, layer.recurrent_index, layer.shape, layer.shape)


def _widened(weight: np.ndarray, pool: int) -> np.ndarray:
    return np.kron(weight, np.ones((1, 1, pool, pool), weight.dtype))


def _sparse(
    weight: np.ndarray, index: np.ndarray | None, post: tuple[int, ...], pre: tuple[int, ...]
) -> Sparse:
    assert index is not None
    return Sparse(post=index[0], pre=index[1], weight=weight, post_shape=post, pre_shape=pre)


def _program(case: Case) -> Program:
    populations, projections = [], []
    source, shape = "input", case.shape
    for lag, layer in enumerate(case.layers, 1):
        populations.append(
            Population(
                name=layer.name,
                shape=layer.shape,
                decay=np.asarray(layer.decay),
                threshold=np.asarray(layer.threshold << SHIFT),
                reset=Reset(kind=ResetKind.VALUE),
                lag=lag,
            )
        )
        feedback = feedback_map(layer)
        joined = [(source, linear_map(layer, shape))]
        joined += [(layer.name, feedback)] if feedback is not None else []
        projections += [
            Projection(
                name=f"{pre}-{layer.name}",
                source=pre,
                target=layer.name,
                map=linear,
                shift=SHIFT,
                delay=np.asarray(1),
            )
            for pre, linear in joined
        ]
        source, shape = layer.name, layer.shape
    target = find_target(CHIP)
    return Program(
        name=case.name,
        target=target.name,
        arithmetic=target.arithmetic,
        inputs=(Input(name="input", shape=case.shape, high=case.high),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="output", population=source),),
    )


# --- thresholds -------------------------------------------------------------------------------


def calibrated(case: Case) -> Case:
    """Return the case with thresholds that give each layer its activity."""
    if all(layer.activity is None for layer in case.layers):
        return case
    values = case.inputs[-CALIBRATION:].reshape(-1, case.steps, *case.shape)
    layers, shape = [], case.shape
    for layer in case.layers:
        drive = _drive(linear_map(layer, shape), values)
        spikes = _searched(layer, drive)
        layers.append(replace(layer, threshold=spikes[0]))
        values, shape = spikes[1].reshape(*spikes[1].shape[:2], *layer.shape), layer.shape
    return replace(case, layers=tuple(layers))


def _drive(linear: LinearMap, values: np.ndarray) -> np.ndarray:
    """Return what arrives at each neuron [sample, step, neuron]; float32 holds it exactly."""
    if isinstance(linear, Sparse):
        add = _Rows(linear)
        flat = values.reshape(-1, linear.in_size)
        summed = np.stack([add(row) for row in flat])
    else:
        summed = linear.apply(values.reshape(-1, *linear.in_shape).astype(np.float32))
    return summed.reshape(*values.shape[:2], linear.out_size).astype(np.int32)


class _Rows:
    """A sparse map that adds up the rows of those sources that send something."""

    def __init__(self, linear: Sparse) -> None:
        order = np.argsort(linear.pre, kind="stable")
        self.post, self.weight = linear.post[order], linear.weight[order]
        self.start = np.searchsorted(linear.pre[order], np.arange(linear.in_size + 1))
        self.size = linear.out_size

    def __call__(self, spikes: np.ndarray) -> np.ndarray:
        sent = np.flatnonzero(spikes)
        length = self.start[sent + 1] - self.start[sent]
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        taken = np.repeat(self.start[sent], length) + within
        return np.bincount(self.post[taken], self.weight[taken], self.size)


def _searched(layer: Layer, drive: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the threshold next to the wanted activity, and the spikes that it gives."""
    feedback = feedback_map(layer)
    add: Callable[[np.ndarray], np.ndarray] | None = None
    if isinstance(feedback, Sparse):
        rows = _Rows(feedback)
        add = lambda spikes: np.stack([rows(row) for row in spikes])  # noqa: E731
    elif feedback is not None:
        add = lambda spikes: feedback.apply(spikes.astype(np.float32))  # noqa: E731
    if layer.activity is None:
        return layer.threshold, _spikes(drive, layer.threshold, layer.decay, add)
    low, high = 0, 1 << 17
    while high - low > 1:
        middle = math.isqrt(max(1, low) * high) if high > 4 * max(1, low) else (low + high) // 2
        middle = min(max(middle, low + 1), high - 1)
        rate = _spikes(drive, middle, layer.decay, add).mean()
        low, high = (middle, high) if rate > layer.activity else (low, middle)
        if abs(rate / layer.activity - 1) < 0.02:
            high = middle
            break
    return high, _spikes(drive, high, layer.decay, add)


def _spikes(
    drive: np.ndarray, threshold: int, decay: int, add: Callable[[np.ndarray], np.ndarray] | None
) -> np.ndarray:
    """Return the spikes of integer neurons [sample, step, neuron]."""
    membrane = np.zeros((len(drive), drive.shape[2]), np.int64)
    spikes = np.zeros(drive.shape, np.uint8)
    for step in range(drive.shape[1]):
        kept = np.sign(membrane) * (np.abs(membrane) * decay >> 12)
        membrane = kept + (drive[:, step].astype(np.int64) << SHIFT)
        if add is not None and step:
            membrane += add(spikes[:, step - 1]).astype(np.int64) << SHIFT
        fired = membrane > threshold << SHIFT
        spikes[:, step], membrane = fired, np.where(fired, 0, membrane)
    return spikes


# --- the networks -----------------------------------------------------------------------------


def weights(rng: np.random.Generator, shape: tuple[int, ...], spread: float = 30) -> np.ndarray:
    """Return even numbers as a chip stores them, normally distributed.

    Their mean is 0 for each target [first axis]: else membranes that do not leak drift away.
    """
    drawn = rng.normal(0, spread, shape)
    if len(shape) > 1:
        drawn -= drawn.mean(axis=tuple(range(1, len(shape))), keepdims=True)
    return (2 * np.rint(drawn).clip(-LARGEST - 1, LARGEST)).astype(np.int16)


def noise(rng: np.random.Generator, samples: int, steps: int, size: int, rate: float) -> np.ndarray:
    """Return random spikes [sample, step, input]."""
    return (rng.random((samples, steps, size), np.float32) < rate).astype(np.uint8)


def mlp() -> Case:
    """784-512-512-10, leaky, 100 steps, 5 % of the inputs active in each."""
    return dense_case("mlp", (784, 512, 512, 10), steps=100, rate=0.05)


def dense_case(
    name: str,
    sizes: tuple[int, ...],
    *,
    steps: int,
    rate: float,
    activity: float = 0.06,
    samples: int = 64,
) -> Case:
    """Return a network of dense layers of leaky neurons on random spikes."""
    rng = np.random.default_rng(1)
    layers = tuple(
        Layer(
            name=f"dense{i}",
            kind=Kind.DENSE,
            shape=(post,),
            weight=weights(rng, (post, pre)),
            decay=LEAK,
            activity=activity,
        )
        for i, (pre, post) in enumerate(pairwise(sizes), 1)
    )
    return calibrated(
        Case(
            name=name,
            title=f"{'-'.join(map(str, sizes))}, T={steps}",
            steps=steps,
            shape=sizes[:1],
            layers=layers,
            inputs=noise(rng, samples, steps, sizes[0], rate),
        )
    )


def cnn() -> Case:
    """The N-MNIST network of the NIR paper (Pedersen et al. 2024): 300 steps of 1 ms."""
    rng = np.random.default_rng(2)

    def convolution(
        name: str, shape: tuple[int, int, int], pre: int, kernel: int, *, stride: int = 1,
        pool: int = 1, activity: float = 0.04,
    ) -> Layer:  # fmt: skip
        return Layer(
            name=name, kind=Kind.CONVOLUTION, shape=shape, decay=ONE, stride=stride, padding=1,
            pool=pool, weight=weights(rng, (shape[0], pre, kernel, kernel)), activity=activity,
        )  # fmt: skip

    def dense(name: str, post: int, pre: int, pool: int = 1) -> Layer:
        return Layer(
            name=name, kind=Kind.DENSE, shape=(post,), weight=weights(rng, (post, pre)),
            decay=ONE, pool=pool, activity=0.05,
        )  # fmt: skip

    layers = (
        convolution("conv1", (16, 16, 16), 2, 5, stride=2, activity=0.02),
        convolution("conv2", (16, 16, 16), 16, 3),
        convolution("conv3", (8, 8, 8), 16, 3, pool=2),
        dense("dense1", 256, 128, pool=2),
        dense("dense2", 10, 256),
    )
    inputs = np.stack([_saccades(rng, 300) for _ in range(32)])
    title = "N-MNIST CNN (3 conv, 2 dense), T=300"
    return calibrated(
        Case(name="cnn", title=title, steps=300, shape=(2, 34, 34), layers=layers, inputs=inputs)
    )


def _saccades(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Return events [step, polarity, y, x] of strokes that a camera passes over in three saccades.

    About 4,200 events in 300 steps, as N-MNIST has (Orchard et al. 2015): an event is where the
    brightness changed, and a tenth of them is noise.
    """
    grid = np.arange(34.0)
    stroke = np.cumsum(rng.normal(0, 1.6, (24, 2)), axis=0)
    stroke += 17 - stroke.mean(axis=0)
    path = np.array([[-2.0, -1.5], [0.0, 2.5], [2.0, -1.5], [-2.0, -1.5]])
    leg = np.linspace(0, 3, steps + 1, endpoint=False)
    at = np.stack([np.interp(leg, np.arange(4), path[:, axis]) for axis in (0, 1)], 1)
    spots = stroke[None] + at[:, None]
    rows = np.exp(-0.5 * (grid[None, None] - spots[..., :1]) ** 2)
    columns = np.exp(-0.5 * (grid[None, None] - spots[..., 1:]) ** 2)
    brightness = np.minimum(1, np.einsum("tsy,tsx->tyx", rows, columns))
    change = np.diff(brightness, axis=0)
    change *= 3800 / np.abs(change).sum()
    rate = np.stack([change.clip(0), (-change).clip(0)], 1) + 400 / (steps * 2 * 34 * 34)
    return (rng.random(rate.shape) < rate).astype(np.uint8)


def recurrent() -> Case:
    """700-256-20 with feedback in the middle, leaky, 100 steps (the size of SHD models)."""
    rng = np.random.default_rng(3)
    layers = (
        Layer(
            name="hidden", kind=Kind.DENSE, shape=(256,), weight=weights(rng, (256, 700)),
            decay=LEAK, recurrent=weights(rng, (256, 256)), activity=0.06,
        ),
        Layer(
            name="readout", kind=Kind.DENSE, shape=(20,), weight=weights(rng, (20, 256)),
            decay=LEAK, activity=0.05,
        ),
    )  # fmt: skip
    return calibrated(
        Case(
            name="recurrent",
            title="recurrent 700-256-20, T=100",
            steps=100,
            shape=(700,),
            layers=layers,
            inputs=noise(rng, 64, 100, 700, 0.02),
        )
    )


VGG11 = ((64, 1), (128, 2), (256, 2), (256, 1), (512, 2), (512, 1), (512, 2), (512, 1))
"""Channels of each convolution, and by how much is pooled before it (Simonyan and Zisserman 2015,
table 1, A)."""


def vgg() -> Case:
    """VGG-11 for 32x32x3, 6 steps of a constant image; pools add up, classifier 512-512-10."""
    rng = np.random.default_rng(4)
    layers, channels, side = [], 3, 32
    for i, (post, pool) in enumerate(VGG11, 1):
        side //= pool
        layers.append(
            Layer(
                name=f"conv{i}", kind=Kind.CONVOLUTION, shape=(post, side, side), padding=1,
                weight=weights(rng, (post, channels, 3, 3), 4 if i == 1 else 30), pool=pool,
                decay=LEAK, activity=0.06,
            )
        )  # fmt: skip
        channels = post
    for i, (post, pre, pool) in enumerate([(512, 512, 2), (512, 512, 1), (10, 512, 1)], 1):
        layers.append(
            Layer(
                name=f"dense{i}", kind=Kind.DENSE, shape=(post,), decay=LEAK, pool=pool,
                weight=weights(rng, (post, pre)), activity=0.06,
            )
        )  # fmt: skip
    images = _pictures(rng, 32)
    return calibrated(
        Case(
            name="vgg",
            title="VGG-11, 32x32x3, T=6",
            steps=6,
            shape=(3, 32, 32),
            layers=tuple(layers),
            inputs=np.repeat(images[:, None], 6, axis=1),
            high=255,
            constant=True,
        )
    )


def _pictures(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Return smooth random pictures [sample, 3, 32, 32] of 0 to 255."""
    coarse = rng.random((samples, 3, 6, 6))
    at = np.linspace(0, 4.999, 32)
    low, part = at.astype(int), at % 1
    rows = coarse[:, :, low] * (1 - part)[:, None] + coarse[:, :, low + 1] * part[:, None]
    smooth = rows[..., low] * (1 - part) + rows[..., low + 1] * part
    return (255 * smooth).astype(np.uint8)


def random_sparse() -> Case:
    """100,000 leaky neurons, 100 random sources each, a fifth of them inhibitory; 100 steps."""
    return sparse_case("sparse", neurons=100_000, fan_in=100)


SPARSE_THRESHOLD = 900
"""Gives about 1 % of activity whatever the number of neurons: each has the same fan-in."""


def sparse_case(name: str, *, neurons: int, fan_in: int, inputs: int = 1000) -> Case:
    """Return a sparse random recurrent network that random spikes keep at about 1 %."""
    rng = np.random.default_rng(5)
    index, weight = _random_synapses(rng, neurons, neurons, fan_in)
    source = rng.random(neurons) < 0.2
    magnitude = np.abs(weight) // 2 + 2
    weight = np.where(source[index[1]], -4 * magnitude, magnitude).clip(-256, 254)
    into_index, into = _random_synapses(rng, neurons, inputs, 10)
    layer = Layer(
        name="neurons",
        kind=Kind.SPARSE,
        shape=(neurons,),
        weight=(2 * np.abs(into) + 2).clip(2, 254),
        index=into_index,
        recurrent=(weight // 2 * 2).astype(np.int16),
        recurrent_index=index,
        decay=LEAK,
        threshold=SPARSE_THRESHOLD,
        activity=None,
    )
    return calibrated(
        Case(
            name=name,
            title=f"sparse random recurrent, {neurons:,} neurons, {len(weight):,} synapses, T=100",
            steps=100,
            shape=(inputs,),
            layers=(layer,),
            inputs=noise(rng, 8, 100, inputs, 0.05),
            checked=20,
        )
    )


def _random_synapses(
    rng: np.random.Generator, post: int, pre: int, fan_in: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (post and pre, weight) of random synapses; the few that come twice are left out."""
    key = np.repeat(np.arange(post), fan_in) * pre + rng.integers(0, pre, post * fan_in)
    index = np.stack(np.divmod(np.unique(key), pre)).astype(np.int32)
    return index, weights(rng, (index.shape[1],))


NETWORKS: dict[str, Callable[[], Case]] = {
    "mlp": mlp,
    "cnn": cnn,
    "recurrent": recurrent,
    "vgg": vgg,
    "sparse": random_sparse,
}
