"""The command `report`: what compiling knows, what runs show, and a page of both."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.report import measuring, page
from snn_deploy.deploy.report.measuring import measure
from snn_deploy.errors import MissingLibraryError
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
    assert (found.measured, found.proven_steps) == (None, artifact.encoding.steps)
    assert [x.layer for x in found.layers] == [p.name for p in artifact.program.populations]
    rounded = {record["name"] for record in found.rounding}
    for one in found.layers:
        population = artifact.program.population(one.layer)
        assert (one.neurons, one.lag, one.role) == (
            population.size,
            population.lag,
            population.role,
        )
        assert one.unit == (float(population.unit), float(population.unit))
        assert (one.layer in rounded) == (population.role is Role.NEURONS)
        assert one.range.population == one.layer
    every = [f for one in found.layers for f in one.findings]
    assert set(map(str, every)) <= set(map(str, artifact.findings))
    assert found.findings == artifact.findings
    assert found.cores is not None
    assert found.cores.cores == len(artifact.core_map.cores)


def test_with_data_it_holds_what_simulate_verify_and_estimate_say(artifact):
    found = snn_deploy.report(artifact, input=images()).measured
    assert found is not None
    assert found.activity == snn_deploy.simulate(artifact, input=images()).activity
    assert (found.samples, found.compared) == (3, 3)
    compared = snn_deploy.verify(artifact, input=images(), against="network").layers
    assert [one.layer for one in found.agreement] == [one.layer for one in compared]
    for mine, theirs in zip(found.agreement, compared, strict=True):
        trains = theirs.whole.trains
        assert mine.mismatch == (None if trains is None else trains.mismatch)
    checked = snn_deploy.verify(artifact, input=images())
    assert found.verification.comparisons == checked.comparisons
    energy = snn_deploy.estimate(artifact, input=images())
    assert (found.cost.energy.value, found.cost.energy.low) == (energy.value, energy.low)
    parts = [layer.value for layer in found.cost.layers] + [found.cost.static.value]
    assert sum(parts) == pytest.approx(energy.value)
    for layer in found.cost.layers:
        assert sum(layer.kinds.values()) == pytest.approx(layer.value)


def test_it_is_printed_as_a_table_and_as_json(artifact, tmp_path, capsys):
    assert artifact.folder is not None
    folder = str(artifact.folder)
    assert run(["report", folder]) == 0
    text = capsys.readouterr().out
    assert "no data\n\nlayer  neurons  weights  lag  in range" in text
    assert "mismatch" not in text
    np.savez(tmp_path / "data.npz", input=images())
    words = ["report", folder, "--input", str(tmp_path / "data.npz"), "--samples", "2"]
    assert run([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    measured = record["measured"]
    assert measured["samples"] == 2
    assert measured["activity"][0]["layer"] == record["layers"][0]["layer"] == "lif1"
    assert record["layers"][0]["range"]["population"] == "lif1"
    page = tmp_path / "page.html"
    assert run([*words, "--output", str(page)]) == 0
    said = capsys.readouterr()
    assert "bit-exact over" in said.out
    assert said.err == f"wrote {page}\n"
    assert page.read_bytes().startswith(b"<!DOCTYPE html>")
    assert run([*words, "--output", str(page)]) == 1
    assert "SNN601" in capsys.readouterr().err


def test_an_export_with_data_measures_on_it_and_the_artifact_keeps_it(demo_network, tmp_path):
    made = snn_deploy.export(demo_network, calibrate=images(20), output=tmp_path / "net")
    found = made.report.measured
    assert found is not None
    assert (found.samples, found.compared) == (16, 16)
    read = snn_deploy.load(tmp_path / "net")
    assert read.report == made.report
    assert read.files == made.files
    assert "membrane times" in (tmp_path / "net" / "report.html").read_text()
    assert {d.said_by for d in made.report.source.decisions} == {"metadata"}


def test_a_network_that_is_too_large_for_slow_simulators_is_not_compared_at_export(artifact):
    data = snn_deploy.deploy.data.data_from(images(), ("input",))
    found = measure(artifact, data, 1_000_000)
    assert (found.verification, found.agreement, found.compared) == (None, (), 0)
    assert found.missing == (
        "The integers were not compared with the reference simulator and the network as trained: "
        "a sample takes 1.7e+06 synapses times steps, and an export gives 1e+06 to it. "
        "snn-deploy report ARTIFACT --input DATA compares them.",
    )
    assert measure(artifact, data, 4_000_000).compared == 2


def test_a_network_that_sends_too_much_is_not_priced_at_export(artifact, monkeypatch):
    data = snn_deploy.deploy.data.data_from(images(), ("input",))
    monkeypatch.setattr(measuring, "MESSAGES", 1)
    assert measure(artifact, data, 1).cost.samples == 1
    monkeypatch.setattr(measuring, "MOST_MESSAGES", 10)
    found = measure(artifact, data, 1)
    assert (found.cost, found.others) == (None, ())
    assert found.missing[-1].startswith("Energy and time were not estimated: a sample sends about")
    assert measure(artifact, data).cost.samples == 3


def _without_libraries(monkeypatch, *names):
    def found(name):
        return None if name in names else find_spec(name)

    monkeypatch.setattr(page, "find_spec", found)


def test_without_what_draws_it_an_export_says_what_to_install(
    demo_network, tmp_path, monkeypatch, capsys
):
    words = ["export", str(demo_network), "--no-search", "--output"]
    assert run([*words, str(tmp_path / "with")]) == 0
    assert "report.html" not in capsys.readouterr().out
    _without_libraries(monkeypatch, "matplotlib", "jinja2")
    assert run([*words, str(tmp_path / "without")]) == 0
    assert capsys.readouterr().out.endswith(
        "no report.html: it needs matplotlib and jinja2; pip install 'snn-deploy[report]'\n"
    )
    names = {p.name for p in (tmp_path / "with").iterdir()}
    assert {p.name for p in (tmp_path / "without").iterdir()} == names - {"report.html"}
    for name in sorted(names - {"report.html", "snn_lava"}):  # the manifest, too, is the same
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()


def test_a_page_that_cannot_be_drawn_is_refused_before_anything_runs(
    artifact, tmp_path, monkeypatch
):
    _without_libraries(monkeypatch, "jinja2")
    with pytest.raises(MissingLibraryError) as problem:
        snn_deploy.report(artifact, input="no such file", output=tmp_path / "page.html")
    assert str(problem.value) == (
        "error[SNN103]: a page is drawn by matplotlib and jinja2; not installed: jinja2\n"
        "  at: report.html\n"
        "  fix: pip install 'snn-deploy[report]'"
    )
