"""Encoders and decoders by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.errors import DataError
from snn_deploy.ir.codecs import (
    Encode,
    Encoding,
    decode,
    encode_current,
    encode_rate,
    needs,
    predict,
)
from snn_deploy.ir.neuron import Decode, State
from snn_deploy.ir.trace import PopulationTrace
from snn_deploy.ir.weighting import Weighting


def test_a_constant_current_is_repeated_in_each_step():
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert encode_current(values, 3).tolist() == [[[1, 2]] * 3, [[3, 4]] * 3]


def test_rates_of_zero_and_one_are_never_and_always():
    spikes = encode_rate(np.array([[0.0, 1.0]]), 50, seed=3)
    assert spikes[0].sum(axis=0).tolist() == [0, 50]
    assert spikes.dtype == np.uint8


def test_a_rate_is_the_share_of_steps_with_a_spike():
    rates = np.full((1, 100), 0.3)
    share = encode_rate(rates, 1000, seed=1).mean()
    assert abs(share - 0.3) < 5 * (0.3 * 0.7 / 100_000) ** 0.5


def test_rate_spikes_follow_the_stated_generator():
    generator = np.random.PCG64(np.random.SeedSequence([7, 2]))
    raw = generator.random_raw(12) >> np.uint64(40)
    expected = raw.reshape(4, 3) < round(0.6 * 2**24)
    assert np.array_equal(
        encode_rate(np.full((1, 3), 0.6), 4, 7, numbers=np.array([2]))[0], expected
    )


@given(st.integers(0, 2**32), st.integers(0, 4))
def test_the_spikes_of_a_sample_do_not_depend_on_its_batch(seed, first):
    values = np.linspace(0, 1, 30).reshape(5, 2, 3)
    together = encode_rate(values, 4, seed)
    alone = encode_rate(values[first:], 4, seed, numbers=np.arange(first, 5))
    assert np.array_equal(together[first:], alone)


def test_other_seeds_give_other_spikes():
    values = np.full((1, 40), 0.5)
    assert not np.array_equal(encode_rate(values, 5, 0), encode_rate(values, 5, 1))


@pytest.mark.parametrize("wrong", [-0.25, 1.5])
def test_a_rate_outside_0_to_1_is_refused(wrong):
    with pytest.raises(DataError) as caught:
        encode_rate(np.array([[0.5, wrong]]), 3, 0)
    low, high = min(0.5, wrong), max(0.5, wrong)
    assert str(caught.value) == (
        f"error[SNN208]: a rate lies in 0..1, the values in {low:g}..{high:g}\n"
        "  fix: divide pixels of 0..255 by 255 first"
    )


PAYLOAD = np.array([[[0, 0, 9], [2, 0, 0], [1, 0, 0], [0, 0, 1]]])
MEMBRANE = np.array([[[8, -1, 7], [-4, -2, 1], [6, -3, 2], [1, -5, 4]]])
TRACE = PopulationTrace(
    name="n",
    events=np.zeros((1, 3), np.int64),
    spikes=np.zeros((1, 3), np.int64),
    states={State.MEMBRANE: MEMBRANE, State.PAYLOAD: PAYLOAD},
)


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        (Decode.WEIGHTED_COUNT, [6, 0, 0.5]),
        (Decode.WEIGHTED_MEMBRANE, [-8 + 12 + 0.5, -4 - 6 - 2.5, 2 + 4 + 2]),
        (Decode.SPIKE_TIME, [2, 0, 0.5]),
        (Decode.COUNT, [3, 0, 1]),
        (Decode.MEMBRANE_END, [1, -5, 4]),
        (Decode.MEMBRANE_MEAN, [1, -10 / 3, 7 / 3]),
        (Decode.MEMBRANE_MAX, [6, -2, 4]),
        (Decode.FIRST_SPIKE, [0, -3, -2]),
    ],
)
def test_each_decoder_reads_its_window(how, answer):
    weights = Weighting(values=(4, 4, 1), exponent=-1) if how.weighted else None
    decoded = decode(TRACE, how, 1, 3, weights)
    assert decoded.dtype == np.float64
    assert decoded[0].tolist() == pytest.approx(answer, abs=1e-15)


@pytest.mark.parametrize("how", Decode)
def test_a_decoder_needs_its_state(how):
    empty = PopulationTrace(name="n", events=TRACE.events, spikes=TRACE.spikes)
    with pytest.raises(ValueError, match=f"n: {needs(how).value} was not recorded"):
        decode(empty, how, 0, 3)


def test_a_weighted_sum_of_integers_is_exact_where_floats_round():
    values = np.array([[[2**30 - 1], [2**30 - 1], [1]]])
    trace = replace(TRACE, states={State.MEMBRANE: values})
    weights = Weighting(values=(2**20, -(2**20), 1))
    assert decode(trace, Decode.WEIGHTED_MEMBRANE, 0, 3, weights).tolist() == [[1.0]]


def test_weights_are_rounded_to_whole_numbers_and_whole_numbers_stay():
    assert Weighting.of([3, -1, 0]) == Weighting(values=(3, -1, 0))
    made = Weighting.of([1.0, 0.8, 0.64])
    assert np.ldexp(made.values, made.exponent) == pytest.approx([1, 0.8, 0.64], abs=2**-16)


def test_as_many_weights_as_steps_are_needed():
    with pytest.raises(DataError) as caught:
        decode(TRACE, Decode.WEIGHTED_COUNT, 0, 4, Weighting(values=(1, 2, 3)))
    assert str(caught.value) == (
        "error[SNN208]: the answer weighs 3 steps, the samples have 4\n"
        "  fix: give samples of as many steps as the network was trained with"
    )


def test_spikes_and_membranes_are_what_decoders_read():
    assert {needs(how) for how in Decode} == {State.PAYLOAD, State.MEMBRANE}


def test_of_equal_answers_the_lowest_class_wins():
    assert predict(np.array([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0]])).tolist() == [1, 0]


MOST_SEED, WORD = 2**63 - 1, 2**31


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"steps": 0}, "0 steps per sample\n  fix: --steps T, a number of 1 to 1048576"),
        (
            {"steps": 2**20 + 1},
            "1048577 steps per sample\n  fix: --steps T, a number of 1 to 1048576",
        ),
        ({"seed": -1}, f"a seed of -1\n  fix: --seed N, a number of 0 to {MOST_SEED}"),
        ({"seed": 2**63}, f"a seed of {2**63}\n  fix: --seed N, a number of 0 to {MOST_SEED}"),
        *(
            (
                {"low": low, "high": high},
                f"payloads from {low} to {high}\n"
                "  fix: --input-range LOW:HIGH, the lower end first and both in 32 bits",
            )
            for low, high in ((2, 1), (-WORD - 1, 0), (0, WORD))
        ),
        *(
            ({"unit": unit}, f"a unit of {unit:g}\n  fix: --input-unit U, a number above 0")
            for unit in (0.0, -1.0, float("inf"), float("nan"))
        ),
    ],
)
def test_no_encoder_has_numbers_beyond_these(given, told):
    with pytest.raises(DataError) as caught:
        Encoding(**given)
    assert str(caught.value) == f"error[SNN208]: no encoder has {told}"


def test_an_encoder_has_the_last_numbers_that_are_allowed():
    for steps in (1, 2**20):
        assert Encoding(steps=steps, seed=MOST_SEED, low=-WORD, high=WORD - 1).steps == steps
    assert Encoding(low=3, high=3, unit=2.0**-1000).low == 3


def test_an_encoder_that_states_nothing_sends_what_was_recorded_as_single_spikes():
    plain = Encoding()
    assert (plain.how, plain.steps, plain.seed) == (Encode.RECORDED, None, 0)
    assert (plain.low, plain.high, plain.unit) == (0, 1, 1.0)
