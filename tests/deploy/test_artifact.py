"""The artifact folder is written whole or not at all, and read back only as it was written."""

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from snn_deploy.deploy import artifact, seal
from snn_deploy.deploy.manifest import (
    MANIFEST,
    SCHEMA,
    Manifest,
    manifest_bytes,
    read_folder,
    record_of,
)
from snn_deploy.errors import (
    ArtifactDamagedError,
    CannotWriteError,
    DeployError,
    OutputExistsError,
)


def manifest(files: dict[str, bytes]) -> bytes:
    record = Manifest(
        schema=SCHEMA.label,
        version="0",
        name="net",
        target="cpu",
        program_digest="",
        model=record_of(b""),
        configuration={},
        encoding={},
        pipeline=(),
        findings=(),
        files={name: record_of(content) for name, content in files.items()},
        seal=seal.OPEN,
    )
    return manifest_bytes(record)


@pytest.fixture
def files() -> dict[str, bytes]:
    content = {"a.txt": b"alpha", "deep/b.txt": b"beta"}
    return {MANIFEST: manifest(content), **content}


def test_what_is_written_is_read_back(tmp_path: Path, files: dict[str, bytes]) -> None:
    artifact.write_folder(files, tmp_path / "out")
    read, content = read_folder(tmp_path / "out")
    assert read.name == "net"
    assert content == {name: files[name] for name in ("a.txt", "deep/b.txt")}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_an_existing_folder_is_not_overwritten(tmp_path: Path, files: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(OutputExistsError) as problem:
        artifact.write_folder(files, out)
    assert str(problem.value) == (
        "error[SNN601]: the output is already there, and nothing is overwritten\n"
        f"  at: {out}\n"
        "  fix: --output FOLDER writes elsewhere"
    )
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_force_is_a_way_out_where_an_artifact_is(tmp_path: Path, files: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    artifact.write_folder(files, out)
    with pytest.raises(OutputExistsError) as problem:
        artifact.write_folder(files, out)
    assert problem.value.fix == "--force replaces it, --output FOLDER writes elsewhere"


def test_force_replaces_an_artifact(tmp_path: Path, files: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    artifact.write_folder({MANIFEST: manifest({"old.txt": b"old"}), "old.txt": b"old"}, out)
    artifact.write_folder(files, out, force=True)
    assert not (out / "old.txt").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_force_does_not_replace_what_is_no_artifact(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(OutputExistsError, match="no artifact of ours"):
        artifact.write_folder(files, out, force=True)
    assert (out / "mine.txt").read_text() == "keep"


def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    write_bytes = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        written.append(self.name)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    out = tmp_path / "out"
    with pytest.raises(CannotWriteError) as problem:
        artifact.write_folder(files, out)
    assert str(problem.value) == (
        "error[SNN602]: the output could not be written: No space left on device; "
        "nothing is left of it\n"
        f"  at: {out}\n"
        "  fix: free some space, or --output FOLDER on another disk"
    )
    assert len(written) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_keeps_the_old_artifact(
    tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    artifact.write_folder({MANIFEST: manifest({"old.txt": b"old"}), "old.txt": b"old"}, out)
    rename = Path.rename
    calls = []

    def fails_second(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_second)
    with pytest.raises(CannotWriteError):
        artifact.write_folder(files, out, force=True)
    assert (out / "old.txt").read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


AT_ONCE = 4


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], list[str]]:
    """Return what runs a function in threads that have all seen that nothing is there yet."""
    met = threading.Barrier(AT_ONCE)
    first, alone = threading.local(), threading.current_thread()

    def meeting(check: Callable[..., None]) -> Callable[..., None]:
        def checks(output: Path, *, force: bool) -> None:
            check(output, force=force)
            if threading.current_thread() is not alone and not getattr(first, "done", False):
                first.done = True
                met.wait(timeout=30)

        return checks

    for name in ("check_output", "check_file"):
        monkeypatch.setattr(artifact, name, meeting(getattr(artifact, name)))

    def run(write: Callable[[], None]) -> list[str]:
        def code() -> str:
            try:
                write()
            except DeployError as problem:
                return problem.code
            return "written"

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return sorted(each.result() for each in [pool.submit(code) for _ in range(AT_ONCE)])

    return run


def test_of_many_who_write_a_folder_at_once_one_does(tmp_path, files, together) -> None:
    said = together(lambda: artifact.write_folder(files, tmp_path / "out"))
    assert said == ["SNN601"] * (AT_ONCE - 1) + ["written"]
    read_folder(tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_of_many_who_replace_a_folder_at_once_all_do(tmp_path, files, together) -> None:
    artifact.write_folder(files, tmp_path / "out")
    said = together(lambda: artifact.write_folder(files, tmp_path / "out", force=True))
    assert said == ["written"] * AT_ONCE
    read_folder(tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_of_many_who_write_a_file_at_once_one_does(tmp_path, together) -> None:
    said = together(lambda: artifact.write_file(b"whole", tmp_path / "out.json"))
    assert said == ["SNN601"] * (AT_ONCE - 1) + ["written"]
    assert (tmp_path / "out.json").read_bytes() == b"whole"
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_a_parent_that_is_a_file_is_an_error(tmp_path: Path, files: dict[str, bytes]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteError, match=r"error\[SNN602\]"):
        artifact.write_folder(files, tmp_path / "file" / "out")


@pytest.mark.parametrize("content", [b"alphA", b"alpha!", b""])
def test_a_changed_file_is_named(tmp_path: Path, files: dict[str, bytes], content: bytes) -> None:
    out = tmp_path / "out"
    artifact.write_folder(files, out)
    (out / "a.txt").write_bytes(content)
    with pytest.raises(ArtifactDamagedError) as problem:
        read_folder(out)
    assert str(problem.value) == (
        "error[SNN603]: a file of the artifact was changed after the export\n"
        f"  at: {out / 'a.txt'}\n"
        "  fix: export again, or put the original file back"
    )


def test_a_missing_file_is_named(tmp_path: Path, files: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    artifact.write_folder(files, out)
    (out / "deep" / "b.txt").unlink()
    with pytest.raises(ArtifactDamagedError) as problem:
        read_folder(out)
    assert str(problem.value) == (
        "error[SNN603]: a file of the artifact cannot be read: No such file or directory\n"
        f"  at: {out / 'deep' / 'b.txt'}\n"
        "  fix: export again"
    )


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname"])
def test_a_manifest_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (out / MANIFEST).write_bytes(manifest({name: b"x"}))
    with pytest.raises(ArtifactDamagedError, match="outside the artifact"):
        read_folder(out)


def test_a_folder_without_manifest_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactDamagedError) as problem:
        read_folder(tmp_path)
    assert str(problem.value) == (
        "error[SNN603]: this is no artifact: it has no manifest.json\n"
        f"  at: {tmp_path}\n"
        "  fix: snn-deploy export MODEL --output FOLDER makes one"
    )


def test_an_unknown_schema_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    changed = files[MANIFEST].replace(b"snn-deploy/artifact/2", b"snn-deploy/artifact/9")
    artifact.write_folder({**files, MANIFEST: changed}, tmp_path / "out")
    with pytest.raises(ArtifactDamagedError, match="snn-deploy/artifact/9"):
        read_folder(tmp_path / "out")


def test_a_name_that_is_too_long_is_an_error(tmp_path: Path, files: dict[str, bytes]) -> None:
    out = tmp_path / ("x" * 300)
    with pytest.raises(CannotWriteError) as problem:
        artifact.write_folder(files, out)
    assert str(problem.value) == (
        "error[SNN602]: the output could not be written: File name too long; nothing is left of "
        f"it\n  at: {out}\n  fix: --output FOLDER writes elsewhere"
    )
    with pytest.raises(CannotWriteError, match="too long"):
        artifact.write_file(b"", out)
