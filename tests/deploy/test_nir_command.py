"""`snn-deploy nir`: what it prints, what it writes, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.errors import GraphError, OptionError, OutputExistsError
from snn_deploy.frontends import Overrides, load
from snn_deploy.frontends.layers import Cell, LayerGraph, Linear
from snn_deploy.frontends.nir import checked_graph, import_graph, read_graph
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.ir.network import Floor, Reset, Synapse
from snn_deploy.ir.neuron import Compare, Fires, ResetKind, State, When
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import Values


def number(value: float) -> np.ndarray:
    return np.asarray(float(value))


def value_reset() -> Reset:
    return Reset(kind=ResetKind.VALUE)


def network(**cells: Cell) -> bytes:
    """Return the annotated NIR file of populations one after another; the first feeds itself."""
    rng = np.random.default_rng(0)
    graph = LayerGraph(inputs={"input": (4,)})
    last = "input"
    for index, (name, cell) in enumerate(cells.items()):
        last = graph.add(f"fc{index}", Linear(weight=rng.integers(-2, 9, (4, 4)) / 8), last)
        last = graph.add(name, cell, last)
    graph.add("recurrent", Linear(weight=np.eye(4) / 4), next(iter(cells)))
    graph.feed_back("recurrent", next(iter(cells)))
    graph.outputs["output"] = last
    form = to_nir(graph)
    found = import_graph(
        checked_graph(form.graph, ""), name="net", where="net", annotation=form.annotation
    )
    return found.nir_bytes


PLAIN = {
    "leaky": Cell(decay=number(0.75), reset=value_reset()),
    "late": Cell(
        decay=number(0.75),
        compare=Compare.GREATER_EQUAL,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=number(1), when=When.NEXT),
    ),
    "cuba": Cell(decay=number(0.5), reset=value_reset(), synapse=Synapse(decay=number(0.5))),
    "biased": Cell(decay=number(1), reset=value_reset(), bias=number(0.25)),
}
REFUSED = {
    "floored": Cell(
        decay=number(1),
        fires=Fires.COUNT,
        max_spikes=255,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=number(1)),
        floor=Floor(value=number(-1)),
    ),
    "growing": Cell(decay=number(1.25), reset=value_reset()),
}


@pytest.fixture
def plain_model(tmp_path: Path) -> Path:
    file = tmp_path / "net.nir"
    file.write_bytes(network(**PLAIN))
    return file


@pytest.fixture
def refused_model(tmp_path: Path) -> Path:
    file = tmp_path / "mixed.nir"
    file.write_bytes(network(**PLAIN, **REFUSED))
    return file


def test_the_listing_of_a_strict_file(
    plain_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[str], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["nir", plain_model.name, "--strict", "--output", "plain.nir"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    golden(printed.out)


def test_the_listing_of_an_annotated_file(
    refused_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[str], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["nir", refused_model.name]) == 0
    golden(capsys.readouterr().out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mixed.nir"]


def test_the_listing_is_json_too(plain_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["nir", str(plain_model), "--strict", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    by_name = {node["node"]: node for node in record["nodes"]}
    assert (record["manner"], record["file"], record["dt"]) == ("strict", "", 1e-4)
    assert by_name["late"] == {
        "node": "late",
        "type": "LIF",
        "says": "exact by decomposition",
        "reasons": [
            "v >= threshold: v > the next smaller float32",
            "a spike subtracts in the next step: LI, Threshold, Scale back",
        ],
        "notes": [],
    }
    assert by_name["leaky"]["notes"] == ["leaky sends it the step before, as loops are read"]


def test_a_strict_file_that_cannot_be_is_refused_with_all_its_nodes(
    refused_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "plain.nir"
    assert run(["nir", str(refused_model), "--strict", "--output", str(output)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "error[SNN206]: plain NIR cannot say 2 of 15 nodes\n"
        "  floored: IF, metadata only: floor at -1; sends up to 255 spikes a step\n"
        "  growing: LIF, unsupported: membrane times 1.25 a step: NIR's factors lie in 0..1\n"
        "  at: floored, first of 2\n"
        "  fix: --annotated writes the nearest nodes, and the rest into the metadata\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mixed.nir"]


def test_the_way_out_of_a_refusal_is_written(refused_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "annotated.nir"
    result = snn_deploy.nir(refused_model, annotated=True, output=output)
    assert output.read_bytes() == refused_model.read_bytes() == load(refused_model).nir_bytes
    assert (result.manner, result.bytes) == ("annotated", output.stat().st_size)


@pytest.mark.parametrize("dt", [None, 1e-3])
def test_a_strict_file_read_with_its_step_sends_the_same(
    plain_model: Path, tmp_path: Path, dt: float | None
) -> None:
    result = snn_deploy.nir(plain_model, strict=True, dt=dt, output=tmp_path / "plain.nir")
    assert result.dt == (1e-4 if dt is None else dt)
    meant = load(plain_model).network
    read = load(result.file, dialect="nir", overrides=Overrides(dt=result.dt)).network
    rng = np.random.default_rng(1)
    values = Values(name="input", values=rng.integers(0, 9, (1, 200, 4)) / 8)
    ours = simulate(meant, [values])["biased"].state(State.PAYLOAD)
    theirs = simulate(read, [values])["biased"].state(State.PAYLOAD)
    assert 0.02 < ours.mean() < 0.98
    np.testing.assert_array_equal(theirs, ours)


def test_a_strict_file_is_plain(plain_model: Path, tmp_path: Path) -> None:
    result = snn_deploy.nir(plain_model, strict=True, output=tmp_path / "plain.nir")
    graph = read_graph(Path(result.file).read_bytes(), "plain.nir")
    assert graph.metadata == {}
    assert {"late", "late.spikes", "late.reset", "biased.in"} <= set(graph.nodes)


def test_nothing_is_overwritten_without_force(plain_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "there.nir"
    output.write_text("mine")
    with pytest.raises(OutputExistsError) as caught:
        snn_deploy.nir(plain_model, output=output)
    assert str(caught.value) == (
        "error[SNN601]: the output is already there, and nothing is overwritten\n"
        f"  at: {output}\n"
        "  fix: --force replaces it, --output FILE writes elsewhere"
    )
    assert output.read_text() == "mine"
    snn_deploy.nir(plain_model, output=output, force=True)
    assert output.read_bytes() == plain_model.read_bytes()


def test_force_replaces_no_folder(plain_model: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputExistsError) as caught:
        snn_deploy.nir(plain_model, output=tmp_path / "folder", force=True)
    assert str(caught.value) == (
        "error[SNN601]: the output is there but is no plain file, so --force does not replace it\n"
        f"  at: {tmp_path / 'folder'}\n"
        "  fix: --output FILE writes elsewhere"
    )


def test_a_refused_file_leaves_the_old_one(refused_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "there.nir"
    output.write_text("mine")
    with pytest.raises(GraphError):
        snn_deploy.nir(refused_model, strict=True, output=output, force=True)
    assert output.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mixed.nir", "there.nir"]


def test_a_file_is_strict_or_annotated(plain_model: Path) -> None:
    with pytest.raises(OptionError) as caught:
        snn_deploy.nir(plain_model, strict=True, annotated=True)
    assert str(caught.value) == (
        "error[SNN102]: a file is either strict or annotated\n"
        "  at: --strict, --annotated\n"
        "  fix: give one of the two"
    )


def test_an_annotated_file_in_steps_has_no_step_to_state(plain_model: Path) -> None:
    with pytest.raises(OptionError) as caught:
        snn_deploy.nir(plain_model, dt=1e-3)
    assert str(caught.value) == (
        "error[SNN102]: dt is 0.001, but this file counts time in steps: its dt is 1\n"
        "  at: --dt\n"
        "  fix: leave --dt out, or name another --dialect"
    )


def test_integers_are_no_nir(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        snn_deploy.nir(tmp_path / "oxford.net")
    assert str(caught.value) == (
        "error[SNN102]: a .net file holds integers for a chip, which NIR has no nodes for\n"
        f"  at: {tmp_path / 'oxford.net'}\n"
        "  fix: snn-deploy export reads it"
    )
