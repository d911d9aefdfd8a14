"""Answers come from each sample's own steps, whatever the blocks and the boundary."""

import itertools
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy import runs
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.errors import DataError
from snn_deploy.ir.codecs import Encode
from snn_deploy.ir.network import Between, Boundary


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    """Two inputs, each to its own IF neuron with threshold 1.5: a spike every other step."""
    two = np.ones(2)
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Linear(np.eye(2)),
        "if": nir.IF(r=two, v_threshold=1.5 * two),
        "output": nir.Output(np.array([2])),
    }
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))
    return snn_deploy.export(graph, dialect="nir", dt=1.0)


def samples(count: int) -> dict[str, np.ndarray]:
    """Return samples in which input 0 or 1 is busier, with the busier one as label."""
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, count)
    spikes = (
        rng.random((count, 30, 2)) < np.where(np.arange(2) == label[:, None], 0.9, 0.2)[:, None]
    )
    return {"input": spikes.astype(np.uint8), "label": label}


def test_the_busier_input_wins(deployment: Deployment) -> None:
    result = snn_deploy.evaluate(deployment, data=samples(40))
    assert (result.correct, result.correct_real, result.same) == (40, 40, 40)


def test_answers_do_not_depend_on_the_blocks(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = snn_deploy.simulate(deployment, input=samples(11))
    monkeypatch.setattr(runs, "BLOCK_VALUES", 3 * (30 + 1) * 6)
    assert snn_deploy.simulate(deployment, input=samples(11)) == whole


def test_a_continuous_run_answers_per_sample(deployment: Deployment) -> None:
    boundary = Boundary(between=Between.CONTINUOUS, idle=2)
    stream = replace(deployment, program=replace(deployment.program, boundary=boundary))
    data = samples(9)
    assert snn_deploy.simulate(stream, input=data).answers[0].predicted == tuple(data["label"])
    assert snn_deploy.verify(stream, input=data).equal
    assert all(layer.active <= 1 for layer in snn_deploy.simulate(stream, input=data).activity)


def test_a_sample_has_the_same_spikes_wherever_the_run_starts(demo_network: Path) -> None:
    deployment = snn_deploy.export(demo_network, dry_run=True)
    images = np.random.default_rng(5).random((6, 1, 28, 28)).astype(np.float32)
    whole = snn_deploy.simulate(deployment, input=images, backend="reference")
    each = [snn_deploy.simulate(deployment, input=images, first=n, samples=1) for n in range(6)]
    for index, layer in enumerate(whole.activity):
        assert layer.spikes == pytest.approx(np.mean([e.activity[index].spikes for e in each]))
    assert whole.answers[0].predicted == tuple(e.answers[0].predicted[0] for e in each)


def test_a_difference_is_named_by_the_samples_number_in_the_data(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snn_deploy.ir import arithmetic

    data = samples(9)
    data["input"][:7] = 0  # only samples 7 and 8 do anything
    monkeypatch.setattr(arithmetic, "scaled", lambda value, multiplier, bits: 0 * value)
    found = snn_deploy.verify(deployment, input=data, first=2, samples=7).comparisons[0].difference
    assert found is not None
    assert found.sample in (7, 8)


def test_every_output_answers(tmp_path: Path) -> None:
    two = np.ones(2)
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Linear(np.eye(2)),
        "if": nir.IF(r=two, v_threshold=0.5 * two),
        "swap": nir.Linear(np.array([[0.0, 1.0], [1.0, 0.0]])),
        "other": nir.IF(r=two, v_threshold=0.5 * two),
        "a": nir.Output(np.array([2])),
        "b": nir.Output(np.array([2])),
    }
    edges = [("input", "fc"), ("fc", "if"), ("if", "a"), ("if", "swap"), ("swap", "other")]
    graph = nir.NIRGraph(nodes, [*edges, ("other", "b")], type_check=False)
    deployment = snn_deploy.export(graph, dialect="nir", dt=1.0)
    data = samples(12)
    answers = {a.output: a for a in snn_deploy.simulate(deployment, input=data).answers}
    assert answers["a"].predicted == tuple(data["label"])
    assert answers["b"].predicted == tuple(1 - data["label"])


def test_an_output_later_than_the_samples_are_long_is_an_error() -> None:
    one = np.ones(1)
    nodes = {
        "input": nir.Input(np.array([1])),
        "fc": nir.Linear(np.eye(1)),
        "if": nir.IF(r=one, v_threshold=0.5 * one),
        "late": nir.Delay(25 * one),
        "output": nir.Output(np.array([1])),
    }
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))
    deployment = snn_deploy.export(graph, dialect="nir", dt=1.0)
    spikes = np.ones((1, 30, 1), np.uint8)
    assert snn_deploy.simulate(deployment, input=spikes).answers[0].predicted == (0,)
    with pytest.raises(DataError) as problem:
        snn_deploy.simulate(deployment, input=spikes[:, :20])
    assert str(problem.value) == (
        "error[SNN208]: output 'output' comes 25 steps late in the network as trained, "
        "and the samples have 20\n  fix: give longer samples"
    )


@pytest.mark.parametrize(
    ("shape", "fix"),
    [
        ((4, 30, 2), "export again with --encode recorded: this data has steps already"),
        ((4, 3), "give an array of shape [sample, 2]"),
    ],
)
def test_data_that_the_encoder_does_not_take_is_told_how_it_must_be(
    deployment: Deployment, shape: tuple[int, ...], fix: str
) -> None:
    encoding = replace(deployment.encoding, how=Encode.CURRENT, steps=30)
    current = replace(deployment, encoding=encoding)
    with pytest.raises(DataError) as problem:
        snn_deploy.verify(current, input={"input": np.zeros(shape, np.uint8)})
    assert str(problem.value) == (
        f"error[SNN208]: each sample of the data has shape {shape[1:]}, but the current encoder "
        f"makes steps of shape (2,) from samples of that shape\n  at: input\n  fix: {fix}"
    )
