"""The artifact folder: written whole or not at all, and read back only as it was written."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from snn_deploy.errors import (
    ArtifactDamagedError,
    CannotWriteError,
    OutputExistsError,
)
from snn_deploy.ir.paths import is_there, meant_beside

SCHEMA = "snn-deploy/artifact/1"
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file of an artifact, as the manifest lists it."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRecord:
    """A finding, as the manifest lists it."""

    kind: str
    layer: str
    amount: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an artifact is, what it was made from and what was found on the way."""

    schema: str
    version: str
    """Of snn-deploy."""

    name: str
    target: str
    program_digest: str
    model: FileRecord
    configuration: dict[str, Any]
    """Options of the export that were not left at their default."""

    encoding: dict[str, Any]
    pipeline: tuple[str, ...]
    findings: tuple[FindingRecord, ...]
    files: dict[str, FileRecord]
    """Every other file of the folder."""


def record_of(content: bytes) -> FileRecord:
    """Return the digest and the size of `content`."""
    return FileRecord(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def json_bytes(record: Any) -> bytes:
    """Return `record` as indented JSON with sorted keys: same record, same bytes."""
    return msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2) + b"\n"


def write_folder(files: Mapping[str, bytes], output: Path, *, force: bool = False) -> None:
    """Write `files` (content by relative path) as the folder `output`, whole or not at all.

    They are written to a temporary folder beside it, which is then renamed. With `force` an
    artifact that is already there is replaced; anything else is never touched.

    Raises:
        OutputExistsError: `output` exists, and `force` is not given or it is no artifact.
        CannotWriteError: the disk is full, permission is missing, the parent is no folder, ...
    """
    check_output(output, force=force)
    temporary = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        for name, content in sorted(files.items()):
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        temporary.chmod(0o755)
        (_replace if force else _place)(temporary, output)
    except OSError as problem:
        raise _cannot_write(problem, output) from problem
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def check_output(output: Path, *, force: bool) -> None:
    """Refuse an output folder that must not be written.

    Raises:
        OutputExistsError: `output` exists, and `force` is not given or it is no artifact.
    """
    if not is_there(output):
        return
    if not force:
        raise OutputExistsError(
            "the output is already there, and nothing is overwritten",
            where=str(output),
            fix="--force replaces it, --output FOLDER writes elsewhere",
        )
    if output.is_symlink() or not (output / MANIFEST).is_file():
        raise OutputExistsError(
            "the output is there but is no artifact of ours, so --force does not replace it",
            where=str(output),
            fix="--output FOLDER writes elsewhere",
        )


def check_file(output: Path, *, force: bool) -> None:
    """Refuse an output file that must not be written.

    Raises:
        OutputExistsError: `output` exists, and `force` is not given or it is no plain file.
    """
    if not is_there(output):
        return
    if not force:
        raise OutputExistsError(
            "the output is already there, and nothing is overwritten",
            where=str(output),
            fix="--force replaces it, --output FILE writes elsewhere",
        )
    if output.is_symlink() or not output.is_file():
        raise OutputExistsError(
            "the output is there but is no plain file, so --force does not replace it",
            where=str(output),
            fix="--output FILE writes elsewhere",
        )


def write_file(content: bytes, output: Path, *, force: bool = False) -> None:
    """Write one file, whole or not at all: beside it first, then renamed.

    Raises:
        OutputExistsError: `output` exists, and `force` is not given or it is no plain file.
        CannotWriteError: the disk is full, permission is missing, the parent is no folder, ...
    """
    check_file(output, force=force)
    temporary = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        whole = temporary / output.name
        whole.write_bytes(content)
        if force:
            whole.replace(output)
        else:
            _place_file(whole, output)
    except OSError as problem:
        raise _cannot_write(problem, output, "FILE") from problem
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


ATTEMPTS = 20
"""Times that a folder is put in place while others put theirs there."""

TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}
"""What the system says where a folder is to be named like something that is there."""


def _place(temporary: Path, output: Path) -> None:
    """Rename `temporary` to `output`, where nothing is: also if it came since it was looked for."""
    try:
        temporary.rename(output)
    except OSError as problem:
        if problem.errno in TAKEN:
            check_output(output, force=False)
        raise


def _replace(temporary: Path, output: Path) -> None:
    """Rename `temporary` to `output`; an older artifact is put aside first and back on failure."""
    aside = Path(tempfile.mkdtemp(prefix=f".{output.name}.old.", dir=output.parent))
    try:
        for attempt in range(ATTEMPTS):
            check_output(output, force=True)
            older = aside / f"{attempt}"
            with suppress(FileNotFoundError):
                output.rename(older)
            try:
                temporary.rename(output)
                return
            except OSError as problem:
                if problem.errno not in TAKEN or attempt == ATTEMPTS - 1:
                    if older.exists() and not output.exists():
                        older.rename(output)
                    raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _place_file(whole: Path, output: Path) -> None:
    """Name `whole` also `output`, where nothing is: also if it came since it was looked for."""
    try:
        os.link(whole, output)
    except FileExistsError:
        check_file(output, force=False)
        raise
    except OSError:  # a file system without links
        whole.replace(output)


def _cannot_write(problem: OSError, output: Path, what: str = "FOLDER") -> CannotWriteError:
    fixes = {
        errno.ENOSPC: f"free some space, or --output {what} on another disk",
        errno.EDQUOT: f"free some space, or --output {what} on another disk",
        errno.EACCES: f"--output {what} where you may write",
        errno.EROFS: f"--output {what} where you may write",
        errno.ENOTDIR: f"--output {what} whose parents are folders",
    }
    reason = os.strerror(problem.errno) if problem.errno else str(problem)
    return CannotWriteError(
        f"the output could not be written: {reason}; nothing is left of it",
        where=str(output),
        fix=fixes.get(problem.errno or 0, f"--output {what} writes elsewhere"),
    )


def read_folder(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest and all files of an artifact, each checked against its digest.

    Raises:
        ArtifactDamagedError: it is no artifact of this schema, or a file is missing or changed.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        there = is_there(folder)
        makes = "snn-deploy export MODEL --output FOLDER makes one"
        raise ArtifactDamagedError(
            "this is no artifact: it has no manifest.json"
            if there
            else "there is no such artifact folder",
            where=str(folder),
            fix=makes if there else meant_beside(folder, makes),
        ) from None
    except (OSError, msgspec.MsgspecError) as problem:
        raise ArtifactDamagedError(
            f"manifest.json cannot be read: {problem}", where=str(folder), fix="export again"
        ) from problem
    if manifest.schema != SCHEMA:
        raise ArtifactDamagedError(
            f"the artifact has schema {manifest.schema!r}, this version reads {SCHEMA!r}",
            where=str(folder),
            fix="export the model again with this version",
        )
    return manifest, {name: _read(folder, name, rec) for name, rec in manifest.files.items()}


def _read(folder: Path, name: str, record: FileRecord) -> bytes:
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts or path.is_symlink():
        raise ArtifactDamagedError(
            "the manifest names a file outside the artifact", where=f"{folder}: {name}"
        )
    try:
        content = path.read_bytes() if path.stat().st_size == record.bytes else b""
    except OSError as problem:
        raise ArtifactDamagedError(
            f"a file of the artifact cannot be read: {problem.strerror}",
            where=str(path),
            fix="export again",
        ) from problem
    if record_of(content) != record:
        raise ArtifactDamagedError(
            "a file of the artifact was changed after the export",
            where=str(path),
            fix="export again, or put the original file back",
        )
    return content
