"""An artifact carries its map of cores, made from the activity on the calibration data."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import mapping_networks as networks
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.deployment import CORE_MAP, Deployment
from snn_deploy.deploy.mapped import activity_on, mapped
from snn_deploy.deploy.mapping import read_core_map
from snn_deploy.errors import ArtifactDamagedError
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.program import Role
from snn_deploy.targets import find_target


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((4, 1, 28, 28))


@pytest.fixture(scope="module")
def deployment(
    demo_network: Path, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    output = tmp_path_factory.mktemp("mapped") / "net"
    return snn_deploy.export(demo_network, calibrate=images, output=output)


def test_the_map_is_in_the_artifact(deployment: Deployment) -> None:
    assert deployment.core_map is not None
    assert deployment.core_map.measured
    assert deployment.folder is not None
    assert read_core_map((deployment.folder / CORE_MAP).read_bytes()) == deployment.core_map
    assert snn_deploy.load(deployment.folder).core_map == deployment.core_map


def test_without_data_all_sources_are_taken_to_be_alike(demo_network: Path, tmp_path: Path) -> None:
    core_map = snn_deploy.export(demo_network, output=tmp_path / "net").core_map
    assert core_map is not None
    assert not core_map.measured


def test_the_activity_is_that_of_the_simulator(deployment: Deployment, images: np.ndarray) -> None:
    activity = activity_on(deployment, snn_deploy.deploy.data.data_from(images, ("input",)))
    told = {a.layer: a.active for a in snn_deploy.simulate(deployment, input=images).activity}
    # rates are per step of the run: in the lag of a layer others run, and it is mostly silent
    share = deployment.encoding.steps / (deployment.encoding.steps + deployment.program.lag)
    for population in deployment.program.populations:
        if population.role is Role.NEURONS:
            expected = pytest.approx(told[population.name] * share, rel=0.05)
            assert activity.rates[population.name].mean() == expected


def test_a_chip_without_cores_has_no_map(demo_network: Path, tmp_path: Path) -> None:
    deployment = snn_deploy.export(demo_network, target="cpu", output=tmp_path / "net")
    assert deployment.core_map is None
    assert CORE_MAP not in deployment.files


def test_a_network_that_does_not_fit_has_a_finding(deployment: Deployment) -> None:
    rng = np.random.default_rng(1)
    large = networks.chain([("fc1", networks.dense(rng, 6912, 10))])
    unmapped = replace(
        deployment, program=large, target=find_target("loihi1"), core_map=None, findings=()
    )
    found = mapped(unmapped)
    assert found.core_map is None
    (finding,) = found.findings
    assert (finding.kind, finding.layer) == (Kind.SIMULATED, "fc1")
    assert finding.amount == (
        "fc1 needs 6912 input axons of 4096 on a core of loihi1, for 1 neuron"
    )
    assert finding.reason == (
        "it runs in simulators only; split its inputs: let neurons in between take some of them "
        "each"
    )


def test_a_map_of_another_program_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    assert deployment.folder is not None
    folder = tmp_path / "net"
    shutil.copytree(deployment.folder, folder)
    record = json.loads((folder / CORE_MAP).read_bytes())
    record["program"] = "0" * 64
    content = json.dumps(record).encode()
    (folder / CORE_MAP).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    sha256 = hashlib.sha256(content).hexdigest()
    manifest["files"][CORE_MAP] = {"sha256": sha256, "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactDamagedError, match="the map of cores is of another program"):
        snn_deploy.load(folder)
