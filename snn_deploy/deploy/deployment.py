"""A compiled network with everything that is known of it: what an artifact folder holds."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy.artifact import write_folder
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.manifest import (
    MANIFEST,
    PAGE,
    REPORT,
    SCHEMA,
    FileRecord,
    FindingRecord,
    Manifest,
    json_bytes,
    manifest_bytes,
    read_folder,
    record_of,
)
from snn_deploy.deploy.mapping import CoreMap, read_core_map
from snn_deploy.deploy.report.model import SCHEMA as REPORTED
from snn_deploy.deploy.report.model import Decision, Measured
from snn_deploy.deploy.seal import OPEN, marked
from snn_deploy.deploy.shown import Shown
from snn_deploy.deploy.version import version
from snn_deploy.errors import (
    ArtifactDamagedError,
    DeployError,
    ModelError,
    OptionError,
    TargetError,
)
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.program import Program
from snn_deploy.ir.store import ProgramFiles, dump_program, load_program
from snn_deploy.ir.text import print_program
from snn_deploy.targets import Target, read_stored_target
from snn_deploy.targets.files import SCHEMA as CHIPS

if TYPE_CHECKING:
    from snn_deploy.deploy.early_exit import EarlyExit
    from snn_deploy.deploy.report.model import Report
    from snn_deploy.ir.network import Network


CORE_MAP = "core_map.json"
"""Which core holds which neurons."""


@dataclass(frozen=True, kw_only=True)
class Deployment(Shown):
    """A network as integers for one target, with its origin and its findings."""

    program: Program
    target: Target
    """The chip that it was compiled for."""

    encoding: Encoding
    nir: bytes | None
    """The network as trained, as an annotated NIR file; None: it was integers from the start."""

    pipeline: tuple[str, ...]
    """The passes that made the program, one line each."""

    findings: tuple[Finding, ...]
    layers: tuple[dict[str, Any], ...]
    """What quantization did to each layer."""

    model_digest: str
    """SHA-256 of the model as it was given."""

    model_bytes: int
    configuration: Mapping[str, Any] = field(default_factory=dict)
    """Options of the export that were not left at their default."""

    core_map: CoreMap | None = None
    """Which core holds which neurons; None: the chip has no cores, or the network does not fit."""

    folder: Path | None = None
    """Where it was written to or read from."""

    decisions: tuple[Decision, ...] = ()
    """The rules of the network as trained, and who said each."""

    samples: Data | None = field(default=None, repr=False)
    """Samples of the calibration data that the report is measured on; none are in the artifact."""

    measured: Measured | None = field(default=None, repr=False)
    """What the report of the artifact that this was read from measured."""

    missing: str = ""
    """Why nothing was measured there, though there was data."""

    @property
    def early_exit(self) -> "EarlyExit | None":
        """When a sample is left before its last step; None: never."""
        from snn_deploy.deploy.early_exit import early_exit_of  # noqa: PLC0415 - it imports this

        return early_exit_of(self.configuration)

    @cached_property
    def network(self) -> "Network":
        """The real-valued network, read from `nir`.

        Raises:
            OptionError: there is none.
        """
        from snn_deploy.frontends import load  # noqa: PLC0415 - h5py on demand

        if self.nir is None:
            raise OptionError(
                "this network was trained as integers: there are no real values to compare with",
                where=self.program.name,
                fix="--no-real",
            )

        return load(self.nir).network

    @cached_property
    def report(self) -> "Report":
        """All that is known of it; of runs what calibration data, or the artifact, shows."""
        from snn_deploy.deploy.report.gathering import gather  # noqa: PLC0415 - it imports this
        from snn_deploy.deploy.report.measuring import AT_EXPORT, attempted  # noqa: PLC0415

        measured, missing = self.measured, self.missing
        if self.samples is not None and measured is None:
            measured, missing = attempted(self, self.samples, AT_EXPORT)
        return gather(self, measured, missing)

    def __str__(self) -> str:
        from snn_deploy.deploy.printing import printable  # noqa: PLC0415 - it imports this

        return printable(self)

    def _repr_html_(self) -> str:
        """Return the report for a cell of a notebook."""
        from snn_deploy.deploy.report.page import cell  # noqa: PLC0415 - jinja2 on demand

        return cell(self.report)

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """Content of every file of the artifact by relative path. Same model, same bytes.

        The manifest lists all but report.html, which is report.json drawn: its bytes depend on the
        libraries that draw it too, and without them it is left out. It carries its own digest.
        """
        from snn_deploy.deploy.report.layout import json_of  # noqa: PLC0415
        from snn_deploy.deploy.report.page import missing_libraries, page  # noqa: PLC0415

        stored = dump_program(self.program)
        files = {
            **({} if self.nir is None else {"model.nir": self.nir}),
            "program.json": stored.json,
            "program.npz": stored.npz,
            "program.txt": print_program(self.program).encode(),
            "target.json": json_bytes({"schema": CHIPS.label, **msgspec.to_builtins(self.target)}),
            **({} if self.core_map is None else {CORE_MAP: self.core_map.json()}),
            REPORT: json_of(self.report),
            **self._written(),
        }
        manifest = Manifest(
            schema=SCHEMA.label,
            version=version(),
            name=self.program.name,
            target=self.program.target,
            program_digest=self.program.digest,
            model=FileRecord(sha256=self.model_digest, bytes=self.model_bytes),
            configuration=dict(self.configuration),
            encoding=msgspec.to_builtins(self.encoding),
            pipeline=self.pipeline,
            findings=self._found(),
            files={name: record_of(content) for name, content in sorted(files.items())},
            seal=OPEN,
        )
        drawn = {} if missing_libraries() else {PAGE: marked(page(self.report), files[REPORT])}
        return {MANIFEST: manifest_bytes(manifest), **files, **drawn}

    def _written(self) -> Mapping[str, bytes]:
        writer = self.target.writer
        return find_backend(writer).emit(self.program, self.target) if writer else {}

    def _found(self) -> tuple[FindingRecord, ...]:
        return tuple(
            FindingRecord(kind=f.kind.value, layer=f.layer, amount=f.amount, reason=f.reason)
            for f in self.findings
        )

    def save(self, output: Path, *, force: bool = False) -> None:
        """Write the artifact folder, whole or not at all.

        Raises:
            OutputExistsError: `output` exists, and `force` is not given or it is no artifact.
            CannotWriteError: the disk is full, permission is missing, ...
        """
        write_folder(self.files, output, force=force)


class _Source(msgspec.Struct, frozen=True):
    decisions: tuple[Decision, ...]


class _Report(msgspec.Struct, frozen=True):
    """What is read of report.json: the rest is made again."""

    source: _Source
    rounding: tuple[dict[str, Any], ...]
    measured: Measured | None
    missing: str


_NONSENSE = (
    *(msgspec.MsgspecError, RecursionError, KeyError, ValueError),
    *(ModelError, TargetError),
)
"""What files raise that were made for an artifact by another hand."""


def read_deployment(folder: Path) -> Deployment:
    """Return the deployment in an artifact folder, every file checked against its digest.

    Raises:
        ArtifactDamagedError: it is no artifact of this version, or a file was changed.
    """
    manifest, files = read_folder(folder)
    try:
        deployment = _deployment(manifest, files, folder)
    except _NONSENSE as problem:
        reason = problem.message if isinstance(problem, DeployError) else repr(problem)
        raise ArtifactDamagedError(
            f"the artifact's files do not make sense: {reason:.200}",
            where=str(folder),
            fix="export the model again",
        ) from problem
    program, core_map = deployment.program, deployment.core_map
    for what, wrong in (
        (
            "the program is not the one of the manifest",
            (program.digest, program.target) != (manifest.program_digest, manifest.target),
        ),
        (
            "the map of cores is of another program",
            core_map is not None and core_map.program != program.digest,
        ),
    ):
        if wrong:
            raise ArtifactDamagedError(what, where=str(folder), fix="export the model again")
    return deployment


def _deployment(manifest: Manifest, files: Mapping[str, bytes], folder: Path) -> Deployment:
    report = msgspec.convert(REPORTED.upgraded(msgspec.json.decode(files[REPORT])), _Report)
    return Deployment(
        program=load_program(ProgramFiles(json=files["program.json"], npz=files["program.npz"])),
        target=read_stored_target(files["target.json"], "target.json"),
        encoding=msgspec.convert(manifest.encoding, Encoding),
        nir=files.get("model.nir"),
        pipeline=manifest.pipeline,
        findings=tuple(
            Finding(kind=Kind(f.kind), layer=f.layer, amount=f.amount, reason=f.reason)
            for f in manifest.findings
        ),
        layers=report.rounding,
        model_digest=manifest.model.sha256,
        model_bytes=manifest.model.bytes,
        configuration=manifest.configuration,
        core_map=read_core_map(files[CORE_MAP]) if CORE_MAP in files else None,
        folder=folder,
        decisions=report.source.decisions,
        measured=report.measured,
        missing=report.missing,
    )


def digest(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
