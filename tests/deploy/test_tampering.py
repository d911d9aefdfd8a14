"""Whatever is changed in an artifact is noticed when it is loaded, and the file is named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from net_files import random_case

import snn_deploy
from snn_deploy.deploy.manifest import MANIFEST, PAGE, read_folder
from snn_deploy.errors import ArtifactDamagedError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an artifact with a page and the files for Lava."""
    place = tmp_path_factory.mktemp("artifact")
    (place / "m.net").write_bytes(random_case(1).content)
    snn_deploy.export(place / "m.net", target="loihi2", output=place / "out")
    read_folder(place / "out")
    return place / "out"


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def told(folder: Path) -> str:
    with pytest.raises(ArtifactDamagedError) as caught:
        read_folder(folder)
    return str(caught.value)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_changed_byte_is_noticed_and_its_file_named(folder: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names(folder)))
    path = folder / name
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda value: value != content[place]))
    path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
    try:
        assert name in told(folder)
    finally:
        path.write_bytes(content)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_file_cut_off_or_made_longer_is_named(folder: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names(folder)))
    path = folder / name
    content = path.read_bytes()
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    path.write_bytes(data.draw(st.sampled_from([cut, content + b"\n", content + b"\0"])))
    try:
        assert name in told(folder)
    finally:
        path.write_bytes(content)


def test_a_file_that_is_gone_or_has_another_name_is_named(folder: Path) -> None:
    for name in names(folder):
        if name == PAGE:
            continue
        path, other = folder / name, folder / "renamed"
        path.rename(other)
        try:
            message = told(folder)
        finally:
            other.rename(path)
        assert name in message
        assert name == MANIFEST or f"{other}: a file in the artifact is not of" in message


def test_the_page_may_be_absent(folder: Path) -> None:
    page = folder / PAGE
    if not page.exists():
        pytest.skip("what draws pages is not installed")
    content = page.read_bytes()
    page.unlink()
    read_folder(folder)
    page.write_bytes(content)
    read_folder(folder)


def test_a_file_that_was_added_is_named(folder: Path) -> None:
    for name in ("notes.txt", "snn_lava/__pycache__/step.cpython-310.pyc", "deep/er/x"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        assert told(folder) == (
            "error[SNN603]: a file in the artifact is not of the export\n"
            f"  at: {path}\n"
            "  fix: move it elsewhere"
        )
        path.unlink()
    (folder / ".DS_Store").write_bytes(b"left by a file manager")
    read_folder(folder)
    (folder / ".DS_Store").unlink()


def test_several_changes_are_told_at_once(folder: Path) -> None:
    contents = {name: (folder / name).read_bytes() for name in ("program.npz", "report.json")}
    for name in contents:
        (folder / name).write_bytes(b"")
    (folder / "more").write_bytes(b"")
    message = told(folder)
    (folder / "more").unlink()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    assert message == (
        "error[SNN603]: 3 files of the artifact are not as the export left them\n"
        f"    {folder / 'program.npz'}: a file of the artifact was changed after the export\n"
        f"    {folder / 'report.json'}: a file of the artifact was changed after the export\n"
        f"    {folder / 'more'}: a file in the artifact is not of the export\n"
        f"  at: {folder}\n"
        "  fix: export again"
    )
    assert np.all([name in names(folder) for name in contents])
