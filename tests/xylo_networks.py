"""Random programs that a Xylo can run, and the same as plain records for its simulator."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.ir import network as real
from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.maps import Dense, dense_matrix
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Compare, Decode, Fires, ResetKind
from snn_deploy.ir.program import Bias, Current, Input, Population, Program, Projection, Reset
from snn_deploy.ir.trace import Values
from snn_deploy.quantize import compile_network
from snn_deploy.targets import find_target

STEPS = 16
CHIP = find_target("xylo")
WEIGHTS = CHIP.weights.mixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A program and what it is given."""

    program: Program
    events: np.ndarray
    """[step, channel]"""

    @property
    def inputs(self) -> tuple[Values, ...]:
        """Return the inputs of one sample."""
        return (Values(name="in", values=self.events[None]),)


def random_case(seed: int) -> Case:
    """Return one or two hidden layers, loops among them, and an output layer.

    Every other case is wild: parameters of the whole range, so that all registers saturate.
    """
    rng, wild = np.random.default_rng(seed), seed % 2 == 1
    channels = int(rng.integers(1, 9))
    hidden = [f"h{k}" for k in range(int(rng.integers(1, 3)))]
    sizes = {name: int(rng.integers(1, 7)) for name in hidden}
    sizes |= {"in": channels, "out": int(rng.integers(1, 9))}
    pairs = [("in", name) for name in hidden if name == "h0" or rng.random() < 0.4]
    pairs += [(a, b) for a in hidden for b in hidden if a != b or rng.random() < 0.7]
    pairs += [(name, "out") for name in hidden if name == hidden[-1] or rng.random() < 0.4]
    shifts = rng.integers(0, 8 if wild else 5, 3)
    populations = [_neurons(rng, name, sizes[name], 31, wild=wild) for name in hidden]
    populations.append(_neurons(rng, "out", sizes["out"], 1, wild=wild))
    program = Program(
        name=f"case{seed}",
        target=CHIP.name,
        arithmetic=CHIP.arithmetic,
        inputs=(Input(name="in", shape=(channels,), low=0, high=CHIP.payload.high),),
        populations=tuple(populations),
        projections=tuple(_way(rng, a, b, sizes, shifts) for a, b in pairs),
        outputs=(Output(name="answer", population="out", decode=Decode.COUNT),),
    )
    events = rng.integers(0, 16 if wild else 4, (STEPS, channels)).astype(np.int32)
    return Case(program=program, events=events)


def compiled_case(seed: int) -> Case:
    """Return the program of a network with a recurrent hidden layer, decays that are no shifts."""
    rng = np.random.default_rng(seed)

    def neurons(name: str, size: int, spikes: int) -> real.Population:
        return real.Population(
            name=name,
            shape=(size,),
            decay=np.exp(-1 / rng.uniform(3, 20, size)),
            synapse=real.Synapse(decay=np.exp(-1 / rng.uniform(2, 10, size))),
            fires=Fires.COUNT if spikes > 1 else Fires.BINARY,
            threshold=np.asarray(1.0),
            compare=Compare.GREATER_EQUAL,
            max_spikes=spikes,
            reset=real.Reset(kind=ResetKind.SUBTRACT, amount=np.asarray(1.0)),
        )

    def way(source: str, target: str, shape: tuple[int, int], size: float) -> real.Projection:
        return real.Projection(
            name=f"{source}-{target}",
            source=source,
            target=target,
            map=Dense(weight=rng.normal(0.1 * size, size, shape)),
            delay=np.asarray(int(source == target), np.int32),
        )

    network = real.Network(
        name=f"compiled{seed}",
        inputs=(real.Input(name="in", shape=(8,)),),
        populations=(neurons("h", 12, 31), neurons("out", 4, 1)),
        projections=(
            way("in", "h", (12, 8), 0.3),
            way("h", "h", (12, 12), 0.05),
            way("h", "out", (4, 12), 0.2),
        ),
        outputs=(Output(name="answer", population="out", decode=Decode.COUNT),),
    )
    program = compile_network(network, CHIP, encoding=Encoding(low=0, high=1)).program
    return Case(program=program, events=(rng.random((60, 8)) < 0.3).astype(np.int32))


def _neurons(
    rng: np.random.Generator, name: str, size: int, spikes: int, *, wild: bool
) -> Population:
    threshold = rng.integers(1 if wild else 50, 32768 if wild else 3000, size).astype(np.int32)
    most = 20000 if wild else 300
    bias = Bias(value=rng.integers(-most, most, size).astype(np.int32))
    counts = spikes > 1

    def shift() -> np.ndarray:
        return rng.integers(1, 16 if wild else 8, size).astype(np.int32)

    return Population(
        name=name,
        shape=(size,),
        decay=shift(),
        current=Current(decay=shift()),
        fires=Fires.COUNT if counts else Fires.BINARY,
        threshold=threshold,
        compare=Compare.GREATER_EQUAL,
        max_spikes=spikes,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=threshold),
        biases=(bias,) if rng.random() < 0.5 else (),
    )


def _way(
    rng: np.random.Generator, source: str, target: str, sizes: dict[str, int], shifts: np.ndarray
) -> Projection:
    shape = (sizes[target], sizes[source])
    weight = rng.integers(WEIGHTS.low, WEIGHTS.high + 1, shape) * (rng.random(shape) < 0.8)
    return Projection(
        name=f"{source}-{target}",
        source=source,
        target=target,
        map=Dense(weight=weight.astype(np.int32)),
        shift=int(shifts[_route(source, target)]),
        delay=np.asarray(0 if source == "in" else 1, np.int32),
    )


def _route(source: str, target: str) -> int:
    return 0 if source == "in" else 2 if target == "out" else 1


def record(program: Program, events: np.ndarray) -> dict[str, Any]:
    """Return a program as the chip's configuration has it: what the simulator is given.

    The hidden neurons are those of all populations but the output's, one after the other.
    """
    output = program.outputs[0].population
    hidden = [p for p in program.populations if p.name != output]
    entry, neurons = program.inputs[0], 0
    first = {entry.name: 0, output: 0}
    for population in hidden:
        first[population.name] = neurons
        neurons += population.size
    matrices = [
        np.zeros((entry.size, neurons), int),
        np.zeros((neurons, neurons), int),
        np.zeros((neurons, program.population(output).size), int),
    ]
    shifts = [0, 0, 0]
    for p in program.projections:
        route = 0 if p.source == entry.name else 2 if p.target == output else 1
        weight = dense_matrix(p.map).T  # [pre, post]
        pre, post = first[p.source], first[p.target]
        matrices[route][pre : pre + weight.shape[0], post : post + weight.shape[1]] += weight
        shifts[route] = p.shift
    return {
        "name": program.name,
        "inputs": events.reshape(len(events), -1).tolist(),
        "input_weights": matrices[0].tolist(),
        "hidden_weights": matrices[1].tolist(),
        "output_weights": matrices[2].tolist(),
        "shifts": shifts,
        "hidden": _registers(hidden),
        "output": _registers([program.population(output)]),
    }


def _registers(populations: list[Population]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {
        key: [] for key in ("threshold", "membrane_shift", "current_shift", "bias")
    }
    for population in populations:
        assert population.current is not None
        bias = sum((b.value for b in population.biases), np.zeros((), np.int32))
        for key, value in (
            ("threshold", population.threshold),
            ("membrane_shift", population.decay),
            ("current_shift", population.current.decay),
            ("bias", np.asarray(bias)),
        ):
            found[key] += per_neuron(value, population.shape).ravel().tolist()
    return found
