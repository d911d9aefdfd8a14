"""Energy is counted events times prices, and every price has a source."""

from typing import Any

import numpy as np
import pytest

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.deploy.energy import Event, count, estimate, find_profile, profiles
from snn_deploy.errors import UnknownNameError
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.kinds import Adaptive
from snn_deploy.ir.maps import Convolution, Dense, Sparse
from snn_deploy.ir.neuron import Decode, Fires, ResetKind, State, Tabled
from snn_deploy.ir.program import (
    Bias,
    Chain,
    Current,
    Input,
    Output,
    Population,
    Program,
    Projection,
    Reset,
)
from snn_deploy.ir.timing import Refractory, Table
from snn_deploy.ir.trace import EVERYTHING, Values


def whole(value: int) -> np.ndarray:
    return np.asarray(value, np.int32)


@pytest.fixture
def program() -> Program:
    """An image of 3x3 through a 2x2 kernel of ones, then a dense and a sparse readout."""
    register = Register(bits=24, overflow=Overflow.SATURATE)
    one = Reset(kind=ResetKind.VALUE)
    kernel = np.ones((1, 1, 2, 2), np.int32)
    return Program(
        name="net",
        target="loihi2",
        arithmetic=Arithmetic(current=register, membrane=register, decay_bits=12),
        inputs=(Input(name="in", shape=(1, 3, 3)),),
        populations=(
            Population(
                name="conv", shape=(1, 2, 2), decay=whole(0), threshold=whole(0), reset=one, lag=1
            ),
            Population(name="dense", shape=(2,), decay=whole(4096), fires=Fires.NEVER, lag=2),
            Population(name="sparse", shape=(2,), decay=whole(4096), fires=Fires.NEVER, lag=2),
        ),
        projections=(
            Projection(
                name="a",
                source="in",
                target="conv",
                map=Convolution(weight=kernel, source=(1, 3, 3)),
                delay=whole(1),
            ),
            Projection(
                name="b",
                source="conv",
                target="dense",
                map=Dense(weight=np.array([[1, 0, 1, 0], [0, 1, 0, 1]], np.int32)),
                delay=whole(1),
            ),
            Projection(
                name="c",
                source="conv",
                target="sparse",
                map=Sparse(
                    post=np.array([0, 1]),
                    pre=np.array([0, 3]),
                    weight=np.array([1, 1], np.int32),
                    post_shape=(2,),
                    pre_shape=(4,),
                ),
                delay=whole(1),
            ),
        ),
        outputs=(Output(name="output", population="dense", decode=Decode.MEMBRANE_END),),
    )


@pytest.fixture
def counts(program: Program) -> dict[str, dict[Event, float]]:
    """Two samples of three steps: a spike in the corner, then one in the centre."""
    spikes = np.zeros((2, 3, 1, 3, 3), np.int64)
    spikes[0, 0, 0, 0, 0] = 1  # reaches one position of the kernel: conv[0, 0] fires in step 1
    spikes[1, 1, 0, 1, 1] = 1  # reaches all four: they fire in step 2
    inputs = (Values(name="in", values=spikes),)
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    return {layer.layer: layer.counts for layer in count(program, inputs, trace, 3)}


def test_a_spike_pays_for_the_synapses_it_reaches(
    counts: dict[str, dict[Event, float]],
) -> None:
    assert counts["conv"][Event.SYNAPSE_CONVOLUTION] == (1 + 4) / 2
    assert counts["dense"][Event.SYNAPSE_DENSE] == (1 + 4) * 2 / 2  # stored zeros count
    assert counts["sparse"][Event.SYNAPSE_SPARSE] == (1 + 2) / 2


def test_spikes_messages_and_accesses_are_counted_in_each_layers_own_steps(
    counts: dict[str, dict[Event, float]],
) -> None:
    assert counts["in"] == {Event.MESSAGE: 1.0}
    assert counts["conv"][Event.SPIKE] == (1 + 4) / 2
    assert counts["conv"][Event.MESSAGE] == (2 + 4 + 2) / 2  # to the populations it reaches
    assert counts["conv"][Event.NEURON_ACCESS] == 4 * 3
    assert counts["dense"][Event.SPIKE] == 0


def test_only_neurons_whose_registers_move_are_updated(
    counts: dict[str, dict[Event, float]],
) -> None:
    # conv forgets at once and is reset: it is busy in the steps in which it fires.
    assert counts["conv"][Event.NEURON_UPDATE] == (1 + 4) / 2
    # dense integrates: sample 0 moves neuron 0 from step 0 of its window, sample 1 both from 1;
    # in sample 0 a stored zero arrives at neuron 1 in step 0.
    assert counts["dense"][Event.NEURON_UPDATE] == (3 + 1 + 2 * 2) / 2


def updates(neurons: Population, *, steps: int = 4, period: int = 1, spike: int = 1) -> float:
    """Return the updates of one neuron of weight 2 that gets one spike, in steps of the network."""
    register = Register(bits=24, overflow=Overflow.SATURATE)
    wire = Dense(weight=np.array([[2]], np.int32))
    program = Program(
        name="one",
        target="cpu",
        arithmetic=Arithmetic(current=register, membrane=register, decay_bits=12),
        inputs=(Input(name="in", shape=(1,)),),
        populations=(neurons,),
        projections=(Projection(name="a", source="in", target=neurons.name, map=wire),),
        outputs=(Output(name="out", population=neurons.name, decode=Decode.MEMBRANE_END),),
        period=period,
    )
    spikes = np.zeros((1, steps * period, 1), np.int64)
    spikes[0, spike * period] = 1
    inputs = (Values(name="in", values=spikes),)
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    (_, layer) = count(program, inputs, trace, steps * period)
    return layer.counts[Event.NEURON_UPDATE]


def silent(**changes: Any) -> Population:
    """Return a neuron that forgets at once and never fires, with some changes."""
    fields = {"decay": whole(0), "fires": Fires.NEVER} | changes
    return Population(name="n", shape=(1,), **fields)


def test_a_neuron_that_forgets_at_once_is_updated_when_it_gets_something_and_then_cleared() -> None:
    assert updates(silent()) == 2


def test_a_neuron_whose_second_current_lasts_is_updated_as_long_as_that_does() -> None:
    first, latched = Current(decay=whole(0), into_membrane=0), whole(4096)
    last = Current(decay=latched, into_membrane=0, chain=Chain(multiplier=latched))
    assert updates(silent(current=first)) == 2
    assert updates(silent(current=first, further=(last,))) == 3


def test_a_bias_counts_only_in_the_steps_in_which_it_acts() -> None:
    assert updates(silent(biases=(Bias(value=whole(5)),))) == 4
    assert updates(silent(biases=(Bias(value=whole(5), start=3),)), spike=0) == 3
    assert updates(silent(biases=(Bias(value=whole(5), waits=True),)), spike=2) == 2
    assert updates(silent(biases=(Bias(value=whole(0)),)), spike=3) == 1


def test_a_table_of_biases_counts_in_its_rows_that_are_not_0() -> None:
    rows = np.array([[3], [0], [0], [0], [3]], np.int32)
    table = Table(what=Tabled.BIAS, into=State.MEMBRANE, rows=rows)
    assert updates(silent(tables=(table,)), steps=7, spike=0) == 4  # each also clears it after


def test_a_refractory_neuron_is_updated_while_it_counts_down() -> None:
    spiking: dict[str, Any] = {
        "decay": whole(0),
        "threshold": whole(1),
        "reset": Reset(kind=ResetKind.VALUE),
        "fires": Fires.BINARY,
    }
    assert updates(silent(**spiking)) == 1
    assert updates(silent(**spiking, refractory=Refractory(steps=2))) == 3


@pytest.mark.parametrize("period", [1, 3])
def test_steps_in_which_a_dilated_program_holds_its_states_update_nothing(period: int) -> None:
    assert updates(silent(decay=whole(4096)), period=period) == 3
    assert updates(silent(biases=(Bias(value=whole(5)),)), period=period) == 4


def test_an_adaptive_neuron_whose_threshold_is_at_its_base_is_at_rest() -> None:
    zero = whole(0)
    names = ("current_decay", "decay", "threshold_decay", "refraction_decay", "increase")
    kind = Adaptive(base=whole(9), **dict.fromkeys(names, zero))
    assert updates(silent(kind=kind), spike=3) == 1


def test_the_estimate_is_counts_times_prices(program: Program) -> None:
    spikes = np.zeros((1, 2, 1, 3, 3), np.int64)
    spikes[0, 0, 0, 1, 1] = 1
    inputs = (Values(name="in", values=spikes),)
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    layers = count(program, inputs, trace, 2)
    found = estimate(layers, find_profile("loihi1-sanafe"), note="", samples=1, steps=2)
    conv = next(layer for layer in found.layers if layer.count.layer == "conv")
    # 4 kernel synapses, 4 neurons in 2 steps, 4 updates, 4 spikes, 6 messages
    picojoule = 4 * 24.0 + 8 * 51.2 + 4 * 21.6 + 4 * 69.3 + 6 * 111.0
    assert conv.value == pytest.approx(picojoule * 1e-12, rel=1e-12)
    assert found.value == pytest.approx(sum(found.by_event.values()), rel=1e-12)
    assert found.low <= found.value <= found.high


def test_every_price_has_a_source_and_lies_in_its_span() -> None:
    for profile in profiles():
        assert len({price.event for price in profile.prices}) == len(profile.prices)
        for price in profile.prices:
            assert price.source
            assert 0 < price.low <= price.value <= price.high
    assert find_profile("loihi1-sanafe").price(Event.SPIKE) is not None
    assert find_profile("loihi1-davies").price(Event.SPIKE) is None


def test_an_unknown_profile_is_an_error() -> None:
    with pytest.raises(UnknownNameError) as problem:
        find_profile("loihi3")
    assert str(problem.value) == (
        "error[SNN101]: no energy profile is called 'loihi3'; "
        "there are horowitz-45nm, kerasspiking-arm, kerasspiking-cpu, kerasspiking-gpu, "
        "kerasspiking-loihi, kerasspiking-spinnaker, kerasspiking-spinnaker2, loihi1-davies, "
        "loihi1-sanafe, loihi2, odin, spinnaker1, spinnaker2, truenorth\n"
        "  fix: --profile loihi2"
    )
