"""Random real-valued networks whose numbers are short binary fractions.

All their states are exact in float64 for some dozens of steps, so two ways to compute the same
network must give equal numbers, not similar ones.
"""

from math import prod

import numpy as np

from snn_deploy.ir.maps import Composition, Convolution, Dense, LinearMap, Scale, Shape, to_sparse
from snn_deploy.ir.network import (
    Bias,
    Floor,
    Input,
    Network,
    Output,
    Parameter,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import Compare, Decode, Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.trace import Values

STEPS = 8


def random_network(rng: np.random.Generator) -> Network:
    """Return a network of one to four populations in a row, with joins and self-loops."""
    source = Input(name="in", shape=(2, int(rng.integers(4, 8)), int(rng.integers(4, 8))))
    populations: list[Population] = []
    projections: list[Projection] = []
    shape, before = source.shape, source.name
    for index in range(int(rng.integers(1, 5))):
        name = f"p{index}"
        linear = random_map(rng, shape)
        delay = np.asarray(rng.integers(0, 3, linear.in_size if rng.random() < 0.2 else ()))
        projections.append(
            Projection(name=f"{before}>{name}", source=before, target=name, map=linear, delay=delay)
        )
        shape = linear.out_shape
        populations.append(random_population(rng, name, shape))
        if populations[-1].fires is not Fires.NEVER and rng.random() < 0.3:
            projections.append(_loop(rng, name, shape))
        before = name
    if len(populations) > 1 and rng.random() < 0.5:
        weight = dyadic(rng, (prod(shape), source.size))
        projections.append(
            Projection(name="short", source="in", target=before, map=Dense(weight=weight))
        )
    return Network(
        name="random",
        inputs=(source,),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="out", population=before, decode=Decode.MEMBRANE_END),),
    )


def random_inputs(rng: np.random.Generator, network: Network) -> tuple[Values, ...]:
    """Return spikes for two samples."""
    return tuple(
        Values(name=i.name, values=(rng.random((2, STEPS, *i.shape)) < 0.3).astype(np.float64))
        for i in network.inputs
    )


def dyadic(rng: np.random.Generator, shape: Shape, bits: int = 4) -> np.ndarray:
    """Return multiples of 2**-bits between -1 and 1."""
    return np.asarray(rng.integers(-(2**bits), 2**bits + 1, shape) / 2.0**bits)


def random_map(rng: np.random.Generator, shape: Shape) -> LinearMap:
    """Return a map that reads `shape`: a convolution, a pool with something after it, ..."""
    kinds = ["dense", "scale", "sparse"]
    if len(shape) == 3:
        kinds += ["convolution", "pool", "pool then dense", "two convolutions"] * 2
    kind = rng.choice(kinds)
    if kind == "dense":
        return Dense(weight=dyadic(rng, (int(rng.integers(1, 9)), prod(shape))))
    if kind == "scale":
        return Scale(factor=dyadic(rng, shape))
    if kind == "sparse":
        weight = dyadic(rng, (5, prod(shape))) * (rng.random((5, prod(shape))) < 0.3)
        return to_sparse(Dense(weight=weight))
    assert len(shape) == 3
    return random_convolution(rng, shape) if kind == "convolution" else _two_maps(rng, shape, kind)


def _two_maps(rng: np.random.Generator, shape: tuple[int, int, int], kind: str) -> Composition:
    first = random_pool(rng, shape) if "pool" in kind else random_convolution(rng, shape)
    if kind == "pool then dense":
        return Composition(stages=(first, Dense(weight=dyadic(rng, (6, first.out_size)))))
    second = random_convolution(rng, (first.out_shape[0], first.out_shape[1], first.out_shape[2]))
    if kind == "pool":
        scale = Scale(factor=dyadic(rng, (second.out_shape[0], 1, 1)) * np.ones(second.out_shape))
        return Composition(stages=(first, second, scale))
    return Composition(stages=(first, second))


def random_convolution(rng: np.random.Generator, source: tuple[int, int, int]) -> Convolution:
    """Return a convolution with any stride, padding, dilation and groups that fit."""
    kernel = [int(rng.integers(1, min(3, extent) + 1)) for extent in source[1:]]
    dilation = [2 if 2 * k - 1 <= e and rng.random() < 0.3 else 1
                for k, e in zip(kernel, source[1:], strict=True)]  # fmt: skip
    groups = source[0] if rng.random() < 0.4 else 1
    weight = dyadic(rng, (groups * int(rng.integers(1, 3)), source[0] // groups, *kernel))
    stride, padding = rng.integers(1, 3, 2), rng.integers(0, 3, 4)
    return Convolution(
        weight=weight,
        source=source,
        stride=(int(stride[0]), int(stride[1])),
        padding=(int(padding[0]), int(padding[1]), int(padding[2]), int(padding[3])),
        dilation=(dilation[0], dilation[1]),
        groups=groups,
    )


def random_pool(rng: np.random.Generator, source: tuple[int, int, int]) -> Convolution:
    """Return a sum-pool; its windows may overlap, and may leave rows out."""
    side = int(rng.integers(1, min(3, *source[1:]) + 1))
    stride = int(rng.integers(1, side + 1))
    return Convolution(
        weight=np.ones((source[0], 1, side, side)),
        source=source,
        stride=(stride, stride),
        groups=source[0],
    )


def random_population(rng: np.random.Generator, name: str, shape: Shape) -> Population:
    """Return neurons of any kind."""

    def number(bits: int = 3) -> Parameter:
        full = ((), (), (shape[0], 1, 1) if len(shape) == 3 else shape, shape)
        return dyadic(rng, full[int(rng.integers(4))], bits)

    synapse = None
    if rng.random() < 0.5:
        synapse = Synapse(
            decay=np.asarray(np.abs(number(2))),
            gain=number(1),
            reads=Reads.OLD if rng.random() < 0.5 else Reads.NEW,
            initial=number() if rng.random() < 0.3 else np.zeros(()),
        )
    into = [State.MEMBRANE] if synapse is None else [State.MEMBRANE, State.CURRENT]
    biases = tuple(
        Bias(value=number(), into=state, start=int(rng.integers(0, 3)))
        for state in into
        if rng.random() < 0.4
    )
    kind = list(ResetKind)[int(rng.integers(3))]
    same = rng.random() < 0.6
    floor = Floor(
        value=np.asarray(-1 - np.abs(number())), when=list(FloorWhen)[int(rng.integers(2))]
    )
    return Population(
        name=name,
        shape=shape,
        decay=np.asarray(np.abs(number(2))),
        gain=number(1),
        synapse=synapse,
        fires=(Fires.NEVER, Fires.BINARY, Fires.COUNT)[int(rng.choice(3, p=[0.1, 0.6, 0.3]))],
        threshold=np.asarray(0.25 + np.abs(number())),
        compare=list(Compare)[int(rng.integers(2))],
        max_spikes=3,
        reset=Reset(
            kind=kind,
            amount=dyadic(rng, (), 3) if same else number(),
            when=(When.NOW, When.NEXT)[int(rng.integers(2))],
        ),
        floor=floor if rng.random() < 0.3 else None,
        biases=biases,
        initial=number() if rng.random() < 0.4 else np.zeros(()),
    )


def _loop(rng: np.random.Generator, name: str, shape: Shape) -> Projection:
    weight = dyadic(rng, (prod(shape), prod(shape)))
    delay = np.asarray(rng.integers(1, 3, weight.shape if rng.random() < 0.5 else ()))
    return Projection(
        name=f"{name}>{name}", source=name, target=name, map=Dense(weight=weight), delay=delay
    )
