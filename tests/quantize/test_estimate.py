"""What the search for scales sees of a layer, against loops that say the same plainly."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.ir import program
from snn_deploy.ir.maps import Convolution, Dense, Sparse
from snn_deploy.ir.network import Bias, Population, Projection, Synapse
from snn_deploy.ir.neuron import Fires, ResetKind, State, Tabled
from snn_deploy.ir.timing import Table
from snn_deploy.quantize.channels import channel_choice, channel_count
from snn_deploy.quantize.drive import Activity, drive_of
from snn_deploy.quantize.estimate import Choice, Terms
from snn_deploy.quantize.features import parameter_groups
from snn_deploy.quantize.limits import Limits, usual_state
from snn_deploy.quantize.options import Objective
from snn_deploy.quantize.report import projection_report, relative_error, time_constant_errors
from snn_deploy.quantize.scale import choices, kept_share
from snn_deploy.quantize.task import Task, memory_of
from snn_deploy.targets import find_target

CPU = find_target("cpu")
SEEDS = st.integers(0, 2**32 - 1)


def real(value):
    return np.asarray(value, np.float64)


def linear_of(rng):
    """Return a dense map, a sparse one or a convolution, with some weights of 0."""
    kind = rng.integers(3)
    if kind == 0:
        return Dense(weight=rng.normal(0, 1, (4, 5)) * (rng.random((4, 5)) < 0.8))
    if kind == 1:
        cells = np.flatnonzero(rng.random(20) < 0.6)
        return Sparse(
            post=cells // 5, pre=cells % 5, weight=rng.normal(0, 1, len(cells)),
            post_shape=(4,), pre_shape=(5,),
        )  # fmt: skip
    return Convolution(weight=rng.normal(0, 1, (4, 2, 2, 2)), source=(4, 3, 3), groups=2)


def drive_and_parts(seed, **given):
    rng = np.random.default_rng(seed)
    linear = linear_of(rng)
    low = int(rng.integers(-3, 1))
    parts = {
        "unit": float(rng.uniform(0.1, 2)),
        "payload": (low, low + int(rng.integers(1, 4))),
        "activity": Activity(
            mean=rng.uniform(-1, 1, linear.in_size), power=rng.uniform(0, 2, linear.in_size)
        ),
        "target": CPU,
        "bits": int(rng.integers(2, 9)),
        **given,
    }
    projection = Projection(name="w", source="in", target="l", map=linear)
    return drive_of(projection, **parts), linear, parts


def rows_of(linear):
    """Yield (row, weight, sources) of each stored weight: the loops of each kind of map."""
    if isinstance(linear, Dense):
        for post, row in enumerate(linear.weight):
            for pre, weight in enumerate(row):
                yield post, weight, [pre]
    elif isinstance(linear, Sparse):
        for post, pre, weight in zip(linear.post, linear.pre, linear.weight, strict=True):
            yield post, weight, [pre]
    else:
        for out, kernel in enumerate(linear.weight):
            for within, taps in enumerate(kernel):
                channel = out // 2 * 2 + within  # two groups of two channels each
                for weight in taps.ravel():
                    yield out, weight, list(range(channel * 9, channel * 9 + 9))


@settings(max_examples=40)
@given(SEEDS)
def test_a_drive_is_what_loops_over_its_weights_find(seed):
    drive, linear, parts = drive_and_parts(seed)
    activity, (low, high) = parts["activity"], parts["payload"]
    most, least = np.zeros(drive.rows), np.zeros(drive.rows)
    kept = [(row, w * parts["unit"], pre) for row, w, pre in rows_of(linear)]
    for row, weight, _ in kept:
        least[row] += min(weight * low, weight * high, 0)
        most[row] += max(weight * low, weight * high, 0)
    np.testing.assert_allclose(drive.least, least, atol=1e-12)
    np.testing.assert_allclose(drive.most, most, atol=1e-12)
    np.testing.assert_array_equal(drive.weight, [weight for _, weight, _ in kept])
    np.testing.assert_array_equal(drive.sampled[drive.row], [row for row, _, _ in kept])
    np.testing.assert_allclose(drive.mean, [activity.mean[pre].mean() for _, _, pre in kept])
    np.testing.assert_allclose(drive.power, [activity.power[pre].mean() for _, _, pre in kept])
    weights = [0.0, *(weight for _, weight, _ in kept)]
    assert (drive.low, drive.high) == (min(weights), max(weights))
    assert drive.largest == max(map(abs, weights))
    for row in range(drive.rows):
        own = np.array([0.0, *(w for r, w, _ in kept if r == row)])
        if not own.any():
            assert drive.room[row] == np.inf
            continue
        steps = own * drive.room[row]  # one of them just reaches its end of the range
        assert drive.stored.low - 1e-9 <= steps.min() <= steps.max() <= drive.stored.high + 1e-9
        ends = (steps.min() - drive.stored.low, drive.stored.high - steps.max())
        assert min(map(abs, ends)) < 1e-9
    per_neuron = np.arange(linear.out_size, dtype=np.float64)
    means = per_neuron.reshape(drive.rows, -1).mean(axis=1)
    np.testing.assert_array_equal(drive.of_rows(per_neuron), means[drive.sampled])


def test_of_many_weights_whole_rows_are_looked_at_evenly_spread():
    weight = np.random.default_rng(0).normal(0, 1, (700, 100))
    activity = Activity(mean=np.ones(100), power=np.ones(100))
    wire = Projection(name="w", source="in", target="l", map=Dense(weight=weight))
    parts = {"unit": 1.0, "payload": (0, 1), "activity": activity, "target": CPU, "bits": 4}
    drive = drive_of(wire, **parts)
    np.testing.assert_array_equal(drive.sampled, np.arange(0, 700, 3))  # 70,000 / 32,768 is 2.1
    np.testing.assert_array_equal(drive.weight, weight[::3].ravel())
    assert len(drive.most) == drive.rows == 700
    every = drive_of(wire, **parts, every_row=True)
    np.testing.assert_array_equal(every.sampled, np.arange(700))


def task_of(seed, objective=Objective.MEMBRANE, *, every=True, **changes):
    drive, linear, _ = drive_and_parts(seed, every_row=every)
    rng = np.random.default_rng(seed)
    shape = linear.out_shape
    standard = {
        "decay": real(0.75),
        "threshold": rng.uniform(0.5, 2, (shape[0], *(1 for _ in shape[1:]))),
        "biases": (Bias(value=real(0.3)),),
    }
    population = Population(name="l", shape=shape, **{**standard, **changes})
    task = Task(
        population=population, drives=(drive,), lowered=(False,) * len(population.biases),
        target=CPU, objective=objective,
    )  # fmt: skip
    return task, drive


@settings(max_examples=25)
@given(SEEDS, st.floats(0.5, 60))
def test_the_error_of_a_row_is_what_its_rounded_weights_add_to_the_membrane(seed, steps):
    task, drive = task_of(seed)
    units = np.full(len(drive.sampled), steps)
    found = Terms.of(task).rows(drive, units)
    memory = 4.0  # a decay of 0.75
    threshold = np.broadcast_to(task.population.threshold, task.population.shape)
    threshold = threshold.reshape(drive.rows, -1).mean(axis=1)
    for index, row in enumerate(drive.sampled):
        own = drive.row == index
        weight = drive.weight[own]
        stored = np.rint(weight * steps / drive.stored.step) * drive.stored.step
        error = np.clip(stored, drive.stored.low, drive.stored.high) / steps - weight
        drift = memory * (error @ drive.mean[own])
        scatter = memory * (error**2 @ drive.power[own])
        assert found[index] == pytest.approx((drift**2 + scatter) / threshold[row] ** 2)
    plain = Terms.of(replace(task, objective=Objective.MSE)).rows(drive, units)
    stored = np.rint(drive.weight * steps / drive.stored.step) * drive.stored.step
    error = np.clip(stored, drive.stored.low, drive.stored.high) / steps - drive.weight
    np.testing.assert_allclose(plain, drive.per_row(error**2))


@settings(max_examples=25)
@given(SEEDS, st.floats(2, 200))
def test_a_choice_adds_up_the_errors_of_weights_threshold_bias_and_truncation(seed, scale):
    task, drive = task_of(seed, decay=real(0.75))
    terms = Terms.of(task)
    choice = terms.choice(scale)
    assert choice.scale == scale
    threshold = np.broadcast_to(task.population.threshold, task.population.shape).ravel()
    memory = 4.0
    lattice = 1 << CPU.thresholds.shift.value
    lost = (np.rint(threshold * scale / lattice) * lattice / scale - threshold) / threshold
    bias = (np.rint(0.3 * scale) / scale - 0.3) / threshold
    truncated = 0.5 * memory / scale / threshold
    neurons = lost**2 + (bias * memory) ** 2 + truncated**2
    unit = 2.0 ** (CPU.weights.shift.value + choice.exponents["w"])
    rows = terms.rows(drive, np.full(len(drive.sampled), scale / unit)) if drive.largest else 0.0
    assert choice.error == pytest.approx(neurons.mean() + np.mean(rows))
    if drive.largest:
        count = channel_count(task)
        each = terms.channels(np.full(count, scale), choice.exponents)
        total = neurons.mean() + np.sum(rows) / drive.rows  # a row without synapses has none
        assert each.mean() == pytest.approx(total)


def test_a_membrane_that_forgets_nothing_is_taken_to_add_up_for_32_steps():
    for decay, steps in ((0.0, 1), (0.75, 4), (1.0, 32)):
        task, _ = task_of(0, decay=real(decay))
        np.testing.assert_allclose(memory_of(task), steps)
        np.testing.assert_allclose(memory_of(replace(task, steps=3)), min(steps, 3))
    task, _ = task_of(0, decay=real(0.5), synapse=Synapse(decay=real(0.75)))
    np.testing.assert_allclose(memory_of(task), 8)


@settings(max_examples=10)
@given(SEEDS)
def test_the_best_choice_is_the_best_and_others_differ_from_it(seed):
    task, drive = task_of(seed, every=False)
    if not drive.largest:
        return
    found = choices(task, 4)
    assert 1 <= len(found) <= 4
    terms = Terms.of(task)
    for choice in found:
        assert choice.error == pytest.approx(terms.choice(float(choice.scale)).error)
        assert choice.error >= found[0].error / 1.05 - 1e-12
    sizes = sorted(math.log2(choice.scale) for choice in found)
    assert all(b - a > 0.03 for a, b in itertools.pairwise(sizes))


@settings(max_examples=10)
@given(SEEDS, st.integers(1, 4))
def test_channels_have_at_most_as_many_scales_as_are_allowed_and_are_no_worse(seed, most):
    task, drive = task_of(seed)
    if not drive.largest:
        return
    layer = choices(task, 1)[0]
    each = channel_choice(task, layer, most)
    assert len(np.unique(each.scale)) <= most
    assert min(each.exponents.values()) >= 0
    count = channel_count(task)
    terms = Terms.of(task)
    before = terms.channels(np.full(count, float(layer.scale)), layer.exponents).mean()
    if each is not layer:
        assert each.error < before
        scale = np.broadcast_to(each.scale, task.population.shape).reshape(count, -1)[:, 0]
        assert each.error == pytest.approx(terms.channels(scale, each.exponents).mean())
    else:
        assert isinstance(layer, Choice)


@pytest.mark.parametrize("seed", range(3))
def test_channels_do_without_a_proof_that_costs_more_than_half_an_error(seed):
    task, _ = task_of(seed, Objective.MAX, decay=real(1.0))
    membrane = replace(CPU.states.membrane, bits=17)  # a proof takes most of the scale
    task = replace(task, target=replace(CPU, states=replace(CPU.states, membrane=membrane)))
    layer = choices(task, 1)[0]
    each = channel_choice(task, layer, 4)
    assert np.max(each.scale) > np.max(Limits.of(task).provable)
    proven = channel_choice(replace(task, prove=True), layer, 4)
    assert proven.error > 1.5 * each.error


def test_as_many_scales_are_used_as_are_allowed_where_channels_are_far_apart():
    weight = Dense(weight=np.geomspace(1, 1000, 12)[:, None] * real([[1.0, -0.5, 0.25]]))
    drive = drive_of(
        Projection(name="w", source="in", target="l", map=weight),
        unit=1.0, payload=(0, 1), activity=Activity(mean=np.full(3, 0.5), power=np.full(3, 0.5)),
        target=CPU, bits=8, every_row=True,
    )  # fmt: skip
    population = Population(name="l", shape=(12,), decay=real(0.5), threshold=real(1.0))
    task = Task(
        population=population, drives=(drive,), lowered=(), target=CPU, objective=Objective.MAX
    )
    for most in (2, 4):
        each = channel_choice(task, choices(task, 1)[0], most)
        _, channels = np.unique(each.scale, return_counts=True)
        assert len(channels) == most
        assert max(channels) <= 12 // most + 1


def test_a_neuron_that_never_fires_is_measured_by_its_usual_drive():
    weight = Dense(weight=real([[2.0, 1.0], [2.0, 1.0]]))
    activity = Activity(mean=real([0.5, 0.25]), power=real([0.5, 0.25]))
    drive = drive_of(
        Projection(name="w", source="in", target="l", map=weight),
        unit=1.0, payload=(0, 1), activity=activity, target=CPU, bits=8, every_row=True,
    )  # fmt: skip
    population = Population(
        name="l", shape=(2,), decay=real(0.75), fires=Fires.NEVER, biases=(Bias(value=real(0.5)),)
    )
    task = Task(population=population, drives=(drive,), lowered=(False,), target=CPU)
    power, mean = (4 * 0.5 + 1 * 0.25) * 4, ((2 * 0.5 + 1 * 0.25) * 4) ** 2
    usual = math.sqrt(power + mean + (0.5 * 4) ** 2)
    np.testing.assert_allclose(Terms.of(task).reference, usual)


def test_the_numbers_of_a_report_are_those_of_a_calculation_by_hand():
    weights = real([1.0, -2.0, 0.1, 0.0])
    made = projection_report("w", weights, real([2, -4, 0, 0]), 1, 0.5)
    assert made.snr_db == pytest.approx(10 * math.log10(5.01 / 0.01))
    assert (made.clipped, made.zeroed, made.unit) == (0.25, 0.25, 0.5)
    assert projection_report("w", weights[:2], real([2, -4]), 0, 0.5).snr_db == math.inf
    assert relative_error(real([1.0, -2.2, 0.0]), real([1.0, -2.0, 0.0])) == pytest.approx(0.1)
    assert relative_error(real([0.5]), real([0.0])) == math.inf


@pytest.mark.parametrize(
    ("decay", "wanted", "error"),
    [
        (0.5, 0.5, 0.0),
        (0.25, 0.5, 0.5),  # half the time constant
        (0.5, 0.25, 1.0),
        (0.5, 1.0, 1.0),  # one appears
        (0.0, 0.5, 1.0),  # one is lost
        (1.0, 0.5, math.inf),
        (1.0, 1.0, 0.0),
        (0.0, 0.0, 0.0),
    ],
)
def test_a_decay_error_is_the_change_of_the_time_constant(decay, wanted, error):
    assert time_constant_errors(real(decay), real(wanted)) == pytest.approx(error)


def test_sets_of_parameters_are_counted_however_they_are_stored():
    def count(*values):
        decay, threshold, amount = (np.array(value, np.int32) for value in values)
        population = program.Population(
            name="l",
            shape=(3,),
            decay=decay,
            threshold=threshold,
            reset=program.Reset(kind=ResetKind.VALUE, amount=amount),
        )
        return parameter_groups(population)

    assert count(1, 2, 3) == 1
    assert count([1, 1, 1], [2, 2, 2], [0, 0, 0]) == 1
    assert count([1, 2, 1], [2, 2, 2], [0, 0, 0]) == 2
    assert count([1, 2, 1], [2, 2, 3], 0) == 3
    assert count(1, [2, 2, 3], [4, 4, 5]) == 2


@settings(max_examples=20)
@given(SEEDS)
def test_an_error_of_weights_is_weighed_with_the_second_moment_of_its_group(seed):
    rng = np.random.default_rng(seed)
    dense = Dense(weight=rng.normal(0, 1, (4, 3)))
    grouped = Convolution(weight=rng.normal(0, 1, (4, 2, 2, 2)), source=(4, 3, 3), groups=2)
    for linear, groups in ((dense, 1), (grouped, 2)):
        fan = linear.weight[0].size
        factor = rng.normal(0, 1, (groups, fan, fan))
        moment = factor @ factor.transpose(0, 2, 1)
        activity = Activity(mean=np.ones(linear.in_size), power=np.ones(linear.in_size))
        drive = drive_of(
            Projection(name="w", source="in", target="l", map=linear),
            unit=1.0, payload=(0, 1), activity=activity, target=CPU, bits=8, moment=moment,
        )  # fmt: skip
        error = rng.normal(0, 1, linear.weight.size)
        wanted = [e @ moment[row * groups // 4] @ e for row, e in enumerate(error.reshape(4, fan))]
        np.testing.assert_allclose(drive.quadratic(error), wanted)


def test_a_threshold_of_0_is_no_measure_of_an_error():
    task, _ = task_of(3, threshold=real(2.0))
    size = task.population.shape[0]
    mixed = np.full((size, *(1 for _ in task.population.shape[1:])), 2.0)
    mixed[0] = 0.0
    found = Terms.of(replace(task, population=replace(task.population, threshold=mixed)))
    silent = Terms.of(replace(task, population=replace(task.population, fires=Fires.NEVER)))
    measured = task.neurons(mixed)
    assert silent.reference.max() != 1.0
    np.testing.assert_allclose(found.reference, np.where(measured, 2.0, silent.reference))


def test_of_a_single_clipped_weight_all_are_clipped():
    assert projection_report("w", real([3.0]), real([2.0]), 1, 1.0).clipped == 1.0
    assert projection_report("w", real([]), real([]), 0, 1.0).clipped == 0.0


@pytest.mark.parametrize("seed", [0, 1])
def test_as_many_scales_are_chosen_as_are_wanted(seed):
    task, drive = task_of(seed)
    assert drive.largest
    assert [len(choices(task, count)) for count in (1, 2, 3, 5)] == [1, 2, 3, 5]


@settings(max_examples=10)
@given(SEEDS, st.floats(0.1, 4), st.floats(1, 100))
def test_a_rule_of_clipping_keeps_the_share_of_the_largest_weight_that_it_says(
    seed, sigmas, percentile
):
    task, drive = task_of(seed)
    task = replace(task, sigmas=sigmas, percentile=percentile)
    if not drive.largest:
        return
    weights, largest = drive.weight, np.abs(drive.weight).max()
    deviation = math.sqrt(np.mean((weights - weights.mean()) ** 2))
    for objective, kept in (
        (Objective.SIGMA, abs(weights.mean()) + sigmas * deviation),
        (Objective.PERCENTILE, np.percentile(np.abs(weights), percentile)),
        (Objective.MAX, largest),
    ):
        share = kept_share(replace(task, objective=objective), drive)
        assert share == pytest.approx(min(1.0, kept / largest) if kept else 1.0)


def test_a_gain_over_time_makes_the_usual_state_as_many_times_larger():
    task, _ = task_of(5, biases=())
    gains = Table(what=Tabled.GAIN, rows=real([0.5, -4.0, 1.0]), into=State.MEMBRANE)
    gained = replace(task, population=replace(task.population, tables=(gains,)))
    assert usual_state(task).min() > 0
    np.testing.assert_allclose(usual_state(gained), 4 * usual_state(task))
