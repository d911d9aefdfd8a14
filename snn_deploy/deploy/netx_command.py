"""What `netx` does: the program of an artifact as the `.net` file that lava-dl loads."""

from dataclasses import dataclass
from pathlib import Path

from snn_deploy.backends.netx.writer import write_net
from snn_deploy.deploy.artifact import check_file, write_file
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.outcomes import findings_text
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLayer:
    """One layer of the file."""

    index: int
    type: str
    population: str
    """Of the program; empty: none."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetxFile(ShownTable):
    """The result of `netx`."""

    name: str
    file: str
    """Empty: nothing was written."""

    planned: str
    """File that would be written, but for `dry_run`; empty: none was named, or it was written."""

    bytes: int
    layers: tuple[FileLayer, ...]
    message_bits: int
    """What netx must be told as `input_message_bits`."""

    reset_offset: int | None
    """What netx must be told as `reset_offset`, with a `reset_interval`; None: no reset."""

    load: str
    """The call that loads the file."""

    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        rows = [("layer", "type", "population", "shape")]
        rows += [
            (f"{e.index}", e.type, e.population or "-", "x".join(map(str, e.shape)))
            for e in self.layers
        ]
        size = f"{self.bytes:,} bytes"
        lines = [
            f"{self.name} as layers of lava-dl",
            "",
            aligned(rows) + findings_text(self.findings),
            "",
            f"wrote {self.file}: {size}"
            if self.file
            else f"would write {self.planned}: {size}"
            if self.planned
            else f"would write {size}: --output FILE",
            "load it, where lava-dl 0.6.0 is (Python 3.10), with",
            f"  {self.load}",
        ]
        if self.reset_offset is not None:
            lines.append("  with as many STEPS as the run has, or more")
        return "\n".join(lines)


def write(deployment: Deployment, *, output: Path | None, force: bool, dry_run: bool) -> NetxFile:
    """Return the program as a `.net` file, written if `output` is given.

    With `dry_run` nothing is written, and refused is what would be refused.

    Raises:
        UnsupportedError: the program is no chain of layers, or has a feature that netx lacks.
        DoesNotFitError: a number that a file does not hold, or that netx would change.
        OutputExistsError: the file is there, and `force` is not given.
        CannotWriteError: the disk is full, permission is missing, ...
    """
    if output is not None:
        check_file(output, force=force)
    made = write_net(deployment.program)
    if output is not None and not dry_run:
        write_file(made.content, output, force=force)
    return NetxFile(
        name=deployment.program.name,
        file="" if output is None or dry_run else str(output),
        planned=str(output) if output is not None and dry_run else "",
        bytes=len(made.content),
        layers=tuple(
            FileLayer(index=e.index, type=e.kind, population=e.population, shape=e.shape)
            for e in made.layers
        ),
        message_bits=made.loading.message_bits,
        reset_offset=made.loading.reset_offset,
        load=made.loading.call(str(output or "network.net")),
        findings=made.findings,
    )
