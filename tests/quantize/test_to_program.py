"""From real numbers to whole ones: what fits exactly stays exact, what does not is told."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DataError, DoesNotFitError, OptionError, UnsupportedError
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.maps import Convolution, Dense
from snn_deploy.ir.network import (
    Bias,
    Floor,
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import Compare, Decode, Fires, Reads, ResetKind, State
from snn_deploy.ir.program import Sign
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Restart
from snn_deploy.ir.trace import EVERYTHING, PAYLOADS, Values
from snn_deploy.quantize import Options, compile_network
from snn_deploy.quantize.fold import FoldMaps
from snn_deploy.quantize.normalize import FoldGains
from snn_deploy.quantize.rounding import weight_range
from snn_deploy.quantize.to_program import ToIntegers
from snn_deploy.targets import find_target

LOIHI1, LOIHI2, CPU = find_target("loihi1"), find_target("loihi2"), find_target("cpu")
TARGETS = pytest.mark.parametrize("target", [LOIHI2, CPU], ids=["loihi2", "cpu"])


def real(value):
    return np.asarray(value, np.float64)


def two_layers(first, second, weights, *, inputs=6):
    """Return in -> a -> b of the given populations."""
    return Network(
        name="two",
        inputs=(Input(name="in", shape=(inputs,)),),
        populations=(first, second),
        projections=(
            Projection(name="in>a", source="in", target="a", map=Dense(weight=weights[0])),
            Projection(name="a>b", source="a", target="b", map=Dense(weight=weights[1])),
        ),
        outputs=(Output(name="out", population="b"),),
    )


def integrate_and_fire(name, size, compare, kind, **fields):
    return Population(
        name=name,
        shape=(size,),
        decay=real(1),
        threshold=real(1),
        compare=compare,
        reset=Reset(kind=kind, amount=real(kind is ResetKind.SUBTRACT)),
        **fields,
    )


def spikes(rng, samples, steps, size, rate=0.3):
    return (rng.random((samples, steps, size)) < rate).astype(np.float64)


def windowed(compiled, inputs, network):
    """Return the integer trace of each population in its own window, [sample, step, neuron]."""
    wholes = [Values(name=v.name, values=np.rint(v.values).astype(np.int32)) for v in inputs]
    trace = ReferenceBackend().run(compiled.program, wholes, EVERYTHING)
    steps = inputs[0].values.shape[1]
    for population in network.populations:
        lag = compiled.program.population(population.name).lag
        record = trace[population.name]
        yield (
            population.name,
            record.payload[:, lag : lag + steps],
            record.membrane[:, lag : lag + steps],
        )


@TARGETS
@pytest.mark.parametrize("compare", Compare)
@pytest.mark.parametrize("kind", [ResetKind.VALUE, ResetKind.SUBTRACT])
def test_weights_that_fit_give_the_spikes_of_the_real_network_even_on_the_threshold(
    target, compare, kind
):
    rng = np.random.default_rng(5)
    weights = [rng.integers(-20, 40, (12, 6)) / 32, rng.integers(-20, 30, (8, 12)) / 32]
    bias = Bias(value=rng.integers(-4, 5, (8,)) / 32, start=2)
    network = two_layers(
        integrate_and_fire("a", 12, compare, kind),
        integrate_and_fire("b", 8, compare, kind, biases=(bias,), initial=real(0.25)),
        weights,
    )
    inputs = [Values(name="in", values=spikes(rng, 8, 60, 6))]
    wanted = simulate(network, inputs, EVERYTHING)
    compiled = compile_network(network, target)
    on_threshold = 0
    for name, payload, membrane in windowed(compiled, inputs, network):
        unit = float(compiled.program.population(name).unit)
        assert np.array_equal(payload, wanted[name].payload)
        assert np.array_equal(membrane * unit, wanted[name].membrane)
        before = wanted[name].membrane + (wanted[name].payload if kind is ResetKind.SUBTRACT else 0)
        on_threshold += np.count_nonzero(before == 1)
        assert payload.any()
    assert on_threshold > 0 or (compare, kind) == (Compare.GREATER_EQUAL, ResetKind.VALUE)
    exact = [p.snr_db for layer in compiled.layers for p in layer.projections]
    assert exact == [np.inf, np.inf]


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([None, 4, 6]))
def test_every_weight_is_stored_within_half_a_step_of_its_value(seed, bits):
    rng = np.random.default_rng(seed)
    network = FoldGains()(FoldMaps()(random_network(rng)).graph).graph
    options = Options(weight_bits=bits)
    done = ToIntegers(target=CPU, encoding=Encoding(unit=0.5), options=options)(network)
    reports = {p.name: p for layer in done.layers for p in layer.projections}
    for real_one, whole_one in zip(network.projections, done.graph.projections, strict=True):
        stored = weight_range(CPU, whole_one.sign, bits)
        weight, unit = whole_one.map.numbers(), reports[whole_one.name].unit
        assert np.all(
            (weight % stored.step == 0) & (weight >= stored.low) & (weight <= stored.high)
        )
        wanted = real_one.map.numbers() * (0.5 if real_one.source == "in" else 1.0)
        off = np.abs(weight * unit - wanted) > unit * stored.step / 2 * (1 + 1e-9)
        ends = (weight == stored.low) | (weight == weight.max(initial=0))
        assert not np.any(off & ~ends)
        assert off.mean() <= reports[whole_one.name].clipped + 1e-9 if off.size else True
        wanted_sign = {(True, False): Sign.EXCITATORY, (False, True): Sign.INHIBITORY}.get(
            (bool(np.all(wanted >= 0)), bool(np.all(wanted <= 0))), Sign.MIXED
        )
        assert whole_one.sign is wanted_sign or not np.any(wanted)


def random_layers(seed, *, current=False, recurrent=False):
    """Return two layers of LIF neurons with hard resets and real-valued numbers, and inputs."""
    rng = np.random.default_rng(seed)

    def population(name, size):
        into = State.CURRENT if current else State.MEMBRANE
        return Population(
            name=name,
            shape=(size,),
            decay=real(0.9),
            synapse=Synapse(decay=real(0.8), gain=real(0.3)) if current else None,
            reset=Reset(kind=ResetKind.VALUE),
            biases=(Bias(value=rng.normal(0, 0.02, (size,)), into=into),),
        )

    weights = [rng.normal(0.05, 0.25, (40, 30)), rng.normal(0.03, 0.2, (20, 40))]
    network = two_layers(population("a", 40), population("b", 20), weights, inputs=30)
    if recurrent:
        loop = Projection(
            name="loop", source="a", target="a", map=Dense(weight=rng.normal(0, 0.15, (40, 40))),
            delay=np.asarray(1, np.int32),
        )  # fmt: skip
        network = replace(network, projections=(*network.projections, loop))
    return network, [Values(name="in", values=spikes(rng, 10, 80, 30, 0.15))]


def mismatch(network, target, inputs, **options):
    """Return by population the share of spikes that differ: |difference| / (2 * real spikes)."""
    wanted = simulate(network, inputs, PAYLOADS)
    compiled = compile_network(network, target, **options)
    return {
        name: float(np.abs(payload - wanted[name].payload).sum() / (2 * wanted[name].payload.sum()))
        for name, payload, _ in windowed(compiled, inputs, network)
    }


def with_wide_weights(target):
    """Return the target with weights of 16 bits, decays of 16 bits and any threshold."""
    rule, states, thresholds = target.weights, target.states, target.thresholds

    def wider(stored):
        return replace(stored, low=stored.low * 256, high=stored.high * 256)

    def sized(number, value):
        return replace(number, value=value)

    multipliers = {
        name: replace(getattr(states, name), high=1 << 16)
        for name in ("current_multiplier", "membrane_multiplier")
    }
    return replace(
        target,
        weights=replace(
            rule, bits=sized(rule.bits, 16), shift=sized(rule.shift, 0), mixed=wider(rule.mixed),
            excitatory=wider(rule.excitatory), inhibitory=wider(rule.inhibitory),
        ),
        thresholds=replace(thresholds, shift=sized(thresholds.shift, 0)),
        states=replace(states, decay_bits=sized(states.decay_bits, 16), **multipliers),
    )  # fmt: skip


LAYERS = {
    "lif": ({}, (0.03, 0.25)),
    "cuba": ({"current": True}, (0.1, 0.3)),
    "recurrent cuba": ({"current": True, "recurrent": True}, (0.3, 0.4)),
}
"""Kinds of layers, with the share of differing spikes that 8 bits cost at most, measured."""


@TARGETS
@pytest.mark.parametrize(("kind", "bounds"), LAYERS.values(), ids=LAYERS)
def test_eight_bits_keep_most_spikes(target, kind, bounds):
    for seed in range(2):
        network, inputs = random_layers(seed, **kind)
        found = mismatch(network, target, inputs)
        assert (found["a"] < bounds[0], found["b"] < bounds[1]) == (True, True)


@pytest.mark.parametrize(("kind", "bounds"), LAYERS.values(), ids=LAYERS)
def test_sixteen_bits_keep_nearly_every_spike(kind, bounds):
    for seed in range(2):
        network, inputs = random_layers(seed, **kind)
        found = mismatch(network, with_wide_weights(CPU), inputs)
        assert max(found.values()) < bounds[0] / 5


def test_four_bits_lose_more_than_eight():
    network, inputs = random_layers(0)
    eight = mismatch(network, LOIHI2, inputs)
    four = mismatch(network, LOIHI2, inputs, options=Options(weight_bits=4))
    assert sum(four.values()) > 2 * sum(eight.values())


def test_the_search_loses_less_than_the_largest_weight_rule():
    searched, ruled = [], []
    for seed in range(4):
        network, inputs = random_layers(seed)
        for search, shares in ((True, searched), (False, ruled)):
            options = Options(weight_bits=5, search=search)
            shares.extend(mismatch(network, LOIHI2, inputs, options=options).values())
    assert np.mean(searched) < 0.9 * np.mean(ruled)


def test_calibration_tells_how_many_spikes_agree():
    network, inputs = random_layers(0)
    compiled = compile_network(network, LOIHI2, calibration=inputs)
    wanted = simulate(network, inputs, PAYLOADS)
    for layer in compiled.layers:
        got = {n: p for n, p, _ in windowed(compiled, inputs, network)}[layer.name]
        agreement = float(np.mean(got == wanted[layer.name].payload))
        assert layer.agreement == pytest.approx(agreement, abs=0.004)  # decays round toward zero


def test_calibration_with_a_recurrent_readout_works():
    network, inputs = random_layers(1, current=True, recurrent=True)
    never = replace(network.population("b"), fires=Fires.NEVER, reset=Reset())
    output = Output(name="out", population="b", decode=Decode.MEMBRANE_END)
    network = replace(network, populations=(network.populations[0], never), outputs=(output,))
    compiled = compile_network(network, LOIHI2, calibration=inputs)
    wanted = simulate(network, inputs, EVERYTHING)["b"].membrane
    _, _, membrane = list(windowed(compiled, inputs, network))[1]
    unit = float(compiled.program.population("b").unit)
    error = np.sqrt(np.mean((membrane * unit - wanted) ** 2)) / np.std(wanted)
    assert error < 0.1
    assert [layer.agreement is None for layer in compiled.layers] == [False, True]


def test_a_proof_can_be_asked_for():
    rng = np.random.default_rng(0)
    wide = Population(
        name="l", shape=(4,), decay=real(0.9), threshold=real(3), reset=Reset(kind=ResetKind.VALUE)
    )
    network = Network(
        name="wide",
        inputs=(Input(name="in", shape=(3000,)),),
        populations=(wide,),
        projections=(
            Projection(
                name="w", source="in", target="l", map=Dense(weight=rng.uniform(-1, 1, (4, 3000)))
            ),
        ),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_END),),
    )
    doubted = compile_network(network, LOIHI2)
    proven = compile_network(network, LOIHI2, options=Options(prove=True))
    assert "unproven" in {f.kind.value for f in doubted.findings}
    assert "unproven" not in {f.kind.value for f in proven.findings}
    assert proven.layers[0].projections[0].snr_db < doubted.layers[0].projections[0].snr_db


def one_layer(population, weight=0.5):
    return Network(
        name="one",
        inputs=(Input(name="in", shape=(2,)),),
        populations=(population,),
        projections=(
            Projection(
                name="w", source="in", target="l",
                map=Dense(weight=np.full((population.size, 2), weight)),
            ),
        ),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_END),),
    )  # fmt: skip


def leaky(**fields):
    defaults = {"decay": real(0.9), "reset": Reset(kind=ResetKind.VALUE)}
    return Population(name="l", shape=(2,), **(defaults | fields))


def told(network, target=LOIHI2, **options):
    return [str(f) for f in compile_network(network, target, **options).findings]


RETIMED = (
    "retimed    l: output 'out' comes 1 step later; loihi2 needs 1 step per projection; "
    "the spikes are the same"
)


def test_a_network_of_stock_neurons_has_nothing_to_tell_but_its_lag():
    assert told(one_layer(leaky())) == [RETIMED]
    assert told(one_layer(leaky()), CPU) == []


def test_a_decay_that_the_chip_does_not_have_is_told():
    assert told(one_layer(leaky(decay=real(0.999)))) == [
        "rounded    l: 2.4 % of the membrane time constant; a factor of 0.999 per step becomes "
        "4092/4096; a time step that suits the time constant better loses less",
        RETIMED,
    ]
    assert told(one_layer(leaky(decay=real(0.99999))))[0] == (
        "changed    l: the membrane no longer decays; a factor of 0.99999 per step becomes "
        "4096/4096; a time step that suits the time constant better loses less"
    )
    assert told(one_layer(leaky(synapse=Synapse(decay=real(1.0)))))[0] == (
        "changed    l: the current decays, with a time constant of 4095 steps, where it did not; "
        "a factor of 1 per step becomes 4095/4096; loihi2 has no larger factor, --target cpu has 1"
    )
    assert told(one_layer(leaky(synapse=Synapse(decay=real(1e-5)))))[0] == (
        "changed    l: nothing of the current stays from step to step; a factor of 1e-05 per step "
        "becomes 0/4096; a time step that suits the time constant better loses less"
    )


def test_a_neuron_without_memory_keeps_a_little_of_it():
    readout = leaky(decay=real(0), fires=Fires.NEVER, reset=Reset())
    for population in (leaky(decay=real(0)), readout):
        assert told(one_layer(population)) == [
            "rounded    l: 1/4096 of the membrane stays in each step, where none did; "
            "loihi2 has no smaller factor; --target cpu has 0",
            RETIMED,
        ]
        assert told(one_layer(population), CPU) == []
    assert told(one_layer(leaky(decay=np.array([0, 0.99999]))))[:2] == [
        "rounded    l: 1/4096 of the membrane stays in each step, where none did; "
        "loihi2 has no smaller factor; --target cpu has 0",
        "changed    l: the membrane no longer decays; a factor of 0.99999 per step becomes "
        "4096/4096; a time step that suits the time constant better loses less",
    ]


def with_biases(values, weight=50.0, **fields):
    """Return a layer whose biases start in its second step, which needs a clock on Loihi."""
    return one_layer(leaky(biases=(Bias(value=real(values), start=1),), **fields), weight)


def test_a_bias_that_rounds_badly_is_told():
    assert told(with_biases([0.003, 1.0]))[0] == (
        "rounded    l: the bias of neuron [0] is 0.003 and becomes 0.00521, 74 % off: 0.0022 "
        "thresholds per step; the worst of this layer, beside larger weights or thresholds; "
        "smaller weights or larger biases in training lose less"
    )


def test_biases_that_vanish_are_told():
    assert told(with_biases([0.003, 1.0], decay=real(1)))[0] == (
        "rounded    l: the bias of neuron [0] is 0.003 and rounds to 0: 0.003 thresholds per "
        "step; the worst of this layer, beside larger weights or thresholds; smaller weights or "
        "larger biases in training lose less"
    )
    assert told(with_biases([1e-6, -1e-6]))[0] == (
        "changed    l: all biases round to 0; far smaller than the weights or the threshold; "
        "smaller weights or larger biases in training lose less"
    )


def test_a_bias_error_that_changes_nothing_is_not_told():
    kinds = [f.kind for f in compile_network(with_biases([1e-6, 1.0]), LOIHI2).findings]
    assert set(kinds) == {Kind.RETIMED}
    small = [f.kind for f in compile_network(with_biases([0.02, 0.03], 0.5), LOIHI2).findings]
    assert set(small) == {Kind.RETIMED}


def test_the_bias_of_a_readout_is_compared_with_its_weights():
    network = with_biases([0.7, 80.0], 400.0, fires=Fires.NEVER, reset=Reset())
    assert told(network, options=Options(search=False))[0] == (
        "rounded    l: the bias of neuron [0] is 0.7 and rounds to 0: 0.0017 times the largest "
        "weight per step; the worst of this layer, beside larger weights or thresholds; smaller "
        "weights or larger biases in training lose less"
    )
    assert not [f for f in told(network) if "the bias of" in f]


def test_a_bias_into_a_current_counts_for_as_long_as_that_remembers():
    synapse = Synapse(decay=real(0.875))
    bias = Bias(value=real([0.02, 0.03]), into=State.CURRENT)
    network = one_layer(leaky(decay=real(1), synapse=synapse, biases=(bias,)), 50.0)
    assert told(network)[0] == (
        "rounded    l: the bias of neuron [1] is 0.03 and becomes 0.0306, 2.1 % off: 0.0051 "
        "thresholds per step; the worst of this layer, beside larger weights or thresholds; "
        "smaller weights or larger biases in training lose less"
    )


def test_weights_that_vanish_beside_others_are_told():
    network = one_layer(leaky(), 1.0)
    small = Projection(
        name="small", source="in", target="l", map=Dense(weight=np.full((2, 2), 1e-7))
    )
    network = replace(network, projections=(*network.projections, small))
    assert told(network)[0] == (
        "changed    small: all weights round to 0; they are far smaller than the threshold or the "
        "other weights of l; rescale or prune them in training"
    )


def test_thresholds_that_vanish_beside_the_weights_are_told():
    assert told(one_layer(leaky(threshold=real(1e-5)), 1000.0))[0] == (
        "changed    l: the threshold rounds to 0; far smaller than the weights; "
        "make the weights smaller in training"
    )
    some = leaky(threshold=np.array([1e-5, 1.0]))
    assert told(one_layer(some, 1000.0))[0] == (
        "changed    l: 1 of 2 thresholds rounds to 0; far smaller than the weights; "
        "make the weights smaller in training"
    )


def test_clipped_weights_are_told_with_the_way_to_clip_none():
    rng = np.random.default_rng(0)
    weight = np.append(rng.normal(0, 0.1, (2, 40)), [[0.9], [0.2]], axis=1)
    network = replace(
        one_layer(leaky()),
        inputs=(Input(name="in", shape=(41,)),),
        projections=(Projection(name="w", source="in", target="l", map=Dense(weight=weight)),),
    )
    four = Options(weight_bits=3)
    assert told(network, options=four)[0] == (
        "rounded    w: 1.2 % of the weights are clipped; so the others are finer, which loses "
        "less; with --no-search none is clipped"
    )
    assert not [f for f in told(network, options=replace(four, search=False)) if "clipped" in f]


def test_what_runs_in_the_simulator_only_is_told():
    population = leaky(
        compare=Compare.GREATER_EQUAL,
        fires=Fires.COUNT,
        max_spikes=3,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=real(1)),
        floor=Floor(value=real(-1)),
        initial=real(0.5),
    )
    assert told(one_layer(population))[-1] == (
        "simulated  l: a spike where the membrane equals the threshold (>=) and several spikes in "
        "a step and a reset that subtracts and a floor under the membrane and states that wait "
        "for the first input of a late layer; Intel Loihi 2 runs that in its simulator only"
    )


def test_more_parameter_groups_than_a_chip_has_are_told():
    population = Population(
        name="l",
        shape=(9,),
        decay=np.linspace(0.5, 0.9, 9),
        reset=Reset(kind=ResetKind.VALUE),
    )
    assert told(one_layer(population))[-1] == (
        "simulated  l: 9 different sets of parameters in one layer (8 run on the chip); "
        "Intel Loihi 2 runs that in its simulator only"
    )
    eight = Population(
        name="l", shape=(8,), decay=np.linspace(0.5, 0.9, 8), reset=Reset(kind=ResetKind.VALUE)
    )
    assert told(one_layer(eight)) == [RETIMED]


def test_a_reset_value_is_native_after_a_change_of_origin():
    population = leaky(reset=Reset(kind=ResetKind.VALUE, amount=real(-0.25)))
    compiled = compile_network(one_layer(population), LOIHI2)
    assert [str(f) for f in compiled.findings if f.kind is Kind.SIMULATED] == [
        "simulated  l: states that wait for the first input of a late layer; "
        "Intel Loihi 2 runs that in its simulator only"
    ]
    assert float(compiled.program.population("l").origin) == -0.25
    kept = compile_network(one_layer(population), CPU).program.population("l")
    assert float(kept.origin) == 0
    assert kept.reset.amount < 0


def test_the_input_range_and_unit_of_the_encoding_reach_the_program():
    encoding = Encoding(low=-3, high=9, unit=0.25)
    compiled = compile_network(one_layer(leaky()), CPU, encoding=encoding)
    entry = compiled.program.inputs[0]
    assert (entry.low, entry.high, float(entry.unit)) == (-3, 9, 0.25)
    layer, wire = compiled.layers[0], compiled.program.projections[0]
    real_weight = wire.map.numbers() * float(1 << wire.shift) / layer.scale
    assert np.allclose(real_weight, 0.5 * 0.25, rtol=0.01)


def test_an_input_range_that_the_chip_cannot_send_is_refused():
    network, encoding = one_layer(leaky()), Encoding(low=0, high=2**24)
    with pytest.raises(DoesNotFitError) as caught:
        compile_network(network, LOIHI2, encoding=encoding)
    assert str(caught.value) == (
        "error[SNN302]: inputs of 0..16777216, but loihi2 sends -8388608..8388607\n"
        "  at: in\n"
        "  fix: --input-range 0:8388607"
    )
    compile_network(network, LOIHI2, encoding=Encoding(low=0, high=8388607))


LOW = {
    "below the reset": (
        leaky(threshold=np.array([1.0, -1.0])),
        "a threshold 1 below the reset value",
        "l.threshold[1], first of 1",
        "the reset value",
    ),
    "below a reset elsewhere": (
        leaky(threshold=real(-2), reset=Reset(kind=ResetKind.VALUE, amount=real(-1))),
        "a threshold 1 below the reset value",
        "l.threshold",
        "the reset value",
    ),
    "subtracted": (
        leaky(threshold=real(-1), reset=Reset(kind=ResetKind.SUBTRACT, amount=real(-1))),
        "a threshold of -1",
        "l.threshold",
        "0",
    ),
    "never reset": (
        leaky(threshold=real(-1), reset=Reset()),
        "a threshold of -1",
        "l.threshold",
        "0",
    ),
}
"""Neurons with thresholds that Loihi does not store: what is said of them, where, the least."""


@pytest.mark.parametrize(("population", "what", "where", "least"), LOW.values(), ids=LOW)
def test_a_threshold_that_is_too_low_is_refused_and_runs_on_a_cpu(population, what, where, least):
    network = one_layer(population, -1.0)
    with pytest.raises(DoesNotFitError) as caught:
        compile_network(network, LOIHI2)
    units = re.search(r"becomes (-\d+) ", str(caught.value)).group(1)
    assert str(caught.value) == (
        f"error[SNN302]: {what} becomes {units} state units, but loihi2 stores 0..8388544\n"
        f"  at: {where}\n"
        f"  fix: --target cpu, or train with a threshold that is not below {least}"
    )
    inputs = [Values(name="in", values=spikes(np.random.default_rng(0), 2, 20, 2))]
    wanted = simulate(network, inputs, EVERYTHING)["l"]
    (_, payload, _) = next(windowed(compile_network(network, CPU), inputs, network))
    assert np.array_equal(payload, wanted.payload)
    assert payload.any()
    assert not payload.all()


LOST = {
    "beside the weights": (
        leaky(threshold=real(1), reset=Reset(kind=ResetKind.SUBTRACT, amount=real(1))),
        "a threshold of 1",
        "weights and biases that are smaller beside the threshold",
    ),
    "beside the weights, above a reset": (
        leaky(threshold=real(1)),
        "a threshold 1 above the reset value",
        "weights and biases that are smaller beside the threshold",
    ),
    "nothing": (
        leaky(threshold=real(0), reset=Reset(kind=ResetKind.SUBTRACT, amount=real(0))),
        "a threshold of 0",
        "a threshold that is above 0",
    ),
    "at the reset": (
        leaky(threshold=real(0)),
        "a threshold 0 above the reset value",
        "a threshold that is above the reset value",
    ),
}
"""Neurons with thresholds that become 0, which Loihi 1 does not store."""


@pytest.mark.parametrize(("population", "what", "remedy"), LOST.values(), ids=LOST)
def test_a_threshold_that_is_lost_is_refused_with_what_helps(population, what, remedy):
    with pytest.raises(DoesNotFitError) as caught:
        compile_network(one_layer(population, 1e9), LOIHI1)
    assert str(caught.value) == (
        f"error[SNN302]: {what} becomes 0 state units, but loihi1 stores 64..8388544\n"
        "  at: l.threshold\n"
        f"  fix: --target cpu, or train with {remedy}"
    )
    larger = replace(population, threshold=real(1), reset=replace(population.reset, amount=real(0)))
    assert compile_network(one_layer(larger, 1.0), LOIHI1).program


@TARGETS
@pytest.mark.parametrize(
    ("fields", "weight", "text"),
    [
        ({}, 1e300, "the largest weight is 1e+300 in size; {range}\n  at: w\n"),
        (
            {"threshold": real(1e-320)},
            1e-320,
            "the smallest threshold is 1e-320 in size; {range}\n  at: l\n",
        ),
        ({}, 1e-320, "the largest weight is 1e-320 in size; {range}\n  at: w\n"),
        (
            {"threshold": np.array([1e300, 1.0])},
            0.5,
            "the largest threshold is 1e+300 in size; {range}\n  at: l\n",
        ),
        (
            {"biases": (Bias(value=real(-1e300)),)},
            0.5,
            "the largest bias is 1e+300 in size; {range}\n  at: l\n",
        ),
        (
            {"initial": real(1e300)},
            0.5,
            "the largest initial membrane is 1e+300 in size; {range}\n  at: l\n",
        ),
        (
            {"floor": Floor(value=real(-1e300))},
            0.5,
            "the largest floor is 1e+300 in size; {range}\n  at: l\n",
        ),
    ],
    ids=["weight", "all", "tiny", "threshold", "bias", "initial", "floor"],
)
def test_numbers_that_no_scale_can_hold_are_refused(target, fields, weight, text):
    with pytest.raises(DoesNotFitError) as caught:
        compile_network(one_layer(leaky(**fields), weight), target)
    said = "6e-61 to 2e+60 can be scaled to whole numbers"
    assert str(caught.value) == "error[SNN302]: " + text.format(range=said) + (
        "  fix: multiply the weights, biases, thresholds and resets of the layer by one factor"
    )


@TARGETS
@pytest.mark.parametrize("exponent", [-195, -149, -60, 60, 127, 198])
def test_numbers_of_any_size_in_between_give_the_same_integers(target, exponent):
    def layer(factor):
        population = leaky(
            threshold=real(factor), biases=(Bias(value=real([factor / 8, -factor / 16])),)
        )
        return one_layer(population, 0.5 * factor)

    plain, far = (compile_network(layer(2.0**e), target).program for e in (0, exponent))
    assert np.array_equal(far.populations[0].threshold, plain.populations[0].threshold)
    assert np.array_equal(far.projections[0].map.weight, plain.projections[0].map.weight)


@TARGETS
@pytest.mark.parametrize("weight", [2.0**-199, 2.0**199])
@pytest.mark.parametrize("search", [True, False])
def test_numbers_of_extreme_sizes_side_by_side_compile(target, weight, search):
    population = leaky(threshold=np.array([1 / weight, 1.0]))
    options = Options(search=search)
    findings = compile_network(one_layer(population, weight), target, options=options).findings
    assert Kind.CHANGED in {f.kind for f in findings}


def test_a_deep_chain_with_biases_has_its_spikes_on_the_chip():
    depth, rng = 70, np.random.default_rng(1)
    weight = np.eye(3) * 255 / 1024  # exact without a search
    names = ["in", *(f"l{n}" for n in range(depth))]
    network = Network(
        name="deep",
        inputs=(Input(name="in", shape=(3,)),),
        populations=tuple(
            integrate_and_fire(
                name, 3, Compare.GREATER, ResetKind.VALUE,
                biases=(Bias(value=rng.integers(1, 5, (3,)) / 16),),
            )
            for name in names[1:]
        ),
        projections=tuple(
            Projection(name=f"{a}>{b}", source=a, target=b, map=Dense(weight=weight))
            for a, b in pairwise(names)
        ),
        outputs=(Output(name="out", population=names[-1]),),
    )  # fmt: skip
    inputs = [Values(name="in", values=spikes(rng, 1, 30, 3))]
    wanted = simulate(network, inputs, EVERYTHING)
    for target in (LOIHI2, CPU):
        compiled = compile_network(network, target, options=Options(search=False))
        for name, payload, _ in windowed(compiled, inputs, network):
            assert np.array_equal(payload, wanted[name].payload)
    assert wanted["l69"].payload.any()


def test_a_decay_that_swings_is_refused():
    with pytest.raises(UnsupportedError) as caught:
        compile_network(one_layer(leaky(decay=real(-0.25))), LOIHI2)
    assert str(caught.value) == (
        "error[SNN301]: a state is multiplied by -0.25 per step; loihi2 has factors of 0..1\n"
        "  at: l\n"
        "  fix: --dt with a step shorter than the time constant"
    )


def test_a_feature_that_a_target_lacks_is_refused():
    synapse = Synapse(decay=real(0.5), reads=Reads.OLD, initial=real(0.5))
    with pytest.raises(UnsupportedError) as caught:
        compile_network(one_layer(leaky(synapse=synapse)), find_target("netx"))
    assert str(caught.value) == (
        "error[SNN301]: netx does not have a membrane that reads the old current\n"
        "  at: l\n"
        "  fix: --target loihi2, or --target cpu"
    )
    for target in (LOIHI2, CPU):
        compile_network(one_layer(leaky(synapse=synapse)), target)


def test_a_feature_that_a_user_s_own_chip_lacks_is_offered_on_a_chip_like_it():
    own = replace(LOIHI2, name="mine", features=())
    network = one_layer(leaky(restart=Restart(interval=5)))
    with pytest.raises(UnsupportedError) as caught:
        compile_network(network, own)
    assert str(caught.value) == (
        "error[SNN301]: mine does not have states that restart in regular steps\n"
        "  at: l\n"
        "  fix: --target loihi2, or --target cpu"
    )
    for target in (LOIHI2, CPU):
        assert compile_network(network, target).program.population("l").restart is not None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            Options(weight_bits=9),
            "error[SNN102]: weights of 9 bits; loihi2 stores 2..8\n  fix: --bits 8",
        ),
        (
            Options(trials=0),
            "error[SNN102]: 0 trials; at least 1 scale is needed\n  fix: --trials 1",
        ),
    ],
    ids=["bits", "trials"],
)
def test_an_option_out_of_range_is_refused(options, text):
    with pytest.raises(OptionError) as caught:
        compile_network(one_layer(leaky()), LOIHI2, options=options)
    assert str(caught.value) == text


def test_calibration_data_of_another_shape_is_refused():
    with pytest.raises(DataError) as caught:
        compile_network(
            one_layer(leaky()), LOIHI2,
            calibration=[Values(name="in", values=np.zeros((1, 5, 3)))],
        )  # fmt: skip
    assert str(caught.value) == (
        "error[SNN208]: the calibration data has no array [sample, step, 2] for this input\n"
        "  at: in"
    )


def test_a_convolution_stays_a_kernel():
    source = Input(name="in", shape=(2, 8, 8))
    kernel = np.random.default_rng(0).normal(0, 0.3, (4, 2, 3, 3))
    linear = Convolution(weight=kernel, source=(2, 8, 8), padding=(1, 1, 1, 1))
    population = Population(
        name="l", shape=(4, 8, 8), decay=real(0.9), reset=Reset(kind=ResetKind.VALUE),
        gain=real(0.5),
    )  # fmt: skip
    network = Network(
        name="conv",
        inputs=(source,),
        populations=(population,),
        projections=(Projection(name="w", source="in", target="l", map=linear),),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_END),),
    )
    stored = compile_network(network, LOIHI2).program.projections[0].map
    assert isinstance(stored, Convolution)
    assert stored.weight.shape == kernel.shape


def test_what_no_whole_numbers_do_is_refused_before_any_is_made():
    on_cpu = ToIntegers(target=CPU, encoding=Encoding(), options=Options())
    grown = leaky(decay=real([1.0, 1.5]))
    with pytest.raises(UnsupportedError) as caught:
        ToIntegers(target=LOIHI2, encoding=Encoding(), options=Options())(one_layer(grown))
    assert str(caught.value) == (
        "error[SNN301]: a state is multiplied by 1.5 per step; loihi2 has factors of 0..1\n"
        "  at: l\n"
        "  fix: --dt with a step shorter than the time constant"
    )
    with pytest.raises(UnsupportedError) as caught:
        on_cpu(one_layer(leaky(fires=Fires.GRADED)))
    assert str(caught.value) == (
        "error[SNN301]: a neuron that sends its membrane is reset by what it sends, which has no "
        "whole-number form\n"
        "  at: l\n"
        "  fix: a filter without a reset"
    )
    on_cpu(one_layer(leaky(fires=Fires.GRADED, reset=Reset())))
