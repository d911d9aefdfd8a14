"""A network whose steps take several on the chip: users see its own steps."""

import itertools
from dataclasses import replace

import nir
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.errors import LoopTooShortError, OptionError
from snn_deploy.ir.network import Between, Boundary


def graph() -> nir.NIRGraph:
    """Two inputs, each to its own IF neuron with threshold 1.5: a spike every other step."""
    two = np.ones(2)
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Linear(np.eye(2)),
        "if": nir.IF(r=two, v_threshold=1.5 * two),
        "output": nir.Output(np.array([2])),
    }
    return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))


@pytest.fixture(scope="module")
def plain() -> Deployment:
    return snn_deploy.export(graph(), dialect="nir", dt=1.0)


@pytest.fixture(scope="module")
def slow() -> Deployment:
    return snn_deploy.export(graph(), dialect="nir", dt=1.0, time_dilation="3")


def samples() -> dict[str, np.ndarray]:
    """Return samples in which input 0 or 1 is busier, with the busier one as label."""
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, 9)
    busy = np.where(np.arange(2) == label[:, None], 0.9, 0.2)[:, None]
    return {"input": (rng.random((9, 30, 2)) < busy).astype(np.uint8), "label": label}


def test_a_dilated_program_has_the_same_activity_and_answers(
    plain: Deployment, slow: Deployment
) -> None:
    assert (plain.program.period, slow.program.period) == (1, 3)
    wanted, got = (
        snn_deploy.simulate(d, input=samples(), backend="reference") for d in (plain, slow)
    )
    assert got.steps == wanted.steps == 30
    assert [(a.spikes, a.active) for a in got.activity] == [
        (a.spikes, a.active) for a in wanted.activity
    ]
    assert got.answers == wanted.answers


def test_a_continuous_run_of_a_dilated_program_answers_per_sample(
    plain: Deployment, slow: Deployment
) -> None:
    boundary = Boundary(between=Between.CONTINUOUS, idle=2)
    wanted, got = (
        snn_deploy.simulate(
            replace(d, program=replace(d.program, boundary=boundary)),
            input=samples(),
            backend="reference",
        ).answers[0]
        for d in (plain, slow)
    )
    assert got == wanted
    assert got.predicted == tuple(samples()["label"])


def test_a_dilation_that_is_no_number_is_refused() -> None:
    with pytest.raises(OptionError) as caught:
        snn_deploy.export(graph(), dialect="nir", dt=1.0, time_dilation="twice")
    assert str(caught.value) == (
        "error[SNN102]: a time dilation of 'twice'; it is a number of steps or auto\n"
        "  at: --time-dilation\n"
        "  fix: --time-dilation auto"
    )


def looped() -> nir.NIRGraph:
    """Two layers that excite each other, with one step of delay in the loop."""
    one = np.ones(2)
    nodes = {
        "input": nir.Input(np.array([2])),
        "a": nir.Linear(np.eye(2)),
        "first": nir.IF(r=one, v_threshold=1.5 * one),
        "b": nir.Linear(np.eye(2) * 2),
        "second": nir.IF(r=one, v_threshold=1.5 * one),
        "back": nir.Linear(np.eye(2)[::-1]),
        "delay": nir.Delay(one),
        "output": nir.Output(np.array([2])),
    }
    edges = [
        ("input", "a"),
        ("a", "first"),
        ("first", "b"),
        ("b", "second"),
        ("second", "output"),
        ("second", "delay"),
        ("delay", "back"),
        ("back", "first"),
    ]
    return nir.NIRGraph(nodes, edges)


def test_a_loop_that_is_too_short_is_refused_and_the_way_out_works() -> None:
    with pytest.raises(LoopTooShortError) as caught:
        snn_deploy.export(looped(), dialect="nir", dt=1.0)
    assert caught.value.where == "second -> first -> second"
    assert "--time-dilation 2" in caught.value.fix
    for dilation in ("2", "auto"):
        done = snn_deploy.export(looped(), dialect="nir", dt=1.0, time_dilation=dilation)
        assert done.program.period == 2
        result = snn_deploy.simulate(done, input=samples(), backend="reference")
        ideal = snn_deploy.export(looped(), dialect="nir", dt=1.0, target="cpu")
        wanted = snn_deploy.simulate(ideal, input=samples(), backend="reference")
        assert result.answers == wanted.answers
        assert result.activity[0].spikes == wanted.activity[0].spikes > 0


@pytest.fixture(scope="module")
def loop() -> Deployment:
    return snn_deploy.export(looped(), dialect="nir", dt=1.0, time_dilation="auto")


def test_backends_agree_on_every_step_of_the_chip(loop: Deployment) -> None:
    assert snn_deploy.verify(loop, input=samples(), against="reference").equal


@pytest.mark.lava
def test_lava_agrees_on_every_step_of_the_chip(loop: Deployment) -> None:
    assert snn_deploy.verify(loop, input=samples(), against="lava", samples=2).equal


def test_a_dilated_program_is_compared_with_the_network_in_its_steps(loop: Deployment) -> None:
    compared = snn_deploy.verify(loop, input=samples(), against="network", samples=2)
    assert compared.steps == 30
    firsts = [(layer.whole.first, layer.alone.first) for layer in compared.layers]
    assert firsts == [(None, None)] * 2


def test_a_dilated_program_is_evaluated_as_the_network(slow: Deployment) -> None:
    result = snn_deploy.evaluate(slow, data=samples())
    assert (result.correct, result.correct_real, result.same) == (9, 9, 9)


def test_energy_counts_the_steps_of_the_chip(plain: Deployment, slow: Deployment) -> None:
    once, thrice = (snn_deploy.estimate(d, input=samples()) for d in (plain, slow))
    assert thrice.value > once.value
