"""Random programs that a Loihi 1 can run, and the same as plain records for its emulators."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, During, ResetKind, State
from snn_deploy.ir.program import (
    Bias,
    Current,
    Input,
    Population,
    Program,
    Projection,
    Reset,
    Sign,
)
from snn_deploy.ir.timing import Refractory
from snn_deploy.ir.trace import Values
from snn_deploy.targets import find_target

STEPS = 40
CHIP = find_target("loihi1")
SHIFT = CHIP.weights.shift.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What the networks of one emulator may have."""

    biases: bool = False
    refractory: bool = True
    longest_delay: int = 1
    inputs: tuple[int, int] = (3, 13)
    """Fewest inputs, and one more than most."""

    exponents: tuple[int, int] = (0, 3)
    rates: tuple[float, ...] = (0.1, 0.2, 0.4)
    thresholds: tuple[int, int] = (50, 2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A program and what it is given."""

    name: str
    program: Program
    spikes: np.ndarray
    """[step, neuron]"""

    @property
    def inputs(self) -> tuple[Values, ...]:
        """Return the inputs of one sample."""
        return (Values(name="in", values=self.spikes[None]),)


def random_case(seed: int, domain: Domain) -> Case:
    """Return a chain of one to three populations, with loops and short cuts among them."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(*domain.inputs))
    names = ["in", *(f"p{k}" for k in range(int(rng.integers(1, 4))))]
    sizes = {name: int(rng.integers(2, 12)) for name in names} | {"in": size}
    pairs = list(pairwise(names))
    pairs += [(name, name) for name in names[1:] if rng.random() < 0.5]
    pairs += [("in", name) for name in names[2:] if rng.random() < 0.3]
    program = Program(
        name=f"case{seed}",
        target=CHIP.name,
        arithmetic=CHIP.arithmetic,
        inputs=(Input(name="in", shape=(size,)),),
        populations=tuple(_neurons(rng, name, sizes[name], domain) for name in names[1:]),
        projections=tuple(_way(rng, a, b, sizes, domain) for a, b in pairs),
        outputs=(Output(name="out", population=names[-1], decode=Decode.COUNT),),
    )
    spikes = (rng.random((STEPS, size)) < rng.choice(domain.rates)).astype(np.int32)
    return Case(name=program.name, program=program, spikes=spikes)


def _neurons(rng: np.random.Generator, name: str, size: int, domain: Domain) -> Population:
    one = CHIP.decay_one
    kept = [0, one - 1, int(rng.integers(0, one)), int(rng.integers(one // 2, one))]
    leaks = [one, 1, int(rng.integers(1, one)), int(rng.integers(one // 2, one))]
    biases = ()
    if domain.biases and rng.random() < 0.6:
        mantissa = rng.integers(-200, 200, size) << int(rng.integers(0, 4))
        biases = (Bias(value=mantissa.astype(np.int32), into=State.MEMBRANE),)
    refractory = None
    if domain.refractory and rng.random() < 0.4:
        refractory = Refractory(steps=int(rng.integers(1, 9)), during=During.CLAMPED)
    return Population(
        name=name,
        shape=(size,),
        decay=np.asarray(rng.choice(leaks), np.int32),
        current=Current(decay=np.asarray(rng.choice(kept), np.int32)),
        threshold=np.asarray(int(rng.integers(*domain.thresholds)) << 6, np.int32),
        reset=Reset(kind=ResetKind.VALUE),
        refractory=refractory,
        biases=biases,
    )


def _way(
    rng: np.random.Generator, source: str, target: str, sizes: dict[str, int], domain: Domain
) -> Projection:
    sign = (Sign.MIXED, Sign.MIXED, Sign.EXCITATORY, Sign.INHIBITORY)[int(rng.integers(4))]
    if source == "in":
        sign = Sign.MIXED if rng.random() < 0.5 else Sign.EXCITATORY
    low, high = {Sign.MIXED: (-128, 128), Sign.EXCITATORY: (0, 256), Sign.INHIBITORY: (-255, 1)}[
        sign
    ]
    weight = rng.integers(low, high, (sizes[target], sizes[source]))
    weight *= 2 if sign is Sign.MIXED else 1
    return Projection(
        name=f"{source}-{target}",
        source=source,
        target=target,
        map=Dense(weight=weight.astype(np.int32)),
        shift=SHIFT + int(rng.integers(*domain.exponents)),
        delay=np.asarray(rng.integers(1, domain.longest_delay + 1), np.int32),
        sign=sign,
    )


def record(case: Case) -> dict[str, Any]:
    """Return the case as a chip's registers have it: what an emulator is given."""
    program = case.program
    return {
        "name": case.name,
        "steps": len(case.spikes),
        "inputs": [{"name": "in", "size": case.spikes.shape[1], "spikes": case.spikes.tolist()}],
        "populations": [_registers(population) for population in program.populations],
        "projections": [
            {
                "source": p.source,
                "target": p.target,
                "weight": p.map.numbers().tolist(),
                "exponent": p.shift - SHIFT,
                "delay": int(p.delay),
                "sign": p.sign.value,
            }
            for p in program.projections
        ],
    }


def _registers(population: Population) -> dict[str, Any]:
    bias = np.zeros(population.shape, int)
    for entry in population.biases:
        bias += entry.value
    waits = population.refractory
    assert population.current is not None
    return {
        "name": population.name,
        "size": population.size,
        "du": CHIP.decay_one - 1 - int(population.current.decay),
        "dv": CHIP.decay_one - int(population.decay),
        "vth": int(population.threshold) >> 6,
        "bias": bias.tolist(),
        "refractory": 1 + (0 if waits is None else waits.steps),  # the step of the spike counts
    }
