"""A network, or a program, that means nothing cannot be made."""

import numpy as np
import pytest

from snn_deploy.errors import DynamicsError, GraphError
from snn_deploy.ir import program
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Bias, Input, Network, Output, Population, Projection
from snn_deploy.ir.neuron import Decode, Fires, State

ONE = np.ones(())


def neurons(**changes):
    return Population(**{"name": "n", "shape": (2,), "decay": ONE, **changes})


@pytest.mark.parametrize("most", [-5, 0, 2**31, 2**70])
def test_neurons_send_at_most_a_number_of_spikes_that_a_file_holds(most):
    message = (
        "error[SNN207]: a neuron sends at most 1 to 2147483647 spikes a step\n  at: n.max_spikes"
    )
    with pytest.raises(DynamicsError) as caught:
        neurons(fires=Fires.COUNT, max_spikes=most)
    assert str(caught.value) == message
    with pytest.raises(DynamicsError) as caught:
        whole(fires=Fires.COUNT, max_spikes=most)
    assert str(caught.value) == message


def whole(**changes):
    one = np.ones((), np.int32)
    return program.Population(**{"name": "n", "shape": (2,), "decay": one, **changes})


def test_a_threshold_of_zero_counts_nothing():
    for make, dtype in ((neurons, np.float64), (whole, np.int32)):
        with pytest.raises(DynamicsError) as caught:
            make(fires=Fires.COUNT, threshold=np.array([1, 0], dtype), max_spikes=3)
        assert str(caught.value) == (
            "error[SNN207]: a threshold of 0, but a neuron that sends several spikes a step needs "
            "a positive one\n"
            "  at: n.threshold\n"
            "  fix: use a positive threshold, or neurons that send one spike a step"
        )


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        ({"into": State.PAYLOAD}, "a bias enters the current or the membrane"),
        ({"into": State.CURRENT}, "a bias enters a current that is not there"),
        ({"start": -5}, "the first step of a bias is 0 to 2147483647"),
        ({"start": 10**30}, "the first step of a bias is 0 to 2147483647"),
    ],
)
def test_a_bias_that_cannot_act_is_refused(bias, message):
    for make, kind, dtype in (
        (neurons, Bias, np.float64),
        (whole, program.Bias, np.int32),
    ):
        one = np.ones((), dtype)
        biases = (kind(value=one), kind(value=one, **bias))
        with pytest.raises(DynamicsError) as caught:
            make(biases=biases)
        assert str(caught.value) == f"error[SNN207]: {message}\n  at: n.biases[1]"


def network(output, **changes):
    identity = Dense(weight=np.eye(2))
    return Network(
        name="net",
        inputs=(Input(name="input", shape=(2,)),),
        populations=(neurons(**changes),),
        projections=(Projection(name="p", source="input", target="n", map=identity),),
        outputs=(output,),
    )


@pytest.mark.parametrize("decode", [Decode.COUNT, Decode.FIRST_SPIKE])
def test_the_spikes_of_neurons_that_never_fire_are_no_answer(decode):
    output = Output(name="out", population="n", decode=decode)
    assert network(output).outputs == (output,)
    with pytest.raises(GraphError) as caught:
        network(output, fires=Fires.NEVER)
    assert str(caught.value) == (
        f"error[SNN206]: an output reads the spikes of n, which never fires: {decode.value}\n"
        "  at: out\n"
        "  fix: read its membrane: --decode membrane-end, membrane-mean or membrane-max"
    )


@pytest.mark.parametrize("delay", [-1, 2**31])
def test_an_output_is_not_read_before_its_population(delay):
    with pytest.raises(GraphError) as caught:
        network(Output(name="out", population="n", delay=delay))
    assert str(caught.value) == (
        "error[SNN206]: the delay of an output is 0 to 2147483647 steps\n  at: out"
    )
