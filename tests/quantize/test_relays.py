"""Relays: delays that no chip has, made of delays that it has."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import LOIHI, Sizes, random_program, unchecked

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DoesNotFitError, UnsupportedError
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.maps import Convolution, Dense, Sparse, dense_matrix
from snn_deploy.ir.network import Input as RealInput
from snn_deploy.ir.network import Network, Output
from snn_deploy.ir.network import Population as RealPopulation
from snn_deploy.ir.network import Projection as RealProjection
from snn_deploy.ir.network import Reset as RealReset
from snn_deploy.ir.neuron import Fires, ResetKind, State
from snn_deploy.ir.program import Input, Population, Program, Projection, Reset, Role
from snn_deploy.ir.trace import EVERYTHING, PAYLOADS, Values
from snn_deploy.quantize import compile_network
from snn_deploy.quantize.ranges import CheckRanges
from snn_deploy.quantize.relays import AddRelays
from snn_deploy.targets import find_target

LOIHI2, CPU = find_target("loihi2"), find_target("cpu")
SMALL = Sizes(populations=3, neurons=6, extent=4, samples=1, steps=20)
SEEDS = st.integers(0, 2**32 - 1)


def with_delays(target, low, high):
    return replace(target, delay=replace(target.delay, low=low, high=high))


def number(value):
    return np.asarray(value, np.int32)


def assert_same_states(program, relayed, inputs):
    with unchecked():
        before = ReferenceBackend().run(program, inputs, EVERYTHING)
        after = ReferenceBackend().run(relayed, inputs, EVERYTHING)
    assert after.steps == before.steps
    for population in program.populations:
        for state in State:
            wanted, got = (t[population.name].state(state) for t in (before, after))
            assert np.array_equal(got, wanted), (population.name, state)


@settings(max_examples=40)
@given(seed=SEEDS)
def test_a_program_with_relays_has_the_same_states(seed):
    rng = np.random.default_rng(seed)
    program, inputs = random_program(rng, LOIHI, SMALL)
    program = replace(
        program,
        projections=tuple(
            replace(p, delay=np.asarray(p.delay * int(rng.integers(1, 6)) + 1))
            for p in program.projections
        ),
    )
    target = with_delays(LOIHI2, 1, int(rng.integers(1, 6)))
    relayed = AddRelays(target=target)(program).graph
    assert all(p.delay.min() >= 1 and p.delay.max() <= target.delay.high
               for p in relayed.projections if p.delay.size)  # fmt: skip
    assert relayed.lag == program.lag
    assert_same_states(program, relayed, inputs)
    kernels = [sum(isinstance(p.map, Convolution) and p.delay.shape != (p.map.in_size,)
                   for p in graph.projections) for graph in (program, relayed)]  # fmt: skip
    assert kernels[1] >= kernels[0]


def two_layers(linear, delay, *, low=0, high=1, shape=None, name="a>b"):
    """Return in -> a, where `linear` has `delay`."""
    return Program(
        name="far",
        target="loihi2",
        arithmetic=LOIHI2.arithmetic,
        inputs=(Input(name="a", shape=shape or linear.in_shape, low=low, high=high),),
        populations=(
            Population(
                name="b",
                shape=linear.out_shape,
                decay=number(4096),
                threshold=number(128),
                reset=Reset(kind=ResetKind.VALUE),
            ),
        ),
        projections=(
            Projection(name=name, source="a", target="b", map=linear, shift=6, delay=number(delay)),
        ),
        outputs=(Output(name="out", population="b"),),
    )


def wires(program):
    return [(p.name, p.source, p.target, p.delay.tolist()) for p in program.projections]


def dense(post, pre, seed=0):
    weight = 2 * np.random.default_rng(seed).integers(1, 9, (post, pre))
    return Dense(weight=weight.astype(np.int32))


def test_one_chain_serves_every_target_of_a_source():
    program = two_layers(dense(2, 3), 200)
    more = replace(program.projections[0], name="again", delay=number(100))
    program = replace(program, projections=(*program.projections, more))
    done = AddRelays(target=LOIHI2)(program)
    assert wires(done.graph) == [
        ("a>b.relay3", "a.relay3", "b", 11),
        ("again.relay1", "a.relay1", "b", 37),
        ("a.relay1", "a", "a.relay1", 63),
        ("a.relay2", "a.relay1", "a.relay2", 63),
        ("a.relay3", "a.relay2", "a.relay3", 63),
    ]
    assert [p.role for p in done.graph.populations[1:]] == [Role.RELAY] * 3
    assert [str(f) for f in done.findings] == [
        "retimed    a: 9 relay neurons repeat what it sends up to 189 steps later; "
        "loihi2 has delays of 1..63 steps; the spikes are the same"
    ]
    assert CheckRanges(target=LOIHI2)(done.graph).findings == ()


def test_a_relay_holds_only_the_neurons_that_someone_listens_to():
    done = AddRelays(target=LOIHI2)(two_layers(dense(2, 4), [1, 64, 63, 130])).graph
    assert [(p.name, p.shape) for p in done.populations[1:]] == [
        ("a.relay1", (2,)),
        ("a.relay2", (1,)),
    ]
    assert wires(done) == [
        ("a>b", "a", "b", [1, 63, 63, 63]),
        ("a>b.relay1", "a.relay1", "b", 1),
        ("a>b.relay2", "a.relay2", "b", 4),
        ("a.relay1", "a", "a.relay1", 63),
        ("a.relay2", "a.relay1", "a.relay2", 63),
    ]
    synapses = sum(p.map.numbers().size for p in done.projections[:3])
    assert synapses == 8


def test_a_kernel_with_one_delay_stays_a_kernel():
    kernel = Convolution(weight=number(np.full((2, 3, 2, 2), 4)), source=(3, 4, 4))
    done = AddRelays(target=LOIHI2)(two_layers(kernel, 70)).graph
    assert done.projections[0].map == kernel
    assert done.population("a.relay1").shape == (3, 4, 4)


def test_a_kernel_with_one_delay_per_weight_becomes_a_kernel_for_each_relay():
    weight = number(np.arange(4, 36, 2).reshape(2, 2, 2, 2))
    kernel = Convolution(weight=weight, source=(2, 4, 4))
    delay = np.where(np.arange(16).reshape(2, 2, 2, 2) % 3 == 0, 90, 5)
    done = AddRelays(target=LOIHI2)(two_layers(kernel, delay)).graph
    near, far = done.projections[:2]
    assert isinstance(near.map, Convolution)
    assert isinstance(far.map, Convolution)
    assert np.array_equal(near.map.weight + far.map.weight, weight)
    assert (near.delay.tolist(), far.delay.tolist()) == (5, 27)


def test_a_kernel_with_one_delay_per_channel_becomes_a_kernel_for_each_relay():
    kernel = Convolution(weight=number(np.full((2, 3, 2, 2), 4)), source=(3, 3, 3))
    delay = np.repeat([10, 80, 80], 9)
    near, far, _ = AddRelays(target=LOIHI2)(two_layers(kernel, delay)).graph.projections
    assert isinstance(near.map, Convolution)
    assert isinstance(far.map, Convolution)
    assert np.count_nonzero(near.map.weight) == 8
    assert np.count_nonzero(far.map.weight) == 16


def test_a_kernel_with_one_delay_per_neuron_is_listed_synapse_by_synapse():
    kernel = Convolution(weight=number(np.full((1, 1, 2, 2), 4)), source=(1, 3, 3))
    program = two_layers(kernel, [1, 70, 1, 1, 1, 1, 1, 1, 64])
    done = AddRelays(target=LOIHI2)(program).graph
    assert [type(p.map) for p in done.projections[:2]] == [Sparse, Sparse]
    total = dense_matrix(done.projections[0].map)
    total[:, [1, 8]] += dense_matrix(done.projections[1].map)
    assert np.array_equal(total, dense_matrix(kernel))


def test_as_many_delays_as_sources_are_still_delays_of_weights():
    program = two_layers(dense(2, 2), [[1, 70], [2, 71]])
    done = AddRelays(target=LOIHI2)(program).graph
    assert wires(done)[:3] == [
        ("a>b", "a", "b", 1),
        ("a>b.later", "a", "b", 2),
        ("a>b.relay1", "a.relay1", "b", [7, 8]),
    ]
    inputs = (Values(name="a", values=np.eye(2, dtype=np.int32)[None].repeat(40, 1)),)
    assert_same_states(program, done, inputs)


def test_payloads_of_several_spikes_are_repeated():
    program = two_layers(dense(2, 3), 130, high=200)
    done = AddRelays(target=LOIHI2)(program).graph
    assert {p.fires for p in done.populations[1:]} == {Fires.COUNT}
    values = np.random.default_rng(0).integers(0, 201, (2, 300, 3))
    assert_same_states(program, done, (Values(name="a", values=values),))
    assert not [f for f in CheckRanges(target=LOIHI2)(done).findings if "relay" in f.layer]


@pytest.mark.parametrize(
    ("low", "high", "fires"),
    [(-1, 1, Fires.TERNARY), (-1, 0, Fires.TERNARY), (-9, 1, Fires.GRADED),
     (-131071, 131071, Fires.GRADED)],
)  # fmt: skip
def test_payloads_of_both_signs_are_repeated(low, high, fires):
    linear = Dense(weight=number([[2, 4, 0], [-2, 0, 2]]))
    program = two_layers(linear, 130, low=low, high=high)
    done = AddRelays(target=LOIHI2)(program).graph
    assert {p.fires for p in done.populations[1:]} == {fires}
    values = np.random.default_rng(0).integers(low, high + 1, (2, 300, 3))
    inputs = (Values(name="a", values=values),)
    assert_same_states(program, done, inputs)
    with unchecked():
        relay = ReferenceBackend().run(done, inputs, PAYLOADS)["a.relay2"]
    assert np.array_equal(relay.payload[:, 126:300], values[:, :174])
    assert relay.overflows == 0


@pytest.mark.parametrize(("low", "high"), [(-131072, 1), (0, 131072)])
def test_payloads_that_no_relay_can_send_are_refused(low, high):
    program = two_layers(dense(2, 3), 130, low=low, high=high)
    with pytest.raises(UnsupportedError) as caught:
        AddRelays(target=LOIHI2)(program)
    assert str(caught.value) == (
        "error[SNN301]: a delay of 130 steps needs relays, which send what they get, but none can "
        f"send {low}..{high}; loihi2 has delays of 1..63 steps\n"
        "  at: a>b\n"
        "  fix: --target cpu, or a network with shorter delays"
    )
    assert AddRelays(target=CPU)(program).graph == program


def test_delays_that_do_not_add_up_to_all_longer_ones_are_refused():
    with pytest.raises(DoesNotFitError) as caught:
        AddRelays(target=with_delays(LOIHI2, 4, 5))(two_layers(dense(2, 3), 7))
    assert str(caught.value) == (
        "error[SNN302]: a delay of 7 steps, but one connection has 4..5, and relays that far apart "
        "cannot make every longer one\n"
        "  at: a>b\n"
        "  fix: --target cpu, or a network with shorter delays"
    )


def test_a_projection_of_zeros_needs_no_relay():
    done = AddRelays(target=LOIHI2)(two_layers(Dense(weight=number(np.zeros((2, 3)))), 100))
    assert wires(done.graph) == [("a>b", "a", "b", 63)]
    assert done.findings == ()


def test_relays_take_names_that_are_free():
    program = two_layers(dense(2, 3), 100, name="a.relay1")
    done = AddRelays(target=LOIHI2)(program).graph
    assert [p.name for p in done.projections] == ["a.relay1.relay1", "a.relay1_"]


def far_network(rng):
    """Return a network with trained delays of up to 1000 steps."""

    def population(name, neurons):
        return RealPopulation(
            name=name,
            shape=(neurons,),
            decay=np.asarray(0.5),
            threshold=np.asarray(0.75),
            reset=RealReset(kind=ResetKind.VALUE),
        )

    def wire(source, target, post, pre, delay):
        return RealProjection(
            name=f"{source}>{target}",
            source=source,
            target=target,
            map=Dense(weight=rng.integers(-8, 17, (post, pre)) / 16),
            delay=np.asarray(delay),
        )

    return Network(
        name="far",
        inputs=(RealInput(name="in", shape=(6,)),),
        populations=(population("a", 5), population("b", 4)),
        projections=(
            wire("in", "a", 5, 6, rng.integers(0, 1001, (5, 6))),
            wire("a", "b", 4, 5, rng.integers(0, 500, 5)),
            wire("in", "b", 4, 6, 700),
            wire("b", "a", 5, 4, 300),
        ),
        outputs=(Output(name="out", population="b"),),
    )


def test_delays_of_a_thousand_steps_give_the_spikes_of_a_chip_that_has_them():
    rng = np.random.default_rng(0)
    network = far_network(rng)
    near = compile_network(network, LOIHI2, encoding=Encoding())
    far = compile_network(network, with_delays(LOIHI2, 1, 65535), encoding=Encoding())
    assert max(p.delay.max() for p in near.program.projections) == 63
    assert len(far.program.populations) == 2
    inputs = (Values(name="in", values=(rng.random((2, 1500, 6)) < 0.1).astype(np.int32)),)
    got, wanted = (EventBackend(threads=1).run(c.program, inputs, PAYLOADS) for c in (near, far))
    for name in ("a", "b"):
        assert wanted[name].events.sum() > 100
        assert np.array_equal(got[name].payload, wanted[name].payload)
    assert [str(f) for f in near.findings if "relay" in f.amount] == [
        f"retimed    {source}: {neurons} relay neurons repeat what it sends up to {steps} steps "
        "later; loihi2 has delays of 1..63 steps; the spikes are the same"
        for source, neurons, steps in (("in", 80, 945), ("a", 25, 378), ("b", 16, 252))
    ]
    relays = [p.size for p in near.program.populations if p.role is Role.RELAY]
    assert sum(relays) == 80 + 25 + 16
