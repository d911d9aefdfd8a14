"""What rounding a population loses is told as a whole, and only from its exact bound on."""

from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.ir.maps import Sparse
from snn_deploy.ir.network import Bias, Population, Projection, Reset, Synapse
from snn_deploy.ir.neuron import ResetKind
from snn_deploy.ir.program import Projection as WholeProjection
from snn_deploy.quantize.losses import population_losses, weight_losses
from snn_deploy.quantize.neurons import whole_population
from snn_deploy.quantize.report import projection_report
from snn_deploy.quantize.task import Task
from snn_deploy.targets import find_target

CPU, LOIHI2 = find_target("cpu"), find_target("loihi2")
SCALE = np.asarray(6400.0)


def real(value):
    return np.asarray(value, np.float64)


def told(target=CPU, made=None, **fields):
    """Return what the rounded form of two neurons has lost, `made` replacing its numbers."""
    standard = {"decay": real(0.5), "threshold": real(1.0)}
    population = Population(name="l", shape=(2,), **{**standard, **fields})
    lowered = (False,) * len(population.biases)
    task = Task(population=population, drives=(), lowered=lowered, target=target)
    whole = replace(whole_population(task, SCALE), **(made or {}))
    return [str(finding) for finding in population_losses(task, whole, SCALE)]


def test_numbers_that_are_kept_lose_nothing_not_even_those_that_are_0():
    assert told() == []
    assert told(decay=real(0.0), synapse=Synapse(decay=real(0.0))) == []
    assert told(threshold=real([0.0, 1.0])) == []


def test_the_decay_of_a_current_is_told_of_as_that_of_the_membrane():
    assert told(LOIHI2, synapse=Synapse(decay=real(0.999)), decay=real(0.75)) == [
        "rounded    l: 2.4 % of the current time constant; a factor of 0.999 per step becomes "
        "4092/4096; a time step that suits the time constant better loses less"
    ]
    assert told(LOIHI2, decay=real(0.999)) == [
        "rounded    l: 2.4 % of the membrane time constant; a factor of 0.999 per step becomes "
        "4092/4096; a time step that suits the time constant better loses less"
    ]


def biased(value, stored):
    made = whole_population(
        Task(
            population=Population(
                name="l", shape=(2,), decay=real(0.5), biases=(Bias(value=real(value)),)
            ),
            drives=(), lowered=(False,), target=CPU,
        ),
        SCALE,
    )  # fmt: skip
    bias = replace(made.biases[0], value=np.asarray(stored, np.int32))
    return told(made={"biases": (bias,)}, biases=(Bias(value=real(value)),))


@pytest.mark.parametrize(("off", "is_told"), [(0, False), (63, False), (65, True)])
def test_a_bias_is_told_of_from_a_change_of_more_than_a_hundredth_on(off, is_told):
    """64 state units are a hundredth of a bias of one threshold, and a drift that would matter."""
    assert bool(biased([1.0, 1.0], [6400 + off, 6400])) is is_told


@pytest.mark.parametrize(("off", "is_told"), [(0, False), (6, False), (7, True)])
def test_a_small_bias_is_told_of_from_a_drift_of_a_thousandth_of_a_threshold_on(off, is_told):
    found = biased([0.01, 1.0], [64 + off, 6400])
    assert bool(found) is is_told
    if is_told:
        assert found == [
            "rounded    l: the bias of neuron [0] is 0.01 and becomes 0.0111, 11 % off: 0.0011 "
            "thresholds per step; the worst of this layer, beside larger weights or thresholds; "
            "smaller weights or larger biases in training lose less"
        ]


def test_rows_of_single_synapses_that_become_0_are_told_of():
    post, pre = np.array([0, 1, 1, 3]), np.array([0, 0, 1, 1])
    before = Sparse(
        post=post, pre=pre, weight=real([0.5, 1e-4, 1e-4, 0.5]), post_shape=(4,), pre_shape=(2,)
    )
    kept = before.with_numbers(np.array([64, 1, 0, 64], np.int32))
    lost = before.with_numbers(np.array([64, 0, 0, 64], np.int32))

    def findings(stored):
        made = WholeProjection(name="w", source="in", target="l", map=stored)
        report = projection_report("w", before.numbers(), real(stored.numbers()), 0, 1 / 128)
        wire = Projection(name="w", source="in", target="l", map=before)
        return [str(f) for f in weight_losses([wire], [made], [report])]

    assert findings(kept) == []
    assert findings(lost) == [
        "changed    w: all weights into 1 of 4 rows round to 0, the first is row 1; they are far "
        "smaller than those of other rows; --preset per-channel, or more --bits w=N"
    ]


@pytest.mark.parametrize("value", [-3, 1, 2, 7])
def test_a_state_becomes_the_nearest_whole_number_odd_ones_too(value):
    population = Population(
        name="l", shape=(2,), decay=real(0.5), initial=real(value + 0.25),
        reset=Reset(kind=ResetKind.VALUE, amount=real(value - 0.25)),
    )  # fmt: skip
    task = Task(population=population, drives=(), lowered=(), target=CPU)
    made = whole_population(task, real(1.0))
    assert (made.initial, made.reset.amount) == (value, value)
