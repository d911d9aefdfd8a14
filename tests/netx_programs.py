"""Random sequential programs for `loihi2`, and what two programs share that mean the same."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.graph import lags
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Shape, Sparse, dense_matrix
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Compare, Decode, Fires, ResetKind
from snn_deploy.ir.program import (
    Bias,
    Current,
    Input,
    Population,
    Program,
    Projection,
    Reset,
    Role,
    Sign,
)
from snn_deploy.targets import find_target

CHIP = find_target("loihi2")
TO_ZERO = Reset(kind=ResetKind.VALUE)


class Start(Enum):
    """When the layers of a random program start, and their biases."""

    TOGETHER = "together"
    """All in step 0, as layers of a `.net` file do."""

    WITHOUT_BIAS = "without bias"
    """One after another."""

    LATE_BIAS = "late bias"
    """One after another; a bias starts with its layer."""

    CLOCK = "clock"
    """The same, carried by a clock neuron."""


def whole(number: Any) -> np.ndarray:
    return np.asarray(number, np.int32)


def even(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return even weights that lean to the positive, of both signs where there are several."""
    weight = 2 * rng.integers(-60, 72, shape)
    if weight.size > 1:
        weight.flat[0], weight.flat[-1] = -120, 140
    return whole(weight)


@dataclass(slots=True)
class _Draft:
    rng: np.random.Generator
    start: Start
    entry: Input
    populations: list[Population]
    projections: list[Projection]

    @property
    def source(self) -> str:
        return self.populations[-1].name if self.populations else self.entry.name

    @property
    def gives(self) -> Shape:
        return self.populations[-1].shape if self.populations else self.entry.shape

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def convolution(self) -> LinearMap:
        rng, (channels, height, width) = self.rng, self.gives
        groups = 2 if channels % 2 == 0 and self.chance(0.4) else 1
        outs = 2 * int(rng.integers(1, 4))
        size = [int(rng.integers(1, min(4, side + 1))) for side in (height, width)]
        dilation = (1, 1) if min(height, width) < 6 else tuple(map(int, rng.integers(1, 3, 2)))
        padding = [int(side) for side in rng.integers(0, 3, 2) for _ in (0, 1)]
        if dilation == (1, 1) and self.chance(0.5):
            padding = [int(side) for side in rng.integers(0, 3, 4)]
        return Convolution(
            weight=even(rng, (outs, channels // groups, *size)),
            source=(channels, height, width),
            stride=tuple(map(int, rng.integers(1, 3, 2))),
            padding=tuple(padding),
            dilation=dilation,
            groups=groups,
        )

    def dense(self) -> LinearMap:
        rng, into = self.rng, math.prod(self.gives)
        outs = into if into < 12 and self.chance(0.2) else int(rng.integers(3, 12))
        weight = even(rng, (outs, into))
        if self.chance(0.3):
            kept = np.flatnonzero(rng.random(weight.size) < 0.6)
            kept = np.union1d(kept, [0, weight.size - 1])
            post, pre = np.divmod(kept, into)
            return Sparse(
                post=whole(post), pre=whole(pre), weight=weight.ravel()[kept],
                post_shape=(outs,), pre_shape=self.gives,
            )  # fmt: skip
        return Dense(weight=weight)

    def delay(self, linear: LinearMap) -> np.ndarray:
        """Return the steps of a trained network, in which a projection takes none itself."""
        shapes: list[tuple[int, ...]] = [(), (linear.in_size,), linear.numbers().shape]
        late = self.start in (Start.LATE_BIAS, Start.CLOCK)
        if late or isinstance(linear, Convolution) or self.chance(0.5):
            return whole(0)
        return whole(self.rng.integers(0, 12, shapes[int(self.rng.integers(3))]))

    def layer(self, linear: LinearMap, *, loop: bool = False, last: bool = False) -> None:
        rng, name = self.rng, f"layer{len(self.populations)}"
        shape = linear.out_shape
        self.projections.append(
            Projection(
                name=f"to-{name}",
                source=self.source,
                target=name,
                map=linear,
                shift=6,
                delay=self.delay(linear) if not loop else whole(0),
            )
        )
        if loop:
            back = Dense(weight=even(rng, (shape[0], shape[0])))
            one = {"delay": whole(1), "shift": 6}
            self.projections.append(
                Projection(name=f"{name}-back", source=name, target=name, map=back, **one)
            )
        self.populations.append(self.neurons(name, shape, linear, last=last))

    def neurons(self, name: str, shape: Shape, linear: LinearMap, *, last: bool) -> Population:
        rng = self.rng
        size = linear.numbers().size / max(1, linear.numbers().shape[0])
        current = Current(decay=whole(rng.integers(0, 4096))) if self.chance(0.5) else None
        per = (shape[0], *(1 for _ in shape[1:])) if self.chance(0.3) else ()
        decay = whole(rng.integers(1200, 4096, per))
        compare = Compare.GREATER
        bias = whole(64 * rng.integers(-15, 40, per if self.chance(0.5) else ()))
        if current is None and self.chance(0.3):
            decay, compare = whole(4096), Compare.GREATER_EQUAL
        if self.start in (Start.WITHOUT_BIAS,) or self.chance(0.3):
            bias = whole(0)
        if current is not None and self.start is Start.CLOCK:
            bias = whole(0)
        silent = last and bool(self.populations) and self.chance(0.5)
        threshold = 64 * rng.integers(int(40 * size**0.5), int(140 * size**0.5) + 60, per)
        return Population(
            name=name, shape=shape, decay=decay, current=current, compare=compare,
            threshold=whole(threshold),
            fires=Fires.NEVER if silent else Fires.BINARY,
            reset=Reset() if silent else TO_ZERO,
            biases=(Bias(value=bias),) if np.any(bias) else (),
        )  # fmt: skip

    def program(self) -> Program:
        last = self.populations[-1]
        silent = last.fires is Fires.NEVER
        decode = Decode.MEMBRANE_END if silent else Decode.COUNT
        program = Program(
            name="random", target=CHIP.name, arithmetic=CHIP.arithmetic, inputs=(self.entry,),
            populations=tuple(self.populations), projections=tuple(self.projections),
            outputs=(Output(name="answer", population=last.name, decode=decode),),
        )  # fmt: skip
        if self.start is Start.TOGETHER:
            return replace(
                program,
                projections=tuple(
                    p if p.source == p.target else replace(p, delay=whole(p.delay + 1))
                    for p in program.projections
                ),
            )
        return _clocked(_late(program)) if self.start is Start.CLOCK else _late(program)


def _late(program: Program) -> Program:
    lag = lags(program, 1)
    return replace(
        program,
        populations=tuple(
            replace(
                p, lag=lag[p.name], biases=tuple(replace(b, start=lag[p.name]) for b in p.biases)
            )
            for p in program.populations
        ),
        projections=tuple(
            replace(p, delay=whole(p.delay + lag[p.target] - lag[p.source]))
            for p in program.projections
        ),
    )


def _clocked(program: Program) -> Program:
    """Return the program with every bias as weights of a clock neuron, of either sign."""
    wires = []
    for population in program.populations:
        for bias in population.biases:
            steps = per_neuron(bias.value, population.shape).ravel() // 64
            for sign, part in (
                (Sign.EXCITATORY, steps.clip(0)),
                (Sign.INHIBITORY, steps.clip(None, 0)),
            ):
                wires.append(
                    Projection(
                        name=f"clock.{population.name}.{sign.value}",
                        source="clock",
                        target=population.name,
                        map=Dense(weight=whole(part[:, None])),
                        shift=6,
                        delay=whole(bias.start),
                        sign=sign,
                    )
                )
    clock = Population(
        name="clock", shape=(1,), decay=whole(4096), threshold=whole(64), reset=TO_ZERO,
        biases=(Bias(value=whole(128)),), role=Role.CLOCK,
    )  # fmt: skip
    return replace(
        program,
        populations=(*(replace(p, biases=()) for p in program.populations), clock),
        projections=(*program.projections, *wires),
    )


def random_chain(seed: int) -> tuple[Program, np.ndarray]:
    """Return a random chain of layers, and values for its input, [step, *shape]."""
    rng = np.random.default_rng(seed)
    start = list(Start)[seed % len(Start)]
    image = rng.random() < 0.6
    shape = (2, *map(int, rng.integers(6, 9, 2))) if image else (int(rng.integers(4, 20)),)
    low, high = (-3, 5) if rng.random() < 0.2 else (0, 1)
    entry = Input(name="pixels", shape=shape, low=low, high=high)
    draft = _Draft(rng, start, entry, [], [])
    for _ in range(int(rng.integers(1, 3)) if image else 0):
        draft.layer(draft.convolution())
    layers = int(rng.integers(1, 4))
    for number in range(layers):
        loop = start in (Start.TOGETHER, Start.WITHOUT_BIAS) and rng.random() < 0.4
        draft.layer(draft.dense(), loop=loop, last=number == layers - 1)
    values = rng.integers(low, high + 1, (40, *shape), np.int32)
    return draft.program(), values * (rng.random(values.shape) < 0.6)


def meaning(program: Program) -> list[Mapping[str, Any]]:
    """Return what each layer computes, whatever the program calls it and however it stores it."""
    clocks = {p.name for p in program.populations if p.role is Role.CLOCK}
    found = []
    here = program.inputs[0].name
    while ways := [p for p in program.projections if p.source == here and p.target != here]:
        (way,) = ways
        population = program.population(way.target)
        loops = [p for p in program.projections if p.source == p.target == population.name]
        current = population.current
        bias = sum(
            (per_neuron(b.value, population.shape).ravel() for b in population.biases),
            np.zeros(population.size, np.int64),
        )
        for wire in program.into(population.name):
            if wire.source in clocks:
                bias = bias + (dense_matrix(wire.map)[:, 0].astype(np.int64) << wire.shift)
        found.append(
            {
                "weight": dense_matrix(way.map).tolist(),
                "delay": _delays(way).tolist(),
                "loop": [dense_matrix(p.map).tolist() for p in loops],
                "shift": {p.shift for p in (way, *loops)},
                "decay": _each(population, population.decay),
                "current": _each(population, whole(0) if current is None else current.decay),
                "fires": population.fires,
                "threshold": None if population.fires is Fires.NEVER else _fires_at(population),
                "bias": bias.tolist(),
            }
        )
        here = population.name
    return found


def _each(population: Population, parameter: np.ndarray) -> list[int]:
    return per_neuron(np.asarray(parameter), population.shape).ravel().tolist()


def _fires_at(population: Population) -> list[int]:
    """Return the least multiple of 64 at which each neuron fires."""
    threshold = population.threshold.astype(np.int64)
    least = threshold + (population.compare is Compare.GREATER)
    return _each(population, -(-least // 64))


def _delays(way: Projection) -> np.ndarray:
    """Return the delay of each synapse that is not 0, at its place in the matrix."""
    linear = way.map
    matrix = dense_matrix(linear)
    if way.delay.ndim == 0 or way.delay.shape == matrix.shape[1:]:
        steps = np.broadcast_to(way.delay, matrix.shape)
    else:
        steps = dense_matrix(linear.with_numbers(way.delay))
    return np.where(matrix != 0, steps, 0)


# a small chain, and ways to change it


def small_chain() -> Program:
    """Return a convolution of 2x5x5 spikes into 4x3x3 neurons, and a dense readout of three."""
    rng = np.random.default_rng(3)
    kernel = Convolution(weight=even(rng, (4, 2, 3, 3)), source=(2, 5, 5))
    out = Output(name="answer", population="out", decode=Decode.MEMBRANE_END)
    return Program(
        name="small", target=CHIP.name, arithmetic=CHIP.arithmetic,
        inputs=(Input(name="in", shape=(2, 5, 5)),),
        populations=(
            Population(
                name="image", shape=(4, 3, 3), decay=whole(3900), threshold=whole(64 * 200),
                reset=TO_ZERO, lag=1,
            ),
            Population(name="out", shape=(3,), decay=whole(3000), fires=Fires.NEVER, lag=2),
        ),
        projections=(
            Projection(
                name="conv", source="in", target="image", map=kernel, shift=6, delay=whole(1)
            ),
            Projection(
                name="fc", source="image", target="out", map=Dense(weight=even(rng, (3, 36))),
                shift=6, delay=whole(1),
            ),
        ),
        outputs=(out,),
    )  # fmt: skip


def changed(program: Program, name: str, **changes: Any) -> Program:
    """Return the program with a population or projection, or its input, changed."""
    return replace(
        program,
        **{
            part: tuple(
                replace(item, **changes) if item.name == name else item
                for item in getattr(program, part)
            )
            for part in ("inputs", "populations", "projections", "outputs")
        },
    )


def with_projection(program: Program, name: str, source: str, target: str, **options: Any):
    """Return the program with one projection more; by default dense, of one step."""
    size = {node.name: node.size for node in program.nodes}
    weight = even(np.random.default_rng(5), (size[target], size[source]))
    usual = {"map": Dense(weight=weight), "shift": 6, "delay": whole(1)}
    more = Projection(name=name, source=source, target=target, **(usual | options))
    return replace(program, projections=(*program.projections, more))
