"""An artifact carries its map of cores, made from the activity on the calibration data."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import artifacts
import mapping_networks as networks
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.cli import ERROR, OK, USAGE, run
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
    artifacts.replace(folder, CORE_MAP, content)
    with pytest.raises(ArtifactDamagedError, match="the map of cores is of another program"):
        snn_deploy.load(folder)


def exported(demo_network: Path, output: Path, *options: str) -> int:
    words = ("export", str(demo_network), "--target", "loihi1", "--output", str(output))
    return run([*words, *options])


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (
            "--cores 1",
            ERROR,
            "error[SNN700]: the network does not fit on 1 core: lif1 would need 1152 neurons of "
            "1024 on a core; loihi1 needs 4 cores for it, not 1\n"
            "  at: lif1\n"
            "  fix: --cores 4, or auto\n",
        ),
        (
            "--cores few",
            USAGE,
            "error[SNN102]: few is no number of cores\n"
            "  at: --cores\n"
            "  fix: --cores auto, or --cores 8\n",
        ),
        (
            "--chips 0",
            USAGE,
            "error[SNN102]: 0 chips\n  at: --chips\n  fix: --chips 1\n",
        ),
        (
            "--cores 8 --optimize energy",
            USAGE,
            "error[SNN102]: --optimize says how the number of cores is chosen, and it is given\n"
            "  at: --optimize\n"
            "  fix: --cores auto, or leave --optimize out\n",
        ),
        (
            "--optimize speed",
            USAGE,
            "error[SNN102]: --optimize is one of latency, energy, not 'speed'\n"
            "  fix: --optimize latency\n",
        ),
    ],
)
def test_the_command_line_refuses_by_number(
    demo_network: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: str,
    status: int,
    text: str,
) -> None:
    assert exported(demo_network, tmp_path / "net", *options.split()) == status
    assert capsys.readouterr() == ("", text)
    assert not (tmp_path / "net").exists()


def test_cores_are_refused_where_a_chip_has_none(
    demo_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(demo_network), "--target", "cpu", "--cores", "3"]
    assert run([*words, "--output", str(tmp_path / "net")]) == ERROR
    assert capsys.readouterr().err == (
        "error[SNN301]: cpu has no cores that populations could be mapped to\n"
        "  at: cpu\n"
        "  fix: --target loihi1 or loihi2, or a target with [cores]: docs/targets.md\n"
    )


def test_what_the_refusal_offers_works_and_the_front_begins_with_it(
    demo_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "net"
    assert exported(demo_network, output, "--cores", "4") == OK
    assert "\n4 cores on 1 chip of loihi1; the fullest has " in capsys.readouterr().out
    found = snn_deploy.inspect(output, front=True)
    assert found.choices is not None
    assert not found.choices.measured
    points = found.choices.points
    assert points[0].cores == 4
    assert run(["inspect", str(output), "--front"]) == OK
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown[shown.index("choices of --cores") :].splitlines()[3:]]
    assert [row[0] for row in rows[: len(points)]] == [str(point.cores) for point in points]
    assert rows[0][1:3] == [f"{points[0].time * 1e-3:,.3f}", "us"]


def test_energy_takes_as_many_cores_as_the_front_says(
    demo_network: Path, images: np.ndarray, tmp_path: Path
) -> None:
    output = tmp_path / "net"
    options = {"target": "loihi1", "calibrate": images, "cores": "auto", "optimize": "energy"}
    frugal = snn_deploy.export(demo_network, output=output, **options).core_map
    found = snn_deploy.inspect(output, front=True, simulate=images)
    assert frugal is not None
    assert found.choices is not None
    assert found.choices.measured
    least = min(found.choices.points, key=lambda point: point.energy)
    assert len(frugal.cores) == least.cores
    assert frugal.step_time == least.time


def test_the_front_is_that_of_an_artifact(
    demo_network: Path, deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(demo_network), "--front"]) == USAGE
    assert capsys.readouterr().err == (
        "error[SNN102]: the front of cores is that of an artifact\n"
        "  at: --front\n"
        "  fix: snn-deploy export, then snn-deploy inspect ARTIFACT --front\n"
    )
    assert run(["inspect", str(deployment.folder), "--simulate", "digits.npz"]) == USAGE
    assert capsys.readouterr().err == (
        "error[SNN102]: an artifact is run by other commands; here data only serves the front of "
        "cores\n"
        "  at: --simulate\n"
        "  fix: snn-deploy simulate ARTIFACT --input FILE, or --front\n"
    )
