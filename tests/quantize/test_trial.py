"""A trial of a rounded layer, and what it says of bits, against numbers known beforehand."""

from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Input, Network, Output, Population, Projection, Reset
from snn_deploy.ir.neuron import Decode, Fires
from snn_deploy.ir.program import Sign
from snn_deploy.ir.trace import Values
from snn_deploy.quantize.options import Options, Preset
from snn_deploy.quantize.sensitivity import sensitivity
from snn_deploy.quantize.to_program import ToIntegers
from snn_deploy.quantize.widths import Least
from snn_deploy.targets import find_target

CPU = find_target("cpu")
PLAIN = Options(preset=Preset.PLAIN)
WEIGHT = np.array([[1.0, -0.5, 0.25], [0.75, 0.5, -1.0]])
SPIKES = (np.random.default_rng(1).random((4, 12, 3)) < 0.4).astype(np.float64)


def network(weight=WEIGHT, fires=Fires.NEVER):
    """Return two neurons without a reset; weights, decays and states are exact in binary."""
    population = Population(
        name="l", shape=(2,), decay=np.asarray(0.5), threshold=np.asarray(1.0), fires=fires,
        reset=Reset(),
    )  # fmt: skip
    return Network(
        name="one",
        inputs=(Input(name="in", shape=(3,)),),
        populations=(population,),
        projections=(Projection(name="w", source="in", target="l", map=Dense(weight=weight)),),
        outputs=(Output(name="out", population="l", decode=Decode.MEMBRANE_END),),
    )


def tried(graph, options=PLAIN, spikes=SPIKES):
    """Return the trials of a network and its first candidate."""
    step = ToIntegers(
        target=CPU,
        encoding=Encoding(high=int(spikes.max())),
        calibration=(Values(name="in", values=spikes),),
        options=options,
    )
    layers = step.layers(graph)
    return layers.trials, layers.candidates("l")[0]


def test_a_layer_whose_weights_fit_has_no_error_and_one_of_half_its_size_a_quarter():
    trials, layer = tried(network())
    assert trials.relative_error(layer) == pytest.approx(0.0, abs=1e-12)
    halved = replace(layer, scale=np.asarray(layer.scale * 2))
    assert trials.relative_error(halved) == pytest.approx(0.25)
    assert trials.relative_error(replace(layer, scale=np.asarray(-layer.scale))) == pytest.approx(4)


@pytest.mark.parametrize(
    ("weight", "sign"),
    [
        (WEIGHT, Sign.MIXED),
        (np.abs(WEIGHT), Sign.EXCITATORY),
        (-np.abs(WEIGHT), Sign.INHIBITORY),
        (np.minimum(WEIGHT, 0), Sign.INHIBITORY),
    ],
    ids=["mixed", "positive", "negative", "some negative"],
)
def test_weights_of_one_sign_are_stored_without_the_other(weight, sign):
    _, layer = tried(network(weight))
    (made,) = layer.projections
    assert made.sign is sign
    np.testing.assert_array_equal(made.map.numbers() * 2.0**made.shift / layer.scale, weight)


def test_what_a_graded_layer_sends_in_a_trial_is_its_membrane_in_units_of_its_payload():
    spikes = SPIKES * np.random.default_rng(2).integers(1, 200, SPIKES.shape)
    trials, layer = tried(network(fires=Fires.GRADED), spikes=spikes)
    shift = layer.population.payload_shift
    assert shift > 0
    membrane = trials.wanted["l"].membrane * float(layer.scale)
    trials.best([layer])
    np.testing.assert_array_equal(trials.sent["l"], np.floor(membrane / 2**shift + 0.5))
    np.testing.assert_allclose(trials.wanted_sent["l"], membrane / 2**shift)


@pytest.mark.parametrize("least", Least)
def test_bits_are_tried_from_2_to_all_and_cost_what_a_count_says(least):
    given = {"encoding": Encoding(), "calibration": (Values(name="in", values=SPIKES),)}
    (found,) = sensitivity(network(), CPU, options=PLAIN, least=least, **given)
    assert list(found.errors) == [2, 3, 4, 5, 6, 7, 8]
    assert found.errors[8] < 1e-12 < found.errors[2]
    counted = SPIKES.sum() / len(SPIKES) * 2  # each spike drives both neurons
    assert found.cost == (WEIGHT.size if least is Least.MEMORY else pytest.approx(counted))
