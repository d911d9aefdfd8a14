"""Know the benchmark's tasks: their data, the networks that learn them and how those are trained.

All networks have thresholds of 1, hard resets to 0 and a leaky readout that never fires. Spikes
cross all layers within one step; recurrent ones arrive in the next.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snn_deploy.ir.codecs import encode_rate
from snn_deploy.ir.maps import Composition, Convolution, Dense, LinearMap, Scale, Shape
from snn_deploy.ir.network import (
    Bias,
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import Decode, Fires, ResetKind

HERE = Path(__file__).parent
EXAMPLE = HERE.parent.parent / "examples" / "mnist"
CLASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of neurons and the weights into it."""

    out: int
    """Neurons, or channels of a convolution."""

    kernel: int = 0
    """Side of a convolution's kernel; 0: dense."""

    stride: int = 1
    recurrent: bool = False
    bias: bool = False
    decay: float
    """Share of the membrane that is left after a step."""

    current_decay: float | None = None
    """Share of the synaptic current; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Spikes, uint8 [sample, step, *shape], and labels, int64 [sample]."""

    train: np.ndarray
    train_label: np.ndarray
    test: np.ndarray
    test_label: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is learnt, by which network, how."""

    name: str
    shape: Shape
    """Of the input in one step."""

    layers: tuple[Layer, ...]
    """The last one is the readout."""

    decode: Decode
    data: Callable[[int], Data]
    """The data of a seed."""

    epochs: int
    learning_rate: float

    def file(self, seed: int) -> Path:
        """Return where the trained weights of a seed lie."""
        return HERE / "weights" / f"{self.name}-{seed}.npz"


def network_of(task: Task, weights: dict[str, np.ndarray]) -> Network:
    """Return the real-valued network with these weights: `w0`, `r0` (recurrent), `b0`, `w1`, ..."""
    populations, projections = [], []
    source, shape = "input", task.shape
    for number, layer in enumerate(task.layers):
        name = f"layer{number + 1}"
        linear = _map(layer, shape, weights[f"w{number}"].astype(np.float64))
        shape = linear.out_shape
        projections.append(Projection(name=f"{source}-{name}", source=source, target=name,
                                      map=linear))  # fmt: skip
        if layer.recurrent:
            dense = Dense(weight=weights[f"r{number}"].astype(np.float64))
            projections.append(Projection(name=f"{name}-{name}", source=name, target=name,
                                          map=dense, delay=np.asarray(1)))  # fmt: skip
        last = number == len(task.layers) - 1
        populations.append(_population(name, layer, shape, weights.get(f"b{number}"), last))
        source = name
    return Network(
        name=task.name,
        inputs=(Input(name="input", shape=task.shape),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="output", population=source, decode=task.decode),),
    )


def _map(layer: Layer, shape: Shape, weight: np.ndarray) -> LinearMap:
    if layer.kernel:
        assert len(shape) == 3
        return Convolution(weight=weight, source=shape, stride=(layer.stride, layer.stride))
    dense = Dense(weight=weight)
    if len(shape) == 1:
        return dense
    return Composition(stages=(Scale(factor=np.ones(shape)), dense))


def _population(
    name: str, layer: Layer, shape: Shape, bias: np.ndarray | None, last: bool
) -> Population:
    biases: tuple[Bias, ...] = ()
    if bias is not None:
        value = bias.astype(np.float64)
        biases = (Bias(value=value[:, None, None] if len(shape) == 3 else value),)
    return Population(
        name=name,
        shape=shape,
        decay=np.asarray(layer.decay),
        synapse=None
        if layer.current_decay is None
        else Synapse(decay=np.asarray(layer.current_decay)),
        fires=Fires.NEVER if last else Fires.BINARY,
        reset=Reset() if last else Reset(kind=ResetKind.VALUE),
        biases=biases,
    )


def digits_as_rates(side: int) -> Callable[[int], Data]:
    """Return a function that gives the digits as random spikes, at `side` x `side` pixels."""

    def data(seed: int) -> Data:
        train, train_label, test, test_label = _digits()
        train, test = _smaller(train, side), _smaller(test, side)
        return Data(
            train=encode_rate(train, 16, 1000 + seed), train_label=train_label,
            test=encode_rate(test, 16, seed), test_label=test_label,
        )  # fmt: skip

    return data


def digits_by_row(seed: int) -> Data:
    """Return the digits row by row: in step t the dark pixels of row t, for any seed."""
    train, train_label, test, test_label = _digits()

    def rows(images: np.ndarray) -> np.ndarray:
        return (images[:, 0] > 0.4).astype(np.uint8)

    return Data(train=rows(train), train_label=train_label, test=rows(test), test_label=test_label)


def _digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    sys.path.insert(0, str(EXAMPLE))
    try:
        import digits  # noqa: PLC0415 - the example's folder is no package
    finally:
        sys.path.remove(str(EXAMPLE))
    return digits.load()


def _smaller(images: np.ndarray, side: int) -> np.ndarray:
    """Return images [sample, 1, 28, 28] with blocks of pixels replaced by their mean."""
    block = images.shape[-1] // side
    if block == 1:
        return images
    return images.reshape(-1, side, block, side, block).mean(axis=(2, 4)).reshape(len(images), -1)


MANIFOLD_INPUTS = 40
MANIFOLD_STEPS = 60
HARMONICS = 4
DIMENSIONS = 2
ORDER = np.arange(1, HARMONICS + 1)


def manifolds(seed: int) -> Data:
    """Return one precisely timed spike per input, whose times lie on a random surface per class.

    The idea of Zenke and Vogels 2021 (Neural Computation 33, 899): a class is a smooth random
    manifold in the space of the inputs' spike times, a sample is a random point on it. Here it has
    two dimensions: the time of an input is the sum of two random Fourier series, one in each
    coordinate, whose k-th amplitudes fall as 1/k; the whole span of steps is used.
    """
    rng = np.random.default_rng([20, seed])
    series = (CLASSES, MANIFOLD_INPUTS, DIMENSIONS, HARMONICS)
    amplitude, phase = rng.normal(size=series) / ORDER, rng.random(series)
    line = np.linspace(0, 1, 257)[:, None, None, None]
    grid = _curves(amplitude, phase, line)  # [place, class, input, dimension]
    low, high = (end.sum(axis=-1) for end in (grid.min(axis=0), grid.max(axis=0)))

    def sample(count: int) -> tuple[np.ndarray, np.ndarray]:
        label = np.arange(count) % CLASSES
        place = rng.random((count, 1, DIMENSIONS))
        value = _curves(amplitude[label], phase[label], place).sum(axis=-1)
        time = (value - low[label]) / (high - low)[label]
        step = np.clip(time * MANIFOLD_STEPS, 0, MANIFOLD_STEPS - 1).astype(int)
        spikes = np.arange(MANIFOLD_STEPS)[:, None] == step[:, None, :]
        return spikes.astype(np.uint8), label.astype(np.int64)

    train, test = sample(4000), sample(800)
    return Data(train=train[0], train_label=train[1], test=test[0], test_label=test[1])


def _curves(amplitude: np.ndarray, phase: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the series [..., dimension] at places 0..1 that broadcast to that shape."""
    angle = ORDER * place[..., None] + phase
    return (amplitude * np.sin(2 * np.pi * angle)).sum(axis=-1)


DENSE = Task(
    name="digits-dense",
    shape=(196,),
    layers=(
        Layer(out=128, decay=0.9, bias=True),
        Layer(out=128, decay=0.9, bias=True),
        Layer(out=CLASSES, decay=0.9, bias=True),
    ),
    decode=Decode.MEMBRANE_MEAN,
    data=digits_as_rates(14),
    epochs=20,
    learning_rate=2e-3,
)
CONVOLUTION = Task(
    name="digits-conv",
    shape=(1, 28, 28),
    layers=(
        Layer(out=8, kernel=5, stride=2, decay=0.9, bias=True),
        Layer(out=16, kernel=3, stride=2, decay=0.9, bias=True),
        Layer(out=64, decay=0.9, bias=True),
        Layer(out=CLASSES, decay=0.9, bias=True),
    ),
    decode=Decode.MEMBRANE_MEAN,
    data=digits_as_rates(28),
    epochs=12,
    learning_rate=4e-3,
)
ROWS = Task(
    name="rows-recurrent",
    shape=(28,),
    layers=(
        Layer(out=128, recurrent=True, decay=0.9, current_decay=0.6),
        Layer(out=CLASSES, decay=0.95),
    ),
    decode=Decode.MEMBRANE_END,
    data=digits_by_row,
    epochs=30,
    learning_rate=2e-3,
)
MANIFOLDS = Task(
    name="spike-times",
    shape=(MANIFOLD_INPUTS,),
    layers=(
        Layer(out=128, decay=0.95, current_decay=0.8),
        Layer(out=128, decay=0.95, current_decay=0.8),
        Layer(out=CLASSES, decay=0.95, current_decay=0.8),
    ),
    decode=Decode.MEMBRANE_MAX,
    data=manifolds,
    epochs=20,
    learning_rate=2e-3,
)
TASKS = (DENSE, CONVOLUTION, ROWS, MANIFOLDS)
