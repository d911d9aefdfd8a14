"""What differs between two programs and, of artifacts, in how they were made and what they do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment, read_deployment
from snn_deploy.deploy.diff_measures import Measures, measures
from snn_deploy.deploy.manifest import MANIFEST
from snn_deploy.deploy.plain_files import read_plain
from snn_deploy.deploy.program_changes import (
    Change,
    Part,
    changed_records,
    changes_between,
    plain_change,
)
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.errors import ArtifactDamagedError, OptionError
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.paths import is_file, is_folder
from snn_deploy.ir.program import Program
from snn_deploy.ir.store import ProgramFiles, load_program

COMPUTES = frozenset(
    {Part.PROGRAM, Part.INPUT, Part.POPULATION, Part.PROJECTION, Part.OUTPUT, Part.ENCODING}
)
"""Parts that change what is computed; the others tell how it came about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramDiff(ShownTable):
    """The result of `diff`."""

    one: str
    other: str
    digest_one: str
    digest_other: str
    changes: tuple[Change, ...]
    measures: Measures | None = None
    """What both do with the same data, and their maps of cores; None: one is a program alone."""

    derived: ClassVar[tuple[str, ...]] = ("equal",)

    @property
    def equal(self) -> bool:
        """Whether both compute the same from the same data; how they were made may differ."""
        same_data = not any(change.part is Part.ENCODING for change in self.changes)
        return self.digest_one == self.digest_other and same_data

    def __str__(self) -> str:
        lines = []
        if self.digest_one == self.digest_other:
            lines.append(f"the same program, digest {self.digest_one}")
        else:
            lines.append(f"{self.one}  digest {self.digest_one}")
            lines.append(f"{self.other}  digest {self.digest_other}")
        for part in Part:
            rows = [_row(change) for change in self.changes if change.part is part]
            if rows:
                lines += ["", f"{part.value}s" if part is not Part.ENCODING else part.value]
                lines += [f"  {line}" for line in _table(rows).splitlines()]
        if self.measures is not None and self.measures.measures:
            lines += ["", str(self.measures)]
        return "\n".join(lines)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return the rows aligned; columns that are empty in every row are left out."""
    used = [column for column in range(len(rows[0])) if any(row[column] for row in rows)]
    return aligned([[row[column] for column in used] for row in rows])


def _row(change: Change) -> tuple[str, ...]:
    if not change.what:
        only = "only in the first" if change.one else "only in the second"
        return change.name, only, change.one or change.other, "", ""
    count = largest = ""
    if change.changed is not None:
        count = f"{change.changed:,} of {change.numbers:,} differ"
    if change.largest is not None:
        largest = f"by up to {change.largest:g}"
        if change.at:
            largest += f", at {list(change.at)}"
    return change.name, change.what, f"{change.one} -> {change.other}", count, largest


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two that are compared."""

    name: str
    program: Program
    deployment: Deployment | None
    """How it was made; None: only the program is there."""


def side(given: Any) -> Side:
    """Return one side: a deployment, a program, or the folder of one.

    Raises:
        ArtifactDamagedError: the folder holds neither an artifact nor a program.
    """
    if isinstance(given, Program):
        return Side(name=given.name, program=given, deployment=None)
    if isinstance(given, Deployment):
        name = str(given.folder) if given.folder else given.program.name
        return Side(name=name, program=given.program, deployment=given)
    path = Path(given)
    if is_file(path / MANIFEST):
        deployment = read_deployment(path)
        return Side(name=str(path), program=deployment.program, deployment=deployment)
    return Side(name=str(path), program=_read_program(path), deployment=None)


def _read_program(path: Path) -> Program:
    try:
        files = [read_plain(path, name) for name in ("program.json", "program.npz")]
    except OSError as problem:
        raise ArtifactDamagedError(
            "this folder has neither a manifest.json nor the two files of a program"
            if is_folder(path)
            else "there is no such folder",
            where=str(path),
            fix="give artifact folders, or folders with program.json and program.npz",
        ) from problem
    return load_program(ProgramFiles(json=files[0], npz=files[1]))


ReadsData = Callable[[Deployment], Data]
"""Returns the samples that two deployments are compared on, for the inputs of one of them."""


def diff(
    one: Side, other: Side, reads: ReadsData | None = None, profile: str | None = None
) -> ProgramDiff:
    """Return what differs between two programs and, of artifacts, between how they were made.

    Args:
        one: A program, or a deployment.
        other: Another.
        reads: Reads data to run both on; None: neither is run.
        profile: Table of prices for both; None: each target's own.

    Raises:
        OptionError: data for programs alone, whose encoding nobody knows; or a table of prices
            without data.
    """
    digests = one.program.digest, other.program.digest
    changes = list(changes_between(one.program, other.program))
    if one.deployment is not None and other.deployment is not None:
        changes += _deployments(one.deployment, other.deployment)
    if digests[0] != digests[1] and not any(change.part in COMPUTES for change in changes):
        changes.append(plain_change(Part.PROGRAM, "", "order of its parts", "one", "another"))
    measured = None
    if one.deployment is not None and other.deployment is not None:
        sides = one.deployment, other.deployment
        if profile is not None and reads is None:
            raise OptionError(
                "prices are for events, which are counted on data",
                where="--profile",
                fix="--data FILE",
            )
        data = None if reads is None else (reads(sides[0]), reads(sides[1]))
        measured = measures(*sides, data, profile)
    elif reads is not None:
        raise OptionError(
            "a program alone does not say how data becomes steps",
            where="--data",
            fix="give two artifact folders, or leave --data out",
        )
    return ProgramDiff(
        one=one.name,
        other=other.name,
        digest_one=digests[0],
        digest_other=digests[1],
        changes=tuple(changes),
        measures=measured,
    )


def _deployments(one: Deployment, other: Deployment) -> Iterator[Change]:
    """Yield what differs in how two artifacts were made."""
    yield from _entries(Part.TARGET, _numbers(one.target), _numbers(other.target))
    yield from changed_records(Part.ENCODING, "", "", one.encoding, other.encoding)
    yield from _entries(Part.OPTION, one.configuration, other.configuration)
    yield from _lines(Part.PIPELINE, one.pipeline, other.pipeline)
    yield from _lines(Part.FINDING, _findings(one.findings), _findings(other.findings))


def _numbers(record: Any, path: str = "") -> Mapping[str, Any]:
    """Return every value of a record by its path, but for sources."""
    plain = msgspec.to_builtins(record) if is_dataclass(record) else record
    if isinstance(plain, list | tuple) and all(isinstance(item, dict) for item in plain):
        plain = {_key(item, number): item for number, item in enumerate(plain)}
    if not isinstance(plain, dict):
        return {path: plain}
    found: dict[str, Any] = {}
    for key, value in plain.items():
        if key not in ("source", "unit"):
            found |= _numbers(value, f"{path}.{key}" if path else str(key))
    return found


def _key(item: Mapping[str, Any], number: int) -> str:
    """Return what tells a record of a list from the others."""
    return next((item[k] for k in ("name", "feature", "resource") if k in item), str(number))


def _entries(part: Part, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Change]:
    for key in dict.fromkeys((*one, *other)):
        if one.get(key) != other.get(key):
            yield plain_change(part, "", key, one.get(key), other.get(key))


def _findings(findings: Sequence[Finding]) -> list[str]:
    return [f"{f.kind.value}  {f.layer or '(network)'}: {f.amount}" for f in findings]


def _lines(part: Part, one: Sequence[str], other: Sequence[str]) -> Iterator[Change]:
    """Yield the lines that only one side has."""
    for line in one:
        if line not in other:
            yield Change(part=part, name="", what="", one=line, other="")
    for line in other:
        if line not in one:
            yield Change(part=part, name="", what="", one="", other=line)
