"""Room for states: what a scale must leave of a register, and what it need not."""

from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import (
    Chain,
    Floor,
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import Decode, Fires, ResetKind, State, Tabled
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Table
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize import Objective, Options, Preset, compile_network
from snn_deploy.quantize.trial import Trials
from snn_deploy.targets import find_target

LOIHI1, LOIHI2, CPU = find_target("loihi1"), find_target("loihi2"), find_target("cpu")
STEPS = 8
PIXELS = Encoding(high=31, unit=1 / 31, steps=STEPS)
ONE = np.ones(())


def counting(decode=Decode.COUNT, **fields):
    """Return neurons without leak that constant currents drive: 31 levels of 60 pixels."""
    rng = np.random.default_rng(0)
    standard = {"decay": ONE, "threshold": np.asarray(1.2), "initial": np.asarray(0.6)}
    reset = Reset(kind=ResetKind.SUBTRACT, amount=np.asarray(1.2))
    population = Population(name="l", shape=(16,), **{**standard, "reset": reset, **fields})
    weight = rng.normal(0.01, 0.15, (16, 60))
    network = Network(
        name="counting",
        inputs=(Input(name="in", shape=(60,)),),
        populations=(population,),
        projections=(Projection(name="w", source="in", target="l", map=Dense(weight=weight)),),
        outputs=(Output(name="out", population="l", decode=decode),),
    )
    levels = np.rint(rng.random((20, 1, 60)) * 31) / 31.0
    return network, [Values(name="in", values=np.repeat(levels, STEPS, axis=1))]


def scale_of(network, inputs, encoding=PIXELS, **options):
    made = compile_network(
        network, LOIHI2, encoding=encoding, calibration=inputs, options=Options(**options)
    )
    return made.layers[0].scale, made


def run(compiled, inputs):
    unit = 1 / 31
    whole = [Values(name="in", values=np.rint(v.values / unit).astype(np.int32)) for v in inputs]
    return ReferenceBackend().run(compiled.program, whole, EVERYTHING)["l"]


def test_the_registers_are_filled_as_far_as_the_data_and_a_guard_say():
    network, inputs = counting()
    scale, made = scale_of(network, inputs)
    largest = Trials.start(network, inputs, PIXELS, LOIHI2).largest_states("l")[State.MEMBRANE]
    filled = scale * largest.max() / LOIHI2.highest_state
    assert 0.3 < filled <= 1 / 1.5
    assert run(made, inputs).overflows == 0
    size = np.abs(made.program.projections[0].map.numbers()).max()
    assert size > 100  # nearly all bits of the weights are in use


def test_a_short_sample_is_safe_at_larger_scales_than_one_without_end():
    network, inputs = counting()
    endless = replace(PIXELS, steps=None)
    short, forever = (
        scale_of(network, inputs, encoding, prove=True)[0] for encoding in (PIXELS, endless)
    )
    assert short > 8 * forever
    _, made = scale_of(network, inputs, prove=True)
    assert not [f for f in made.findings if f.kind is Kind.UNPROVEN]


def test_leave_to_overflow_is_told_where_it_is_used():
    network, inputs = counting()
    usual, _ = scale_of(network, inputs)
    scale, made = scale_of(network, inputs, allow_overflow=True)
    assert scale >= usual
    told = [str(f) for f in made.findings if "--allow-overflow" in f.reason]
    assert len(told) == 1
    head, tail = told[0].split(" times ")
    assert head.startswith("unproven   l: its scale is ")
    assert float(head.split()[-1]) > 1
    assert tail == (
        "the largest that was found safe for any input; so --allow-overflow allows; without it "
        "smaller scales come first, and with --prove there are no others"
    )


def test_nothing_is_told_of_leave_to_overflow_that_is_not_used():
    network, inputs = counting(threshold=np.asarray(20.0))
    weak = replace(
        network,
        projections=(replace(network.projections[0], map=Dense(weight=np.full((16, 60), 1e-3))),),
    )
    _, made = scale_of(weak, inputs, allow_overflow=True)
    assert not [f for f in made.findings if "--allow-overflow" in f.reason]


def pooling(weight, threshold, **fields):
    """Return neurons that keep nothing and fire where the sum of their inputs is large enough."""
    post, pre = weight.shape
    standard = {"decay": np.zeros(()), "threshold": np.asarray(threshold)}
    reset = Reset(kind=ResetKind.VALUE)
    population = Population(name="l", shape=(post,), **{**standard, "reset": reset, **fields})
    return Network(
        name="pooling",
        inputs=(Input(name="in", shape=(pre,)),),
        populations=(population,),
        projections=(Projection(name="w", source="in", target="l", map=Dense(weight=weight)),),
        outputs=(Output(name="out", population="l"),),
    )


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("options", [{}, {"preset": Preset.PER_CHANNEL}, {"allow_overflow": True}])
@pytest.mark.parametrize(
    ("weight", "threshold"),
    [
        (np.kron(np.eye(6), np.ones(4)), 0.5),  # the maximum of each four
        (np.random.default_rng(1).normal(0.03, 0.1, (12, 24)), 0.3),
    ],
)
def test_what_arrives_in_a_step_stays_within_its_register(weight, threshold, options, calibrated):
    network = pooling(weight, threshold)
    spikes = np.random.default_rng(2).integers(0, 2, (8, 20, 24))
    inputs = [Values(name="in", values=spikes)]
    made = compile_network(
        network,
        LOIHI1,
        encoding=Encoding(),
        calibration=inputs if calibrated else None,
        options=Options(**options),
    )
    assert LOIHI1.arithmetic.accumulator is not None
    trace = ReferenceBackend().run(made.program, inputs, EVERYTHING)["l"]
    assert trace.overflows == 0
    wanted = simulate(network, inputs)["l"].payload
    assert np.mean(trace.payload[:, 1:] != wanted) < 0.01


def test_the_largest_sum_of_a_step_is_that_of_the_data():
    network, inputs = counting()
    found = Trials.start(network, inputs, PIXELS, LOIHI1).largest_sum("l")
    sums = inputs[0].values @ network.projections[0].map.weight.T
    assert found == pytest.approx(np.abs(sums).max(axis=(0, 1)))
    assert Trials.start(network, inputs, PIXELS, LOIHI2).largest_sum("l") is None


def test_a_table_of_biases_stays_within_the_registers():
    rows = np.array([[5e3], [-4e3], [0.0]])
    table = Table(what=Tabled.BIAS, rows=rows, into=State.MEMBRANE, repeats=True)
    network, _ = counting(tables=(table,))
    made = compile_network(network, CPU, encoding=PIXELS).program.population("l")
    assert np.abs(made.tables[0].rows).max() <= CPU.highest_state
    np.testing.assert_allclose(made.tables[0].rows * made.units, rows, rtol=0.01)


@pytest.mark.parametrize("kind", [ResetKind.NONE, ResetKind.VALUE])
def test_numbers_far_above_the_threshold_bound_the_scale_of_neurons_that_nothing_drives(kind):
    reset = Reset(kind=kind, amount=np.asarray(-40.0))
    network, _ = counting(reset=reset, floor=Floor(value=np.asarray(-50.0)))
    silent = replace(network.projections[0], map=Dense(weight=np.zeros((16, 60))))
    network = replace(network, projections=(silent,))
    made = compile_network(network, CPU, encoding=PIXELS).program.population("l")
    assert -CPU.highest_state <= made.floor.value < made.reset.amount < 0


def filters(gain, **fields):
    """Return filters whose second current takes `gain` times the first one."""
    first = Synapse(decay=np.asarray(0.5), into_membrane=0)
    second = Synapse(decay=np.asarray(0.5), chain=Chain(gain=np.asarray(gain)))
    return counting(
        Decode.MEMBRANE_END, decay=np.asarray(0.5), fires=Fires.NEVER, reset=Reset(),
        initial=np.zeros(()), synapse=first, further=(second,), **fields,
    )  # fmt: skip


@pytest.mark.parametrize("proven", [False, True], ids=["calibrated", "proven"])
def test_what_a_chain_multiplies_stays_within_the_registers(proven):
    network, inputs = filters(1000.0)
    given, options = None if proven else inputs, Options(prove=proven)
    made = compile_network(network, CPU, encoding=PIXELS, calibration=given, options=options)
    trace = run(made, inputs)
    wanted = simulate(network, inputs, EVERYTHING)["l"].membrane
    assert trace.overflows == 0
    found = trace.membrane * made.program.population("l").units
    assert np.abs(found - wanted).max() < 0.15 * np.abs(wanted).max()


def test_a_chain_beyond_every_multiplier_is_refused():
    network, _ = filters(1e6)
    with pytest.raises(DoesNotFitError) as caught:
        compile_network(network, LOIHI2, encoding=PIXELS)
    assert str(caught.value) == (
        "error[SNN302]: a synaptic current takes 1e+06 times another in each step; a multiplier "
        "says up to 524288 times\n"
        "  fix: train a smaller factor, with larger weights into the first current"
    )


def test_corrected_biases_count_what_is_missing_as_often_as_the_gains_say():
    """In steps with a gain of 0 nothing arrives, and nothing is missing."""
    gains = Table(
        what=Tabled.GAIN, rows=np.array([[0.0], [0.0], [0.0], [1.0]]), into=State.MEMBRANE,
        repeats=True,
    )  # fmt: skip
    weight = np.full((3, 60), 0.06)  # 0.6 of a step of two bits: all round up
    weight[:, 0] = 0.1
    population = Population(
        name="l", shape=(3,), decay=np.asarray(0.8), fires=Fires.NEVER, tables=(gains,)
    )  # fmt: skip
    network = Network(
        name="gains",
        inputs=(Input(name="in", shape=(60,)),),
        populations=(population,),
        projections=(Projection(name="w", source="in", target="l", map=Dense(weight=weight)),),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_MEAN),),
    )
    spikes = (np.random.default_rng(0).random((4, 80, 60)) < 0.3).astype(np.float64)
    inputs = [Values(name="in", values=spikes)]
    options = Options(
        weight_bits=2, preset=Preset.PLAIN, objective=Objective.MAX, bias_correction=True
    )
    compiled = compile_network(network, CPU, calibration=inputs, options=options)
    whole = [Values(name="in", values=spikes.astype(np.int32))]
    trace = ReferenceBackend().run(compiled.program, whole, EVERYTHING)["l"]
    made = compiled.program.population("l")
    found = (trace.membrane * made.units)[:, made.lag + 20 :].mean(axis=(0, 1))
    wanted = simulate(network, inputs, EVERYTHING)["l"].membrane[:, 20:].mean(axis=(0, 1))
    np.testing.assert_allclose(found, wanted, rtol=0.05)
