"""Networks on SANA-FE's Loihi: as our programs with their cores, and as cases for SANA-FE."""

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from snn_deploy.backends.event import EventBackend
from snn_deploy.deploy import energy
from snn_deploy.deploy.mapping import Activity, map_program
from snn_deploy.ir.arithmetic import Arithmetic
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse, to_sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import ResetKind
from snn_deploy.ir.program import Bias, Input, Population, Program, Projection, Reset
from snn_deploy.ir.trace import EVERYTHING, Trace, Values
from snn_deploy.targets import find_target

HERE = Path(__file__).parent


def _module(name: str, path: Path) -> ModuleType:
    """Return a module of another benchmark, which is no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


mapping = _module("mapping_benchmark", HERE.parent / "mapping" / "run.py")
SHAPES = mapping.SHAPES
own_slices = mapping.own_slices
OUTSIDE = -1

KERNEL = (2, 3, 1, 0)
"""Axes of our kernels in the order of SANA-FE's: width, height, source channel, channel."""

ARITHMETIC: Arithmetic = find_target("loihi1").arithmetic
CORES = np.arange(128)
ROWS = 4
TILE = 4
"""SANA-FE numbers cores tile by tile, four on each, and tiles column by column, four in each."""

UNITS = {
    energy.Event.SYNAPSE_DENSE: "loihi_dense_synapse",
    energy.Event.SYNAPSE_SPARSE: "loihi_sparse_synapse",
    energy.Event.SYNAPSE_CONVOLUTION: "loihi_conv_synapse",
}
PROFILE = "loihi1-sanafe"


def whole(value: int) -> np.ndarray:
    """Return a number as parameters of programs are."""
    return np.asarray(value, np.int32)


def neurons(
    name: str, shape: tuple[int, ...], threshold: int, reset: Reset | None = None
) -> Population:
    """Return neurons without leak; by default they subtract their threshold when they fire."""
    return Population(
        name=name,
        shape=shape,
        decay=whole(4096),
        threshold=whole(threshold),
        reset=reset or Reset(kind=ResetKind.SUBTRACT, amount=whole(threshold)),
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network with its cores and its input."""

    name: str
    program: Program
    cores: Mapping[str, np.ndarray]
    """Core of each value of the input and each neuron, by SANA-FE's numbers."""

    spikes: np.ndarray
    """Of the input: [step, *shape]."""

    @property
    def placement(self) -> energy.Placement:
        """The same cores, on the mesh."""
        tile = CORES // TILE
        return energy.Placement(
            core={name: np.asarray(core, np.int64).ravel() for name, core in self.cores.items()},
            chip=np.zeros_like(CORES),
            x=tile // ROWS,
            y=tile % ROWS,
        )

    kernels: bool = False
    """Whether SANA-FE is given kernels instead of synapses, which is quicker."""

    def record(self) -> dict[str, Any]:
        """Return the case for `run_sanafe.py`."""
        groups: list[dict[str, Any]] = []
        for entry in self.program.inputs:
            flat = self.spikes.reshape(len(self.spikes), -1)
            if np.all(self.cores[entry.name] != OUTSIDE):
                given = [np.flatnonzero(flat[:, i]).tolist() for i in range(entry.size)]
                groups.append({"name": entry.name, "size": entry.size, "spikes": given})
        for one in self.program.populations:
            group = {"name": one.name, "size": one.size, "threshold": int(one.threshold)}
            group["reset"] = "soft" if one.reset.kind is ResetKind.SUBTRACT else "hard"
            if one.biases:
                group["bias"] = one.biases[0].value.ravel().tolist()
            groups.append(group)
        for group in groups:
            group["core"] = np.asarray(self.cores[group["name"]]).ravel().tolist()
        known = {group["name"] for group in groups}
        edges = [self._edge(p) for p in self.program.projections if p.source in known]
        return {"name": self.name, "steps": len(self.spikes), "groups": groups, "edges": edges}

    def _edge(self, projection: Projection) -> dict[str, Any]:
        linear = projection.map
        edge: dict[str, Any] = {
            "source": projection.source,
            "target": projection.target,
            "synapse": UNITS[energy.synapse_event(linear)],
        }
        if self.kernels and isinstance(linear, Convolution):
            channels, height, width = linear.source
            rows, columns = linear.weight.shape[2:]
            sizes = (width, height, channels, columns, rows, len(linear.weight))
            edge["kernel"] = linear.weight.transpose(KERNEL).ravel().tolist()
            return edge | {"sizes": [*sizes, *linear.stride[::-1]]}
        synapses = to_sparse(linear, keep_zeros=True)
        return edge | {
            "pre": synapses.pre.tolist(),
            "post": synapses.post.tolist(),
            "weight": synapses.weight.tolist(),
        }

    def run(self) -> tuple[tuple[Values, ...], Trace]:
        """Return what our event simulator was given and what it did."""
        (entry,) = self.program.inputs
        inputs = (Values(name=entry.name, values=self.spikes[None].astype(np.int64)),)
        return inputs, EventBackend().run(self.program, inputs, EVERYTHING)

    def estimate(self) -> tuple[energy.Estimate, Trace]:
        """Return our estimate of one run, and the run."""
        inputs, trace = self.run()
        steps = len(self.spikes)
        tally = energy.Tally(self.program, (energy.find_profile(PROFILE),), self.placement)
        tally.add(inputs, trace, steps)
        (found,) = tally.estimates(samples=1, steps=steps)
        return found, trace


def link(source: str, target: str, linear: LinearMap) -> Projection:
    """Return a projection with the delay of one step that SANA-FE has."""
    return Projection(name=f"to-{target}", source=source, target=target, map=linear, delay=whole(1))


def chain(
    name: str,
    layers: Sequence[tuple[Population, LinearMap]],
    shape: tuple[int, ...],
    cores: Mapping[str, np.ndarray],
    spikes: np.ndarray,
) -> Case:
    """Return a case of layers in a row."""
    sources = ["in", *(population.name for population, _ in layers)]
    program = Program(
        name=name,
        target="loihi1",
        arithmetic=ARITHMETIC,
        inputs=(Input(name="in", shape=shape),),
        populations=tuple(population for population, _ in layers),
        projections=tuple(
            link(source, population.name, linear)
            for source, (population, linear) in zip(sources, layers, strict=False)
        ),
        outputs=(Output(name="out", population=layers[-1][0].name),),
    )
    return Case(name=name, program=program, cores=cores, spikes=spikes)


DENSE = (64, 128, 64, 10)
STEPS = 50


def dense(name: str, cores: Sequence[np.ndarray]) -> Case:
    """Return a dense network with random weights, on these cores."""
    rng = np.random.default_rng(2025)
    names = ("in", "first", "second", "third")
    layers = [
        (
            neurons(layer, (post,), 40),
            Dense(weight=rng.integers(-12, 16, (post, pre)).astype(np.int32)),
        )
        for layer, pre, post in zip(names[1:], DENSE, DENSE[1:], strict=False)
    ]
    spikes = rng.random((STEPS, DENSE[0])) < 0.25
    return chain(name, layers, (DENSE[0],), dict(zip(names, cores, strict=True)), spikes)


def on(*cores: int) -> list[np.ndarray]:
    """Return one core for each layer of the dense network."""
    return [np.full(size, core) for size, core in zip(DENSE, cores, strict=True)]


def split() -> list[np.ndarray]:
    """Return the dense network with its hidden layers on two cores each."""
    halves = [np.repeat((4, 20), 64), np.repeat((9, 57), 32)]
    return [np.full(DENSE[0], 0), *halves, np.full(DENSE[3], 30)]


def convolutional() -> Case:
    """Return two convolutions, one of them strided, and a dense layer, on nine cores."""
    rng = np.random.default_rng(7)

    def kernel(*shape: int) -> np.ndarray:
        return rng.integers(-8, 12, shape).astype(np.int32)

    first = Convolution(weight=kernel(6, 2, 3, 3), source=(2, 12, 12), padding=(1, 1, 1, 1))
    second = Convolution(weight=kernel(8, 6, 3, 3), source=(6, 12, 12), stride=(2, 2))
    last = Dense(weight=kernel(10, 8 * 25))
    layers: list[tuple[Population, LinearMap]] = [
        (neurons("conv1", first.out_shape, 60), first),
        (neurons("conv2", second.out_shape, 90), second),
        (neurons("dense", (10,), 50), last),
    ]
    rows = np.arange(12)[:, None] // 3 * np.ones((1, 12), np.int64)
    cores = {
        "in": np.zeros((2, 12, 12), np.int64),
        "conv1": np.broadcast_to(np.asarray([4, 21, 38, 100])[rows.astype(int)], (6, 12, 12)),
        "conv2": np.repeat([5, 6, 60], (3, 3, 2))[:, None, None] * np.ones((1, 5, 5), np.int64),
        "dense": np.full(10, 127),
    }
    spikes = rng.random((40, 2, 12, 12)) < 0.15
    return chain("convolutional", layers, (2, 12, 12), cores, spikes)


def gesture(weights: Mapping[str, np.ndarray], steps: int) -> Case:
    """Return SANA-FE's DVS-gesture network, its input layer driven by biases, on its own cores."""
    populations, projections = [], []
    names = [f"layer{number}" for number in range(len(SHAPES))]
    for number, (name, shape) in enumerate(zip(names, SHAPES, strict=True)):
        threshold = int(weights["thresholds"][number])
        one = neurons(name, shape, threshold, reset=Reset(kind=ResetKind.VALUE))
        if number == 0:
            bias = weights["inputs"].astype(np.int32).reshape(shape)
            one = replace(one, biases=(Bias(value=bias),))
        populations.append(one)
    for number in range(1, 5):
        kernel = weights[f"conv{number}"].transpose(3, 2, 0, 1).astype(np.int32)
        stride = (2, 2) if number == 1 else (1, 1)
        linear = Convolution(weight=kernel, source=SHAPES[number - 1], stride=stride)
        projections.append(link(names[number - 1], names[number], linear))
    projections.append(link(names[4], names[5], Dense(weight=weights["dense1"].astype(np.int32).T)))
    nothing = np.zeros(0, np.int32)
    silent = Sparse(post=nothing, pre=nothing, weight=nothing, post_shape=SHAPES[0], pre_shape=(1,))
    program = Program(
        name="gesture",
        target="loihi1",
        arithmetic=ARITHMETIC,
        inputs=(Input(name="in", shape=(1,)),),
        populations=tuple(populations),
        projections=(link("in", names[0], silent), *projections),
        outputs=(Output(name="out", population=names[-1]),),
    )
    cores = {"in": np.asarray([OUTSIDE])}
    cores |= dict(zip(names, own_slices(), strict=True))
    return Case(
        name="DVS gesture",
        program=program,
        cores=cores,
        spikes=np.zeros((steps, 1), bool),
        kernels=True,
    )


def mapped(case: Case, weights: Mapping[str, np.ndarray], cores: int) -> Case:
    """Return the gesture network on the cores of our own map, made with the spikes of the case."""
    _, trace = case.run()
    steps = len(case.spikes) // 2
    rates = {"in": np.zeros(int(np.prod(SHAPES[0])))}
    for population in case.program.populations:
        payload = trace[population.name].payload
        assert payload is not None
        rates[population.name] = (payload[0, :steps].reshape(steps, -1) != 0).mean(axis=0)
    net = mapping.program(weights)
    core_map = map_program(net, find_target("loihi1"), Activity(rates=rates), cores=cores)
    places = mapping.our_slices(core_map)
    names = [population.name for population in case.program.populations]
    held = {name: np.asarray(core, np.int64) for name, core in zip(names, places, strict=True)}
    name = f"{case.name}, our map of {cores} cores"
    return replace(case, name=name, cores={**case.cores, **held})


def small_cases() -> tuple[Case, ...]:
    """Return the networks that take SANA-FE a second."""
    return (
        dense("one tile", on(0, 1, 2, 3)),
        dense("four far tiles", on(0, 28, 100, 127)),
        dense("hidden layers on two cores each", split()),
        convolutional(),
    )
