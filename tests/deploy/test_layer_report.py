"""The report's data: what is known of every layer, and nothing that was not measured."""

import json
from pathlib import Path

import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.ir.program import Role


@pytest.fixture(scope="module")
def artifact(demo_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    output = tmp_path_factory.mktemp("report") / "net"
    return snn_deploy.export(demo_network, output=output, search=False)


def images(samples=3) -> np.ndarray:
    return np.random.default_rng(0).random((samples, 1, 28, 28))


def test_without_data_it_holds_what_compiling_knows(artifact):
    found = snn_deploy.report(artifact)
    assert found.digest == artifact.program.digest
    assert (found.samples, found.proven_steps) == (None, artifact.encoding.steps)
    assert [x.layer for x in found.layers] == [p.name for p in artifact.program.populations]
    for one in found.layers:
        population = artifact.program.population(one.layer)
        assert (one.neurons, one.lag, one.role) == (
            population.size,
            population.lag,
            population.role,
        )
        assert one.unit == (float(population.unit), float(population.unit))
        assert (one.activity, one.divergence) == (None, None)
        assert (one.rounding is None) == (population.role is Role.CLOCK)
        assert one.proof.population == one.layer
    every = [f for one in found.layers for f in one.findings] + list(found.findings)
    assert sorted(map(str, every)) == sorted(map(str, artifact.findings))


def test_with_data_it_holds_what_simulate_and_verify_say(artifact):
    found = snn_deploy.report(artifact, input=images())
    activity = snn_deploy.simulate(artifact, input=images()).activity
    compared = snn_deploy.verify(artifact, input=images(), against="network").layers
    assert found.samples == 3
    assert tuple(one.activity for one in found.layers) == activity
    by_name = {one.layer: one for one in compared}
    assert [one.divergence for one in found.layers] == [by_name.get(x.layer) for x in found.layers]
    assert [x.layer for x in found.layers if x.divergence is None] == ["clock"]


def test_it_is_printed_as_a_table_and_as_json(artifact, tmp_path, capsys):
    assert artifact.folder is not None
    folder = str(artifact.folder)
    assert run(["report", folder]) == 0
    text = capsys.readouterr().out
    assert "no data\n\nlayer  neurons  weights  lag  in range" in text
    assert "mismatch" not in text
    np.savez(tmp_path / "data.npz", input=images())
    words = ["report", folder, "--input", str(tmp_path / "data.npz"), "--samples", "2", "--json"]
    assert run(words) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["samples"] == 2
    first = record["layers"][0]
    assert first["activity"]["layer"] == first["layer"] == "lif1"
    assert set(first["divergence"]) >= {"whole", "alone", "causes", "examined"}
    assert first["proof"]["population"] == "lif1"
