"""`snn-deploy targets` shows every number with its source; an export says which file it used."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.errors import OptionError
from snn_deploy.targets import find_target, shipped_targets


def test_every_number_stands_in_a_row_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "loihi1", "--sources"]) == 0
    lines = capsys.readouterr().out.splitlines()
    entries = find_target("loihi1").entries()
    assert len(lines) == 1 + len(entries)
    starts = [lines[0].index(heading) for heading in ("number", "value", "unit", "source")]
    for line, entry in zip(lines[1:], entries, strict=True):
        cells = (entry.path, entry.value, entry.unit, entry.source)
        for start, cell in zip(starts, cells, strict=True):
            assert line[start:].startswith(cell), (line, cell)


def test_the_numbers_come_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "loihi1", "--sources", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["headings"] == ["number", "value", "unit", "source"]
    rows = {row[0]: row[1:] for row in record["rows"]}
    assert rows["limits.synapse-memory-per-core"][:2] == ["1048576", "bit"]
    assert rows["weights.mixed"][0] == "-256..254 step 2"


def test_the_table_of_targets_lists_their_other_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets"]) == 0
    table = capsys.readouterr().out
    for target in shipped_targets():
        row = next(line for line in table.splitlines() if line.startswith(f"{target.name} "))
        for word in (*target.aliases, target.title):
            assert word in row


def test_the_numbers_of_an_own_file_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], own_target
) -> None:
    file = own_target(tmp_path, ("decay_bits = { value = 12", "decay_bits = { value = 13"))
    assert run(["targets", str(file)]) == 0
    assert "states.decay_bits" in capsys.readouterr().out
    assert run(["targets", str(tmp_path / "gone.toml")]) == 2
    assert "there is no target description" in capsys.readouterr().err


def test_an_export_tells_file_and_digest_of_an_own_target(
    demo_network: Path, tmp_path: Path, own_target
) -> None:
    file = own_target(tmp_path)
    output = tmp_path / "net"
    snn_deploy.export(demo_network, target=str(file), output=output)
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["configuration"]["target"] == {
        "name": "mine",
        "file": "mine.toml",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    assert manifest["target"] == "mine"
    assert str(tmp_path) not in (output / "manifest.json").read_text()
    file.unlink()
    assert snn_deploy.load(output).target.entries() == find_target("cpu").entries()


def test_an_estimate_for_a_target_without_prices_says_so(
    demo_network: Path, tmp_path: Path, own_target
) -> None:
    note = 'energy_note = "none are published"'
    file = own_target(tmp_path, ('energy_profile = "horowitz-45nm"', note))
    deployment = snn_deploy.export(demo_network, target=str(file), output=tmp_path / "net")
    with pytest.raises(OptionError) as caught:
        snn_deploy.estimate(deployment, input=np.zeros((1, 1, 28, 28)))
    assert str(caught.value) == (
        "error[SNN102]: mine names no table of prices: none are published\n"
        "  at: --profile\n"
        "  fix: --profile horowitz-45nm takes those of another chip"
    )
