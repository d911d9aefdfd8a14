"""Scales per channel, corrected biases, bits by layer: what each method is for, and its guards."""

from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DynamicsError, OptionError
from snn_deploy.ir import program as whole
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.maps import Convolution, Dense, Sparse
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
from snn_deploy.ir.neuron import Decode, Fires, ResetKind, State
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, PAYLOADS, Values
from snn_deploy.quantize import Objective, Options, Preset, Rounding, compile_network
from snn_deploy.quantize.correction import corrected
from snn_deploy.quantize.guards import activity_findings, state_findings
from snn_deploy.quantize.options import MOST_DILATION
from snn_deploy.quantize.trial import Trials
from snn_deploy.targets import find_target

LOIHI2, CPU = find_target("loihi2"), find_target("cpu")
PLAIN = Options(weight_bits=4, preset=Preset.PLAIN)


def real(value):
    return np.asarray(value, np.float64)


def uneven(seed=0, *, readout=False, ratio=30.0, threshold=None):
    """Return a layer whose neurons have weights, and thresholds, of very different sizes."""
    rng = np.random.default_rng(seed)
    size = np.geomspace(1, ratio, 12)[:, None]
    weight = rng.normal(0.1, 1, (12, 40)) * size / ratio
    population = Population(
        name="l",
        shape=(12,),
        decay=real(0.9),
        fires=Fires.NEVER if readout else Fires.BINARY,
        threshold=real(np.ravel(size) / ratio if threshold is None else threshold),
        reset=Reset() if readout else Reset(kind=ResetKind.VALUE),
    )
    network = Network(
        name="uneven",
        inputs=(Input(name="in", shape=(40,)),),
        populations=(population,),
        projections=(Projection(name="w", source="in", target="l", map=Dense(weight=weight)),),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_END),),
    )
    spikes = (rng.random((6, 40, 40)) < 0.15).astype(np.float64)
    return network, [Values(name="in", values=spikes)]


def run(compiled, inputs):
    wholes = [Values(name=v.name, values=v.values.astype(np.int32)) for v in inputs]
    return ReferenceBackend().run(compiled.program, wholes, EVERYTHING)


def mismatch(network, inputs, options, target=CPU):
    compiled = compile_network(network, target, calibration=inputs, options=options)
    trace, steps = run(compiled, inputs), inputs[0].values.shape[1]
    wanted = simulate(network, inputs, PAYLOADS)["l"].payload
    lag = compiled.program.population("l").lag
    return np.abs(trace["l"].payload[:, lag : lag + steps] - wanted).sum() / (2 * wanted.sum())


def test_neurons_with_small_weights_keep_their_spikes_on_a_scale_of_their_own():
    network, inputs = uneven()
    layer = mismatch(network, inputs, PLAIN)
    channels = mismatch(network, inputs, replace(PLAIN, per_channel=True))
    assert channels < 0.5 * layer


@pytest.mark.parametrize("objective", Objective)
@pytest.mark.parametrize("per_channel", [False, True])
def test_every_objective_makes_a_program_of_the_bits_asked_for(objective, per_channel):
    network, inputs = uneven()
    options = Options(weight_bits=3, objective=objective, per_channel=per_channel)
    compiled = compile_network(network, CPU, calibration=inputs, options=options)
    weight = compiled.program.projections[0].map.numbers()
    assert len(np.unique(weight)) <= 8
    assert weight.any()
    assert compiled.layers[0].scales == (12 if per_channel else 1) or per_channel


def test_what_chooses_the_scale_leaves_weights_to_be_rounded_to_the_nearest():
    network, inputs = uneven()
    options = Options(objective=Objective.ACTIVITY, rounding=Rounding.NEAREST)
    compiled = compile_network(network, CPU, calibration=inputs, options=options)
    wire, units = compiled.program.projections[0], compiled.program.population("l").units
    steps = network.projections[0].map.numbers() / (units.reshape(-1, 1) * 2.0**wire.shift)
    stored = wire.map.numbers()
    inside = np.abs(steps) < np.abs(stored).max()
    assert np.abs(stored - steps)[inside].max() <= 0.5


def test_a_readout_on_scales_of_its_own_is_decoded_to_real_values():
    network, inputs = uneven(readout=True)
    options = Options(weight_bits=8, per_channel=True, preset=Preset.PLAIN)
    for target in (CPU, LOIHI2):  # a readout has no threshold, so it needs no parameter group
        compiled = compile_network(network, target, calibration=inputs, options=options)
        population = compiled.program.population("l")
        assert len(np.unique(population.unit_factor)) > 8
        membrane = run(compiled, inputs)["l"].membrane[:, population.lag :][:, :40]
        wanted = simulate(network, inputs, EVERYTHING)["l"].membrane
        error = np.abs(membrane * population.units - wanted).max(axis=(0, 1))
        assert np.all(error < 0.02 * np.abs(wanted).max(axis=(0, 1)))
        assert not [f for f in compiled.findings if f.kind is Kind.SIMULATED]


def test_a_chip_with_few_sets_of_parameters_gets_no_more_scales_than_those():
    network, inputs = uneven(threshold=0.5)
    options = Options(weight_bits=4, per_channel=True, preset=Preset.PLAIN)
    compiled = compile_network(network, LOIHI2, calibration=inputs, options=options)
    assert 2 <= len(np.unique(compiled.program.population("l").threshold)) <= 8
    assert not [f for f in compiled.findings if f.kind is Kind.SIMULATED]
    decays = np.linspace(0.5, 0.9, 12)
    mixed = replace(network, populations=(replace(network.populations[0], decay=decays),))
    many = compile_network(mixed, LOIHI2, calibration=inputs, options=options)
    assert many.layers[0].scales == 1  # its decays take all the sets already


def test_a_convolution_has_one_scale_per_output_channel_and_stays_a_kernel():
    rng = np.random.default_rng(0)
    kernel = rng.normal(0.1, 0.5, (4, 2, 3, 3)) * np.geomspace(0.05, 1, 4)[:, None, None, None]
    threshold = real(np.geomspace(0.05, 1, 4)[:, None, None])
    population = Population(
        name="l",
        shape=(4, 6, 6),
        decay=real(0.9),
        threshold=threshold,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=threshold),
    )
    network = Network(
        name="conv",
        inputs=(Input(name="in", shape=(2, 8, 8)),),
        populations=(population,),
        projections=(
            Projection(
                name="w", source="in", target="l",
                map=Convolution(weight=kernel, source=(2, 8, 8)),
            ),
        ),
        outputs=(Output(name="out", population="l"),),
    )  # fmt: skip
    inputs = [Values(name="in", values=(rng.random((3, 30, 2, 8, 8)) < 0.1).astype(float))]
    compiled = compile_network(network, CPU, calibration=inputs, options=Options(weight_bits=4))
    made = compiled.program.population("l")
    assert isinstance(compiled.program.projections[0].map, Convolution)
    assert made.unit_factor.shape == (4, 1, 1)
    assert compiled.layers[0].scales == 4
    options = replace(PLAIN, weight_bits=4)
    assert mismatch(network, inputs, Options(weight_bits=4)) < mismatch(network, inputs, options)


def test_a_neuron_without_synapses_has_a_scale_as_the_others_have():
    network, inputs = uneven()
    weight = network.projections[0].map.weight
    post, pre = (
        index.astype(np.int32) for index in np.nonzero(np.arange(12)[:, None] != 5 + 0 * weight)
    )
    sparse = Sparse(post=post, pre=pre, weight=weight[post, pre], post_shape=(12,), pre_shape=(40,))
    network = replace(network, projections=(replace(network.projections[0], map=sparse),))
    compiled = compile_network(
        network, CPU, calibration=inputs, options=Options(weight_bits=4, per_channel=True)
    )
    assert compiled.layers[0].scales > 2
    reached = np.unique(compiled.program.projections[0].map.post)
    assert reached.tolist() == [n for n in range(12) if n != 5]


def test_a_unit_below_the_smallest_is_refused():
    with pytest.raises(DynamicsError) as caught:
        whole.Population(name="l", shape=(2,), decay=np.ones((), int), unit_factor=np.array([1, 0]))
    assert str(caught.value) == (
        "error[SNN207]: a unit times 0; factors are 1 or more\n  at: l.unit_factor"
    )


def shifted():
    """Return a layer whose two-bit weights are all too large: 0.6 of a step rounds up to one."""
    weight = np.full((3, 60), 0.06)
    weight[:, 0] = 0.1
    population = Population(
        name="l", shape=(3,), decay=real(0.8), fires=Fires.NEVER,
        biases=(Bias(value=real([0.1, 0.2, 0.3])),),
    )  # fmt: skip
    network = Network(
        name="shifted",
        inputs=(Input(name="in", shape=(60,)),),
        populations=(population,),
        projections=(Projection(name="w", source="in", target="l", map=Dense(weight=weight)),),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_MEAN),),
    )
    spikes = (np.random.default_rng(0).random((4, 50, 60)) < 0.3).astype(np.float64)
    return network, [Values(name="in", values=spikes)]


@pytest.mark.parametrize("target", [CPU, LOIHI2], ids=["cpu", "loihi2"])
def test_corrected_biases_give_back_the_mean_current(target):
    network, inputs = shifted()
    wanted = simulate(network, inputs, EVERYTHING)["l"].membrane[:, 20:].mean(axis=(0, 1))
    off = []
    for correction in (False, True):
        options = Options(
            weight_bits=2,
            preset=Preset.PLAIN,
            objective=Objective.MAX,
            bias_correction=correction,
        )
        compiled = compile_network(network, target, calibration=inputs, options=options)
        population = compiled.program.population("l")
        membrane = run(compiled, inputs)["l"].membrane[:, population.lag + 20 :][:, :30]
        off.append(np.abs(membrane.mean(axis=(0, 1)) * population.units / wanted - 1).max())
    assert off[0] > 0.05
    assert off[1] < 0.02


def test_a_layer_without_bias_gets_one_where_its_weights_enter():
    network, inputs = uneven()
    options = replace(PLAIN, weight_bits=2, bias_correction=True)
    compiled = compile_network(network, CPU, calibration=inputs, options=options)
    assert [b.into for b in compiled.program.population("l").biases] == [State.MEMBRANE]
    without = compile_network(network, CPU, calibration=inputs, options=PLAIN)
    assert not without.program.population("l").biases


def test_layers_have_the_bits_that_are_asked_for_them():
    network, _ = uneven()
    for key in ("w", "l", "*"):
        for bits in (2, 3):
            options = Options(weight_bits={key: bits}, preset=Preset.PLAIN)
            program = compile_network(network, CPU, options=options).program
            assert len(np.unique(program.projections[0].map.numbers())) <= 2**bits
    with pytest.raises(OptionError) as caught:
        compile_network(network, CPU, options=Options(weight_bits={"ll": 3}))
    assert str(caught.value) == (
        "error[SNN102]: bits for 'll', but no layer has that name; there are l, w\n"
        "  at: --bits\n"
        "  fix: --bits l=3"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            Options(weight_bits={"w": 1}),
            "weights of 1 bits; cpu stores 2..8\n  at: w\n  fix: --bits w=2",
        ),
        (Options(percentile=0), "a percentile of 0\n  fix: Options(percentile=99.9)"),
        (Options(sigmas=0), "0 standard deviations\n  fix: Options(sigmas=2)"),
        (
            Options(prove=True, allow_overflow=True),
            "a proof that nothing overflows and leave to overflow contradict each other\n"
            "  at: --prove, --allow-overflow\n"
            "  fix: give one of the two",
        ),
        (
            Options(rounding=Rounding.GPTQ),
            "rounding with feedback needs to know what the layers send\n"
            "  fix: --calibrate DATA, or --rounding nearest",
        ),
        (
            Options(bias_correction=True),
            "a correction of biases needs to know what the layers send\n"
            "  fix: --calibrate DATA, or no --bias-correction",
        ),
    ],
    ids=["bits", "percentile", "sigmas", "overflow", "gptq", "bias"],
)
def test_an_option_that_makes_no_sense_is_refused(options, text):
    with pytest.raises(OptionError) as caught:
        compile_network(uneven()[0], CPU, options=options)
    assert str(caught.value) == f"error[SNN102]: {text}"


def test_the_least_and_the_most_of_each_option_make_sense():
    for options in (
        Options(trials=1, percentile=100, sigmas=1e-9, dilation=1),
        Options(percentile=1e-9, dilation=MOST_DILATION),
    ):
        assert options.checked(CPU) is options


def test_the_preset_follows_from_the_target_and_from_what_is_known():
    for target, calibrated, per_channel, rounding in (
        (CPU, True, True, Rounding.GPTQ),
        (LOIHI2, True, False, Rounding.GPTQ),
        (CPU, False, False, Rounding.NEAREST),
        (LOIHI2, False, False, Rounding.NEAREST),
    ):
        method = Options().method(target, calibrated=calibrated)
        assert (method.per_channel, method.rounding) == (per_channel, rounding)
    stated = Options(rounding=Rounding.NEAREST, per_channel=False).method(CPU, calibrated=True)
    assert (stated.per_channel, stated.rounding) == (False, Rounding.NEAREST)


COUNTER = whole.Population(name="l", shape=(4,), decay=np.ones((), int))
QUIET, BUSY = np.zeros((2, 50, 4)), np.ones((2, 50, 4))
SOME = (np.random.default_rng(0).random((2, 50, 4)) < 0.3).astype(float)


@pytest.mark.parametrize(
    ("wanted", "sent", "text"),
    [
        (
            SOME,
            QUIET,
            "changed    l: no neuron fires any more on the calibration data; the weights are too "
            "coarse beside the threshold; more --bits l=N, or --bias-correction",
        ),
        (
            QUIET,
            QUIET,
            "guessed    l: no neuron fires on the calibration data, nor does it in real values; "
            "so the scales of the layers behind it rest on nothing; calibrate with data like that "
            "in use, or look at the threshold and the weights as trained",
        ),
        (
            np.concatenate([SOME, SOME]),
            np.concatenate([SOME, QUIET]),
            "rounded    l: 0.50 times the spikes of the real-valued network on the calibration "
            "data; rounding moved the mean input; --bias-correction, or more --bits l=N",
        ),
    ],
    ids=["silent", "silent as trained", "half"],
)
def test_a_layer_that_fires_otherwise_is_told(wanted, sent, text):
    assert [str(f) for f in activity_findings(COUNTER, wanted, sent)] == [text]


def test_a_layer_that_saturates_is_told():
    found = [str(f) for f in activity_findings(COUNTER, SOME, BUSY)]
    assert found[1] == (
        "changed    l: 4 of 4 neurons now send all they can in nearly every step of the "
        "calibration data; the threshold or the bias is lost beside the weights; more --bits l=N, "
        "or --preset per-channel"
    )
    assert not list(activity_findings(COUNTER, BUSY, BUSY))
    assert not list(activity_findings(COUNTER, SOME, SOME))


def test_a_membrane_that_leaves_its_register_is_told():
    membrane = np.zeros((2, 5, 4))
    assert not list(state_findings(COUNTER, membrane, 100))
    membrane[1, 2, 3] = -101
    assert [str(f) for f in state_findings(COUNTER, membrane, 100)] == [
        "changed    l: the membrane of 1 of 4 neurons leaves its register of 100 on the "
        "calibration data; the scale is too large for these inputs; --prove keeps every state in "
        "range"
    ]


def test_a_silenced_layer_is_among_the_findings_of_compiling():
    weight = np.full((2, 40), 1e-4)
    weight[:, 0] = 1.0  # fires never, and makes the others round to 0
    network, _ = uneven()
    population = replace(network.populations[0], shape=(2,), threshold=real(1e-3))
    network = replace(
        network,
        populations=(population,),
        projections=(replace(network.projections[0], map=Dense(weight=weight)),),
    )
    spikes = np.ones((2, 30, 40))
    spikes[:, :, 0] = 0
    options = Options(weight_bits=4, preset=Preset.PLAIN, objective=Objective.MAX)
    data = [Values(name="in", values=spikes)]
    kinds = [
        f.amount for f in compile_network(network, CPU, calibration=data, options=options).findings
    ]
    assert "no neuron fires any more on the calibration data" in kinds


def test_neurons_that_are_cut_off_are_told():
    network, inputs = uneven(ratio=3000.0)
    options = Options(weight_bits=4, preset=Preset.PLAIN, objective=Objective.MAX)
    found = [str(f) for f in compile_network(network, CPU, options=options).findings]
    lost = [f for f in found if "rows round to 0" in f]
    assert len(lost) == 1
    assert lost[0].startswith("changed    w: all weights into ")
    assert lost[0].endswith(
        "the first is row 0; they are far smaller than those of other rows; --preset per-channel, "
        "or more --bits w=N"
    )
    cured = compile_network(network, CPU, calibration=inputs, options=Options(weight_bits=4))
    assert not [f for f in cured.findings if "rows round to 0" in f.amount]


def two_ways():
    """Return neurons with two currents, the second one subtracted, and what enters them."""
    population = Population(
        name="l", shape=(3,), decay=real(0.8), fires=Fires.NEVER, synapse=Synapse(decay=real(0.5)),
        further=(Synapse(decay=real(0.25), into_membrane=-1),),
        biases=(Bias(value=real([0.1, 0.2, 0.3]), into=State.CURRENT, waits=True),),
    )  # fmt: skip
    weight = np.full((3, 60), 0.06)
    weight[:, 0] = 0.1
    ways = tuple(
        Projection(name=f"w{n}", source="in", target="l", map=Dense(weight=w), into=into)
        for n, (w, into) in enumerate([(0 * weight, None), (weight, State.CURRENT_2)])
    )
    network = Network(
        name="two",
        inputs=(Input(name="in", shape=(60,)),),
        populations=(population,),
        projections=ways,
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_MEAN),),
    )
    spikes = (np.random.default_rng(0).random((4, 50, 60)) < 0.3).astype(np.float64)
    return network, [Values(name="in", values=spikes)]


def test_what_a_current_misses_is_given_back_to_that_current():
    network, inputs = two_ways()
    options = Options(
        weight_bits=2, preset=Preset.PLAIN, objective=Objective.MAX, bias_correction=True
    )
    compiled = compile_network(network, CPU, calibration=inputs, options=options)
    population = compiled.program.population("l")
    waiting, added = population.biases
    assert (waiting.into, waiting.waits) == (State.CURRENT, True)
    assert (added.into, added.waits) == (State.CURRENT_2, False)
    wanted = simulate(network, inputs, EVERYTHING)["l"].membrane[:, 20:].mean(axis=(0, 1))
    membrane = run(compiled, inputs)["l"].membrane[:, population.lag + 20 :][:, :30]
    found = membrane.mean(axis=(0, 1)) * population.units
    np.testing.assert_allclose(found, wanted, rtol=0.02)


def test_the_room_for_states_counts_every_current():
    network, inputs = two_ways()
    unread = replace(network.population("l").further[0], into_membrane=0)
    network = replace(
        network, populations=(replace(network.population("l"), further=(unread,), biases=()),)
    )
    states = simulate(network, inputs, EVERYTHING)["l"].states
    trials = Trials.start(network, inputs, Encoding(), CPU)
    largest = np.abs(states[State.CURRENT_2]).max(axis=(0, 1))
    assert np.all(trials.largest_states("l")[State.CURRENT_2] >= largest)


def test_what_is_missing_is_added_to_the_bias_that_always_acts():
    biases = (
        Bias(value=real(1), waits=True),
        Bias(value=real(2), start=3),
        Bias(value=real(4), into=State.CURRENT),
        Bias(value=real(8)),
    )
    population = Population(
        name="l", shape=(2,), decay=real(0.5), synapse=Synapse(decay=real(0.5)), biases=biases
    )
    made = corrected(population, {State.MEMBRANE: real([0.5, 0.25])})
    assert made.biases[:3] == biases[:3]
    np.testing.assert_array_equal(made.biases[3].value, [8.5, 8.25])
    none = corrected(replace(population, biases=biases[:3]), {State.MEMBRANE: real([0.5, 0.25])})
    assert none.biases[:3] == biases[:3]
    np.testing.assert_array_equal(none.biases[3].value, [0.5, 0.25])
