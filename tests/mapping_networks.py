"""Programs that are large enough to need many cores, with random weights; for tests of mapping."""

import math

import numpy as np

from snn_deploy.ir.arithmetic import Arithmetic
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.program import Input, Population, Program, Projection
from snn_deploy.targets import find_target

LOIHI: Arithmetic = find_target("loihi1").arithmetic


def neurons(name: str, shape: tuple[int, ...], **parameters: object) -> Population:
    return Population(name=name, shape=shape, decay=np.asarray(4000, np.int32), **parameters)  # type: ignore[arg-type]


def link(source: str, target: str, linear: LinearMap, **parameters: object) -> Projection:
    delay = parameters.pop("delay", 1)
    return Projection(
        name=f"{source}-{target}",
        source=source,
        target=target,
        map=linear,
        delay=np.asarray(delay, np.int32),
        **parameters,  # type: ignore[arg-type]
    )


def entry(shape: tuple[int, ...]) -> Input:
    return Input(name="in", shape=shape)


def program(
    inputs: tuple[Input, ...],
    populations: tuple[Population, ...],
    projections: tuple[Projection, ...],
    *,
    target: str = "loihi1",
) -> Program:
    return Program(
        name="net",
        target=target,
        arithmetic=LOIHI,
        inputs=inputs,
        populations=populations,
        projections=projections,
        outputs=(Output(name="out", population=populations[-1].name),),
    )


def weights(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 2 * rng.integers(-10, 11, shape).astype(np.int32)


def dense(rng: np.random.Generator, source: int, target: int) -> Dense:
    return Dense(weight=weights(rng, (target, source)))


def sparse(rng: np.random.Generator, source: int, target: int, fan_in: int) -> Sparse:
    """Return a map in which every neuron has `fan_in` sources near its own place, wrapping."""
    start = np.arange(target) * source // target
    offset = np.sort(
        rng.permuted(np.tile(np.arange(min(4 * fan_in, source)), (target, 1)), axis=1)[:, :fan_in]
    )
    pre = np.sort((start[:, None] + offset) % source, axis=1)
    return Sparse(
        post=np.repeat(np.arange(target), fan_in).astype(np.int32),
        pre=pre.ravel().astype(np.int32),
        weight=weights(rng, (target * fan_in,)),
        post_shape=(target,),
        pre_shape=(source,),
    )


def chain(layers: list[tuple[str, LinearMap]], *, target: str = "loihi1") -> Program:
    """Return populations in a row, each driven by its map."""
    source, populations, projections = "in", [], []
    for name, linear in layers:
        populations.append(neurons(name, linear.out_shape))
        projections.append(link(source, name, linear))
        source = name
    return program(
        (entry(layers[0][1].in_shape),), tuple(populations), tuple(projections), target=target
    )


def convolution(
    rng: np.random.Generator,
    source: tuple[int, int, int],
    out: int,
    size: int,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> Convolution:
    return Convolution(
        weight=weights(rng, (out, source[0] // groups, size, size)),
        source=source,
        stride=(stride, stride),
        padding=(padding,) * 4,
        groups=groups,
    )


def cnn(target: str = "loihi1") -> Program:
    """Return a network with the layers of the NIR paper's for N-MNIST, pools folded."""
    rng = np.random.default_rng(1)
    one = convolution(rng, (2, 34, 34), 16, 5, stride=2, padding=1)
    two = convolution(rng, (16, 16, 16), 16, 3, padding=1)
    three = convolution(rng, (16, 16, 16), 8, 6, stride=2, padding=2)
    four = dense(rng, math.prod((8, 8, 8)), 256)
    return chain(
        [
            ("conv1", one),
            ("conv2", two),
            ("conv3", three),
            ("fc1", four),
            ("fc2", dense(rng, 256, 10)),
        ],
        target=target,
    )


def vgg11(target: str = "loihi1") -> Program:
    """Return VGG-11 for images of 3x32x32; each pool is folded into the convolution behind it."""
    rng = np.random.default_rng(2)
    layers: list[tuple[str, LinearMap]] = []
    shape, pooled = (3, 32, 32), False
    plan: list[int | None] = [64, None, 128, None, 256, 256, None, 512, 512, None, 512, 512]
    for channels in plan:
        if channels is None:
            pooled = True
            continue
        size, stride = (4, 2) if pooled else (3, 1)
        linear = convolution(rng, shape, channels, size, stride=stride, padding=1)
        layers.append((f"conv{len(layers) + 1}", linear))
        shape, pooled = linear.out_shape, False
    layers.append(("fc", dense(rng, math.prod(shape), 10)))
    return chain(layers, target=target)


def large(target: str = "loihi1") -> Program:
    """Return four layers of 25,000 neurons with 10 million synapses."""
    rng = np.random.default_rng(3)
    sizes, fan_in = [25_000] * 4, 133
    return chain(
        [(f"layer{n}", sparse(rng, size, size, fan_in)) for n, size in enumerate(sizes)],
        target=target,
    )
