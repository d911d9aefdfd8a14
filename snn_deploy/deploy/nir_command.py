"""What `nir` does: a model as a NIR file, and what plain NIR says of each of its nodes."""

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from snn_deploy.deploy.artifact import check_file, write_file
from snn_deploy.deploy.importing import imported
from snn_deploy.deploy.net_files import is_net
from snn_deploy.deploy.outcomes import findings_text
from snn_deploy.deploy.request import Request
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.errors import OptionError
from snn_deploy.frontends import Imported
from snn_deploy.frontends.dynamics import Unit
from snn_deploy.frontends.strict import Saying, plain
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.words import counted


class Manner(Enum):
    """How a NIR file is written."""

    STRICT = "strict"
    """Plain NIR, which means the same to every tool that reads it as NIR is defined."""

    ANNOTATED = "annotated"
    """The nearest nodes, and everything else in our metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSaying:
    """What plain NIR says of one node."""

    node: str
    type: str
    says: str
    """exact, exact by decomposition, metadata only or unsupported."""

    reasons: tuple[str, ...]
    """What was decomposed, or what cannot be said."""

    notes: tuple[str, ...]
    """What else NIR leaves to its reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NirFile(ShownTable):
    """The result of `nir`."""

    name: str
    manner: str
    file: str
    """Empty: nothing was written."""

    planned: str
    """File that would be written, but for `dry_run`; empty: none was named, or it was written."""

    bytes: int
    dt: float
    """Length of a step that the plain file is read with [s]."""

    nodes: tuple[NodeSaying, ...]
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        rows = [("node", "type", "plain NIR", "because")]
        for each in self.nodes:
            first, *others = (*each.reasons, *each.notes, "")
            rows.append((each.node, each.type, each.says, first))
            rows += [("", "", "", other) for other in others if other]
        counts = {kind: sum(n.says == kind.value for n in self.nodes) for kind in Saying}
        total = ", ".join(f"{n} {kind.value}" for kind, n in counts.items() if n)
        lines = [
            f"{self.name}: {counted(len(self.nodes), 'node')}, {total}",
            "",
            aligned(rows) + findings_text(self.findings),
            "",
            f"wrote {self.file}: {self.manner}, {self.bytes:,} bytes"
            if self.file
            else f"would write {self.planned}: {self.manner}, {self.bytes:,} bytes"
            if self.planned
            else f"would write {self.manner}, {self.bytes:,} bytes: --output FILE",
        ]
        if self.manner == Manner.STRICT.value:
            lines.append(f"read it with steps of {self.dt:g} s: NIR does not say the step")
        return "\n".join(lines)


def write(
    model: Any,
    request: Request,
    *,
    manner: Manner,
    output: Path | None,
    force: bool,
    dry_run: bool,
) -> NirFile:
    """Return what plain NIR says of a model, written as a NIR file if `output` is given.

    With `dry_run` nothing is written, and refused is what would be refused.

    Raises:
        OptionError: the model holds integers, which NIR does not.
        OutputExistsError: the file is there, and `force` is not given.
        ModelError: the model cannot be read, or plain NIR cannot say it and `manner` is strict.
    """
    if is_net(model):
        raise OptionError(
            "a .net file holds integers for a chip, which NIR has no nodes for",
            where=str(model),
            fix="snn-deploy export reads it",
        )
    if output is not None:
        check_file(output, force=force, reads=[model])
    found, dt = _read(model, request, manner)
    said = plain(found, dt=dt)
    content = said.required() if manner is Manner.STRICT else found.nir_bytes
    if output is not None and not dry_run:
        write_file(content, output, force=force)
    return NirFile(
        name=found.network.name,
        manner=manner.value,
        file="" if output is None or dry_run else str(output),
        planned=str(output) if output is not None and dry_run else "",
        bytes=len(content),
        dt=said.sayings.dt,
        nodes=tuple(
            NodeSaying(
                node=each.node,
                type=each.type,
                says=each.saying.value,
                reasons=each.reasons,
                notes=each.notes,
            )
            for each in said.sayings.nodes
        ),
        findings=found.findings,
    )


def _read(model: Any, request: Request, manner: Manner) -> tuple[Imported, float | None]:
    """Return the network, and the step to write it with; None: its own, or the usual one.

    A model that counts time in steps is read without a step; `dt` is what it is written with.
    """
    try:
        return imported(model, request), request.dt
    except OptionError as refused:
        if refused.where != "--dt" or manner is not Manner.STRICT:
            raise
        found = imported(model, replace(request, dt=None))
        if found.annotation.unit.value is not Unit.STEP:
            raise
        return found, request.dt
