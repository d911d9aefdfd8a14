"""Answers come from each sample's own steps, whatever the blocks and the boundary."""

import itertools
from dataclasses import replace

import nir
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy import runs
from snn_deploy.deploy.deployment import Deployment
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
    assert snn_deploy.simulate(stream, input=data).predicted == tuple(data["label"])
    assert snn_deploy.verify(stream, input=data).equal
