"""The range proof is tight: an adversary drives neurons at least half as far as it allows."""

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from wild_programs import whole

from snn_deploy.backends import reference
from snn_deploy.ir.arithmetic import Overflow, Register
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, to_sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, Fires, ResetKind, State, When
from snn_deploy.ir.program import Current, Input, Population, Program, Projection, Reset
from snn_deploy.ir.trace import COUNTS, Values
from snn_deploy.quantize.arrivals import arrivals
from snn_deploy.quantize.bounds import state_bounds
from snn_deploy.targets import find_target

MEMBRANE = Register(bits=32, overflow=Overflow.SATURATE)
CURRENT = Register(bits=31, overflow=Overflow.SATURATE)
"""Wide, and unlike the other: so the tests know which register is written."""

RULES = replace(find_target("cpu").arithmetic, current=CURRENT, membrane=MEMBRANE)
LOOSE = 1.5
"""How much larger than what the adversary reaches a bound may be."""

NEURONS = {
    "IF": {"decay": whole(4096), "reset": Reset(kind=ResetKind.VALUE)},
    "IF, subtracts": {"decay": whole(4096), "reset": Reset(kind=ResetKind.SUBTRACT)},
    "IF, resets late": {"decay": whole(4096), "reset": Reset(kind=ResetKind.VALUE, when=When.NEXT)},
    "LIF": {"decay": whole(3900), "reset": Reset(kind=ResetKind.VALUE)},
    "LIF, subtracts": {"decay": whole(3000), "reset": Reset(kind=ResetKind.SUBTRACT)},
    "LIF with a current": {
        "decay": whole(3900),
        "current": Current(decay=whole(3700)),
        "reset": Reset(kind=ResetKind.VALUE),
    },
    "slow LIF with a slow current": {
        "decay": whole(4090),
        "current": Current(decay=whole(4080)),
        "reset": Reset(kind=ResetKind.SUBTRACT),
    },
    "LI": {"decay": whole(4000), "fires": Fires.NEVER},
}


def map_of(rng: np.random.Generator, kind: str) -> LinearMap:
    if kind == "dense":
        return Dense(weight=whole(rng.integers(-127, 128, (6, 10))))
    weight = whole(rng.integers(-127, 128, (3, 2, 3, 3)))
    return Convolution(weight=weight, source=(2, 4, 4), padding=(1, 1, 0, 2))


def program_of(rng: np.random.Generator, linear: LinearMap, fields: dict[str, object]) -> Program:
    """Return one layer whose thresholds are worth some steps of input."""
    sums = np.abs(to_sparse(linear).weight.astype(np.int64)).sum() / linear.out_size
    threshold = whole(rng.uniform(0.3, 20, linear.out_shape) * sums * 64)
    reset = fields.get("reset", Reset())
    if isinstance(reset, Reset) and reset.kind is ResetKind.SUBTRACT:
        fields = {**fields, "reset": replace(reset, amount=threshold)}
    population = Population(name="l", shape=linear.out_shape, threshold=threshold, **fields)
    return Program(
        name="one",
        target="cpu",
        arithmetic=RULES,
        inputs=(Input(name="in", shape=linear.in_shape),),
        populations=(population,),
        projections=(Projection(name="w", source="in", target="l", map=linear, shift=6),),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_END),),
    )


def attacks(program: Program, steps: int) -> Iterator[np.ndarray]:
    """Yield inputs [step, pre] meant for each neuron: all that excites it, or all that inhibits.

    In every step; for the last steps only, after the other or after nothing.
    """
    synapses = to_sparse(program.projections[0].map)
    for neuron in range(program.populations[0].size):
        own = synapses.post == neuron
        for sign in (1, -1):
            pattern = np.zeros((2, synapses.in_size), np.int32)
            pattern[0, synapses.pre[own & (sign * synapses.weight > 0)]] = 1
            pattern[1, synapses.pre[own & (sign * synapses.weight < 0)]] = 1
            for late in {0, steps // 2, steps - 1}:
                for before in (np.zeros_like(pattern[1]), pattern[1]):
                    attack = np.repeat(pattern[:1], steps, axis=0)
                    attack[:late] = before
                    yield attack


def reached(program: Program, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest current and membrane, by size, of each neuron in all attacks."""
    size = program.populations[0].size
    largest = {register: np.zeros(size, np.int64) for register in (CURRENT, MEMBRANE)}
    plain = reference.Neurons.held

    def watched(self: object, value: np.ndarray, register: Register | None) -> np.ndarray:
        if register is not None:
            flat = np.abs(value).reshape(-1, size).max(axis=0)
            largest[register] = np.maximum(largest[register], flat)
        return plain(self, value, register)

    shape = program.inputs[0].shape
    inputs = np.stack([a.reshape(steps, *shape) for a in attacks(program, steps)])
    with patch.object(reference.Neurons, "held", watched):
        reference.ReferenceBackend().run(program, [Values(name="in", values=inputs)], COUNTS)
    return largest[CURRENT], largest[MEMBRANE]


@pytest.mark.parametrize("steps", [1, 3, 20, 150])
@pytest.mark.parametrize("kind", ["dense", "convolution"])
@pytest.mark.parametrize("neurons", NEURONS)
def test_a_bound_is_at_most_twice_what_an_adversary_reaches(neurons, kind, steps):
    rng = np.random.default_rng(steps)
    program = program_of(rng, map_of(rng, kind), NEURONS[neurons])
    population = program.populations[0]
    arriving = arrivals(program, population, {}, steps)
    bounds = state_bounds(population, arriving, steps, RULES)
    current, membrane = reached(program, steps)
    for state, worst in ((State.CURRENT, current), (State.MEMBRANE, membrane)):
        if state in bounds.written:
            proven = bounds.written[state]
            size = np.maximum(-proven.low, proven.high)
            assert np.all(worst <= size)
            assert np.all(size <= LOOSE * worst)
