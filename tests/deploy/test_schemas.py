"""What earlier versions wrote is read for good: `schemas/N` has an artifact, a chip and data.

A folder is added whenever a number goes up, and never changed after a release.
"""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

import snn_deploy
from snn_deploy.deploy.manifest import MANIFEST, SCHEMA, read_folder
from snn_deploy.deploy.report.model import SCHEMA as REPORT
from snn_deploy.errors import ArtifactDamagedError, TargetError
from snn_deploy.targets import read_target
from snn_deploy.targets.files import SCHEMA as TARGET

STORED = sorted((Path(__file__).parent / "schemas").iterdir(), key=lambda p: int(p.name))

ANSWERS = [1, 1, 2, 2, 1, 2, 2, 2]
"""What the stored network says to the stored data."""


@pytest.fixture(params=STORED, ids=lambda p: p.name)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """Return a folder of the repository, and its artifact unpacked."""
    zipfile.ZipFile(request.param / "artifact.zip").extractall(tmp_path / "artifact")
    return request.param, tmp_path / "artifact"


def digests(folder: Path) -> dict[str, str]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_an_artifact_of_every_number_is_stored() -> None:
    assert [int(path.name) for path in STORED] == list(range(1, SCHEMA.number + 1))


def test_a_stored_artifact_gives_the_answers_that_it_gave(stored: tuple[Path, Path]) -> None:
    source, folder = stored
    before = digests(folder)
    made = snn_deploy.load(folder)
    (answers,) = snn_deploy.simulate(made, input=source / "data.npz").answers
    assert list(answers.predicted) == ANSWERS
    assert made.network is not None
    assert made.report.measured is not None
    assert digests(folder) == before


def test_a_stored_artifact_says_its_number(stored: tuple[Path, Path]) -> None:
    source, folder = stored
    schema = json.loads((folder / MANIFEST).read_text())["schema"]
    assert schema == f"snn-deploy/artifact/{source.name}"
    manifest, files = read_folder(folder)
    assert manifest.schema == SCHEMA.label
    assert json.loads(files["report.json"])["schema"].startswith("snn-deploy/report/")


def test_a_stored_chip_is_read(stored: tuple[Path, Path]) -> None:
    source, _ = stored
    assert read_target((source / "chip.toml").read_bytes(), "chip.toml").name == "my-cpu"


def test_an_artifact_of_the_first_number_has_no_seal(stored: tuple[Path, Path]) -> None:
    source, folder = stored
    if source.name != "1":
        return
    record = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(record | {"seal": "0" * 64}))
    with pytest.raises(ArtifactDamagedError, match="a manifest of schema 1 has no seal"):
        read_folder(folder)


def test_a_chip_may_say_its_schema(stored: tuple[Path, Path]) -> None:
    text = (stored[0] / "chip.toml").read_text()
    if "schema =" not in text:
        text = f'schema = "{TARGET.label}"\n{text}'
    assert read_target(text.encode(), "chip.toml").name == "my-cpu"
    newer = text.replace(TARGET.label, f"snn-deploy/target/{TARGET.number + 1}")
    with pytest.raises(TargetError) as caught:
        read_target(newer.encode(), "chip.toml")
    assert str(caught.value) == (
        "error[SNN400]: this is no target that this version reads: its schema is "
        "'snn-deploy/target/2', not 'snn-deploy/target/1'\n"
        "  at: chip.toml\n"
        "  fix: read it with the version of snn-deploy that wrote it, or a later one"
    )


def test_a_report_of_a_newer_number_is_refused() -> None:
    with pytest.raises(ArtifactDamagedError, match="snn-deploy/report/2"):
        REPORT.upgraded({"schema": f"snn-deploy/report/{REPORT.number + 1}"})
