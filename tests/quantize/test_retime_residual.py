"""A deep network with joins of unequal depth: on a chip the same spikes, each layer later."""

from functools import cache
from math import prod

import numpy as np
import pytest
from strategies import unchecked

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.lava import LavaBackend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.maps import Convolution, Dense, LinearMap
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
from snn_deploy.ir.neuron import Compare, ResetKind, State, When
from snn_deploy.ir.program import Role
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize import compile_network
from snn_deploy.targets import find_target

LOIHI2 = find_target("loihi2")
LAYERS = 12
KERNELS = 5
"""The first layers are convolutions."""

CHANNELS, SIDE, NEURONS = 2, 5, 12
SHORT_CUTS = ((0, 3), (1, 3), (2, 6), (0, 7), (3, 8), (5, 9), (6, 9), (4, 12), (10, 12))
"""From layer to layer; 0 is the input. With the chain, layers join paths of 1 to 8 layers."""

STEPS, SAMPLES = 12, 2


def residual_network(seed):
    """Return twelve layers in a row, with short cuts; numbers are short binary fractions.

    Layers are IF and LIF in turn, with and without synaptic current, with hard and soft resets,
    early and late, compared by > and >=; all have biases, some of which start late.
    """
    rng = np.random.default_rng(seed)
    chain = [(layer - 1, layer) for layer in range(1, LAYERS + 1)]
    return Network(
        name="residual",
        inputs=(Input(name="layer0", shape=(CHANNELS, SIDE, SIDE)),),
        populations=tuple(_layer(rng, n) for n in range(1, LAYERS + 1)),
        projections=tuple(
            Projection(
                name=f"{source}>{target}",
                source=f"layer{source}",
                target=f"layer{target}",
                map=_map(rng, source, target),
            )
            for source, target in (*chain, *SHORT_CUTS)
        ),
        outputs=(Output(name="out", population=f"layer{LAYERS}"),),
    )


def _shape(layer):
    return (CHANNELS, SIDE, SIDE) if layer <= KERNELS else (NEURONS,)


def _map(rng, source, target) -> LinearMap:
    pre, post = _shape(source), _shape(target)
    if len(post) == 3:
        weight = _weights(rng, (CHANNELS, CHANNELS, 3, 3), 9 * CHANNELS)
        return Convolution(weight=weight, source=(CHANNELS, SIDE, SIDE), padding=(1, 1, 1, 1))
    return Dense(weight=_weights(rng, (prod(post), prod(pre)), prod(pre)))


def _weights(rng, shape, fan_in):
    """Return multiples of 1/16, of which each neuron gets some nine that are not 0."""
    return rng.integers(-8, 12, shape) / 16 * (rng.random(shape) < 9 / fan_in)


def _layer(rng, number):
    shape = _shape(number)
    leaks = number % 2 == 0
    soft = number % 3 == 0
    current = number % 4 == 2
    bias = Bias(
        value=rng.integers(-2, 5, shape) / 16,
        into=State.CURRENT if current else State.MEMBRANE,
        start=3 if number % 4 == 1 else 0,
    )
    return Population(
        name=f"layer{number}",
        shape=shape,
        decay=np.asarray(0.5 if leaks else 1.0),
        synapse=Synapse(decay=np.asarray(0.5)) if current else None,
        threshold=np.asarray(1.0),
        compare=Compare.GREATER if number % 5 else Compare.GREATER_EQUAL,
        reset=Reset(
            kind=ResetKind.SUBTRACT if soft else ResetKind.VALUE,
            amount=np.asarray(1.0 if soft else 0.0),
            when=When.NEXT if number % 7 == 0 else When.NOW,
        ),
        biases=(bias,),
    )


def spikes(seed):
    return np.random.default_rng(seed).random((SAMPLES, STEPS, CHANNELS, SIDE, SIDE)) < 0.3


@cache
def compiled(seed):
    with unchecked():
        return compile_network(residual_network(seed), LOIHI2)


def assert_spikes_of_the_network(seed, backend):
    network, given, done = residual_network(seed), spikes(seed), compiled(seed)
    wanted = simulate(network, [Values(name="layer0", values=given.astype(float))], EVERYTHING)
    inputs = [Values(name="layer0", values=given.astype(np.int32))]
    got = backend.run(done.program, inputs, EVERYTHING)
    for number in range(1, LAYERS + 1):
        name = f"layer{number}"
        population = done.program.population(name)
        own = slice(population.lag, population.lag + STEPS)
        assert population.lag == number
        sent = wanted[name].payload
        assert 0.03 < sent.mean() < 0.8, name  # a layer that says nothing would show nothing
        assert np.array_equal(got[name].payload[:, own], sent), name
        if np.all(network.population(name).decay == 1) and number % 4 != 2:
            membrane = got[name].membrane[:, own] * float(population.unit)
            assert np.array_equal(membrane, wanted[name].membrane), name


@pytest.mark.parametrize("backend", [ReferenceBackend(), EventBackend(threads=1)],
                         ids=["reference", "event"])  # fmt: skip
@pytest.mark.parametrize("seed", [0, 7])
def test_a_residual_network_has_the_spikes_of_the_network_without_delays(seed, backend):
    assert_spikes_of_the_network(seed, backend)


@pytest.mark.lava
def test_a_residual_network_in_lava_has_the_spikes_of_the_network_without_delays():
    assert_spikes_of_the_network(0, LavaBackend())


def test_every_join_gets_its_short_branches_lengthened():
    done = compiled(0)
    delays = {p.name: int(p.delay) for p in done.program.projections}
    assert {f"{a}>{b}": delays[f"{a}>{b}"] for a, b in SHORT_CUTS} == {
        f"{a}>{b}": b - a for a, b in SHORT_CUTS
    }
    assert [p.name for p in done.program.populations if p.role is not Role.NEURONS] == ["clock"]
    starts = {p.target: int(p.delay) for p in done.program.projections if p.source == "clock"}
    assert starts == {f"layer{n}": n + 3 * (n % 4 == 1) for n in range(1, LAYERS + 1)}
    assert [str(f) for f in done.findings if f.kind.value == "retimed"] == [
        f"retimed    layer{LAYERS}: output 'out' comes {LAYERS} steps later; loihi2 needs 1 step "
        "per projection; the spikes are the same",
        "retimed    clock: one clock neuron with 24 projections carries the biases of 334 neurons; "
        "loihi2 has no bias that starts late or enters a current",
    ]
