"""An artifact folder read back: only as it was written, with the file named that is not."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from snn_deploy.deploy.plain_files import (
    NotPlainError,
    TooLargeError,
    is_inner,
    names_in,
    read_plain,
)
from snn_deploy.deploy.seal import is_marked, is_sealed, sealed
from snn_deploy.errors import ArtifactDamagedError
from snn_deploy.ir.paths import is_file, is_there, meant_beside
from snn_deploy.ir.schemas import Record, Schema

MANIFEST = "manifest.json"
PAGE = "report.html"
"""Not in the manifest: it is report.json drawn, and its bytes depend on what draws it."""

REPORT = "report.json"

LARGEST_MANIFEST = 2**28
"""Bytes; that of a program of 10,000 layers has a hundredth of it."""

MOST_STRANGERS = 1000
"""Files that are not of an artifact, of which the first by name is told."""

MOST_TOLD = 8
"""Files of one artifact that an error lists."""


def _with_seal(record: Record) -> Record:
    """Return a manifest of schema 1, which had no seal, as one of schema 2."""
    if "seal" in record:
        raise ArtifactDamagedError("a manifest of schema 1 has no seal", fix="export again")
    return {**record, "seal": ""}


SCHEMA = Schema(name="artifact", upgrades=(_with_seal,))


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
    """Every other file of the folder but the page."""

    seal: str
    """SHA-256 of this file, with zeros in place of the seal; empty: an older one had none."""


def record_of(content: bytes) -> FileRecord:
    """Return the digest and the size of `content`."""
    return FileRecord(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def json_bytes(record: Any) -> bytes:
    """Return `record` as indented JSON with sorted keys: same record, same bytes."""
    return msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2) + b"\n"


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return a manifest, made with the seal `OPEN`, as the file with its seal."""
    return sealed(json_bytes(manifest))


def read_folder(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest and all files of an artifact, each checked against its digest.

    Raises:
        ArtifactDamagedError: it is no artifact, or of a newer schema; or a file is missing,
            changed or none of its own, which is named.
    """
    manifest = _manifest(folder)
    files: dict[str, bytes] = {}
    wrong: list[ArtifactDamagedError] = []
    for name, record in manifest.files.items():
        try:
            files[name] = _read(folder, name, record)
        except ArtifactDamagedError as problem:
            wrong.append(problem)
    wrong += _strange(folder, manifest.files)
    if not wrong and manifest.seal:
        wrong += _page(folder, files)
    if wrong:
        raise _refusal(wrong, folder)
    return manifest, files


def is_artifact(folder: Path) -> bool:
    """Return whether a folder holds the manifest of an artifact, of any number and damaged or not.

    Other programs call files `manifest.json` too.
    """
    schema = _said(folder).get("schema")
    return isinstance(schema, str) and schema.startswith(f"snn-deploy/{SCHEMA.name}/")


def _said(folder: Path) -> Mapping[str, Any]:
    """Return a manifest unchecked; empty: there is none."""
    try:
        record = msgspec.json.decode(read_plain(folder, MANIFEST, LARGEST_MANIFEST))
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return {}
    return record if isinstance(record, Mapping) else {}


def strangers(folder: Path) -> list[str]:
    """Return the files of an artifact that its manifest, which is not checked, does not know."""
    files = _said(folder).get("files")
    return _beside(folder, files if isinstance(files, Mapping) else {})


def _beside(folder: Path, known: Mapping[str, Any]) -> list[str]:
    """Return the files of an artifact other than those known."""
    own = {*known, MANIFEST, PAGE}
    try:
        found = (name for name in names_in(folder) if name not in own)
        return sorted(islice(found, MOST_STRANGERS))
    except OSError as problem:
        raise _unreadable(problem, folder) from problem


def _manifest(folder: Path) -> Manifest:
    if is_file(folder):
        raise ArtifactDamagedError(
            "an artifact is a folder, and this is a file",
            where=str(folder),
            fix="give the folder that snn-deploy export MODEL writes",
        )
    try:
        content = read_plain(folder, MANIFEST, LARGEST_MANIFEST)
        record = SCHEMA.upgraded(msgspec.json.decode(content), str(folder / MANIFEST))
        manifest = msgspec.convert(record, Manifest)
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
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as problem:
        raise ArtifactDamagedError(
            f"manifest.json cannot be read: {problem}", where=str(folder), fix="export again"
        ) from problem
    if manifest.seal and not is_sealed(content, manifest.seal):
        raise _changed(folder / MANIFEST)
    return manifest


def _read(folder: Path, name: str, record: FileRecord) -> bytes:
    if not is_inner(name):
        raise ArtifactDamagedError(
            "the manifest names a file outside the artifact", where=f"{folder}: {name[:80]!a}"
        )
    try:
        content = read_plain(folder, name, record.bytes)
    except TooLargeError as problem:
        raise _changed(folder / name) from problem
    except NotPlainError as problem:
        raise ArtifactDamagedError(
            f"a file of the artifact leads elsewhere: {problem}",
            where=str(folder / name),
            fix="export again, or put the original file back",
        ) from problem
    except OSError as problem:
        raise _unreadable(problem, folder / name) from problem
    if record_of(content) != record:
        raise _changed(folder / name)
    return content


def _strange(folder: Path, known: Mapping[str, Any]) -> Iterator[ArtifactDamagedError]:
    for name in _beside(folder, known):
        yield ArtifactDamagedError(
            "a file in the artifact is not of the export",
            where=str(folder / name),
            fix="move it elsewhere",
        )


def _page(folder: Path, files: Mapping[str, bytes]) -> Iterator[ArtifactDamagedError]:
    try:
        if not is_marked(read_plain(folder, PAGE), files.get(REPORT, b"")):
            yield _changed(folder / PAGE)
    except FileNotFoundError:
        return  # nobody needs it, and where nothing draws it there is none
    except OSError as problem:
        yield _unreadable(problem, folder / PAGE)


def _changed(path: Path) -> ArtifactDamagedError:
    return ArtifactDamagedError(
        "a file of the artifact was changed after the export",
        where=str(path),
        fix="export again, or put the original file back",
    )


def _unreadable(problem: OSError, path: Path) -> ArtifactDamagedError:
    return ArtifactDamagedError(
        f"a file of the artifact cannot be read: {problem.strerror or problem}",
        where=str(path),
        fix="export again",
    )


def _refusal(wrong: Sequence[ArtifactDamagedError], folder: Path) -> ArtifactDamagedError:
    """Return one error for all that is wrong with an artifact."""
    if len(wrong) == 1:
        return wrong[0]
    lines = [f"    {each.where}: {each.message}" for each in wrong[:MOST_TOLD]]
    if len(wrong) > MOST_TOLD:
        lines.append(f"    and {len(wrong) - MOST_TOLD} more")
    return ArtifactDamagedError(
        "\n".join([f"{len(wrong)} files of the artifact are not as the export left them", *lines]),
        where=str(folder),
        fix="export again",
    )
